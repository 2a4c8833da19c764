"""The figure of growth: CPU time over runs and over chapters, as SVG of the same bytes for the same numbers."""

from pathlib import Path

from benchmarks.results import Series

_COLOURS = ("#0072b2", "#d55e00")  # told apart also by those who see no red or green
_MARKS = ("o", "s")


def draw(series: list[Series], path: Path) -> None:
    """Write the figure: a panel over runs, one over chapters, both axes logarithmic, so that a straight line is 1:1."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "benchmarks", "svg.fonttype": "none", "font.size": 9})
    import matplotlib.pyplot as plt

    over = list(dict.fromkeys(one.over for one in series))
    figure, panels = plt.subplots(1, len(over), figsize=(3.2 * len(over), 2.6), squeeze=False, layout="constrained")
    for panel, name in zip(panels[0], over, strict=True):
        for number, one in enumerate(one for one in series if one.over == name):
            sizes, times = [size for size, _ in one.points], [measured.cpu for _, measured in one.points]
            panel.plot(sizes, times, color=_COLOURS[number % 2], marker=_MARKS[number % 2], label=one.what)
        panel.set(xlabel=name, xscale="log", yscale="log")
        panel.set_xticks(sizes, [str(size) for size in sizes])
        panel.minorticks_off()
        panel.spines[["top", "right"]].set_visible(False)
    panels[0][0].set_ylabel("CPU time (s)")
    panels[0][0].legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
