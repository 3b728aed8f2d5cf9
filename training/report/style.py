"""Style of all pictures of a report."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

# Okabe and Ito (2008): told apart by the color-blind, and in gray.
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PALE, GRAY, INK = "#A9CDE4", "#9AA0A6", "#222222"
STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#777777",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlepad": 9,
    "font.size": 9,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called $
    "xtick.color": "#555555",
    "ytick.color": "#555555",
}
DPI = 150
# Characters of a class's or a file's name in a picture.
LONGEST = 22


@contextmanager
def picture(path: Path, width: float, height: float) -> Iterator[Figure]:
    """A figure to draw on, `width` x `height` inches, that is written to `path` as PNG at the end."""
    with rc_context(STYLE), warnings.catch_warnings():
        # A name in a script that the font lacks: the page beside the picture has it right.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
        yield figure
        figure.savefig(path, dpi=DPI)


class PlainLog(LogFormatter):
    """Labels of a logarithmic axis as people write numbers; matplotlib's own would be mathematical markup."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label at `x`, or an empty one if there would be too many labels."""
        return f"{x:g}" if super().__call__(x, pos) else ""


def logarithmic(axis: Axis) -> None:
    """Label a logarithmic axis, between powers of ten only where it spans less than one."""
    axis.set_major_formatter(PlainLog())
    axis.set_minor_formatter(PlainLog(minor_thresholds=(1, 0.4)))
    axis.set_tick_params(which="both", labelsize=8)


def plain(axes: Axes) -> None:
    """Remove grid, ticks and frame."""
    axes.grid(visible=False)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def short(name: str, max_length: int = LONGEST) -> str:
    """Return `name`, without its middle if it is long."""
    name = " ".join(name.split())
    return (
        name if len(name) <= max_length else f"{name[: max_length // 2]}…{name[-(max_length - max_length // 2 - 1) :]}"
    )
