"""All answers about one implementation, put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeVar, get_args, get_type_hints

from bnconform.deviations import ledger
from bnconform.identify.answers import Answer
from bnconform.identify.arithmetic import dtypes_beside_half, grade
from bnconform.identify.averaging import Averaging, averaging, sense_of_momentum, stored_variance
from bnconform.identify.defaults import defaults, initial, own_defaults
from bnconform.identify.edges import empty_batch, one_value
from bnconform.identify.first_steps import debiasing, initial_statistics, momentum_none
from bnconform.identify.inference import inference_by, negative_variance, without_statistics
from bnconform.identify.normalizer import Normalizer, least_eps, normalizer, normalizing_variance, place_of_eps
from bnconform.identify.probe import Probe, Unanswered
from bnconform_adapters.contract import Adapter
from bnconform_reference.dialect import Dialect

T = TypeVar("T")
Word = Literal["agrees", "differs", "known", "no claim", "undecided", "not measurable", "documented", "read"]


@dataclass(frozen=True)
class Identity:
    """The answers about an implementation.

    Attributes
    ----------
    name : str
    answers : tuple of Answer
    dialect : Dialect
        The claimed dialect, with measured choices in their place.
    """

    name: str
    answers: tuple[Answer, ...]
    dialect: Dialect

    def word(self, answer: Answer) -> Word:
        """The relation of an answer to the claims, in a word."""
        if answer.status == "read" and answer.agrees is False:
            return "differs"
        if answer.status != "measured":
            return answer.status
        if answer.agrees is None:
            return "no claim"
        if answer.agrees:
            return "agrees"
        return "known" if any(ledger.find(self.name, law) for law in answer.laws) else "differs"

    def stated(self) -> dict[str, Any]:
        """The CLAIMS that state what was measured, where they differ."""
        found: dict[str, Any] = {}
        differing = [answer for answer in self.answers if self.word(answer) == "differs"]
        for answer in differing:
            found |= answer.stated or {}
        if any(answer.stated is None for answer in differing):
            found.pop("grade", None)  # an answer that no claim can state is a fault, and shows in every error
        return found

    def answer(self, field: str) -> Answer:
        """The answer of a field."""
        return next(answer for answer in self.answers if answer.field == field)


def identify(adapter: Adapter) -> Identity:
    """Find out the dialect of an implementation.

    Parameters
    ----------
    adapter : Adapter
        If it runs in a worker, crashes and hangs become answers.
    """
    probe = Probe(adapter)
    answers = tuple(_answers(probe))
    return Identity(adapter.name, answers, _dialect(adapter.claims.dialect, answers))


def _dialect(claimed: Dialect, answers: tuple[Answer, ...]) -> Dialect:
    """The claimed dialect with the measured choices."""
    hints = get_type_hints(Dialect)
    measured = {
        key: value
        for answer in answers
        for key, value in (answer.stated or {}).items()
        if key in hints and (value in get_args(hints[key]) or isinstance(value, bool))
    }
    return replace(claimed, **measured)


def _answers(probe: Probe) -> Iterator[Answer]:
    own = own_defaults(probe.adapter.name)
    moved, why = _try(lambda: averaging(probe))
    yield from _of_averaging(probe, moved, why)
    yield initial(_one("initial statistics", lambda: initial_statistics(probe)), own)
    yield from _of_normalizers(probe)
    edges = {"one value per channel": one_value, "empty batch": empty_batch}
    for field, measure in edges.items():
        yield _none(field, why) if moved is None else _one(field, partial(measure, probe, moved))
    try:
        yield from dtypes_beside_half(probe)
    except Unanswered as unanswered:
        yield _none("dtypes beside half x", unanswered)
    yield _one("grade of arithmetic", lambda: _grade(probe, moved))
    yield from defaults(probe.claims, own)


def _try(measure: Callable[[], T]) -> tuple[T | None, Unanswered]:
    """A measurement, or the reason why there is none."""
    try:
        return measure(), Unanswered("")
    except Unanswered as unanswered:
        return None, unanswered


def _none(field: str, why: Unanswered) -> Answer:
    """An answer "unknown" with its reason; a call that ended the process is an answer."""
    if why.fatal:
        return Answer(field, str(why), "the probe ended the process", agrees=False)
    return Answer(field, "", str(why), "not measurable")


def _one(field: str, measure: Callable[[], Answer]) -> Answer:
    answer, why = _try(measure)
    return answer or _none(field, why)


def _after(ordinary: object, why: Unanswered, field: str, measure: Callable[[], Answer]) -> Answer:
    """An answer that takes an exception into account only if ordinary calls raise none."""
    return _none(field, why) if ordinary is None else _one(field, measure)


def _of_averaging(probe: Probe, moved: Averaging | None, why: Unanswered) -> Iterator[Answer]:
    if moved is None:
        for field in ("momentum weighs", "stored variance", "debiasing of running statistics"):
            yield _none(field, why)
    else:
        found = moved
        yield sense_of_momentum(probe, found)
        yield stored_variance(probe, found)
        yield _one("debiasing of running statistics", lambda: debiasing(probe, found))
    yield _after(moved, why, "momentum None", lambda: momentum_none(probe))


def _of_normalizers(probe: Probe) -> Iterator[Answer]:
    def least(found: Normalizer) -> Answer:
        return least_eps(found, probe.claims.eps_min)

    def each(found: Normalizer | None, why: Unanswered, field: str, measure: Callable[[Normalizer], Answer]) -> Answer:
        return _none(field, why) if found is None else measure(found)

    training = _try(lambda: normalizer(probe, "training"))
    inference = _try(lambda: normalizer(probe, "inference"))
    yield each(*training, "variance that normalizes", normalizing_variance)
    yield each(*training, "place of eps in training", lambda found: place_of_eps(found, "training"))
    yield each(*inference, "place of eps in inference", lambda found: place_of_eps(found, "inference"))
    yield each(*(inference if training[0] is None else training), "smallest eps honoured", least)
    yield each(*inference, "inference normalizes by", inference_by)
    yield _after(*inference, "inference without statistics", lambda: without_statistics(probe))
    yield _after(*inference, "negative running variance", lambda: negative_variance(probe))


def _grade(probe: Probe, moved: Averaging | None) -> Answer:
    """Measure by the weight and the stored variance that were found, so that a dialect does not count as rounding."""
    weight, dialect = 0.1, probe.claims.dialect
    if moved is not None and moved.weight is not None:
        weight = moved.weight(0.1)
        stored = stored_variance(probe, moved).stated or {}
        dialect = replace(dialect, **stored)
    return grade(probe, dialect, weight)
