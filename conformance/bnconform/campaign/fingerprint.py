"""What decides a verdict beside the seed: versions, and what the candidate's file says. All who judge share it."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

from bnconform.running.session import Implementation

SUITE = ("bnconform", "numpy", "hypothesis", "pytest", "ml_dtypes")
"""Distributions that draw and judge, as a record lists them."""
FILE = "file"
"""In an identity: the digest of a candidate's file."""


def identity(one: Implementation) -> dict[str, str]:
    """Versions of Python, the suite and the framework, by distribution; of a candidate file its digest, too.

    Raises
    ------
    OSError
        The file is gone.
    """
    found = {"python": platform.python_version()} | {name: _version(name) for name in SUITE}
    if one.entry is not None:
        return found | one.entry.versions()
    path = one.spec.partition(".py:")[0].removesuffix(".py") + ".py"
    frameworks = one.worker.frameworks if one.worker is not None else ()
    imported = {dist: _version(dist) for module in frameworks for dist in _distributions(module)}
    return found | imported | {FILE: hashlib.sha256(Path(path).read_bytes()).hexdigest()}


def difference(there: Mapping[str, str | None], campaign: Mapping[str, str]) -> str:
    """What differs from the campaign's identity, in words; empty where nothing does."""
    told = []
    for name in dict.fromkeys((*campaign, *there)):
        found, due = there.get(name), campaign.get(name)
        if found != due:
            words = f"{name} {found or 'missing'} (the campaign has {due or 'none'})"
            told.append("another text of the file" if name == FILE else words)
    return ", ".join(told)


def packages(identities: Iterable[Mapping[str, str]]) -> list[str]:
    """The distributions in identities."""
    return list(dict.fromkeys(name for one in identities for name in one if name not in ("python", FILE)))


@cache
def _version(distribution: str) -> str:
    return metadata.version(distribution)


@cache
def _distributions(module: str) -> tuple[str, ...]:
    """Which distributions a framework's module is from."""
    return tuple(sorted(set(metadata.packages_distributions().get(module, ()))))
