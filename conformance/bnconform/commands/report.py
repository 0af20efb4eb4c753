"""`bnconform report`: put records together into a page; where none is given, run the implementations first."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bnconform.running.failures import SUITE_FAILED
from bnconform.running.options import OPTIONS, PREFIX, words

HELP = "put results together into a page; without any, run the implementations first"
PASSES_ON = True
OF_A_RUN = tuple(option for option in OPTIONS if option.name not in ("report", "identify", "measure", "level"))
"""Options of a run that this command takes."""
OF_PYTEST = ("--hypothesis-profile", "--hypothesis-seed", "-n")
"""Options with a value that are passed on to pytest; if they were unknown, their value would be taken for a file."""
LAWS = Path(__file__).parents[1] / "laws"
JUDGED = (0, 1)
"""pytest's exit statuses after which there are results."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the records, where to write, and the options of a run."""
    parser.add_argument("results", nargs="*", type=Path, metavar="results.json")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="where to write it")
    for option in OF_A_RUN:
        parser.add_argument(f"--{option.name}", **option.settings)
    for name in OF_PYTEST:
        parser.add_argument(name, metavar="VALUE", help="of the run, as pytest takes it")


def run(parsed: argparse.Namespace, rest: list[str]) -> int:
    """Write the report; return 0, whatever was found, and 3 if the suite failed on some laws."""
    from bnconform_adapters.contract import UserError
    from bnconform_reports.report_folder import prepare, write_report

    arguments = [*words({option.field: getattr(parsed, option.field) for option in OF_A_RUN}, OF_A_RUN)]
    for name in OF_PYTEST:
        value = getattr(parsed, name.strip("-").replace("-", "_"))
        arguments += [] if value is None else [name, value]
    arguments += rest
    if parsed.results and arguments:
        option = arguments[0].replace(PREFIX, "--")
        raise UserError(f"{option} is for a run, and the results are given; leave one out")
    prepare(parsed.out)
    if parsed.results:
        found = write_report(parsed.results, parsed.out)
    else:
        with TemporaryDirectory() as folder:
            found = write_report([_judged(Path(folder), arguments)], parsed.out)
    print(found.headline)
    print(f"written: {parsed.out / 'index.html'}")
    return SUITE_FAILED if found.counts["not judged"] else 0


def _judged(folder: Path, arguments: Sequence[str]) -> Path:
    """Run the suite, with pytest's progress to be seen; give the record."""
    from bnconform_adapters.contract import UserError
    from bnconform_reports.first_line import explains_failure
    from bnconform_reports.records.reading import read

    command = [sys.executable, "-m", "pytest", str(LAWS), "-q", "-p", "no:cacheprovider", f"{PREFIX}report={folder}"]
    status = subprocess.call([*command, f"{PREFIX}identify", f"{PREFIX}measure", *arguments], stdout=sys.stderr)
    record = folder / "results.json"
    if status in JUDGED and record.is_file() and (not status or explains_failure(read(record))):
        return record
    raise UserError("the run gave no results, see above; nothing is written")
