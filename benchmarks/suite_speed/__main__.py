"""Measure what the suite costs: ``python benchmarks/suite_speed -o benchmarks`` writes a JSON record and its page.

``--page`` makes the page anew from the record that is there. ``--adapter`` names what is measured; all laws in this
process, so it takes about a minute for each that is cheap. What compiles is measured once it has compiled.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from contextlib import suppress
from dataclasses import replace
from importlib import resources
from pathlib import Path
from statistics import median
from time import thread_time
from typing import Any

import usual_way
from clocks import split
from growth import expectation, oracle_beside_torch, startup
from hypothesis import given, seed
from hypothesis import strategies as st
from kills import control, kill, sample, summed
from machine import described
from page import page

from bnconform.cases.spaces import TRAINING_GRADIENTS
from bnconform.cases.strategies import Cases
from bnconform.cases.tape import BYTE, LENGTH, tapes
from bnconform.judging import law
from bnconform.judging.tally import Tally
from bnconform.running.all_laws import laws
from bnconform.running.profiles import settings_for
from bnconform_adapters.contract import Adapter, Case
from bnconform_adapters.frameworks import settle
from bnconform_adapters.registry import find, is_file, load

STARTER = str(resources.files("bnconform") / "starters" / "numpy_functions.py")
ADAPTERS = (STARTER, "torch", "flax.linen", "tf.fused.xla", "torch.compile", "tvm.relax")
SMALL = ("F1", "F3", "F4", "S1", "S2", "G1", "G2", "G3", "I1", "I4")
"""Laws of one call a case on small shapes, mostly; all that are claimed are measured beside."""
SHAPES = {64: ((4, 3), (2, 5), (3, 2, 4), (2, 3, 3, 3)), 512: ((8, 8, 8), (4, 8, 4, 4), (64, 8), (2, 8, 4, 4, 2))}
"""Of the comparison with the usual way, by the number of elements that the largest has."""
ROUNDS = 5


def engine() -> dict[str, float]:
    """Milliseconds an example of Hypothesis alone: for a tape, and for its choices drawn one by one."""

    def of(strategy: st.SearchStrategy[Any], chosen: int) -> float:
        count = 0

        def test(data: Any) -> None:
            nonlocal count
            count += 1

        start = thread_time()
        wrapped: Any = given(data=strategy)(test)
        settings_for("default", "cheap")(seed(chosen)(wrapped))()
        return 1e3 * (thread_time() - start) / count

    ways = {"tape": tapes, "draws": st.tuples(*[st.integers(0, BYTE - 1)] * LENGTH)}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for chosen in range(4 * ROUNDS):
        for name, strategy in ways.items():
            times[name].append(of(strategy, chosen))
    return {name: median(values) for name, values in times.items()}


def beside_the_usual_way(adapter: Adapter, elements: int) -> dict[str, float]:
    """Cases per second of the suite's law on all outputs and of the usual test, on the same shapes."""
    shapes = SHAPES[elements]
    claims = replace(adapter.claims, dtypes=("float32",))

    def judge_all(judge: Any, case: Case) -> None:
        judge.agrees(case, judge.run(case), ("y", "running_mean", "running_var", "dx", "dweight", "dbias"))

    found: dict[str, list[float]] = {"suite": [], "usual": []}
    settings = settings_for("default", "cheap")
    for chosen in range(ROUNDS):
        tally, start = Tally(), thread_time()
        whole = law.Law("G1", _Shaped(Cases(TRAINING_GRADIENTS), shapes), judge_all)
        assert law.search(whole, adapter, claims, tally=tally, settings=settings, seed=chosen) is None
        found["suite"].append(tally.cases / (thread_time() - start))
        usual = usual_way.examine(adapter, shapes, settings.max_examples, chosen, judge=_never)
        found["usual"].append(usual["cases"] / usual["seconds"])
    return {name: median(values) for name, values in found.items()}


def _never(case: Case, outcome: Any) -> None:
    """The usual check, which is not to end the test where its tolerances are too narrow for the data."""
    with suppress(usual_way.Differs):
        usual_way.check(case, outcome)


class _Shaped(Cases):
    """Cases of given shapes: the recipe's own is replaced, so that both ways have arrays of equal size."""

    def __init__(self, cases: Cases, shapes: tuple[tuple[int, ...], ...]) -> None:
        super().__init__(cases.space)
        object.__setattr__(self, "shapes", shapes)

    def strategy(self, claims: Any, pool: Any) -> st.SearchStrategy[Any]:
        """See :class:`bnconform.cases.strategies.Source`."""
        from bnconform.cases.build import build
        from bnconform.cases.strategies import recipes

        shapes: tuple[tuple[int, ...], ...] = self.shapes  # type: ignore[attr-defined]
        layouts = replace(claims, layouts=("contiguous",))
        return recipes(self.space, layouts, pool).map(
            lambda recipe: (build(replace(recipe, shape=shapes[recipe.salt % len(shapes)])),)
        )


def catching(every: int) -> dict[str, Any]:
    """What it takes to catch faults."""
    rows = [kill(family, row) for family, row in sample(every)]
    return {"summed": summed(rows), "control": control(), "specimens": rows}


def measure(adapters: list[str], every: int) -> dict[str, Any]:
    """The whole record."""
    found: dict[str, Any] = {"machine": described(), "engine": engine(), "split": [], "beside": []}
    for spec in adapters:
        adapter, name = load(spec), Path(spec).name
        warm = 1 if adapter.claims.cost == "cheap" else 0
        for told, ids in (("of one call", SMALL), ("all", tuple(id for id in laws() if id != "P8"))):
            if adapter.claims.cost != "cheap":
                if told == "all":
                    continue
                split(adapter, ids, 0)  # compiles what the same seed asks for again
            found["split"].append({"name": name, "laws": told} | split(adapter, ids, warm))
        if adapter.claims.cost == "cheap":
            for elements in SHAPES:
                rates = beside_the_usual_way(adapter, elements)
                found["beside"].append({"name": name, "elements": elements} | rates)
    found["kills"] = catching(every)
    found["oracle"] = oracle_beside_torch()
    sizes = [(10**k, 10) for k in range(2, 8)] + [(10**6, channels) for channels in (1, 100, 1000)]
    found["growth"] = [{"elements": n, "channels": c, "ms": expectation(n, c)} for n, c in sizes]
    found["processes"] = startup(STARTER)
    return found


def installed() -> list[str]:
    """Those of :data:`ADAPTERS` that can be run here."""
    return [spec for spec in ADAPTERS if is_file(spec) or not find(spec).missing()]


def main() -> None:
    """Write the record and its page."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--adapter", action="append", metavar="NAME|PATH.py", help="default: NumPy, torch, and what compiles"
    )
    parser.add_argument("--every", type=int, default=12, help="which part of the zoo is tried: every so-manieth")
    parser.add_argument("--catching", action="store_true", help="only measure anew what it takes to catch faults")
    parser.add_argument("--page", action="store_true", help="only make the page anew")
    given_ = parser.parse_args()
    path = given_.out / "suite_speed.json"
    settle()
    if given_.catching:
        path.write_text(json.dumps(json.loads(path.read_text()) | {"kills": catching(given_.every)}, indent=1) + "\n")
    elif not given_.page:
        path.write_text(json.dumps(measure(given_.adapter or installed(), given_.every), indent=1) + "\n")
    path.with_suffix(".md").write_text(page(json.loads(path.read_text())))
    print(f"written: {path.with_suffix('.md')}")


if __name__ == "__main__":
    main()
