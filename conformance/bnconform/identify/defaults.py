"""Defaults of a layer: read from the framework's own layer if there is one, else from the claims."""

from __future__ import annotations

from collections.abc import Iterator

from bnconform.identify.answers import Answer
from bnconform_adapters.claims import Claims
from bnconform_adapters.errors import AdapterError
from bnconform_adapters.layer_defaults import LayerDefaults, layer_defaults
from bnconform_adapters.registry import find

AXIS = "axis of the channels"


def own_defaults(name: str) -> LayerDefaults | None:
    """Defaults of the framework's own layer; None if there is no such implementation, or they cannot be read."""
    try:
        return layer_defaults(find(name))
    except AdapterError:
        return None


def defaults(claims: Claims, own: LayerDefaults | None) -> Iterator[Answer]:
    """The answers on default eps, default momentum and the channels axis, which no probe can show."""
    for field, claimed, name in (
        ("default eps", claims.default_eps, "eps"),
        ("default momentum", claims.default_momentum, "momentum"),
    ):
        if own is None:
            yield _claimed(field, claimed)
            continue
        value = getattr(own, name)
        told, said = _number(value), _number(claimed)
        yield Answer(field, told, f"{own.made} has it", "read", claimed=said, agrees=value == claimed)
    if own is None or not own.axis:
        why = "it takes arrays as this project has them" if own is None else f"{own.made} takes it from its caller"
        yield Answer(AXIS, "", why, "not measurable")
    else:
        yield Answer(AXIS, own.axis, f"{own.made}: along it each slice of y has mean 0 and variance 1", "read")


def initial(answer: Answer, own: LayerDefaults | None) -> Answer:
    """The answer on initial statistics, read from the framework's own layer if no probe shows them."""
    if answer.status != "not measurable" or own is None or own.mean is None or own.variance is None:
        return answer
    value = f"{own.mean:g} and {own.variance:g}"
    return Answer(answer.field, value, f"{own.made} starts with them", "read")


def _number(value: float | None) -> str:
    return "has to be given" if value is None else f"{value:g}"


def _claimed(field: str, value: float | None) -> Answer:
    if value is None:
        return Answer(field, "", "the claims name none, and every probe gives one", "not measurable")
    return Answer(field, f"{value:g}", "from the claims; every probe gives one", "documented")
