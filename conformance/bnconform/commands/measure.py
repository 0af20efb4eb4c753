"""`bnconform measure`: one implementation's errors on the report's fixed cases, as text."""

from __future__ import annotations

import argparse

from bnconform.commands.arguments import SPEC, add_call_options, call_options

HELP = "errors on the report's fixed cases, or on one of them"
KINDS = ("conditioning", "length", "drift")
"""Kinds of fixed cases, copied from :mod:`bnconform.cases.fixed_cases`, which would import NumPy."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the implementation, and the choice of a case."""
    parser.add_argument("spec", metavar=SPEC)
    parser.add_argument("--kind", choices=KINDS, help="with --at: one case of this kind, shown with its errors")
    parser.add_argument("--at", type=float, metavar="PLACE", help="|mean|/sd, values per channel, or training steps")
    add_call_options(parser)


def run(parsed: argparse.Namespace, rest: list[str]) -> int:
    """Print the errors of all fixed cases, or one case and its errors."""
    from bnconform.running.measurement import measure
    from bnconform.running.measurement_text import PlaceError, all_points, one_point, place
    from bnconform_adapters.errors import AdapterError
    from bnconform_adapters.worker.client import opened

    if (parsed.kind is None) != (parsed.at is None):
        raise PlaceError("--kind and --at go together, as in --kind length --at 128; leave both out for all cases")
    wanted = None if parsed.kind is None else place(parsed.kind, parsed.at)
    with opened(parsed.spec, call_options(parsed)) as adapter:
        if "training" not in adapter.claims.modes:
            raise AdapterError(f"{adapter.name} does not train, but the fixed cases need training")
        lines = list(all_points(measure(adapter)) if wanted is None else one_point(adapter, parsed.kind, wanted))
    print("\n".join(lines))
    return 0
