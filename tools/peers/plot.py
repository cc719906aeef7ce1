"""Draws what peers save against how long they take, as SVG: `{"points": [[name, milliseconds, net]], "sets": [name]}` on standard input."""

import json
import sys

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt


def main() -> None:
    told = json.load(sys.stdin)
    # The same picture for the same figures.
    mpl.rcParams |= {"svg.hashsalt": "foretype", "svg.fonttype": "none", "font.size": 9}
    figure, axes = plt.subplots(figsize=(7.2, 4))
    for name, milliseconds, net in told["points"]:
        axes.scatter(milliseconds, net, s=40, label=name)
    axes.set_xscale("log")
    axes.set_xlabel("median answer, milliseconds")
    axes.set_ylabel("net keystroke savings")
    axes.set_title(f"means over {', '.join(told['sets'])}", fontsize=9)
    axes.margins(0.1)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(sys.argv[1], metadata={"Date": None})


if __name__ == "__main__":
    main()
