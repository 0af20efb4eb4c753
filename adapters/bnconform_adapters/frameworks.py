"""Importing frameworks so that they get along in one process."""

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
"""What has to be imported first: TensorFlow and Triton both bring LLVM, and Triton as the second aborts."""

SETTINGS = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "KERAS_BACKEND": "tensorflow",
    "OMP_WAIT_POLICY": "PASSIVE",
    "XLA_FLAGS": "--xla_force_host_platform_device_count=2",  # for layers that synchronise statistics
}
"""Environment variables that frameworks read when they are imported; what the user has set stays.

OpenMP's threads otherwise spin while they wait, which makes thousands of small calls many times as slow wherever
another process wants the same cores, as a second worker of pytest-xdist does.
"""


def settle() -> None:
    """Set what frameworks are to find when they are imported, here and in processes started from here."""
    for variable, value in SETTINGS.items():
        os.environ.setdefault(variable, value)


def forget_compiled() -> None:
    """Give back the memory of what JAX has compiled: 10 MB for each program, which nothing else bounds."""
    if jax := sys.modules.get("jax"):
        jax.clear_caches()
        gc.collect()
        with suppress(OSError, AttributeError):  # another C library has no such thing
            ctypes.CDLL(None).malloc_trim(0)


def import_framework(name: str) -> ModuleType:
    """Import a framework's module.

    Raises
    ------
    ImportError
        And whatever else the module raises.
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
    """Split TensorFlow's CPU into two logical ones, as long as nothing has used it; sums stay as they are."""
    (cpu, *_), logical = tf.config.list_physical_devices("CPU"), tf.config.LogicalDeviceConfiguration()
    if tf.config.get_logical_device_configuration(cpu) is None:
        with suppress(RuntimeError):  # somebody has used it
            tf.config.set_logical_device_configuration(cpu, [logical, logical])
