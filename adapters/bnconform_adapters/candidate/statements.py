"""Read and check the statements of a candidate file: CLAIMS, DEVICE, ARRAYS, STATE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any, get_args, get_type_hints

from bnconform_adapters.claim_rules import RANKS, contradictions
from bnconform_adapters.claims import Claims, Layout, with_entries
from bnconform_adapters.errors import AdapterError
from bnconform_adapters.plain.kernel_file import KernelFile
from bnconform_reference.dialect import Dialect

NOT_OF_FUNCTIONS = frozenset({"modes", "gradients", "second_order", "forward_mode", "cumulative", "debiased"})
"""Claims that a file of functions cannot state: they follow from its functions, which count no batches."""
_MAY_BE_EMPTY = {"gradients", "second_order", "forward_mode", "shards"}
_NEVER = {"dialect", "population", "own_process", "largest", "interpreter", "own"}
_CLAIMS = {field.name for field in fields(Claims)} - _NEVER
_DIALECT = {field.name for field in fields(Dialect)}


class Statements(KernelFile):
    """Statements of a candidate: names of the tested object, or else of its file.

    Parameters
    ----------
    path : str
        The file's path in messages.
    tested : object
        The candidate: the file's module, or an object in it.
    module : object
        The file's module.
    """

    module: Any
    tested: Any
    kind: Any
    names: Any

    def __init__(self, path: str, tested: Any, module: Any) -> None:
        super().__init__(module, tested)
        self.path = path

    def chosen(self, name: str, default: str, alternatives: tuple[str, ...] = ()) -> str:
        """Return a stated string, or the default.

        Raises
        ------
        AdapterError
            The value is no string, or none of the alternatives.
        """
        word = self.stated(name, default)
        if not isinstance(word, str) or (alternatives and word not in alternatives):
            known = f"pass one of {', '.join(alternatives)}" if alternatives else f"pass a string such as {default!r}"
            raise AdapterError(f"{name} in {self.path} is {word!r}; {known}")
        return word

    def channel_axis(self) -> int:
        """Return the axis on which the file's code has the channels of x: 1 or -1.

        Raises
        ------
        AdapterError
            CHANNEL_AXIS is another value.
        """
        axis: int = self.stated("CHANNEL_AXIS", 1)
        if axis not in (1, -1):
            raise AdapterError(f"CHANNEL_AXIS in {self.path} is {axis!r}; pass 1, or -1 for x of (N, *spatial, C)")
        return axis

    def mapping(self, name: str) -> Mapping[str, Any]:
        """Return a stated dict, or an empty one.

        Raises
        ------
        AdapterError
            The value is no dict.
        """
        stated = self.stated(name, {})
        if not isinstance(stated, Mapping):
            raise AdapterError(f"{name} in {self.path} is a {type(stated).__name__}; make it a dict")
        return stated

    def refuse_unknown(self, name: str, known: Sequence[str]) -> None:
        """Check the keys of a stated dict.

        Raises
        ------
        AdapterError
            A key is unknown.
        """
        for key in self.mapping(name):
            if key not in known:
                close = get_close_matches(str(key), known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
                raise AdapterError(f"{name} in {self.path} has an unknown key {key!r}; {hint}")

    def claims(self, base: Claims, layouts: Iterable[Layout], *, without: frozenset[str] = frozenset()) -> Claims:
        """Return `base` changed by the file's CLAIMS.

        Parameters
        ----------
        layouts : str
            Memory layouts that the candidate's arrays can have.
        without : set of str
            Claims that this form cannot state.

        Raises
        ------
        AdapterError
            A key or a value is unknown, or the claims contradict one another.
        """
        stated, layouts = self.mapping("CLAIMS"), tuple(layouts)
        self.refuse_unknown("CLAIMS", sorted((_CLAIMS | _DIALECT) - without))
        for key, value in stated.items():
            self._check(key, value, layouts)
        claims = with_entries(replace(base, zero_channels="either"), stated)  # as torch documents it
        self.refuse_contradictions(claims)
        return claims

    def refuse_contradictions(self, claims: Claims) -> None:
        """Check claims with :func:`~bnconform_adapters.claim_rules.contradictions`.

        Raises
        ------
        AdapterError
            The claims contradict one another.
        """
        if (problem := contradictions(claims)) is not None:
            raise AdapterError(f"the claims of {self.path} contradict one another: {problem}")

    def _check(self, key: str, value: Any, layouts: tuple[str, ...]) -> None:
        """Check a value against the key's type, and against the allowed values that the type lists."""
        hint = get_type_hints(Claims if key in _CLAIMS else Dialect)[key]
        many = getattr(hint, "__origin__", None) is tuple
        allowed = get_args(get_args(hint)[0]) if many else get_args(hint)
        allowed = RANKS if key == "ranks" else tuple(a for a in allowed if isinstance(a, str))
        allowed = layouts if key == "layouts" else allowed
        stated = f"CLAIMS in {self.path} has {key}"
        if many and not isinstance(value, list | tuple):
            raise AdapterError(f"{stated} = {value!r}; make it a list")
        if many and not value and key not in _MAY_BE_EMPTY:
            raise AdapterError(f"{stated} = {value!r}; name at least one, or leave {key} out")
        for one in value if many else [value]:
            if allowed and not any(one == each and type(one) is type(each) for each in allowed):
                raise AdapterError(f"{stated} = {one!r}; pass one of {', '.join(map(str, allowed))}")
        if hint is bool and not isinstance(value, bool):
            raise AdapterError(f"{stated} = {value!r}; pass True or False")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number and (hint is float or (float in get_args(hint) and value is not None)):
            raise AdapterError(f"{stated} = {value!r}; pass a number")
        if hint is int and type(value) is not int:
            raise AdapterError(f"{stated} = {value!r}; pass a whole number")
