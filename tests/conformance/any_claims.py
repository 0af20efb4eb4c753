"""Claims of every kind, for property-based tests: any that the contract admits."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, get_args, get_type_hints

from hypothesis import strategies as st

from bnconform_adapters.claim_rules import LARGEST_EPS, RANKS, contradictions
from bnconform_adapters.claims import Claims
from bnconform_reference.dialect import Dialect

EPS = st.sampled_from((1e-12, 0.0, 1e-5, 1e-3, 0.01, 0.1, 1.0)) | st.floats(0, LARGEST_EPS)
SHARES = st.sampled_from((0.0, 0.1, 0.3, 0.5, 0.9, 0.95, 1.0, 2.0**-20)) | st.floats(0, 1)
MEANS = st.sampled_from((0.0, 1.0, -2.5, 100.0)) | st.floats(width=32, allow_nan=False, allow_infinity=False)
VARIANCES = st.sampled_from((1.0, 0.0, 0.25, 100.0)) | st.floats(0, width=32, allow_nan=False, allow_infinity=False)


def _some(hint: Any, least: int) -> st.SearchStrategy[Any]:
    """Some of the alternatives of a tuple's type, in any order."""
    alternatives = st.sampled_from(get_args(get_args(hint)[0]))
    return st.lists(alternatives, unique=True, min_size=least).map(tuple)


@st.composite
def dialects(draw: st.DrawFn) -> Dialect:
    """Every dialect."""
    hints = get_type_hints(Dialect)
    values = {
        name: draw(st.booleans() if hint is bool else st.sampled_from(get_args(hint)))
        for name, hint in hints.items()
        if hint is not float
    }
    return Dialect(**values, initial_mean=draw(MEANS), initial_variance=draw(VARIANCES))


@st.composite
def freely(draw: st.DrawFn) -> Claims:
    """Claims whose fields are drawn each for itself, so that many contradict one another."""
    hints, claims = get_type_hints(Claims), Claims()
    empty = {"gradients", "second_order", "forward_mode", "shards"}
    values: dict[str, Any] = {}
    for field in fields(Claims):
        name, hint = field.name, hints[field.name]
        if hint is bool:
            values[name] = draw(st.booleans())
        elif isinstance(getattr(claims, name), tuple) and name not in ("ranks", "refuses_with"):
            values[name] = draw(_some(hint, 0 if name in empty else 1))
        elif isinstance(getattr(claims, name), str):
            values[name] = draw(st.sampled_from(get_args(hint)))
    return replace(
        claims,
        **values,
        dialect=draw(dialects()),
        ranks=draw(st.lists(st.sampled_from(RANKS), unique=True, min_size=1).map(tuple)),
        refuses_with=draw(st.sampled_from(((), ("IndexError",), ("KeyError", "IndexError")))),
        eps_min=draw(EPS),
        momentum_min=draw(SHARES),
        devices=draw(st.integers(1, 5)),
        fixed_eps=draw(st.none() | EPS),
        fixed_momentum=draw(st.none() | SHARES),
        default_eps=draw(st.none() | EPS),
        default_momentum=draw(st.none() | SHARES),
    )


def _reconciled(claims: Claims) -> Claims:
    """Without most of the contradictions: what needs another claim goes."""
    modes, dialect = claims.modes, claims.dialect
    gradients = tuple(mode for mode in claims.gradients if mode in modes)
    fixed = claims.fixed_momentum is not None
    return replace(
        claims,
        gradients=gradients,
        second_order=tuple(mode for mode in claims.second_order if mode in gradients),
        forward_mode=tuple(mode for mode in claims.forward_mode if mode in modes),
        shards=claims.shards if "training" in modes and claims.devices > 1 else (),
        dialect=replace(dialect, cumulative=dialect.cumulative and not fixed and not dialect.debiased),
        eps_min=claims.eps_min if claims.fixed_eps is None else 0.0,
        momentum_min=0.0 if fixed else claims.momentum_min,
    )


any_claims = freely().map(_reconciled).filter(lambda claims: contradictions(claims) is None)
"""Claims that contradict nothing."""
