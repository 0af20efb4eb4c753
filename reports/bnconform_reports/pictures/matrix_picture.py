"""The matrix of verdicts as a picture, PNG and SVG."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

from bnconform_reports.pictures.figures import printable, saved_figure
from bnconform_reports.records.merging import Merged
from bnconform_reports.records.wording import LOOKS, look

SIZE = (16.0, 12.0)
"""Inches, for any number of cells."""
COLOURS = {
    "m": ("#dff3e4", "#11632b"),
    "d": ("#dbeafe", "#1e4696"),
    "b": ("#b42318", "#ffffff"),
    "k": ("#fde7d3", "#8a3b00"),
    "n": ("#ffffff", "#8a929b"),
    "r": ("#eceff2", "#57606a"),
    "u": ("#fff3bf", "#7a4f01"),
}
"""Colours of the ground and of the glyph, by the kind of cell."""
_LONGEST = 26


def draw_matrix(found: Merged, folder: Path) -> None:
    """Write matrix.png and matrix.svg into a folder: implementations are rows, laws, whose ids are short, columns."""
    with saved_figure(folder, "matrix", SIZE, "constrained") as figure:
        _matrix(figure, found)


def _matrix(figure: Any, found: Merged) -> None:
    from matplotlib.patches import Patch

    axes = figure.subplots()
    ids, labels = list(found.requirements), [column.label for column in found.columns]
    size = max(4.0, min(11.0, 420 / max(len(labels), len(ids) / 1.6, 1)))
    _grounds(axes, found, ids, labels)
    _glyphs(axes, found, ids, labels, size)
    axes.vlines(range(len(ids) + 1), 0, len(labels), color="#ffffff", linewidth=0.7)
    axes.hlines(range(len(labels) + 1), 0, len(ids), color="#ffffff", linewidth=0.7)
    borders = [i for i in range(1, len(ids)) if ids[i - 1][:1] != ids[i][:1]]
    axes.vlines(borders, 0, len(labels), color="#57606a", linewidth=1.2)
    axes.set(xlim=(0, max(len(ids), 1)), ylim=(max(len(labels), 1), 0))
    axes.set_xticks([i + 0.5 for i in range(len(ids))], ids, fontsize=size, rotation=90)
    axes.set_yticks([i + 0.5 for i in range(len(labels))], [_short(label) for label in labels], fontsize=size)
    axes.tick_params(length=0, labeltop=True)
    axes.set_title(found.headline, loc="left", fontsize=15, pad=14)
    for spine in axes.spines.values():
        spine.set_visible(False)
    keys = [
        Patch(facecolor=COLOURS[one.css][0], edgecolor=COLOURS[one.css][1], label=f"{one.glyph}  {one.word}")
        for one in LOOKS.values()
    ]
    figure.legend(handles=keys, loc="outside lower left", ncols=len(keys), frameon=False, fontsize=11)


def _grounds(axes: Any, found: Merged, ids: list[str], labels: list[str]) -> None:
    """Draw one rectangle for neighbours that look alike: far fewer than one for each cell."""
    from matplotlib.patches import Rectangle

    for y, label in enumerate(labels):
        kinds = [look(cell).css if (cell := found.cell(id, label)) else "" for id in ids]
        x = 0
        for css, stretch in groupby(kinds):
            length = len(list(stretch))
            if css:
                axes.add_patch(Rectangle((x, y), length, 1, facecolor=COLOURS[css][0], linewidth=0))
            x += length


def _glyphs(axes: Any, found: Merged, ids: list[str], labels: list[str], size: float) -> None:
    """Draw the glyphs of one kind as markers of one line, so that each shape is made once."""
    from matplotlib.path import Path as Outline
    from matplotlib.textpath import TextPath

    scale = TextPath((0, 0), LOOKS["breaks"].glyph, size=1).get_extents().height
    for one in LOOKS.values():
        places = [place for place, cell in found.cells.items() if look(cell) is one]
        outline = TextPath((0, 0), one.glyph, size=1)
        middle = outline.get_extents().get_points().mean(axis=0)
        reach = abs(outline.vertices - middle).max()  # a marker is drawn so that this becomes half its size
        axes.plot(
            [ids.index(id) + 0.5 for id, _ in places],
            [labels.index(label) + 0.5 for _, label in places],
            linestyle="none",
            marker=Outline(outline.vertices - middle, outline.codes),
            markersize=size * 2 * reach / scale,
            markeredgewidth=0,
            color=COLOURS[one.css][1],
        )


def _short(label: str) -> str:
    """A label that fits and can be printed."""
    text = printable(label)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
