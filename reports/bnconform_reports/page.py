"""The report as one page that needs nothing else: no network, no other file."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from bnconform_reports.alike import alike
from bnconform_reports.benefits import Section
from bnconform_reports.causes import causes
from bnconform_reports.chart import Chart, charts, frame
from bnconform_reports.comparison import GROUPS, ORDINARY, accuracies, pairs
from bnconform_reports.conventions import conventions, kinds, moves
from bnconform_reports.curves import all_curves
from bnconform_reports.details import Room, anchors, details
from bnconform_reports.headline import headline
from bnconform_reports.matrix import value_text
from bnconform_reports.records import Cell
from bnconform_reports.together import Together, families
from bnconform_reports.trust import trust
from bnconform_reports.wording import problem, ratio_text
from bnconform_reports.worst_cases import WorstCase, worst_cases

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
"""Of the pairs of implementations, those that differ most."""
LIMIT = 1_900_000
"""Bytes of a page."""
ROOMS = (Room(800_000, 6_000), Room(300_000, 2_000), Room(0, 1_000), Room(0, 1_000, 3), Room(0, 200, 1))
"""What is tried in turn until the page is small enough; scripts and cases are in results.json in any event."""


@dataclass(frozen=True)
class Look:
    """How a kind of cell looks; shape, colour and word say the same."""

    css: str
    glyph: str
    word: str
    means: str


LOOKS = {
    "meets": Look("m", "✓", "meets", "held on every case"),
    "differs": Look("d", "≠", "differs", "held, by a documented convention other than PyTorch's"),
    "breaks": Look("b", "✗", "breaks", "a case breaks it"),
    "known": Look("k", "✗", "breaks, known", "the ledger of known deviations has it, with a witness"),
    "not claimed": Look("n", "·", "not claimed", "the implementation does not offer it"),
    "not run": Look("r", "-", "not run", "could not be run, or most cases could not have failed"),
    "not judged": Look("u", "?", "not judged", "bnconform itself failed or ran out of time; never counted as met"),
}


@dataclass(frozen=True)
class Square:
    """One cell of the matrix as it is shown."""

    css: str
    glyph: str
    word: str
    text: str
    title: str
    anchor: str


@dataclass(frozen=True)
class Drawn:
    """The charts of one kind, and the cases in which their curves are at their worst."""

    charts: list[Chart]
    cases: list[WorstCase]


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


def look(cell: Cell) -> Look:
    """How a cell looks."""
    return LOOKS["known" if cell.verdict == "breaks" and cell.known else cell.verdict]


def page(found: Together, benefits: Section | None = None) -> str:
    """The page; with as much about every broken cell as there is room for."""
    for room in ROOMS:
        text = _render(found, room, benefits)
        if len(text.encode()) <= LIMIT:
            break
    return text


def _render(found: Together, room: Room, benefits: Section | None) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("bnconform_reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = details(found, room)
    style, script = _own("style.css"), _own("page.js")
    return environment.get_template("index.html").render(
        found=found,
        headline=headline(found.cells.values()),
        packages=packages(found),
        alike=alike,
        legend=[_legend(found, kind) for kind in LOOKS],
        frameworks=list(dict.fromkeys(column.framework for column in found.columns)),
        families={letter: FAMILIES.get(letter, letter) for letter in families(found.requirements)},
        rows=list(_rows(found)),
        details=shown,
        detail_of={(one.cell.requirement, one.cell.implementation): one for one in shown},
        causes=causes(found.broken),
        glyph=LOOKS["breaks"].glyph,
        conventions=conventions(found),
        kinds=kinds(found),
        moves=moves(found),
        accuracies=accuracies(found),
        pairs=pairs(found),
        shown_pairs=SHOWN_PAIRS,
        curves=_drawn(found),
        frame=frame(),
        groups=list(GROUPS),
        ordinary=ORDINARY,
        ratio=ratio_text,
        trust=trust(),
        benefits=benefits,
        style=Markup(style),
        script=Markup(script),
        digest=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _drawn(found: Together) -> dict[str, Drawn]:
    return {kind: Drawn(charts(found, of), worst_cases(found, of)) for kind, of in all_curves(found).items()}


def packages(found: Together) -> list[str]:
    """Versions of what was judged, each once."""
    pairs = {f"{name} {version}": None for column in found.columns for name, version in column.versions.items()}
    return list(pairs)


def _own(name: str) -> str:
    """A file of the templates that holds no data."""
    return (resources.files("bnconform_reports") / "templates" / name).read_text(encoding="utf-8")


def _legend(found: Together, kind: str) -> dict[str, str | int]:
    this = LOOKS[kind]
    count = sum(look(cell) is this for cell in found.cells.values())
    return {"css": this.css, "glyph": this.glyph, "word": this.word, "means": this.means, "count": count}


def _rows(found: Together) -> Iterator[Row]:
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
                cells=[None if cell is None else _square(cell, ids) for cell in cells],
            )


def _square(cell: Cell, ids: dict[tuple[str, str], str]) -> Square:
    this = look(cell)
    return Square(
        css=this.css,
        glyph=this.glyph,
        word=this.word,
        text=value_text(cell),
        title=f"{cell.requirement} {cell.implementation}: {_told(cell, this.word)}",
        anchor=ids.get((cell.requirement, cell.implementation), ""),
    )


def _told(cell: Cell, word: str) -> str:
    """A cell in a line."""
    told = [word]
    if cell.verdict == "breaks":
        told.append(problem(cell))
    elif cell.reason:
        told.append(cell.reason)
    if cell.grade:
        told.append(f"grade {cell.grade}")
    if cell.elements and cell.verdict in ("meets", "differs"):
        told.append(f"worst {ratio_text(cell.worst_ratio)} of the allowed error ({cell.worst_ulp:.3g} ulp)")
    if cell.cases:
        told.append(f"{cell.cases} cases" + (f", {cell.mistrusted} mistrusted" if cell.mistrusted else ""))
    return ", ".join(told)
