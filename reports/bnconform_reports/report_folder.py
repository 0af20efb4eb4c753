"""Write the whole report, or the page of the experiments, into a folder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from importlib import util
from pathlib import Path
from typing import Any

from bnconform_adapters.errors import UserError
from bnconform_reports.ci_files import badge, junit, summary
from bnconform_reports.html_page import benefits_page, page
from bnconform_reports.pictures.figures import draw_benefits, draw_curves
from bnconform_reports.pictures.matrix_picture import draw_matrix
from bnconform_reports.records.merging import Merged, merged
from bnconform_reports.records.reading import is_benefits, read_benefits, read_runs
from bnconform_reports.records.schema import Runs, write_json
from bnconform_reports.sections.claimed_effects import ClaimedEffects, claimed_effects

NEEDED = ("jinja2", "matplotlib")


def prepare(folder: Path) -> None:
    """Create the folder; raise UserError if that fails or a library is missing."""
    if missing := [name for name in NEEDED if util.find_spec(name) is None]:
        raise UserError(f"the report needs {', '.join(missing)}: pip install 'bnconform[report]'")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {error.strerror}; pass another name") from error


def write_report(paths: Sequence[Path], folder: Path) -> Merged:
    """Merge the records, write the page, the files beside it and the merged record, and return the merged runs.

    A record of `bnconform benefits` among them becomes a section of its own.

    Raises
    ------
    ResultsError
        A record cannot be read; nothing is written then.
    UserError
        There is nothing to report, or no place to write to.
    """
    trainings = [path for path in paths if is_benefits(path)]
    if len(trainings) > 1:
        raise UserError(f"{trainings[0]} and {trainings[1]} are both of bnconform benefits; pass one")
    trained = read_benefits(trainings[0]) if trainings else None
    runs = reduce(Runs.merge, (read_runs(path) for path in paths if path not in trainings), Runs(()))
    found = merged(runs)
    if not found.cells:
        raise UserError("the records hold no verdict; pass one of a run that judged something")
    prepare(folder)
    texts = {
        "index.html": page(found, claimed_effects(trained) if trained else None),
        "summary.md": summary(found),
        "junit.xml": junit(found),
        "badge.json": badge(found),
    }
    try:
        runs.write(folder / "results.json")
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        draw_matrix(found, folder)
        if trained:
            write_json(trained, folder / "benefits.json")
            draw_benefits(trained, folder)
        draw_curves(found, folder)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    return found


def write_benefits(data: dict[str, Any], folder: Path) -> ClaimedEffects:
    """Write benefits.html, benefits.json and the figures into a folder; return what the page shows.

    Raises
    ------
    UserError
        A file cannot be written.
    """
    found = claimed_effects(data)
    try:
        write_json(data, folder / "benefits.json")
        (folder / "benefits.html").write_text(benefits_page(found), encoding="utf-8")
        draw_benefits(data, folder)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    return found


def _cannot_write(folder: Path, error: OSError) -> UserError:
    return UserError(f"cannot write {error.filename or folder}: {error.strerror}")
