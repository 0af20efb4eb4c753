"""ONNX Runtime: parameters and statistics are initializers and y alone is handed out, as in an exported network."""

from bnconform_adapters.onnx.onnx_models import OUTPUTS, defaults_of, model, node_of
from bnconform_adapters.onnx.onnxruntime_sessions import session
from bnconform_adapters.plain.array_functions import ArrayLayer


class Layer(ArrayLayer):
    """A session for each call, since initializers are constants."""

    def call(self, given, training):
        node, initializers = node_of(self.first, 15, training), {k: v for k, v in given.items() if k != "x"}

        def found(outputs):
            graph = model(node, initializers, outputs).SerializeToString()
            return session(graph).run(None, {"X": given["x"]})

        (y,) = found(OUTPUTS[:1])
        return [y, *found(OUTPUTS)[1:]] if training else [y]  # the statistics by a graph that hands them out, too


def defaults():
    """The operator's defaults, and how a node of it trains."""
    return defaults_of(15)
