"""One call in a process that has done nothing before: ``python -m bnconform.fresh_process SPEC < case > outcome``."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from typing import Any

from bnconform.case_file import decode, encode, from_json, to_json
from bnconform_adapters.contract import Case, Outcome, run

_ARRAYS = ("y", "running_mean", "running_var", "dx", "dweight", "dbias")
assert {field.name for field in fields(Outcome)} >= set(_ARRAYS)


def run_in_fresh_process(spec: str, case: Case) -> Outcome:
    """Run an implementation, named as for `--adapter`, once in a new process."""
    command = [sys.executable, "-m", "bnconform.fresh_process", spec]
    done = subprocess.run(command, input=json.dumps(to_json((case,))), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        return Outcome(error=f"exit status {done.returncode}: {lines[-1] if lines else 'no message'}")
    data: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return Outcome(**{name: decode(value) for name, value in data.items()})


def main() -> None:
    """Read a case, run it, write the outcome as the last line."""
    from bnconform_adapters.registry import load

    (case,) = from_json(json.load(sys.stdin))
    outcome = run(load(sys.argv[1]), case)
    found = {name: encode(getattr(outcome, name)) for name in _ARRAYS} | {"error": outcome.error}
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main()
