"""The recipes for CI: each command of them is run, as a runner would, on a file that is faulty."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml

from bnconform_reports.records.reading import read_runs

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "reports" / "ci"
GITHUB = sorted(RECIPES.glob("github-*.yml"))
SHARDS = 2
"""How many shards of a recipe are run."""
RUN = "17"
"""The number of the pipeline."""
QUICK = "--assert=plain --bn-requirement=F1 --hypothesis-profile=quick"
PYTEST = f'exec "{sys.executable}" -m pytest "$@" -p no:cacheprovider {QUICK}\n'
"""Replaces pytest: the arguments of the recipe, with one law and few cases."""
BNCONFORM = f"""[ "$1" = campaign ] && set -- "$@" --requirement F1 --cases 60 --processes 1
exec "{sys.executable}" -m bnconform.cli "$@"
"""
"""Replaces the command: the same, and short campaigns."""
PIP = 'echo "$@" >> installed.txt\n'


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A checkout with a faulty kernel, and the commands that a runner has."""
    text = (resources.files("bnconform") / "starters" / "numpy_functions.py").read_text()
    (tmp_path / "work" / "kernels").mkdir(parents=True)
    faulty = text.replace("np.sqrt(variance + eps)", "(np.sqrt(variance) + eps)")
    (tmp_path / "work" / "kernels" / "bn.py").write_text(faulty)
    (tmp_path / "bin").mkdir()
    for name, body in {"pytest": PYTEST, "bnconform": BNCONFORM, "pip": PIP}.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{body}")
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def run(machine: Path, script: str, **variables: str) -> int:
    """Run a step's lines as a runner does; return the exit status."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "HYPOTHESIS"))}
    path = f"{machine / 'bin'}{os.pathsep}{os.environ['PATH']}"
    summary = str(machine / "work" / "step_summary.md")
    given = {**kept, "PATH": path, "CI": "true", "GITHUB_STEP_SUMMARY": summary, "CI_PIPELINE_IID": RUN, **variables}
    done = subprocess.run(
        ["bash", "-e", "-c", script], cwd=machine / "work", env=given, capture_output=True, text=True, check=False
    )
    assert "unrecognized arguments" not in done.stderr, done.stderr
    return done.returncode


def parsed(path: Path) -> dict[str, Any]:
    """The recipe; YAML reads the key `on` as true."""
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(data, dict)
    return data


def filled(text: str, shard: str) -> str:
    """The text with the values of GitHub's expressions; an unknown one fails."""
    text = text.replace("${{ github.run_number }}", RUN).replace("${{ matrix.shard }}", shard)
    assert "${{" not in text
    return text


def needed_extras(machine: Path) -> Iterator[str]:
    """The extras that were installed."""
    for line in (machine / "work" / "installed.txt").read_text().splitlines():
        found = re.fullmatch(r"install bnconform\[([a-z,]+)\]", line)
        assert found, line
        yield from found[1].split(",")


@pytest.mark.parametrize("recipe", GITHUB, ids=lambda path: path.stem)
def test_github_recipe_runs_to_a_page(recipe: Path, machine: Path) -> None:
    """Its judging step fails by the broken law; the report is written all the same, of all shards, and uploaded.

    Every shard has a seed of its own.
    """
    data = parsed(recipe)
    assert data[True]
    statuses: list[int] = []
    shards: list[str] = []
    for job in data["jobs"].values():
        assert job.get("needs") in (None, *data["jobs"])
        own = [str(shard) for shard in job.get("strategy", {}).get("matrix", {}).get("shard", ())][:SHARDS]
        shards += own
        for shard in own or [""]:
            failed = False
            for step in job["steps"]:
                if failed and step.get("if") != "always()":
                    continue
                statuses.append(_step(machine, step, shard))
                failed |= statuses[-1] != 0
    assert statuses.count(1) == max(len(shards), 1)
    assert set(statuses) == {0, 1}
    (record,) = (machine / "artifacts" / "batch-norm").rglob("results.json")
    seeds = {run.seed for run in read_runs(record).runs}
    assert len(seeds) == max(len(shards), 1)
    assert not shards or seeds == {int(f"{RUN}{shard}00") for shard in shards}
    if shards:
        assert any((machine / "caches" / f"examples-{RUN}").iterdir()), "what failed is not there for the next night"
    assert "F1" in (machine / "work" / "step_summary.md").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(needed_extras(machine)) <= set(extras)


def _step(machine: Path, step: dict[str, Any], shard: str) -> int:
    """Do what a step does; return its exit status."""
    work = machine / "work"
    if "run" in step:
        return run(machine, filled(step["run"], shard))
    action, _, version = step["uses"].partition("@")
    known = ("checkout", "setup-python", "upload-artifact", "download-artifact", "cache/restore", "cache/save")
    assert action.removeprefix("actions/") in known
    assert re.fullmatch(r"v\d+", version)
    settings = step.get("with", {})
    if action.endswith("upload-artifact"):
        place = machine / "artifacts" / filled(settings["name"], shard)
        for path in settings["path"].split():
            shutil.copytree(work / path, place if path == settings["path"] else place / path, dirs_exist_ok=True)
        for path in settings["path"].split():
            shutil.rmtree(work / path)  # every job has a machine of its own
    if "cache/" in action:
        assert filled(settings["key"], shard).startswith(settings.get("restore-keys", ""))
        if action.endswith("save"):
            shutil.copytree(work / settings["path"], machine / "caches" / filled(settings["key"], shard))
    if action.endswith("download-artifact"):
        for artifact in (machine / "artifacts").iterdir():
            assert fnmatch(artifact.name, settings["pattern"])
            shutil.copytree(artifact, work / settings["path"] / artifact.name)
    return 0


def test_gitlab_recipe_runs_to_a_page(machine: Path) -> None:
    """All jobs belong to existing stages; the reporting job merges the records of the others, and has a JUnit file."""
    data = parsed(RECIPES / "gitlab.yml")
    jobs = {name: job for name, job in data.items() if name != "stages"}
    assert [job["stage"] for job in jobs.values()] == data["stages"]
    shard = jobs["judge"]["parallel"]["matrix"][0]["SHARD"][0]
    assert [run(machine, line, SHARD=shard) for line in jobs["judge"]["script"]] == [0, 1]
    assert [run(machine, line) for line in jobs["report"]["script"]] == [0, 0]
    artifacts = jobs["report"]["artifacts"]
    assert (machine / "work" / artifacts["reports"]["junit"]).is_file()
    assert all(
        (machine / "work" / path).is_dir() for path in (*jobs["judge"]["artifacts"]["paths"], *artifacts["paths"])
    )
    (only,) = read_runs(machine / "work" / "site" / "results.json").runs
    assert only.seed == int(RUN + shard)


def test_page_of_recipes_lists_them_all() -> None:
    """Every file is on the page that the README links."""
    page = (RECIPES / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([^)]+)\)", page))
    assert linked == {path.name for path in RECIPES.glob("*.yml")}
    assert "(reports/ci/README.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
