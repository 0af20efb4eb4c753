"""What became of a call that neither returned nor raised."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Exit: TypeAlias = Literal["", "crashed", "hung", "exited", "out of memory", "corrupted device"]
"""Empty where the call came back: it returned, or raised an exception."""
EXITS = tuple(exit for exit in get_args(Exit) if exit)
"""The exits of a call that did not come back; a finding's problem begins with one."""

# As the CUDA runtime words them; after one of these every later call of the process fails, too.
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
# And as the driver names them, which is what JAX and Triton pass on.
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
    """Whether an error message tells of a CUDA error that leaves the device unusable to the process."""
    runtime = "CUDA" in message and any(phrase in message for phrase in STICKY)
    return runtime or any(name in message for name in STICKY_NAMES)


def exit_of(error: BaseException, message: str) -> Exit:
    """What an exception says of the process: leaving it, or having lost its device; mostly nothing."""
    if isinstance(error, SystemExit):
        return "exited"
    return "corrupted device" if corrupts_device(message) else ""
