"""Errors whose message is for the user; this module imports nothing, so that the plugin stays light."""

from __future__ import annotations


class UserError(Exception):
    """A request of the user that cannot be met; the message is one line that says what to do."""


class AdapterError(UserError):
    """An implementation does not exist or cannot be loaded."""


class StartError(AdapterError):
    """The suite cannot start a worker process; this is no verdict on the implementation."""
