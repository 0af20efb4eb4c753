"""The table of PyTorch's modules and functions, and of this project's kernel. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import replace

from bnconform_adapters.claims import Claims, Layout
from bnconform_adapters.entry import Entry
from bnconform_reference.dialect import Dialect

LAYOUTS: tuple[Layout, ...] = ("contiguous", "channels_last", "transposed", "sliced", "expanded", "far")
"""All layouts but "reversed": a tensor has no negative strides."""

FILLED_MEMORY = ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0:glibc.malloc.perturb=90")
"""A variable that makes the C library fill new memory with the byte 0xA5. A program that reads uninitialized memory
then behaves the same every time. The library reads the variable when a process starts."""

_TORCH = (("torch", "torch"),)


def layouts_on(device: str) -> tuple[Layout, ...]:
    """Return the default layouts to claim; on a device without "far", which takes gigabytes of its memory."""
    return LAYOUTS if device == "cpu" else tuple(layout for layout in LAYOUTS if layout != "far")


FUNCTION = Claims(
    dialect=Dialect(cumulative=False),
    dtypes=("float32", "float64", "float16", "bfloat16"),
    layouts=LAYOUTS,
    second_order=("training", "inference"),
    forward_mode=("training", "inference"),
    strided_statistics=True,
    gradient_subsets=True,
    bitwise=False,  # vector loops and their tails round differently
    default_eps=1e-5,
    default_momentum=0.1,
)
MODULE = replace(FUNCTION, dialect=Dialect(), strided_statistics=False, parameters=("both", "neither"), untracked=True)
NATIVE = replace(FUNCTION, dialect=Dialect(cumulative=False, empty_batch="raises"))
COMPILED = replace(
    FUNCTION,  # a new program for every eps, momentum and layout takes seconds to compile
    dtypes=("float32",),
    ranks=(4,),
    layouts=("contiguous",),
    parameters=("both",),
    second_order=(),
    forward_mode=(),
    strided_statistics=False,
    gradient_subsets=False,
    fixed_eps=1e-3,
    fixed_momentum=0.3,
    cost="compiles per shape",
)
VMAP = replace(FUNCTION, dtypes=("float32", "float64"))  # vmap refuses half x with float32 parameters
CHANNELS_LAST = replace(MODULE, layouts=("channels_last",), ranks=(4, 5))  # the fastest layout of convolutions
DECOMPOSITION = replace(FUNCTION, second_order=(), forward_mode=())

IMPLEMENTATIONS = (
    Entry("torch", "torch.batch_norm_modules", MODULE, _TORCH, "torch"),
    Entry("torch.channels_last", "torch.batch_norm_modules", CHANNELS_LAST, _TORCH, "torch"),
    Entry("torch.autocast", "torch.autocast", MODULE, _TORCH, "torch"),
    Entry("torch.functional", "torch.functional", FUNCTION, _TORCH, "torch"),
    Entry("torch.native", "torch.native_operator", NATIVE, _TORCH, "torch", environment=()),
    Entry("torch.decomp", "torch.decomposition", DECOMPOSITION, _TORCH, "torch"),
    Entry("torch.vmap", "torch.vmap_over_models", VMAP, _TORCH, "torch"),
    Entry("torch.compile", "torch.compiled", COMPILED, _TORCH, "torch", environment=(FILLED_MEMORY,), slow=True),
    Entry(
        "fused_triton",
        "torch.fused_kernel",
        None,
        (("triton", "triton"), *_TORCH),
        "kernel",
        factory="fused_triton.fused_claims:fused",
    ),
)
