"""`bnconform vet`: one line first, then causes, what is broken, the smallest case; 0, 1 or 2."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from suite_runs import Run, command, laws, replaced, starter

BIASED = ((" * (n / (n - 1))", ""),)
QUICK = ("--hypothesis-profile=quick", "--hypothesis-seed=0")
FEW = tuple(f"--requirement={id}" for id in ("F1", "S2", "G10"))


def vet(folder: Path, *arguments: str) -> Run:
    """Run the command, as its users do."""
    return command("vet", *arguments, cwd=folder)


@pytest.fixture
def biased(tmp_path: Path) -> Path:
    """A folder with a correct file and one that stores the biased variance."""
    (tmp_path / "good.py").write_text(starter())
    (tmp_path / "biased.py").write_text(replaced(starter(), BIASED))
    return tmp_path


def test_correct_file_conforms(tmp_path: Path) -> None:
    """`bnconform new` writes a file that conforms to all that it claims: one line, exit status 0."""
    assert command("new", "kernel.py", cwd=tmp_path).status == 0
    found = vet(tmp_path, "kernel.py", *QUICK, "--examples=2")
    assert found.status == 0, found.out + found.err
    first = found.out.splitlines()[0]
    levels = r"core (\d+) of \1, numerics (\d+) of \2, robust (\d+) of \3, more (\d+) of \4"
    counted = re.fullmatch(
        rf"kernel.py CONFORMS at grade T[TW]: {levels}; (\d+) not claimed(?:, (\d+) not run)?", first
    )
    assert counted is not None, first
    assert sum(int(number or 0) for number in counted.groups()) == len(laws())
    assert found.out.splitlines()[1].startswith("judged: functions forward_training, forward_inference, ")
    assert all(re.match(r"bnconform: \d+ s: ", line) for line in found.err.splitlines())  # off a terminal, every 15 s


def test_wrong_file_breaks(biased: Path) -> None:
    """The verdict, the cause, the broken law and its smallest case; exit status 1."""
    found = vet(biased, "biased.py", *FEW, *QUICK)
    assert found.status == 1, found.out + found.err
    lines = found.out.splitlines()
    assert lines[0] == "biased.py BREAKS: core 1 of 2 (broken: S2); 1 not claimed"
    assert lines[lines.index("probably") + 1] == (
        "  running_var in training: the stored variance divides by n: it is biased"
    )
    convention = "  or other conventions; if they are meant: CLAIMS = {'stored_variance': 'biased'}"
    assert lines[lines.index("probably") + 2].startswith(convention)
    assert re.fullmatch(
        r"  S2  running_var is off by \S+ times the allowed error, on f32\[2,2\];  .*", lines[lines.index("broken") + 1]
    )
    assert "S2 broken by biased.py: the stored variance divides by n - 1 or n, as declared" in lines
    assert any(line.startswith("  again     bnconform vet biased.py --requirement S2 ") for line in lines)


def test_each_file_has_its_page(biased: Path) -> None:
    """Several files are told apart, and one that breaks decides the exit status."""
    found = vet(biased, "good.py", "biased.py", *FEW, *QUICK)
    assert found.status == 1
    assert re.search(r"^good.py CONFORMS: core 2 of 2; 1 not claimed$", found.out, re.MULTILINE)
    assert re.search(r"^biased.py BREAKS: core 1 of 2 \(broken: S2\); 1 not claimed$", found.out, re.MULTILINE)


def test_json_and_junit(biased: Path) -> None:
    """The record and the JUnit XML say the same as the page."""
    asked = ("biased.py", *FEW, *QUICK, "--budget=none")  # a busy machine must not choose fewer cases
    assert vet(biased, *asked, "--json", "out/found.json", "--junit", "junit.xml").status == 1
    data = json.loads((biased / "out" / "found.json").read_text())
    assert {cell["requirement"]: cell["verdict"] for cell in data["cells"]} == {
        "F1": "meets",
        "S2": "breaks",
        "G10": "not claimed",
    }
    suite = ElementTree.parse(biased / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    printed = vet(biased, *asked, "--json", "-")
    assert json.loads(printed.out)["cells"] == data["cells"]


def test_known_deviation_conforms(tmp_path: Path) -> None:
    """A bundled implementation with a known deviation passes, and the page says what is known."""
    found = vet(tmp_path, "torch.functional", "--requirement=X4", "--requirement=F2", *QUICK)
    assert found.status == 0, found.out + found.err
    lines = found.out.splitlines()
    assert lines[0] == ("torch.functional CONFORMS BUT FOR WHAT IS KNOWN: core 1 of 1, robust 0 of 1 (known: X4)")
    assert any(line.startswith("known robustness: X4 ") for line in lines)


def test_nothing_judged_is_no_pass(tmp_path: Path) -> None:
    """Where nothing that was asked for is claimed, the exit status is 1."""
    (tmp_path / "good.py").write_text(starter())
    found = vet(tmp_path, "good.py", "--requirement=G10", *QUICK)
    assert (found.status, found.out.splitlines()[0]) == (
        1,
        "good.py is NOT JUDGED: second order in training is not claimed",
    )


def test_cause_is_told_beside_cases_where_rounding_hides_it(tmp_path: Path) -> None:
    """A mistake that explains every ordinary probe is named, whatever the cases that broke a law look like."""
    moved = ((" np.sqrt(variance + eps)", " (np.sqrt(variance) + eps)"),)
    (tmp_path / "moved.py").write_text(replaced(starter(), moved))
    found = vet(tmp_path, "moved.py", "--requirement=F1", "--requirement=F6", *QUICK)
    assert found.status == 1
    assert "  y in training: eps is outside the root" in found.out.splitlines()
