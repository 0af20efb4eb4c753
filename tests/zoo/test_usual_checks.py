"""The usual checks are what they say, and what is published of them is what was measured."""

from __future__ import annotations

import ast
import json
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from usual_checks import kernelbench, opinfo, unit_test, zoo  # noqa: E402
from usual_checks.findings import CHECKS, counts, page  # noqa: E402

from bnconform_adapters.registry import create, find  # noqa: E402

PUBLISHED = ROOT / "reports" / "published"
FEW = 40
"""Every so many-th specimen is checked again."""


def read(name: str) -> dict[str, Any]:
    """A published record."""
    data: dict[str, Any] = json.loads((PUBLISHED / name).read_text())
    return data


def test_published_record_is_of_this_zoo() -> None:
    """The record has the specimens of the kill matrix, none that the zoo has no more, every check and correct make."""
    found = read("usual_checks.json")
    places = [(row["family"], row["name"]) for row in found["specimens"]]
    assert places == [(row["family"], row["name"]) for row in read("kill_matrix.json")["specimens"]]
    assert set(places) <= set(zoo.faulty())
    assert {(row["family"], row["name"]) for row in found["correct"]} <= set(zoo.correct())
    assert found["checks"] == [asdict(check) for check in CHECKS]
    assert found["families"] == {family: zoo.about(family) for family, _ in places}


def test_what_the_report_shows_is_what_was_measured() -> None:
    """The counts in the package and the published page are made of the two published records."""
    found, kills = read("usual_checks.json"), read("kill_matrix.json")
    packaged = ROOT / "reports" / "bnconform_reports" / "data" / "usual_checks.json"
    assert json.loads(packaged.read_text()) == counts(found, kills)
    assert (PUBLISHED / "usual_checks.md").read_text() == page(found, kills)


def test_counts_are_of_one_zoo() -> None:
    """Records of different zoos are not put side by side."""
    found, kills = read("usual_checks.json"), read("kill_matrix.json")
    kills["specimens"].pop()
    with pytest.raises(ValueError, match="run both again"):
        counts(found, kills)


def test_no_check_alarms_on_a_correct_make() -> None:
    """The record has no finding on a correct implementation, so that a finding on a specimen is of its fault."""
    assert not any(said for row in read("usual_checks.json")["correct"] for said in row["caught"].values())


@pytest.mark.parametrize("row", read("usual_checks.json")["specimens"][::FEW], ids=lambda row: row["name"])
def test_specimen_is_caught_as_published(row: dict[str, Any]) -> None:
    """Set on the specimen again, the cheap checks find what is published."""
    for id, check in {"unit-test": unit_test.caught, "opinfo": opinfo.caught}.items():
        with zoo.specimen(row["family"], row["name"]) as adapter:
            assert check(adapter)[:120] == row["caught"][id]


def test_reference_passes_all_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layers' base, which is no specimen, passes."""
    monkeypatch.setattr(kernelbench, "SHAPE", (2, 64, 4, 4))
    kernelbench.inputs.cache_clear()
    adapter = create(find("reference"))
    assert [unit_test.caught(adapter), opinfo.caught(adapter), kernelbench.caught(adapter, 1e-4)] == ["", "", ""]
    kernelbench.inputs.cache_clear()


@pytest.mark.parametrize(
    ("place", "tolerance", "caught"),
    [
        (("forward", "VarianceNotRoot"), 1e-2, True),
        (("backward", "DxMeanTermMissing"), 1e-4, False),
        (("statistics", "NeverUpdated"), 1e-4, False),
        (("effects", "OverwritesX"), 1e-4, False),
    ],
)
def test_kernelbench_looks_at_y_only(
    place: tuple[str, str], tolerance: float, caught: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rule sees a wrong y, and neither gradients, nor statistics, nor what becomes of the input."""
    monkeypatch.setattr(kernelbench, "SHAPE", (2, 64, 4, 4))
    kernelbench.inputs.cache_clear()
    with zoo.specimen(*place) as adapter:
        assert bool(kernelbench.caught(adapter, tolerance)) == caught
    kernelbench.inputs.cache_clear()


def test_samples_are_pytorchs_own() -> None:
    """Shapes and arguments are those in the source of the installed torch, apart from the shapes without channels."""
    spec = find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).parent / "testing" / "_internal" / "common_methods_invocations.py"
    (function,) = [
        node
        for node in ast.parse(source.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == "sample_inputs_batch_norm"
    ]
    values = {"S": opinfo.S}
    for node in ast.walk(function):
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        if isinstance(target, ast.Name) and target.id in ("cases", "is_training"):
            code = compile(ast.Expression(node.value), source.name, "eval")
            values[target.id] = eval(code, dict(values))  # literals of torch's own file, and S
    assert tuple(case for case in values["cases"] if case[0] != (0,)) == opinfo.CASES
    assert tuple(values["is_training"]) == opinfo.AGAIN
    bare = [ast.literal_eval(call.args[0]) for call in ast.walk(function) if _makes_a_tuple(call)]
    assert bare == [opinfo.BARE]
    drawn = list(opinfo.samples(torch.float32))
    assert len(drawn) == len(opinfo.CASES) + len(opinfo.AGAIN) + 1
    assert np.abs(drawn[0].x).max() > 1


def _makes_a_tuple(node: ast.AST) -> bool:
    """Whether it is `make_arg` of a shape that is written out."""
    named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "make_arg"
    return named and isinstance(node.args[0], ast.Tuple)  # type: ignore[attr-defined]


def test_readme_tells_what_is_published() -> None:
    """The README's figures are the least and the most that a usual check catches, and of how many."""
    rows = read("usual_checks.json")["specimens"]
    total = [sum(bool(row["caught"][c.id]) for row in rows) for c in CHECKS]
    assert f"catch {min(total)} to {max(total)} of {len(rows)}" in " ".join((ROOT / "README.md").read_text().split())
