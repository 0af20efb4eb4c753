"""`bnconform benefits`: train small networks with each implementation, and report the effects of batch norm."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter

from bnconform.commands.arguments import SPEC, add_call_options, call_options

HELP = "train small networks with each implementation, and report the effects of batch norm"
DEFAULT = ("reference", "torch", "flax.linen", "keras.tensorflow")
"""Default implementations, if they are installed."""
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables to set to one thread: thousands of small products are much slower with threads that wait for each other."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the output folder, the implementations, and the length of the experiments."""
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder for page and figures")
    parser.add_argument("--adapter", action="append", default=[], metavar=SPEC, help="repeatable")
    add_call_options(parser)
    parser.add_argument("--short", action="store_true", help="a few steps and seeds, to check that everything works")


def run(parsed: argparse.Namespace, rest: list[str]) -> int:
    """Run all experiments, and write page, record and figures; always return 0."""
    for variable in ONE_THREAD:
        os.environ.setdefault(variable, "1")
    from bnconform.training.experiments.all import run_all
    from bnconform.training.experiments.trials import FULL, SHORT, implementation
    from bnconform_adapters.registry import find
    from bnconform_adapters.worker.client import opened
    from bnconform_reports.report_folder import prepare, write_benefits

    chosen = list(dict.fromkeys(parsed.adapter)) or [name for name in DEFAULT if not find(name).missing()]
    start = perf_counter()
    prepare(parsed.out)
    with ExitStack() as stack:
        subjects = [implementation(stack.enter_context(opened(spec, call_options(parsed)))) for spec in chosen]
        data = run_all(
            subjects,
            SHORT if parsed.short else FULL,
            lambda title: print(f"{perf_counter() - start:5.0f} s  {title}", file=sys.stderr),
        )
    found = write_benefits(data, parsed.out)
    print(found.headline)
    print(f"written: {parsed.out / 'benefits.html'}")
    return 0
