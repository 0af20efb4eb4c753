"""Shared example databases: caches of failures, which are tried first. They are never the record of a campaign."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from hypothesis import Phase, settings
from hypothesis.database import (
    DirectoryBasedExampleDatabase,
    ExampleDatabase,
    GitHubArtifactDatabase,
    ReadOnlyDatabase,
)

from bnconform_adapters.contract import describe_error
from bnconform_adapters.errors import AdapterError


def open_database(where: str | None) -> ExampleDatabase | None:
    """Open the example database that a user named.

    Parameters
    ----------
    where : str or None
        A folder; ``redis://HOST:PORT/N``; or ``github:OWNER/REPOSITORY``, which is read only and uses the token
        GITHUB_TOKEN.

    Raises
    ------
    AdapterError
        If the name is none of these, its package is not installed, the server does not answer, or the folder cannot be
        created.
    """
    if where is None:
        return None
    kind, _, rest = where.partition(":")
    if kind in ("redis", "rediss"):
        try:
            from hypothesis.extra.redis import RedisExampleDatabase
            from redis import Redis
        except ImportError:
            raise AdapterError(f"--database {where} needs redis: pip install redis") from None
        found = RedisExampleDatabase(Redis.from_url(where))
        try:
            list(found.fetch(b"anything"))
        except Exception as error:  # several packages raise their own; no case is useful here
            raise AdapterError(f"--database {where} does not answer: {describe_error(error)}") from None
        return found
    if kind == "github":
        owner, _, repository = rest.partition("/")
        if not owner or not repository or "/" in repository:
            raise AdapterError(f"--database is {where}; pass github:OWNER/REPOSITORY")
        return ReadOnlyDatabase(GitHubArtifactDatabase(owner, repository))
    try:
        Path(where).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AdapterError(f"--database: cannot make the folder {where}: {error.strerror}; pass another") from None
    return DirectoryBasedExampleDatabase(where)


class Named(ExampleDatabase):
    """A database whose keys begin with a name: one function searches every law, so each law needs its own keys.

    A database that fails counts as empty: a cache must neither end a search nor decide its verdict.

    Parameters
    ----------
    database : ExampleDatabase
    name : str
    """

    def __init__(self, database: ExampleDatabase, name: str) -> None:
        super().__init__()
        self._database, self._name = database, name.encode() + b" "

    def save(self, key: bytes, value: bytes) -> None:
        """See Hypothesis."""
        with suppress(Exception):
            self._database.save(self._name + key, value)

    def fetch(self, key: bytes) -> Iterable[bytes]:
        """See Hypothesis."""
        try:
            return list(self._database.fetch(self._name + key))
        except Exception:
            return ()

    def delete(self, key: bytes, value: bytes) -> None:
        """See Hypothesis."""
        with suppress(Exception):
            self._database.delete(self._name + key, value)


def with_database(given: settings, database: ExampleDatabase | None, name: str) -> settings:
    """Return settings that save failures in the database and try them first."""
    if database is None:
        return given
    return settings(given, database=Named(database, name), phases=(*given.phases, Phase.reuse))
