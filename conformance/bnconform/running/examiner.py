"""The examiner: reports the verdict on a law to the record and to pytest.

The examiner fails closed: if anything goes wrong here, the cell says "not judged" and the test fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bnconform.cases import case_file
from bnconform.judging.findings import Broken, explain
from bnconform.judging.law import Law
from bnconform.running.implementation import Implementation
from bnconform.running.judgement import decide
from bnconform.running.ruling import Ruling, failed_cell
from bnconform.running.session import Session
from bnconform.scripts.writer import script


class Examiner:
    """Judges laws on an implementation; passes each verdict to `record` as a cell, and ends the test."""

    def __init__(
        self, session: Session, implementation: Implementation, record: Callable[[dict[str, Any]], None]
    ) -> None:
        self._session = session
        self._implementation = implementation
        self._record = record

    def examine(self, law: Law) -> None:
        """Judge the law; fail, skip or expect failure accordingly.

        Raises
        ------
        Exception
            If the suite itself failed; the cell then says "not judged".
        """
        __tracebackhide__ = True
        try:
            self.judge(law)
        except Exception as error:
            self._record(failed_cell(law.requirement, self._implementation.name, error))
            raise

    def judge(self, law: Law) -> None:
        """Judge the law as :meth:`examine` does, but record no cell if the suite itself fails."""
        __tracebackhide__ = True
        ruling = decide(law, self._implementation, self._session)
        if ruling.broken is not None:
            ruling = self._explained(ruling, ruling.broken)
        self._record(ruling.cell())
        ruling.report()

    def _explained(self, ruling: Ruling, broken: Broken) -> Ruling:
        """Add the command that repeats the judgement, a script, and a message if the deviation is not known."""
        again = self._session.command(ruling.requirement, self._implementation)
        subject, program = self._implementation.subject, ""
        if self._session.scripts and subject.plain_code:
            program = script(broken, subject, ruling.known)
        ruling = replace(ruling, again=again, script=program)
        if ruling.known is not None:
            return ruling
        text = explain(broken.finding, broken.steps, again) + self._written(ruling, broken)
        if not ruling.decides:
            text = f"broken, beyond the level that decides ({self._session.options.level})\n{text}"
        return replace(ruling, message=text)

    def _written(self, ruling: Ruling, broken: Broken) -> str:
        """Write the case file and the script, if there is a report folder; return lines with their paths."""
        if self._session.options.report is None:
            return ""
        name = ruling.implementation.removesuffix(".py").replace(":", "-")
        path = self._session.options.report / "cases" / f"{ruling.requirement}-{name}.json"
        about = {"requirement": ruling.requirement, "implementation": ruling.implementation}
        case_file.write(path, broken.steps, **about, spec=self._implementation.spec)
        text = f"\n  case file {path}"
        if ruling.script:
            path.with_suffix(".py").write_text(ruling.script)
            text += f"\n  script    {path.with_suffix('.py')}"
        return text
