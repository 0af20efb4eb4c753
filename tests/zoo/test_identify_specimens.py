"""Identification on the zoo: it names dialect-like faults, and agrees with correct implementations of any dialect."""

from __future__ import annotations

from functools import cache

import pytest
from hunt import ZOO, correct_names, file_of

from bnconform.identify import Identity, arithmetic, identify
from bnconform_adapters.candidate import load_candidate

TRAINING, INFERENCE = "place of eps in training", "place of eps in inference"
# family, specimen -> the fields that must say what is wrong
FAULTS = {
    ("statistics", "MomentumSwapped"): {"momentum weighs": "old"},
    ("statistics", "MomentumFixed"): {"momentum weighs": "always 0.1", "momentum None": "as 0.1"},
    ("statistics", "UpdatedTwice"): {"momentum weighs": "counted twice"},
    ("statistics", "NeverUpdated"): {"momentum weighs": "the old statistics stay", "stored variance": "nothing"},
    ("statistics", "OnlyMeanUpdated"): {"momentum weighs": "new", "stored variance": "nothing"},
    ("statistics", "BiasedStored"): {"stored variance": "biased"},
    ("statistics", "UnbiasedTwice"): {"stored variance": "corrected twice"},
    ("statistics", "BesselWithEps"): {"stored variance": "variance n / (n - 1 + eps)"},
    ("statistics", "EpsInRunningVar"): {"stored variance": "(variance + eps) n / (n - 1)"},
    ("statistics", "StoresDeviation"): {"stored variance": "unbiased standard deviation"},
    ("statistics", "StoresInvstd"): {"stored variance": "n / (n - 1) / sqrt(variance + eps)"},
    ("statistics", "FirstBatchReplaces"): {"debiasing of running statistics": "the first batch replaces"},
    ("forward", "UnbiasedY"): {"variance that normalizes": "unbiased"},
    ("forward", "RunningY"): {"variance that normalizes": "running"},
    ("forward", "EpsOutsideRoot"): {TRAINING: "outside the root", INFERENCE: "inside the root"},
    ("forward", "EpsMissing"): {TRAINING: "ignored"},
    ("forward", "EpsRaised"): {TRAINING: "raised to at least 1e-05", "smallest eps honoured": "1e-05"},
    ("forward", "EpsFixed"): {TRAINING: "fixed at 1e-05", "smallest eps honoured": ""},
    ("forward", "EpsAsFloor"): {TRAINING: "as a floor of the variance"},
    ("forward", "EpsInHalf"): {TRAINING: "rounded to float16"},
    ("forward", "VarianceNotRoot"): {TRAINING: "inside, but no root is taken"},
    ("forward", "SquareNotRoot"): {TRAINING: "inside, and squared"},
    ("numerics", "AbsoluteGuard"): {TRAINING: "inside the root, with another 1e-10"},
    ("inference", "InferenceEpsMissing"): {INFERENCE: "ignored", TRAINING: "inside the root"},
    ("inference", "InferenceEpsTwice"): {INFERENCE: "added twice"},
    ("inference", "InferenceEpsFixed"): {INFERENCE: "fixed at 1e-05"},
    ("inference", "InferenceVarianceNotRoot"): {INFERENCE: "inside, but no root is taken"},
    ("inference", "InferenceByBatch"): {"inference normalizes by": "batch's own variance"},
    ("inference", "InferenceUnbiasedAgain"): {"inference normalizes by": "running, times n / (n - 1) variance"},
    ("inference", "InferenceInvstdAsVariance"): {"inference normalizes by": "1 / running^2 variance"},
    ("inference", "InferenceClampsVariance"): {INFERENCE: "inside the root, variance raised to at least 0.001"},
    ("numerics", "OnePassVariance"): {"grade of arithmetic": "NU"},
    ("numerics", "ClampedOnePass"): {"grade of arithmetic": "NN"},
    ("special", "OneValueGivesBias"): {"one value per channel": "zero_variance"},
    ("special", "OneValueIsNaN"): {"one value per channel": "y is bias, the stored variance is not finite"},
    ("special", "OneValuePassesThrough"): {"one value per channel": "identity"},
    ("special", "EmptyIsNaN"): {"empty batch": "NaN statistics"},
    ("special", "EmptyDecays"): {"empty batch": "counts as zeros"},
    ("special", "EmptyRaises"): {"empty batch": "raises"},
}
# specimen -> what its CLAIMS would have to say; nothing, where no claim can
STATED = {
    ("statistics", "MomentumSwapped"): {"momentum_weighs": "old"},
    ("statistics", "BiasedStored"): {"stored_variance": "biased"},
    ("statistics", "BesselWithEps"): {},
    ("forward", "EpsRaised"): {"eps_min": 1e-5},
    ("numerics", "ClampedOnePass"): {"grade": "NN"},
    ("numerics", "OnePassVariance"): {"grade": "NU"},
    ("special", "OneValueGivesBias"): {"one_value": "zero_variance"},
    ("special", "EmptyRaises"): {"empty_batch": "raises"},
}
# no fields of theirs: correct implementations differ in what they claim, and agree with it
CONTRADICTION = ("differs", "known", "undecided")


@cache
def identified(family: str, name: str) -> Identity:
    """Identify a specimen; its grade is measured at length only if its arithmetic is in question."""
    with pytest.MonkeyPatch.context() as patch:
        if family not in ("", "numerics"):
            patch.setattr(arithmetic, "LENGTHS", arithmetic.LENGTHS[:1])
        return identify(load_candidate(file_of(family) if family else ZOO / "correct.py", name))


@pytest.mark.parametrize(("family", "name"), FAULTS, ids=lambda part: part)
def test_fault_is_named(family: str, name: str) -> None:
    """A fault that is another dialect, or like one, is named by what it does."""
    found = identified(family, name)
    for field, value in FAULTS[family, name].items():
        answer = found.answer(field)
        assert answer.value == value, answer
    assert any(found.word(answer) == "differs" for answer in found.answers)


@pytest.mark.parametrize(("family", "name"), STATED, ids=lambda part: part)
def test_claims_to_correct(family: str, name: str) -> None:
    """A difference that a claim can state is suggested as an entry of CLAIMS."""
    assert identified(family, name).stated() == STATED[family, name]


@pytest.mark.parametrize("name", correct_names())
def test_correct_implementation_is_as_claimed(name: str) -> None:
    """No answer about a correct implementation of any dialect contradicts its claims, or stays open."""
    found = identified("", name)
    assert not [answer for answer in found.answers if found.word(answer) in CONTRADICTION]
