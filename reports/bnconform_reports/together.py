"""What several runs say together: a column for each implementation, a cell where any run has one.

Of the cells of one requirement and one implementation the worst verdict stands, and of equal verdicts the largest
error; cases and elements are those of all runs, errors and grade the worst of all. An implementation of which runs had
different versions is a column for each.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any

from bnconform.requirements import BY_ID
from bnconform_reference.precision import GRADES
from bnconform_reports.headline import JUDGED
from bnconform_reports.records import Cell, Results, Verdict
from bnconform_reports.runs import Runs

_WORST_LAST: tuple[Verdict, ...] = ("not run", "not claimed", "meets", "differs", "not judged", "breaks")
_TOLD = ", "


@dataclass(frozen=True)
class Column:
    """One implementation, of one set of versions.

    Attributes
    ----------
    label : str
        Its name, and its versions where there are several of that name.
    name : str
    versions : dict
    """

    label: str
    name: str
    versions: dict[str, str]

    @property
    def framework(self) -> str:
        """What it belongs to: the package that it needs first, or else its own name."""
        return next(iter(self.versions), self.name)


@dataclass(frozen=True)
class Together:
    """Several runs as one.

    Attributes
    ----------
    runs : tuple of Results
    columns : tuple of Column
    requirements : dict of str to dict
        Those of which there is a cell, with level and statement, in the catalogue's order.
    cells : dict of (str, str) to Cell
        By requirement and column's label, which stands in the cell as the implementation.
    not_run, notes : dict of str to str
    identities : dict of str to dict
        By column's label: the latest that was measured.
    measures : dict of str to dict
        The same of the deviations on fixed cases.
    """

    runs: tuple[Results, ...]
    columns: tuple[Column, ...]
    requirements: dict[str, dict[str, str]]
    cells: dict[tuple[str, str], Cell]
    not_run: dict[str, str]
    notes: dict[str, str]
    identities: dict[str, dict[str, Any]]
    measures: dict[str, dict[str, Any]]

    @cached_property
    def counts(self) -> Counter[str]:
        """Cells of each verdict."""
        return Counter(cell.verdict for cell in self.cells.values())

    @cached_property
    def broken(self) -> list[Cell]:
        """Broken cells: what is not on the ledger first, then who is alone in failing, then the largest error."""
        found = [cell for cell in self.cells.values() if cell.verdict == "breaks"]
        order = list(self.requirements)
        return sorted(
            found,
            key=lambda cell: (
                cell.known is not None,
                (cell.requirement, cell.implementation) not in self.alone,
                -_size(cell.worst_ratio),
                order.index(cell.requirement),
                cell.implementation,
            ),
        )

    @cached_property
    def judged(self) -> int:
        """Cells with a verdict on what was observed."""
        return sum(self.counts[verdict] for verdict in JUDGED)

    @cached_property
    def cases(self) -> int:
        """Cases judged in all runs."""
        return sum(cell.cases for cell in self.cells.values())

    @cached_property
    def alone(self) -> frozenset[tuple[str, str]]:
        """Requirements that a single implementation breaks while two others or more hold them."""
        found = []
        for id in self.requirements:
            verdicts = {column.label: cell.verdict for column in self.columns if (cell := self.cell(id, column.label))}
            broken = [label for label, verdict in verdicts.items() if verdict == "breaks"]
            held = sum(verdict in ("meets", "differs") for verdict in verdicts.values())
            if len(broken) == 1 and held >= 2:
                found.append((id, broken[0]))
        return frozenset(found)

    def cell(self, requirement: str, label: str) -> Cell | None:
        """The cell of a requirement and a column, if there is one."""
        return self.cells.get((requirement, label))


def together(runs: Runs) -> Together:
    """What the runs say together."""
    columns = _columns(runs.runs)
    by_key = {(column.name, _key(column.versions)): column.label for column in columns}
    gathered: dict[tuple[str, str], list[Cell]] = {}
    identities: dict[str, dict[str, Any]] = {}
    measures: dict[str, dict[str, Any]] = {}
    notes: dict[str, str] = {}
    requirements: dict[str, dict[str, str]] = {}
    for run in runs.runs:
        labels = {name: by_key[name, _key(versions)] for name, versions in run.implementations.items()}
        for cell in run.cells:
            label = labels[cell.implementation]
            gathered.setdefault((cell.requirement, label), []).append(replace(cell, implementation=label))
            requirements[cell.requirement] = run.requirements[cell.requirement]
        identities |= {labels[name]: found for name, found in run.identities.items() if name in labels}
        measures |= {labels[name]: found for name, found in run.measures.items() if name in labels}
        notes |= {labels[name]: note for name, note in run.notes.items() if name in labels}
    cells = {place: worst_of(found) for place, found in gathered.items()}
    present = {label for _, label in cells}
    ran = {column.name for column in columns if column.label in present}
    return Together(
        runs=runs.runs,
        columns=tuple(column for column in columns if column.label in present),
        requirements={id: requirements[id] for id in sorted(requirements, key=_place)},
        cells=cells,
        not_run={name: why for run in runs.runs for name, why in run.not_run.items() if name not in ran},
        notes=notes,
        identities=identities,
        measures=measures,
    )


def _columns(runs: Sequence[Results]) -> tuple[Column, ...]:
    """In the order of the largest run, by whose registry the others are sorted; then by name and versions."""
    order = max(runs, key=lambda run: len(run.implementations)).implementations if runs else {}
    rank = {name: i for i, name in enumerate(order)}
    found = {(name, _key(versions)): versions for run in runs for name, versions in run.implementations.items()}
    names = Counter(name for name, _ in found)
    taken: set[str] = set()
    columns = []
    for (name, _), versions in sorted(found.items(), key=lambda item: (rank.get(item[0][0], len(rank)), item[0])):
        label = name if names[name] == 1 else f"{name} ({_TOLD.join(f'{d} {v}' for d, v in versions.items()) or '-'})"
        while label in taken:
            label += "'"
        taken.add(label)
        columns.append(Column(label, name, versions))
    return tuple(columns)


def _key(versions: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(versions.items()))


def _place(id: str) -> tuple[int, str]:
    known = list(BY_ID)
    return (known.index(id) if id in BY_ID else len(known), id)


def worst_of(cells: Sequence[Cell]) -> Cell:
    """One cell for those of several runs; the same for any order of them."""
    worst = max(cells, key=_badness)
    grades = [cell.grade for cell in cells if cell.grade]
    return replace(
        worst,
        cases=_sum(cells, "cases"),
        mistrusted=_sum(cells, "mistrusted"),
        elements=_sum(cells, "elements"),
        unbounded=_sum(cells, "unbounded"),
        overflowing=_sum(cells, "overflowing"),
        worst_ratio=max((cell.worst_ratio for cell in cells), key=_size),
        worst_ulp=max((cell.worst_ulp for cell in cells), key=_size),
        grade=max(grades, key=lambda grade: [*GRADES, grade].index(grade)) if grades else "",
    )


def _badness(cell: Cell) -> tuple[Any, ...]:
    new = cell.verdict == "breaks" and cell.known is None
    return (_WORST_LAST.index(cell.verdict), new, _size(cell.worst_ratio), repr(cell))


def _size(ratio: float) -> float:
    """A ratio for comparison, NaN as the largest."""
    return math.inf if math.isnan(ratio) else ratio


def _sum(cells: Iterable[Cell], name: str) -> int:
    return sum(getattr(cell, name) for cell in cells)


def families(requirements: Iterable[str]) -> dict[str, list[str]]:
    """Requirements by the letter of their family."""
    return {letter: list(ids) for letter, ids in groupby(requirements, key=lambda id: id[:1])}
