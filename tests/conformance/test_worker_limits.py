"""When a worker is given up, and what counts as a lost device."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from bnconform_adapters import frameworks
from bnconform_adapters.exits import corrupts_device, exit_of
from bnconform_adapters.worker import serve
from bnconform_adapters.worker.limits import LEAST_MEMORY, LEAST_SECONDS, MANY_TIMES, CallOptions, Limits


def test_limits_are_generous_until_they_are_reached() -> None:
    """Whatever calls take, the limit of a call stays, and is larger for the first one and for loading."""
    limits = Limits(10.0)
    limits.came_back(0.001, first=False)
    assert limits.call(first=False) == 10.0 < limits.call(first=True) < limits.loading


def test_bundled_implementations_get_longer() -> None:
    """What comes with the suite may compile for longer than a user's file may hang."""
    assert Limits.of("onnxruntime").seconds > Limits.of("kernel.py").seconds == Limits.of("kernel.py:BN").seconds
    assert Limits.of("kernel.py").seconds == Limits().seconds


def test_a_time_limit_is_for_files() -> None:
    """The user's limit is for a call of their file; what comes with the suite keeps its own."""
    assert Limits.of("kernel.py", CallOptions(time_limit=0.25)).seconds == 0.25
    assert Limits.of("onnxruntime", CallOptions(time_limit=0.25)).seconds == Limits.of("onnxruntime").seconds


def test_time_limit_is_lowered_after_a_hang() -> None:
    """After a hang the limit is a multiple of the longest call that came back, first calls by themselves."""
    limits = Limits(10.0)
    limits.came_back(2.0, first=True)
    limits.came_back(0.001, first=False)
    limits.hung()
    assert limits.call(first=False) == LEAST_SECONDS
    assert limits.call(first=True) == MANY_TIMES * 2.0
    limits.came_back(0.2, first=False)
    assert limits.call(first=False) == MANY_TIMES * 0.2


def test_slow_machine_keeps_the_full_limit() -> None:
    """Where ordinary calls take a tenth of the limit, a hang lowers nothing."""
    limits = Limits(10.0)
    limits.came_back(1.0, first=False)
    limits.hung()
    assert limits.call(first=False) == 10.0


def test_memory_limit_is_lowered_after_growth() -> None:
    """After growth without end the limit is a multiple of what ordinary calls held."""
    limits = Limits(memory=1 << 40)
    assert limits.growth == 1 << 40
    limits.overgrew()
    assert limits.growth == LEAST_MEMORY
    limits.came_back(0.1, 1 << 30, first=False)
    assert limits.growth == 4 << 30


@pytest.mark.parametrize(
    ("message", "lost"),
    [
        ("RuntimeError: CUDA error: an illegal memory access was encountered", True),
        ("AcceleratorError: CUDA error: device-side assert triggered", True),
        ("RuntimeError: Triton Error [CUDA]: an illegal memory access was encountered", True),
        ("XlaRuntimeError: INTERNAL: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered", True),
        ("RuntimeError: CUDA error: invalid argument", False),
        ("OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", False),
        ("ValueError: x holds a misaligned address", False),
    ],
)
def test_sticky_device_errors(message: str, lost: bool) -> None:
    """Errors after which CUDA serves the process no more are told from those that pass."""
    assert corrupts_device(message) is lost
    assert exit_of(RuntimeError(), message) == ("corrupted device" if lost else "")


def test_leaving_is_a_fate() -> None:
    """SystemExit would end the caller's program; other exceptions are just raised."""
    assert exit_of(SystemExit(3), "SystemExit: 3") == "exited"
    assert exit_of(KeyboardInterrupt(), "KeyboardInterrupt") == ""


def test_programs_of_jax_are_forgotten_when_they_take_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time that the process has grown by half of its limit, and never without JAX."""
    mebibytes: Iterator[int] = iter((100, 1100, 1200, 150, 1100, 1300, 1250, 2000, 2400, 300))
    monkeypatch.setattr(serve, "held_by", lambda pid: next(mebibytes) << 20)
    forgotten: list[int] = []
    monkeypatch.setattr(serve, "forget_compiled", lambda: forgotten.append(1))
    monkeypatch.setitem(sys.modules, "jax", sys)
    programs = serve._Programs()  # 100
    counts = []
    for _ in range(6):
        programs.forget_some()
        counts.append(len(forgotten))
    assert counts == [0, 1, 1, 2, 2, 3]  # at 1100, 1200 then 150, 1100, 1300 then 1250, 2000, 2400 then 300
    monkeypatch.delitem(sys.modules, "jax")
    programs.forget_some()
    assert len(forgotten) == 3


def test_forgotten_programs_give_their_memory_back() -> None:
    """JAX called without jit keeps a program for every operation and shape until it forgets them."""
    jax = pytest.importorskip("jax")
    frameworks.forget_compiled()
    before = serve.held_by(serve.os.getpid())
    for n in range(2, 60):
        jax.numpy.sin(jax.numpy.ones((n, 3))).sum().block_until_ready()
    after = serve.held_by(serve.os.getpid())
    frameworks.forget_compiled()
    assert after - before > 20 << 20
    assert serve.held_by(serve.os.getpid()) - before < (after - before) / 2
