"""The `bnconform` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bnconform import __version__

USAGE_ERROR = 2


def list_adapters() -> None:
    """Print the bundled implementations with their versions, or how to install them."""
    from bnconform_adapters.registry import REGISTRY

    width = max(len(entry.name) for entry in REGISTRY)
    for entry in REGISTRY:
        versions = ", ".join(f"{name} {version}" for name, version in entry.versions().items())
        state = f"not installed: {entry.install}" if entry.missing() else versions
        print(f"{entry.name:<{width}}  {state}")


def vet(specs: Sequence[str], pytest_arguments: Sequence[str]) -> int:
    """Run the suite on implementations; return pytest's exit status, or 2 for one that cannot be loaded."""
    from bnconform_adapters.registry import AdapterError, load

    for spec in specs:
        try:
            load(spec)
        except AdapterError as error:
            print(f"bnconform: {error}", file=sys.stderr)
            return USAGE_ERROR
    import pytest

    adapters = [argument for spec in specs for argument in ("--adapter", spec)]
    laws = str(Path(__file__).parent)
    status = pytest.main([laws, "-q", "-p", "no:cacheprovider", *adapters, *pytest_arguments])
    return USAGE_ERROR if status == pytest.ExitCode.USAGE_ERROR else int(status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="bnconform", description="Does an implementation of batch normalization do what it must?"
    )
    parser.add_argument("--version", action="version", version=f"bnconform {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="list the bundled implementations")
    vetting = commands.add_parser("vet", help="test implementations, bundled or your own files")
    vetting.add_argument("spec", nargs="+", metavar="NAME|PATH.py[:NAME]")
    parsed, rest = parser.parse_known_args(arguments)
    if parsed.command == "list":
        if rest:
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        list_adapters()
        return 0
    return vet(parsed.spec, rest)


if __name__ == "__main__":
    sys.exit(main())
