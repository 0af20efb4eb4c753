"""Causes: specimens of the zoo whose fault is a known mistake are told so; correct implementations hear nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bnconform.diagnosis import diagnose
from bnconform_adapters.candidate import load_candidate
from bnconform_adapters.registry import load

ZOO = Path(__file__).parents[1] / "zoo"

CAUSES = {
    ("forward", "EpsOutsideRoot"): "y in training: eps is outside the root",
    ("forward", "EpsMissing"): "y in training: eps is left out",
    ("forward", "EpsFixed"): "y in training: eps is always 1e-5",
    ("forward", "UnbiasedY"): "y in training: xhat is scaled by the root of (n - 1) / n",
    ("forward", "VarianceNotRoot"): "y in training: x is divided by the variance, not by its root",
    ("forward", "IgnoresWeightAndBias"): "y in training: weight and bias are ignored",
    ("forward", "BiasInsideWeight"): "y in training: bias is added before weight multiplies",
    ("forward", "RunningY"): "y in training: the running statistics normalize in training",
    ("inference", "InferenceByBatch"): "y in inference: inference normalizes by the batch's own statistics",
    ("inference", "InferenceEpsTwice"): "y in inference: eps is added twice",
    ("inference", "InferenceUnbiasedAgain"): (
        "y in inference: the running variance is multiplied by n / (n - 1) again"
    ),
    ("statistics", "MomentumSwapped"): "running_mean in training: momentum is swapped: it weighs the other term",
    ("statistics", "BiasedStored"): "running_var in training: the stored variance divides by n: it is biased",
    ("statistics", "OnlyMeanUpdated"): "running_var in training: it is not updated",
    ("statistics", "UpdatedTwice"): "running_mean in training: a step updates it twice",
    ("statistics", "StatisticsSwapped"): "running_mean in training: mean and variance change places",
    ("statistics", "StoresDeviation"): "running_var in training: the standard deviation is stored, not the variance",
    ("backward", "DxAsInInference"): "dx in training: the statistics are taken for constants: dx lacks both sums",
    ("backward", "DxProjectionMissing"): "dx in training: dx lacks the term through the variance",
    ("backward", "DxIgnoresWeight"): "dx in training: dx lacks the factor weight",
    ("backward", "BackwardEpsMissing"): "dx in training: backward leaves eps out",
    ("backward", "DweightUncentred"): (
        "dweight in training: dweight sums dy * x / sqrt(variance + eps): xhat is not centred"
    ),
    ("backward", "DbiasMean"): "dbias in training: dbias is the mean, not the sum",
    ("sizes", "ChannelWrapsAt64"): "y in training: channels are right up to 63 and wrong from 64 on",
}


@pytest.fixture(autouse=True)
def zoo(monkeypatch: pytest.MonkeyPatch) -> None:
    """The zoo's files import one another."""
    monkeypatch.syspath_prepend(str(ZOO))


@pytest.mark.parametrize(("family", "name"), CAUSES)
def test_known_mistake_is_named(family: str, name: str) -> None:
    """The cause is among what is said, and nothing is said of outputs that are right."""
    found = diagnose(load_candidate(ZOO / f"faults_{family}.py", name))
    assert CAUSES[family, name] in found


def test_one_pass_variance_is_named() -> None:
    """The cancellation is measured where |mean| is 1e4 times sd."""
    (found,) = diagnose(load_candidate(ZOO / "faults_numerics.py", "OnePassVariance"))
    assert found.startswith("the variance cancels where |mean| is large, as E[x^2] - E[x]^2 does: its error is ")
    assert found.endswith("|mean|/sd = 10000")


def test_correct_makes_hear_nothing() -> None:
    """No cause is named where nothing is wrong."""
    import correct

    assert "correct" in sys.modules
    for name, _ in correct.CORRECT:
        assert diagnose(load_candidate(ZOO / "correct.py", name)) == [], name


@pytest.mark.parametrize("name", ["reference", "torch", "flax.linen"])
def test_bundled_implementations_hear_what_is_known(name: str) -> None:
    """Flax's one-pass variance is named; the others are right."""
    found = diagnose(load(name))
    assert [sentence[:20] for sentence in found] == (["the variance cancels"] if name == "flax.linen" else [])
