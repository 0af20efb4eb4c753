"""The laws bite: every faulty specimen is caught by those it is there for, and no correct implementation is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from catalogue import PAGE, page
from hunt import FAMILIES, ZOO, alarm, correct_makes, correct_names, file_of, hunt, specimens, subject
from specimen import Specimen
from suite_runs import one_starter

from bnconform.judging import judge, oracle
from bnconform.judging.law import Law
from bnconform.judging.oracle import Expected
from bnconform.running.all_laws import laws
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Case

SEED = 0
EXAMPLES = 3  # of each law on each correct make; false_alarms.py judges as many as one likes
FEWEST_SPECIMENS, FEWEST_CORRECT = 80, 10
ISSUE_TWO = {
    "OnePassVariance",
    "MomentumSwapped",
    "BiasedStored",
    "EpsOutsideRoot",
    "DxProjectionMissing",
    "OverwritesX",
    "IgnoresWeightAndBias",
}
REQUIREMENT = re.compile(r"[FSIGMNXPEYT]\d+")
ONE_OF_EACH_LAW = {law: row.name for _, row in specimens() for law in row.laws}.values()
THOROUGH = pytest.mark.thorough


@pytest.mark.parametrize(
    ("family", "row"),
    [
        pytest.param(family, row, id=row.name, marks=() if row.name in ONE_OF_EACH_LAW else THOROUGH)
        for family, row in specimens()
    ],
)
def test_specimen_is_caught_by_each_law_it_is_there_for(family: str, row: Specimen) -> None:
    """Each named law breaks on the specimen."""
    missed = [id for id in row.laws if hunt(file_of(family), row.name, laws()[id], SEED, shrink=False) is None]
    assert not missed, f"{row.name} ({row.fault}) passes {', '.join(missed)}"


@pytest.fixture
def shared_oracle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes that are judged on the same case share the oracle's values, if their claims differ in `bitwise` alone."""
    kept: dict[tuple[int, Claims, int | None], tuple[Case, Expected]] = {}

    def expect(case: Case, claims: Claims, batches: int | None = None) -> Expected:
        key = id(case), replace(claims, bitwise=True), batches
        if key not in kept:
            if len(kept) > 16:
                kept.clear()
            kept[key] = case, oracle.expect(case, claims, batches)
        return kept[key][1]

    monkeypatch.setattr(judge, "expect", expect)


@pytest.fixture(scope="module", autouse=True)
def one_process_forks() -> Iterator[None]:
    """The fresh processes of all specimens are forks of one process."""
    with one_starter():
        yield


@THOROUGH
@pytest.mark.usefixtures("shared_oracle")
@pytest.mark.parametrize("law", laws().values(), ids=laws())
def test_correct_implementations_pass(law: Law) -> None:
    """No law fails an implementation that is correct."""
    alarms = [
        alarm(makes, law, SEED, EXAMPLES)
        for makes in correct_makes()
        if law.source.why_not(next(iter(makes.values())).claims) is None
    ]
    assert not any(alarms), "\n".join(f"{law.requirement} on {broken}" for broken in alarms if broken)


def test_every_correct_implementation_is_judged() -> None:
    """The groups of correct implementations leave none out."""
    assert sorted(name for makes in correct_makes() for name in makes) == sorted(correct_names())


@pytest.mark.parametrize("family", FAMILIES)
def test_table_lists_what_the_file_defines(family: str) -> None:
    """Every specimen of a file has one row, and every row's name can be loaded."""
    module = __import__(f"faults_{family}")
    listed = [row.name for row in module.SPECIMENS]
    kinds = ("forward_training", "use_population_statistics")
    defined = [n for n, item in vars(module).items() if any(hasattr(item, kind) for kind in kinds) and n[0] != "_"]
    assert sorted(listed) == sorted(set(defined) - {"BatchNormSteps", "BatchNorm", "ShardedSteps"})
    for name in listed:
        assert subject(file_of(family), name).name.endswith(name)


@pytest.mark.parametrize("path", sorted(ZOO.glob("blind_*.py")), ids=lambda path: path.stem)
def test_blind_steps_are_all_in_the_table(path: Path) -> None:
    """The blind faults' steps lie in several files; the family's own one has every specimen of each."""
    table, steps = import_module("faults_blind"), import_module(path.stem)
    defined = {name for name, item in vars(steps).items() if hasattr(item, "forward_training") and name[0] != "_"}
    assert len(defined) > 1
    assert defined - {"BatchNormSteps"} <= vars(table).keys()


def test_zoo_is_large_enough() -> None:
    """At least 80 faults with distinct names, the seven of the main job among them, and 10 correct makes."""
    names = [row.name for _, row in specimens()]
    assert len(names) == len(set(names)) >= FEWEST_SPECIMENS
    assert set(names) >= ISSUE_TWO
    assert len(correct_names()) >= FEWEST_CORRECT


def test_named_laws_have_the_form_of_requirements() -> None:
    """Each specimen names at least one requirement's id."""
    for _, row in specimens():
        assert row.laws, row.name
        assert all(REQUIREMENT.fullmatch(id) for id in row.laws), row.name


def test_each_law_is_there_for_a_specimen() -> None:
    """Each law is named by some specimen, and each specimen names laws that there are."""
    assert {id for _, row in specimens() for id in row.laws} == set(laws())


def test_catalogue_page_is_what_the_code_says() -> None:
    """conformance/CATALOGUE.md is up to date."""
    assert PAGE.read_text() == page(), "run: python tests/zoo/catalogue.py"


@pytest.mark.parametrize("law", ["F1", "I3", "G1", "M5", "M7", "P2", "X5"])
def test_wrong_shape_is_a_finding_of_every_law(law: str) -> None:
    """Whatever a law does with outputs, a wrong shape is reported as such and does not end the run."""
    found = hunt(file_of("forward"), "OutputFlattened", laws()[law], SEED, "quick")
    assert found is not None
    assert "the case asks for shape" in found.finding
