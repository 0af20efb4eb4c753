"""onnx.reference.ReferenceEvaluator at operator set 9."""

from bnconform_adapters.onnx.onnx_models import defaults_of
from bnconform_adapters.onnx.onnx_reference import ReferenceLayer


class Layer(ReferenceLayer):
    """BatchNormalization of operator set 9."""

    opset = 9


def defaults():
    """The operator's defaults, and how a node of it trains."""
    return defaults_of(9)
