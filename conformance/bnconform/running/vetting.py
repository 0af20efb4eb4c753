"""Vetting: a run on a few implementations, with a verdict page instead of pytest's output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TextIO

from bnconform.running.failures import SUITE_FAILED, save_text
from bnconform.running.options import (
    DIAGNOSE,
    LEVELS,
    OPTIONS,
    PREFIX,
    USUAL_BUDGET,
    Level,
    OptionError,
    RunOptions,
    words,
)
from bnconform.running.stopping import Stopped, stoppable
from bnconform_adapters.registry import is_file

if TYPE_CHECKING:
    from bnconform_reports.records.schema import Cell, Results

USAGE_ERROR = 2
JUDGED = (0, 1)
"""pytest's exit statuses after which there are results."""
LAWS = Path(__file__).parents[1] / "laws"
LEAN = ("-p", "no:cacheprovider", "--assert=plain")
"""Options that leave out pytest's cache and its rewriting of asserts, which takes a second for those of Hypothesis."""
APART = ("-q", *LEAN, "-c", os.devnull, "--rootdir", ".", "--confcutdir", str(LAWS))
"""Options for pytest's defaults: no settings or conftest of a surrounding project decide what is judged."""
_SETTINGS = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")
NEAR = 0.8
"""Similarity from which an unknown option counts as a misspelling of a known one."""
PYTEST_USAGE_ERROR = 4
PLAIN = ("-s", "--pdb", "--trace", "--capture=no")
"""Options of pytest for a person at a debugger: pytest's output is then shown unchanged."""
BETWEEN_LINES = 15.0
"""Seconds between two lines of progress, if stderr is not a terminal."""
PROGRESS = "BNCONFORM_PROGRESS"
"""Environment variable with the file descriptor to which the plugin writes every verdict at once."""


def vet(
    specs: Sequence[str],
    given: Mapping[str, Any],
    more: Sequence[str] = (),
    *,
    json_path: str | None = None,
    junit: str | None = None,
    verbose: bool = False,
) -> int:
    """Judge implementations and print a verdict page for each.

    Parameters
    ----------
    specs : sequence of str
        Implementations as `--adapter` takes them.
    given : mapping
        Values of the options of :data:`bnconform.running.options.OPTIONS`, by their fields.
    more : sequence of str
        Other options, passed on to pytest.
    json_path : str or None
        Path for the record of results; "-" prints the record instead of the page.
    junit : str or None
        Path for pytest's JUnit XML.
    verbose : bool
        Whether the page lists every law, and how to claim what is not claimed.

    Returns
    -------
    int
        0 if all conform, 1 if one does not, 2 for a file that cannot be loaded or an option that pytest does not know,
        3 if the suite itself failed, 130 or 143 if SIGINT or SIGTERM stopped the run: the page then has the verdicts so
        far.

    Raises
    ------
    OptionError
        If an option has a bad value, or a path cannot be written.
    """
    values = {"adapter": (), "budget": None, "diagnose": True, **given}
    options = RunOptions.read(values.__getitem__, "default", None, "--")
    _check_options(more)
    for path in (json_path, junit):
        _check_place(path)
    if given.get("budget") is None and not options.in_process and all(map(is_file, specs)):
        given = {**given, "budget": USUAL_BUDGET}
    command = [sys.executable, "-m", "pytest", str(LAWS), *APART]
    command += [f"{PREFIX}adapter={spec}" for spec in specs]
    command += [f"{PREFIX}{DIAGNOSE.name}", *words(given), *more, *([f"--junitxml={junit}"] if junit else [])]
    from bnconform_reports.records.reading import read

    with TemporaryDirectory() as folder:
        report = options.report or Path(folder)
        if options.report is None:
            command.append(f"{PREFIX}report={folder}")
        record = report / "results.json"
        if record.is_file():  # a run that is stopped early would show an older one
            record.unlink()
        if set(PLAIN) & set(more):
            status = subprocess.call(command, env=_environment())
            if status == 0 and not record.is_file():
                return _without_record(specs, status, "pytest ended before it judged anything")
            return status if status in JUDGED else USAGE_ERROR
        status, printed, stopped = _run(command)
        if stopped is not None:
            if not record.is_file():
                raise stopped
            _print_pages(read(record), options, specs, record, json_path, verbose=verbose)
            return stopped.status
        if status == PYTEST_USAGE_ERROR:
            print(f"bnconform: {printed.strip().removeprefix('ERROR: ').replace(PREFIX, '--')}", file=sys.stderr)
            return USAGE_ERROR
        results = results_of(record, status, options.deciding)
        if results is None:
            return _without_record(specs, status, printed)
        return _print_pages(results, options, specs, record, json_path, verbose=verbose)


def results_of(record: Path, status: int, deciding: Sequence[Level] = LEVELS) -> Results | None:
    """Read the record of a run; return None if there is none, or if it does not explain pytest's exit status."""
    from bnconform_reports.first_line import explains_failure
    from bnconform_reports.records.reading import read

    if status not in JUDGED or not record.is_file():
        return None
    results = read(record)
    return results if not status or explains_failure(results, deciding) else None


def _check_options(words: Sequence[str]) -> None:
    """Refuse a misspelled option of vet; pytest gets any other option.

    Raises
    ------
    OptionError
        If an option is nearly one of vet's.
    """
    known = [f"--{option.name}" for option in OPTIONS]
    for word in words:
        near = get_close_matches(word.partition("=")[0], known, n=1, cutoff=NEAR) if word.startswith("--") else []
        if near:
            raise OptionError(f"unknown option {word.partition('=')[0]}; did you mean {near[0]}?")


def _check_place(path: str | None) -> None:
    """Refuse a path that cannot be written, before anything is judged.

    Raises
    ------
    OptionError
        If the file cannot be opened for writing.
    """
    if path in (None, "-"):
        return
    try:
        Path(str(path)).parent.mkdir(parents=True, exist_ok=True)
        with Path(str(path)).open("a"):
            pass
    except OSError as error:
        raise OptionError(f"cannot write {path}: {error.strerror}; pass another name") from None


def _without_record(specs: Sequence[str], status: int, printed: str) -> int:
    """Report a run without a record, or whose record does not explain its exit; print the path of its output."""
    path = save_text("pytest.txt", printed)
    last = next((line for line in reversed(printed.strip().splitlines()) if line.strip()), "pytest printed nothing")
    print(f"NOT JUDGED: bnconform failed on {', '.join(specs)}: pytest ended with status {status}")
    print(f"  cause: {last.strip()}")
    print(f"  full output: {path}")
    return SUITE_FAILED


def _environment() -> dict[str, str]:
    """Return this process's environment variables, without those that change pytest's behaviour."""
    return {name: value for name, value in os.environ.items() if name not in _SETTINGS}


def _run(command: Sequence[str]) -> tuple[int, str, Stopped | None]:
    """Run pytest and show its progress; return its status, its output, and the signal that stopped it, if any."""
    with TemporaryDirectory() as folder:  # a file, so that the child never waits for a reader
        output, stopped = Path(folder) / "output", None
        with stoppable(), _child(command, output) as (child, verdicts):
            try:
                with _progress() as show:
                    for line in verdicts:
                        show(json.loads(line))
                child.wait()
            except Stopped as stop:
                stopped = stop
                child.send_signal(signal.SIGINT)  # it writes the record of the verdicts so far
                child.wait()
        return child.returncode, output.read_text(errors="replace"), stopped


@contextmanager
def _child(command: Sequence[str], output: Path) -> Iterator[tuple[subprocess.Popen[str], TextIO]]:
    """Start pytest; provide its process and the lines of its verdicts. If it still runs at the end, kill it."""
    here, there = os.pipe()
    with os.fdopen(here) as verdicts, output.open("w") as file:
        try:
            child = subprocess.Popen(  # in a session of its own, so that a terminal's Ctrl-C reaches it once, from here
                command,
                stdout=file,
                stderr=subprocess.STDOUT,
                pass_fds=[there],
                env=_environment() | {PROGRESS: str(there)},
                text=True,
                start_new_session=True,
            )
        finally:
            os.close(there)
        try:
            yield child, verdicts
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


@contextmanager
def _progress() -> Iterator[Callable[[dict[str, Any]], None]]:
    """Provide a function that shows one verdict: requirement, implementation, verdict, number and total.

    It shows a bar on stderr and a line for every broken law. If stderr is not a terminal, it shows a line every 15 s.
    """
    if not sys.stderr.isatty():
        with _lines_of_progress() as show_line:
            yield show_line
        return
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        yield _plain
        return
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("collecting", total=None)

        def show(news: dict[str, Any]) -> None:
            bar.update(task, total=news["total"], completed=news["number"], description=news["requirement"])
            if news["new"]:
                bar.console.print(f"[red]BREAKS[/red] {news['requirement']} {news['implementation']}")

        yield show


@contextmanager
def _lines_of_progress() -> Iterator[Callable[[dict[str, Any]], None]]:
    """Provide a function that takes verdicts; print a line on stderr every 15 s, also while none comes."""
    state: dict[str, Any] = {"text": "loading"}
    broken: list[str] = []
    ended, start = threading.Event(), time.monotonic()

    def show(news: dict[str, Any]) -> None:
        broken.extend([news["requirement"]] if news["new"] else [])
        found = f"; broken: {' '.join(broken)}" if broken else ""
        state["text"] = f"{news['number']} of {news['total']} laws judged{found}"

    def tell() -> None:
        while not ended.wait(BETWEEN_LINES):
            print(f"bnconform: {time.monotonic() - start:.0f} s: {state['text']}", file=sys.stderr, flush=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield show
    finally:
        ended.set()
        teller.join()


def _plain(news: dict[str, Any]) -> None:
    if news["new"]:
        print(f"BREAKS {news['requirement']} {news['implementation']}", file=sys.stderr)


def _print_pages(
    results: Results, options: RunOptions, specs: Sequence[str], record: Path, json_path: str | None, *, verbose: bool
) -> int:
    """Print the pages; return the exit status."""
    from bnconform_reports.first_line import cells_of, exit_status
    from bnconform_reports.vet_page import lines

    if json_path == "-":
        print(record.read_text(), end="")
    elif json_path is not None:
        Path(json_path).write_text(record.read_text())
    statuses = []
    for name, spec in zip(results.implementations, dict.fromkeys(specs), strict=True):
        cells = cells_of(results, name)
        statuses.append(exit_status(results, name, options.deciding))
        if json_path != "-":
            causes = results.abouts.get(name, {}).get("causes", [])
            command = " ".join([f"bnconform vet {quote(spec)}", *options.words("--")])
            traceback = _traceback(cells, options)
            _print(list(lines(results, name, causes, command, traceback=traceback, verbose=verbose)))
    return max(statuses)


def _traceback(cells: Sequence[Cell], options: RunOptions) -> Path | None:
    """Save the tracebacks of laws on which the suite failed; return their path, or None without any."""
    text = "\n\n".join(f"{cell.requirement}\n{cell.traceback}" for cell in cells if cell.traceback)
    if not text:
        return None
    if options.report is None:
        return save_text("tracebacks.txt", text)
    path = options.report / "tracebacks.txt"
    path.write_text(text, encoding="utf-8")
    return path


def _print(page: Iterable[tuple[str, str]]) -> None:
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
