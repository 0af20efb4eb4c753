"""A gallery of batch norms in the styles that people write, each judged as expected.

The files are re-created from descriptions of public code; nothing is copied. Each ends with what `bnconform vet` needs
to know of it, in at most 12 lines.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from pathlib import Path
from runpy import run_path

import pytest
from suite_runs import judge, one_starter

from bnconform.identify.measured_claims import measured_claims, write_claims
from bnconform.running.all_laws import laws
from bnconform_adapters.registry import load
from bnconform_adapters.worker.client import Starter, WorkerAdapter

HERE = Path(__file__).parent
BROKEN = {
    "first_batch_sets": ("F1", "F3", "I1"),
    "kernelbench_cheating": ("S4", "S11", "G9"),
    "lecture_class": ("F1", "F2"),
    "statistics_overwritten": ("S1", "S2", "S4"),
}
"""Laws that the wrong ones break; all others conform."""
FILES = sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("test_"))
KNOWN = {"activation_in_place": {"S3"}}
"""Laws that torch itself breaks: with momentum None it counts batches that it refuses, see the ledger."""
OF_CLAIMS = ("F1", "F3", "F4", "F5", "S1", "S2", "S3", "S4", "S9", "I1", "G1", "G2", "N2", "X2", "X3", "E1")
"""Laws that break if a claim is wrong."""
ONE_ARRAY = "self.dweight, self.dbias = torch.stack([self.dweight, self.dbias]); return dx"
MARK = "# For bnconform:\n"
MOST_LINES, FEW, FEWER = 12, 5, 3


@pytest.fixture(scope="module", autouse=True)
def starter() -> Iterator[Starter]:
    """Provide the process that forks those of all files; it has torch by then."""
    with one_starter() as starter:
        yield starter


def broken_laws(path: Path, only: Collection[str] = (), examples: int = FEW) -> dict[str, str]:
    """Judge laws, by default all that a file claims, on a few cases; return the broken ones, with what is wrong."""
    spec = str(path)
    adapter = load(spec)
    asked = only or laws()
    claimed = [id for id in asked if laws()[id].source.why_not(adapter.claims) is None]
    found = {id: judge(adapter, id, examples=examples, profile="quick", spec=spec)[0] for id in claimed}
    return {id: str(broken.finding) for id, broken in found.items() if broken is not None}


@pytest.mark.parametrize("name", [name for name in FILES if name not in BROKEN])
def test_correct_one_conforms(name: str) -> None:
    """No law that it claims is broken."""
    assert broken_laws(HERE / f"{name}.py", examples=FEWER) == {}


@pytest.mark.parametrize("name", BROKEN)
def test_wrong_one_breaks_the_law_that_names_its_fault(name: str) -> None:
    """The laws that name the fault are broken."""
    assert set(BROKEN[name]) <= set(broken_laws(HERE / f"{name}.py", BROKEN[name]))


@pytest.mark.parametrize("name", FILES)
def test_table_is_short(name: str) -> None:
    """The lines below the mark tell the suite what it needs to know, in at most 12 lines."""
    lines = [line for line in (HERE / f"{name}.py").read_text().partition(MARK)[2].splitlines() if line]
    assert len(lines) <= MOST_LINES


TORCH_CLASS = """
import torch
from torch.nn import functional

class Layer:
    def __init__(self, channels, eps, momentum):
        self.settings, self.training = {"momentum": momentum, "eps": eps}, True
        self.weight, self.bias = torch.ones(channels), torch.zeros(channels)
        self.running_mean, self.running_var = torch.zeros(channels), torch.ones(channels)

    def forward(self, x):
        self.given = [one.detach().clone().requires_grad_() for one in (x, self.weight, self.bias)]
        x, *affine = self.given
        self.y = functional.batch_norm(
            x, self.running_mean, self.running_var, *affine, training=self.training, **self.settings
        )
        return self.y.detach().clone()

    def backward(self, dy):
        dx, self.dweight, self.dbias = torch.autograd.grad(self.y, self.given, dy, retain_graph=True)
        return dx

ARRAYS, LAYER = "torch", {"build": Layer, "dweight": "dweight", "dbias": "dbias", "mode": ".training"}
CLAIMS = {"dtypes": ["float32"], "gradients": ["training", "inference"]}
"""


@pytest.mark.parametrize(("last", "broken"), [("return dx", set()), (ONE_ARRAY, {"P4"})])
def test_gradients_of_a_backward_method_share_no_memory(tmp_path: Path, last: str, broken: set[str]) -> None:
    """P4 finds a dweight and a dbias that are views of one array; only gradients from autograd may be."""
    path = tmp_path / "kernel.py"
    path.write_text(TORCH_CLASS.replace("return dx", last))
    assert set(broken_laws(path, ("P4", "G1", "G2"))) == broken


def without_claims(text: str) -> str:
    """Return a file's text without its CLAIMS."""
    lines = text.splitlines()
    for node in reversed(ast.parse(text).body):
        if isinstance(node, ast.Assign | ast.AugAssign) and ast.unparse(node).startswith("CLAIMS "):
            del lines[node.lineno - 1 : node.end_lineno]
    return "\n".join([*lines, ""])


@pytest.mark.parametrize(
    ("name", "ranks", "remark"),
    [
        ("activation_in_place", (4,), "x of rank 2, 3, 5 was refused when tried: ValueError"),
        ("course_layer", (2, 3, 4, 5), "x of rank 3, 4, 5 gives ValueError: operands could not be broadcast"),
        ("frozen_layer", (2, 3, 4, 5), "x of rank 2 gives y of shape (1, 3, 4, 3) for x of shape (4, 3)"),
        ("debiased_averages", (2, 3, 4, 5), ""),
    ],
)
def test_ranks_are_tried(name: str, ranks: tuple[int, ...], remark: str, tmp_path: Path) -> None:
    """Only a deliberate refusal narrows the ranks; another error or another shape of y gets a remark."""
    path = tmp_path / f"{name}.py"
    path.write_text(without_claims((HERE / f"{name}.py").read_text()))
    adapter = load(str(path))
    assert adapter.claims.ranks == ranks
    assert any(one.startswith(remark) for one in adapter.remarks) if remark else adapter.remarks == ()


@pytest.mark.parametrize("name", [name for name in FILES if name not in BROKEN])
def test_measured_claims_are_right(name: str, tmp_path: Path, starter: Starter) -> None:
    """A correct file without CLAIMS conforms to those that `bnconform identify --write` measures."""
    path = tmp_path / f"{name}.py"
    path.write_text(without_claims((HERE / f"{name}.py").read_text()))
    with WorkerAdapter(str(path), started_by=starter) as adapter:
        write_claims(path, measured_claims(adapter))
    assert set(broken_laws(path, OF_CLAIMS)) <= KNOWN.get(name, set())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("CLAIMS: dict = {'grade': 'NU', 'dtypes': ['float32']}", {"grade": "NW", "dtypes": ["float32"]}),
        ("CLAIMS = {\n    'grade': 'NU',\n}", {"grade": "NW"}),
        ("ARRAYS, CLAIMS = 'torch', {'dtypes': ['float32']}", {"grade": "NW", "dtypes": ["float32"]}),
        ("CLAIMS = dict(dtypes=['float32'])", {"grade": "NW", "dtypes": ["float32"]}),
        ("", {"grade": "NW"}),
    ],
)
def test_measured_claims_are_added_to_those_of_the_file(tmp_path: Path, before: str, after: dict[str, object]) -> None:
    """A new entry replaces an old one; the other entries of CLAIMS stay."""
    path = tmp_path / "kernel.py"
    path.write_text(before)
    write_claims(path, {"grade": "NW"})
    assert run_path(str(path))["CLAIMS"] == after
