"""Counts and worst errors over all cases of a law."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from bnconform.cases.kinds import kinds_of
from bnconform_adapters.contract import Case
from bnconform_reference.precision import GRADES, Grade


@dataclass
class Tally:
    """Counts and worst errors over the cases of one law and one implementation.

    Attributes
    ----------
    drawn : Counter
        Number of judged cases of each kind, such as "dtype: float16".
    cases : int
        Examples judged.
    mistrusted : int
        Examples that could not have failed: bounds mostly infinite, or the law's effect below rounding.
    elements, unbounded, overflowing : int
        Number of elements compared; those with an infinite allowed error; those excused because they may overflow.
    worst_ratio, worst_ulp : float
        Largest error as a multiple of the allowed one, and in units in the last place.
    worst : tuple of Case or None
        Steps of the example with the worst ratio.
    broken_after : int or None
        Number of examples that held before the first broken one.
    grades : dict
        Worst ratio at each grade, if the law measures the grade.
    """

    drawn: Counter[str] = field(default_factory=Counter)
    cases: int = 0
    mistrusted: int = 0
    elements: int = 0
    unbounded: int = 0
    overflowing: int = 0
    worst_ratio: float = 0.0
    worst_ulp: float = 0.0
    worst: tuple[Case, ...] | None = None
    broken_after: int | None = None
    grades: dict[Grade, float] = field(default_factory=dict)

    def note_example(self, steps: tuple[Case, ...], *, trusted: bool) -> None:
        """Count an example that broke nothing; a `trusted` example could have failed."""
        self.cases += 1
        self.mistrusted += not trusted
        for case in steps:
            self.drawn.update(f"{dimension}: {kind}" for dimension, kind in kinds_of(case))

    def note_ratio(self, ratio: float, ulp: float, steps: tuple[Case, ...]) -> None:
        """Record one comparison's worst element."""
        if self.worst is None or ratio > self.worst_ratio:
            self.worst_ratio, self.worst = ratio, steps
        self.worst_ulp = max(self.worst_ulp, ulp)

    def note_broken(self) -> None:
        """Record that the law is broken; shrinking breaks it many times."""
        if self.broken_after is None:
            self.broken_after = self.cases

    def note_grade(self, grade: Grade, ratio: float) -> None:
        """Record one comparison at a grade."""
        self.grades[grade] = max(self.grades.get(grade, 0.0), ratio)

    def cell(self) -> dict[str, Any]:
        """Return the tally as fields of a cell of the record."""
        others = ("worst", "broken_after", "grades")
        held = {name: value for name, value in vars(self).items() if name not in others} | {"drawn": dict(self.drawn)}
        return held | {"worst_case": self.worst[0].origin if self.worst else "", "grade": self.measured_grade or ""}

    @property
    def mostly_mistrusted(self) -> bool:
        """True if more than half of the cases could not have failed."""
        return 2 * self.mistrusted > self.cases

    @property
    def measured_grade(self) -> Grade | None:
        """Best grade that holds on all cases; None if no grade holds or none was measured."""
        held = [grade for grade in GRADES if self.grades.get(grade, float("inf")) <= 1.0]
        return held[0] if held else None
