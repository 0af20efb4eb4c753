"""Bundled implementations: they are as claimed, the ledger is true of them, and scripts show its entries.

What is asked of one implementation is asked in one process, since many take seconds to start.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from suite_runs import laws, run, run_scripts

from bnconform.cases.build import build
from bnconform.cases.recipe import Recipe
from bnconform.deviations import ledger
from bnconform.identify import Identity, identify
from bnconform.judging.findings import Broken
from bnconform.running.given_case import replay
from bnconform.scripts.writer import Subject, script, script_name
from bnconform_adapters.calls import jvp, second_order
from bnconform_adapters.claims import Claims, Mode
from bnconform_adapters.contract import Adapter, Outcome
from bnconform_adapters.registry import REGISTRY, Entry, environment, find
from bnconform_adapters.worker.client import opened

MODES: tuple[Mode, ...] = ("training", "inference")
UNSURE = ("undecided", "differs")
CONTRACT = {
    "momentum weighs": "momentum_weighs",
    "stored variance": "stored_variance",
    "one value per channel": "one_value",
    "empty batch": "empty_batch",
}
DEVIATIONS = ledger.deviations()
ALONE = ("torch.compile", "tinygrad", "tvm.relax")
"""Implementations whose environment variables change what others compute."""
FRAMEWORKS = {
    entry.implementation: entry.implementation
    if entry.implementation in ALONE
    else find(entry.implementation).frameworks[0]
    for entry in DEVIATIONS
}
"""Framework of each implementation: all scripts on it run in one process, since its import takes seconds."""

# A reason that names a signal is that of a crash.
CRASHES = tuple(entry for entry in DEVIATIONS if entry.requirement == "E2" or "(SIG" in entry.reason)
SHOWN = tuple(entry for entry in DEVIATIONS if entry not in CRASHES)


@dataclass(frozen=True)
class Asked:
    """All answers about an implementation: its claims, its identity, how it breaks the laws of its ledger entries, and
    by mode the fields of its outcomes of second order and forward mode."""

    claims: Claims
    identity: Identity
    broken: dict[str, Broken | None]
    derivatives: dict[Mode, list[set[str]]]


@cache
def asked(name: str) -> Asked:
    """Ask an implementation, or skip where it is not installed."""
    if missing := find(name).missing():
        pytest.skip(f"{name} needs {', '.join(missing)}: {find(name).install}")
    with opened(name) as adapter:
        broken = {
            entry.requirement: replay(laws()[entry.requirement], adapter, adapter.claims, entry.steps(), name)
            for entry in DEVIATIONS
            if entry.implementation == name
        }
        return Asked(adapter.claims, identify(adapter), broken, {mode: derivatives(adapter, mode) for mode in MODES})


def derivatives(adapter: Adapter, mode: Mode) -> list[set[str]]:
    """Results and errors of second order and of forward mode, where they are claimed."""
    claims = adapter.claims
    shape = (2, 3, *(1 for _ in range(claims.ranks[0] - 2)))
    training = mode == "training"
    case = build(Recipe(shape=shape, dtype=claims.dtypes[0], dy="random", cotangents="all", training=training))
    found = [second_order(adapter, case)] if mode in claims.second_order else []
    found += [jvp(adapter, case)] if mode in claims.forward_mode else []
    names = [{field.name for field in fields(Outcome) if getattr(outcome, field.name) is not None} for outcome in found]
    return [given & {"ddy", "dx", "dweight", "y_tangent", "error"} for given in names]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the scripts are written."""
    return tmp_path_factory.mktemp("scripts")


def written(entry: ledger.Deviation, folder: Path) -> Path:
    """The script of an entry, as `bnconform reproduce` writes it."""
    broken = asked(entry.implementation).broken[entry.requirement]
    assert broken is not None
    path = folder / script_name(entry.requirement, entry.implementation)
    path.write_text(script(broken, Subject.bundled(find(entry.implementation)), entry))
    return path


@cache
def shown(framework: str, folder: Path) -> dict[tuple[str, str], tuple[Any, str]]:
    """Exit status and output of the script of every entry of a framework's implementations."""
    entries = [
        entry
        for entry in SHOWN
        if FRAMEWORKS[entry.implementation] == framework and not find(entry.implementation).missing()
    ]
    variables = {key: value for entry in entries for key, value in environment(entry.implementation).items()}
    paths = {(entry.implementation, entry.requirement): written(entry, folder) for entry in entries}
    # A script that tells TensorFlow to have two CPUs must come before any that uses TensorFlow.
    paths = dict(sorted(paths.items(), key=lambda item: "set_logical_device" not in item[1].read_text()))
    found = run_scripts([[path] for path in paths.values()], variables)
    return dict(zip(paths, found, strict=True))


@pytest.mark.parametrize("entry", REGISTRY, ids=lambda entry: entry.name)
def test_bundled_implementation_is_as_claimed(entry: Entry) -> None:
    """What is measured is what is claimed, what the ledger lists aside."""
    claims, found = asked(entry.name).claims, asked(entry.name).identity
    assert not [answer for answer in found.answers if found.word(answer) in UNSURE]
    for field, key in CONTRACT.items():
        answer = found.answer(field)
        listed = [law for law in answer.laws if ledger.find(entry.name, law)]
        untrained = answer.status == "not measurable" and "training" not in claims.modes
        assert answer.value == getattr(claims.dialect, key) or listed or untrained, answer
    for answer in found.answers:
        assert answer.evidence
        assert "\n" not in answer.evidence


@pytest.mark.parametrize("entry", REGISTRY, ids=lambda entry: entry.name)
def test_derivatives_are_given_where_they_are_claimed(entry: Entry) -> None:
    """Second order and forward mode give every result where they are claimed, and no other field nor an error."""
    claims, found = asked(entry.name).claims, asked(entry.name).derivatives
    for mode in MODES:
        expected = [{"ddy", "dx", "dweight"}] if mode in claims.second_order else []
        expected += [{"y_tangent"}] if mode in claims.forward_mode else []
        assert found[mode] == expected


@pytest.mark.parametrize("entry", DEVIATIONS, ids=lambda entry: f"{entry.implementation}-{entry.requirement}")
def test_witness_breaks_its_law(entry: ledger.Deviation) -> None:
    """Each witness breaks its law by the implementation's own claims."""
    broken = asked(entry.implementation).broken[entry.requirement]
    assert broken is not None, "stale: remove the entry from ledger.toml"
    assert broken.finding.requirement == entry.requirement


@pytest.mark.parametrize("entry", CRASHES, ids=lambda entry: f"{entry.implementation}-{entry.requirement}")
def test_script_of_a_crash_crashes(entry: ledger.Deviation, folder: Path) -> None:
    """Where a call does not come back, the script of it ends by a signal, and says before which call it makes."""
    done = run(written(entry, folder), cwd=folder)
    assert done.status < 0, done.out + done.err
    assert done.out.splitlines()[-1].startswith("results_"), done.out


@pytest.mark.parametrize("entry", SHOWN, ids=lambda entry: f"{entry.implementation}-{entry.requirement}")
def test_script_shows_the_deviation(entry: ledger.Deviation, folder: Path) -> None:
    """The script of every entry exits with 1, and what it computes by the definition is what the oracle expects."""
    asked(entry.implementation)  # skips where it is not installed
    status, output = shown(FRAMEWORKS[entry.implementation], folder)[entry.implementation, entry.requirement]
    assert (status, output.splitlines()[-1:]) == (1, ["the defect is there"]), output
    lines = dict(line.split(None, 1) for line in output.splitlines() if len(line.split()) > 1)
    assert lines.get("index") != "[]"  # no finding is about a single number
    if "definition" in lines:
        expected, defined, allowed = (float(lines[name].split()[0]) for name in ("expected", "definition", "allowed"))
        assert abs(defined - expected) * 1000 < allowed
