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
from bnconform.cases.strategies import SALTS, Signature, recipes
from bnconform.judging.expected_state import ExpectedState
from bnconform.judging.judge import Judge
from bnconform_adapters.calls import LayerCalls
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Before, Case

LONGEST = 8
"""Calls in one history: enough for two of the events that must not disturb one another, and what shows it."""

KEPT = 64
"""State machines: one for each implementation, or for each pool of one that compiles."""

PARAMETERS = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class Histories:
    """Calls of one layer in any order, of a space; judged as they happen, so there is no strategy for them alone."""

    space: Space

    def why_not(self, claims: Claims) -> str | None:
        """See :class:`~bnconform.cases.strategies.Source`."""
        return self.space.why_not(claims)

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
            By the smallest history found.
        """
        machine, judges = _machine(self.space, judge.claims, pool)
        quiet = Settings(settings, stateful_step_count=LONGEST, verbosity=Verbosity.quiet)
        judges.append(judge)
        try:
            run_state_machine_as_test(decorate(machine), settings=quiet)
        finally:
            judges.pop()


@lru_cache(maxsize=KEPT)
def _machine(
    space: Space, claims: Claims, pool: tuple[Signature, ...]
) -> tuple[type[RuleBasedStateMachine], list[Judge]]:
    """The state machine, and where it finds its judge: its rules call one layer of the last one's implementation.

    It is made once, since Hypothesis forgets no class, nor what that holds.
    """
    judges: list[Judge] = []

    class Layer(RuleBasedStateMachine):
        """One layer; every rule is a call, judged at once against the oracle's state."""

        def __init__(self) -> None:
            super().__init__()
            self._steps: tuple[Case, ...] = ()
            self._life = LayerCalls(judges[-1].adapter)

        @initialize(recipe=recipes(space, claims, pool))
        def build(self, recipe: Recipe) -> None:
            """Choose what the layer is built with; the calls follow."""
            self._recipe = recipe
            self._loaded = build(recipe)
            self._expected_state = ExpectedState(judges[-1], self._loaded)
            judges[-1].begin(())

        def _call(self, case: Case) -> None:
            self._steps = (*self._steps, case)
            self._expected_state.enter(case, judges[-1].extend(case, self._life.call))

        def _next(self, shape: tuple[int, ...], *, training: bool = True, before: Before = "nothing") -> Case:
            salt = self._recipe.salt + SALTS * (len(self._steps) + 1)
            case = replace(build(replace(self._recipe, shape=shape, training=training, salt=salt)), before=before)
            if before == "nothing":
                return replace(case, **{name: getattr(self._loaded, name) for name in PARAMETERS})
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
            wide = self._next((shape[0], shape[1] + 1, *shape[2:]), training=training)
            self._call(wide)

        @precondition(lambda self: claims.dialect.one_value == "raises")
        @rule()
        def refuse_one_value(self) -> None:
            """A training step on one value per channel, which must raise."""
            self._call(self._next((1, self._recipe.channels, *(1 for _ in self._recipe.shape[2:]))))

        @rule(training=st.booleans())
        def load(self, training: bool) -> None:
            """Other parameters and statistics are loaded into the layer, which is then called."""
            self._call(self._next(self._recipe.shape, training=training, before="load"))

        @rule(training=st.booleans())
        def reset(self, training: bool) -> None:
            """The statistics of a new layer are restored, and the layer is called."""
            self._call(self._next(self._recipe.shape, training=training, before="reset"))

        def teardown(self) -> None:
            """Count the example."""
            if self._steps:
                judges[-1].end()

    return Layer, judges
