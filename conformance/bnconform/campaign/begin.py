"""Beginning or continuing a campaign in a folder."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnconform.campaign.fingerprint import difference, identity
from bnconform.campaign.items import Pair
from bnconform.campaign.journal import Journal
from bnconform.campaign.judge_item import Orders
from bnconform.campaign.loop import Budget, run
from bnconform.campaign.pool import LocalWorkers, Workers
from bnconform.campaign.progress import shown
from bnconform.campaign.summary import HOLDS, tell
from bnconform.running.all_laws import laws
from bnconform.running.example_database import open_database
from bnconform.running.options import RunOptions
from bnconform.running.session import Session
from bnconform.running.stopping import stoppable
from bnconform_adapters.errors import AdapterError, UserError
from bnconform_adapters.registry import is_file, path_of

STOPPED = 130


@dataclass(frozen=True)
class CampaignOptions:
    """Options of the command line; fields have the options' names."""

    adapter: list[str]
    requirement: list[str]
    out: Path
    budget: Budget
    processes: int | None = None
    scheduler: str | None = None
    database: str | None = None
    seed: int | None = None
    time_limit: float | None = None


def campaign(options: CampaignOptions) -> int:
    """Run a campaign and print its findings.

    Returns
    -------
    int
        Exit status of :func:`~bnconform.campaign.summary.tell`, or 130 if the campaign was stopped.
    """
    # A candidate's path is made absolute, so that processes in other folders find it.
    specs = [_absolute(spec) for spec in dict.fromkeys(options.adapter)]
    session = Session(
        RunOptions(tuple(specs), tuple(options.requirement), seed=options.seed, time_limit=options.time_limit)
    )
    try:
        open_database(options.database)  # reports a problem at once
        try:
            options.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AdapterError(f"-o: cannot make the folder {options.out}: {error.strerror}; pass another") from None
        with Journal(options.out / "journal.jsonl") as journal:
            orders = _orders(options, session, begun=bool(journal.entries))
            names = {one.spec: one.name for one in session.implementations}
            if moved := sorted({entry["item"]["spec"] for entry in journal.entries} - names.keys()):
                raise UserError(f"{options.out} holds a campaign on {moved[0]}; put it there, or pass another -o")
            wanted = [id for id in laws() if not options.requirement or id in options.requirement]
            pairs = [Pair(spec, id) for spec in names for id in wanted]
            workers = _workers(options, orders)
            ended: BaseException | None = None
            try:
                with shown(options.budget) as show, stoppable():
                    run(journal, pairs, names, orders, workers, options.budget, show)
            except (KeyboardInterrupt, AdapterError) as error:
                ended = error
            finally:
                workers.close()
            status = tell(journal.entries, session, options.out) if journal.entries or ended is None else HOLDS
    finally:
        session.close()
    if isinstance(ended, AdapterError):
        raise ended
    if ended is not None:
        print("stopped; the same command continues", file=sys.stderr)
    return status if ended is None else STOPPED


def _absolute(spec: str) -> str:
    if not is_file(spec):
        return spec
    path, name = path_of(spec)
    return f"{path.absolute()}:{name}" if name else str(path.absolute())


def _orders(options: CampaignOptions, session: Session, *, begun: bool) -> Orders:
    """Return the orders of the campaign in the folder, which must be the same one, or of a new one, saved there."""
    identities = {one.spec: identity(one) for one in session.implementations}
    what = {
        "implementations": {one.name: identities[one.spec] for one in session.implementations},
        "requirements": options.requirement,
    }
    path = options.out / "campaign.json"
    if path.exists():
        try:
            known = json.loads(path.read_text())
            seed = int(known.pop("seed"))
        except (ValueError, KeyError, AttributeError, TypeError):
            raise UserError(f"{path} is damaged; pass another -o") from None
        # A campaign that was refused before it judged anything, such as by a cluster of other versions, is not begun.
        if begun and (known != what or options.seed not in (None, seed)):
            raise UserError(f"{options.out} holds a campaign of {_other(known, what)}; pass another -o")
        if begun:
            session.seed = seed
    elif begun:
        raise UserError(f"{options.out} has a journal, but {path.name} is missing; put it back, or pass another -o")
    if not begun:
        new = path.with_suffix(".new")  # if killed here, the file is missing, not half written
        new.write_text(json.dumps({"seed": session.seed} | what, indent=1) + "\n")
        new.replace(path)
    return Orders(session.seed, session.options.profile, options.time_limit, options.database, identities)


def _other(known: dict[str, Any], what: dict[str, Any]) -> str:
    """Describe how the campaign in the folder differs from the wanted one."""
    theirs, ours = known.get("implementations"), what["implementations"]
    if not isinstance(theirs, dict) or theirs.keys() != ours.keys():
        return "other implementations"
    for name, found in theirs.items():
        if found != ours[name]:
            return f"another {name}: this machine has {difference(ours[name], found)}"
    return "other requirements" if known.get("requirements") != what["requirements"] else "another seed"


def _workers(options: CampaignOptions, orders: Orders) -> Workers:
    if options.scheduler is not None and options.processes is not None:
        raise AdapterError("--processes is for this machine, and --scheduler for a cluster; pass one of them")
    if options.scheduler is None:
        return LocalWorkers(orders, options.processes or _cores())
    from bnconform.campaign.cluster import ClusterWorkers

    return ClusterWorkers(orders, options.scheduler)


def _cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
