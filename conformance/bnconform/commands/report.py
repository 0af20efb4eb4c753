"""The command `bnconform report`: records in, a page out; where none is given, the implementations are run first."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bnconform.running.failures import SUITE_FAILED
from bnconform.running.options import PREFIX

USAGE_ERROR = 2
JUDGED = (0, 1)
"""pytest's exit statuses after which there are results."""


def report(paths: Sequence[Path], folder: Path, arguments: Sequence[str]) -> int:
    """Write the report and tell what it says.

    Parameters
    ----------
    paths : sequence of Path
        Records of results; none runs the implementations first.
    folder : Path
    arguments : sequence of str
        Passed on to pytest where the implementations are run.

    Returns
    -------
    int
        0 where it is written, whatever was found; 2 for what cannot be read, run or asked; 3 where it is written,
        but the suite failed on some laws.
    """
    from bnconform_reports.records import ResultsError
    from bnconform_reports.report import ReportError, ready, write_report

    if paths and arguments:
        print(
            f"bnconform: {arguments[0].replace(PREFIX, '--')} is for a run, and the results are given; leave one out",
            file=sys.stderr,
        )
        return USAGE_ERROR
    try:
        ready(folder)
        if paths:
            found = write_report(paths, folder)
        else:
            with TemporaryDirectory() as place:
                record = _run(Path(place), arguments)
                if record is None:
                    return USAGE_ERROR
                found = write_report([record], folder)
    except (ReportError, ResultsError) as error:
        print(f"bnconform: {error}", file=sys.stderr)
        return USAGE_ERROR
    from bnconform_reports.headline import headline

    print(headline(found.cells.values()))
    print(f"written: {folder / 'index.html'}")
    return SUITE_FAILED if found.counts["not judged"] else 0


def _run(folder: Path, arguments: Sequence[str]) -> Path | None:
    """Run the suite, with pytest's progress to be seen; give the record, or None where the run left none to trust."""
    from bnconform_reports.first_line import explains_failure
    from bnconform_reports.records import read

    command = [sys.executable, "-m", "pytest", str(Path(__file__).parents[1] / "laws"), "-q", "-p", "no:cacheprovider"]
    status = subprocess.call(
        [*command, f"{PREFIX}report={folder}", f"{PREFIX}identify", f"{PREFIX}measure", *arguments], stdout=sys.stderr
    )
    record = folder / "results.json"
    if status in JUDGED and record.is_file() and (not status or explains_failure(read(record))):
        return record
    print("bnconform: the run gave no results, see above; nothing is written", file=sys.stderr)
    return None
