"""Import frameworks so that they work together in one process."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

BEFORE = {"tensorflow": ("triton",), "keras": ("triton",)}
"""Modules to import before a framework: TensorFlow and Triton both contain LLVM, and Triton aborts as the second."""

SETTINGS = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "KERAS_BACKEND": "tensorflow",
    "OMP_WAIT_POLICY": "PASSIVE",
    "XLA_FLAGS": "--xla_force_host_platform_device_count=2",  # for layers that synchronise statistics
}
"""Environment variables that frameworks read when they are imported. A variable that the user has set stays.

OpenMP's threads spin by default while they wait. Thousands of small calls become many times slower if another process,
a second worker of pytest-xdist for example, needs the same cores.
"""


def settle() -> None:
    """Set the environment variables that frameworks read, for this process and its child processes."""
    for variable, value in SETTINGS.items():
        os.environ.setdefault(variable, value)


def forget_compiled() -> None:
    """Free the programs that JAX has compiled: 10 MB each, and JAX sets no limit."""
    if jax := sys.modules.get("jax"):
        jax.clear_caches()
        gc.collect()
        with suppress(OSError, AttributeError):  # only glibc has malloc_trim
            ctypes.CDLL(None).malloc_trim(0)


def import_framework(name: str) -> ModuleType:
    """Import a framework's module.

    Raises
    ------
    ImportError
        The module is not installed. Other exceptions of the module pass through.
    """
    settle()
    for other in BEFORE.get(name.partition(".")[0], ()):
        if find_spec(other) is not None:
            import_module(other)
    module = import_module(name)
    if name == "tensorflow":
        _have_two_cpus(module)
    return module


def _have_two_cpus(tf: ModuleType) -> None:
    """Split TensorFlow's CPU into two logical ones, if nothing has used the CPU yet. Sums keep their bits."""
    (cpu, *_), logical = tf.config.list_physical_devices("CPU"), tf.config.LogicalDeviceConfiguration()
    if tf.config.get_logical_device_configuration(cpu) is None:
        with suppress(RuntimeError):  # TensorFlow has already used the CPU
            tf.config.set_logical_device_configuration(cpu, [logical, logical])
