"""Draws figures as bars; run by the Python of the benchmarks, which has matplotlib.

Arguments: a JSON file with `title`, `axis`, `bars` (title, median, least, most, is_ours) and, where
the axis is logarithmic, `is_logarithmic`; the picture to write. Where the file has several under
`pictures`, by name, each is written beside it: NAME.png gives NAME-vwap.png.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt  # the backend is chosen first
from matplotlib.ticker import MaxNLocator

WHOLE_FROM = 100
OURS, THEIRS = "#1f6f8b", "#b0b7bd"


def main() -> None:
    """Draw every picture of the file."""
    source, path = map(Path, sys.argv[1:])
    found = json.loads(source.read_text())
    if "pictures" not in found:
        draw(found, path)
    for name, picture in found.get("pictures", {}).items():
        draw(picture, path.with_stem(f"{path.stem}-{name}"))


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Draw a bar for each figure, with the least and the most."""
    bars = found["bars"][::-1]
    values = [bar["median"] for bar in bars]
    spread = [
        [bar["median"] - bar["least"] for bar in bars],
        [bar["most"] - bar["median"] for bar in bars],
    ]
    colours = [OURS if bar["is_ours"] else THEIRS for bar in bars]
    chart, axes = plt.subplots(figsize=(8, 0.5 * len(bars) + 1.2), layout="constrained")
    titles = [bar["title"].replace("*", "").replace("`", "") for bar in bars]
    drawn = axes.barh(titles, values, xerr=spread, color=colours, error_kw={"elinewidth": 1})
    axes.bar_label(drawn, [in_words(value) for value in values], padding=4)
    if found.get("is_logarithmic"):
        axes.set_xscale("log")
        axes.set_xlim(min(values) / 10, max(values) * 4)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlim(right=max(bar["most"] for bar in bars) * 1.2)
    axes.xaxis.set_major_formatter(lambda value, _: in_words(value))
    axes.set_xlabel(found["axis"])
    axes.set_title(found["title"])
    axes.spines[["top", "right"]].set_visible(False)
    chart.savefig(path, dpi=110)


def in_words(value: float) -> str:
    """Return a figure as it is read: thousands apart, no more digits than it has meaning."""
    return f"{value:,.0f}" if value >= WHOLE_FROM or value == 0 else f"{value:.3g}"


if __name__ == "__main__":
    main()
