"""Identification from outside: candidate files and the command; `test_bundled.py` has the bundled implementations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from suite_runs import ROOT, run, starter

from bnconform.identify import Identity, identify
from bnconform.identify.answers import Decision, decide, shortest_decimal
from bnconform.identify.as_text import as_json, conversions, text
from bnconform_adapters.candidate import load_candidate
from bnconform_adapters.worker.client import WorkerAdapter
from bnconform_adapters.worker.limits import Limits

FATAL = ROOT / "tests" / "zoo" / "faults_fatal.py"


def edited(folder: Path, *edits: tuple[str, str]) -> Path:
    """The starter file with pieces replaced."""
    content = starter()
    for old, new in edits:
        assert old in content
        content = content.replace(old, new)
    path = folder / "kernel.py"
    path.write_text(content)
    return path


def test_starter_speaks_pytorchs_dialect(tmp_path: Path) -> None:
    """The starter file needs no correction, and converts to the other families by the known factors."""
    found = identify(load_candidate(edited(tmp_path)))
    assert found.stated() == {}
    how = conversions(found)
    assert how["pytorch"][0] == "momentum and statistics as they are"
    assert how["keras"][:2] == [
        "momentum = 1 - momentum",
        "running_var *= (n - 1) / n (n values per channel of a training batch)",
    ]


def keras_like(folder: Path) -> Path:
    """The starter file in Keras's dialect, while its claims are PyTorch's."""
    return edited(
        folder,
        (
            "(1 - momentum) * running_mean + momentum * mean",
            "momentum * running_mean + (1 - momentum) * mean",
        ),
        (
            "(1 - momentum) * running_var + momentum * variance * (n / (n - 1))",
            "momentum * running_var + (1 - momentum) * variance",
        ),
    )


def test_claims_are_corrected_from_the_finding(tmp_path: Path) -> None:
    """A file that speaks Keras's dialect unsaid is told what to claim; with that it agrees, and converts as Keras."""
    path = keras_like(tmp_path)
    found = identify(load_candidate(path))
    assert found.stated() == {"momentum_weighs": "old", "stored_variance": "biased"}
    assert "put this into your file:" in text(found)
    assert "CLAIMS = {..., 'momentum_weighs': 'old', 'stored_variance': 'biased'}" in text(found)
    path.write_text(path.read_text().replace("CLAIMS = {", f"CLAIMS = {{{repr(found.stated())[1:-1]}, "))
    again = identify(load_candidate(path))
    assert again.stated() == {}
    assert again.answer("momentum weighs").value == "old"
    assert conversions(again) == conversions(found)
    assert conversions(again)["keras"][0] == "momentum and statistics as they are"


HAIKU = '''
_seen = {"steps": 0, "kept": None}
_plain = forward_training


def forward_training(x, weight, bias, running_mean, running_var, *, momentum, eps):
    """As Haiku's ExponentialMovingAverage: averages from 0, divided by 1 - (1 - m)^k."""
    if not running_mean.any() and (running_var == 1).all():
        _seen.update(steps=0, kept=(0 * running_mean, 0 * running_var))
    if _seen["kept"] is None or x.shape[0] < 2:
        return _plain(x, weight, bias, running_mean, running_var, momentum=momentum, eps=eps)
    y, mean, var, saved = _plain(x, weight, bias, *_seen["kept"], momentum=momentum, eps=eps)
    _seen.update(steps=_seen["steps"] + 1, kept=(mean, var))
    share = 1 - (1 - momentum) ** _seen["steps"]
    return y, mean / share, var / share, saved
'''


def test_debiased_average_is_named(tmp_path: Path) -> None:
    """Statistics that are divided by the weight of all batches so far, as Haiku's are, are told from plain ones."""
    path = edited(tmp_path)
    path.write_text(path.read_text() + HAIKU)
    found = identify(load_candidate(path)).answer("debiasing of running statistics")
    assert found.value == "divided by 1 - (1 - m)^k", found


def test_crash_is_an_answer() -> None:
    """A probe that ends the process is answered so, and the others are answered as ever."""
    with WorkerAdapter(f"{FATAL}:AbortsOnEmptyBatch", Limits(5.0)) as adapter:
        found = identify(adapter)
    assert found.answer("empty batch").value.startswith("crashes: SIGABRT")
    assert found.word(found.answer("empty batch")) == "differs"
    assert found.answer("momentum weighs").value == "new"


def test_crash_of_ordinary_calls_is_told_where_it_matters(tmp_path: Path) -> None:
    """Where inference crashes, its fields say so, and those of training are answered as ever."""
    path = edited(tmp_path)
    path.write_text(path.read_text() + "\n\ndef forward_inference(*a, **k):\n    __import__('os').abort()\n")
    with WorkerAdapter(str(path), Limits(5.0)) as adapter:
        found = identify(adapter)
    for field in ("place of eps in inference", "inference normalizes by", "negative running variance"):
        assert found.answer(field).value.startswith("crashes: SIGABRT")
        assert found.word(found.answer(field)) == "differs"
    assert found.answer("debiasing of running statistics").value == "none"
    assert found.answer("momentum None").evidence.startswith("raises: TypeError")
    assert found.answer("place of eps in training").value == "inside the root"


def test_file_that_always_raises_is_not_measurable(tmp_path: Path) -> None:
    """Where no probe returns, each field says why, and nothing can be converted."""
    path = tmp_path / "kernel.py"
    path.write_text("def forward_training(x, *rest, **more):\n    raise RuntimeError('no device')\n")
    found = identify(load_candidate(path))
    assert found.answer("momentum weighs").status == "not measurable"
    assert "RuntimeError: no device" in found.answer("momentum weighs").evidence
    assert found.stated() == {}
    assert conversions(found)["keras"] == ["not known; momentum weighs: raises: RuntimeError: no device"]


def test_command_prints_text_and_json(tmp_path: Path) -> None:
    """`bnconform identify` prints a line a field, or a JSON document with the evidence of each."""
    path = edited(tmp_path)
    shown = run("-m", "bnconform.cli", "identify", path.name, cwd=tmp_path)
    assert (shown.status, shown.err) == (0, "")
    assert any(line.split()[:3] == ["agrees", "stored", "variance"] for line in shown.out.splitlines())
    document = json.loads(run("-m", "bnconform.cli", "identify", path.name, "--json", cwd=tmp_path).out)
    assert document["claims"] == {}
    assert {answer["field"] for answer in document["answers"]} >= {
        "stored variance",
        "one value per channel",
        "empty batch",
    }
    assert all(answer["evidence"] for answer in document["answers"])


@pytest.mark.parametrize(
    ("arguments", "piece"), [(("absent.py",), "no such file"), (("torhc",), "did you mean 'torch'?")], ids=str
)
def test_command_refuses_in_one_line(arguments: tuple[str, ...], piece: str, tmp_path: Path) -> None:
    """What cannot be loaded is one line on stderr and status 2."""
    found = run("-m", "bnconform.cli", "identify", *arguments, cwd=tmp_path)
    assert found.status == 2
    assert piece in found.err
    assert "Traceback" not in found.err


def test_command_refuses_a_time_limit_of_none(tmp_path: Path) -> None:
    """A time limit is a number above 0."""
    for wrong in ("0", "soon"):
        found = run("-m", "bnconform.cli", "identify", "k.py", f"--time-limit={wrong}", cwd=tmp_path)
        assert found.status == 2
        assert "pass a number of seconds above 0" in found.err
        assert "Traceback" not in found.err


def test_decision_needs_exactly_one_alternative() -> None:
    """Two alternatives within the allowed error are undecided; none is none of the known kinds."""
    assert Decision({"a": 0.5, "b": 2.0}).value == "a"
    both = Decision({"a": 0.5, "b": 1.0})
    assert (both.value, both.status, both.words()) == (None, "undecided", "a or b")
    neither = decide({})
    assert (neither.value, neither.words()) == (None, "none of the known kinds")


def test_shortest_decimal() -> None:
    """A constant is told in as few digits as are within the allowed error."""
    assert shortest_decimal(1.00100003e-5, lambda v: abs(v - 1.001e-5) < 1e-12) == 1.001e-5
    assert shortest_decimal(0.1, lambda v: False) is None


def test_json_has_the_words_of_the_text(tmp_path: Path) -> None:
    """Text and JSON are of the same answers."""
    found: Identity = identify(load_candidate(keras_like(tmp_path)))
    document = json.loads(as_json(found))
    for answer in document["answers"]:
        assert f"{answer['word']:<14}  {answer['field']}" in text(found, evidence=True)
        assert answer["evidence"] in text(found, evidence=True)
