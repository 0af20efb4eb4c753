"""Messages between two processes: a JSON header and raw array bytes, nothing that is executed when read.

A message is a tree of dicts, lists, strings and numbers in which arrays may stand anywhere. On the wire: a mark, the
lengths of header and body, the header, and a body of the arrays' bytes in the order in which the header names them.
The header and each array are padded to `_ALIGNED` bytes. Values come back bit for bit; strides don't travel, since a
Case names its memory layout.
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
from bnconform_reference.dialect import Dialect

FAILED = 70
"""Exit status of a worker whose own code failed: EX_SOFTWARE."""

_MARK = b"bnconf/1"
_PREFIX = struct.Struct("<8sIQ")
_ALIGNED = 16
_ARRAY = "array"
_NAMES = {dtype: name for name, dtype in DTYPES.items()}  # a dtype's own name is slow to get


class WireError(Exception):
    """What arrived is not a message, or what is to be sent cannot be one."""


def pack(message: object) -> bytes:
    """A message as bytes.

    Raises
    ------
    WireError
        It holds something that is neither JSON data nor an array of plain numbers.
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
    """A value as an array in this machine's byte order, of a dtype that its name tells completely."""
    if not hasattr(value, "__array__"):
        raise TypeError(f"a {type(value).__name__} where an array is asked for")
    array = np.asarray(value)
    try:
        return np.asarray(array, _dtype(array.dtype.name))
    except (KeyError, TypeError, ValueError):
        raise TypeError(f"an array of {array.dtype}; numbers are asked for") from None


def _dtype(name: Any) -> np.dtype[Any]:
    if name in DTYPES:
        known: np.dtype[Any] = DTYPES[name]
        return known
    dtype: np.dtype[Any] = np.dtype(name)
    if dtype.hasobject or dtype.fields:
        raise TypeError(name)
    return dtype


class Frames:
    """Takes bytes in as they come, and gives messages out when they are whole."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes in."""
        self._data += data

    def next(self) -> Any:
        """The next message, or None while it is not whole. Arrays are writable.

        Raises
        ------
        WireError
            This is no message.
        """
        if len(self._data) < _PREFIX.size:
            return None
        mark, header, body = _PREFIX.unpack_from(self._data)
        if mark != _MARK:
            raise WireError("what arrived is not a message")
        end = _PREFIX.size + header + body
        if len(self._data) < end:
            return None
        data, self._data = self._data, self._data[end:]
        try:
            return _read(data[_PREFIX.size : end - body], data, end - body)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise WireError("a message arrived damaged") from error


def _read(header: bytearray, data: bytearray, offset: int) -> Any:
    """The message of a header; its arrays are views of `data`, from `offset` on."""

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


# An implementation need not know how its case was made.
_CASE = tuple(field.name for field in fields(Case) if field.name != "origin")
_OUTCOME = tuple(field.name for field in fields(Outcome))


def from_case(case: Case) -> dict[str, Any]:
    """A Case as part of a message, its origin left out."""
    return {name: getattr(case, name) for name in _CASE}


def to_case(data: dict[str, Any]) -> Case:
    """What :func:`from_case` was given."""
    return Case(**data)


def from_outcome(outcome: Outcome) -> dict[str, Any]:
    """An Outcome as part of a message; what is absent is left out."""
    return {name: value for name in _OUTCOME if (value := getattr(outcome, name)) is not None}


def to_outcome(data: dict[str, Any]) -> Outcome:
    """What :func:`from_outcome` was given."""
    return Outcome(**data | {"shared": tuple(data["shared"]), "overrun": tuple(data["overrun"])})


def from_claims(claims: Claims) -> dict[str, Any]:
    """Claims as part of a message."""
    return asdict(claims)


def to_claims(data: dict[str, Any]) -> Claims:
    """What :func:`from_claims` was given."""
    return with_values(Claims(), data | {"dialect": Dialect(**data["dialect"])})
