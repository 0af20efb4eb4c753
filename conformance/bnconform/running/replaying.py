"""Cases judged again: from a case file, or from the ledger of known deviations as a script."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from bnconform.cases import case_file
from bnconform.deviations import ledger
from bnconform.judging.findings import explain
from bnconform.running.all_laws import laws
from bnconform.running.options import RunOptions
from bnconform.running.search import replay
from bnconform.scripts.writer import Subject, script, script_name
from bnconform_adapters.contract import AdapterError
from bnconform_adapters.registry import find
from bnconform_adapters.worker.client import opened
from bnconform_adapters.worker.limits import DEFAULTS, CallOptions


class AgainError(Exception):
    """What was asked for cannot be judged; the message is one line that says why."""


def replay_file(path: Path, spec: str | None, calls: CallOptions = DEFAULTS) -> str | None:
    """Judge a case file by its requirement; give the finding as text, or None where the law holds now.

    Parameters
    ----------
    path : Path
        As `--report` writes them.
    spec : str or None
        What to judge, as `--adapter` takes it; None takes what the file was written for.
    calls : CallOptions
        How a file is called.

    Raises
    ------
    CaseFileError, AdapterError, AgainError
        The file or the implementation cannot be had, or the file does not say by what it is judged.
    """
    steps, about = case_file.read(path), case_file.about(path)
    requirement = about.get("requirement", "")
    if requirement not in laws():
        raise AgainError(f"{path} names no requirement of the suite, but {requirement!r}; write it there")
    spec = spec or about.get("spec") or about.get("implementation")
    if spec is None:
        raise AgainError(f"{path} names no implementation; pass --adapter")
    with opened(spec, calls) as adapter:
        law = laws()[requirement]
        if reason := law.source.why_not(adapter.claims):
            raise AgainError(f"{adapter.name} is not judged by {requirement}: {reason}")
        broken = replay(law, adapter, adapter.claims, steps, spec, calls)
    if broken is None:
        return None
    again = [f"bnconform replay {quote(str(path))} --adapter {quote(spec)}"]
    again += RunOptions(in_process=calls.in_process, time_limit=calls.time_limit).words("--")
    return explain(broken.finding, broken.steps, " ".join(again))


def reproduce(implementation: str, requirement: str, folder: Path) -> Path:
    """Write the script that shows a known deviation, from its witness; give its path.

    Raises
    ------
    AdapterError, AgainError
        The ledger has no such entry, its implementation is not installed, or the law holds now.
    """
    entry = find(implementation)
    deviation = ledger.find(implementation, requirement)
    if deviation is None:
        known = [one.requirement for one in ledger.deviations() if one.implementation == implementation]
        listed = f"pass one of {', '.join(known)}" if known else "it has none for this implementation"
        raise AgainError(f"the ledger has no entry {requirement!r} for {implementation}; {listed}")
    if not folder.is_dir():
        raise AgainError(f"no such folder: {folder}; make it first")
    if missing := entry.missing():
        raise AdapterError(f"adapter {implementation!r} needs {', '.join(missing)}: {entry.install}")
    with opened(implementation) as adapter:
        broken = replay(laws()[requirement], adapter, adapter.claims, deviation.steps())
    if broken is None:
        raise AgainError(
            f"{requirement} holds now: {implementation} no longer shows the defect of {deviation.versions}"
        )
    path = folder / script_name(requirement, implementation)
    path.write_text(script(broken, Subject.bundled(entry), deviation))
    return path
