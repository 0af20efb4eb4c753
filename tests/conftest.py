"""Tests import frameworks in any order; this one is known to work in one process."""

from importlib.util import find_spec

import pytest
from hypothesis import settings

from bnconform_adapters.frameworks import settle

settle()
if find_spec("triton"):  # as the second after TensorFlow it aborts the process: both bring LLVM
    import triton  # noqa: F401

settings.register_profile("unhurried", deadline=None)  # machines are shared: time is measured in benchmarks only
settings.load_profile("unhurried")

LONG = (
    *("test_bundled.py", "test_fused_compiled.py", "test_diagnosis.py", "test_fail_closed.py", "test_campaign.py"),
    *("test_fused_accuracy.py", "test_worker_faults.py", "test_plugin.py", "test_forms.py", "test_wild.py"),
    *("test_scripts_of_candidates.py", "test_silent_greens.py", "test_zoo.py", "test_foreign_projects.py"),
    *("test_own_process.py", "test_vetting.py", "test_fused_memory.py", "test_fused_autograd.py"),
)
"""Files that take longest; they begin, so that no worker of pytest-xdist is left alone with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))
