"""tf.compat.v1.nn.fused_batch_norm, called eagerly in both of TensorFlow's channels-last forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bnconform_adapters.contract import Case, Claims, Finish, Layer, Outcome
from bnconform_adapters.frameworks import import_framework
from bnconform_adapters.memory import channels_last
from bnconform_adapters.tensorflow_arrays import finish_with_tape, jvp, second_order
from bnconform_reference.dialect import TENSORFLOW_FUSED


class _Fused:
    name = "tf.fused"
    claims = Claims(
        dialect=TENSORFLOW_FUSED,
        dtypes=("float32", "float16", "bfloat16"),
        ranks=(4, 5),
        layouts=("contiguous",),
        second_order=("training", "inference"),
        forward_mode=("training", "inference"),
        parameters=("both",),
        bitwise=False,  # vector loops and their tails round differently
        default_eps=1e-3,
        default_momentum=1.0,
    )

    def layer(self, case: Case) -> Layer:
        call, parameters = self._call(case)
        tf = import_framework("tensorflow")

        state = {"mean": case.running_mean, "var": case.running_var}

        def step(case: Case) -> Finish:
            x = tf.constant(channels_last(case.x))
            with tf.GradientTape(persistent=True) as tape:
                tape.watch([x, *parameters.values()])
                y, mean, var = call(x, state["mean"], state["var"], case.training)
            if case.training:
                state["mean"], state["var"] = np.array(mean), np.array(var)
            return finish_with_tape(case, tape, x, y, parameters, (state["mean"], state["var"]))

        return step

    def second_order(self, case: Case) -> Outcome:
        return second_order(case, *self._function(case))

    def jvp(self, case: Case) -> Outcome:
        return jvp(case, *self._function(case))

    def _function(self, case: Case) -> tuple[Callable[[Any], Any], dict[str, Any]]:
        """y from x alone, and the parameters."""
        call, parameters = self._call(case)
        return lambda x: call(x, case.running_mean, case.running_var, case.training)[0], parameters

    def _call(self, case: Case) -> tuple[Callable[..., Any], dict[str, Any]]:
        """y and the new statistics from x, mean, var and mode; and the parameters."""
        tf = import_framework("tensorflow")

        weight, bias = tf.constant(case.weight), tf.constant(case.bias)

        def call(x: Any, mean: Any, var: Any, training: bool) -> Any:
            return tf.compat.v1.nn.fused_batch_norm(
                x,
                weight,
                bias,
                mean=mean,
                variance=var,
                epsilon=case.eps,
                data_format="NHWC" if case.x.ndim == 4 else "NDHWC",
                is_training=training,
                exponential_avg_factor=case.momentum,
            )

        return call, {"weight": weight, "bias": bias}


def fused() -> _Fused:
    """The adapter of TensorFlow's fused batch norm."""
    return _Fused()
