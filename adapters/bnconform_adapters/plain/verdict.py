"""Compare a result with the expected one and print the difference."""

import numpy as np


def close(got, expected, allowed, rest=0.0, defined=None, index=None):
    """Print the worst element; return True if its error is larger than allowed. `rest` adds digits to `expected`."""
    got, expected, allowed, rest = (np.asarray(one, np.float64) for one in (got, expected, allowed, rest))
    if got.shape != expected.shape:
        print(f"got shape {got.shape}, expected {expected.shape}")
        return True
    with np.errstate(all="ignore"):
        error = np.abs(got - expected - rest)
        times = np.where(np.isfinite(got), error / allowed, np.inf)
        times = np.where(np.isinf(allowed) | (error == 0), 0.0, times)  # an infinite allowed error permits any result
        times = np.where(np.isfinite(expected), times, np.where(np.isfinite(got), np.inf, 0.0))
    worst = np.unravel_index(np.argmax(times), times.shape)
    print("index      ", index or [int(i) for i in worst])
    print("got        ", float(got[worst]))
    print("expected   ", float(expected[worst]))
    if defined is not None:
        print("definition ", float(defined[worst]), "(in float64, see above)")
    print("difference ", float(error[worst]))
    size = f"{times[worst]:.4g} times that" if np.isfinite(error[worst]) else "not finite"
    print("allowed    ", float(allowed[worst]), f"(the difference is {size})")
    return bool(times[worst] > 1)


def differ(got, expected, signed_zeros=True):
    """Print the first element that is not equal bit for bit; return True if one exists. Any two NaN are equal."""
    got, expected = np.asarray(got), np.asarray(expected)
    print("got        ", got.dtype, got.shape)
    print("expected   ", expected.dtype, expected.shape)
    if (got.dtype, got.shape) != (expected.dtype, expected.shape):
        return True
    equal = (got == expected) & ((np.signbit(got) == np.signbit(expected)) | (not signed_zeros))
    equal |= np.isnan(got) & np.isnan(expected)
    if equal.all():
        print("equal to the last bit")
        return False
    first = tuple(int(i) for i in np.argwhere(~equal)[0])
    print("index      ", list(first), f"and {int((~equal).sum()) - 1} more")
    print("got        ", got[first])
    print("expected   ", expected[first])
    return True


def differs(got, expected):
    """Return True if two arrays are not equal bit for bit; any two NaN are equal."""
    return (
        got is None
        or (got.dtype, got.shape) != (expected.dtype, expected.shape)
        or not np.array_equal(got, expected, equal_nan=True)
    )
