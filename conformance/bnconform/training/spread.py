"""How far a correct implementation's training run may be from the oracle's.

A training run is a smooth map of all numbers that its batch norms round. To first order a noted value is off by
sum(J_i e_i), where |e_i| <= a_i: every call's own allowed error, derived as ever. J is not computed. Members of the
oracle's network that err by a_i in random directions show what comes of it: their values have variance
sigma^2 = sum(J_i^2 a_i^2), and by Hoeffding's inequality (1963, Theorem 2) errors that are independent and centred, as
N4 asks of rounding, exceed t sigma with probability 2 exp(-t^2 / 2) at most. Errors that a channel's numbers share, as
those of its mean, are one error with another J: members that err by channels show theirs, and the larger sigma counts.

Sigma is estimated from J members, whose mean square falls below q sigma^2 with probability (q exp(1 - q))^(J/2) at
most (Chernoff's bound for chi-squared, which the squares of sums of many terms have). What is allowed is t / sqrt(q)
times the estimate, with t and q such that a training run of a correct implementation fails once in a billion times.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import exp, log, sqrt

import numpy as np

from bnconform.judging.oracle import Quantity
from bnconform.training.network import Array, Norm
from bnconform.training.norms import OracleNorm, RoundingNorm
from bnconform.training.training_run import Notes, TrainingRun
from bnconform_adapters.claims import Claims
from bnconform_reference.dialect import Dialect
from bnconform_reference.precision import Grade

HALF = 32
"""Members that draw a sign for every number, and as many that draw one for every channel."""
ALARM = 1e-9
"""Probability that a training run of a correct implementation is failed."""
COURSES = 64
"""Number of cached spreads: more than the implementations of a run share, and few beside those of a campaign."""


def multiple(values: int, half: int = HALF, alarm: float = ALARM) -> float:
    """How many estimated standard deviations `values` numbers may be off by, so that all are with 1 - alarm."""
    each = alarm / (2 * values)
    far = sqrt(2 * log(2 / each))
    low, high = 0.0, 1.0  # of q exp(1 - q), which grows up to 1
    for _ in range(60):
        q = (low + high) / 2
        if q * exp(1 - q) < each ** (2 / half):
            low = q
        else:
            high = q
    return far / sqrt(low)


def expected_run(training_run: TrainingRun, claims: Claims) -> Mapping[str, Quantity]:
    """Values that an implementation of these claims should note on a training run, with their allowed errors."""
    return _expected(training_run, claims.dialect, claims.grade)


@lru_cache(maxsize=COURSES)
def _expected(training_run: TrainingRun, dialect: Dialect, grade: Grade) -> Mapping[str, Quantity]:
    claims, rng = Claims(dialect=dialect, grade=grade), np.random.default_rng((training_run.salt, 2))

    def make_norm(channels: int, spatial: tuple[int, ...]) -> Norm:
        return RoundingNorm(HALF, channels, spatial, training_run.settings, claims, rng)

    notes = training_run.run(make_norm, 1 + 2 * HALF)
    factor = multiple(sum(value[0].size for value in notes.values()))
    # A view would keep all members.
    return {name: Quantity(value[0].copy(), factor * _sigma(value)) for name, value in notes.items()}


def _sigma(members: Array) -> Array:
    """Root mean square of how far the members are from the first one; that of the half that is further."""
    off = np.square(members[1:] - members[0])
    return np.asarray(np.sqrt(np.maximum(off[:HALF].mean(axis=0), off[HALF:].mean(axis=0))))


def oracle_run(training_run: TrainingRun, dialect: Dialect) -> Notes:
    """Train with the oracle's layer in a dialect, and return what the run notes."""
    claims = Claims(dialect=dialect)
    return training_run.run(lambda channels, spatial: OracleNorm(1, channels, training_run.settings, claims))
