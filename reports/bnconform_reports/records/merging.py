"""Several runs as one: a column for each implementation, and a cell where any run has one.

For each requirement and implementation the worst verdict counts; among equal verdicts, the largest error. Cases and
elements are added up over all runs; errors and grade are the worst of all. An implementation that the runs had in
several versions gets a column for each.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from bnconform.requirements import BY_ID
from bnconform_reference.precision import GRADES
from bnconform_reports.records.schema import JUDGED, Cell, Results, Runs, Verdict
from bnconform_reports.records.wording import headline

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)
_WORST_LAST: tuple[Verdict, ...] = ("not run", "not claimed", "meets", "differs", "not judged", "breaks")
_COUNTS = ("cases", "mistrusted", "elements", "unbounded", "overflowing")


@dataclass(frozen=True)
class Column:
    """One implementation in one set of versions; the label is its name, with the versions if the runs had several."""

    label: str
    name: str
    versions: dict[str, str]

    @property
    def framework(self) -> str:
        """The package that it needs first, or else its own name."""
        return next(iter(self.versions), self.name)


@dataclass(frozen=True)
class Merged:
    """Several runs as one.

    Attributes
    ----------
    runs : tuple of Results
    columns : tuple of Column
    requirements : dict of str to dict
        Requirements that have a cell, with level and statement, in the catalogue's order.
    cells : dict of (str, str) to Cell
        By requirement and column's label; the cell has this label as its implementation.
    not_run, notes : dict of str to str
    identities, measures : dict of str to dict
        By column's label: the latest dialect, and the latest deviations on fixed cases.
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
    def headline(self) -> str:
        """The result in one sentence."""
        return headline(self.cells.values())

    @cached_property
    def counts(self) -> Counter[str]:
        """How many cells have each verdict."""
        return Counter(cell.verdict for cell in self.cells.values())

    @cached_property
    def judged(self) -> int:
        """How many cells have a verdict on what was observed."""
        return sum(self.counts[verdict] for verdict in JUDGED)

    @cached_property
    def cases(self) -> int:
        """Cases judged in all runs."""
        return sum(cell.cases for cell in self.cells.values())

    @cached_property
    def packages(self) -> list[str]:
        """Versions of the packages that were judged, each once."""
        pairs = (f"{name} {version}" for column in self.columns for name, version in column.versions.items())
        return list(dict.fromkeys(pairs))

    @cached_property
    def broken(self) -> list[Cell]:
        """Broken cells: first what is not on the ledger, then what only one implementation breaks, then by error."""
        order = list(self.requirements)
        return sorted(
            (cell for cell in self.cells.values() if cell.verdict == "breaks"),
            key=lambda cell: (
                cell.known is not None,
                cell.place not in self.alone,
                -_size(cell.worst_ratio),
                order.index(cell.requirement),
                cell.implementation,
            ),
        )

    @cached_property
    def alone(self) -> frozenset[tuple[str, str]]:
        """Broken cells of laws that no other implementation breaks, and that two others or more meet."""
        found = []
        for id in self.requirements:
            cells = [cell for column in self.columns if (cell := self.cell(id, column.label))]
            broken = [cell.place for cell in cells if cell.verdict == "breaks"]
            if len(broken) == 1 and sum(cell.verdict in ("meets", "differs") for cell in cells) >= 2:
                found += broken
        return frozenset(found)

    def cell(self, requirement: str, label: str) -> Cell | None:
        """The cell of a requirement and a column, if there is one."""
        return self.cells.get((requirement, label))

    def column_cells(self, label: str) -> list[Cell]:
        """All cells of a column, in the catalogue's order."""
        return [cell for id in self.requirements if (cell := self.cell(id, label))]


def merged(runs: Runs) -> Merged:
    """Merge a set of runs."""
    columns = _columns(runs.runs)
    by_key = {(column.name, _key(column.versions)): column.label for column in columns}
    relabelled: list[Cell] = []
    latest: dict[str, Any] = {"identities": {}, "measures": {}, "notes": {}}
    requirements: dict[str, dict[str, str]] = {}
    for run in runs.runs:
        labels = {name: by_key[name, _key(versions)] for name, versions in run.implementations.items()}
        relabelled += [replace(cell, implementation=labels[cell.implementation]) for cell in run.cells]
        requirements |= {cell.requirement: run.requirements[cell.requirement] for cell in run.cells}
        for part, values in latest.items():
            values |= {labels[name]: value for name, value in getattr(run, part).items() if name in labels}
    cells = {place: worst_of(found) for place, found in group_by(relabelled, lambda cell: cell.place).items()}
    present = {label for _, label in cells}
    ran = {column.name for column in columns if column.label in present}
    return Merged(
        runs=runs.runs,
        columns=tuple(column for column in columns if column.label in present),
        requirements={id: requirements[id] for id in sorted(requirements, key=_place)},
        cells=cells,
        not_run={name: why for run in runs.runs for name, why in run.not_run.items() if name not in ran},
        **latest,
    )


def _columns(runs: Sequence[Results]) -> tuple[Column, ...]:
    """Columns in the order of the largest run, which has most of the registry's order; then by name and versions."""
    order = max(runs, key=lambda run: len(run.implementations)).implementations if runs else {}
    rank = {name: i for i, name in enumerate(order)}
    found = {(name, _key(versions)): versions for run in runs for name, versions in run.implementations.items()}
    names = Counter(name for name, _ in found)
    taken: set[str] = set()
    columns = []
    for (name, _), versions in sorted(found.items(), key=lambda item: (rank.get(item[0][0], len(rank)), item[0])):
        label = name if names[name] == 1 else f"{name} ({', '.join(f'{d} {v}' for d, v in versions.items()) or '-'})"
        while label in taken:
            label += "'"
        taken.add(label)
        columns.append(Column(label, name, versions))
    return tuple(columns)


def _key(versions: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(versions.items()))


def _place(id: str) -> tuple[int, str]:
    return (list(BY_ID).index(id) if id in BY_ID else len(BY_ID), id)


def worst_of(cells: Sequence[Cell]) -> Cell:
    """Combine the cells of several runs into one; their order does not matter."""
    grades = [cell.grade for cell in cells if cell.grade]
    return replace(
        max(cells, key=_badness),
        **{name: sum(getattr(cell, name) for cell in cells) for name in _COUNTS},
        worst_ratio=max((cell.worst_ratio for cell in cells), key=_size),
        worst_ulp=max((cell.worst_ulp for cell in cells), key=_size),
        grade=max(grades, key=lambda grade: [*GRADES, grade].index(grade)) if grades else "",
    )


def _badness(cell: Cell) -> tuple[Any, ...]:
    new = cell.verdict == "breaks" and cell.known is None
    return (_WORST_LAST.index(cell.verdict), new, _size(cell.worst_ratio), repr(cell))


def _size(ratio: float) -> float:
    """A ratio for comparison; NaN counts as the largest."""
    return math.inf if math.isnan(ratio) else ratio


def families(requirements: Iterable[str]) -> dict[str, list[str]]:
    """Requirements by the letter of their family."""
    return group_by(requirements, lambda id: id[:1])


def group_by(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """The items by their keys, in the order of the first item of each key."""
    groups: dict[Key, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


@dataclass(frozen=True)
class SimilarRuns:
    """Runs of one profile, on machines and versions that are alike, from the earliest to the latest."""

    runs: tuple[Results, ...]

    @property
    def when(self) -> str:
        """The minutes of the first and of the last run, in UTC."""
        ends = dict.fromkeys(run.created[:16].replace("T", " ") for run in (self.runs[0], self.runs[-1]))
        return f"{' to '.join(ends)} UTC"

    @property
    def seeds(self) -> str:
        """All seeds, each once."""
        found = sorted({run.seed for run in self.runs})
        return f"seed{'s' if len(found) > 1 else ''} {', '.join(map(str, found))}"


def similar_runs(runs: Iterable[Results]) -> list[SimilarRuns]:
    """Group the runs, in the order of the earliest of each group."""
    groups = group_by(runs, lambda run: (run.profile, run.machine, _key(run.versions)))
    return [SimilarRuns(tuple(group)) for group in groups.values()]
