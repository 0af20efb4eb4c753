"""The adapter of a candidate file: the plain code of the file's form calls the loaded module."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from bnconform_adapters.call_adapter import CallAdapter
from bnconform_adapters.candidate.interpreter import interpreted, judged_in_interpreter
from bnconform_adapters.candidate.statements import Statements
from bnconform_adapters.claims import Claims
from bnconform_adapters.plain.kernel_file import KernelFile

CALLS = ("Layer", "second_order", "jvp", "shards")


@dataclass(eq=False)
class Candidate(CallAdapter):
    """The adapter of a candidate file.

    Attributes
    ----------
    plain_code : str
        The module below `bnconform_adapters` that calls a file of this form.
    file : KernelFile
    what : str
        The part of the file that is judged: "class BatchNorm".
    remarks : tuple of str
        Notes on the claims that the reader of a verdict needs.
    """

    plain_code: str = ""
    file: KernelFile | None = None
    what: str = ""
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, name: str, claims: Claims, plain_code: str, file: Statements, what: str, remarks: tuple[str, ...] = ()
    ) -> Candidate:
        """Build the adapter of a loaded file."""
        if interpreted():
            claims, more = judged_in_interpreter(claims, file.path)
            remarks = (*remarks, *more)
        form = import_module(f"bnconform_adapters.{plain_code}")
        calls: Any = {one: partial(getattr(form, one), file=file) for one in CALLS if hasattr(form, one)}
        return cls(name, claims, SimpleNamespace(**calls), (), plain_code, file, what, remarks)
