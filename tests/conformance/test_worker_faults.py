"""Whatever a candidate file does, its laws say so on a small case, and the run goes on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from faulty_files import FATAL, FEW, HARMLESS, RAISING, faulty
from suite_runs import command, conformance, judge, starter

from bnconform.running.watch import Watch
from bnconform_adapters.errors import AdapterError
from bnconform_adapters.worker.client import WorkerAdapter
from bnconform_adapters.worker.limits import Limits

LIMITS = {"seconds": 0.5, "memory": 128 << 20}
LONG = 2000
"""Values of a small case at most: a few samples of the narrowest shape with more than three channels that is drawn."""


def worker(spec: str) -> WorkerAdapter:
    """A worker of little patience."""
    return WorkerAdapter(spec, Limits(**LIMITS))  # type: ignore[arg-type]


@pytest.mark.parametrize("fault", FATAL)
def test_fate_is_found_on_a_small_case(fault: str, tmp_path: Path) -> None:
    """A call that ends its process breaks the law at hand, is shrunk, and spoils no other law."""
    with worker(faulty(tmp_path, fault)) as adapter:
        broken, _ = judge(adapter, "F1", watch=Watch("F1", shrinks=100))
        assert broken is not None
        assert re.search(FATAL[fault], str(broken)), str(broken)
        (case,) = broken.steps
        if "fork" not in fault:  # of two processes that answer, it is the next call's second answer that shows
            assert case.channels > FEW
            assert case.x.size <= LONG
            assert "not every time" not in str(broken)
        assert judge(adapter, "I1", profile="quick")[0] is None


@pytest.mark.parametrize("id", ["E1", "E2", "S8", "S9", "G9", "P7"])
def test_law_about_exceptions_takes_no_crash_for_one(id: str, tmp_path: Path) -> None:
    """Laws that expect or admit an exception, and those with calls of other kinds, break on a crash."""
    with worker(faulty(tmp_path, "import os; os.abort()")) as adapter:
        broken, _ = judge(adapter, id, watch=Watch(id, shrinks=100))
        assert broken is not None
        assert "crashed: SIGABRT (Aborted)" in str(broken)


@pytest.mark.parametrize("fault", RAISING)
def test_exception_of_any_kind_is_one(fault: str, tmp_path: Path) -> None:
    """What is raised, whatever its class, and what cannot be sent, breaks F1; E1 and E2 are content with it."""
    with worker(faulty(tmp_path, fault)) as adapter:
        broken, _ = judge(adapter, "F1", profile="quick")
        assert re.search(RAISING[fault], str(broken)), str(broken)
        if "raised" in RAISING[fault]:
            assert judge(adapter, "E2", profile="quick")[0] is None


@pytest.mark.parametrize("fault", HARMLESS)
def test_noise_does_no_harm(fault: str, tmp_path: Path) -> None:
    """Output, threads and what is kept disturb no law."""
    with worker(faulty(tmp_path, fault)) as adapter:
        for id in ("F1", "S4", "E2"):
            broken, tally = judge(adapter, id, profile="quick")
            assert broken is None, str(broken)
            assert tally.cases > 0


def test_growth_over_many_calls_is_found(tmp_path: Path) -> None:
    """Memory that every call leaks is noticed at some call."""
    with worker(faulty(tmp_path, "globals().setdefault('kept', []).append(np.ones(10**6))")) as adapter:
        broken, _ = judge(adapter, "F1", profile="thorough")
        assert "out of memory: it grew by more than" in str(broken)


CURIOUS = """
def look():
    import gc, sys
    frame, seen = sys._getframe(), [*map(str, sys.modules)]
    while frame:
        seen += [*frame.f_globals, *frame.f_locals]
        frame = frame.f_back
    seen += [getattr(found, "__qualname__", "") for found in gc.get_objects() if callable(found)]
    words = ("oracle", "expect", "allowed", "bnconform.", "bnconform_reference.definition", "error_bounds")
    return sorted({name for name in seen for word in words if isinstance(name, str) and name.startswith(word)})
"""


def test_oracle_is_not_in_the_worker(tmp_path: Path) -> None:
    """A candidate that searches frames, modules and all objects finds nothing of what is expected of it."""
    path = Path(faulty(tmp_path, "found = look()\n        if found: raise RuntimeError(str(found))"))
    path.write_text(path.read_text() + CURIOUS)
    with worker(str(path)) as adapter:
        for id in ("F1", "G9", "P7"):
            broken, _ = judge(adapter, id, profile="quick")
            assert broken is None, str(broken)


IMPORTS = {
    "import ctypes; ctypes.string_at(0)": r"cannot be imported: crashed: SIGSEGV",
    "import os; os._exit(3)": "cannot be imported: exited: status 3",
    "import sys; sys.exit(3)": "cannot be imported: SystemExit: 3",
    "raise KeyboardInterrupt": "cannot be imported: KeyboardInterrupt",
    "while True: pass": "cannot be imported: hung: no answer within",
    "held = []\nwhile True: held.append(bytearray(10**7))": "cannot be imported: out of memory",
    "import nothing_of_this_name": "cannot be imported: ModuleNotFoundError",
}


@pytest.mark.parametrize("text", IMPORTS)
def test_file_that_cannot_be_imported_is_refused(text: str, tmp_path: Path) -> None:
    """Whatever an import does, it is an error of one line."""
    (tmp_path / "kernel.py").write_text(f"{text}\n{starter()}")
    with pytest.raises(AdapterError, match=IMPORTS[text]) as refusal:
        WorkerAdapter(str(tmp_path / "kernel.py"), Limits(0.2, 128 << 20))
    assert "\n" not in str(refusal.value)


def test_commands_refuse_a_file_that_crashes(tmp_path: Path) -> None:
    """A file that crashes when it is imported is a usage error: 2 from `bnconform vet`, 4 from pytest."""
    (tmp_path / "kernel.py").write_text("import os\nos.abort()\n")
    vetted = command("vet", "kernel.py", cwd=tmp_path)
    tested = conformance("--bn-adapter=kernel.py", cwd=tmp_path)
    assert (vetted.status, tested.status) == (2, 4)
    for found in (vetted, tested):
        (line,) = filter(None, found.err.splitlines())
        assert "kernel.py cannot be imported: crashed: SIGABRT (Aborted)" in line


def test_run_goes_on_after_crashes(tmp_path: Path) -> None:
    """`bnconform vet` tells each broken law of a file that crashes, and judges the others."""
    faulty(tmp_path, "import os; os.abort()")
    asked = [f"--requirement={id}" for id in ("F1", "I1", "E2")]
    found = command("vet", "kernel.py", *asked, "--hypothesis-seed=0", cwd=tmp_path)
    assert found.status == 1, found.out + found.err
    assert found.out.splitlines()[0] == "kernel.py CRASHES: core 1 of 2 (broken: F1), robust 0 of 1 (broken: E2)"
    assert "  call      crashed: SIGABRT (Aborted) in forward_training, kernel.py line" in found.out
    assert not [line for line in found.err.splitlines() if not line.startswith("bnconform: ")]  # progress, every 15 s


def test_in_process_runs_without_a_worker(tmp_path: Path) -> None:
    """--bn-in-process calls the file in pytest's own process, where E2 is not claimed."""
    (tmp_path / "kernel.py").write_text(f"import sys\nprint('in process', 'pytest' in sys.modules)\n{starter()}")
    laws = ("--bn-requirement=E1", "--bn-requirement=E2")
    asked = ("--bn-adapter=kernel.py", *laws, "--hypothesis-profile=quick", "-s", "-ra", "-v")
    found = conformance(*asked, "--bn-in-process", cwd=tmp_path)
    assert found.status == 0, found.out + found.err
    assert "in process True" in found.out
    assert "own process is not claimed" in found.out
    found = conformance(*asked, cwd=tmp_path)
    assert found.status == 0, found.out + found.err
    assert "in process" not in found.out
    assert "2 passed" in found.out


def test_time_limit_is_an_option(tmp_path: Path) -> None:
    """--bn-time-limit sets how long a call may take, and is part of the command that runs a finding again."""
    fourth = "globals().setdefault('calls', []).append(x) or len(calls) > 3"  # the first has a longer limit
    faulty(tmp_path, "import time; time.sleep(1000)", when=fourth)
    asked = ("--bn-adapter=kernel.py", "--bn-requirement=F1", "--hypothesis-seed=0", "--hypothesis-profile=quick")
    found = conformance(*asked, "--bn-time-limit=0.5", cwd=tmp_path)
    assert found.status == 1, found.out + found.err
    assert "hung: no answer within 0.5 s in forward_training, kernel.py line" in found.out
    assert "--hypothesis-seed=0 --bn-time-limit=0.5" in found.out
