"""A candidate of any form that cannot be taken, or states what cannot be, is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from suite_runs import replaced, run, starter

from bnconform_adapters.errors import AdapterError
from bnconform_adapters.registry import load

NORM = """
import torch


class {name}(torch.nn.BatchNorm1d):
    pass
"""
BENCH = starter("kernelbench")
MODULE = starter("module")
TORCH = starter("torch")
INPUTS = "    return [torch.rand(64, 64, 512, 512)]"


def claims(form: str, stated: str) -> str:
    """A form's starter that states something else in CLAIMS."""
    return f"{starter(form)}\n\nCLAIMS = {stated}\n"


def bench(*edits: tuple[str, str]) -> str:
    """KernelBench's starter with edits."""
    return replaced(BENCH, edits)


# What the file holds, the name asked for in it, and what the one line must say: what is wrong, and what to do.
BAD = {
    "arrays": (TORCH.replace('"torch"', '"cupy"'), "", "ARRAYS in kernel.py is 'cupy'; pass one of numpy, torch, jax"),
    "device": (TORCH.replace('"cpu"', '"gpu0"'), "", "DEVICE in kernel.py is 'gpu0', which torch does not have here"),
    "jax_device": (starter("jax").replace('"cpu"', '"abacus"'), "", "'abacus', which JAX does not have here"),
    "numpy_device": (starter("numpy") + "\nDEVICE = 'cuda'\n", "", "state ARRAYS = 'torch' or 'jax'"),
    "device_type": (TORCH.replace('"cpu"', "0"), "", "DEVICE in kernel.py is 0; pass a string such as 'cpu'"),
    "reversed": (claims("torch", "{'layouts': ['reversed']}"), "", "layouts = 'reversed'; pass one of contiguous, "),
    "jax_layout": (claims("jax", "{'layouts': ['sliced']}"), "", "layouts = 'sliced'; pass one of contiguous"),
    "gradients": (claims("torch", "{'gradients': []}"), "", "unknown key 'gradients'"),
    "cost": (
        claims("jax", "{'cost': 'free'}"),
        "",
        "cost = 'free'; pass one of cheap, compiles per shape, interpreted",
    ),
    "mode": (claims("module", "{'second_order': ['train']}"), "", "second_order = 'train'; pass one of training, inf"),
    "modes": (claims("module", "{'modes': []}"), "", "modes = []; name at least one"),
    "fixed_eps": (claims("module", "{'fixed_eps': 0.0}"), "", "fixed_eps = 0.0; pass a number above 0"),
    "key": (claims("kernelbench", "{'fixed_epsilon': 1}"), "", "did you mean 'fixed_eps'?"),
    "several": (
        NORM.format(name="A") + NORM.format(name="B"),
        "",
        "2 modules that take num_features; pass kernel.py:A or kernel.py:B",
    ),
    "other_names": (MODULE.replace("num_features", "size"), "", "pass kernel.py:NAME with one of BatchNorm"),
    "instance": (
        NORM.format(name="A") + "\n\nbuilt = A(3)\n",
        "built",
        "has been built; pass PATH.py:NAME of its class",
    ),
    "no_module": (MODULE, "torch", "kernel.py:torch defines none of batch norm's functions"),
    "cannot_build": (
        MODULE.replace("super().__init__()", "super().__init__()\n        raise RuntimeError('no kernel')"),
        "",
        "BatchNorm(3, affine=True) cannot be built: RuntimeError: no kernel",
    ),
    "state": (f"{MODULE}\n\nSTATE = {{'weight': 'gamma'}}\n", "", "weight = 'gamma', but the module has weight, bias"),
    "state_key": (f"{MODULE}\n\nSTATE = {{'gamma': 'weight'}}\n", "", "unknown key 'gamma'; known: weight, bias"),
    "state_type": (f"{MODULE}\n\nSTATE = ['weight']\n", "", "STATE in kernel.py is a list; make it a dict"),
    "no_statistics": (
        MODULE.replace('"running_mean"', '"mean"').replace("self.running_mean", "self.mean"),
        "",
        "has no running_mean",
    ),
    "no_inputs": (bench(("def get_inputs", "def inputs")), "", "no get_inputs(); define it"),
    "no_init_inputs": (bench(("def get_init_inputs", "def init_inputs")), "", "no get_init_inputs(); define it"),
    "no_number": (bench(("    return [64]", "    return ['wide']")), "", "without a whole number for num_features"),
    "two_inputs": (bench((INPUTS, "    return [torch.rand(2, 3), torch.rand(3)]")), "", "returns [2, 3], [3]; a batch"),
    "rank": (bench((INPUTS, "    return [torch.rand(3)]")), "", "returns [3]; a batch norm takes one tensor"),
    "raising_inputs": (bench((INPUTS, "    raise OSError('no data')")), "", "get_inputs() cannot be built: OSError"),
    "two_norms": (
        bench(
            (
                "        self.bn = Normalize(num_features)",
                "        self.bn = Normalize(num_features)\n        self.other = Normalize(num_features)",
            )
        ),
        "",
        "2 entries that end in weight: bn.weight, other.weight",
    ),
    "momentum": (bench(("momentum=0.1)", "momentum=None)")), "", "does not say which momentum it uses"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_candidate_is_refused_in_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what is wrong, and what to do."""
    pytest.importorskip("jax" if "jax" in name or name == "cost" else "torch")
    text, asked, told = BAD[name]
    monkeypatch.chdir(tmp_path)
    Path("kernel.py").write_text(text)
    with pytest.raises(AdapterError) as refusal:
        load(f"kernel.py:{asked}" if asked else "kernel.py")
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["key", "several", "two_norms"])
def test_vet_exits_2(name: str, tmp_path: Path) -> None:
    """`bnconform vet` says the line on stderr and exits 2."""
    pytest.importorskip("torch")
    (tmp_path / "kernel.py").write_text(BAD[name][0])
    found = run("-m", "bnconform.cli", "vet", "kernel.py", cwd=tmp_path)
    assert found.status == 2
    (line,) = found.err.strip().splitlines()
    assert BAD[name][2] in line


@pytest.mark.parametrize("form", ["numpy", "torch", "jax", "module", "kernelbench"])
def test_new_writes_every_form(form: str, tmp_path: Path) -> None:
    """`bnconform new --form` writes the form's starter."""
    found = run("-m", "bnconform.cli", "new", "kernel.py", "--form", form, cwd=tmp_path)
    assert found.status == 0, found.err
    assert (tmp_path / "kernel.py").read_text() == starter(form)


def test_new_knows_no_other_form(tmp_path: Path) -> None:
    """Another form is a usage error that lists those that there are."""
    found = run("-m", "bnconform.cli", "new", "kernel.py", "--form", "cupy", cwd=tmp_path)
    assert found.status == 2
    for form in ("numpy", "torch", "jax", "module", "kernelbench"):
        assert form in found.err
