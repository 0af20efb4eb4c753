"""onnx.reference.ReferenceEvaluator at operator set 14."""

from bnconform_adapters.plain.onnx_reference import ReferenceLayer


class Layer(ReferenceLayer):
    """BatchNormalization of operator set 14."""

    opset = 14
