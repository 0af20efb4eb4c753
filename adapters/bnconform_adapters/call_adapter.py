"""The adapter of all bundled implementations: it calls an implementation's module and converts the results.

A module of calls is plain code, as a user of the framework would write it. ``Layer(case)`` returns an object with
``forward(case)``, which runs the forward pass and returns a function. That function runs the rest of the call and
returns a dict of results. The layer may have ``restart(case)``. The module may have ``second_order(case)``,
``jvp(case)`` and ``population(*cases)``, which return such a dict, and ``shards(*cases)``, which returns a list of
dicts.

The results have the names of the Outcome's array fields. ``"x after"`` and similar names are inputs after the call,
``"shares"`` are pairs of arrays that share memory, ``"overrun"`` are inputs around which the call wrote memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Protocol, TypeAlias, cast

from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Case, Finish, Layer, Outcome
from bnconform_adapters.frameworks import import_framework

Results: TypeAlias = Mapping[str, Any]
AFTER = " after"


class CalledLayer(Protocol):
    """A layer that a module's ``Layer(case)`` returns."""

    def forward(self, case: Case) -> Callable[[], Results]:
        """Run the forward pass; the returned function runs the rest and may be called again."""


class CallModule(Protocol):
    """A module of calls; only `Layer` is required."""

    def Layer(self, case: Case) -> CalledLayer:
        """Build a new layer with the case's parameters, statistics, eps and momentum."""

    def second_order(self, case: Case) -> Results:
        """Return gradients of the backward pass."""

    def jvp(self, case: Case) -> Results:
        """Return the tangent of y."""

    def shards(self, *cases: Case) -> Sequence[Results]:
        """Run one step over several devices, one case on each."""

    def population(self, *cases: Case) -> Results:
        """Return statistics of the data set whose batches are the cases' x."""


def outcome_of(results: Results) -> Outcome:
    """Convert a call's results to an Outcome; the top of this file lists their names."""
    after: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in results.items():
        if name.endswith(AFTER):
            after[name[: -len(AFTER)]] = value
        else:
            rest[name] = value
    shared, overrun = tuple(rest.pop("shares", ())), tuple(rest.pop("overrun", ()))
    return Outcome(**rest, inputs_after=after, shared=shared, overrun=overrun)


@dataclass(eq=False)
class CallAdapter:
    """The adapter of an implementation that has a module of calls.

    Attributes
    ----------
    name : str
    claims : Claims
    module : str or object
        The module of calls, or its import name. A name is imported when it is first needed.
    frameworks : tuple of str
        Import names of the module's frameworks, in an order in which they work together.
    """

    name: str
    claims: Claims
    module: str | CallModule
    frameworks: tuple[str, ...] = ()

    def layer(self, case: Case) -> Layer:
        built = self._calls().Layer(case)
        return RestartableLayer(built) if hasattr(built, "restart") else BuiltLayer(built)

    def second_order(self, case: Case) -> Outcome:
        return outcome_of(self._calls().second_order(case))

    def jvp(self, case: Case) -> Outcome:
        return outcome_of(self._calls().jvp(case))

    def shards(self, cases: Sequence[Case]) -> list[Outcome]:
        return [outcome_of(results) for results in self._calls().shards(*cases)]

    def population(self, cases: Sequence[Case]) -> Outcome:
        return outcome_of(self._calls().population(*cases))

    def _calls(self) -> CallModule:
        return imported(self.module, self.frameworks) if isinstance(self.module, str) else self.module


@cache
def imported(module: str, frameworks: tuple[str, ...]) -> CallModule:
    """Import a module of calls after its frameworks."""
    for framework in frameworks:
        import_framework(framework)
    return cast(CallModule, import_module(module))


class BuiltLayer:
    """A layer that calls a module's layer and returns Outcomes."""

    def __init__(self, built: Any) -> None:
        self._built = built

    def __call__(self, case: Case) -> Finish:
        finish = self._built.forward(case)
        return lambda: outcome_of(finish())


class RestartableLayer(BuiltLayer):
    """A built layer that can replace its parameters and statistics in place."""

    def restart(self, case: Case) -> None:
        self._built.restart(case)
