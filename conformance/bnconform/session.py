"""One run of the suite: which implementations, which seed, and the verdicts as they come in."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import SystemRandom
from shlex import quote
from typing import TYPE_CHECKING, Any

from hypothesis.database import ExampleDatabase

from bnconform.coverage import histogram
from bnconform.law import Law
from bnconform.profiles import CI_SEED, why_unknown
from bnconform.requirements import BY_ID
from bnconform.script import Subject
from bnconform_adapters.contract import Adapter, AdapterError, Cost, describe_error
from bnconform_adapters.frameworks import forget_compiled, import_framework
from bnconform_adapters.registry import REGISTRY, Entry, create, find, is_file, load
from bnconform_adapters.worker.client import WorkerAdapter
from bnconform_adapters.worker.limits import Limits

if TYPE_CHECKING:
    from bnconform_reports.records import Results


LONGEST = 1e6
"""Seconds of a time limit; the system's clocks take no time without end."""
INTERPRETED = "runs in an interpreter, since there is no GPU here, and gets fewer cases"


@dataclass(frozen=True)
class Implementation:
    """One implementation under test.

    Attributes
    ----------
    name : str
    spec : str
        As the user wrote it.
    entry : Entry or None
        Its place in the registry; None for a candidate file.
    loaded : Adapter or None
        The adapter of a candidate file; None for what is in the registry.
    """

    name: str
    spec: str
    entry: Entry | None
    loaded: Adapter | None = None

    @cached_property
    def adapter(self) -> Adapter:
        """Made when first needed."""
        if self.loaded is not None:
            return self.loaded
        assert self.entry is not None
        return create(self.entry) if self.entry.environment is None else WorkerAdapter(self.spec)

    @property
    def subject(self) -> Subject:
        """What a script that shows a finding calls."""
        if self.entry is not None:
            return Subject.bundled(self.entry)
        return Subject.of_file(self.name, self.spec, getattr(self.adapter, "plain_code", ""))

    @property
    def worker(self) -> WorkerAdapter | None:
        """What calls it in a process of its own, where it has one and was needed."""
        adapter = self.loaded or vars(self).get("adapter")
        return adapter if isinstance(adapter, WorkerAdapter) else None

    def close(self) -> None:
        """End its worker, if it has one."""
        if self.worker is not None:
            self.worker.close()

    def rest(self) -> None:
        """Give back what a bundled implementation holds, until it is called again: its worker, what it has compiled."""
        adapter = None if self.entry is None else vars(self).pop("adapter", None)
        if isinstance(adapter, WorkerAdapter):
            adapter.close()
        forget_compiled()

    @cached_property
    def problem(self) -> str | None:
        """Why it cannot be run, or None; found out once."""
        if self.entry is None:
            return None
        try:
            if self.entry.environment is None:
                for module, _ in self.entry.packages:
                    import_framework(module)
            else:
                self.adapter  # noqa: B018  making it imports the framework, in its own process
        except Exception as error:  # a broken installation must not stop the others
            return describe_error(error)
        return None


class Session:
    """State of a run.

    Parameters
    ----------
    specs : sequence of str
        Adapters as given; none means all that are installed.
    requirements : sequence of str
        Ids asked for; none means all.
    profile : str
    seed : int or None
        None draws one, or takes the ci profile's.
    report : str or None
        Folder for results.json and case files.
    in_process : bool
        Run candidate files in this process, not in workers.
    slow : bool
        Whether those that take minutes are among all that are installed.
    time_limit : float or None
        Seconds that a call in a worker may take; None takes the default.
    identify : bool
        Whether the record gets the dialect of every implementation, measured from outside at the end.
    measure : bool
        Whether it gets the deviations of every implementation on fixed cases, likewise.

    Raises
    ------
    AdapterError
        An adapter, a requirement or a profile is unknown or cannot be had, or the report's folder cannot be one.
    """

    def __init__(
        self,
        specs: Sequence[str],
        requirements: Sequence[str] = (),
        *,
        profile: str = "default",
        seed: int | None = None,
        report: str | None = None,
        in_process: bool = False,
        time_limit: float | None = None,
        slow: bool = False,
        identify: bool = False,
        measure: bool = False,
    ) -> None:
        if unknown := [id for id in requirements if id not in BY_ID]:
            raise AdapterError(f"unknown requirement {unknown[0]!r}; pass one of {', '.join(BY_ID)}")
        if problem := why_unknown(profile):
            raise AdapterError(problem)
        if report and Path(report).exists() and not Path(report).is_dir():
            raise AdapterError(f"--report: {report} is not a folder; pass another name")
        if seed is None:
            seed = CI_SEED if profile == "ci" else SystemRandom().randrange(10**6)
        if time_limit is not None and not 0 < time_limit <= LONGEST:
            raise AdapterError(f"--time-limit is {time_limit:g}; pass a number of seconds above 0, up to {LONGEST:g}")
        self.seed = seed
        self._in_process, self.time_limit = in_process, time_limit
        self._identify, self._measure = identify, measure
        self.profile = profile
        self.report = Path(report) if report else None
        self.scripts = self.report is not None
        """Whether findings get a script."""
        self.database: ExampleDatabase | None = None
        """Where failures are kept, and tried first."""
        self.not_run: dict[str, str] = {}
        self.implementations = self._implementations(specs, slow)
        self.cells: list[dict[str, Any]] = []
        self._drawn: dict[str, Counter[str]] = {}
        self._costs: dict[str, Cost | None] = {}

    def _implementations(self, specs: Sequence[str], slow: bool) -> list[Implementation]:
        if not specs:
            for entry in REGISTRY:
                if missing := entry.missing():
                    self.not_run[entry.name] = f"needs {', '.join(missing)}: {entry.install}"
                elif entry.slow and not slow:
                    self.not_run[entry.name] = f"takes minutes: --adapter {entry.name}, or --slow for all such"
            found = [Implementation(e.name, e.name, e) for e in REGISTRY if e.name not in self.not_run]
            if not found:
                raise AdapterError(
                    "no implementation is installed: pip install 'bnconform[torch]' (or jax, tensorflow, all), "
                    "or pass --adapter PATH.py"
                )
            return found
        implementations = []
        for spec in dict.fromkeys(specs):
            if is_file(spec):
                adapter = self._candidate(spec)
                implementations.append(Implementation(adapter.name, spec, None, adapter))
                continue
            entry = find(spec)
            if missing := entry.missing():
                raise AdapterError(f"adapter {spec!r} needs {', '.join(missing)}: {entry.install}")
            implementations.append(Implementation(entry.name, spec, entry))
        names = [implementation.name for implementation in implementations]
        if twice := [name for name in names if names.count(name) > 1]:
            raise AdapterError(f"two adapters are called {twice[0]!r}; rename one of the files")
        return implementations

    def _candidate(self, spec: str) -> Adapter:
        if self._in_process:
            return load(spec)
        return WorkerAdapter(spec, Limits.of(spec, self.time_limit))

    def close(self) -> None:
        """End the workers."""
        for implementation in self.implementations:
            implementation.close()

    def implementation(self, name: str) -> Implementation:
        """The implementation called `name`."""
        return next(i for i in self.implementations if i.name == name)

    def command(self, law: Law, implementation: Implementation) -> str:
        """The command that runs one law on one implementation as this run did."""
        more = " --in-process" if self._in_process and implementation.entry is None else ""
        more += "" if self.time_limit is None else f" --time-limit={self.time_limit:g}"
        return (
            f"pytest --pyargs bnconform --adapter {quote(implementation.spec)} --requirement {law.requirement} "
            f"--hypothesis-profile={self.profile} --hypothesis-seed={self.seed}{more}"
        )

    def add(self, cell: dict[str, Any]) -> None:
        """Take a verdict in, what was drawn for it, and what the implementation claims to cost."""
        rest = dict(cell)  # the cell itself still travels from pytest-xdist's workers to where the record is written
        self._drawn.setdefault(rest["implementation"], Counter()).update(rest.pop("drawn", {}))
        self._costs[rest["implementation"]] = rest.pop("cost", None)
        self.cells.append(rest)

    def results(self) -> Results:
        """What was found, as a record."""
        from bnconform_reports.records import Results

        return Results.of_run(
            cells=self.cells,
            implementations=[(i.name, i.entry.versions() if i.entry else {}) for i in self.implementations],
            not_run=self.not_run,
            notes={
                i.name: INTERPRETED if i.name == "fused_triton" else "takes long for a case, and gets fewer"
                for i in self._judged()
                if (self._costs.get(i.name) or i.adapter.claims.cost) == "interpreted"  # told, no framework is imported
            },
            drawn={name: dict(sorted(counts.items())) for name, counts in sorted(self._drawn.items())},
            identities=self._identities,
            measures=self._measures,
            requirements=[(r.id, r.level, r.statement) for r in BY_ID.values()],
            profile=self.profile,
            seed=self.seed,
        )

    @cached_property
    def _identities(self) -> dict[str, dict[str, Any]]:
        """The dialect of every implementation that was judged, where it was asked for."""
        if not self._identify:
            return {}
        from bnconform.identify import identify
        from bnconform.identify.page import as_data

        return {one.name: as_data(identify(one.adapter)) for one in self._judged()}

    @cached_property
    def _measures(self) -> dict[str, dict[str, Any]]:
        """The deviations of every implementation that was judged, where they were asked for."""
        if not self._measure:
            return {}
        from bnconform.measures import measure

        return {one.name: measure(one.adapter) for one in self._judged()}

    def _judged(self) -> list[Implementation]:
        """Implementations that could be run."""
        judged = {cell["implementation"] for cell in self.cells if cell["verdict"] != "not run"}
        return [one for one in self.implementations if one.name in judged]

    def finish(self) -> None:
        """Write results.json, if a folder was given."""
        if self.report is not None and self.cells:
            self.results().write(self.report / "results.json")

    def print_summary(self, reporter: Any) -> None:
        """Print the matrix to pytest's terminal, and with -v what was drawn."""
        if not self.cells:
            return
        if reporter.verbosity > 0:
            reporter.section("cases drawn")
            for line in histogram(sum(self._drawn.values(), Counter())):
                reporter.write_line(line)
        from bnconform_reports.matrix import lines

        reporter.section("batch-norm conformance")
        encoding = getattr(sys.stdout, "encoding", None) or "ascii"
        for text, markup in lines(self.results(), unicode=encoding.lower().startswith("utf")):
            reporter.write_line(text, **markup)
        if self.report is not None:
            reporter.write_line(f"written: {self.report / 'results.json'}")
