"""ONNX Runtime on the CPU: a node whose parameters are inputs, and graphs as exporters write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from bnconform_adapters.array_functions import array_layer
from bnconform_adapters.contract import AnyArray, Case, Claims, Layer
from bnconform_adapters.frameworks import import_framework
from bnconform_adapters.onnx_models import DIALECT, NAMES, Node, model, model_with, node_of

OPSET = 15
"""The first in which parameters and statistics may be float32 beside float16."""

CLAIMS = Claims(
    dialect=DIALECT,
    dtypes=("float32", "float64", "float16"),
    layouts=("contiguous",),
    gradients=(),
    parameters=("both",),
    bitwise=False,  # vector loops and their tails round differently
    float32_scalars=True,
    default_eps=1e-5,
    default_momentum=0.9,
)


def session(serialized: bytes) -> Any:
    """A session on one thread, which says nothing."""
    runtime = import_framework("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return runtime.InferenceSession(serialized, options, providers=["CPUExecutionProvider"])


@lru_cache(maxsize=256)
def _session(node: Node) -> Any:
    return session(model(node).SerializeToString())


class _Runtime:
    name = "onnxruntime"
    claims = CLAIMS

    def layer(self, case: Case) -> Layer:
        def call(given: Mapping[str, AnyArray], training: bool) -> Sequence[AnyArray]:
            ready = _session(node_of(case, OPSET, training=training))
            found: list[AnyArray] = ready.run(None, {NAMES[name]: array for name, array in given.items()})
            return found

        return array_layer(case, call)


class _Exported:
    """Parameters and statistics are initializers, and y alone is handed out, as in an exported network.

    A second graph hands out the statistics, too; they are taken from there.
    """

    name = "onnxruntime.exported"
    claims = CLAIMS

    def layer(self, case: Case) -> Layer:
        def call(given: Mapping[str, AnyArray], training: bool) -> Sequence[AnyArray]:
            initializers = {name: array for name, array in given.items() if name != "x"}
            node = node_of(case, OPSET, training=training)
            nodes = [replace(node, outputs=1), node] if training else [node]
            graphs = [model_with(one, initializers).SerializeToString() for one in nodes]
            (y,), *rest = (session(graph).run(None, {NAMES["x"]: given["x"]}) for graph in graphs)
            return [y, *(rest[0][1:] if training else ())]

        return array_layer(case, call)


def runtime() -> _Runtime:
    """The adapter of a node whose parameters and statistics are inputs."""
    return _Runtime()


def exported() -> _Exported:
    """The adapter of graphs as exporters write them."""
    return _Exported()
