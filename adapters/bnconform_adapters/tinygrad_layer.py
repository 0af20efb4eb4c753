"""tinygrad.nn.BatchNorm, compiled by clang for the CPU where there is a clang, and interpreted in Python elsewhere.

The registry chooses the device when it is imported. On both of them the schedule of a new shape, eps or momentum takes
half a second to make, and sums run in the same order.

The layer, in training or not, only adds to a graph; what realizes an output cuts it off from its inputs, and gradients
asked for then are 0. So y, the statistics and the gradients are realized together, as an optimizer's step does.

Half types are not claimed: beside float32 parameters y is float32, and half parameters have half statistics.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bnconform_adapters.contract import AnyArray, Case, Claims, Layer, Outcome
from bnconform_adapters.frameworks import import_framework
from bnconform_reference.dialect import Dialect

PARAMETERS = ("weight", "bias")
STATISTICS = ("running_mean", "running_var")


class _Tinygrad:
    name = "tinygrad"
    claims = Claims(
        dialect=Dialect(cumulative=False),
        dtypes=("float32", "float64"),
        layouts=("contiguous",),
        second_order=("training", "inference"),
        parameters=("both", "neither"),
        untracked=True,
        grade="NT",
        gradient_subsets=True,
        default_eps=1e-5,
        default_momentum=0.1,
        cost="interpreted",
    )

    def layer(self, case: Case) -> Layer:
        tensor = import_framework("tinygrad").Tensor
        built = _build(case)

        def step(case: Case) -> Any:
            inputs = {"x": tensor(case.x)} | {
                name: one for name in PARAMETERS if (one := getattr(built, name)) is not None
            }
            y = _call(built, inputs["x"], case.training)
            gradients, given = {}, dict(inputs)
            if case.dy is not None:
                given["dy"] = tensor(case.dy)
                wanted = [name for name in inputs if f"d{name}" in case.wanted.split()]
                found = y.gradient(*(inputs[name] for name in wanted), gradient=given["dy"])
                gradients = {f"d{name}": one for name, one in zip(wanted, found, strict=True)}
            kept = {name: getattr(built, name) for name in STATISTICS if hasattr(built, name)}
            results = {"y": y} | kept | gradients
            tensor.realize(*results.values(), built.num_batches_tracked)
            arrays: dict[str, Any] = {name: one.numpy() for name, one in results.items()}
            outcome = Outcome(**arrays, inputs_after={name: one.numpy() for name, one in given.items()})
            return lambda: outcome

        return step

    def second_order(self, case: Case) -> Outcome:
        tensor = import_framework("tinygrad").Tensor
        built = _build(case)
        x, dy, weight = tensor(case.x), tensor(case.dy), built.weight
        targets = [one for one in (x, weight, built.bias) if one is not None]
        once = _call(built, x, case.training).gradient(*targets, gradient=dy)
        vectors = map(tensor, case.cotangents.values())
        sources = {"ddy": dy, "dx": x} | ({} if weight is None else {"dweight": weight})
        total = sum((one * vector).sum() for one, vector in zip(once, vectors, strict=True))
        found = total.gradient(*sources.values())
        tensor.realize(*found)
        named: dict[str, Any] = {
            name: np.broadcast_to(one.numpy(), sources[name].shape) for name, one in zip(sources, found, strict=True)
        }
        return Outcome(**named)


def _build(case: Case) -> Any:
    """The layer, with the case's parameters and statistics."""
    tinygrad, nn = import_framework("tinygrad"), import_framework("tinygrad.nn")
    if case.momentum is None:
        raise ValueError("momentum is None; tinygrad needs a number")
    with tinygrad.Context(DEFAULT_FLOAT="float64" if case.dtype == "float64" else "float32"):
        built = nn.BatchNorm(
            case.channels,
            eps=case.eps,
            affine=case.weight is not None,
            track_running_stats=case.running_mean is not None,
            momentum=case.momentum,
        )
    arrays: dict[str, AnyArray | None] = {name: getattr(case, name) for name in (*PARAMETERS, *STATISTICS)}
    state = {name: tinygrad.Tensor(array) for name, array in arrays.items() if array is not None}
    nn.state.load_state_dict(built, state, strict=False, verbose=False)
    return built


def _call(built: Any, x: Any, training: bool) -> Any:
    with import_framework("tinygrad").Context(TRAINING=int(training)):
        return built(x)


def layer() -> _Tinygrad:
    """The adapter of tinygrad.nn.BatchNorm."""
    return _Tinygrad()
