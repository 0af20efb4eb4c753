"""`--report` leaves a case file and a script for every broken law; `bnconform replay` judges the file again."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest
from suite_runs import command, conformance, replaced, run, run_scripts, starter

from bnconform.commands.replay import replay_file
from bnconform_adapters.worker.limits import CallOptions

BIASED = ((" * (n / (n - 1))", ""),)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a faulty kernel, and the report of a run on it."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "kernel.py").write_text(replaced(starter(), BIASED))
    (folder / "correct.py").write_text(starter())
    more = ("--bn-requirement", "S2", "--bn-report", "out", "--hypothesis-profile", "quick")
    done = conformance("--bn-adapter", "kernel.py", *more, cwd=folder)
    assert done.status == 1, done.out + done.err
    for line in ("case file out/cases/S2-kernel.json", "script    out/cases/S2-kernel.py"):
        assert f"  {line}\n" in done.out
    return folder


CASE = "out/cases/S2-kernel.json"


def replay(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit status and output of `bnconform replay`."""
    done = command("replay", *arguments, cwd=folder)
    return done.status, done.out + done.err


def test_replay_prints_the_finding(folder: Path) -> None:
    """Without --adapter, the file's own implementation is judged again."""
    status, output = replay(folder, CASE)
    assert status == 1, output
    assert output.startswith("S2 broken by kernel.py: ")
    assert f"  again     bnconform replay {CASE} --adapter kernel.py\n" in output


def test_replay_on_a_correct_kernel(folder: Path) -> None:
    """What meets the law on this case holds now."""
    assert replay(folder, CASE, "--adapter", "correct.py") == (0, "holds now\n")
    assert replay(folder, CASE, "--adapter", "correct.py", "--in-process") == (0, "holds now\n")


def test_replay_on_a_bundled_implementation(folder: Path) -> None:
    """A bundled implementation is judged by its own claims, or refused where it claims nothing of the kind."""
    status, output = replay(folder, CASE, "--adapter", "torch")
    assert (status, output) == (0, "holds now\n")


def test_script_beside_the_case_file(folder: Path) -> None:
    """The script exits with 1 on the kernel, with 0 on a correct one, and with 125 where there is no such file."""
    path = "out/cases/S2-kernel.py"
    assert run(path, cwd=folder).status == 1
    assert run(path, "correct.py", cwd=folder).status == 0
    assert run(path, "gone.py", cwd=folder).status == 125


def test_report_on_every_form_of_file(tmp_path: Path) -> None:
    """`--report` leaves a script and a case file for tensors and modules too: both tell the faulty from the correct."""
    pytest.importorskip("torch")
    forms, commands = ("torch", "module", "kernelbench"), list[list[Path]]()
    for form in forms:
        kernel, correct = tmp_path / f"{form}_kernel.py", tmp_path / f"{form}_correct.py"
        kernel.write_text(replaced(starter(form), BIASED))
        correct.write_text(starter(form))
        commands += [[tmp_path / "out" / "cases" / f"S2-{kernel.name}", file] for file in (kernel, correct)]
    more = ("--bn-requirement", "S2", "--bn-report", "out", "--hypothesis-profile", "quick")
    done = conformance(*(f"--bn-adapter={form}_kernel.py" for form in forms), *more, cwd=tmp_path)
    for form in forms:
        assert f"  script    out/cases/S2-{form}_kernel.py\n" in done.out, done.out + done.err
    for (path, file), (status, _) in zip(commands, run_scripts(commands), strict=True):
        assert f"torch {metadata.version('torch')}" in path.read_text()
        found = replay_file(path.with_suffix(".json"), str(file), CallOptions(in_process=True))
        if file.name.endswith("_kernel.py"):
            assert status == 1
            assert found is not None
            assert found.startswith(f"S2 broken by {file.name}: ")
        else:
            assert (status, found) == (0, None)


def test_what_cannot_be_replayed(folder: Path) -> None:
    """A missing file, a missing kernel and a file without a requirement are refused in one line, with status 2."""
    data = json.loads((folder / CASE).read_text())
    (folder / "plain.json").write_text(json.dumps({k: v for k, v in data.items() if k != "requirement"}))
    for arguments, told in (
        (("gone.json",), "cannot read gone.json"),
        ((CASE, "--adapter", "gone.py"), "no such file: gone.py"),
        ((CASE, "--adapter", "torhc"), "did you mean 'torch'?"),
        (("plain.json",), "names no requirement"),
    ):
        status, output = replay(folder, *arguments)
        assert status == 2, output
        assert output.startswith("bnconform: ")
        assert told in output
        assert output.count("\n") == 1
