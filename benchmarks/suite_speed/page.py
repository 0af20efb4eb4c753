"""The Markdown page of a measurement, from its JSON."""

from __future__ import annotations

from typing import Any


def page(found: dict[str, Any]) -> str:
    """All of the record, as tables."""
    parts = ["drawing", "values", "oracle", "implementation", "judging"]
    lines = [
        "# What the suite costs",
        "",
        "Made by `python benchmarks/suite_speed -o benchmarks`; the numbers are in `suite_speed.json`.",
        "Times of cases are CPU time of the thread that judges, all others are wall time; medians of interleaved runs.",
        "",
        *(f"- {name}: {text}" for name, text in found["machine"].items()),
        "",
        "## Time of a case, in ms",
        "",
        "*Own* is the median of all but the implementation's part, which is all calls of its adapter, guards included.",
        "",
        f"| implementation | laws | cases/s | {' | '.join(parts)} | own |",
        f"|{'---|' * (len(parts) + 4)}",
    ]
    for row in found["split"]:
        numbers = " | ".join(f"{row['ms'][part]:.2f}" for part in parts)
        rate, own = row["cases_per_second"], row["own_median_ms"]
        lines.append(f"| {row['name']} | {row['laws']} | {rate:.0f} | {numbers} | {own:.2f} |")
    engine = found["engine"]
    lines += [
        "",
        f"Hypothesis alone takes {engine['tape']:.2f} ms to draw the suite's tape,",
        f"and {engine['draws']:.2f} ms to draw as many choices one by one.",
        "",
        "## Beside the usual way",
        "",
        "Elements drawn by `hypothesis.extra.numpy.arrays`, NumPy in float64, `allclose`; the same shapes and adapter.",
        "",
        "| x has up to | implementation | the suite, cases/s | the usual way, cases/s | ratio |",
        "|---|---|---|---|---|",
    ]
    for row in found["beside"]:
        ratio = row["suite"] / row["usual"]
        lines.append(
            f"| {row['elements']} elements | {row['name']} | {row['suite']:.0f} | {row['usual']:.0f} | {ratio:.1f} |"
        )
    lines += ["", "## To catch a fault", "", "| | caught under every seed | cases | CPU s |", "|---|---|---|---|"]
    for way, name in (("suite", "the laws that name it"), ("usual", "the usual way")):
        one = found["kills"]["summed"][way]
        lines.append(f"| {name} | {one['caught']} of {one['of']} | {one['cases']} | {one['seconds']:.3f} |")
    control, oracle = found["kills"]["control"], found["oracle"]
    lines += [
        "",
        f"The usual way has {control['alarms']} alarms in {control['cases']} cases of a correct implementation.",
    ]
    lines += ["", "## The oracle on 1e6 elements, 64 channels, float64", "", "| | ms | beside torch |", "|---|---|---|"]
    lines += [f"| {name} | {ms:.2f} | {ms / oracle['torch']:.1f} |" for name, ms in oracle.items()]
    lines += ["", "## Expected values and allowed errors of a float32 training step with gradients", ""]
    lines += ["| elements | channels | ms |", "|---|---|---|"]
    lines += [f"| {row['elements']} | {row['channels']} | {row['ms']:.2f} |" for row in found["growth"]]
    lines += ["", "## Processes", "", "| | CPU s | wall s | peak MiB |", "|---|---|---|---|"]
    for name, one in found["processes"].items():
        lines.append(f"| {name} | {one['cpu']:.1f} | {one['wall']:.1f} | {one['mib']:.0f} |")
    return "\n".join([*lines, ""])
