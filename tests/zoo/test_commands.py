"""The commands that users type judge files of the zoo rightly; `commands.py` runs them over all of it."""

from __future__ import annotations

import pytest
from commands import COMMANDS, Command, files, judged
from hunt import ZOO, file_of

FAULTY: tuple[tuple[Command, str, str, str], ...] = (
    ("pytest", "effects", "OverwritesX", "P1"),
    ("pytest", "fatal", "SegfaultsPastThree", "E2"),
    ("vet", "fatal", "SegfaultsPastThree", "E2"),
    ("vet", "statistics", "MomentumSwapped", "S1"),
)


@pytest.mark.parametrize(("command", "family", "name", "law"), FAULTY)
def test_faulty_file_breaks(command: Command, family: str, name: str, law: str) -> None:
    """A faulty file ends in status 1 and a broken law, whether it returns wrong numbers or crashes."""
    (verdict,) = judged(command, [f"{file_of(family)}:{name}"], faulty=True, only=law)
    assert verdict.rightly, verdict


@pytest.mark.parametrize("command", COMMANDS)
def test_correct_file_conforms(command: Command) -> None:
    """A correct file ends in status 0."""
    (verdict,) = judged(command, [f"{ZOO / 'correct.py'}:TwoPass"], faulty=False, only="F1")
    assert verdict.rightly, verdict


def test_nearly_all_of_the_zoo_are_files() -> None:
    """Only layers that give statistics of a whole data set cannot be named by `--adapter`."""
    listed = dict(files())
    faulty = sum(map(bool, listed.values()))
    assert faulty > 330
    assert len(listed) - faulty > 10
