"""Tests import frameworks in any order; this one is known to work in one process."""

from importlib.util import find_spec

from hypothesis import settings

from bnconform_adapters.frameworks import settle

settle()
if find_spec("triton"):  # as the second after TensorFlow it aborts the process: both bring LLVM
    import triton  # noqa: F401

settings.register_profile("unhurried", deadline=None)  # machines are shared: time is measured in benchmarks only
settings.load_profile("unhurried")
