"""Bad input gets one line on stderr that says what to do: exit status 2 from `bnconform`, 4 from pytest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from suite_runs import FRAMEWORKS, Run, command, conformance, run, run_pytest_and_look, starter

from bnconform_adapters import entry
from bnconform_adapters.errors import AdapterError
from bnconform_adapters.registry import REGISTRY, load
from bnconform_reports.records.reading import read
from bnconform_reports.records.schema import ResultsError

FILES = {
    "nothing.py": "x = 1\n",
    "syntax.py": "def forward_training(:\n",
    "raises.py": "raise RuntimeError('no device')\n",
    "leaves.py": "import sys\nsys.exit(3)\n",
    "imports.py": "import a_module_that_nobody_has\n",
    "key.py": starter().replace("CLAIMS = {", "CLAIMS = {'dtype': 'float32', "),
    "value.py": starter().replace("CLAIMS = {", "CLAIMS = {'stored_variance': 'biassed', "),
    "scalar.py": starter().replace("CLAIMS = {", "CLAIMS = {'ranks': 4, "),
    "rank.py": starter().replace("CLAIMS = {", "CLAIMS = {'ranks': [1], "),
    "grade.py": starter().replace("CLAIMS = {", "CLAIMS = {'grade': 'A', "),
    "none.py": starter().replace("CLAIMS = {", "CLAIMS = {'layouts': [], "),
    "eps.py": starter().replace("CLAIMS = {", "CLAIMS = {'eps_min': 'small', "),
    "list.py": starter().replace("CLAIMS = {", "CLAIMS = ['float32'] or {"),
    "good.py": starter(),
}

# What is passed -> what the one line must say: what is wrong, and what to do.
BAD_ADAPTERS = {
    "absent.py": ("no such file: absent.py", "pass the path of a Python file"),
    "nothing.py": ("defines none of batch norm's functions", "define forward_training or forward_inference"),
    "syntax.py": ("syntax.py cannot be imported: SyntaxError", "line 1"),
    "raises.py": ("raises.py cannot be imported: RuntimeError: no device",),
    "leaves.py": ("leaves.py cannot be imported: SystemExit: 3",),
    "imports.py": ("imports.py cannot be imported: ModuleNotFoundError", "a_module_that_nobody_has"),
    "key.py": ("unknown key 'dtype'", "did you mean 'dtypes'?"),
    "value.py": ("stored_variance = 'biassed'", "pass one of unbiased, biased"),
    "scalar.py": ("ranks = 4", "make it a list"),
    "rank.py": ("ranks = 1", "pass one of 2, 3, 4, 5"),
    "grade.py": ("grade = 'A'", "pass one of TT, TW, BT, BW, NT, NW, NN"),
    "none.py": ("layouts = []", "name at least one"),
    "eps.py": ("eps_min = 'small'", "pass a number"),
    "list.py": ("CLAIMS in list.py is a list", "make it a dict"),
    "good.py:nope": ("good.py has no 'nope'", "pass PATH.py:NAME"),
    "good.py:np": ("good.py:np defines none of batch norm's functions",),
    "torhc": ("unknown adapter 'torhc'", "did you mean 'torch'?", "PATH.py"),
    "frobnicate": ("unknown adapter 'frobnicate'", "pass one of ", "torch.functional"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one file of each kind."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def one_line(found: Run) -> str:
    """The only line of stderr; nothing of a traceback anywhere."""
    assert "Traceback" not in found.out + found.err, found.err
    assert "INTERNALERROR" not in found.out + found.err, found.err
    lines = [line for line in found.err.splitlines() if line.strip()]
    assert len(lines) == 1, found.err
    return lines[0]


@pytest.mark.parametrize("spec", BAD_ADAPTERS)
def test_bad_adapter_is_refused_in_one_line(spec: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with an adapter, one line says what, and what to do."""
    monkeypatch.chdir(folder)
    with pytest.raises(AdapterError) as refusal:
        load(spec)
    text = str(refusal.value)
    assert "\n" not in text
    for piece in BAD_ADAPTERS[spec]:
        assert piece in text


@pytest.mark.parametrize("spec", ["absent.py", "leaves.py", "torhc"])
def test_vet_exits_2(spec: str, folder: Path) -> None:
    """`bnconform vet` says it on stderr and exits 2."""
    found = command("vet", spec, cwd=folder)
    assert found.status == 2
    assert one_line(found).startswith("bnconform: ")
    assert BAD_ADAPTERS[spec][0] in one_line(found)


@pytest.mark.parametrize("spec", ["absent.py", "syntax.py", "torhc"])
def test_pytest_exits_4(spec: str, folder: Path) -> None:
    """pytest says it on stderr and exits 4, its usage error."""
    found = conformance("--bn-adapter", spec, cwd=folder)
    assert found.status == 4
    assert one_line(found).startswith("ERROR: ")
    assert BAD_ADAPTERS[spec][0] in one_line(found)


BAD_OPTIONS = {
    "--bn-requirement=F99": ("unknown requirement 'F99'", "pass one of F1, F2"),
    "--hypothesis-seed=one": ("--hypothesis-seed", "'one'", "a whole number or random"),
    "--hypothesis-profile=quik": ("unknown profile 'quik'", "pass one of quick, default, ci, thorough"),
    "--bn-time-limit=0": ("--bn-time-limit is '0'", "pass a number of seconds above 0"),
    "--bn-report=good.py": ("--bn-report", "good.py is not a folder"),
}


@pytest.mark.parametrize("option", BAD_OPTIONS)
def test_bad_option_is_refused_in_one_line(option: str, folder: Path) -> None:
    """A requirement, seed, profile or report folder that cannot be is refused before any test runs."""
    found = conformance("--bn-adapter=good.py", option, cwd=folder)
    assert found.status == 4, found.out + found.err
    for piece in BAD_OPTIONS[option]:
        assert piece in one_line(found)


@pytest.mark.parametrize("option", [one for one in BAD_OPTIONS if "seed" not in one])
def test_bad_option_is_refused_without_an_adapter_too(option: str, folder: Path) -> None:
    """Where all that are installed would be judged, it is refused in one line as well, and before any is collected."""
    found = conformance(option, cwd=folder)
    assert found.status == 4, found.out + found.err
    for piece in BAD_OPTIONS[option]:
        assert piece in one_line(found)


def test_vet_turns_pytests_usage_error_into_2(folder: Path) -> None:
    """`bnconform vet` exits 2 for an option's bad value too."""
    found = command("vet", "good.py", "--requirement=F99", cwd=folder)
    assert found.status == 2
    assert "unknown requirement 'F99'" in one_line(found)


@pytest.mark.parametrize(
    ("path", "hint"),
    [("good.py", "exists"), ("no/k.py", "no such folder"), ("k.txt", "PATH.py"), ("torch.py", "would hide torch")],
)
def test_new_never_overwrites(path: str, hint: str, folder: Path) -> None:
    """`bnconform new` refuses a name that it cannot or must not write."""
    found = command("new", path, cwd=folder)
    assert found.status == 2
    assert hint in one_line(found)


@pytest.mark.parametrize("arguments", [(), ("frob",), ("list", "--frob"), ("vet",)], ids=" ".join)
def test_unknown_commands_are_usage_errors(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """A command that there is not, or an incomplete one, shows the usage and exits 2."""
    found = command(*arguments, cwd=tmp_path)
    assert found.status == 2
    assert found.err.startswith("usage: bnconform")
    assert "Traceback" not in found.err


def test_framework_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter whose framework is missing names the command that installs it."""
    monkeypatch.setattr(entry.util, "find_spec", lambda name: None if name == "torch" else object())
    with pytest.raises(AdapterError, match=r"adapter 'torch' needs torch: pip install 'bnconform\[torch\]'"):
        load("torch")


# In the real commands: a path hook that hides the frameworks named in an environment variable.
HIDE = """
import importlib.util, os
hidden, find = os.environ.get("HIDDEN", "").split(), importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in hidden else find(name, package)
"""


def without(folder: Path, *frameworks: str) -> dict[str, str]:
    """Variables under which the given frameworks are not installed."""
    (folder / "sitecustomize.py").write_text(HIDE)
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {"PYTHONPATH": path, "HIDDEN": " ".join(frameworks)}


def test_missing_framework_exits_2_and_4(tmp_path: Path) -> None:
    """Asked for by name, a missing framework is a usage error that names the install command."""
    variables = without(tmp_path, "torch")
    vetted = command("vet", "torch", cwd=tmp_path, variables=variables)
    tested = conformance("--bn-adapter=torch", cwd=tmp_path, variables=variables)
    assert (vetted.status, tested.status) == (2, 4)
    for found in (vetted, tested):
        assert "needs torch: pip install 'bnconform[torch]'" in one_line(found)


def test_missing_frameworks_are_told_where_none_is_asked_for(tmp_path: Path) -> None:
    """By default what is installed runs; each missing framework is named with the command that installs it."""
    asked = ("--bn-requirement=F1", "--hypothesis-profile=quick")
    found = conformance(*asked, "-v", cwd=tmp_path, variables=without(tmp_path, *FRAMEWORKS))
    assert found.status == 0, found.out + found.err
    assert "- torch not run: needs torch: pip install 'bnconform[torch]'" in found.out
    assert "- flax.nnx not run: needs flax, jax: pip install 'bnconform[jax]'" in found.out


def test_list_adapters_imports_no_framework(tmp_path: Path) -> None:
    """--bn-list-adapters names every implementation with its versions, and imports no framework."""
    found = run_pytest_and_look("--bn-list-adapters", cwd=tmp_path)
    assert found.status == 0
    for row in REGISTRY:
        assert row.name in found.out
    assert "bnconform.plugin" in found.imported()
    assert not found.imported() & set(FRAMEWORKS)


def test_list_names_what_is_missing(tmp_path: Path) -> None:
    """`bnconform list` gives the install command of what is not installed."""
    found = run("-m", "bnconform.cli", "list", cwd=tmp_path, variables=without(tmp_path, "jax"))
    assert found.status == 0
    lines = dict(line.split(maxsplit=1) for line in found.out.splitlines())
    assert lines["flax.linen"] == "not installed: pip install 'bnconform[jax]'"
    assert lines["torch"].startswith("torch 2")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (None, "cannot read"),
        ("{", "is not JSON"),
        ("[]", "has schema None; this version reads 'bnconform.results/3'"),
        (json.dumps({"schema": "bnconform.results/9"}), "has schema 'bnconform.results/9'"),
        (json.dumps({"schema": "bnconform.results/3", "cells": [{}]}), "is damaged"),
        (json.dumps({"schema": "bnconform.results/3", "cells": [], "frob": 1}), "is damaged"),
    ],
)
def test_bad_results_file_is_refused_in_one_line(text: str | None, hint: str, tmp_path: Path) -> None:
    """A file that is no record of results is refused in one line that names it."""
    path = tmp_path / "results.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ResultsError) as refusal:
        read(path)
    assert hint in str(refusal.value)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    """`bnconform list | head -1` prints one line, and no traceback."""
    command = f"{sys.executable} -m bnconform.cli list | head -1"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("reference")
    assert "Traceback" not in done.stderr
