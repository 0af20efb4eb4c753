"""The answer about one field of a dialect, and the choice between its alternatives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from bnconform.judging.comparison import compare
from bnconform.judging.oracle import Quantity
from bnconform_adapters.contract import AnyArray

Status: TypeAlias = Literal["measured", "undecided", "not measurable", "documented", "read"]
Pairs: TypeAlias = Iterable[tuple[AnyArray, Quantity]]
"""Outputs of the probes, each with the prediction of an alternative."""


@dataclass(frozen=True)
class Answer:
    """One field of an identification.

    Attributes
    ----------
    field : str
        The question, in words.
    value : str
        The answer; empty if there is none.
    evidence : str
        The input and the output, or the reason why there is no answer; one line.
    status : str
        How the answer was found.
    claimed : str
        The claim; empty if the claims do not mention the field.
    agrees : bool or None
        Whether the answer is the claim; None if that is not known.
    stated : mapping
        The entries of a candidate file's CLAIMS that state the answer.
    laws : tuple of str
        Requirements under which the ledger would list a disagreement.
    """

    field: str
    value: str
    evidence: str
    status: Status = "measured"
    claimed: str = ""
    agrees: bool | None = None
    stated: Mapping[str, Any] | None = None
    laws: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """The errors of all alternatives over the probes.

    Attributes
    ----------
    ratios : mapping of str to float
        Worst error of each alternative, as a multiple of the allowed one.
    """

    ratios: Mapping[str, float]

    @property
    def within(self) -> tuple[str, ...]:
        """Alternatives within the allowed error on every probe."""
        return tuple(name for name, ratio in self.ratios.items() if ratio <= 1.0)

    @property
    def value(self) -> str | None:
        """The alternative that is left, if there is exactly one; else None."""
        return self.within[0] if len(self.within) == 1 else None

    @property
    def status(self) -> Status:
        """Status of the answer: "undecided" if several alternatives fit the probes."""
        return "undecided" if len(self.within) > 1 else "measured"

    def words(self, names: Callable[[str], str] = str) -> str:
        """The answer in words."""
        if not self.within:
            return "none of the known kinds"
        return " or ".join(map(names, self.within))

    def errors(self, names: Callable[[str], str] = str) -> str:
        """The errors in words: those of the alternatives that are left, and of the nearest other one."""
        out = {name: ratio for name, ratio in self.ratios.items() if ratio > 1.0}
        told = [f"{names(name)} is off by {self.ratios[name]:.2g} of what is allowed" for name in self.within]
        if out:
            nearest = min(out, key=lambda name: out[name])
            told.append(f"the nearest other, {names(nearest)}, by {out[nearest]:.3g} times that")
        return ", ".join(told)


def decide(alternatives: Mapping[str, Pairs]) -> Decision:
    """Compare the outputs with the prediction of each alternative."""
    return Decision({name: worst_ratio(pairs) for name, pairs in alternatives.items()})


def worst_ratio(pairs: Pairs) -> float:
    """The worst error over probes, as a multiple of the allowed one."""
    ratios = [compare(actual, quantity).ratio for actual, quantity in pairs]
    return max((float(ratio.max()) for ratio in ratios if ratio.size), default=0.0)


def shortest_decimal(value: float, holds: Callable[[float], bool]) -> float | None:
    """The number with the fewest digits near `value` for which `holds` is true; None if there is none."""
    digits: Sequence[int] = range(1, 18)
    return next((short for d in digits if holds(short := float(f"{value:.{d}g}"))), None)
