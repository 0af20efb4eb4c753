"""Usual checks of batch norm on the zoo's faulty implementations: how many each catches, beside this suite.

    python benchmarks/measure_usual_checks.py reports/published

Writes usual_checks.json and usual_checks.md beside kill_matrix.json, and the counts of both to where the report has
them. The specimens are those of kill_matrix.json: run that first where the zoo has grown. What is in usual_checks.json
already is kept, unless ``--again`` is given.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from usual_checks import ROOT, kernelbench, opinfo, unit_test, zoo
from usual_checks.findings import CHECKS, SCHEMA, counts, page

PACKAGED = ROOT / "reports" / "bnconform_reports" / "data" / "usual_checks.json"
LOOSE, TIGHT = 1e-2, 1e-4
"""KernelBench's tolerances for float32, then and now."""
LONGEST = 120
"""Characters of what a check saw."""


def caught(place: tuple[str, str]) -> dict[str, str]:
    """What each check sees of a specimen first; empty where it passes."""
    torch.set_num_threads(1)

    def ask(check: Any, *arguments: float) -> str:
        with zoo.specimen(*place) as adapter:
            return str(check(adapter, *arguments))[:LONGEST]

    tight = ask(kernelbench.caught, TIGHT)
    loose = ask(kernelbench.caught, LOOSE) if tight else ""  # what passes at the tighter tolerance passes at this one
    found = [loose, tight, ask(unit_test.caught), ask(opinfo.caught)]
    return {check.id: said for check, said in zip(CHECKS, found, strict=True)}


def main() -> None:
    """Run the checks and write what they caught."""
    parser = ArgumentParser(description="Set the usual checks on every specimen of the zoo.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--again", action="store_true", help="also what is in usual_checks.json already")
    arguments = parser.parse_args()
    record, kills = arguments.folder / "usual_checks.json", arguments.folder / "kill_matrix.json"
    if not kills.is_file():
        parser.error(f"no {kills}; run python tests/zoo/kill_matrix.py {arguments.folder} first")
    matrix = json.loads(kills.read_text())
    known = {} if arguments.again or not record.is_file() else _known(json.loads(record.read_text()))
    there = {(row["family"], row["name"]) for row in matrix["specimens"]}
    faulty = [place for place in zoo.faulty() if place in there]
    places = [*faulty, *zoo.correct()]
    left = [place for place in places if place not in known]
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for place, found in zip(left, pool.map(caught, left), strict=True):
            known[place] = found
            print(*place, *[id for id, said in found.items() if said], flush=True)
    found = {
        "schema": SCHEMA,
        "torch": torch.__version__,
        "checks": [asdict(check) for check in CHECKS],
        "families": {family: zoo.about(family) for family, _ in faulty},
        "specimens": [_row(place, known) for place in faulty],
        "correct": [_row(place, known) for place in zoo.correct()],
    }
    record.write_text(json.dumps(found, indent=1) + "\n")
    (arguments.folder / "usual_checks.md").write_text(page(found, matrix))
    if arguments.folder.resolve() == ROOT / "reports" / "published":
        PACKAGED.parent.mkdir(exist_ok=True)
        PACKAGED.write_text(json.dumps(counts(found, matrix), indent=1) + "\n")


def _row(place: tuple[str, str], known: dict[tuple[str, str], dict[str, str]]) -> dict[str, Any]:
    return {"family": place[0], "name": place[1], "caught": known[place]}


def _known(found: dict[str, Any]) -> dict[tuple[str, str], dict[str, str]]:
    return {(row["family"], row["name"]): row["caught"] for row in [*found["specimens"], *found["correct"]]}


if __name__ == "__main__":
    main()
