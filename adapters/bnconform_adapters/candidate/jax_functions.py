"""JAX arrays for a candidate's functions."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from bnconform_adapters.contract import AdapterError, AnyArray, Case, Claims, Layout, describe_error, wrong_kind


@dataclass(frozen=True)
class Committed:
    """An array on a device; what lies around it cannot be reached."""

    array: Any

    def overrun(self) -> bool:
        """Never."""
        return False


class JaxArrays:
    """Immutable arrays on a device, contiguous as JAX has them; float64 cases run in JAX's 64-bit mode."""

    claims = Claims(
        layouts=("contiguous",),
        bitwise=False,  # XLA's vector loops and their tails round differently
        cost="compiles per shape",  # also where nothing is jitted: every primitive is
    )
    layouts = claims.layouts
    plain_code = "plain.candidate_jax"

    def __init__(self, device: str, path: str) -> None:
        try:
            import jax

            self._device = jax.devices(device)[0]
        except ImportError as error:
            raise AdapterError(f"{path} needs jax: pip install 'bnconform[jax]' ({describe_error(error)})") from error
        except RuntimeError as error:
            raise AdapterError(
                f"DEVICE in {path} is {device!r}, which JAX does not have here ({describe_error(error)}); "
                "pass a platform such as 'cpu' or 'gpu'"
            ) from error

    def settings(self, case: Case) -> AbstractContextManager[Any]:
        """See :class:`~bnconform_adapters.candidate.arrays.Arrays`."""
        import jax

        context: AbstractContextManager[Any] = jax.enable_x64(case.dtype == "float64")
        return context

    def place(self, array: AnyArray, layout: Layout) -> Committed:
        """See :class:`~bnconform_adapters.candidate.arrays.Arrays`."""
        import jax

        return Committed(jax.device_put(np.array(array), self._device))  # a copy, since JAX may share NumPy's memory

    def handed(self, array: Any, *, read_only: bool) -> Any:
        """See :class:`~bnconform_adapters.candidate.arrays.Arrays`: no JAX array can be written."""
        return array

    def written(self, array: Any, values: AnyArray) -> Any:
        """See :class:`~bnconform_adapters.candidate.arrays.Arrays`."""
        return self.place(values, "contiguous").array

    def to_numpy(self, found: Any, name: str) -> AnyArray | None:
        """See :class:`~bnconform_adapters.candidate.arrays.Arrays`."""
        import jax

        if found is None:
            return None
        if not isinstance(found, jax.Array):
            raise wrong_kind(found, "jax.Array", name)
        return np.array(found)

    def shared(self, results: Mapping[str, Any], inputs: Mapping[str, Any]) -> tuple[str, ...]:
        """None that matter: what cannot be written may be shared."""
        return ()
