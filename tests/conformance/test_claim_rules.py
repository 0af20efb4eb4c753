"""Claims that contradict one another are refused in one line on loading; narrow ones are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from any_claims import any_claims, freely
from hypothesis import given
from hypothesis import strategies as st
from suite_runs import run, starter

from bnconform_adapters.candidate.statements import Statements
from bnconform_adapters.claim_rules import contradictions
from bnconform_adapters.claims import Claims, with_values
from bnconform_adapters.errors import AdapterError
from bnconform_adapters.registry import load
from bnconform_reference.dialect import Dialect

NAN, INF = float("nan"), float("inf")
BOTH = {"modes": ["training", "inference"]}

CONTRADICTORY: dict[str, tuple[dict[str, Any], str]] = {
    "gradients": ({"modes": ["inference"], "gradients": ["training"]}, "gradients in training, but no training mode"),
    "second_order": ({"second_order": ["training"], "gradients": []}, "but no gradients in training; claim them"),
    "forward_mode": ({"modes": ["training"], "forward_mode": ["inference"], "gradients": []}, "but no inference mode"),
    "no_ranks": ({"ranks": []}, "ranks is empty; name at least one"),
    "no_rank": ({"ranks": [1, 2]}, "ranks has 1; pass some of 2, 3, 4, 5"),
    "twice": ({"dtypes": ["float32", "float32"]}, "dtypes has 'float32' twice; name it once"),
    "layouts": ({"layouts": ["far", "expanded"]}, "has none for x: expanded has equal samples"),
    "eps_min": ({"eps_min": -1e-5}, "eps_min = -1e-05; pass a number from 0 to 1"),
    "large_eps": ({"eps_min": 2.0}, "eps_min = 2.0; pass a number from 0 to 1"),
    "nan": ({"eps_min": NAN}, "eps_min = nan; pass a finite number"),
    "infinite": ({"fixed_eps": INF}, "fixed_eps = inf; pass a finite number"),
    "huge": ({"default_momentum": 10**400}, "; pass a finite number"),
    "fixed_eps": ({"fixed_eps": 1e-5, "eps_min": 1e-3}, "fixed_eps = 1e-05 is below eps_min = 0.001"),
    "zero_eps": ({"fixed_eps": 0.0}, "fixed_eps = 0.0; pass a number above 0"),
    "lost_eps": ({"fixed_eps": 1e-40}, "fixed_eps = 1e-40; pass a number above 0, from 1.18e-38"),
    "momentum_min": ({"momentum_min": 1.5}, "momentum_min = 1.5; pass the smallest weight of the new batch"),
    "negative": ({"momentum_min": -0.1}, "momentum_min = -0.1; pass the smallest weight"),
    "fixed": ({"fixed_momentum": 1.1}, "fixed_momentum = 1.1; pass the weight of the new batch, from 0 to 1"),
    "below": ({"fixed_momentum": 0.1, "momentum_min": 0.5}, "fixed_momentum = 0.1 is below momentum_min = 0.5"),
    "cumulative": ({"fixed_momentum": 0.1, "cumulative": True}, "cumulative needs momentum None"),
    "debiased": ({"debiased": True, "cumulative": True}, "debiased averages by momentum, cumulative by the count"),
    "frozen": ({"debiased": True, "fixed_momentum": 0.0}, "debiased divides by the weight of the batches"),
    "lost": ({"debiased": True, "fixed_momentum": 1e-9}, "claim a weight from 5.96e-08 up, or no debiasing"),
    "variance": ({"initial_variance": -1.0}, "initial_variance = -1.0; pass a number from 0 up"),
    "mean": ({"initial_mean": 1e39}, "initial_mean = 1e+39; pass a number that float32 holds"),
    "devices": ({"shards": ["equal"], "devices": 1}, "shards need at least 2 devices, and devices = 1"),
    "no_devices": ({"devices": 0}, "devices = 0; pass the most shards that there can be, from 1 up"),
    "shards": ({"modes": ["inference"], "gradients": [], "shards": ["equal"]}, "shards are a training step"),
}
NARROW: dict[str, dict[str, Any]] = {
    "one_of_each": {"dtypes": ["bfloat16"], "ranks": [5], "layouts": ["transposed"], "parameters": ["bias"]},
    "inference": {"modes": ["inference"], "gradients": []},
    "rank_2_channels_last": {"ranks": [2], "layouts": ["channels_last"]},
    "one_eps": {"fixed_eps": 1e-3, "fixed_momentum": 1.0},
    "least": {"eps_min": 1.0, "momentum_min": 1.0},
    "frozen": {"fixed_momentum": 0.0},
    "two_devices": {"shards": ["empty"], "devices": 2},
}


def claims(stated: dict[str, Any]) -> Claims:
    """Claims with what is stated, as a file's are made."""
    dialect = {name: value for name, value in stated.items() if name in vars(Dialect())}
    rest = {name: value for name, value in stated.items() if name not in dialect}
    return replace(with_values(Claims(), rest), dialect=replace(Dialect(cumulative=False), **dialect))


@pytest.mark.parametrize("name", CONTRADICTORY)
def test_contradiction_is_told_in_one_line(name: str) -> None:
    """The line says what is wrong and what to write instead."""
    stated, told = CONTRADICTORY[name]
    problem = contradictions(claims(stated))
    assert problem is not None
    assert told in problem
    assert "\n" not in problem
    assert ";" in problem


@pytest.mark.parametrize("name", NARROW)
def test_narrow_claims_contradict_nothing(name: str) -> None:
    """One dtype, one eps or a single mode is a claim like any other."""
    assert contradictions(claims(NARROW[name])) is None


OF_A_FILE = {
    "eps_min": ("{'eps_min': -1}", "eps_min = -1; pass a number from 0 to 1"),
    "momentum_min": ("{'momentum_min': float('nan')}", "momentum_min = nan; pass a finite number"),
    "twice": ("{'ranks': [2, 2]}", "ranks has 2 twice; name it once"),
    "number": ("{'ranks': [2.0]}", "ranks = 2.0; pass one of 2, 3, 4, 5"),
    "bool": ("{'devices': True}", "devices = True; pass a whole number"),
    "half_a_device": ("{'devices': 2.5}", "devices = 2.5; pass a whole number"),
    "layouts": ("{'layouts': ['expanded']}", "add 'contiguous' or another"),
    "variance": ("{'initial_variance': -1.0}", "pass a number from 0 up"),
    "checks_arguments": ("{'checks_arguments': 'no'}", "checks_arguments = 'no'; pass True or False"),
}


@pytest.mark.parametrize("name", OF_A_FILE)
def test_file_is_refused_on_loading(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose CLAIMS contradict themselves is refused with that line."""
    stated, told = OF_A_FILE[name]
    monkeypatch.chdir(tmp_path)
    Path("kernel.py").write_text(f"{starter()}\nCLAIMS = {stated}\n")
    with pytest.raises(AdapterError) as refusal:
        load("kernel.py")
    assert "kernel.py" in str(refusal.value)
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_backward_needs_its_forward_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with `backward` and no `forward_training` is refused, rather than judged without its gradients."""
    monkeypatch.chdir(tmp_path)
    Path("kernel.py").write_text(starter().replace("def forward_training(", "def _forward_training("))
    with pytest.raises(AdapterError, match="gradients in training, but no training mode"):
        load("kernel.py")


def test_vet_says_the_line_and_exits_2(tmp_path: Path) -> None:
    """`bnconform vet` prints the line alone."""
    (tmp_path / "kernel.py").write_text(f"{starter()}\nCLAIMS = {{'momentum_min': 2}}\n")
    found = run("-m", "bnconform.cli", "vet", "kernel.py", cwd=tmp_path)
    assert found.status == 2
    (line,) = found.err.strip().splitlines()
    assert "momentum_min = 2; pass the smallest weight of the new batch, from 0 to 1" in line


@given(freely())
def test_rules_end_in_none_or_a_line(drawn: Claims) -> None:
    """Whatever the fields hold, the rules say nothing or one line."""
    problem = contradictions(drawn)
    assert problem is None or (problem and "\n" not in problem)


@given(any_claims, st.sampled_from((1e-12, 1e-5, 0.3, 1.0)), st.sampled_from((0.0, 0.1, 0.3, 1.0)))
def test_nearest_value_is_one_that_is_claimed(drawn: Claims, eps: float, momentum: float) -> None:
    """For any wanted eps and momentum there is one that is claimed, the wanted one where that is."""
    (nearest,), (share,) = drawn.usable_eps((eps,)), drawn.usable_momenta((momentum,))
    assert share is not None
    if drawn.fixed_eps is None:
        assert nearest >= drawn.eps_min
        assert nearest == eps or eps < drawn.eps_min or drawn.float32_scalars
    if drawn.fixed_momentum is None:
        assert drawn.momentum_min <= share <= 1
        assert share == momentum or momentum < drawn.momentum_min or drawn.float32_scalars


JUNK = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.integers(0, 9))
KEYS = st.sampled_from(sorted({*vars(Claims()), *vars(Dialect()), "nothing"})) | st.integers(0, 3)


@given(st.dictionaries(KEYS, JUNK | st.lists(JUNK, max_size=2), max_size=3))
def test_junk_in_claims_is_refused_in_one_line(stated: dict[Any, Any]) -> None:
    """CLAIMS of any keys and values are taken, or refused in one line; nothing else is raised."""
    statements = Statements("kernel.py", SimpleNamespace(CLAIMS=stated), SimpleNamespace())
    base = Claims(dialect=Dialect(cumulative=False))
    try:
        found, problem = statements.claims(base, ("contiguous", "sliced")), ""
    except AdapterError as refusal:
        found, problem = base, str(refusal)
    assert "\n" not in problem
    assert contradictions(found) is None
    assert hash(found) is not None
