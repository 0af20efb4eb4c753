"""One of several processes that train `FusedSyncBatchNorm` together: ``RANK SIZES RENDEZVOUS RESULT``.

Each takes its shard of the same data, by the sizes; what came of it is saved for the test to look at.
"""

from __future__ import annotations

import sys
from datetime import timedelta

import torch
import torch.distributed as dist

from bnconform_adapters.fused_triton import FusedSyncBatchNorm

EPS, MOMENTUM, OFFSET = 1e-3, 0.3, 50.0


def data(samples: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """x, dy, weight and bias of the whole batch."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(samples, 3, 4, generator=generator) + OFFSET
    dy = torch.randn(samples, 3, 4, generator=generator) + 0.5
    return x, dy, torch.tensor([1.5, -0.5, 2.0]), torch.tensor([0.25, 1.0, -1.0])


def step(x: torch.Tensor, dy: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> dict[str, torch.Tensor]:
    """A training step of a new layer on a shard."""
    layer = FusedSyncBatchNorm(3, eps=EPS, momentum=MOMENTUM)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    x = x.clone().requires_grad_()
    y = layer(x)
    y.backward(dy)
    state = {name: tensor.detach() for name, tensor in layer.state_dict().items()}
    return state | {"y": y.detach(), "dx": x.grad, "dweight": layer.weight.grad, "dbias": layer.bias.grad}


def main() -> None:
    rank, sizes, rendezvous, result = int(sys.argv[1]), [int(n) for n in sys.argv[2].split(",")], *sys.argv[3:5]
    dist.init_process_group(
        "gloo", init_method=rendezvous, rank=rank, world_size=len(sizes), timeout=timedelta(seconds=60)
    )
    x, dy, weight, bias = data(sum(sizes))
    found: dict[str, torch.Tensor] | str
    try:
        found = step(x.split(sizes)[rank], dy.split(sizes)[rank], weight, bias)
    except ValueError as error:
        found = str(error)
    torch.save(found, result)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
