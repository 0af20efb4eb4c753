"""All laws, by the requirement that each checks."""

from __future__ import annotations

from functools import cache
from importlib import import_module, resources

from bnconform.judging.law import Law


@cache
def laws() -> dict[str, Law]:
    """Return all laws of the suite's test modules, by requirement."""
    names = sorted(file.name for file in resources.files("bnconform.laws").iterdir() if file.name.startswith("test_"))
    modules = [import_module(f"bnconform.laws.{name.removesuffix('.py')}") for name in names if name.endswith(".py")]
    found = [test.law for module in modules for test in vars(module).values() if hasattr(test, "law")]
    assert len({law.requirement for law in found}) == len(found), "two laws of one requirement"
    return {law.requirement: law for law in found}


@cache
def by_test() -> dict[str, Law]:
    """Return all laws, by the names of their tests."""
    return {law.function.__name__: law for law in laws().values()}
