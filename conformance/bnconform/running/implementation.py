"""One implementation under test: its adapter, what a script calls, and its process."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from bnconform.scripts.writer import Subject
from bnconform_adapters.contract import Adapter, describe_error
from bnconform_adapters.entry import Entry
from bnconform_adapters.frameworks import forget_compiled, import_framework
from bnconform_adapters.registry import create
from bnconform_adapters.worker.client import WorkerAdapter


@dataclass(frozen=True)
class Implementation:
    """One implementation under test.

    Attributes
    ----------
    name : str
    spec : str
        Implementation as the user wrote it.
    entry : Entry or None
        Entry in the registry; None for a candidate file.
    loaded : Adapter or None
        Adapter of a candidate file; None for an implementation of the registry.
    crashes : dict of str to str
        Kinds of crashes and hangs, with the law that found each first.
    """

    name: str
    spec: str
    entry: Entry | None
    loaded: Adapter | None = None
    crashes: dict[str, str] = field(default_factory=dict)

    @cached_property
    def adapter(self) -> Adapter:
        """Adapter, created at its first use."""
        if self.loaded is not None:
            return self.loaded
        assert self.entry is not None
        return create(self.entry) if self.entry.environment is None else WorkerAdapter(self.spec)

    @property
    def subject(self) -> Subject:
        """Implementation as a script of a finding calls it."""
        if self.entry is not None:
            return Subject.bundled(self.entry)
        return Subject.of_file(self.name, self.spec, getattr(self.adapter, "plain_code", ""))

    @property
    def worker(self) -> WorkerAdapter | None:
        """Client of the implementation's own process, if one was started."""
        adapter = self.loaded or vars(self).get("adapter")
        return adapter if isinstance(adapter, WorkerAdapter) else None

    def close(self) -> None:
        """End the worker, if the implementation has one."""
        if self.worker is not None:
            self.worker.close()

    def rest(self) -> None:
        """Release a bundled implementation's worker and compiled programs; the next call starts them again."""
        adapter = None if self.entry is None else vars(self).pop("adapter", None)
        if isinstance(adapter, WorkerAdapter):
            adapter.close()
        forget_compiled()

    @cached_property
    def problem(self) -> str | None:
        """Why the implementation cannot run, or None; checked once."""
        if self.entry is None:
            return None
        try:
            if self.entry.environment is None:
                for module in self.entry.frameworks:
                    import_framework(module)
            else:
                self.adapter  # noqa: B018  creating it imports the framework, in its own process
        except Exception as error:  # a broken installation must not stop the others
            return describe_error(error)
        return None
