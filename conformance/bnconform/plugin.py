"""The pytest plugin: options, parametrization by implementation, the matrix at the end.

It is loaded in every pytest run of whoever installs the suite, so it imports neither NumPy nor a framework, and does
nothing unless conformance tests are collected.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from random import SystemRandom
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bnconform.examiner import Examiner
    from bnconform.law import Law
    from bnconform.session import Implementation, Session

_SESSION: pytest.StashKey[Session] = pytest.StashKey()
_DRAWN: pytest.StashKey[int] = pytest.StashKey()
_CELL = "bnconform"
_PROGRESS = "BNCONFORM_PROGRESS"
"""The environment variable of :mod:`bnconform.vetting`."""
_SEED = "bnconform_seed"
_ASKED = ("--adapter", "--requirement", "--report", "--in-process", "--slow", "--identify", "--measure")
"""Options that ask for a conformance run; what is wrong with it is then told before anything is collected."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the suite's options."""
    group = parser.getgroup("bnconform", "batch-norm conformance")
    group.addoption(
        "--adapter",
        action="append",
        default=[],
        metavar="NAME|PATH.py[:NAME]",
        help="implementation to test, bundled or your own file; repeatable; default: all that are installed",
    )
    group.addoption("--list-adapters", action="store_true", help="list the bundled implementations and stop")
    group.addoption(
        "--requirement",
        action="append",
        default=[],
        metavar="ID",
        help="test only this requirement, e.g. F2; repeatable",
    )
    group.addoption(
        "--in-process",
        action="store_true",
        help="run your files in this process, for a debugger or print; a crash or a hang then ends the run",
    )
    group.addoption(
        "--slow", action="store_true", help="without --adapter: run those implementations, too, that take minutes"
    )
    group.addoption(
        "--time-limit",
        type=float,
        metavar="SECONDS",
        help="time for one call of your file; default: 10; six times that for its first call, twelve to import it",
    )
    group.addoption(
        "--identify", action="store_true", help="with --report: also find out each implementation's dialect, at the end"
    )
    group.addoption(
        "--measure", action="store_true", help="with --report: also run fixed cases, for the report's comparisons"
    )
    group.addoption("--report", metavar="DIR", help="write results.json, and a case file for every broken law, here")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register markers; register the suite's profiles if one is asked for; refuse what cannot be run."""
    config.addinivalue_line("markers", "requirement(id): the law of the catalogue that this test checks")
    if not config.pluginmanager.hasplugin("xdist"):
        config.addinivalue_line("markers", "xdist_group(name): tests that pytest-xdist runs on one worker")
    config.pluginmanager.register(_Collector(config))
    if profile := config.getoption("--hypothesis-profile", None):
        _register(profile)
    if config.getoption("--time-limit") is not None or any(config.getoption(option) for option in _ASKED):
        _session(config)


def _register(profile: str) -> None:
    """Let Hypothesis know a profile of the suite; refuse one that nobody knows, before Hypothesis does in its way."""
    from bnconform.profiles import settings_for, why_unknown

    if problem := why_unknown(profile):
        raise pytest.UsageError(problem)
    if profile in ("quick", "thorough"):
        from hypothesis import settings

        settings.register_profile(profile, settings_for(profile, "cheap"))


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Answer --list-adapters."""
    if not config.getoption("--list-adapters"):
        return None
    from bnconform.cli import list_adapters

    list_adapters()
    return 0


def _session(config: pytest.Config) -> Session:
    """The state of this run, made when first needed."""
    if _SESSION not in config.stash:
        from bnconform.session import Session
        from bnconform_adapters.contract import AdapterError

        try:
            config.stash[_SESSION] = Session(
                specs=config.getoption("--adapter"),
                requirements=config.getoption("--requirement"),
                profile=_profile(config),
                seed=_seed(config),
                report=config.getoption("--report"),
                in_process=config.getoption("--in-process"),
                time_limit=config.getoption("--time-limit"),
                slow=config.getoption("--slow"),
                identify=config.getoption("--identify"),
                measure=config.getoption("--measure"),
            )
        except AdapterError as error:
            raise pytest.UsageError(str(error)) from None
    return config.stash[_SESSION]


def _profile(config: pytest.Config) -> str:
    return config.getoption("--hypothesis-profile", None) or ("ci" if os.environ.get("CI") else "default")


def _seed(config: pytest.Config) -> int | None:
    """The seed that was given, or that pytest-xdist's controller drew for its workers; None where there is neither."""
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
        raise pytest.UsageError(f"--hypothesis-seed is {given!r}; pass a whole number or random") from None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give all of pytest-xdist's workers one seed; they may have nothing to do with conformance."""
    if _profile(node.config) != "ci" and _seed(node.config) is None:
        node.config.stash[_DRAWN] = SystemRandom().randrange(10**6)
    node.workerinput[_SEED] = _seed(node.config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per law and implementation."""
    if "examiner" in metafunc.fixturenames and hasattr(metafunc.function, "law"):
        names = [implementation.name for implementation in _session(metafunc.config).implementations]
        # Under pytest-xdist's --dist loadgroup an implementation stays on one worker, with what it compiled.
        given = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in names]
        metafunc.parametrize("implementation", given, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the requirements asked for; let `-k F2` find a law by its id."""
    wanted = config.getoption("--requirement")
    unwanted = []
    for item in items:
        law: Law | None = getattr(getattr(item, "function", None), "law", None)
        if law is not None:
            item.extra_keyword_matches.add(law.requirement)
            if wanted and law.requirement not in wanted:
                unwanted.append(item)
    if unwanted:
        config.hook.pytest_deselected(items=unwanted)
        items[:] = [item for item in items if item not in set(unwanted)]


@pytest.fixture(scope="session")
def implementation(request: pytest.FixtureRequest) -> Iterator[Implementation]:
    """The implementation under test."""
    found = _session(request.config).implementation(request.param)
    yield found
    found.rest()  # pytest runs all tests of one before those of the next


@pytest.fixture
def examiner(request: pytest.FixtureRequest, implementation: Implementation) -> Examiner:
    """Runs one law on one implementation; its cell of the matrix travels with the test's report."""
    from bnconform.examiner import Examiner

    def record(cell: dict[str, Any]) -> None:
        cost = None if implementation.problem else implementation.adapter.claims.cost
        request.node.user_properties.append((_CELL, cell | {"cost": cost}))

    return Examiner(_session(request.config), implementation, record)


class _Collector:
    """Gathers cells from reports, so that they arrive from pytest-xdist's workers too."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._total = self._number = 0

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self._total = len(items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            for name, value in report.user_properties:
                if name == _CELL:
                    _session(self._config).add(value)  # type: ignore[arg-type]
                    self._tell(value)

    def _tell(self, cell: Any) -> None:
        """Tell `bnconform vet` of a verdict, if that is what started this run."""
        self._number += 1
        if (descriptor := os.environ.get(_PROGRESS)) and not hasattr(self._config, "workerinput"):
            told = {name: cell[name] for name in ("requirement", "implementation", "verdict")}
            told |= {"new": cell["verdict"] == "breaks" and "known" not in cell}
            told |= {"number": self._number, "total": self._total}
            os.write(int(descriptor), (json.dumps(told) + "\n").encode())


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report."""
    config = session.config
    if _SESSION in config.stash and not hasattr(config, "workerinput"):
        config.stash[_SESSION].finish()


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the workers."""
    if _SESSION in config.stash:
        config.stash[_SESSION].close()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The matrix."""
    if _SESSION in config.stash:
        config.stash[_SESSION].print_summary(terminalreporter)
