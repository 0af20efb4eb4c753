"""What is read from a framework's own layer, and what becomes of a layer that cannot be read."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from bnconform.identify import identify
from bnconform_adapters import layer_defaults as module
from bnconform_adapters.layer_defaults import LayerDefaults, layer_defaults
from bnconform_adapters.registry import create, find


def normalizing(*axes: int) -> Any:
    """A batch norm that reduces over these axes."""
    return lambda x: (x - x.mean(axis=axes, keepdims=True)) / x.std(axis=axes, keepdims=True)


@pytest.mark.parametrize(
    ("reduced", "axis"), [((0, 2), "axis 1"), ((0, 1), "the last"), ((1, 2), "axis 0"), ((2,), ""), ((0, 1, 2), "")]
)
def test_axis_is_the_one_that_is_not_reduced(reduced: tuple[int, ...], axis: str) -> None:
    """A layer's channels lie along the axis whose slices it normalizes; one that normalizes otherwise has none."""
    assert module._with_axis(LayerDefaults("made"), normalizing(*reduced)).axis == axis


def test_rank_of_images() -> None:
    """The last of four axes is the last, too."""
    assert module._with_axis(LayerDefaults("made"), normalizing(0, 1, 2), rank=4).axis == "the last"
    assert module._with_axis(LayerDefaults("made"), normalizing(0, 2, 3), rank=4).axis == "axis 1"


def words(field: str) -> dict[str, str]:
    """How the answer of a field about the reference was come by, and the answer."""
    identity = identify(create(find("reference")))
    answer = identity.answer(field)
    return {"word": identity.word(answer), "value": answer.value}


def test_answers_are_read_from_the_layer() -> None:
    """Defaults and axis are answers that were read; initial statistics, too, where no probe shows them."""
    assert words("default eps") == {"word": "read", "value": "1e-05"}
    assert words("default momentum") == {"word": "read", "value": "0.1"}
    assert words("axis of the channels") == {"word": "read", "value": "axis 1"}
    assert words("initial statistics") == {"word": "read", "value": "0 and 1"}


def test_layer_that_has_other_defaults_than_claimed_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that changes a default is told from its claim."""
    monkeypatch.setitem(module.READ, "reference", lambda: LayerDefaults("made", 1e-3, 0.1, 0.0, 1.0, "axis 1"))
    assert words("default eps") == {"word": "differs", "value": "0.001"}
    assert words("default momentum")["word"] == "read"


def test_layer_that_cannot_be_read_leaves_the_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a framework raises does not end a run: the answer is then said to be from the claims."""

    def raising() -> LayerDefaults:
        raise AttributeError("moving_mean")

    monkeypatch.setitem(module.READ, "reference", raising)
    assert layer_defaults(find("reference")) is None
    assert words("default eps") == {"word": "documented", "value": "1e-05"}
    assert words("axis of the channels") == {"word": "not measurable", "value": ""}


def test_warnings_of_a_framework_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning on the way, an error in a session like this one, changes nothing."""

    def warning() -> LayerDefaults:
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        return LayerDefaults("made", float(np.float32(0.5)))

    monkeypatch.setitem(module.READ, "reference", warning)
    assert layer_defaults(find("reference")) == LayerDefaults("made", 0.5)
