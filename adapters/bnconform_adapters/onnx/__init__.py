"""The table of runtimes of ONNX' operator; nothing here imports a framework."""

from __future__ import annotations

from dataclasses import replace

from bnconform_adapters.claims import Claims
from bnconform_adapters.entry import Entry
from bnconform_reference.dialect import PYTORCH, Dialect

_ONNX = (("onnx", "onnx"),)
_RUNTIME = (("onnxruntime", "onnxruntime"), *_ONNX)

# By the operator's documentation the variance is the population's, and momentum weighs the old statistics.
OPSET_14 = Claims(
    dialect=Dialect(momentum_weighs="old", stored_variance="biased", one_value="zero_variance", cumulative=False),
    dtypes=("float32", "float64"),
    gradients=(),
    parameters=("both",),
    bitwise=False,  # vector loops and their tails round differently
    float32_scalars=True,
    default_eps=1e-5,
    default_momentum=0.9,
)
# In operator set 9 a node with five outputs trains, but the evaluator returns only one.
OPSET_9 = replace(OPSET_14, modes=("inference",))
# From operator set 15 on, parameters and statistics may be float32 with half x.
OPSET_15 = replace(OPSET_14, dtypes=("float32", "float64", "float16", "bfloat16"))
RUNTIME = replace(OPSET_14, dtypes=("float32", "float64", "float16"), layouts=("contiguous",))
EXPORTED_MODULE = replace(
    RUNTIME, dialect=PYTORCH, modes=("inference",), parameters=("both", "neither"), default_momentum=0.1
)

IMPLEMENTATIONS = (
    Entry("onnx.reference.9", "onnx.onnx_reference_9", OPSET_9, _ONNX, "onnx"),
    Entry("onnx.reference.14", "onnx.onnx_reference_14", OPSET_14, _ONNX, "onnx"),
    Entry("onnx.reference.15", "onnx.onnx_reference_15", OPSET_15, _ONNX, "onnx"),
    Entry("onnxruntime", "onnx.onnxruntime_node", RUNTIME, _RUNTIME, "onnx", environment=()),
    Entry("onnxruntime.exported", "onnx.onnxruntime_exported", RUNTIME, _RUNTIME, "onnx", environment=()),
    Entry("torch.onnx", "onnx.torch_onnx", EXPORTED_MODULE, (("torch", "torch"), *_RUNTIME), "all", environment=()),
)
