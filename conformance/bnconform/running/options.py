"""Options of a run: one table that pytest and `bnconform vet` read, and one value that the run passes on.

The plugin imports this module in other people's pytest runs, so it imports nothing heavy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from bnconform_adapters.errors import UserError

if TYPE_CHECKING:
    from bnconform_adapters.worker.limits import CallOptions

Level: TypeAlias = Literal["core", "numerics", "robust", "more"]
LEVELS: tuple[Level, ...] = ("core", "numerics", "robust", "more")
"""Levels of requirements, from the definition outwards."""
PREFIX = "--bn-"
"""Prefix of the options of pytest, so that they never collide with a project's own options."""
LONGEST = 1e6
"""Seconds of the longest time limit or budget; the system's clocks do not accept an infinite time."""
NO_BUDGET = "none"
USUAL_BUDGET = "usual"
"""Default of vet: the budget is chosen when the file is loaded."""
BUDGET, INTERPRETED_BUDGET = 90.0, 300.0
"""Usual budgets in seconds; the second is for a file in Triton's interpreter."""
LOADING = 60.0
"""Seconds that a file may take to load while the usual budget is not yet chosen."""
LONGEST_PART = 4
"""Loading a file or its first call may take at most 1/4 of a budget."""


class OptionError(UserError):
    """An option has a bad value; the message is one line that says what to pass."""


@dataclass(frozen=True)
class Option:
    """One option of a run.

    Attributes
    ----------
    name : str
        Name without dashes: ``adapter`` is pytest's ``--bn-adapter`` and vet's ``--adapter``.
    help : str
    metavar : str
        Name of the value; empty for a switch.
    repeatable : bool
    choices : tuple of str
        All allowed values, if they can be listed.
    """

    name: str
    help: str
    metavar: str = ""
    repeatable: bool = False
    choices: tuple[str, ...] = ()

    @property
    def field(self) -> str:
        """Name of the attribute in pytest's and argparse's namespaces, without a prefix."""
        return self.name.replace("-", "_")

    @property
    def settings(self) -> dict[str, Any]:
        """Keyword arguments of pytest's `addoption` and of argparse's `add_argument`."""
        if not self.metavar:
            return {"action": "store_true", "help": self.help}
        found: dict[str, Any] = {"help": self.help}
        found |= {"action": "append", "default": []} if self.repeatable else {}
        return found | ({"choices": self.choices} if self.choices else {"metavar": self.metavar})


ADAPTER = Option(
    "adapter",
    "implementation to test, bundled or your own file; repeatable; default: all installed ones",
    "NAME|PATH.py[:NAME]",
    repeatable=True,
)
OPTIONS = (
    ADAPTER,
    Option("requirement", "test only this requirement, e.g. F2; repeatable", "ID", repeatable=True),
    Option(
        "level",
        "broken laws beyond this level do not decide the exit status; core, numerics, robust or more (default: more)",
        "LEVEL",
        choices=LEVELS,
    ),
    Option(
        "budget",
        "time for each implementation; slow ones get fewer cases; 'none' for no limit "
        "(default: none; for a file with `bnconform vet` 90, or 300 in Triton's interpreter)",
        "SECONDS",
    ),
    Option(
        "examples",
        "examples of each law, as an earlier run printed them; the budget then chooses nothing",
        "N[:interpreted][:LARGEST]",
    ),
    Option("in-process", "run your files in this process, for a debugger; a crash or a hang then ends the run"),
    Option("slow", "without an adapter: also run the implementations that take minutes"),
    Option(
        "time-limit",
        "time for one call of your file; default: 10; six times that for its first call, twelve to import it",
        "SECONDS",
    ),
    Option("identify", "with a report: also measure each implementation's dialect, at the end"),
    Option("measure", "with a report: also run fixed cases, for the report's comparisons"),
    Option("report", "write results.json, and a case file for every broken law, here", "DIR"),
)
LIST = Option("list-adapters", "list the bundled implementations and stop")
DIAGNOSE = Option("diagnose", "with a report: also look for the probable cause of broken laws, at the end")


def seconds(text: str, of: str = "seconds") -> float:
    """Read a positive, finite number from the command line; `of` names the unit for the message.

    Raises
    ------
    OptionError
        If the text is not such a number.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise OptionError(f"{text!r}; pass a number of {of} above 0")
    return value


@dataclass(frozen=True)
class RunOptions:
    """All options of a run, as one value.

    Attributes
    ----------
    adapters : tuple of str
        Implementations as the user wrote them; empty for all installed ones.
    requirements : tuple of str
        Requested ids; empty for all.
    profile : str
        Name of the Hypothesis profile.
    seed : int or None
        Seed; None draws one, or takes the ci profile's.
    report : Path or None
        Folder for results.json and case files.
    in_process : bool
        Run candidate files in this process, not in workers.
    time_limit : float or None
        Seconds that a call of a candidate file may take; None takes the default.
    budget : float or None
        Seconds for one implementation; None for no limit.
    examples : Examples or None
        Requested examples; None if the profile and the budget choose.
    level : str
        Last level whose broken laws decide the exit status.
    slow : bool
        Whether "all installed ones" includes implementations that take minutes.
    identify, measure, diagnose : bool
        Whether the record also gets the measured dialect, the errors on fixed cases, the probable causes.
    usual_budget : bool
        Whether to choose a budget when the implementations are loaded.
    """

    adapters: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    profile: str = "default"
    seed: int | None = None
    report: Path | None = None
    in_process: bool = False
    time_limit: float | None = None
    budget: float | None = None
    examples: Examples | None = None
    level: Level = "more"
    slow: bool = False
    identify: bool = False
    measure: bool = False
    diagnose: bool = False
    usual_budget: bool = False

    @classmethod
    def read(cls, option: Callable[[str], Any], profile: str, seed: int | None, prefix: str = PREFIX) -> RunOptions:
        """Read the options of a command line.

        Parameters
        ----------
        option : callable
            Returns the value of an option by its field's name.
        prefix : str
            Prefix of the options on this command line, for messages.

        Raises
        ------
        OptionError
            If a value cannot be used.
        """
        return cls(
            adapters=tuple(option("adapter")),
            requirements=tuple(option("requirement")),
            profile=profile,
            seed=seed,
            report=Path(option("report")) if option("report") else None,
            in_process=option("in_process"),
            time_limit=_limit(f"{prefix}time-limit", option("time_limit")),
            budget=None
            if option("budget") in (NO_BUDGET, USUAL_BUDGET)
            else _limit(f"{prefix}budget", option("budget")),
            usual_budget=option("budget") == USUAL_BUDGET,
            examples=_examples(f"{prefix}examples", option("examples")),
            level=option("level") or "more",
            **{name: option(name) for name in ("slow", "identify", "measure", "diagnose")},
        )

    @property
    def calls(self) -> CallOptions:
        """Options for calling candidate files; neither loading nor a first call may use up a budget."""
        from bnconform_adapters.worker.limits import CallOptions

        longest = LOADING if self.usual_budget else math.inf if self.budget is None else self.budget / LONGEST_PART
        return CallOptions(self.in_process, self.time_limit, longest)

    def with_budget(self, *, interpreted: bool) -> RunOptions:
        """Return the same options, with the usual budget if `usual_budget` is set."""
        if not self.usual_budget:
            return self
        return replace(self, budget=INTERPRETED_BUDGET if interpreted else BUDGET, usual_budget=False)

    @property
    def deciding(self) -> tuple[Level, ...]:
        """Levels whose broken laws decide the exit status."""
        return LEVELS[: LEVELS.index(self.level) + 1]

    def again(self, spec: str, requirement: str) -> str:
        """Return the pytest command that repeats one law on one implementation with this run's options."""
        from shlex import quote

        assert self.seed is not None
        words = [f"pytest --pyargs bnconform {PREFIX}adapter {quote(spec)} {PREFIX}requirement {requirement}"]
        words += [f"--hypothesis-profile={self.profile} --hypothesis-seed={self.seed}", *self.words()]
        return " ".join(words)

    def words(self, prefix: str = PREFIX) -> list[str]:
        """Return the command-line words of the options that change a call or an example."""
        found = [f"{prefix}in-process"] if self.in_process else []
        found += [] if self.time_limit is None else [f"{prefix}time-limit={self.time_limit:g}"]
        return found + ([] if self.examples is None else [f"{prefix}examples={self.examples}"])


def _limit(name: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value = seconds(text)
    except OptionError as error:
        more = f", or {NO_BUDGET}" if name.endswith("budget") else ""
        raise OptionError(f"{name} is {error}{more}") from None
    if value > LONGEST:
        raise OptionError(f"{name} is {value:g}; pass a number of seconds above 0, up to {LONGEST:g}")
    return value


@dataclass(frozen=True)
class Examples:
    """Number and sizes of a law's examples, which a budget chooses.

    Attributes
    ----------
    number : int
        Number of examples of a law of share 1.
    interpreted : bool
        Whether shapes come from the small pool of interpreted kernels.
    largest : int or None
        Largest number of elements of an x.
    """

    number: int
    interpreted: bool = False
    largest: int | None = None

    @classmethod
    def read(cls, text: str) -> Examples:
        """Read the text that :meth:`__str__` writes.

        Raises
        ------
        OptionError
            If the text has another form.
        """
        number, *rest = text.split(":")
        interpreted = "interpreted" in rest[:1]
        sizes = rest[interpreted:]
        if len(sizes) > 1 or not all(one.isdecimal() and int(one) for one in (number, *sizes)):
            raise OptionError(f"{text!r}; pass a whole number above 0, or a run's printed value, as 4:interpreted:512")
        return cls(int(number), interpreted, int(sizes[0]) if sizes else None)

    def __str__(self) -> str:
        parts = [str(self.number), *(["interpreted"] if self.interpreted else [])]
        return ":".join([*parts, *([] if self.largest is None else [str(self.largest)])])


def _examples(name: str, text: str | None) -> Examples | None:
    try:
        return Examples.read(text) if text else None
    except OptionError as error:
        raise OptionError(f"{name} is {error}") from None


def words(values: Mapping[str, Any], options: Iterable[Option] = OPTIONS) -> Iterator[str]:
    """Yield the words of pytest's command line for option values, which are given by field."""
    for option in options:
        value = values.get(option.field)
        if value is True:
            yield f"{PREFIX}{option.name}"
        elif value:
            yield from (f"{PREFIX}{option.name}={one}" for one in (value if isinstance(value, list) else [value]))
