"""The arrays that a candidate's functions take and return; NumPy's here, and a description of what any kind offers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np

from bnconform_adapters.contract import AnyArray, Case, Claims, Layout, wrong_kind
from bnconform_adapters.memory import FarPlaced, Placed, place, shared_pairs


class InMemory(Protocol):
    """An array as it was handed to a candidate."""

    @property
    def array(self) -> Any:
        """What the candidate is given."""

    def overrun(self) -> bool:
        """Whether memory outside the array was written."""


class Arrays(Protocol):
    """One kind of arrays, on one device."""

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """Memory layouts that such arrays can have."""

    @property
    def claims(self) -> Claims:
        """What functions on such arrays claim where they state nothing; modes and gradients are not decided here."""

    @property
    def plain_code(self) -> str:
        """The module of :mod:`bnconform_adapters.plain` that calls functions on such arrays."""

    def settings(self, case: Case) -> AbstractContextManager[Any]:
        """What must be set while arrays of the case's dtype are made and used."""

    def place(self, array: AnyArray, layout: Layout) -> InMemory:
        """A copy in the given layout."""

    def handed(self, array: Any, *, read_only: bool) -> Any:
        """The array, or one on the same memory that cannot be written, where there is such a thing."""

    def written(self, array: Any, values: AnyArray) -> Any:
        """The array with other contents, in place where arrays can be written."""

    def to_numpy(self, found: Any, name: str) -> AnyArray | None:
        """A copy of what a candidate returned as `name`, or None.

        Raises
        ------
        TypeError
            It is no such array.
        """

    def shared(self, results: Mapping[str, Any], inputs: Mapping[str, Any]) -> tuple[str, ...]:
        """Which results share memory with an input or with one another, as "y and x"."""


class NumpyArrays:
    """NumPy arrays: every layout, and views that cannot be written."""

    claims = Claims(strided_statistics=True)
    layouts = claims.layouts
    plain_code = "plain.candidate_numpy"

    def settings(self, case: Case) -> AbstractContextManager[Any]:
        """See :class:`Arrays`."""
        return nullcontext()

    def place(self, array: AnyArray, layout: Layout) -> Placed | FarPlaced:
        """See :class:`Arrays`."""
        return place(array, layout)

    def handed(self, array: Any, *, read_only: bool) -> Any:
        """See :class:`Arrays`."""
        if array is None or not read_only:
            return array
        view = array.view()
        view.flags.writeable = False
        return view

    def written(self, array: Any, values: AnyArray) -> Any:
        """See :class:`Arrays`."""
        array[...] = values
        return array

    def to_numpy(self, found: Any, name: str) -> AnyArray | None:
        """See :class:`Arrays`."""
        masked = isinstance(found, np.ma.MaskedArray)  # a subclass whose values are not all there
        if found is not None and (masked or not isinstance(found, np.ndarray | np.generic)):
            raise wrong_kind(found, "NumPy array", name)
        return None if found is None else np.array(found)

    def shared(self, results: Mapping[str, Any], inputs: Mapping[str, Any]) -> tuple[str, ...]:
        """See :class:`Arrays`."""
        return shared_pairs(results, inputs)
