"""Functions on JAX arrays are called under jax.jit, if that can hide nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from suite_runs import command, judge, replaced, run_scripts, starter

from bnconform_adapters.registry import load

pytest.importorskip("jax")
NEGATIVE = '    if eps < 0:\n        raise ValueError(f"eps is {eps}; pass 0 or more")\n'
REMARK = "the functions are called under jax.jit"
LAWS = ("F1", "F5", "S1", "I1", "G1", "G4", "G9", "N2", "M6", "P2", "P3", "X2", "X3", "X4", "X5")


def pure() -> str:
    """The starter without its own jit, and without the look at eps."""
    return replaced(starter("jax").replace("@jax.jit\n", ""), [(NEGATIVE, "")])


def loaded(folder: Path, text: str) -> Any:
    path = folder / "kernel.py"
    path.write_text(text)
    return load(str(path))


def jitted(adapter: Any) -> bool:
    return any(REMARK in remark for remark in adapter.remarks)


def test_pure_functions_are_compiled_whole(tmp_path: Path) -> None:
    """They meet the laws under jax.jit, and the page says that it was used."""
    adapter = loaded(tmp_path, pure())
    assert jitted(adapter)
    assert [id for id in LAWS if judge(adapter, id, examples=5)[0]] == []


STATEFUL = {
    "it states JIT = False": "JIT = False\n",
    "an iterator beside a name": "STEPS, MORE = iter(range(9)), 1\n",
    "a dict of the module": "SEEN = {}\n",
    "a list of the module": "SEEN = list()\n",
    "an iterator with a type": "STEPS: object = iter(range(9))\n",
    "an array of the module": "import numpy as np\n",
    "a global": "def count():\n    global calls\n    calls = 1\n",
    "an attribute": "def count():\n    count.calls = 1\n",
    "a default that changes": "def count(seen=[]):\n    pass\n",
    "a cache": "import functools\n\n@functools.cache\ndef count():\n    pass\n",
    "a class": "class Kept:\n    pass\n",
    "time": "import time\n",
    "an if of the module": "if True:\n    A = 1\n",
}


@pytest.mark.parametrize("how", STATEFUL)
def test_functions_that_may_keep_state_are_called_as_they_are(how: str, tmp_path: Path) -> None:
    """jax.jit would run such code while it traces only, and hide what it does between calls."""
    assert not jitted(loaded(tmp_path, pure() + "\n" + STATEFUL[how]))


def test_functions_that_look_at_values_are_called_as_they_are(tmp_path: Path) -> None:
    """The starter looks at eps, so it can only be traced in parts."""
    assert not jitted(loaded(tmp_path, starter("jax")))


def test_call_that_cannot_be_traced_is_made_without_jit(tmp_path: Path) -> None:
    """A look at values that the trial does not see breaks no law."""
    count = "    n = x.size // x.shape[1] if x.shape[1] else 2"
    look = "\n    assert n < 6 or float(x.sum()) == x.sum()"
    adapter = loaded(tmp_path, replaced(pure(), [(count + "  #", count + look + "  #")]))
    assert jitted(adapter)
    assert [id for id in ("F1", "S1", "X5") if judge(adapter, id, examples=5)[0]] == []


FRESH = "    xhat, mean, variance, invstd = normalize_by_batch(x, eps)\n"


def test_state_between_calls_is_found(tmp_path: Path) -> None:
    """Statistics that are kept for each shape break P3, as they do without the suite."""
    kept = FRESH.replace("normalize_by_batch(x, eps)", "SEEN.setdefault(x.shape, normalize_by_batch(x, eps))")
    adapter = loaded(tmp_path, replaced(pure(), [(FRESH, kept)]) + "\n\nSEEN = {}\n")
    assert judge(adapter, "P3", examples=10)[0] is not None


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A compiled file whose stored variance is biased."""
    path = tmp_path / "kernel.py"
    path.write_text(replaced(pure(), [("variance * (n / (n - 1))", "variance")]))
    return path


def test_script_of_a_compiled_file_shows_the_fault(broken: Path) -> None:
    """The script calls the file as the law did, with the same bits."""
    found = command("vet", broken, "--requirement", "S2", "--report", "out", cwd=broken.parent)
    assert found.status == 1
    assert REMARK in found.out
    right = broken.parent / "right.py"
    right.write_text(pure())
    script = broken.parent / "out" / "cases" / "S2-kernel.py"
    (wrong, output), (mended, _) = run_scripts([[script, broken], [script, right]])
    assert (wrong, mended) == (1, 0), output
