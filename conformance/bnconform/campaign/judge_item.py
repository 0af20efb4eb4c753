"""Judging of an item by a worker. Each seed of the item is one run of the law in a session."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from bnconform.campaign.finding_signatures import signature_of, smaller
from bnconform.campaign.fingerprint import difference, identity
from bnconform.campaign.items import Item
from bnconform.campaign.record import folded
from bnconform.campaign.session_cache import MEMORY, KeptSessions, peak, resident
from bnconform.running.all_laws import laws
from bnconform.running.examiner import Examiner
from bnconform.running.example_database import open_database
from bnconform.running.options import RunOptions
from bnconform.running.ruling import failed_cell
from bnconform.running.session import Session
from bnconform_adapters.errors import AdapterError

ONE_AT_A_TIME = threading.Lock()
"""Lock for a cluster's worker, which may have several threads; Hypothesis and frameworks have one state per process."""
TRIES = 2
"""Number of tries of a seed or an item before its failure is recorded."""
_sessions = KeptSessions()


@dataclass(frozen=True)
class Orders:
    """Settings that all items of a campaign share.

    Attributes
    ----------
    seed : int
        Seed of the campaign; an item's seeds are added to it.
    profile : str
        Profile that gives the number of examples per seed.
    time_limit : float or None
        Seconds that a call of a candidate file may take.
    database : str or None
        A shared example database, see :func:`bnconform.running.example_database.open_database`.
    identities : mapping of str to dict
        Identities of the implementations, by their `--adapter` value, see :mod:`bnconform.campaign.fingerprint`. An
        implementation without an entry is not checked.
    """

    seed: int
    profile: str = "default"
    time_limit: float | None = None
    database: str | None = None
    identities: Mapping[str, dict[str, str]] = field(default_factory=dict, hash=False)


def _session(spec: str, orders: Orders) -> Session:
    """Return the session of an implementation, cached from item to item."""

    def begin() -> Session:
        session = Session(RunOptions((spec,), profile=orders.profile, seed=orders.seed, time_limit=orders.time_limit))
        session.scripts = True
        session.remembers_crashes = False  # what a seed finds must not depend on the seeds before it
        session.database = open_database(orders.database)
        return session

    return _sessions.get((spec, orders), begin)


def judge_item(item: Item, orders: Orders) -> dict[str, Any]:
    """Judge all seeds of an item; return the results for the journal's entry.

    Returns
    -------
    dict
        "seconds"; "cpu", CPU seconds of this process; "memory" in MiB: the peak of this process ("suite") and the
        current use of the implementations' processes; "cell", the combined cell of all seeds; "broken", the smallest
        cell of every broken signature; "failed", a cell for every way in which the suite itself failed.

    Raises
    ------
    AdapterError
        If the implementation is not available here, or differs from the campaign's.
    """
    with ONE_AT_A_TIME:
        start, worked = time.perf_counter(), time.process_time()
        session = _session(item.spec, orders)
        _check(session, orders)
        cells: list[dict[str, Any]] = []
        for seed in range(item.start, item.stop):
            session.seed = orders.seed + seed
            cells += _judged(session, item.requirement)
        broken: dict[str, dict[str, Any]] = {}
        failed: dict[str, dict[str, Any]] = {}
        for cell in cells:
            if signature := signature_of(cell):
                broken[signature] = smaller(broken.get(signature), cell)
            if cell.pop("failed", False):
                failed.setdefault(cell["reason"], cell | {"seeds": 0})["seeds"] += 1
        held = {"suite": peak(), "implementation": _sessions.held()}
        if resident() + held["implementation"] > MEMORY:
            _sessions.close()
        return {
            "seconds": round(time.perf_counter() - start, 3),
            "cpu": round(time.process_time() - worked, 3),
            "memory": {name: size >> 20 for name, size in held.items()},
            "cell": folded(cells),
            "broken": [_without_drawn(cell) | {"spec": item.spec} for cell in broken.values()],
            "failed": [_without_drawn(cell) for cell in failed.values()],
        }


def _check(session: Session, orders: Orders) -> None:
    """Refuse an implementation or versions other than the campaign's."""
    (one,) = session.implementations
    due = orders.identities.get(one.spec)
    try:
        found = identity(one) if due is not None else {}
    except OSError as error:
        raise AdapterError(f"no such file: {one.spec} ({error.strerror})") from None
    if due is not None and (other := difference(found, due)):
        _sessions.close()
        raise AdapterError(f"this machine has {other}; restore the campaign's, or pass another -o")


def _judged(session: Session, requirement: str) -> list[dict[str, Any]]:
    """Judge a seed; return the examiner's cell, or a cell with the suite's failure if all tries failed."""
    law = laws()[requirement]
    for _ in range(TRIES):
        cells: list[dict[str, Any]] = []
        examiner = Examiner(session, session.implementations[0], cells.append)
        try:
            with suppress(pytest.fail.Exception, pytest.skip.Exception, pytest.xfail.Exception):  # the cell has it
                examiner.judge(law)
            return cells
        except AdapterError:  # a problem of this machine
            raise
        except Exception as error:
            cell = failed_cell(requirement, session.implementations[0].name, error)
    again = session.command(requirement, session.implementations[0])
    return [cell | {"again": again, "failed": True}]


def _without_drawn(cell: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in cell.items() if name != "drawn"}
