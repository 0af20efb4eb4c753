"""Differences between the call that failed and the case that was drawn, as lines for a person.

A law often derives calls from the drawn steps: a weight of wrong length, x without channels, the same call in the other
mode. A case file holds the steps; these lines describe the real call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bnconform.judging.evidence import CallLog, Evidence, find
from bnconform.judging.expression import Expression
from bnconform.judging.findings import SHOWN, number, show, signature
from bnconform_adapters.contract import AnyArray, Case

ARRAYS = ("x", "dy", "weight", "bias", "running_mean", "running_var", "ddx", "ddweight", "ddbias")
HERE = "the finding is about this call"
_INDENT = 10
"""Columns before the text of a line, as in the lines of a case."""


def differences(case: Case, drawn: Case) -> list[str]:
    """Return the differences of a call from a drawn case, except memory layouts; shapes first, since they say most."""
    shapes, values, absent, long = [], [], [], []
    for name in ARRAYS:
        now, before = getattr(case, name), getattr(drawn, name)
        if now is before:
            continue
        if now is None:
            absent.append(f"without {name}")
        elif before is None:
            values.append(f"with {name} {show(now)}")
        elif signature(now) != signature(before):
            shapes.append(f"with {name} {signature(now)} instead of {signature(before)}")
        elif _same(now, before):
            continue
        elif now.size > SHOWN:
            long.append(name)
        else:
            values.append(f"with other values of {name}: {show(now)}")
    if long:
        values.append(f"with other values of {' and '.join(long)}")
    return [*shapes, *_settings(case, drawn), *absent, *values]


def _settings(case: Case, drawn: Case) -> list[str]:
    found = []
    if case.training != drawn.training:
        found.append("in inference instead of training" if drawn.training else "in training instead of inference")
    if case.eps != drawn.eps:
        found.append(f"with eps {number(case.eps)} instead of {number(drawn.eps)}")
    if case.training and case.momentum != drawn.momentum:
        now, before = ("None" if m is None else number(m) for m in (case.momentum, drawn.momentum))
        found.append(f"with momentum {now} instead of {before}")
    if case.wanted != drawn.wanted and case.dy is not None:
        found.append(f"with only {' and '.join(case.wanted.split())} asked for")
    if case.read_only and not drawn.read_only:
        found.append("with arrays that cannot be written")
    return found


def _same(first: AnyArray, second: AnyArray) -> bool:
    return first.tobytes() == second.tobytes()


def describe_call(evidence: Evidence, steps: Sequence[Case], notes: Mapping[int, str]) -> tuple[str, ...]:
    """Describe the call of a finding and the call it is compared with; no lines if the steps show both.

    Parameters
    ----------
    evidence : Evidence
    steps : sequence of Case
        Steps as drawn.
    notes : mapping of int to str
        Remark on a call, under the id of its case.
    """
    lines: list[str] = []
    of_got = _calls_of(evidence.got, evidence)
    for log, position in of_got[:1]:
        lines += _called(log, position, steps, notes)
    others = [call for call in _calls_of(evidence.expected, evidence) if all(call[0] is not log for log, _ in of_got)]
    for log, position in others[:1]:
        if not _shown(log.cases[position], steps):
            lines.append(_line("beside", f"a call {', '.join(_described(log.cases[position], steps))}"))
    return tuple(lines)


def marks(evidence: Evidence, steps: Sequence[Case], notes: Mapping[int, str]) -> tuple[str, ...]:
    """Return a remark for each of several steps: its note, or that the finding is about it."""
    if len(steps) < 2:
        return ()
    at = [log.cases[position] for log, position in _calls_of(evidence.got, evidence)[:1]]
    return tuple(notes.get(id(case)) or (HERE if any(one is case for one in at) else "") for case in steps)


def mode_of(evidence: Evidence, steps: Sequence[Case]) -> str:
    """Return the mode of the call that a finding is about; without such a call, the mode of the last step."""
    at = [log.cases[position] for log, position in _calls_of(evidence.got, evidence)]
    training = (at[0] if at else steps[-1]).training if at or steps else True
    return "training" if training else "inference"


def _calls_of(of: Expression | None, evidence: Evidence) -> list[tuple[CallLog, int]]:
    """Return the calls that a compared expression uses: each call's log, and the number of its case in the log."""
    found = []
    for given in of.given if of else ():
        place = find(given, evidence.logs)
        if place is not None and not place.of_case:
            log = evidence.logs[place.log]
            found.append((log, log.order[place.position] if log.order else place.position))
    return found


def _called(log: CallLog, position: int, steps: Sequence[Case], notes: Mapping[int, str]) -> list[str]:
    made = log.cases[: position + 1] if log.what == "steps" else [log.cases[position]]
    if _all_shown(made, steps):
        return []
    if all(case is made[0] for case in made):  # one call, once or several times
        return _lines("called", _described(made[0], steps))
    lines = []
    first = len(steps) if len(steps) > 1 and _all_shown(made[: len(steps)], steps) else 0
    for i, case in enumerate(made[first:], first + 1):
        raised = _raised(log, i - 1)
        texts = [", ".join(_described(case, steps)), notes.get(id(case)) or raised, HERE if i == len(made) else ""]
        lines.append(_line(f"call {i}", "; ".join(filter(None, texts))))
    return lines


def _all_shown(made: Sequence[Case], steps: Sequence[Case]) -> bool:
    """Return True if the steps show these calls: a single one, or several of one layer in order."""
    if len(made) == 1:
        return _shown(made[0], steps)
    return len(made) <= len(steps) and all(case is step for case, step in zip(made, steps, strict=False))


def _raised(log: CallLog, position: int) -> str:
    outcome = log.outcomes[position] if not log.order and position < len(log.outcomes) else None
    return "" if outcome is None or outcome.error is None else f"raised {outcome.error}"


def _shown(case: Case, steps: Sequence[Case]) -> bool:
    """Return True if a call is one of the steps, except for memory layouts: the finding's problem names those."""
    return any(case is step or not differences(case, step) for step in steps)


def _described(case: Case, steps: Sequence[Case]) -> list[str]:
    """Describe how a call differs from the most similar step."""
    apart: list[tuple[int, int]] = [(len(differences(case, step)), i) for i, step in enumerate(steps)]
    if not apart:
        return ["not among the steps"]
    fewest, i = min(apart)
    if not fewest:
        return ["as drawn" if len(steps) == 1 else f"as call {i + 1}"]
    found = differences(case, steps[i])
    return found if len(steps) == 1 else [f"as call {i + 1}, but {found[0]}", *found[1:]]


def _lines(head: str, texts: Sequence[str]) -> list[str]:
    return [_line(head if i == 0 else "", text) for i, text in enumerate(texts)]


def _line(head: str, text: str) -> str:
    return f"{head:<{_INDENT}}{text}"
