"""Compile the kernels for real GPUs on a machine without one, and report the resources that they use.

Tensors without memory (``meta``) pass through the real launch code up to the last step, where the
launches are recorded. So exactly the kernels are compiled that would run.

``TRITON_INTERPRET=0 python -m bnconform_adapters.fused_triton.ahead_of_time [TARGET | CASE@TARGET ...]`` prints
one JSON object per compiled kernel variant.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from . import runtime
from .launch import Settings
from .launch_backward import Needs, Saved, backward
from .launch_forward import Vectors, inference_forward, training_forward
from .runtime import COMPILE_OPTIONS, Launch, recorded_launches

TARGETS = {"sm_80": ("cuda", 80, 32), "sm_90": ("cuda", 90, 32), "gfx942": ("hip", "gfx942", 64)}


@dataclass(frozen=True)
class Case:
    """A call whose kernels are compiled.

    ``aligned`` is True if rows are a multiple of 16 bytes; loads must then be 128 bits wide.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    training: bool = True
    channels_last: bool = False
    relu: bool = False
    residual: bool = False
    aligned: bool = True


CASES = (
    # The largest tiles that stay on chip need the most registers.
    Case("on_chip_half", (64, 512, 14, 16), "float16", relu=True, residual=True),
    Case("on_chip_float", (64, 512, 14, 16), "float32", relu=True, residual=True),
    Case("on_chip_double", (32, 64, 14, 16), "float64", relu=True, residual=True),
    Case("on_chip_wide", (64, 2**20, 8, 8), "bfloat16"),
    Case("on_chip_small", (8, 130, 4, 4), "float32"),
    Case("on_chip_odd_rows", (32, 2048, 7, 7), "bfloat16", aligned=False),
    Case("fully_connected_half", (512, 4096), "float16"),
    Case("fully_connected_float", (1024, 4096), "float32", relu=True),
    Case("split_half", (32, 64, 112, 112), "float16", relu=True, residual=True),
    Case("split_float", (32, 64, 112, 112), "float32"),
    Case("split_double", (32, 64, 112, 112), "float64", relu=True),
    Case("split_channels_last_half", (32, 256, 56, 56), "bfloat16", channels_last=True, relu=True),
    Case("split_channels_last_float", (32, 256, 56, 56), "float32", channels_last=True),
    Case("split_long", (200000, 3, 16, 16), "float32"),
    Case("inference_half", (32, 256, 56, 56), "float16", training=False, relu=True, residual=True),
    Case("inference_float", (32, 256, 56, 56), "float32", training=False),
    Case("inference_channels_last", (32, 256, 56, 56), "float16", training=False, channels_last=True),
)


def launches(case: Case) -> list[Launch]:
    """Return the launches of the forward and backward passes of a case."""
    dtype = getattr(torch, case.dtype)

    def tensor() -> torch.Tensor:
        layout = torch.channels_last if case.channels_last else torch.contiguous_format
        return torch.empty(case.shape, dtype=dtype, device="meta", memory_format=layout)

    def vector() -> torch.Tensor:
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        return torch.empty(case.shape[1], dtype=wide, device="meta")

    x, dy, residual = tensor(), tensor(), tensor() if case.residual else None
    vectors = Vectors(vector(), vector(), vector(), vector())
    settings = Settings(training=case.training, momentum=0.1, eps=1e-5, relu=case.relu)
    with recorded_launches() as caught:
        if case.training:
            result = training_forward(x, vectors, residual, settings)
        else:
            result = inference_forward(x, vectors, residual, settings, save=True)
        assert result.mean is not None
        assert result.invstd is not None
        y = result.y if case.relu and case.residual else None
        saved = Saved(x, vectors.weight, vectors.bias, y, result.mean, result.invstd)
        backward(dy, saved, settings, Needs(True, True, True, case.residual))
        if not case.training:  # in inference, dx alone uses another kernel
            backward(dy, saved, settings, Needs(True, False, False, case.residual))
    return list(caught)


@dataclass(frozen=True)
class Resources:
    """Resources of one kernel variant on one target.

    ``loads`` and ``stores`` count global-memory instructions by width in bits; ``spilled`` counts
    bytes of local memory (stack and spills), ``forbidden`` the atomic and reduction instructions.
    """

    case: str
    kernel: str
    target: str
    warps: int
    tile: tuple[int, ...]
    registers: int
    spilled: int
    shared: int
    loads: dict[int, int]
    stores: dict[int, int]
    forbidden: list[str]
    aligned: bool


def resources(cases: tuple[Case, ...], target: str) -> Iterator[Resources]:
    """Compile each kernel variant that the cases launch once for a target."""
    if runtime.interpreted:
        raise RuntimeError("compiling needs TRITON_INTERPRET=0 in the environment before the start")
    seen: set[str] = set()
    for case in cases:
        for launch in launches(case):
            source, options, key = _source(launch, target)
            if key not in seen:
                seen.add(key)
                yield _compiled(case, launch, source, options, target)


def _source(launch: Launch, target: str) -> tuple[Any, dict[str, Any], str]:
    """Return the source, options and key that Triton's own launcher would use for these arguments."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, make_backend
    from triton.runtime.jit import create_function_from_signature

    function = launch.function
    backend = make_backend(GPUTarget(*TARGETS[target]))
    bind = create_function_from_signature(function.signature, function.params, backend)
    given = {"num_warps": launch.warps, **COMPILE_OPTIONS}
    bound, specialization, _ = bind(**launch.arguments, **given)
    _, signature, constexprs, attributes = function._pack_args(backend, given, bound, specialization, None)
    source = ASTSource(function, signature, constexprs, attributes)
    key = repr((function.fn.__name__, signature, constexprs, attributes, launch.warps))
    return source, given, key


def _compiled(case: Case, launch: Launch, source: Any, options: dict[str, Any], target: str) -> Resources:
    import triton
    from triton.backends.compiler import GPUTarget

    compiled = triton.compile(source, target=GPUTarget(*TARGETS[target]), options=options)
    read = _read_amd if target.startswith("gfx") else _read_nvidia
    registers, spilled, loads, stores, forbidden = read(compiled)
    tile = launch.arguments.get("TILE", (launch.arguments.get("BC", 0), launch.arguments.get("BP", 0)))
    return Resources(
        case.name, launch.function.fn.__name__, target, launch.warps, tile, registers, spilled,
        compiled.metadata.shared, loads, stores, forbidden, case.aligned,
    )  # fmt: skip


Reading = tuple[int, int, dict[int, int], dict[int, int], list[str]]


def _read_nvidia(compiled: Any) -> Reading:
    """Read registers and local memory from the cubin's header, and instructions from its disassembly."""
    import triton

    tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        usage = _output(tools / "cuobjdump", "-res-usage", file.name)
        code = _output(tools / "nvdisasm", "-c", "-ndf", file.name)  # without analysis of branches, a third of its time
    found = re.search(r"REG:(\d+) STACK:(\d+) SHARED:\d+ LOCAL:(\d+)", usage)
    assert found is not None, usage
    registers, stack, local = map(int, found.groups())
    width = re.compile(r"\b(LDG|STG)\.E((?:\.\w+)*)")
    counts: dict[str, Counter[int]] = {"LDG": Counter(), "STG": Counter()}
    for operation, modifiers in width.findall(code):
        sizes = [m for m in modifiers.split(".") if re.fullmatch(r"[US]?(8|16|64|128)", m)]
        counts[operation][int(re.sub(r"\D", "", sizes[0])) if sizes else 32] += 1
    forbidden = re.findall(r"\b(?:ATOM|ATOMG|ATOMS|RED|REDG|REDUX)\b[.\w]*", code)
    return registers, stack + local, dict(counts["LDG"]), dict(counts["STG"]), forbidden


def _read_amd(compiled: Any) -> Reading:
    """Read registers, memory and instructions from the assembly text."""
    code = compiled.asm["amdgcn"]

    def number(name: str) -> int:
        found = re.search(rf"\.{name}:\s*(\d+)", code)
        assert found is not None, name
        return int(found[1])

    def widths(verb: str) -> dict[int, int]:
        bits = {"dword": 32, "dwordx2": 64, "dwordx3": 96, "dwordx4": 128, "b32": 32, "b64": 64, "b128": 128}
        found = re.findall(rf"\b(?:global|buffer)_{verb}_(\w+)", code)
        return dict(Counter(bits.get(name, 8 if "byte" in name else 16) for name in found))

    spilled = number("vgpr_spill_count") + number("sgpr_spill_count") + number("private_segment_fixed_size")
    forbidden = re.findall(r"\b(?:global|buffer|flat|ds)_(?:atomic|add|max|min)_\w+", code)
    return number("vgpr_count"), spilled, widths("load"), widths("store"), forbidden


def _output(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def _worker(case: Case, target: str) -> list[dict[str, Any]]:
    return [asdict(found) for found in resources((case,), target)]


def main(chosen: list[str]) -> int:
    """Print the resources of the chosen targets and cases (default: all), one JSON object per line."""
    jobs = [
        (case, target)
        for target in TARGETS
        for case in CASES
        if not chosen or target in chosen or f"{case.name}@{target}" in chosen
    ]
    with ProcessPoolExecutor(2) as pool:
        for found in pool.map(_worker, *zip(*jobs, strict=True)):
            for line in found:
                print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
