"""onnx.reference.ReferenceEvaluator at operator set 14."""

from bnconform_adapters.onnx.onnx_models import defaults_of
from bnconform_adapters.onnx.onnx_reference import ReferenceLayer


class Layer(ReferenceLayer):
    """A layer of operator set 14."""

    opset = 14


def defaults():
    """Return the operator's defaults, and a function that trains a node."""
    return defaults_of(14)
