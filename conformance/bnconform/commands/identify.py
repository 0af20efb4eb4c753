"""`bnconform identify`: determine an implementation's dialect from its outputs."""

from __future__ import annotations

import argparse

from bnconform.commands.arguments import SPEC, add_call_options, call_options

HELP = "determine an implementation's dialect from its outputs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the implementation, and the form of the output."""
    parser.add_argument("spec", metavar=SPEC)
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    parser.add_argument("--write", action="store_true", help="write the measured CLAIMS into your file")
    parser.add_argument("--evidence", action="store_true", help="show the evidence of every answer")
    add_call_options(parser)


def run(parsed: argparse.Namespace, rest: list[str]) -> int:
    """Print the dialect."""
    from bnconform.identify import as_text, identify
    from bnconform.identify.measured_claims import measured_claims, write_claims
    from bnconform_adapters.errors import UserError
    from bnconform_adapters.registry import is_file, path_of
    from bnconform_adapters.worker.client import opened

    if parsed.write:
        if not is_file(parsed.spec):
            raise UserError(f"--write is for a file; {parsed.spec} is bundled")
        path, _ = path_of(parsed.spec)
        with opened(parsed.spec, call_options(parsed)) as adapter:
            found = measured_claims(adapter)
        print(f"{path}: {write_claims(path, found)}" if found else f"{path}: the claims agree with what was measured")
        return 0
    with opened(parsed.spec, call_options(parsed)) as adapter:
        identity = identify(adapter)
    print(as_text.as_json(identity) if parsed.json else as_text.text(identity, evidence=parsed.evidence))
    return 0
