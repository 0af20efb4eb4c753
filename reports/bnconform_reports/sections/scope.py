"""The scope of a verdict: what was judged, on how many cases, and what was not claimed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from bnconform.running.options import Examples
from bnconform_adapters.claim_rules import RANKS
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import DTYPES
from bnconform_reference.dialect import PYTORCH
from bnconform_reports.records.merging import group_by
from bnconform_reports.records.schema import Cell, Results

FEW = 4
"""A law is trusted only if it was judged on at least 1 / FEW of its usual number of cases."""
SHOWN = 6
"""How many laws with few cases are named."""
NARROWING = {
    "eps_min": "eps from {:g}",
    "momentum_min": "momentum from {:g}",
    "grade": "grade {} claimed",
    "empty_batches": "no empty batches",
    "checks_arguments": "no wrong arguments",
    "refuses_with": "refusals by {}",
    "bitwise": "not bit for bit",
}
"""Claims that ask less than the defaults, and how the page says so."""
_PARAMETERS = {"both": "both", "weight": "weight alone", "bias": "bias alone", "neither": "neither"}
_HOW = {
    "second order in": "functions: define double_backward; a module: CLAIMS = {'second_order': ['training']}",
    "forward mode in": "functions: define jvp; a module: CLAIMS = {'forward_mode': ['training']}",
    "gradients in": "functions: define backward and backward_inference; else CLAIMS = {'gradients': [...]}",
    "training mode": "functions: define forward_training; else CLAIMS = {'modes': ['training', ...]}",
    "inference mode": "functions: define forward_inference; else CLAIMS = {'modes': ['inference', ...]}",
    "momentum None": "a module whose constructor takes momentum: CLAIMS = {'cumulative': True}",
    "untracked": "CLAIMS = {'untracked': True}: it works without running statistics",
    "strided statistics": "CLAIMS = {'strided_statistics': True}: it updates statistics that are views",
    "gradient subsets": "CLAIMS = {'gradient_subsets': True}: dx, dweight and dbias can be asked for alone",
    "empty batches": "CLAIMS = {'empty_batches': True}",
    "checks arguments": "CLAIMS = {'checks_arguments': True}: wrong shapes and a negative eps raise",
    "shards": "functions: define partial_statistics, forward_merged, partial_gradients and backward_merged",
    "layout": "CLAIMS = {'layouts': [...]}",
    "dtypes": "CLAIMS = {'dtypes': [...]}",
    "weight and bias": "CLAIMS = {'parameters': ['both', 'weight', 'bias', 'neither']}",
}
"""How to claim what a law needs, by the first words of the reason."""


def scope(results: Results, implementation: str, cells: Sequence[Cell], *, verbose: bool) -> Iterator[str]:
    """Lines on what was judged, how much was drawn, and what was not claimed.

    With `verbose` also every law, and how to claim more.
    """
    about = results.abouts.get(implementation, {})
    claims, plan = about.get("claims"), about.get("plan") or {}
    judged = [cell for cell in cells if cell.is_judged]
    if judged:
        what = [about["what"]] if about.get("what") else []
        claimed = [*what, *_claimed(claims), *_narrowed(claims)] if claims else []
        yield f"judged: {'; '.join([*claimed, _cases(judged)])}"
    if len(cells) < len(results.requirements):
        yield f"asked: {len(cells)} of {len(results.requirements)} laws; the others were not looked at"
    if plan.get("examples"):
        yield _chosen(plan)
    yield from (f"note: {remark}" for remark in about.get("remarks", ()))
    if few := [cell for cell in judged if cell.verdict != "breaks" and FEW * cell.cases < cell.usual]:
        named = ", ".join(f"{cell.requirement} {cell.cases} of {cell.usual}" for cell in few[:SHOWN])
        named += f" and {len(few) - SHOWN} more" if len(few) > SHOWN else ""
        yield f"few cases, too few to trust: {named}; a longer --budget or a larger profile gives more"
    unclaimed = [cell for cell in cells if cell.verdict == "not claimed"]
    missing = _unclaimed(claims) if claims else []
    if unclaimed or missing:
        ids = [f"laws {' '.join(cell.requirement for cell in unclaimed)}"] if unclaimed else []
        more = "" if verbose else "; -v says how to claim them"
        yield f"not claimed: {'; '.join([*ids, *missing])}{more}"
    if verbose:
        yield from _how(unclaimed)
        yield from (f"  {cell.requirement:<4}{cell.verdict:<12}{cell.cases:>6} cases  {cell.reason}" for cell in cells)


def _claimed(claims: dict[str, Any]) -> Iterator[str]:
    ranks, layouts = claims["ranks"], claims["layouts"]
    span = f"{ranks[0]} to {ranks[-1]}" if list(ranks) == list(range(ranks[0], ranks[0] + len(ranks))) else _and(ranks)
    yield f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {span}"
    yield _and(claims["dtypes"])
    yield f"x {_and(layouts)}" if len(layouts) < 3 else f"{len(layouts)} memory layouts of x"
    gradients, modes = claims["gradients"], claims["modes"]
    if set(gradients) == set(modes):
        yield f"{_and(modes)}, with gradients"
    else:
        yield f"{_and(modes)}, gradients in {_and(gradients)} only" if gradients else f"{_and(modes)}, no gradients"
    parameters = [_PARAMETERS[one] for one in claims["parameters"]]
    whole = len(parameters) == len(_PARAMETERS)
    yield "with and without weight and bias" if whole else f"weight and bias {_and(parameters, 'or')}"
    yield "momentum a number or None" if claims["dialect"]["cumulative"] else "momentum a number"
    if claims["fixed_eps"] is not None:
        yield f"eps {claims['fixed_eps']:g} only"
    if claims["fixed_momentum"] is not None:
        yield f"momentum {claims['fixed_momentum']:g} only"


def _cases(judged: Sequence[Cell]) -> str:
    """The number of cases, and the smallest and largest number for a law that holds."""
    counts = [cell.cases for cell in judged if cell.verdict != "breaks"]
    span = f"{min(counts)} to {max(counts)}" if counts and min(counts) < max(counts) else f"{max(counts, default=0)}"
    return f"{sum(cell.cases for cell in judged):,} cases" + (f", {span} a law that holds" if counts else "")


def _narrowed(claims: dict[str, Any]) -> Iterator[str]:
    """Other claims that differ from the defaults."""
    for part, default in ((claims, asdict(Claims())), (claims["dialect"], asdict(PYTORCH))):
        for name, value in part.items():
            if _listed(value) == _listed(default.get(name)):
                continue
            if name in NARROWING:
                yield NARROWING[name].format(_and(value) if isinstance(value, list | tuple) else value)
            elif part is claims["dialect"] and name != "cumulative":
                yield f"{name.replace('_', ' ')} {value}"


def _listed(value: Any) -> Any:
    """A tuple as a list, which it becomes in JSON."""
    return list(value) if isinstance(value, tuple) else value


def _unclaimed(claims: dict[str, Any]) -> list[str]:
    """Values that the contract has and the implementation does not claim."""
    found = []
    if dtypes := [name for name in DTYPES if name not in claims["dtypes"]]:
        found.append(f"dtypes {' '.join(dtypes)}")
    if ranks := [str(rank) for rank in RANKS if rank not in claims["ranks"]]:
        found.append(f"ranks {' '.join(ranks)}")
    if parameters := [text for name, text in _PARAMETERS.items() if name not in claims["parameters"]]:
        found.append(f"parameters {', '.join(parameters)}")
    if not claims["dialect"]["cumulative"]:
        found.append("momentum None")
    return found


def _chosen(plan: dict[str, Any]) -> str:
    """The number of examples for a law, and how to get as many again."""
    chosen = Examples.read(plan["examples"])
    why = "" if plan.get("call") is None else f", since a call takes {plan['call']:.2g} s"
    small = " on few shapes" if chosen.interpreted else ""
    small += "" if chosen.largest is None else f", of at most {chosen.largest:,} values"
    return f"examples: {chosen.number} a law{small}{why}; the same again: --examples {chosen}"


def _how(unclaimed: Sequence[Cell]) -> Iterator[str]:
    """For every reason why laws are not claimed: the laws, the reason, and how to claim."""
    for reason, cells in group_by(unclaimed, lambda cell: cell.reason).items():
        how = next((f"; {text}" for start, text in _HOW.items() if reason.startswith(start)), "")
        yield f"  {' '.join(cell.requirement for cell in cells)}: {reason}{how}"


def _and(words: Sequence[Any], last: str = "and") -> str:
    """The words as a list in a sentence, such as "a, b and c"."""
    texts = [str(word) for word in words]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} {last} {texts[-1]}"
