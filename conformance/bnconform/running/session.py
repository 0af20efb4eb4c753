"""One run of the suite: which implementations, which seed, and the verdicts as they come in."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from hypothesis.database import ExampleDatabase

from bnconform.cases.kinds import histogram
from bnconform.requirements import BY_ID
from bnconform.running.budget import Plan, plan
from bnconform.running.options import RunOptions
from bnconform.running.profiles import CI_SEED, why_unknown
from bnconform.scripts.writer import Subject
from bnconform_adapters.contract import Adapter, AdapterError, describe_error
from bnconform_adapters.frameworks import forget_compiled, import_framework
from bnconform_adapters.registry import REGISTRY, Entry, create, find, is_file, load
from bnconform_adapters.worker.client import WorkerAdapter
from bnconform_adapters.worker.limits import Limits
from bnconform_adapters.worker.wire import from_claims

if TYPE_CHECKING:
    from bnconform_reports.records.schema import Results

NO_VERDICT = "bnconform ended before this law gave a verdict"
DIAGNOSIS, DIAGNOSIS_PART = 30.0, 6
"""Seconds that finding the probable cause may take, and the part of a budget."""
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
    crashes : dict of str to str
        Kinds of crashes and hangs that were found, and the law that found each first.
    """

    name: str
    spec: str
    entry: Entry | None
    loaded: Adapter | None = None
    crashes: dict[str, str] = field(default_factory=dict)

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
                for module in self.entry.frameworks:
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
    options : RunOptions

    Raises
    ------
    AdapterError
        An adapter, a requirement or a profile is unknown or cannot be had, or the report's folder cannot be one.
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
        self.options = options if options.seed is not None else options.with_seed(drawn)
        self.scripts = options.report is not None
        """Whether findings get a script."""
        self.database: ExampleDatabase | None = None
        """Where failures are kept, and tried first."""
        self.remembers_crashes = True
        """Whether a kind of crash that one law has found is not shrunk for another."""
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
        """The run's seed."""
        assert self.options.seed is not None
        return self.options.seed

    @seed.setter
    def seed(self, seed: int) -> None:
        self.options = self.options.with_seed(seed)

    def plan(self, implementation: Implementation) -> Plan:
        """How many examples an implementation gets; measured when first asked for."""
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
                    self.not_run[entry.name] = f"takes minutes: --bn-adapter {entry.name}, or --bn-slow for all such"
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
        if self.options.in_process:
            return load(spec)
        return WorkerAdapter(spec, Limits.of(spec, self.options.calls))

    def close(self) -> None:
        """End the workers."""
        for implementation in self.implementations:
            implementation.close()

    def implementation(self, name: str) -> Implementation:
        """The implementation called `name`."""
        return next(i for i in self.implementations if i.name == name)

    def command(self, requirement: str, implementation: Implementation) -> str:
        """The command that runs one law on one implementation as this run did."""
        plan = self._plans.get(implementation.name)
        options = self.options if plan is None else replace(self.options, examples=plan.examples)
        return options.again(implementation.spec, requirement)

    def about(self, implementation: Implementation) -> dict[str, Any]:
        """What the record says of an implementation beside its verdicts: its claims, and how much it was given."""
        if implementation.problem:
            return {}
        planned = self._plans.get(implementation.name, Plan(self.options.examples))
        adapter = implementation.adapter
        remarks, what = list(getattr(adapter, "remarks", ())), getattr(adapter, "what", "")
        return {"claims": from_claims(adapter.claims), "plan": planned.as_data(), "remarks": remarks, "what": what}

    def expect(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Note requirements and implementations that a verdict has to come in for."""
        self._due |= dict.fromkeys(pairs)

    def add(self, cell: dict[str, Any]) -> None:
        """Take a verdict in, what was drawn for it, and what there is to say of the implementation."""
        rest = dict(cell)  # the cell itself still travels from pytest-xdist's workers to where the record is written
        self._drawn.setdefault(rest["implementation"], Counter()).update(rest.pop("drawn", {}))
        if about := rest.pop("about", {}):
            self._abouts[rest["implementation"]] = about
        self.cells.append(rest)

    def close_gaps(self) -> int:
        """Add a cell for every verdict that did not come in; return how many laws were not judged in all."""
        came = {(cell["requirement"], cell["implementation"]) for cell in self.cells}
        for requirement, implementation in self._due:
            if (requirement, implementation) not in came:
                cell = {"requirement": requirement, "implementation": implementation, "verdict": "not judged"}
                self.cells.append(cell | {"reason": NO_VERDICT})
        return sum(cell["verdict"] == "not judged" for cell in self.cells)

    def unjudged(self) -> list[str]:
        """Implementations of which no law that decides was judged: of those asked for by name, or all of them."""
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
        """What was found, as a record."""
        from bnconform_reports.records.schema import Results

        return Results.of_run(
            cells=self.cells,
            implementations=[(i.name, i.entry.versions() if i.entry else {}) for i in self.implementations],
            not_run=self.not_run,
            notes={
                i.name: INTERPRETED if i.name == "fused_triton" else "takes long for a case, and gets fewer"
                for i in self._judged()
                if self._abouts.get(i.name, {}).get("claims", {}).get("cost") == "interpreted"
            },
            drawn={name: dict(sorted(counts.items())) for name, counts in sorted(self._drawn.items())},
            identities=self._identities,
            measures=self._measures,
            requirements=[(r.id, r.level, r.statement) for r in BY_ID.values()],
            due=self._due_by_name(),
            abouts=self._abouts,
            profile=self.options.profile,
            seed=self.seed,
        )

    def _due_by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for requirement, name in self._due:
            found.setdefault(name, []).append(requirement)
        return found

    @cached_property
    def _identities(self) -> dict[str, dict[str, Any]]:
        """The dialect of every implementation that was judged, where it was asked for."""
        if not self.options.identify:
            return {}
        from bnconform.identify import identify
        from bnconform.identify.as_text import as_data

        return {one.name: as_data(identify(one.adapter)) for one in self._judged()}

    @cached_property
    def _measures(self) -> dict[str, dict[str, Any]]:
        """The deviations of every implementation that was judged, where they were asked for."""
        if not self.options.measure:
            return {}
        from bnconform.running.measurement import measure

        return {one.name: measure(one.adapter) for one in self._judged()}

    def _judged(self) -> list[Implementation]:
        """Implementations that could be run."""
        judged = {cell["implementation"] for cell in self.cells if cell["verdict"] not in ("not run", "not judged")}
        return [one for one in self.implementations if one.name in judged]

    def finish(self) -> None:
        """Write results.json, if a folder was given."""
        if self.options.report is not None and self.cells:
            if self.options.diagnose:
                self._diagnose()
            self.results().write(self.options.report / "results.json")

    def _diagnose(self) -> None:
        """Look for the probable causes of what was found broken; not where calls hang, which would be waited for."""
        from bnconform.cases.case_file import from_json
        from bnconform.diagnosis import diagnose

        budget = self.options.budget
        seconds = DIAGNOSIS if budget is None else min(DIAGNOSIS, budget / DIAGNOSIS_PART)
        for one in self.implementations:
            own = (cell for cell in self.cells if cell["implementation"] == one.name and cell.get("finding"))
            broken = [cell for cell in own if "known" not in cell]
            if not broken or any(cell["finding"]["problem"].startswith("hung") for cell in broken):
                continue
            steps = [from_json(cell["witness"]) for cell in broken]
            single = tuple(case for cases in steps if len(cases) == 1 for case in cases)
            self._abouts[one.name]["causes"] = diagnose(one.adapter, single, seconds)

    def print_summary(self, reporter: Any) -> None:
        """Print the matrix to pytest's terminal; with -v also what was drawn and what is known."""
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
            reporter.write_line(f"nothing that decides was judged: {', '.join(names)}", red=True)
        encoding = getattr(sys.stdout, "encoding", None) or "ascii"
        for text, markup in lines(self.results(), unicode=encoding.lower().startswith("utf"), verbose=verbose):
            reporter.write_line(text, **markup)
        if self.options.report is not None:
            reporter.write_line(f"written: {self.options.report / 'results.json'}")
