"""Every implementation's call in plain code, as its users would write it: what reproduction scripts are made of.

Each module imports NumPy and one framework only, and other modules of this folder, which a script takes in. It has
``Layer(case)`` with ``forward(case)``, which returns the rest of the call as a function; where the implementation can,
``Layer.restart(case)``, ``second_order(case)`` and ``jvp(case)``. A case is any object with the fields of
:class:`~bnconform_adapters.contract.Case`; results are dicts by the names of the Outcome's fields, and ``"x after"``
for an input as the call left it; those of candidate files also have ``"shares"`` and ``"overrun"``. Nothing here
knows the adapters: the tests hold the two against each other.
"""

from __future__ import annotations

from importlib import resources

MODULES = {
    "reference": "reference",
    "torch": "torch_module",
    "torch.channels_last": "torch_module",
    "torch.autocast": "torch_autocast",
    "torch.functional": "torch_functional",
    "torch.native": "torch_native",
    "torch.decomp": "torch_decomp",
    "torch.vmap": "torch_vmap",
    "torch.compile": "torch_compile",
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
    "onnx.reference.9": "onnx_reference_9",
    "onnx.reference.14": "onnx_reference_14",
    "onnx.reference.15": "onnx_reference_15",
    "onnxruntime": "onnxruntime_node",
    "onnxruntime.exported": "onnxruntime_exported",
    "torch.onnx": "torch_onnx",
    "openvino": "openvino_inference",
    "paddle": "paddle_layer",
    "mlx": "mlx_layer",
    "tvm.relax": "tvm_relax",
    "tinygrad": "tinygrad_layer",
}
"""The module of each bundled implementation."""

CANDIDATES = {
    "candidate_numpy": (),
    "candidate_torch": ("torch",),
    "candidate_jax": ("jax", "jaxlib"),
    "candidate_module": ("torch",),
    "candidate_kernelbench": ("torch",),
}
"""The modules for what a file holds, and the distributions that each needs beside NumPy."""


def text(module: str) -> str:
    """The source of one of this folder's modules."""
    return (resources.files(__package__) / f"{module}.py").read_text()
