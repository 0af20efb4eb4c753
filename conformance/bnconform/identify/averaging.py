"""How training moves the running statistics: the weight of a batch, the stored variance, and the first steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from bnconform.cases.fixed_cases import CHANNELS
from bnconform.identify.answers import Answer, Decision, Pairs, decide, shortest_decimal, worst_ratio
from bnconform.identify.probe import WIDEST, Probe, Unanswered, few, got, predicted
from bnconform.judging.oracle import Quantity, forward_pass
from bnconform_adapters.contract import AnyArray, Case, Outcome
from bnconform_reference.dialect import PYTORCH
from bnconform_reference.double_double import Array, high
from bnconform_reference.error_bounds import running_bound
from bnconform_reference.precision import Precision
from bnconform_reference.running_statistics import update

Weight = Callable[[float], float]
"""Weight of the new batch, from the momentum of a Case."""
Stored = Callable[[Array, int, float], Array]
"""The value that enters the running variance, from the biased variance, n and eps; monotone in the variance."""

AS_GIVEN, OPPOSITE, STAYS = "as translated", "the opposite", "the old statistics stay"
WEIGHTS: dict[str, Weight] = {
    AS_GIVEN: lambda m: m,
    OPPOSITE: lambda m: 1 - m,
    "counted twice": lambda m: 1 - (1 - m) ** 2,
    "the new batch replaces": lambda m: 1.0,
    STAYS: lambda m: 0.0,
}
STORED: dict[str, Stored] = {
    "unbiased": lambda v, n, eps: v * (n / (n - 1)),
    "biased": lambda v, n, eps: v,
    "corrected twice": lambda v, n, eps: v * (n / (n - 1)) ** 2,
    "unbiased, plus eps": lambda v, n, eps: v * (n / (n - 1)) + eps,
    "biased, plus eps": lambda v, n, eps: v + eps,
    "unbiased standard deviation": lambda v, n, eps: np.sqrt(v * (n / (n - 1))),
    "biased standard deviation": lambda v, n, eps: np.sqrt(v),
    "(variance + eps) n / (n - 1)": lambda v, n, eps: (v + eps) * (n / (n - 1)),
    "variance n / (n - 1 + eps)": lambda v, n, eps: v * (n / (n - 1 + eps)),
    "1 / sqrt(variance + eps)": lambda v, n, eps: 1 / np.sqrt(v + eps),
    "n / (n - 1) / sqrt(variance + eps)": lambda v, n, eps: n / (n - 1) / np.sqrt(v + eps),
}
NOTHING = "nothing"
OTHER_SENSE = {"new": "old", "old": "new"}

PAIRS = np.array([[-0.5, 1.0], [1.0, 4.0], [2.0, 2.5]])
TRIPLES = np.array([[-0.5, 1.0, 2.0], [1.0, 4.0, 4.5], [2.0, 2.5, 0.5]])


@dataclass(frozen=True, eq=False)
class Step:
    """A training step that returned: its case, which has the old statistics, and the new statistics."""

    case: Case
    mean: AnyArray
    var: AnyArray


def took(case: Case, outcome: Outcome) -> Step:
    """Make a training step from its case and the outcome."""
    return Step(case, got(outcome, "running_mean", case), got(outcome, "running_var", case))


@dataclass(frozen=True)
class Averaging:
    """How one training step moves the statistics.

    Attributes
    ----------
    weights : mapping of str to Weight
        The alternatives; one of them has the constant that the first step shows.
    by_mean : Decision
        Decision between `weights`, by the running mean.
    by_var : Decision
        Decision between pairs of a weight and a stored variance, by the running variance.
    pairs : mapping of str to (str, str)
        The pairs by name.
    seen : str
        A probe in words.
    seen_var : str
    """

    weights: Mapping[str, Weight]
    by_mean: Decision
    by_var: Decision
    pairs: Mapping[str, tuple[str, str]]
    seen: str
    seen_var: str

    @property
    def weight(self) -> Weight | None:
        """The weight of a batch, if it is known."""
        return None if self.by_mean.value is None else self.weights[self.by_mean.value]


def averaging(probe: Probe) -> Averaging:
    """Watch single training steps at two momenta, on n = 2 and n = 3.

    Raises
    ------
    Unanswered
        A step raised, or gave no statistics.
    """
    probe.need("training")
    if not probe.claims.tracked:
        raise Unanswered("it has no running statistics")
    steps = []
    for momentum in (0.25, 0.1):
        for rows in (PAIRS, TRIPLES):
            case = probe.case(
                rows, running_mean=[3.0, -2.0, 0.5], running_var=[2.0, 0.75, 3.0], momentum=momentum, eps=0.25
            )
            steps.append(took(case, probe.run(case)[0]))
    weights = WEIGHTS | own_weight(steps[0])
    by_mean = decide(
        {
            name: [(step.mean, mean_by(step.case, weight(step.case.momentum or 0.0))) for step in steps]
            for name, weight in weights.items()
        }
    )
    pairs: dict[str, tuple[str, str]] = {}
    moved: dict[str, Pairs] = {}
    for name, weight in weights.items():
        for kind, stored in STORED.items() if name != STAYS else [(NOTHING, STORED["biased"])]:
            pair = kind if name == AS_GIVEN else f"{kind} (momentum: {name})"
            pairs[pair] = (kind, name)
            moved[pair] = [(step.var, _var(step.case, weight(step.case.momentum or 0.0), stored)) for step in steps]
    first, last = steps[0], steps[-1]
    assert first.case.running_mean is not None
    assert last.case.running_var is not None
    batch = high(forward_pass(last.case, PYTORCH).values.variance)[0, 0]
    return Averaging(
        weights,
        by_mean,
        decide(moved),
        pairs,
        f"weight 0.25 of the new batch asked for: running_mean {few(first.case.running_mean[:1])} becomes "
        f"{few(first.mean[:1])} where the batch has {first.case.x[:, 0].mean():g}",
        f"n = 3, weight {last.case.momentum:g}: running_var {few(last.case.running_var[:1])} becomes "
        f"{few(last.var[:1])} where the batch's biased variance is {batch:.6g}",
    )


def own_weight(step: Step) -> dict[str, Weight]:
    """The weight that the first step shows, as a constant."""
    assert step.case.running_mean is not None
    old, batch = step.case.running_mean.astype(np.float64), step.case.x.astype(np.float64).reshape(-1, CHANNELS).mean(0)
    seen = float((step.mean.astype(np.float64)[0] - old[0]) / (batch[0] - old[0]))
    if not np.isfinite(seen):
        return {}
    constant = shortest_decimal(seen, lambda m: worst_ratio([(step.mean, mean_by(step.case, m))]) <= 1)
    known = {weight(step.case.momentum or 0.0) for weight in WEIGHTS.values()}
    return {} if constant is None or constant in known else {f"always {constant:g}": lambda m: constant}


def mean_by(case: Case, weight: float) -> Quantity:
    """The running mean after a step that gives the batch this weight."""
    return predicted(replace(case, momentum=weight), "running_mean")


def _var(case: Case, weight: float, stored: Stored) -> Quantity:
    """The running variance, where a function of the batch's variance is stored.

    The variance is known within an interval, whose image is that of what is stored. Four roundings make that: of
    n / (n - 1), the product, the sum with eps, and the root or its reciprocal; the oracle's own, in float64, add as
    many of its own.
    """
    found, precision = forward_pass(case, PYTORCH), Precision.for_dtype(case.dtype, WIDEST)
    v, bound, n = high(found.values.variance), found.bounds(precision).variance, case.values_per_channel
    batch = stored(v, n, case.eps)
    ends = stored(np.maximum(v - bound, 0.0), n, case.eps), stored(v + bound, n, case.eps)
    roundings = 4 * (precision.u + np.finfo(np.float64).eps) * np.abs(batch)
    error = np.maximum(np.abs(ends[0] - batch), np.abs(ends[1] - batch)) + roundings
    allowed = running_bound(found.old_var, batch, error, weight, precision)
    return Quantity(high(update(found.old_var, batch, weight))[:, 0], allowed[:, 0])


def sense_of_momentum(probe: Probe, found: Averaging) -> Answer:
    """The term that the implementation's momentum multiplies."""
    claimed = probe.claims.dialect.momentum_weighs
    senses = {AS_GIVEN: claimed, OPPOSITE: OTHER_SENSE[claimed]}

    def in_words(name: str) -> str:
        return senses.get(name, name)

    value = found.by_mean.words(in_words)
    own = senses.get(found.by_mean.value or "")
    return Answer(
        "momentum weighs",
        value,
        f"{found.seen} ({found.by_mean.errors(in_words)})",
        found.by_mean.status,
        claimed=claimed,
        agrees=None if len(found.by_mean.within) > 1 else own == claimed,
        stated=None if own is None else {"momentum_weighs": own},
        laws=("S1",),
    )


def stored_variance(probe: Probe, found: Averaging) -> Answer:
    """The value that enters the running variance."""
    claimed = probe.claims.dialect.stored_variance
    told = []
    for name in found.by_var.within:
        kind, weight = found.pairs[name]
        alone = weight in (AS_GIVEN, *found.by_mean.within) or kind == NOTHING
        told.append(kind if alone else f"{kind}, and momentum {weight}")
    value = " or ".join(dict.fromkeys(told)) or "none of the known kinds"
    return Answer(
        "stored variance",
        value,
        f"{found.seen_var} ({found.by_var.errors()})",
        found.by_var.status,
        claimed=claimed,
        agrees=None if len(told) > 1 else value == claimed,
        stated={"stored_variance": value} if value in ("unbiased", "biased") else None,
        laws=("S2",),
    )
