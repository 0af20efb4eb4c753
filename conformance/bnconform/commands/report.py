"""`bnconform report`: write a page from records; without records, run the implementations first."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bnconform.commands.arguments import add_pytest_options, pytest_words
from bnconform.running.failures import SUITE_FAILED
from bnconform.running.options import OPTIONS, PREFIX, words

HELP = "write a page from results; without results, run the implementations first"
PASSES_ON = True
OF_A_RUN = tuple(option for option in OPTIONS if option.name not in ("report", "identify", "measure", "level"))
"""Options of a run that this command accepts."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the records, the output folder, and the options of a run."""
    parser.add_argument("results", nargs="*", type=Path, metavar="results.json")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder for the page")
    for option in OF_A_RUN:
        parser.add_argument(f"--{option.name}", **option.settings)
    add_pytest_options(parser)


def run(parsed: argparse.Namespace, rest: list[str]) -> int:
    """Write the report; return 3 if the suite failed on some laws, else 0, also for broken laws."""
    from bnconform_adapters.errors import UserError
    from bnconform_reports.report_folder import prepare, write_report

    arguments = [*words({option.field: getattr(parsed, option.field) for option in OF_A_RUN}, OF_A_RUN)]
    arguments += [*pytest_words(parsed), *rest]
    if parsed.results and arguments:
        option = arguments[0].replace(PREFIX, "--")
        raise UserError(f"{option} is for a run, but results are given; leave one out")
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
    """Run the suite with pytest's progress on stderr; return the path of the record."""
    from bnconform.running.vetting import LAWS, LEAN, results_of
    from bnconform_adapters.errors import UserError

    command = [sys.executable, "-m", "pytest", str(LAWS), "-q", *LEAN, f"{PREFIX}report={folder}"]
    status = subprocess.call([*command, f"{PREFIX}identify", f"{PREFIX}measure", *arguments], stdout=sys.stderr)
    record = folder / "results.json"
    if results_of(record, status) is None:
        raise UserError("the run gave no results, see above; nothing is written")
    return record
