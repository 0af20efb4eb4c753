"""The table of frameworks that have one implementation each; nothing here imports a framework."""

from __future__ import annotations

from dataclasses import replace
from shutil import which

from bnconform_adapters.claims import Claims
from bnconform_adapters.entry import Entry
from bnconform_reference.dialect import PADDLE as PADDLE_DIALECT
from bnconform_reference.dialect import Dialect

_TINYGRAD_DEVICE = (("DEV", "CPU" if which("clang") else "PYTHON"), ("PARALLEL", "0"))
"""Tinygrad's settings. Its CPU device needs clang. PARALLEL is the number of compiler processes; each would run a
script again."""

OPENVINO = Claims(
    dtypes=("float32", "float64"),
    layouts=("contiguous",),
    modes=("inference",),
    gradients=(),
    parameters=("both",),
    bitwise=False,  # vector loops and their tails round differently
    cost="compiles per shape",
)
PADDLE = Claims(
    dialect=PADDLE_DIALECT,
    dtypes=("float32", "float64"),
    layouts=("contiguous",),
    second_order=("training",),  # Paddle reports that inference has no second order
    gradient_subsets=True,
    bitwise=False,  # vector loops and their tails round differently
    float32_scalars=True,
    default_eps=1e-5,
    default_momentum=0.9,
)
MLX = Claims(
    dialect=Dialect(cumulative=False),
    dtypes=("float32", "float64"),  # half x comes back as float32
    ranks=(2, 3, 4),
    layouts=("contiguous",),
    second_order=("training", "inference"),
    forward_mode=("training", "inference"),
    parameters=("both", "neither"),
    untracked=True,
    bitwise=False,  # vector loops and their tails round differently
    default_eps=1e-5,
    default_momentum=0.1,
)
RELAX = Claims(
    dialect=Dialect(stored_variance="biased", one_value="zero_variance", cumulative=False),
    dtypes=("float32", "float64"),
    layouts=("contiguous",),
    gradients=(),
    parameters=("both",),
    bitwise=False,  # vector loops and their tails round differently
    default_eps=1e-5,
    default_momentum=0.1,
    cost="interpreted",  # a second for every new eps or momentum, and nothing for a new shape
)
TINYGRAD = replace(
    MLX,
    dtypes=("float32", "float64"),  # with float32 parameters, y of half x is float32
    ranks=(2, 3, 4, 5),
    forward_mode=(),
    grade="NT",
    gradient_subsets=True,
    bitwise=True,
    cost="interpreted",  # the schedule of a new shape, eps or momentum takes half a second on any device
)

IMPLEMENTATIONS = (
    Entry("openvino", "others.openvino_inference", OPENVINO, (("openvino", "openvino"),), "openvino", environment=()),
    Entry("paddle", "others.paddle_layer", PADDLE, (("paddle", "paddlepaddle"),), "paddle", environment=()),
    Entry("mlx", "others.mlx_layer", MLX, (("mlx", "mlx"),), "mlx", environment=()),
    Entry(
        "tvm.relax", "others.tvm_relax", RELAX, (("tvm", "apache-tvm"),), "tvm", environment=(("TVM_NUM_THREADS", "1"),)
    ),
    Entry(
        "tinygrad",
        "others.tinygrad_layer",
        TINYGRAD,
        (("tinygrad", "tinygrad"),),
        "tinygrad",
        environment=_TINYGRAD_DEVICE,
        slow=True,
    ),
)
