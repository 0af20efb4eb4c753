"""The text of a failure: what a person gets to read, line by line."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from suite_runs import Run, conformance, judge, replaced, run, starter

from bnconform.judging.findings import SHOWN, Finding, explain, number, other_memory, show, signature
from bnconform_adapters.contract import DTYPES, Case
from bnconform_adapters.registry import load

BIASED = ((" * (n / (n - 1))", ""),)


def finding(**about: object) -> Finding:
    """A finding about y of law F1."""
    return Finding("F1", "kernel.py", "y", **({"problem": "is off"} | about))  # type: ignore[arg-type]


def case(**changed: object) -> Case:
    """A small case with readable numbers."""
    arrays = {"x": np.array([[0.25, 2], [1, -3]], np.float32), "weight": np.array([1.5, 2], np.float32)}
    return Case(**(arrays | changed))  # type: ignore[arg-type]


def failure(found: Run) -> list[str]:
    """The lines of the first failure's message."""
    lines = found.out.splitlines()
    start = next(i for i, line in enumerate(lines) if " broken by " in line)
    end = next(i for i, line in enumerate(lines) if i >= start and "again  " in line)
    return lines[start : end + 1]


def test_message_of_a_value_line_by_line() -> None:
    """A wrong value tells law, implementation, case, got, expected, allowed, ratio, and how to run it again."""
    wrong = finding(index=(0, 1), got=1.5, expected=1.25, allowed=0.125, ratio=2.0, ulp=4.0)
    assert explain(wrong, (case(origin="shape=(2,2)"),), "pytest again").splitlines() == [
        "F1 broken by kernel.py: y = weight * xhat + bias, at every claimed rank and dtype",
        "  case      f32[2,2] training, eps 1e-05, momentum 0.1",
        "  x         f32[2,2] [[0.25, 2], [1, -3]]",
        "  weight    f32[2] [1.5, 2]",
        "  y         is off",
        "  got       1.5 at [0, 1]",
        "  expected  1.25",
        "  allowed   0.125; the error is 2 times that (4 ulp)",
        "  made by   shape=(2,2)",
        "  again     pytest again",
    ]


def test_message_without_a_value() -> None:
    """What is not a matter of values has no lines for them; inference has no momentum; layouts are named."""
    steps = (case(training=False, layout="sliced", dy=np.ones((2, 2), np.float32), dy_layout="expanded"),)
    assert explain(finding(problem="is missing"), steps, "pytest again").splitlines() == [
        "F1 broken by kernel.py: y = weight * xhat + bias, at every claimed rank and dtype",
        "  case      f32[2,2] inference, eps 1e-05",
        "  memory    x sliced, dy expanded",
        "  x         f32[2,2] [[0.25, 2], [1, -3]]",
        "  dy        f32[2,2] [[1, 1], [1, 1]]",
        "  weight    f32[2] [1.5, 2]",
        "  y         is missing",
        "  again     pytest again",
    ]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"got": float("nan")}, "allowed   0.125; got is not a number"),
        ({"got": float("-inf")}, "allowed   0.125; got is infinite"),
        ({"expected": float("inf"), "allowed": 0.0}, "allowed   0; got is finite, which it must not be"),
        ({"allowed": 0.0, "ulp": 3.0}, "allowed   0; the error is 3 ulp, and none is allowed"),
    ],
)
def test_message_of_what_no_number_measures(values: dict[str, float], told: str) -> None:
    """Words say what an infinite ratio would hide: NaN, an infinity, or that nothing is allowed."""
    wrong = finding(**({"got": 1.5, "expected": 1.25, "allowed": 0.125} | values))
    lines = explain(wrong, (case(),), "pytest again").splitlines()
    assert lines[-2] == f"  {told}"
    assert "inf times" not in lines[-2]


def test_message_of_several_calls() -> None:
    """Several calls of one layer are told in order, parameters once."""
    text = explain(finding(), (case(momentum=None), case(training=False)), "pytest again")
    assert text.splitlines()[1:7] == [
        "  case      2 calls of one layer",
        "  call 1    f32[2,2] training, eps 1e-05, momentum None",
        "    x         f32[2,2] [[0.25, 2], [1, -3]]",
        "    weight    f32[2] [1.5, 2]",
        "  call 2    f32[2,2] inference, eps 1e-05",
        "    x         f32[2,2] [[0.25, 2], [1, -3]]",
    ]


@pytest.mark.parametrize(("dtype", "short"), [("float16", "f16"), ("bfloat16", "bf16"), ("float64", "f64")])
def test_signature_is_short(dtype: str, short: str) -> None:
    """An array is named by dtype and shape, as in f32[2,3]."""
    assert signature(np.ones((2, 3), DTYPES[dtype])) == f"{short}[2,3]"  # type: ignore[index]


def test_many_values_are_told_by_their_range() -> None:
    """Arrays of more than twelve elements are not dumped; an empty one is only named."""
    assert show(np.arange(SHOWN + 1, dtype=np.float32)) == "f32[13] from 0 to 12"
    assert show(np.empty((0, 2), np.float32)) == "f32[0,2]"


@pytest.mark.parametrize("value", [1 / 3, 16777217.0, 1e-45, 3.4028234663852886e38])
def test_printed_number_tells_floats_apart(value: float) -> None:
    """A printed float32 reads back as the same float32."""
    assert np.float32(number(float(np.float32(value)))) == np.float32(value)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """A run that fails, in a folder and a file whose names a shell would tear apart."""
    folder = tmp_path_factory.mktemp("someone's work")
    (folder / "my kernel.py").write_text(replaced(starter(), BIASED))
    found = conformance("--bn-adapter=my kernel.py", "--bn-requirement=S2", "--hypothesis-profile=quick", cwd=folder)
    assert found.status == 1, found.out + found.err
    return folder, found


def test_real_failure_reads_in_order(first: tuple[Path, Run]) -> None:
    """A real failure's lines begin with the law and end with the command, a line for each thing to know."""
    lines = failure(first[1])
    assert re.fullmatch(r"S2 broken by my kernel.py: the stored variance divides by .*", lines[0])
    heads = [line.split()[0] for line in lines[1:]]
    kept = [head for head in heads if head != "memory"]
    arrays = ["x", "weight", "bias", "running_mean", "running_var"]
    assert [h for h in kept if h not in arrays] == ["case", "got", "expected", "allowed", "made", "again"]
    assert kept[1] == "x"
    assert kept[-6] == "running_var", "what is off stands right before its values"
    assert re.search(r"the error is [\d.e+]+ times that \([\d.e+]+ ulp\)", lines[-3])


def test_again_reproduces_the_failure(first: tuple[Path, Run]) -> None:
    """The printed command, pasted into a shell, gives the same message again."""
    folder, found = first
    lines = failure(found)
    command = shlex.split(lines[-1].split(maxsplit=1)[1])
    assert command[:3] == ["pytest", "--pyargs", "bnconform"]
    again = run("-m", *command, "-p", "no:cacheprovider", cwd=folder)
    assert again.status == 1, again.out + again.err
    assert failure(again) == lines


def test_case_file_of_a_failure_is_named(tmp_path: Path) -> None:
    """With --bn-report, the message ends with the path of the case as a file, and the file is there."""
    (tmp_path / "kernel.py").write_text(replaced(starter(), BIASED))
    asked = ("--bn-adapter=kernel.py", "--bn-requirement=S2", "--bn-report=found", "--hypothesis-profile=quick")
    found = conformance(*asked, cwd=tmp_path)
    assert "  case file found/cases/S2-kernel.json" in found.out.splitlines()
    assert (tmp_path / "found" / "cases" / "S2-kernel.json").is_file()


STRIDES_IGNORED = (
    (
        "y = xhat * column(weight, x, 1)",
        "weight = weight.base[32:][: weight.size] if weight is not None and weight.strides != (4,) else weight\n"
        "    y = xhat * column(weight, x, 1)",
    ),
)


def test_layout_of_the_call_that_failed_is_told(tmp_path: Path) -> None:
    """Where a law calls with a memory layout that the case shown does not have, the finding says which one failed."""
    path = tmp_path / "kernel.py"
    path.write_text(replaced(starter(), STRIDES_IGNORED))
    broken, _ = judge(load(str(path)), "M9", profile="quick")
    assert broken is not None
    assert broken.steps[0].parameters_layout == "contiguous"
    assert broken.finding.problem.startswith("is off, in the call with ")
    assert broken.finding.problem.endswith("weight and bias sliced in memory")


def test_layout_that_the_case_shows_is_not_told_again(tmp_path: Path) -> None:
    """A finding on the case as it is shown speaks of no other memory layout."""
    path = tmp_path / "kernel.py"
    path.write_text(replaced(starter(), BIASED))
    broken, _ = judge(load(str(path)), "S2", profile="quick")
    assert broken is not None
    assert broken.finding.problem == "is off"


def test_only_arrays_that_are_there_lie_elsewhere() -> None:
    """Of layouts that differ from every case shown, those of arrays that the call has are named."""
    moved = case(parameters_layout="sliced", dy_layout="transposed", statistics_layout="sliced")
    assert other_memory(moved, [case(layout="sliced")]) == "x contiguous, weight and bias sliced"
    assert other_memory(moved, [case(), moved]) == ""
