"""onnx.reference.ReferenceEvaluator."""

from onnx.reference import ReferenceEvaluator

from bnconform_adapters.plain.array_functions import ArrayLayer
from bnconform_adapters.plain.onnx_models import NAMES, model


class ReferenceLayer(ArrayLayer):
    """The evaluator of a model for each mode."""

    def call(self, given, training):
        evaluator = ReferenceEvaluator(model(self.first, self.opset, training))
        return evaluator.run(None, {NAMES[name]: array for name, array in given.items()})
