"""OpenVINO's BatchNormInference on the CPU, as a model of one operation with parameters as inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from bnconform_adapters.array_functions import array_layer
from bnconform_adapters.contract import AnyArray, Case, Claims, Layer
from bnconform_adapters.frameworks import import_framework

INPUTS = ("x", "weight", "bias", "running_mean", "running_var")


class _Inference:
    name = "openvino"
    claims = Claims(
        dtypes=("float32", "float64"),
        layouts=("contiguous",),
        modes=("inference",),
        gradients=(),
        parameters=("both",),
        bitwise=False,  # vector loops and their tails round differently
        cost="compiles per shape",
    )

    def layer(self, case: Case) -> Layer:
        def call(given: Mapping[str, AnyArray], training: bool) -> Sequence[AnyArray]:
            if training:
                raise NotImplementedError("BatchNormInference only infers")
            parameters = given["running_var"].dtype.name
            compiled = _compiled(given["x"].shape, case.dtype, case.channels, parameters, case.eps)
            return [compiled.create_infer_request().infer([given[name] for name in INPUTS])[0]]

        return array_layer(case, call)


@lru_cache(maxsize=256)
def _compiled(shape: tuple[int, ...], dtype: str, channels: int, parameters: str, eps: float) -> Any:
    """The model for x of this shape, on one thread and in the precision of its numbers."""
    openvino, operators = import_framework("openvino"), import_framework("openvino.opset5")
    x = operators.parameter(list(shape), np.dtype(dtype))
    vectors = [operators.parameter([channels], np.dtype(parameters)) for _ in INPUTS[1:]]
    y = operators.batch_norm_inference(x, *vectors, epsilon=eps)
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    return openvino.compile_model(openvino.Model([y], [x, *vectors]), "CPU", settings)


def inference() -> _Inference:
    """The adapter of BatchNormInference."""
    return _Inference()
