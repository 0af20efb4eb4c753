"""mlx.nn.BatchNorm, channels last, on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bnconform_adapters.contract import AnyArray, Case, Claims, Finish, Layer, Outcome
from bnconform_adapters.frameworks import import_framework
from bnconform_adapters.memory import channels_last, channels_second
from bnconform_reference.dialect import Dialect

PARAMETERS = ("weight", "bias")
STATISTICS = ("running_mean", "running_var")
Call = Callable[..., tuple[Any, list[Any]]]


class _Mlx:
    """Gradients are those of a function that calls the layer, as mlx.nn.value_and_grad makes one."""

    name = "mlx"
    claims = Claims(
        dialect=Dialect(cumulative=False),
        dtypes=("float32", "float64"),  # half x comes back as float32
        ranks=(2, 3, 4),
        layouts=("contiguous",),
        second_order=("training", "inference"),
        forward_mode=("training", "inference"),
        parameters=("both", "neither"),
        untracked=True,
        bitwise=False,  # vector loops and their tails round differently
        default_eps=1e-5,
        default_momentum=0.1,
    )

    def layer(self, case: Case) -> Layer:
        mx = import_framework("mlx.core")
        call, parameters = _call(case)
        kept = [_array(array) for name in STATISTICS if (array := getattr(case, name)) is not None]

        def step(case: Case) -> Finish:
            nonlocal kept
            x, before = _array(channels_last(case.x)), kept
            y, kept = call(x, *parameters, statistics=before, training=case.training)
            mx.eval(y, *kept)
            statistics: dict[str, Any] = dict(zip(STATISTICS, map(_numpy, kept), strict=False))

            def finish() -> Outcome:
                inputs = {"x": x} | dict(zip(PARAMETERS, parameters, strict=False))
                found: Sequence[Any] = ()
                if case.dy is not None:
                    inputs["dy"] = dy = _array(channels_last(case.dy))

                    def function(*primals: Any) -> Any:
                        return [call(*primals, statistics=before, training=case.training)[0]]

                    _, found = mx.vjp(function, [x, *parameters], [dy])
                results = dict(zip(("dx", "dweight", "dbias"), found, strict=False))
                after = {name: _canonical(array, name in ("x", "dy")) for name, array in inputs.items()}
                gradients: dict[str, Any] = {name: _canonical(array, name == "dx") for name, array in results.items()}
                return Outcome(y=_canonical(y, True), **statistics, **gradients, inputs_after=after)

            return finish

        return step

    def second_order(self, case: Case) -> Outcome:
        mx = import_framework("mlx.core")
        function, x, parameters = _function(case)
        assert case.dy is not None
        dy = _array(channels_last(case.dy))

        def backward(dy: Any, *primals: Any) -> Any:
            return mx.vjp(function, list(primals), [dy])[1]

        _, found = mx.vjp(backward, [dy, x, *parameters], _vectors(case))
        pairs = zip(("ddy", "dx", "dweight"), found, strict=False)
        named: dict[str, Any] = {name: _canonical(array, name != "dweight") for name, array in pairs}
        return Outcome(**named)

    def jvp(self, case: Case) -> Outcome:
        mx = import_framework("mlx.core")
        function, x, parameters = _function(case)
        return Outcome(y_tangent=_canonical(mx.jvp(function, [x, *parameters], _vectors(case))[1][0], True))


def _call(case: Case) -> tuple[Call, list[Any]]:
    """y and the new statistics from x, parameters and statistics; and the parameters."""
    nn = import_framework("mlx.nn")
    if case.momentum is None:
        raise ValueError("momentum is None; MLX needs a number")
    nn.BatchNorm(case.channels, eps=case.eps)  # refuses what it does not take

    def call(x: Any, *parameters: Any, statistics: Sequence[Any], training: bool) -> tuple[Any, list[Any]]:
        built = nn.BatchNorm(
            case.channels,
            eps=case.eps,
            momentum=case.momentum,
            affine=case.weight is not None,
            track_running_stats=case.running_mean is not None,
        )
        for name, array in (
            *zip(PARAMETERS, parameters, strict=False),
            *zip(STATISTICS, statistics, strict=False),
        ):
            built[name] = array
        y = built.train(training)(x)
        return y, [built[name] for name in STATISTICS if name in built]

    return call, [_array(array) for array in (case.weight, case.bias) if array is not None]


def _function(case: Case) -> tuple[Callable[..., Any], Any, list[Any]]:
    """y from x and the parameters; and those."""
    call, parameters = _call(case)
    kept = [_array(array) for name in STATISTICS if (array := getattr(case, name)) is not None]

    def function(*primals: Any) -> Any:
        return [call(*primals, statistics=kept, training=case.training)[0]]

    return function, _array(channels_last(case.x)), parameters


def _vectors(case: Case) -> list[Any]:
    return [_array(channels_last(v) if name == "dx" else v) for name, v in case.cotangents.items()]


def _array(array: AnyArray) -> Any:
    mx = import_framework("mlx.core")
    dtype = getattr(mx, array.dtype.name)
    return (
        mx.array(array, dtype=dtype) if array.size else mx.zeros(array.shape, dtype)
    )  # the variance of the former hangs


def _numpy(array: Any) -> AnyArray:
    return np.array(array)


def _canonical(array: Any, data: bool) -> AnyArray:
    return channels_second(_numpy(array)) if data else _numpy(array)


def layer() -> _Mlx:
    """The adapter of mlx.nn.BatchNorm."""
    return _Mlx()
