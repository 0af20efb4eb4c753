"""Errors against conditioning, length and steps as figures of their own, PNG and SVG."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

from bnconform_reports.chart import LEAST, place_text
from bnconform_reports.curves import Curve, Curves, all_curves
from bnconform_reports.together import Together

SIZE = (15.0, 5.4)
"""Inches, however many implementations there are."""
DPI = 100
INKS = ("#b42318", "#0b5cad", "#8a3b00", "#6f42c1", "#11632b", "#99004d")
_LONGEST = 28
"""Characters of a name."""


def draw_curves(found: Together, folder: Path) -> list[Path]:
    """Write conditioning, length and drift, each as PNG and SVG, into a folder; none of what was not measured."""
    return [path for kind, shown in all_curves(found).items() for path in _draw(kind, shown, folder)]


def _draw(name: str, shown: list[Curves], folder: Path) -> list[Path]:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    settings: dict[str, Any] = {"svg.hashsalt": "bnconform", "font.family": "DejaVu Sans", "text.parse_math": False}
    with rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # a name in a script that the font lacks
        figure = Figure(figsize=SIZE, dpi=DPI)
        FigureCanvasAgg(figure)
        figure.subplots_adjust(left=0.04, right=0.99, top=0.93, bottom=0.34, wspace=0.15)  # the legends lie below
        for axes, of in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            _panel(axes, of)
        paths = [folder / f"{name}.png", folder / f"{name}.svg"]
        figure.savefig(paths[0], metadata={"Software": None})
        figure.savefig(paths[1], metadata={"Date": None})
    return paths


def _panel(axes: Any, of: Curves) -> None:
    """One quantity; places at equal distances, since the first is 0."""
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
    axes.grid(axis="y", color="#d0d7de", linewidth=0.5)
    told = f"{ink - len(INKS)} more lines are above the allowed" if ink > len(INKS) else None
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.15), fontsize=9, frameon=False, title=told, alignment="left")
    axes.spines[["top", "right"]].set_visible(False)


def _label(curve: Curve) -> str:
    first = "".join(character if character.isprintable() else "?" for character in curve.names[0])[:_LONGEST]
    more = f" and {len(curve.names) - 1} more" if len(curve.names) > 1 else ""
    ratio, at = curve.worst
    return f"{first}{more}: {ratio:.3g} times the allowed at {place_text(at)}"
