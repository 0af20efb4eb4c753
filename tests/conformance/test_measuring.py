"""The command `bnconform measure`: the same numbers as the record has, and a case that can be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from suite_runs import starter

from bnconform.cases.fixed_cases import KINDS
from bnconform.cli import main
from bnconform.commands.measure import KINDS as FIXED
from bnconform.running.measurement import measure
from bnconform_adapters.registry import load


@pytest.fixture
def kernel(tmp_path: Path) -> str:
    """A correct file."""
    path = tmp_path / "kernel.py"
    path.write_text(starter())
    return str(path)


def rows(text: str) -> list[list[str]]:
    """The last four columns of a table of errors."""
    table = text[text.index("quantity") :].splitlines()[1:]
    return [line.split()[-4:] for line in table]


def test_table_has_the_numbers_of_the_record(kernel: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a place, every point and quantity of the record is a line."""
    assert main(["measure", kernel, "--in-process"]) == 0
    expected = [
        [name, f"{worst['ratio']:.3g}", f"{worst['ulp']:.3g}", f"{worst['allowed']:.3g}"]
        for point in measure(load(kernel))["points"]
        for name, worst in point["worst"].items()
    ]
    assert rows(capsys.readouterr().out) == expected


@pytest.mark.parametrize(
    ("kind", "at", "calls"), [("conditioning", "1e4", 1), ("length", "128", 1), ("drift", "20", 20)]
)
def test_one_case_is_shown_with_its_recipe(
    kind: str, at: str, calls: int, kernel: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a place, the case is described and has the errors of the record's point."""
    assert main(["measure", kernel, "--in-process", "--kind", kind, "--at", at]) == 0
    out = capsys.readouterr().out
    assert "made by   default_rng([" in out
    assert (f"{calls} calls of one layer" in out) == (calls > 1)
    point = next(p for p in measure(load(kernel))["points"] if (p["kind"], p["at"]) == (kind, float(at)))
    assert [row[1] for row in rows(out)] == [f"{worst['ratio']:.3g}" for worst in point["worst"].values()]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--kind", "length", "--at", "1"], "pass a whole number from 2 to 1e+06"),
        (["--kind", "drift", "--at", "2.5"], "pass a whole number from 1 to 10000"),
        (["--kind", "conditioning", "--at", "nan"], "pass a number from 0 to 1e+18"),
        (["--kind", "length"], "--kind and --at go together"),
        (["--at", "3"], "--kind and --at go together"),
    ],
)
def test_place_that_is_none_is_refused(
    arguments: list[str], told: str, kernel: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A place without a case is refused in one line that says what to pass."""
    assert main(["measure", kernel, "--in-process", *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert len(error.splitlines()) == 1


def test_inference_only_is_refused(kernel: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What does not train has no fixed case."""
    path = Path(kernel)
    path.write_text(path.read_text().replace("def forward_training(", "def f(").replace("def backward(", "def g("))
    assert main(["measure", kernel, "--in-process"]) == 2
    assert "does not train" in capsys.readouterr().err


def test_kinds_of_the_command_are_those_there_are() -> None:
    """The command line names them itself, so as not to import NumPy."""
    assert FIXED == KINDS
