"""onnx.reference.ReferenceEvaluator: the operator's own executable definition, at three operator sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from bnconform_adapters.array_functions import array_layer
from bnconform_adapters.contract import AnyArray, Case, Claims, Layer
from bnconform_adapters.frameworks import import_framework
from bnconform_adapters.onnx_models import DIALECT, NAMES, Node, model, node_of


class _Reference:
    """An operator set: 9 chooses the mode by the number of outputs, 14 by an attribute, 15 lets dtypes differ."""

    def __init__(self, opset: int, claims: Claims) -> None:
        self.name = f"onnx.reference.{opset}"
        self.claims = claims
        self._opset = opset

    def layer(self, case: Case) -> Layer:
        """See :class:`~bnconform_adapters.contract.Adapter`."""

        def call(given: Mapping[str, AnyArray], training: bool) -> Sequence[AnyArray]:
            evaluator = _evaluator(node_of(case, self._opset, training=training))
            found: list[AnyArray] = evaluator.run(None, {NAMES[name]: array for name, array in given.items()})
            return found

        return array_layer(case, call)


@lru_cache(maxsize=256)
def _evaluator(node: Node) -> Any:
    return import_framework("onnx.reference").ReferenceEvaluator(model(node))


_CLAIMS = Claims(
    dialect=DIALECT,
    dtypes=("float32", "float64"),
    gradients=(),
    parameters=("both",),
    bitwise=False,  # NumPy's vector loops and their tails round differently
    float32_scalars=True,
    default_eps=1e-5,
    default_momentum=0.9,
)


def opset_9() -> _Reference:
    """The adapter of operator set 9, which trains where the node has five outputs; the evaluator gives one at most."""
    return _Reference(9, replace(_CLAIMS, modes=("inference",)))


def opset_14() -> _Reference:
    """The adapter of operator set 14."""
    return _Reference(14, _CLAIMS)


def opset_15() -> _Reference:
    """The adapter of operator set 15, in which parameters and statistics may be float32 beside half types."""
    return _Reference(15, replace(_CLAIMS, dtypes=("float32", "float64", "float16", "bfloat16")))
