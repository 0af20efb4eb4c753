"""The published sample: its files, the parts left out if the record is too large, and that it is consistent."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from sample_runs import KNOWN, broken, large, run, small

from bnconform_reports.ci_files import summary
from bnconform_reports.records.merging import merged
from bnconform_reports.records.reading import read_runs
from bnconform_reports.records.schema import ResultsError, Runs

ROOT = Path(__file__).parents[2]
FILES = {"results.json", "summary.md", "matrix.png"}


@pytest.fixture(scope="module")
def publish() -> ModuleType:
    """The script, which is no part of any package."""
    spec = spec_from_file_location("publish", ROOT / "reports" / "publish.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def called(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, str(ROOT / "reports" / "publish.py"), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_sample_is_made_of_the_merged_records(tmp_path: Path) -> None:
    """The command merges the records; the sample's record reads back whole, and its summary is the one written."""
    small().write(tmp_path / "a.json")
    other = run([broken("F2", "torch")], created="2026-11-27T00:00:00+00:00")
    other.write(tmp_path / "b.json")
    done = called("a.json", "b.json", "--folder", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == FILES
    runs = read_runs(out / "results.json")
    assert repr(runs) == repr(Runs.of([small(), other]))
    assert (out / "summary.md").read_text() == summary(merged(runs))
    assert (out / "matrix.png").read_bytes()[1:4] == b"PNG"


def test_scripts_of_known_deviations_go_first(publish: ModuleType) -> None:
    """Parts that can be made again are left out before others; verdicts and witnesses stay."""
    whole = Runs.of([large(4), run([broken("F1", "mine"), broken("F2", "torch", known=KNOWN)])])
    size = len(publish.text_of(whole).encode())
    assert publish.fitted(whole, size) is whole
    first = publish.fitted(whole, size - 1)
    cells = [cell for one in first.runs for cell in one.cells]
    assert all(bool(cell.script) != bool(cell.known) for cell in cells if cell.verdict == "breaks")
    assert all(cell.witness for cell in cells if cell.verdict == "breaks")
    second = publish.fitted(whole, len(publish.text_of(first).encode()) - 1)
    assert not any(cell.script for one in second.runs for cell in one.cells)
    third = publish.fitted(whole, len(publish.text_of(second).encode()) - 1)
    points = [p for one in third.runs for measures in one.measures.values() for p in measures["points"]]
    assert points
    assert all(p["worst"] and "deviations" not in p for p in points)
    counts = [merged(runs).counts for runs in (whole, first, second, third)]
    assert counts[1:] == counts[:-1]
    with pytest.raises(ResultsError, match="give fewer runs"):
        publish.fitted(whole, 1000)


def test_smaller_record_is_read_again(publish: ModuleType, tmp_path: Path) -> None:
    """A record with parts left out is not damaged."""
    least = Runs.of(map(publish.without_deviations, map(publish.without_scripts, [small()])))
    (tmp_path / "results.json").write_text(publish.text_of(least))
    assert repr(read_runs(tmp_path / "results.json")) == repr(least)


@pytest.mark.parametrize(("text", "told"), [("{", "is not JSON"), ("{}", "has schema None")])
def test_what_is_no_record_is_refused_in_one_line(text: str, told: str, tmp_path: Path) -> None:
    """Nothing is written, and one line says why."""
    (tmp_path / "a.json").write_text(text)
    done = called("a.json", "--folder", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_what_is_published_hangs_together(publish: ModuleType) -> None:
    """A sample in the tree is whole and small, its summary fits its record, and the README shows it."""
    there = FILES & {path.name for path in publish.PUBLISHED.iterdir()}
    assert there in (set(), FILES)
    assert (publish.PICTURE in (ROOT / "README.md").read_text(encoding="utf-8")) == bool(there)
    if there:
        runs = read_runs(publish.PUBLISHED / "results.json")
        assert (publish.PUBLISHED / "results.json").stat().st_size <= publish.LIMIT
        assert (publish.PUBLISHED / "summary.md").read_text(encoding="utf-8") == summary(merged(runs))
