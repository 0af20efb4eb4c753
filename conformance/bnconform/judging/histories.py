"""Histories of one layer as a Hypothesis state machine: training, inference, loading, resetting, refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from hypothesis import Verbosity
from hypothesis import settings as Settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from bnconform.cases.build import build
from bnconform.cases.recipe import Recipe
from bnconform.cases.shapes import at_least_two_values
from bnconform.cases.spaces import Space
from bnconform.cases.strategies import SALTS, STATE, OfSpace, Signature, recipes
from bnconform.judging.expected_state import ExpectedState
from bnconform.judging.judge import Judge
from bnconform_adapters.calls import LayerCalls
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Before, Case

LONGEST = 8
"""Calls in one history: enough for two events that must not disturb one another, and a call that shows it."""

CACHED = 64
"""Cached state machines: one per implementation, or one per pool of an implementation that compiles."""


@dataclass(frozen=True)
class Histories(OfSpace):
    """Source of calls of one layer in any order; each call is judged at once, so no strategy draws them alone."""

    def explore(
        self,
        judge: Judge,
        pool: tuple[Signature, ...],
        settings: Settings,
        decorate: Callable[[Any], Any],
    ) -> None:
        """Run histories until one breaks a law or the examples are used up.

        Parameters
        ----------
        judge : Judge
        pool : tuple of Signature
            See :func:`~bnconform.cases.strategies.signature_pool`.
        settings : hypothesis.settings
        decorate : callable
            Given the state machine, sets its seed.

        Raises
        ------
        Broken
            Broken law of the smallest history found.
        """
        machine, judges = _machine(self.space, judge.claims, pool)
        quiet = Settings(settings, stateful_step_count=LONGEST, verbosity=Verbosity.quiet)
        judges.append(judge)
        try:
            run_state_machine_as_test(decorate(machine), settings=quiet)
        finally:
            judges.pop()


@lru_cache(maxsize=CACHED)
def _machine(
    space: Space, claims: Claims, pool: tuple[Signature, ...]
) -> tuple[type[RuleBasedStateMachine], list[Judge]]:
    """Return the state machine and its list of judges; the machine uses the last judge.

    The class is cached, since Hypothesis never frees a class or the objects that the class holds.
    """
    judges: list[Judge] = []

    class Layer(RuleBasedStateMachine):
        """One layer; every rule makes a call, and the oracle's state judges the call at once."""

        def __init__(self) -> None:
            super().__init__()
            self._steps: tuple[Case, ...] = ()
            self._layer = LayerCalls(judges[-1].adapter)

        @initialize(recipe=recipes(space, claims, pool))
        def build(self, recipe: Recipe) -> None:
            """Choose the layer's first parameters and statistics, without a call."""
            self._recipe = recipe
            self._loaded = build(recipe)
            self._expected_state = ExpectedState(judges[-1], self._loaded)
            judges[-1].begin(())

        def _call(self, case: Case) -> None:
            self._steps = (*self._steps, case)
            self._expected_state.enter(case, judges[-1].extend(case, self._layer.call))

        def _next(self, shape: tuple[int, ...], *, training: bool = True, before: Before = "nothing") -> Case:
            salt = self._recipe.salt + SALTS * (len(self._steps) + 1)
            case = replace(build(replace(self._recipe, shape=shape, training=training, salt=salt)), before=before)
            if before == "nothing":
                return replace(case, **{name: getattr(self._loaded, name) for name in STATE})
            if before == "reset":
                case = replace(case, weight=self._loaded.weight, bias=self._loaded.bias, **self._initial())
            self._loaded = case
            return case

        def _initial(self) -> dict[str, Any]:
            mean, var = self._loaded.running_mean, self._loaded.running_var
            assert mean is not None
            assert var is not None
            dialect = claims.dialect
            return {
                "running_mean": np.full_like(mean, dialect.initial_mean),
                "running_var": np.full_like(var, dialect.initial_variance),
            }

        def _shape(self, samples: int | None) -> tuple[int, ...]:
            shape = self._recipe.shape
            return shape if samples is None or pool else at_least_two_values((samples, *shape[1:]))

        @rule(samples=st.sampled_from((None, 2, 3, 5)))
        def train(self, samples: int | None) -> None:
            """A training step, often on a batch of another size."""
            self._call(self._next(self._shape(samples)))

        @rule()
        def infer(self) -> None:
            """Inference with the running statistics."""
            self._call(self._next(self._recipe.shape, training=False))

        @precondition(lambda self: claims.empty_batches)
        @rule()
        def train_on_nothing(self) -> None:
            """A training step on a batch without samples."""
            self._call(self._next((0, *self._recipe.shape[1:])))

        @precondition(lambda self: claims.checks_arguments and self._steps)  # a layer is built for its first call
        @rule(training=st.booleans())
        def refuse_channels(self, training: bool) -> None:
            """A call with one channel too many, which must raise."""
            shape = self._recipe.shape
            self._call(self._next((shape[0], shape[1] + 1, *shape[2:]), training=training))

        @precondition(lambda self: claims.dialect.one_value == "raises")
        @rule()
        def refuse_one_value(self) -> None:
            """A training step on one value per channel, which must raise."""
            self._call(self._next((1, self._recipe.channels, *(1 for _ in self._recipe.shape[2:]))))

        @rule(training=st.booleans())
        def load(self, training: bool) -> None:
            """Load other parameters and statistics, then call the layer."""
            self._call(self._next(self._recipe.shape, training=training, before="load"))

        @rule(training=st.booleans())
        def reset(self, training: bool) -> None:
            """Restore the statistics of a new layer, then call the layer."""
            self._call(self._next(self._recipe.shape, training=training, before="reset"))

        def teardown(self) -> None:
            """Count the example."""
            if self._steps:
                judges[-1].end()

    return Layer, judges
