"""Replacements of the checks for writes around an array, for scripts that need no such check."""


def overrun(array):
    """Return False: this script does not check."""
    return False


def tensor_overrun(tensor):
    """Return False: this script does not check."""
    return False
