"""The zoo through the two commands that users type: `bnconform vet` and `pytest --pyargs bnconform --adapter`.

Run as ``python tests/zoo/commands.py OUT.json``. Every specimen that is a candidate file is judged in a process and a
worker of its own: a faulty one has to end in exit status 1 with a broken law that is not on the ledger, a correct one
in 0 with none. ``--laws named`` sets on a faulty one only the first law that it is there for, in a quarter of the time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Literal, TypeAlias

from hunt import ZOO, correct_names, file_of, specimens, subject

from bnconform_adapters.reference_layer import LayerAdapter
from bnconform_reports.records import read

Command: TypeAlias = Literal["vet", "pytest"]
COMMANDS: dict[Command, tuple[str, ...]] = {
    "vet": ("-m", "bnconform.cli", "vet"),
    "pytest": ("-m", "pytest", "--pyargs", "bnconform", "-q", "-p", "no:cacheprovider", "--adapter"),
}
FIRST_BREAK_IS_ENOUGH = ("-x",)


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


def judged(command: Command, spec: str, *, faulty: bool, seed: int = 0, only: str = "") -> Judged:
    """Let a command judge one specimen, as its user would, by all laws or by one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "HYPOTHESIS", "CI"))}
    with TemporaryDirectory() as folder:
        options = (f"--hypothesis-seed={seed}", f"--report={folder}", *(FIRST_BREAK_IS_ENOUGH if faulty else ()))
        options += ("--requirement", only) if only else ()
        start = perf_counter()
        done = subprocess.run(
            [sys.executable, *COMMANDS[command], spec, *options],
            cwd=folder,
            env=kept,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds, results = perf_counter() - start, Path(folder) / "results.json"
        cells = read(results).cells if results.is_file() else ()
    broken = tuple(cell.requirement for cell in cells if cell.verdict == "breaks" and not cell.known)
    met = tuple(cell.requirement for cell in cells if cell.verdict in ("meets", "differs"))
    return Judged(command, spec, faulty, done.returncode, broken, met, seconds)


def main() -> int:
    """Write what each command said of each specimen; return 1 where one was judged wrongly."""
    parser = ArgumentParser(description="Judge the zoo by the commands that users type.")
    parser.add_argument("path", type=Path, metavar="OUT.json")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--laws", choices=["all", "named"], default="all")
    arguments = parser.parse_args()
    listed, named = list(files()), arguments.laws == "named"
    with ThreadPoolExecutor(arguments.jobs) as pool:
        found = [
            pool.submit(
                partial(judged, command, spec, faulty=bool(law), seed=arguments.seed, only=law if named else "")
            )
            for command in COMMANDS
            for spec, law in listed
        ]
        verdicts = [future.result() for future in found]
    arguments.path.write_text(json.dumps([asdict(verdict) for verdict in verdicts], indent=1) + "\n")
    wrong = [verdict for verdict in verdicts if not verdict.rightly]
    print(f"{len(listed)} files, {len(verdicts)} verdicts, {len(wrong)} wrong")
    for verdict in wrong:
        print(f"{verdict.command} {verdict.spec}: status {verdict.status}, broken {' '.join(verdict.broken) or 'none'}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
