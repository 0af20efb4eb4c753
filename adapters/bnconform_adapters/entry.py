"""A row of the table of bundled implementations."""

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
        The value of `--adapter`.
    module : str
        The module of calls, relative to this package: "torch.functional".
    claims : Claims or None
        None if `factory` provides them.
    packages : pairs of str
        Import name and distribution name of each package that it needs, the implementation's own package first.
    extra : str
        The project's extra that installs them.
    environment : pairs of str, or None
        Environment variables of the separate process that imports and calls it; None if it runs in the suite's process.
    slow : bool
        True if a full run takes minutes: run only by name or with --bn-slow.
    factory : str
        ``module:function`` relative to this package. The function returns the adapter; needed if the module of calls
        and the claims are not enough.
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
        """Import names of the packages in the order to import them: the implementation's own package is last."""
        return tuple(module for module, _ in reversed(self.packages))

    def missing(self) -> list[str]:
        """Return the distributions that are not installed, without importing anything."""
        return [dist for module, dist in self.packages if util.find_spec(module) is None]

    @property
    def install(self) -> str:
        """The command that installs the packages."""
        return f"pip install 'bnconform[{self.extra}]'"

    def versions(self) -> dict[str, str]:
        """Return the installed versions of the packages."""
        return {dist: metadata.version(dist) for module, dist in self.packages if util.find_spec(module)}
