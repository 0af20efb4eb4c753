"""Training many networks at once: seeds and varied values are members of one network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnconform.cases.digits import Digits, held_out, to_train_on
from bnconform.judging.due import GRADIENTS, STATISTICS, due_shape
from bnconform.training.alternatives import ALTERNATIVES
from bnconform.training.network import Architecture, Array, MakeNorm, Network, accuracy, initial
from bnconform.training.norms import ImplementationNorm, Settings
from bnconform.training.recurrent import Recurrent
from bnconform_adapters.calls import LayerCalls
from bnconform_adapters.contract import Adapter, Case, Outcome
from bnconform_adapters.errors import UserError


@dataclass(frozen=True)
class Effort:
    """The size of an experiment.

    Attributes
    ----------
    seeds : int
        Number of initial values and orders of the data.
    steps : int
        Steps of an ordinary training.
    fine : int
        Step between the varied values that are used: 2 uses every second one.
    """

    seeds: int
    steps: int
    fine: int

    def some(self, values: Sequence[int]) -> list[int]:
        """The values that are used; the last one always is."""
        return [*values[:-1][:: self.fine], values[-1]]


FULL = Effort(seeds=6, steps=120, fine=1)
SHORT = Effort(seeds=3, steps=24, fine=3)


@dataclass(frozen=True)
class Subject:
    """The normalization of the layers.

    Attributes
    ----------
    name : str
    make : callable
        ``make(members, settings)`` gives the maker of the layers.
    learns_statistics : bool
        True for a batch norm: inference uses statistics of training.
    """

    name: str
    make: Callable[[int, Settings], MakeNorm]
    learns_statistics: bool = True


def alternative(name: str) -> Subject:
    """One of :data:`~bnconform.training.alternatives.ALTERNATIVES`."""
    return Subject(name, lambda members, settings: ALTERNATIVES[name], learns_statistics=False)


def implementation(adapter: Adapter) -> Subject:
    """An implementation's batch norm.

    Raises
    ------
    UserError
        It does not claim what training needs.
    """
    claims = adapter.claims
    dtype = next((dtype for dtype in ("float32", "float64") if dtype in claims.dtypes), None)
    missing = [
        what
        for what, there in {
            "float32 or float64": dtype is not None,
            "training": "training" in claims.modes,
            "inference": "inference" in claims.modes,
            "gradients in training": "training" in claims.gradients,
            "ranks 2 and 4": {2, 4} <= set(claims.ranks),
            "weight and bias": "both" in claims.parameters,
            "a choice of eps and momentum": claims.fixed_eps is None and claims.fixed_momentum is None,
        }.items()
        if not there
    ]
    if missing:
        raise UserError(f"{adapter.name} cannot be trained with: it does not claim {', '.join(missing)}")

    def make(members: int, settings: Settings) -> MakeNorm:
        def make_norm(channels: int, spatial: tuple[int, ...]) -> ImplementationNorm:
            life = LayerCalls(adapter)

            def call(case: Case) -> Outcome:
                outcome = life.call(case)
                if outcome.error is not None:
                    raise UserError(f"{adapter.name} raised in training: {outcome.error}")
                if unfit := _unfit(case, outcome):
                    raise UserError(f"{adapter.name} cannot be trained with: {unfit}; bnconform vet shows more")
                return outcome

            own = replace(settings, dtype="float32" if dtype == "float32" else "float64")
            return ImplementationNorm(call, channels, spatial, own, claims, members)

        return make_norm

    return Subject(adapter.name, make)


def _unfit(case: Case, outcome: Outcome) -> str | None:
    """Names of results that a call lacks or gives in another shape."""
    for name in ("y", *(STATISTICS if case.training else ()), *(() if case.dy is None else GRADIENTS)):
        array, shape = getattr(outcome, name), due_shape(case, name)
        if array is None or array.shape != shape:
            return f"{name} is missing" if array is None else f"{name} has shape {array.shape}, not {shape}"
    return None


@dataclass(frozen=True, eq=False)
class Trial:
    """Networks to train: one for every seed and every varied value.

    Attributes
    ----------
    architecture : Architecture
    seeds, steps, batch : int
    rates : sequence of float
        Learning rates; a single one serves all.
    scales : sequence of float
        Scales of the hidden layers' initial weights; a single one serves all.
    samples : int or None
        How many of the training digits are used, drawn by the seed; None takes all.
    settings : Settings
        Settings of the batch norms.
    """

    architecture: Architecture
    seeds: int
    steps: int
    batch: int
    rates: Sequence[float] = (0.1,)
    scales: Sequence[float] = (1.0,)
    samples: int | None = None
    settings: Settings = field(default_factory=Settings)

    @property
    def values(self) -> int:
        """Number of varied values."""
        return max(len(self.rates), len(self.scales))

    @property
    def members(self) -> int:
        """Number of networks."""
        return self.seeds * self.values

    def network(self, subject: Subject) -> Network:
        """The networks with their initial parameters."""
        return Network(self.architecture, self.start(), subject.make(self.members, self.settings))

    def start(self) -> dict[str, Array]:
        """Initial parameters; for one seed they differ only by the scale."""
        scales = np.resize(np.asarray(self.scales), self.values)
        found: dict[str, list[Array]] = {}
        for seed in range(self.seeds):
            for name, value in initial(self.architecture, np.random.default_rng((seed, 0))).items():
                each = np.repeat(value, self.values, axis=0)
                if name.startswith("linear"):
                    each = each * scales[:, None, None]
                found.setdefault(name, []).append(each)
        return {name: np.concatenate(each) for name, each in found.items()}

    def batches(self) -> Iterator[Digits]:
        """A batch for each member and step: images (M, N, 8, 8) and labels (M, N)."""
        data = to_train_on()
        chosen = np.stack([self._order(seed, len(data)) for seed in range(self.seeds)])
        for step in range(self.steps):
            index = np.repeat(chosen[:, step], self.values, axis=0)
            yield data[index]

    def _order(self, seed: int, available: int) -> NDArray[np.int64]:
        """Indices (steps, batch): passes over the data, each in an order of its own."""
        rng = np.random.default_rng((seed, 1))
        usable = rng.permutation(available)[: self.samples or available]
        passes = -(-self.steps * self.batch // (len(usable) // self.batch * self.batch))
        whole = len(usable) // self.batch * self.batch
        flat = np.concatenate([rng.permutation(usable)[:whole] for _ in range(passes)])
        return flat[: self.steps * self.batch].reshape(self.steps, self.batch)

    def train(self, subject: Subject, watch: Callable[[int, Network], None] | None = None) -> tuple[Network, Array]:
        """Train; give the networks and the training loss of every step (steps, seeds, values).

        `watch` is called with the number of steps done after each of them.
        """
        network, losses = self.network(subject), []
        rates = np.tile(np.resize(np.asarray(self.rates), self.values), self.seeds)
        with np.errstate(all="ignore"):  # rates that are too large end in infinity
            for step, batch in enumerate(self.batches(), 1):
                losses.append(network.step(batch.images, batch.labels, rates))
                if watch:
                    watch(step, network)
        return network, np.stack(losses).reshape(-1, self.seeds, self.values)

    def held_out_accuracy(self, network: Network) -> Array:
        """Accuracy on the held-out digits in inference mode, (seeds, values)."""
        data = held_out()
        with np.errstate(all="ignore"):
            return accuracy(network.logits(data.images), data.labels).reshape(self.seeds, self.values)


def use_population(network: Network, images: Array) -> None:
    """Give every batch norm the statistics of its inputs for these images in inference, one layer after another.

    Images are (N, 8, 8) or (M, N, 8, 8).
    """
    for number, norm in enumerate(network.norms):
        known: Any = norm
        if hasattr(known, "use_population"):
            with np.errstate(all="ignore"):
                known.use_population(network.norm_input(images, number))


@contextmanager
def statistics_kept(network: Network | Recurrent) -> Iterator[None]:
    """Run training-mode passes that leave the running statistics as they were."""
    norms: list[Any] = [norm for norm in network.norms if hasattr(norm, "running_mean")]
    before = [(norm.running_mean, norm.running_var) for norm in norms]
    try:
        yield
    finally:
        for norm, (mean, var) in zip(norms, before, strict=True):
            norm.running_mean, norm.running_var = mean, var
