"""Results of an experiment as data: curves with confidence intervals, and single numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

SCHEMA = "bnconform.commands.benefits/1"
T_975 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 8: 2.365, 10: 2.262, 12: 2.201, 16: 2.131, 20: 2.093}
"""Quantiles of Student's t at 0.975, by the number of values."""
_DIGITS = 5


@dataclass(frozen=True)
class Interval:
    """A mean over seeds and its 95 % confidence interval (Student's t)."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: ArrayLike) -> Interval:
        """The interval of one value for each seed; if a value is not finite, all three numbers are NaN."""
        each = np.asarray(values, np.float64)
        with np.errstate(all="ignore"):
            mean = float(each.mean())
            half = T_975[each.size] * float(each.std(ddof=1)) / each.size**0.5
        return cls(_short(mean), _short(mean - half), _short(mean + half))


@dataclass(frozen=True)
class Line:
    """A curve.

    Attributes
    ----------
    label : str
        Text of the legend.
    subject : str
        The implementation, or the alternative to batch norm.
    x : list of float
    y : list of Interval
    """

    label: str
    subject: str
    x: list[float]
    y: list[Interval]


@dataclass(frozen=True)
class Panel:
    """One chart."""

    title: str
    x: str
    y: str
    lines: list[Line]
    x_log: bool = False
    y_log: bool = False


@dataclass(frozen=True)
class Fact:
    """A number, and the side of 0 that the claim names.

    Attributes
    ----------
    subject, what : str
    value : Interval
    claimed : str
        The claimed side of 0: "above 0", "below 0", or "" if nothing is claimed.
    """

    subject: str
    what: str
    value: Interval
    claimed: Literal["above 0", "below 0", ""] = ""

    @property
    def verdict(self) -> str:
        """ "as claimed" if the interval is on the claimed side of 0, "contrary" if on the other, else "undecided"."""
        if not self.claimed:
            return ""
        sign = 1.0 if self.claimed == "above 0" else -1.0
        ends = sorted((sign * self.value.low, sign * self.value.high))
        if not all(map(isfinite, ends)):
            return "undecided"
        return "as claimed" if ends[0] > 0 else "contrary" if ends[1] < 0 else "undecided"


@dataclass(frozen=True)
class Experiment:
    """One published claim, and the results on it.

    Attributes
    ----------
    id, title : str
    claim : str
        The published claim.
    done : str
        The experiment.
    limits : str
        The limits of the numbers.
    sources : list of str
    panels : list of Panel
    facts : list of Fact
    """

    id: str
    title: str
    claim: str
    done: str
    limits: str
    sources: list[str]
    panels: list[Panel] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)

    def as_data(self) -> dict[str, Any]:
        """The experiment as JSON data; None stands for a number that is not finite."""
        data: dict[str, Any] = plain(asdict(self), lambda value: None)
        for fact, told in zip(self.facts, data["facts"], strict=True):
            told["verdict"] = fact.verdict
        return data


def line(label: str, subject: str, x: Sequence[float], values: ArrayLike) -> Line:
    """A curve of values (len(x), seeds)."""
    return Line(label, subject, [float(at) for at in x], [Interval.of(each) for each in np.asarray(values)])


def plain(value: Any, stand_in: Callable[[float], Any]) -> Any:
    """Data as JSON has it: lists for tuples, and a stand-in for each number that is not finite."""
    if isinstance(value, dict):
        return {key: plain(item, stand_in) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, stand_in) for item in value]
    return stand_in(value) if isinstance(value, float) and not isfinite(value) else value


def _short(value: float) -> float:
    return float(f"{round(value, 12) + 0.0:.{_DIGITS}g}")
