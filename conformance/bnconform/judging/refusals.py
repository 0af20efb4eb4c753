"""Distinction of exceptions that refuse arguments on purpose from accidental ones."""

from __future__ import annotations

import builtins

from bnconform_adapters.claims import Claims

DELIBERATE = (ValueError, TypeError, RuntimeError, AssertionError)
"""Built-in exceptions that code raises to refuse arguments."""
ACCIDENTAL = (RecursionError,)
"""Subclasses of these that nobody raises on purpose."""


def accident(error: str, claims: Claims) -> str:
    """Return the type of an accidental exception, such as IndexError; empty for a deliberate refusal.

    A framework's own exception classes and the claimed ones count as refusals.

    Parameters
    ----------
    error : str
        Error of an Outcome: the exception's type, a colon and its message.
    """
    name = error.partition(":")[0]
    kind = getattr(builtins, name, None)
    if name in claims.refuses_with or not (isinstance(kind, type) and issubclass(kind, BaseException)):
        return ""
    return "" if issubclass(kind, DELIBERATE) and not issubclass(kind, ACCIDENTAL) else name
