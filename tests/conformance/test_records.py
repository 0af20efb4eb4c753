"""The record of a run: what is written is read back; what is printed says the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bnconform.judging.findings import Finding
from bnconform_reports.records.reading import read
from bnconform_reports.records.schema import SCHEMA, VERDICTS, Cell, Results, ResultsError
from bnconform_reports.records.wording import ratio_text
from bnconform_reports.terminal_matrix import lines

INF, NAN = float("inf"), float("nan")
KNOWN = {"kind": "bug", "reason": "counts an empty batch", "versions": "torch==2.13.0"}
REQUIREMENTS = [
    ("F1", "core", "y is right"),
    ("S3", "core", "averages"),
    ("N1", "numerics", "its grade"),
    ("P1", "robust", "x stays"),
]


def cell(requirement: str, verdict: str, **more: Any) -> dict[str, Any]:
    """A cell of the implementation `torch`."""
    return {"requirement": requirement, "implementation": "torch", "verdict": verdict} | more


FINDING = {
    "requirement": "F1",
    "implementation": "kernel.py",
    "quantity": "y",
    "problem": "is off",
    "index": [0, 1],
    "got": NAN,
    "expected": 1.0,
    "allowed": None,
    "ratio": INF,
    "ulp": INF,
}


@pytest.fixture
def results() -> Results:
    """One cell of every verdict, given out of order."""
    cells = [
        cell("S3", "breaks", worst_ratio=2e6, elements=4, cases=1, known=KNOWN),
        cell("F1", "meets", worst_ratio=0.25, worst_ulp=1.5, elements=40, cases=10, worst_case="shape=(2,2)"),
        cell("P1", "not claimed", reason="because"),
        cell("N1", "differs", grade="TT", elements=3),
        cell("F1", "breaks", implementation="kernel.py", worst_ratio=INF, worst_ulp=INF, finding=FINDING),
        cell("S3", "not run", implementation="kernel.py", reason="7 of 10 cases could not have failed"),
    ]
    implementations: list[tuple[str, dict[str, str]]] = [("torch", {"torch": "2.13.0"}), ("kernel.py", {})]
    return Results.of_run(
        cells=cells,
        implementations=implementations,
        not_run={"flax.nnx": "needs flax"},
        notes={},
        requirements=REQUIREMENTS,
        profile="quick",
        seed=7,
    )


def test_round_trip(results: Results, tmp_path: Path) -> None:
    """A record is read back as it was written, infinities and NaN included."""
    results.write(tmp_path / "deep" / "results.json")
    got = read(tmp_path / "deep" / "results.json")
    finding = got.cells[0].finding or {}
    assert repr(got) == repr(results)
    assert finding["ratio"] == INF


def test_finding_keeps_the_call_that_failed(results: Results, tmp_path: Path) -> None:
    """What is said of calls is in the record and on the page of details; a record without it is read, too."""
    told = {"mode": "training", "call": ["called    with weight f32[1] instead of f32[2]"], "marks": []}
    first = results.cells[0]
    kept = replace(results, cells=(replace(first, finding=FINDING | told), *results.cells[1:]))
    kept.write(tmp_path / "results.json")
    finding = read(tmp_path / "results.json").cells[0].finding or {}
    assert {name: finding[name] for name in told} == told
    assert Finding.from_data(finding).call == tuple(told["call"])


@pytest.mark.parametrize("damage", [{"call": "called"}, {"marks": [3]}, {"mode": None}], ids=str)
def test_damaged_call_is_refused(damage: dict[str, Any], results: Results, tmp_path: Path) -> None:
    """Lines that are none, and a mode that is none, make a damaged record."""
    kept = replace(results, cells=(replace(results.cells[0], finding=FINDING | damage), *results.cells[1:]))
    kept.write(tmp_path / "results.json")
    with pytest.raises(ResultsError, match=r"is damaged: .* of the finding of cell F1 of kernel\.py"):
        read(tmp_path / "results.json")


def test_file_is_strict_json_with_a_schema(results: Results, tmp_path: Path) -> None:
    """The file names its schema and holds no literal that JSON does not have."""
    results.write(tmp_path / "results.json")

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    data = json.loads((tmp_path / "results.json").read_text(), parse_constant=refuse)
    assert data["schema"] == SCHEMA


def test_record_says_what_made_it(results: Results) -> None:
    """Versions, machine, profile and seed are on record."""
    assert {"python", "bnconform", "numpy", "hypothesis", "pytest"} <= set(results.versions)
    assert (results.profile, results.seed) == ("quick", 7)
    assert results.machine
    assert results.created.endswith("+00:00")


def test_cells_come_in_the_catalogues_order(results: Results) -> None:
    """Cells are sorted by requirement as the catalogue has them, then by implementation."""
    found = [(c.requirement, c.implementation) for c in results.cells]
    expected = [
        ("F1", "kernel.py"),
        ("F1", "torch"),
        ("S3", "kernel.py"),
        ("S3", "torch"),
        ("N1", "torch"),
        ("P1", "torch"),
    ]
    assert found == expected


def test_cell_is_found_by_its_names(results: Results) -> None:
    """A cell is looked up by requirement and implementation; an absent one is None."""
    found = results.cell("F1", "torch")
    assert found is not None
    assert found.verdict == "meets"
    assert results.cell("P1", "kernel.py") is None


def test_matrix_in_unicode(results: Results) -> None:
    """The matrix has a row for each requirement, with verdict and worst ratio of each implementation."""
    texts = [text.rstrip() for text, _ in lines(results)]
    assert texts[0].split() == ["torch", "kernel.py"]
    assert texts[1].split() == ["F1", "✓", "0.25", "✗", "inf", "y", "is", "right"]
    assert texts[2].split() == ["S3", "✗", "2e6", "-", "averages"]
    assert texts[3].split() == ["N1", "≠", "TT", "its", "grade"]
    assert texts[4].split() == ["P1", "·", "x", "stays"]


def test_matrix_in_ascii(results: Results) -> None:
    """A terminal without Unicode gets the same in ASCII."""
    texts = [text for text, _ in lines(results, unicode=False)]
    assert all(text.isascii() for text in texts)
    assert texts[1].split() == ["F1", "ok", "0.25", "XX", "inf", "y", "is", "right"]


def test_columns_line_up(results: Results) -> None:
    """Every statement begins in the same column."""
    rows = [text for text, _ in lines(results)][1:5]
    statements = ["y is right", "averages", "its grade", "x stays"]
    assert len({row.index(statement) for row, statement in zip(rows, statements, strict=True)}) == 1


def test_legend_counts_every_verdict(results: Results) -> None:
    """The legend counts the cells of each verdict, and the known ones among the broken."""
    text = next(text for text, _ in lines(results) if "meets" in text)
    assert "✓ meets 1" in text
    assert "≠ differs 1" in text
    assert "✗ breaks 2 (1 known)" in text
    assert "· not claimed 1" in text
    assert "- not run 1" in text
    assert all(verdict in text for verdict in VERDICTS)


def test_only_unknown_breaks_are_red(results: Results) -> None:
    """A row is red where a law is broken that is not on the ledger."""
    markup = {text.split()[0]: how for text, how in list(lines(results))[1:5]}
    assert markup["F1"] == {"red": True}
    assert markup["S3"] == {}


def test_matrix_tells_known_deviations_and_what_did_not_run(results: Results) -> None:
    """Known deviations and missing implementations are listed where they are asked for; profile and seed come last."""
    known, missing = "✗ torch S3: known bug, counts an empty batch", "- flax.nnx not run: needs flax"
    texts = [text for text, _ in lines(results, verbose=True)]
    assert {known, missing} <= set(texts)
    assert texts[-1] == "profile quick, seed 7"
    short = [text for text, _ in lines(results)]
    assert not {known, missing} & set(short)
    assert "add -v to list 1 known deviations, 1 implementations that were not run" in short


def test_matrix_ends_with_what_is_new_and_a_headline(results: Results) -> None:
    """What is broken and not known, and what was not judged, stands last, over one sentence on the whole."""
    failed = Cell("F9", "torch", "not judged", "bnconform failed: KeyError: 'x' (build.py line 7)")
    texts = [text for text, _ in lines(replace(results, cells=(*results.cells, failed)))]
    assert texts[-4:-2] == [
        "? torch F9: bnconform failed: KeyError: 'x' (build.py line 7)",
        "✗ kernel.py F1: y is nan where 1 is expected",
    ]
    assert texts[-2] == (
        "2 of 4 cells break a requirement, 1 of them not known before; 1 differs by documented convention; "
        "1 not judged: bnconform failed or ran out of time there"
    )


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.0, "0.00"), (0.999, "1.00"), (99.9, "99.90"), (100.4, "100"), (2e6, "2e6"), (1e12, "1e12"), (INF, "inf")],
)
def test_ratio_is_short(ratio: float, text: str) -> None:
    """A ratio takes few characters."""
    assert ratio_text(ratio) == text


def test_many_implementations_are_a_line_each(results: Results) -> None:
    """More than nine implementations are lines of one character a requirement, which stand below their ids."""
    others = [f"other{i}" for i in range(8)]
    many = replace(
        results,
        implementations=results.implementations | {name: {} for name in others},
        cells=(*results.cells, *(Cell("F1", name, "meets", cases=3) for name in others)),
    )
    texts = [text for text, _ in lines(many)]
    assert texts[0].split() == ["F", "S", "N", "P"]
    assert texts[1].split() == ["1", "3", "1", "1", "grade", "cases", "worst", "met"]
    assert texts[2].split() == ["torch", "✓", "✗", "≠", "·", "TT", "11", "0.25", "F1"]
    assert texts[2].index("✗") == texts[0].index("S") == texts[1].index("3")
    assert texts[3].split() == ["kernel.py", "✗", "-", "0"]
    assert [how for _, how in list(lines(many))[2:5]] == [{}, {"red": True}, {}]
    assert any("✗ breaks 2 (1 known)" in text for text in texts)
    assert all(text.isascii() for text, _ in lines(many, unicode=False))
