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
    Requirement("F7", "data whose mean and variance are exact give them exactly"),
    Requirement("F8", "y depends on neither the old running statistics nor the momentum"),
    Requirement("F9", "finite input gives finite output, and no variance is negative"),
    Requirement(
        "S1", "the running statistics become (1 - m) old + m new", dialect=("momentum_weighs", "stored_variance")
    ),
    Requirement("S2", "the stored variance divides by n - 1 or n, as declared", dialect=("stored_variance",)),
    Requirement("S3", "momentum None gives the average over the batches actually seen"),
    Requirement("S4", "k steps follow the recurrence, and inference uses what they left"),
    Requirement("S5", "inference never writes the statistics; a training step writes them once"),
    Requirement("S6", "without running statistics nothing is written, and inference uses the batch's own"),
    Requirement("S7", "running statistics keep their dtype; views that are not contiguous are updated"),
    Requirement("S8", "a call that raises leaves the state as it was", "robust"),
    Requirement("S9", "an empty batch turns no statistic into NaN", "robust", ("empty_batch",)),
    Requirement("S10", "population statistics of batches of any sizes are those of the whole data set"),
    Requirement("I1", "y = weight * (x - running_mean) / sqrt(running_var + eps) + bias"),
    Requirement("I2", "a sample alone gives what it gives inside a batch"),
    Requirement("I3", "inference is an affine map of x, and can be folded"),
    Requirement("I4", "large running means, tiny, zero and huge running variances"),
    Requirement("G1", "dx in training, through both statistics"),
    Requirement("G2", "dweight in training"),
    Requirement("G3", "dbias in training"),
    Requirement("G4", "dx, dweight and dbias in inference, where the statistics are constants"),
    Requirement("G5", "dx sums to 0 over a channel, and dx * xhat to the eps term"),
    Requirement("G6", "gradients are linear in dy; weight 0 stops dx, not dweight"),
    Requirement("G7", "dy may lie in memory in any layout"),
    Requirement("G8", "gradients asked for alone, or a second time, are the same"),
    Requirement("G9", "two forward passes and then their backward passes do not mix"),
    Requirement("G10", "second-order gradients: dx, dweight and dbias differentiated by dy, x and weight", "more"),
    Requirement("G11", "forward mode and reverse mode agree: <dy, J v> = <J' dy, v>", "more"),
    Requirement("M1", "adding a constant to a channel changes nothing but rounding", "numerics"),
    Requirement("M2", "scaling x by 2^k and eps by 4^k keeps y", "numerics"),
    Requirement("M3", "negating x negates xhat"),
    Requirement("M4", "permuting samples permutes y"),
    Requirement("M5", "permuting channels permutes everything"),
    Requirement("M6", "channels do not see one another"),
    Requirement("M7", "(N, C, *spatial) and (N * spatial, C) are the same problem"),
    Requirement("M8", "repeating the batch keeps y"),
    Requirement("M9", "memory layout does not change results"),
    Requirement("N1", "the arithmetic is no worse than its claimed grade", "numerics"),
    Requirement("N2", "half types are accumulated in float32 or better", "numerics"),
    Requirement("N3", "half types neither overflow inside their range nor lose small values", "numerics"),
    Requirement("N4", "rounding is unbiased", "numerics"),
    Requirement("X1", "a NaN or an infinity stays in its channel, and shows there", "robust"),
    Requirement("X2", "training on one value per channel does as declared", "robust", ("one_value",)),
    Requirement("X3", "training on an empty batch does as declared", "robust", ("empty_batch",)),
    Requirement("X4", "zero channels give an empty result", "robust"),
    Requirement("X5", "sizes at block edges, channel counts that are no power of two", "robust"),
    Requirement("P1", "x, dy, weight and bias are bitwise unchanged", "robust"),
    Requirement("P2", "the same call twice gives the same bits", "robust"),
    Requirement("P3", "no call remembers an earlier one", "robust"),
    Requirement("P4", "results share memory with neither the inputs nor one another", "robust"),
    Requirement("P5", "memory around the inputs is untouched", "robust"),
    Requirement("P6", "what memory held before makes no difference", "robust"),
    Requirement("P7", "calls from several threads do not mix", "robust"),
    Requirement("P8", "a fresh process gives the same answer", "robust"),
    Requirement("E1", "wrong shapes and a negative eps raise", "robust"),
)

BY_ID: dict[str, Requirement] = {requirement.id: requirement for requirement in CATALOGUE}
