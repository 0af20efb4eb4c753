"""What the TensorFlow adapters share: gradients from a tape, and arrays back in canonical axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bnconform_adapters.contract import AnyArray, Case, Finish, Outcome
from bnconform_adapters.memory import channels_last, channels_second


def finish_with_tape(
    case: Case,
    tape: Any,
    x: Any,
    y: Any,
    parameters: Mapping[str, Any],
    statistics: tuple[AnyArray | None, AnyArray | None],
) -> Finish:
    """What is left to do when y is there.

    Parameters
    ----------
    tape : tf.GradientTape
        Persistent, so that a backward pass can be run again.
    x, y : tf.Tensor, channels last
    parameters : mapping of str to tf.Tensor
        Those that are present, under the names of the Case's fields.
    statistics : two arrays or None
        Running mean and variance after the call.
    """
    import tensorflow as tf

    def finish() -> Outcome:
        inputs = {"x": channels_second(x)} | {name: np.array(value) for name, value in parameters.items()}
        found: dict[str, Any] = {}
        if case.dy is not None:
            dy = tf.constant(channels_last(case.dy))
            sources = {"dx": x} | {f"d{name}": value for name, value in parameters.items()}
            found = tape.gradient(y, sources, output_gradients=dy, unconnected_gradients="zero")
            found = {k: channels_second(v) if k == "dx" else np.array(v) for k, v in found.items()}
            inputs["dy"] = channels_second(dy)
        return Outcome(
            y=channels_second(y), running_mean=statistics[0], running_var=statistics[1], **found, inputs_after=inputs
        )

    return finish
