"""double_backward and jvp: what a candidate's functions are given, and how their failures are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from suite_runs import judge

from bnconform.cases.build import build
from bnconform.cases.recipe import Recipe
from bnconform.judging.findings import describe_case
from bnconform_adapters.calls import jvp, second_order
from bnconform_adapters.candidate import Candidate, load_candidate
from bnconform_adapters.claims import Mode
from bnconform_adapters.registry import REGISTRY, create, load

CANDIDATE = """
import numpy as np

given = {}

def forward_training(x, weight, bias, running_mean, running_var, *, momentum, eps):
    return x.copy(), None, None, "saved"

def backward(dy, saved):
    return dy.copy(), np.zeros(dy.shape[1], "f"), np.zeros(dy.shape[1], "f")

def double_backward(ddx, ddweight, ddbias, dy, saved):
    given["double_backward"] = ddx, ddweight, ddbias, dy, saved
    return dy * 1, dy * 2, np.full(dy.shape[1], 3, "f")

def jvp(x, weight, bias, x_tangent, weight_tangent, bias_tangent, *, eps):
    given["jvp"] = x, weight, bias, x_tangent, weight_tangent, bias_tangent, eps
    return x_tangent * 4
"""
ORDINARY = Recipe(shape=(3, 2, 4), dy="random", cotangents="all")


def loaded(folder: Path, text: str = CANDIDATE) -> tuple[Candidate, dict[str, Any]]:
    """The candidate, and what its functions were given."""
    path = folder / "kernel.py"
    path.write_text(text)
    candidate = load_candidate(path)
    return candidate, candidate.file.tested.given


def without(text: str, name: str) -> str:
    """The candidate's text with one function renamed out of the contract."""
    return text.replace(f"def {name}(", f"def not_{name}(")


def test_functions_are_given_the_cases_arrays(tmp_path: Path) -> None:
    """double_backward gets ddx, ddweight, ddbias, dy and what was saved; jvp the arguments and their tangents."""
    candidate, given = loaded(tmp_path)
    case = build(replace(ORDINARY, layout="channels_last", dy_layout="transposed"))
    found = second_order(candidate, case)
    *vectors, dy, saved = given["double_backward"]
    for got, expected in zip((*vectors, dy), (case.ddx, case.ddweight, case.ddbias, case.dy), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert saved == "saved"
    assert vectors[0].strides != np.ascontiguousarray(vectors[0]).strides  # ddx lies as x does
    assert found.ddy is not None
    assert found.dx is not None
    np.testing.assert_array_equal(found.dx, 2 * found.ddy)
    assert found.dweight is not None
    assert found.dweight.tolist() == [3, 3]

    tangent = jvp(candidate, case).y_tangent
    *arrays, eps = given["jvp"]
    expected = (case.x, case.weight, case.bias, case.ddx, case.ddweight, case.ddbias)
    for got, wanted in zip(arrays, expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert eps == case.eps
    np.testing.assert_array_equal(tangent, 4 * case.ddx)


@pytest.mark.parametrize("name", ["reference", "torch", "torch.functional", "torch.vmap"])
def test_inputs_are_handed_back(name: str) -> None:
    """Where memory can be written, all that went in is there to be compared with what it was."""
    case = build(ORDINARY)
    names = {"x", "weight", "bias", "ddx", "ddweight", "ddbias"}
    for call, given in ((second_order, names | {"dy"}), (jvp, names)):
        after = call(load(name), case).inputs_after
        assert set(after) == given
        for one in given:
            np.testing.assert_array_equal(after[one], getattr(case, one))


def test_written_inputs_are_seen(tmp_path: Path) -> None:
    """What a function does to ddx is in what is handed back."""
    candidate, _ = loaded(tmp_path, CANDIDATE.replace("    return dy * 1", "    ddx += 1\n    return dy * 1"))
    case = build(ORDINARY)
    assert case.ddx is not None
    before = case.ddx.copy()
    np.testing.assert_array_equal(second_order(candidate, case).inputs_after["ddx"], before + 1)
    np.testing.assert_array_equal(case.ddx, before)


def test_absent_parameters_have_none_and_absent_vectors_zeros(tmp_path: Path) -> None:
    """Beside a weight that is None ddweight is None; a vector that the case leaves out is zeros."""
    candidate, given = loaded(tmp_path)
    found = second_order(candidate, build(replace(ORDINARY, parameters="bias", cotangents="ddx")))
    _, ddweight, ddbias, *_ = given["double_backward"]
    assert ddweight is None
    assert ddbias.tolist() == [0, 0]
    assert found.dweight is None


@pytest.mark.parametrize(
    ("missing", "second", "forward"),
    [
        ("double_backward", (), ("training",)),
        ("backward", (), ("training",)),
        ("jvp", ("training",), ()),
    ],
)
def test_what_is_absent_is_not_claimed(
    missing: str, second: tuple[Mode, ...], forward: tuple[Mode, ...], tmp_path: Path
) -> None:
    """Second order takes backward and double_backward, forward mode takes jvp."""
    path = tmp_path / "kernel.py"
    path.write_text(without(CANDIDATE, missing))
    claims = load_candidate(path).claims
    assert (claims.second_order, claims.forward_mode) == (second, forward)


@pytest.mark.parametrize(
    ("id", "edit", "told"),
    [
        ("G10", ("    return dy * 1, dy * 2,", "    raise OSError('no')\n    return dy * 1, dy * 2,"), "OSError: no"),
        ("G11", ("    return x_tangent * 4", "    raise OSError('no')"), "OSError: no"),
        ("G10", ("return dy * 1, dy * 2,", "return None, dy * 2,"), "is missing"),
        ("G10", ("return dy * 1, dy * 2,", "return dy[:1], dy * 2,"), "the case asks for shape"),
        ("G11", ("    return x_tangent * 4", "    return x_tangent[..., None]"), "the case asks for shape"),
        ("G11", ("    return x_tangent * 4", "    return None"), "is missing"),
        ("G11", ("    return x_tangent * 4", "    return 4"), "the contract asks for a NumPy array"),
    ],
)
def test_failures_are_findings(id: str, edit: tuple[str, str], told: str, tmp_path: Path) -> None:
    """An exception, a missing result and a wrong shape break the law, and the finding says so."""
    assert edit[0] in CANDIDATE
    candidate, _ = loaded(tmp_path, CANDIDATE.replace(*edit))
    broken, _ = judge(candidate, id, profile="quick")
    assert broken is not None
    assert told in broken.finding.problem


def test_finding_prints_what_is_contracted_with() -> None:
    """ddx, ddweight and ddbias are among the lines of a case."""
    lines = describe_case(build(ORDINARY))
    assert [line.split()[0] for line in lines[-3:]] == ["ddx", "ddweight", "ddbias"]


def test_fused_kernel_offers_no_forward_mode() -> None:
    """FusedBatchNorm has no forward mode: torch says so, and the adapter does not claim it."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("triton")
    adapter = create(next(entry for entry in REGISTRY if entry.name == "fused_triton"))
    assert adapter.claims.forward_mode == ()
    error = jvp(adapter, build(ORDINARY)).error
    assert error is not None, torch.__version__
    assert "forward" in error
