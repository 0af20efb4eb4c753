"""The command `bnconform campaign`: begin a campaign, or go on with the one in a folder."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnconform import __version__
from bnconform.campaign.findings import gathered, write_findings
from bnconform.campaign.items import Pair
from bnconform.campaign.judging import Orders
from bnconform.campaign.ledger import Ledger, LedgerError
from bnconform.campaign.progress import shown
from bnconform.campaign.record import folded
from bnconform.campaign.running import Budget, run
from bnconform.campaign.workers import LocalWorkers, Workers
from bnconform.database import open_database
from bnconform.laws import laws
from bnconform.session import Session
from bnconform_adapters.contract import AdapterError
from bnconform_adapters.registry import is_file

HOLDS, BREAKS, USAGE_ERROR, STOPPED = 0, 1, 2, 130


@dataclass(frozen=True)
class Wishes:
    """What the command line asks for; fields as its options."""

    adapter: list[str]
    requirement: list[str]
    out: Path
    budget: Budget
    processes: int | None = None
    scheduler: str | None = None
    database: str | None = None
    seed: int | None = None
    time_limit: float | None = None


def campaign(wishes: Wishes) -> int:
    """Run a campaign; print what it found.

    Returns
    -------
    int
        0 where nothing new is broken, 1 where something is, 2 for what cannot be had, 130 after Ctrl-C.
    """
    try:
        return _campaign(wishes)
    except (AdapterError, LedgerError) as error:
        print(f"bnconform: {error}", file=sys.stderr)
        return USAGE_ERROR


def _campaign(wishes: Wishes) -> int:
    # Not given, a candidate's path is that of this folder: processes elsewhere have to find it.
    specs = [_absolute(spec) for spec in dict.fromkeys(wishes.adapter)]
    session = Session(specs, wishes.requirement, seed=wishes.seed, time_limit=wishes.time_limit)
    try:
        open_database(wishes.database)  # what is wrong with it is told at once
        try:
            wishes.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AdapterError(f"-o: cannot make the folder {wishes.out}: {error.strerror}; pass another") from None
        with Ledger(wishes.out / "ledger.jsonl") as ledger:
            orders = _orders(wishes, session, begun=bool(ledger.entries))
            names = {one.spec: one.name for one in session.implementations}
            wanted = [id for id in laws() if not wishes.requirement or id in wishes.requirement]
            pairs = [Pair(spec, id) for spec in names for id in wanted]
            workers, stopped = _workers(wishes, orders), False
            try:
                with shown(wishes.budget) as tell:
                    run(ledger, pairs, names, orders, workers, wishes.budget, tell)
            except KeyboardInterrupt:
                stopped = True
            finally:
                workers.close()
            status = _tell(ledger.entries, session, wishes.out)
    finally:
        session.close()
    if stopped:
        print("stopped; the same command goes on", file=sys.stderr)
    return STOPPED if stopped else status


def _absolute(spec: str) -> str:
    if not is_file(spec):
        return spec
    path, colon, name = spec.partition(".py:")
    return f"{Path(path + '.py').absolute()}:{name}" if colon else str(Path(spec).absolute())


def _orders(wishes: Wishes, session: Session, *, begun: bool) -> Orders:
    """Those of the campaign in the folder, which has to be the same one, or of a new one, kept there."""
    what = {
        "suite": __version__,
        "implementations": {one.name: _identity(one) for one in session.implementations},
        "requirements": wishes.requirement,
    }
    path = wishes.out / "campaign.json"
    if path.exists():
        try:
            known = json.loads(path.read_text())
            seed = int(known.pop("seed"))
        except (ValueError, KeyError, AttributeError, TypeError):
            raise LedgerError(f"{path} is damaged; pass another -o") from None
        if known != what or wishes.seed not in (None, seed):
            changed = [name for name in what if known.get(name) != what[name]] or ["seed"]
            raise LedgerError(f"{wishes.out} holds a campaign of other {', '.join(changed)}; pass another -o")
        session.seed = seed
    elif begun:
        raise LedgerError(f"{wishes.out} has a ledger, but {path.name} is missing; put it back, or pass another -o")
    else:
        new = path.with_suffix(".new")  # killed in between, there is none, rather than half of one
        new.write_text(json.dumps({"seed": session.seed} | what, indent=1) + "\n")
        new.replace(path)
    return Orders(session.seed, session.profile, wishes.time_limit, wishes.database)


def _identity(one: Any) -> Any:
    """A bundled implementation's versions; the digest of a file."""
    if one.entry is not None:
        return one.entry.versions()
    path = one.spec.partition(".py:")[0].removesuffix(".py") + ".py"
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _workers(wishes: Wishes, orders: Orders) -> Workers:
    if wishes.scheduler is None:
        return LocalWorkers(orders, wishes.processes or len(os.sched_getaffinity(0)))
    from bnconform.campaign.cluster import ClusterWorkers

    return ClusterWorkers(orders, wishes.scheduler)


def _tell(entries: list[dict[str, Any]], session: Session, folder: Path) -> int:
    """Write the record and the findings; print what they say."""
    by_place: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entry in entries:
        cell = entry["cell"]
        by_place.setdefault((cell["requirement"], cell["implementation"]), []).append(cell)
    found = gathered(cell for entry in entries for cell in entry["broken"])
    smallest = {(requirement, name): cell for (requirement, name, _), cell in reversed(found.items())}
    for place, cells in by_place.items():
        session.add(folded(cells) | _shown_of(smallest.get(place)))
    if by_place:
        session.results().write(folder / "results.json")
    write_findings(found, folder / "cases")
    cases = sum(cell.get("cases", 0) for cells in by_place.values() for cell in cells)
    print(f"{cases} cases, {len(found)} findings; written: {folder / 'results.json'}")
    for (requirement, name, _), cell in found.items():
        finding = cell.get("finding")
        problem = f"{finding['quantity']} {finding['problem']}" if finding else cell["reason"]
        print(f"  {requirement}  {name}: {problem}" + (f"; {cell['again']}" if cell.get("again") else ""))
    return BREAKS if found else HOLDS


def _shown_of(smallest: dict[str, Any] | None) -> dict[str, Any]:
    """What a cell shows of its smallest finding."""
    shown = ("finding", "witness", "again", "script")
    return {} if smallest is None else {name: smallest[name] for name in shown if name in smallest}
