"""The page's plots, as SVG that is the same for the same results and fits a light or dark page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import cycle
from pathlib import Path
from typing import Any

Rows = Sequence[Mapping[str, Any]]

INK, PAPER, FAINT = "#1f2328", "#ffffff", "#d0d7de"
COLOURS = ("#2f81f7", "#6e7781", "#2da44e", "#a371f7", "#d4720b", "#db61a2", "#b59a00")
MARKERS = "osD^vPX"
DARK = """@media (prefers-color-scheme: dark) {
 text {fill: #e6edf3 !important}
 #patch_1 path {fill: #0d1117 !important}
 [style*="#d0d7de"] {stroke: #3d444d !important}
}
"""
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "imagegen",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.edgecolor": FAINT,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "figure.facecolor": PAPER,
}


def median(cell: Any) -> float:
    """A cell's number."""
    return float(cell["median"] if isinstance(cell, Mapping) else cell)


def overhead(axes: Any, rows: Rows) -> None:
    """Bars of what a call costs, the least on top."""
    rows = sorted(rows, key=lambda row: -median(row["CPU ÷ httpx"]))
    values = [median(row["CPU ÷ httpx"]) for row in rows]
    colours = [COLOURS["imagegen" not in row["what"]] for row in rows]
    bars = axes.barh([row["what"] for row in rows], values, color=colours, height=0.6)
    axes.bar_label(bars, [f"{value:.2f}" for value in values], padding=3)
    axes.axvline(1.3, color=COLOURS[4], linewidth=1, linestyle="--", zorder=0)
    axes.set_xlabel("processor time of a call ÷ httpx on a kept connection (dashed: target)")
    axes.grid(visible=False, axis="y")


def throughput(axes: Any, rows: Rows) -> None:
    """Lines of requests a second, where the server answers at once."""
    rows = [row for row in rows if not row["server, s"]]
    _lines(axes, rows, ("what", "in flight", "requests/s"))
    axes.set(xscale="log", yscale="log", xlabel="in flight", ylabel="requests/s")
    ticks = sorted({row["in flight"] for row in rows})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.yaxis.set_major_formatter("{x:,.0f}")  # mathematical labels are not text
    axes.minorticks_off()


def memory(axes: Any, rows: Rows) -> None:
    """Lines of peak memory against the size of the reply."""
    _lines(axes, rows, ("what", "reply, MB", "peak, MB"))
    axes.set(xlabel="reply, MB", ylabel="peak memory, MB", xlim=(0, None), ylim=(0, None))


def polling(axes: Any, rows: Rows) -> None:
    """A dot for each policy and shape: how often it asks, and how late it knows."""
    for name, colour, marker, own in _series(rows, "policy"):
        lags, polls = [row["mean lag, s"] for row in own], [row["polls"] for row in own]
        axes.scatter(lags, polls, s=18, label=name, color=colour, marker=marker)
    axes.set(xlabel="mean lag, s", ylabel="polls of a prediction", xlim=(0, None), ylim=(0, None))


PLOTS: Mapping[str, Callable[[Any, Rows], None]] = {
    "overhead": overhead,
    "throughput": throughput,
    "memory": memory,
    "polling": polling,
}


def draw(figures: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the plots of *figures* that have rows into *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    plots = {name: plot for name, plot in PLOTS.items() if figures[name]["rows"]}
    return [
        _drawn(plot, figures[name]["rows"], folder / f"{name}.svg") for name, plot in plots.items()
    ]


def _drawn(plot: Callable[[Any, Rows], None], rows: Rows, path: Path) -> Path:
    matplotlib = import_module("matplotlib")
    with matplotlib.rc_context(STYLE):
        figure = import_module("matplotlib.figure").Figure(figsize=(7, 3.4), layout="constrained")
        axes = figure.subplots()
        plot(axes, rows)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    text = path.read_text(encoding="utf-8").replace("</style>", f"{DARK}</style>", 1)
    path.write_text("\n".join(map(str.rstrip, text.splitlines())) + "\n", encoding="utf-8")
    return path


def _lines(axes: Any, rows: Rows, names: tuple[str, str, str]) -> None:
    key, across, up = names
    for name, colour, marker, own in _series(rows, key):
        xs, ys = [row[across] for row in own], [median(row[up]) for row in own]
        axes.plot(xs, ys, marker + "-", label=name, color=colour, markersize=4, linewidth=1.4)


def _series(rows: Rows, key: str) -> Iterator[tuple[str, str, str, Rows]]:
    looks = zip(cycle(COLOURS), cycle(MARKERS), strict=False)
    names = dict.fromkeys(row[key] for row in rows)
    for name, (colour, marker) in zip(names, looks, strict=False):
        yield name, colour, marker, [row for row in rows if row[key] == name]
