"""What subcommands share on the command line: the parser, types of values, and the options on how a file is called."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NoReturn

from bnconform.running.options import OptionError
from bnconform.running.options import seconds as positive

if TYPE_CHECKING:
    from bnconform_adapters.worker.limits import CallOptions

USAGE_ERROR = 2
SPEC = "NAME|PATH.py[:NAME]"
"""How help texts show an implementation."""


class Parser(argparse.ArgumentParser):
    """One line for an option's bad value; the usage, too, for what is no command."""

    def error(self, message: str) -> NoReturn:
        """See argparse."""
        if message.startswith("argument -"):
            self.exit(USAGE_ERROR, f"bnconform: {message.removeprefix('argument ')}\n")
        super().error(message)


def seconds(text: str, of: str = "seconds") -> float:
    """A time limit, from the command line; `of` is its unit, for the message."""
    try:
        return positive(text, of)
    except OptionError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def minutes(text: str) -> float:
    """A length of time, from the command line."""
    return seconds(text, "minutes")


def count(text: str) -> int:
    """A number of things, from the command line."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}; pass a whole number above 0")
    return int(text)


def add_call_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a subcommand that calls a candidate file itself."""
    parser.add_argument("--in-process", action="store_true", help="call your file in this process, not in a worker")
    parser.add_argument("--time-limit", type=seconds, metavar="SECONDS", help="time for one call of your file")


def call_options(parsed: argparse.Namespace) -> CallOptions:
    """The values of :func:`add_call_options`."""
    from bnconform_adapters.worker.limits import CallOptions

    return CallOptions(parsed.in_process, parsed.time_limit)
