"""ONNX: models of one BatchNormalization node."""

import onnx
from onnx import helper, numpy_helper

NAMES = {"x": "X", "weight": "scale", "bias": "B", "running_mean": "input_mean", "running_var": "input_var"}
OUTPUTS = ("Y", "running_mean", "running_var")


def model(case, opset, training, initializers=None, outputs=None):
    """A model for x of the case's rank and dtypes; what are no initializers are inputs."""
    initializers = initializers or {}
    outputs = outputs or (OUTPUTS if training else OUTPUTS[:1])
    kinds = {"float32": onnx.TensorProto.FLOAT, "float64": onnx.TensorProto.DOUBLE}
    kinds |= {"float16": onnx.TensorProto.FLOAT16, "bfloat16": onnx.TensorProto.BFLOAT16}

    def value(name):
        array, rank = (case.x, case.x.ndim) if name in ("X", "Y") else (case.running_var, 1)
        return helper.make_tensor_value_info(name, kinds[array.dtype.name], [None] * rank)

    node = helper.make_node(
        "BatchNormalization",
        list(NAMES.values()),
        list(OUTPUTS if training else OUTPUTS[:1]),
        epsilon=case.eps,
        momentum=1 - case.momentum,  # which weighs the new batch here, the old statistics in ONNX
        **({"training_mode": 1} if training else {}),
    )
    graph = helper.make_graph(
        [node],
        "batch_norm",
        [value(NAMES[name]) for name in NAMES if name not in initializers],
        [value(name) for name in outputs],
        [numpy_helper.from_array(array, NAMES[name]) for name, array in initializers.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
