"""Ruling on one law and one implementation: a cell of the record, and pytest's outcome."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pytest

from bnconform.cases import case_file
from bnconform.deviations.ledger import Deviation
from bnconform.judging.findings import Broken
from bnconform.judging.tally import Tally
from bnconform.running.failures import cause, text_of


@dataclass(frozen=True)
class Ruling:
    """A verdict with its reasons.

    Attributes
    ----------
    requirement, implementation, verdict : str
    reason : str
        Why the law was not judged, or how the implementation differs; for the record.
    message : str
        Text that pytest prints.
    tally : Tally or None
        Counts of the search.
    usual : int
        The default profile's number of examples for the law.
    broken : Broken or None
        Finding, if the law is broken.
    known : Deviation or None
        Entry of the ledger, if the deviation is known.
    again : str
        Command that judges the law again.
    script : str
        Program that shows the finding.
    decides : bool
        Whether a broken law fails the run.
    """

    requirement: str
    implementation: str
    verdict: str
    reason: str = ""
    message: str = ""
    tally: Tally | None = None
    usual: int = 0
    broken: Broken | None = None
    known: Deviation | None = None
    again: str = ""
    script: str = ""
    decides: bool = True

    def cell(self) -> dict[str, Any]:
        """Return the ruling as a cell of the record."""
        cell: dict[str, Any] = {
            "requirement": self.requirement,
            "implementation": self.implementation,
            "verdict": self.verdict,
            "reason": self.reason,
        }
        if self.tally is not None:
            cell |= self.tally.cell() | {"usual": self.usual}
        if self.broken is not None:
            finding = self.broken.finding
            cell |= {"finding": asdict(finding), "worst_ratio": finding.ratio, "worst_ulp": finding.ulp}
            cell |= {"witness": case_file.to_json(self.broken.steps), "again": self.again, "script": self.script}
        if self.known is not None:
            cell["known"] = self.known.cell()
        return cell

    def report(self) -> None:
        """End the test: pass, skip, fail, or fail as expected."""
        __tracebackhide__ = True
        match self.verdict:
            case "meets" | "differs":
                return
            case "not run" | "not claimed":
                pytest.skip(self.message)
            case "breaks" if self.known is not None or not self.decides:
                pytest.xfail(self.message)
            case _:
                pytest.fail(self.message, pytrace=False)


def failed_cell(requirement: str, implementation: str, error: Exception) -> dict[str, Any]:
    """Return the record's cell for a law on which the suite itself failed."""
    return {
        "requirement": requirement,
        "implementation": implementation,
        "verdict": "not judged",
        "reason": cause(error),
        "traceback": text_of(error),
    }
