"""The catalogue: what a batch norm must do. Tests, reports and the deviations ledger key on these ids.

Notation: n values per channel, m the weight of the new batch, xhat = (x - mean) / sqrt(var + eps).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["core", "numerics", "robust", "more"]


@dataclass(frozen=True)
class Requirement:
    """One law.

    Attributes
    ----------
    id : str
        Stable, a family letter and a number.
    statement : str
        The law in one line.
    level : str
        core: the definition. numerics: quality of arithmetic. robust: behaviour at the edges, side effects.
        more: beyond that.
    dialect : tuple of str
        Fields of the Dialect that decide what the law asks; an implementation whose choice there is not the
        default's *differs* where it holds.
    """

    id: str
    statement: str
    level: Level = "core"
    dialect: tuple[str, ...] = ()


CATALOGUE: tuple[Requirement, ...] = (
    Requirement("F1", "y = weight * xhat + bias, at every claimed rank and dtype"),
    Requirement("F2", "the variance that normalizes is the biased one (divisor n)"),
    Requirement("F3", "eps is added to the variance inside the root, and honoured from tiny to 1"),
    Requirement("F4", "weight and bias may be negative, zero, tiny or absent, each by itself"),
    Requirement("F5", "y keeps x's shape and dtype; statistics and gradients keep the parameters'"),
    Requirement("F6", "a constant channel gives bias"),
    Requirement("F8", "y depends on neither the old running statistics nor the momentum"),
    Requirement("F9", "finite input gives finite output, and no variance is negative"),
    Requirement(
        "S1", "the running statistics become (1 - m) old + m new", dialect=("momentum_weighs", "stored_variance")
    ),
    Requirement("S2", "the stored variance divides by n - 1 or n, as declared", dialect=("stored_variance",)),
    Requirement("S3", "momentum None gives the average over the batches actually seen"),
    Requirement("S4", "k steps follow the recurrence, and inference uses what they left"),
    Requirement("S5", "inference never writes the statistics; a training step writes them once"),
    Requirement("S9", "an empty batch turns no statistic into NaN", "robust", ("empty_batch",)),
    Requirement("I1", "y = weight * (x - running_mean) / sqrt(running_var + eps) + bias"),
    Requirement("I2", "a sample alone gives what it gives inside a batch"),
    Requirement("I4", "large running means, tiny, zero and huge running variances"),
    Requirement("G1", "dx in training, through both statistics"),
    Requirement("G2", "dweight in training"),
    Requirement("G3", "dbias in training"),
    Requirement("G4", "dx, dweight and dbias in inference, where the statistics are constants"),
    Requirement("G6", "gradients are linear in dy; weight 0 stops dx, not dweight"),
    Requirement("N1", "the arithmetic is no worse than its claimed grade", "numerics"),
    Requirement("X1", "a NaN or an infinity stays in its channel, and shows there", "robust"),
    Requirement("X2", "training on one value per channel does as declared", "robust", ("one_value",)),
    Requirement("X3", "training on an empty batch does as declared", "robust", ("empty_batch",)),
    Requirement("P1", "x, dy, weight and bias are bitwise unchanged", "robust"),
    Requirement("P2", "the same call twice gives the same bits", "robust"),
)

BY_ID: dict[str, Requirement] = {requirement.id: requirement for requirement in CATALOGUE}
