"""onnx.reference.ReferenceEvaluator at operator set 14."""

from bnconform_adapters.onnx.onnx_models import defaults_of
from bnconform_adapters.onnx.onnx_reference import ReferenceLayer


class Layer(ReferenceLayer):
    """BatchNormalization of operator set 14."""

    opset = 14


def defaults():
    """The operator's defaults, and how a node of it trains."""
    return defaults_of(14)
