"""A correct implementation that does what any claims say, and notes what it was asked for without a claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from asked import unclaimed, wrong

from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import DTYPES, AnyArray, Case, Finish, Layer, Outcome, parameter_dtype
from bnconform_adapters.plain.calling import overrun, place, shared
from bnconform_adapters.plain.cotangents import cotangents as vectors_of
from bnconform_reference.channel_axes import channel_column, channel_rows, from_channel_rows
from bnconform_reference.debiasing import debiased_momentum
from bnconform_reference.definition import (
    Gradients,
    Normalized,
    backward_inference,
    backward_training,
    forward_inference,
    forward_training,
)
from bnconform_reference.double_double import DoubleDouble, Real, exactly, high
from bnconform_reference.running_statistics import cumulative_momentum, stored_variance, update
from bnconform_reference.second_order import (
    Cotangents,
    double_backward_inference,
    double_backward_training,
    jvp_inference,
    jvp_training,
)

STATISTICS = ("running_mean", "running_var")
LARGE = 1e140
"""Values of float64 whose squares Dekker's splitting cannot multiply."""


class Honest:
    """An adapter that does what its claims say.

    Sums of a grade N are NumPy's, in the accumulation dtype; better grades are computed in float64 or double-double.

    Attributes
    ----------
    unclaimed : list of str
        What it was asked for though it is not claimed.
    """

    def __init__(self, claims: Claims) -> None:
        self.name = "honest"
        self.claims = claims
        self.unclaimed: list[str] = []

    def layer(self, case: Case) -> Layer:
        """See :class:`~bnconform_adapters.contract.Adapter`."""
        return _Layer(self, case)

    def second_order(self, case: Case) -> Outcome:
        """Gradients of a backward pass."""
        self.asked(case, "second_order")
        assert case.dy is not None
        forward, cotangents, weight, given = self._derived(case)
        double = double_backward_training if case.training else double_backward_inference
        dy = channel_rows(place(case.dy, case.dy_layout))
        found = double(cotangents, dy, weight, forward, exact=case.dtype == "float64")
        return Outcome(
            ddy=_as_x(found.ddy, case),
            dx=_as_x(found.dx, case),
            dweight=None if case.weight is None else _as_parameter(found.dweight, case),
            inputs_after=given | {"dy": case.dy.copy()},
        )

    def jvp(self, case: Case) -> Outcome:
        """The tangent of y."""
        self.asked(case, "forward_mode")
        forward, tangents, weight, given = self._derived(case)
        if case.training:
            tangent = jvp_training(tangents, weight, forward, exact=case.dtype == "float64")
        else:
            tangent = jvp_inference(tangents, weight, forward)
        return Outcome(y_tangent=_as_x(tangent, case), inputs_after=given)

    def _derived(self, case: Case) -> tuple[Normalized, Cotangents, AnyArray, dict[str, AnyArray]]:
        """A forward pass, what is contracted with, weight, and what belongs to the caller."""
        x, vectors, exact = channel_rows(place(case.x, case.layout)), vectors_of(case), case.dtype == "float64"
        weight, bias = channel_column(case.weight, case.channels, 1.0), channel_column(case.bias, case.channels, 0.0)
        if case.training:
            forward = forward_training(x, weight, bias, case.eps, exact=exact)
        else:
            mean, var = (channel_column(getattr(case, name), case.channels, 0.0) for name in STATISTICS)
            forward = forward_inference(x, weight, bias, mean, var, case.eps, exact=exact)
        columns = {name: one.astype(np.float64)[:, None] for name, one in vectors.items() if name != "dx"}
        cotangents = Cotangents.of(x.shape, channel_rows(vectors["dx"]), columns.get("dweight"), columns.get("dbias"))
        given = {"x": case.x, "weight": case.weight, "bias": case.bias} | {f"d{k}": one for k, one in vectors.items()}
        return forward, cotangents, weight, {name: one.copy() for name, one in given.items() if one is not None}

    def shards(self, cases: Sequence[Case]) -> list[Outcome]:
        """One step on the whole batch, of which each device has its samples."""
        sizes = [len(case.x) for case in cases]
        kinds = {"empty": 0 in sizes, "unequal": len({*sizes} - {0}) > 1}
        self.need(set(self.claims.shards) >= {kind for kind, there in kinds.items() if there}, f"shards of {sizes}")
        self.need(len(cases) <= self.claims.devices, f"{len(cases)} devices")
        dys = [case.dy for case in cases if case.dy is not None]
        whole = replace(
            cases[0],
            x=np.concatenate([case.x for case in cases]),
            dy=np.concatenate(dys) if dys else None,
            layout="contiguous",
            dy_layout="contiguous",
        )
        for case in cases:
            self.asked(case, shard=True)
        done = _Layer(self, cases[0], checked=False).step(whole)()
        ends = np.cumsum(sizes)
        return [
            self._shard(case, whole, done, slice(end - len(case.x), end)) for case, end in zip(cases, ends, strict=True)
        ]

    def _shard(self, case: Case, whole: Case, done: Outcome, rows: slice) -> Outcome:
        """A device's part of the whole batch's outcome; dweight and dbias are sums over its own samples."""
        assert done.y is not None
        given = {name: getattr(case, name) for name in ("x", "dy", "weight", "bias")}
        own = Outcome(
            done.y[rows].copy(),
            done.running_mean,
            done.running_var,
            inputs_after={name: one.copy() for name, one in given.items() if one is not None},
        )
        if case.dy is None:
            return own
        assert done.dx is not None
        dy, xhat = (
            channel_rows(case.dy),
            high(self.forward(whole, None, None).xhat).reshape(case.channels, len(whole.x), -1),
        )
        mine = xhat[:, rows].reshape(case.channels, -1)
        return replace(
            own,
            dx=done.dx[rows].copy(),
            dweight=None if case.weight is None else _as_parameter((dy * mine).sum(axis=1, keepdims=True), case),
            dbias=None if case.bias is None else _as_parameter(dy.sum(axis=1, keepdims=True), case),
        )

    def population(self, cases: Sequence[Case]) -> Outcome:
        """Statistics of all samples together."""
        rows = np.concatenate([channel_rows(case.x) for case in cases], axis=1)
        like, channels = cases[0], cases[0].channels
        found = forward_training(rows, np.ones((channels, 1)), np.zeros((channels, 1)), like.eps, exact=True)
        stored = stored_variance(found.variance, rows.shape[1], self.claims.dialect)
        return Outcome(running_mean=_as_parameter(found.mean, like), running_var=_as_parameter(stored, like))

    def need(self, claimed: bool, what: str) -> None:
        """Note what is not claimed, and refuse it."""
        if not claimed:
            self.unclaimed.append(what)
            raise AssertionError(f"not claimed: {what}")

    def asked(self, case: Case, derivative: str = "", *, shard: bool = False) -> None:
        """Hold what a call asks for against the claims.

        Raises
        ------
        ValueError
            An argument is wrong, and arguments are checked.
        AssertionError
            Something is not claimed.
        """
        if why := wrong(case):
            self.need(self.claims.checks_arguments, f"a call with {why}")
            raise ValueError(why)
        for what in unclaimed(case, self.claims, derivative, shard=shard):
            self.need(claimed=False, what=what)

    def exact(self, case: Case) -> bool:
        """Whether double-double is needed for the grade."""
        return case.dtype == "float64" and self.claims.grade[0] != "N"

    def wide(self, case: Case) -> Any:
        """The dtype in which rows are computed."""
        return np.float64 if self.claims.grade[0] != "N" else DTYPES[parameter_dtype(case.dtype)]

    def rows(self, array: AnyArray, case: Case) -> AnyArray:
        """x or dy as rows, in the dtype of the computation."""
        return channel_rows(array).astype(self.wide(case))

    def columns(self, case: Case) -> tuple[AnyArray, AnyArray]:
        """Weight and bias as columns."""
        weight, bias = channel_column(case.weight, case.channels, 1.0), channel_column(case.bias, case.channels, 0.0)
        return weight.astype(self.wide(case)), bias.astype(self.wide(case))

    def forward(self, case: Case, mean: AnyArray | None, var: AnyArray | None) -> Normalized:
        """A forward pass, by these statistics or the batch's."""
        x, (weight, bias), given = self.rows(case.x, case), self.columns(case), (mean, var)
        old = [one.astype(self.wide(case))[:, None] for one in given if one is not None]

        def passed(*, exact: bool) -> Normalized:
            if not old:
                return forward_training(x, weight, bias, case.eps, exact=exact)
            return forward_inference(x, weight, bias, old[0], old[1], case.eps, exact=exact)

        if not self.exact(case):
            return passed(exact=False)
        return _where_small(x, passed(exact=True), passed(exact=False))


def _where_small(x: AnyArray, exact: Normalized, plain: Normalized) -> Normalized:
    """The first, but the other for channels whose squares are too large for the products of double-double."""
    small = np.abs(np.where(np.isfinite(x), x, 0.0)).max(axis=1, keepdims=True, initial=0.0) < LARGE

    def chosen(one: Real, other: Real) -> DoubleDouble:
        one, other = exactly(one), exactly(other)
        return DoubleDouble(np.where(small, one.hi, other.hi), np.where(small, one.lo, other.lo))

    return Normalized(*(chosen(getattr(exact, name), getattr(plain, name)) for name in vars(exact)))


def _as_x(rows: Any, case: Case) -> AnyArray:
    return from_channel_rows(high(rows), case.x.shape).astype(case.x.dtype)


def _as_parameter(column: Any, case: Case) -> AnyArray:
    return high(column)[:, 0].astype(DTYPES[parameter_dtype(case.dtype)])


class _Layer:
    """One layer: parameters, running statistics, and how many batches they have seen."""

    def __init__(self, adapter: Honest, case: Case, *, checked: bool = True) -> None:
        if checked:
            adapter.asked(case, shard=True)  # the call itself follows
        self._adapter, self._seen, self._new = adapter, 0, case.before == "reset"
        self._momentum, self._eps = case.momentum, case.eps
        self._parameters = {
            name: place(one, case.parameters_layout)
            for name in ("weight", "bias")
            if (one := getattr(case, name)) is not None
        }
        self._state = {
            name: place(one, case.statistics_layout) for name in STATISTICS if (one := getattr(case, name)) is not None
        }

    def __call__(self, case: Case) -> Finish:
        now: dict[str, Any] = {**self._parameters, **self._state}
        self._adapter.asked(replace(case, **now, momentum=self._momentum))
        return self.step(replace(case, **now))

    def step(self, case: Case) -> Finish:
        """A call whose arguments are right."""
        adapter, n, dialect = self._adapter, case.values_per_channel, self._adapter.claims.dialect
        if case.training and n == 1 and dialect.one_value == "raises":
            raise ValueError("training needs more than one value per channel")
        if case.training and n == 0 and dialect.empty_batch == "raises":
            raise RuntimeError("training needs a batch that is not empty")
        placed = {"x": place(case.x, case.layout), **self._parameters}
        if case.read_only:
            for one in placed.values():
                one.flags.writeable = False
        seen = replace(case, x=placed["x"])
        handed_on = case.training and n == 1 and dialect.one_value == "identity"
        forward: Normalized | None = None
        if handed_on or (case.training and n == 0):
            y = case.x.copy()
        else:
            statistics = (None, None) if case.training else (case.running_mean, case.running_var)
            forward = adapter.forward(seen, *statistics)
            y = _as_x(forward.y, case)
            if case.training and case.running_mean is not None:
                self._move(case, forward)
        kept: dict[str, Any] = {name: one.copy() for name, one in self._state.items()}

        def finish() -> Outcome:
            results: dict[str, Any] = {"y": y}
            if case.dy is not None:
                placed["dy"] = place(case.dy, case.dy_layout)
                results |= self._gradients(case, placed["dy"], forward, handed_on=handed_on)
            return Outcome(
                **kept,
                **results,
                inputs_after={name: one.copy() for name, one in placed.items()},
                shared=tuple(shared(results, placed)),
                overrun=tuple(name for name, one in placed.items() if overrun(one)),
            )

        return finish

    def _move(self, case: Case, forward: Normalized) -> None:
        """The running statistics after a batch."""
        adapter, dialect = self._adapter, self._adapter.claims.dialect
        self._seen += 1
        share = self._momentum
        if share is None:
            share = cumulative_momentum(self._seen)
        elif dialect.momentum_weighs == "old":
            share = 1.0 - (1.0 - share)
        if dialect.debiased and self._new:
            share = debiased_momentum(share, self._seen)
        factor = dialect.bessel_factor(case.values_per_channel)
        for name, found in (("running_mean", forward.mean), ("running_var", forward.variance)):
            old = self._state[name].astype(adapter.wide(case))[:, None]
            by = factor if name == "running_var" else 1.0
            plain = high(update(old, high(found) * by, share))
            new = high(update(exactly(old), exactly(found) * by, share)) if adapter.exact(case) else plain
            self._state[name][...] = _as_parameter(np.where(np.isfinite(new), new, plain), case)

    def _gradients(
        self, case: Case, dy: AnyArray, forward: Normalized | None, *, handed_on: bool
    ) -> dict[str, AnyArray]:
        """The gradients that are asked for, of parameters that are there."""
        adapter, names = self._adapter, case.wanted.split()
        zeros = np.zeros((case.channels, 1))
        if forward is None:
            found = Gradients(channel_rows(dy), zeros, zeros)
        else:
            rows, weight = adapter.rows(dy, case), adapter.columns(case)[0]
            backward = backward_training if case.training else backward_inference
            found = backward(rows, weight, forward, exact=adapter.exact(case))
        results = {"dx": _as_x(found.dx, case)}
        if case.weight is not None:
            results["dweight"] = _as_parameter(found.dweight, case)
        if case.bias is not None:
            results["dbias"] = _as_parameter(found.dbias, case)
        return {name: array for name, array in results.items() if name in names}
