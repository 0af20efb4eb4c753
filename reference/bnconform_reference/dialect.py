"""Dialects: choices in which correct implementations of batch normalization differ."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Dialect:
    """Choices that the definition leaves open and an implementation's documentation decides.

    The default is PyTorch's documented behaviour.

    Attributes
    ----------
    momentum_weighs : {"new", "old"}
        Term of the running update that the implementation's own `momentum` multiplies. Inside this project momentum
        always weighs the new batch; adapters convert it.
    stored_variance : {"unbiased", "biased"}
        Divisor of the variance that enters the running variance: n - 1 or n.
    one_value : {"raises", "zero_variance", "identity"}
        Result of training on one value per channel: an exception; or y = bias and a batch variance of 0; or y = x,
        gradients of the parameters 0, and unchanged statistics.
    empty_batch : {"keeps", "raises"}
        Result of training on an empty batch: an empty y and unchanged statistics, or an exception.
    cumulative : bool
        Whether momentum None is accepted, and gives the plain average over all batches seen.
    initial_mean, initial_variance : float
        Running statistics of a new layer.
    debiased : bool
        Whether running statistics are divided by the weight of the batches seen, as in Adam, so that the first batch
        replaces the initial values.
    """

    momentum_weighs: Literal["new", "old"] = "new"
    stored_variance: Literal["unbiased", "biased"] = "unbiased"
    one_value: Literal["raises", "zero_variance", "identity"] = "raises"
    empty_batch: Literal["keeps", "raises"] = "keeps"
    cumulative: bool = True
    initial_mean: float = 0.0
    initial_variance: float = 1.0
    debiased: bool = False

    def bessel_factor(self, n: int) -> float:
        """Return the factor from the biased variance of n values to the stored one.

        The factor is n/(n-1) for an unbiased stored variance; 1 for a biased one and for n = 1, whose variance is 0.
        """
        return n / (n - 1) if self.stored_variance == "unbiased" and n > 1 else 1.0


PYTORCH = Dialect()
FLAX = Dialect(momentum_weighs="old", stored_variance="biased", one_value="zero_variance", cumulative=False)
KERAS = FLAX
HAIKU = replace(FLAX, initial_variance=0.0, debiased=True)
EQUINOX = replace(FLAX, debiased=True)
TENSORFLOW_FUSED = Dialect(stored_variance="unbiased", one_value="zero_variance", cumulative=False)
"""Dialect of tf.compat.v1.nn.fused_batch_norm, whose exponential_avg_factor weighs the new batch."""

PADDLE = Dialect(momentum_weighs="old", stored_variance="biased", one_value="identity", cumulative=False)
"""Dialect of paddle.nn.BatchNorm1D, 2D and 3D, which skip a feature of one element since Paddle's issue 11445."""

FAMILIES = {"pytorch": PYTORCH, "flax": FLAX, "keras": KERAS, "tf.fused": TENSORFLOW_FUSED, "paddle": PADDLE}
