"""paddle.nn.BatchNorm1D, 2D and 3D, called eagerly on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any

import numpy as np

from bnconform_adapters.contract import Case, Claims, Finish, Layer, Outcome
from bnconform_adapters.frameworks import import_framework
from bnconform_reference.dialect import PADDLE

CLASSES = {2: "BatchNorm1D", 3: "BatchNorm1D", 4: "BatchNorm2D", 5: "BatchNorm3D"}
_DEFAULT_DTYPE = Lock()
"""The dtype of a layer's parameters is the process's default when it is built."""


class _Paddle:
    name = "paddle"
    claims = Claims(
        dialect=PADDLE,
        dtypes=("float32", "float64"),
        layouts=("contiguous",),
        second_order=("training",),  # in inference it says that there is none
        gradient_subsets=True,
        bitwise=False,  # vector loops and their tails round differently
        float32_scalars=True,
        default_eps=1e-5,
        default_momentum=0.9,
    )

    def layer(self, case: Case) -> Layer:
        built = _build(case)

        def step(case: Case) -> Finish:
            paddle = import_framework("paddle")
            wanted = case.wanted.split() if case.dy is not None else []
            inputs = {"x": paddle.to_tensor(case.x), "weight": built.weight, "bias": built.bias}
            inputs = {name: tensor for name, tensor in inputs.items() if tensor is not None}
            for name, tensor in inputs.items():
                tensor.stop_gradient = f"d{name}" not in wanted
            _train(built, case.training)
            y = built(inputs["x"])
            kept = y.numpy(), built._mean.numpy(), built._variance.numpy()

            def finish() -> Outcome:
                results, given = {"y": y}, dict(inputs)
                if case.dy is not None:
                    given["dy"] = paddle.to_tensor(case.dy)
                    for tensor in inputs.values():
                        tensor.grad = None  # a backward pass adds to what is there
                    paddle.autograd.backward([y], [given["dy"]], retain_graph=True)
                    results |= {f"d{name}": t.grad for name, t in inputs.items() if not t.stop_gradient}
                arrays: dict[str, Any] = {
                    name: None if t is None else t.numpy() for name, t in results.items() if name != "y"
                }
                after = {name: tensor.numpy() for name, tensor in given.items()}
                return Outcome(*kept, **arrays, inputs_after=after, shared=_shared(results, given))

            return finish

        return step

    def second_order(self, case: Case) -> Outcome:
        paddle = import_framework("paddle")
        built = _build(case)
        inputs = {"dx": paddle.to_tensor(case.x), "dweight": built.weight, "dbias": built.bias}
        inputs = {name: tensor for name, tensor in inputs.items() if tensor is not None}
        dy = paddle.to_tensor(case.dy)
        for tensor in (dy, *inputs.values()):
            tensor.stop_gradient = False
        _train(built, case.training)
        once = paddle.grad(built(inputs["dx"]), list(inputs.values()), dy, create_graph=True)
        vectors = {name: paddle.to_tensor(vector) for name, vector in case.cotangents.items()}
        sources = {"ddy": dy} | {name: tensor for name, tensor in inputs.items() if name != "dbias"}
        found = paddle.grad(once, list(sources.values()), [vectors[name] for name in inputs], allow_unused=True)
        named: dict[str, Any] = {
            name: np.zeros(sources[name].shape, case.x.dtype) if tensor is None else tensor.numpy()
            for name, tensor in zip(sources, found, strict=True)
        }
        return Outcome(**named)


def _build(case: Case) -> Any:
    """The layer, with the case's parameters and statistics."""
    paddle = import_framework("paddle")
    if case.momentum is None:
        raise ValueError("momentum is None; Paddle needs a number")
    with _DEFAULT_DTYPE:
        paddle.set_default_dtype("float64" if case.dtype == "float64" else "float32")
        built = getattr(paddle.nn, CLASSES.get(case.x.ndim, "BatchNorm1D"))(
            case.channels,
            momentum=1 - case.momentum,
            epsilon=case.eps,
            weight_attr=None if case.weight is not None else False,
            bias_attr=None if case.bias is not None else False,
        )
    values = {"weight": case.weight, "bias": case.bias, "_mean": case.running_mean, "_variance": case.running_var}
    for name, value in values.items():
        if value is not None:
            getattr(built, name).set_value(value)
    return built


def _train(built: Any, training: bool) -> None:
    if training:
        built.train()
    else:
        built.eval()


def _shared(results: Mapping[str, Any], inputs: Mapping[str, Any]) -> tuple[str, ...]:
    """Which results share memory with an input or with one another, as "y and x"."""
    given = [(name, tensor) for name, tensor in results.items() if tensor is not None and tensor.size]
    others = given + [(name, tensor) for name, tensor in inputs.items() if tensor.size]
    return tuple(
        f"{name} and {other}"
        for i, (name, tensor) in enumerate(given)
        for other, memory in others[i + 1 :]
        if tensor.data_ptr() == memory.data_ptr()
    )


def layer() -> _Paddle:
    """The adapter of paddle.nn.BatchNorm1D, 2D and 3D."""
    return _Paddle()
