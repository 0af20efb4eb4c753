"""torch.nn.BatchNorm1d, 2d and 3d, exported to ONNX by torch.onnx and run by ONNX Runtime: inference."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from threading import Lock

from bnconform_adapters.array_functions import array_layer
from bnconform_adapters.contract import AnyArray, Case, Claims, Layer
from bnconform_adapters.frameworks import import_framework
from bnconform_adapters.onnx_runtime import session
from bnconform_adapters.pytorch_modules import torch_module
from bnconform_adapters.torch_arrays import to_tensor

OPSET = 17
_ONE_AT_A_TIME = Lock()
"""The exporter has one state for the process; what it made may be run by any thread."""


class _Exported:
    """The exporter by tracing, since the newer one takes a second a graph; both make the same single node."""

    name = "torch.onnx"
    claims = Claims(
        dtypes=("float32", "float64", "float16"),
        layouts=("contiguous",),
        modes=("inference",),
        gradients=(),
        parameters=("both", "neither"),
        bitwise=False,  # vector loops and their tails round differently
        float32_scalars=True,  # what a node's attributes hold
        default_eps=1e-5,
        default_momentum=0.1,
    )

    def layer(self, case: Case) -> Layer:
        with _ONE_AT_A_TIME:
            ready = session(_export(case))

        def call(given: Mapping[str, AnyArray], training: bool) -> Sequence[AnyArray]:
            if training:
                raise NotImplementedError("what is exported only infers")
            found: list[AnyArray] = ready.run(None, {"x": given["x"]})
            return found

        return array_layer(case, call)


def _export(case: Case) -> bytes:
    """The model of a module with the case's parameters and statistics, for x of any sizes."""
    torch = import_framework("torch")
    names = ("weight", "bias", "running_mean", "running_var")
    module = torch_module(case).eval()
    state = {name: to_tensor(array.copy()) for name in names if (array := getattr(case, name)) is not None}
    module.load_state_dict(state | {"num_batches_tracked": torch.tensor(0)})
    x = torch.ones((2, case.channels) + (2,) * (case.x.ndim - 2), dtype=getattr(torch, case.dtype))
    free = {axis: f"axis{axis}" for axis in range(case.x.ndim) if axis != 1}
    model = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated
        torch.onnx.export(
            module, (x,), model, dynamo=False, opset_version=OPSET, input_names=["x"], dynamic_axes={"x": free}
        )
    return model.getvalue()


def exported() -> _Exported:
    """The adapter of exported modules."""
    return _Exported()
