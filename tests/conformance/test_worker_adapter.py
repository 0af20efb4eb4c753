"""The worker's adapter gives what the adapter in this process gives, and leaves nothing behind."""

from __future__ import annotations

import gc
import json
import signal
import socket
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faulty_files import faulty
from suite_runs import judge, laws, replaced, starter

from bnconform.cases.strategies import signature_pool
from bnconform_adapters.calls import forward_passes, run, run_steps, run_together
from bnconform_adapters.contract import DTYPES, Adapter, Case, Outcome
from bnconform_adapters.registry import load
from bnconform_adapters.worker import forkserver
from bnconform_adapters.worker.client import WorkerAdapter
from bnconform_adapters.worker.limits import Limits

LAYOUTS = ("contiguous", "channels_last", "transposed", "sliced")


@pytest.fixture
def path(tmp_path: Path) -> str:
    """The starter file, claiming all dtypes."""
    text = replaced(starter(), [('"float64", "float16"', '"float64", "float16", "bfloat16"')])
    (tmp_path / "kernel.py").write_text(text)
    return str(tmp_path / "kernel.py")


def case(shape: tuple[int, ...] = (3, 2, 5), dtype: Any = "float32", **fields: Any) -> Case:
    """A training step with gradients."""
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal(shape).astype(DTYPES[dtype]) for _ in range(2))
    vector = rng.uniform(0.5, 2.0, shape[1]).astype(np.float64 if dtype == "float64" else np.float32)
    return Case(x, dy, vector, -vector, vector - 1, vector, **fields)


def assert_same(got: Outcome, expected: Outcome) -> None:
    """Two outcomes are equal, arrays bit for bit."""
    for field in fields(Outcome):
        a, b = getattr(got, field.name), getattr(expected, field.name)
        if field.name == "inputs_after":
            a, b = ({name: (array.dtype, array.tobytes()) for name, array in one.items()} for one in (a, b))
        elif isinstance(b, np.ndarray):
            a, b = (a.dtype, a.shape, a.tobytes()), (b.dtype, b.shape, b.tobytes())
        assert a == b, field.name


def same_everywhere(there: Adapter, here: Adapter, cases: list[Case]) -> None:
    """One layer gives the same in both processes."""
    for got, expected in zip(run_steps(there, cases), run_steps(here, cases), strict=True):
        assert_same(got, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_outcomes_are_those_of_this_process(dtype: Any, path: str) -> None:
    """In every dtype, layout and mode, with errors in between, the worker gives the bits of this process."""
    here = load(path)
    with WorkerAdapter(path) as there:
        assert there.name == here.name
        assert there.claims == replace(here.claims, own_process=True)
        for layout in LAYOUTS:
            one = case(dtype=dtype, layout=layout, dy_layout=layout, statistics_layout="sliced")
            wrong = replace(one, x=one.x[:, :1])
            same_everywhere(there, here, [one, replace(one, training=False), wrong, replace(one, dy=None), one])


def test_facts_about_memory_arrive(tmp_path: Path) -> None:
    """Results that share memory, inputs that were written, and guard zones that were, are told as in this process."""
    faults = (
        "return x, None, None, None",
        "x *= 2",
        "np.lib.stride_tricks.as_strided(x, (x.size + 1,), (x.itemsize,))[-1] = 0",
    )
    seen = []
    for fault in faults:
        spec = faulty(tmp_path, fault)
        with WorkerAdapter(spec) as there:
            one = case((2, 4))
            same_everywhere(there, load(spec), [one])
            outcome = run(there, one)
            seen.append((outcome.shared, outcome.inputs_after["x"].tobytes() != one.x.tobytes(), outcome.overrun))
    assert [bool(shared) for shared, _, _ in seen] == [True, False, False]
    assert [written for _, written, _ in seen] == [False, True, False]
    assert [overrun for _, _, overrun in seen] == [(), (), ("x",)]


def test_passes_may_be_finished_in_any_order_and_again(path: str) -> None:
    """Forward passes wait in the worker until they are finished, and can be finished twice."""
    steps = [case(), replace(case(), x=case().x * 3)]
    apart = run_steps(load(path), steps)
    with WorkerAdapter(path) as there:
        passes = forward_passes(there, steps)
        for i in (1, 0, 0, 1):
            assert_same(passes[i](), apart[i])


def test_layer_keeps_its_state(path: str) -> None:
    """A layer of the worker is one layer, also when others are called in between."""
    one = case()
    here = load(path).layer(one)
    with WorkerAdapter(path) as there:
        layer = there.layer(one)
        for _ in range(3):
            assert_same(layer(one)(), here(one)())
            run(there, one)


def test_what_a_lost_worker_kept_is_lost(tmp_path: Path) -> None:
    """Layers and passes that a crashed worker kept tell of the crash; new ones work."""
    with WorkerAdapter(faulty(tmp_path, "import os; os.abort()")) as there:
        layer, (kept,) = there.layer(case()), forward_passes(there, [case()])
        assert layer(case())().exit == ""
        first, lost = run_steps(there, [case((2, 4)), case((2, 4))])
        assert first.exit == lost.exit == "crashed"
        for outcome in (kept(), layer(case())()):
            assert (outcome.exit, outcome.error) == ("crashed", first.error)
        assert run(there, case()).error is None


def test_steps_before_a_crash_count(tmp_path: Path) -> None:
    """Steps that came back before one that crashed keep their outcomes."""
    with WorkerAdapter(faulty(tmp_path, "import os; os._exit(1)", "x.shape[0] == 2")) as there:
        found = run_steps(there, [case(), replace(case(), x=case().x[:2], dy=None), case()])
        assert [outcome.exit for outcome in found] == ["", "exited", "exited"]


def test_forgotten_passes_are_dropped(tmp_path: Path) -> None:
    """The worker keeps layers and passes no longer than the client does."""
    text = replaced(starter(), [("    n = int(", "    print(end=''); LIVE.add(Live()); check()\n    n = int(")])
    text = replaced(text, [("(xhat, weight, invstd, n)", "(xhat, weight, invstd, n, Live())")])
    text = replaced(text, [("xhat, weight, invstd, n = saved", "xhat, weight, invstd, n, _ = saved")])
    text += "\nimport weakref\nLIVE = weakref.WeakSet()\n\nclass Live:\n    def __init__(self): LIVE.add(self)\n"
    text += "\ndef check():\n    assert len(LIVE) < 9, len(LIVE)\n"
    (tmp_path / "kernel.py").write_text(text)
    with WorkerAdapter(str(tmp_path / "kernel.py")) as there:
        for _ in range(20):
            (kept,) = forward_passes(there, [case()])
            assert kept().error is None
            layer = there.layer(case())
            assert layer(case())().error is None


def test_threads_are_the_workers(tmp_path: Path) -> None:
    """Calls made together run at the same time in the worker, where they can meet."""
    text = replaced(starter(), [("    n = int(", "    MEET.wait(5)\n    n = int(")])
    (tmp_path / "kernel.py").write_text(text + "\nimport threading\nMEET = threading.Barrier(4)\n")
    with WorkerAdapter(str(tmp_path / "kernel.py")) as there:
        cases = [replace(case(), x=case().x * i) for i in range(1, 9)]
        together = run_together(there, cases, 4)
    here = load(str(tmp_path / "kernel.py"))
    for got, expected in zip(together, run_together(here, cases, 4), strict=True):
        assert_same(got, expected)
        assert got.error is None


def test_bundled_implementation_runs_in_a_worker() -> None:
    """The name of a bundled implementation does as well as a file."""
    here = load("reference")
    with WorkerAdapter("reference") as there:
        same_everywhere(there, here, [case(), replace(case(), training=False)])
        assert_same(there.population([case(), case()]), here.population([case(), case()]))  # type: ignore[attr-defined]


def test_same_cases_are_drawn(path: str) -> None:
    """A law draws the same examples for a file in a worker and in this process."""
    here = load(path)
    with WorkerAdapter(path) as there:
        assert signature_pool(there.claims, 0) == signature_pool(here.claims, 0)
        for id in ("F1", "G9"):
            (first, one), (second, other) = judge(there, id, profile="quick"), judge(here, id, profile="quick")
            assert first is second is None
            assert (one.cases, one.elements, one.worst_ratio) == (other.cases, other.elements, other.worst_ratio)
        assert laws()["E2"].source.why_not(here.claims) == "own process is not claimed"


def descriptors() -> set[str]:
    """Open descriptors of this process."""
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def children() -> list[str]:
    """Process ids of this process's children, zombies too."""
    return [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]


linux = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks into /proc")


@linux
@pytest.mark.parametrize("end", ["closed", "forgotten", "crashed", "refused"])
def test_nothing_is_left_behind(end: str, tmp_path: Path) -> None:
    """However a worker ends, no process and no descriptor stays."""
    gc.collect()
    before, own = descriptors(), children()
    spec = faulty(tmp_path, "import os; os.abort()")
    if end == "refused":
        with pytest.raises(Exception, match="no such file"):
            WorkerAdapter("nowhere.py")
    else:
        adapter = WorkerAdapter(spec)
        kept = forward_passes(adapter, [case()])
        if end == "crashed":
            assert run(adapter, case((2, 5))).exit == "crashed"
        if end == "forgotten":
            del adapter, kept
            gc.collect()
        else:
            adapter.close()
    assert descriptors() == before
    assert children() == own


CLIENT = """
import sys
sys.path[:0] = sys.argv[2].split(":")
from test_worker_adapter import case
from bnconform_adapters.calls import run
from bnconform_adapters.worker.client import WorkerAdapter
adapter = WorkerAdapter(sys.argv[1])
print(adapter._process._pid, adapter._starter.forkserver._process.pid, flush=True)
run(adapter, case((2, 4)))
"""


def alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@linux
def test_worker_ends_with_its_client(tmp_path: Path) -> None:
    """When the suite is killed, a worker that hangs in a call does not outlive it."""
    spec = faulty(tmp_path, "while True: pass")
    command = [sys.executable, "-c", CLIENT, spec, ":".join(filter(None, sys.path))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        worker, forkserver = map(int, client.stdout.readline().split())
        time.sleep(0.2)
        assert alive(worker)
        client.send_signal(signal.SIGKILL)
        client.wait()
        deadline = time.monotonic() + 10
        while (alive(worker) or alive(forkserver)) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert not alive(worker)
    assert not alive(forkserver)


@linux
def test_what_the_worker_starts_ends_with_it(tmp_path: Path) -> None:
    """Programs that a candidate has started are ended with its worker."""
    spec = faulty(tmp_path, f"import subprocess; subprocess.Popen(['sleep', '99']); open({str(tmp_path / 'x')!r}, 'w')")
    text = Path(spec).read_text().replace("'w')", "'w').write(str(subprocess.Popen(['sleep', '99']).pid))")
    Path(spec).write_text(text)
    with WorkerAdapter(spec, Limits(5.0)) as adapter:
        assert run(adapter, case((2, 4))).error is None
        pid = int((tmp_path / "x").read_text())
        assert alive(pid)
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(pid)


def test_keeper_of_a_client_that_is_gone_ends_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that is stopped while it waits for an answer leaves no traceback behind."""
    monkeypatch.setattr(forkserver, "_end", lambda *_: {"code": 0, "killed": False})
    ours, theirs = socket.socketpair()
    ours.sendall(json.dumps({"grace": 0.0, "abort": False}).encode())
    ours.close()
    forkserver.main(theirs.detach())
