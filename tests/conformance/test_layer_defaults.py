"""What is read from a framework's own layer, and what becomes of a layer that cannot be read."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from bnconform.identify import identify
from bnconform_adapters import layer_defaults as module
from bnconform_adapters.layer_defaults import LayerDefaults, layer_defaults
from bnconform_adapters.registry import create, find

CALLS = import_module(f"bnconform_adapters.{find('reference').module}")
"""The module of calls of the reference."""


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


def answers() -> dict[str, tuple[str, str]]:
    """Field to how the answer about the reference was come by, and the answer."""
    identity = identify(create(find("reference")))
    return {answer.field: (identity.word(answer), answer.value) for answer in identity.answers}


def test_answers_are_read_from_the_layer() -> None:
    """Defaults and axis are answers that were read; initial statistics, too, where no probe shows them."""
    found = answers()
    assert found["default eps"] == ("read", "1e-05")
    assert found["default momentum"] == ("read", "0.1")
    assert found["axis of the channels"] == ("read", "axis 1")
    assert found["initial statistics"] == ("read", "0 and 1")


def test_layer_that_has_other_defaults_than_claimed_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that changes a default is told from its claim."""
    monkeypatch.setattr(CALLS, "defaults", lambda: {"made": "made", "eps": 1e-3, "momentum": 0.1, "mean": 0.0})
    found = answers()
    assert found["default eps"] == ("differs", "0.001")
    assert found["default momentum"][0] == "read"


def test_layer_that_cannot_be_read_leaves_the_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a framework raises does not end a run: the answer is then said to be from the claims."""

    def raising() -> dict[str, Any]:
        raise AttributeError("moving_mean")

    monkeypatch.setattr(CALLS, "defaults", raising)
    assert layer_defaults(find("reference")) is None
    found = answers()
    assert found["default eps"] == ("documented", "1e-05")
    assert found["axis of the channels"] == ("not measurable", "")


def test_warnings_of_a_framework_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning on the way, an error in a session like this one, changes nothing."""

    def warning() -> dict[str, Any]:
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        return {"made": "made", "eps": np.float32(0.5)}

    monkeypatch.setattr(CALLS, "defaults", warning)
    assert layer_defaults(find("reference")) == LayerDefaults("made", 0.5)
