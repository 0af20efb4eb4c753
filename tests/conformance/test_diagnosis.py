"""Causes: each line under "probably" is right, whatever the form; what has no single cause gets none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from form_faults import FAULTS

from bnconform.cases.build import build
from bnconform.cases.recipe import Recipe
from bnconform.diagnosis import MOST_CALLS, bounded_calls, diagnose, trial_cases
from bnconform_adapters.candidate import load_candidate
from bnconform_adapters.contract import Adapter, Case, Layer, Outcome
from bnconform_adapters.registry import load

ZOO = Path(__file__).parents[1] / "zoo"

MISTAKES = {
    ("forward", "EpsOutsideRoot"): "y in training: eps is outside the root",
    ("forward", "EpsMissing"): "y in training: eps is left out",
    ("forward", "EpsFixed"): "y in training: eps is always 1e-5",
    ("forward", "EpsRaised"): "y in training: eps below 1e-5 is raised to it",
    ("forward", "EpsAsFloor"): "y in training: eps is a floor: max(variance, eps) is taken, not variance + eps",
    ("forward", "UnbiasedY"): "y in training: xhat is scaled by the root of (n - 1) / n",
    ("forward", "VarianceNotRoot"): "y in training: x is divided by the variance, not by its root",
    ("forward", "IgnoresWeightAndBias"): "y in training and inference: weight and bias are ignored",
    ("forward", "BiasInsideWeight"): "y in training and inference: bias is added before weight multiplies",
    ("forward", "RunningY"): "y in training: the running statistics normalize in training",
    ("forward", "InstanceStatistics"): (
        "y in training: each sample is normalized by itself, as in instance normalization"
    ),
    ("inference", "InferenceByBatch"): "y in inference: inference normalizes by the batch's own statistics",
    ("inference", "InferenceEpsTwice"): "y in inference: eps is added twice",
    ("inference", "InferenceUnbiasedAgain"): (
        "y in inference: the running variance is multiplied by n / (n - 1) again"
    ),
    ("statistics", "MomentumSwapped"): (
        "running_mean and running_var in training: momentum is swapped: it weighs the other term"
    ),
    ("statistics", "MomentumZeroReplaces"): (
        "running_mean and running_var in training: momentum 0 takes the batch's value alone"
    ),
    ("statistics", "BiasedStored"): "running_var in training: the stored variance divides by n: it is biased",
    ("statistics", "OnlyMeanUpdated"): "running_var in training: not updated",
    ("statistics", "UpdatedTwice"): "running_mean and running_var in training: a step updates twice",
    ("statistics", "StatisticsSwapped"): "running_mean and running_var in training: mean and variance change places",
    ("statistics", "StoresDeviation"): "running_var in training: the standard deviation is stored, not the variance",
    ("backward", "DxAsInInference"): "dx in training: the statistics are taken for constants: dx lacks both sums",
    ("backward", "DxProjectionMissing"): "dx in training: dx lacks the term through the variance",
    ("backward", "DxIgnoresWeight"): "dx in training: dx lacks the factor weight",
    ("backward", "BackwardEpsMissing"): "dx and dweight in training: backward leaves eps out",
    ("backward", "DweightUncentred"): (
        "dweight in training: dweight sums dy * x / sqrt(variance + eps): xhat is not centred"
    ),
    ("backward", "DbiasMean"): "dbias in training and inference: dbias is the mean, not the sum",
    ("effects", "GradientsShareMemory"): "dweight in training and inference: dweight has the value of dbias",
}
PLACES = {
    ("forward", "BiasNeedsWeight"): (
        "y in training and inference: bias is ignored, with bias alone; "
        "right with weight and bias, with weight alone and without weight and bias"
    ),
    ("statistics", "BesselOnImages"): (
        "running_var in training: the stored variance divides by n: it is biased, "
        "where x has rank 2, 3 or 5; right where it has rank 4"
    ),
    ("sizes", "ChannelWrapsAt64"): "y in training and inference: channels are right up to 63 and wrong from 64 on",
    ("sizes", "ChannelTailOf8"): (
        "y in training and inference: "
        "channels are wrong in a last block of fewer than 8, and right in whole blocks of 8"
    ),
    ("layout", "ReadsMemoryOrder"): (
        "y, running_mean and running_var in training: x is read in the order of memory, whatever its strides: "
        "wrong where x is channels_last or transposed; right where it is contiguous"
    ),
    ("layout", "DyMemoryOrder"): (
        "dx, dweight and dbias in training and inference: dy is read in the order of memory, whatever its strides: "
        "wrong where dy is channels_last or transposed; right where it is contiguous"
    ),
    ("layout", "ChannelsLastOdd"): (
        "y, running_mean and running_var in training: wrong where x is channels_last; right where it is contiguous"
    ),
    ("layout", "ExpandedDyOnce"): "dbias in training: wrong where dy is expanded; right where it is contiguous",
    ("layout", "Rank5AxesSwapped"): (
        "y in training and inference: wrong where x has rank 5; right where it has rank 2, 3 or 4"
    ),
    ("blind", "StridedWeightReadDense"): (
        "y in training and inference: wrong where weight and bias are sliced; right where they are contiguous"
    ),
    ("cheating", "ContiguousOnly"): "y in training: wrong where x is not contiguous; right where it is contiguous",
    ("numerics", "BfloatTruncated"): "y in training and inference: wrong in bfloat16; right in float32",
}
DIFFERS = "results are not reproducible in {}: the same call gave different bits in {}"
CHANCE = {
    ("effects", "DithersY"): [DIFFERS.format("training", "y"), DIFFERS.format("inference", "y")],
    ("blind", "AtomicsWhenLong"): [
        DIFFERS.format("training", "y, running_mean, running_var, dx, dweight and dbias"),
        DIFFERS.format("inference", "dweight and dbias"),
    ],
    ("caching", "FoldKept"): [
        "results depend on earlier calls in inference: "
        "after a call of the same shape with other values, wrong in y, dx and dweight"
    ],
}
OF_FILES = {
    ("torch", "biased_stored_variance"): "running_var in training: the stored variance divides by n: it is biased",
    ("torch", "dx_without_mean_of_dy"): "dx in training: dx lacks the term through the mean",
    ("torch", "gradients_share_storage"): "dx in training: dx lacks the factor weight",
    ("module", "biased_stored_variance"): "running_var in training: the stored variance divides by n: it is biased",
    ("module", "variance_taken_as_constant"): "dx in training: dx lacks the term through the variance",
    ("module", "eps_outside_the_root"): "y in training and inference: eps is outside the root",
    ("module", "ignored_momentum"): "running_mean in training: momentum is always 0.1",
    ("module", "second_order_is_cut"): "dx in training: dx lacks the term through the variance",
    (
        "kernelbench",
        "biased_stored_variance",
    ): "running_var in training: the stored variance divides by n: it is biased",
    ("kernelbench", "another_eps"): "y in training and inference: eps is added twice",
}
"""What is said of the faulty files of each form; nothing of those that are not here."""


@pytest.fixture(autouse=True)
def zoo(monkeypatch: pytest.MonkeyPatch) -> None:
    """The zoo's files import one another, and each test has them anew: some remember calls."""
    monkeypatch.syspath_prepend(str(ZOO))
    for name in [name for name in sys.modules if name.startswith("blind_")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture(scope="module", autouse=True)
def shared_probes() -> Iterator[None]:
    """Implementations that are asked the same share the cases, and the oracle's values where their claims agree."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((trial_cases, "build"), (trial_cases, "scaled"), (bounded_calls, "expect")):
            patch.setattr(module, name, lru_cache(4096)(getattr(module, name)))
        yield


def specimen(family: str, name: str, **claims: Any) -> Adapter:
    """A specimen of the zoo, with other claims than its own."""
    adapter: Any = load_candidate(ZOO / f"faults_{family}.py", name)
    adapter.claims = replace(adapter.claims, **claims)
    return adapter


@pytest.mark.parametrize(("family", "name"), MISTAKES)
def test_known_mistake_is_all_that_is_named(family: str, name: str) -> None:
    """One line names the cause, for all outputs that share it; what follows from it is not told again."""
    assert diagnose(specimen(family, name)) == [MISTAKES[family, name]]


@pytest.mark.parametrize(("family", "name"), PLACES)
def test_place_of_a_fault_is_named(family: str, name: str) -> None:
    """Layouts, ranks, dtypes, parameters and channels that alone are wrong get a line, and nothing else is said."""
    assert diagnose(specimen(family, name)) == [PLACES[family, name]]


@pytest.mark.parametrize(("family", "name"), CHANCE)
def test_results_that_the_arguments_do_not_decide_get_lines_of_their_own(family: str, name: str) -> None:
    """Other bits from the same call, or wrong ones after another call, are said so, and no mistake is named."""
    assert diagnose(specimen(family, name)) == CHANCE[family, name]


def test_memory_that_was_never_written_is_named() -> None:
    """NaN that was left in freed memory reaches dbias."""
    assert any("never written" in line for line in diagnose(specimen("effects", "ReadsUninitialized")))


@pytest.mark.parametrize("fault", [pytest.param(f, id=f"{f.form}-{f.name}") for f in FAULTS if f.form != "jax"])
def test_faulty_files_hear_of_their_fault_alone(fault: Any, tmp_path: Path) -> None:
    """A form that fixes eps at 1e-5 and momentum at 0.1 is not told that they are always so."""
    pytest.importorskip("torch")
    path = tmp_path / "faulty.py"
    path.write_text(fault.text)
    said = OF_FILES.get((fault.form, fault.name))
    assert diagnose(load_candidate(path)) == ([said] if said else [])


def test_count_in_half_is_not_taken_for_another_fault() -> None:
    """A mean that is off by one part in 65537, where the case is long, looks like many mistakes and is none of them."""
    witness = build(Recipe((65537, 2), values="sorted", dy="random"))
    assert diagnose(specimen("sizes", "CountInHalf"), (witness,)) == []


@pytest.mark.parametrize("training", [True, False])
def test_rounding_of_bfloat16_is_no_evidence_about_eps(training: bool) -> None:
    """Two values that are cut to bfloat16 fit eps outside the root, left out and added twice alike."""
    witness = build(Recipe((2, 2), dtype="bfloat16", training=training))
    assert diagnose(specimen("numerics", "BfloatTruncated"), (witness,)) == [PLACES["numerics", "BfloatTruncated"]]
    assert diagnose(specimen("numerics", "BfloatTruncated", dtypes=("bfloat16",)), (witness,)) == []


@pytest.mark.parametrize("ranks", [(2, 3, 4, 5), (2,), (5,)])
def test_rounded_eps_has_no_first_wrong_channel(ranks: tuple[int, ...]) -> None:
    """Which channels show that eps passes through float16 is their variances' doing."""
    case = build(Recipe((4, 9), precise=True))
    shrunk = np.where(np.arange(9) == 8, 2.0**-9, 1.0).astype(np.float32)
    assert diagnose(specimen("forward", "EpsInHalf", ranks=ranks), (replace(case, x=case.x * shrunk),)) == []


def test_rounded_eps_is_not_always_1e_5() -> None:
    """An eps that passes through float16 is close to 1e-5 in a case whose eps is 1e-5."""
    witness = build(Recipe((2, 2), dtype="float16", values="outlier", spread="tiny", salt=1))
    assert diagnose(specimen("forward", "EpsInHalf", dtypes=("float16",)), (witness,)) == []


@pytest.mark.parametrize("fixed", [{}, {"fixed_momentum": 0.1, "fixed_eps": 1e-5}], ids=["free", "fixed"])
def test_one_pass_variance_is_named(fixed: dict[str, float]) -> None:
    """The cancellation is measured where |mean| is 1e4 times sd, also where momentum is small and fixed."""
    (found,) = diagnose(specimen("numerics", "OnePassVariance", **fixed))
    assert found.startswith("the variance cancels where |mean| is large, as E[x^2] - E[x]^2 does: its error is ")
    assert found.endswith("|mean|/sd = 10000")


def test_correct_implementations_hear_nothing() -> None:
    """No cause is named where nothing is wrong."""
    for name, _ in import_module("correct").CORRECT:
        assert diagnose(load_candidate(ZOO / "correct.py", name)) == [], name


@pytest.mark.parametrize("name", ["reference", "torch"])
def test_bundled_implementations_hear_nothing(name: str) -> None:
    """No cause is named for a framework's layer that is right."""
    assert diagnose(load(name)) == []


def test_flax_hears_what_is_known_of_it() -> None:
    """Its deviations from N1 and N2 in the ledger: one-pass variance, and half dx whose terms are rounded."""
    flax: Any = load("flax.linen")
    flax.claims = replace(flax.claims, ranks=(2,))  # every shape is compiled
    one_pass, half = diagnose(flax)
    assert one_pass.startswith("the variance cancels")
    assert half == "dx in training: wrong in float16 and bfloat16; right in float32 and float64"


class Watched:
    """An adapter that counts its calls, and does something of its own in some of them."""

    def __init__(self, inner: Adapter, instead: Callable[[int], Outcome | None] = lambda number: None) -> None:
        self.name, self.claims, self.calls = inner.name, inner.claims, 0
        self._inner, self._instead = inner, instead

    def layer(self, case: Case) -> Layer:
        """See :class:`~bnconform_adapters.contract.Adapter`."""
        layer = self._inner.layer(case)

        def call(case: Case) -> Callable[[], Outcome]:
            self.calls += 1
            other = self._instead(self.calls)
            return layer(case) if other is None else lambda: other

        return call


@pytest.mark.parametrize("last", [1, 5, 20, 60, 150])
def test_no_call_follows_one_that_did_not_come_back(last: int) -> None:
    """A call that hangs is the last one, wherever it comes; what was found before may be said."""
    hung = Outcome(error="hung after 10 s", exit="hung")
    watched = Watched(specimen("statistics", "BiasedStored"), lambda number: hung if number == last else None)
    assert set(diagnose(watched)) <= {MISTAKES["statistics", "BiasedStored"]}
    assert watched.calls == last


@pytest.mark.parametrize("name", ["StatisticsByAddress", "ParametersInHalf", "StridedStatisticsReadDense"])
def test_calls_are_bounded(name: str) -> None:
    """A diagnosis makes no more calls than it says, whatever is claimed."""
    watched = Watched(
        specimen("blind", name, dtypes=("float32", "float64", "float16", "bfloat16"), strided_statistics=True)
    )
    diagnose(watched, tuple(build(Recipe((2, 2), salt=salt)) for salt in range(100)))
    assert 100 < watched.calls <= MOST_CALLS


def test_a_sample_of_the_zoo_hears_what_is_right() -> None:
    """Every eighth specimen in one form after the other: few wrong lines, and most faults that have a name are named.

    ``python tests/zoo/diagnosis_power.py`` asks all of them in all forms.
    """
    power: Any = import_module("diagnosis_power")
    forms = list(power.FORMS)
    found = [
        power.told(forms[i % len(forms)], family, name)
        for i, (family, name) in enumerate(power.everything()[::8])
        if family != "fatal"
    ]
    wrong = [(one.form, one.name, line) for one in found for line in one.wrong]
    assert not wrong
    named = [one for one in found if one.named]
    assert len(named) >= 10
    assert sum(bool(one.right) for one in named) * 2 >= len(named)
