"""ONNX models of a single BatchNormalization node, as the authors of graphs write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bnconform_adapters.contract import AnyArray, Case
from bnconform_adapters.frameworks import import_framework
from bnconform_reference.dialect import Dialect

NAMES = {"x": "X", "weight": "scale", "bias": "B", "running_mean": "input_mean", "running_var": "input_var"}
"""ONNX's names of a node's inputs, by the Case's."""
OUTPUTS = ("Y", "running_mean", "running_var")
DIALECT = Dialect(momentum_weighs="old", stored_variance="biased", one_value="zero_variance", cumulative=False)
"""The operator's documentation has the population variance, and momentum weighs what was there before."""
IR_VERSION = 8
"""The first that has every operator set from 9 to 15 and bfloat16."""


@dataclass(frozen=True)
class Node:
    """What a node is made of; models of equal ones are built once.

    Attributes
    ----------
    opset : int
    training : bool
        By the attribute training_mode, which there is from operator set 14 on.
    eps : float
    momentum : float
        The operator's own: the weight of the old statistics.
    dtype, parameters : str
        dtypes of x and of the rest.
    rank : int
    outputs : int
        How many of :data:`OUTPUTS` the graph hands out.
    """

    opset: int
    training: bool
    eps: float
    momentum: float
    dtype: str
    parameters: str
    rank: int
    outputs: int


def node_of(case: Case, opset: int, *, training: bool) -> Node:
    """The node for a case; in training the graph hands the statistics out."""
    if case.momentum is None:
        raise ValueError("momentum is None; ONNX needs a number")
    assert case.running_var is not None
    rank, outputs = case.x.ndim, len(OUTPUTS) if training else 1
    momentum, parameters = 1 - case.momentum, case.running_var.dtype.name
    return Node(opset, training, case.eps, momentum, case.dtype, parameters, rank, outputs)


@lru_cache(maxsize=256)
def model(node: Node) -> Any:
    """A model whose inputs are x, of any sizes, and the parameters and statistics."""
    return _model(node, {})


def model_with(node: Node, initializers: Mapping[str, AnyArray]) -> Any:
    """A model whose only input is x; parameters and statistics, by the Case's names, are initializers."""
    return _model(node, initializers)


def _model(node: Node, initializers: Mapping[str, AnyArray]) -> Any:
    onnx = import_framework("onnx")
    helper = onnx.helper

    def value(name: str, dtype: str, rank: int) -> Any:
        kind = getattr(onnx.TensorProto, {"float32": "FLOAT", "float64": "DOUBLE"}.get(dtype, dtype.upper()))
        return helper.make_tensor_value_info(name, kind, [None] * rank)

    made = helper.make_node(
        "BatchNormalization",
        list(NAMES.values()),
        list(OUTPUTS[: len(OUTPUTS) if node.training else 1]),
        epsilon=node.eps,
        momentum=node.momentum,
        **({"training_mode": 1} if node.training else {}),
    )
    vectors = [name for name in NAMES if name != "x" and name not in initializers]
    graph = helper.make_graph(
        [made],
        "batch_norm",
        [value("X", node.dtype, node.rank), *(value(NAMES[name], node.parameters, 1) for name in vectors)],
        [value("Y", node.dtype, node.rank), *(value(name, node.parameters, 1) for name in OUTPUTS[1 : node.outputs])],
        [onnx.numpy_helper.from_array(array, NAMES[name]) for name, array in initializers.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", node.opset)], ir_version=IR_VERSION)
