"""Records of runs for the tests of the report: small ones by hand, and one as large as a page must hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from bnconform.cases.case_file import to_json
from bnconform.cases.fixed_cases import Handed
from bnconform.requirements import BY_ID
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Case
from bnconform_reference.dialect import FLAX, PYTORCH, Dialect
from bnconform_reference.precision import DtypeName
from bnconform_reports.records.merging import Merged, merged
from bnconform_reports.records.schema import Cell, Results, Runs

SCRIPT_NAME = "<script>alert(1)</script>"
"""A candidate's name that would run where it is not escaped."""
CASE = Case(x=np.array([[0.0, 1.5], [0.25, 1.25]], np.float32), origin="shape=(2,2)")
HANDED = Handed.to(Claims())
KNOWN = {"kind": "bug", "reason": "counts an empty batch", "versions": "torch==2.13.0"}
LINK = "https://github.com/pytorch/pytorch/issues/1"


def cell(requirement: str, implementation: str, verdict: str = "meets", **more: Any) -> Cell:
    """A cell that compared something."""
    values: dict[str, Any] = {"cases": 10, "elements": 40, "worst_ratio": 0.25, "worst_ulp": 1.5} | more
    return Cell(requirement, implementation, verdict, **values)  # type: ignore[arg-type]


def broken(requirement: str, implementation: str, ratio: float = 111.0, **more: Any) -> Cell:
    """A broken cell with all that goes with it."""
    finding = {
        "requirement": requirement,
        "implementation": implementation,
        "quantity": "y",
        "problem": "is off",
        "index": [0, 1],
        "got": -2.75,
        "expected": 1.0625,
        "allowed": 3.25e-6,
        "ratio": ratio,
        "ulp": 1510.0,
    }
    values: dict[str, Any] = {
        "finding": finding,
        "witness": to_json((CASE,)),
        "again": f"pytest --pyargs bnconform --bn-adapter {implementation} --bn-requirement {requirement}",
        "script": f"# shows {requirement}\nprint('<b>')\n",
        "worst_ratio": ratio,
        "worst_ulp": 1510.0,
    }
    return cell(requirement, implementation, "breaks", **values | more)


def identity(name: str, dialect: Dialect, default_eps: str = "1e-05") -> dict[str, Any]:
    """A measured dialect, as a record has it."""
    fields = {
        "momentum weighs": (dialect.momentum_weighs, "agrees"),
        "stored variance": (dialect.stored_variance, "differs" if dialect is FLAX else "agrees"),
        "default eps": (default_eps, "read"),
        "axis of the channels": ("the last" if dialect is FLAX else "axis 1", "read"),
        "grade of arithmetic": ("TT", "agrees"),
    }
    return {
        "answers": [
            {"field": field, "value": value, "word": word, "claimed": "", "evidence": f"{name}: weight 0.25"}
            for field, (value, word) in fields.items()
        ],
        "dialect": asdict(dialect),
        "decided": True,
    }


def measures(*factors: float, dtype: DtypeName = "float32") -> dict[str, Any]:
    """Deviations of two elements at |mean| / sd 1, 10, 100, ...: each factor times 0.5 and -0.25 of the allowed."""
    points: list[dict[str, Any]] = []
    for place, factor in enumerate(factors):
        deviations = [factor * 10.0, factor * -5.0]
        worst = {"ulp": abs(factor) * 10.0, "ratio": abs(factor) * 0.5, "allowed": 20.0}
        names = ("y", "running_mean", "running_var", "dx")
        points.append(
            {
                "kind": "conditioning",
                "at": 10.0**place,
                "worst": dict.fromkeys(names, worst),
                "deviations": dict.fromkeys(names, deviations),
                "allowed": {name: [20.0, 20.0] for name in names},
            }
        )
    points.append({"kind": "length", "at": 128.0, "worst": {"y": {"ulp": 3.5, "ratio": 0.125, "allowed": 28.0}}})
    for steps, factor in zip((1.0, 20.0, 200.0), factors, strict=False):
        worst = {"ulp": abs(factor) * 4.0, "ratio": abs(factor) * 0.25, "allowed": 16.0}
        points.append({"kind": "drift", "at": steps, "worst": {"running_mean": worst, "running_var": worst}})
    return {"dtype": dtype, "handed": asdict(replace(HANDED, dtype=dtype)), "points": points}


def run(cells: Sequence[Cell], **more: Any) -> Results:
    """A record of these cells."""
    names = dict.fromkeys(cell.implementation for cell in cells)
    values: dict[str, Any] = {
        "created": "2026-11-28T10:00:00+00:00",
        "versions": {"python": "3.11.7", "numpy": "2.4.6"},
        "machine": "Linux x86_64, little-endian",
        "profile": "quick",
        "seed": 7,
        "implementations": {name: {name.partition(".")[0]: "2.13.0"} for name in names},
        "not_run": {},
        "notes": {},
        "requirements": {r.id: {"level": r.level, "statement": r.statement} for r in BY_ID.values()},
        "cells": tuple(cells),
    }
    return Results(**values | more)


def merge(*results: Results) -> Merged:
    """These runs, merged."""
    return merged(Runs.of(results))


def measured(**found: object) -> Merged:
    """Implementations with these measures."""
    return merge(run([cell("F1", name) for name in found], measures=found))


def small() -> Results:
    """Four implementations, every verdict, a known deviation, and a name that would run."""
    names = ("torch", "flax.linen", "keras.tensorflow", SCRIPT_NAME)
    cells = [cell("F1", name) for name in names[:3]] + [broken("F1", SCRIPT_NAME, reason="<i>why</i>")]
    cells += [cell("S1", name, "differs" if "." in name else "meets", worst_ratio=0.5) for name in names]
    cells += [broken("X3", "torch", 5e4, known=KNOWN | {"link": LINK}), broken("X3", "flax.linen", known=KNOWN)]
    cells += [cell("N1", "torch", grade="TT"), cell("G7", "flax.linen", "not claimed", reason="one layout", elements=0)]
    cells += [cell("P1", "torch", elements=0), cell("N3", "torch", "not run", reason="9 of 10 could not have failed")]
    return run(
        cells,
        not_run={"flax.nnx": "needs flax"},
        notes={SCRIPT_NAME: "runs in an <b>interpreter</b>"},
        identities={
            "torch": identity("torch", PYTORCH),
            "flax.linen": identity("flax.linen", FLAX),
            "keras.tensorflow": identity("keras.tensorflow", FLAX, "0.001"),
            SCRIPT_NAME: identity(SCRIPT_NAME, PYTORCH),
        },
        measures={
            "torch": measures(0.25, 0.5, 1.0),
            "flax.linen": measures(-0.5, 1.0, 7000.0),
            "keras.tensorflow": measures(1.0, dtype="float64"),
            SCRIPT_NAME: measures(float("inf"), 0.0, 4.0),
        },
    )


def large(implementations: int = 45, every: int = 6) -> Results:
    """All requirements on many implementations; one cell in `every` is broken, with a script of usual length."""
    names = [f"framework{i % 9}.implementation_{i}" for i in range(implementations)]
    script = "".join(f"value_{i} = {i * i} < {i + 1}\n" for i in range(400))
    cells = []
    for i, name in enumerate(names):
        for j, id in enumerate(BY_ID):
            is_broken = (i + 7 * j) % every == 0
            cells.append(broken(id, name, script=script, known=KNOWN) if is_broken else cell(id, name))
    return run(
        cells,
        identities={name: identity(name, PYTORCH if i % 2 else FLAX) for i, name in enumerate(names)},
        measures={name: measures(i + 0.5, 2.0 * i, 300.0 * i) for i, name in enumerate(names)},
    )
