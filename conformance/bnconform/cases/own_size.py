"""Cases at the size of a candidate file's own inputs: shape, dtype and distribution of what its get_inputs() makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from bnconform.cases.build import build
from bnconform.cases.described import described
from bnconform.cases.recipe import GRADIENTS, Recipe
from bnconform.cases.strategies import Signature, Steps
from bnconform_adapters.claims import Claims, Mode
from bnconform_adapters.contract import Case
from bnconform_adapters.own_input import OwnInput

ORDERS: tuple[tuple[Mode, str], ...] = (("training", "drawn"), ("training", "placed"), ("inference", "drawn"))
"""Mode of each case, and how the values of a channel lie, see :func:`bnconform_adapters.plain.drawn_arrays.drawn`."""


@dataclass(frozen=True)
class OwnSize:
    """Source of three cases, which are the same in every run."""

    def why_not(self, claims: Claims) -> str | None:
        """See :class:`bnconform.cases.strategies.Source`."""
        if claims.own is None:
            return "get_inputs() is not defined"
        return None if self._orders(claims) else "training on more than one value per channel is not claimed"

    def strategy(self, claims: Claims, pool: tuple[Signature, ...]) -> st.SearchStrategy[Steps]:
        """Return the cases; they are built here, since Hypothesis limits the time of a draw."""
        return st.sampled_from(tuple(self._cases(claims)))

    def _orders(self, claims: Claims) -> tuple[tuple[Mode, str], ...]:
        assert claims.own is not None
        single = claims.own.values_per_channel < 2
        return tuple((mode, o) for mode, o in ORDERS if mode in claims.modes and not (single and mode == "training"))

    def _cases(self, claims: Claims) -> Iterator[Steps]:
        assert claims.own is not None
        own = claims.own
        for mode, order in self._orders(claims):
            layout = claims.plain_layout(len(own.shape))
            small = Recipe(
                (2, own.shape[1], *(1 for _ in own.shape[2:])),
                own.dtype,
                claims.parameters[0],
                momentum=claims.usable_momenta((0.1,))[0],
                eps=claims.usable_eps((1e-5,))[0],
                statistics="random" if claims.tracked else "absent",
                layout=layout,
                dy_layout=layout,
                precise=True,
                wanted=GRADIENTS if claims.parameter_gradients else "dx",
            )
            arrays: dict[str, Any] = {"x": described(own.shape, own.dtype, own.values, own.middle, own.scale, order, 0)}
            if mode in claims.gradients:
                arrays["dy"] = described(own.shape, own.dtype, "normal", 0.5, 1.0, "drawn", 1)
            case = replace(build(small), **arrays, training=mode == "training", origin=f"get_inputs order={order}")
            yield (_with_statistics(case, own),)


def _with_statistics(case: Case, own: OwnInput) -> Case:
    """Return the case with running statistics that fit the distribution of x."""
    mean, var = case.running_mean, case.running_var
    if mean is None or var is None:
        return case
    shifted = (own.middle + own.scale / 2 * mean).astype(mean.dtype)
    return replace(case, running_mean=shifted, running_var=(own.scale**2 * var).astype(var.dtype))
