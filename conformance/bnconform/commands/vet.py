"""`bnconform vet`: test implementations, and print a verdict page for each."""

from __future__ import annotations

import argparse

from bnconform.commands.arguments import SPEC, add_pytest_options, pytest_words
from bnconform.running.options import ADAPTER, OPTIONS

HELP = "test implementations, bundled or your own files"
PASSES_ON = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of vet, and all options of a run."""
    parser.add_argument("spec", nargs="+", metavar=SPEC)
    parser.add_argument("-v", "--verbose", action="store_true", help="list every law, and how to claim more")
    parser.add_argument(
        "--json", metavar="PATH", help="write the record of results here; - prints the record instead of the page"
    )
    parser.add_argument("--junit", metavar="PATH", help="write JUnit XML here")
    for option in OPTIONS:
        if option is not ADAPTER:
            parser.add_argument(f"--{option.name}", **option.settings)
    add_pytest_options(parser)


def run(parsed: argparse.Namespace, rest: list[str]) -> int:
    """Vet the implementations; `rest` are other options for pytest."""
    from bnconform.running.vetting import vet

    given = {option.field: getattr(parsed, option.field) for option in OPTIONS if option is not ADAPTER}
    more = [*pytest_words(parsed), *rest]
    return vet(parsed.spec, given, more, json_path=parsed.json, junit=parsed.junit, verbose=parsed.verbose)
