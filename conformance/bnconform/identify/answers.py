"""What was found out about one choice of a dialect, and how a choice is told from the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from bnconform.judging.comparison import compare
from bnconform.judging.oracle import Quantity
from bnconform_adapters.contract import AnyArray

Status: TypeAlias = Literal["measured", "undecided", "not measurable", "documented", "read"]
Pairs: TypeAlias = Iterable[tuple[AnyArray, Quantity]]
"""What came out of each probe, and what an alternative predicts there."""


@dataclass(frozen=True)
class Answer:
    """One field of an identification.

    Attributes
    ----------
    field : str
        What was asked, in words.
    value : str
        The answer; empty where there is none.
    evidence : str
        Which input, and what came out; or why there is no answer. One line.
    status : str
        How it was come by.
    claimed : str
        What the claims say; empty where they say nothing of it.
    agrees : bool or None
        Whether the answer is what the claims say; None where that cannot be said.
    stated : mapping
        What a candidate file's CLAIMS must say for the answer, where they can.
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
    """Which alternatives are within the allowed error on every probe.

    Attributes
    ----------
    ratios : mapping of str to float
        Worst error of each alternative, as a multiple of the allowed one.
    """

    ratios: Mapping[str, float]

    @property
    def within(self) -> tuple[str, ...]:
        """Alternatives that nothing speaks against."""
        return tuple(name for name, ratio in self.ratios.items() if ratio <= 1.0)

    @property
    def value(self) -> str | None:
        """The only alternative that is left; None where there are more, or none."""
        return self.within[0] if len(self.within) == 1 else None

    @property
    def status(self) -> Status:
        """ "undecided" where the probes do not tell alternatives apart."""
        return "undecided" if len(self.within) > 1 else "measured"

    def words(self, names: Callable[[str], str] = str) -> str:
        """The answer in words."""
        if not self.within:
            return "none of the known kinds"
        return " or ".join(map(names, self.within))

    def errors(self, names: Callable[[str], str] = str) -> str:
        """The errors in words: of what is left, and of the nearest of the others."""
        out = {name: ratio for name, ratio in self.ratios.items() if ratio > 1.0}
        told = [f"{names(name)} is off by {self.ratios[name]:.2g} of what is allowed" for name in self.within]
        if out:
            nearest = min(out, key=lambda name: out[name])
            told.append(f"the nearest other, {names(nearest)}, by {out[nearest]:.3g} times that")
        return ", ".join(told)


def decide(alternatives: Mapping[str, Pairs]) -> Decision:
    """Compare what came out with what each alternative predicts."""
    return Decision({name: worst_ratio(pairs) for name, pairs in alternatives.items()})


def worst_ratio(pairs: Pairs) -> float:
    """The worst error over probes, as a multiple of the allowed one."""
    ratios = [compare(actual, quantity).ratio for actual, quantity in pairs]
    return max((float(ratio.max()) for ratio in ratios if ratio.size), default=0.0)


def shortest_decimal(value: float, holds: Callable[[float], bool]) -> float | None:
    """The number of fewest digits near `value` for which `holds`; None where none does."""
    digits: Sequence[int] = range(1, 18)
    return next((short for d in digits if holds(short := float(f"{value:.{d}g}"))), None)
