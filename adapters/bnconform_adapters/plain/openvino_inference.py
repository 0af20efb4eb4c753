"""OpenVINO's BatchNormInference on the CPU."""

import openvino
import openvino.opset5 as operators

from bnconform_adapters.plain.array_functions import ArrayLayer


class Layer(ArrayLayer):
    """A model of one operation for each shape, with parameters and statistics as inputs."""

    def call(self, given, training):
        if training:
            raise NotImplementedError("BatchNormInference only infers")
        x = operators.parameter(list(given["x"].shape), given["x"].dtype)
        vectors = [operators.parameter([self.first.x.shape[1]], self.first.running_var.dtype) for _ in range(4)]
        y = operators.batch_norm_inference(x, *vectors, epsilon=self.first.eps)
        settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino.compile_model(openvino.Model([y], [x, *vectors]), "CPU", settings)
        names = ("x", "weight", "bias", "running_mean", "running_var")
        return [compiled.create_infer_request().infer([given[name] for name in names])[0]]
