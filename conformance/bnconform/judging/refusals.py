"""Whether a call that raised has refused its arguments, or has failed by accident."""

from __future__ import annotations

import builtins

from bnconform_adapters.claims import Claims

DELIBERATE = (ValueError, TypeError, RuntimeError, AssertionError)
"""Built-in exceptions by which code refuses what it is given."""
ACCIDENTAL = (RecursionError,)
"""Their subclasses that nobody raises on purpose."""


def accident(error: str, claims: Claims) -> str:
    """The type of an exception that nobody raises to refuse an argument, such as IndexError; empty for a refusal.

    A framework's own exception classes count as refusals, and so does what is claimed.

    Parameters
    ----------
    error : str
        As an Outcome has it: the exception's type, a colon and its message.
    """
    name = error.partition(":")[0]
    kind = getattr(builtins, name, None)
    if name in claims.refuses_with or not (isinstance(kind, type) and issubclass(kind, BaseException)):
        return ""
    return "" if issubclass(kind, DELIBERATE) and not issubclass(kind, ACCIDENTAL) else name
