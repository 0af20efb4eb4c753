"""Candidate files that do in training what no kernel should, as soon as there are more than three channels."""

from __future__ import annotations

from pathlib import Path

from suite_runs import replaced, starter

FEW = 3
"""Channels up to which the files are correct."""

_ENTERED = "    refuse_bad_input(x, eps, weight, bias, running_mean, running_var)\n    n ="

# What the file does -> what the finding must say.
FATAL = {
    "import ctypes; ctypes.string_at(0)": r"crashed: SIGSEGV \(Segmentation fault\) in forward_training, kernel.py",
    "import os; os.abort()": r"crashed: SIGABRT \(Aborted\) in forward_training, kernel.py line",
    "import os; os._exit(3)": "exited: status 3",
    "print('no device'); import os; os._exit(0)": "exited: status 0; the last that it printed: no device",
    "import sys; sys.exit('no device')": "exited: SystemExit: no device",
    "while True: pass": r"hung: no answer within \S+ s in forward_training, kernel.py line",
    "import time; time.sleep(1000)": r"hung: no answer within \S+ s in forward_training, kernel.py line",
    "while True: print('spam ' * 1000)": r"hung: no answer within \S+ s",
    "import sys; sys.setrecursionlimit(10**9); descend(Descent())": "crashed: SIGSEGV",
    "held = [x]\n        while True: held.append(np.ones(10**6))": "out of memory: it grew by more than",
    "import os, signal; os.kill(os.getpid(), signal.SIGTERM)": "crashed: SIGTERM",
    "import os; os.closerange(0, 100)": "crashed: it damaged its own process",
    "[os.write(i, bytes(99)) for i in range(3, 30) if is_socket(i)]": "crashed: it wrote into its connection",
    "import os; os.fork()": "crashed: it answered twice",
    "raise RuntimeError('CUDA error: unspecified launch failure')": "corrupted device: RuntimeError: CUDA error",
}
RAISING = {
    "raise ValueError('no')": "raised ValueError: no",
    "raise KeyboardInterrupt": "raised KeyboardInterrupt",
    "raise Odd('hm')": "raised Odd: hm",
    "raise Unspeakable": "raised Unspeakable",
    "descend(x)": "raised RecursionError: maximum recursion depth exceeded",
    "np.ones(10**13)": "raised MemoryError",
    "input()": "raised EOFError",
    "import os; [os.close(i) for i in (0, 1, 2)]; os.write(1, b'x')": "raised OSError",
    "return (lambda: 1), None, None, None": "raised TypeError: returned a function where",
    "return np.array([object()]), None, None, None": "raised TypeError: returned an array of object",
    "return np.zeros(2, 'f4,i4'), None, None, None": "raised TypeError: returned an array of",
    "return x.astype(int), None, None, None": r"y is int64\[.*\]; the case asks for floating-point numbers",
}
HARMLESS = (
    "print('spam ' * 10**6)",
    "import os; os.write(1, b'bnconf/1' + bytes(99)); os.write(2, bytes(10**6))",
    "import threading; threading.Thread(target=threading.Event().wait).start()",
    "import atexit; atexit.register(lambda: 1 / 0)",
    "globals().setdefault('kept', []).append(lambda: x)",
)

_TOOLS = """
import os, stat


class Odd(BaseException): pass


class Unspeakable(Exception):
    def __str__(self): raise RuntimeError


class Descent:
    def __getattr__(self, name): return getattr(self, name)


def descend(x): return x.further if isinstance(x, Descent) else descend(x)


def is_socket(i):
    try: return stat.S_ISSOCK(os.fstat(i).st_mode)
    except OSError: return False
"""


def faulty(folder: Path, fault: str, when: str = f"x.shape[1] > {FEW}") -> str:
    """Write a file with a fault; return its path."""
    entered = _ENTERED.removesuffix("    n =") + f"    if {when}:\n        {fault}\n    n ="
    path = folder / "kernel.py"
    path.write_text(replaced(starter(), [(_ENTERED, entered)]) + _TOOLS)
    return str(path)
