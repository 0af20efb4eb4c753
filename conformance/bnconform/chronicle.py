"""The state that a layer should have: its running statistics by the recurrence, call by call."""

from __future__ import annotations

from dataclasses import replace

from bnconform.judge import STATISTICS, Judge, raised
from bnconform_adapters.contract import Case, Outcome
from bnconform_reference.running_statistics import cumulative_momentum


class Chronicle:
    """Holds each call of one layer against the recurrence, applied to the statistics that the call before left.

    Call by call this is the whole recurrence, by induction, and allowed errors do not pile up. An empty batch, or a
    refused one, must leave nothing behind that a later call shows.

    Parameters
    ----------
    judge : Judge
    first : Case
        The call that the layer is built for.
    """

    def __init__(self, judge: Judge, first: Case) -> None:
        self._judge = judge
        self._begin_with(first)

    def _begin_with(self, case: Case) -> None:
        self._channels = case.channels
        self._mean, self._var, self._seen = case.running_mean, case.running_var, 0
        self._new = case.before == "reset"
        self._lost = False

    def refuses(self, case: Case) -> bool:
        """Whether the call must raise, or may: wrong channels, too few values to train on."""
        n, dialect = case.values_per_channel, self._judge.claims.dialect
        return case.channels != self._channels or (
            case.training and (n == 0 or (n == 1 and dialect.one_value == "raises"))
        )

    def _go_on_from(self, outcome: Outcome) -> None:
        """Take over what a call that should have raised left, if the layer can still be told from it what it was."""
        self._mean, self._var, self._seen = outcome.running_mean, outcome.running_var, 0
        fits = all(array is None or array.shape == (self._channels,) for array in (self._mean, self._var))
        self._lost = not fits or (self._new and self._judge.claims.dialect.debiased)

    def enter(self, case: Case, outcome: Outcome) -> None:
        """Judge one call."""
        judge = self._judge
        if case.before != "nothing":
            self._begin_with(case)
        if self._lost:
            return
        if self.refuses(case):
            if outcome.error is None and case.values_per_channel:
                judge.mistrust()  # E1 and X2 ask whether it must raise; what it left is nobody's law
                self._go_on_from(outcome)
            return
        if self._lost:
            return
        if outcome.error is not None:
            judge.broken("call", f"raised {outcome.error}", raised(outcome))
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
