#!/usr/bin/env python3
"""The measurements of models/REPORT.md, each a verb; what is there already is not done again, so all can be cut off.

  models/train/experiments.py compare --corpus DIR --kit DIR                small models against each other, in every precision: hours
  models/train/experiments.py checkpoints --model target/train/b --kit DIR  what training kept (--keep), by keys saved
  models/train/experiments.py versions --model DIR --kit DIR                an earlier model beside the shipped one
  models/train/experiments.py precisions --model DIR --data DIR --kit DIR       what fp32, int8 and int4 of a model cost
  models/train/experiments.py own --model models/pretrained --kit DIR       fine-tuned on more and more text of a new domain
  models/train/experiments.py served --model models/pretrained --kit DIR    that domain's own bundle in the whole service
  models/train/experiments.py neighbours --model models/pretrained --kit DIR   a writer's nearest messages, as an n-gram and by gradient steps
  models/train/experiments.py large --corpus DIR --kit DIR                  GPT-2's own size, 124 M: tuned a little, exported, served

Lines go to `results.jsonl` in --work (default: target/train/experiments); report.py makes tables and plots of them.
Compared are models of shape A (4 layers of 256, 8,192 tokens of vocabulary), the same text and seed for all: optimizers for the
same minutes, which wants the machine to itself, the others for the same tokens.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SHAPE_A = ["--layers", "4", "--width", "256", "--heads", "4", "--positions", "256"]
VOCAB = 8_192
# Tokens of GPT-2 as it was released.
GPT2_VOCAB = 50_257
# Learning rates that are tried of each optimizer.
OPTIMIZERS = {"adamw": (2e-3, 4e-3), "orthoadam": (2e-3, 4e-3), "muon": (0.02, 0.04)}
# Runs for the same tokens, and what is particular to them; quantised in every precision are those of the 2 x 2.
SQUARE = {
    f"{attention}, {optimizer}": ["--attention", attention, "--optimizer", optimizer]
    for attention in ("softmax1", "softmax")
    for optimizer in ("adamw", "orthoadam")
}
PARTS = {
    "softmax1, adamw, evolving": ["--optimizer", "adamw", "--evolving"],
    "softmax1, adamw, exits": ["--optimizer", "adamw", "--exits", "2", "3"],
}
PLAIN = "softmax1, adamw"
EXITS = (2, 3, 4)
# Precision, and whether it is calibrated.
PRECISIONS = {"fp32": ("fp32", False), "int8": ("int8", False), "int4 nearest": ("int4", False), "int4": ("int4", True)}
# The sets on which small models' keystrokes are counted, and messages of each stream.
SETS, LIMIT = ["support-chat", "finance-meetings"], 30
# Of a new domain: the set, kilobytes of its writers' histories, and minutes of fine-tuning on the most of them.
DOMAIN, KILOBYTES, MINUTES = "expert-mail", (10, 30, 100, 260), (1, 3, 10)
# Messages of each stream that gradient steps are taken for, seconds each.
NEAR_LIMIT = 5
ALL = "gpt2,personal,team,domain,charlm"


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
    """What a script of this folder says in its last line if that is JSON; what it prints before goes to the terminal."""
    command = [str(part) for part in (sys.executable, HERE / f"{name}.py", *arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        last = ""
        for line in process.stdout or ():
            sys.stderr.write(line)
            last = line
    if process.returncode:
        sys.exit(f"experiments: {name}.py failed: the reason is above")
    return json.loads(last) if last.startswith("{") else {}


def train(out: Path, *arguments: object) -> dict[str, object]:
    """Trains, or goes on; the last line of its log."""
    script("train", "--out", out, *arguments)
    return json.loads((out / "log.jsonl").read_text().splitlines()[-1])


def export(model: Path, out: Path, precision: str, data: Path | None) -> dict[str, object]:
    kind, calibrated = PRECISIONS[precision]
    said = script("export", "--model", model, "--out", out, "--precision", kind, *(["--data", data] if calibrated else []))
    return {key: said[key] for key in ("megabytes", "largest_logit_difference")}


def keys(gpt2: Path, kit: Path, *arguments: object) -> dict[str, object]:
    return script("evaluate", "keys", "--gpt2", gpt2, "--kit", kit, *arguments)


def compare(given: argparse.Namespace, results: Results) -> None:
    """Models of shape A: optimizers for the same minutes; the 2 x 2 of softmax-1 and OrthoAdam in every precision; parts of the network."""
    data = results.work / "data"
    if not (data / "data.json").exists():
        script("prepare", "--corpus", given.corpus, "--out", data, "--vocab", VOCAB)
    shape = ("--data", data, *SHAPE_A, "--checkpoint", 1)
    wanted = given.only or ["optimizers", "square", "parts", "exits"]
    for optimizer, rates in OPTIMIZERS.items():
        for rate in rates:
            run = f"{optimizer}, {rate}"
            if "optimizers" in wanted and results.missing("optimizers", run):
                last = train(results.work / run, *shape, "--minutes", given.minutes, "--optimizer", optimizer, "--rate", rate)
                results.add("optimizers", run, optimizer=optimizer, rate=rate, minutes=given.minutes, tokens=last["tokens"], nats=last["held_out"]["all"])
    for run, particular in (SQUARE | PARTS).items():
        group = "square" if run in SQUARE else "parts"
        # Those that a part of the network is trained of are compared with one of the square.
        if group not in wanted and run != PLAIN:
            continue
        model = results.work / run
        if results.missing("runs", run):
            last = train(model, *shape, "--tokens", given.tokens, *particular)
            about = script("evaluate", "activations", "--model", model, "--data", data) | script("evaluate", "induction", "--model", model)
            about |= {key: last[key] for key in ("tokens", "products", "seconds")}
            results.add("runs", run, group=group, curve=curve(model), nats=last["held_out"]["all"], **about)
        for precision in PRECISIONS if group == "square" else ("fp32",):
            if results.missing("square", run, precision):
                out = results.work / "exported"
                said = export(model, out, precision, data)
                nats = script("evaluate", "nats", "--gpt2", out, "--data", data, "--kit", given.kit)
                saved = keys(out, given.kit, "--limit", LIMIT, "--sets", *SETS)
                results.add("square", run, precision=precision, **said, nats=nats, keys=saved)
    for run in (PLAIN, "softmax1, adamw, exits") if "exits" in wanted else ():
        for layers in EXITS:
            if results.missing("exits", f"{run}, {layers} layers"):
                out = results.work / "exported"
                script("export", "--model", results.work / run, "--out", out, "--data", data, "--layers", layers)
                nats = script("evaluate", "nats", "--gpt2", out, "--data", data, "--kit", given.kit)
                saved = keys(out, given.kit, "--limit", LIMIT, "--sets", *SETS)
                results.add("exits", f"{run}, {layers} layers", trained=run, layers=layers, milliseconds=milliseconds(out), nats=nats, keys=saved)


def curve(model: Path) -> list[tuple[int, float]]:
    """Products and held-out nats of each checkpoint."""
    log = [json.loads(line) for line in (model / "log.jsonl").read_text().splitlines()]
    return [(line["products"], line["held_out"]["all"]) for line in log if "held_out" in line]


def checkpoints(given: argparse.Namespace, results: Results) -> None:
    """Each checkpoint that was kept: held-out nats, keys saved, induction."""
    log = [json.loads(line) for line in (given.model / "log.jsonl").read_text().splitlines()]
    nats = {line["step"]: line for line in log if "held_out" in line}
    for model in sorted((given.model / "kept").iterdir()):
        if results.missing("checkpoints", f"{given.model.name}, {model.name}"):
            line = nats[int(model.name)]
            out = results.work / "exported"
            export(model, out, "int8", None)
            measured = script("evaluate", "induction", "--model", model)
            saved = keys(out, given.kit, "--limit", given.limit, "--sets", *SETS)
            about = {"model": given.model.name, "tokens": line["tokens"], "nats": line["held_out"]["all"], "limit": given.limit}
            results.add("checkpoints", f"{given.model.name}, {model.name}", **about, keys=saved, **measured)


def versions(given: argparse.Namespace, results: Results) -> None:
    """An earlier model in int8 and the GPT-2 of models/bundle."""
    limit = ("--limit", given.limit) if given.limit else ()
    exported = results.work / "exported"
    for run, model, gpt2 in (("first, int8", given.model, exported), ("shipped, int4", ROOT / "models/pretrained", ROOT / "models/bundle")):
        if results.missing("versions", run):
            if gpt2 == exported:
                export(model, gpt2, "int8", None)
            measured = script("evaluate", "induction", "--model", model)
            results.add("versions", run, limit=given.limit, keys=keys(gpt2, given.kit, *limit), **measured)


def precisions(given: argparse.Namespace, results: Results) -> None:
    """A model in every precision, all messages."""
    for precision in PRECISIONS:
        if results.missing("precisions", given.model.name, precision):
            out = results.work / f"{given.model.name}, {precision}"
            said = export(given.model, out, precision, given.data)
            nats = script("evaluate", "nats", "--gpt2", out, "--data", given.data, "--kit", given.kit)
            results.add("precisions", given.model.name, precision=precision, **said, milliseconds=milliseconds(out), nats=nats, keys=keys(out, given.kit))


def histories(kit: Path, out: Path, kilobytes: int) -> int:
    """Writes so much of what a dev set's writers wrote before its messages, newest first, each as much as the others; says how much."""
    out.mkdir(parents=True, exist_ok=True)
    streams = [json.loads(line)["history"] for line in (kit / f"data/dev/{DOMAIN}.jsonl").read_text(encoding="utf-8").splitlines()]
    written = 0
    with (out / "history.jsonl").open("w", encoding="utf-8") as file:
        while written < 1_000 * kilobytes and any(streams):
            for text in [history.pop() for history in streams if history]:
                if written < 1_000 * kilobytes:
                    file.write(json.dumps({"source": "history", "text": text}) + "\n")
                    written += len(text)
    return written


def own(given: argparse.Namespace, results: Results) -> None:
    """KSR on a domain that the model has not seen, against kilobytes of its text and against minutes; int8, which needs no calibration."""

    def judge(run: str, model: Path, **about: object) -> None:
        out = results.work / "exported"
        export(model, out, "int8", None)
        results.add("own", run, keys=keys(out, given.kit, "--sets", DOMAIN), **about)

    if results.missing("own", "0 KB"):
        judge("0 KB", given.model, kilobytes=0, minutes=0)
    wanted = [(kilobytes, None) for kilobytes in KILOBYTES] + [(KILOBYTES[-1], minutes) for minutes in MINUTES]
    for kilobytes, minutes in wanted:
        run = f"{kilobytes} KB" + (f", {minutes} min" if minutes else "")
        if results.missing("own", run):
            folder = results.work / run
            written = histories(given.kit, folder / "text", kilobytes)
            script("prepare", "--corpus", folder / "text", "--out", folder / "data", "--tokenizer", given.model)
            how_long = ("--minutes", minutes) if minutes else ()
            last = train(folder / "model", "--data", folder / "data", "--init", given.model, *how_long)
            judge(run, folder / "model", kilobytes=round(written / 1_000), minutes=minutes, seconds=last["seconds"], tokens=last["tokens"])


def served(given: argparse.Namespace, results: Results) -> None:
    """All predictors on the new domain: with the shipped bundle, and with one of the domain's text, made as README.md says."""
    bundle, gpt2 = ROOT / "models/bundle", ROOT / "models/bundle"
    for run in ("shipped", "own text"):
        if results.missing("served", run):
            if run == "own text":
                folder = results.work / "served"
                histories(given.kit, folder / "text", KILOBYTES[-1])
                script("prepare", "--corpus", folder / "text", "--out", folder / "data", "--tokenizer", given.model)
                train(folder / "model", "--data", folder / "data", "--init", given.model)
                script("average", given.model, folder / "model", "--out", folder / "average")
                bundle, gpt2 = folder / "bundle", folder / "gpt2"
                export(folder / "average", gpt2, "int4", folder / "data")
                command = [given.foretype, "build", "--corpus", folder / "text", "--base", ROOT / "models/bundle", "--gpt2", gpt2, "--out", bundle]
                subprocess.run([str(part) for part in command], check=True)
            alone = keys(gpt2, given.kit, "--bundle", bundle, "--sets", DOMAIN)
            saved = keys(gpt2, given.kit, "--bundle", bundle, "--sets", DOMAIN, "--predictors", ALL)
            results.add("served", run, alone=alone, keys=saved)


def neighbours(given: argparse.Namespace, results: Results) -> None:
    """What a writer's nearest messages are worth: as an n-gram, by gradient steps, in front of the text."""
    if results.missing("neighbours", given.model.name):
        said = script("neighbours", "--model", given.model, "--kit", given.kit, "--limit", given.limit)
        results.add("neighbours", given.model.name, **said)


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
        last = train(folder / "model", "--data", data, "--init", folder / "init", "--tokens", 8_192, "--batch", 8, "--fresh")
        said = export(folder / "model", folder / "gpt2", "int4 nearest", None)
        # That it is served: of weights without meaning nothing is saved.
        served = keys(folder / "gpt2", given.kit, "--limit", 1, "--sets", SETS[0])
        results.add("large", "124M", training=last, **said, milliseconds=milliseconds(folder / "gpt2"), keys=served)


def milliseconds(gpt2: Path) -> list[float]:
    """Of one token behind 64: the median and the longest of 60, one thread."""
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
    return [round(times[len(times) // 2], 2), round(times[-1], 2)]


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
    for work, needs in ((compare, "corpus kit"), (checkpoints, "model kit"), (versions, "model kit"), (precisions, "model data kit"), (own, "model kit"), (served, "model kit"), (neighbours, "model kit"), (large, "corpus kit")):
        verb = verbs.add_parser(work.__name__, help=(work.__doc__ or "").strip())
        verb.set_defaults(work_of=work)
        for name in needs.split():
            kind, said = wanted[name]
            verb.add_argument(f"--{name}", type=kind, required=True, help=said)
        if work is compare:
            verb.add_argument("--only", nargs="*", choices=("optimizers", "square", "parts", "exits"), help="parts of it (default: all)")
            verb.add_argument("--minutes", type=float, default=6.0, help="of each run of an optimizer (default: 6)")
            verb.add_argument("--tokens", type=int, default=2_500_000, help="tokens of each run (default: 2500000)")
        if work is checkpoints:
            verb.add_argument("--limit", type=int, default=LIMIT, help=f"messages of each stream (default: {LIMIT})")
        if work is neighbours:
            verb.add_argument("--limit", type=int, default=NEAR_LIMIT, help=f"messages of each stream (default: {NEAR_LIMIT})")
        if work is served:
            verb.add_argument("--foretype", type=Path, default=ROOT / "target/release/foretype", help="default: target/release/foretype")
        if work is versions:
            verb.add_argument("--limit", type=int, help="messages of each stream (default: all)")
    given = options.parse_args()
    given.work_of(given, Results(given.work))


if __name__ == "__main__":
    main()
