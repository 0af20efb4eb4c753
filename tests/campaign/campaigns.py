"""What the tests of campaigns share: kernels, the command, and what a folder says was done."""

from __future__ import annotations

import json
import sys
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

import suite_runs

from bnconform.campaign.finding_signatures import gathered

SEED = 11
REQUIREMENTS = ("F1", "S2", "I1")
STARTER = (resources.files("bnconform") / "starters" / "numpy_functions.py").read_text()
# A biased stored variance and a wrong y in inference: S2 and I1 break, F1 holds.
FAULTY = STARTER.replace(" * (n / (n - 1))", "").replace(
    "invstd = 1 / np.sqrt(running_var + eps)", "invstd = 1.001 / np.sqrt(running_var + eps)", 1
)
assert FAULTY.count("1.001") == 1

_Y = "    y = xhat * column(weight, x, 1) + column(bias, x, 0)\n    new_mean"
RARE = STARTER.replace(
    _Y, _Y.replace("\n", "\n    if (eps, momentum, x.shape[1]) == (1e-3, 0.9, 5):\n        y = y * 1.01\n", 1)
)
assert RARE != STARTER
LUCKY, UNLUCKY = "20", "22"
"""Seeds under which 60 cases of F1 show that fault, and do not."""

DEADLY = (
    STARTER
    + """

import os, signal
from pathlib import Path

FLAG = Path(__file__).with_suffix(".killed")
_right = forward_inference


def forward_inference(*arrays, **scalars):
    if not (ONCE and FLAG.exists()):
        FLAG.touch()
        forkserver = os.getppid()  # whose parent judges
        os.kill(int(Path(f"/proc/{forkserver}/stat").read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)
    return _right(*arrays, **scalars)
"""
)


def kernel(folder: Path, text: str) -> Path:
    """A candidate file."""
    path = folder / "kernel.py"
    path.write_text(text)
    return path


def _arguments(path: Path, out: Path, *more: str, requirements: tuple[str, ...] = REQUIREMENTS) -> list[str]:
    wanted = [word for id in requirements for word in ("--requirement", id)]
    return ["campaign", "--adapter", str(path), *wanted, "--seed", str(SEED), "-o", str(out), *more]


def command(path: Path, out: Path, *more: str) -> list[str]:
    """The command of a campaign on a file, as a process."""
    return [sys.executable, "-m", "bnconform.cli", *_arguments(path, out, *more)]


def ran(path: Path, out: Path, *more: str, requirements: tuple[str, ...] = REQUIREMENTS) -> tuple[int, str]:
    """Run the command in this process to its end; give its status and what it printed."""
    done = suite_runs.command(*_arguments(path, out, *more, requirements=requirements), cwd=path.parent)
    return done.status, done.out + done.err


def entries(out: Path) -> list[dict[str, Any]]:
    """The lines of a campaign's journal, the last one aside where it has no end."""
    data = (out / "journal.jsonl").read_bytes()
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]


def seeds(found: list[dict[str, Any]]) -> Counter[tuple[str, int]]:
    """How often each seed of each requirement is on the journal."""
    items = [entry["item"] for entry in found]
    return Counter((item["requirement"], seed) for item in items for seed in range(item["start"], item["stop"]))


def findings(found: list[dict[str, Any]]) -> list[Any]:
    """What the journal says is broken, with the smallest case of each, in a form that compares."""
    cells = gathered(cell for entry in found for cell in entry["broken"])
    return json.loads(json.dumps([[*key, cell["finding"], cell.get("witness")] for key, cell in cells.items()]))
