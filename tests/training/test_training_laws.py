"""T1 and T2: what they say, what they are judged on, and that a finding can be had again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bnconform.cases import case_file
from bnconform.cases.case_file import CaseFileError
from bnconform.commands.replay import replay_file
from bnconform.judging.findings import Broken
from bnconform.judging.judge import Judge
from bnconform.judging.oracle import expect
from bnconform.judging.tally import Tally
from bnconform.running.all_laws import laws
from bnconform.running.given_case import replay
from bnconform.running.profiles import settings_for
from bnconform.running.search import search
from bnconform.scripts.writer import Subject, script
from bnconform.training.drawn_runs import TrainingRuns, first_call, training_run_of
from bnconform.training.norms import Settings
from bnconform.training.training_run import KINDS, TrainingRun
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Adapter, Case, Finish, Layer, Outcome
from bnconform_adapters.registry import load
from bnconform_adapters.worker.limits import CallOptions
from bnconform_reference.double_double import high

ROOT = Path(__file__).parents[2]
FAULTS = ROOT / "tests" / "zoo" / "faults_training.py"


def broken_by(adapter: Adapter, id: str, profile: str = "default") -> tuple[Broken | None, Tally]:
    """What the law finds, and what was counted."""
    tally = Tally()
    settings = settings_for(profile, "cheap")
    return search(laws()[id], adapter, adapter.claims, tally=tally, settings=settings, seed=0), tally


@pytest.mark.parametrize("id", ["T1", "T2"])
@pytest.mark.parametrize("name", ["reference", "torch", "torch.channels_last", "flax.linen", "keras.tensorflow"])
def test_implementations_train_as_the_oracle_does(name: str, id: str) -> None:
    """They meet the law, on cases that could have failed."""
    pytest.importorskip(name.partition(".")[0] if name != "reference" else "numpy")
    broken, tally = broken_by(load(name), id, "quick")
    assert broken is None
    assert tally.cases > 0
    assert not tally.mistrusted


def test_course_is_told_by_its_first_case(tmp_path: Path) -> None:
    """A case that went through a file names the training run that it came from, settings included."""
    training_run = TrainingRun("convolutional", 17, Settings(0.3, 1e-3, "float64", "channels_last"))
    case_file.write(tmp_path / "case.json", (first_call(training_run, Claims()),))
    (case,) = case_file.read(tmp_path / "case.json")
    assert training_run_of(case) == training_run
    assert case.x.shape == (4, 6, 8, 8)


@pytest.mark.parametrize("origin", ["", "shape=(4,3)", "network=recurrent salt=1", "network=dense salt=x"])
def test_other_cases_name_no_course(origin: str) -> None:
    """A case that no training run made is refused with a line that says what to write."""
    case = replace(first_call(TrainingRun("dense", 0), Claims()), origin=origin)
    with pytest.raises(CaseFileError, match="names no training run; write network=dense"):
        training_run_of(case)


def test_only_what_can_be_trained_is_asked() -> None:
    """Without gradients, ranks 2 and 4, or float32 and float64, the laws are not claimed, and say why."""
    assert TrainingRuns().why_not(Claims()) is None
    assert TrainingRuns().why_not(Claims(gradients=("inference",))) == "gradients in training are not claimed"
    assert TrainingRuns().why_not(Claims(ranks=(3, 5))) == "neither rank 2 nor rank 4 is claimed"
    assert TrainingRuns().why_not(Claims(dtypes=("float16",))) == "dtypes float32 or float64 are not claimed"


def test_call_that_led_off_the_course_is_named(tmp_path: Path) -> None:
    """A finding names the call that is off, its script shows it, and its case file breaks the law again."""
    spec = f"{FAULTS}:StatisticsLate"
    adapter = load(spec)
    broken, _ = broken_by(adapter, "T1")
    assert broken is not None
    assert broken.finding.quantity == "running_mean"
    assert "sys.exit(wrong)" in script(broken, Subject.of_file(adapter.name, spec, adapter.plain_code))  # type: ignore[attr-defined]
    path = tmp_path / "case.json"
    case_file.write(path, broken.steps, requirement="T1", implementation=adapter.name, spec=spec)
    text = replay_file(path, None, CallOptions(in_process=True))
    assert text is not None
    assert text.startswith("T1 broken by faults_training.py:StatisticsLate: training on real data")


class Leaning:
    """PyTorch's layer, whose dx is larger by what each call allows: no call is off, and no error cancels another."""

    name = "leaning"
    share = 0.9

    def __init__(self) -> None:
        self._torch = load("torch")
        self.claims = self._torch.claims

    def layer(self, case: Case) -> Layer:
        """See the class."""
        built = self._torch.layer(case)

        def step(case: Case) -> Finish:
            finish = built(case)

            def rest() -> Outcome:
                outcome = finish()
                if outcome.dx is None:
                    return outcome
                dx = expect(case, self.claims)["dx"]
                return replace(outcome, dx=(high(dx.value) + self.share * dx.allowed).astype(outcome.dx.dtype))

            return rest

        return step


@pytest.mark.parametrize("kind", KINDS)
def test_errors_of_one_direction_are_no_alarm(kind: str) -> None:
    """Errors that are all as large as a call allows, in one direction at every number of every step, are let pass."""
    pytest.importorskip("torch")
    leaning = Leaning()
    assert replay(laws()["T1"], leaning, leaning.claims, (first_call(TrainingRun(kind, 0), leaning.claims),)) is None


def test_course_that_no_single_call_led_off_has_no_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """The finding then names what was noted and when, and the script says that it cannot tell."""
    monkeypatch.setattr(Judge, "agrees", lambda *_: {})
    adapter = load(f"{FAULTS}:StatisticsLate")
    broken, _ = broken_by(adapter, "T1")
    assert broken is not None
    assert broken.finding.quantity.startswith("running_mean of layer 0 after step ")
    text = script(broken, Subject.of_file(adapter.name, f"{FAULTS}:StatisticsLate", "plain.candidate_numpy"))
    assert "no single call is off" in text
    assert "sys.exit(125)" in text
