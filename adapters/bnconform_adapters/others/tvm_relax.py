"""TVM's relax.op.nn.batch_norm, compiled for the CPU by LLVM."""

from functools import lru_cache
from threading import local

import tvm
from tvm import relax

from bnconform_adapters.plain.array_functions import ArrayLayer
from bnconform_adapters.plain.signatures import default_of

INPUTS = ("x", "weight", "bias", "running_mean", "running_var")
THREAD = local()


class Layer(ArrayLayer):
    """A layer with one compiled function for each mode; the function takes x of any size."""

    def __init__(self, case):
        super().__init__(case)
        1 - case.momentum  # raises if momentum is None

    def call(self, given, training):
        dtypes, momentum = (given["x"].dtype.name, given["running_var"].dtype.name), self.first.momentum
        ready = machine(given["x"].ndim, *dtypes, self.first.eps, momentum if training else None)
        found = ready["main"](*(tvm.runtime.tensor(given[name]) for name in INPUTS))
        return [found[i].numpy() for i in range(3 if training else 1)]


def machine(*program):
    """Return the compiled operator in a virtual machine of this thread: two calls cannot share its registers."""
    machines = THREAD.__dict__.setdefault("machines", {})
    if program not in machines:
        machines[program] = relax.VirtualMachine(compiled(*program), tvm.cpu())
    return machines[program]


@lru_cache(maxsize=512)
def compiled(rank, x_dtype, dtype, eps, momentum):
    """Compile the operator as a function of x and its vectors; momentum None means inference."""
    sizes = [tvm.tirx.Var(f"size{axis}", "int64") for axis in range(rank)]
    x = relax.Var("x", relax.TensorType(sizes, x_dtype))
    vectors = [relax.Var(name, relax.TensorType([sizes[1]], dtype)) for name in INPUTS[1:]]
    training = {"training": False} if momentum is None else {"training": True, "momentum": momentum}
    builder = relax.BlockBuilder()
    with builder.function("main", [x, *vectors]):
        with builder.dataflow():
            found = builder.emit_output(relax.op.nn.batch_norm(x, *vectors, axis=1, epsilon=eps, **training))
        builder.emit_func_output(found)
    return tvm.compile(builder.get(), target="llvm")


def defaults():
    """Return the defaults in the operator's signature."""
    function = relax.op.nn.batch_norm
    eps, momentum = default_of(function, "epsilon"), default_of(function, "momentum")
    return {"made": "relax.op.nn.batch_norm", "eps": eps, "momentum": momentum}
