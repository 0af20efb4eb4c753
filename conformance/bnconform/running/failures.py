"""Messages for failures of the suite itself: the cause in one line, and the path of the traceback."""

from __future__ import annotations

import traceback
from pathlib import Path
from tempfile import mkdtemp

from bnconform_adapters.contract import describe_error

SUITE_FAILED = 3
"""Exit status of a command if the suite itself failed."""


def cause(error: BaseException) -> str:
    """Describe an exception of the suite in one line, with the innermost place in the suite."""
    return f"bnconform failed: {describe_error(error)} ({_place(error)})"


def text_of(error: BaseException) -> str:
    """Return the traceback as text."""
    return "".join(traceback.format_exception(error))


def save_text(name: str, text: str) -> Path:
    """Write a text to a file that outlives this process; return its path."""
    path = Path(mkdtemp(prefix="bnconform-")) / name
    path.write_text(text, encoding="utf-8")
    return path


def report_failure(error: BaseException) -> int:
    """Print the cause and the path of the traceback; return the exit status."""
    print(f"NOT JUDGED: {cause(error)}")
    print(f"  traceback: {save_text('traceback.txt', text_of(error))}")
    return SUITE_FAILED


def _place(error: BaseException) -> str:
    """Return the innermost place in the suite, as "judge.py line 120"."""
    places = [
        f"{Path(frame.f_code.co_filename).name} line {line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__", "").startswith("bnconform")
    ]
    return places[-1] if places else "outside the suite"
