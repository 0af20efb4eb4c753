"""Expected state of a layer: its running statistics by the recurrence, call by call."""

from __future__ import annotations

from dataclasses import replace

from bnconform.judging.judge import STATISTICS, Judge
from bnconform_adapters.contract import Case, Outcome
from bnconform_reference.running_statistics import cumulative_momentum


class ExpectedState:
    """Judges each call of one layer by the recurrence, applied to the statistics that the call before left.

    This checks the whole recurrence by induction, and allowed errors do not add up. An empty or refused batch must not
    change the result of a later call.

    If a layer accepts a call that it must refuse, no law defines its state: a cumulative average may have counted the
    call, and buffers may have changed their size. E1 and X2 ask for the refusal. Nothing is judged here until other
    statistics are loaded or the layer is reset.

    Parameters
    ----------
    judge : Judge
    first : Case
        Call that the layer is built for.
    """

    def __init__(self, judge: Judge, first: Case) -> None:
        self._judge = judge
        self._accepted = False
        """Whether this layer ever accepted a call that it had to refuse."""
        self._begin_with(first)

    def _begin_with(self, case: Case) -> None:
        self._channels = case.channels
        self._mean, self._var, self._seen = case.running_mean, case.running_var, 0
        self._new = case.before == "reset"
        self._lost = False

    def why_refused(self, case: Case) -> str:
        """Return why the call must raise, or may raise; empty if the call must return."""
        n, dialect = case.values_per_channel, self._judge.claims.dialect
        if case.channels != self._channels:
            return f"it has {case.channels} channels; the layer has {self._channels}"
        if case.training and n == 0:
            return "it has no values"
        if case.training and n == 1 and dialect.one_value == "raises":
            return "it has one value per channel"
        return ""

    def enter(self, case: Case, outcome: Outcome) -> None:
        """Judge one call."""
        judge = self._judge
        if case.before != "nothing":
            self._begin_with(case)
        if self._lost:
            return
        if why := self.why_refused(case):
            self._refusal(case, outcome, why)
            return
        if outcome.error is not None and self._accepted:
            self._lost = True  # the call accepted before may be the cause
            return
        judge.answered(case, outcome)
        handed_on = case.values_per_channel == 1 and judge.claims.dialect.one_value == "identity"
        self._seen += case.training and not handed_on
        momentum = cumulative_momentum(self._seen) if case.training and case.momentum is None else case.momentum
        now = replace(case, running_mean=self._mean, running_var=self._var, momentum=momentum)
        debiasing = self._new and judge.claims.dialect.debiased
        judge.agrees(now, outcome, ("y", *STATISTICS), batches=max(self._seen, 1) if debiasing else None)
        if case.training:
            self._mean, self._var = outcome.running_mean, outcome.running_var
        else:
            judge.same_bits("running_mean", outcome.running_mean, self._mean, "after inference and before it")
            judge.same_bits("running_var", outcome.running_var, self._var, "after inference and before it")

    def _refusal(self, case: Case, outcome: Outcome, why: str) -> None:
        """Record a call that must raise, or an empty one, which may raise."""
        if outcome.error is not None:
            self._judge.note(case, "was refused")
        elif case.values_per_channel:
            self._judge.note(case, f"was accepted, and must be refused: {why}")
            self._judge.mistrust()
            self._lost = self._accepted = True
