"""What every script needs: cases, memory layouts, and one layer called several times."""

import mmap
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np


class Case(SimpleNamespace):
    """One call. Channels are on axis 1; momentum is the weight of the new batch."""

    x = dy = weight = bias = running_mean = running_var = ddx = ddweight = ddbias = None
    training, momentum, eps = True, 0.1, 1e-5
    layout = dy_layout = statistics_layout = parameters_layout = "contiguous"
    read_only, before, wanted = False, "nothing", "dx dweight dbias"


def place(array, layout="contiguous"):
    """A copy of the array, or None, that lies in memory as `layout` says; around it is NaN."""
    if array is None:
        return None
    if layout == "expanded":  # stride 0 along the first axis
        return np.broadcast_to(place(array[:1]), array.shape)
    if layout == "far" and array.size > 1:  # an index into it needs more than 32 bits
        axis = next(axis for axis, size in enumerate(array.shape) if size > 1)
        strides = [stride // array.itemsize for stride in np.zeros(array.shape, array.dtype).strides]
        strides[axis] = -(-(2**32 + 16) // (array.shape[axis] - 1))
        length = (array.shape[axis] - 1) * strides[axis] + array.size
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000  # Linux's MAP_NORESERVE: only what is touched is there
        memory = np.frombuffer(mmap.mmap(-1, length * array.itemsize, flags=flags), array.dtype)
        memory[: array.size + 16] = np.nan
        view = np.lib.stride_tricks.as_strided(memory, array.shape, [stride * array.itemsize for stride in strides])
        view[...] = array
        return view
    axes = tuple(range(array.ndim))
    order = {"channels_last": (0, *axes[2:], 1), "transposed": (1, 0, *axes[2:])}.get(layout, axes)
    *outer, inner = (array.shape[axis] for axis in order)
    step = 2 if layout == "sliced" else 1  # every second element
    memory = np.full(array.size * step + 64, np.nan, array.dtype)
    view = memory[32:-32].reshape(*outer, inner * step)[..., ::step].transpose(np.argsort(order))
    if layout == "reversed":  # negative strides
        view = view[(slice(None, None, -1),) * array.ndim]
    view[...] = array
    return view


def attempt(function, *arguments):
    """What the function returns, or its exception."""
    try:
        return function(*arguments)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def attempt_all(function, cases):
    """What the function returns for all of the cases together, or its exception for each."""
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
    """As run; a case may load its parameters and statistics first, or reset them."""
    layer, first = None, cases[0]

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
    """The forward passes of one layer first; then the rest of each call, in this order."""
    layer = None

    def forward(case):
        nonlocal layer
        layer = layer or layer_class(cases[0])
        return layer.forward(case)

    finishes = [attempt(forward, case) for case in cases]
    return [attempt(finishes[i]) if callable(finishes[i]) else finishes[i] for i in order]


def run_together(layer_class, cases, threads):
    """Call a new layer with each case, from several threads at once; a call's two passes are tasks of their own."""
    with ThreadPoolExecutor(threads) as pool:
        finishes = list(pool.map(lambda case: attempt(lambda: layer_class(case).forward(case)), cases))
        return list(pool.map(lambda finish: attempt(finish) if callable(finish) else finish, finishes))


def run_in_spoilt_memory(layer_class, case):
    """Call a new layer once, just after memory of the sizes that it will ask for was full of NaN."""
    channels = case.x.shape[1]
    sizes = {case.x.size, channels, 2 * channels, case.x.size // max(1, channels)}
    blocks = [np.full(size, np.nan, dtype) for size in sizes for dtype in (case.x.dtype, np.float32) for _ in range(8)]
    blocks.clear()
    return run(layer_class, case)
