"""What a diagnosis may say of each specimen: its fault, in the diagnosis's words, found by reading the specimen.

Regular expressions that match a whole line, or what follows the outputs and the mode in it. A specimen that is not
listed has no name: `bnconform.diagnosis` has no sentence for its fault, and may say nothing. "may" lists what is true
of a specimen and is not asked for, such as what a fault of rounding in half types looks like from outside.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

BY_RANK = r"wrong where x has rank {}; right where it has rank .*"
HALF = r"wrong in (float16|bfloat16|float16 and bfloat16|bfloat16 and float16); right in .*"
UNSTEADY = r"results are not reproducible in .*: the same call gave different bits in .*"
REMEMBERS = r"results depend on earlier calls in .*: after a call of the same shape with other values, wrong in .*"
UNWRITTEN = r"memory is read that was never written; NaN in it comes through"
CANCELS = r"the variance cancels where \|mean\| is large, as E\[x\^2\] - E\[x\]\^2 does: .*"
X_LAYOUT = r"wrong where x is .*; right where it is contiguous"
X_IN_MEMORY = r"x is read in the order of memory, whatever its strides: wrong where .*"
DY_LAYOUT = r"wrong where dy is .*; right where it is contiguous"
DY_IN_MEMORY = r"dy is read in the order of memory, whatever its strides: wrong where .*"
DY_EXPANDED = r"wrong where dy is expanded; right where it is contiguous"

EPS_IN_STORED = r"the stored variance includes eps, before Bessel's correction"
MEAN_KEPT = "the mean is not subtracted, {}; right .*"
WITHOUT_BIAS = r"(with weight alone|with weight alone and without weight and bias|without weight and bias)"
WITHOUT_WEIGHT = r"(with bias alone|with bias alone and without weight and bias|without weight and bias)"


def up_to(channel: int) -> str:
    """The line about channels that are right up to one."""
    return f"channels are right up to {channel} and wrong from {channel + 1} on"


def in_block(size: int) -> str:
    """The line about an incomplete last block of channels."""
    return f"channels are wrong in a last block of fewer than {size}, and right in whole blocks of {size}"


CAUSES: dict[str, tuple[str, ...]] = {
    # Forward.
    "UnbiasedY": (r"xhat is scaled by the root of \(n - 1\) / n",),
    "EpsOutsideRoot": (r"eps is outside the root",),
    "EpsMissing": (r"eps is left out",),
    "EpsRaised": (r"eps below 1e-5 is raised to it",),
    "EpsFixed": (r"eps is always 1e-5",),
    "EpsAsFloor": (r"eps is a floor: .*",),
    "SquareNotRoot": (r"x is divided by the square of variance \+ eps",),
    "VarianceNotRoot": (r"x is divided by the variance, not by its root",),
    "IgnoresWeightAndBias": (r"weight and bias are ignored", r"weight is ignored"),  # where there is no bias
    "FixedGamma": (r"weight is ignored",),
    "BiasNeedsWeight": (r"bias is ignored, with bias alone; right .*",),
    "WeightNeedsBias": (
        r"weight is ignored",
        r"weight is ignored, with weight alone; right .*",
    ),
    "BiasInsideWeight": (r"bias is added before weight multiplies",),
    "AbsoluteWeight": (r"weight loses its sign",),
    "BlendedY": (r"the running statistics normalize in training, after the batch has moved them",),
    "RunningY": (r"the running statistics normalize in training",),
    "VarianceAboutRunningMean": (r"the variance is taken around the running mean",),
    "InstanceStatistics": (
        r"each sample is normalized by itself, as in instance normalization",
        BY_RANK.format("3, 4 or 5"),
    ),
    "LastAxisMissing": (BY_RANK.format("5"),),
    "NormIsL1": (r"x is divided by the mean absolute deviation, not by the root of the variance",),
    # Backward.
    "DxMeanTermMissing": (r"dx lacks the term through the mean",),
    "DxProjectionMissing": (r"dx lacks the term through the variance",),
    "DxAsInInference": (r"the statistics are taken for constants: dx lacks both sums",),
    "InferenceDxAsInTraining": (r"dx flows through the batch's mean and variance, as in training",),
    "DxProjectionUnbiased": (r"dx divides the sum of dy \* xhat by n - 1",),
    "DxProjectionSign": (r"the term through the variance has the wrong sign",),
    "SavesVariance": (r"backward takes the variance for 1 / sqrt\(variance \+ eps\)",),
    "RootTwice": (r"backward takes 1 / sqrt\(... \+ eps\) of what is 1 / sqrt\(variance \+ eps\) already",),
    "BackwardEpsMissing": (r"backward leaves eps out",),
    "DxIgnoresWeight": (r"dx lacks the factor weight",),
    "DxAbsoluteWeight": (r"dx takes weight without its sign",),
    "DxOfMeanLoss": (r"dx is divided by n",),
    "DweightUncentred": (r"dweight sums dy \* x / sqrt\(variance \+ eps\): xhat is not centred",),
    "DweightFromY": (r"dweight sums dy \* y",),
    "DweightMean": (r"dweight is the mean, not the sum",),
    "DbiasMean": (r"dbias is the mean, not the sum",),
    "DbiasNeedsWeight": (r"dbias is 0, with bias alone; right .*",),
    "Rank2Dx": (BY_RANK.format("2"),),
    "InferenceDweightUncentred": (r"dweight sums dy \* x / sqrt\(variance \+ eps\): xhat is not centred",),
    "InferenceDxEpsMissing": (r"dx leaves eps out",),
    "InferenceDxMissing": (r"dx is 0",),
    "UnitVarianceAssumed": (r"backward takes 1 / sqrt\(variance \+ eps\) for 1",),
    "ExpectsSumLoss": (r"dx is 0",),
    "GradientsShareMemory": (r"dweight has the value of dbias",),
    # Statistics.
    "MomentumSwapped": (r"momentum is swapped: it weighs the other term",),
    "BiasedStored": (r"the stored variance divides by n: it is biased",),
    "UnbiasedTwice": (r"the stored variance is multiplied by n / \(n - 1\) once too often",),
    "BesselOnImages": (
        r"the stored variance divides by n: it is biased, where x has rank 2, 3 or 5; right where it has rank 4",
    ),
    "BesselByLayout": (X_LAYOUT,),
    "EpsInRunningVar": (EPS_IN_STORED,),
    "NeverUpdated": (r"not updated",),
    "OnlyMeanUpdated": (r"not updated",),
    "OnlyVarianceUpdated": (r"not updated",),
    "AffineDecides": (r"not updated, without weight and bias; right .*",),
    "UpdatedTwice": (r"a step updates twice",),
    "StatisticsSwapped": (r"mean and variance change places",),
    "MomentumZeroReplaces": (r"momentum 0 takes the batch's value alone",),
    "MomentumZeroIsDefault": (r"momentum 0 counts as not given: 0.1 is taken",),
    "MomentumFixed": (r"momentum is always 0.1",),
    "MomentumForgotten": (r"the batch's value is added whole, and momentum weighs the old one",),
    "MomentumConventionGuessed": (r"momentum past 0.5 is taken for the old value's weight",),
    "StoresDeviation": (r"the standard deviation is stored, not the variance",),
    "StoresInvstd": (r"1 / sqrt\(variance \+ eps\) is stored, with Bessel's correction",),
    "BesselByBatch": (r"the stored variance divides by N - 1, N the samples, not by n - 1",),
    "StridedBuffersDropped": (r"wrong where the running statistics are sliced; right where they are contiguous",),
    # Inference.
    "InferenceEpsMissing": (r"eps is left out",),
    "InferenceEpsTwice": (r"eps is added twice",),
    "InferenceEpsFixed": (r"eps is always 1e-5",),
    "InferenceByBatch": (r"inference normalizes by the batch's own statistics",),
    "InferenceInvstdAsVariance": (r"the running variance is taken for 1 / sqrt\(variance \+ eps\)",),
    "InferenceVarianceNotRoot": (r"x is divided by the variance, not by its root",),
    "InferenceUnbiasedAgain": (r"the running variance is multiplied by n / \(n - 1\) again",),
    "FoldWithoutBias": (
        r"the mean is not subtracted",
        MEAN_KEPT.format(WITHOUT_BIAS),
    ),
    "FoldWithoutWeight": (
        r"the mean is not subtracted",
        MEAN_KEPT.format(WITHOUT_WEIGHT),
    ),
    "FoldMeanUnscaled": (r"the mean is subtracted after x is scaled, itself unscaled",),
    # Arithmetic.
    "OnePassVariance": (CANCELS,),
    "ClampedOnePass": (CANCELS,),
    "BfloatTruncated": (r"wrong in bfloat16; right in .*",),
    # Memory.
    "ReadsMemoryOrder": (X_IN_MEMORY,),
    "ReadsThroughGaps": (X_LAYOUT, X_IN_MEMORY),
    "OffsetIgnored": (X_LAYOUT,),
    "TransposedTwice": (X_LAYOUT,),
    "WritesMemoryOrder": (X_LAYOUT,),
    "ChannelsLastOdd": (X_LAYOUT,),
    "DyMemoryOrder": (DY_IN_MEMORY,),
    "DyLikeX": (X_LAYOUT, DY_LAYOUT),
    "ExpandedDyOnce": (DY_EXPANDED,),
    "ExpandedDyAsSum": (DY_EXPANDED,),
    "Rank5AxesSwapped": (BY_RANK.format("5"),),
    "FlippedReadForward": (X_LAYOUT, DY_LAYOUT),
    "StridedWeightReadDense": (r"wrong where weight and bias are sliced; right where they are contiguous",),
    "StridedStatisticsReadDense": (r"wrong where the running statistics are sliced; right where they are contiguous",),
    "InferenceExpandedDyOnce": (DY_EXPANDED,),
    "InferenceReadsMemoryOrder": (X_IN_MEMORY,),
    "ContiguousOnly": (X_LAYOUT,),
    # Channels.
    "ChannelWrapsAt64": (up_to(63),),
    "ChannelTailOf8": (in_block(8),),
    "ChannelTailOf32": (in_block(32),),
    "ChannelsPast1024": (up_to(1023),),
    "LastChannelVariance": (up_to(16),),
    "DweightWrapsAt128": (up_to(127),),
    # Chance, and memory of earlier calls where the same call shows it.
    "ReadsUninitialized": (UNWRITTEN, UNSTEADY),
    "ShuffledEveryTime": (UNSTEADY,),
    "DithersY": (UNSTEADY,),
    "SecondCallDiffers": (UNSTEADY,),
    "AtomicsWhenLong": (UNSTEADY,),
    "DbiasAccumulates": (UNSTEADY,),
    "OneStateForAll": (UNSTEADY,),
    "TunedOnFirstShape": (UNSTEADY,),
    "WarmsUp": (UNSTEADY,),
    "StatisticsByShape": (REMEMBERS,),
    "FoldKept": (REMEMBERS,),
    "ColumnsByLength": (REMEMBERS,),
}

MAY: dict[str, tuple[str, ...]] = {
    "OnePassWhenLong": (CANCELS,),
    "OnePassChannelsLast": (CANCELS, X_LAYOUT),
    "ShiftedByRunningMean": (CANCELS,),
    "FortranReadAsC": (X_LAYOUT, DY_LAYOUT, X_IN_MEMORY, DY_IN_MEMORY),
    "StatisticsLate": (UNSTEADY,),
    "EvalFreezes": (UNSTEADY,),
    "StatisticsByAddress": (REMEMBERS,),
    "StaleWorkspace": (REMEMBERS,),
    "EpsKept": (REMEMBERS,),
    "OneStepOnly": (REMEMBERS,),
    "StatisticsInHalf": (HALF,),
    "GradientsInHalf": (HALF,),
    "UntrackedRaises": (r"the stored variance divides by n: it is biased",),  # its update also leaves Bessel's out
    "HalfPairsCrossChannels": (r"wrong in float16; right in .*",),
    "HalfSubnormalsFlushed": (r"wrong in float16; right in .*",),
    "HalfSquares": (r"wrong in float16; right in .*",),
    "BfloatThroughFloat16": (r"wrong in bfloat16; right in .*",),
} | {
    name: (HALF,)
    for name in (
        "HalfReductions",
        "InferenceHalfVariance",
        "HalfAccumulation",
        "BfloatDeviations",
        "HalfBiased",
        "HalfMeanOfDy",
        "HalfProducts",
        "DbiasAloneInHalf",
        "SavedInHalf",
        "ParametersInHalf",
        "MomentumInHalf",
    )
}


def named(specimen: str) -> bool:
    """Whether the diagnosis has a sentence for the specimen's fault."""
    return specimen in CAUSES


def right(specimen: str, line: str) -> bool:
    """Whether a line says what is wrong with the specimen."""
    sentence = line if line.startswith(("results", "the variance cancels")) else line.partition(": ")[2]
    patterns: Sequence[str] = (*CAUSES.get(specimen, ()), *MAY.get(specimen, ()))
    return any(re.fullmatch(pattern, sentence) for pattern in patterns)
