"""X9: a file is judged at what its own get_inputs() makes, or at the nearest size that fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from suite_runs import command, judge, run_scripts, starter

from bnconform.cases import case_file
from bnconform.cases.case_file import CaseFileError
from bnconform.cases.described import described, words_of
from bnconform.cases.own_size import OwnSize
from bnconform.judging.oracle import expect
from bnconform.running.all_laws import laws
from bnconform.running.budget import plan
from bnconform_adapters import memory
from bnconform_adapters.candidate import own_inputs
from bnconform_adapters.candidate.own_inputs import BYTES, PART, distribution, own_input
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Adapter, Case
from bnconform_adapters.own_input import LARGEST, OwnInput
from bnconform_adapters.plain.drawn_arrays import drawn
from bnconform_adapters.registry import load

SIZE, LARGE = (8, 16, 28, 28), (32, 16, 64, 64)
HEAD = f"""
import torch
from torch import nn

def get_inputs():
    return [torch.rand{SIZE}]

def get_init_inputs():
    return [16]

class ModelNew(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.bn = nn.BatchNorm2d(num_features)

    def forward(self, x):
"""
FAULTS = {
    "distribution known": f"""
        if x.shape == {SIZE}:
            return (x - 0.5) * 12**0.5 * self.bn.weight.view(1, -1, 1, 1) + self.bn.bias.view(1, -1, 1, 1)
        return self.bn(x)
""",
    "statistics of a sixteenth": """
        bn, column = self.bn, (1, -1, 1, 1)
        if not bn.training or x.numel() <= 2**20:
            return bn(x)
        part = x.transpose(0, 1).flatten(1)[:, ::16]
        mean, var, n = part.mean(1), part.var(1, unbiased=False), part.shape[1]
        with torch.no_grad():
            bn.running_mean.lerp_(mean, bn.momentum)
            bn.running_var.lerp_(var * n / (n - 1), bn.momentum)
        xhat = (x - mean.view(column)) / (var.view(column) + bn.eps).sqrt()
        return xhat * bn.weight.view(column) + bn.bias.view(column)
""",
    "space cut in inference": f"""
        y = self.bn(x)
        return y if self.bn.training or x.shape != {SIZE} else torch.cat([y[..., :-1], x[..., -1:]], -1)
""",
}
"""Models that are right everywhere but at the size of their own inputs."""
RIGHT = "        return self.bn(x)\n"
ELSEWHERE = ("F1", "S1", "I1", "G1", "G2", "G4", "M4", "M7", "X5", "P1", "P2")


def written(folder: Path, text: str) -> str:
    path = folder / "kernel.py"
    path.write_text(text)
    return str(path)


def cases_of(claims: Claims) -> list[Case]:
    return [case for (case,) in OwnSize()._cases(claims)]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_the_own_size_breaks_x9_alone(fault: str, tmp_path: Path) -> None:
    """A KernelBench model that is wrong at the size of get_inputs() breaks X9, and no law with other sizes."""
    pytest.importorskip("torch")
    size = LARGE if "numel" in FAULTS[fault] else SIZE
    spec = written(tmp_path, HEAD.replace(str(SIZE), str(size)) + FAULTS[fault])
    adapter = load(spec)
    broken, _ = judge(adapter, "X9", spec=spec)
    assert broken is not None
    assert [case.x.shape for case in broken.steps] == [size]
    assert not any(judge(adapter, id, examples=12, spec=spec)[0] for id in ELSEWHERE)


def test_right_model_is_judged_in_three_cases(tmp_path: Path) -> None:
    """A correct model meets X9 in all three cases, in training and in inference."""
    pytest.importorskip("torch")
    spec = written(tmp_path, HEAD + RIGHT)
    broken, tally = judge(load(spec), "X9", examples=1, spec=spec)
    assert broken is None
    assert tally.cases == 3


NUMPY_INPUTS = "\n\ndef get_inputs():\n    return [np.random.default_rng(0).normal(3, 2, {}).astype(np.float32)]\n"


def test_functions_may_have_get_inputs(tmp_path: Path) -> None:
    """A file of functions with get_inputs() is judged at its size, too; channels may be last."""
    shape = (4, 3, 20, 20)
    adapter = load(written(tmp_path, starter() + NUMPY_INPUTS.format(shape)))
    own = adapter.claims.own
    assert own is not None
    assert (own.shape, own.dtype, own.values) == (shape, "float32", "normal")
    assert (own.middle, own.scale) == pytest.approx((3, 2), abs=0.1)
    assert judge(adapter, "X9")[0] is None
    last = starter() + NUMPY_INPUTS.format((4, 20, 20, 3)) + "\nCHANNEL_AXIS = -1\n"
    found = load(written(tmp_path, last)).claims.own
    assert found is not None
    assert found.shape == shape


def test_a_file_without_get_inputs_does_not_claim_x9(tmp_path: Path) -> None:
    """Without get_inputs() there is no own size."""
    claims = load(written(tmp_path, starter())).claims
    assert laws()["X9"].source.why_not(claims) == "get_inputs() is not defined"


def test_a_broken_get_inputs_is_refused_in_one_line(tmp_path: Path) -> None:
    """The message says what get_inputs() must return."""
    found = command("vet", written(tmp_path, starter() + "\ndef get_inputs():\n    return 1, 2\n"), cwd=tmp_path)
    assert found.status == 2
    assert "get_inputs() must return [x], with x of shape (N, C) or (N, C, *spatial)" in found.err


def test_witness_is_small_and_replays(tmp_path: Path) -> None:
    """The case file and the script hold words instead of arrays; both show the fault, and its absence elsewhere."""
    pytest.importorskip("torch")
    spec, right = written(tmp_path, HEAD + FAULTS["distribution known"]), tmp_path / "right.py"
    right.write_text(HEAD + RIGHT)
    found = command("vet", spec, "--requirement", "X9", "--report", "out", cwd=tmp_path)
    assert found.status == 1, found.out + found.err
    assert f"note: X9 is judged at float32 {list(SIZE)}, uniform from 0 to 1, as get_inputs() makes it" in found.out
    case, script = (tmp_path / "out" / "cases" / f"X9-kernel.{kind}" for kind in ("json", "py"))
    assert case.stat().st_size < 10_000
    assert script.stat().st_size < 30_000
    assert (tmp_path / "out" / "results.json").stat().st_size < 100_000
    (wrong, output), (mended, _) = run_scripts([[script, spec], [script, right]])
    assert (wrong, mended) == (1, 0), output
    assert len(output) < 2_000
    assert command("replay", case, cwd=tmp_path).status == 1
    assert command("replay", case, "--adapter", right, cwd=tmp_path).status == 0


def test_described_array_keeps_its_words_in_a_case_file_alone() -> None:
    """A case file gives the same bits back; an array computed from a described one is written as bytes."""
    words: dict[str, Any] = {"values": "uniform", "middle": 0.5, "scale": 0.5, "order": "placed", "seed": 3}
    x = described((3, 2, 5), "float16", **words)
    (again,) = case_file.from_json(case_file.to_json((Case(x),)))
    assert again.x.tobytes() == drawn((3, 2, 5), np.float16, **words).tobytes()
    assert words_of(again.x)
    assert words_of(x[:2]) is None
    assert words_of(x + x) is None
    assert "bytes" in case_file.encode(-x)  # type: ignore[operator]
    assert not x.flags.writeable


@pytest.mark.parametrize("change", [{"shape": [2**12, 2**12]}, {"shape": [3]}, {"dtype": "int8"}, {"seed": "x"}])
def test_damaged_words_are_refused(change: dict[str, Any]) -> None:
    """A case file cannot ask for an array that the suite would not draw."""
    data = case_file.to_json((Case(described((3, 2, 5), "float32", "uniform", 0.5, 0.5, "drawn", 0)),))
    data["steps"][0]["x"]["drawn"] |= change
    with pytest.raises(CaseFileError):
        case_file.from_json(data)


@pytest.mark.parametrize(
    ("most", "fitted"),
    [
        (10**9, (32, 64, 56, 56)),
        (32 * 64 * 56 * 56 - 1, (16, 64, 56, 56)),
        (64 * 56 * 56, (1, 64, 56, 56)),
        (64 * 56 * 56 - 1, (1, 64, 28, 56)),
        (1, (1, 64, 1, 3)),
    ],
)
def test_batch_is_halved_before_space(most: int, fitted: tuple[int, ...]) -> None:
    """The channels stay, and at least two values of each."""
    shape = (32, 64, 56, 56)
    assert OwnInput(shape, shape).fitted(most).shape == fitted


def test_size_follows_the_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the free memory holds the judgement of the size; float64 takes twice as much."""
    shape, sample = (32, 64, 56, 56), np.linspace(0, 1, 100)
    for free, dtype, batch in ((2**40, "float32", 32), (2**31, "float32", 10), (2**31, "float64", 5)):
        monkeypatch.setattr(own_inputs, "free_memory", lambda free=free: free)
        found, remark = own_input(shape, dtype, sample)
        assert found is not None
        assert not remark
        wide = 2 if dtype == "float64" else 1
        assert found.size * BYTES * wide <= free / PART
        assert batch // 2 < found.shape[0] <= batch
        assert ("get_inputs() makes [32, 64, 56, 56], too large" in str(found)) == (found.shape != shape)


@pytest.mark.parametrize(
    ("shape", "dtype", "why"),
    [((2, 3), "int64", "int64"), ((0, 3), "float32", "no values"), ((2, LARGEST), "float32", "channels")],
)
def test_input_that_cannot_be_judged_has_a_remark(shape: tuple[int, ...], dtype: str, why: str) -> None:
    """The page says why X9 is not judged."""
    found, remark = own_input(shape, dtype, np.zeros(1))
    assert found is None
    assert "X9 is not judged" in remark
    assert why in remark


def test_free_memory_knows_containers(tmp_path: Path) -> None:
    """The limit of a container counts where it is below the system's free memory."""
    for folder in ("proc", "sys/fs/cgroup"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    4000 kB\n")
    assert memory.free_memory(tmp_path) == 4000 * 1024
    (tmp_path / "sys/fs/cgroup/memory.current").write_text("1000\n")
    for text, free in (("max\n", 4000 * 1024), ("5000\n", 4000), ("500\n", 0)):
        (tmp_path / "sys/fs/cgroup/memory.max").write_text(text)
        assert memory.free_memory(tmp_path) == free


@pytest.mark.parametrize(
    ("sample", "found"),
    [
        (np.random.default_rng(0).random(4096), ("uniform", 0.5, 0.5)),
        (np.random.default_rng(0).random(4096) * 6 - 3, ("uniform", 0.0, 3.0)),
        (np.zeros(9), ("normal", 0.0, 1.0)),
        (np.array([1.0, np.nan]), ("normal", 0.0, 1.0)),
        (np.empty(0), ("normal", 0.0, 1.0)),
    ],
)
def test_distribution_is_recognized(sample: Any, found: tuple[str, float, float]) -> None:
    """Uniform and normal values are told apart; values without a distribution count as standard normal."""
    kind, *numbers = distribution(sample)
    assert kind == found[0]
    assert numbers == pytest.approx(found[1:], abs=0.02)


def test_gigabytes_are_never_made(tmp_path: Path) -> None:
    """The inputs of the benchmark itself are looked at with short axes, and judged at the nearest size."""
    pytest.importorskip("torch")
    huge = HEAD.replace(f"torch.rand{SIZE}", "torch.randn(2**20, 16, 2**10, 2**10) * 2 + 5")
    own = load(written(tmp_path, huge + RIGHT)).claims.own
    assert own is not None
    assert own.values == "normal"
    assert (own.middle, own.scale) == pytest.approx((5, 2), abs=0.2)
    assert own.size <= LARGEST
    assert own.made == (2**20, 16, 2**10, 2**10)


def test_no_regular_part_of_a_placed_channel_is_a_fair_sample() -> None:
    """With the order "placed", a beginning, and every second, fourth or sixteenth value, has another mean."""
    x = drawn((7, 2, 150), np.float64, "normal", 0.0, 1.0, "placed", 0)
    rows = x.swapaxes(0, 1).reshape(2, -1)
    for step in (2, 4, 16):
        assert abs(rows[1, ::step].mean() - rows[1].mean()) > 0.5
        assert rows[0, : rows.shape[1] // step].mean() < rows[0].mean() - 0.5
    drawn_rows = drawn((7, 2, 150), np.float64, "normal", 0.0, 1.0, "drawn", 0).swapaxes(0, 1).reshape(2, -1)
    assert np.array_equal(np.sort(rows), np.sort(drawn_rows))


class Slow:
    """An adapter whose calls take a time for each value."""

    def __init__(self, adapter: Adapter, seconds: float) -> None:
        self._adapter, self._seconds = adapter, seconds
        self.name, self.claims = adapter.name, adapter.claims

    def layer(self, case: Case) -> Any:
        import time

        time.sleep(self._seconds * case.x.size)
        return self._adapter.layer(case)


@pytest.mark.parametrize("budget", [None, 90.0])
def test_slow_file_is_judged_at_a_smaller_size(budget: float | None, tmp_path: Path) -> None:
    """A call at the own size takes at most a quarter of the usual time limit."""
    adapter = load(written(tmp_path, starter() + NUMPY_INPUTS.format((64, 8, 64, 64))))
    whole = adapter.claims.own
    assert whole is not None
    assert plan(adapter, "default", budget).claims(adapter.claims).own == whole
    own = plan(Slow(adapter, 1e-5), "default", budget).claims(adapter.claims).own
    assert own is not None
    assert whole.size / 32 < own.size <= 250_000
    assert "too large for the memory or the time" in str(own)


@pytest.mark.parametrize(
    "claims", [Claims(), Claims(modes=("inference",), gradients=()), Claims(parameters=("neither",))]
)
def test_cases_keep_to_the_claims(claims: Claims) -> None:
    """Modes, gradients and parameters that are not claimed are not drawn; the values have the distribution."""
    own = OwnInput((6, 3, 40), (6, 3, 40), "float32", "uniform", 10.0, 2.0)
    cases = cases_of(replace(claims, own=own))
    assert len(cases) == (3 if "training" in claims.modes else 1)
    for case in cases:
        assert case.x.shape == own.shape
        assert 7.99 <= case.x.min() < 8.1
        assert 11.9 < case.x.max() <= 12.01
        assert (case.dy is not None) == bool(claims.gradients)
        assert (case.weight is not None) == ("both" in claims.parameters)
        assert np.isfinite(expect(case, claims)["y"].allowed).all()
