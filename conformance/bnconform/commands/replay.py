"""`bnconform replay`: judge a case file again."""

from __future__ import annotations

import argparse
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from bnconform.commands.arguments import SPEC, add_call_options, call_options

if TYPE_CHECKING:
    from bnconform_adapters.worker.limits import CallOptions

HELP = "judge a case file of --report again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the case file and the implementation."""
    parser.add_argument("case", type=Path, metavar="CASE.json")
    parser.add_argument("--adapter", metavar=SPEC, help="default: the file's own implementation")
    add_call_options(parser)


def run(parsed: argparse.Namespace, rest: list[str]) -> int:
    """Print the finding; return 1 if the case breaks its law, 0 if the law holds."""
    finding = replay_file(parsed.case, parsed.adapter, call_options(parsed))
    print(finding or "holds now")
    return 1 if finding else 0


def replay_file(path: Path, spec: str | None, calls: CallOptions | None = None) -> str | None:
    """Judge a case file by its requirement; return the finding as text, or None if the law holds now.

    Parameters
    ----------
    path : Path
        Case file written by `--report`.
    spec : str or None
        Implementation as `--adapter` takes it; None takes the file's own.
    calls : CallOptions
        Options for calling a candidate file.

    Raises
    ------
    CaseFileError, AdapterError, UserError
        If the file or the implementation is not available, or the file names no requirement.
    """
    from bnconform.cases import case_file
    from bnconform.judging.findings import explain
    from bnconform.running.all_laws import laws
    from bnconform.running.given_case import replay
    from bnconform.running.options import RunOptions
    from bnconform_adapters.errors import UserError
    from bnconform_adapters.worker.client import opened
    from bnconform_adapters.worker.limits import DEFAULTS

    calls = calls or DEFAULTS
    steps, about = case_file.read(path), case_file.about(path)
    requirement = about.get("requirement", "")
    if requirement not in laws():
        raise UserError(f"{path} names no requirement of the suite, but {requirement!r}; write an id of the catalogue")
    spec = spec or about.get("spec") or about.get("implementation")
    if spec is None:
        raise UserError(f"{path} names no implementation; pass --adapter")
    with opened(spec, calls) as adapter:
        law = laws()[requirement]
        if reason := law.source.why_not(adapter.claims):
            raise UserError(f"{adapter.name} is not judged by {requirement}: {reason}")
        broken = replay(law, adapter, adapter.claims, steps, spec, calls)
    if broken is None:
        return None
    again = [f"bnconform replay {quote(str(path))} --adapter {quote(spec)}"]
    again += RunOptions(in_process=calls.in_process, time_limit=calls.time_limit).words("--")
    return explain(broken.finding, broken.steps, " ".join(again))
