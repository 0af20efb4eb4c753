"""The calls of a finding as a script makes them again: cases, logs, and how what came out is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from bnconform.cases.case_file import same
from bnconform.judging.evidence import CallLog, Evidence, find
from bnconform.judging.expression import Expression
from bnconform.scripts.literals import literal
from bnconform_adapters.contract import Case

_SHOWN_ALWAYS = ("training", "momentum", "eps")


class Calls:
    """Puts calls into text; a case gets its name when it is first spoken of.

    Parameters
    ----------
    evidence : Evidence
    everything : bool
        Make all calls of the example, not only those that `got` and `expected` speak of.
    """

    def __init__(self, evidence: Evidence, *, everything: bool) -> None:
        self._evidence = evidence
        self.logs = tuple(map(self._trimmed, evidence.logs if everything else evidence.about))
        self._cases: list[Case] = []

    @property
    def contiguous(self) -> bool:
        """Whether all arrays of the cases spoken of are contiguous."""
        return self._layouts <= {"contiguous"}

    @property
    def far(self) -> bool:
        """Whether an array of the cases spoken of is in the layout "far"."""
        return "far" in self._layouts

    @property
    def _layouts(self) -> set[str]:
        names = [one.name for one in fields(Case) if "layout" in one.name]
        return {getattr(case, name) for case in self._cases for name in names}

    def _trimmed(self, log: CallLog) -> CallLog:
        """The log up to the last outcome that matters."""
        of = [of for of in (self._evidence.got, self._evidence.expected) if of is not None]
        given = [one for each in of for one in each.given]
        places = [place for one in given if (place := find(one, (log,)))]
        if log.what != "steps" or any(one is log for one in given) or not places:
            return log
        last = 1 + max(place.position for place in places)
        return replace(log, cases=log.cases[:last], outcomes=log.outcomes[:last])

    def name(self, case: Case) -> str:
        """What the script calls a case."""
        for i, known in enumerate(self._cases, 1):
            if known is case or not _differing(known, case):
                return f"case_{i}"
        self._cases.append(case)
        return f"case_{len(self._cases)}"

    def case_lines(self) -> list[str]:
        """Assignments of the cases that have been spoken of."""
        lines = []
        for i, case in enumerate(self._cases):
            given = _differing(Case(case.x), case) | dict.fromkeys(("x", *_SHOWN_ALWAYS))
            base = 0
            for j, earlier in enumerate(self._cases[:i], 1):
                if len(changed := _differing(earlier, case)) < len(given):
                    base, given = j, changed
            fields_of = [(name, _indented(_value(getattr(case, name)))) for name in _ordered(given)]
            if base:
                changes = ", ".join(f'"{name}": {value}' for name, value in fields_of)
                lines.append(f"case_{i + 1} = Case(**vars(case_{base}) | {{{changes}}})")
            else:
                lines += [f"case_{i + 1} = Case(", *(f"    {name}={value}," for name, value in fields_of), ")"]
        return lines

    def lines(self, *, announced: bool = False) -> list[str]:
        """Assignments of what the calls give; where `announced`, each is printed first: it may be the one that dies."""
        found = []
        for i, log in enumerate(self.logs, 1):
            line = f"results_{i} = {self._call(log)}"
            found += [f"print({line!r}, flush=True)", line] if announced else [line]
        return found

    def _call(self, log: CallLog) -> str:
        names = [self.name(case) for case in log.cases]
        listed = ", ".join(names)
        match log.what:
            case "steps" | "fresh process":
                restarting = any(case.before != "nothing" for case in log.cases)
                return f"{'run_restarting' if restarting else 'run'}(Layer, {listed})"
            case "steps in spoilt memory":
                return f"run_in_spoilt_memory(Layer, {listed})"
            case "interleaved":
                return f"interleave(Layer, [{listed}], order={log.order})"
            case "together":
                return f"run_together(Layer, [{listed}], threads={log.threads})"
            case "second order":
                return f"[attempt(second_order, {listed})]"
            case "jvp":
                return f"[attempt(jvp, {listed})]"
            case "shards":
                return f"attempt_all(shards, ({listed}))"
            case "population":
                return f"[attempt(population, {listed})]"

    def of(self, of: Expression) -> str:
        """Something that is compared, as an expression."""
        return of.render(self.reference)

    def reference(self, given: object) -> str:
        """A log, a case, an outcome or an array of them, as an expression."""
        if isinstance(given, CallLog):
            return f"results_{[log.outcomes is given.outcomes for log in self.logs].index(True) + 1}"
        if isinstance(given, Case):
            return self.name(given)
        place = find(given, self.logs)
        if place is None:
            assert isinstance(given, np.ndarray)
            return literal(given)
        if place.of_case:
            return f"{self.name(self.logs[place.log].cases[place.position])}.{place.key}"
        result = f"results_{place.log + 1}[{place.position}]"
        return f'{result}["{place.key}"]' if place.key else result


def _differing(a: Case, b: Case) -> dict[str, None]:
    """Names of the fields in which two cases differ."""
    found: dict[str, None] = {}
    for one in fields(Case):
        first, second = getattr(a, one.name), getattr(b, one.name)
        if first is second or one.name == "origin":
            continue
        arrays = isinstance(first, np.ndarray) or isinstance(second, np.ndarray)
        if arrays and isinstance(first, np.ndarray | None) and isinstance(second, np.ndarray | None):
            equal = same(first, second)
        else:
            equal = type(first) is type(second) and first == second
        if not equal:
            found[one.name] = None
    return found


def _ordered(names: Mapping[str, None]) -> list[str]:
    return [one.name for one in fields(Case) if one.name in names]


def _value(value: Any) -> str:
    return literal(value) if isinstance(value, np.ndarray) else repr(value)


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")
