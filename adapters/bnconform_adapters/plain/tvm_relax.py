"""TVM's relax.op.nn.batch_norm, compiled for the CPU by LLVM."""

import tvm
from tvm import relax

from bnconform_adapters.plain.array_functions import ArrayLayer


class Layer(ArrayLayer):
    """A function for each mode, compiled with every size left open."""

    def __init__(self, case):
        super().__init__(case)
        1 - case.momentum  # None is no number

    def call(self, given, training):
        case, names = self.first, ("x", "weight", "bias", "running_mean", "running_var")
        sizes = [tvm.tirx.Var(f"size{axis}", "int64") for axis in range(given["x"].ndim)]
        types = [relax.TensorType(sizes if name == "x" else [sizes[1]], given[name].dtype.name) for name in names]
        inputs = [relax.Var(name, one) for name, one in zip(names, types)]
        options = {"training": True, "momentum": case.momentum} if training else {"training": False}
        builder = relax.BlockBuilder()
        with builder.function("main", inputs):
            with builder.dataflow():
                found = builder.emit_output(relax.op.nn.batch_norm(*inputs, axis=1, epsilon=case.eps, **options))
            builder.emit_func_output(found)
        machine = relax.VirtualMachine(tvm.compile(builder.get(), target="llvm"), tvm.cpu())
        found = machine["main"](*(tvm.runtime.tensor(given[name]) for name in names))
        return [found[i].numpy() for i in range(3 if training else 1)]
