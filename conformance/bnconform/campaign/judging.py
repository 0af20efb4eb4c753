"""Judging an item: what a worker does. Each of its seeds is one run of the law, as a session has it."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pytest

from bnconform.campaign.findings import signature_of, smaller
from bnconform.campaign.items import Item
from bnconform.campaign.record import folded
from bnconform.database import open_database
from bnconform.examiner import Examiner
from bnconform.laws import laws
from bnconform.session import Session

ONE_AT_A_TIME = threading.Lock()
"""A cluster's worker may have several threads; Hypothesis and frameworks have one state a process."""


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
        A shared example database, see :func:`bnconform.database.open_database`.
    """

    seed: int
    profile: str = "default"
    time_limit: float | None = None
    database: str | None = None


@lru_cache(maxsize=4)
def _session(spec: str, orders: Orders) -> Session:
    """Kept from item to item, with what its framework has compiled."""
    session = Session([spec], profile=orders.profile, seed=orders.seed, time_limit=orders.time_limit)
    session.scripts = True
    session.database = open_database(orders.database)
    return session


def judge_item(item: Item, orders: Orders) -> dict[str, Any]:
    """Judge all seeds of an item; give the ledger's entry for it, without what the ledger adds.

    Returns
    -------
    dict
        "seconds"; "cell", what its seeds say together; "broken", the smallest cell of every signature that broke.
    """
    with ONE_AT_A_TIME:
        start = time.perf_counter()
        session = _session(item.spec, orders)
        cells: list[dict[str, Any]] = []
        examiner = Examiner(session, session.implementations[0], cells.append)
        for seed in range(item.start, item.stop):
            session.seed = orders.seed + seed
            with suppress(pytest.fail.Exception, pytest.skip.Exception, pytest.xfail.Exception):  # the cell says it
                examiner.examine(laws()[item.requirement])
        broken: dict[str, dict[str, Any]] = {}
        for cell in cells:
            if signature := signature_of(cell):
                broken[signature] = smaller(broken.get(signature), cell)
        return {
            "seconds": round(time.perf_counter() - start, 3),
            "cell": folded(cells),
            "broken": [_kept(cell) | {"spec": item.spec} for cell in broken.values()],
        }


def _kept(cell: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in cell.items() if name != "drawn"}
