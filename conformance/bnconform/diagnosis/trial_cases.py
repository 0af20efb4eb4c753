"""The cases of a diagnosis: small ones on which mistakes differ, within the claims."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bnconform.cases.build import build
from bnconform.cases.recipe import Recipe
from bnconform_adapters.claims import Claims, Mode, Parameters
from bnconform_adapters.contract import Case
from bnconform_reference.precision import DtypeName

SHAPES: dict[int, tuple[tuple[int, ...], ...]] = {
    2: ((5, 3), (12, 3)),
    3: ((4, 3, 2), (2, 3, 7)),
    4: ((2, 3, 3, 2), (4, 3, 1, 2)),
    5: ((2, 3, 3, 2, 1), (4, 3, 2, 1, 2)),
}
"""Two shapes of three channels for every rank. N differs from C, and above rank 2 from n."""
FINEST: dict[DtypeName, int] = {"float16": -9, "bfloat16": -40, "float32": -40, "float64": -40}
"""The smallest power of 2 by which x is scaled; below it, float16 has too few bits."""


@dataclass(frozen=True)
class Choice:
    """Scalars of an ordinary probe.

    Attributes
    ----------
    eps : float
        Value of eps, if the caller chooses it.
    share : float
        Approximate variance of x in units of eps. Near 1, eps has an effect; None leaves x at unit variance.
    momentum : float
        Value of momentum, if the caller chooses it: a fraction of the range above the smallest claimed one.
    """

    eps: float
    share: float | None
    momentum: float


# The first eps and the first momentum are nobody's default: an implementation that keeps those of its first call must
# not look like one with a fixed eps. There are two of each special value: eps below 1e-5, momentum 0 and above 0.5.
CHOICES = (
    Choice(0.11, None, 0.3),
    Choice(1e-3, 3.0, 0.7),
    Choice(0.5, 1.0, 0.45),
    Choice(1e-5, 0.5, 0.2),
    Choice(1e-8, 4.0, 0.85),
    Choice(1e-5, None, 0.0),
    Choice(1e-6, 16.0, 0.6),
    Choice(1e-4, 0.2, 0.0),
)


@dataclass(frozen=True)
class Terms:
    """The properties that all cases of a diagnosis share.

    Attributes
    ----------
    dtype : str
    parameters : str
    """

    dtype: DtypeName
    parameters: Parameters


def usual(claims: Claims) -> Terms:
    """The claimed dtype that hides least, and as many parameters as possible."""
    dtype = next(name for name in ("float32", "float64", "float16", "bfloat16") if name in claims.dtypes)
    present = next(one for one in ("both", "weight", "bias", "neither") if one in claims.parameters)
    return Terms(dtype, present)


def case_of(
    claims: Claims,
    terms: Terms,
    shape: tuple[int, ...],
    choice: Choice,
    *,
    training: bool,
    salt: int = 0,
    expanded: bool = False,
) -> Case:
    """One case, with scalars within the claims.

    Parameters
    ----------
    expanded : bool
        True if dy is equal along axis 0, so that it can have stride 0.
    """
    mode = "training" if training else "inference"
    eps = claims.usable_eps((max(choice.eps, claims.eps_min),))[0]
    least = claims.momentum_min
    momentum = claims.usable_momenta((least + (1 - least) * choice.momentum,))[0]
    case = build(
        Recipe(
            shape,
            terms.dtype,
            terms.parameters,
            training=training,
            momentum=momentum,
            eps=eps,
            dy="absent" if mode not in claims.gradients else "expanded" if expanded else "random",
            precise=True,
            salt=salt,
        )
    )
    return case if choice.share is None else scaled(case, choice.share * eps, FINEST[terms.dtype])


def scaled(case: Case, variance: float, finest: int) -> Case:
    """The case with x and its running statistics scaled by a power of 2, to about the given variance."""
    power = 0
    while power > finest and 4.0**power > variance:
        power -= 1
    mean, var = case.running_mean, case.running_var
    if mean is None or var is None or not power:
        return case
    factor = 2.0**power
    x = (case.x.astype("float64") * factor).astype(case.x.dtype)
    return replace(case, x=x, running_mean=mean * mean.dtype.type(factor), running_var=var * var.dtype.type(factor**2))


def ordinary(claims: Claims, mode: Mode) -> Iterator[Case]:
    """Cases on which no two mistakes give the same: rank, n, eps, momentum and the size of the variance vary."""
    terms, count = usual(claims), len(claims.ranks)
    for i, choice in enumerate(CHOICES):
        rank = claims.ranks[i % count]
        shapes = SHAPES[rank]
        yield case_of(claims, terms, shapes[i // count % len(shapes)], choice, training=mode == "training", salt=i)
