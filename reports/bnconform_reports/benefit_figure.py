"""The experiments' curves as figures of their own, PNG and SVG."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

from bnconform_reports.benefit_charts import line_width
from bnconform_reports.figure import DPI, INKS

WIDTH, HEIGHT = 6.0, 5.2
"""Inches of a panel, its legend below included."""
_PLAIN = "#57606a"
_DASHES = ("-", "--", ":", "-.")


def draw_benefits(data: dict[str, Any], folder: Path) -> list[Path]:
    """Write benefits-ID.png and benefits-ID.svg for every experiment into a folder; give their paths."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    settings: dict[str, Any] = {"svg.hashsalt": "bnconform", "font.family": "DejaVu Sans", "text.parse_math": False}
    paths = []
    with rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # a name in a script that the font lacks
        for experiment in data["experiments"]:
            panels = experiment["panels"]
            figure = Figure(figsize=(WIDTH * max(len(panels), 1), HEIGHT), dpi=DPI, layout="constrained")
            FigureCanvasAgg(figure)
            for axes, panel in zip(figure.subplots(1, max(len(panels), 1), squeeze=False)[0], panels, strict=False):
                _panel(axes, panel, data["subjects"])
            figure.suptitle(f"{experiment['title']} (mean and 95 % confidence interval, {data['seeds']} seeds)")
            made = [folder / f"benefits-{experiment['id']}.{kind}" for kind in ("png", "svg")]
            figure.savefig(made[0], metadata={"Software": None})
            figure.savefig(made[1], metadata={"Date": None})
            paths += made
    return paths


def _panel(axes: Any, panel: dict[str, Any], subjects: list[str]) -> None:
    """One chart; a line that another covers shows on both sides of it, since it is wider."""
    lines, seen = panel["lines"], dict[str, int]()
    for i, line in enumerate(lines):
        known = line["subject"] in subjects
        colour = INKS[subjects.index(line["subject"]) % len(INKS)] if known else _PLAIN
        dash = _DASHES[seen.get(line["subject"] if known else "", 0) % len(_DASHES)]
        seen[line["subject"] if known else ""] = seen.get(line["subject"] if known else "", 0) + 1
        mean, low, high = ([_number(y[name]) for y in line["y"]] for name in ("mean", "low", "high"))
        width = line_width(i, len(lines))
        axes.plot(line["x"], mean, color=colour, linestyle=dash, linewidth=width, label=_plain(line["label"]))
        axes.fill_between(line["x"], low, high, color=colour, alpha=0.15, linewidth=0)
    if panel["x_log"]:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    if panel["y_log"] and any(y["mean"] for line in lines for y in line["y"]):
        axes.set_yscale("log", base=2, nonpositive="clip")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set(title=_plain(panel["title"]), xlabel=_plain(panel["x"]), ylabel=_plain(panel["y"]))
    axes.grid(axis="y", color="#d0d7de", linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=8, frameon=False)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
