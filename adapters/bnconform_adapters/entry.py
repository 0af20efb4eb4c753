"""One row of the table of implementations."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata, util

from bnconform_adapters.claims import Claims


@dataclass(frozen=True)
class Entry:
    """One bundled implementation.

    Attributes
    ----------
    name : str
        As `--adapter` takes it.
    module : str
        The module of calls, below this package: "torch.functional".
    claims : Claims or None
        None where `factory` knows them.
    packages : pairs of str
        Import name and distribution name of what it needs; the first is the implementation itself.
    extra : str
        The project's extra that installs them.
    environment : pairs of str, or None
        Variables that are set in a process of its own, where it is imported and called; None where it lives in the
        suite's process with the others.
    slow : bool
        True if a full run takes minutes; it is run only by name or when slow ones are asked for.
    factory : str
        ``module:function`` below this package; calling it makes the adapter, where the module of calls and the claims
        are not enough.
    """

    name: str
    module: str
    claims: Claims | None
    packages: tuple[tuple[str, str], ...]
    extra: str
    environment: tuple[tuple[str, str], ...] | None = None
    slow: bool = False
    factory: str = ""

    @property
    def frameworks(self) -> tuple[str, ...]:
        """Import names of what it needs, in the order to import them: the implementation itself comes last."""
        return tuple(module for module, _ in reversed(self.packages))

    def missing(self) -> list[str]:
        """Distributions that are not installed, found without importing anything."""
        return [dist for module, dist in self.packages if util.find_spec(module) is None]

    @property
    def install(self) -> str:
        """The command that installs what it needs."""
        return f"pip install 'bnconform[{self.extra}]'"

    def versions(self) -> dict[str, str]:
        """Installed versions of what it needs."""
        return {dist: metadata.version(dist) for module, dist in self.packages if util.find_spec(module)}
