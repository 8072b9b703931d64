"""Draws the pictures of a report; run as a program, in an environment of its own.

`python drawing.py charts.json FOLDER` reads a list of charts, each with a name, a title, a unit and bars, and writes
each as SVG and PNG. Nothing of the project is imported here.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl  # type: ignore[import-not-found, unused-ignore]

mpl.use("Agg")
from matplotlib import pyplot as plt  # type: ignore[import-not-found, unused-ignore]

_WIDTH_INCHES: Final = 9.0
_BAR_INCHES: Final = 0.42
_MARGIN_INCHES: Final = 1.4
_DOTS_PER_INCH: Final = 150
_OURS: Final = "#b8860b"
_OTHERS: Final = "#7a8794"


def draw(chart: dict[str, Any], folder: Path) -> None:
    """Write one chart, its first bar on top."""
    bars = chart["bars"][::-1]
    figure, axes = plt.subplots(figsize=(_WIDTH_INCHES, _MARGIN_INCHES + _BAR_INCHES * len(bars)))
    values = [bar["value"] for bar in bars]
    spread = [
        [value - bar.get("least", value) for bar, value in zip(bars, values, strict=True)],
        [bar.get("most", value) - value for bar, value in zip(bars, values, strict=True)],
    ]
    axes.barh(
        [bar["name"] for bar in bars],
        values,
        xerr=spread if any(map(any, spread)) else None,
        color=[_OURS if bar["ours"] else _OTHERS for bar in bars],
        capsize=3,
    )
    for place, value in enumerate(values):
        axes.annotate(
            f" {value:,.0f}" if value >= 100 else f" {value:.1f}",
            (max(value, bars[place].get("most", value)), place),
            va="center",
        )
    axes.set_title(chart["title"], loc="left")
    axes.set_xlabel(chart["unit"])
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    for suffix in ("svg", "png"):
        figure.savefig(folder / f"{chart['name']}.{suffix}", dpi=_DOTS_PER_INCH)
    plt.close(figure)


def main() -> None:
    """Draw all charts of a file."""
    charts_file, folder = map(Path, sys.argv[1:3])
    for chart in json.loads(charts_file.read_text()):
        draw(chart, folder)


if __name__ == "__main__":
    main()
