"""Precision of an implementation, from which bounds are derived: its dtypes and its way of summing."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf, log2
from typing import Literal, TypeAlias, get_args

DtypeName: TypeAlias = Literal["float16", "bfloat16", "float32", "float64"]
Grade: TypeAlias = Literal["TT", "TW", "BT", "BW", "NT", "NW", "NN", "NU"]
"""Accumulation grade, best first. First letter, order of sums: T tree, B blocked, N any order. Second letter, formula
of the variance: T two-pass, W Welford or Chan merges, N naive E[x^2] - E[x]^2, U the same, but a variance that rounding
makes negative stays so."""

GRADES: tuple[Grade, ...] = get_args(Grade)

UNIT_ROUNDOFF: dict[DtypeName, float] = {
    "float16": 2.0**-11,
    "bfloat16": 2.0**-8,
    "float32": 2.0**-24,
    "float64": 2.0**-53,
}
SMALLEST_NORMAL: dict[DtypeName, float] = {
    "float16": 2.0**-14,
    "bfloat16": 2.0**-126,
    "float32": 2.0**-126,
    "float64": 2.0**-1022,
}
SMALLEST_SUBNORMAL: dict[DtypeName, float] = {
    "float16": 2.0**-24,
    "bfloat16": 2.0**-133,
    "float32": 2.0**-149,
    "float64": 2.0**-1074,
}
LARGEST: dict[DtypeName, float] = {
    "float16": 65504.0,
    "bfloat16": (2 - 2.0**-7) * 2.0**127,
    "float32": (2 - 2.0**-23) * 2.0**127,
    "float64": (2 - 2.0**-52) * 2.0**1023,
}


@dataclass(frozen=True)
class Precision:
    """The dtypes of an implementation's arithmetic and its grade.

    Attributes
    ----------
    accumulation : str
        dtype of sums.
    output : str
        dtype of y and dx.
    parameters : str
        dtype of dweight and dbias, and of the running statistics.
    grade : str
        One of :data:`GRADES`.
    """

    accumulation: DtypeName
    output: DtypeName
    parameters: DtypeName
    grade: Grade = "NW"

    @classmethod
    def for_dtype(cls, dtype: DtypeName, grade: Grade = "NW") -> Precision:
        """Return the usual precision for x of `dtype`: with half types, sums and parameters are float32."""
        wide: DtypeName = "float64" if dtype == "float64" else "float32"
        return cls(accumulation=wide, output=dtype, parameters=wide, grade=grade)

    @property
    def naive(self) -> bool:
        """Whether the variance is computed as E[x^2] - E[x]^2."""
        return self.grade[1] in "NU"

    @property
    def u(self) -> float:
        """Unit roundoff of the accumulation dtype."""
        return UNIT_ROUNDOFF[self.accumulation]

    @property
    def tau(self) -> float:
        """Largest error of flushing one operand or result of an operation to zero."""
        return SMALLEST_NORMAL[self.accumulation]

    def sum_height(self, n: int) -> float:
        """Return the height of the summation tree over n values: each summand passes at most this many additions.

        T: twice a binary tree plus 10. This covers on-chip reductions and NumPy's pairwise summation, whose
        blocks of up to 128 have height 24 (15 values a lane, 3 levels of lanes, 7 remaining values).
        B: two levels of sqrt(n), never below T. N: n, any order (Higham, Accuracy and Stability of Numerical
        Algorithms, 2nd ed., section 4.2).
        """
        tree = min(n - 1, 2 * ceil(log2(max(n, 2))) + 10)
        if self.grade[0] == "T":
            height = float(tree)
        elif self.grade[0] == "B":
            height = max(float(tree), min(n - 1, 2 * n**0.5))
        else:
            height = float(n)
        return max(height, 1.0)

    def gamma(self, k: float) -> float:
        """Return Higham's gamma_k = k u / (1 - k u), infinite if the analysis does not hold."""
        ku = k * self.u
        return ku / (1 - ku) if ku < 0.5 else inf


def underflow_loss(dtype: DtypeName) -> float:
    """Return the error of storing a value near zero as `dtype`: float16 rounds to a subnormal, others may flush."""
    return SMALLEST_SUBNORMAL[dtype] / 2 if dtype == "float16" else SMALLEST_NORMAL[dtype]
