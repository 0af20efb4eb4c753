"""What the tests of the suite share: its laws, candidate files, and runs of the real commands."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import chdir, closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from unittest.mock import patch

import pytest

from bnconform import cli
from bnconform.cases.strategies import signature_pool
from bnconform.commands.new import STARTERS
from bnconform.judging.findings import Broken
from bnconform.judging.tally import Tally
from bnconform.running.all_laws import laws
from bnconform.running.profiles import settings_for
from bnconform.running.search import search
from bnconform.running.watch import Watch
from bnconform_adapters.contract import Adapter
from bnconform_adapters.registry import REGISTRY, Entry, find
from bnconform_adapters.worker import client
from bnconform_adapters.worker.client import Starter

ROOT = Path(__file__).parents[2]
FRAMEWORKS = (
    *("torch", "jax", "flax", "haiku", "equinox", "keras", "tf_keras", "tensorflow", "triton"),
    *("onnx", "onnxruntime", "openvino", "paddle", "mlx", "tinygrad", "tvm"),
)
SEED = 0
_SHARED = {entry.frameworks[0] for entry in REGISTRY if entry.environment is None}
_ONLY = "BNCONFORM_TEST_ONLY"
"""Names the implementation that a process of its own is started for, see :func:`run_apart`."""


def names_here(names: Iterable[str]) -> list[str]:
    """Return the implementations that get along in one process, or the one that this process is for."""
    only = os.environ.get(_ONLY)
    return [only] if only else [name for name in names if _gets_along(name)]


def names_apart(names: Iterable[str]) -> list[str]:
    """Return the implementations that need a process of their own."""
    return [] if _ONLY in os.environ else [name for name in names if not _gets_along(name)]


def of_this_process(entry: Entry) -> Entry:
    """Return the entry; where this process is for it alone, as one that needs no other process."""
    return replace(entry, environment=None) if os.environ.get(_ONLY) == entry.name else entry


def _gets_along(name: str) -> bool:
    """Return True for an implementation that needs no variables, and whose framework others use in one process."""
    entry = find(name)
    return not entry.environment and entry.frameworks[0] in _SHARED


def run_apart(name: str, *tests: str | Path) -> None:
    """Run the implementation's part of some tests in a process that is for it alone."""
    entry = find(name)
    if missing := entry.missing():
        pytest.skip(f"{name} needs {', '.join(missing)}: {entry.install}")
    variables = dict(entry.environment or ()) | {_ONLY: name}
    done = run("-m", "pytest", *tests, "-q", "-p", "no:cacheprovider", "-k", name, cwd=ROOT, variables=variables)
    assert done.status == 0, done.out + done.err


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
    adapter: Adapter,
    id: str,
    *,
    seed: int = SEED,
    profile: str = "default",
    examples: int | None = None,
    spec: str | None = None,
    watch: Watch | None = None,
) -> tuple[Broken | None, Tally]:
    """Search one law as a session does, the ledger aside; give what broke and what was counted."""
    tally, claims = Tally(), adapter.claims
    pool = signature_pool(claims, seed)
    settings = settings_for(profile, claims.cost, examples=examples)
    law = laws()[id]
    broken = search(law, adapter, claims, tally=tally, settings=settings, seed=seed, pool=pool, spec=spec, watch=watch)
    return broken, tally


@contextmanager
def one_starter() -> Iterator[Starter]:
    """Fork the fresh processes of all files from one process, which imports a framework once; give their starter.

    A fork has called nothing before, whichever file it is for; files of one framework get along.
    """
    starter = Starter(str(ROOT / "any.py"))
    with closing(starter.forkserver), patch.object(client, "_starter_of", lambda spec: starter):
        yield starter


_MODULES = "modules at the end:"
_LOOK = f"""
import sys
import pytest
status = pytest.main(sys.argv[1:])
print({_MODULES!r}, *sys.modules)
sys.exit(status)
"""


@dataclass(frozen=True)
class Run:
    """What a command left: its exit status and its two streams."""

    status: int
    out: str
    err: str

    def imported(self) -> set[str]:
        """Modules that were there at the end, where :func:`run_pytest_and_look` ran it."""
        return set(self.out.partition(_MODULES)[2].split())


def _environment(variables: Mapping[str, str] | None) -> dict[str, str]:
    """The environment apart from the settings of the run that is going on."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "HYPOTHESIS", "CI"))}
    return kept | {"COLUMNS": "200", "PYTHONIOENCODING": "utf-8"} | dict(variables or {})


def run(*arguments: str | Path, cwd: Path, variables: Mapping[str, str] | None = None, given: str | None = None) -> Run:
    """Run this Python with `arguments`, apart from the settings of the run that is going on; `given` is its input."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=_environment(variables),
        capture_output=True,
        text=True,
        check=False,
        input=given,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def command(*arguments: str | Path, cwd: Path, variables: Mapping[str, str] | None = None) -> Run:
    """Run the command `bnconform` in this process, which has imported its modules; what it starts is apart."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    surroundings = patch.dict(os.environ, _environment(variables), clear=True)
    with chdir(cwd), surroundings, redirect_stdout(out), redirect_stderr(err):
        try:
            status = cli.main([*map(str, arguments)])
        except SystemExit as end:  # of argparse
            status = int(end.code or 0)
    return Run(status, *(stream.buffer.getvalue().decode() for stream in (out, err)))


_RUN_SCRIPTS = """
import contextlib, io, json, runpy, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0].startswith("bnconform"):
            raise ImportError(f"{name} must not be needed")

sys.meta_path.insert(0, Blocked())
found = []
for arguments in json.load(sys.stdin):
    out, sys.argv = io.StringIO(), arguments
    try:
        with contextlib.redirect_stdout(out):
            runpy.run_path(arguments[0], run_name="__main__")
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException as error:
        status = repr(error)
    found.append([status, out.getvalue()])
print(json.dumps(found))
"""


def run_scripts(
    commands: Sequence[Sequence[str | Path]], variables: Mapping[str, str] | None = None
) -> list[tuple[int | str, str]]:
    """Exit status, or the exception, and output of scripts with their arguments.

    They run in one new process, since importing a framework takes seconds; this project cannot be imported in it.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | dict(variables or {})
    environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
    given = json.dumps([list(map(str, command)) for command in commands])
    command = [sys.executable, "-c", _RUN_SCRIPTS]
    done = subprocess.run(command, env=environment, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [(status, output) for status, output in json.loads(done.stdout.splitlines()[-1])]


def run_pytest_and_look(*arguments: str | Path, cwd: Path) -> Run:
    """Run pytest; at the end print which modules were imported."""
    return run("-c", _LOOK, "-p", "no:cacheprovider", *arguments, cwd=cwd)


def conformance(*arguments: str | Path, cwd: Path, variables: Mapping[str, str] | None = None) -> Run:
    """Run the suite with pytest, as its users do."""
    quiet = ("-p", "no:cacheprovider", "--assert=plain")  # rewriting the asserts of Hypothesis takes a second
    return run("-m", "pytest", "--pyargs", "bnconform", *quiet, *arguments, cwd=cwd, variables=variables)
