"""Identity of an implementation: versions and the candidate's file, which decide a verdict besides the seed.

All processes of a campaign must have the same identity.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata

from bnconform.running.implementation import Implementation
from bnconform_adapters.registry import path_of

SUITE = ("bnconform", "numpy", "hypothesis", "pytest", "ml_dtypes")
"""Distributions that draw and judge, as a record lists them."""
FILE = "file"
"""Key of the digest of a candidate's file in an identity."""


def identity(one: Implementation) -> dict[str, str]:
    """Return the versions of Python, the suite and the framework by distribution, and a candidate file's digest.

    Raises
    ------
    OSError
        If the file is gone.
    """
    found = {"python": platform.python_version()} | {name: _version(name) for name in SUITE}
    if one.entry is not None:
        return found | one.entry.versions()
    frameworks = one.worker.frameworks if one.worker is not None else ()
    imported = {dist: _version(dist) for module in frameworks for dist in _distributions(module)}
    return found | imported | {FILE: hashlib.sha256(path_of(one.spec)[0].read_bytes()).hexdigest()}


def difference(there: Mapping[str, str | None], campaign: Mapping[str, str]) -> str:
    """Describe the differences from the campaign's identity; empty if there are none."""
    others = []
    for name in dict.fromkeys((*campaign, *there)):
        found, due = there.get(name), campaign.get(name)
        if found != due:
            words = f"{name} {found or 'missing'} (the campaign has {due or 'none'})"
            others.append("another text of the file" if name == FILE else words)
    return ", ".join(others)


def packages(identities: Iterable[Mapping[str, str]]) -> list[str]:
    """Return the distributions in identities."""
    return list(dict.fromkeys(name for one in identities for name in one if name not in ("python", FILE)))


@cache
def _version(distribution: str) -> str:
    return metadata.version(distribution)


@cache
def _distributions(module: str) -> tuple[str, ...]:
    """Return the distributions that provide a framework's module."""
    return tuple(sorted(set(metadata.packages_distributions().get(module, ()))))
