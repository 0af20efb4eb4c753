"""tf.compat.v1.nn.fused_batch_norm, called eagerly in both of TensorFlow's channels-last forms."""

from __future__ import annotations

import os

import numpy as np

from bnconform_adapters.contract import Case, Claims, Finish, Layer
from bnconform_adapters.memory import channels_last
from bnconform_adapters.tensorflow_arrays import finish_with_tape
from bnconform_reference.dialect import Dialect


class _Fused:
    name = "tf.fused"
    claims = Claims(
        # exponential_avg_factor weighs the new batch; one value per channel blends in a variance of 0.
        dialect=Dialect(stored_variance="unbiased", one_value="zero_variance", cumulative=False),
        dtypes=("float32", "float16", "bfloat16"),
        ranks=(4, 5),
        layouts=("contiguous",),
        parameters=("both",),
        bitwise=False,  # vector loops and their tails round differently
        default_eps=1e-3,
        default_momentum=1.0,
    )

    def layer(self, case: Case) -> Layer:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        weight, bias = tf.constant(case.weight), tf.constant(case.bias)
        state = {"mean": case.running_mean, "var": case.running_var}

        def step(case: Case) -> Finish:
            x = tf.constant(channels_last(case.x))
            with tf.GradientTape(persistent=True) as tape:
                tape.watch([x, weight, bias])
                y, mean, var = tf.compat.v1.nn.fused_batch_norm(
                    x,
                    weight,
                    bias,
                    mean=state["mean"],
                    variance=state["var"],
                    epsilon=case.eps,
                    data_format="NHWC" if case.x.ndim == 4 else "NDHWC",
                    is_training=case.training,
                    exponential_avg_factor=case.momentum,
                )
            if case.training:
                state["mean"], state["var"] = np.array(mean), np.array(var)
            parameters = {"weight": weight, "bias": bias}
            return finish_with_tape(case, tape, x, y, parameters, (state["mean"], state["var"]))

        return step


def fused() -> _Fused:
    """The adapter of TensorFlow's fused batch norm."""
    return _Fused()
