"""Draws what peers save against how long they take, as SVG: `{"points": [[name, milliseconds, net]], "sets": [name]}` on standard input."""

import json
import math
import sys

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter


def main() -> None:
    told = json.load(sys.stdin)
    # The same picture for the same figures.
    mpl.rcParams |= {"svg.hashsalt": "foretype", "svg.fonttype": "none", "font.size": 9}
    figure, axes = plt.subplots(figsize=(7.2, 4))
    for _, milliseconds, net in told["points"]:
        axes.scatter(milliseconds, net, s=40)
    axes.set_xscale("log")
    middle = math.sqrt(math.prod(axes.get_xlim()))
    for name, milliseconds, net in told["points"]:
        # Towards the middle, where there is room.
        side, way = ("left", 7) if milliseconds < middle else ("right", -7)
        axes.annotate(name, (milliseconds, net), (way, 0), textcoords="offset points", ha=side, va="center")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("median answer, milliseconds")
    axes.set_ylabel("net keystroke savings")
    axes.set_title(f"means over {', '.join(told['sets'])}", fontsize=9)
    axes.margins(0.1)
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(sys.argv[1], metadata={"Date": None})


if __name__ == "__main__":
    main()
