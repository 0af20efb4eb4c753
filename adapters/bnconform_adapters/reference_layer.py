"""The project's own layer, bnconform_reference.BatchNorm, as one more implementation: plain float64 NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace

import numpy as np

from bnconform_adapters.contract import AnyArray, Case, Claims, Finish, Layer, Outcome
from bnconform_adapters.memory import place, shared_pairs
from bnconform_reference.layer import BatchNorm
from bnconform_reference.synchronised import backward_shard, forward_shard, gradient_sums, merged_moments

_VECTORS = ("ddx", "ddweight", "ddbias")


class LayerAdapter:
    """A class that can stand in for bnconform_reference.BatchNorm.

    Parameters
    ----------
    name : str
    make : callable
        Called as BatchNorm is.
    """

    claims = Claims(
        dtypes=("float64",),
        second_order=("training", "inference"),
        forward_mode=("training", "inference"),
        parameters=("both",),
        grade="NW",  # population statistics merge batches by Chan's formula
        population=True,
        shards=("equal", "unequal", "empty"),
        default_eps=1e-5,
        default_momentum=0.1,
    )

    def __init__(self, name: str, make: Callable[..., BatchNorm]) -> None:
        self.name = name
        self._make = make

    def layer(self, case: Case) -> Layer:
        """See :class:`~bnconform_adapters.contract.Adapter`."""
        built = self._build(case)

        def step(case: Case) -> Finish:
            placed = {"x": place(case.x, case.layout)}
            y = (built.train() if case.training else built.eval())(placed["x"].array)
            passed = copy(built)  # with what this call's backward pass needs
            kept = y.copy(), built.running_mean.copy(), built.running_var.copy()

            def finish() -> Outcome:
                results = {"y": y}
                if case.dy is not None:
                    placed["dy"] = place(case.dy, case.dy_layout)
                    results["dx"] = passed.backward(placed["dy"].array)
                    results |= {"dweight": passed.dweight, "dbias": passed.dbias}
                return Outcome(
                    *kept,
                    dx=results.get("dx"),
                    dweight=results.get("dweight"),
                    dbias=results.get("dbias"),
                    inputs_after={n: p.array.copy() for n, p in placed.items()}
                    | {"weight": built.weight.copy(), "bias": built.bias.copy()},
                    shared=shared_pairs(results, {n: p.array for n, p in placed.items()}),
                    overrun=tuple(n for n, p in placed.items() if p.overrun()),
                )

            return finish

        return step

    def second_order(self, case: Case) -> Outcome:
        """Gradients of the backward pass of a new layer."""
        assert case.dy is not None
        built, given = self._called(case)
        given["dy"] = place(case.dy, case.dy_layout).array
        ddx, ddweight, ddbias = (given[name] for name in _VECTORS)
        ddy, dx, dweight = built.double_backward(ddx, ddweight, ddbias, given["dy"])
        return Outcome(ddy=ddy, dx=dx, dweight=dweight, inputs_after=given)

    def jvp(self, case: Case) -> Outcome:
        """The tangent of y of a new layer."""
        built, given = self._called(case)
        return Outcome(y_tangent=built.jvp(*(given[name] for name in _VECTORS)), inputs_after=given)

    def _called(self, case: Case) -> tuple[BatchNorm, dict[str, AnyArray]]:
        """A new layer after a forward pass, and what belongs to the caller: x, the vectors and the parameters."""
        built, x = self._build(case), place(case.x, case.layout).array
        built(x)
        vectors = {f"d{name}": vector.copy() for name, vector in case.cotangents.items()}
        return built, {"x": x, "weight": built.weight, "bias": built.bias, **vectors}

    def _build(self, case: Case) -> BatchNorm:
        built = self._make(case.channels, eps=case.eps, momentum=case.momentum)
        for name in ("weight", "bias", "running_mean", "running_var"):
            array = getattr(case, name)
            if array.shape != (case.channels,):
                raise ValueError(f"{name} has shape {array.shape}; the layer needs ({case.channels},)")
            setattr(built, name, array.copy())

        return built.train() if case.training else built.eval()

    def shards(self, cases: Sequence[Case]) -> list[Outcome]:
        """One step of layers that share their statistics, each with a shard of the batch."""
        whole, built = merged_moments([case.x for case in cases]), [self._build(case) for case in cases]
        passes = [
            forward_shard(case.x, layer.weight, layer.bias, whole, layer.eps)
            for case, layer in zip(cases, built, strict=True)
        ]
        outcomes = []
        for layer, passed in zip(built, passes, strict=True):
            layer.move_statistics(whole)
            outcomes.append(Outcome(passed.y, layer.running_mean, layer.running_var))
        dys = [case.dy for case in cases if case.dy is not None]
        if not dys:
            return outcomes
        parts = [gradient_sums(dy, passed) for dy, passed in zip(dys, passes, strict=True)]
        sums = [np.sum(each, axis=0) for each in zip(*parts, strict=True)]
        return [
            replace(outcome, dx=backward_shard(dy, passed, *sums), dweight=part[1], dbias=part[0])
            for outcome, dy, passed, part in zip(outcomes, dys, passes, parts, strict=True)
        ]

    def population(self, cases: Sequence[Case]) -> Outcome:
        """Running statistics of the data set whose batches are the cases' x."""
        built = self._make().use_population_statistics(case.x for case in cases)
        return Outcome(running_mean=built.running_mean, running_var=built.running_var)


def reference() -> LayerAdapter:
    """The adapter of bnconform_reference.BatchNorm."""
    return LayerAdapter("reference", BatchNorm)
