"""The usual way to test a layer with Hypothesis, as a measure for the suite: drawn elements, NumPy, allclose.

It is given what the suite has beside: the same shapes, the same implementation through the same adapter, and a check of
all outputs. Its tolerances are as wide as a correct implementation needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter, thread_time
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bnconform_adapters.calls import run_steps
from bnconform_adapters.contract import Adapter, Case, Outcome

RTOL, ATOL = 1e-3, 1e-2
"""The narrowest powers of ten under which the NumPy starter passes; 1e-4 and 1e-5 fail it within 250 cases."""
EPS, MOMENTUM = 1e-5, 0.1


class Differs(AssertionError):
    """An output is not close."""


def _elements(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, width=32)


def cases(shapes: Sequence[tuple[int, ...]]) -> st.SearchStrategy[Case]:
    """Training steps with gradients, float32, of these shapes."""

    def of(shape: tuple[int, ...]) -> st.SearchStrategy[Case]:
        x, vector = arrays(np.float32, shape, elements=_elements(-10, 10)), (shape[1],)
        return st.builds(
            Case,
            x=x,
            dy=arrays(np.float32, shape, elements=_elements(-2, 2)),
            weight=arrays(np.float32, vector, elements=_elements(0.5, 2)),
            bias=arrays(np.float32, vector, elements=_elements(-2, 2)),
            running_mean=arrays(np.float32, vector, elements=_elements(-2, 2)),
            running_var=arrays(np.float32, vector, elements=_elements(0.5, 2)),
            training=st.just(True),
        )

    return st.sampled_from(shapes).flatmap(of)


def check(case: Case, outcome: Outcome) -> None:
    """Compare every output with NumPy's in float64.

    Raises
    ------
    Differs
    """
    if outcome.error is not None:
        raise Differs(outcome.error)
    x, dy = case.x.astype(np.float64), case.dy.astype(np.float64)
    axes, n = (0, *range(2, x.ndim)), case.values_per_channel
    wide = (-1, *[1] * (x.ndim - 2))
    mean, var = x.mean(axis=axes), x.var(axis=axes)
    invstd = 1 / np.sqrt(var + EPS)
    xhat = (x - mean.reshape(wide)) * invstd.reshape(wide)
    dbias, dweight = dy.sum(axis=axes), (dy * xhat).sum(axis=axes)
    centred = dy - dbias.reshape(wide) / n - xhat * dweight.reshape(wide) / n
    due = {
        "y": case.weight.reshape(wide) * xhat + case.bias.reshape(wide),
        "running_mean": (1 - MOMENTUM) * case.running_mean + MOMENTUM * mean,
        "running_var": (1 - MOMENTUM) * case.running_var + MOMENTUM * var * n / (n - 1),
        "dx": (case.weight * invstd).reshape(wide) * centred,
        "dweight": dweight,
        "dbias": dbias,
    }
    for name, value in due.items():
        found = getattr(outcome, name)
        if found is not None and not np.allclose(found, value, rtol=RTOL, atol=ATOL):
            raise Differs(name)


def examine(
    adapter: Adapter,
    shapes: Sequence[tuple[int, ...]],
    examples: int,
    chosen: int,
    *,
    judge: Callable[[Case, Outcome], None] = check,
) -> dict[str, Any]:
    """Run the usual test; give the number of cases and the seconds to the first failure, and whether there is one.

    Shrinking is left out, as for the suite.
    """
    found: dict[str, Any] = {"cases": 0, "failed": None}
    start, since = thread_time(), perf_counter()

    @seed(chosen)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases(shapes))
    def test(case: Case) -> None:
        found["cases"] += 1
        judge(case, run_steps(adapter, [case])[0])

    try:
        test()
    except Differs as error:
        found["failed"] = str(error)
    except BaseException as error:  # what the implementation does to the test counts as caught, too
        if isinstance(error, KeyboardInterrupt):
            raise
        found["failed"] = type(error).__name__
    return found | {"seconds": thread_time() - start, "wall": perf_counter() - since}
