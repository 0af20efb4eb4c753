"""Cases, memory layouts, and several calls of one layer; every script needs these."""

import math
import mmap
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np


class Case(SimpleNamespace):
    """One call of a batch norm. Channels are on axis 1; momentum is the weight of the new batch."""

    x = dy = weight = bias = running_mean = running_var = ddx = ddweight = ddbias = None
    training, momentum, eps = True, 0.1, 1e-5
    layout = dy_layout = statistics_layout = parameters_layout = "contiguous"
    read_only, before, wanted = False, "nothing", "dx dweight dbias"


AROUND = 32
"""Number of NaN elements before and after every array."""
FAR = 2**32 + AROUND // 2
"""Number of elements between the first and the last row of the outermost axis in the layout "far". A 32-bit index,
signed or not, wraps around to NaN or to another element of the first row."""


def place(array, layout="contiguous"):
    """Copy the array into the memory layout `layout`, with NaN around the copy; None stays None."""
    if array is None:
        return None
    if layout == "expanded":  # stride 0 along the first axis
        if array.tobytes() != np.broadcast_to(array[:1], array.shape).tobytes():
            raise ValueError("an expanded layout needs equal values along axis 0")
        return np.broadcast_to(place(array[:1]), array.shape)
    if layout == "far" and array.size > 1:
        return place_far(array)
    axes = tuple(range(array.ndim))
    order = {"channels_last": (0, *axes[2:], 1), "transposed": (1, 0, *axes[2:])}.get(layout, axes)
    *outer, inner = (array.shape[axis] for axis in order)
    step = 2 if layout == "sliced" else 1  # every second element
    memory = np.full(array.size * step + 2 * AROUND, np.nan, array.dtype)
    view = memory[AROUND:-AROUND].reshape(*outer, inner * step)[..., ::step]
    if order != axes:
        view = view.transpose([order.index(axis) for axis in axes])
    if layout == "reversed":  # negative strides
        view = view[(slice(None, None, -1),) * array.ndim]
    view[...] = array
    return view


def place_far(array):
    """Copy the array into the layout "far", with NaN around each row; untouched memory between rows costs nothing."""
    strides, length = far_strides(array.shape)
    memory = np.frombuffer(untouched(length * array.itemsize), array.dtype)
    strides = [stride * array.itemsize for stride in strides]
    view = np.ndarray(array.shape, array.dtype, memory, AROUND * array.itemsize, strides)
    for around in rows_in(memory, view):
        around[...] = np.nan
    view[...] = array
    return view


def far_strides(shape):
    """Return the strides of the layout "far", and its number of elements including those around the rows."""
    axis = outermost(shape)
    strides = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    row, strides[axis] = strides[axis], -(-FAR // (shape[axis] - 1))
    return strides, (shape[axis] - 1) * strides[axis] + row + 2 * AROUND


def outermost(shape):
    """Return the first axis that is longer than 1."""
    return next(axis for axis, size in enumerate(shape) if size > 1)


def untouched(size):
    """Allocate zero bytes that use physical memory only where they are touched."""
    if sys.platform == "win32":
        raise OSError("this system cannot allocate memory without reserving it")
    no_reserve = 0x4000 if sys.platform == "linux" else 0  # MAP_NORESERVE, a constant of mmap from Python 3.13 on
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve)


def rows_in(memory, array):
    """Return the parts of the memory with the rows of an array in the layout "far" and the NaN around each row."""
    axis = outermost(array.shape)
    step, row = array.strides[axis] // array.itemsize, array.size // array.shape[axis]
    return [memory[i * step :][: row + 2 * AROUND] for i in range(array.shape[axis])]


def surroundings(array):
    """Return the memory that holds a placed array, and the number of elements before the array."""
    memory = array
    while isinstance(memory.base, np.ndarray):
        memory = memory.base
    first, start = (one.__array_interface__["data"][0] for one in (array, memory))
    return memory, (first - start) // array.itemsize


def overrun(array):
    """Return True if memory around a placed array was written."""
    memory, before = surroundings(array)
    if memory.size < FAR:
        return written_around(memory, array, before)
    rows = np.moveaxis(array, outermost(array.shape), 0)
    return any(written_around(around, rows[i, ...], AROUND) for i, around in enumerate(rows_in(memory, array)))


def written_around(memory, array, before):
    """Return True if the memory outside the array, which was NaN, was written."""
    placed = np.full(memory.shape, np.nan, memory.dtype)
    np.ndarray(array.shape, array.dtype, placed, before * array.itemsize, array.strides)[...] = array
    return placed.tobytes() != memory.tobytes()


def shared(outputs, inputs, alike=np.may_share_memory):
    """Return pairs such as "y and x": outputs that share memory with an input or with another output."""
    present = [(name, one) for name, one in outputs.items() if one is not None and math.prod(one.shape)]
    others = present + [(name, one) for name, one in inputs.items() if one is not None and math.prod(one.shape)]
    return [
        f"{name} and {other}"
        for i, (name, one) in enumerate(present)
        for other, two in others[i + 1 :]
        if alike(one, two)
    ]


def attempt(function, *arguments):
    """Call the function; an exception becomes a result."""
    try:
        return function(*arguments)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def attempt_all(function, cases):
    """Call the function with all cases; an exception becomes the result of each."""
    results = attempt(function, *cases)
    return [results] * len(cases) if isinstance(results, dict) else results


def run(layer_class, *cases):
    """Call one new layer with each case in turn: forward, and backward where there is a dy."""
    layer = None

    def call(case):
        nonlocal layer
        layer = layer or layer_class(cases[0])
        return layer.forward(case)()

    return [attempt(call, case) for case in cases]


def run_restarting(layer_class, *cases):
    """Do the same as run, for cases that may first load or reset parameters and statistics."""
    layer: Any = None
    first = cases[0]

    def call(case):
        nonlocal layer, first
        if case.before != "nothing":
            first = case
            if hasattr(layer, "restart"):
                layer.restart(case)
            else:
                layer = None
        layer = layer or layer_class(first)
        return layer.forward(case)()

    return [attempt(call, case) for case in cases]


def interleave(layer_class, cases, order):
    """Run all forward passes of one layer, then the rest of each call in the given order."""
    layer = None

    def forward(case):
        nonlocal layer
        layer = layer or layer_class(cases[0])
        return layer.forward(case)

    finishes = [attempt(forward, case) for case in cases]
    return [attempt(finishes[i]) if callable(finishes[i]) else finishes[i] for i in order]


def run_together(layer_class, cases, threads):
    """Call a new layer with each case, from several threads at once; a call's two passes are separate tasks."""
    with ThreadPoolExecutor(threads) as pool:
        finishes = list(pool.map(lambda case: attempt(lambda: layer_class(case).forward(case)), cases))
        return list(pool.map(lambda finish: attempt(finish) if callable(finish) else finish, finishes))


def run_in_spoilt_memory(layer_class, case):
    """Call a new layer once, after filling memory of the sizes that the call needs with NaN."""
    spoil_memory(case)
    return run(layer_class, case)


def spoil_memory(case):
    """Allocate and free blocks full of NaN, in the sizes that a call needs."""
    channels = case.x.shape[1]
    sizes = {case.x.size, channels, 2 * channels, case.x.size // max(1, channels)}
    blocks = [np.full(size, np.nan, dtype) for size in sizes for dtype in (case.x.dtype, np.float32) for _ in range(8)]
    blocks.clear()
