"""Script lines that repeat the calls of a finding: cases, calls, and names for their results."""

from __future__ import annotations

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
    """Writes calls as text; a case gets its name when the text first uses the case.

    Parameters
    ----------
    evidence : Evidence
    everything : bool
        Repeat all calls of the example, not only those that `got` and `expected` use.
    """

    def __init__(self, evidence: Evidence, *, everything: bool) -> None:
        self._evidence = evidence
        self.logs = tuple(map(self._trimmed, evidence.logs if everything else evidence.about))
        self._cases: list[Case] = []

    @property
    def contiguous(self) -> bool:
        """True if all arrays of the used cases are contiguous."""
        return self._layouts <= {"contiguous"}

    @property
    def far(self) -> bool:
        """True if an array of the used cases has the layout "far"."""
        return "far" in self._layouts

    @property
    def _layouts(self) -> set[str]:
        names = [one.name for one in fields(Case) if "layout" in one.name]
        return {getattr(case, name) for case in self._cases for name in names}

    def _trimmed(self, log: CallLog) -> CallLog:
        """Return the log up to the last outcome that is compared."""
        given = self._evidence.compared
        places = [place for one in given if (place := find(one, (log,)))]
        if log.what != "steps" or any(one is log for one in given) or not places:
            return log
        last = 1 + max(place.position for place in places)
        return replace(log, cases=log.cases[:last], outcomes=log.outcomes[:last])

    def name(self, case: Case) -> str:
        """Return the name of a case in the script."""
        for i, known in enumerate(self._cases, 1):
            if known is case or not _differing(known, case):
                return f"case_{i}"
        self._cases.append(case)
        return f"case_{len(self._cases)}"

    def case_lines(self) -> list[str]:
        """Return assignments of all used cases."""
        lines = []
        for i, case in enumerate(self._cases):
            given = _differing(Case(case.x), case) | dict.fromkeys(("x", *_SHOWN_ALWAYS))
            base = 0
            for j, earlier in enumerate(self._cases[:i], 1):
                if len(changed := _differing(earlier, case)) < len(given):
                    base, given = j, changed
            fields_of = [(one.name, _text(getattr(case, one.name))) for one in fields(Case) if one.name in given]
            if base:
                changes = ", ".join(f'"{name}": {value}' for name, value in fields_of)
                lines.append(f"case_{i + 1} = Case(**vars(case_{base}) | {{{changes}}})")
            else:
                lines += [f"case_{i + 1} = Case(", *(f"    {name}={value}," for name, value in fields_of), ")"]
        return lines

    def lines(self, *, announced: bool = False) -> list[str]:
        """Return assignments of the calls' results; if `announced`, print each call first, since it may crash."""
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
        """Return a compared expression as Python text."""
        return of.render(self.reference)

    def reference(self, given: object) -> str:
        """Return a log, a case, an outcome or an array of them as Python text."""
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
    """Return the names of the fields in which two cases differ."""
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


def _text(value: Any) -> str:
    """Return a field's value as Python text, indented like the field."""
    return (literal(value) if isinstance(value, np.ndarray) else repr(value)).replace("\n", "\n    ")
