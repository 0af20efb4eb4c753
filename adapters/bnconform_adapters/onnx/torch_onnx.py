"""torch.nn.BatchNorm1d, 2d and 3d, exported to ONNX and run by ONNX Runtime."""

import io
import warnings
from threading import Lock

import torch

from bnconform_adapters.onnx.onnxruntime_sessions import session
from bnconform_adapters.plain.array_functions import ArrayLayer
from bnconform_adapters.torch.batch_norm_modules import built
from bnconform_adapters.torch.batch_norm_modules import defaults as defaults
from bnconform_adapters.torch.module_layer import ModuleLayer

EXPORTING = Lock()  # the exporter's state is global


class Layer(ArrayLayer):
    """A layer with a session for the exported module of the case."""

    def __init__(self, case):
        super().__init__(case)
        x = torch.ones((2, case.x.shape[1]) + (2,) * (case.x.ndim - 2), dtype=getattr(torch, case.x.dtype.name))
        axes = {axis: f"axis{axis}" for axis in range(case.x.ndim) if axis != 1}
        model, module = io.BytesIO(), ModuleLayer(built(case), case).module.eval()
        with EXPORTING, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # this exporter is deprecated; the new one takes a second for each graph
            torch.onnx.export(
                module, (x,), model, dynamo=False, opset_version=17, input_names=["x"], dynamic_axes={"x": axes}
            )
            self.session = session(model.getvalue())

    def call(self, given, training):
        if training:
            raise NotImplementedError("an exported module has no training mode")
        return self.session.run(None, {"x": given["x"]})
