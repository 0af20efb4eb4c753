"""A correct candidate passes; each classic mistake is reported under its law, on a case of a few numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from suite_runs import conformance, judge, laws, replaced, starter

from bnconform.judging.findings import SHOWN, explain
from bnconform_adapters.registry import load

TWO_PASS = "np.square(wide - column(mean, x, 0)).mean(axis=reduced_axes(x))"
CAST_X = "    wide = x.astype(computed_in(x))\n    mean"
XHAT = "    xhat = (wide - column(mean, x, 0)) * column(invstd, x, 1)\n"


@dataclass(frozen=True)
class Mistake:
    """A mistake as edits of the starter file, the laws that must tell of it, and some that must not."""

    name: str
    edits: tuple[tuple[str, str], ...]
    told_by: tuple[str, ...]
    silent: tuple[str, ...]


MISTAKES = (
    Mistake(
        "one_pass_variance",
        ((TWO_PASS, "np.maximum(np.square(wide).mean(axis=reduced_axes(x)) - mean * mean, 0)"),),
        told_by=("F1", "N1"),
        silent=("I1", "G4", "P1"),
    ),
    Mistake(
        "swapped_momentum",
        (
            ("(1 - momentum) * running_mean + momentum * mean", "momentum * running_mean + (1 - momentum) * mean"),
            (
                "(1 - momentum) * running_var + momentum * variance",
                "momentum * running_var + (1 - momentum) * variance",
            ),
        ),
        told_by=("S1", "S4"),
        silent=("F1", "F8", "G1"),
    ),
    Mistake("biased_stored_variance", ((" * (n / (n - 1))", ""),), told_by=("S2", "S1"), silent=("F1", "F2", "I1")),
    Mistake(
        "eps_outside_the_root",
        (("1 / np.sqrt(variance + eps)", "1 / (np.sqrt(variance) + eps)"),),
        told_by=("F3",),
        silent=("S1", "I1"),
    ),
    Mistake(
        "dx_without_mean_of_dy", ((" - column(dbias / n, dy, 0)", ""),), told_by=("G1",), silent=("F1", "G2", "G3")
    ),
    Mistake(
        "dx_without_xhat_term",
        ((" - xhat * column(dweight / n, dy, 0)", ""),),
        told_by=("G1",),
        silent=("F1", "G2", "G3"),
    ),
    Mistake(
        "overwritten_input",
        (
            (CAST_X, CAST_X.replace("computed_in(x)", "computed_in(x), copy=False")),
            (XHAT, "    wide -= column(mean, x, 0)\n    xhat = wide * column(invstd, x, 1)\n"),
        ),
        told_by=("P1",),
        silent=("F1", "S1", "G1"),
    ),
    Mistake(
        "ignored_weight_and_bias",
        (("    y = xhat * column(weight, x, 1) + column(bias, x, 0)\n", "    y = xhat\n"),),
        told_by=("F1", "F4"),
        silent=("S1", "S2"),
    ),
)


def candidate(folder: Path, mistake: Mistake) -> Path:
    """The starter file with a mistake in it."""
    path = folder / f"{mistake.name}.py"
    path.write_text(replaced(starter(), mistake.edits))
    return path


@pytest.mark.parametrize("id", laws())
def test_starter_keeps_every_law_that_it_claims(id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The starter file meets each law, or does not claim it."""
    monkeypatch.chdir(tmp_path)
    Path("kernel.py").write_text(starter())
    adapter = load("kernel.py")
    if laws()[id].source.why_not(adapter.claims):
        pytest.skip("not claimed")
    broken, tally = judge(adapter, id, profile="quick")
    assert broken is None
    assert tally.cases > 0
    assert not tally.mostly_mistrusted


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_mistake_is_told_by_its_law(mistake: Mistake, tmp_path: Path) -> None:
    """The law that a mistake breaks says so on a case of at most twelve numbers; laws it keeps say nothing."""
    adapter = load(str(candidate(tmp_path, mistake)))
    for id in mistake.told_by:
        broken, _ = judge(adapter, id)
        assert broken is not None, f"{id} does not see {mistake.name}"
        text = explain(broken.finding, broken.steps, "")
        assert text.startswith(f"{id} broken by {mistake.name}.py: ")
        assert broken.steps[0].x.size <= SHOWN, text
        assert broken.steps[0].channels <= 2, text
        assert len(broken.steps) <= 3, text
    for id in mistake.silent:
        broken, _ = judge(adapter, id)
        assert broken is None, f"{id} blames {mistake.name}: {broken}"


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_mistake_is_found_whatever_the_seed(mistake: Mistake, seed: int, tmp_path: Path) -> None:
    """The first law that tells of a mistake does so under other seeds too."""
    broken, _ = judge(load(str(candidate(tmp_path, mistake))), mistake.told_by[0], seed=seed)
    assert broken is not None


def test_pytest_fails_and_marks_only_the_broken_laws(tmp_path: Path) -> None:
    """`pytest --pyargs bnconform --bn-adapter FILE` exits 1, with a cross where a law is broken and ticks elsewhere."""
    path = candidate(tmp_path, MISTAKES[2])
    asked = [f"--bn-requirement={id}" for id in ("F1", "S2", "G1")]
    found = conformance(f"--bn-adapter={path.name}", *asked, "--hypothesis-seed=0", "-q", cwd=tmp_path)
    assert found.status == 1, found.out + found.err
    rows = {line.split()[0]: line.split()[1] for line in found.out.splitlines() if re.match(r"[FSG]\d +[✓✗]", line)}
    assert rows == {"F1": "✓", "S2": "✗", "G1": "✓"}
    assert f"S2 broken by {path.name}: the stored variance divides by n - 1 or n, as declared" in found.out


def test_frameworks_find_their_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that imports its framework itself gets it with the suite's settings, and what the user has set stays."""
    path = tmp_path / "kernel.py"
    path.write_text(starter() + "\nimport os\nassert os.environ['OMP_WAIT_POLICY'] == os.environ['DUE']\n")
    for variable in ("OMP_WAIT_POLICY", "DUE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("DUE", "PASSIVE")
    load(str(path))
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.setenv("DUE", "ACTIVE")
    load(str(path))
