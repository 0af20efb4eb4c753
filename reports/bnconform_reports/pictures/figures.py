"""Figures of errors and of experiments, as PNG and SVG files."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bnconform_reports.pictures.charts import LEAST, line_width
from bnconform_reports.pictures.curves import Curve, Curves, all_curves, place_text
from bnconform_reports.records.merging import Merged

SIZE = (15.0, 5.4)
"""Inches of a figure of errors, for any number of implementations."""
PANEL = (6.0, 5.2)
"""Inches of a panel of an experiment, with the legend below it."""
DPI = 100
INKS = ("#b42318", "#0b5cad", "#8a3b00", "#6f42c1", "#11632b", "#99004d")
_PLAIN = "#57606a"
_DASHES = ("-", "--", ":", "-.")
_SETTINGS: dict[str, Any] = {"svg.hashsalt": "bnconform", "font.family": "DejaVu Sans", "text.parse_math": False}
_LONGEST = 28
"""Characters of a name."""


@contextmanager
def saved_figure(folder: Path, name: str, size: tuple[float, float], layout: Any = None) -> Iterator[Any]:
    """Give a figure to draw on, then save it as NAME.png and NAME.svg, with the same bytes every time."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # a name in a script that the font lacks
        figure = Figure(figsize=size, dpi=DPI, layout=layout)
        FigureCanvasAgg(figure)
        yield figure
        figure.savefig(folder / f"{name}.png", metadata={"Software": None})
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


def printable(text: str) -> str:
    """The text with a question mark for each character that cannot be printed."""
    return "".join(character if character.isprintable() else "?" for character in text)


def draw_curves(found: Merged, folder: Path) -> None:
    """Write the figures conditioning, length and drift into a folder, each if it was measured."""
    for kind, shown in all_curves(found).items():
        with saved_figure(folder, kind, SIZE) as figure:
            figure.subplots_adjust(left=0.04, right=0.99, top=0.93, bottom=0.34, wspace=0.15)  # the legends lie below
            for axes, of in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
                _errors(axes, of)


def _errors(axes: Any, of: Curves) -> None:
    """Draw one quantity; places are at equal distances, because the first is 0."""
    places, ink = of.places, 0
    for curve in of.curves:
        across = [places.index(at) for at, _, _ in curve.errors]
        up = [max(ulp, LEAST) if math.isfinite(ulp) else math.nan for _, ulp, _ in curve.errors]
        style: dict[str, Any] = {"color": "#9aa5b1", "linewidth": 1}
        if curve.worst[0] > 1:
            style = {"color": INKS[ink % len(INKS)], "linewidth": 2}
            style |= {"label": _label(curve)} if ink < len(INKS) else {}
            ink += 1
        axes.plot(across, up, **style)
    allowed = [value if math.isfinite(value) else math.nan for _, value in sorted(of.allowed.items())]
    axes.plot(range(len(places)), allowed, color="black", linestyle="--", label="allowed")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"1e{round(math.log10(value))}")
    axes.set_xticks(range(len(places)), [place_text(place) for place in places])
    axes.set(title=f"{of.title}: error in ULP of {of.dtype}", xlabel=of.axis)
    more = f"{ink - len(INKS)} more lines are above the allowed" if ink > len(INKS) else None
    _plain_frame(axes)
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.15), fontsize=9, frameon=False, title=more, alignment="left")


def _plain_frame(axes: Any) -> None:
    axes.grid(axis="y", color="#d0d7de", linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)


def _label(curve: Curve) -> str:
    more = f" and {len(curve.names) - 1} more" if len(curve.names) > 1 else ""
    ratio, at = curve.worst
    return f"{printable(curve.names[0])[:_LONGEST]}{more}: {ratio:.3g} times the allowed at {place_text(at)}"


def draw_benefits(data: dict[str, Any], folder: Path) -> None:
    """Write the figure benefits-ID of every experiment into a folder."""
    for experiment in data["experiments"]:
        panels = experiment["panels"]
        columns = max(len(panels), 1)
        size = (PANEL[0] * columns, PANEL[1])
        with saved_figure(folder, f"benefits-{experiment['id']}", size, "constrained") as figure:
            for axes, panel in zip(figure.subplots(1, columns, squeeze=False)[0], panels, strict=False):
                _panel(axes, panel, data["subjects"])
            figure.suptitle(f"{experiment['title']} (mean and 95 % confidence interval, {data['seeds']} seeds)")


def _panel(axes: Any, panel: dict[str, Any], subjects: list[str]) -> None:
    """Draw one panel; a line that another one covers is wider, so it shows on both sides."""
    lines, seen = panel["lines"], dict[str, int]()
    for i, line in enumerate(lines):
        subject = line["subject"] if line["subject"] in subjects else ""
        colour = INKS[subjects.index(subject) % len(INKS)] if line["subject"] in subjects else _PLAIN
        dash = _DASHES[seen.get(subject, 0) % len(_DASHES)]
        seen[subject] = seen.get(subject, 0) + 1
        mean, low, high = ([_number(y[name]) for y in line["y"]] for name in ("mean", "low", "high"))
        width = line_width(i, len(lines))
        axes.plot(line["x"], mean, color=colour, linestyle=dash, linewidth=width, label=printable(line["label"]))
        axes.fill_between(line["x"], low, high, color=colour, alpha=0.15, linewidth=0)
    if panel["x_log"]:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    if panel["y_log"] and any(y["mean"] for line in lines for y in line["y"]):
        axes.set_yscale("log", base=2, nonpositive="clip")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set(title=printable(panel["title"]), xlabel=printable(panel["x"]), ylabel=printable(panel["y"]))
    _plain_frame(axes)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=8, frameon=False)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
