#!/usr/bin/env python3
"""The comparisons of models/REPORT.md: small models trained one after another, each exported in every precision and judged.

  models/train/experiments.py --corpus DIR --kit DIR --work target/train/experiments              all of them: hours
  models/train/experiments.py … --only optimizers,attention --tokens 500000                       some, shorter

Shape A (4 layers of 256, 8,192 tokens of vocabulary), the same text and seed for all. What is there already is not done
again, so a run that was cut off goes on where it stopped. `results.jsonl` in --work has a line for each model and precision;
report.py makes the tables of it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHAPE_A = ["--layers", "4", "--width", "256", "--heads", "4", "--positions", "256"]
VOCAB = 8_192
# Of each group the runs and what is particular to them.
GROUPS = {
    "optimizers": {
        "muon": ["--optimizer", "muon"],
        "adamw": ["--optimizer", "adamw"],
        "orthoadam": ["--optimizer", "orthoadam"],
    },
    "attention": {
        "softmax, adamw": ["--attention", "softmax", "--optimizer", "adamw"],
        "softmax, orthoadam": ["--attention", "softmax", "--optimizer", "orthoadam"],
        # With softmax-1 they are the runs of the optimizers.
    },
    "subnetworks": {"muon, evolving": ["--optimizer", "muon", "--evolving"]},
    "exits": {"muon, exits": ["--optimizer", "muon", "--exits", "2", "3"]},
}
# Precision, and whether it is calibrated.
PRECISIONS = {"fp32": ("fp32", False), "int8": ("int8", False), "int4 nearest": ("int4", False), "int4": ("int4", True)}
# The sets on which keystrokes are counted, and messages of each stream.
SETS, LIMIT = ["support-chat", "finance-meetings"], 60


def script(name: str, *arguments: object) -> str:
    """What a script of this folder prints; its progress goes to the terminal."""
    command = [sys.executable, HERE / f"{name}.py", *arguments]
    return subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True).stdout


def last_line(text: str) -> dict[str, object]:
    return json.loads(text.strip().splitlines()[-1])


def judged(work: Path, group: str, run: str, kit: Path, keys: bool) -> list[dict[str, object]]:
    """A line for each precision: nats a token of held-out text and the dev sets, keys saved, outliers of the network."""
    model, data = work / run, work / "data"
    log = [json.loads(line) for line in (model / "log.jsonl").read_text().splitlines()]
    last = log[-1]
    about = {"group": group, "run": run, "tokens": last["tokens"], "products": last["products"], "seconds": last["seconds"]}
    about |= last_line(script("evaluate", "activations", "--model", model, "--data", data))
    about |= last_line(script("evaluate", "induction", "--model", model))
    rows = []
    for name, (precision, calibrated) in PRECISIONS.items():
        out = work / f"{run}, {name}"
        extra = ["--data", data] if calibrated else []
        said = last_line(script("export", "--model", model, "--out", out, "--precision", precision, *extra))
        nats = last_line(script("evaluate", "nats", "--gpt2", out, "--data", data, "--kit", kit))
        row = about | {"precision": name, "megabytes": said["megabytes"], "nats": nats}
        if keys and name != "int4 nearest":
            row["keys"] = last_line(script("evaluate", "keys", "--gpt2", out, "--kit", kit, "--limit", LIMIT, "--sets", *SETS, "--budget-ms", 60))
        rows.append(row)
    return rows


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--corpus", type=Path, required=True, help="folder of .jsonl or .jsonl.gz files")
    options.add_argument("--kit", type=Path, required=True, help="folder of the evaluation kit")
    options.add_argument("--work", type=Path, required=True, help="folder of models and results")
    options.add_argument("--only", help=f"groups, separated by commas: {', '.join(GROUPS)}")
    options.add_argument("--tokens", type=int, default=2_500_000, help="tokens of each run (default: 2500000)")
    options.add_argument("--no-keys", action="store_true", help="do not count keystrokes: needs no service")
    given = options.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    results = given.work / "results.jsonl"
    done = {json.loads(line)["run"] for line in results.read_text().splitlines()} if results.exists() else set()
    if not (given.work / "data/data.json").exists():
        script("prepare", "--corpus", given.corpus, "--out", given.work / "data", "--vocab", VOCAB)
    for group in given.only.split(",") if given.only else GROUPS:
        for run, particular in GROUPS[group].items():
            if run in done:
                continue
            print(f"{group}: {run}", file=sys.stderr, flush=True)
            log = (given.work / f"{run}.log").open("a")
            command = [sys.executable, HERE / "train.py", "--data", given.work / "data", "--out", given.work / run]
            command += [*SHAPE_A, "--tokens", given.tokens, *particular]
            subprocess.run([str(part) for part in command], check=True, stdout=log)
            rows = judged(given.work, group, run, given.kit, not given.no_keys)
            with results.open("a") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)


if __name__ == "__main__":
    main()
