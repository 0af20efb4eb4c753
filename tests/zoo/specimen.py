"""What the zoo knows of a specimen, and how a class becomes one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Specimen:
    """One implementation with one fault.

    Attributes
    ----------
    name : str
        As `load_candidate(file, name)` takes it.
    fault : str
        What is wrong with it, in one line.
    source : str
        Where the fault was seen: a name and `owner/repository#number`; empty where it is made up.
    laws : tuple of str
        Requirements that it is there for; each must catch it.
    """

    name: str
    fault: str
    source: str
    laws: tuple[str, ...]


def specimen(made: type[T]) -> T:
    """Put an instance under the class's name: its bound methods are the contract's functions."""
    return made()
