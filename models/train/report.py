#!/usr/bin/env python3
"""Makes models/REPORT.md and its plots of what experiments.py measured.

  models/train/report.py --results target/train/experiments/results.jsonl --out models/REPORT.md

Plots are SVG files beside it, in `report/`. What was not measured is left out and named.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt

matplotlib.use("svg")
# The same picture has the same bytes.
plt.rcParams |= {"svg.hashsalt": "foretype", "figure.figsize": (6.4, 3.6), "axes.spines.top": False, "axes.spines.right": False}

SETS = ["support-chat", "customer-care", "finance-meetings", "engineer-notes", "expert-mail"]
Rows = list[dict]


def table(head: list[str], lines: list[list[object]]) -> str:
    """A Markdown table."""
    rows = [head, ["---"] * len(head), *([str(cell) for cell in line] for line in lines)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def figure(folder: Path, name: str, title: str, draw: Callable[[plt.Axes], None]) -> str:
    """Saves a plot; the Markdown that shows it."""
    folder.mkdir(exist_ok=True)
    picture, axes = plt.subplots(layout="constrained")
    draw(axes)
    picture.savefig(folder / f"{name}.svg", metadata={"Date": None})
    plt.close(picture)
    return f"![{title}]({folder.name}/{name}.svg)"


def saved(row: dict, sets: list[str]) -> list[str]:
    return [f"{row['keys'][name]:.3f}" if name in row["keys"] else "–" for name in sets]


def precisions(rows: Rows, folder: Path) -> str:
    """What each precision of a model costs."""
    lines = []
    exact = next(row for row in rows if row["precision"] == "fp32")["nats"]["perplexity"]
    for row in rows:
        cost = row["nats"]["perplexity"] / exact - 1
        lines.append([row["precision"], row["megabytes"], row["largest_logit_difference"], row["nats"]["perplexity"], f"{cost:+.2%}", *saved(row, SETS)])
    head = ["weights", "MB", "largest Δ logit", "perplexity", "", *(f"KSR {name}" for name in SETS)]
    return "Perplexity of held-out text and the dev sets' messages together; KSR of gpt2 alone, everything shown.\n\n" + table(head, lines)


def compare(rows: Rows, folder: Path) -> str:
    """Small models: optimizers, softmax-1 beside softmax, subnetworks."""
    runs = list(dict.fromkeys(row["run"] for row in rows))
    of = {(row["run"], row["precision"]): row for row in rows}
    kinds = list(dict.fromkeys(row["precision"] for row in rows))
    sets = sorted({name for row in rows for name in row["keys"]})
    head = ["run", "M tokens", "products", "minutes", "kurtosis", "to first token", "induction", *(f"perplexity {kind}" for kind in kinds)]
    lines = []
    for run in runs:
        row = next(row for row in rows if row["run"] == run)
        perplexities = [of[run, kind]["nats"]["perplexity"] if (run, kind) in of else "–" for kind in kinds]
        share = row["products"] / row["tokens"]
        lines.append([run, f"{row['tokens'] / 1e6:.2f}", f"{share:.2f}", round(row["seconds"] / 60), row["kurtosis"], row["to_first_token"], row["induction"], *perplexities])
    second = [[run, kind, *saved(of[run, kind], sets)] for run in runs for kind in kinds if (run, kind) in of]
    return "\n\n".join([table(head, lines), table(["run", "weights", *(f"KSR {name}" for name in sets)], second)])


def exits(rows: Rows, folder: Path) -> str:
    """Fewer layers of a model that was trained for them, and of one that was not."""
    sets = sorted({name for row in rows for name in row["keys"]})
    lines = [[row["trained"], row["layers"], row["nats"]["perplexity"], *saved(row, sets), row["milliseconds"][0]] for row in rows]
    return table(["trained", "layers", "perplexity", *(f"KSR {name}" for name in sets), "ms a token"], lines)


def checkpoints(rows: Rows, folder: Path) -> str:
    """Keys saved, loss and induction along a run."""
    rows = sorted(rows, key=lambda row: row["tokens"])
    tokens = [row["tokens"] / 1e6 for row in rows]
    mean = [sum(row["keys"].values()) / len(row["keys"]) for row in rows]

    def draw(axes: plt.Axes) -> None:
        axes.plot(tokens, mean, "o-", label="KSR, mean of the dev sets")
        axes.plot(tokens, [row["induction"] for row in rows], "s--", label="induction score")
        axes.set_xlabel("million tokens")
        other = axes.twinx()
        other.plot(tokens, [row["nats"] for row in rows], "^:", color="gray", label="held-out nats a token")
        axes.legend(loc="lower left")
        other.legend(loc="lower right")

    head = ["M tokens", "held-out nats", "induction", "mean KSR", *SETS]
    lines = [[f"{at:.2f}", row["nats"], row["induction"], f"{ksr:.4f}", *saved(row, SETS)] for at, row, ksr in zip(tokens, rows, mean, strict=True)]
    best = max(zip(mean, tokens, strict=True))
    said = f"Most keys are saved at {best[1]:.2f} M tokens."
    return "\n\n".join([figure(folder, "checkpoints", "KSR, induction and loss along training", draw), table(head, lines), said])


def own(rows: Rows, folder: Path) -> str:
    """A new domain: KSR against kilobytes and against minutes."""
    (name,) = rows[0]["keys"]
    nothing = next(row for row in rows if row["kilobytes"] == 0)
    tuned = [row for row in rows if row["kilobytes"]]
    most, usual = max(row["kilobytes"] for row in tuned), 3
    by_text = sorted((row for row in tuned if row["minutes"] == usual), key=lambda row: row["kilobytes"])
    by_time = sorted((row for row in tuned if row["kilobytes"] == most), key=lambda row: row["minutes"])

    def draw(axes: plt.Axes) -> None:
        axes.plot([0, *(row["kilobytes"] for row in by_text)], [nothing["keys"][name], *(row["keys"][name] for row in by_text)], "o-", label=f"kilobytes of text, {usual} minutes")
        other = axes.twiny()
        other.plot([0, *(row["minutes"] for row in by_time)], [nothing["keys"][name], *(row["keys"][name] for row in by_time)], "s--", color="tab:orange")
        other.set_xlabel(f"minutes, {most} KB (orange)")
        axes.set_xlabel("kilobytes of the domain's text (blue)")
        axes.set_ylabel(f"KSR, {name}")

    lines = [[row["kilobytes"], row["minutes"], f"{row['keys'][name]:.4f}"] for row in [nothing, *by_text, *by_time]]
    return "\n\n".join([figure(folder, "own", "KSR against text and time", draw), table(["KB", "minutes", f"KSR {name}"], lines)])


def large(rows: Rows, folder: Path) -> str:
    """GPT-2's own size."""
    row = rows[-1]
    typical, worst = row["milliseconds"]
    return f"A directory of 12 layers of 768 and 50,257 tokens went through {row['training']['step']} steps of training and the export: {row['megabytes']} MB in int4, {typical} ms a token behind 64 on one core (worst of 60: {worst})."


SECTIONS = {
    "precisions": ("What precision costs", precisions),
    "checkpoints": ("Which checkpoint", checkpoints),
    "compare": ("Optimizers, softmax-1, subnetworks (shape A)", compare),
    "exits": ("Early exit (shape A, int4)", exits),
    "own": ("Your own text", own),
    "large": ("A larger model", large),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--results", type=Path, required=True, help="what experiments.py wrote")
    options.add_argument("--out", type=Path, required=True, help="the report, Markdown")
    given = options.parse_args()
    try:
        rows = [json.loads(line) for line in given.results.read_text().splitlines()]
    except (OSError, json.JSONDecodeError) as error:
        sys.exit(f"report: {given.results} cannot be read: {error}")
    parts = ["# What was measured of the GPT-2", "By `models/train/experiments.py`; this page by `models/train/report.py`. The figures are explained in models/README.md."]
    absent = []
    for name, (title, section) in SECTIONS.items():
        of = [row for row in rows if row["experiment"] == name]
        if of:
            parts += [f"## {title}", section(of, given.out.parent / "report")]
        else:
            absent.append(title)
    if absent:
        parts += ["## Not measured yet", "; ".join(absent) + "."]
    given.out.write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
