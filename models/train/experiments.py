#!/usr/bin/env python3
"""The measurements of models/REPORT.md, each a verb; what is there already is not done again, so all can be cut off.

  models/train/experiments.py compare --corpus DIR --kit DIR            small models against each other, in every precision: hours
  models/train/experiments.py checkpoints --model target/train/b --kit DIR      what training kept (--keep), by keys saved
  models/train/experiments.py precisions --model DIR --data DIR --kit DIR       what fp32, int8 and int4 of a model cost
  models/train/experiments.py own --model models/pretrained --kit DIR   fine-tuned on more and more text of a new domain
  models/train/experiments.py large --corpus DIR --kit DIR              GPT-2's own size, 124 M: tuned a little, exported, timed

Lines go to `results.jsonl` in --work (default: target/train/experiments); report.py makes tables and plots of them.
Compared are models of shape A (4 layers of 256, 8,192 tokens of vocabulary), the same text and seed for all.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SHAPE_A = ["--layers", "4", "--width", "256", "--heads", "4", "--positions", "256"]
VOCAB = 8_192
# Tokens of GPT-2 as it was released.
GPT2_VOCAB = 50_257
# Of each group the runs and what is particular to them; with softmax-1 the runs of the optimizers serve for the 2 x 2 too.
GROUPS = {
    "optimizers": {
        "muon": ["--optimizer", "muon"],
        "adamw": ["--optimizer", "adamw"],
        "orthoadam": ["--optimizer", "orthoadam"],
    },
    "attention": {
        "softmax, adamw": ["--attention", "softmax", "--optimizer", "adamw"],
        "softmax, orthoadam": ["--attention", "softmax", "--optimizer", "orthoadam"],
    },
    "subnetworks": {"muon, evolving": ["--optimizer", "muon", "--evolving"]},
    "exits": {"muon, exits": ["--optimizer", "muon", "--exits", "2", "3"]},
}
EXITS = (2, 3, 4)
# Precision, and whether it is calibrated.
PRECISIONS = {"fp32": ("fp32", False), "int8": ("int8", False), "int4 nearest": ("int4", False), "int4": ("int4", True)}
# The sets on which small models' keystrokes are counted, and messages of each stream.
SETS, LIMIT = ["support-chat", "finance-meetings"], 60
# Of a new domain: the set, kilobytes of its writers' histories, and minutes of fine-tuning on the most of them.
DOMAIN, KILOBYTES, MINUTES = "expert-mail", (10, 30, 100, 300), (1, 3, 10)


class Results:
    """The lines there are, by what they measure."""

    def __init__(self, work: Path) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self.work, self.path = work, work / "results.jsonl"
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        self.known = {(row["experiment"], row["run"], row.get("precision")) for row in map(json.loads, lines)}

    def missing(self, experiment: str, run: str, precision: str | None = None) -> bool:
        if (experiment, run, precision) in self.known:
            return False
        print(f"{experiment}: {run}{f', {precision}' if precision else ''}", file=sys.stderr, flush=True)
        return True

    def add(self, experiment: str, run: str, **measured: object) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps({"experiment": experiment, "run": run} | measured) + "\n")


def script(name: str, *arguments: object) -> dict[str, object]:
    """The last line that a script of this folder prints; its progress goes to the terminal."""
    command = [sys.executable, HERE / f"{name}.py", *arguments]
    said = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True).stdout
    last = said.strip().splitlines()[-1]
    return json.loads(last) if last.startswith("{") else {"said": last}


def train(out: Path, *arguments: object) -> dict[str, object]:
    """Trains, or goes on; the last line of its log."""
    script("train", "--out", out, *arguments)
    return json.loads((out / "log.jsonl").read_text().splitlines()[-1])


def export(model: Path, out: Path, precision: str, data: Path | None) -> dict[str, object]:
    kind, calibrated = PRECISIONS[precision]
    return script("export", "--model", model, "--out", out, "--precision", kind, *(["--data", data] if calibrated else []))


def keys(gpt2: Path, kit: Path, *arguments: object) -> dict[str, object]:
    return script("evaluate", "keys", "--gpt2", gpt2, "--kit", kit, "--budget-ms", 60, *arguments)


def compare(given: argparse.Namespace, results: Results) -> None:
    """Each model of shape A: what it cost, and nats and keys in every precision."""
    data = results.work / "data"
    if not (data / "data.json").exists():
        script("prepare", "--corpus", given.corpus, "--out", data, "--vocab", VOCAB)
    for group in given.only.split(",") if given.only else GROUPS:
        for run, particular in GROUPS[group].items():
            model, about = results.work / run, None
            for precision in PRECISIONS:
                if not results.missing("compare", run, precision):
                    continue
                if about is None:
                    last = train(model, "--data", data, *SHAPE_A, "--tokens", given.tokens, *particular)
                    about = {"group": group} | {key: last[key] for key in ("tokens", "products", "seconds")}
                    about |= script("evaluate", "activations", "--model", model, "--data", data)
                    about |= script("evaluate", "induction", "--model", model)
                out = results.work / f"{run}, {precision}"
                about |= {"precision": precision, "megabytes": export(model, out, precision, data)["megabytes"]}
                about["nats"] = script("evaluate", "nats", "--gpt2", out, "--data", data, "--kit", given.kit)
                about["keys"] = keys(out, given.kit, "--limit", LIMIT, "--sets", *SETS)
                results.add("compare", run, **about)
    exits(given, results, data)


def exits(given: argparse.Namespace, results: Results, data: Path) -> None:
    """Both kinds of training at each depth: nats, keys, milliseconds a token."""
    for run in ("muon", "muon, exits"):
        for layers in EXITS:
            if (results.work / run / "model.safetensors").exists() and results.missing("exits", f"{run}, {layers} layers"):
                out = results.work / "exit"
                script("export", "--model", results.work / run, "--out", out, "--data", data, "--layers", layers)
                nats = script("evaluate", "nats", "--gpt2", out, "--data", data, "--kit", given.kit)
                saved = keys(out, given.kit, "--limit", LIMIT, "--sets", *SETS)
                about = {"trained": run, "layers": layers, "milliseconds": list(milliseconds(out))}
                results.add("exits", f"{run}, {layers} layers", nats=nats, keys=saved, **about)


def checkpoints(given: argparse.Namespace, results: Results) -> None:
    """Each checkpoint that was kept: held-out nats, keys saved, induction."""
    log = [json.loads(line) for line in (given.model / "log.jsonl").read_text().splitlines()]
    nats = {line["step"]: line for line in log if "held_out" in line}
    for model in sorted((given.model / "kept").iterdir()):
        if results.missing("checkpoints", model.name):
            line = nats[int(model.name)]
            out = results.work / "checkpoint"
            export(model, out, "int4 nearest", None)
            measured = script("evaluate", "induction", "--model", model)
            saved = keys(out, given.kit, "--limit", LIMIT)
            results.add("checkpoints", model.name, tokens=line["tokens"], nats=line["held_out"]["all"], keys=saved, **measured)


def precisions(given: argparse.Namespace, results: Results) -> None:
    """A model in every precision, all messages."""
    for precision in PRECISIONS:
        if results.missing("precisions", given.model.name, precision):
            out = results.work / f"{given.model.name}, {precision}"
            said = export(given.model, out, precision, given.data)
            nats = script("evaluate", "nats", "--gpt2", out, "--data", given.data, "--kit", given.kit)
            results.add("precisions", given.model.name, precision=precision, **said, nats=nats, keys=keys(out, given.kit))


def histories(kit: Path, out: Path, kilobytes: int) -> Path:
    """So much of what a dev set's writers wrote before its messages, each as much."""
    out.mkdir(parents=True, exist_ok=True)
    streams = [json.loads(line) for line in (kit / f"data/dev/{DOMAIN}.jsonl").read_text(encoding="utf-8").splitlines()]
    with (out / "history.jsonl").open("w", encoding="utf-8") as file:
        for stream in streams:
            left = 1_000 * kilobytes // len(streams)
            for text in reversed(stream["history"]):
                file.write(json.dumps({"source": "history", "text": text[:left]}) + "\n")
                left -= len(text)
                if left <= 0:
                    break
    return out


def own(given: argparse.Namespace, results: Results) -> None:
    """KSR on a domain that the model has not seen, against kilobytes of its text and against minutes."""

    def judge(run: str, model: Path, data: Path | None, **about: object) -> None:
        out = results.work / "own"
        export(model, out, "int4" if data else "int4 nearest", data)
        results.add("own", run, keys=keys(out, given.kit, "--sets", DOMAIN), **about)

    if results.missing("own", "0 KB"):
        judge("0 KB", given.model, None, kilobytes=0, minutes=0)
    wanted = [(kilobytes, MINUTES[1]) for kilobytes in KILOBYTES] + [(KILOBYTES[-1], minutes) for minutes in MINUTES]
    for kilobytes, minutes in dict.fromkeys(wanted):
        run = f"{kilobytes} KB, {minutes} min"
        if results.missing("own", run):
            folder = results.work / run
            data = folder / "data"
            script("prepare", "--corpus", histories(given.kit, folder / "text", kilobytes), "--out", data, "--tokenizer", given.model)
            train(folder / "model", "--data", data, "--init", given.model, "--minutes", minutes, "--rate", 0.01, "--decay", 1, "--batch", 16)
            judge(run, folder / "model", data, kilobytes=kilobytes, minutes=minutes)


def large(given: argparse.Namespace, results: Results) -> None:
    """GPT-2's own size with weights of no meaning: tuned for a few steps, exported, timed on one core, served."""
    if results.missing("large", "124M"):
        from transformers import GPT2Config, GPT2LMHeadModel

        folder = results.work / "124M"
        data = folder / "data"
        if not (data / "data.json").exists():
            script("prepare", "--corpus", given.corpus, "--out", data, "--vocab", GPT2_VOCAB)
        config = GPT2Config(vocab_size=GPT2_VOCAB, bos_token_id=0, eos_token_id=0)
        GPT2LMHeadModel(config).save_pretrained(folder / "init")
        shutil.copy(data / "tokenizer.json", folder / "init/tokenizer.json")
        last = train(folder / "model", "--data", data, "--init", folder / "init", "--tokens", 8_192, "--batch", 8, "--micro", 4)
        said = export(folder / "model", folder / "gpt2", "int4 nearest", None)
        # That it is served: of weights without meaning nothing is saved.
        served = keys(folder / "gpt2", given.kit, "--limit", 1, "--sets", SETS[0])
        results.add("large", "124M", training=last, **said, milliseconds=list(milliseconds(folder / "gpt2")), keys=served)


def milliseconds(gpt2: Path) -> Iterator[float]:
    """Of one token behind 64, p50 and p99, one thread."""
    from export import Session

    session = Session(gpt2 / "gpt2.onnx", 256)
    session.logits(list(range(300, 364)))
    times = []
    for _ in range(60):
        session.past = 64
        started = time.perf_counter()
        session.logits([300])
        times.append(1e3 * (time.perf_counter() - started))
    times.sort()
    yield from (round(times[len(times) // 2], 2), round(times[-1], 2))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--work", type=Path, default=ROOT / "target/train/experiments", help="folder of models and results")
    verbs = options.add_subparsers(required=True, metavar="VERB")
    wanted = {
        "corpus": (Path, "folder of .jsonl or .jsonl.gz files"),
        "kit": (Path, "folder of the evaluation kit"),
        "model": (Path, "folder of a trained model"),
        "data": (Path, "folder that prepare.py wrote"),
    }
    for work, needs in ((compare, "corpus kit"), (checkpoints, "model kit"), (precisions, "model data kit"), (own, "model kit"), (large, "corpus kit")):
        verb = verbs.add_parser(work.__name__, help=(work.__doc__ or "").strip())
        verb.set_defaults(work_of=work)
        for name in needs.split():
            kind, said = wanted[name]
            verb.add_argument(f"--{name}", type=kind, required=True, help=said)
        if work is compare:
            verb.add_argument("--only", help=f"groups, separated by commas: {', '.join(GROUPS)}")
            verb.add_argument("--tokens", type=int, default=2_500_000, help="tokens of each run (default: 2500000)")
    given = options.parse_args()
    given.work_of(given, Results(given.work))


if __name__ == "__main__":
    main()
