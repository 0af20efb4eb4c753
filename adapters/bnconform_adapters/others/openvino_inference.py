"""OpenVINO's BatchNormInference on the CPU."""

from functools import lru_cache

import numpy as np
import openvino
import openvino.opset5 as operators

from bnconform_adapters.plain.array_functions import ArrayLayer

INPUTS = ("x", "weight", "bias", "running_mean", "running_var")


class Layer(ArrayLayer):
    """A layer with a one-operation model for each shape; parameters and statistics are inputs."""

    def call(self, given, training):
        if training:
            raise NotImplementedError("BatchNormInference has no training mode")
        first, dtype = self.first, given["running_var"].dtype.name
        ready = compiled(given["x"].shape, first.x.dtype.name, first.x.shape[1], dtype, first.eps)
        return [ready.create_infer_request().infer([given[name] for name in INPUTS])[0]]


@lru_cache(maxsize=256)
def compiled(shape, x_dtype, channels, dtype, eps):
    """Compile the model for one thread, without a lower precision."""
    x = operators.parameter(list(shape), np.dtype(x_dtype))
    vectors = [operators.parameter([channels], np.dtype(dtype)) for _ in INPUTS[1:]]
    y = operators.batch_norm_inference(x, *vectors, epsilon=eps)
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    return openvino.compile_model(openvino.Model([y], [x, *vectors]), "CPU", settings)
