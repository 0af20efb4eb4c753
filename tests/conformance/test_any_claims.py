"""Any claims that the contract admits give every law a verdict, on an implementation that honours them.

`make test` draws a few claims and a handful of laws for each. All laws on 2,000 claims take half an hour::

    BNCONFORM_CLAIMS=2000 pytest tests/conformance/test_any_claims.py -k every_law -s

BNCONFORM_CLAIMS_SEED draws others.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from any_claims import any_claims
from honest import Honest
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st
from suite_runs import judge, replaced, starter

from bnconform.identify import identify
from bnconform.running.all_laws import laws
from bnconform.running.examiner import Examiner
from bnconform.running.implementation import Implementation
from bnconform.running.measurement import measure
from bnconform.running.options import RunOptions
from bnconform.running.session import Session
from bnconform_adapters.calls import run
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Adapter, Case, Outcome
from bnconform_adapters.registry import load
from bnconform_reference.dialect import Dialect

ASKED, SEED = (int(os.environ.get(f"BNCONFORM_CLAIMS{name}", "0")) for name in ("", "_SEED"))
FEW, A_HANDFUL, SEVERAL = 12, 6, 4
"""How many claims are drawn unless the environment asks for more, how many laws are judged on each then, and how many
claims are measured, which takes longer."""
PROFILE = "bnconform-any-claims"
VERDICTS = {"meets", "differs", "not claimed", "not run"}
"""Whatever else there is would be a false alarm, or no verdict."""

hypothesis.settings.register_profile(
    PROFILE, max_examples=1 if ASKED else 2, deadline=None, database=None, phases=(Phase.generate,)
)
OVER_CLAIMS = hypothesis.settings(
    max_examples=ASKED or FEW,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=(HealthCheck.nested_given, HealthCheck.too_slow, HealthCheck.filter_too_much),
)
SOME_LAWS = st.lists(st.sampled_from(tuple(laws())), min_size=A_HANDFUL, max_size=A_HANDFUL, unique=True)


def cell_of(id: str, adapter: Adapter, seed: int = 0) -> dict[str, Any]:
    """The cell of a law, judged as a run does on a few cases."""
    cells: list[dict[str, Any]] = []
    session = Session(RunOptions(("reference",), profile=PROFILE, seed=seed))
    examiner = Examiner(session, Implementation(adapter.name, adapter.name, None, adapter), cells.append)
    with suppress(pytest.skip.Exception, pytest.fail.Exception):  # how pytest is told
        examiner.examine(laws()[id])
    (cell,) = cells
    return cell


def judge_all(claims: Claims, ids: tuple[str, ...], seed: int, counts: Counter[str]) -> None:
    """Judge laws on an implementation that honours the claims; each must get a verdict, and none a false one."""
    for id in ids:
        adapter = Honest(claims)
        cell = cell_of(id, adapter, seed)
        counts[cell["verdict"]] += 1
        told = f"{id} on {claims}: {cell.get('finding') or cell['reason']}"
        assert not adapter.unclaimed, f"{told}; it was asked for {adapter.unclaimed[0]}"
        assert cell["verdict"] in VERDICTS, told
        assert cell["reason"] or cell["verdict"] == "meets", told
        assert cell.get("cases", 1) > 0, told


def test_every_law_gets_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """No claims make a law raise, ask for what is not claimed, or fail an implementation that honours them."""
    counts, current = Counter[str](), list[Claims]()

    def run_once(spec: str, case: Case, limits: object) -> Outcome:
        return run(Honest(current[-1]), case)  # a fresh process could not be told the claims

    monkeypatch.setattr("bnconform.judging.caller.run_once", run_once)

    @hypothesis.seed(SEED)
    @OVER_CLAIMS
    @given(any_claims, st.just(tuple(laws())) if ASKED else SOME_LAWS.map(tuple), st.integers(0, 10**6))
    def over_claims(claims: Claims, ids: tuple[str, ...], seed: int) -> None:
        current[:] = [claims]
        judge_all(claims, ids, seed, counts)

    over_claims()
    print(dict(counts))
    assert counts.total() >= (ASKED or FEW) * (len(laws()) if ASKED else A_HANDFUL)
    assert counts["meets"] > counts["not run"]


def test_measures_and_identity_take_any_claims() -> None:
    """The fixed cases are handed over as claimed and are within the allowed error; identifying raises nothing."""

    @hypothesis.seed(SEED)
    @hypothesis.settings(OVER_CLAIMS, max_examples=ASKED or SEVERAL)
    @given(any_claims)
    def over_claims(claims: Claims) -> None:
        adapter = Honest(claims)
        points = measure(adapter)["points"]
        assert not adapter.unclaimed, f"asked for {adapter.unclaimed[0]} on {claims}"
        assert bool(points) == ("training" in claims.modes)
        assert not [point for point in points if "error" in point]
        assert identify(Honest(claims)).answers

    over_claims()


def candidate(folder: Path, claims: dict[str, Any], *edits: tuple[str, str]) -> Adapter:
    """The starter file with these claims and edits."""
    path = folder / "kernel.py"
    path.write_text(f"{replaced(starter(), edits)}\nCLAIMS = {claims!r}\n")
    return load(str(path))


FAR_FROM_THE_USUAL: tuple[dict[str, Any], ...] = (
    {"momentum_min": 0.95},
    {"eps_min": 0.01},
    {"eps_min": 1.0, "momentum_min": 1.0},
    {"ranks": [2], "layouts": ["channels_last"]},
    {"ranks": [5], "layouts": ["reversed"], "float32_scalars": True, "eps_min": 0.01, "momentum_min": 1 / 3},
)
RARE = ("P8",)
"""Laws that start a process, which the starter's own test judges."""


@pytest.mark.parametrize("claims", FAR_FROM_THE_USUAL, ids=str)
def test_starter_with_narrow_claims_gets_every_verdict(claims: dict[str, Any], tmp_path: Path) -> None:
    """Where the usual eps, momentum, rank or layout is not claimed, a law takes the nearest, or says why not."""
    adapter = candidate(tmp_path, claims)
    cells = {id: cell_of(id, adapter) for id in laws() if id not in RARE}
    assert {id: cell for id, cell in cells.items() if cell["verdict"] not in VERDICTS} == {}
    assert all(cell["reason"] for cell in cells.values() if cell["verdict"] in ("not claimed", "not run"))
    judged = {id for id, cell in cells.items() if cell["verdict"] == "meets"}
    assert judged >= {"F1", "F3", "F8", "S1", "S4", "S11", "N1", "G1", "P3", "I1"}
    if 2 in adapter.claims.ranks:
        assert judged >= {"T1"}


NO_COUNT = Dialect(cumulative=False)
ONLY_WHAT_IS_CLAIMED: tuple[tuple[str, Claims], ...] = (
    ("X1", Claims(fixed_momentum=1.0, dialect=NO_COUNT)),
    ("X1", Claims(fixed_momentum=0.0, dialect=NO_COUNT)),
    ("X1", Claims(layouts=("transposed", "expanded"))),
    ("M6", Claims(layouts=("transposed", "expanded"))),
    ("G7", Claims(layouts=("channels_last", "expanded"), ranks=(4,))),
    ("M7", Claims(layouts=("channels_last",), ranks=(4, 2))),
    ("M10", Claims(layouts=("channels_last",), ranks=(4,))),
    ("S9", Claims(layouts=("channels_last",), ranks=(4,))),
    ("X4", Claims(layouts=("channels_last",), ranks=(4,))),
    ("X4", Claims(gradients=("training",))),
    ("I1", Claims(momentum_min=0.5)),
    ("S3", Claims(empty_batches=False)),
    ("S3", Claims(dialect=Dialect(one_value="identity"))),
    ("S10", Claims(empty_batches=False, population=True)),
    ("E2", Claims(empty_batches=False, own_process=True)),
    ("E2", Claims(checks_arguments=False, own_process=True)),
    ("S11", Claims(checks_arguments=False)),
    ("S8", Claims(checks_arguments=False)),
    ("F3", Claims(float32_scalars=True, eps_min=0.01)),
    ("S1", Claims(float32_scalars=True, momentum_min=0.7)),
    ("F3", Claims(float32_scalars=True, fixed_eps=1e-5)),
)


@pytest.mark.parametrize(("id", "claims"), ONLY_WHAT_IS_CLAIMED, ids=lambda value: value if value in laws() else "")
def test_law_asks_only_for_what_is_claimed(id: str, claims: Claims) -> None:
    """What a law derives from a case is claimed, too, and what claims leave open may be either way."""
    adapter = Honest(claims)
    assert laws()[id].source.why_not(claims) is None
    broken, tally = judge(adapter, id, profile="quick")
    assert adapter.unclaimed == []
    assert broken is None
    assert tally.cases


def test_layout_that_no_claimed_rank_has_is_not_judged() -> None:
    """M9 would compare a layout with itself: (N, C) is its own channels_last."""
    claims = Claims(ranks=(2,), layouts=("contiguous", "channels_last"))
    reason = laws()["M9"].source.why_not(claims)
    assert reason is not None
    assert reason.endswith("are not claimed at rank 2")
    assert laws()["M9"].source.why_not(replace(claims, ranks=(2, 4))) is None
    judge(adapter := Honest(replace(claims, ranks=(2, 4))), "M9")
    assert not adapter.unclaimed


BLENDS = "(1 - momentum) * running_mean + momentum * mean"
FAULTS = (
    ("S1", {"momentum_min": 0.95}, (BLENDS, "mean")),
    ("S4", {"momentum_min": 0.95}, (BLENDS, "mean")),
    ("T2", {"momentum_min": 0.95}, (BLENDS, "momentum * running_mean + (1 - momentum) * mean")),
    ("T2", {"momentum_min": 0.5}, (BLENDS, "(1 - momentum) * running_mean + momentum * np.abs(mean)")),
    ("F3", {"eps_min": 0.01}, ("1 / np.sqrt(variance + eps)", "1 / (np.sqrt(variance) + eps)")),
    ("M2", {"eps_min": 1.0}, ("1 / np.sqrt(variance + eps)", "1 / np.sqrt(variance + min(eps, 1.0))")),
    (
        "N1",
        {"eps_min": 0.01},
        (
            "np.square(wide - column(mean, x, 0)).mean(axis=reduced_axes(x))",
            "np.maximum(np.square(wide).mean(axis=reduced_axes(x)) - mean * mean, 0)",
        ),
    ),
    ("T1", {"eps_min": 0.01}, (" * (n / (n - 1))", "")),
)


@pytest.mark.parametrize(("id", "claims", "edit"), FAULTS, ids=[f"{id}-{claims}" for id, claims, _ in FAULTS])
def test_nearest_value_keeps_the_laws_power(
    id: str, claims: dict[str, Any], edit: tuple[str, str], tmp_path: Path
) -> None:
    """A fault is still found by its law at the nearest eps or momentum that is claimed."""
    broken, _ = judge(candidate(tmp_path, claims, edit), id)
    assert broken is not None
    sound, tally = judge(candidate(tmp_path, claims), id, profile="quick")
    assert sound is None
    assert not tally.mostly_mistrusted


RAW = (
    ("    refuse_bad_input(x, eps, weight, bias, running_mean, running_var)\n    n = ", "    n = "),
    ("    refuse_bad_input(x, eps, weight, bias, running_mean, running_var)\n    invstd", "    invstd"),
)


def test_raw_kernel_meets_all_that_it_claims(tmp_path: Path) -> None:
    """A kernel that checks no argument and says so conforms: E1 and calls that must be refused are not claimed."""
    adapter = candidate(tmp_path, {"checks_arguments": False}, *RAW)
    claimed = {id for id, law in laws().items() if not law.source.why_not(adapter.claims)}
    for id in claimed - {*RARE}:
        broken, tally = judge(adapter, id, examples=4)
        assert broken is None, id
        assert tally.cases, id
    assert laws()["E1"].source.why_not(adapter.claims) == "checks arguments is not claimed"
    assert claimed >= {"S8", "S11", "X2", "X3", "X4"}


def test_raw_kernel_that_claims_to_check_is_told(tmp_path: Path) -> None:
    """Without the claim, the same kernel breaks E1."""
    broken, _ = judge(candidate(tmp_path, {}, *RAW), "E1")
    assert broken is not None


def test_nothing_is_refused_where_nothing_has_to_be(tmp_path: Path) -> None:
    """S8 is not claimed where neither wrong arguments nor one value per channel must raise."""
    adapter = candidate(tmp_path, {"checks_arguments": False, "one_value": "zero_variance"})
    assert cell_of("S8", adapter)["reason"] == "any refusal is not claimed"
