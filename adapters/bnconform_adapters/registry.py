"""The implementations that come with the suite, as a table. Nothing here imports a framework."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module, metadata, util
from pathlib import Path
from shutil import which

from bnconform_adapters.contract import Adapter, AdapterError
from bnconform_adapters.frameworks import settle


@dataclass(frozen=True)
class Entry:
    """One bundled implementation.

    Attributes
    ----------
    name : str
        As `--adapter` takes it.
    factory : str
        ``module:function`` inside this package; calling it makes the adapter.
    packages : mapping of str to str
        Import name to distribution name of what it needs; the first is the implementation itself.
    extra : str
        The project's extra that installs them.
    environment : mapping of str to str, or None
        Variables that are set in a process of its own, where it is imported and called; None where it lives in the
        suite's process with the others.
    slow : bool
        Whether all laws take minutes, so that it is run when it is named or slow ones are asked for.
    """

    name: str
    factory: str
    packages: tuple[tuple[str, str], ...]
    extra: str
    environment: tuple[tuple[str, str], ...] | None = None
    slow: bool = False

    def missing(self) -> list[str]:
        """Distributions that are not installed, found without importing anything."""
        return [dist for module, dist in self.packages if util.find_spec(module) is None]

    @property
    def install(self) -> str:
        """The command that installs what it needs."""
        return f"pip install 'bnconform[{self.extra}]'"

    def versions(self) -> dict[str, str]:
        """Installed versions of what it needs."""
        return {dist: metadata.version(dist) for module, dist in self.packages if util.find_spec(module)}


FILLED_MEMORY = ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0:glibc.malloc.perturb=90")
"""Has the C library fill what it hands out with the byte 0xA5, so that what reads memory that nobody wrote does the
same every time. Read when a process starts."""

_TORCH = (("torch", "torch"),)
_FLAX = (("flax", "flax"), ("jax", "jax"))
_HAIKU = (("haiku", "dm-haiku"), ("jax", "jax"))
_EQUINOX = (("equinox", "equinox"), ("jax", "jax"))
_KERAS = (("keras", "keras"), ("tensorflow", "tensorflow-cpu"))
_KERAS_JAX = (("keras", "keras"), ("jax", "jax"))
_KERAS_TORCH = (("keras", "keras"), *_TORCH)
_TENSORFLOW = (("tensorflow", "tensorflow-cpu"),)
_ONNX = (("onnx", "onnx"),)
_ONNXRUNTIME = (("onnxruntime", "onnxruntime"), *_ONNX)
_TINYGRAD = (("tinygrad", "tinygrad"),)
_TINYGRAD_DEVICE = (("DEV", "CPU" if which("clang") else "PYTHON"), ("PARALLEL", "0"))
"""Its CPU device calls clang. PARALLEL is how many processes it starts to compile, which would run a script again."""

REGISTRY: tuple[Entry, ...] = (
    Entry("reference", "reference_layer:reference", (("numpy", "numpy"),), "torch"),
    Entry("torch", "pytorch_modules:module", _TORCH, "torch"),
    Entry("torch.channels_last", "pytorch_modules:channels_last", _TORCH, "torch"),
    Entry("torch.autocast", "pytorch_modules:autocast", _TORCH, "torch"),
    Entry("torch.functional", "pytorch_functions:functional", _TORCH, "torch"),
    Entry("torch.native", "pytorch_functions:native", _TORCH, "torch", ()),
    Entry("torch.decomp", "pytorch_functions:decomposed", _TORCH, "torch"),
    Entry("torch.vmap", "pytorch_functions:over_models", _TORCH, "torch"),
    Entry("torch.compile", "pytorch_functions:compiled", _TORCH, "torch", (FILLED_MEMORY,), slow=True),
    Entry("fused_triton", "fused_triton.adapter:fused", (("triton", "triton"), *_TORCH), "kernel"),
    Entry("flax.linen", "flax_linen:linen", _FLAX, "jax"),
    Entry("flax.linen.slow", "flax_linen:slow", _FLAX, "jax"),
    Entry("flax.nnx", "flax_nnx:nnx", _FLAX, "jax"),
    Entry("haiku", "haiku_layer:haiku", _HAIKU, "haiku"),
    Entry("equinox.batch", "equinox_layer:batch", _EQUINOX, "equinox"),
    Entry("equinox.ema", "equinox_layer:ema", _EQUINOX, "equinox"),
    Entry("keras.tensorflow", "keras_layer:tensorflow", _KERAS, "tensorflow"),
    Entry("keras.jax", "keras_jax:jax", _KERAS_JAX, "all", (("KERAS_BACKEND", "jax"),)),
    Entry("keras.torch", "keras_torch:torch", _KERAS_TORCH, "all", (("KERAS_BACKEND", "torch"),)),
    Entry("tf.fused", "tensorflow_fused:fused", _TENSORFLOW, "tensorflow"),
    Entry("tf.fused.xla", "tensorflow_fused:xla", _TENSORFLOW, "tensorflow", ()),
    Entry("tf.function", "tensorflow_fused:function", _TENSORFLOW, "tensorflow"),
    Entry("tf.moments", "tensorflow_moments:moments", _TENSORFLOW, "tensorflow"),
    Entry("onnx.reference.9", "onnx_reference:opset_9", _ONNX, "onnx"),
    Entry("onnx.reference.14", "onnx_reference:opset_14", _ONNX, "onnx"),
    Entry("onnx.reference.15", "onnx_reference:opset_15", _ONNX, "onnx"),
    Entry("onnxruntime", "onnx_runtime:runtime", _ONNXRUNTIME, "onnx", environment=()),
    Entry("onnxruntime.exported", "onnx_runtime:exported", _ONNXRUNTIME, "onnx", environment=()),
    Entry("torch.onnx", "torch_onnx:exported", (*_TORCH, *_ONNXRUNTIME), "all", environment=()),
    Entry("openvino", "openvino_inference:inference", (("openvino", "openvino"),), "openvino", environment=()),
    Entry("paddle", "paddle_layer:layer", (("paddle", "paddlepaddle"),), "paddle", environment=()),
    Entry("mlx", "mlx_layer:layer", (("mlx", "mlx"),), "mlx", environment=()),
    Entry("tvm.relax", "tvm_relax:relax", (("tvm", "apache-tvm"),), "tvm", environment=(("TVM_NUM_THREADS", "1"),)),
    Entry("tinygrad", "tinygrad_layer:layer", _TINYGRAD, "tinygrad", _TINYGRAD_DEVICE, slow=True),
)


def find(name: str) -> Entry:
    """Look an entry up by name.

    Raises
    ------
    AdapterError
        No bundled implementation has this name.
    """
    for entry in REGISTRY:
        if entry.name == name:
            return entry
    known = [entry.name for entry in REGISTRY]
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise AdapterError(
        f"unknown adapter {name!r}: {hint}pass one of {', '.join(known)}, or the path of a Python file (PATH.py)"
    )


def create(entry: Entry) -> Adapter:
    """Make the adapter of an entry.

    Raises
    ------
    AdapterError
        What it needs is not installed, or cannot be imported.
    """
    if missing := entry.missing():
        raise AdapterError(f"adapter {entry.name!r} needs {', '.join(missing)}: {entry.install}")
    module, function = entry.factory.split(":")
    adapter: Adapter = getattr(import_module(f"bnconform_adapters.{module}"), function)()
    return adapter


def is_file(spec: str) -> bool:
    """Whether a user's ``NAME|PATH.py[:NAME]`` means a file."""
    return spec.endswith(".py") or ".py:" in spec


def own_process(spec: str) -> bool:
    """Whether what a user named runs in a process of its own: a file, or what cannot live beside the others.

    Raises
    ------
    AdapterError
        No bundled implementation has this name.
    """
    return is_file(spec) or find(spec).environment is not None


def environment(spec: str) -> dict[str, str]:
    """Variables of a process in which the implementation is to run; a file has none."""
    return {} if is_file(spec) else dict(find(spec).environment or ())


def load(spec: str) -> Adapter:
    """Make an adapter from what a user wrote: the name of a bundled one, or ``PATH.py[:NAME]``.

    Raises
    ------
    AdapterError
        There is no such adapter or file, or the file offers nothing to test.
    """
    settle()
    if is_file(spec):
        from bnconform_adapters.candidate import load_candidate

        path, _, attribute = spec.partition(".py:")
        return load_candidate(Path(spec if spec.endswith(".py") else f"{path}.py"), attribute or None)
    return create(find(spec))
