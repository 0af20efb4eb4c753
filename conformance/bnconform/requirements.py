"""Catalogue of the requirements for a batch norm. Tests, reports and the deviations ledger key on their ids.

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
        Stable id: a family letter and a number.
    statement : str
        Law in one line.
    level : str
        core: the definition. numerics: quality of arithmetic. robust: behaviour at the edges, side effects.
        more: beyond that.
    source : str
        Source of the law.
    dialect : tuple of str
        Fields of the Dialect that the law depends on. If an implementation meets the law with other choices than the
        default's, its verdict is *differs*.
    """

    id: str
    statement: str
    source: str
    level: Level = "core"
    dialect: tuple[str, ...] = ()


_PAPER = "Ioffe and Szegedy 2015"
_TRAINING = f"{_PAPER}, Algorithm 1"
_INFERENCE = f"{_PAPER}, Algorithm 2"
_BACKWARD = f"{_PAPER}, section 3"
_FORMULA = "follows from the formula"
_DIALECT = "each framework's documentation"
_TRAINING_OF = f"{_PAPER}, Algorithm 2; Hoeffding 1963"
_PURE = "a batch norm is a function of its arguments and its state"
_VARIANCE = "Chan, Golub and LeVeque 1983"

CATALOGUE: tuple[Requirement, ...] = (
    Requirement("F1", "y = weight * xhat + bias, at every claimed rank and dtype", _TRAINING),
    Requirement("F2", "the variance that normalizes is the biased one (divisor n)", _TRAINING),
    Requirement("F3", "eps is added to the variance inside the root, and honoured from tiny to 1", _TRAINING),
    Requirement("F4", "weight and bias may be negative, zero, tiny or absent, independently", _TRAINING),
    Requirement("F5", "y keeps x's shape and dtype; statistics and gradients keep the parameters'", _DIALECT),
    Requirement("F6", "a constant channel gives bias", _FORMULA),
    Requirement(
        "F7",
        "data with exact mean and variance give exact statistics",
        "oneDNN, benchdnn's data for batch normalization",
    ),
    Requirement("F8", "y depends on neither the old running statistics nor the momentum", _TRAINING),
    Requirement("F9", "finite input gives finite output, and no variance is negative", _VARIANCE),
    Requirement(
        "S1",
        "the running statistics become (1 - m) old + m new",
        _DIALECT,
        dialect=("momentum_weighs", "stored_variance"),
    ),
    Requirement(
        "S2", "the stored variance divides by n - 1 or n, as declared", _INFERENCE, dialect=("stored_variance",)
    ),
    Requirement(
        "S3", "momentum None gives the average over the batches actually seen", "torch.nn.BatchNorm2d's documentation"
    ),
    Requirement("S4", "k steps follow the recurrence, and inference uses the resulting statistics", _DIALECT),
    Requirement("S5", "inference never writes the statistics; a training step writes them once", _DIALECT),
    Requirement(
        "S6",
        "without running statistics nothing is written, and inference uses the batch's own",
        "torch.nn.BatchNorm2d's documentation",
    ),
    Requirement("S7", "running statistics keep their dtype; non-contiguous views are updated", _DIALECT),
    Requirement("S8", "a call that raises leaves the state unchanged", _PURE, "robust"),
    Requirement("S9", "an empty batch turns no statistic into NaN", _DIALECT, "robust", ("empty_batch",)),
    Requirement("S10", "population statistics of batches of any sizes equal those of the whole data set", _INFERENCE),
    Requirement(
        "S11",
        "training, inference, loading, resetting and refused calls in any order leave the recurrence's state",
        _PURE,
        "robust",
    ),
    Requirement("I1", "y = weight * (x - running_mean) / sqrt(running_var + eps) + bias", _INFERENCE),
    Requirement("I2", "a sample alone has the same y as inside a batch", _FORMULA),
    Requirement("I3", "inference is an affine map of x, and can be folded", _INFERENCE),
    Requirement("I4", "large running means and tiny, zero or huge running variances give the right y", _FORMULA),
    Requirement("G1", "dx in training, through both statistics", _BACKWARD),
    Requirement("G2", "dweight in training", _BACKWARD),
    Requirement("G3", "dbias in training", _BACKWARD),
    Requirement("G4", "dx, dweight and dbias in inference, where the statistics are constants", _FORMULA),
    Requirement("G5", "dx sums to 0 over a channel, and dx * xhat to the eps term", _FORMULA),
    Requirement("G6", "gradients are linear in dy; weight 0 stops dx, not dweight", _FORMULA),
    Requirement("G7", "dy may lie in memory in any layout", _PURE),
    Requirement("G8", "gradients requested alone, or a second time, are the same", _PURE),
    Requirement("G9", "two forward passes and then their backward passes do not mix", _PURE),
    Requirement(
        "G10", "second-order gradients: dx, dweight and dbias differentiated by dy, x and weight", _FORMULA, "more"
    ),
    Requirement("G11", "forward mode and reverse mode agree: <dy, J v> = <J' dy, v>", _FORMULA, "more"),
    Requirement("M1", "adding a constant to a channel changes nothing but rounding", _FORMULA, "numerics"),
    Requirement("M2", "scaling x by 2^k and eps by 4^k keeps y", _FORMULA, "numerics"),
    Requirement("M3", "negating x negates xhat", _FORMULA),
    Requirement("M4", "permuting samples permutes y", _FORMULA),
    Requirement("M5", "permuting channels permutes everything", _FORMULA),
    Requirement("M6", "channels do not affect one another", _FORMULA),
    Requirement("M7", "(N, C, *spatial) and (N * spatial, C) are the same problem", _FORMULA),
    Requirement("M8", "repeating the batch keeps y", _FORMULA),
    Requirement("M9", "memory layout does not change results", _PURE),
    Requirement(
        "M10",
        "instance normalization is batch norm with samples laid out as channels",
        "Ulyanov et al. 2016, section 2",
    ),
    Requirement(
        "N1", "the arithmetic is no worse than its claimed grade", f"Higham 2002, section 4.2; {_VARIANCE}", "numerics"
    ),
    Requirement(
        "N2", "half types are accumulated in float32 or better", "Micikevicius et al. 2018, section 3.3", "numerics"
    ),
    Requirement("N3", "half types neither overflow inside their range nor lose small values", "IEEE 754", "numerics"),
    Requirement("N4", "rounding is unbiased", "IEEE 754; Hoeffding 1963", "numerics"),
    Requirement("X1", "a NaN or an infinity stays in its channel, and is visible there", "IEEE 754", "robust"),
    Requirement("X2", "training on one value per channel behaves as declared", _DIALECT, "robust", ("one_value",)),
    Requirement("X3", "training on an empty batch behaves as declared", _DIALECT, "robust", ("empty_batch",)),
    Requirement("X4", "zero channels give an empty result or raise, as declared", _FORMULA, "robust"),
    Requirement("X5", "sizes at block edges and channel counts that are not powers of two work", _FORMULA, "robust"),
    Requirement("X6", "elements may lie further apart than a 32-bit index reaches", _FORMULA, "robust"),
    Requirement("X9", "a file is right at the size of its own get_inputs()", _FORMULA),
    Requirement("P1", "x, dy, weight and bias are bitwise unchanged", _PURE, "robust"),
    Requirement("P2", "the same call twice gives the same bits", _PURE, "robust"),
    Requirement("P3", "no call depends on an earlier one", _PURE, "robust"),
    Requirement("P4", "results share memory with neither the inputs nor one another", _PURE, "robust"),
    Requirement("P5", "memory around the inputs is untouched", _PURE, "robust"),
    Requirement("P6", "earlier contents of memory make no difference", _PURE, "robust"),
    Requirement("P7", "calls from several threads do not mix", _PURE, "robust"),
    Requirement("P8", "a fresh process gives the same results", _PURE, "robust"),
    Requirement("P9", "second-order gradients and forward mode keep their inputs' bits and repeat", _PURE, "robust"),
    Requirement("Y1", "shards on several devices, of any sizes, get the whole batch's y", _TRAINING, "more"),
    Requirement(
        "Y2", "dx of the shards, and the sums of their dweight and dbias, are the whole batch's", _BACKWARD, "more"
    ),
    Requirement(
        "Y3",
        "every device's running statistics become the whole batch's",
        _DIALECT,
        "more",
        ("momentum_weighs", "stored_variance"),
    ),
    Requirement(
        "T1", "training on real data follows the oracle's run: loss, parameters and statistics", _TRAINING_OF, "more"
    ),
    Requirement("T2", "inference during and after training gives the oracle's outputs", _TRAINING_OF, "more"),
    Requirement("E1", "wrong shapes and a negative eps raise", _DIALECT, "robust"),
    Requirement(
        "E2", "every call returns or raises: no call crashes, hangs, exits or grows without end", _PURE, "robust"
    ),
)

BY_ID: dict[str, Requirement] = {requirement.id: requirement for requirement in CATALOGUE}

CLOSENESS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("a call returns, with arrays of the right kind", ("E2", "F5")),
    ("equal calls give equal results, and inputs stay", ("P2", "P8", "P1")),
    ("the definition, on ordinary cases", ("F1", "S1", "I1", "G1", "G3", "G2", "G4")),
    ("the dialect's declarations", ("X3", "X2", "S6", "S3", "S10")),
    ("special values and dtypes", ("F3", "F4", "F6", "F2", "S2", "F9", "I4", "I2", "N2", "N3", "N4", "S9", "S5")),
    ("memory, threads and other calls", ("P4", "P7", "P6", "P5", "G8", "G9", "F8", "S8")),
    ("place, layout, size and grade", ("M5", "M9", "M7", "M10", "M2", "G6", "X5", "X9", "N1", "F7", "G7")),
    ("consequences of the formula", ("G5", "I3", "M1", "M3", "M4", "M6", "M8", "X1", "X4")),
    ("derivatives of gradients", ("P9", "G10", "G11")),
    ("wrong arguments", ("E1",)),
    ("many calls of one layer, each judged whole", ("S7", "S4", "S11", "P3", "X6")),
    ("several devices", ("Y1", "Y2", "Y3")),
    ("training", ("T1", "T2")),
)
"""Laws by their distance from the cause that breaks them, the closest first.

A fault of the definition breaks most laws; a law far down breaks with most faults of any kind. The order inside the
groups, and of the groups in the middle, is by how often a broken law is one that the zoo's fault was written for.
"""

DISTANCE: dict[str, int] = {id: i for i, id in enumerate(id for _, ids in CLOSENESS for id in ids)}
"""Place of each law in :data:`CLOSENESS`."""
