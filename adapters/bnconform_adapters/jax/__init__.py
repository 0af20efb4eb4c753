"""The table of implementations in JAX; nothing here imports a framework."""

from __future__ import annotations

from dataclasses import replace

from bnconform_adapters.claims import Claims
from bnconform_adapters.entry import Entry
from bnconform_reference.dialect import EQUINOX, FLAX, HAIKU

_FLAX = (("flax", "flax"), ("jax", "jax"))
_HAIKU = (("haiku", "dm-haiku"), ("jax", "jax"))
_EQUINOX = (("equinox", "equinox"), ("jax", "jax"))

LINEN = Claims(
    dialect=FLAX,
    dtypes=("float32", "float64", "float16", "bfloat16"),
    layouts=("contiguous",),
    second_order=("training", "inference"),
    forward_mode=("training", "inference"),
    shards=("equal",),
    devices=2,
    bitwise=False,  # vector loops and their tails round differently
    default_eps=1e-5,
    default_momentum=0.99,
    cost="compiles per shape",
)
NNX = replace(LINEN, dtypes=("float32", "float16", "bfloat16"))  # statistics are float32 for any param_dtype
AVERAGED = replace(
    LINEN,
    dtypes=("float32", "float64"),  # statistics of half x are half, and so are sums
    momentum_min=2.0**-20,  # the weight of the old statistics must be below 1
)
# Haiku's decay_rate has no default.
HAIKU_CLAIMS = replace(AVERAGED, dialect=HAIKU, default_momentum=None)
EQUINOX_BATCH = replace(AVERAGED, dialect=EQUINOX, parameters=("both", "neither"), grade="NT", shards=(), devices=4)
# mode="ema" also trains with the running statistics, so it is another layer in training. mode="legacy" is the same.
EQUINOX_EMA = replace(
    EQUINOX_BATCH,
    modes=("inference",),
    gradients=("inference",),
    second_order=("inference",),
    forward_mode=("inference",),
)

IMPLEMENTATIONS = (
    Entry("flax.linen", "jax.flax_linen", LINEN, _FLAX, "jax"),
    Entry("flax.linen.slow", "jax.flax_linen_slow", replace(LINEN, grade="NT"), _FLAX, "jax"),
    Entry("flax.nnx", "jax.flax_nnx", NNX, _FLAX, "jax"),
    Entry("haiku", "jax.haiku_layer", HAIKU_CLAIMS, _HAIKU, "haiku"),
    Entry("equinox.batch", "jax.equinox_batch", EQUINOX_BATCH, _EQUINOX, "equinox"),
    Entry("equinox.ema", "jax.equinox_ema", EQUINOX_EMA, _EQUINOX, "equinox"),
)
