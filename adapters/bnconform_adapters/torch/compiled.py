"""torch.nn.functional.batch_norm under torch.compile."""

from threading import local

import torch

from bnconform_adapters.torch.function_calls import CallLayer
from bnconform_adapters.torch.function_calls import defaults as defaults

THREAD = local()


def eager(*arguments):
    return torch.nn.functional.batch_norm(*arguments)


COMPILED = torch.compile(eager, fullgraph=True, dynamic=True)


def settle():
    """Set what torch.compile is to do in this thread, since its settings are those of the thread that makes them."""
    if not hasattr(THREAD, "settled"):
        # Whatever is not traced as one graph, or would fall back to eager mode after many compilations, raises.
        torch._dynamo.config.recompile_limit = torch._dynamo.config.accumulated_recompile_limit = 1 << 16
        torch.fx.experimental._config.use_duck_shape = False  # equal sizes are no programs of their own
        torch._functorch.config.donated_buffer = False  # so that a backward pass can be run again
        THREAD.settled = True


class CompiledLayer(CallLayer):
    """The tensors that a caller keeps; a backward pass may run in another thread than its forward pass."""

    def forward(self, case):
        settle()
        finish = super().forward(case)

        def rest():
            settle()
            return finish()

        return rest


def Layer(case):
    return CompiledLayer(case, COMPILED)
