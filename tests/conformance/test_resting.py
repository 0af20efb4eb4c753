"""What an implementation holds is given back: when the next one is judged, and as calls go on."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from resource import getpagesize

import numpy as np
from suite_runs import FRAMEWORKS, run_pytest_and_look

from bnconform.running.options import RunOptions
from bnconform.running.session import Session
from bnconform_adapters.calls import run
from bnconform_adapters.contract import Case
from bnconform_adapters.registry import load
from bnconform_adapters.worker.client import WorkerAdapter


def case() -> Case:
    """A training step."""
    x, vector = np.arange(24, dtype=np.float32).reshape(4, 3, 2), np.ones(3, np.float32)
    return Case(x, None, vector, vector, 0 * vector, vector)


def test_worker_ends_until_it_is_needed_again() -> None:
    """A bundled implementation's process ends when it rests; a call finds a new one."""
    session = Session(RunOptions(("onnxruntime",), seed=0))
    (one,) = session.implementations
    first = one.adapter
    assert isinstance(first, WorkerAdapter)
    due = run(first, case())
    pid = first._process._pid
    assert due.error is None
    assert Path(f"/proc/{pid}").exists()
    one.rest()
    assert not Path(f"/proc/{pid}").exists()
    np.testing.assert_array_equal(run(one.adapter, case()).y, due.y)
    session.close()


def test_programs_are_forgotten() -> None:
    """What JAX has compiled for one implementation is gone, and is compiled again where it is called again."""
    session = Session(RunOptions(("flax.linen",), seed=0))
    (one,) = session.implementations
    assert one.problem is None
    due = run(one.adapter, case())
    step = import_module("bnconform_adapters.jax.jax_steps").step
    assert step._cache_size() > 0
    one.rest()
    assert step._cache_size() == 0
    np.testing.assert_array_equal(run(one.adapter, case()).y, due.y)


def test_layers_of_keras_are_forgotten() -> None:
    """Memory does not grow with the number of Keras layers: 150 kB for each were 45 MB here."""
    adapter = load("keras.tensorflow")

    def call(times: int) -> int:
        for _ in range(times):
            assert run(adapter, case()).error is None
        return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize()

    call(1)
    kept = import_module("bnconform_adapters.keras.keras_tensorflow").LAYERS_KEPT
    before = call(kept)
    assert call(3 * kept) - before < 25e6


def test_record_needs_nobody_called_again() -> None:
    """What is at rest stays so when the record is written: its cells told what there is to know."""
    session = Session(RunOptions(("onnxruntime",), seed=0))
    (one,) = session.implementations
    for cost in ("interpreted", "cheap"):
        cell = {"requirement": "F1", "implementation": one.name, "verdict": "meets"}
        session.add(cell | {"about": {"claims": {"cost": cost}, "plan": {}, "remarks": [], "what": ""}})
        assert bool(session.results().notes) == (cost == "interpreted")
    assert "adapter" not in vars(one)


def test_controller_of_workers_imports_no_framework(tmp_path: Path) -> None:
    """Where pytest-xdist's workers judge, the process that writes the record imports nothing to do so."""
    chosen = ("--bn-adapter=torch", "--bn-requirement=F5", "--hypothesis-profile=quick", "--bn-report=out", "-n", "1")
    found = run_pytest_and_look("--pyargs", "bnconform", *chosen, cwd=tmp_path)
    assert found.status == 0, found.out
    assert (tmp_path / "out" / "results.json").exists()
    assert not found.imported() & set(FRAMEWORKS)
