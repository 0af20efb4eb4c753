"""Known deviations: what released implementations really do wrong, as data with witnesses.

An entry is a strict expected failure. Its witness is judged first: where it no longer breaks the law, the entry is
stale and the run fails. `elsewhere` narrows the claims to where the law is still expected to hold; there it is
searched as ever. Without it the law is known to be broken everywhere, and the witness is all that is judged.

One defect often breaks many laws: half-precision sums show in every gradient. The entry of the law that names the
cause (N1, N2) says so by `cause`; the other laws are then judged elsewhere, too, and need no entries of their own.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Literal

from bnconform.cases.case_file import from_json
from bnconform.requirements import BY_ID
from bnconform_adapters.claims import Claims, with_values
from bnconform_adapters.contract import Case

Kind = Literal["bug", "numerics", "robustness"]


@dataclass(frozen=True)
class Deviation:
    """One requirement that one implementation is known to break.

    Attributes
    ----------
    implementation, requirement : str
        In the table `implementation` may be a list: each gets an entry of its own, with the same witness.
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
    elsewhere : tuple of dict
        Claims to replace, so that what is left is expected to meet the law; one search for each.
    cause : bool
        Whether the other laws are judged elsewhere, too.
    """

    implementation: str
    requirement: str
    kind: Kind
    versions: str
    reason: str
    witness: str
    link: str = ""
    elsewhere: tuple[dict[str, Any], ...] = ()
    cause: bool = False

    def narrowed(self, domains: list[Claims]) -> list[Claims]:
        """What `elsewhere` leaves of each of the given claims; none where that is nothing."""
        found = [_within(claims, values) for claims in domains for values in self.elsewhere]
        return [claims for claims in found if claims is not None]

    def cell(self) -> dict[str, str]:
        """The entry as a cell of the record has it."""
        known = {"kind": self.kind, "reason": self.reason, "versions": self.versions}
        return known | ({"link": self.link} if self.link else {})

    def steps(self) -> tuple[Case, ...]:
        """The witness."""
        return from_json(json.loads((_folder() / self.witness).read_text()))


def _folder() -> Traversable:
    return resources.files("bnconform.deviations")


@cache
def deviations() -> tuple[Deviation, ...]:
    """All entries of the ledger.

    Raises
    ------
    ValueError
        An entry names no known requirement, or an implementation and requirement twice.
    """
    table = tomllib.loads((_folder() / "ledger.toml").read_text())["deviation"]
    entries = tuple(
        Deviation(**entry | {"implementation": name, "elsewhere": tuple(entry.get("elsewhere", ()))})
        for entry in table
        for name in _names(entry["implementation"])
    )
    seen = set()
    for entry in entries:
        key = (entry.implementation, entry.requirement)
        if entry.requirement not in BY_ID or key in seen:
            raise ValueError(f"the ledger has an unknown requirement or two entries for {' '.join(key)}")
        seen.add(key)
    return entries


def _names(implementation: str | list[str]) -> list[str]:
    return [implementation] if isinstance(implementation, str) else implementation


def find(implementation: str, requirement: str) -> Deviation | None:
    """The entry for an implementation and a requirement, if there is one."""
    for entry in deviations():
        if (entry.implementation, entry.requirement) == (implementation, requirement):
            return entry
    return None


def domains(implementation: str, requirement: str, claims: Claims) -> list[Claims]:
    """The claims by which a law is judged: the implementation's own, elsewhere than the causes on the ledger."""
    found = [claims]
    for entry in deviations():
        if entry.cause and entry.implementation == implementation and entry.requirement != requirement:
            found = entry.narrowed(found)
    return found


def _within(claims: Claims, values: dict[str, Any]) -> Claims | None:
    """The claims with some fields narrowed: lists to what both have, single values replaced; None for nothing."""
    narrowed = {
        name: [one for one in getattr(claims, name) if one in value] if isinstance(value, list) else value
        for name, value in values.items()
    }
    return None if [] in narrowed.values() else with_values(claims, narrowed)
