"""Examples of the training laws: training runs, each identified by the first call of its first batch norm."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st

from bnconform.cases.case_file import CaseFileError
from bnconform.cases.digits import to_train_on
from bnconform.cases.spaces import Space
from bnconform.cases.strategies import Signature, Steps
from bnconform.cases.tape import BYTE
from bnconform.training.network import batches
from bnconform.training.norms import Settings
from bnconform.training.training_run import KINDS, TrainingRun
from bnconform_adapters.claims import Claims, Layout
from bnconform_adapters.contract import Case, Outcome

SPACE = Space(gradients=True, also=("inference",), parameters=("both",), dtypes=("float32", "float64"))
MOMENTA = (0.1, 0.3)
EPS = (1e-5, 1e-3)
_RANKS = {"dense": 2, "convolutional": 4}
_UNSUITABLE = {"dense": ("expanded", "far", "channels_last"), "convolutional": ("expanded", "far")}


def first_call(training_run: TrainingRun, claims: Claims) -> Case:
    """The first call of a training run's first batch norm; its origin names the training run."""
    kind, start, data = KINDS[training_run.kind], training_run.start(), to_train_on()
    first = batches(kind.batch, len(data), np.random.default_rng((training_run.salt, 1)))[0]
    rows = start["linear0.weight"] @ kind.architecture.input(data.images[first])
    channels, spatial = kind.architecture.hidden[0], kind.architecture.spatial(0)
    norm = training_run.norm(lambda case: Outcome(), channels, spatial, claims)
    case = norm.case(rows, start["norm0.weight"], start["norm0.bias"], training=True)
    return replace(case, origin=f"values=digits network={training_run.kind} salt={training_run.salt}")


def training_run_of(case: Case) -> TrainingRun:
    """The training run whose first call is this case.

    Raises
    ------
    CaseFileError
        Its origin names no training run.
    """
    told = dict(word.split("=", 1) for word in case.origin.split() if "=" in word)
    kind, salt = told.get("network", ""), told.get("salt", "")
    if kind not in KINDS or not salt.isdecimal() or case.momentum is None:
        raise CaseFileError(
            f"the case was made by {case.origin!r}, which names no training run; "
            f"write network={'|'.join(KINDS)} salt=NUMBER there"
        )
    return TrainingRun(kind, int(salt), Settings(case.momentum, case.eps, case.dtype, case.layout))


@dataclass(frozen=True)
class TrainingRuns:
    """Training runs within the claims; in float64 only if float32 is not claimed."""

    def why_not(self, claims: Claims) -> str | None:
        if not set(_RANKS.values()) & set(claims.ranks):
            return "neither rank 2 nor rank 4 is claimed"
        return SPACE.why_not(claims)

    def strategy(self, claims: Claims, pool: tuple[Signature, ...]) -> st.SearchStrategy[Steps]:
        """See :class:`~bnconform.cases.strategies.Source`; shapes are always the same, so no pool is needed."""
        dtypes = SPACE.dtypes or ()
        dtype = next(dtype for dtype in dtypes if dtype in claims.dtypes)

        def steps(kind: str, momentum: float | None, eps: float, salt: int) -> Steps:
            assert momentum is not None, "there is always a nearest number"
            settings = Settings(momentum, eps, dtype, _layout(kind, claims))
            return (first_call(TrainingRun(kind, salt, settings), claims),)

        return st.builds(
            steps,
            st.sampled_from([kind for kind, rank in _RANKS.items() if rank in claims.ranks]),
            st.sampled_from(claims.usable_momenta(MOMENTA)),
            st.sampled_from(claims.usable_eps(EPS)),
            st.integers(0, BYTE - 1),
        )


def _layout(kind: str, claims: Claims) -> Layout:
    """The first claimed layout that suits a batch."""
    return next((layout for layout in claims.layouts if layout not in _UNSUITABLE[kind]), "contiguous")
