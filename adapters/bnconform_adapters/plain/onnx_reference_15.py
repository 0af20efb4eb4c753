"""onnx.reference.ReferenceEvaluator at operator set 15."""

from bnconform_adapters.plain.onnx_reference import ReferenceLayer


class Layer(ReferenceLayer):
    """BatchNormalization of operator set 15."""

    opset = 15
