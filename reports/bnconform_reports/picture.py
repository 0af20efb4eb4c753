"""The matrix as a picture, PNG and SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bnconform_reports.headline import headline
from bnconform_reports.page import LOOKS, look
from bnconform_reports.together import Together

SIZE = (16.0, 12.0)
"""Inches, whatever the number of cells."""
DPI = 100
COLOURS = {
    "m": ("#dff3e4", "#11632b"),
    "d": ("#dbeafe", "#1e4696"),
    "b": ("#b42318", "#ffffff"),
    "k": ("#fde7d3", "#8a3b00"),
    "n": ("#ffffff", "#8a929b"),
    "r": ("#eceff2", "#57606a"),
}
"""Of a kind of cell: ground and glyph."""
_LONGEST = 26


def draw(found: Together, folder: Path) -> list[Path]:
    """Write matrix.png and matrix.svg into a folder; give their paths."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    settings: dict[str, Any] = {"svg.hashsalt": "bnconform", "font.family": "DejaVu Sans", "text.parse_math": False}
    with rc_context(settings):
        figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        _matrix(figure, found)
        paths = [folder / "matrix.png", folder / "matrix.svg"]
        figure.savefig(paths[0], metadata={"Software": None})
        figure.savefig(paths[1], metadata={"Date": None})
    return paths


def _matrix(figure: Any, found: Together) -> None:
    """Implementations down, requirements along: their ids are short."""
    from matplotlib.patches import Patch, Rectangle

    axes = figure.subplots()
    ids, labels = list(found.requirements), [column.label for column in found.columns]
    size = max(4.0, min(11.0, 420 / max(len(labels), len(ids) / 1.6, 1)))
    for (id, label), cell in found.cells.items():
        x, y, this = ids.index(id), labels.index(label), look(cell)
        ground, ink = COLOURS[this.css]
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor=ground, edgecolor="#d0d7de", linewidth=0.5))
        axes.text(x + 0.5, y + 0.5, this.glyph, color=ink, ha="center", va="center", fontsize=size, fontweight="bold")
    for i, id in enumerate(ids):
        if i and ids[i - 1][:1] != id[:1]:
            axes.axvline(i, color="#57606a", linewidth=1.2)
    axes.set(xlim=(0, max(len(ids), 1)), ylim=(max(len(labels), 1), 0))
    axes.set_xticks([i + 0.5 for i in range(len(ids))], ids, fontsize=size, rotation=90)
    axes.set_yticks([i + 0.5 for i in range(len(labels))], [_short(label) for label in labels], fontsize=size)
    axes.tick_params(length=0, labeltop=True)
    axes.set_title(headline(found), loc="left", fontsize=15, pad=14)
    for spine in axes.spines.values():
        spine.set_visible(False)
    keys = [
        Patch(facecolor=COLOURS[one.css][0], edgecolor=COLOURS[one.css][1], label=f"{one.glyph}  {one.word}")
        for one in LOOKS.values()
    ]
    figure.legend(handles=keys, loc="outside lower left", ncols=len(keys), frameon=False, fontsize=11)


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST else label[: _LONGEST - 3] + "..."
