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
    *(
        "test_fused_compiled.py",
        "test_bundled.py",
        "test_own_process.py",
        "test_worker_faults.py",
        "test_determinism.py",
    ),
    *("test_campaign.py", "test_plugin.py", "test_diagnosis.py", "test_fail_closed.py", "test_silent_greens.py"),
    *("test_fused_autograd.py", "test_report_command.py", "test_budget.py", "test_replay.py", "test_recorded.py"),
)
"""Files that take longest; they begin, so that no worker of pytest-xdist is left alone with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))
