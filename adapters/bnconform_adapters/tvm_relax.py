"""TVM's relax.op.nn.batch_norm, compiled for the CPU by LLVM with every size left open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from threading import local
from typing import Any

from bnconform_adapters.array_functions import array_layer
from bnconform_adapters.contract import AnyArray, Case, Claims, Layer
from bnconform_adapters.frameworks import import_framework
from bnconform_reference.dialect import Dialect

_THREAD = local()
INPUTS = ("x", "weight", "bias", "running_mean", "running_var")


class _Relax:
    name = "tvm.relax"
    claims = Claims(
        dialect=Dialect(stored_variance="biased", one_value="zero_variance", cumulative=False),
        dtypes=("float32", "float64"),
        layouts=("contiguous",),
        gradients=(),
        parameters=("both",),
        bitwise=False,  # vector loops and their tails round differently
        default_eps=1e-5,
        default_momentum=0.1,
        cost="interpreted",  # a second for every eps and momentum, whatever the shape
    )

    def layer(self, case: Case) -> Layer:
        if case.momentum is None:
            raise ValueError("momentum is None; TVM needs a number")
        momentum = case.momentum

        def call(given: Mapping[str, AnyArray], training: bool) -> Sequence[AnyArray]:
            tvm = import_framework("tvm")
            dtypes = tuple(given[name].dtype.name for name in ("x", "running_var"))
            machine = _machine(given["x"].ndim, dtypes, case.eps, momentum if training else None)
            found = machine["main"](*(tvm.runtime.tensor(given[name]) for name in INPUTS))
            return [found[i].numpy() for i in range(3 if training else 1)]

        return array_layer(case, call)


def _machine(*program: Any) -> Any:
    """The compiled operator in a virtual machine of this thread: a machine's registers are those of one call."""
    tvm, relax = import_framework("tvm"), import_framework("tvm.relax")
    made: dict[Any, Any] = _THREAD.__dict__.setdefault("machines", {})
    if program not in made:
        made[program] = relax.VirtualMachine(_compiled(*program), tvm.cpu())
    return made[program]


@lru_cache(maxsize=512)
def _compiled(rank: int, dtypes: tuple[str, ...], eps: float, momentum: float | None) -> Any:
    """The operator as a function of x and its vectors; it infers where momentum is None."""
    tvm, relax = import_framework("tvm"), import_framework("tvm.relax")
    sizes = [tvm.tirx.Var(f"size{axis}", "int64") for axis in range(rank)]
    x = relax.Var("x", relax.TensorType(sizes, dtypes[0]))
    vectors = [relax.Var(name, relax.TensorType([sizes[1]], dtypes[1])) for name in INPUTS[1:]]
    training = {"training": False} if momentum is None else {"training": True, "momentum": momentum}
    builder = relax.BlockBuilder()
    with builder.function("main", [x, *vectors]):
        with builder.dataflow():
            found = builder.emit_output(relax.op.nn.batch_norm(x, *vectors, axis=1, epsilon=eps, **training))
        builder.emit_func_output(found)
    return tvm.compile(builder.get(), target="llvm")


def relax() -> _Relax:
    """The adapter of relax.op.nn.batch_norm."""
    return _Relax()
