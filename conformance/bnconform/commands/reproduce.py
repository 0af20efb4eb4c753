"""`bnconform reproduce`: write the script that shows a known deviation."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "write a script that shows a known deviation"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the ledger's entry and the output folder."""
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("requirement", metavar="REQUIREMENT")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="default: this folder")


def run(parsed: argparse.Namespace, rest: list[str]) -> int:
    """Write the script."""
    path = reproduce(parsed.name, parsed.requirement, parsed.out)
    print(f"written: {path}; it runs without this project: python {path}")
    return 0


def reproduce(implementation: str, requirement: str, folder: Path) -> Path:
    """Write the script that shows a known deviation, from its witness; return the script's path.

    Raises
    ------
    UserError
        If the ledger has no such entry, its implementation is not installed, or the law holds now.
    """
    from bnconform.deviations import ledger
    from bnconform.running.all_laws import laws
    from bnconform.running.given_case import replay
    from bnconform.scripts.writer import Subject, script, script_name
    from bnconform_adapters.errors import AdapterError, UserError
    from bnconform_adapters.registry import find
    from bnconform_adapters.worker.client import opened

    entry = find(implementation)
    deviation = ledger.find(implementation, requirement)
    if deviation is None:
        known = [one.requirement for one in ledger.deviations() if one.implementation == implementation]
        listed = f"pass one of {', '.join(known)}" if known else "no entry names this implementation"
        raise UserError(f"the ledger has no entry {requirement!r} for {implementation}; {listed}")
    if not folder.is_dir():
        raise UserError(f"no such folder: {folder}; make it first")
    if missing := entry.missing():
        raise AdapterError(f"adapter {implementation!r} needs {', '.join(missing)}: {entry.install}")
    with opened(implementation) as adapter:
        broken = replay(laws()[requirement], adapter, adapter.claims, deviation.steps())
    if broken is None:
        raise UserError(f"{requirement} holds now: {implementation} no longer shows the defect of {deviation.versions}")
    path = folder / script_name(requirement, implementation)
    path.write_text(script(broken, Subject.bundled(entry), deviation))
    return path
