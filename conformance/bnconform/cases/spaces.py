"""Spaces of Cases for the laws: alternatives for every choice of a Recipe, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from bnconform.cases.shapes import KINDS, Kind
from bnconform_adapters.claims import Claims, Layout, Mode
from bnconform_reference.precision import DtypeName

# Shrinking ends at the first alternative, which is simple and still informative.
SHIFTED = ("normal", "two_valued", "outlier", "sorted", "digits", "one_dead")


@dataclass(frozen=True)
class Space:
    """Alternatives that a law draws from; the implementation's claims narrow them further.

    Attributes
    ----------
    mode : str
        "training" or "inference".
    n : tuple of int or None
        Values per channel; None draws mostly small numbers, and sometimes sizes at block edges.
    ratios : tuple of float or None
        |mean| / sd; None takes the ratios that x's dtype can hold.
    gradients : bool or "where claimed"
        Whether the law needs a backward pass.
    derivative : str
        Field of the Claims that the law needs: "second_order", "forward_mode" or none.
    also : tuple of str
        Other modes that the law calls.
    beside : str or None
        Layout that the law compares with; it must be claimed, too.
    kinds : tuple of str
        Kinds of shapes, see :mod:`bnconform.cases.shapes`.
    dtypes, layouts : tuple of str or None
        Alternatives; None takes the claimed ones. `layouts` are for x and dy, with "far" only if it is named.
    precise : tuple of bool
        Whether values have all their bits, or only a few for readability.
    needs : tuple of str
        Claims that must be true, such as "untracked".
    values, spreads, eps, momenta, weights, biases, statistics, dys, cotangents, parameters
        Alternatives of the Recipe's fields; `parameters` None takes the claimed ones.
    """

    mode: Mode = "training"
    n: tuple[int, ...] | None = None
    gradients: Literal[True, False, "where claimed"] = False
    values: tuple[str, ...] = SHIFTED
    ratios: tuple[float, ...] | None = None
    spreads: tuple[str, ...] = ("unit", "varied")
    eps: tuple[float, ...] = (1e-5, 1e-3, 1.0, 0.1, 1e-12)
    momenta: tuple[float | None, ...] = (0.1, 0.3, 0.9)
    weights: tuple[str, ...] = ("random", "negative")
    biases: tuple[str, ...] = ("random",)
    statistics: tuple[str, ...] = ("random",)
    dys: tuple[str, ...] = ("random", "random", "expanded")
    derivative: Literal["", "second_order", "forward_mode"] = ""
    cotangents: tuple[str, ...] = ("absent",)
    parameters: tuple[str, ...] | None = None
    also: tuple[Mode, ...] = ()
    kinds: tuple[Kind, ...] = KINDS
    dtypes: tuple[DtypeName, ...] | None = None
    layouts: tuple[Layout, ...] | None = None
    beside: Layout | None = None
    needs: tuple[str, ...] = ()
    precise: tuple[bool, ...] = (False, True)

    def why_not(self, claims: Claims) -> str | None:
        """Return why the law is not claimed, or None if it is claimed."""
        for mode in (self.mode, *self.also):
            if mode not in claims.modes:
                return f"{mode} mode is not claimed"
        if self.gradients is True and self.mode not in claims.gradients:
            return f"gradients in {self.mode} are not claimed"
        if self.derivative and self.mode not in getattr(claims, self.derivative):
            return f"{self.derivative.replace('_', ' ')} in {self.mode} is not claimed"
        if self.parameters is not None and not set(self.parameters) & set(claims.parameters):
            return f"weight and bias {' or '.join(self.parameters)} is not claimed"
        if self.dtypes is not None and not set(self.dtypes) & set(claims.dtypes):
            return f"dtypes {' or '.join(self.dtypes)} are not claimed"
        if self.layouts is not None and not self.ranks(claims):
            where = " at rank 2" if set(self.layouts) & set(claims.layouts) else ""
            return f"layouts {' or '.join(self.layouts)} are not claimed{where}"
        if self.beside is not None and self.beside not in claims.layouts:
            return f"layout {self.beside} is not claimed"
        for claim in self.needs:
            if not getattr(claims, claim):
                return f"{claim.replace('_', ' ')} is not claimed"
        if None in self.momenta and (not claims.dialect.cumulative or claims.fixed_momentum is not None):
            return "momentum None is not claimed"
        return None

    def layouts_of(self, claims: Claims, rank: int) -> tuple[Layout, ...]:
        """Return the claimed layouts of the space that x of a rank can have; empty if the space names only others."""
        if self.layouts is not None:
            return tuple(layout for layout in claims.usable_layouts(rank) if layout in self.layouts)
        return tuple(layout for layout in claims.usable_layouts(rank) if layout != "far") or ("contiguous",)

    def ranks(self, claims: Claims) -> tuple[int, ...]:
        """Return the claimed ranks in which x can have a layout of the space."""
        return tuple(rank for rank in claims.ranks if self.layouts_of(claims, rank))

    def wants_gradients(self, claims: Claims) -> bool:
        """Return True if cases include a backward pass."""
        return self.gradients is True or (self.gradients == "where claimed" and self.mode in claims.gradients)


TRAINING = Space()
INFERENCE = Space(mode="inference")
TRAINING_GRADIENTS = replace(TRAINING, gradients=True)
INFERENCE_GRADIENTS = replace(INFERENCE, gradients=True)
SECOND_ORDER = replace(TRAINING, gradients=True, derivative="second_order", cotangents=("all", "ddx", "ddweight"))
FORWARD_MODE = replace(SECOND_ORDER, gradients="where claimed", derivative="forward_mode")
