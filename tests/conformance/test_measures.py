"""Fixed cases through an implementation: what is recorded is its signed distance from the oracle of its dialect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from suite_runs import replaced, starter

from bnconform.cases.case_file import same
from bnconform.cases.fixed_cases import Handed, fixed_case
from bnconform.running.measurement import LENGTHS, RATIOS, STEPS, measure
from bnconform_adapters.contract import Case, Layer
from bnconform_adapters.registry import load

ONE_PASS = "np.square(wide).mean(axis=reduced_axes(x)) - np.square(mean)"


def measured(tmp_path: Path, *edits: tuple[str, str]) -> dict[str, Any]:
    """The measures of the starter file with some edits."""
    path = tmp_path / "kernel.py"
    path.write_text(replaced(starter(), edits))
    return measure(load(str(path)))


def worst(measures: dict[str, Any], name: str, kind: str = "conditioning") -> list[float]:
    """The worst ratio of a quantity at every point of a kind."""
    return [point["worst"][name]["ratio"] for point in measures["points"] if point["kind"] == kind]


def test_correct_kernel_is_within_the_allowed_everywhere(tmp_path: Path) -> None:
    """A correct kernel is above the allowed error at no point, and has numbers at all of them."""
    found = measured(tmp_path)
    assert [p["at"] for p in found["points"]] == [*RATIOS, *map(float, LENGTHS), *map(float, STEPS)]
    statistics = {"running_mean", "running_var"}
    for point in found["points"]:
        more = set() if point["kind"] == "drift" else {"y", "dx", "dweight", "dbias"}
        assert set(point["worst"]) == statistics | more
        assert all(0 <= one["ratio"] <= 1 for one in point["worst"].values())
    assert json.loads(json.dumps(found)) == found


def test_deviations_are_what_the_worst_is_of(tmp_path: Path) -> None:
    """The worst ULP of a quantity is the largest of its deviations; there is one for every element."""
    for point in measured(tmp_path)["points"]:
        for name, deviations in point.get("deviations", {}).items():
            assert max(map(abs, deviations)) == point["worst"][name]["ulp"]
            assert len(deviations) == len(point["allowed"][name]) == (48 if name in ("y", "dx") else 3)


def test_deviations_have_their_sign(tmp_path: Path) -> None:
    """Outputs that are too large deviate upward, those that are too small downward."""
    up = measured(tmp_path, ("return y.astype(x.dtype), new", "return (y + 1).astype(x.dtype), new"))
    down = measured(tmp_path, ("return y.astype(x.dtype), new", "return (y - 1).astype(x.dtype), new"))
    assert min(up["points"][0]["deviations"]["y"]) > 0
    assert max(down["points"][0]["deviations"]["y"]) < 0


def test_two_calls_measure_the_same(tmp_path: Path) -> None:
    """The cases are fixed: measured again, a deterministic kernel gives the same numbers."""
    assert measured(tmp_path) == measured(tmp_path)


def test_one_pass_variance_leaves_the_line_as_conditioning_grows(tmp_path: Path) -> None:
    """E[x^2] - E[x]^2 is allowed where the mean is small, and far beyond where it is large."""
    found = measured(tmp_path, ("np.square(wide - column(mean, x, 0)).mean(axis=reduced_axes(x))", ONE_PASS))
    ratios = dict(zip(RATIOS, worst(found, "y"), strict=True))
    assert ratios[0.0] <= 1
    assert ratios[1e4] > 100


def test_own_convention_is_no_error(tmp_path: Path) -> None:
    """A kernel that stores the biased variance deviates where it claims the unbiased one, and only there."""
    edits = [("momentum * variance * (n / (n - 1))", "momentum * variance")]
    assert max(worst(measured(tmp_path, *edits), "running_var")) > 100
    claimed = ("CLAIMS = {", "CLAIMS = {'stored_variance': 'biased', ")
    assert max(worst(measured(tmp_path, *edits, claimed), "running_var")) <= 1


def test_point_that_raises_says_so(tmp_path: Path) -> None:
    """A case that raises has the exception in place of numbers; the others keep theirs."""
    found = measured(
        tmp_path, ("    if n == 1:\n", "    if n == 128:\n        raise ValueError('no')\n    if n == 1:\n")
    )
    errors = {point["at"]: point["error"] for point in found["points"] if "error" in point}
    assert [point["kind"] for point in found["points"] if "error" in point] == ["length"]
    assert errors == {128.0: "raises: ValueError: no"}
    assert len([point for point in found["points"] if point["worst"]]) == len(found["points"]) - 1


def test_value_that_is_not_finite_is_infinitely_wrong(tmp_path: Path) -> None:
    """NaN in an output is recorded as an infinite error, never as none."""
    found = measured(tmp_path, ("return y.astype(x.dtype), new", "return (y * np.nan).astype(x.dtype), new"))
    assert found["points"][0]["worst"]["y"]["ratio"] == float("inf")


def test_inference_only_has_no_points(tmp_path: Path) -> None:
    """What does not train has nothing to compare here."""
    found = measured(tmp_path, ("def forward_training(", "def another_function("), ("def backward(", "def unused("))
    assert found["points"] == []


def test_case_is_made_again_from_what_the_record_holds(tmp_path: Path) -> None:
    """The record says what was handed over: with kind and place it gives the very bits that were measured."""
    seen: list[Case] = []

    class Watched:
        name, claims = "watched", load(str(write(tmp_path))).claims

        def layer(self, case: Case) -> Layer:
            call = load(str(tmp_path / "kernel.py")).layer(case)
            return lambda given: (seen.append(given), call(given))[1]

    found = json.loads(json.dumps(measure(Watched())))
    again = Handed(**found["handed"])
    made = [case for p in found["points"] if p["kind"] != "drift" for case in fixed_case(p["kind"], p["at"], again)]
    made += fixed_case("drift", max(STEPS), again)
    for name in ("x", "dy", "weight", "bias", "running_mean", "running_var"):
        assert all(same(getattr(a, name), getattr(b, name)) for a, b in zip(seen, made, strict=True))


def write(tmp_path: Path) -> Path:
    """The starter file."""
    path = tmp_path / "kernel.py"
    path.write_text(starter())
    return path
