"""`bnconform list`: the bundled implementations with their versions, or how to install them."""

from __future__ import annotations

import argparse

HELP = "list the bundled implementations"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the command has no arguments."""


def run(parsed: argparse.Namespace, rest: list[str]) -> int:
    """Print a line for each implementation."""
    from bnconform_adapters.registry import REGISTRY

    width = max(len(entry.name) for entry in REGISTRY)
    for entry in REGISTRY:
        versions = ", ".join(f"{name} {version}" for name, version in entry.versions().items())
        state = f"not installed: {entry.install}" if entry.missing() else versions
        print(f"{entry.name:<{width}}  {state}")
    return 0
