"""What it takes to catch a faulty implementation: the suite's laws beside the usual test, on a sample of the zoo."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path
from statistics import median
from time import thread_time
from typing import Any

import usual_way

from bnconform.running.all_laws import laws
from bnconform_adapters.registry import load

ZOO = Path(__file__).parents[2] / "tests" / "zoo"
SHAPES = ((4, 3), (2, 5), (3, 2, 4), (2, 3, 3, 3), (5, 4), (2, 2, 2, 2, 2))
"""Those of the usual test: small, as such tests have them."""
SEEDS = (0, 1, 2)
EXAMPLES = 600
"""Of the usual test; a law has 60 by default."""


def sample(every: int) -> list[Any]:
    """Every so-manieth specimen of the zoo, those left out whose fault ends the process."""
    sys.path.insert(0, str(ZOO))
    from hunt import specimens  # type: ignore[import-not-found]

    return [(family, row) for family, row in specimens() if family != "fatal"][::every]


def kill(family: str, row: Any) -> dict[str, Any]:
    """Cases and CPU seconds to the first failure under each seed, of the suite and of the usual test."""
    from hunt import file_of, hunt, subject

    suite, usual = [], []
    path = file_of(family)
    for seed in SEEDS:
        start = thread_time()
        found = None
        for id in row.laws:
            if found := hunt(path, row.name, laws()[id], seed, shrink=False):
                break
        suite.append({"cases": found.cases if found else None, "seconds": thread_time() - start})
        tried = usual_way.examine(subject(path, row.name), SHAPES, EXAMPLES, seed)
        usual.append({"cases": tried["cases"] if tried["failed"] else None, "seconds": tried["seconds"]})
    return {"name": row.name, "laws": list(row.laws), "suite": suite, "usual": usual}


def control() -> dict[str, Any]:
    """The usual test on a correct implementation: it has to pass, or its catches say nothing."""
    adapter = load(str(resources.files("bnconform") / "starters" / "numpy_functions.py"))
    tried = [usual_way.examine(adapter, SHAPES, EXAMPLES, seed) for seed in SEEDS]
    return {"cases": sum(one["cases"] for one in tried), "alarms": sum(one["failed"] is not None for one in tried)}


def summed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How many were caught under every seed, and the medians of what that took."""
    told = {}
    for way in ("suite", "usual"):
        caught = [row for row in rows if all(one["cases"] for one in row[way])]
        told[way] = {
            "caught": len(caught),
            "of": len(rows),
            "cases": median([one["cases"] for row in caught for one in row[way]]) if caught else None,
            "seconds": median([one["seconds"] for row in caught for one in row[way]]) if caught else None,
        }
    return told
