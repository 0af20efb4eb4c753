"""Torch tensors for a candidate's functions."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from bnconform_adapters.contract import AdapterError, AnyArray, Case, Claims, Layout, describe_error, wrong_kind
from bnconform_adapters.torch_arrays import (
    LAYOUTS,
    FarTensor,
    PlacedTensor,
    layouts_on,
    place_tensor,
    shared_storage,
    to_array,
    to_tensor,
)


def check_device(device: str, path: str) -> None:
    """Refuse a device that torch does not have.

    Raises
    ------
    AdapterError
        It has not, or torch is not installed.
    """
    try:
        import torch

        torch.zeros(1, device=device)
    except ImportError as error:
        raise AdapterError(f"{path} needs torch: pip install 'bnconform[torch]' ({describe_error(error)})") from error
    except Exception as error:  # each backend refuses in its own way
        raise AdapterError(
            f"DEVICE in {path} is {device!r}, which torch does not have here ({describe_error(error)}); "
            "pass a device such as 'cpu' or 'cuda'"
        ) from error


class TorchArrays:
    """Tensors on a device, in every layout that tensors have."""

    layouts = LAYOUTS
    plain_code = "plain.candidate_torch"

    def __init__(self, device: str, path: str) -> None:
        check_device(device, path)
        self._device = device
        self.claims = Claims(
            layouts=layouts_on(device),
            strided_statistics=True,
            bitwise=False,  # torch's own vector loops and their tails round differently
        )

    def settings(self, case: Case) -> AbstractContextManager[Any]:
        """See :class:`~bnconform_adapters.candidate.arrays.Arrays`."""
        return nullcontext()

    def place(self, array: AnyArray, layout: Layout) -> PlacedTensor | FarTensor:
        """See :class:`~bnconform_adapters.candidate.arrays.Arrays`."""
        return place_tensor(array, layout, self._device)

    def handed(self, array: Any, *, read_only: bool) -> Any:
        """See :class:`~bnconform_adapters.candidate.arrays.Arrays`: torch has no memory that cannot be written."""
        return array

    def written(self, array: Any, values: AnyArray) -> Any:
        """See :class:`~bnconform_adapters.candidate.arrays.Arrays`."""
        return array.detach().copy_(to_tensor(values.copy()))

    def to_numpy(self, found: Any, name: str) -> AnyArray | None:
        """See :class:`~bnconform_adapters.candidate.arrays.Arrays`; what requires gradients is detached."""
        import torch

        if found is None:
            return None
        if not isinstance(found, torch.Tensor):
            raise wrong_kind(found, "torch.Tensor", name)
        if found.device.type != torch.device(self._device).type:
            raise TypeError(f"returned a tensor on {found.device} where x is on {self._device}, as {name}")
        return to_array(found)

    def shared(self, results: Mapping[str, Any], inputs: Mapping[str, Any]) -> tuple[str, ...]:
        """See :class:`~bnconform_adapters.candidate.arrays.Arrays`."""
        return shared_storage(results, inputs)
