"""onnx.reference.ReferenceEvaluator at operator set 9."""

from bnconform_adapters.plain.onnx_reference import ReferenceLayer


class Layer(ReferenceLayer):
    """BatchNormalization of operator set 9."""

    opset = 9
