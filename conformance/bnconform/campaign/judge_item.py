"""Judging an item: what a worker does. Each of its seeds is one run of the law, as a session has it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from bnconform.campaign.fingerprint import difference, identity
from bnconform.campaign.items import Item
from bnconform.campaign.record import folded
from bnconform.campaign.session_cache import MEMORY, KeptSessions, peak, resident
from bnconform.campaign.signatures import signature_of, smaller
from bnconform.running.all_laws import laws
from bnconform.running.examiner import Examiner
from bnconform.running.example_database import open_database
from bnconform.running.options import RunOptions
from bnconform.running.ruling import failed_cell
from bnconform.running.session import Session
from bnconform_adapters.contract import AdapterError

ONE_AT_A_TIME = threading.Lock()
"""A cluster's worker may have several threads; Hypothesis and frameworks have one state a process."""
TRIES = 2
"""How often a seed or an item is tried before what became of it is on the record."""
_kept = KeptSessions()


@dataclass(frozen=True)
class Orders:
    """What is the same for all items of a campaign.

    Attributes
    ----------
    seed : int
        To which an item's seeds are added.
    profile : str
        How many examples a seed gets.
    time_limit : float or None
        Seconds that a call of a candidate file may take.
    database : str or None
        A shared example database, see :func:`bnconform.running.example_database.open_database`.
    identities : mapping of str to dict
        What the implementations are, by how `--adapter` takes them, see :mod:`bnconform.campaign.fingerprint`. One that
        is not there may be anything.
    """

    seed: int
    profile: str = "default"
    time_limit: float | None = None
    database: str | None = None
    identities: Mapping[str, dict[str, str]] = field(default_factory=dict, hash=False)


def _session(spec: str, orders: Orders) -> Session:
    """Kept from item to item."""

    def begin() -> Session:
        session = Session(RunOptions((spec,), profile=orders.profile, seed=orders.seed, time_limit=orders.time_limit))
        session.scripts = True
        session.remembers_crashes = False  # what a seed finds must not depend on the seeds before it
        session.database = open_database(orders.database)
        return session

    return _kept.get((spec, orders), begin)


def judge_item(item: Item, orders: Orders) -> dict[str, Any]:
    """Judge all seeds of an item; give the journal's entry for it, without what the journal adds.

    Returns
    -------
    dict
        "seconds"; "cpu", those in which this process worked; "memory" in MiB: the most that it has held ("suite"), and
        what the implementations' processes hold now; "cell", what its seeds say together; "broken", the smallest cell
        of every signature that broke; "failed", a cell for every way in which the suite itself failed.

    Raises
    ------
    AdapterError
        The implementation cannot be had here, or is not the one that the campaign is about.
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
        held = {"suite": peak(), "implementation": _kept.held()}
        if resident() + held["implementation"] > MEMORY:
            _kept.close()
        return {
            "seconds": round(time.perf_counter() - start, 3),
            "cpu": round(time.process_time() - worked, 3),
            "memory": {name: size >> 20 for name, size in held.items()},
            "cell": folded(cells),
            "broken": [_kept_of(cell) | {"spec": item.spec} for cell in broken.values()],
            "failed": [_kept_of(cell) for cell in failed.values()],
        }


def _check(session: Session, orders: Orders) -> None:
    """Refuse to judge another thing than the campaign is about, or with other versions."""
    (one,) = session.implementations
    due = orders.identities.get(one.spec)
    try:
        found = identity(one) if due is not None else {}
    except OSError as error:
        raise AdapterError(f"no such file: {one.spec} ({error.strerror})") from None
    if due is not None and (told := difference(found, due)):
        _kept.close()
        raise AdapterError(f"it would be with {told}; put the campaign's there, or pass another -o")


def _judged(session: Session, requirement: str) -> list[dict[str, Any]]:
    """What a seed gave: the examiner's cell, or one that says how the suite failed each time that it was tried."""
    law = laws()[requirement]
    for _ in range(TRIES):
        cells: list[dict[str, Any]] = []
        examiner = Examiner(session, session.implementations[0], cells.append)
        try:
            with suppress(pytest.fail.Exception, pytest.skip.Exception, pytest.xfail.Exception):  # the cell says it
                examiner.judge(law)
            return cells
        except AdapterError:  # of this machine
            raise
        except Exception as error:
            cell = failed_cell(requirement, session.implementations[0].name, error)
    again = session.command(requirement, session.implementations[0])
    return [cell | {"again": again, "failed": True}]


def _kept_of(cell: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in cell.items() if name != "drawn"}
