"""`FusedSyncBatchNorm` in processes of their own, which exchange over gloo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gloo_process
import numpy as np
import pytest
import torch

from bnconform.judging.oracle import expect
from bnconform_adapters.contract import Case
from bnconform_adapters.fused_triton import FusedBatchNorm, FusedSyncBatchNorm
from bnconform_adapters.fused_triton.fused_claims import fused


def in_processes(sizes: list[int], folder: Path) -> list[Any]:
    """What each process says, one for each size of a shard."""
    script, rendezvous = Path(gloo_process.__file__), f"file://{folder / 'rendezvous'}"
    results = [folder / f"{rank}.pt" for rank in range(len(sizes))]
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    given = [rendezvous, ",".join(map(str, sizes))]
    processes = [
        subprocess.Popen([sys.executable, str(script), str(rank), given[1], given[0], str(result)], env=environment)
        for rank, result in enumerate(results)
    ]
    assert [process.wait(timeout=300) for process in processes] == [0] * len(sizes)
    return [torch.load(result) for result in results]


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    """Unequal shards: y, gradients and statistics are the whole batch's, and have the bits of the adapter's calls."""
    sizes = [1, 4]
    found = in_processes(sizes, tmp_path)
    x, dy, weight, bias = (tensor.numpy() for tensor in gloo_process.data(sum(sizes)))
    zero, one = np.zeros(3, np.float32), np.ones(3, np.float32)
    case = Case(x, dy, weight, bias, zero, one, momentum=gloo_process.MOMENTUM, eps=gloo_process.EPS)
    expected = expect(case, fused().claims)
    whole = {name: np.concatenate([one[name].numpy() for one in found]) for name in ("y", "dx")}
    whole |= {name: sum(one[name].double().numpy() for one in found) for name in ("dweight", "dbias")}
    for name, array in whole.items():
        slack = 2**-23 * sum(np.abs(one[name].numpy()) for one in found) if name in ("dweight", "dbias") else 0
        assert (np.abs(array - expected[name].value) <= expected[name].allowed + slack).all()
    for one_process in found:
        for name in ("running_mean", "running_var"):
            assert (np.abs(one_process[name].numpy() - expected[name].value) <= expected[name].allowed).all()
        assert one_process["num_batches_tracked"] == 1

    shards = [
        Case(**vars(case) | {"x": part, "dy": dy[start : start + len(part)]})
        for start, part in ((0, x[:1]), (1, x[1:]))
    ]
    for outcome, one_process in zip(fused().shards(shards), found, strict=True):
        for name in ("y", "dx", "dweight", "dbias", "running_mean", "running_var"):
            np.testing.assert_array_equal(getattr(outcome, name), one_process[name].numpy())


@pytest.mark.parametrize("sizes", [[0, 3]], ids=str)
def test_an_empty_shard_takes_part(sizes: list[int], tmp_path: Path) -> None:
    """A process without samples gets an empty y and dx, gradients of 0, and everyone's statistics."""
    empty, full = in_processes(sizes, tmp_path)
    assert empty["y"].shape == empty["dx"].shape == (0, 3, 4)
    assert not empty["dweight"].any()
    assert torch.equal(empty["running_mean"], full["running_mean"])
    assert torch.equal(empty["running_var"], full["running_var"])
    assert torch.isfinite(full["dx"]).all()


def test_without_processes_it_is_the_plain_module() -> None:
    """No process group: the same bits as FusedBatchNorm."""
    x, dy, _, _ = gloo_process.data(4)
    results = []
    for kind in (FusedBatchNorm, FusedSyncBatchNorm):
        layer, given = kind(3), x.clone().requires_grad_()
        layer(given).backward(dy)
        results.append((given.grad, layer.running_var))
    for plain, synchronised in zip(*results, strict=True):
        assert torch.equal(plain, synchronised)
