"""Every form in which a kernel comes: its starter meets all laws, and the suite sees what the form is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from suite_runs import judge, laws, replaced, starter

from bnconform.cases.build import build
from bnconform.cases.recipe import Recipe
from bnconform.commands.new import STARTERS
from bnconform.judging.comparison import compare
from bnconform.judging.oracle import expect
from bnconform_adapters.calls import run, second_order
from bnconform_adapters.contract import Adapter
from bnconform_adapters.registry import load

FOREIGN = Path(__file__).parent / "foreign"
FORMS = tuple(form for form in STARTERS if form != "numpy")  # test_candidates.py has that one
NEEDS = {"numpy": "numpy", "class": "numpy", "torch": "torch", "jax": "jax", "module": "torch", "kernelbench": "torch"}
ORDINARY = Recipe(shape=(3, 2, 4, 4), dy="random", layout="channels_last", dy_layout="transposed")


def written(folder: Path, text: str) -> str:
    """A candidate file with this text; its path."""
    path = folder / "kernel.py"
    path.write_text(text)
    return str(path)


@pytest.fixture(scope="module", params=FORMS)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Adapter]:
    """The starter of each form, as a file and as its adapter."""
    pytest.importorskip(NEEDS[request.param])
    path = written(tmp_path_factory.mktemp(request.param), starter(request.param))
    return path, load(path)


@pytest.mark.parametrize("id", laws())
def test_starter_keeps_every_law_that_it_claims(id: str, loaded: tuple[str, Adapter]) -> None:
    """The starter meets each law, or does not claim it."""
    path, adapter = loaded
    if laws()[id].source.why_not(adapter.claims):
        pytest.skip("not claimed")
    broken, tally = judge(adapter, id, examples=2, spec=path)
    assert broken is None
    assert tally.cases > 0


@pytest.mark.parametrize("name", ["autograd_function.py", "custom_op.py"])
@pytest.mark.parametrize("id", ["F1", "S4", "I1", "G1", "G2", "G4", "G8", "G9", "P1", "P4", "M9"])
def test_kernels_behind_a_module_are_judged(name: str, id: str) -> None:
    """autograd.Function and torch.library custom operators come in through a module, and meet the laws."""
    pytest.importorskip("torch")
    path = FOREIGN / name
    broken, tally = judge(load(str(path)), id, profile="quick", spec=str(path))
    assert broken is None
    assert tally.cases > 0


@pytest.mark.parametrize(
    ("name", "edit", "told_by"),
    [
        ("autograd_function.py", ("dx = dy - column(dbias / n, dy) -", "dx = dy -"), "G1"),
        (
            "autograd_function.py",
            ("return dx * column(invstd * gamma, dy), ", "return dx * column(invstd, dy), "),
            "G4",
        ),
        (
            "autograd_function.py",
            ("return dx * column(invstd * gamma, dy),", "return dy.copy_(dx * column(invstd * gamma, dy)),"),
            "P1",
        ),
        ("custom_op.py", ("dx = (dy - column(dbias / n, dy) -", "dx = (dy -"), "G1"),
        (
            "custom_op.py",
            ("xhat = (x - column(mean, x)) / torch.sqrt(", "xhat = x.sub_(column(mean, x)) / torch.sqrt("),
            "P1",
        ),
    ],
)
def test_faulty_kernels_behind_a_module_are_told(
    name: str, edit: tuple[str, str], told_by: str, tmp_path: Path
) -> None:
    """What is wrong in such a kernel breaks the law that it would break anywhere."""
    pytest.importorskip("torch")
    path = written(tmp_path, replaced((FOREIGN / name).read_text(), [edit]))
    broken, _ = judge(load(path), told_by)
    assert broken is not None


ONE_ROW = Recipe(shape=(1, 2), training=False, dy="random")


def test_gradients_that_autograd_hands_on_are_no_fault(tmp_path: Path) -> None:
    """With one row, autograd's gradient of a bias that is added is dy itself: no result of the module's kernels."""
    pytest.importorskip("torch")
    adapter = load(written(tmp_path, starter("module")))
    assert run(adapter, build(ONE_ROW)).shared == ()
    edit = (
        "        return self.normalized(x, self.running_mean",
        "        return x.view_as(x)\n        return self.normalized(x, self.running_mean",
    )
    adapter = load(written(tmp_path, replaced(starter("module"), [edit])))
    assert "y and x" in run(adapter, build(replace(ONE_ROW, dy="absent"))).shared


def test_signature_says_what_a_module_claims() -> None:
    """Parameters that cannot be absent, and eps and momentum that can be chosen, follow from the constructor."""
    pytest.importorskip("torch")
    claims = load(str(FOREIGN / "autograd_function.py")).claims
    assert claims.parameters == ("both",)
    assert (claims.ranks, claims.untracked) == ((2, 3, 4, 5), False)
    assert (claims.fixed_eps, claims.fixed_momentum) == (None, None)
    claims = load(str(FOREIGN / "custom_op.py")).claims
    assert (claims.ranks, claims.untracked) == ((4,), True)


def test_signature_that_names_bias_offers_a_weight_alone(tmp_path: Path) -> None:
    """affine and bias as switches give both, neither and weight alone, as in torch."""
    torch = pytest.importorskip("torch")
    import inspect

    if "bias" not in inspect.signature(torch.nn.BatchNorm2d).parameters:
        pytest.skip("this torch has no such switch")
    path = written(tmp_path, "import torch\n\n\nclass Norm(torch.nn.BatchNorm2d):\n    pass\n")
    adapter = load(path)
    assert set(adapter.claims.parameters) == {"both", "neither", "weight"}
    for parameters in adapter.claims.parameters:
        case = build(replace(ORDINARY, parameters=parameters))
        outcome = run(adapter, case)
        assert outcome.error is None
        assert (outcome.dweight is None, outcome.dbias is None) == (case.weight is None, case.bias is None)


FIXED = """
import torch


class Norm(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.bn = torch.nn.BatchNorm1d(channels, eps=0.25, momentum=0.5)

    def forward(self, x):
        return self.bn(x)
"""


def test_what_a_constructor_does_not_name_is_fixed(tmp_path: Path) -> None:
    """eps and momentum of a module whose constructor takes neither are those of its submodule, in every case drawn."""
    pytest.importorskip("torch")
    path = written(tmp_path, FIXED)
    adapter = load(f"{path}:Norm")
    assert (adapter.claims.fixed_eps, adapter.claims.fixed_momentum) == (0.25, 0.5)
    assert adapter.claims.ranks == (2, 3)
    assert laws()["M2"].source.why_not(adapter.claims) == "any eps is not claimed"
    for id in ("F1", "F3", "F8", "S1", "S4", "S11", "G1", "P3", "E1"):
        broken, _ = judge(adapter, id, profile="quick")
        assert broken is None, id


def test_torchs_own_layer_in_kernelbenchs_form(tmp_path: Path) -> None:
    """The benchmark's own Model, with torch.nn.BatchNorm2d inside, is found, built and judged; no input is made."""
    pytest.importorskip("torch")
    text = """
import torch
import torch.nn as nn


class Model(nn.Module):
    def __init__(self, num_features: int):
        super(Model, self).__init__()
        self.bn = nn.BatchNorm2d(num_features=num_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(x)


def get_inputs():
    return [torch.rand(64, 64, 4096, 4096)]


def get_init_inputs():
    return [64]
"""
    adapter = load(written(tmp_path, text))
    assert (adapter.claims.ranks, adapter.claims.fixed_eps, adapter.claims.fixed_momentum) == ((4,), 1e-5, 0.1)
    for id in ("F1", "S4", "I1", "G1"):
        broken, _ = judge(adapter, id, profile="quick")
        assert broken is None, id


def test_forward_only_model_does_not_claim_gradients(tmp_path: Path) -> None:
    """A KernelBench model whose y has no gradient claims none; its forward pass is judged all the same."""
    pytest.importorskip("torch")
    text = replaced(starter("kernelbench"), [("        return self.bn(x)", "        return self.bn(x).detach()")])
    adapter = load(written(tmp_path, text))
    assert adapter.claims.gradients == ()
    broken, _ = judge(adapter, "F1", profile="quick")
    assert broken is None


@pytest.mark.parametrize("form", STARTERS)
def test_every_form_gives_the_same_numbers(form: str, tmp_path: Path) -> None:
    """One case through every starter gives its shapes and dtypes, and the oracle's values within the allowed error."""
    pytest.importorskip(NEEDS[form])
    adapter, case = load(written(tmp_path, starter(form))), build(ORDINARY)
    outcome, expected = run(adapter, case), expect(case, adapter.claims)
    for name in ("y", "dx", "dweight", "dbias", "running_mean", "running_var"):
        found = getattr(outcome, name)
        assert found.dtype == np.float32
        assert (compare(found, expected[name]).ratio <= 1).all(), name


@pytest.mark.parametrize(("form", "module"), [("torch", "torch"), ("jax", "jax.numpy")])
def test_double_backward_takes_the_forms_arrays(form: str, module: str, tmp_path: Path) -> None:
    """double_backward gets arrays of the stated kind, and its results travel back."""
    pytest.importorskip(NEEDS[form])
    added = f"""

def double_backward(ddx, ddweight, ddbias, dy, saved):
    import {module} as framework
    for given in (ddx, ddweight, ddbias, dy):
        assert type(given) is type(framework.zeros(1)), type(given)
    return dy * 1, ddx * 2, ddweight * 3
"""
    adapter = load(written(tmp_path, starter(form) + added))
    assert adapter.claims.second_order == ("training",)
    case = build(replace(ORDINARY, cotangents="all", layout="contiguous", dy_layout="contiguous"))
    found = second_order(adapter, case)
    assert found.error is None
    assert case.dy is not None
    for got, wanted in ((found.ddy, case.dy), (found.dx, 2 * case.ddx), (found.dweight, 3 * case.ddweight)):
        np.testing.assert_array_equal(got, wanted)
