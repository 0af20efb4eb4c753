"""Recipe of a Case: a few choices, small enough to print, to shrink, and to send to another process."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from hashlib import blake2b

from bnconform_adapters.claims import Layout, Parameters
from bnconform_reference.precision import DtypeName

GRADIENTS = "dx dweight dbias"


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a Case; equal recipes give equal Cases, bit for bit.

    Attributes
    ----------
    shape, dtype, parameters, training, momentum, eps, layout, dy_layout
        Fields of the Case.
    values : str
        Regime of x, see :mod:`bnconform.cases.regimes`.
    ratio : float
        |mean| / sd of each channel of x, the condition number of its variance.
    spread : str
        Sizes of the channels' sd: "unit", "varied" (1e-4 to 1e4), "small", "tiny", "huge",
        "subnormal".
    weight, bias, statistics, dy : str
        Kinds of the other arrays, see :mod:`bnconform.cases.build`.
    precise : bool
        False rounds values to a few bits, so that a case is easy to read.
    salt : int
        Number that distinguishes cases of equal choices.
    cotangents : str
        Kind of ddx, ddweight and ddbias: "absent", "all", or the one that is present.
    wanted : str
        Field of the Case.
    """

    shape: tuple[int, ...]
    dtype: DtypeName = "float32"
    parameters: Parameters = "both"
    training: bool = True
    momentum: float | None = 0.1
    eps: float = 1e-5
    values: str = "normal"
    ratio: float = 1.0
    spread: str = "unit"
    weight: str = "random"
    bias: str = "random"
    statistics: str = "random"
    dy: str = "absent"
    layout: Layout = "contiguous"
    dy_layout: Layout = "contiguous"
    precise: bool = False
    salt: int = 0
    cotangents: str = field(default="absent", repr=False)
    wanted: str = field(default=GRADIENTS, repr=False)

    @property
    def channels(self) -> int:
        """Number of channels, C."""
        return self.shape[1]

    @property
    def values_per_channel(self) -> int:
        """Number of values per channel, n."""
        n = self.shape[0]
        for size in self.shape[2:]:
            n *= size
        return n

    def seed(self) -> int:
        """Return the seed of the values; any change of the recipe changes it, so shrinking redraws the values."""
        text = repr(self)
        if self.cotangents != "absent":  # recipes without cotangents keep their earlier values
            text += self.cotangents
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")

    def describe(self) -> str:
        """Return the choices that are not the default, in one line."""
        chosen = [f"{f.name}={getattr(self, f.name)}" for f in fields(self) if getattr(self, f.name) != f.default]
        return " ".join(text.replace(", ", ",") for text in chosen)
