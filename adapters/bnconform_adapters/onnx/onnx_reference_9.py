"""onnx.reference.ReferenceEvaluator at operator set 9."""

from bnconform_adapters.onnx.onnx_models import defaults_of
from bnconform_adapters.onnx.onnx_reference import ReferenceLayer


class Layer(ReferenceLayer):
    """A layer of operator set 9."""

    opset = 9


def defaults():
    """Return the operator's defaults; this operator set has no training mode."""
    return defaults_of(9)
