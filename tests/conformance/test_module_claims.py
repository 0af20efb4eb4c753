"""What follows from a module's constructor is claimed: a call that fails there is a finding, not a narrower claim."""

from __future__ import annotations

from pathlib import Path

import pytest
from suite_runs import judge, replaced, run, starter

pytest.importorskip("torch")

from bnconform_adapters.errors import AdapterError
from bnconform_adapters.registry import load

MODULE = starter("module")
CHECK = "        if x.ndim < 2 or x.shape[1] != self.num_features:\n"


def written(folder: Path, text: str, claims: str = "") -> str:
    """A candidate file; its path."""
    path = folder / "kernel.py"
    path.write_text(text + claims)
    return str(path)


def failing(error: str) -> str:
    """A module that fails for x of rank 3, 4 and 5."""
    return replaced(MODULE, ((CHECK, f"        if x.ndim > 2:\n            {error}\n{CHECK}"),))


@pytest.mark.parametrize(
    "error",
    ["x.view([1, -1, 0, 0])", "raise IndexError('shape[4]')", "x.stride(7)", "raise ZeroDivisionError", "unheard_of"],
)
def test_rank_on_which_a_module_fails_stays_claimed(error: str, tmp_path: Path) -> None:
    """An exception that is no refusal narrows nothing: the rank is claimed, the law breaks, a remark names it."""
    adapter = load(written(tmp_path, failing(error)))
    assert adapter.claims.ranks == (2, 3, 4, 5)
    broken, _ = judge(adapter, "F1")
    assert broken is not None
    assert broken.finding.problem.startswith("raised ")
    (remark,) = adapter.remarks  # type: ignore[attr-defined]
    assert remark.startswith("x of rank 3, 4, 5 gives ")
    assert remark.endswith("; CLAIMS = {'ranks': [2]} claims less")


@pytest.mark.parametrize("error", ["raise ValueError('expected 2D input')", "assert x.ndim == 2", "n, c = x.shape"])
def test_rank_that_a_module_refuses_is_not_claimed_and_said(error: str, tmp_path: Path) -> None:
    """An exception that is meant as a refusal narrows the claim, and the verdict says so."""
    adapter = load(written(tmp_path, failing(error)))
    assert adapter.claims.ranks == (2,)
    (remark,) = adapter.remarks  # type: ignore[attr-defined]
    assert remark.startswith("x of rank 3, 4, 5 was refused when tried: ")


def test_stated_ranks_narrow(tmp_path: Path) -> None:
    """CLAIMS has the last word, and there is nothing to remark."""
    adapter = load(written(tmp_path, failing("x.view([1, -1, 0, 0])"), "\nCLAIMS = {'ranks': [2]}\n"))
    assert (adapter.claims.ranks, adapter.remarks) == ((2,), ())  # type: ignore[attr-defined]
    assert judge(adapter, "F1")[0] is None


def test_momentum_none_follows_from_the_constructor(tmp_path: Path) -> None:
    """A constructor that takes momentum takes None, as torch documents it; one that raises there breaks S3."""
    raises = replaced(
        MODULE, (("1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum", "self.momentum"),)
    )
    assert judge(load(written(tmp_path, MODULE)), "S3")[0] is None
    broken, _ = judge(load(written(tmp_path, raises)), "S3")
    assert broken is not None
    narrowed = load(written(tmp_path, raises, "\nCLAIMS = {'cumulative': False}\n"))
    assert not narrowed.claims.dialect.cumulative


@pytest.mark.parametrize(
    ("missing", "narrowed"), [(("weight",), "bias"), (("bias",), "weight"), (("weight", "bias"), "neither")]
)
def test_affine_module_has_weight_and_bias(missing: tuple[str, ...], narrowed: str, tmp_path: Path) -> None:
    """A constructor that takes affine and then makes no weight is refused in one line, unless less is claimed."""
    text = MODULE
    for name in missing:
        kind = {"weight": "ones", "bias": "zeros"}[name]
        old = f"self.{name} = torch.nn.Parameter(torch.{kind}(num_features, **kind)) if affine else None"
        text = replaced(
            text,
            ((old, f"self.{name} = torch.nn.Parameter(torch.{kind}(num_features, **kind)) if not affine else None"),),
        )
    with pytest.raises(AdapterError) as refusal:
        load(written(tmp_path, text))
    told = str(refusal.value)
    assert f"takes affine, but built with affine=True it has no {' and no '.join(missing)}: " in told
    assert f"CLAIMS = {{'parameters': ['{narrowed}']}}" in told
    assert "\n" not in told
    load(written(tmp_path, text, f"\nCLAIMS = {{'parameters': [{narrowed!r}]}}\n"))


def test_vet_says_which_ranks_fail(tmp_path: Path) -> None:
    """The page has a finding for them, and its exit status is 1."""
    written(tmp_path, failing("x.view([1, -1, 0, 0])"))
    found = run("-m", "bnconform.cli", "vet", "kernel.py", "--requirement=F1", "--hypothesis-seed=0", cwd=tmp_path)
    assert found.status == 1, found.out + found.err
    lines = found.out.splitlines()
    assert lines[0] == "kernel.py BREAKS: core 0 of 1 (broken: F1)"
    assert any(line.startswith("note: x of rank 3, 4, 5 gives RuntimeError: ") for line in lines)
