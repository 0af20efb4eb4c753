"""Fault injection: whichever stage of the suite raises, no way in ends green, and none hangs.

A `sitecustomize` module, found by every process of the run, replaces one function of the suite by one that raises.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from suite_runs import Run, replaced, run, starter

STAGES = {
    "planning": "bnconform.running.budget:plan",
    "drawing": "bnconform.cases.tape:Tape.choose",
    "building": "bnconform.cases.build:build",
    "oracle": "bnconform_reference.definition:forward_training",
    "bounds": "bnconform_reference.error_bounds:training_forward_bounds",
    "calling": "bnconform_adapters.worker.process:Process.send",
    "starting a worker": "bnconform_adapters.worker.forkserver_client:ForkServer.fork",
    "judging": "bnconform.judging.comparison:compare",
    "counting": "bnconform.judging.tally:Tally.note_example",
    "explaining": "bnconform.running.examiner:explain",
    "scripting": "bnconform.scripts.writer:script",
    "the probable cause": "bnconform.diagnosis:diagnose",
    "making a cell": "bnconform.running.ruling:Ruling.cell",
    "taking a cell in": "bnconform.running.session:Session.add",
    "recording": "bnconform_reports.records.schema:Results.write",
    "reading the record": "bnconform_reports.records.reading:from_data",
    "the matrix": "bnconform_reports.terminal_matrix:lines",
    "the page of vet": "bnconform_reports.vet_page:lines",
    "the page of report": "bnconform_reports.html_page:page",
}
"""Stages of a run, and the function of each that raises."""
ONLY = {
    "the probable cause": "vet",
    "the page of vet": "vet",
    "reading the record": "vet report",
    "the page of report": "report",
}
"""Stages that only some ways in go through; an absent one goes through all."""
WAYS = {
    "pytest": "-m pytest --pyargs bnconform -p no:cacheprovider --assert=plain --bn-adapter kernel.py "
    "--bn-requirement F1 --bn-requirement S2 --bn-report out --bn-budget 60 --bn-examples 3",
    "vet": "-m bnconform.cli vet kernel.py --requirement F1 --requirement S2 --report out --examples 3",
    "report": "-m bnconform.cli report -o site --adapter kernel.py --requirement F1 --requirement S2 --budget 60 "
    "--examples 3",
}
QUICK = ("--hypothesis-profile=quick", "--hypothesis-seed=0")
BROKEN = ((" * (n / (n - 1))", ""),)
"""S2 breaks, so that findings are explained and scripted, too."""
INJECTED = """
import builtins, os, sys

MODULE, _, NAME = os.environ["BNCONFORM_FAULT"].partition(":")
left = int(os.environ["BNCONFORM_FAULT_AFTER"])
right_import = builtins.__import__


def failing(right):
    def raises(*arguments, **keywords):
        global left
        left -= 1
        if left < 0:
            raise KeyError("injected")
        return right(*arguments, **keywords)

    return raises


def importing(*arguments, **keywords):
    found = right_import(*arguments, **keywords)
    *path, name = NAME.split(".")
    owner = sys.modules.get(MODULE)
    for part in path:
        owner = getattr(owner, part, None)
    if hasattr(owner, name):
        builtins.__import__ = right_import
        setattr(owner, name, failing(getattr(owner, name)))
    return found


builtins.__import__ = importing  # a finder would come after pytest's own, which rewrites the plugin's modules
"""


def injected(folder: Path, way: str, stage: str, after: int) -> Run:
    """Run the suite by one of its ways in, with one stage raising from a number of calls on."""
    site = folder / "site-with-a-fault"
    site.mkdir()
    (site / "sitecustomize.py").write_text(INJECTED)
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    variables = {"PYTHONPATH": path, "BNCONFORM_FAULT": STAGES[stage], "BNCONFORM_FAULT_AFTER": str(after)}
    return run(*WAYS[way].split(), *QUICK, cwd=folder, variables=variables)


def cases() -> list[object]:
    """Every stage by one way in and from the first call on; all of them where BNCONFORM_LONG is set."""
    found = [(stage, way, 0) for stage in STAGES for way in ONLY.get(stage, " ".join(WAYS)).split()]
    found += [(stage, way, 3) for stage in STAGES if stage not in ONLY for way in WAYS]
    if not os.environ.get("BNCONFORM_LONG"):
        found = found[:1] + found[7 : 3 * len(STAGES) : 7] + [one for one in found if one[0] in ONLY and not one[2]]
    return [pytest.param(*one, id=f"{one[1]}, {one[0]}, after {one[2]}") for one in dict.fromkeys(found)]


@pytest.mark.parametrize(("stage", "way", "after"), cases())
def test_no_fault_of_the_suite_ends_green(stage: str, way: str, after: int, tmp_path: Path) -> None:
    """A correct file and a suite that raises somewhere: the exit status is not 0, and nothing says CONFORMS."""
    broken = stage in ("explaining", "scripting", "the probable cause")
    (tmp_path / "kernel.py").write_text(replaced(starter(), BROKEN) if broken else starter())
    found = injected(tmp_path, way, stage, after)
    if after and found.status == 0:  # the stage was not entered so often: then nothing has failed
        assert "KeyError" not in found.out + found.err
        return
    assert found.status != 0, found.out + found.err
    assert "CONFORMS" not in found.out
    if way == "vet" and not broken:
        assert found.status == 3, found.out + found.err
        assert "NOT JUDGED" in found.out


def test_page_says_which_laws_failed_and_why(tmp_path: Path) -> None:
    """The first line counts the laws, the next lines give one cause and the place of the tracebacks; status 3."""
    (tmp_path / "kernel.py").write_text(starter())
    found = injected(tmp_path, "vet", "judging", 0)
    lines = found.out.splitlines()
    assert lines[0] == "kernel.py NOT JUDGED: bnconform failed on 2 of 2 laws; 2 not judged"
    assert any(
        re.fullmatch(r"  F1 S2: bnconform failed: KeyError: 'injected' \(\S+\.py line \d+\)", one) for one in lines
    )
    assert "  tracebacks: out/tracebacks.txt" in lines
    assert "KeyError: 'injected'" in (tmp_path / "out" / "tracebacks.txt").read_text()
    cells = json.loads((tmp_path / "out" / "results.json").read_text())["cells"]
    assert [cell["verdict"] for cell in cells] == ["not judged", "not judged"]


def test_law_that_leaves_no_verdict_is_not_judged(tmp_path: Path) -> None:
    """A test that passes and records nothing is no success: its cell says so, and so does the exit status."""
    (tmp_path / "kernel.py").write_text(starter())
    silent = "import bnconform.running.examiner as e\ne.Examiner._record = lambda self, cell: None\n"
    silent += "e.Examiner.__init__ = lambda self, s, i, r: vars(self).update(_session=s, _implementation=i)\n"
    (tmp_path / "silent.py").write_text(silent)
    variables = {"PYTHONPATH": str(tmp_path)}
    found = run(*WAYS["pytest"].split(), "-p", "silent", *QUICK, cwd=tmp_path, variables=variables)
    assert "2 passed" in found.out
    assert found.status == 1
    cells = json.loads((tmp_path / "out" / "results.json").read_text())["cells"]
    assert {cell["reason"] for cell in cells} == {"bnconform ended before this law gave a verdict"}


def test_run_that_stops_early_judges_no_more_than_it_has(tmp_path: Path) -> None:
    """After -x the laws that did not run are not judged, and the record has them."""
    text = starter().replace("np.sqrt(variance + eps)", "(np.sqrt(variance) + eps)")
    (tmp_path / "kernel.py").write_text(text)
    found = run(*WAYS["pytest"].split(), "-x", *QUICK, cwd=tmp_path)
    assert found.status == 1
    cells = {c["requirement"]: c for c in json.loads((tmp_path / "out" / "results.json").read_text())["cells"]}
    assert (cells["F1"]["verdict"], cells["S2"]["verdict"]) == ("breaks", "not judged")


def test_older_record_is_not_taken_for_this_runs(tmp_path: Path) -> None:
    """A record that lies in the report's folder beforehand is gone before anything is judged."""
    (tmp_path / "kernel.py").write_text(starter())
    assert run(*WAYS["vet"].split(), *QUICK, cwd=tmp_path).status == 0
    assert (tmp_path / "out" / "results.json").is_file()
    assert injected(tmp_path, "vet", "recording", 0).status == 3
    assert not (tmp_path / "out" / "results.json").exists()
