"""Kinds that a case belongs to, and a histogram of the drawn kinds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bnconform_adapters.contract import Case

_LENGTHS = (0, 1, 2, 3, 4, 8, 16, 30, 64, 256, 2048)
_CHANNELS = (0, 1, 2, 3, 5, 8, 64, 256)
_MADE = {"values": "normal", "ratio": "1.0", "spread": "unit", "statistics": "random", "weight": "random"}
_BAR = 40


def kinds_of(case: Case) -> Iterator[tuple[str, str]]:
    """Yield dimension and kind, as ("dtype", "float16") or ("n", "5-8"), for each dimension of the case."""
    yield "mode", "training" if case.training else "inference"
    yield "dtype", case.dtype
    yield "rank", str(case.x.ndim)
    yield "n", _interval(case.values_per_channel, _LENGTHS)
    yield "C", _interval(case.channels, _CHANNELS)
    yield "x lies", case.layout
    if case.dy is not None:
        yield "dy lies", case.dy_layout
    present = [name for name in ("weight", "bias") if getattr(case, name) is not None]
    yield "parameters", " and ".join(present) or "neither"
    yield "eps", f"{case.eps:g}"
    if case.training:
        yield "momentum", "None" if case.momentum is None else f"{case.momentum:.2g}"
    made = _MADE | dict(word.split("=", 1) for word in case.origin.split() if "=" in word)
    for name in _MADE:
        yield {"ratio": "|mean|/sd"}.get(name, name), made[name]


def _interval(value: int, edges: tuple[int, ...]) -> str:
    """Return the interval of `value` as text, ends included; `edges` are the upper ends of all intervals."""
    below = -1
    for edge in edges:
        if value <= edge:
            return str(edge) if edge == below + 1 else f"{below + 1}-{edge}"
        below = edge
    return f"over {below}"


def histogram(counts: Mapping[str, int]) -> Iterator[str]:
    """Yield a line with a bar for each kind, grouped by dimension; keys of `counts` are like "dtype: float16"."""
    dimensions: dict[str, dict[str, int]] = {}
    for key, count in counts.items():
        dimension, _, kind = key.partition(": ")
        dimensions.setdefault(dimension, {})[kind] = count
    for dimension, kinds in sorted(dimensions.items()):
        total = sum(kinds.values())
        for kind, count in sorted(kinds.items(), key=lambda item: (_number(item[0]), item[0])):
            bar = "#" * round(_BAR * count / total)
            yield f"{dimension:<10} {kind:>14} {count / total:6.1%} {bar}"


def _number(kind: str) -> float:
    """Return the sort key of a kind: its first number, or 0."""
    try:
        return float(kind.removeprefix("over ").split("-")[0]) + kind.startswith("over ")
    except ValueError:
        return 0.0
