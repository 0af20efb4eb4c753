"""Ledger of known deviations: real defects of released implementations, as data with witnesses.

An entry is a strict expected failure. Its witness is judged first: if it no longer breaks the law, the entry is stale
and the run fails. `elsewhere` narrows the claims to the domain where the law should still hold; the search runs there.
Without `elsewhere`, the law is broken everywhere, and only the witness is judged.

One defect often breaks many laws: half-precision sums show in every gradient. The entry of the law that names the
cause (N1, N2) sets `cause`. The other laws are then judged only elsewhere, too, and need no entries.
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
        In the table, `implementation` may be a list: each gets its own entry, with the same witness.
    kind : str
        bug: against its own documentation or the definition. numerics: quality of arithmetic. robustness: edges.
    versions : str
        Versions that show the deviation, as ``distribution==version``.
    reason : str
        Description of the defect, in one line.
    witness : str
        Name of a case file beside the ledger.
    link : str
        Upstream thread; empty if none was found.
    elsewhere : tuple of dict
        Claims to replace, so that the rest should meet the law; one search for each dict.
    cause : bool
        Whether the other laws are judged only elsewhere, too.
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
        """Return each of the given claims narrowed by `elsewhere`, without empty ones."""
        found = [_within(claims, values) for claims in domains for values in self.elsewhere]
        return [claims for claims in found if claims is not None]

    def cell(self) -> dict[str, str]:
        """Return the entry as part of a record's cell."""
        known = {"kind": self.kind, "reason": self.reason, "versions": self.versions}
        return known | ({"link": self.link} if self.link else {})

    def steps(self) -> tuple[Case, ...]:
        """Return the steps of the witness."""
        return from_json(json.loads((_folder() / self.witness).read_text()))


def _folder() -> Traversable:
    return resources.files("bnconform.deviations")


@cache
def deviations() -> tuple[Deviation, ...]:
    """Return all entries of the ledger.

    Raises
    ------
    ValueError
        If an entry names no known requirement, or two entries have one implementation and requirement.
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
    """Return the entry for an implementation and a requirement, or None."""
    wanted = (implementation, requirement)
    return next((entry for entry in deviations() if (entry.implementation, entry.requirement) == wanted), None)


def domains(implementation: str, requirement: str, claims: Claims) -> list[Claims]:
    """Return the claims to judge a law by: the implementation's own, without the domains of causes on the ledger."""
    found = [claims]
    for entry in deviations():
        if entry.cause and entry.implementation == implementation and entry.requirement != requirement:
            found = entry.narrowed(found)
    return found


def _within(claims: Claims, values: dict[str, Any]) -> Claims | None:
    """Return the claims with lists narrowed to common values and single values replaced; None if a list gets empty."""
    narrowed = {
        name: [one for one in getattr(claims, name) if one in value] if isinstance(value, list) else value
        for name, value in values.items()
    }
    return None if [] in narrowed.values() else with_values(claims, narrowed)
