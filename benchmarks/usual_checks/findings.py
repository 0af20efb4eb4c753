"""What the usual checks catch of the zoo: the record, its page, and the counts that the report shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

SCHEMA = "bnconform.usual-checks/1"


@dataclass(frozen=True)
class Check:
    """One usual check.

    Attributes
    ----------
    id, title : str
    rule : str
        What it does, in a line.
    source : str
        Where the rule stands; empty where it is nobody's in particular.
    """

    id: str
    title: str
    rule: str
    source: str


CHECKS = (
    Check(
        "kernelbench-v0",
        "KernelBench, v0",
        "forward in training mode on five inputs of torch.rand, torch.allclose at 1e-2; x is (16, 64, 64, 64), where "
        "the problem's own has 16 to 256 times as many values",
        "https://github.com/ScalingIntelligence/KernelBench/blob/main/src/eval.py",
    ),
    Check(
        "kernelbench",
        "KernelBench",
        "the same at 1e-4, its tolerance for float32 since then",
        "https://github.com/ScalingIntelligence/KernelBench/blob/main/src/eval.py",
    ),
    Check(
        "unit-test",
        "A unit test",
        "one random float32 input of (4, 3, 5, 5): both modes, statistics and gradients beside torch's, "
        "rtol 1e-4, atol 1e-5",
        "",
    ),
    Check(
        "opinfo",
        "PyTorch's samples",
        "PyTorch's own samples of batch_norm: y, statistics and gradients beside torch's in float32 and float64, "
        "torch.testing.assert_close",
        "https://github.com/pytorch/pytorch/blob/main/torch/testing/_internal/common_methods_invocations.py",
    ),
)


def counts(found: dict[str, Any], kills: dict[str, Any]) -> dict[str, Any]:
    """What the report shows, by family of faults.

    Parameters
    ----------
    found : dict
        The record of the usual checks.
    kills : dict
        The kill matrix. A specimen counts for the suite where every law that it names caught it under every seed.
    """
    suite = {
        (row["family"], row["name"]): all(all(by_seed) for by_seed in row["kills"].values())
        for row in kills["specimens"]
    }
    rows = found["specimens"]
    if set(suite) != {(row["family"], row["name"]) for row in rows}:
        raise ValueError("the kill matrix and the usual checks are of different zoos; run both again")
    ids = [check["id"] for check in found["checks"]]
    families = []
    for family, about in found["families"].items():
        own = [row for row in rows if row["family"] == family]
        families.append(
            {
                "family": family,
                "about": about,
                "specimens": len(own),
                "suite": sum(suite[family, row["name"]] for row in own),
                "caught": {id: sum(bool(row["caught"][id]) for row in own) for id in ids},
            }
        )
    return {
        "schema": SCHEMA,
        "torch": found["torch"],
        "profile": kills["profile"],
        "seeds": kills["seeds"],
        "checks": found["checks"],
        "families": families,
        "missed_by_all": sum(not any(row["caught"].values()) for row in rows),
        "correct": len(found["correct"]),
        "alarms": {id: sum(bool(row["caught"][id]) for row in found["correct"]) for id in ids},
    }


def page(found: dict[str, Any], kills: dict[str, Any]) -> str:
    """The record as Markdown."""
    return "\n".join([*_lines(found, counts(found, kills)), ""])


def _lines(found: dict[str, Any], told: dict[str, Any]) -> Iterator[str]:
    checks, families = found["checks"], told["families"]
    total = {"specimens": 0, "suite": 0} | {check["id"]: 0 for check in checks}
    yield "# Usual checks"
    yield ""
    yield (
        f"How many of the zoo's faulty batch norms the usual checks catch, beside this suite (the "
        f"[kill matrix](kill_matrix.md)). torch {told['torch']}. On the {told['correct']} correct makes they raise "
        f"{sum(told['alarms'].values())} false alarms."
    )
    yield ""
    for check in checks:
        source = f" ([source]({check['source']}))" if check["source"] else ""
        yield f"- **{check['title']}**: {check['rule']}{source}"
    yield ""
    yield "## By family of faults"
    yield ""
    yield f"| faults | specimens | this suite | {' | '.join(check['title'] for check in checks)} |"
    yield "|---" * (len(checks) + 3) + "|"
    for row in families:
        numbers = {"specimens": row["specimens"], "suite": row["suite"], **row["caught"]}
        total = {name: total[name] + numbers[name] for name in total}
        yield f"| {row['about']} | {' | '.join(str(number) for number in numbers.values())} |"
    yield f"| **all** | {' | '.join(f'**{number}**' for number in total.values())} |"
    yield ""
    yield f"{told['missed_by_all']} pass all of the usual checks."
    yield ""
    yield "## By specimen"
    yield ""
    yield "What each check saw first; nothing where it passes."
    yield ""
    yield f"| family | specimen | {' | '.join(check['title'] for check in checks)} |"
    yield "|---" * (len(checks) + 2) + "|"
    for row in found["specimens"]:
        seen = " | ".join(row["caught"][check["id"]].replace("|", "\\|") for check in checks)
        yield f"| {row['family']} | {row['name']} | {seen} |"
