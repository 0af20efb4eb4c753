"""One run of the suite: its implementations, its seed, and its verdicts."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from hypothesis.database import ExampleDatabase

from bnconform.cases.kinds import histogram
from bnconform.requirements import BY_ID
from bnconform.running.budget import Plan, plan
from bnconform.running.causes import probable_causes
from bnconform.running.implementation import Implementation
from bnconform.running.options import RunOptions
from bnconform.running.profiles import CI_SEED, why_unknown
from bnconform_adapters.contract import Adapter
from bnconform_adapters.errors import AdapterError
from bnconform_adapters.registry import REGISTRY, find, is_file, load
from bnconform_adapters.worker.client import WorkerAdapter
from bnconform_adapters.worker.limits import Limits
from bnconform_adapters.worker.wire import from_claims

if TYPE_CHECKING:
    from bnconform_reports.records.schema import Results

STOPPED = "the run was stopped before this law was judged"
NO_VERDICT = "bnconform ended before this law gave a verdict"
DIAGNOSIS, DIAGNOSIS_PART = 30.0, 6
"""Limit of the search for the probable cause: 30 s, and 1/6 of a budget."""
INTERPRETED = "runs in an interpreter, since there is no GPU here, and gets fewer cases"


class Session:
    """State of a run.

    Parameters
    ----------
    options : RunOptions

    Raises
    ------
    AdapterError
        If an adapter, a requirement or a profile is unknown or not available, or the report's folder cannot be used.
    """

    def __init__(self, options: RunOptions) -> None:
        if unknown := [id for id in options.requirements if id not in BY_ID]:
            raise AdapterError(f"unknown requirement {unknown[0]!r}; pass one of {', '.join(BY_ID)}")
        if problem := why_unknown(options.profile):
            raise AdapterError(problem)
        if options.report and options.report.exists() and not options.report.is_dir():
            raise AdapterError(f"--bn-report: {options.report} is not a folder; pass another name")
        try:
            if options.report:
                options.report.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AdapterError(
                f"--bn-report: cannot make {options.report}: {error.strerror}; pass another name"
            ) from None
        drawn = CI_SEED if options.profile == "ci" else SystemRandom().randrange(10**6)
        self.options = options if options.seed is not None else replace(options, seed=drawn)
        self.scripts = options.report is not None
        """Whether findings get a script."""
        self._stopped = False
        self.database: ExampleDatabase | None = None
        """Database of failures, which are tried first."""
        self.remembers_crashes = True
        """Whether shrinking skips a kind of crash that another law has found."""
        self.not_run: dict[str, str] = {}
        self.implementations = self._implementations(options.adapters, options.slow)
        workers = [one.worker for one in self.implementations if one.worker is not None]
        self.options = self.options.with_budget(interpreted=any(worker.interpreted for worker in workers))
        for worker in workers:
            worker.limit_loading(self.options.calls.longest)
        self.cells: list[dict[str, Any]] = []
        self._due: dict[tuple[str, str], None] = {}
        self._drawn: dict[str, Counter[str]] = {}
        self._abouts: dict[str, dict[str, Any]] = {}
        self._plans: dict[str, Plan] = {}

    @property
    def seed(self) -> int:
        """Seed of the run."""
        assert self.options.seed is not None
        return self.options.seed

    @seed.setter
    def seed(self, seed: int) -> None:
        self.options = replace(self.options, seed=seed)

    def plan(self, implementation: Implementation) -> Plan:
        """Return the plan of an implementation's examples; the first call measures it."""
        if implementation.name not in self._plans:
            options = self.options
            self._plans[implementation.name] = plan(
                implementation.adapter, options.profile, options.budget, options.examples
            )
        return self._plans[implementation.name]

    def _implementations(self, specs: Sequence[str], slow: bool) -> list[Implementation]:
        if not specs:
            for entry in REGISTRY:
                if missing := entry.missing():
                    self.not_run[entry.name] = f"needs {', '.join(missing)}: {entry.install}"
                elif entry.slow and not slow:
                    self.not_run[entry.name] = f"takes minutes: run it with --bn-adapter {entry.name} or --bn-slow"
            found = [Implementation(e.name, e.name, e) for e in REGISTRY if e.name not in self.not_run]
            if not found:
                raise AdapterError(
                    "no implementation is installed: pip install 'bnconform[torch]' (or jax, tensorflow, all), "
                    "or pass --bn-adapter PATH.py"
                )
            return found
        implementations = []
        for spec in dict.fromkeys(specs):
            if is_file(spec):
                calls = self.options.calls
                adapter: Adapter = load(spec) if calls.in_process else WorkerAdapter(spec, Limits.of(spec, calls))
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

    def close(self) -> None:
        """End the workers."""
        for implementation in self.implementations:
            implementation.close()

    def implementation(self, name: str) -> Implementation:
        """Return the implementation called `name`."""
        return next(i for i in self.implementations if i.name == name)

    def command(self, requirement: str, implementation: Implementation) -> str:
        """Return the command that repeats one law on one implementation as in this run."""
        plan = self._plans.get(implementation.name)
        options = self.options if plan is None else replace(self.options, examples=plan.examples)
        return options.again(implementation.spec, requirement)

    def about(self, implementation: Implementation) -> dict[str, Any]:
        """Return the record's entry on an implementation besides its verdicts: its claims, plan and remarks."""
        if implementation.problem:
            return {}
        planned = self._plans.get(implementation.name, Plan(self.options.examples))
        adapter = implementation.adapter
        remarks, what = list(getattr(adapter, "remarks", ())), getattr(adapter, "what", "")
        own = planned.claims(adapter.claims).own
        if own is not None and "X9" in (self.options.requirements or BY_ID):
            remarks.append(f"X9 is judged at {own}")
        return {"claims": from_claims(adapter.claims), "plan": planned.as_data(), "remarks": remarks, "what": what}

    def expect(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Note pairs of requirement and implementation that need a verdict."""
        self._due |= dict.fromkeys(pairs)

    def add(self, cell: dict[str, Any]) -> None:
        """Add a verdict, the kinds of its cases, and the entry on its implementation."""
        rest = dict(cell)  # pytest-xdist's workers still send the cell itself to the process that writes the record
        self._drawn.setdefault(rest["implementation"], Counter()).update(rest.pop("drawn", {}))
        if about := rest.pop("about", {}):
            self._abouts[rest["implementation"]] = about
        self.cells.append(rest)

    def close_gaps(self, *, stopped: bool = False) -> int:
        """Add a cell for every missing verdict; return the number of laws that were not judged.

        If the run was `stopped`, that is the reason, and nobody waits for probable causes.
        """
        self._stopped = stopped
        came = {(cell["requirement"], cell["implementation"]) for cell in self.cells}
        for requirement, implementation in self._due:
            if (requirement, implementation) not in came:
                cell = {"requirement": requirement, "implementation": implementation, "verdict": "not judged"}
                self.cells.append(cell | {"reason": STOPPED if stopped else NO_VERDICT})
        return sum(cell["verdict"] == "not judged" for cell in self.cells)

    def unjudged(self) -> list[str]:
        """Return implementations without a judged law that decides the exit status.

        If no implementation was requested by name, return them only if none has such a law.
        """
        deciding = [
            cell["implementation"]
            for cell in self.cells
            if cell["verdict"] in ("meets", "differs", "breaks")
            and BY_ID[cell["requirement"]].level in self.options.deciding
        ]
        if not self.cells or (deciding and not self.options.adapters):
            return []
        return [one.name for one in self.implementations if one.name not in deciding]

    def results(self) -> Results:
        """Return the results of the run as a record."""
        from bnconform_reports.records.merging import group_by
        from bnconform_reports.records.schema import Results

        return Results.of_run(
            cells=self.cells,
            implementations=[(i.name, i.entry.versions() if i.entry else {}) for i in self.implementations],
            not_run=self.not_run,
            notes={
                i.name: INTERPRETED if i.name == "fused_triton" else "takes long for a case, and gets fewer cases"
                for i in self._judged()
                if self._abouts.get(i.name, {}).get("claims", {}).get("cost") == "interpreted"
            },
            drawn={name: dict(sorted(counts.items())) for name, counts in sorted(self._drawn.items())},
            identities=self._identities,
            measures=self._measures,
            requirements=[(r.id, r.level, r.statement) for r in BY_ID.values()],
            due={name: [id for id, _ in pairs] for name, pairs in group_by(self._due, lambda pair: pair[1]).items()},
            abouts=self._abouts,
            profile=self.options.profile,
            seed=self.seed,
        )

    @cached_property
    def _identities(self) -> dict[str, dict[str, Any]]:
        """Measured dialect of every judged implementation, if requested."""
        if not self.options.identify:
            return {}
        from bnconform.identify import identify
        from bnconform.identify.as_text import as_data

        return {one.name: as_data(identify(one.adapter)) for one in self._judged()}

    @cached_property
    def _measures(self) -> dict[str, dict[str, Any]]:
        """Deviations of every judged implementation on fixed cases, if requested."""
        if not self.options.measure:
            return {}
        from bnconform.running.measurement import measure

        return {one.name: measure(one.adapter) for one in self._judged()}

    def _judged(self) -> list[Implementation]:
        """Return implementations with at least one verdict."""
        judged = {cell["implementation"] for cell in self.cells if cell["verdict"] not in ("not run", "not judged")}
        return [one for one in self.implementations if one.name in judged]

    def finish(self) -> None:
        """Write results.json, if the options name a report folder: the verdicts first, then also probable causes."""
        if self.options.report is None or not self.cells:
            return
        path = self.options.report / "results.json"
        self.results().write(path)
        if self.options.diagnose and not self._stopped:
            self._diagnose()
            self.results().write(path)

    def _diagnose(self) -> None:
        """Find the probable causes of broken laws."""
        budget = self.options.budget
        seconds = DIAGNOSIS if budget is None else min(DIAGNOSIS, budget / DIAGNOSIS_PART)
        for one in self.implementations:
            own = [cell for cell in self.cells if cell["implementation"] == one.name]
            if any(cell.get("finding") for cell in own):
                about = self._abouts[one.name]
                try:
                    about["causes"] = probable_causes(one, own, seconds, about["plan"]["call"])
                except Exception as error:  # the verdicts stand without a cause
                    about["causes"] = [f"bnconform's search for the cause failed: {type(error).__name__}: {error}"]

    def print_summary(self, reporter: Any) -> None:
        """Print the matrix to pytest's terminal; with -v also the drawn cases and the known deviations."""
        if not self.cells:
            return
        verbose = reporter.verbosity > 0
        if verbose:
            reporter.section("cases drawn")
            for line in histogram(sum(self._drawn.values(), Counter())):
                reporter.write_line(line)
        from bnconform_reports.terminal_matrix import lines

        reporter.section("batch-norm conformance")
        if names := self.unjudged():
            reporter.write_line(f"no law that decides was judged: {', '.join(names)}", red=True)
        encoding = getattr(sys.stdout, "encoding", None) or "ascii"
        for text, markup in lines(self.results(), unicode=encoding.lower().startswith("utf"), verbose=verbose):
            reporter.write_line(text, **markup)
        if self.options.report is not None:
            reporter.write_line(f"written: {self.options.report / 'results.json'}")
