"""The report as one HTML page that needs nothing else: no network, no other file."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from bnconform.scripts.writer import script_name
from bnconform_reports.pictures.charts import FRAME, error_chart
from bnconform_reports.pictures.curves import all_curves
from bnconform_reports.records.merging import Merged, families, similar_runs
from bnconform_reports.records.schema import Cell
from bnconform_reports.records.wording import LOOKS, look, numbers, problem, ratio_text, value_text
from bnconform_reports.sections.accuracy import GROUPS, ORDINARY, accuracies, pairs
from bnconform_reports.sections.broken_cells import Room, anchors, causes, details
from bnconform_reports.sections.claimed_effects import ClaimedEffects
from bnconform_reports.sections.conventions import conventions, kinds, moves
from bnconform_reports.sections.trust import trust
from bnconform_reports.sections.worst_cases import worst_cases

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


@dataclass(frozen=True)
class Row:
    """One requirement of the matrix."""

    id: str
    first: bool
    alone: bool
    cells: list[Cell | None]


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

    broken = details(found, room)
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
            anchors=anchors(found.broken),
            details=broken,
            detail_of={one.cell.place: one for one in broken},
            causes=causes(found.broken),
            conventions=conventions(found),
            kinds=kinds(found),
            moves=moves(found),
            accuracies=accuracies(found),
            pairs=pairs(found),
            curves={
                kind: ([error_chart(found, of) for of in shown], worst_cases(found, shown))
                for kind, shown in all_curves(found).items()
            },
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
    environment.globals |= {
        "frame": FRAME,
        "glyph": LOOKS["breaks"].glyph,
        "groups": list(GROUPS),
        "look": look,
        "numbers_of": numbers,
        "ordinary": ORDINARY,
        "problem": problem,
        "ratio": ratio_text,
        "script_name": script_name,
        "shown_pairs": SHOWN_PAIRS,
        "style": Markup(_template_file("style.css")),
        "title": title,
        "value_text": value_text,
    }
    return environment


def _template_file(name: str) -> str:
    """A file of the templates that holds no data."""
    return (resources.files("bnconform_reports") / "templates" / name).read_text(encoding="utf-8")


def _rows(found: Merged) -> Iterator[Row]:
    for family in families(found.requirements).values():
        for id in family:
            cells = [found.cell(id, column.label) for column in found.columns]
            yield Row(id, id == family[0], any(cell is not None and cell.place in found.alone for cell in cells), cells)


def title(cell: Cell) -> str:
    """The cell in one line."""
    return f"{cell.requirement} {cell.implementation}: {', '.join(_facts(cell))}"


def _facts(cell: Cell) -> Iterator[str]:
    """Verdict, problem or reason, grade, worst error, number of cases."""
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
