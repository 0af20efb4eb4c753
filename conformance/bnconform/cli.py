"""The `bnconform` command: a table of subcommands, each a module of :mod:`bnconform.commands`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from bnconform import __version__
from bnconform.commands.arguments import USAGE_ERROR, Parser
from bnconform_adapters.errors import UserError

COMMANDS = [
    "list",
    "vet",
    "identify",
    "measure",
    "bench",
    "new",
    "replay",
    "reproduce",
    "report",
    "campaign",
    "benefits",
]
"""Modules with HELP, optionally a DESCRIPTION, `add_arguments(parser)` and `run(parsed, rest)`, which returns the exit
status. A module with PASSES_ON gets unknown options in `rest`."""
STOPPED = 128 + 2
"""Exit status that a shell reports for a program ended by SIGINT."""
READER_GONE = 128 + 13
"""Exit status that a shell reports for a program ended by SIGPIPE."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    try:
        status = _main(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except KeyboardInterrupt as stop:
        print("bnconform: stopped", file=sys.stderr)
        return getattr(stop, "status", STOPPED)
    except UserError as error:
        print(f"bnconform: {error}", file=sys.stderr)
        return USAGE_ERROR
    except Exception as error:
        from bnconform.running.failures import report_failure

        return report_failure(error)  # a defect of the suite must not look like a verdict
    return status


def _main(arguments: Sequence[str] | None) -> int:
    parser = Parser(prog="bnconform", description="Test whether an implementation of batch normalization is right.")
    parser.add_argument("--version", action="version", version=f"bnconform {__version__}")
    listed = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    modules = {name: import_module(f"bnconform.commands.{name}") for name in COMMANDS}
    for name, module in modules.items():
        about = getattr(module, "DESCRIPTION", None)
        module.add_arguments(listed.add_parser(name, help=module.HELP, description=about))
    parsed, rest = parser.parse_known_args(arguments)
    command = modules[parsed.command]
    if rest and not getattr(command, "PASSES_ON", False):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    status: int = command.run(parsed, rest)
    return status


if __name__ == "__main__":
    sys.exit(main())
