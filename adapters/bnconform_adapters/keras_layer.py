"""keras.layers.BatchNormalization on the TensorFlow backend, channels last, called eagerly."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from bnconform_adapters.contract import Case, Claims, Finish, Layer, Outcome
from bnconform_adapters.frameworks import import_framework
from bnconform_adapters.memory import channels_last
from bnconform_adapters.tensorflow_arrays import finish_with_tape, jvp, second_order
from bnconform_adapters.tensorflow_devices import mirrored, run_mirrored
from bnconform_reference.dialect import KERAS

# Half types as Keras users have them: computation in half, variables in float32.
_POLICY = {"float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}

LAYERS_KEPT = 100
"""Layers until Keras is asked to forget them: TensorFlow keeps kernels for each variable's name, 150 kB a layer."""
_BUILT = count(1)

CLAIMS = Claims(
    dialect=KERAS,
    dtypes=("float32", "float64", "float16", "bfloat16"),
    layouts=("contiguous",),
    second_order=("training", "inference"),
    forward_mode=("training", "inference"),
    shards=("equal", "unequal", "empty"),
    devices=2,
    bitwise=False,  # vector loops and their tails round differently
    default_eps=1e-3,
    default_momentum=0.99,
)


def on_backend(backend: str) -> Any:
    """Keras, if it runs on this backend: it has one in a process, which KERAS_BACKEND chooses.

    Raises
    ------
    RuntimeError
        It runs on another.
    """
    keras = import_framework("keras")

    if (found := keras.backend.backend()) != backend:
        raise RuntimeError(f"Keras runs on {found} here; set KERAS_BACKEND={backend}")
    return keras


def new_layer(dtype: str, parameters: Container[str], axis: int = -1, **settings: Any) -> Any:
    """A layer that is not built yet, with weight and bias as present in `parameters`."""
    keras = import_framework("keras")

    return keras.layers.BatchNormalization(
        axis=axis,
        center="bias" in parameters,
        scale="weight" in parameters,
        dtype=_POLICY.get(dtype, dtype),
        **settings,
    )


def settings_of(case: Case) -> dict[str, Any]:
    """Keras' arguments: its momentum weighs the old statistics."""
    if case.momentum is None:
        raise ValueError("momentum is None; Keras needs a number")
    return {"momentum": 1 - case.momentum, "epsilon": case.eps}


class _KerasTensorFlow:
    name = "keras.tensorflow"
    claims = CLAIMS

    def layer(self, case: Case) -> Layer:
        built, parameters = self._build(case)
        tf = import_framework("tensorflow")

        def step(case: Case) -> Finish:
            x = tf.constant(channels_last(case.x))
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(x)
                y = built(x, training=case.training)
            statistics = np.array(built.moving_mean), np.array(built.moving_variance)
            return finish_with_tape(case, tape, x, y, parameters, statistics)

        return step

    def shards(self, cases: Sequence[Case]) -> list[Outcome]:
        """``synchronized=True`` under a MirroredStrategy, one replica for each shard."""
        strategy = mirrored(len(cases))
        with strategy.scope():
            built, _ = self._build(cases[0], synchronized=True)
        variables = {"dweight": built.gamma, "dbias": built.beta}
        sources = {name: variable.value for name, variable in variables.items() if variable is not None}
        outcomes = run_mirrored(cases, strategy, lambda x: built(x, training=True), sources)
        mean, var = np.array(built.moving_mean), np.array(built.moving_variance)
        return [replace(outcome, running_mean=mean, running_var=var) for outcome in outcomes]

    def second_order(self, case: Case) -> Outcome:
        built, parameters = self._build(case)
        return second_order(case, lambda x: built(x, training=case.training), parameters)

    def jvp(self, case: Case) -> Outcome:
        built, parameters = self._build(case)
        return jvp(case, lambda x: built(x, training=case.training), parameters)

    def _build(self, case: Case, **settings: Any) -> tuple[Any, dict[str, Any]]:
        """The layer, and its variables that are present, under the names of the Case's fields."""
        keras = on_backend("tensorflow")
        if not settings and next(_BUILT) % LAYERS_KEPT == 0:  # not inside a strategy's scope
            keras.backend.clear_session(free_memory=False)
        present = [name for name in ("weight", "bias") if getattr(case, name) is not None]
        built = new_layer(case.dtype, present, **settings_of(case), **settings)
        built.build((None,) * (case.x.ndim - 1) + (case.channels,))
        variables = {"weight": (built.gamma, case.weight), "bias": (built.beta, case.bias)}
        for variable, value in (
            *variables.values(),
            (built.moving_mean, case.running_mean),
            (built.moving_variance, case.running_var),
        ):
            if value is not None:
                variable.assign(value)
        return built, {name: variable.value for name, (variable, value) in variables.items() if value is not None}


def tensorflow() -> _KerasTensorFlow:
    """The adapter of keras.layers.BatchNormalization under TensorFlow."""
    return _KerasTensorFlow()
