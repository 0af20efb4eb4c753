"""Population statistics for models of PyTorch, Flax and Keras; see :func:`recompute_statistics`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bnconform_adapters.population.settling import Populations, compute_each

__all__ = ["recompute_statistics"]


def recompute_statistics(
    model: Any, batches: Iterable[Any], forward: Callable[[Any, Any], object] | None = None, *, variables: Any = None
) -> Any:
    """Give every batch norm of a trained model the statistics of an entire data set.

    A layer in inference then normalizes by the population that it sees in inference, not by moving averages from
    training (Ioffe and Szegedy 2015, Algorithm 2, step 10). The layers are computed one after the other, in the order
    of their calls. A layer's statistics are the mean and the variance of all its inputs while the layers before it
    normalize by *their* population statistics. So the result does not depend on how the data set is split into batches.
    The paper averages over training batches instead, in which each layer normalizes by the batch's own statistics. For
    the first batch norm of a model both estimate the same numbers. The variance is divided by n - 1 for PyTorch and by
    n for Flax and Keras, as their running variances are. Moments are computed in float64.

    The function reads the data set once for every batch norm. Nothing else in the model changes: parameters, modes and
    counts of batches stay. Other layers, such as dropout, run in inference mode meanwhile.

    Parameters
    ----------
    model : torch.nn.Module, flax.nnx.Module, keras.Model or flax.linen.Module
        In PyTorch, every module with buffers `running_mean` and `running_var` except instance norms, channels on axis
        1. In the others, the BatchNorm or BatchNormalization layers, on their own axis.
    batches : iterable that can be read more than once
        Batches of inputs, of any sizes. In a tuple or a list, as from a loader, the first element is the inputs.
    forward : callable, optional
        ``forward(model, batch)`` calls the model with a batch; the default passes the batch's inputs. A linen module
        needs ``forward(variables, inputs)``, which applies it in inference mode:
        ``lambda variables, inputs: model.apply(variables, inputs, train=False)``.
    variables : mapping
        Variables of a linen module, with the collections `params` and `batch_stats`.

    Returns
    -------
    The model, changed in place; for a linen module, new variables.

    Raises
    ------
    ValueError
        The model has no batch norm with running statistics, or the data do not reach one; the data set is empty, too
        small for its variance, or can be read only once; a linen module is applied in training mode; a Keras model is
        not built.
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
    compute_each(populations, batches)
    return populations.result()


def _populations(model: Any, forward: Callable[[Any, Any], object] | None, variables: Any) -> Populations:
    """Return the object that records and stores statistics of a model; import only the model's framework."""
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
