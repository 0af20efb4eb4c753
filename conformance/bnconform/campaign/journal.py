"""The journal of a campaign: one line per finished item, written to disk before anything else happens.

Lines are only appended. A process that is killed while it writes leaves a line without an end. When the campaign
continues, this line is cut off and its item is judged again.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from bnconform.campaign.items import Item
from bnconform_adapters.errors import UserError


class Journal:
    """Journal in a campaign's folder, for one process at a time.

    Parameters
    ----------
    path : Path

    Raises
    ------
    UserError
        If the file cannot be written, another process has it open, or a line is not a journal entry.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("a+b")
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}; pass another -o") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise UserError(f"another process is using {path}; wait until it ends, or pass another -o") from None
        self._file.seek(0)
        data = self._file.read()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            self._file.truncate(len(whole))
        self.entries: list[dict[str, Any]] = []
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                self.entries.append(_entry(json.loads(line)))
            except ValueError as error:
                self._file.close()
                raise UserError(f"{path} is damaged in line {number}: {error}; repair it, or pass another -o") from None

    def append(self, entry: dict[str, Any]) -> None:
        """Write an entry, and wait until it is on disk."""
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        self.entries.append(entry)  # before the wait: a Ctrl-C in between would lose the entry here
        os.fsync(self._file.fileno())

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()


def _entry(value: Any) -> dict[str, Any]:
    """Return an entry that :func:`~bnconform.campaign.loop.run` wrote; raise ValueError for anything else."""
    if not isinstance(value, dict) or not value.keys() >= _FIELDS:
        raise ValueError(f"it has no {', '.join(sorted(_FIELDS))}")
    try:
        Item(**value["item"])
    except TypeError:
        raise ValueError(f"{value['item']} is not an item") from None
    return value


_FIELDS = {"item", "seconds", "cell", "broken"}
