"""Where the calls of a file run that torch is needed for."""

from functools import cache

import torch

from bnconform_adapters.plain.kernel_file import cannot_tell


@cache
def device_of(file, usual="cpu"):
    """The device that the file states, or else the usual one, if torch has it here."""
    named = file.stated("DEVICE", usual)
    try:
        torch.zeros(1, device=named)
    except Exception as error:
        cannot_tell(f"torch has no device {named} here: {error}")
    return named
