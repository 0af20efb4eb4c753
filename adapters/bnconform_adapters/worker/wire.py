"""Messages between two processes: a JSON header and raw array bytes. Reading a message executes nothing.

A message is a tree of dicts, lists, strings, numbers and arrays. Its bytes are a mark, the lengths of header and body,
the header, and the arrays in the header's order. The header and each array are padded to `_ALIGNED` bytes. Values keep
their bits. Strides are not sent, since a Case names its memory layout.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, fields
from math import prod
from typing import Any

import numpy as np

from bnconform_adapters.claims import Claims, with_values
from bnconform_adapters.contract import DTYPES, AnyArray, Case, Outcome
from bnconform_adapters.own_input import OwnInput
from bnconform_reference.dialect import Dialect

FAILED = 70
"""Exit status of a worker if the suite's code in it failed: EX_SOFTWARE."""

_MARK = b"bnconf/1"
_PREFIX = struct.Struct("<8sIQ")
_ALIGNED = 16
_ARRAY = "array"
_NAMES = {dtype: name for name, dtype in DTYPES.items()}  # `dtype.name` is slow


class WireError(Exception):
    """Received bytes are not a message, or an object cannot be sent as one."""


def pack(message: object) -> bytes:
    """Convert a message to bytes.

    Raises
    ------
    WireError
        The message has a value that is neither JSON data nor an array of plain numbers.
    """
    body: list[bytes | memoryview] = []

    def default(value: Any) -> Any:
        if isinstance(value, np.generic):
            return value.item()
        known = type(value) is np.ndarray and value.dtype in _NAMES
        array = value if known else _plain(value)
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        body.extend((flat.data, bytes(-flat.size % _ALIGNED)))
        return {_ARRAY: [_NAMES.get(array.dtype) or array.dtype.name, array.shape]}

    try:
        header = json.dumps(message, default=default).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise WireError(str(error)) from error
    header += b" " * (-(_PREFIX.size + len(header)) % _ALIGNED)
    return b"".join((_PREFIX.pack(_MARK, len(header), sum(map(len, body))), header, *body))


def _plain(value: Any) -> AnyArray:
    """Convert a value to an array in this machine's byte order, with a dtype that its name describes completely."""
    if not hasattr(value, "__array__"):
        raise TypeError(f"a {type(value).__name__} instead of an array")
    array = np.asarray(value)
    try:
        return np.asarray(array, _dtype(array.dtype.name))
    except (KeyError, TypeError, ValueError):
        raise TypeError(f"an array of {array.dtype} instead of numbers") from None


def _dtype(name: Any) -> np.dtype[Any]:
    if name in DTYPES:
        known: np.dtype[Any] = DTYPES[name]
        return known
    dtype: np.dtype[Any] = np.dtype(name)
    if dtype.hasobject or dtype.fields:
        raise TypeError(name)
    return dtype


class Frames:
    """A buffer that collects received bytes and returns complete messages."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        self._data += data

    def next(self) -> Any:
        """Return the next message, or None while it is incomplete. Arrays are writable.

        Raises
        ------
        WireError
            The bytes are not a message.
        """
        if len(self._data) < _PREFIX.size:
            return None
        mark, header, body = _PREFIX.unpack_from(self._data)
        if mark != _MARK:
            raise WireError("the received bytes are not a message")
        end = _PREFIX.size + header + body
        if len(self._data) < end:
            return None
        data, self._data = self._data, self._data[end:]
        try:
            return _read(data[_PREFIX.size : end - body], data, end - body)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise WireError("the received message is damaged") from error


def _read(header: bytearray, data: bytearray, offset: int) -> Any:
    """Decode the JSON header; each array of the message is a view of `data`, the first one at `offset`."""

    def hook(found: dict[str, Any]) -> Any:
        nonlocal offset
        if _ARRAY not in found:
            return found
        name, shape = found[_ARRAY]
        dtype, count = _dtype(name), prod(shape)
        if min(shape, default=0) < 0:
            raise ValueError(shape)
        if count == 0:
            return np.empty(shape, dtype)
        array = np.frombuffer(data, dtype, count, offset).reshape(shape)
        offset += -(-array.nbytes // _ALIGNED) * _ALIGNED
        return array

    return json.loads(header, object_hook=hook)  # called in the order in which the header names the arrays


# An implementation does not need to know how its case was drawn.
_CASE = tuple(field.name for field in fields(Case) if field.name != "origin")
_OUTCOME = tuple(field.name for field in fields(Outcome))


def from_case(case: Case) -> dict[str, Any]:
    """Convert a Case to a part of a message, without its origin."""
    return {name: getattr(case, name) for name in _CASE}


def to_case(data: dict[str, Any]) -> Case:
    """Convert the result of :func:`from_case` back."""
    return Case(**data)


def from_outcome(outcome: Outcome) -> dict[str, Any]:
    """Convert an Outcome to a part of a message, without fields that are None."""
    return {name: value for name in _OUTCOME if (value := getattr(outcome, name)) is not None}


def to_outcome(data: dict[str, Any]) -> Outcome:
    """Convert the result of :func:`from_outcome` back."""
    return Outcome(**data | {"shared": tuple(data["shared"]), "overrun": tuple(data["overrun"])})


def from_claims(claims: Claims) -> dict[str, Any]:
    """Convert Claims to a part of a message."""
    return asdict(claims)


def to_claims(data: dict[str, Any]) -> Claims:
    """Convert the result of :func:`from_claims` back."""
    own = data["own"] and OwnInput(**data["own"] | {name: tuple(data["own"][name]) for name in ("shape", "made")})
    return with_values(Claims(), data | {"dialect": Dialect(**data["dialect"]), "own": own})
