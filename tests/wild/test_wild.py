"""A gallery of batch norms in the styles that people write, each judged as expected.

The files are re-created from descriptions of public code; nothing is copied. Each ends with what `bnconform vet` needs
to know of it, in at most 12 lines.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from suite_runs import judge

from bnconform.running.all_laws import laws
from bnconform_adapters.registry import load

HERE = Path(__file__).parent
BROKEN = {
    "first_batch_sets": ("F1", "F3", "I1"),
    "kernelbench_cheating": ("S4", "S11", "G9"),
    "lecture_class": ("F1", "F2"),
    "statistics_overwritten": ("S1", "S2", "S4"),
}
"""Laws that the wrong ones break; all others conform."""
FILES = sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("test_"))
MARK = "# For bnconform:\n"
MOST_LINES = 12


def broken_laws(name: str) -> dict[str, str]:
    """Judge all laws on a file; return the broken ones, with what is wrong."""
    spec = str(HERE / f"{name}.py")
    adapter = load(spec)
    claimed = [id for id, law in laws().items() if law.source.why_not(adapter.claims) is None]
    found = {id: judge(adapter, id, profile="quick", spec=spec)[0] for id in claimed}
    return {id: str(broken.finding) for id, broken in found.items() if broken is not None}


@pytest.mark.parametrize("name", [name for name in FILES if name not in BROKEN])
def test_correct_one_conforms(name: str) -> None:
    """No law that it claims is broken."""
    assert broken_laws(name) == {}


@pytest.mark.parametrize("name", BROKEN)
def test_wrong_one_breaks_the_law_that_names_its_fault(name: str) -> None:
    """The laws that name the fault are broken."""
    assert set(BROKEN[name]) <= set(broken_laws(name))


@pytest.mark.parametrize("name", FILES)
def test_table_is_short(name: str) -> None:
    """What the suite needs to know stands below a mark, in at most 12 lines."""
    lines = [line for line in (HERE / f"{name}.py").read_text().partition(MARK)[2].splitlines() if line]
    assert len(lines) <= MOST_LINES
