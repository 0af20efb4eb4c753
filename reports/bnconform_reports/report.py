"""The whole report, into a folder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from importlib import util
from pathlib import Path

from bnconform_adapters.contract import UserError
from bnconform_reports.badge import badge
from bnconform_reports.benefit_figure import draw_benefits
from bnconform_reports.benefit_records import is_benefits, read_benefits
from bnconform_reports.benefits import section
from bnconform_reports.figure import draw_curves
from bnconform_reports.junit import junit
from bnconform_reports.page import page
from bnconform_reports.picture import draw
from bnconform_reports.records import write_json
from bnconform_reports.runs import Runs, read_runs
from bnconform_reports.summary import summary
from bnconform_reports.together import Together, together

NEEDED = ("jinja2", "matplotlib")


class ReportError(UserError):
    """The report cannot be made; the message is one line that says what to do."""


def ready(folder: Path) -> None:
    """Raise ReportError where a library is missing or the folder cannot be one."""
    if missing := [name for name in NEEDED if util.find_spec(name) is None]:
        raise ReportError(f"the report needs {', '.join(missing)}: pip install 'bnconform[report]'")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReportError(f"cannot make the folder {folder}: {error.strerror}; pass another name") from error


def write_report(paths: Sequence[Path], folder: Path) -> Together:
    """Merge the records and write the page, its companions and the merged record; give what they say.

    A record of `bnconform benefits` among them becomes a section of its own.

    Raises
    ------
    ResultsError
        A record cannot be read; nothing is written then.
    ReportError
        There is nothing to report, or no place to write to.
    """
    at_work = [path for path in paths if is_benefits(path)]
    if len(at_work) > 1:
        raise ReportError(f"{at_work[0]} and {at_work[1]} are both of bnconform benefits; pass one")
    trained = read_benefits(at_work[0]) if at_work else None
    runs = reduce(Runs.merge, (read_runs(path) for path in paths if path not in at_work), Runs(()))
    found = together(runs)
    if not found.cells:
        raise ReportError("the records hold no verdict; pass one of a run that judged something")
    ready(folder)
    texts = {
        "index.html": page(found, section(trained) if trained else None),
        "summary.md": summary(found),
        "junit.xml": junit(found),
    }
    try:
        runs.write(folder / "results.json")
        for name, text in (texts | {"badge.json": badge(found)}).items():
            (folder / name).write_text(text, encoding="utf-8")
        draw(found, folder)
        if trained:
            write_json(trained, folder / "benefits.json")
            draw_benefits(trained, folder)
        draw_curves(found, folder)
    except OSError as error:
        raise ReportError(f"cannot write {error.filename or folder}: {error.strerror}") from error
    return found
