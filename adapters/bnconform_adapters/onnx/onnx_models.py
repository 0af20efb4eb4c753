"""ONNX: models that consist of one BatchNormalization node."""

from collections import namedtuple
from functools import lru_cache

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

NAMES = {"x": "X", "weight": "scale", "bias": "B", "running_mean": "input_mean", "running_var": "input_var"}
OUTPUTS = ("Y", "running_mean", "running_var")
Node = namedtuple("Node", "opset training eps momentum x_dtype dtype rank")


def node_of(case, opset, training):
    """Return the node for a case; momentum weighs the new batch in a case, the old statistics in ONNX."""
    dtypes = case.x.dtype.name, case.running_var.dtype.name
    return Node(opset, training, case.eps, 1 - case.momentum, *dtypes, case.x.ndim)


def model(node, initializers, outputs):
    """Build a model for x of any sizes; parameters and statistics in `initializers` are constants, others inputs."""
    kinds = {"float32": onnx.TensorProto.FLOAT, "float64": onnx.TensorProto.DOUBLE}
    kinds |= {"float16": onnx.TensorProto.FLOAT16, "bfloat16": onnx.TensorProto.BFLOAT16}

    def value(name):
        dtype, rank = (node.x_dtype, node.rank) if name in ("X", "Y") else (node.dtype, 1)
        return helper.make_tensor_value_info(name, kinds[dtype], [None] * rank)

    made = helper.make_node(
        "BatchNormalization",
        list(NAMES.values()),
        list(OUTPUTS if node.training else OUTPUTS[:1]),
        epsilon=node.eps,
        momentum=node.momentum,
        **({"training_mode": 1} if node.training else {}),  # an attribute from operator set 14 on
    )
    graph = helper.make_graph(
        [made],
        "batch_norm",
        [value(NAMES[name]) for name in NAMES if name not in initializers],
        [value(name) for name in outputs],
        [numpy_helper.from_array(array, NAMES[name]) for name, array in initializers.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", node.opset)], ir_version=8)


@lru_cache(maxsize=256)
def whole_model(node):
    """Build a model whose inputs are x, parameters and statistics; in training the statistics are outputs too."""
    return model(node, {}, OUTPUTS if node.training else OUTPUTS[:1])


def defaults_of(opset):
    """Return the operator's defaults, and a function that trains a node."""
    attributes = onnx.defs.get_schema("BatchNormalization", opset).attributes
    eps, momentum = (float(f"{attributes[name].default_value.f:.6g}") for name in ("epsilon", "momentum"))
    found = {"made": f"ONNX's BatchNormalization of opset {opset}", "eps": eps, "momentum": momentum}
    if "training_mode" not in attributes:
        return found
    evaluator = ReferenceEvaluator(whole_model(Node(opset, True, eps, momentum, "float32", "float32", 3)))
    ones, zeros = np.ones(4, np.float32), np.zeros(4, np.float32)
    arrays = dict(zip(list(NAMES.values())[1:], (ones, zeros, zeros, ones)))
    return found | {"train": lambda x: evaluator.run(None, {"X": x} | arrays)[0]}
