"""The command `bnconform benefits`: the experiments on batch norm at work, run and written."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter

from bnconform_adapters.contract import AdapterError
from bnconform_adapters.registry import find
from bnconform_adapters.worker.client import opened
from bnconform_adapters.worker.limits import DEFAULTS, CallOptions

USAGE_ERROR = 2
DEFAULT = ("reference", "torch", "flax.linen", "keras.tensorflow")
"""What is trained with where nothing is named, those that are installed."""


def benefits(specs: Sequence[str], folder: Path, *, short: bool = False, calls: CallOptions = DEFAULTS) -> int:
    """Run all experiments and write page, record and figures; tell what came of them.

    Parameters
    ----------
    specs : sequence of str
        Implementations as `--adapter` takes them; none takes :data:`DEFAULT`.
    folder : Path
    short : bool
        A few steps and seeds, to see that everything works.
    calls : CallOptions
        How a file is called.

    Returns
    -------
    int
        0 where it is written, whatever was found; 2 for what cannot be had, trained with or written.
    """
    from bnconform.training.experiments.all import run_all
    from bnconform.training.experiments.trials import FULL, SHORT, ExperimentError, implementation
    from bnconform_reports.benefits import write_benefits
    from bnconform_reports.report import ReportError, ready

    chosen = list(dict.fromkeys(specs)) or [name for name in DEFAULT if not find(name).missing()]
    start = perf_counter()
    try:
        ready(folder)
        with ExitStack() as stack:
            subjects = [implementation(stack.enter_context(opened(spec, calls))) for spec in chosen]
            data = run_all(
                subjects,
                SHORT if short else FULL,
                lambda title: print(f"{perf_counter() - start:5.0f} s  {title}", file=sys.stderr),
            )
        found = write_benefits(data, folder)
    except (AdapterError, ExperimentError, ReportError) as error:
        print(f"bnconform: {error}", file=sys.stderr)
        return USAGE_ERROR
    except OSError as error:
        print(f"bnconform: cannot write {error.filename or folder}: {error.strerror}", file=sys.stderr)
        return USAGE_ERROR
    print(found.headline)
    print(f"written: {folder / 'benefits.html'}")
    return 0
