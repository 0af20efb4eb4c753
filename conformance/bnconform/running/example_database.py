"""Shared example databases: a cache of what has failed before, tried first. It is never the record of a campaign."""

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

from bnconform_adapters.contract import AdapterError, describe_error


def open_database(where: str | None) -> ExampleDatabase | None:
    """The example database that a user named.

    Parameters
    ----------
    where : str or None
        A folder; ``redis://HOST:PORT/N``; or ``github:OWNER/REPOSITORY``, which is read only and takes its token from
        GITHUB_TOKEN.

    Raises
    ------
    AdapterError
        The name is none of these, its package is not installed, the server does not answer, or the folder cannot be
        made.
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
        except Exception as error:  # of several packages; whatever it is, it is of no use
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
    """A database under a name: every law is searched by one function, whose examples are not for the others.

    One that fails on the way is as good as empty: a cache must neither end a search nor decide one.

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
    """Settings under which failures are kept in the database, and tried first."""
    if database is None:
        return given
    return settings(given, database=Named(database, name), phases=(*given.phases, Phase.reuse))
