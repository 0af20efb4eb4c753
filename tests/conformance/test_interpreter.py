"""Files with Triton kernels in Triton's interpreter: its own faults are not held against them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from suite_runs import command, judge

from bnconform.running.all_laws import laws
from bnconform_adapters.errors import AdapterError
from bnconform_adapters.worker.client import opened

pytest.importorskip("torch")
pytest.importorskip("triton")
KERNEL = '''
"""Inference of a batch norm as a Triton kernel."""

import torch
import triton
import triton.language as tl

ARRAYS = "torch"
CLAIMS = {"dtypes": ["float32", "bfloat16"], "layouts": ["contiguous"], "parameters": ["both"]}
CLAIMS |= {"checks_arguments": False}


@triton.jit
def normalize(x, weight, bias, mean, var, y, eps, channels, positions, BLOCK: tl.constexpr):
    row, at = tl.program_id(0), tl.arange(0, BLOCK)
    c = row % channels
    values = tl.load(x + row * positions + at, mask=at < positions).to(tl.float32)
    scale = tl.load(weight + c) / tl.sqrt(tl.load(var + c) + eps)
    out = (values - tl.load(mean + c)) * scale + tl.load(bias + c)
    tl.store(y + row * positions + at, out.to(y.dtype.element_ty), mask=at < positions)


def forward_inference(x, weight, bias, running_mean, running_var, *, eps):
    y = torch.empty_like(x)
    if x.numel():
        rows = x.shape[0] * x.shape[1]
        positions = x.numel() // rows
        arguments = x, weight, bias, running_mean, running_var, y, eps, x.shape[1], positions
        normalize[(rows,)](*arguments, BLOCK=triton.next_power_of_2(positions))
    return y
'''


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A correct file, and an environment in which its kernel is interpreted."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    path = tmp_path / "kernel.py"
    path.write_text(KERNEL)
    return path


def test_correct_kernel_conforms_in_the_interpreter(kernel: Path) -> None:
    """Neither the interpreter's bfloat16 nor its threads break a law, and the page names the interpreter."""
    words = [word for id in ("I1", "I2", "P7") for word in ("--requirement", id)]
    found = command("vet", kernel, *words, "--examples", "5:interpreted:2048", "-v", cwd=kernel.parent)
    assert found.status == 0, found.out
    assert "bfloat16 is not judged: Triton's interpreter" in found.out
    assert "P7 is not judged: Triton's interpreter" in found.out
    assert "P7: Triton's interpreter is not safe in threads" in found.out


def test_interpreter_really_has_these_faults(kernel: Path) -> None:
    """If it is judged all the same, the file breaks P7 by threads and I1 by bfloat16; else the remarks can go."""
    with opened(str(kernel)) as adapter:
        honest = adapter.claims
        assert (honest.dtypes, honest.interpreter) == (("float32",), True)
        adapter.claims = replace(honest, interpreter=False)  # type: ignore[misc]
        assert judge(adapter, "P7", examples=20, spec=str(kernel))[0] is not None
        adapter.claims = replace(honest, dtypes=("bfloat16",))  # type: ignore[misc]
        assert judge(adapter, "I1", examples=40, spec=str(kernel))[0] is not None


def test_wrong_kernel_is_found_in_the_interpreter(kernel: Path) -> None:
    """A fault of the file itself still breaks its law."""
    kernel.write_text(KERNEL.replace("+ eps)", ") + eps"))
    with opened(str(kernel)) as adapter:
        assert judge(adapter, "I1", examples=20, spec=str(kernel))[0] is not None


def test_bfloat16_alone_cannot_be_judged(kernel: Path) -> None:
    """A file that claims nothing else is refused in one line."""
    kernel.write_text(KERNEL.replace('"float32", "bfloat16"', '"bfloat16"'))
    with pytest.raises(AdapterError, match="no dtype but bfloat16: Triton's interpreter"), opened(str(kernel)):
        pass


def test_a_file_without_triton_is_judged_in_threads(kernel: Path) -> None:
    """TRITON_INTERPRET alone narrows nothing."""
    kernel.write_text("def forward_inference(x, weight, bias, running_mean, running_var, *, eps):\n    return x\n")
    with opened(str(kernel)) as adapter:
        assert not adapter.claims.interpreter
        assert laws()["P7"].source.why_not(adapter.claims) is None
