"""Vectors that a case contracts its derivatives with."""

import numpy as np


def cotangents(case):
    """Return ddx, ddweight and ddbias, or zeros, as dx, dweight and dbias; absent parameters are left out."""
    given = {"dx": (case.x, case.ddx), "dweight": (case.weight, case.ddweight), "dbias": (case.bias, case.ddbias)}
    return {k: np.zeros_like(like) if one is None else one for k, (like, one) in given.items() if like is not None}
