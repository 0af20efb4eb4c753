"""The kill matrix: which law catches which specimen, as JSON and as a Markdown page.

Run as ``python tests/zoo/kill_matrix.py FOLDER --seeds 0 1 2``. With ``--laws named`` each specimen meets only the laws
that it is there for, which takes a minute a seed instead of half an hour.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from hunt import ZOO, Kill, correct_names, file_of, hunt, laws, named_first, specimens

SCHEMA = 1


def matrix(seeds: Sequence[int], named_only: bool = False) -> dict[str, Any]:
    """Every specimen and every correct implementation against every law under every seed."""
    faulty = []
    for family, row in specimens():
        wanted = [law for law in named_first(row) if law.requirement in row.laws or not named_only]
        kills = {law.requirement: [hunt(file_of(family), row.name, law, seed) for seed in seeds] for law in wanted}
        faulty.append({"family": family} | asdict(row) | {"kills": _by_law(kills)})
    alarms = []
    for name in correct_names():
        for law in [] if named_only else laws().values():
            for seed in seeds:
                if kill := hunt(ZOO / "correct.py", name, law, seed):
                    alarms.append({"name": name, "seed": seed} | asdict(kill))
    return {
        "schema": SCHEMA,
        "seeds": list(seeds),
        "named_only": named_only,
        "laws": sorted(laws()),
        "specimens": faulty,
        "false_alarms": alarms,
    }


def _by_law(kills: dict[str, list[Kill | None]]) -> dict[str, list[dict[str, Any] | None]]:
    return {
        law: [kill and asdict(kill) for kill in by_seed] for law, by_seed in kills.items() if any(k for k in by_seed)
    }


def caught(row: dict[str, Any], seeds: int) -> bool:
    """Whether some law catches the specimen, under each seed."""
    return all(any(by_seed[i] for by_seed in row["kills"].values()) for i in range(seeds))


def page(found: dict[str, Any]) -> str:
    """The matrix as Markdown."""
    rows, seeds = found["specimens"], len(found["seeds"])
    first = [_quickest(row) for row in rows]
    seconds = sorted(kill["seconds"] for kill in first if kill)
    total = sum(caught(row, seeds) for row in rows)
    lines = [
        "# Kill matrix",
        "",
        f"{total} of {len(rows)} specimens are caught under each of the seeds {found['seeds']}"
        + (", by the laws named alone." if found["named_only"] else "."),
        f"Not caught under each: {' '.join(r['name'] for r in rows if not caught(r, seeds)) or 'none'}.",
    ]
    if not found["named_only"]:
        lines.append(f"{len(found['false_alarms'])} false alarms on {len(correct_names())} correct implementations.")
    if seconds:
        lines.append(f"Seconds to the quickest law's kill: median {median(seconds):.3f}, worst {seconds[-1]:.3f}.")
    lines += [
        "",
        "| specimen | fault | source | named laws | caught by (of the seeds) | cases, s | smallest case |",
        "|---|---|---|---|---|---|---|",
    ]
    for row, kill in zip(rows, first, strict=True):
        by = " ".join(f"{law}:{sum(k is not None for k in ks)}" for law, ks in row["kills"].items())
        spent = f"{kill['cases']}, {kill['seconds']:.2f}" if kill else ""
        case = f"{kill['law']}: {kill['case']}; {kill['finding']}" if kill else ""
        named = " ".join(row["laws"])
        source, by, case = _link(row["source"]), by or "nothing", _cell(case)
        lines.append(f"| {row['name']} | {_cell(row['fault'])} | {source} | {named} | {by} | {spent} | {case} |")
    lines += ["", "## By requirement", "", "| law | catches | named for | only killer of |", "|---|---|---|---|"]
    for law in found["laws"]:
        killed = [row for row in rows if law in row["kills"]]
        only = [row["name"] for row in killed if len(row["kills"]) == 1]
        named = [row["name"] for row in killed if law in row["laws"]]
        lines.append(f"| {law} | {len(killed)} | {' '.join(named)} | {' '.join(only)} |")
    if found["false_alarms"]:
        lines += ["", "## False alarms", ""]
    lines += [
        f"- {a['name']}, {a['law']}, seed {a['seed']}: {a['finding']}; {a['case']}" for a in found["false_alarms"]
    ]
    return "\n".join([*lines, ""])


def _quickest(row: dict[str, Any]) -> dict[str, Any] | None:
    """The kill of a named law that came first, or any law's where none is named."""
    named = {law: kills for law, kills in row["kills"].items() if law in row["laws"]} or row["kills"]
    return min((kill for kills in named.values() for kill in kills if kill), key=lambda k: k["seconds"], default=None)


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
    parser = ArgumentParser(description="Set every law on every specimen of the zoo.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--laws", choices=["all", "named"], default="all")
    arguments = parser.parse_args()
    found = matrix(arguments.seeds, arguments.laws == "named")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    (arguments.folder / "kill_matrix.json").write_text(json.dumps(found, indent=1) + "\n")
    (arguments.folder / "kill_matrix.md").write_text(page(found))


if __name__ == "__main__":
    main()
