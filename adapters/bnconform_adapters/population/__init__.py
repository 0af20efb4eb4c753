"""Population statistics for models of PyTorch, Flax and Keras, see :func:`recompute_statistics`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bnconform_adapters.population.settling import Populations, again_and_again

__all__ = ["recompute_statistics"]


def recompute_statistics(
    model: Any, batches: Iterable[Any], forward: Callable[[Any, Any], object] | None = None, *, variables: Any = None
) -> Any:
    """Give every batch norm of a trained model the statistics of an entire data set.

    Inference then normalizes by the population that a layer sees in inference, not by moving averages of what it saw in
    training (Ioffe and Szegedy 2015, Algorithm 2, step 10). Layers are settled one after the other, in the order in
    which they are called: the mean and the variance of all values that come to a layer while the layers before it
    normalize by *their* population statistics. So the result does not depend on how the data set is cut into batches.
    The paper averages over training batches instead, whose layers normalize each batch by its own statistics; for the
    first batch norm of a model both are estimates of the same numbers. The variance is divided by n - 1 where the
    layer's own running variance is (PyTorch), and by n where that is (Flax, Keras). Moments are computed in float64.

    The data set is gone through once for every batch norm. Nothing else of the model changes: parameters, modes and
    counts of batches are as before; other layers, such as dropout, run in inference mode meanwhile.

    Parameters
    ----------
    model : torch.nn.Module, flax.nnx.Module, keras.Model or flax.linen.Module
        In PyTorch every module with buffers `running_mean` and `running_var` counts, but for instance norms; channels
        are on axis 1. In the others their BatchNorm or BatchNormalization layers, on their own axis.
    batches : iterable that can be gone through more than once
        Batches of inputs, of any sizes; of a tuple or a list, as a loader gives them, the first is the inputs.
    forward : callable, optional
        ``forward(model, batch)`` puts a batch to the model; by default it calls the model with the batch's inputs. For
        a linen module, which needs it, ``forward(variables, inputs)`` applies it in inference mode, as in
        ``lambda variables, inputs: model.apply(variables, inputs, train=False)``.
    variables : mapping
        Of a linen module, with the collections `params` and `batch_stats`.

    Returns
    -------
    The model, changed in place; of a linen module, new variables.

    Raises
    ------
    ValueError
        The model has no batch norm with running statistics, or one that the data do not reach; the data set is empty,
        too small for its variance, or can be gone through once only; a linen module is applied in training mode; a
        Keras model is not built.
    TypeError
        The model is of another kind.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.BatchNorm1d(1), torch.nn.ReLU(), torch.nn.BatchNorm1d(1))
    >>> model = recompute_statistics(model, [torch.tensor([[1.0], [3.0]]), torch.tensor([[5.0]])])
    >>> model[0].running_mean.tolist(), model[0].running_var.tolist()
    ([3.0], [4.0])
    """
    populations = _populations(model, forward, variables)
    again_and_again(populations, batches)
    return populations.result()


def _populations(model: Any, forward: Callable[[Any, Any], object] | None, variables: Any) -> Populations:
    """What records and stores statistics in a model of this kind; only its own framework is imported."""
    kinds = {f"{base.__module__.partition('.')[0]}.{base.__name__}" for base in type(model).__mro__}
    if "torch.Module" in kinds and "keras.Layer" not in kinds:
        from bnconform_adapters.population.torch_models import TorchPopulations

        return TorchPopulations(model, forward)
    if "keras.Layer" in kinds:
        from bnconform_adapters.population.keras_models import KerasPopulations

        return KerasPopulations(model, forward)
    if "flax.Module" in kinds:
        from bnconform_adapters.population.flax_models import LinenPopulations, NNXPopulations, is_linen

        return LinenPopulations(forward, variables) if is_linen(model) else NNXPopulations(model, forward)
    raise TypeError(f"a model of type {type(model).__name__}; pass one of torch, flax.linen, flax.nnx or keras")
