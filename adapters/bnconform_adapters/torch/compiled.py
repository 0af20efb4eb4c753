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
    """Configure torch.compile for this thread; each thread has its own settings."""
    if not hasattr(THREAD, "settled"):
        # With a high limit, many compilations never fall back to eager mode.
        torch._dynamo.config.recompile_limit = torch._dynamo.config.accumulated_recompile_limit = 1 << 16
        torch.fx.experimental._config.use_duck_shape = False  # otherwise x with equal sizes is a separate program
        torch._functorch.config.donated_buffer = False  # otherwise a backward pass cannot run twice
        THREAD.settled = True


class CompiledLayer(CallLayer):
    """A call layer whose backward pass may run in another thread than its forward pass."""

    def forward(self, case):
        settle()
        finish = super().forward(case)

        def rest():
            settle()
            return finish()

        return rest


def Layer(case):
    return CompiledLayer(case, COMPILED)
