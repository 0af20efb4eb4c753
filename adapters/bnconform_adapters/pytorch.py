"""PyTorch: the tensors of a call, and modules that have BatchNorm's parameters and buffers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bnconform_adapters.contract import Case, Claims, Finish, Layer, Outcome, wrong_kind
from bnconform_adapters.pytorch_derivatives import Function, jvp, second_order
from bnconform_adapters.torch_arrays import place_tensor, shared_storage, to_array, to_tensor

SAME_NAMES = {name: name for name in ("weight", "bias", "running_mean", "running_var")}
"""What a module calls the parameters and buffers that it has as torch.nn.BatchNorm does."""

HANDED_ON = {"dy", "dx", "dweight", "dbias"}
"""Among which autograd shares memory: the derivative of a sum, or of a broadcast along an axis of one, is dy itself."""


class Call:
    """The tensors of one call, kept to see afterwards what became of them."""

    def __init__(self, case: Case, weight: Any, bias: Any, device: str = "cpu", *, composed: bool = False) -> None:
        self._composed = composed
        self._wanted = case.wanted.split()
        self._placed = {"x": place_tensor(case.x, case.layout, device)}
        if case.dy is not None:
            self._placed["dy"] = place_tensor(case.dy, case.dy_layout, device)
        tensors = {name: placed.array for name, placed in self._placed.items()}
        self._dy = tensors.get("dy")
        self.x = tensors["x"]
        self._sources = {"dx": self.x, "dweight": weight, "dbias": bias}
        self._sources = {name: t for name, t in self._sources.items() if t is not None}
        for name, tensor in self._sources.items():
            tensor.requires_grad_(case.dy is not None and name in self._wanted)
        self._inputs = {name: t for name, t in (*tensors.items(), ("weight", weight), ("bias", bias)) if t is not None}

    def finish(self, y: Any, running_mean: Any, running_var: Any) -> Finish:
        """What is left to do when y is there; the statistics are taken as they are now."""
        import torch

        if not isinstance(y, torch.Tensor):
            raise wrong_kind(y, "torch.Tensor", "y")
        kept = to_array(y), to_array(running_mean), to_array(running_var)

        def finish() -> Outcome:
            results = {"y": y}
            if self._dy is not None:
                sources = {name: t for name, t in self._sources.items() if t.requires_grad}
                found = torch.autograd.grad(y, list(sources.values()), self._dy, allow_unused=True, retain_graph=True)
                results |= dict(zip(sources, found, strict=True))
            shared = shared_storage(results, self._inputs)
            if self._composed:
                shared = tuple(pair for pair in shared if not set(pair.split(" and ")) <= HANDED_ON)
            return Outcome(
                *kept,
                dx=to_array(results.get("dx")),
                dweight=to_array(results.get("dweight")),
                dbias=to_array(results.get("dbias")),
                inputs_after={name: array for name, t in self._inputs.items() if (array := to_array(t)) is not None},
                shared=shared,
                overrun=tuple(name for name, placed in self._placed.items() if placed.overrun()),
            )

        return finish


class ModuleAdapter:
    """A torch.nn.Module that has BatchNorm's parameters and buffers.

    Parameters
    ----------
    name : str
    claims : Claims
    make : callable
        ``make(case)`` gives a new module with the case's channels, eps, momentum and dtypes.
    device : str
        Where the calls run.
    state : mapping of str to str
        The module's own names of weight, bias, running_mean and running_var; dots lead into submodules. What it
        leaves out the module does not have.
    composed : bool
        Whether it may be made of torch's operations, whose gradients share memory with dy and with one another by
        autograd's convention; a kernel's own are new tensors.
    plain_code : str
        The module of :mod:`bnconform_adapters.plain` that makes the same calls, where it is a candidate file.
    remarks : tuple of str
        What a reader of the verdict must know of the claims.
    what : str
        The part of a file that it is: "class BatchNorm".
    """

    def __init__(
        self,
        name: str,
        claims: Claims,
        make: Callable[[Case], Any],
        device: str = "cpu",
        state: Mapping[str, str] = SAME_NAMES,
        *,
        composed: bool = False,
        plain_code: str = "",
        remarks: tuple[str, ...] = (),
        what: str = "",
    ) -> None:
        self.remarks = remarks
        self.what = what
        self.name = name
        self.claims = claims
        self.plain_code = plain_code
        self._make = make
        self._device = device
        self._state = state
        self._composed = composed

    def layer(self, case: Case) -> Layer:
        """See :class:`~bnconform_adapters.contract.Adapter`."""
        return _ModuleLayer(self._built(case), self._device, self._state, self._composed)

    def _built(self, case: Case) -> Any:
        module = self._make(case).to(self._device)
        _load(module, case, self._state)
        return module

    def second_order(self, case: Case) -> Outcome:
        """See :class:`~bnconform_adapters.contract.Claims`."""
        return second_order(case, self._function(case), self._device)

    def jvp(self, case: Case) -> Outcome:
        """See :class:`~bnconform_adapters.contract.Claims`."""
        return jvp(case, self._function(case), self._device)

    def _function(self, case: Case) -> Function:
        from torch.func import functional_call

        module = self._built(case).train(case.training)
        return lambda x, parameters: functional_call(
            module, {self._state[name]: tensor for name, tensor in parameters.items()}, (x,)
        )


class _ModuleLayer:
    """A module that has been built, with a case's parameters and statistics."""

    def __init__(self, module: Any, device: str, state: Mapping[str, str], composed: bool) -> None:
        self._module = module
        self._device = device
        self._state = state
        self._composed = composed

    def restart(self, case: Case) -> None:
        """See :class:`~bnconform_adapters.contract.Restartable`: as the module's own users do it."""
        if case.before == "reset" and hasattr(self._module, "reset_running_stats"):
            self._module.reset_running_stats()
        else:
            _load(self._module, case, self._state)

    def __call__(self, case: Case) -> Finish:
        """See :class:`~bnconform_adapters.contract.Layer`."""
        call = Call(case, self._tensor("weight"), self._tensor("bias"), self._device, composed=self._composed)
        y = self._module.train(case.training)(call.x)
        return call.finish(y, self._tensor("running_mean"), self._tensor("running_var"))

    def _tensor(self, name: str) -> Any:
        """A parameter or a buffer as it is now: a module may put a new tensor in a buffer's place."""
        return find_tensor(self._module, self._state[name]) if name in self._state else None


def find_tensor(module: Any, name: str) -> Any:
    """A module's parameter or buffer by its dotted name."""
    for part in name.split("."):
        module = getattr(module, part)
    return module


def _load(module: Any, case: Case, names: Mapping[str, str]) -> None:
    """Give a module the parameters and statistics that the case has; the batches that it has seen are forgotten."""
    import torch

    arrays = {own: getattr(case, name) for name, own in names.items()}
    state = {own: to_tensor(array.copy()) for own, array in arrays.items() if array is not None}
    rest = {own: tensor for own, tensor in module.state_dict().items() if own not in arrays}
    state |= {own: torch.zeros_like(t) if own.endswith("num_batches_tracked") else t for own, t in rest.items()}
    module.load_state_dict(state)


def parameter_type(case: Case) -> Any:
    """torch's dtype of the case's parameters."""
    import torch

    return torch.float64 if case.dtype == "float64" else torch.float32
