"""Last lines of a script: they print the result and the expected value, and decide whether the result is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from bnconform.cases.described import words_of
from bnconform.judging.evidence import CallLog, Evidence, find
from bnconform.judging.expression import Expression
from bnconform.judging.findings import Finding
from bnconform.scripts.call_lines import Calls
from bnconform.scripts.literals import READABLE, literal
from bnconform_reference.debiasing import debiased_momentum
from bnconform_reference.double_double import DoubleDouble, high
from bnconform_reference.precision import LARGEST, UNIT_ROUNDOFF
from bnconform_reference.running_statistics import cumulative_momentum

CANNOT_TELL = 125
"""Exit status for a version that cannot be tested, as ``git bisect run`` defines it."""


class Ending:
    """Writes the last statements of a script, which compare the result with the expected value and exit."""

    def __init__(self, finding: Finding, evidence: Evidence, calls: Calls) -> None:
        self._finding, self._evidence, self._calls = finding, evidence, calls

    def lines(self) -> list[str]:
        """Return statements that print the result and end the script."""
        got, expected = self._evidence.got, self._evidence.expected
        if got is None and self._finding.got is not None:
            return [
                'print("cannot tell: no single call is off, but the whole training is; see bnconform replay")',
                f"sys.exit({CANNOT_TELL})",
            ]
        if got is None:
            return [
                "for result in " + " + ".join(f"results_{i}" for i in range(1, len(self._calls.logs) + 1)) + ":",
                "    print(result)",
                'print("every call returned: this script sees no defect")',
                "sys.exit(0)",
            ]
        if self._evidence.value is None and expected is None:
            lines = [f"wrong = bool({self._calls.of(got)})"]
            if "error' " not in got.text:
                lines = [*self._cannot_tell(got), *lines]
            seen = f"seen:       {self._finding.quantity} {self._finding.problem}"
            lines += [f"print({seen!r})", *self._now(got)]
        elif self._evidence.allowed is None:
            assert expected is not None
            zeros = "" if self._evidence.signed_zeros else ", signed_zeros=False"
            lines = self._cannot_tell(got, expected)
            lines += [f"got = {self._calls.of(got)}", f"expected = {self._calls.of(expected)}"]
            lines += [f"wrong = differ(got, expected{zeros})"]
        else:
            lines = self._close(got, expected)
        return [*lines, 'print("the defect is there" if wrong else "the defect is gone")', "sys.exit(wrong)"]

    def _now(self, got: Expression) -> list[str]:
        """Return a line that prints the result that a condition uses."""
        place = find(got.given[0], self._calls.logs)
        if place is None or place.of_case:
            return []
        result = self._calls.reference(got.given[0])
        if not place.key:
            keys = [key for key in ("shares", "overrun") if key in got.text]
            result = f'{result}["{keys[0]}"]' if keys else f'{result}.get("error", {self._y(result)})'
        return [f'print("now:       ", {result})']

    def _y(self, result: str) -> str:
        """Return the y of a result as Python text, or a word for one that is too large to print."""
        large = any(words_of(case.x) for log in self._calls.logs for case in log.cases)
        return '"a result"' if large else f'{result}.get("y")'

    def _close(self, got: Expression, expected: Expression | None) -> list[str]:
        evidence, index = self._evidence, self._finding.index
        value, allowed = evidence.value, evidence.allowed
        assert value is not None
        allowed = np.asarray(allowed, np.float64)
        wide = high(value)
        if got.text == "{}" and isinstance(got.given[0], np.ndarray) and got.given[0].dtype.name in LARGEST:
            dtype: Any = got.given[0].dtype.name
            may_overflow = np.abs(wide) + allowed >= LARGEST[dtype] * (1 + UNIT_ROUNDOFF[dtype])
            allowed = np.where(may_overflow & np.isfinite(wide), np.inf, allowed)
            allowed = np.where(np.isnan(allowed), np.inf, allowed)
        rest = value.lo if isinstance(value, DoubleDouble) else None
        defined, more = self._defined(got) if expected is None else None, ""
        if wide.size > READABLE and index is not None:
            got, expected = got.at(index), None if expected is None else expected.at(index)
            wide, allowed = wide[index], allowed[index]
            rest = None if rest is None else rest[index]
            defined = None if defined is None else f"{defined}[{', '.join(map(str, index))}]"
            more = f", index={list(index)}"
        elif wide.ndim == 0 and index:  # one element that the law selected
            more = f", index={list(index)}"
        lines = self._cannot_tell(got, *([] if expected is None else [expected]))
        lines += [f"got = {self._calls.of(got)}"]
        if expected is None:
            lines += ["# Exact result, rounded to float64:", f"expected = {literal(np.asarray(wide, np.float64))}"]
        else:
            lines += [f"expected = {self._calls.of(expected)}"]
        lines += ["# Allowed rounding error for exactly these numbers:", f"allowed = {literal(allowed)}"]
        if rest is not None and expected is None and np.any(rest):
            lines += ["# Part of the exact value below float64's precision:", f"rest = {literal(np.asarray(rest))}"]
            more += ", rest=rest"
        if defined is not None:
            lines += [f"defined = {defined}", *self._if_other_before(got, rest is not None and ", rest=rest" in more)]
            more += ", defined=defined"
        return [*lines, f"wrong = close(got, expected, allowed{more})"]

    def _defined(self, got: Expression) -> str | None:
        """Return the plain definition of the compared value, if that is an unchanged output of a call."""
        if got.text != "{}" or (place := find(got.given[0], self._calls.logs)) is None or place.of_case:
            return None
        log = self._calls.logs[place.log]
        position = log.order[place.position] if log.order else place.position
        case = log.cases[position]
        if not case.values_per_channel:
            return None
        name, key = self._calls.name(case), place.key
        if log.what in ("second order", "jvp"):
            return f'derivatives({name})["{key}"]'
        if log.what in ("population", "interleaved", "shards") or key.endswith("after"):
            return None
        mean, var = f"{name}.running_mean", f"{name}.running_var"
        start = max((i for i in range(position + 1) if log.cases[i].before != "nothing"), default=0)
        earlier = [i for i in range(start, position) if log.outcomes[i].error is None]
        if log.what == "steps" and earlier and case.running_mean is not None:
            before = f"results_{place.log + 1}[{earlier[-1]}]"
            mean, var = f'{before}["running_mean"]', f'{before}["running_var"]'
        momentum, dialect = case.momentum, self._evidence.claims.dialect
        if case.training:
            trained = [log.cases[i] for i in earlier if log.cases[i].training and log.cases[i].values_per_channel]
            if momentum is None:
                momentum = cumulative_momentum(len(trained) + 1)
            elif dialect.debiased and log.cases[start].before == "reset":
                momentum = debiased_momentum(momentum, len(trained) + 1)
        unbiased = dialect.stored_variance == "unbiased"
        return f'definition({name}, {mean}, {var}, {momentum}, unbiased={unbiased})["{key}"]'

    def _if_other_before(self, got: Expression, has_rest: bool) -> list[str]:
        """Return lines that expect the definition's value if earlier calls now leave other statistics."""
        place = find(got.given[0], self._calls.logs)
        if place is None or (before := self._before(self._calls.logs[place.log], place.position)) is None:
            return []
        outcome = self._calls.logs[place.log].outcomes[before]
        if outcome.running_mean is None or outcome.running_var is None:
            return []
        found, lines = f"results_{place.log + 1}[{before}]", ["# The expected value holds for these statistics:"]
        for name in ("running_mean", "running_var"):
            lines += [f"if differs({found}[{name!r}], {literal(getattr(outcome, name))}):"]
            lines += ["    expected = defined", *(["    rest = 0.0"] if has_rest else [])]
        return lines

    def _before(self, log: CallLog, position: int) -> int | None:
        """Return the last earlier call that left statistics for this one."""
        if log.what != "steps" or log.cases[position].running_mean is None:
            return None
        start = max((i for i in range(position + 1) if log.cases[i].before != "nothing"), default=0)
        earlier = [i for i in range(start, position) if log.outcomes[i].error is None]
        return earlier[-1] if earlier else None

    def _cannot_tell(self, *of: Expression) -> list[str]:
        """Return lines that end the script if a used call raised."""
        places = [find(one, self._calls.logs) for each in of for one in each.given]
        made = [place for place in places if place and not place.of_case]
        names = dict.fromkeys(f"results_{place.log + 1}[{place.position}]" for place in made)
        if not names:
            return []
        return [
            f"for result in ({', '.join(names)},):",
            '    if "error" in result:',
            '        print("cannot tell: the call raised", result["error"])',
            f"        sys.exit({CANNOT_TELL})",
        ]
