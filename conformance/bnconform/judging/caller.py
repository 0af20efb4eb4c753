"""Calls of the implementation for a law: every call is logged for a finding, and must return or raise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NoReturn

from bnconform.judging.difference import describe_call, marks, mode_of
from bnconform.judging.due import GRADIENTS, STATISTICS, due_shape, missing_derivative, missing_output
from bnconform.judging.evidence import CallLog, Evidence, Pass, What
from bnconform.judging.expression import Expression, any_lacks, lacks, raised, raised_type, returned, shown
from bnconform.judging.findings import Broken, Finding, brief, other_memory, signature
from bnconform.judging.refusals import accident
from bnconform.judging.tally import Tally
from bnconform_adapters.calls import (
    LayerCalls,
    forward_passes,
    jvp,
    population,
    run_steps,
    run_together,
    second_order,
    shards,
)
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import DTYPES, Adapter, AnyArray, Case, Finish, Outcome
from bnconform_adapters.worker.client import run_once
from bnconform_adapters.worker.limits import DEFAULTS, CallOptions, Limits

FLOATING = frozenset(DTYPES.values())


class Caller:
    """Runs the implementation in each example, and raises :class:`Broken` if a call is at fault.

    A call that ends the implementation's process breaks every law, also a law that allows exceptions.

    Parameters
    ----------
    adapter : Adapter
    claims : Claims
        Claims to judge by; usually the adapter's own.
    requirement : str
        Id of the law being judged.
    tally : Tally
        Collects counts and worst errors.
    spec : str or None
        Implementation as `--adapter` takes it, for a new process; None takes the adapter's name.
    calls : CallOptions
        Options for calling a file in a new process.
    """

    def __init__(
        self,
        adapter: Adapter,
        claims: Claims,
        requirement: str,
        tally: Tally,
        spec: str | None = None,
        calls: CallOptions = DEFAULTS,
    ) -> None:
        self.spec = spec or adapter.name
        self._fresh_limits = Limits.of(self.spec, calls)
        self.adapter = adapter
        self.claims = claims
        self.requirement = requirement
        self.tally = tally
        self.last: Broken | None = None
        """Last finding reported."""
        self._steps: tuple[Case, ...] = ()
        self._trusted = True
        self._logs: list[CallLog] = []
        self._notes: dict[int, str] = {}

    def begin(self, steps: tuple[Case, ...]) -> None:
        """Start an example."""
        self._steps, self._trusted, self._logs, self._notes = steps, True, [], {}

    def extend(self, case: Case, call: Callable[[Case], Outcome]) -> Outcome:
        """Make the next call of an example's only layer, whose steps are drawn one by one."""
        self._steps = (*self._steps, case)
        if not self._logs:
            self._logs.append(CallLog("steps", []))
        self._logs[0].cases.append(case)
        outcome = call(case)
        self._logs[0].outcomes.append(outcome)
        return self.came_back(case, outcome)

    def end(self) -> None:
        """Finish an example in which nothing was broken."""
        self.tally.note_example(self._steps, trusted=self._trusted)

    def mistrust(self) -> None:
        """Record that this example could not have failed."""
        self._trusted = False

    def note(self, case: Case, remark: str) -> None:
        """Attach a remark to a call of this example; a finding about this call or a later one shows the remark."""
        self._notes[id(case)] = remark

    def attempt(self, case: Case) -> Outcome:
        """Call a new layer once; the law judges an exception."""
        return self.attempt_steps([case])[0]

    def attempt_steps(self, cases: Sequence[Case]) -> list[Outcome]:
        """Call a new layer with each case; the law judges exceptions."""
        return self._note("steps", cases, run_steps(self.adapter, cases))

    def run(self, case: Case) -> Outcome:
        """Call a new layer once; an exception breaks the law."""
        return self.run_steps((case,))[0]

    def run_steps(self, cases: Sequence[Case]) -> list[Outcome]:
        """Call a new layer with each case; an exception breaks the law."""
        return self._all_answered(cases, self.attempt_steps(cases))

    def run_in_spoilt_memory(self, case: Case) -> Outcome:
        """Call a new layer once, after memory was filled with NaN; an exception breaks the law."""
        outcomes = run_steps(self.adapter, [case], spoilt=True)
        return self.answered(case, self._note("steps in spoilt memory", [case], outcomes)[0])

    def attempt_together(self, cases: Sequence[Case], threads: int) -> list[Outcome]:
        """Call a new layer with each case, from several threads at once; the law judges exceptions."""
        return self._note("together", cases, run_together(self.adapter, cases, threads), threads=threads)

    def shards(self, cases: Sequence[Case]) -> list[Outcome]:
        """Run one step of a new layer over several devices, one case on each; an exception breaks the law."""
        return self._all_answered(cases, self._note("shards", cases, shards(self.adapter, cases)))

    def population(self, cases: Sequence[Case]) -> Outcome:
        """Return the implementation's statistics of a whole data set; an exception breaks the law."""
        return self._returned(self._note("population", cases, [population(self.adapter, cases)])[0])

    def new_layer(self) -> Callable[[Case], Outcome]:
        """Return a function that calls one new layer; each case may depend on earlier results.

        An exception breaks the law.
        """
        note, layer = CallLog("steps", []), LayerCalls(self.adapter)
        self._logs.append(note)

        def call(case: Case) -> Outcome:
            note.cases.append(case)
            note.outcomes.append(layer.call(case))
            return self.answered(case, self.came_back(case, note.outcomes[-1]))

        return call

    def second_order(self, case: Case) -> Outcome:
        """Return second-order gradients of a new layer; an exception breaks the law."""
        outcome = self._returned(self._note("second order", [case], [second_order(self.adapter, case)])[0])
        return self._complete(outcome, missing_derivative(case, outcome))

    def jvp(self, case: Case) -> Outcome:
        """Return the tangent of a new layer's y; an exception breaks the law."""
        outcome = self._returned(self._note("jvp", [case], [jvp(self.adapter, case)])[0])
        return self._complete(outcome, "y_tangent" if outcome.y_tangent is None else None)

    def in_fresh_process(self, case: Case) -> Outcome:
        """Call a new layer once in a new process; the law judges an exception."""
        return self._note("fresh process", [case], [run_once(self.spec, case, self._fresh_limits)])[0]

    def forward_passes(self, cases: Sequence[Case]) -> list[Finish]:
        """Run the forward passes of a new layer; :meth:`finished` runs the rest of each call."""
        log = CallLog("interleaved", list(cases))
        self._logs.append(log)
        return [Pass(log, i, finish) for i, finish in enumerate(forward_passes(self.adapter, cases))]

    def finished(self, finish: Finish) -> Outcome:
        """Run the rest of a call; an exception breaks the law."""
        case = finish.log.cases[finish.number] if isinstance(finish, Pass) else self._steps[0]
        return self.answered(case, self.came_back(case, finish()))

    def comes_back(self, cases: Sequence[Case]) -> None:
        """Call a new layer with each case; break the law only if a call neither returned nor raised."""
        outcomes = run_steps(self.adapter, cases)
        self._logs.append(CallLog("steps", list(cases), outcomes))
        for case, outcome in zip(cases, outcomes, strict=True):
            self._ended(case, outcome)

    def came_back(self, case: Case, outcome: Outcome) -> Outcome:
        """Break the law if a call neither returned nor raised, or if its arrays are not floating-point."""
        self._ended(case, outcome)
        for name in ("y", *STATISTICS, *GRADIENTS):
            array = getattr(outcome, name)
            if array is not None and array.dtype not in FLOATING:
                other = shown(array).dtype_name.not_in(tuple(DTYPES))
                self.broken(name, f"is {signature(array)}; the case asks for floating-point numbers", other)
        return outcome

    def _ended(self, case: Case, outcome: Outcome) -> None:
        if outcome.exit:
            called = "" if case in self._steps else f"; it was called with {brief(case)}"
            self.broken("call", f"{outcome.exit}: {outcome.error}{called}")

    def answered(self, case: Case, outcome: Outcome, when: str = "") -> Outcome:
        """Break the law unless a call returned every output that its case asks for, in the right shapes.

        `when` says how the call was made, if the steps do not show it.
        """
        outcome = self._shaped(case, self._returned(outcome, when))
        return self._complete(outcome, missing_output(case, outcome, self.claims), when)

    def _all_answered(self, cases: Sequence[Case], outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Apply :meth:`answered` to several calls; exceptions first, since they say more."""
        for outcome in outcomes:
            self._returned(outcome)
        return [self.answered(case, outcome) for case, outcome in zip(cases, outcomes, strict=True)]

    def _complete(self, outcome: Outcome, name: str | None, when: str = "") -> Outcome:
        """Break the law if `name` names a missing output."""
        if name is not None:
            self.broken(name, f"is missing{when and ' ' + when}", lacks(outcome, name))
        return outcome

    def _returned(self, outcome: Outcome, when: str = "") -> Outcome:
        """Break the law if a call raised."""
        if outcome.error is not None:
            self.broken("call", f"raised {outcome.error}{when and ' ' + when}", raised(outcome))
        return outcome

    def _note(self, what: What, cases: Sequence[Case], outcomes: list[Outcome], *, threads: int = 0) -> list[Outcome]:
        """Log calls for a finding; break the law if one of them neither returned nor raised."""
        self._logs.append(CallLog(what, list(cases), outcomes, threads=threads))
        for i, outcome in enumerate(outcomes):
            self.came_back(cases[i], outcome)
        return outcomes

    def _shaped(self, case: Case, outcome: Outcome) -> Outcome:
        """Break the law if an output has another shape than the case asks for."""
        for name in ("y", *STATISTICS, *GRADIENTS):
            array = getattr(outcome, name)
            if array is not None and (due := due_shape(case, name)) is not None:
                self._has_shape(name, array, due)
        return outcome

    def _has_shape(self, name: str, array: AnyArray, due: tuple[int, ...]) -> None:
        if array.shape != due:
            other = shown(array).shape.unequal(due)
            self.broken(name, f"is {signature(array)}; the case asks for shape {list(due)}", other)

    def refused(self, outcome: Outcome, what: str) -> None:
        """Break the law unless a call raised on purpose; `what` completes "it returned for"."""
        if outcome.error is None:
            self.broken("call", f"returned for {what}; it must raise", returned(outcome))
        if name := accident(outcome.error, self.claims):
            problem = f"raised {outcome.error} for {what}: an accident, not a refusal; raise ValueError, for example"
            hint = f"or claim refuses_with = [{name!r}]"
            self.broken("call", f"{problem}, {hint}", raised_type(outcome, name))

    def missing(self, name: str) -> NoReturn:
        """Report that an output is missing from a call of the last log."""
        __tracebackhide__ = True
        log = self._logs[-1] if self._logs else None
        self.broken(name, "is missing", any_lacks(log, name) if log else None)

    def broken(self, quantity: str, problem: str, condition: Expression | None = None) -> NoReturn:
        """Report a defect that is not a wrong value; `condition` is true while the defect is present."""
        __tracebackhide__ = True
        finding = Finding(self.requirement, self.adapter.name, quantity, problem)
        self._report(finding, Evidence((), self.claims, condition))

    def _report(self, finding: Finding, evidence: Evidence) -> NoReturn:
        __tracebackhide__ = True
        evidence = replace(evidence, logs=tuple(self._logs))
        if memory := self._other_memory(evidence):
            finding = replace(finding, problem=f"{finding.problem}, in the call with {memory} in memory")
        finding = replace(
            finding,
            mode=mode_of(evidence, self._steps),
            call=describe_call(evidence, self._steps, self._notes),
            marks=marks(evidence, self._steps, self._notes),
        )
        self.last = Broken(finding, self._steps, evidence)
        self.tally.note_broken()
        raise self.last

    def _other_memory(self, evidence: Evidence) -> str:
        """Return the memory layout of the compared arrays, if the steps do not show it."""
        layouts = [other_memory(case, self._steps) for one in evidence.compared if (case := evidence.case_of(one))]
        return next(filter(None, layouts), "")
