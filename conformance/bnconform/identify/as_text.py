"""An identification as text for a terminal, and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from bnconform.identify.answers import Answer
from bnconform.identify.identity import Identity
from bnconform_reference.dialect import FAMILIES, Dialect

DEFAULT_EPS = {"pytorch": 1e-5, "flax": 1e-5, "keras": 1e-3, "tf.fused": 1e-3, "paddle": 1e-5}
"""Default eps of the layers of each family, as documented."""
N = "n values per channel of a training batch"
CHOICES = ("momentum weighs", "stored variance")
"""Fields that a conversion needs."""


def text(identity: Identity, *, evidence: bool = False) -> str:
    """Return the answers, a line each; then the CLAIMS to correct, and conversions.

    An answer that is not as claimed is followed by its evidence; with `evidence`, every answer is.
    """
    width = max(len(answer.field) for answer in identity.answers)
    lines = [f"{identity.name}, as measured from outside", ""]
    for answer in identity.answers:
        word = identity.word(answer)
        against = f" (claimed: {answer.claimed})" if answer.claimed and answer.value != answer.claimed else ""
        lines.append(f"{word:<14}  {answer.field:<{width}}  {answer.value or '-'}{against}")
        if evidence or word not in ("agrees", "documented", "read"):
            lines.append(f"{'':<14}    {answer.evidence}")
    if stated := identity.stated():
        lines += ["", "put this into your file:", f"CLAIMS = {{..., {repr(stated)[1:-1]}}}"]
    lines += ["", "to convert to"]
    lines += [f"  {family:<10} {'; '.join(how)}" for family, how in conversions(identity).items()]
    return "\n".join(lines)


def conversions(identity: Identity) -> dict[str, list[str]]:
    """Return how to convert momentum, statistics and eps to those of every family of dialects."""
    unknown = _unknown(identity)
    if unknown:
        why = f"not known; {unknown[0].field}: {unknown[0].value or unknown[0].evidence}"
        return {family: [why] for family in FAMILIES}
    return {family: steps(identity.dialect, target, DEFAULT_EPS[family]) for family, target in FAMILIES.items()}


def steps(source: Dialect, target: Dialect, default_eps: float | None) -> list[str]:
    """Return how to convert momentum, statistics and eps of a layer to another dialect, a line each.

    Parameters
    ----------
    source, target : Dialect
    default_eps : float or None
        Default eps of the target, if it has one.
    """
    told = []
    if source.momentum_weighs != target.momentum_weighs:
        told.append("momentum = 1 - momentum")
    if source.stored_variance != target.stored_variance:
        factor = "(n - 1) / n" if target.stored_variance == "biased" else "n / (n - 1)"
        told.append(f"running_var *= {factor} ({N})")
    told = told or ["momentum and statistics as they are"]
    if source.cumulative and not target.cumulative:
        told.append("momentum None has no counterpart")
    return [*told, "give eps" if default_eps is None else f"give eps, the default is {default_eps:g}"]


def as_json(identity: Identity) -> str:
    """The identification as a JSON document."""
    return json.dumps(as_data(identity), indent=1)


def as_data(identity: Identity) -> dict[str, Any]:
    """The identification as JSON data."""
    answers: list[dict[str, Any]] = [
        {
            "field": answer.field,
            "value": answer.value,
            "word": identity.word(answer),
            "claimed": answer.claimed,
            "evidence": answer.evidence,
        }
        for answer in identity.answers
    ]
    return {
        "implementation": identity.name,
        "answers": answers,
        "claims": identity.stated(),
        "convert": conversions(identity),
        "dialect": asdict(identity.dialect),
        "decided": not _unknown(identity),
    }


def _unknown(identity: Identity) -> list[Answer]:
    """Fields that a conversion needs and that have no answer."""
    return [
        answer for answer in identity.answers if answer.field in CHOICES and (not answer.value or not answer.stated)
    ]
