"""Shared parts of the subcommands' command lines: the parser, types of values, and options for calling a file."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NoReturn

from bnconform.running.options import OptionError
from bnconform.running.options import seconds as positive

if TYPE_CHECKING:
    from bnconform_adapters.worker.limits import CallOptions

USAGE_ERROR = 2
SPEC = "NAME|PATH.py[:NAME]"
"""Notation for an implementation in help texts."""


class Parser(argparse.ArgumentParser):
    """Parser that reports an option's bad value in one line, and prints the usage only for other errors."""

    def error(self, message: str) -> NoReturn:
        """See argparse."""
        if message.startswith("argument -"):
            self.exit(USAGE_ERROR, f"bnconform: {message.removeprefix('argument ')}\n")
        super().error(message)


def seconds(text: str, of: str = "seconds") -> float:
    """Read a time limit from the command line; `of` is its unit, for the message."""
    try:
        return positive(text, of)
    except OptionError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def minutes(text: str) -> float:
    """Read a number of minutes from the command line."""
    return seconds(text, "minutes")


def count(text: str) -> int:
    """Read a positive whole number from the command line."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}; pass a whole number above 0")
    return int(text)


OF_PYTEST = {
    "--hypothesis-profile": "examples of each law: quick, default, ci or thorough",
    "--hypothesis-seed": "equal seeds give equal cases",
    "-n": "number of processes, with pytest-xdist",
}
"""Options with a value that pytest takes; a parser that does not know them would read the value as a file."""


def add_pytest_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that a run passes on to pytest."""
    for name, text in OF_PYTEST.items():
        parser.add_argument(name, metavar="VALUE", help=text)


def pytest_words(parsed: argparse.Namespace) -> list[str]:
    """Return the options of :func:`add_pytest_options` as pytest takes them."""
    values = {name: getattr(parsed, name.strip("-").replace("-", "_")) for name in OF_PYTEST}
    return [word for name, value in values.items() if value is not None for word in (name, value)]


def add_call_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a subcommand that calls a candidate file itself."""
    parser.add_argument("--in-process", action="store_true", help="call your file in this process, not in a worker")
    parser.add_argument("--time-limit", type=seconds, metavar="SECONDS", help="time for one call of your file")


def call_options(parsed: argparse.Namespace) -> CallOptions:
    """Return the values of the options of :func:`add_call_options`."""
    from bnconform_adapters.worker.limits import CallOptions

    return CallOptions(parsed.in_process, parsed.time_limit)
