"""Why trust a green cell: how many faulty batch norms the suite catches, and how many the usual checks do."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def trust() -> dict[str, Any]:
    """The latest counts of `benchmarks/measure_usual_checks.py`, which are part of the package, and their total.

    Returns
    -------
    dict
        torch : the version that the usual checks compared against.
        profile, seeds : of the suite; a specimen counts as caught if it is caught under each seed.
        checks : for each usual check its id, title, rule, source and false alarms.
        families : for each kind of faults the number of specimens, and how many the suite and each check caught.
        total : the same over all families.
        missed_by_all : how many specimens pass every usual check.
        correct : how many correct implementations were given to the checks, too.
    """
    data: dict[str, Any] = json.loads((resources.files("bnconform_reports") / "data/usual_checks.json").read_text())
    checks = [check | {"alarms": data["alarms"][check["id"]]} for check in data["checks"]]
    total = {"about": "all"} | {name: sum(one[name] for one in data["families"]) for name in ("specimens", "suite")}
    caught = {check["id"]: sum(one["caught"][check["id"]] for one in data["families"]) for check in checks}
    return data | {"checks": checks, "total": total | {"caught": caught}}
