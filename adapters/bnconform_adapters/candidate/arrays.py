"""Kinds of arrays that a candidate's functions may use, with their devices and default claims."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bnconform_adapters.candidate.statements import Statements
from bnconform_adapters.claims import Claims, Layout
from bnconform_adapters.contract import describe_error
from bnconform_adapters.errors import AdapterError
from bnconform_adapters.torch import LAYOUTS, layouts_on


@dataclass(frozen=True)
class Arrays:
    """One kind of arrays, with default claims and layouts.

    Attributes
    ----------
    kind : str
        As `ARRAYS` states it; the modules of plain code have it in their names.
    claims : Claims
        Default claims of these functions, except modes and gradients.
    layouts : tuple of str
        Memory layouts that these arrays can have.
    """

    kind: str
    claims: Claims
    layouts: tuple[Layout, ...]


NUMPY = Arrays("numpy", Claims(strided_statistics=True), Claims().layouts)
JAX = Arrays(
    "jax",
    Claims(
        layouts=("contiguous",),
        bitwise=False,  # XLA's vector loops and their tails round differently
        cost="compiles per shape",  # also without jit: JAX compiles every primitive
    ),
    ("contiguous",),
)


def arrays_of(stated: Statements) -> Arrays:
    """Return the kind of arrays that a file states.

    Raises
    ------
    AdapterError
        The kind is unknown, or its package or device is missing.
    """
    if stated.channel_axis() == -1:
        found = _arrays_of(stated)
        contiguous: tuple[Layout, ...] = ("contiguous",)
        return replace(found, claims=replace(found.claims, layouts=contiguous), layouts=contiguous)
    return _arrays_of(stated)


def _arrays_of(stated: Statements) -> Arrays:
    kind, device = stated.chosen("ARRAYS", "numpy", ("numpy", "torch", "jax")), stated.chosen("DEVICE", "cpu")
    if kind == "torch":
        check_torch_device(device, stated.path)
        claims = Claims(
            layouts=layouts_on(device),
            strided_statistics=True,
            bitwise=False,  # torch's own vector loops and their tails round differently
        )
        return Arrays("torch", claims, LAYOUTS)
    if kind == "jax":
        check_jax_device(device, stated.path)
        return JAX
    if device != "cpu":
        raise AdapterError(
            f"DEVICE in {stated.path} is {device!r}, but NumPy arrays are on the CPU; state ARRAYS = 'torch' or 'jax'"
        )
    return NUMPY


def check_torch_device(device: str, path: str) -> None:
    """Check that torch has a device.

    Raises
    ------
    AdapterError
        The device is missing, or torch is not installed.
    """
    try:
        import torch

        torch.zeros(1, device=device)
    except ImportError as error:
        raise AdapterError(f"{path} needs torch: pip install 'bnconform[torch]' ({describe_error(error)})") from error
    except Exception as error:  # each backend raises its own exceptions
        raise AdapterError(
            f"DEVICE in {path} is {device!r}, which torch does not have here ({describe_error(error)}); "
            "pass a device such as 'cpu' or 'cuda'"
        ) from error


def check_jax_device(platform: str, path: str) -> None:
    """Check that JAX has a platform.

    Raises
    ------
    AdapterError
        The platform is missing, or JAX is not installed.
    """
    try:
        import jax

        jax.devices(platform)
    except ImportError as error:
        raise AdapterError(f"{path} needs jax: pip install 'bnconform[jax]' ({describe_error(error)})") from error
    except RuntimeError as error:
        raise AdapterError(
            f"DEVICE in {path} is {platform!r}, which JAX does not have here ({describe_error(error)}); "
            "pass a platform such as 'cpu' or 'gpu'"
        ) from error
