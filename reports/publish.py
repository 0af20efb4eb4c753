"""The published sample of the report, from the records of runs: a summary, one picture, and the merged record.

    python reports/publish.py RESULTS.json [RESULTS.json ...]

Writes summary.md, matrix.png and results.json into reports/published, or into ``--folder``. The record has at most 3
MB. If it is larger, the scripts of known deviations are left out first, which ``bnconform reproduce`` writes again;
then the other scripts; then the single deviations on fixed cases, except the worst.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bnconform_reports.ci_files import summary
from bnconform_reports.pictures.matrix_picture import draw_matrix
from bnconform_reports.records.merging import merged
from bnconform_reports.records.reading import read_runs
from bnconform_reports.records.schema import Results, ResultsError, Runs

PUBLISHED = Path(__file__).parent / "published"
LIMIT = 3_000_000
"""Bytes of the record."""


def without_known_scripts(run: Results) -> Results:
    """The run without the scripts of known deviations."""
    return replace(run, cells=tuple(replace(cell, script="") if cell.known else cell for cell in run.cells))


def without_scripts(run: Results) -> Results:
    """The run without any script."""
    return replace(run, cells=tuple(replace(cell, script="") for cell in run.cells))


def without_deviations(run: Results) -> Results:
    """The run without the single deviations on fixed cases."""

    def slim(measures: dict[str, Any]) -> dict[str, Any]:
        points = [{k: v for k, v in p.items() if k not in ("deviations", "allowed")} for p in measures["points"]]
        return measures | {"points": points}

    return replace(run, measures={name: slim(measures) for name, measures in run.measures.items()})


PICTURE = "[![The matrix of laws and implementations](reports/published/matrix.png)](reports/published/summary.md)"
"""How the README shows the sample."""
SMALLER: tuple[Callable[[Results], Results], ...] = (without_known_scripts, without_scripts, without_deviations)


def text_of(runs: Runs) -> str:
    """The record as JSON without spaces, which `bnconform report` can read."""
    return json.dumps(runs.as_data(), separators=(",", ":"), allow_nan=False) + "\n"


def fitted(runs: Runs, limit: int = LIMIT) -> Runs:
    """The runs, with parts left out until the record is small enough.

    Raises
    ------
    ResultsError
        The record is too large even without these parts.
    """
    for smaller in (None, *SMALLER):
        runs = runs if smaller is None else Runs.of(map(smaller, runs.runs))
        if len(text_of(runs).encode()) <= limit:
            return runs
    raise ResultsError(f"the record has over {limit:,} bytes even without scripts and deviations; give fewer runs")


def publish(paths: Sequence[Path], folder: Path) -> list[Path]:
    """Write the sample; return the paths of its files.

    Raises
    ------
    ResultsError
        A record cannot be read, or is too large.
    """
    runs = fitted(reduce(Runs.merge, map(read_runs, paths), Runs(())))
    found = merged(runs)
    if not found.cells:
        raise ResultsError("the records hold no verdict; pass one of a run that judged something")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(text_of(runs), encoding="utf-8")
    (folder / "summary.md").write_text(summary(found), encoding="utf-8")
    with TemporaryDirectory() as place:
        draw_matrix(found, Path(place))
        (folder / "matrix.png").write_bytes((Path(place) / "matrix.png").read_bytes())
    return [folder / name for name in ("results.json", "summary.md", "matrix.png")]


def main() -> int:
    """Publish; return 0, or 2 for a record that cannot be read."""
    parser = ArgumentParser(description="Make the published sample from records of results.")
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULTS.json")
    parser.add_argument("--folder", type=Path, default=PUBLISHED)
    arguments = parser.parse_args()
    try:
        written = publish(arguments.results, arguments.folder)
    except ResultsError as error:
        print(f"publish: {error}", file=sys.stderr)
        return 2
    for path in written:
        print(f"written: {path} ({path.stat().st_size:,} bytes)")
    if arguments.folder == PUBLISHED and PICTURE not in (PUBLISHED.parents[1] / "README.md").read_text("utf-8"):
        print(f"put this into README.md, under What comes judged:\n{PICTURE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
