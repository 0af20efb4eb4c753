"""Writing of a finding as a standalone script, which needs only NumPy and the implementation's own package.

The script repeats the finding's calls with the same bits and prints the result and the expected value. The exit status
is 1 while the defect is there and 0 when it is gone.
"""

from __future__ import annotations

import ast
import platform
from collections.abc import Mapping
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
from bnconform.scripts.verdict_lines import Ending
from bnconform_adapters import plain
from bnconform_adapters.registry import Entry

PARTS = ("plain.calling", "plain.verdict", "plain.textbook", "plain.drawn_arrays")
"""Modules that a script may need besides the plain code that calls its subject."""

READ_AT_START = ("GLIBC_TUNABLES",)
"""Environment variables that are read only when a process starts."""

_WIDTH = 110


@dataclass(frozen=True)
class Subject:
    """Implementation that a script calls.

    Attributes
    ----------
    name : str
        Name of the implementation.
    spec : str
        Implementation as `--adapter` takes it.
    plain_code : str
        Module below `bnconform_adapters` that calls the implementation; empty if no module does.
    versions : mapping of str to str
        Versions of the distributions that the implementation needs.
    environment : mapping of str to str
        Variables to set before the implementation is imported.
    """

    name: str
    spec: str
    plain_code: str
    versions: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def bundled(cls, entry: Entry) -> Subject:
        """Return the subject of a bundled implementation."""
        return cls(entry.name, entry.name, entry.module, entry.versions(), dict(entry.environment or ()))

    @classmethod
    def of_file(cls, name: str, spec: str, plain_code: str) -> Subject:
        """Return the subject of a candidate file."""
        needed = plain.CANDIDATES.get(plain_code, ())
        return cls(name, spec, plain_code, {one: metadata.version(one) for one in needed if util.find_spec(one)})

    @property
    def is_file(self) -> bool:
        """True for a file, False for a bundled implementation."""
        return self.plain_code in plain.CANDIDATES

    @property
    def calls(self) -> str:
        """First line of the plain code's docstring, which names the called function."""
        return (ast.get_docstring(ast.parse(plain.text(self.plain_code))) or "").partition("\n")[0]


def script_name(requirement: str, implementation: str) -> str:
    """Return the file name of a script."""
    words = implementation.removesuffix(".py").replace(".py:", "_")
    return f"reproduce_{requirement}_{''.join(c if c.isalnum() else '_' for c in words)}.py"


def script(broken: Broken, subject: Subject, known: Deviation | None = None) -> str:
    """Return the text of the script that shows a finding; a ledger entry adds its reason and link."""
    assert broken.evidence is not None
    return _Writer(broken.finding, broken.evidence, subject, known).text()


class _Writer:
    """Writes one script."""

    def __init__(self, finding: Finding, evidence: Evidence, subject: Subject, known: Deviation | None) -> None:
        self._finding, self._evidence, self._subject, self._known = finding, evidence, subject, known
        # Any earlier call may have caused a side effect.
        self._calls = Calls(evidence, everything=finding.requirement[0] == "P" or evidence.got is None)

    def text(self) -> str:
        calls = self._calls.lines(announced=self._exit)  # names the cases in order
        body = "\n".join([*calls, "", *Ending(self._finding, self._evidence, self._calls).lines()])
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
        imports = sorted(set(imports), key=lambda line: (line.startswith("from"), line))
        head = [f'"""{self._head()}"""', "", *settings, *imports, ""]
        return "\n".join([*head, *(f"\n{text}\n" for text in definitions), "", cases, "", body, ""])

    def _simpler(self) -> list[str]:
        """Return modules of simpler plain code that suffice for this script."""
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
        exits = "Exits with 1 while the defect is there, with 0 when it is gone, and with 125 if it cannot tell, as "
        exits += "git bisect expects."
        if subject.is_file:
            exits += " An argument PATH.py or PATH.py:NAME tests another file."
        lines = [
            title,
            "",
            *([] if subject.is_file else [f"Implementation: {subject.calls}"]),
            f"The law {finding.requirement}: {BY_ID[finding.requirement].statement}.",
            f"Finding: {self._finding_text()}.",
            *self._limits(),
            *([f"Upstream: {known.link}"] if known and known.link else []),
            f"Seen with {seen} on {platform.system()} {platform.machine()}.",
            "",
            exits,
        ]
        text = "\n".join("\n".join(_wrapped(line)) for line in lines)
        return text.replace("\\", "\\\\").replace('"""', "'''") + "\n"

    def _finding_text(self) -> str:
        finding = self._finding
        if finding.got is None or finding.expected is None or finding.allowed is None:
            return f"{finding.quantity} {finding.problem}"
        where = "" if finding.index is None else f" at {list(finding.index)}"
        text = f"{finding.quantity}{where} {finding.problem}: got {number(finding.got)}, expected "
        return text + f"{number(finding.expected)}, allowed error {finding.allowed:.3g}"

    def _limits(self) -> list[str]:
        """Return a line about the parts of a finding that a plain script cannot show."""
        kinds = {log.what for log in self._calls.logs}
        if "together" in kinds:
            return ["The calls come from several threads: the defect may need several runs to show."]
        if "fresh process" in kinds:
            return ["The two results came from two processes; this script makes both calls in one new process."]
        if "steps in spoilt memory" in kinds:
            return ["The result depends on the earlier contents of memory, which this script cannot force."]
        if self._exit:
            return ["The last call printed is the wrong one: it ends this script, too, or never ends."]
        if self._subject.is_file:
            return ["Other calls ran before in the same process; an effect of those calls does not show here."]
        return []

    @property
    def _exit(self) -> bool:
        """True if the finding is that a call neither returned nor raised."""
        return self._evidence.got is None and any(outcome.exit for log in self._calls.logs for outcome in log.outcomes)


def _wrapped(line: str) -> list[str]:
    return wrap(line, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False) or [""]


def _set(name: str, value: str) -> list[str]:
    """Return statements that set an environment variable; a variable read at the start needs a new process."""
    if name not in READ_AT_START:
        return [f'os.environ["{name}"] = "{value}"']
    return [
        f'if os.environ.get("{name}") != "{value}":',
        f'    os.environ["{name}"] = "{value}"  # read when a process starts',
        "    os.execv(sys.executable, [sys.executable, *sys.argv])",
    ]
