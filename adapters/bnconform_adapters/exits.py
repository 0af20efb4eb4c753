"""Exits: how a call ended that neither returned nor raised."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Exit: TypeAlias = Literal["", "crashed", "hung", "exited", "out of memory", "corrupted device"]
"""Empty if the call returned or raised an exception."""
EXITS = tuple(exit for exit in get_args(Exit) if exit)
"""Exits of a call that did not come back. The problem text of such a finding begins with one of these words."""

# Messages of the CUDA runtime. After one of these errors, every later CUDA call of the process fails.
STICKY = (
    "an illegal memory access was encountered",
    "the launch timed out and was terminated",
    "device-side assert triggered",
    "hardware stack error",
    "an illegal instruction was encountered",
    "misaligned address",
    "operation not supported on global/shared address space",
    "invalid program counter",
    "unspecified launch failure",
)
# Names of the same errors in the CUDA driver; JAX and Triton report these.
STICKY_NAMES = (
    "CUDA_ERROR_ILLEGAL_ADDRESS",
    "CUDA_ERROR_LAUNCH_TIMEOUT",
    "CUDA_ERROR_ASSERT",
    "CUDA_ERROR_HARDWARE_STACK_ERROR",
    "CUDA_ERROR_ILLEGAL_INSTRUCTION",
    "CUDA_ERROR_MISALIGNED_ADDRESS",
    "CUDA_ERROR_INVALID_ADDRESS_SPACE",
    "CUDA_ERROR_INVALID_PC",
    "CUDA_ERROR_LAUNCH_FAILED",
)


def corrupts_device(message: str) -> bool:
    """Return True if an error message reports a CUDA error after which the process cannot use the device."""
    runtime = "CUDA" in message and any(phrase in message for phrase in STICKY)
    return runtime or any(name in message for name in STICKY_NAMES)


def exit_of(error: BaseException, message: str) -> Exit:
    """Return the exit that an exception reports: "exited", "corrupted device", or mostly none."""
    if isinstance(error, SystemExit):
        return "exited"
    return "corrupted device" if corrupts_device(message) else ""
