"""The one adapter of all bundled implementations: it calls an implementation's module and reads the results.

A module of calls is plain code, as a user of the framework would write it. It has ``Layer(case)``, an object with
``forward(case)``; that runs the forward pass and returns a function that runs the rest of the call and gives a dict of
results. The layer may have ``restart(case)``. The module may have ``second_order(case)`` and ``jvp(case)``, which give
such a dict, ``shards(*cases)``, which gives a list of them, and ``population(*cases)``.

The results have the names of the Outcome's array fields; ``"x after"`` and the like are inputs as the call left them,
``"shares"`` are pairs of arrays that share memory, ``"overrun"`` are inputs around which memory was written.
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
    """The object that a module's ``Layer(case)`` returns."""

    def forward(self, case: Case) -> Callable[[], Results]:
        """Run the forward pass; the returned function runs the rest and may be called again."""


class CallModule(Protocol):
    """A module of calls; only `Layer` is always there."""

    def Layer(self, case: Case) -> CalledLayer:
        """Build a new layer with the case's parameters, statistics, eps and momentum."""

    def second_order(self, case: Case) -> Results:
        """Gradients of the backward pass."""

    def jvp(self, case: Case) -> Results:
        """The tangent of y."""

    def shards(self, *cases: Case) -> Sequence[Results]:
        """One step over several devices, a case on each."""

    def population(self, *cases: Case) -> Results:
        """Statistics of the data set whose batches are the cases' x."""


def outcome_of(results: Results) -> Outcome:
    """The Outcome of a call's results, see the head of this file."""
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
    """An implementation that a module of calls runs.

    Attributes
    ----------
    name : str
    claims : Claims
    module : str or object
        The module of calls, or its import name; then it is imported when it is first needed.
    frameworks : tuple of str
        Import names of what the module imports, in an order in which they get along.
    """

    name: str
    claims: Claims
    module: str | CallModule
    frameworks: tuple[str, ...] = ()

    def layer(self, case: Case) -> Layer:
        """See :class:`~bnconform_adapters.contract.Adapter`."""
        built = self._calls().Layer(case)
        return RestartableLayer(built) if hasattr(built, "restart") else BuiltLayer(built)

    def second_order(self, case: Case) -> Outcome:
        """See :class:`~bnconform_adapters.claims.Claims`."""
        return outcome_of(self._calls().second_order(case))

    def jvp(self, case: Case) -> Outcome:
        """See :class:`~bnconform_adapters.claims.Claims`."""
        return outcome_of(self._calls().jvp(case))

    def shards(self, cases: Sequence[Case]) -> list[Outcome]:
        """See :class:`~bnconform_adapters.claims.Claims`."""
        return [outcome_of(results) for results in self._calls().shards(*cases)]

    def population(self, cases: Sequence[Case]) -> Outcome:
        """See :class:`~bnconform_adapters.claims.Claims`."""
        return outcome_of(self._calls().population(*cases))

    def _calls(self) -> CallModule:
        return imported(self.module, self.frameworks) if isinstance(self.module, str) else self.module


@cache
def imported(module: str, frameworks: tuple[str, ...]) -> CallModule:
    """A module of calls, imported after its frameworks."""
    for framework in frameworks:
        import_framework(framework)
    return cast(CallModule, import_module(module))


class BuiltLayer:
    """A layer of a module of calls."""

    def __init__(self, built: Any) -> None:
        self._built = built

    def __call__(self, case: Case) -> Finish:
        """See :class:`~bnconform_adapters.contract.Layer`."""
        finish = self._built.forward(case)
        return lambda: outcome_of(finish())


class RestartableLayer(BuiltLayer):
    """A layer that takes parameters and statistics over in place."""

    def restart(self, case: Case) -> None:
        """See :class:`~bnconform_adapters.calls.Restartable`."""
        self._built.restart(case)
