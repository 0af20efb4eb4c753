"""The NumPy layer: modes, state, dialects and refusals."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import bnconform_reference.layer
from bnconform_reference import BatchNorm, Dialect
from bnconform_reference.channel_axes import channel_rows, from_channel_rows
from bnconform_reference.definition import (
    backward_inference,
    backward_training,
    forward_inference,
    forward_training,
)
from bnconform_reference.double_double import high

SHAPES = [(6, 3), (4, 3, 5), (2, 3, 4, 5), (2, 3, 2, 3, 4)]


def values(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def state(layer: BatchNorm) -> dict[str, Any]:
    names = ("weight", "bias", "running_mean", "running_var", "batches_seen", "num_features", "training")
    return {name: np.copy(getattr(layer, name)) for name in names if hasattr(layer, name)}


def assert_same_state(before: dict[str, Any], after: dict[str, Any]) -> None:
    __tracebackhide__ = True
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name], err_msg=name)


def test_docstring_examples_run() -> None:
    """The example of the class is what it prints."""
    results = doctest.testmod(bnconform_reference.layer, extraglobs={"np": np})
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_default_layer_takes_channels_from_its_first_input(shape: tuple[int, ...]) -> None:
    """BatchNorm() works on (N, C) and (N, C, *spatial), with weight 1 and bias 0 for the C it meets."""
    layer = BatchNorm()
    y = layer(values(*shape))
    assert y.shape == shape
    assert y.dtype == np.float64
    assert layer.num_features == 3
    np.testing.assert_array_equal(layer.weight, np.ones(3))
    np.testing.assert_array_equal(layer.bias, np.zeros(3))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_layer_in_training_is_the_definition(shape: tuple[int, ...]) -> None:
    """In training mode the layer returns what the training formulas return for each channel's values."""
    layer, x, dy = BatchNorm(3), values(*shape), values(*shape, seed=1)
    layer.weight, layer.bias = values(3, seed=2), values(3, seed=3)
    forward = forward_training(channel_rows(x), layer.weight[:, None], layer.bias[:, None], layer.eps)
    gradients = backward_training(channel_rows(dy), layer.weight[:, None], forward)
    np.testing.assert_array_equal(layer(x), from_channel_rows(high(forward.y), shape))
    np.testing.assert_array_equal(layer.backward(dy), from_channel_rows(high(gradients.dx), shape))
    np.testing.assert_array_equal(layer.dweight, high(gradients.dweight)[:, 0])
    np.testing.assert_array_equal(layer.dbias, high(gradients.dbias)[:, 0])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_layer_in_inference_is_the_definition(shape: tuple[int, ...]) -> None:
    """In inference mode the layer returns what the inference formulas return for its running statistics."""
    layer, x, dy = BatchNorm(3).eval(), values(*shape), values(*shape, seed=1)
    layer.weight, layer.bias = values(3, seed=2), values(3, seed=3)
    layer.running_mean, layer.running_var = values(3, seed=4), values(3, seed=5) ** 2
    columns = (v[:, None] for v in (layer.weight, layer.bias, layer.running_mean, layer.running_var))
    forward = forward_inference(channel_rows(x), *columns, layer.eps)
    gradients = backward_inference(channel_rows(dy), layer.weight[:, None], forward)
    np.testing.assert_array_equal(layer(x), from_channel_rows(high(forward.y), shape))
    np.testing.assert_array_equal(layer.backward(dy), from_channel_rows(high(gradients.dx), shape))
    np.testing.assert_array_equal(layer.dweight, high(gradients.dweight)[:, 0])


def test_channel_is_normalized_over_batch_and_space_together() -> None:
    """Moving values between batch and spatial axes of a channel changes nothing."""
    x = values(4, 3, 2, 5)
    folded = BatchNorm()(np.moveaxis(x, 1, -1).reshape(-1, 3))
    np.testing.assert_array_equal(np.moveaxis(BatchNorm()(x), 1, -1).reshape(-1, 3), folded)


def test_inference_leaves_the_state_alone() -> None:
    """A call in inference mode moves no statistic."""
    layer = BatchNorm(3).eval()
    before = state(layer)
    layer(values(5, 3))
    assert_same_state(before, state(layer))


def test_mode_switches_return_the_layer() -> None:
    """train and eval switch which statistics normalize, and can be chained."""
    layer, x = BatchNorm(3), values(6, 3) + 5
    assert layer.eval() is layer
    assert not layer.training
    inference = layer(x)
    assert layer.train() is layer
    assert layer.training
    assert not np.array_equal(layer(x), inference)


def test_backward_follows_the_mode_of_its_forward() -> None:
    """A mode switch between forward and backward does not change which gradients are due."""
    x, dy = values(6, 3), values(6, 3, seed=1)
    layer, switched = BatchNorm(3), BatchNorm(3)
    layer(x)
    switched(x)
    np.testing.assert_array_equal(switched.eval().backward(dy), layer.backward(dy))


@pytest.mark.parametrize("stored", ["unbiased", "biased"])
def test_running_statistics_are_moving_averages(stored: Any) -> None:
    """Each training batch moves the statistics by momentum, with the divisor of the dialect, exactly here."""
    layer = BatchNorm(1, momentum=0.25, dialect=Dialect(stored_variance=stored))
    expected_mean, expected_var = 0.0, 1.0
    for shift in (0.0, 8.0, -4.0):  # mean `shift`, biased variance 3, unbiased 4: all binary fractions
        layer(np.array([[3.0], [-1.0], [-1.0], [-1.0]]) + shift)
        expected_mean += 0.25 * (shift - expected_mean)
        expected_var += 0.25 * ((4.0 if stored == "unbiased" else 3.0) - expected_var)
    assert layer.running_mean.tolist() == [expected_mean]
    assert layer.running_var.tolist() == [expected_var]
    assert layer.batches_seen == 3


def test_momentum_none_keeps_the_plain_average() -> None:
    """Without a momentum the statistics are averages over batches; the initial ones do not count."""
    layer = BatchNorm(1, momentum=None)
    for shift in (1.0, 3.0):
        layer(np.array([[1.0], [-1.0]]) * shift + shift)
    assert layer.running_mean.tolist() == [2.0]
    assert layer.running_var.tolist() == [10.0]  # unbiased variances 2 and 18


@pytest.mark.parametrize(("momentum", "mean"), [(0.0, 0.0), (1.0, 5.0)])
def test_momentum_ends_keep_or_replace(momentum: float, mean: float) -> None:
    """Momentum 0 never moves the statistics, 1 takes the last batch's."""
    layer = BatchNorm(1, momentum=momentum)
    layer(np.array([[4.0], [6.0]]))
    assert layer.running_mean.tolist() == [mean]


@pytest.mark.parametrize(("stored", "variance"), [("unbiased", 3.0), ("biased", 2.25)])
def test_population_statistics_are_those_of_the_data_set(stored: Any, variance: float) -> None:
    """use_population_statistics takes mean and variance of all batches together and switches to inference."""
    layer = BatchNorm(dialect=Dialect(stored_variance=stored))
    batches = [np.array([[1.0], [2.0]]), np.array([[5.0]]), np.zeros((0, 1)), np.array([[2.0]])]
    assert layer.use_population_statistics(batches) is layer
    assert not layer.training
    assert layer.running_mean.tolist() == [2.5]
    assert layer.running_var.tolist() == [variance]


def test_empty_batch_in_inference_is_empty() -> None:
    """Inference on no values returns none, and has zero parameter gradients."""
    layer = BatchNorm(3).eval()
    assert layer(np.zeros((0, 3, 2))).shape == (0, 3, 2)
    assert layer.backward(np.zeros((0, 3, 2))).shape == (0, 3, 2)
    assert layer.dweight.tolist() == [0.0] * 3


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 4), (2, 3, 0)], ids=str)
def test_empty_training_batch_keeps_the_statistics(shape: tuple[int, ...]) -> None:
    """By default a batch without values gives an empty y and dx, zero parameter gradients, and moves nothing."""
    layer = BatchNorm(3)
    before = state(layer)
    assert layer(np.zeros(shape)).shape == shape
    assert_same_state(before, state(layer))
    assert layer.backward(np.zeros(shape)).shape == shape
    assert layer.dweight.tolist() == layer.dbias.tolist() == [0.0] * 3


def test_one_value_gives_the_bias_where_the_dialect_says_so() -> None:
    """With one_value 'zero_variance', y is the bias, dx is 0 and the batch variance stored is 0."""
    layer = BatchNorm(2, momentum=0.5, dialect=Dialect(one_value="zero_variance"))
    layer.bias = np.array([0.5, -2.0])
    assert layer(np.array([[3.0, 7.0]])).tolist() == [[0.5, -2.0]]
    assert layer.running_mean.tolist() == [1.5, 3.5]
    assert layer.running_var.tolist() == [0.5, 0.5]
    assert layer.backward(np.array([[1.0, 5.0]])).tolist() == [[0.0, 0.0]]


def test_one_value_is_handed_on_where_the_dialect_says_so() -> None:
    """With one_value 'identity', y is x, dx is dy, the parameters' gradients are 0 and the statistics stay."""
    layer = BatchNorm(2, momentum=0.5, dialect=Dialect(one_value="identity"))
    layer.weight, layer.bias = np.array([2.0, 3.0]), np.array([0.5, -2.0])
    before = state(layer)
    assert layer(np.array([[3.0, 7.0]])).tolist() == [[3.0, 7.0]]
    assert_same_state(before, state(layer))
    assert layer.backward(np.array([[1.0, 5.0]])).tolist() == [[1.0, 5.0]]
    assert layer.dweight.tolist() == layer.dbias.tolist() == [0.0, 0.0]


def test_initial_statistics_are_the_dialects() -> None:
    """A new layer starts from the dialect's statistics."""
    layer = BatchNorm(2, dialect=Dialect(initial_mean=0.25, initial_variance=0.0))
    assert layer.running_mean.tolist() == [0.25, 0.25]
    assert layer.running_var.tolist() == [0.0, 0.0]


REFUSED_CALLS = [
    (lambda: BatchNorm(3), np.zeros(3), r"x has shape \(3,\); pass \(N, C\) or \(N, C, \*spatial\)"),
    (lambda: BatchNorm(3), np.zeros((4, 2)), "x has 2 channels on axis 1; this layer has 3"),
    (
        lambda: BatchNorm(3),
        np.zeros((1, 3)),
        r"x has shape \(1, 3\): training needs more than one value per channel",
    ),
    (
        lambda: BatchNorm(3, dialect=Dialect(empty_batch="raises")),
        np.zeros((0, 3)),
        r"x has shape \(0, 3\): no values per channel to train on",
    ),
    (BatchNorm, np.zeros((1, 3)), r"x has shape \(1, 3\): training needs more than one value per channel"),
]


@pytest.mark.parametrize(
    ("make", "x", "message"), REFUSED_CALLS, ids=["rank", "channels", "one value", "empty", "one value at first"]
)
def test_refused_call_says_why_and_changes_nothing(make: Callable[[], BatchNorm], x: np.ndarray, message: str) -> None:
    """A call that raises names the shape it got and leaves the layer as it was."""
    layer = make()
    before = state(layer)
    with pytest.raises(ValueError, match=message):
        layer(x)
    assert_same_state(before, state(layer))


def test_refused_call_leaves_the_backward_pass_of_the_last_one() -> None:
    """After a call that raises, backward still belongs to the call before it."""
    layer, other, x = BatchNorm(3), BatchNorm(3), values(5, 3)
    layer(x)
    other(x)
    with pytest.raises(ValueError, match="more than one value"):
        layer(np.zeros((1, 3)))
    np.testing.assert_array_equal(layer.backward(x), other.backward(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"eps": -1e-5}, "eps is -1e-05; pass 0 or more"),
        ({"momentum": 1.5}, r"momentum is 1.5; pass a weight of the new batch in \[0, 1\], or None"),
        ({"momentum": -0.1}, r"momentum is -0.1; pass a weight of the new batch in \[0, 1\], or None"),
        (
            {"momentum": None, "dialect": Dialect(cumulative=False)},
            "momentum is None, which this dialect does not offer; pass a number",
        ),
    ],
)
def test_bad_option_is_refused_with_what_to_pass(arguments: dict[str, Any], message: str) -> None:
    """The constructor names the option, what it got and what it takes."""
    with pytest.raises(ValueError, match=message):
        BatchNorm(3, **arguments)


def test_backward_before_forward_is_refused() -> None:
    """There is no gradient without a forward call."""
    with pytest.raises(ValueError, match="backward needs a forward call before it"):
        BatchNorm(3).backward(values(4, 3))


def test_backward_of_another_shape_is_refused() -> None:
    """dy has the shape of x."""
    layer = BatchNorm(3)
    layer(values(4, 3))
    with pytest.raises(ValueError, match=r"dy has shape \(5, 3\); the last x had \(4, 3\)"):
        layer.backward(values(5, 3))


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([np.zeros((1, 3))], "the set has 1 values per channel"),
        ([np.zeros((4, 2))], "the data set has 2 channels; this layer has 3"),
        ([], "the data set has no batches"),
    ],
    ids=["one value", "channels", "none"],
)
def test_refused_population_changes_nothing(batches: list[np.ndarray], message: str) -> None:
    """A data set that gives no statistics raises and leaves statistics and mode as they were."""
    layer = BatchNorm(3)
    before = state(layer)
    with pytest.raises(ValueError, match=message):
        layer.use_population_statistics(batches)
    assert_same_state(before, state(layer))


def test_refused_population_leaves_a_fresh_layer_fresh() -> None:
    """Channels are not taken from a data set that was refused."""
    layer = BatchNorm()
    with pytest.raises(ValueError, match="the set has 1 values per channel"):
        layer.use_population_statistics([np.zeros((1, 3))])
    assert layer.num_features is None
