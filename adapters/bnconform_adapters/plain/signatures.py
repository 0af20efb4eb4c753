"""Read defaults from a function's signature."""

import inspect


def default_of(function, name):
    """Return the default of an argument; None if the argument is required."""
    value = inspect.signature(function).parameters[name].default
    return None if value is inspect.Parameter.empty else float(value)
