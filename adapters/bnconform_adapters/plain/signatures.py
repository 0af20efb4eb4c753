"""Defaults in a function's signature."""

import inspect


def default_of(function, name):
    """The default of an argument; None where it has to be given."""
    value = inspect.signature(function).parameters[name].default
    return None if value is inspect.Parameter.empty else float(value)
