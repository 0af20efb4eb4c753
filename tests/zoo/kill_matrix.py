"""The kill matrix: which law catches which specimen, as JSON and as a Markdown page.

Run as ``python tests/zoo/kill_matrix.py reports/published``. Each specimen meets the laws that it is there for under
every seed at the `default` profile, and the other laws under the first at `quick`. ``--laws named`` leaves those out.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from hunt import Kill, file_of, hunt, specimens
from specimen import Specimen

from bnconform.running.all_laws import laws

SCHEMA = "bnconform.kill-matrix/1"
OTHERS = "quick"
"""The profile for laws that a specimen does not name."""
SLOW = {"P8"}
"""Starts a process for every example; only specimens that name it meet it."""


def matrix(seeds: Sequence[int], *, named_only: bool, jobs: int) -> dict[str, Any]:
    """Every specimen against the laws, at the `default` profile."""
    with ProcessPoolExecutor(jobs) as pool:
        rows = list(pool.map(partial(_row, seeds=tuple(seeds), named_only=named_only), specimens()))
    return {
        "schema": SCHEMA,
        "profile": "default",
        "seeds": list(seeds),
        "named_only": named_only,
        "laws": list(laws()),
        "specimens": rows,
    }


def _row(family_and_row: tuple[str, Specimen], seeds: tuple[int, ...], named_only: bool) -> dict[str, Any]:
    family, row = family_and_row
    path = file_of(family)
    named = {id: [hunt(path, row.name, laws()[id], seed) for seed in seeds] for id in row.laws}
    others = () if named_only else [id for id in laws() if id not in row.laws and id not in SLOW]
    caught = [id for id in others if hunt(path, row.name, laws()[id], seeds[0], OTHERS, shrink=False)]
    return {
        "family": family,
        **asdict(row),
        "kills": {id: [kill and _plain(kill) for kill in kills] for id, kills in named.items()},
        "also": caught,
    }


def _plain(kill: Kill) -> dict[str, Any]:
    return {name: value for name, value in asdict(kill).items() if name != "law"}


def missed(row: dict[str, Any]) -> list[str]:
    """Named laws that let the specimen pass, under some seed."""
    return [id for id, kills in row["kills"].items() if not all(kills)]


def page(found: dict[str, Any]) -> str:
    """The matrix as Markdown."""
    rows, seeds, named_only = found["specimens"], found["seeds"], found["named_only"]
    first = [_quickest(row) for row in rows]
    seconds = sorted(kill["seconds"] for _, kill in first if kill)
    values = sorted(kill["values"] for _, kill in first if kill)
    total = sum(not missed(row) for row in rows)
    lines = [
        "# Kill matrix",
        "",
        f"{len(rows)} faulty batch norms and the laws that catch them, at the `{found['profile']}` profile. "
        f"{total} are caught by each law that they name, under each of the seeds {', '.join(map(str, seeds))}. "
        + ("Other laws were not set on them." if named_only else f"The others met them at the `{OTHERS}` profile."),
        "",
        f"From the start of the quickest named law to its first failing case: median {1000 * median(seconds):.0f} ms, "
        f"at most {seconds[-1]:.1f} s. The smallest failing case has a median of {median(values):.0f} values.",
        "",
        "What usual checks catch of them is on [a page of its own](usual_checks.md).",
        "",
    ]
    if not_caught := [f"{row['name']} ({' '.join(missed(row))})" for row in rows if missed(row)]:
        lines += [f"Passed a named law under some seed: {', '.join(not_caught)}.", ""]
    only_one = "alone named by" if named_only else "only killer of"
    lines += ["## By requirement", "", f"| law | named by | catches | {only_one} |", "|---|---|---|---|"]
    for law in found["laws"]:
        catches = [row for row in rows if law in row["also"] or any(row["kills"].get(law, ()))]
        only = [row["name"] for row in catches if len(row["also"]) + len(row["kills"]) == 1]
        named = sum(law in row["laws"] for row in rows)
        lines.append(f"| {law} | {named} | {len(catches)} | {' '.join(only)} |")
    lines += ["", "## By specimen", ""]
    lines += [
        "| specimen | fault | seen in | named laws | also caught by | smallest case |",
        "|---|---|---|---|---|---|",
    ]
    for row, (law, kill) in zip(rows, first, strict=True):
        case = _cell(f"{law}: {kill['case']}; {kill['finding']}") if kill else "not caught"
        named, also = " ".join(row["laws"]), " ".join(row["also"])
        lines.append(f"| {row['name']} | {_cell(row['fault'])} | {_link(row['source'])} | {named} | {also} | {case} |")
    return "\n".join([*lines, ""])


def _quickest(row: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """The named law that caught it soonest, and the kill; None where none did."""
    kills = [(id, kill) for id, by_seed in row["kills"].items() for kill in by_seed if kill]
    return min(kills, key=lambda pair: pair[1]["seconds"], default=("", None))


def _cell(text: str) -> str:
    """Text that does not end a table's cell."""
    return text.replace("|", "\\|")


def _link(source: str) -> str:
    """`name owner/repository#number` with its last word as a link."""
    name, _, reference = source.rpartition(" ")
    repository, mark, number = reference.partition("#")
    if "/" not in repository or not mark:
        return source
    return f"{name} [{reference}](https://github.com/{repository}/issues/{number})".strip()


def main() -> None:
    """Write kill_matrix.json and kill_matrix.md."""
    parser = ArgumentParser(description="Set the laws on every specimen of the zoo.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--laws", choices=["all", "named"], default="all")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    arguments = parser.parse_args()
    found = matrix(arguments.seeds, named_only=arguments.laws == "named", jobs=arguments.jobs)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    (arguments.folder / "kill_matrix.json").write_text(json.dumps(found, indent=1) + "\n")
    (arguments.folder / "kill_matrix.md").write_text(page(found))


if __name__ == "__main__":
    main()
