"""`bnconform bench kernel`: time the bundled kernel on a GPU, beside torch and a device copy."""

from __future__ import annotations

import argparse

HELP = "time the bundled kernel on a GPU, beside torch and a device copy"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the choice of what to time."""
    parser.add_argument("what", choices=["kernel"])


def run(parsed: argparse.Namespace, rest: list[str]) -> int:
    """Time the kernel."""
    from bnconform_adapters.errors import AdapterError
    from bnconform_adapters.registry import find

    if missing := find("fused_triton").missing():
        raise AdapterError(f"the kernel needs {', '.join(missing)}: {find('fused_triton').install}")
    from bnconform_adapters.fused_triton.benchmark import main

    return main()
