"""The zoo through the two commands that users type: `bnconform vet` and `pytest --pyargs bnconform --adapter`.

Run as ``python tests/zoo/commands.py OUT.jsonl``. Every specimen that is a candidate file is judged in a process and a
worker of its own: a faulty one has to end in exit status 1 with a broken law that is not on the ledger, a correct one
in 0 with none. ``--laws named`` sets on a faulty one only the first law that it is there for, and runs those of one law
together.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Literal, TypeAlias

from hunt import ZOO, correct_names, file_of, specimens, subject
from layers import LayerAdapter

from bnconform_reports.records.reading import read

Command: TypeAlias = Literal["vet", "pytest"]
COMMANDS: dict[Command, tuple[str, ...]] = {
    "vet": ("-m", "bnconform.cli", "vet"),
    "pytest": ("-m", "pytest", "--pyargs", "bnconform", "-q", "-p", "no:cacheprovider"),
}


@dataclass(frozen=True)
class Judged:
    """What a command said of a specimen.

    Attributes
    ----------
    spec : str
        ``PATH.py:NAME``.
    faulty : bool
        What the specimen is.
    status : int
        The command's exit status.
    broken, met : tuple of str
        Laws.
    seconds : float
    """

    command: Command
    spec: str
    faulty: bool
    status: int
    broken: tuple[str, ...]
    met: tuple[str, ...]
    seconds: float

    @property
    def rightly(self) -> bool:
        """Whether the verdict is right."""
        return (self.status, bool(self.broken)) == ((1, True) if self.faulty else (0, False)) and (
            self.faulty or bool(self.met)
        )


def files() -> Iterator[tuple[str, str]]:
    """Specimens that are candidate files, as `--adapter` takes them, and the first law they are there for; "" for none.

    A few are layers of the reference's own kind, for laws about a whole data set that no file can offer.
    """
    for family, row in specimens():
        if not isinstance(subject(file_of(family), row.name), LayerAdapter):
            yield f"{file_of(family)}:{row.name}", row.laws[0]
    for name in correct_names():
        if not isinstance(subject(ZOO / "correct.py", name), LayerAdapter):
            yield f"{ZOO / 'correct.py'}:{name}", ""


def judged(command: Command, specs: Sequence[str], *, faulty: bool, seed: int = 0, only: str = "") -> list[Judged]:
    """Let a command judge specimens, as its user would, by all laws or by one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "HYPOTHESIS", "CI"))}
    with TemporaryDirectory() as folder:
        prefix = "--" if command == "vet" else "--bn-"
        options = [f"--hypothesis-seed={seed}", f"{prefix}report={folder}"]
        options += [f"{prefix}requirement", only] if only else ["-x"] if faulty else []
        given = specs if command == "vet" else [f"--bn-adapter={spec}" for spec in specs]
        start = perf_counter()
        done = subprocess.run(
            [sys.executable, *COMMANDS[command], *given, *options],
            cwd=folder,
            env=kept,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds, results = perf_counter() - start, Path(folder) / "results.json"
        record = read(results) if results.is_file() else None
    cells = record.cells if record else ()
    found = []
    for spec in specs:
        own = [cell for cell in cells if cell.implementation == Path(spec).name]
        broken = tuple(cell.requirement for cell in own if cell.verdict == "breaks" and not cell.known)
        met = tuple(cell.requirement for cell in own if cell.verdict in ("meets", "differs"))
        found.append(Judged(command, spec, faulty, done.returncode, broken, met, seconds / len(specs)))
    return found


def main() -> int:
    """Judge what is not in the file yet, and append what was said; return 1 where a specimen was judged wrongly."""
    parser = ArgumentParser(description="Judge the zoo by the commands that users type.")
    parser.add_argument("path", type=Path, metavar="OUT.jsonl", help="a run that was stopped goes on where it was")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--laws", choices=["all", "named"], default="all")
    arguments = parser.parse_args()
    lines = arguments.path.read_text().splitlines() if arguments.path.exists() else []
    verdicts = _read(lines)
    done = {(verdict.command, verdict.spec) for verdict in verdicts}
    groups = _groups(named=arguments.laws == "named")
    left = [(command, specs, law) for command in COMMANDS for specs, law in groups if (command, specs[0]) not in done]

    def one(command: Command, specs: list[str], law: str) -> list[Judged]:
        only = law if arguments.laws == "named" else ""
        return judged(command, specs, faulty=bool(law), seed=arguments.seed, only=only)

    with ThreadPoolExecutor(arguments.jobs) as pool, arguments.path.open("a") as file:
        for found in pool.map(lambda asked: one(*asked), left):
            file.writelines(json.dumps(asdict(verdict)) + "\n" for verdict in found)
            file.flush()
            verdicts += found
    wrong = [verdict for verdict in verdicts if not verdict.rightly]
    print(f"{len(verdicts)} verdicts, {len(wrong)} wrong")
    for verdict in wrong:
        print(f"{verdict.command} {verdict.spec}: status {verdict.status}, broken {' '.join(verdict.broken) or 'none'}")
    return bool(wrong)


def _groups(*, named: bool) -> list[tuple[list[str], str]]:
    """Specimens that are judged together: those of one law, or each by itself."""
    listed = list(files())
    alone = [([spec], law) for spec, law in listed if not (named and law)]
    laws = dict.fromkeys(law for _, law in listed if named and law)
    return [([spec for spec, own in listed if own == law], law) for law in laws] + alone


def _read(lines: list[str]) -> list[Judged]:
    """Verdicts of an earlier run."""
    found = [json.loads(line) for line in lines]
    return [Judged(**one | {"broken": tuple(one["broken"]), "met": tuple(one["met"])}) for one in found]


if __name__ == "__main__":
    sys.exit(main())
