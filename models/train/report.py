#!/usr/bin/env python3
"""Makes models/REPORT.md and its plots of what experiments.py measured.

  models/train/report.py --results target/train/experiments/results.jsonl
  models/train/report.py                                                      the page anew, of what is kept

Everything that was ever measured is kept beside the page, in `report/rows.jsonl`: what is measured again takes the place
of what it repeats. Plots are SVG files there. What was not measured is left out and named.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt

matplotlib.use("svg")
# The same picture has the same bytes.
plt.rcParams |= {"svg.hashsalt": "foretype", "figure.figsize": (6.4, 3.6), "axes.spines.top": False, "axes.spines.right": False}

ROOT = Path(__file__).resolve().parents[2]
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
    """KSR of each set."""
    return [f"{row['keys'][name]['ksr']:.3f}" if name in row["keys"] else "–" for name in sets]


def mean(row: dict) -> float:
    """KSR over the sets."""
    return sum(found["ksr"] for found in row["keys"].values()) / len(row["keys"])


def sets_of(rows: Rows) -> list[str]:
    """The dev sets that were typed, in the usual order."""
    return [name for name in SETS if any(name in row["keys"] for row in rows)]


def precisions(rows: Rows, folder: Path) -> str:
    """What each precision of a model costs."""
    parts = ["Perplexity of held-out text and the dev sets' messages together; KSR of gpt2 alone, everything shown; milliseconds a token on one core."]
    for model in dict.fromkeys(row["run"] for row in rows):
        of = [row for row in rows if row["run"] == model]
        exact = next((row["nats"]["perplexity"] for row in of if row["precision"] == "fp32"), None)
        lines = []
        for row in of:
            perplexity = row["nats"]["perplexity"]
            cost = f"{perplexity / exact - 1:+.2%}" if exact else "–"
            lines.append([row["precision"], row["megabytes"], row["milliseconds"][0], row["largest_logit_difference"], perplexity, cost, *saved(row, SETS)])
        head = ["weights", "MB", "ms", "largest Δ logit", "perplexity", "", *(f"KSR {name}" for name in SETS)]
        parts += [f"`{model}`:", table(head, lines)]
    return "\n\n".join(parts)


def optimizers(rows: Rows, folder: Path) -> str:
    """Each at the best of its rates, for the same minutes."""
    lines = [[row["optimizer"], row["rate"], f"{row['tokens'] / 1e6:.2f}", row["nats"]] for row in sorted(rows, key=lambda row: row["nats"])]
    return f"Each {rows[0]['minutes']:g} minutes on the same cores, best first.\n\n" + table(["optimizer", "rate", "M tokens", "held-out nats"], lines)


def square(rows: Rows, folder: Path) -> str:
    """Softmax or softmax-1, Adam or OrthoAdam, in every precision."""
    rows = [row for row in rows if row["run"].count(",") == 1]
    sets = sets_of(rows)
    lines = []
    for row in rows:
        exact = next(other for other in rows if other["run"] == row["run"] and other["precision"] == "fp32")["nats"]["perplexity"]
        perplexity = row["nats"]["perplexity"]
        lines.append([row["run"], row["precision"], perplexity, f"{perplexity / exact - 1:+.2%}", *saved(row, sets)])
    return table(["run", "weights", "perplexity", "", *(f"KSR {name}" for name in sets)], lines)


def runs(rows: Rows, folder: Path) -> str:
    """Held-out loss against multiplications; outliers and induction."""

    def draw(axes: plt.Axes) -> None:
        for row in rows:
            axes.plot([products / 1e6 for products, _ in row["curve"]], [nats for _, nats in row["curve"]], label=row["run"])
        axes.set_xlabel("products, of the whole network for as many million tokens")
        axes.set_ylabel("held-out nats a token")
        axes.legend()

    head = ["run", "M tokens", "products", "held-out nats", "kurtosis", "to first token", "induction"]
    lines = [
        [row["run"], f"{row['tokens'] / 1e6:.2f}", f"{row['products'] / row['tokens']:.2f}", row["nats"], row["kurtosis"], row["to_first_token"], row["induction"]]
        for row in rows
    ]
    said = "Products: multiplications, as a share of the whole network's. Kurtosis of the layers' outputs and attention to the first token, each the largest of a layer."
    return "\n\n".join([figure(folder, "products", "Held-out loss against multiplications", draw), table(head, lines), said])


def exits(rows: Rows, folder: Path) -> str:
    """Fewer layers of a model that was trained for them, and of one that was not."""
    sets = sets_of(rows)
    lines = [[row["trained"], row["layers"], row["nats"]["perplexity"], *saved(row, sets), row["milliseconds"][0]] for row in rows]
    said = "Two trainings, of the same text, seed and tokens; a model that was trained as its namesake above is not that to the digit."
    return said + "\n\n" + table(["trained", "layers", "perplexity", *(f"KSR {name}" for name in sets), "ms a token"], lines)


def checkpoints(rows: Rows, folder: Path) -> str:
    """Each run's checkpoints."""
    return "\n\n".join(along(run, [row for row in rows if row["model"] == run], folder) for run in dict.fromkeys(row["model"] for row in rows))


def along(run: str, rows: Rows, folder: Path) -> str:
    """Keys saved, loss and induction along a run, and what it costs to choose by one of the others."""
    rows = sorted(rows, key=lambda row: row["tokens"])
    tokens = [row["tokens"] / 1e6 for row in rows]
    sets = sets_of(rows)

    def draw(axes: plt.Axes) -> None:
        lines = axes.plot(tokens, [mean(row) for row in rows], "o-", label="KSR, mean of the sets")
        lines += axes.plot(tokens, [row["induction"] for row in rows], "s--", label="induction score")
        axes.set_xlabel("million tokens")
        other = axes.twinx()
        lines += other.plot(tokens, [row["nats"] for row in rows], "^:", color="gray", label="held-out nats a token (right)")
        axes.legend(handles=lines, loc="center right")

    head = ["M tokens", "held-out nats", "induction", "mean KSR", *(f"KSR {name}" for name in sets)]
    lines = [[f"{at:.2f}", row["nats"], row["induction"], f"{mean(row):.4f}", *saved(row, sets)] for at, row in zip(tokens, rows, strict=True)]
    best = max(rows, key=mean)
    criteria = {
        "keys saved": best,
        "held-out loss": min(rows, key=lambda row: row["nats"]),
        "induction": max(rows, key=lambda row: row["induction"]),
        "the last": rows[-1],
    }
    chosen = [[name, f"{row['tokens'] / 1e6:.2f}", f"{mean(row):.4f}", f"{100 * (mean(best) - mean(row)):.2f}"] for name, row in criteria.items()]
    width = max(found["ci95"][1] - found["ci95"][0] for found in best["keys"].values())
    said = (
        f"`{run}`, its checkpoints in int8: gpt2 alone, everything shown, at most {best['limit']} messages of a stream. The 95 % interval of a set is up to {width:.3f} wide; "
        "all type the same messages."
    )
    picture = figure(folder, f"checkpoints-{run}", "KSR, induction and loss along training", draw)
    parts = [said, picture, table(head, lines), table(["chosen by", "M tokens", "mean KSR", "points lost"], chosen)]
    return "\n\n".join([*parts, *agreement(rows)])


def agreement(rows: Rows) -> list[str]:
    """How well loss and induction rank checkpoints as KSR does, and steps between them, in which time has no part."""

    def steps(values: list[float]) -> list[float]:
        return [round(after - before, 6) for before, after in pairwise(values)]

    if len(rows) < 4:
        return []
    keys = [mean(row) for row in rows]
    others = {"lower loss": [-row["nats"] for row in rows], "higher induction": [row["induction"] for row in rows]}
    lines = [[name, rank_correlation(keys, values), rank_correlation(steps(keys), steps(values))] for name, values in others.items()]
    return ["Rank correlation (Spearman) with the mean KSR:", table(["", "of checkpoints", "of the steps between them"], lines)]


def rank_correlation(ones: list[float], others: list[float]) -> str:
    """Spearman's; equal values share their rank."""
    ranks = ([2 * sum(other < value for other in values) + values.count(value) for value in values] for values in (ones, others))
    try:
        return f"{statistics.correlation(*ranks):+.2f}"
    # All of them are the same.
    except statistics.StatisticsError:
        return "–"


def versions(rows: Rows, folder: Path) -> str:
    """The shipped model beside the first."""
    sets = [name for name in SETS if all(name in row["keys"] for row in rows)]
    lines = [[row["run"], row["induction"], *saved(row, sets)] for row in rows]
    first, shipped = rows[0]["keys"], rows[-1]["keys"]
    gains = [f"{100 * (shipped[name]['ksr'] - first[name]['ksr']):+.1f}" for name in sets]
    typed = "all messages" if rows[-1]["limit"] is None else f"at most {rows[-1]['limit']} messages of a writer"
    widths = ", ".join(f"{name} {(shipped[name]['ci95'][1] - shipped[name]['ci95'][0]) / 2:.3f}" for name in sets)
    said = f"gpt2 alone in the service as it is, personalised, everything shown, one suggestion; {typed}. Half of the shipped one's 95 % interval: {widths}; both type the same."
    return "\n\n".join([said, table(["model", "induction", *(f"KSR {name}" for name in sets)], [*lines, ["gained, points", "", *gains]])])


def own(rows: Rows, folder: Path) -> str:
    """A new domain: KSR against kilobytes and against minutes."""
    (name,) = rows[0]["keys"]
    nothing = [row for row in rows if row["kilobytes"] == 0]
    by_text = nothing + sorted((row for row in rows if row["kilobytes"] and row["minutes"] is None), key=lambda row: row["kilobytes"])
    by_time = nothing + sorted((row for row in rows if row["minutes"]), key=lambda row: row["minutes"])

    def draw(axes: plt.Axes) -> None:
        axes.plot([row["kilobytes"] for row in by_text], [mean(row) for row in by_text], "o-")
        other = axes.twiny()
        other.plot([row["seconds"] / 60 if row["minutes"] else 0 for row in by_time], [mean(row) for row in by_time], "s--", color="tab:orange")
        other.set_xlabel("minutes on all of the text (orange)")
        axes.set_xlabel("kilobytes of the domain's text (blue)")
        axes.set_ylabel(f"KSR, {name}")

    lines = [[row["kilobytes"], f"{row['seconds'] / 60:.1f}" if "seconds" in row else "0", f"{mean(row):.4f}"] for row in by_text + by_time[len(nothing) :]]
    return "\n\n".join([figure(folder, "own", "KSR against text and time", draw), table(["KB", "minutes", f"KSR {name}"], lines)])


def served(rows: Rows, folder: Path) -> str:
    """A new domain in the whole service, by the bundle."""
    (name,) = rows[0]["keys"]
    lines = [[row["run"], f"{row['alone'][name]['ksr']:.3f}", f"{row['keys'][name]['ksr']:.3f}", f"{row['keys'][name]['net']:.3f}"] for row in rows]
    low, high = rows[-1]["keys"][name]["ci95"]
    said = f"{name}, each writer's history taught, everything shown. The 95 % interval of the last KSR is {low:.3f} to {high:.3f}; all type the same."
    return "\n\n".join([said, table(["bundle", "KSR gpt2 alone", "KSR all predictors", "net of reading"], lines)])


def neighbours(rows: Rows, folder: Path) -> str:
    """A writer's nearest messages as an n-gram, by gradient steps, and in front of the text."""
    fronts = {"nothing": "", "newest": "the newest messages", "nearest": "the nearest messages"}
    methods = {"none": "none", "n-gram": "n-gram", "gradient": "gradient steps", "both": "gradient steps, n-gram"}
    parts = []
    for row in rows:
        optimizer = {"adamw": "AdamW", "sgd": "plain gradient descent"}
        sets = [name for name in SETS if name in row["rows"][0]["nats"]]
        found = ", ".join(f"{optimizer[each['optimizer']]} {each['rate']:g} {each['gain']:+.3f}" for each in row["rates"])
        parts.append(
            f"`{row['model']}` in fp32 on the first {row['limit']} messages of each writer of {', '.join(sets)}. The query is the first {row['known']} words of a message, what is scored is the rest "
            f"({row['messages']} messages, {row['tokens']:,} tokens, the same in each row). Neighbours: {row['near']:g} of the writer's earlier messages, by BM25, and {row['steps']:g} steps of "
            f"{optimizer[row['optimizer']]} at {row['rate']:g} on them, nearest first."
        )
        lines = []
        for each in row["rows"]:
            low, high = each["ci95"]
            gain = f"{each['gain']:+.3f} ({low:+.3f} to {high:+.3f})" if each["gain"] else ""
            nats = [f"{each['nats'][name]:.3f}" for name in (*sets, "all")]
            lines.append([fronts[each["window"]], methods[each["method"]], *nats, each["perplexity"], gain, f"{each['prepare_ms']:,.1f}", f"{each['pass_ms']:.0f}"])
        head = ["in front of the message", "neighbours as", *(f"nats {name}" for name in sets), "nats all", "perplexity", "gained, nats (95 %)", "ms to prepare", "ms of the pass"]
        parts.append(table(head, lines))
        said = "Milliseconds are medians a message, processor time of one thread: to prepare is looking up and counting or stepping and undoing, the pass is that of the GPT-2 over what is in front and the message."
        parts.append(f"{said} Rates on messages that are not scored, nats gained: {found}." if found else said)
    return "\n\n".join(parts)


def large(rows: Rows, folder: Path) -> str:
    """GPT-2's own size."""
    row = rows[-1]
    typical, worst = row["milliseconds"]
    return (
        f"A directory of 12 layers of 768 and 50,257 tokens (weights of no meaning) went through {row['training']['step']} steps of training, the export "
        f"({row['megabytes']} MB in int4) and the service, which answered with it: {typical} ms a token behind 64 on one core (longest of 60: {worst})."
    )


SECTIONS = {
    "precisions": ("What precision costs", precisions),
    "versions": ("The shipped model and the first", versions),
    "checkpoints": ("Which checkpoint", checkpoints),
    "optimizers": ("Optimizers (shape A)", optimizers),
    "square": ("Softmax-1 and OrthoAdam (shape A)", square),
    "runs": ("Loss against multiplications: parts of the network (shape A)", runs),
    "exits": ("Early exit (shape A, int4)", exits),
    "own": ("Your own text", own),
    "served": ("Your own text in the whole service", served),
    "neighbours": ("A writer's nearest messages: n-gram or gradient steps", neighbours),
    "large": ("A larger model", large),
}


def read(path: Path) -> Rows:
    """The rows of a file."""
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        sys.exit(f"report: {path} cannot be read: {error}")


def merged(kept: Rows, measured: Rows) -> Rows:
    """The kept, each in its place, with what was measured again; new ones behind."""
    return list({(row["experiment"], row["run"], row.get("precision")): row for row in [*kept, *measured]}.values())


def page(rows: Rows, folder: Path) -> str:
    """The report; its plots go into the folder."""
    parts = ["# What was measured of the GPT-2", "By `models/train/experiments.py`; this page by `models/train/report.py`. The figures are explained in models/README.md. Milliseconds are of cores that other "
        "work shared; models/README.md has them of quiet ones."]
    absent = []
    for name, (title, section) in SECTIONS.items():
        of = [row for row in rows if row["experiment"] == name]
        if of:
            parts += [f"## {title}", section(of, folder)]
        else:
            absent.append(title)
    if absent:
        parts += ["## Not measured yet", "; ".join(absent) + "."]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--results", type=Path, help="what experiments.py wrote (default: nothing new)")
    options.add_argument("--out", type=Path, default=ROOT / "models/REPORT.md", help="the report, Markdown (default: models/REPORT.md)")
    given = options.parse_args()
    folder = given.out.parent / "report"
    kept = folder / "rows.jsonl"
    rows = merged(read(kept) if kept.exists() else [], read(given.results) if given.results else [])
    if not rows:
        sys.exit("report: nothing was measured: --results is what experiments.py wrote")
    given.out.write_text(page(rows, folder), encoding="utf-8")
    # Last, so that rows that no page can be made of are not kept.
    folder.mkdir(exist_ok=True)
    kept.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
