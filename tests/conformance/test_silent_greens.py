"""Ways in which a run could end green and have judged too little or something else: each is said or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from suite_runs import Run, command, conformance, replaced, starter

BIASED = ((" * (n / (n - 1))", ""),)
QUICK = ("--hypothesis-profile=quick", "--hypothesis-seed=0")
BENCH = starter("kernelbench")
WRONG = """

class Wrong(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.bn = Normalize(dim)

    def forward(self, x):
        return 2 * self.bn(x)
"""
GAMMA = (
    ("self.weight = nn.Parameter(torch.ones", "self.gamma = nn.Parameter(torch.ones"),
    ("self.bias = nn.Parameter(torch.zeros", "self.beta = nn.Parameter(torch.zeros"),
    ("return xhat * self.weight[:, None, None] + self.bias[:, None, None]", "return xhat"),
)


def vet(folder: Path, text: str, *arguments: str, variables: dict[str, str] | None = None) -> Run:
    """Run `bnconform vet` on a file with this text."""
    (folder / "kernel.py").write_text(text)
    return command("vet", "kernel.py", *arguments, *QUICK, cwd=folder, variables=variables)


# What the file holds, and what the one line must say.
REFUSED = {
    "parameters that nobody sets": (
        replaced(BENCH, GAMMA),
        "has no weight and no bias, but other parameters: its parameters and buffers are bn.gamma, bn.beta",
    ),
    "ModelNew is no class": (BENCH + "\n\nModelNew = print\n", "ModelNew in kernel.py is a builtin_function_or_method"),
    "functions beside ModelNew": (
        BENCH + "\n\ndef forward_inference(x): ...\n",
        "offers functions (forward_inference) and the class ModelNew; pass kernel.py:ModelNew",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_file_that_could_mean_two_things_is_refused(name: str, tmp_path: Path) -> None:
    """What would be judged otherwise than its author means is refused in one line."""
    pytest.importorskip("torch")
    text, told = REFUSED[name]
    found = vet(tmp_path, text, "--requirement=F1")
    assert found.status == 2, found.out + found.err
    assert told in found.err
    assert found.err.count("\n") == 1


def test_modelnew_is_judged_wherever_it_comes_from(tmp_path: Path) -> None:
    """A wrong ModelNew is not passed over for a right class that is easier to build."""
    pytest.importorskip("torch")
    (tmp_path / "theirs.py").write_text(BENCH + WRONG)
    text = "from theirs import Normalize as Model, Wrong as ModelNew, get_init_inputs, get_inputs\n"
    found = vet(tmp_path, text, "--requirement=F1")
    assert found.status == 1, found.out + found.err
    assert "judged: class Wrong; rank 4; float32" in found.out


def test_page_names_what_is_judged_and_what_is_nearly_called_so(tmp_path: Path) -> None:
    """The functions are listed; one whose name is a slip of the pen is told."""
    text = (
        starter()
        .replace("def backward(", "def backwards(")
        .replace("def backward_inference(", "def inference_backward(")
    )
    found = vet(tmp_path, text, "--requirement=F1")
    assert found.status == 0, found.out + found.err
    assert "judged: functions forward_training, forward_inference; ranks 2 to 5" in found.out
    assert "note: backwards is not called; did you mean backward?" in found.out
    assert "note: inference_backward is not called; did you mean backward_inference?" in found.out
    assert "asked: 1 of 72 laws; the others were not looked at" in found.out


def test_narrow_claims_are_said(tmp_path: Path) -> None:
    """Claims that ask less than the defaults stand in the line on what was judged."""
    claims = "{'eps_min': 0.5, 'momentum_min': 0.5, 'grade': 'NU', 'checks_arguments': False, 'bitwise': False}"
    found = vet(tmp_path, f"{starter()}\nCLAIMS = {claims}\n", "--requirement=F1")
    line = next(line for line in found.out.splitlines() if line.startswith("judged: "))
    for told in ("eps from 0.5", "momentum from 0.5", "grade NU claimed", "no wrong arguments", "not bit for bit"):
        assert told in line


def test_settings_around_do_not_narrow_vet(tmp_path: Path) -> None:
    """Neither pytest's environment variables nor a pytest.ini decide what vet judges."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -k F1 -x\n")
    asked = ("--requirement=S2", "--requirement=F1")
    text = replaced(starter(), BIASED)
    found = vet(tmp_path, text, *asked, variables={"PYTEST_ADDOPTS": "-k F1 --bn-level=core --bn-requirement=F1"})
    assert found.status == 1, found.out + found.err
    assert found.out.startswith("kernel.py BREAKS: core 1 of 2 (broken: S2)")


def test_debugger_options_trust_no_more(tmp_path: Path) -> None:
    """With -s, too, pytest's variables narrow nothing, and a file that leaves the process is not judged."""
    asked = ("-s", "--requirement=S2", "--requirement=F1")
    narrowing = {"PYTEST_ADDOPTS": "-k F1"}
    assert vet(tmp_path, replaced(starter(), BIASED), *asked, variables=narrowing).status == 1
    assert vet(tmp_path, starter(), *asked).status == 0
    assert vet(tmp_path, "import os\nos._exit(0)\n", *asked, "--in-process").status == 3


@pytest.mark.parametrize("more", [(), ("-n", "1")], ids=["alone", "workers"])
def test_pytest_fails_where_nothing_was_judged(more: tuple[str, ...], tmp_path: Path) -> None:
    """An implementation that was named and of which nothing is claimed is no pass."""
    (tmp_path / "kernel.py").write_text(starter())
    found = conformance("--bn-adapter=kernel.py", "--bn-requirement=Y1", *more, cwd=tmp_path)
    assert found.status == 1, found.out + found.err
    assert "no law that decides was judged: kernel.py" in found.out


def test_level_needs_a_law_that_decides(tmp_path: Path) -> None:
    """Where no law of a deciding level was judged, there is nothing to be green about."""
    assert vet(tmp_path, starter(), "--requirement=E1", "--level=core").status == 1
    assert vet(tmp_path, starter(), "--requirement=E1", "--level=robust").status == 0
    (tmp_path / "kernel.py").write_text(starter())
    asked = ("--bn-adapter=kernel.py", "--bn-requirement=E1", "--bn-level=core")
    assert conformance(*asked, cwd=tmp_path).status == 1


def test_file_that_leaves_the_process_is_not_judged(tmp_path: Path) -> None:
    """A file that exits with status 0 in vet's run, in process, leaves no record, and that is said."""
    found = vet(tmp_path, "import os\nos._exit(0)\n", "--in-process", "--requirement=F1")
    assert found.status == 3, found.out + found.err
    assert found.out.startswith("NOT JUDGED: ")


def test_bad_places_and_options_are_refused_before_anything_is_judged(tmp_path: Path) -> None:
    """A file that cannot be written, and an option that is nearly one of ours."""
    for option, told in (
        ("--json=kernel.py/x.json", "cannot write kernel.py/x.json: "),
        ("--report=kernel.py/out", "cannot make kernel.py/out: "),
        ("--requirment=F1", "unknown option --requirment; did you mean --requirement?"),
    ):
        found = vet(tmp_path, starter(), option, "--requirement=F1")
        assert found.status == 2, found.out + found.err
        assert told in found.err


def test_array_whose_values_are_hidden_is_no_answer(tmp_path: Path) -> None:
    """A masked array is no plain array; what it hides is not compared as if it were there."""
    text = replaced(
        starter(),
        (("    return y.astype(x.dtype), new_mean", "    return np.ma.masked_all(x.shape, x.dtype), new_mean"),),
    )
    found = vet(tmp_path, text, "--requirement=F1")
    assert found.status == 1, found.out + found.err
    assert "returned a numpy.MaskedArray where the contract asks for a NumPy array, as y" in found.out
