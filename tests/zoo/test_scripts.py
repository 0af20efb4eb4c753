"""Scripts that show findings: exit 1 on the faulty batch norm, 0 on a correct one, and need nothing of the project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hunt import ZOO, file_of, specimens, subject

from bnconform.judging.tally import Tally
from bnconform.running.all_laws import laws
from bnconform.running.profiles import settings_for
from bnconform.running.search import search
from bnconform.scripts.writer import Subject, script

SEED = 0
CORRECT = f"{ZOO / 'correct.py'}:Sharded"
SHOWN = (
    ("F3", "EpsOutsideRoot", "forward"),
    ("F5", "GradientsInHalf", "forward"),
    ("F8", "BlendedY", "forward"),
    ("F9", "ConstantIsNaN", "forward"),
    ("S1", "MomentumSwapped", "statistics"),
    ("S7", "StridedBuffersDropped", "statistics"),
    ("S8", "WritesBeforeRaising", "statistics"),
    ("S8", "BusyAfterError", "blind"),
    ("S11", "OwnStatistics", "statistics"),
    ("I2", "SingleSampleOwnStatistics", "inference"),
    ("I3", "InferenceSaturates", "inference"),
    ("G1", "DxMeanTermMissing", "backward"),
    ("G5", "DxMeanTermMissing", "backward"),
    ("G6", "DyZeroIsNaN", "backward"),
    ("G8", "DbiasAccumulates", "caching"),
    ("G9", "LastForwardOnly", "caching"),
    ("G10", "SecondDxMissing", "second_order"),
    ("G11", "TangentUnbiased", "second_order"),
    ("M3", "RoundsUp", "numerics"),
    ("M5", "ChannelWrapsAt64", "sizes"),
    ("M6", "NeighbourRounding", "numerics"),
    ("M7", "InstanceStatistics", "forward"),
    ("M10", "InvstdByParameters", "forward"),
    ("N4", "BfloatTruncated", "numerics"),
    ("X1", "NaNIsZero", "special"),
    ("X2", "OneValueIsNaN", "special"),
    ("X4", "NoChannelsRaises", "special"),
    ("P1", "OverwritesX", "effects"),
    ("P2", "WarmsUp", "caching"),
    ("P3", "FoldByMean", "blind"),
    ("P4", "GradientsShareMemory", "effects"),
    ("P5", "WritesGuardZone", "effects"),
    ("P9", "OverwritesDdx", "second_order"),
    ("P9", "TangentOverwritesTangent", "second_order"),
    ("Y1", "MeanOfShardVariances", "devices"),
    ("Y1", "OverwritesShard", "devices"),
    ("Y2", "GradientsOfEveryone", "devices"),
    ("Y3", "LocalBessel", "devices"),
    ("T1", "WeightKeptWhenClose", "training"),
    ("T2", "FoldKeptWhenClose", "training"),
    ("E1", "LengthOneBroadcasts", "errors"),
)
"""A few of every family: values, bits, relations, states, exceptions, derivatives."""

_BLOCK = """
import runpy, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0].startswith("bnconform"):
            raise ImportError(f"{name} must not be needed")
sys.meta_path.insert(0, Blocked())
"""


def status(path: Path, *arguments: str) -> tuple[int, str]:
    """Run a script in a new process in which this project cannot be imported; give its exit status and output."""
    runner = f"{_BLOCK}sys.argv = {[str(path), *arguments]}\nrunpy.run_path({str(path)!r}, run_name='__main__')"
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "-c", runner], env=kept, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout or done.stderr


def test_specimens_are_known() -> None:
    """Every specimen shown is in the zoo, and there for its law."""
    known = {(law, row.name, family) for family, row in specimens() for law in row.laws}
    assert set(SHOWN) <= known


@pytest.mark.parametrize(("law", "name", "family"), SHOWN, ids=lambda one: one)
def test_script_tells_faulty_from_correct(law: str, name: str, family: str, tmp_path: Path) -> None:
    """The script of what a law finds exits with 1 on the specimen, and with 0 when pointed at a correct one."""
    adapter, path = subject(file_of(family), name), tmp_path / "script.py"
    settings, spec = settings_for("default", "cheap"), f"{file_of(family)}:{name}"
    broken = search(laws()[law], adapter, adapter.claims, tally=Tally(), settings=settings, seed=SEED, spec=spec)
    assert broken is not None
    path.write_text(script(broken, Subject.of_file(adapter.name, spec, adapter.plain_code)))
    code, output = status(path)
    assert (code, output.splitlines()[-1]) == (1, "the defect is there"), output
    code, output = status(path, CORRECT)
    assert (code, output.splitlines()[-1]) == (0, "the defect is gone"), output
