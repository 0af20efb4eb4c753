"""The `bnconform` command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from bnconform import __version__
from bnconform.running.options import ADAPTER, OPTIONS, OptionError
from bnconform.running.options import seconds as positive

if TYPE_CHECKING:
    from bnconform_adapters.worker.limits import CallOptions

USAGE_ERROR = 2
STOPPED = 128 + 2
"""What a shell calls the status of a program that SIGINT ends."""
READER_GONE = 128 + 13
"""What a shell calls the status of a program that SIGPIPE ends."""
STARTERS = {
    "numpy": "numpy_functions.py",
    "torch": "torch_functions.py",
    "jax": "jax_functions.py",
    "module": "torch_module.py",
    "kernelbench": "kernelbench.py",
}
"""Forms of a candidate file, and the starter of each; the first is the default."""
PASSED_ON = ("--hypothesis-profile", "--hypothesis-seed", "-n")
"""Options with a value that `bnconform report` passes on to pytest; were they unknown, their value would be a file."""
OF_A_RUN = tuple(option for option in OPTIONS if option.name not in ("report", "identify", "measure", "level"))
"""Options of the table that `bnconform report` takes for its run."""
FIXED = ("conditioning", "length", "drift")
"""Kinds of the report's fixed cases, as :mod:`bnconform.cases.fixed_cases` has them; importing that takes NumPy."""
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Thousands of small products take many times as long where several threads wait for one another."""
HIDDEN_BY_NAME = ("numpy", "torch", "jax")
"""What a file of the same name could not import."""


class Parser(argparse.ArgumentParser):
    """One line for an option's bad value; the usage, too, for what is no command."""

    def error(self, message: str) -> NoReturn:
        """See argparse."""
        if message.startswith("argument -"):
            self.exit(USAGE_ERROR, f"bnconform: {message.removeprefix('argument ')}\n")
        super().error(message)


def list_adapters() -> None:
    """Print the bundled implementations with their versions, or how to install them."""
    from bnconform_adapters.registry import REGISTRY

    width = max(len(entry.name) for entry in REGISTRY)
    for entry in REGISTRY:
        versions = ", ".join(f"{name} {version}" for name, version in entry.versions().items())
        state = f"not installed: {entry.install}" if entry.missing() else versions
        print(f"{entry.name:<{width}}  {state}")


def seconds(text: str, of: str = "seconds") -> float:
    """A time limit, from the command line; `of` says in what."""
    try:
        return positive(text, of)
    except OptionError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def minutes(text: str) -> float:
    """The length of a campaign, from the command line."""
    return seconds(text, "minutes")


def count(text: str) -> int:
    """A number of things, from the command line."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}; pass a whole number above 0")
    return int(text)


def campaign(parsed: argparse.Namespace) -> int:
    """Run a campaign; return its exit status."""
    from bnconform.campaign.loop import Budget
    from bnconform.commands.campaign import Wishes
    from bnconform.commands.campaign import campaign as begin

    if parsed.cases is None and parsed.minutes is None and not parsed.until_dry:
        print("bnconform: when is it to end? pass --cases N, --minutes M or --until-dry", file=sys.stderr)
        return USAGE_ERROR
    budget = Budget(parsed.cases, parsed.minutes and 60 * parsed.minutes, parsed.until_dry)
    given = ("adapter", "requirement", "out", "processes", "scheduler", "database", "seed", "time_limit")
    return begin(Wishes(budget=budget, **{name: getattr(parsed, name) for name in given}))


def new(path: Path, form: str) -> int:
    """Write the starter file of a form; return 0, or 2 where it would overwrite something."""
    from importlib import resources

    if path.suffix != ".py":
        print(f"bnconform: {path} is not the name of a Python file; pass PATH.py", file=sys.stderr)
        return USAGE_ERROR
    if path.stem in HIDDEN_BY_NAME:
        print(f"bnconform: {path} would hide {path.stem} from itself; pass another name", file=sys.stderr)
        return USAGE_ERROR
    if path.exists():
        print(f"bnconform: {path} exists; pass another name", file=sys.stderr)
        return USAGE_ERROR
    if not path.parent.is_dir():
        print(f"bnconform: no such folder: {path.parent}; make it first", file=sys.stderr)
        return USAGE_ERROR
    path.write_text((resources.files("bnconform") / "starters" / STARTERS[form]).read_text())
    print(f"written: {path}; it passes as it is, see: bnconform vet {path}")
    return 0


def calls_of(parsed: argparse.Namespace) -> CallOptions:
    """How a subcommand calls candidate files."""
    from bnconform_adapters.worker.limits import CallOptions

    return CallOptions(parsed.in_process, parsed.time_limit)


def identify(spec: str, calls: CallOptions, *, as_json: bool, evidence: bool) -> int:
    """Print which dialect an implementation speaks; return 0, or 2 for one that cannot be loaded."""
    from bnconform.identify import as_text as page
    from bnconform.identify import identify as find_out
    from bnconform_adapters.contract import AdapterError
    from bnconform_adapters.worker.client import opened

    try:
        with opened(spec, calls) as adapter:
            identity = find_out(adapter)
    except AdapterError as error:
        print(f"bnconform: {error}", file=sys.stderr)
        return USAGE_ERROR
    print(page.as_json(identity) if as_json else page.text(identity, evidence=evidence))
    return 0


def replay(path: Path, spec: str | None, calls: CallOptions) -> int:
    """Judge a case file again; return 1 where it breaks its law, 0 where it holds, 2 for what cannot be loaded."""
    from bnconform.cases.case_file import CaseFileError
    from bnconform.running.replaying import AgainError, replay_file
    from bnconform_adapters.contract import AdapterError

    try:
        finding = replay_file(path, spec, calls)
    except (AgainError, AdapterError, CaseFileError) as error:
        print(f"bnconform: {error}", file=sys.stderr)
        return USAGE_ERROR
    print(finding or "holds now")
    return 1 if finding else 0


def reproduce(implementation: str, requirement: str, folder: Path) -> int:
    """Write the script that shows a known deviation; return 0, or 2 where there is none to be shown."""
    from bnconform.running import replaying as again
    from bnconform_adapters.contract import AdapterError

    try:
        path = again.reproduce(implementation, requirement, folder)
    except (again.AgainError, AdapterError) as error:
        print(f"bnconform: {error}", file=sys.stderr)
        return USAGE_ERROR
    print(f"written: {path}; it needs nothing of this project, see: python {path}")
    return 0


def bench_kernel() -> int:
    """Time the fused kernel; return 0, or 2 where what it needs is missing."""
    from bnconform_adapters.registry import find

    if missing := find("fused_triton").missing():
        print(f"bnconform: the kernel needs {', '.join(missing)}: {find('fused_triton').install}", file=sys.stderr)
        return USAGE_ERROR
    from bnconform_adapters.fused_triton.benchmark import main as benchmark

    return benchmark()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    try:
        status = _main(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except KeyboardInterrupt:
        print("bnconform: stopped", file=sys.stderr)
        return STOPPED
    except Exception as error:  # a defect of the suite must not look like a verdict
        from bnconform.running.failures import report_failure

        return report_failure(error)
    return status


def _how_called(parser: argparse.ArgumentParser) -> None:
    """The options of a subcommand that calls a candidate file itself."""
    parser.add_argument("--in-process", action="store_true", help="call your file in this process, not in a worker")
    parser.add_argument("--time-limit", type=seconds, metavar="SECONDS", help="time for one call of your file")


def _main(arguments: Sequence[str] | None) -> int:
    parser = Parser(prog="bnconform", description="Does an implementation of batch normalization do what it must?")
    parser.add_argument("--version", action="version", version=f"bnconform {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="list the bundled implementations")
    vetting = commands.add_parser("vet", help="test implementations, bundled or your own files")
    vetting.add_argument("spec", nargs="+", metavar="NAME|PATH.py[:NAME]")
    vetting.add_argument("-v", "--verbose", action="store_true", help="list every law, and how to claim more")
    vetting.add_argument("--json", metavar="PATH", help="write the record of results here; - prints it, and no page")
    vetting.add_argument("--junit", metavar="PATH", help="write JUnit XML here")
    for option in OPTIONS:
        if option is not ADAPTER:
            vetting.add_argument(f"--{option.name}", **option.settings)
    identifying = commands.add_parser("identify", help="find out which dialect an implementation speaks")
    identifying.add_argument("spec", metavar="NAME|PATH.py[:NAME]")
    identifying.add_argument("--json", action="store_true", help="print a JSON document")
    identifying.add_argument("--evidence", action="store_true", help="show the evidence of every answer")
    _how_called(identifying)
    measuring = commands.add_parser("measure", help="errors on the report's fixed cases, or on one of them")
    measuring.add_argument("spec", metavar="NAME|PATH.py[:NAME]")
    measuring.add_argument("--kind", choices=FIXED, help="with --at: one case of this kind, shown with its errors")
    measuring.add_argument("--at", type=float, metavar="PLACE", help="|mean|/sd, values per channel, or training steps")
    _how_called(measuring)
    bench = commands.add_parser("bench", help="time the bundled kernel on a GPU, beside torch and a device copy")
    bench.add_argument("what", choices=["kernel"])
    starting = commands.add_parser("new", help="write a batch norm to start your own kernel from")
    starting.add_argument("path", type=Path, metavar="PATH.py")
    starting.add_argument(
        "--form",
        choices=STARTERS,
        default=next(iter(STARTERS)),
        help="functions on arrays of one kind, a torch.nn.Module, or a KernelBench file (default: %(default)s)",
    )
    replaying = commands.add_parser("replay", help="judge a case file of --report again")
    replaying.add_argument("case", type=Path, metavar="CASE.json")
    replaying.add_argument("--adapter", metavar="NAME|PATH.py[:NAME]", help="default: what the file was written for")
    _how_called(replaying)
    reproducing = commands.add_parser("reproduce", help="write a script that shows a known deviation")
    reproducing.add_argument("name", metavar="NAME")
    reproducing.add_argument("requirement", metavar="REQUIREMENT")
    reproducing.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="default: this folder")
    reporting = commands.add_parser(
        "report", help="put results together into a page; without any, run the implementations first"
    )
    reporting.add_argument("results", nargs="*", type=Path, metavar="results.json")
    reporting.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="where to write it")
    campaigning = commands.add_parser(
        "campaign",
        help="search for hours, on many processes; goes on where it was killed",
        description="Search for hours. Pass --cases, --minutes or --until-dry: whichever comes first ends it.",
    )
    campaigning.add_argument(
        "--adapter", action="append", default=[], metavar="NAME|PATH.py[:NAME]", help="default: all installed"
    )
    campaigning.add_argument("--requirement", action="append", default=[], metavar="ID", help="default: all")
    campaigning.add_argument("--cases", type=count, metavar="N", help="end after about so many, and one round at least")
    campaigning.add_argument("--minutes", type=minutes, metavar="M", help="end after so many")
    campaigning.add_argument("--until-dry", action="store_true", help="end when nothing new comes up any more")
    campaigning.add_argument("--processes", type=count, metavar="N", help="on this machine; default: one for each core")
    campaigning.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster, which judges instead")
    campaigning.add_argument("--database", metavar="DIR|URL", help="example database, redis://... or github:OWNER/REPO")
    campaigning.add_argument("--seed", type=int, metavar="N", help="equal seeds give equal cases")
    campaigning.add_argument("--time-limit", type=seconds, metavar="SECONDS", help="for one call of a file")
    campaigning.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="its folder, new or begun")
    for option in OF_A_RUN:
        reporting.add_argument(f"--{option.name}", **option.settings)
    for name in PASSED_ON:
        reporting.add_argument(name, metavar="VALUE", help="of the run, as pytest takes it")
    working = commands.add_parser(
        "benefits", help="train small networks with each implementation, and report what batch norm does for them"
    )
    working.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="where to write page and figures")
    working.add_argument("--adapter", action="append", default=[], metavar="NAME|PATH.py[:NAME]", help="repeatable")
    _how_called(working)
    working.add_argument("--short", action="store_true", help="a few steps and seeds, to see that everything works")
    parsed, rest = parser.parse_known_args(arguments)
    if parsed.command == "report":
        from bnconform.commands.report import report
        from bnconform.running.options import words

        values = {option.field: getattr(parsed, option.field) for option in OF_A_RUN}
        passed = ((name, getattr(parsed, name.strip("-").replace("-", "_"))) for name in PASSED_ON)
        chosen = [word for name, value in passed if value is not None for word in (name, value)]
        return report(parsed.results, parsed.out, [*words(values, OF_A_RUN), *chosen, *rest])
    if parsed.command == "vet":
        from bnconform.running.vetting import vet

        given = {option.field: getattr(parsed, option.field) for option in OPTIONS if option is not ADAPTER}
        return vet(parsed.spec, given, rest, json_path=parsed.json, junit=parsed.junit, verbose=parsed.verbose)
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if parsed.command == "campaign":
        return campaign(parsed)
    if parsed.command == "benefits":
        for variable in ONE_THREAD:
            os.environ.setdefault(variable, "1")
        from bnconform.commands.benefits import benefits

        return benefits(parsed.adapter, parsed.out, short=parsed.short, calls=calls_of(parsed))
    if parsed.command == "identify":
        return identify(parsed.spec, calls_of(parsed), as_json=parsed.json, evidence=parsed.evidence)
    if parsed.command == "measure":
        from bnconform.commands.measure import run

        return run(parsed.spec, parsed.kind, parsed.at, calls_of(parsed))
    if parsed.command == "new":
        return new(parsed.path, parsed.form)
    if parsed.command == "replay":
        return replay(parsed.case, parsed.adapter, calls_of(parsed))
    if parsed.command == "reproduce":
        return reproduce(parsed.name, parsed.requirement, parsed.out)
    if parsed.command == "bench":
        return bench_kernel()
    list_adapters()
    return 0


if __name__ == "__main__":
    sys.exit(main())
