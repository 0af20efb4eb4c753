"""The torch device on which a file's calls run."""

from functools import cache

import torch

from bnconform_adapters.plain.kernel_file import cannot_tell


@cache
def device_of(file, usual="cpu"):
    """Return the device that the file states, or the usual one; leave the script if torch has no such device."""
    named = file.stated("DEVICE", usual)
    try:
        torch.zeros(1, device=named)
    except Exception as error:
        cannot_tell(f"torch has no device {named} here: {error}")
    return named
