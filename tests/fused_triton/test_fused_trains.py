"""The README's example trains, with the fused kernel and with torch's module in its place."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
CLASSES = 10


def _example() -> str:
    (code,) = [
        block for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.S) if "load_digits" in block
    ]
    return code


@pytest.mark.parametrize("batch_norm", ["FusedBatchNorm(32)", "torch.nn.BatchNorm1d(32)"])
def test_readme_example_learns_digits(batch_norm: str) -> None:
    """After 60 steps the model is right on held-out digits eight times as often as guessing would be."""
    scope: dict[str, object] = {}
    exec(_example().replace("FusedBatchNorm(32)", batch_norm), scope)
    guessing = 1 / CLASSES
    assert float(scope["accuracy"]) > 8 * guessing  # type: ignore[arg-type]
