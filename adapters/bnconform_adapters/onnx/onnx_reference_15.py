"""onnx.reference.ReferenceEvaluator at operator set 15."""

from bnconform_adapters.onnx.onnx_models import defaults_of
from bnconform_adapters.onnx.onnx_reference import ReferenceLayer


class Layer(ReferenceLayer):
    """A layer of operator set 15."""

    opset = 15


def defaults():
    """Return the operator's defaults, and a function that trains a node."""
    return defaults_of(15)
