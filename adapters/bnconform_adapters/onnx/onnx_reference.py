"""onnx.reference.ReferenceEvaluator."""

from functools import lru_cache

from onnx.reference import ReferenceEvaluator

from bnconform_adapters.onnx.onnx_models import NAMES, node_of, whole_model
from bnconform_adapters.plain.array_functions import ArrayLayer


@lru_cache(maxsize=256)
def evaluator(node):
    return ReferenceEvaluator(whole_model(node))


class ReferenceLayer(ArrayLayer):
    """A layer with one evaluator for each mode."""

    def call(self, given, training):
        node = node_of(self.first, self.opset, training)
        return evaluator(node).run(None, {NAMES[name]: array for name, array in given.items()})
