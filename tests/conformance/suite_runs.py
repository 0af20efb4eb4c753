"""What the tests of the suite share: its laws, candidate files, and runs of the real commands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from bnconform.cli import STARTERS
from bnconform.findings import Broken
from bnconform.law import search
from bnconform.laws import laws
from bnconform.profiles import settings_for
from bnconform.strategies import signature_pool
from bnconform.tally import Tally
from bnconform_adapters.contract import Adapter
from bnconform_adapters.registry import REGISTRY, find

ROOT = Path(__file__).parents[2]
FRAMEWORKS = ("torch", "jax", "flax", "haiku", "equinox", "keras", "tensorflow", "triton")
SEED = 0


def starter(form: str = "numpy") -> str:
    """The text of a form's starter file, a correct candidate."""
    return (resources.files("bnconform") / "starters" / STARTERS[form]).read_text()


def replaced(text: str, edits: Iterable[tuple[str, str]]) -> str:
    """`text` with each old piece, which must occur in it once, replaced by the new one."""
    for old, new in edits:
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        text = text.replace(old, new)
    return text


def judge(
    adapter: Adapter, id: str, *, seed: int = SEED, profile: str = "default", spec: str | None = None
) -> tuple[Broken | None, Tally]:
    """Search one law as a session does, the ledger aside; give what broke and what was counted."""
    tally, claims = Tally(), adapter.claims
    pool = signature_pool(claims, seed)
    settings = settings_for(profile, claims.cost)
    broken = search(laws()[id], adapter, claims, tally=tally, settings=settings, seed=seed, pool=pool, spec=spec)
    return broken, tally


_MODULES = "modules at the end:"
_LOOK = f"""
import sys
import pytest
status = pytest.main(sys.argv[1:])
print({_MODULES!r}, *sys.modules)
sys.exit(status)
"""


APART = [entry.name for entry in REGISTRY if entry.environment is not None]
"""Implementations that need variables set, and so a process of their own."""


def is_elsewhere(name: str) -> bool:
    """Whether an implementation belongs into a process with other variables than this one has."""
    return any(os.environ.get(variable) != value for variable, value in find(name).environment or ())


@dataclass(frozen=True)
class Run:
    """What a command left: its exit status and its two streams."""

    status: int
    out: str
    err: str

    def imported(self) -> set[str]:
        """Modules that were there at the end, where :func:`run_pytest_and_look` ran it."""
        return set(self.out.partition(_MODULES)[2].split())


def run(*arguments: str | Path, cwd: Path, variables: Mapping[str, str] | None = None, given: str | None = None) -> Run:
    """Run this Python with `arguments`, apart from the settings of the run that is going on; `given` is its input."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "HYPOTHESIS", "CI"))}
    environment = kept | {"COLUMNS": "200", "PYTHONIOENCODING": "utf-8"} | dict(variables or {})
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, input=given)
    return Run(done.returncode, done.stdout, done.stderr)


def run_apart(file: str | Path, name: str, cwd: Path) -> Run:
    """Run a file's tests of one implementation in a process that has its variables."""
    selected = ["-k", f"{name} and not apart", "-q", "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml"]
    return run("-m", "pytest", file, *selected, cwd=cwd, variables=dict(find(name).environment or ()))


def run_pytest_and_look(*arguments: str | Path, cwd: Path) -> Run:
    """Run pytest; at the end print which modules were imported."""
    return run("-c", _LOOK, "-p", "no:cacheprovider", *arguments, cwd=cwd)


def conformance(*arguments: str | Path, cwd: Path, variables: Mapping[str, str] | None = None) -> Run:
    """Run the suite with pytest, as its users do."""
    return run(
        "-m", "pytest", "--pyargs", "bnconform", "-p", "no:cacheprovider", *arguments, cwd=cwd, variables=variables
    )
