"""Triton's interpreter: whether a file's kernels run in it, and the claims that cannot be judged there."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

from bnconform_adapters.claims import Claims
from bnconform_adapters.errors import AdapterError

TRUNCATES = "Triton's interpreter, in which the kernels run here, truncates bfloat16 instead of rounding it"
THREADS = "P7 is not judged: Triton's interpreter, in which the kernels run here, is not safe in threads"


def interpreted() -> bool:
    """Return True if this process runs Triton kernels in Triton's interpreter, seconds for a large call."""
    return "triton" in sys.modules and os.environ.get("TRITON_INTERPRET") == "1"


def judged_in_interpreter(claims: Claims, path: str) -> tuple[Claims, tuple[str, ...]]:
    """Return the claims that Triton's interpreter keeps, and remarks on the others.

    Raises
    ------
    AdapterError
        No claimed dtype is left.
    """
    if claims.dtypes == ("bfloat16",):
        raise AdapterError(f"{path} claims no dtype but bfloat16: {TRUNCATES}; judge the file on a GPU, or claim more")
    narrowed = replace(claims, interpreter=True, dtypes=tuple(d for d in claims.dtypes if d != "bfloat16"))
    return narrowed, (*((f"bfloat16 is not judged: {TRUNCATES}",) if "bfloat16" in claims.dtypes else ()), THREADS)
