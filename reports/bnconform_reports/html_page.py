"""The report as one HTML page that needs nothing else: no network, no other file."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from bnconform.scripts.writer import script_name
from bnconform_reports.pictures.charts import FRAME, Chart, charts
from bnconform_reports.pictures.curves import all_curves
from bnconform_reports.records.merging import Merged, families, similar_runs
from bnconform_reports.records.schema import Cell
from bnconform_reports.records.wording import LOOKS, Look, look, numbers, problem, ratio_text, value_text
from bnconform_reports.sections.accuracy import GROUPS, ORDINARY, accuracies, pairs
from bnconform_reports.sections.broken_cells import Room, anchors, causes, details
from bnconform_reports.sections.claimed_effects import ClaimedEffects
from bnconform_reports.sections.conventions import conventions, kinds, moves
from bnconform_reports.sections.trust import trust
from bnconform_reports.sections.worst_cases import WorstCase, worst_cases

if TYPE_CHECKING:
    from jinja2 import Environment

FAMILIES = {
    "F": "forward",
    "S": "running statistics",
    "I": "inference",
    "G": "gradients",
    "M": "relations between calls",
    "N": "numerics",
    "X": "special values",
    "P": "side effects",
    "Y": "several devices",
    "T": "training",
    "E": "errors",
}
SHOWN_PAIRS = 40
"""How many pairs of implementations are shown; those that differ most come first."""
LIMIT = 1_900_000
"""Bytes of a page."""
ROOMS = (Room(800_000, 6_000), Room(300_000, 2_000), Room(0, 1_000), Room(0, 1_000, 3), Room(0, 200, 1))
"""Tried in turn until the page is small enough; results.json has all scripts and cases in any event."""

CONSTANTS = {
    "frame": FRAME,
    "glyph": LOOKS["breaks"].glyph,
    "groups": list(GROUPS),
    "numbers_of": numbers,
    "ordinary": ORDINARY,
    "problem": problem,
    "ratio": ratio_text,
    "script_name": script_name,
    "shown_pairs": SHOWN_PAIRS,
}
"""Names that every template knows."""


@dataclass(frozen=True)
class Square:
    """One cell of the matrix as it is shown."""

    look: Look
    text: str
    title: str
    anchor: str


@dataclass(frozen=True)
class Row:
    """One requirement of the matrix."""

    id: str
    family: str
    first: bool
    statement: str
    broken: int
    alone: list[str]
    cells: list[Square | None]


@dataclass(frozen=True)
class Drawn:
    """The charts of one kind, and the cases with the worst errors of their curves."""

    charts: list[Chart]
    cases: list[WorstCase]


def page(found: Merged, benefits: ClaimedEffects | None = None) -> str:
    """The page, with as much about every broken cell as there is room for."""
    for room in ROOMS:
        text = _render(found, room, benefits)
        if len(text.encode()) <= LIMIT:
            break
    return text


def benefits_page(benefits: ClaimedEffects) -> str:
    """The page of the experiments alone."""
    return _templates().get_template("benefits_page.html").render(benefits=benefits)


def _render(found: Merged, room: Room, benefits: ClaimedEffects | None) -> str:
    from markupsafe import Markup

    shown = details(found, room)
    script = _template_file("page.js")
    return (
        _templates()
        .get_template("index.html")
        .render(
            found=found,
            similar_runs=similar_runs(found.runs),
            legend=[(kind, sum(look(cell) is kind for cell in found.cells.values())) for kind in LOOKS.values()],
            frameworks=list(dict.fromkeys(column.framework for column in found.columns)),
            families={letter: FAMILIES.get(letter, letter) for letter in families(found.requirements)},
            rows=list(_rows(found)),
            details=shown,
            detail_of={one.cell.place: one for one in shown},
            causes=causes(found.broken),
            conventions=conventions(found),
            kinds=kinds(found),
            moves=moves(found),
            accuracies=accuracies(found),
            pairs=pairs(found),
            curves={kind: Drawn(charts(found, of), worst_cases(found, of)) for kind, of in all_curves(found).items()},
            trust=trust(),
            benefits=benefits,
            script=Markup(script),
            digest=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("bnconform_reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= CONSTANTS | {"style": Markup(_template_file("style.css"))}
    return environment


def _template_file(name: str) -> str:
    """A file of the templates that holds no data."""
    return (resources.files("bnconform_reports") / "templates" / name).read_text(encoding="utf-8")


def _rows(found: Merged) -> Iterator[Row]:
    ids = anchors(found.broken)
    for family in families(found.requirements).values():
        for id in family:
            cells = [found.cell(id, column.label) for column in found.columns]
            yield Row(
                id=id,
                family=id[:1],
                first=id == family[0],
                statement=found.requirements[id]["statement"],
                broken=sum(cell is not None and cell.verdict == "breaks" for cell in cells),
                alone=[label for one, label in found.alone if one == id],
                cells=[None if cell is None else _square(cell, ids.get(cell.place, "")) for cell in cells],
            )


def _square(cell: Cell, anchor: str) -> Square:
    title = f"{cell.requirement} {cell.implementation}: {', '.join(_facts(cell))}"
    return Square(look(cell), value_text(cell), title, anchor)


def _facts(cell: Cell) -> Iterator[str]:
    """The cell in words: verdict, problem or reason, grade, worst error, number of cases."""
    yield look(cell).word
    if cell.verdict == "breaks":
        yield problem(cell)
    elif cell.reason:
        yield cell.reason
    if cell.grade:
        yield f"grade {cell.grade}"
    if cell.elements and cell.verdict in ("meets", "differs"):
        yield f"worst {ratio_text(cell.worst_ratio)} of the allowed error ({cell.worst_ulp:.3g} ulp)"
    if cell.cases:
        yield f"{cell.cases} cases" + (f", {cell.mistrusted} mistrusted" if cell.mistrusted else "")
