"""Scripts that show findings: exit 1 on the faulty batch norm, 0 on a correct one, and need nothing of the project."""

from __future__ import annotations

from typing import Any

import pytest
from hunt import ZOO, file_of, specimens, subject
from suite_runs import run_scripts

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


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Any]:
    """What the script of each fault says of the specimen, and of a correct one: status and output."""
    folder, commands = tmp_path_factory.mktemp("scripts"), list[list[str]]()
    for law, name, family in SHOWN:
        adapter, path = subject(file_of(family), name), folder / f"{law}_{name}.py"
        settings, spec = settings_for("default", "cheap"), f"{file_of(family)}:{name}"
        broken = search(laws()[law], adapter, adapter.claims, tally=Tally(), settings=settings, seed=SEED, spec=spec)
        assert broken is not None, (law, name)
        path.write_text(script(broken, Subject.of_file(adapter.name, spec, adapter.plain_code)))
        commands += [[str(path)], [str(path), CORRECT]]
    found = run_scripts(commands)
    return dict(zip(SHOWN, zip(found[::2], found[1::2], strict=True), strict=True))


def test_specimens_are_known() -> None:
    """Every specimen shown is in the zoo, and there for its law."""
    known = {(law, row.name, family) for family, row in specimens() for law in row.laws}
    assert set(SHOWN) <= known


@pytest.mark.parametrize("fault", SHOWN, ids="-".join)
def test_script_tells_faulty_from_correct(fault: tuple[str, str, str], shown: dict[Any, Any]) -> None:
    """The script of what a law finds exits with 1 on the specimen, and with 0 when pointed at a correct one."""
    (code, output), (correct, cured) = shown[fault]
    assert (code, output.splitlines()[-1:]) == (1, ["the defect is there"]), output
    assert (correct, cured.splitlines()[-1:]) == (0, ["the defect is gone"]), cured
