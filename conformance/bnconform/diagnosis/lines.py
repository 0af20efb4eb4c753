"""The sentences of a diagnosis; outputs and modes with the same cause share a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TypeAlias

from bnconform.diagnosis.bounded_calls import QUANTITIES
from bnconform.diagnosis.mistakes import EXCHANGES
from bnconform.judging.judge import GRADIENTS
from bnconform_adapters.claims import Mode

Found: TypeAlias = dict[tuple[Mode, str], list[str]]
"""Sentences about an output in a mode, the most direct one first."""


def told(found: Found) -> list[str]:
    """Return the lines. If several sentences have the same effect, the line has the one that explains most outputs.

    Gradients of a mode whose y is explained are left out, since they follow from y.
    """
    by_sentence: dict[tuple[Mode, str], list[str]] = {}
    modes: tuple[Mode, ...] = ("training", "inference")
    for mode in modes:
        own = {quantity: found[mode, quantity] for quantity in QUANTITIES if found.get((mode, quantity))}
        shared = Counter(sentence for sentences in own.values() for sentence in sentences)
        for quantity, sentences in own.items():
            allowed = [one for one in sentences if shared[one] > 1 or one not in EXCHANGES]
            if allowed and not ("y" in own and quantity in GRADIENTS):
                best = max(allowed, key=lambda one: shared[one])  # the first one that explains most
                by_sentence.setdefault((mode, best), []).append(quantity)
    together: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (mode, sentence), quantities in by_sentence.items():
        together.setdefault((sentence, tuple(quantities)), []).append(mode)
    return [f"{listed(names)} in {listed(where)}: {sentence}" for (sentence, names), where in together.items()]


def listed(words: Iterable[object], last: str = "and") -> str:
    """Words as a list in a sentence: a, b and c."""
    *first, end = map(str, words)
    return f"{', '.join(first)} {last} {end}" if first else end
