"""What a script of a known deviation says, and how it is asked for; `test_bundled.py` runs those of all entries."""

from __future__ import annotations

from pathlib import Path

import pytest
from suite_runs import run

from bnconform.commands.reproduce import reproduce
from bnconform.deviations import ledger
from bnconform_adapters.errors import UserError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the scripts are written."""
    return tmp_path_factory.mktemp("scripts")


def test_script_imports_nothing_of_the_project(folder: Path) -> None:
    """The text of a script names this project nowhere."""
    path = reproduce("torch", "X4", folder)
    assert "bnconform" not in path.read_text()


def test_head_says_what_is_wrong_and_where_it_was_told(folder: Path) -> None:
    """A stranger reads first what goes wrong, then what is called, the law, the finding and the upstream thread."""
    entry = ledger.find("torch.native", "X2")
    assert entry is not None
    head = " ".join(reproduce("torch.native", "X2", folder).read_text().split('"""')[1].split())
    told = [
        f"X2 broken by torch.native: {entry.reason}.",
        "Implementation: torch.native_batch_norm.",
        "The law X2: ",
        "Finding: call returned for ",
        f"Upstream: {entry.link} ",
        "Seen with numpy ",
        "Exits with 1 while the defect is there",
    ]
    places = [head.find(one) for one in told]
    assert entry.link
    assert places == sorted(places)
    assert places[0] == 0, head


def test_command_writes_the_script(tmp_path: Path) -> None:
    """`bnconform reproduce NAME REQUIREMENT` writes the script here and says how to run it."""
    done = run("-m", "bnconform.cli", "reproduce", "torch", "X4", cwd=tmp_path)
    assert done.status == 0, done.err
    assert "reproduce_X4_torch.py" in done.out
    assert (tmp_path / "reproduce_X4_torch.py").is_file()


@pytest.mark.parametrize(
    ("name", "requirement", "told"),
    [("torch", "F1", "pass one of N2"), ("reference", "F1", "no entry names")],
)
def test_unknown_entry_is_refused(name: str, requirement: str, told: str, tmp_path: Path) -> None:
    """What the ledger does not have is refused with what it has."""
    with pytest.raises(UserError, match=told):
        reproduce(name, requirement, tmp_path)
