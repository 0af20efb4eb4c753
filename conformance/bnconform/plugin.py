"""The pytest plugin: options, parametrization by implementation, the matrix at the end.

pytest loads the plugin in every run of anybody who installs the suite, so it imports neither NumPy nor a framework, and
does nothing unless conformance tests are collected.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Any

import pytest

from bnconform.running.options import DIAGNOSE, LIST, OPTIONS, PREFIX, OptionError, RunOptions
from bnconform_adapters.errors import UserError

if TYPE_CHECKING:
    from bnconform.judging.law import Law
    from bnconform.running.examiner import Examiner
    from bnconform.running.implementation import Implementation
    from bnconform.running.session import Session

_SESSION: pytest.StashKey[Session] = pytest.StashKey()
_DRAWN: pytest.StashKey[int] = pytest.StashKey()
_CELL = "bnconform"
_PROGRESS = "BNCONFORM_PROGRESS"
"""Environment variable through which :mod:`bnconform.running.vetting` asks for progress."""
_SEED = "bnconform_seed"
_EXPECTED = "sxX"
"""Letters of pytest's -r for outcomes that the matrix shows, and that occur by the hundreds in a run."""
RECORD = "results.json"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the suite's options; all have one prefix, so that they never collide with another project's."""
    group = parser.getgroup("bnconform", "batch-norm conformance")
    for option in (*OPTIONS, DIAGNOSE, LIST):
        group.addoption(f"{PREFIX}{option.name}", **option.settings)


def _option(config: pytest.Config, field: str) -> Any:
    return config.getoption(f"bn_{field}")


def _asked(config: pytest.Config) -> bool:
    """Return True if an option asks for a conformance run."""
    return any(_option(config, option.field) for option in OPTIONS)


def _names_the_suite(config: pytest.Config) -> bool:
    """Return True if the command line names the suite's laws, as `--pyargs bnconform` and `conformance/` do."""
    here = Path(__file__).parent
    paths = [Path(config.invocation_params.dir, word.partition("::")[0]).absolute() for word in config.args]
    return "bnconform" in config.args or any(path in (here, here.parent) or here in path.parents for path in paths)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; refuse options that cannot be run; leave Hypothesis alone in other projects' runs."""
    config.addinivalue_line("markers", "bn_requirement(id): the law of the catalogue that this test checks")
    config.pluginmanager.register(_Collector(config))
    asked = _asked(config)
    if (profile := config.getoption("--hypothesis-profile", None)) and (asked or _names_the_suite(config)):
        _register(profile)
    if asked:
        _session(config)


def _register(profile: str) -> None:
    """Register a profile of the suite with Hypothesis, unless the project has one of that name."""
    from hypothesis import settings
    from hypothesis.errors import InvalidArgument

    from bnconform.running.profiles import settings_for, why_unknown

    if problem := why_unknown(profile):
        raise pytest.UsageError(problem)
    try:
        settings.get_profile(profile)
    except InvalidArgument:
        settings.register_profile(profile, settings_for(profile, "cheap"))


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Answer --bn-list-adapters."""
    if not _option(config, LIST.field):
        return None
    from argparse import Namespace

    from bnconform.commands.list import run

    return run(Namespace(), [])


def _session(config: pytest.Config) -> Session:
    """Return the session of this run, created at the first call."""
    if _SESSION not in config.stash:
        from bnconform.running.session import Session

        try:
            options = RunOptions.read(partial(_option, config), _profile(config), _seed(config))
            config.stash[_SESSION] = Session(options)
        except UserError as error:
            raise pytest.UsageError(str(error)) from None
        if not config.pluginmanager.hasplugin("xdist"):
            config.addinivalue_line("markers", "xdist_group(name): tests that pytest-xdist runs on one worker")
        if options.report is not None and not hasattr(config, "workerinput"):
            (options.report / RECORD).unlink(missing_ok=True)  # nobody must mistake an old one for this run's
    return config.stash[_SESSION]


def _profile(config: pytest.Config) -> str:
    return config.getoption("--hypothesis-profile", None) or ("ci" if os.environ.get("CI") else "default")


def _seed(config: pytest.Config) -> int | None:
    """Return the given seed, or the one that pytest-xdist's controller drew for its workers; None without both."""
    if _SESSION in config.stash:
        return config.stash[_SESSION].seed
    if _DRAWN in config.stash:
        return config.stash[_DRAWN]
    given = getattr(config, "workerinput", {}).get(_SEED)
    given = config.getoption("--hypothesis-seed", None) if given is None else given
    if given in (None, "random"):
        return None
    try:
        return int(given)
    except ValueError:
        raise OptionError(f"--hypothesis-seed is {given!r}; pass a whole number or random") from None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give all of pytest-xdist's workers one seed; the run may have nothing to do with conformance."""
    with suppress(OptionError):  # a conformance run reports the error, and Hypothesis does in any other
        if _profile(node.config) != "ci" and _seed(node.config) is None:
            node.config.stash[_DRAWN] = SystemRandom().randrange(10**6)
        node.workerinput[_SEED] = _seed(node.config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Generate one test per law and implementation."""
    if "bn_examiner" in metafunc.fixturenames and hasattr(metafunc.function, "law"):
        names = [implementation.name for implementation in _session(metafunc.config).implementations]
        # Under pytest-xdist's --dist loadgroup an implementation stays on one worker, with its compiled programs.
        given = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in names]
        metafunc.parametrize("bn_implementation", given, indirect=True, scope="session")


def _law(item: pytest.Item) -> Law | None:
    law: Law | None = getattr(getattr(item, "function", None), "law", None)
    return law


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep only the requested requirements; let `-k F2` find a law by its id."""
    wanted = _option(config, "requirement")
    unwanted = []
    for item in items:
        if (law := _law(item)) is not None:
            item.extra_keyword_matches.add(law.requirement)
            if wanted and law.requirement not in wanted:
                unwanted.append(item)
    if unwanted:
        config.hook.pytest_deselected(items=unwanted)
        items[:] = [item for item in items if item not in set(unwanted)]


@pytest.fixture(scope="session")
def bn_implementation(request: pytest.FixtureRequest) -> Iterator[Implementation]:
    """Provide the implementation under test."""
    found = _session(request.config).implementation(request.param)
    yield found
    found.rest()  # pytest runs all tests of one implementation before the next


@pytest.fixture
def bn_examiner(request: pytest.FixtureRequest, bn_implementation: Implementation) -> Examiner:
    """Provide the examiner of one law on one implementation; the test's report carries the cell."""
    from bnconform.running.examiner import Examiner

    session = _session(request.config)

    def record(cell: dict[str, Any]) -> None:
        request.node.user_properties.append((_CELL, cell | {"about": session.about(bn_implementation)}))

    return Examiner(session, bn_implementation, record)


class _Collector:
    """Collects cells from reports, so that they also arrive from pytest-xdist's workers."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._total = self._number = 0

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Run the laws in the catalogue's order, the definition first; note which verdicts are due."""
        self._total = len(items)
        places = [i for i, item in enumerate(items) if _law(item) is not None]
        if not places:
            return
        from bnconform.requirements import BY_ID

        session, order = _session(self._config), list(BY_ID)
        names = [implementation.name for implementation in session.implementations]
        pairs = {items[i]: self._pair(items[i]) for i in places}
        ordered = sorted(pairs, key=lambda item: (names.index(pairs[item][1]), order.index(pairs[item][0])))
        for i, item in zip(places, ordered, strict=True):
            items[i] = item
        session.expect(pairs.values())

    @staticmethod
    def _pair(item: Any) -> tuple[str, str]:
        """Return a test's requirement and implementation."""
        return item.function.law.requirement, item.callspec.params["bn_implementation"]

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        """Note which verdicts are due when pytest-xdist's workers have collected the laws."""
        self._total = len(ids)
        if _SESSION not in self._config.stash and not any("bnconform/laws/test_" in id for id in ids):
            return
        from bnconform.running.all_laws import by_test

        names = {implementation.name for implementation in _session(self._config).implementations}
        for id in ids:
            test, _, rest = id.rpartition("::")[2].partition("[")
            name = rest.rpartition("]")[0]
            if test in by_test() and name in names:
                _session(self._config).expect([(by_test()[test].requirement, name)])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            for name, value in report.user_properties:
                if name == _CELL:
                    _session(self._config).add(value)  # type: ignore[arg-type]
                    self._report_progress(value)

    def _report_progress(self, cell: Any) -> None:
        """Report a verdict to `bnconform vet`, if that command started this run."""
        self._number += 1
        if (descriptor := os.environ.get(_PROGRESS)) and not hasattr(self._config, "workerinput"):
            news = {name: cell[name] for name in ("requirement", "implementation", "verdict")}
            news |= {"new": cell["verdict"] == "breaks" and "known" not in cell}
            news |= {"number": self._number, "total": self._total}
            os.write(int(descriptor), (json.dumps(news) + "\n").encode())


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Record laws without a verdict, which is never a success; write the report."""
    config = session.config
    if _SESSION not in config.stash or hasattr(config, "workerinput") or config.option.collectonly:
        return
    interrupted = session.exitstatus == pytest.ExitCode.INTERRUPTED
    failed = config.stash[_SESSION].close_gaps(stopped=interrupted) or config.stash[_SESSION].unjudged()
    if failed and session.exitstatus in (0, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    config.stash[_SESSION].finish()


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the workers."""
    if _SESSION in config.stash:
        config.stash[_SESSION].close()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> Iterator[None]:
    """Print the matrix after pytest's own summary; skipped tests and known deviations are listed only with -v."""
    if _SESSION not in config.stash or not config.stash[_SESSION].cells:
        return (yield)
    if terminalreporter.verbosity <= 0:
        shown = terminalreporter.reportchars
        terminalreporter.reportchars = "".join(kind for kind in shown if kind not in _EXPECTED)
    yield
    config.stash[_SESSION].print_summary(terminalreporter)
