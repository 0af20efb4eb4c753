"""`bnconform report` writes its files, and refuses in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sample_runs import cell, run, small

from bnconform.cli import main
from bnconform_reports import report_folder
from bnconform_reports.records.reading import read_runs
from bnconform_reports.records.schema import Runs

FILES = {"index.html", "results.json", "summary.md", "junit.xml", "badge.json"}
FILES |= {f"{name}.{kind}" for name in ("matrix", "conditioning", "length", "drift") for kind in ("png", "svg")}
OTHER = run([cell("F2", "torch")], created="2026-11-27T00:00:00+00:00")


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two records of one run each."""
    folder = tmp_path_factory.mktemp("records")
    paths = [folder / "a" / "results.json", folder / "b.json"]
    small().write(paths[0])
    OTHER.write(paths[1])
    return [str(path) for path in paths]


@pytest.fixture(scope="module")
def written(records: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """The folder of their report, and the modules that its process imported."""
    site = tmp_path_factory.mktemp("report") / "deep" / "site"
    code = "import sys; from bnconform.cli import main; assert not main(sys.argv[1:]); print(*sys.modules)"
    command = [sys.executable, "-c", code, "report", *records, "-o", str(site)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return site, set(done.stdout.split())


def test_report_writes_the_page_and_its_companions(written: tuple[Path, set[str]]) -> None:
    """The folder has the page, the merged record, the figures and the files for CI."""
    site, _ = written
    assert {path.name for path in site.iterdir()} == FILES
    assert repr(read_runs(site / "results.json")) == repr(Runs.of([OTHER, small()]))


def test_report_of_reports_is_the_same(records: list[str], written: tuple[Path, set[str]], tmp_path: Path) -> None:
    """Merged records merge again: in two steps, in another order and with one given twice, all files are the same."""
    (first, _), second, third = written, tmp_path / "second", tmp_path / "third"
    main(["report", records[1], "-o", str(second)])
    main(["report", str(second / "results.json"), *records[::-1], "-o", str(third)])
    for name in FILES:
        assert (first / name).read_bytes() == (third / name).read_bytes(), name


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line by which a command is refused."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("bnconform: ")
    return captured.err


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (None, "cannot read"),
        ('{"schema": "bnconform.res', "is not JSON"),
        ('{"total": 3}', "has schema None"),
        ('{"schema": "bnconform.results/1"}', "this version reads 'bnconform.results/3' and 'bnconform.runs/3'"),
        (json.dumps({"schema": "bnconform.runs/3", "runs": []}), "hold no verdict"),
    ],
)
def test_bad_record_is_refused(
    content: str | None, hint: str, records: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is no record is refused in one line, and nothing is written, even if others are good."""
    bad = tmp_path / "bad.json"
    if content is not None:
        bad.write_text(content)
    good = [] if hint == "hold no verdict" else records
    assert hint in refused(["report", *good, str(bad), "-o", str(tmp_path / "site")], capsys)
    assert not list((tmp_path / "site").glob("*"))


def test_file_for_a_folder_is_refused(records: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A report cannot be written into a file."""
    (tmp_path / "site").write_text("")
    assert "pass another name" in refused(["report", *records, "-o", str(tmp_path / "site")], capsys)


def test_arguments_of_a_run_beside_records_are_refused(
    records: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Options for a run are refused beside records, not silently dropped."""
    assert "--adapter" in refused(["report", *records, "-o", str(tmp_path / "site"), "--adapter", "torch"], capsys)


def test_missing_library_is_named(
    records: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its libraries the command says which and how to install them."""
    monkeypatch.setattr(report_folder, "NEEDED", ("json", "a_library_that_nobody_has"))
    line = refused(["report", *records, "-o", str(tmp_path / "site")], capsys)
    assert "needs a_library_that_nobody_has: pip install 'bnconform[report]'" in line


def test_report_runs_the_implementations_where_no_record_is_given(tmp_path: Path) -> None:
    """Without records the suite runs first, with the arguments that are passed on, and dialects are measured."""
    asked = ["--adapter", "reference", "--requirement=F1", "--hypothesis-profile", "quick", "--hypothesis-seed", "0"]
    assert main(["report", "-o", str(tmp_path), *asked, "--slow"]) == 0
    (found,) = read_runs(tmp_path / "results.json").runs
    assert [(c.requirement, c.implementation, c.verdict) for c in found.cells] == [("F1", "reference", "meets")]
    assert (found.profile, found.seed) == ("quick", 0)
    assert found.identities["reference"]["decided"]
    assert found.measures["reference"]["points"]
    assert "momentum weighs" in (tmp_path / "index.html").read_text()


def test_report_of_a_run_that_fails_to_start_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """If the run gives no results, the command says so after pytest's output, and writes nothing."""
    assert main(["report", "-o", str(tmp_path / "site"), "--adapter=torhc"]) == 2
    told = capfd.readouterr().err
    assert "did you mean 'torch'?" in told
    assert told.rstrip().endswith("nothing is written")
    assert not list((tmp_path / "site").glob("*"))


def test_reading_and_writing_need_no_framework(written: tuple[Path, set[str]]) -> None:
    """A page is made where no framework is installed: none is imported."""
    _, modules = written
    assert "bnconform.cli" in modules
    assert not {"torch", "jax", "tensorflow", "keras", "triton"} & modules
