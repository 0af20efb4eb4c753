"""An output that a case asks for and that comes back as None breaks the law at hand, whichever law that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from suite_runs import judge, laws, replaced, starter

from bnconform.judging.due import missing_output
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Adapter, Case, Finish, Layer, Outcome
from bnconform_adapters.registry import create, find, load

ASKS_FOR_NO_OUTPUT = {
    "E1": "wrong arguments must raise",
    "E2": "a call must come back, with whatever",
    "X2": "training on one value must raise",
}


@dataclass(frozen=True)
class Dropping:
    """The project's own layer, which keeps an output to itself in some calls."""

    name: str
    output: str
    where: Callable[[Case], bool]

    @property
    def inner(self) -> Adapter:
        """The correct layer."""
        return create(find("reference"))

    @property
    def claims(self) -> Claims:
        """Those of the correct layer."""
        return self.inner.claims

    def layer(self, case: Case) -> Layer:
        """A layer that drops the output."""
        layer = self.inner.layer(case)

        def forward(case: Case) -> Finish:
            finish = layer(case)
            return lambda: self._without(case, finish())

        return forward

    def second_order(self, case: Case) -> Outcome:
        """Likewise, of second-order gradients."""
        return self._without(case, self.inner.second_order(case))  # type: ignore[attr-defined]

    def jvp(self, case: Case) -> Outcome:
        """Likewise, of forward mode."""
        return self._without(case, self.inner.jvp(case))  # type: ignore[attr-defined]

    def shards(self, cases: Sequence[Case]) -> list[Outcome]:
        """Likewise, of a step over several devices."""
        found = self.inner.shards(cases)  # type: ignore[attr-defined]
        return [self._without(case, outcome) for case, outcome in zip(cases, found, strict=True)]

    def population(self, cases: Sequence[Case]) -> Outcome:
        """Likewise, of the statistics of a data set."""
        return self._without(cases[0], self.inner.population(cases))  # type: ignore[attr-defined]

    def _without(self, case: Case, outcome: Outcome) -> Outcome:
        dropped: dict[str, Any] = {self.output: None}
        return replace(outcome, **dropped) if self.where(case) else outcome


@pytest.mark.parametrize("id", sorted(laws()))
def test_every_law_notices_that_y_is_missing(id: str) -> None:
    """No law that asks for y holds where y is None."""
    if laws()[id].source.why_not(create(find("reference")).claims):
        return
    output = {"G10": "ddy", "P9": "ddy", "G11": "y_tangent", "S10": "running_mean"}.get(id, "y")
    broken, _ = judge(Dropping("dropping", output, lambda case: True), id, profile="quick")
    if id in ASKS_FOR_NO_OUTPUT:
        assert broken is None
        return
    assert broken is not None
    assert broken.finding.quantity == output
    assert broken.finding.problem.startswith("is missing")


@pytest.mark.parametrize("id", ["F5", "X1", "X3", "X5", "P1", "P2", "P3", "P6", "P7", "M4", "M5", "G8", "G9", "N1"])
@pytest.mark.parametrize("output", ["dx", "dweight", "dbias"])
def test_missing_gradient_breaks_what_looks_at_gradients(output: str, id: str) -> None:
    """A gradient that is None is noticed by laws that compare gradients, also by those that compare two of them."""
    broken, _ = judge(Dropping("dropping", output, lambda case: case.training), id, profile="quick")
    assert broken is not None
    assert broken.finding.quantity == output
    assert broken.finding.problem.startswith("is missing")


NO_DBIAS = (
    (
        "return np.zeros_like(dy), zeros, zeros.copy()",
        "return np.zeros_like(dy), zeros, None",
    ),
)


def test_gradient_that_is_missing_on_an_empty_batch_alone_is_noticed(tmp_path: Path) -> None:
    """X3 asks for every gradient of an empty batch."""
    path = tmp_path / "kernel.py"
    path.write_text(replaced(starter(), NO_DBIAS))
    broken, _ = judge(load(str(path)), "X3", profile="quick")
    assert broken is not None
    assert (broken.finding.quantity, broken.finding.problem) == ("dbias", "is missing")


X = np.ones((4, 2), np.float32)
VECTOR = np.ones(2, np.float32)
FULL = Case(X, X, VECTOR, VECTOR, VECTOR, VECTOR)
ALL = Outcome(X, VECTOR, VECTOR, X, VECTOR, VECTOR)


@pytest.mark.parametrize(
    ("changed", "dropped", "claims", "due"),
    [
        ({}, (), Claims(), None),
        ({}, ("dx", "dbias"), Claims(), "dx"),
        ({}, ("running_var",), Claims(), "running_var"),
        ({"training": False}, ("running_mean", "running_var"), Claims(), None),
        ({"running_mean": None, "running_var": None}, ("running_mean", "running_var"), Claims(), None),
        ({"weight": None}, ("dweight",), Claims(), None),
        ({"bias": None}, ("dweight",), Claims(), "dweight"),
        ({"wanted": "dbias"}, ("dx", "dweight"), Claims(), None),
        ({"wanted": "dbias"}, ("dbias",), Claims(), "dbias"),
        ({"dy": None}, ("dx", "dweight", "dbias"), Claims(), None),
        ({"training": False}, ("dx",), Claims(gradients=("training",)), None),
        ({"training": False}, ("dx",), Claims(), "dx"),
        ({"x": X[:0], "dy": X[:0]}, ("y",), Claims(), "y"),
        ({"weight": VECTOR[:1]}, ("y", "dx"), Claims(), None),
    ],
    ids=str,
)
def test_what_is_due(changed: dict[str, Any], dropped: tuple[str, ...], claims: Claims, due: str | None) -> None:
    """What the case asks for is due: wanted gradients of what is there, in modes that have any; refusals owe none."""
    nothing: dict[str, Any] = dict.fromkeys(dropped)
    assert missing_output(replace(FULL, **changed), replace(ALL, **nothing), claims) == due
