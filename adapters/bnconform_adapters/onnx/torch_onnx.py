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

EXPORTING = Lock()  # the exporter has one state for the process


class Layer(ArrayLayer):
    """A session for the module that the case asks for."""

    def __init__(self, case):
        super().__init__(case)
        x = torch.ones((2, case.x.shape[1]) + (2,) * (case.x.ndim - 2), dtype=getattr(torch, case.x.dtype.name))
        axes = {axis: f"axis{axis}" for axis in range(case.x.ndim) if axis != 1}
        model, module = io.BytesIO(), ModuleLayer(built(case), case).module.eval()
        with EXPORTING, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is deprecated; the newer one takes a second a graph
            torch.onnx.export(
                module, (x,), model, dynamo=False, opset_version=17, input_names=["x"], dynamic_axes={"x": axes}
            )
            self.session = session(model.getvalue())

    def call(self, given, training):
        if training:
            raise NotImplementedError("what is exported only infers")
        return self.session.run(None, {"x": given["x"]})
