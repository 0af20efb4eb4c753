"""For scripts in which it does not matter whether memory around an array was written."""


def overrun(array):
    """False: this script does not look."""
    return False


def tensor_overrun(tensor):
    """False: this script does not look."""
    return False
