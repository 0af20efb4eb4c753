"""A finding as a standalone script: NumPy, the implementation's own package, and nothing of this project.

The script makes the calls again that the finding is about, with the same bits, prints what came out beside what is
expected, and exits with 1 while the defect is there and with 0 when it is gone.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from bnconform.case_file import same
from bnconform.evidence import Evidence, Life, Of, find
from bnconform.findings import Broken, Finding, number
from bnconform.literals import DECODE, READABLE, literal
from bnconform.parts import Parts
from bnconform.requirements import BY_ID
from bnconform_adapters import plain
from bnconform_adapters.contract import Case
from bnconform_adapters.registry import Entry
from bnconform_reference.debiasing import debiased_momentum
from bnconform_reference.double_double import DoubleDouble, high
from bnconform_reference.precision import LARGEST, UNIT_ROUNDOFF
from bnconform_reference.running_statistics import cumulative_momentum

CANNOT_TELL = 125
"""Exit status that ``git bisect run`` takes for a version that cannot be tested."""
_SHOWN_ALWAYS = ("training", "momentum", "eps")
_PARTS = ("calling", "verdict", "definition")


@dataclass(frozen=True)
class Subject:
    """What a script calls.

    Attributes
    ----------
    name : str
        The implementation's.
    spec : str
        As `--adapter` takes it.
    versions : mapping of str to str
        Of the distributions that it needs.
    environment : mapping of str to str
        Variables that have to be set before it is imported.
    """

    name: str
    spec: str
    versions: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_entry(cls, entry: Entry) -> Subject:
        """A bundled implementation."""
        return cls(entry.name, entry.name, entry.versions(), dict(entry.environment or ()))

    @property
    def is_file(self) -> bool:
        """Whether it is a file, not a bundled implementation."""
        return self.name not in plain.MODULES

    @property
    def module(self) -> str:
        """The plain code that calls it."""
        return plain.MODULES.get(self.name, plain.CANDIDATE)


def script_name(requirement: str, implementation: str) -> str:
    """The name of a script."""
    words = implementation.removesuffix(".py").replace(".py:", "_")
    return f"reproduce_{requirement}_{''.join(c if c.isalnum() else '_' for c in words)}.py"


def script(broken: Broken, subject: Subject) -> str:
    """The text of the script that shows a finding."""
    assert broken.evidence is not None
    writer = _Writer(broken.finding, broken.evidence, subject)
    return writer.text()


class _Writer:
    """Puts one script together."""

    def __init__(self, finding: Finding, evidence: Evidence, subject: Subject) -> None:
        self._finding, self._evidence, self._subject = finding, evidence, subject
        # A side effect may be that of any earlier call.
        everything = finding.requirement[0] == "P" or evidence.got is None
        self._lives = evidence.lives if everything else evidence.about
        self._lives = tuple(map(self._trimmed, self._lives))
        self._cases: list[Case] = []
        self._text: list[str] = []

    def _trimmed(self, life: Life) -> Life:
        """The life up to the last outcome that matters."""
        of = [of for of in (self._evidence.got, self._evidence.expected) if of is not None]
        given = [one for each in of for one in each.given]
        places = [place for one in given if (place := find(one, (life,)))]
        if life.what != "steps" or any(one is life for one in given) or not places:
            return life
        last = 1 + max(place.position for place in places)
        return replace(life, cases=life.cases[:last], outcomes=life.outcomes[:last])

    def text(self) -> str:
        body = "\n".join([*self._calls(), "", *self._verdict()])
        cases = "\n".join(self._case_lines())
        modules = [self._subject.module, *_PARTS]
        if all(getattr(c, f.name) == "contiguous" for c in self._cases for f in fields(Case) if "layout" in f.name):
            modules.append("copying")
        spec = f"sys.argv[1] if len(sys.argv) > 1 else {self._subject.spec!r}"
        constants = {"SPEC": spec, "MOMENTUM_WEIGHS": repr(self._evidence.claims.dialect.momentum_weighs)}
        imports, definitions = Parts(modules, constants).text(f"{cases}\n{body}")
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
        settings = [f"os.environ[{k!r}] = {v!r}" for k, v in self._subject.environment.items()]
        if settings:
            settings = ["import os", "", *settings, ""]
        head = [f'"""{self._head()}"""', "", *settings, *_sorted_imports(imports), ""]
        return "\n".join([*head, *(f"\n{text}\n" for text in definitions), "", cases, "", body, ""])

    def _head(self) -> str:
        finding, subject = self._finding, self._subject
        lines = [f"{finding.requirement} broken by {subject.name}: {BY_ID[finding.requirement].statement}.", ""]
        told = f"{finding.quantity} {finding.problem}"
        if finding.got is not None and finding.expected is not None and finding.allowed is not None:
            where = "" if finding.index is None else f" at {list(finding.index)}"
            told += f"{where}: got {number(finding.got)}, expected {number(finding.expected)}, allowed error "
            told += f"{finding.allowed:.3g}"
        lines += [told + ".", *self._limits()]
        versions = {"numpy": np.__version__, **subject.versions, "Python": platform.python_version()}
        seen = ", ".join(f"{name} {version}" for name, version in versions.items())
        lines += [f"Seen with {seen} on {platform.system()} {platform.machine()}.", ""]
        lines += [
            "Exits with 1 while the defect is there, with 0 when it is gone, and with 125 where it cannot tell, as git",
            "bisect wants it.",
        ]
        if subject.is_file:
            lines[-1] += " Takes another PATH.py or PATH.py:NAME to test as its argument."
        return "\n".join(lines).replace("\\", "\\\\").replace('"""', "'''") + "\n"

    def _limits(self) -> list[str]:
        """What a plain script does not show of the finding."""
        if self._finding.requirement == "P5":
            return ["Guard zones around the arrays show it; this script only makes the call."]
        kinds = {life.what for life in self._lives}
        if "together" in kinds:
            return ["Calls from several threads: it may take several runs to show."]
        if "fresh process" in kinds:
            return ["The two answers come from two processes; this script makes both calls in one, which is new."]
        if "steps in spoilt memory" in kinds:
            return ["It depends on what memory held before, which this script cannot force."]
        if self._evidence.got is None and self._fate:
            return ["A call that does not come back ends this script, too, or never ends: then it is there."]
        if self._subject.is_file:
            return ["It was found after other calls in one process; a fault that those left behind does not show here."]
        return []

    @property
    def _fate(self) -> bool:
        return any(outcome.fate for life in self._lives for outcome in life.outcomes)

    def _name(self, case: Case) -> str:
        for i, known in enumerate(self._cases, 1):
            if known is case or not _differing(known, case):
                return f"case_{i}"
        self._cases.append(case)
        return f"case_{len(self._cases)}"

    def _case_lines(self) -> list[str]:
        lines = []
        for i, case in enumerate(self._cases):
            given = _differing(Case(case.x), case) | dict.fromkeys(("x", *_SHOWN_ALWAYS))
            base = 0
            for j, earlier in enumerate(self._cases[:i], 1):
                if len(changed := _differing(earlier, case)) < len(given):
                    base, given = j, changed
            fields_of = [(name, _indented(_value(getattr(case, name)))) for name in _ordered(given)]
            if base:
                changes = ", ".join(f'"{name}": {value}' for name, value in fields_of)
                lines.append(f"case_{i + 1} = Case(**vars(case_{base}) | {{{changes}}})")
            else:
                lines += [f"case_{i + 1} = Case(", *(f"    {name}={value}," for name, value in fields_of), ")"]
        return lines

    def _calls(self) -> list[str]:
        return [f"results_{i} = {self._call(life)}" for i, life in enumerate(self._lives, 1)]

    def _call(self, life: Life) -> str:
        names = [self._name(case) for case in life.cases]
        listed = ", ".join(names)
        match life.what:
            case "steps" | "fresh process":
                restarting = any(case.before != "nothing" for case in life.cases)
                return f"{'run_restarting' if restarting else 'run'}(Layer, {listed})"
            case "steps in spoilt memory":
                return f"run_in_spoilt_memory(Layer, {listed})"
            case "interleaved":
                return f"interleave(Layer, [{listed}], order={life.order})"
            case "together":
                return f"run_together(Layer, [{listed}], threads={life.threads})"
            case "second order":
                return f"[attempt(second_order, {listed})]"
            case "jvp":
                return f"[attempt(jvp, {listed})]"
            case "population":
                return f"[attempt(population, {listed})]"

    def _verdict(self) -> list[str]:
        got, expected = self._evidence.got, self._evidence.expected
        if got is None:
            return [
                "for result in " + " + ".join(f"results_{i}" for i in range(1, len(self._lives) + 1)) + ":",
                "    print(result)",
                'print("every call came back: this script sees no defect")',
                "sys.exit(0)",
            ]
        if self._evidence.value is None and expected is None:
            lines = [f"wrong = bool({self._of(got)})"]
            if "error' " not in got.text:
                lines = [*self._cannot_tell(got), *lines]
            told = f"seen:       {self._finding.quantity} {self._finding.problem}"
            lines += [f"print({told!r})", *self._now(got)]
        elif self._evidence.allowed is None:
            assert expected is not None
            zeros = "" if self._evidence.signed_zeros else ", signed_zeros=False"
            lines = self._cannot_tell(got, expected)
            lines += [f"got = {self._of(got)}", f"expected = {self._of(expected)}"]
            lines += [f"wrong = differ(got, expected{zeros})"]
        else:
            lines = self._close(got, expected)
        return [*lines, 'print("the defect is there" if wrong else "the defect is gone")', "sys.exit(wrong)"]

    def _now(self, got: Of) -> list[str]:
        """Print what a condition speaks of."""
        place = find(got.given[0], self._lives)
        if place is None or place.of_case:
            return []
        told = self._reference(got.given[0])
        if not place.key:
            told = f'{told}["shares"]' if "shares" in got.text else f'{told}.get("error", {told}.get("y"))'
        return [f'print("now:       ", {told})']

    def _close(self, got: Of, expected: Of | None) -> list[str]:
        evidence, index = self._evidence, self._finding.index
        value, allowed = evidence.value, evidence.allowed
        assert value is not None
        allowed = np.asarray(allowed, np.float64)
        wide = high(value)
        if got.text == "{}" and isinstance(got.given[0], np.ndarray) and got.given[0].dtype.name in LARGEST:
            dtype: Any = got.given[0].dtype.name
            may_overflow = np.abs(wide) + allowed >= LARGEST[dtype] * (1 + UNIT_ROUNDOFF[dtype])
            allowed = np.where(may_overflow & np.isfinite(wide), np.inf, allowed)
            allowed = np.where(np.isnan(allowed), np.inf, allowed)
        rest = value.lo if isinstance(value, DoubleDouble) else None
        defined, more = self._defined(got) if expected is None else None, ""
        if wide.size > READABLE and index is not None:
            got, expected = got.at(index), None if expected is None else expected.at(index)
            wide, allowed = wide[index], allowed[index]
            rest = None if rest is None else rest[index]
            defined = None if defined is None else f"{defined}[{', '.join(map(str, index))}]"
            more = f", index={list(index)}"
        lines = self._cannot_tell(got, *([] if expected is None else [expected]))
        lines += [f"got = {self._of(got)}"]
        if expected is None:
            lines += ["# By an exact computation, to float64:", f"expected = {literal(np.asarray(wide, np.float64))}"]
        else:
            lines += [f"expected = {self._of(expected)}"]
        lines += ["# What rounding may do, for these very numbers:", f"allowed = {literal(allowed)}"]
        if rest is not None and expected is None and np.any(rest):
            lines += ["# What the exact value has beyond float64:", f"rest = {literal(np.asarray(rest))}"]
            more += ", rest=rest"
        if defined is not None:
            lines += [f"defined = {defined}", *self._if_other_before(got, rest is not None and ", rest=rest" in more)]
            more += ", defined=defined"
        return [*lines, f"wrong = close(got, expected, allowed{more})"]

    def _defined(self, got: Of) -> str | None:
        """The plain definition of what is compared, where it is an output as a call gave it."""
        if got.text != "{}" or (place := find(got.given[0], self._lives)) is None or place.of_case:
            return None
        life = self._lives[place.life]
        position = life.order[place.position] if life.order else place.position
        case = life.cases[position]
        if not case.values_per_channel:
            return None
        name, key = self._name(case), place.key
        if life.what in ("second order", "jvp"):
            return f'derivatives({name})["{key}"]'
        if life.what in ("population", "interleaved") or key.endswith("after"):
            return None
        mean, var = f"{name}.running_mean", f"{name}.running_var"
        start = max((i for i in range(position + 1) if life.cases[i].before != "nothing"), default=0)
        earlier = [i for i in range(start, position) if life.outcomes[i].error is None]
        if life.what == "steps" and earlier and case.running_mean is not None:
            before = f"results_{place.life + 1}[{earlier[-1]}]"
            mean, var = f'{before}["running_mean"]', f'{before}["running_var"]'
        momentum, dialect = case.momentum, self._evidence.claims.dialect
        if case.training:
            trained = [life.cases[i] for i in earlier if life.cases[i].training and life.cases[i].values_per_channel]
            if momentum is None:
                momentum = cumulative_momentum(len(trained) + 1)
            elif dialect.debiased and life.cases[start].before == "reset":
                momentum = debiased_momentum(momentum, len(trained) + 1)
        unbiased = dialect.stored_variance == "unbiased"
        return f'definition({name}, {mean}, {var}, {momentum}, unbiased={unbiased})["{key}"]'

    def _if_other_before(self, got: Of, has_rest: bool) -> list[str]:
        """Expect what the definition gives where earlier calls leave other statistics than they did."""
        place = find(got.given[0], self._lives)
        if place is None or (before := self._before(self._lives[place.life], place.position)) is None:
            return []
        outcome = self._lives[place.life].outcomes[before]
        if outcome.running_mean is None or outcome.running_var is None:
            return []
        found, lines = f"results_{place.life + 1}[{before}]", ["# The exact value is that after these statistics:"]
        for name in ("running_mean", "running_var"):
            lines += [f"if differs({found}[{name!r}], {literal(getattr(outcome, name))}):"]
            lines += ["    expected = defined", *(["    rest = 0.0"] if has_rest else [])]
        return lines

    def _before(self, life: Life, position: int) -> int | None:
        """The last earlier call that left statistics for this one."""
        if life.what != "steps" or life.cases[position].running_mean is None:
            return None
        start = max((i for i in range(position + 1) if life.cases[i].before != "nothing"), default=0)
        earlier = [i for i in range(start, position) if life.outcomes[i].error is None]
        return earlier[-1] if earlier else None

    def _cannot_tell(self, *of: Of) -> list[str]:
        """Leave where a call that is spoken of raised."""
        places = [place for each in of for one in each.given if (place := find(one, self._lives)) and not place.of_case]
        names = dict.fromkeys(f"results_{place.life + 1}[{place.position}]" for place in places)
        if not names:
            return []
        return [
            f"for result in ({', '.join(names)},):",
            '    if "error" in result:',
            '        print("cannot tell: the call raised", result["error"])',
            f"        sys.exit({CANNOT_TELL})",
        ]

    def _of(self, of: Of) -> str:
        return of.text.format(*(self._reference(one) for one in of.given))

    def _reference(self, given: object) -> str:
        if isinstance(given, Life):
            return f"results_{[life.outcomes is given.outcomes for life in self._lives].index(True) + 1}"
        if isinstance(given, Case):
            return self._name(given)
        place = find(given, self._lives)
        if place is None:
            assert isinstance(given, np.ndarray)
            return literal(given)
        if place.of_case:
            return f"{self._name(self._lives[place.life].cases[place.position])}.{place.key}"
        result = f"results_{place.life + 1}[{place.position}]"
        return f'{result}["{place.key}"]' if place.key else result


def _differing(a: Case, b: Case) -> dict[str, None]:
    """Names of the fields in which two cases differ."""
    found: dict[str, None] = {}
    for one in fields(Case):
        first, second = getattr(a, one.name), getattr(b, one.name)
        if first is second or one.name == "origin":
            continue
        arrays = isinstance(first, np.ndarray) or isinstance(second, np.ndarray)
        if arrays and isinstance(first, np.ndarray | None) and isinstance(second, np.ndarray | None):
            equal = same(first, second)
        else:
            equal = type(first) is type(second) and first == second
        if not equal:
            found[one.name] = None
    return found


def _ordered(names: Mapping[str, None]) -> list[str]:
    return [one.name for one in fields(Case) if one.name in names]


def _value(value: Any) -> str:
    return literal(value) if isinstance(value, np.ndarray) else repr(value)


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")


def _sorted_imports(lines: Sequence[str]) -> list[str]:
    return sorted(set(lines), key=lambda line: (line.startswith("from"), line))
