"""Every implementation's call in plain code, as its users would write it: what reproduction scripts are made of.

Each module imports NumPy and one framework only, and other modules of this folder, which a script takes in. It has
``Layer(case)`` with ``forward(case)``, which returns the rest of the call as a function; where the implementation can,
``Layer.restart(case)``, ``second_order(case)`` and ``jvp(case)``. A case is any object with the fields of
:class:`~bnconform_adapters.contract.Case`; results are dicts by the names of the Outcome's fields, and ``"x after"``
for an input as the call left it. Nothing here knows the adapters: the tests hold the two against each other.
"""

from __future__ import annotations

from importlib import resources

MODULES = {
    "reference": "reference",
    "torch": "torch_module",
    "torch.functional": "torch_functional",
    "fused_triton": "fused_triton",
    "flax.linen": "flax_linen",
    "flax.linen.slow": "flax_linen_slow",
    "flax.nnx": "flax_nnx",
    "haiku": "haiku_layer",
    "equinox.batch": "equinox_batch",
    "equinox.ema": "equinox_ema",
    "keras.tensorflow": "keras_tensorflow",
    "keras.jax": "keras_jax",
    "keras.torch": "keras_torch",
    "tf.fused": "tf_fused",
    "tf.fused.xla": "tf_fused_xla",
    "tf.function": "tf_function",
    "tf.moments": "tf_moments",
}
"""The module of each bundled implementation."""

CANDIDATE = "candidate_functions"
"""The module for functions on NumPy arrays in a file."""


def text(module: str) -> str:
    """The source of one of this folder's modules."""
    return (resources.files(__package__) / f"{module}.py").read_text()
