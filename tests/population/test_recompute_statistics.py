"""recompute_statistics against the population's statistics computed layer by layer, in every framework."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from bnconform_adapters.frameworks import import_framework
from bnconform_adapters.population import recompute_statistics

SAMPLES, SIDE, CHANNELS = 23, 4, (3, 5)
CUTS = ([23], [8, 8, 7], [1, 2, 20])


def images() -> Any:
    """A data set (23, 4, 4, 1) whose mean and variance change from sample to sample."""
    rng = np.random.default_rng(0)
    scale = rng.uniform(0.5, 3.0, (SAMPLES, 1, 1, 1))
    return (rng.standard_normal((SAMPLES, SIDE, SIDE, 1)) * scale + rng.uniform(-1, 1)).astype(np.float32)


def cut(data: Any, sizes: list[int]) -> list[Any]:
    """The data set in batches of these sizes."""
    return np.split(data, np.cumsum(sizes)[:-1])


@dataclass
class Model:
    """A convolution, a batch norm, dropout, a dense layer and another batch norm, with what a test asks of it.

    Attributes
    ----------
    recompute : callable
        Recomputes its statistics over batches (N, 4, 4, 1).
    statistics : callable
        Mean and variance of either batch norm.
    before : callable
        What comes to batch norm 0, and to 1 if batch norm 0 normalizes by given mean and variance, of all data.
    unbiased : bool
    """

    recompute: Callable[[list[Any]], None]
    statistics: Callable[[], list[tuple[Any, Any]]]
    before: Callable[[Any], list[Any]]
    unbiased: bool


EPS = 1e-3


def torch_model() -> Model:
    """In PyTorch, channels on axis 1."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    norms = torch.nn.BatchNorm2d(CHANNELS[0], eps=EPS), torch.nn.BatchNorm1d(CHANNELS[1], eps=EPS)
    first = torch.nn.Conv2d(1, CHANNELS[0], 3)
    second = torch.nn.Linear(CHANNELS[0] * 4, CHANNELS[1])
    model = torch.nn.Sequential(
        first, norms[0], torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Flatten(), second, norms[1]
    )
    torch.nn.init.normal_(norms[0].weight)

    def given(batch: Any) -> Any:
        return torch.from_numpy(np.moveaxis(batch, -1, 1).copy())

    def before(data: Any) -> list[Any]:
        with torch.no_grad():
            one = first(given(data))
            rows = np.moveaxis(one.double().numpy(), 1, -1)
            mean, var = rows.mean((0, 1, 2)), rows.var((0, 1, 2), ddof=1)
            y = (rows - mean) / np.sqrt(var + EPS) * norms[0].weight.numpy() + norms[0].bias.numpy()
            flat = np.moveaxis(np.maximum(y, 0), -1, 1).reshape(len(data), -1)
            return [rows, second.double()(torch.from_numpy(flat)).numpy()]

    def recompute(batches: list[Any]) -> None:
        labelled = [(given(batch), None) for batch in batches]  # as a loader has it
        assert recompute_statistics(model, labelled) is model
        assert all(module.training for module in model.modules())
        assert all(int(norm.num_batches_tracked) == 0 for norm in norms)
        assert not any(norm._forward_pre_hooks for norm in norms)

    def statistics() -> list[tuple[Any, Any]]:
        return [(norm.running_mean.numpy(), norm.running_var.numpy()) for norm in norms]

    return Model(recompute, statistics, before, unbiased=True)


def _after_norm(rows: Any, scale: Any, shift: Any) -> Any:
    """What a biased batch norm with the population's statistics and then ReLU make of rows (..., C)."""
    axes = tuple(range(rows.ndim - 1))
    mean, var = rows.mean(axes), rows.var(axes)
    return np.maximum((rows - mean) / np.sqrt(var + EPS) * scale + shift, 0)


def linen_model() -> Model:
    """In Flax linen."""
    pytest.importorskip("flax")
    import jax
    from flax import linen

    class Net(linen.Module):
        @linen.compact
        def __call__(self, x: Any, train: bool) -> Any:
            x = linen.Conv(CHANNELS[0], (3, 3), padding="VALID", name="first")(x)
            x = linen.relu(linen.BatchNorm(epsilon=EPS, name="one")(x, use_running_average=not train))
            x = linen.Dropout(0.5, deterministic=not train)(x).reshape(len(x), -1)
            x = linen.Dense(CHANNELS[1], name="second")(x)
            return linen.BatchNorm(epsilon=EPS, name="two", use_running_average=not train)(x)

    model = Net()
    variables = model.init(jax.random.key(0), images(), train=False)
    kept = [variables]

    def before(data: Any) -> list[Any]:
        parameters = jax.tree.map(lambda value: np.asarray(value, np.float64), variables["params"])
        windows = np.lib.stride_tricks.sliding_window_view(data[..., 0].astype(np.float64), (3, 3), axis=(1, 2))
        rows = (
            np.einsum("nijab,abc->nijc", windows, parameters["first"]["kernel"][:, :, 0]) + parameters["first"]["bias"]
        )
        flat = _after_norm(rows, parameters["one"]["scale"], parameters["one"]["bias"]).reshape(len(data), -1)
        return [rows, flat @ parameters["second"]["kernel"] + parameters["second"]["bias"]]

    def recompute(batches: list[Any]) -> None:
        forward = lambda variables, batch: model.apply(variables, batch, train=False)  # noqa: E731
        old = jax.tree.map(np.asarray, variables)
        kept[0] = recompute_statistics(model, batches, forward, variables=variables)
        jax.tree.map(np.testing.assert_array_equal, jax.tree.map(np.asarray, variables), old)
        jax.tree.map(np.testing.assert_array_equal, kept[0]["params"], variables["params"])

    def statistics() -> list[tuple[Any, Any]]:
        return [(s["mean"], s["var"]) for s in (kept[0]["batch_stats"]["one"], kept[0]["batch_stats"]["two"])]

    return Model(recompute, statistics, before, unbiased=False)


def nnx_model() -> Model:
    """In Flax nnx."""
    pytest.importorskip("flax")
    import jax
    from flax import nnx

    class Net(nnx.Module):
        def __init__(self) -> None:
            rngs = nnx.Rngs(0)
            self.first = nnx.Conv(1, CHANNELS[0], (3, 3), padding="VALID", rngs=rngs)
            self.one = nnx.BatchNorm(CHANNELS[0], epsilon=EPS, rngs=rngs)
            self.dropout = nnx.Dropout(0.5, rngs=rngs)
            self.second = nnx.Linear(CHANNELS[0] * 4, CHANNELS[1], rngs=rngs)
            self.two = nnx.BatchNorm(CHANNELS[1], epsilon=EPS, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            x = self.dropout(jax.nn.relu(self.one(self.first(x)))).reshape(len(x), -1)
            return self.two(self.second(x))

    model = Net()
    own_call = nnx.BatchNorm.__call__

    def before(data: Any) -> list[Any]:
        first, second, one = model.first, model.second, model.one
        windows = np.lib.stride_tricks.sliding_window_view(data[..., 0].astype(np.float64), (3, 3), axis=(1, 2))
        kernel = np.asarray(first.kernel[...], np.float64)[:, :, 0]
        rows = np.einsum("nijab,abc->nijc", windows, kernel) + np.asarray(first.bias[...])
        flat = _after_norm(rows, np.asarray(one.scale[...]), np.asarray(one.bias[...])).reshape(len(data), -1)
        return [rows, flat @ np.asarray(second.kernel[...], np.float64) + np.asarray(second.bias[...])]

    def recompute(batches: list[Any]) -> None:
        assert recompute_statistics(model, batches) is model
        assert not model.one.use_running_average
        assert not model.dropout.deterministic
        assert nnx.BatchNorm.__call__ is own_call

    def statistics() -> list[tuple[Any, Any]]:
        return [(norm.mean[...], norm.var[...]) for norm in (model.one, model.two)]

    return Model(recompute, statistics, before, unbiased=False)


def keras_model() -> Model:
    """In Keras, the second batch norm inside a model of its own."""
    pytest.importorskip("keras")
    keras = import_framework("keras")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    first, second = layers.Conv2D(CHANNELS[0], 3), layers.Dense(CHANNELS[1])
    norms = layers.BatchNormalization(epsilon=EPS), layers.BatchNormalization(epsilon=EPS)
    inner = keras.Sequential([second, norms[1]])
    model = keras.Sequential(
        [keras.Input((SIDE, SIDE, 1)), first, norms[0], layers.ReLU(), layers.Dropout(0.5), layers.Flatten(), inner]
    )

    def before(data: Any) -> list[Any]:
        windows = np.lib.stride_tricks.sliding_window_view(data[..., 0].astype(np.float64), (3, 3), axis=(1, 2))
        rows = np.einsum("nijab,abc->nijc", windows, np.asarray(first.kernel, np.float64)[:, :, 0])
        rows = rows + np.asarray(first.bias)
        flat = _after_norm(rows, np.asarray(norms[0].gamma), np.asarray(norms[0].beta)).reshape(len(data), -1)
        return [rows, flat @ np.asarray(second.kernel, np.float64) + np.asarray(second.bias)]

    def recompute(batches: list[Any]) -> None:
        assert recompute_statistics(model, batches) is model
        assert not any("call" in vars(norm) for norm in norms)

    def statistics() -> list[tuple[Any, Any]]:
        return [(np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)) for norm in norms]

    return Model(recompute, statistics, before, unbiased=False)


MODELS = {"torch": torch_model, "flax.linen": linen_model, "flax.nnx": nnx_model, "keras": keras_model}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("sizes", CUTS, ids=str)
def test_statistics_are_those_of_the_population(name: str, sizes: list[int]) -> None:
    """Each layer gets mean and variance of what comes to it from the whole data set, however that is cut."""
    model, data = MODELS[name](), images()
    model.recompute(cut(data, sizes))
    for (mean, variance), rows in zip(model.statistics(), model.before(data), strict=True):
        axes = tuple(range(rows.ndim - 1))
        np.testing.assert_allclose(mean, rows.mean(axes), rtol=2e-5, atol=2e-6)
        np.testing.assert_allclose(variance, rows.var(axes, ddof=int(model.unbiased)), rtol=2e-5)


def test_fused_kernels_module_is_recomputed_too() -> None:
    """Any module with BatchNorm's buffers counts; an instance norm that tracks statistics does not."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("triton")
    from bnconform_adapters.fused_triton import FusedBatchNorm

    tracking = torch.nn.InstanceNorm1d(3, track_running_stats=True)
    model = torch.nn.Sequential(tracking, FusedBatchNorm(3))
    x = torch.randn(4, 3, 6, generator=torch.Generator().manual_seed(0))
    recompute_statistics(model, [x])
    np.testing.assert_allclose(model[1].running_var.numpy(), x.numpy().var((0, 2), ddof=1), rtol=1e-4)
    assert tracking.running_mean.tolist() == [0, 0, 0]


def test_shared_layer_gets_all_that_comes_to_it() -> None:
    """A layer that is called twice gets the statistics of both calls' values."""
    torch = pytest.importorskip("torch")
    norm = torch.nn.BatchNorm1d(1)
    data = torch.tensor([[1.0], [2.0], [6.0]])
    recompute_statistics(norm, [data], lambda norm, x: (norm(x), norm(10 * x)))
    both = np.array([1, 2, 6, 10, 20, 60.0])
    np.testing.assert_allclose(norm.running_mean.numpy(), [both.mean()], rtol=1e-6)
    np.testing.assert_allclose(norm.running_var.numpy(), [both.var(ddof=1)], rtol=1e-6)


def test_masked_values_do_not_count_in_keras() -> None:
    """What a mask leaves out is left out of the statistics, as in training."""
    pytest.importorskip("keras")
    keras = import_framework("keras")
    model = keras.Sequential(
        [keras.Input((3, 1)), keras.layers.Masking(mask_value=-9.0), keras.layers.BatchNormalization()]
    )
    recompute_statistics(model, [np.array([[[1.0], [-9.0], [3.0]], [[5.0], [-9.0], [-9.0]]], np.float32)])
    norm = model.layers[-1]
    np.testing.assert_allclose(np.asarray(norm.moving_mean), [3.0], rtol=1e-6)
    np.testing.assert_allclose(np.asarray(norm.moving_variance), [8 / 3], rtol=1e-6)


@pytest.mark.parametrize("kind", ["linen", "nnx"])
def test_masked_values_do_not_count_in_flax(kind: str) -> None:
    """As in Flax' own statistics, a mask says which positions count; one that tells channels apart is refused."""
    pytest.importorskip("flax")
    from flax import linen, nnx

    x, mask = np.array([[1.0, 10.0], [-9.0, -9.0], [3.0, 40.0]], np.float32), np.array([[True], [False], [True]])

    def recomputed(mask: Any) -> Any:
        if kind == "linen":
            model = linen.BatchNorm(use_running_average=True)
            variables = {"params": {}, "batch_stats": {"mean": np.zeros(2, "f4"), "var": np.ones(2, "f4")}}
            variables["params"] = {"scale": np.ones(2, "f4"), "bias": np.zeros(2, "f4")}
            found = recompute_statistics(model, [x], lambda v, x: model.apply(v, x, mask=mask), variables=variables)
            return found["batch_stats"]["mean"], found["batch_stats"]["var"]
        norm = nnx.BatchNorm(2, use_running_average=True, rngs=nnx.Rngs(0))
        recompute_statistics(norm, [x], lambda norm, x: norm(x, mask=mask))
        return norm.mean[...], norm.var[...]

    mean, var = recomputed(mask)
    np.testing.assert_allclose(np.asarray(mean), [2.0, 25.0], rtol=1e-6)
    np.testing.assert_allclose(np.asarray(var), [1.0, 225.0], rtol=1e-6)
    with pytest.raises(ValueError, match="has a mask that differs between channels"):
        recomputed(np.array([[True, False], [True, True], [True, True]]))


def test_layer_that_is_called_by_keyword_is_recorded() -> None:
    """In PyTorch ``norm(input=x)`` is a call like ``norm(x)``."""
    torch = pytest.importorskip("torch")
    norm = torch.nn.BatchNorm1d(1)
    recompute_statistics(norm, [torch.tensor([[1.0], [3.0]])], lambda norm, x: norm(input=x))
    assert (norm.running_mean.tolist(), norm.running_var.tolist()) == ([2.0], [2.0])


def _named_alike() -> Any:
    """A Keras model of two parts that have one name, as have the batch norms in them."""
    keras = import_framework("keras")

    class Part(keras.layers.Layer):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__(name="part")
            self.norm = keras.layers.BatchNormalization(name="norm")

        def build(self, shape: Any) -> None:
            self.norm.build(shape)
            super().build(shape)

        def call(self, x: Any, training: bool = False) -> Any:
            return self.norm(x, training=training)

    class Net(keras.Model):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = Part(), Part()

        def call(self, x: Any, training: bool = False) -> Any:
            return self.second(self.first(x, training=training), training=training)

    return Net()


def test_keras_layers_of_one_name_are_all_recomputed() -> None:
    """Paths of layers are not unique in Keras; and a model that was never called is told so."""
    pytest.importorskip("keras")
    model, x = _named_alike(), np.array([[1.0], [3.0], [8.0]], np.float32)
    with pytest.raises(ValueError, match="'norm' is not built; call the model once"):
        recompute_statistics(model, [x])
    model(x)
    recompute_statistics(model, [x])
    means = [np.asarray(part.norm.moving_mean.numpy()) for part in (model.first, model.second)]
    np.testing.assert_allclose(means, [[4.0], [0.0]], atol=1e-6)
    np.testing.assert_allclose(np.asarray(model.first.norm.moving_variance.numpy()), [26 / 3], rtol=1e-6)


def _torch_errors() -> list[tuple[Any, Any, str]]:
    torch = pytest.importorskip("torch")
    norm, x = torch.nn.BatchNorm1d(2), torch.ones(3, 2)

    class HalfUsed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)

        def forward(self, x: Any) -> Any:
            return self.used(x)

    return [
        (norm, iter([x]), "only once; pass a list"),
        (norm, [], "no batches"),
        (norm, [x[:1]], "needs at least 2"),
        (torch.nn.Linear(2, 2), [x], "no batch norm with running statistics"),
        (torch.nn.BatchNorm1d(2, track_running_stats=False), [x], "no batch norm with running statistics"),
        (HalfUsed(), [x], "no data reach batch norm 'unused'"),
    ]


@pytest.mark.parametrize("number", range(6))
def test_what_cannot_be_recomputed_is_refused(number: int) -> None:
    """One line says what to do."""
    model, batches, told = _torch_errors()[number]
    with pytest.raises(ValueError, match=told):
        recompute_statistics(model, batches)


def test_model_of_another_kind_is_refused() -> None:
    """What is no model of a framework is told which are."""
    with pytest.raises(TypeError, match="a model of type dict; pass one of torch, flax"):
        recompute_statistics({}, [])


def test_linen_module_needs_variables_and_inference() -> None:
    """A linen module without variables, in training mode or under jit is refused with what to pass."""
    pytest.importorskip("flax")
    import jax
    from flax import linen

    class Net(linen.Module):
        @linen.compact
        def __call__(self, x: Any, train: bool) -> Any:
            return linen.BatchNorm(use_running_average=not train)(x)

    model, x = Net(), np.ones((3, 2), np.float32)
    variables = model.init(jax.random.key(0), x, train=False)
    with pytest.raises(ValueError, match="pass variables="):
        recompute_statistics(model, [x])
    forward = lambda v, x: model.apply(v, x, train=True, mutable=["batch_stats"])  # noqa: E731
    with pytest.raises(ValueError, match="training mode; let forward apply"):
        recompute_statistics(model, [x], forward, variables=variables)
    jitted = jax.jit(lambda v, x: model.apply(v, x, train=False))
    with pytest.raises(ValueError, match="inside a transformation, such as jit"):
        recompute_statistics(model, [x], jitted, variables=variables)
