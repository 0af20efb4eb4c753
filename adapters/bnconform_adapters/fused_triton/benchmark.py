"""Benchmark: time the kernel on a GPU, and compare it with torch's own batch norm and a plain copy.

Every figure is the median of interleaved runs: all contenders run once per round, so that clocks and
temperature favour none. GB/s counts the minimum transfers of a pass (see ``traffic.PASSES``) for every
contender; a share of 100 % is as fast as a copy of that many bytes.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

NO_GPU = "bnconform bench kernel needs a GPU: torch finds none on this machine"
ROUNDS = 30
WARM_UP = 5
# More than the second-level cache of any current GPU, so that a run finds no data in the cache.
FLUSH_BYTES = 256 * 2**20


class Shape(NamedTuple):
    """A layer whose batch norm is timed."""

    layer: str
    sizes: tuple[int, ...]


SHAPES = (
    Shape("ResNet-50 stem", (32, 64, 112, 112)),
    Shape("ResNet-50 stage 1", (32, 64, 56, 56)),
    Shape("ResNet-50 stage 1, out", (32, 256, 56, 56)),
    Shape("ResNet-50 stage 2", (32, 128, 28, 28)),
    Shape("ResNet-50 stage 2, out", (32, 512, 28, 28)),
    Shape("ResNet-50 stage 3", (32, 256, 14, 14)),
    Shape("ResNet-50 stage 3, out", (32, 1024, 14, 14)),
    Shape("ResNet-50 stage 4", (32, 512, 7, 7)),
    Shape("ResNet-50 stage 4, out", (32, 2048, 7, 7)),
    Shape("fully connected", (256, 4096)),
    Shape("fully connected, large batch", (8192, 1024)),
)


class Timing(NamedTuple):
    """A row of the benchmark's table; times in seconds, sizes in bytes."""

    layer: str
    sizes: tuple[int, ...]
    dtype: str
    work: str
    contender: str
    seconds: float
    minimum_bytes: int

    @property
    def bandwidth(self) -> float:
        """Minimum bytes of the pass, per second."""
        return self.minimum_bytes / self.seconds


def median_seconds(contenders: dict[str, Callable[[], Any]], flush: Any) -> dict[str, float]:
    """Measure the median time of each contender over interleaved rounds, with GPU events."""
    import torch

    for run in contenders.values():
        for _ in range(WARM_UP):
            run()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, run in contenders.items():
            flush.zero_()  # also keeps the GPU busy while the host queues the launches
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            run()
            end.record()
            torch.cuda.synchronize()
            times[name].append(start.elapsed_time(end) / 1e3)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def copy_bandwidth(flush: Any) -> float:
    """Measure the bytes per second of a device copy, counting read and written bytes."""
    import torch

    source = torch.empty(FLUSH_BYTES, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    seconds = median_seconds({"copy": lambda: target.copy_(source)}, flush)["copy"]
    return 2 * FLUSH_BYTES / seconds


def minimum_transfers(sizes: tuple[int, ...], dtype: Any, *, backward: bool) -> int:
    """Return the transfers of a training pass: 2 or 3 if channels fit on chip, else 3 or 5."""
    import torch

    from .launch import on_chip_tile
    from .layout import channel_view

    x = torch.empty(sizes, dtype=dtype, device="meta")
    view = channel_view(x)
    assert view is not None
    if on_chip_tile(x, view) is not None:
        return 3 if backward else 2
    return 5 if backward else 3


def timings(flush: Any) -> list[Timing]:
    """Time forward and backward of every shape in float16 and float32, for every contender."""
    import torch
    from torch.nn.functional import batch_norm

    from .function import fused_batch_norm

    def eager(x: Any, weight: Any, bias: Any, mean: Any, var: Any) -> Any:
        return batch_norm(x, mean, var, weight, bias, training=True)

    def fused(x: Any, weight: Any, bias: Any, mean: Any, var: Any) -> Any:
        return fused_batch_norm(x, weight, bias, mean, var, training=True)

    functions = {"fused": fused, "torch": eager, "torch.compile": torch.compile(eager)}
    found = []
    for layer, sizes in SHAPES:
        for dtype in (torch.float16, torch.float32):
            x = torch.randn(sizes, device="cuda").to(dtype).requires_grad_()
            dy = torch.randn_like(x)
            weight = torch.ones(sizes[1], device="cuda", requires_grad=True)
            bias = torch.zeros(sizes[1], device="cuda", requires_grad=True)
            statistics_ = (torch.zeros(sizes[1], device="cuda"), torch.ones(sizes[1], device="cuda"))
            leaves = (x, weight, bias)
            outputs = {name: f(*leaves, *statistics_) for name, f in functions.items()}
            works: dict[str, dict[str, Callable[[], Any]]] = {
                "forward": {name: _bound(f, *leaves, *statistics_) for name, f in functions.items()},
                "backward": {
                    name: _bound(torch.autograd.grad, y, leaves, dy, retain_graph=True) for name, y in outputs.items()
                },
            }
            for work, contenders in works.items():
                needed = minimum_transfers(sizes, dtype, backward=work == "backward")
                moved = needed * math.prod(sizes) * x.element_size()
                for name, seconds in median_seconds(contenders, flush).items():
                    short = str(dtype).removeprefix("torch.")
                    found.append(Timing(layer, sizes, short, work, name, seconds, moved))
    return found


def _bound(function: Callable[..., Any], *arguments: Any, **options: Any) -> Callable[[], Any]:
    return lambda: function(*arguments, **options)


def table(found: list[Timing], copy: float) -> str:
    """Return a Markdown table: time, GB/s, share of the copy, and the time at the copy's bandwidth."""
    lines = [
        "| layer | shape | dtype | pass | by | us | GB/s | of copy | roofline us |",
        "| - | - | - | - | - | -: | -: | -: | -: |",
    ]
    for line in found:
        roofline = line.minimum_bytes / copy
        lines.append(
            f"| {line.layer} | {'x'.join(map(str, line.sizes))} | {line.dtype} | {line.work} | {line.contender} "
            f"| {line.seconds * 1e6:.1f} | {line.bandwidth / 1e9:.0f} | {line.bandwidth / copy:.0%} "
            f"| {roofline * 1e6:.1f} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Print the table; without a GPU, print an error to stderr and return 2."""
    import torch

    if not torch.cuda.is_available():
        print(NO_GPU, file=sys.stderr)
        return 2
    flush = torch.empty(FLUSH_BYTES, dtype=torch.uint8, device="cuda")
    copy = copy_bandwidth(flush)
    print(f"{torch.cuda.get_device_name()}: a device copy moves {copy / 1e9:.0f} GB/s\n")
    print(table(timings(flush), copy))
    return 0


if __name__ == "__main__":
    sys.exit(main())
