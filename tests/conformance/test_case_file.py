"""Case files: bit-exact, readable without pickle, and refused in one line where they are damaged."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnconform.cases.case_file import FORMAT, CaseFileError, from_json, read, same, to_json, write
from bnconform_adapters.contract import DTYPES, Case

SPECIAL = (0.0, -0.0, 1 / 3, -2.0, np.inf, -np.inf, np.nan, 65504.0, 2.0**-24, 2.0**-14)


def assert_same(got: Case, expected: Case) -> None:
    """Every field of two cases is equal, arrays bit for bit."""
    for field in fields(Case):
        a, b = getattr(got, field.name), getattr(expected, field.name)
        if isinstance(b, np.ndarray):
            assert same(a, b), field.name
            assert a.flags.writeable
        else:
            assert (type(a), a) == (type(b), b), field.name


@pytest.mark.parametrize("dtype", DTYPES)
def test_round_trip_keeps_every_bit(dtype: Any, tmp_path: Path) -> None:
    """Signed zeros, infinities, NaN and subnormals of every dtype come back bit for bit."""
    x = np.array(SPECIAL).astype(DTYPES[dtype]).reshape(1, 2, 5)
    parameter = np.array([np.nan, -0.0], np.float32)
    case = Case(x, x[:, ::-1].copy(), parameter, None, parameter, None, False, None, 1e-12, "sliced", "expanded", "a=1")
    write(tmp_path / "case.json", (case,))
    (got,) = read(tmp_path / "case.json")
    assert_same(got, case)


def test_any_bits_come_back(tmp_path: Path) -> None:
    """All 65536 float16 values survive, NaN with whatever payload."""
    x = np.arange(2**16, dtype=np.uint16).view(np.float16).reshape(-1, 2)
    write(tmp_path / "case.json", (Case(x),))
    assert same(read(tmp_path / "case.json")[0].x, x)


def test_foreign_byte_order_comes_back_as_values() -> None:
    """A big-endian array is written in the file's own byte order."""
    x = np.array([[1.0, -2.5]], ">f4")
    (got,) = from_json(json.loads(json.dumps(to_json((Case(x),)))))
    assert got.x.tolist() == x.tolist()


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0, 4), (1, 1)])
def test_empty_arrays_keep_their_shape(shape: tuple[int, ...], tmp_path: Path) -> None:
    """Arrays without elements come back with their shape."""
    write(tmp_path / "case.json", (Case(np.empty(shape, np.float32)),))
    assert read(tmp_path / "case.json")[0].x.shape == shape


def test_several_steps_keep_their_order(tmp_path: Path) -> None:
    """The steps of one layer come back in order; what is said about them stands beside."""
    steps = tuple(Case(np.full((2, 1), i, np.float64), training=i % 2 == 0, momentum=i / 8) for i in range(5))
    write(tmp_path / "sub" / "case.json", steps, requirement="S4", implementation="kernel.py")
    got = read(tmp_path / "sub" / "case.json")
    assert len(got) == len(steps)
    for a, b in zip(got, steps, strict=True):
        assert_same(a, b)
    assert json.loads((tmp_path / "sub" / "case.json").read_text())["requirement"] == "S4"


def test_vectors_of_second_order_come_back(tmp_path: Path) -> None:
    """ddx, ddweight and ddbias are kept bit for bit like all arrays."""
    x, vector = np.ones((2, 1), np.float32), np.array([-0.0], np.float32)
    case = Case(x, x, vector, ddx=x[::-1].copy() / 3, ddweight=vector)
    write(tmp_path / "case.json", (case,))
    assert_same(read(tmp_path / "case.json")[0], case)


def test_file_without_later_fields_is_read() -> None:
    """A file from before there were second-order gradients is read as a case without any."""
    data = to_json((Case(np.ones((2, 1), np.float32)),))
    for name in ("ddx", "ddweight", "ddbias"):
        del data["steps"][0][name]
    (got,) = from_json(data)
    assert (got.ddx, got.ddweight, got.ddbias) == (None, None, None)


def test_file_is_strict_json_with_readable_numbers() -> None:
    """The file is JSON of the strict kind; few finite numbers are also written out, others never."""
    data = to_json((Case(np.array([[0.25, 2.0]], np.float32), dy=np.array([[np.nan, 1.0]], np.float32)),))
    text = json.dumps(data, allow_nan=False)
    (step,) = json.loads(text)["steps"]
    assert step["x"]["values"] == [[0.25, 2.0]]
    assert "values" not in step["dy"]


def test_only_the_bytes_count() -> None:
    """The numbers that are written for the reader are not read."""
    data = to_json((Case(np.array([[0.25]], np.float32)),))
    data["steps"][0]["x"]["values"] = [[9.0]]
    assert from_json(data)[0].x.tolist() == [[0.25]]


@pytest.mark.parametrize("name", ["cases/case_file.py", "deviations/ledger.py", "running/session.py"])
def test_nothing_is_pickled(name: str) -> None:
    """No module that reads or writes cases knows pickle or eval."""
    import bnconform

    text = (Path(bnconform.__file__).parent / name).read_text()
    assert "import pickle" not in text
    assert "eval(" not in text


def damaged(**changes: object) -> str:
    """A case file with fields of its x replaced."""
    data = to_json((Case(np.ones((2, 2), np.float32)),))
    data["steps"][0]["x"] |= changes
    return json.dumps(data)


BAD = {
    "no file": None,
    "not text": b"\xff\xfe\x00",
    "not JSON": b"{",
    "a list": b"[]",
    "another format": json.dumps({"format": "bnconform.case/9", "steps": []}).encode(),
    "no steps": json.dumps({"format": FORMAT}).encode(),
    "zero steps": json.dumps({"format": FORMAT, "steps": []}).encode(),
    "steps of another kind": json.dumps({"format": FORMAT, "steps": [[1]]}).encode(),
    "no x": json.dumps({"format": FORMAT, "steps": [{}]}).encode(),
    "x a number": json.dumps({"format": FORMAT, "steps": [{"x": 3}]}).encode(),
    "an unknown field": json.dumps({"format": FORMAT, "steps": [{"x": None, "frob": 1}]}).encode(),
    "wrong shape": damaged(shape=[3, 3]).encode(),
    "unknown dtype": damaged(dtype="int8").encode(),
    "cut bytes": damaged(bytes="AAA").encode(),
    "foreign letters": damaged(bytes="!!!!").encode(),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_file_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    """A file that is missing, damaged or of another kind is refused in one line that names it."""
    path = tmp_path / "case.json"
    content = BAD[kind]
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CaseFileError) as refusal:
        read(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)
