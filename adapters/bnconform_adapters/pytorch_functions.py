"""PyTorch's functions: nn.functional.batch_norm, compiled and batched too, the operator below it, its decomposition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from threading import local
from typing import Any, TypeAlias

from bnconform_adapters.contract import AnyArray, Case, Claims, Finish, Layer, Layout, Outcome
from bnconform_adapters.pytorch import Call
from bnconform_adapters.pytorch_derivatives import Function, jvp, second_order
from bnconform_adapters.torch_arrays import LAYOUTS, place_tensor, to_tensor
from bnconform_reference.dialect import Dialect

BatchNorm: TypeAlias = Callable[..., Any]
"""``batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)`` gives y."""

_THREAD = local()

CLAIMS = Claims(
    dialect=Dialect(cumulative=False),
    dtypes=("float32", "float64", "float16", "bfloat16"),
    layouts=LAYOUTS,
    second_order=("training", "inference"),
    forward_mode=("training", "inference"),
    strided_statistics=True,
    gradient_subsets=True,
    bitwise=False,  # vector loops and their tails round differently
    default_eps=1e-5,
    default_momentum=0.1,
)


class FunctionAdapter:
    """A function of nn.functional.batch_norm's arguments.

    Parameters
    ----------
    make : callable
        Gives the function; called when it is first needed, so that torch is imported no earlier.
    """

    def __init__(self, name: str, claims: Claims, make: Callable[[], BatchNorm]) -> None:
        self.name = name
        self.claims = claims
        self._make = cache(make)

    def layer(self, case: Case) -> Layer:
        """See :class:`~bnconform_adapters.contract.Adapter`."""
        batch_norm = self._make()

        def parameter(array: AnyArray | None, layout: Layout = "contiguous") -> Any:
            return None if array is None else place_tensor(array, layout).array

        weight, bias = (parameter(array, case.parameters_layout) for array in (case.weight, case.bias))
        running_mean = parameter(case.running_mean, case.statistics_layout)
        running_var = parameter(case.running_var, case.statistics_layout)

        def step(case: Case) -> Finish:
            call = Call(case, weight, bias)
            y = batch_norm(call.x, running_mean, running_var, weight, bias, case.training, case.momentum, case.eps)
            return call.finish(y, running_mean, running_var)

        return step

    def second_order(self, case: Case) -> Outcome:
        """See :class:`~bnconform_adapters.contract.Claims`."""
        return second_order(case, self._function(case))

    def jvp(self, case: Case) -> Outcome:
        """See :class:`~bnconform_adapters.contract.Claims`."""
        return jvp(case, self._function(case))

    def _function(self, case: Case) -> Function:
        batch_norm = self._make()
        statistics = (case.running_mean, case.running_var)
        mean, var = (None if array is None else to_tensor(array.copy()) for array in statistics)
        return lambda x, parameters: batch_norm(
            x, mean, var, parameters.get("weight"), parameters.get("bias"), case.training, case.momentum, case.eps
        )


class CompiledAdapter(FunctionAdapter):
    """Such a function under torch.compile, whose settings are those of the thread that makes them."""

    def layer(self, case: Case) -> Layer:
        """See :class:`~bnconform_adapters.contract.Adapter`."""
        call = super().layer(case)

        def forward(case: Case) -> Finish:
            _settle()
            finish = call(case)

            def rest() -> Outcome:
                _settle()  # this may be another thread
                return finish()

            return rest

        return forward


def _functional() -> BatchNorm:
    import torch

    return torch.nn.functional.batch_norm  # type: ignore[no-any-return]


def _native() -> BatchNorm:
    import torch

    def batch_norm(
        x: Any, mean: Any, var: Any, weight: Any, bias: Any, training: bool, momentum: float, eps: float
    ) -> Any:
        return torch.native_batch_norm(x, weight, bias, mean, var, training, momentum, eps)[0]

    return batch_norm


def _decomposed() -> BatchNorm:
    import torch
    from torch._decomp import decomposition_table

    forward = decomposition_table[torch.ops.aten.native_batch_norm.default]
    backward = decomposition_table[torch.ops.aten.native_batch_norm_backward.default]

    class Decomposed(torch.autograd.Function):  # type: ignore[misc]
        """The two decompositions as autograd would call them."""

        @staticmethod
        def forward(context: Any, x: Any, weight: Any, bias: Any, mean: Any, var: Any, *rest: Any) -> Any:
            y, save_mean, save_invstd = forward(x, weight, bias, mean, var, *rest)
            needed = (None, None) if rest[0] else (mean, var)  # training changes them before it comes to backward
            context.save_for_backward(x, weight, *needed, save_mean, save_invstd)
            context.rest, context.has_bias = rest, bias is not None
            return y

        @staticmethod
        def backward(context: Any, dy: Any) -> Any:
            training, _, eps = context.rest
            wanted = [context.needs_input_grad[0], context.saved_tensors[1] is not None, context.has_bias]
            gradients = backward(dy, *context.saved_tensors, training, eps, wanted)
            return (*gradients, None, None, None, None, None)

    def batch_norm(x: Any, mean: Any, var: Any, weight: Any, bias: Any, *rest: Any) -> Any:
        return Decomposed.apply(x, weight, bias, mean, var, *rest)

    return batch_norm


def _compiled() -> BatchNorm:
    import torch

    return torch.compile(_eager, fullgraph=True, dynamic=True)  # type: ignore[no-any-return]


def _settle() -> None:
    if hasattr(_THREAD, "settled"):
        return
    import torch

    # Whatever is not traced as one graph, or would fall back to eager mode after many compilations, raises.
    torch._dynamo.config.recompile_limit = torch._dynamo.config.accumulated_recompile_limit = 1 << 16
    torch.fx.experimental._config.use_duck_shape = False  # equal sizes are no programs of their own
    torch._functorch.config.donated_buffer = False  # so that a backward pass can be run again
    _THREAD.settled = True


def _eager(*arguments: Any) -> Any:
    import torch

    return torch.nn.functional.batch_norm(*arguments)


def _over_models() -> BatchNorm:
    import torch

    def batch_norm(
        x: Any, mean: Any, var: Any, weight: Any, bias: Any, training: bool, momentum: float, eps: float
    ) -> Any:
        def one_model(x: Any, mean: Any, var: Any, weight: Any, bias: Any) -> Any:
            return torch.nn.functional.batch_norm(x, mean, var, weight, bias, training, momentum, eps)

        def two(tensor: Any) -> Any:
            return None if tensor is None else torch.stack([tensor, 1 - tensor.detach()])

        tensors = (x, mean, var, weight, bias)
        models = [two(tensor) for tensor in tensors]
        axes = tuple(None if tensor is None else 0 for tensor in tensors)
        y = torch.vmap(one_model, in_dims=axes)(*models)[0]
        for own, both in ((mean, models[1]), (var, models[2])):
            if training and own is not None:
                own.copy_(both[0])
        return y

    return batch_norm


def functional() -> FunctionAdapter:
    """The adapter of torch.nn.functional.batch_norm."""
    return FunctionAdapter("torch.functional", CLAIMS, _functional)


def native() -> FunctionAdapter:
    """The adapter of torch.native_batch_norm, which nn.functional.batch_norm calls after its own checks."""
    claims = replace(CLAIMS, dialect=Dialect(cumulative=False, empty_batch="raises"))
    return FunctionAdapter("torch.native", claims, _native)


def decomposed() -> FunctionAdapter:
    """The adapter of the decompositions in torch._decomp, which compilers start from."""
    return FunctionAdapter("torch.decomp", replace(CLAIMS, second_order=(), forward_mode=()), _decomposed)


def compiled() -> CompiledAdapter:
    """The adapter of nn.functional.batch_norm under torch.compile: inductor, on the CPU a C++ compiler.

    Every eps, momentum and layout is a program of its own that takes seconds to compile: one of each is claimed.
    """
    claims = replace(
        CLAIMS,
        dtypes=("float32",),
        ranks=(4,),
        layouts=("contiguous",),
        parameters=("both",),
        second_order=(),
        forward_mode=(),
        strided_statistics=False,
        gradient_subsets=False,
        fixed_eps=1e-3,
        fixed_momentum=0.3,
        cost="compiles per shape",
    )
    return CompiledAdapter("torch.compile", claims, _compiled)


def over_models() -> FunctionAdapter:
    """The adapter of nn.functional.batch_norm under torch.vmap over two models, of which the first is looked at."""
    claims = replace(CLAIMS, dtypes=("float32", "float64"))  # half x beside float32 parameters is refused there
    return FunctionAdapter("torch.vmap", claims, _over_models)
