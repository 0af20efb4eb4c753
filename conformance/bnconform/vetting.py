"""Vetting: the suite on a few implementations, with a verdict page instead of pytest's output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from bnconform_adapters.contract import AdapterError
from bnconform_adapters.worker.client import opened

CONFORMS, BREAKS, USAGE_ERROR = 0, 1, 2
JUDGED = (0, 1)
"""pytest's exit statuses after which there are results."""
PLAIN = ("-s", "--pdb", "--trace", "--capture=no")
"""Options of pytest for a person at a debugger: what it prints is passed on as it comes."""
PROGRESS = "BNCONFORM_PROGRESS"
"""Environment variable: the descriptor on which the plugin tells every verdict as it comes in."""


def vet(specs: Sequence[str], arguments: Sequence[str], json_path: str | None = None, junit: str | None = None) -> int:
    """Judge implementations and print a verdict page for each.

    Parameters
    ----------
    specs : sequence of str
        As `--adapter` takes them.
    arguments : sequence of str
        Passed on to pytest.
    json_path : str or None
        Where to write the record of results; "-" prints it instead of the page.
    junit : str or None
        Where pytest writes its JUnit XML.

    Returns
    -------
    int
        0 if all conform, 1 if one does not, 2 for what cannot be loaded or asked.
    """
    for spec in specs:
        try:
            with opened(spec, in_process="--in-process" in arguments):
                pass
        except AdapterError as error:
            print(f"bnconform: {error}", file=sys.stderr)
            return USAGE_ERROR
    command = [sys.executable, "-m", "pytest", str(Path(__file__).parent), "-q", "-p", "no:cacheprovider"]
    command += [*(f"--adapter={spec}" for spec in specs), *arguments, *([f"--junitxml={junit}"] if junit else [])]
    if set(PLAIN) & set(arguments):
        status = subprocess.call(command)
        return status if status in JUDGED else USAGE_ERROR
    with TemporaryDirectory() as folder:
        report = _report(arguments)
        if report is None:
            report = folder
            command.append(f"--report={folder}")
        status, printed = _run(command)
        if status not in JUDGED or not (Path(report) / "results.json").is_file():
            print(f"bnconform: {printed.strip().removeprefix('ERROR: ')}", file=sys.stderr)
            return USAGE_ERROR
        return _tell(Path(report) / "results.json", specs, arguments, json_path)


def _report(arguments: Sequence[str]) -> str | None:
    """The folder of `--report`, if it is among the arguments."""
    for i, argument in enumerate(arguments):
        if argument.startswith("--report="):
            return argument.partition("=")[2]
        if argument == "--report" and i + 1 < len(arguments):
            return arguments[i + 1]
    return None


def _run(command: Sequence[str]) -> tuple[int, str]:
    """Run pytest, show its progress, and keep what it prints."""
    here, there = os.pipe()
    with TemporaryDirectory() as folder:  # a file, so that the child never waits for a reader
        output = Path(folder) / "output"
        with output.open("w") as file:
            environment = os.environ | {PROGRESS: str(there)}
            child = subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, pass_fds=[there], env=environment, text=True
            )
        os.close(there)
        with os.fdopen(here) as verdicts, _progress() as show:
            for line in verdicts:
                show(json.loads(line))
        return child.wait(), output.read_text(errors="replace")


class Show(Protocol):
    """Takes one verdict: requirement, implementation, verdict, number and total."""

    def __call__(self, told: dict[str, Any]) -> None:
        """Show it."""


@contextmanager
def _progress() -> Iterator[Show]:
    """A bar on stderr, and a line for every broken law; nothing where that is no terminal."""
    if not sys.stderr.isatty():
        yield lambda told: None
        return
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        yield _plain
        return
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("collecting", total=None)

        def show(told: dict[str, Any]) -> None:
            bar.update(task, total=told["total"], completed=told["number"], description=told["requirement"])
            if told["new"]:
                bar.console.print(f"[red]BREAKS[/red] {told['requirement']} {told['implementation']}")

        yield show


def _plain(told: dict[str, Any]) -> None:
    if told["new"]:
        print(f"BREAKS {told['requirement']} {told['implementation']}", file=sys.stderr)


def _tell(path: Path, specs: Sequence[str], arguments: Sequence[str], json_path: str | None) -> int:
    """Print the pages; return the exit status."""
    from bnconform_reports.records import read

    if json_path == "-":
        print(path.read_text(), end="")
    elif json_path is not None:
        Path(json_path).parent.mkdir(parents=True, exist_ok=True)
        Path(json_path).write_text(path.read_text())
    results, status = read(path), CONFORMS
    for name, spec in zip(results.implementations, dict.fromkeys(specs), strict=False):
        cells = [cell for cell in results.cells if cell.implementation == name]
        broken = [cell for cell in cells if cell.verdict == "breaks" and not cell.known]
        judged = any(cell.verdict in ("meets", "differs", "breaks") for cell in cells)
        status = BREAKS if broken or not judged else status
        if json_path != "-":
            causes = _causes(spec, arguments, [cell.witness for cell in broken if cell.witness]) if broken else []
            _print_page(results, name, causes, f"bnconform vet {quote(spec)}")
    return status


def _causes(spec: str, arguments: Sequence[str], witnesses: Sequence[dict[str, Any]]) -> list[str]:
    from bnconform.case_file import from_json
    from bnconform.diagnosis import diagnose

    with opened(spec, in_process="--in-process" in arguments) as adapter:
        return diagnose(
            adapter, tuple(case for steps in map(from_json, witnesses) if len(steps) == 1 for case in steps)
        )


def _print_page(results: Any, name: str, causes: Sequence[str], command: str) -> None:
    from bnconform_reports.verdict import lines

    page = lines(results, name, causes, command)
    if sys.stdout.isatty():
        try:
            from rich.console import Console
            from rich.text import Text
        except ImportError:
            pass
        else:
            console = Console(highlight=False, soft_wrap=True)
            for text, style in page:
                console.print(Text(text, style=style))
            return
    encoding = sys.stdout.encoding or "ascii"
    for text, _ in page:
        print(text.encode(encoding, "replace").decode(encoding))
