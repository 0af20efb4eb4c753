"""Known deviations: what released implementations really do wrong, as data with witnesses.

An entry is a strict expected failure. Its witness is judged first: where it no longer breaks the law, the entry is
stale and the run fails. `elsewhere` narrows the claims to where the law is still expected to hold; there it is
searched as ever. Without it the law is known to be broken everywhere, and the witness is all that is judged.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Literal

from bnconform.case_file import from_json
from bnconform.requirements import BY_ID
from bnconform_adapters.contract import Case, Claims, with_values
from bnconform_reference.precision import Grade

Kind = Literal["bug", "numerics", "robustness"]


@dataclass(frozen=True)
class Deviation:
    """One requirement that one implementation is known to break.

    Attributes
    ----------
    implementation, requirement : str
    kind : str
        bug: against its own documentation or the definition. numerics: quality of arithmetic. robustness: edges.
    versions : str
        Where it was seen, as ``distribution==version``.
    reason : str
        What happens, in one line.
    witness : str
        Name of a case file beside the ledger.
    link : str
        The upstream thread; empty where none was found.
    grade : str or None
        On N1: the grade that the arithmetic does reach; the other laws are judged at it.
    elsewhere : tuple of dict
        Claims to replace, so that what is left is expected to meet the law; one search for each.
    """

    implementation: str
    requirement: str
    kind: Kind
    versions: str
    reason: str
    witness: str
    link: str = ""
    grade: Grade | None = None
    elsewhere: tuple[dict[str, Any], ...] = ()

    def narrowed(self, claims: Claims) -> list[Claims]:
        """The claims under which the law is still expected to hold; none where that is nowhere."""
        claims = replace(claims, grade=self.grade or claims.grade)
        return [with_values(claims, fields) for fields in self.elsewhere or ([{}] if self.grade else [])]

    def steps(self) -> tuple[Case, ...]:
        """The witness."""
        return from_json(json.loads((_folder() / self.witness).read_text()))


def _folder() -> Traversable:
    return resources.files("bnconform") / "deviations"


@cache
def deviations() -> tuple[Deviation, ...]:
    """All entries of the ledger.

    Raises
    ------
    ValueError
        An entry names no known requirement, or an implementation and requirement twice.
    """
    table = tomllib.loads((_folder() / "ledger.toml").read_text())["deviation"]
    entries = tuple(Deviation(**entry | {"elsewhere": tuple(entry.get("elsewhere", ()))}) for entry in table)
    seen = set()
    for entry in entries:
        key = (entry.implementation, entry.requirement)
        if entry.requirement not in BY_ID or key in seen:
            raise ValueError(f"the ledger has an unknown requirement or two entries for {' '.join(key)}")
        seen.add(key)
    return entries


def find(implementation: str, requirement: str) -> Deviation | None:
    """The entry for an implementation and a requirement, if there is one."""
    for entry in deviations():
        if (entry.implementation, entry.requirement) == (implementation, requirement):
            return entry
    return None


def judged_claims(implementation: str, claims: Claims) -> Claims:
    """The claims by which laws other than N1 are judged: at the grade that a deviation of N1 names."""
    entry = find(implementation, "N1")
    return replace(claims, grade=entry.grade) if entry and entry.grade else claims
