"""Messages to and from the worker: bit-exact, without pickle, and refused where they are damaged."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from bnconform_adapters import worker
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import DTYPES, Case, Outcome
from bnconform_adapters.registry import REGISTRY, create
from bnconform_adapters.worker.wire import (
    Frames,
    WireError,
    from_case,
    from_claims,
    from_outcome,
    pack,
    to_case,
    to_claims,
    to_outcome,
)

SPECIAL = (0.0, -0.0, 1 / 3, -2.0, np.inf, -np.inf, np.nan, 65504.0, 2.0**-24, 2.0**-14)


def sent(message: Any) -> Any:
    """What arrives."""
    frames = Frames()
    frames.feed(pack(message))
    return frames.next()


def assert_same(got: Any, expected: Any) -> None:
    """Every field of two cases or outcomes is equal, arrays bit for bit."""
    for field in fields(expected):
        a, b = getattr(got, field.name), getattr(expected, field.name)
        if isinstance(b, np.ndarray):
            assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()), field.name
            assert a.flags.writeable
        else:
            assert (type(a), a) == (type(b), b), field.name


@pytest.mark.parametrize("dtype", DTYPES)
def test_case_keeps_every_bit(dtype: Any) -> None:
    """A case of any dtype arrives with signed zeros, infinities, NaN, subnormals, None and exact scalars."""
    x = np.array(SPECIAL).astype(DTYPES[dtype]).reshape(1, 2, 5)
    vector = np.array([np.nan, -0.0], np.float32)
    case = Case(x, x[:, ::-1].copy(), vector, None, vector, None, False, None, 0.1 + 1e-17, "sliced", "expanded")
    assert_same(to_case(sent(from_case(case))), case)


def test_payloads_of_nan_arrive() -> None:
    """All 65536 bit patterns of float16 and bfloat16 arrive."""
    bits = np.arange(2**16, dtype=np.uint16).reshape(-1, 2)
    for dtype in (np.float16, ml_dtypes.bfloat16):
        case = Case(bits.view(dtype))
        assert_same(to_case(sent(from_case(case))), case)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0, 4), (1, 1)])
def test_empty_arrays_keep_their_shape(shape: tuple[int, ...]) -> None:
    """Arrays without elements arrive with their shape, those behind them with their values."""
    case = Case(np.empty(shape, np.float32), weight=np.arange(3, dtype=np.float32))
    assert_same(to_case(sent(from_case(case))), case)


def test_strides_become_values() -> None:
    """Views of stride 0, reversed ones, and other byte orders arrive as the values they show."""
    wide = np.broadcast_to(np.arange(3, dtype=np.float32), (4, 3))
    for x in (wide, np.ones((4, 6), np.float32)[:, ::-2], wide.astype(">f4")):
        assert sent({"x": x})["x"].tolist() == x.tolist()


def test_origin_stays_at_home() -> None:
    """The implementation is not told how its case was made."""
    case = Case(np.ones((2, 2)), origin="values=constant")
    assert b"constant" not in pack(from_case(case))
    assert_same(to_case(sent(from_case(case))), replace(case, origin=""))


def test_outcome_arrives_whole() -> None:
    """Results, errors, exits, inputs as they were left, shared and overrun memory arrive; so does absence."""
    y = np.array([[np.nan, -0.0]])
    full = Outcome(y, None, y[0], y, None, y[0], "E: m", "hung", {}, ("y and x",), ("x", "dy"))
    assert_same(to_outcome(sent(from_outcome(full))), full)
    assert_same(to_outcome(sent(from_outcome(Outcome()))), Outcome())
    after = to_outcome(sent(from_outcome(Outcome(inputs_after={"x": y, "weight": y[0]})))).inputs_after
    assert {name: array.tobytes() for name, array in after.items()} == {"x": y.tobytes(), "weight": y[0].tobytes()}


def test_claims_arrive() -> None:
    """The claims of every bundled implementation, and the default ones, arrive equal."""
    cheap = [create(entry).claims for entry in REGISTRY if entry.name in ("reference", "torch", "torch.functional")]
    for claims in [Claims(), *cheap]:
        assert to_claims(sent(from_claims(claims))) == claims


def test_messages_may_come_in_pieces() -> None:
    """Messages are whole when their last byte is there, and keep their order."""
    data = b"".join(pack({"i": i, "x": np.full((3, i), i)}) for i in range(4))
    frames, found = Frames(), []
    for i in range(0, len(data), 7):
        frames.feed(data[i : i + 7])
        while (message := frames.next()) is not None:
            found.append(message)
    assert [message["i"] for message in found] == [0, 1, 2, 3]
    assert [message["x"].shape for message in found] == [(3, 0), (3, 1), (3, 2), (3, 3)]


@pytest.mark.parametrize(
    "value",
    [object(), lambda: 1, {1, 2}, np.array([object()]), np.array(["a"]), np.zeros(2, "f4,i4"), 1j],
    ids=["object", "function", "set", "object array", "text array", "records", "complex"],
)
def test_what_is_no_number_is_refused(value: Any) -> None:
    """Objects of any kind, alone or in arrays, are refused before they are sent."""
    with pytest.raises(WireError, match=r"instead of|complex"):
        pack({"y": value})


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"x" + data[1:],
        lambda data: data.replace(b"float64", b"floot64"),
        lambda data: data.replace(b"[2, 2]", b"[2, 9]"),
        lambda data: data.replace(b"[2, 2]", b"[-2,2]"),
        lambda data: data.replace(b'{"x"', b'{"x{'),
    ],
    ids=["mark", "dtype", "too long", "negative", "not JSON"],
)
def test_damaged_message_is_refused(change: Any) -> None:
    """Bytes that are not a message are told from one."""
    data = pack({"x": np.ones((2, 2))})
    assert change(data) != data
    frames = Frames()
    frames.feed(change(data))
    with pytest.raises(WireError):
        frames.next()


def test_nothing_is_pickled() -> None:
    """No module of the worker knows pickle, eval or marshal."""
    for path in Path(worker.__path__[0]).glob("*.py"):
        for word in ("pickle", "eval(", "exec(", "marshal", "multiprocessing"):
            assert word not in path.read_text(), path.name
