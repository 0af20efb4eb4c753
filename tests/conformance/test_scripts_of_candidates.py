"""Findings on files of every form show in scripts of their own, which tell the faulty file from the form's starter."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from form_faults import FAULTS, Fault
from suite_runs import judge, replaced, run_scripts, starter

from bnconform.running.watch import Watch
from bnconform.scripts.writer import Subject, script
from bnconform_adapters.contract import Adapter
from bnconform_adapters.registry import load

FOREIGN = Path(__file__).parent / "foreign"


def written(adapter: Adapter, law: str, spec: str, path: Path) -> Path:
    """Write the script of what breaks a law."""
    broken, _ = judge(adapter, law, spec=spec, watch=Watch(law, shrinks=20))
    assert broken is not None
    plain_code: str = adapter.plain_code  # type: ignore[attr-defined]
    path.write_text(script(broken, Subject.of_file(adapter.name, spec, plain_code)))
    return path


@cache
def shown(framework: str, folder: Path) -> dict[Fault, list[tuple[int | str, str]]]:
    """Return what each script of a framework's faults says: of the faulty file, of the starter, and without a call."""
    faults, commands = [fault for fault in FAULTS if fault.framework == framework], []
    for fault in faults:
        form = fault.form
        correct, elsewhere = folder / f"correct_{form}.py", folder / f"elsewhere_{form}.py"
        correct.write_text(starter(form))
        elsewhere.write_text(f"{starter(form)}\n\nDEVICE = 'nowhere'\n")
        kernel = folder / f"{fault.name}_{form}.py"
        kernel.write_text(fault.text)
        path = written(load(str(kernel)), fault.told_by, str(kernel), folder / f"reproduce_{fault.name}_{form}.py")
        commands += [[path, kernel] for kernel in ("", correct, elsewhere, folder / "gone.py")]
    found = run_scripts([command if command[1] else command[:1] for command in commands])
    return {fault: found[4 * i : 4 * i + 4] for i, fault in enumerate(faults)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the files and their scripts are."""
    return tmp_path_factory.mktemp("scripts")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.form}-{fault.name}")
def test_script_tells_faulty_from_correct(fault: Fault, folder: Path) -> None:
    """The script exits with 1 on the faulty file, 0 on the starter, and 125 where there is no file or no device."""
    pytest.importorskip(fault.framework)
    faulty, correct, *others = shown(fault.framework, folder)[fault]
    assert (faulty[0], faulty[1].splitlines()[-1:]) == (1, ["the defect is there"]), faulty
    assert (correct[0], correct[1].splitlines()[-1:]) == (0, ["the defect is gone"]), correct
    for status, output in others:
        assert (status, output.partition(":")[0]) == (125, "cannot tell"), output


INSIDE = """
import torch


class Norm(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.bn = torch.nn.BatchNorm1d(channels, eps=0.25, momentum=0.5)

    def forward(self, x):
        return self.bn(x)
"""


@pytest.mark.parametrize(
    ("text", "edit", "name", "law"),
    [
        ((FOREIGN / "autograd_function.py").read_text(), ("dx = dy - column(dbias / n, dy) -", "dx = dy -"), "", "G1"),
        ((FOREIGN / "custom_op.py").read_text(), ("dx = (dy - column(dbias / n, dy) -", "dx = (dy -"), "", "G1"),
        (INSIDE, ("return self.bn(x)", "return self.bn(x).abs()"), ":Norm", "F1"),
    ],
    ids=["own_names", "operator", "submodule"],
)
def test_script_on_modules_of_all_kinds(text: str, edit: tuple[str, str], name: str, law: str, tmp_path: Path) -> None:
    """Names of STATE, operators of torch.library, and a class that has to be named."""
    pytest.importorskip("torch")
    faulty, correct = tmp_path / "faulty.py", tmp_path / "correct.py"
    faulty.write_text(replaced(text, [edit]))
    correct.write_text(text.replace("bnconform_tests::", "bnconform_right::"))  # an operator is registered once
    path = written(load(f"{faulty}{name}"), law, f"{faulty}{name}", tmp_path / "script.py")
    found = run_scripts([[path], [path, f"{correct}{name}"]])
    assert [status for status, _ in found] == [1, 0], found


def test_script_on_a_file_without_the_class(tmp_path: Path) -> None:
    """A file that cannot be imported, or has nothing of that name or kind, is one of which a script cannot tell."""
    pytest.importorskip("torch")
    kernel = tmp_path / "kernel.py"
    kernel.write_text(replaced(INSIDE, [("return self.bn(x)", "raise OSError")]))
    path = written(load(f"{kernel}:Norm"), "F1", f"{kernel}:Norm", tmp_path / "script.py")
    (tmp_path / "broken.py").write_text("import nothing_of_that_name\n")
    (tmp_path / "functions.py").write_text(starter("torch"))
    others = (f"{kernel}:Gone", tmp_path / "broken.py", tmp_path / "functions.py")
    found = run_scripts([[path], *([path, other] for other in others)])
    assert [status for status, _ in found] == [1, 125, 125, 125], found


def test_script_of_an_output_that_is_missing(tmp_path: Path) -> None:
    """An output that is None where the case asks for it is there to be seen, and gone on the starter."""
    faulty, correct = tmp_path / "faulty.py", tmp_path / "correct.py"
    edit = ("return np.zeros_like(dy), zeros, zeros.copy()", "return np.zeros_like(dy), zeros, None")
    faulty.write_text(replaced(starter(), [edit]))
    correct.write_text(starter())
    path = written(load(str(faulty)), "X3", str(faulty), tmp_path / "script.py")
    found = run_scripts([[path], [path, correct]])
    assert [status for status, _ in found] == [1, 0], found
    assert "seen:       dbias is missing" in found[0][1].splitlines()
