"""A finding as a standalone script: NumPy, the implementation's own package, and nothing of this project.

The script makes the calls again that the finding is about, with the same bits, prints what came out beside what is
expected, and exits with 1 while the defect is there and with 0 when it is gone.
"""

from __future__ import annotations

import ast
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata, util
from textwrap import wrap

import numpy as np

from bnconform.deviations.ledger import Deviation
from bnconform.judging.evidence import Evidence
from bnconform.judging.findings import Broken, Finding, number
from bnconform.requirements import BY_ID
from bnconform.scripts.call_lines import Calls
from bnconform.scripts.literals import DECODE
from bnconform.scripts.plain_code import Parts
from bnconform.scripts.verdict_lines import Verdict
from bnconform_adapters import plain
from bnconform_adapters.registry import Entry

PARTS = ("plain.calling", "plain.verdict", "plain.definition")
"""What a script may need beside the plain code that calls its subject."""

READ_AT_START = ("GLIBC_TUNABLES",)
"""Environment variables that nothing looks at later."""

_WIDTH = 110


@dataclass(frozen=True)
class Subject:
    """What a script calls.

    Attributes
    ----------
    name : str
        The implementation's.
    spec : str
        As `--adapter` takes it.
    plain_code : str
        The module below `bnconform_adapters` that calls it; empty where there is none.
    versions : mapping of str to str
        Of the distributions that it needs.
    environment : mapping of str to str
        Variables that have to be set before it is imported.
    """

    name: str
    spec: str
    plain_code: str
    versions: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def bundled(cls, entry: Entry) -> Subject:
        """A bundled implementation."""
        return cls(entry.name, entry.name, entry.module, entry.versions(), dict(entry.environment or ()))

    @classmethod
    def of_file(cls, name: str, spec: str, plain_code: str) -> Subject:
        """What a candidate file holds."""
        needed = plain.CANDIDATES.get(plain_code, ())
        return cls(name, spec, plain_code, {one: metadata.version(one) for one in needed if util.find_spec(one)})

    @property
    def is_file(self) -> bool:
        """Whether it is a file, not a bundled implementation."""
        return self.plain_code in plain.CANDIDATES

    @property
    def calls(self) -> str:
        """What its plain code says that it calls."""
        return (ast.get_docstring(ast.parse(plain.text(self.plain_code))) or "").partition("\n")[0]


def script_name(requirement: str, implementation: str) -> str:
    """The name of a script."""
    words = implementation.removesuffix(".py").replace(".py:", "_")
    return f"reproduce_{requirement}_{''.join(c if c.isalnum() else '_' for c in words)}.py"


def script(broken: Broken, subject: Subject, known: Deviation | None = None) -> str:
    """The text of the script that shows a finding; the ledger's entry of it says there why it is one."""
    assert broken.evidence is not None
    return _Writer(broken.finding, broken.evidence, subject, known).text()


class _Writer:
    """Puts one script together."""

    def __init__(self, finding: Finding, evidence: Evidence, subject: Subject, known: Deviation | None) -> None:
        self._finding, self._evidence, self._subject, self._known = finding, evidence, subject, known
        # A side effect may be that of any earlier call.
        self._calls = Calls(evidence, everything=finding.requirement[0] == "P" or evidence.got is None)

    def text(self) -> str:
        calls = self._calls.lines(announced=self._exit)  # they name the cases in their order
        body = "\n".join([*calls, "", *Verdict(self._finding, self._evidence, self._calls).lines()])
        cases = "\n".join(self._calls.case_lines())
        modules = [self._subject.plain_code, *PARTS]
        spec = f"sys.argv[1] if len(sys.argv) > 1 else {self._subject.spec!r}"
        imports, definitions = Parts(modules, {"SPEC": spec}, self._simpler()).text(f"{cases}\n{body}")
        needed = {
            "import sys": True,
            "import numpy as np": True,
            "import ml_dtypes": "ml_dtypes." in cases + body,
            "import zlib": "decode(" in cases + body,
            "from base64 import b64decode": "decode(" in cases + body,
        }
        imports = [*imports, *(line for line, wanted in needed.items() if wanted and line not in imports)]
        if "decode(" in cases + body:
            definitions = [*definitions, DECODE.strip()]
        settings = [line for name, value in self._subject.environment.items() for line in _set(name, value)]
        if any("sys." in line for line in settings):
            imports.remove("import sys")
            settings = ["import sys", "", *settings]
        elif settings:
            settings = ["", *settings]
        settings = ["import os", *settings, ""] if settings else []
        head = [f'"""{self._head()}"""', "", *settings, *_sorted_imports(imports), ""]
        return "\n".join([*head, *(f"\n{text}\n" for text in definitions), "", cases, "", body, ""])

    def _simpler(self) -> list[str]:
        """Plain code that may stand for other, since nobody asks for more in this script."""
        watched = self._subject.is_file or self._finding.requirement == "P5"
        if self._calls.contiguous:
            return ["plain.copying_into_nan"] if watched else ["plain.copying", "plain.unwatched"]
        near = [] if self._calls.far else ["plain.near"]
        return near if watched else [*near, "plain.unwatched"]

    def _head(self) -> str:
        finding, subject, known = self._finding, self._subject, self._known
        title = f"{finding.requirement} broken by {subject.name}" + (f": {known.reason}." if known else ".")
        versions = {"numpy": np.__version__, **subject.versions, "Python": platform.python_version()}
        seen = ", ".join(f"{name} {version}" for name, version in versions.items())
        exits = "Exits with 1 while the defect is there, with 0 when it is gone, and with 125 where it cannot tell, as "
        exits += "git bisect wants it."
        if subject.is_file:
            exits += " Takes another PATH.py or PATH.py:NAME to test as its argument."
        lines = [
            title,
            "",
            *([] if subject.is_file else [f"What is called: {subject.calls}"]),
            f"The law {finding.requirement}: {BY_ID[finding.requirement].statement}.",
            f"What was found: {self._told()}.",
            *self._limits(),
            *([f"Upstream: {known.link}"] if known and known.link else []),
            f"Seen with {seen} on {platform.system()} {platform.machine()}.",
            "",
            exits,
        ]
        text = "\n".join("\n".join(_wrapped(line)) for line in lines)
        return text.replace("\\", "\\\\").replace('"""', "'''") + "\n"

    def _told(self) -> str:
        finding = self._finding
        if finding.got is None or finding.expected is None or finding.allowed is None:
            return f"{finding.quantity} {finding.problem}"
        where = "" if finding.index is None else f" at {list(finding.index)}"
        told = f"{finding.quantity}{where} {finding.problem}: got {number(finding.got)}, expected "
        return told + f"{number(finding.expected)}, allowed error {finding.allowed:.3g}"

    def _limits(self) -> list[str]:
        """What a plain script does not show of the finding."""
        kinds = {log.what for log in self._calls.logs}
        if "together" in kinds:
            return ["Calls from several threads: it may take several runs to show."]
        if "fresh process" in kinds:
            return ["The two answers come from two processes; this script makes both calls in one, which is new."]
        if "steps in spoilt memory" in kinds:
            return ["It depends on what memory held before, which this script cannot force."]
        if self._exit:
            return ["A call that does not come back ends this script, too, or never ends: it is the last one printed."]
        if self._subject.is_file:
            return ["It was found after other calls in one process; a fault that those left behind does not show here."]
        return []

    @property
    def _exit(self) -> bool:
        """Whether what was found is that a call did not come back."""
        return self._evidence.got is None and any(outcome.exit for log in self._calls.logs for outcome in log.outcomes)


def _wrapped(line: str) -> list[str]:
    return wrap(line, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False) or [""]


def _set(name: str, value: str) -> list[str]:
    """Statements that set an environment variable, in a new process where this one has read it already."""
    if name not in READ_AT_START:
        return [f'os.environ["{name}"] = "{value}"']
    return [
        f'if os.environ.get("{name}") != "{value}":',
        f'    os.environ["{name}"] = "{value}"  # read when a process starts',
        "    os.execv(sys.executable, [sys.executable, *sys.argv])",
    ]


def _sorted_imports(lines: Sequence[str]) -> list[str]:
    return sorted(set(lines), key=lambda line: (line.startswith("from"), line))
