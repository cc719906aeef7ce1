#!/usr/bin/env python3
"""What a GPT-2 is worth: nats a token, keystrokes saved, induction, outliers.

  models/train/evaluate.py nats --gpt2 DIR --data target/train/data         an exported folder, on the held-out text
  models/train/evaluate.py nats --gpt2 DIR --kit DIR                        on the messages of the evaluation kit's dev sets
  models/train/evaluate.py divergence --gpt2 DIR --model DIR --kit DIR      how far it is from what the weights say unrounded
  models/train/evaluate.py keys --gpt2 DIR --kit DIR                        keystrokes saved by gpt2 alone, everything shown
  models/train/evaluate.py induction --model DIR                            of trained weights
  models/train/evaluate.py activations --model DIR --data DIR               what makes them hard to quantise

Each prints one JSON line. `nats` runs the exported graph itself, so that what a precision costs is in it. `keys` types the dev
sets against a copy of --bundle with the GPT-2 exchanged, by `loadtests quality`, which gives answers all the time they need.
The induction score (Olsson et al. 2022) is the largest mean attention, over heads, that tokens of a repeated random sequence pay
to what followed their first occurrence.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import vocabulary
from data import Data
from errors import InputError
from network import Network

ROOT = Path(__file__).resolve().parents[2]
NEURAL = ("gpt2.onnx", "gpt2.json", "tokenizer.json", "reference.json")
# Windows of each source's held-out text, and of a dev set's messages, that are read.
WINDOWS = 24
MESSAGES = 200
# Of those, messages that each precision's distributions are compared on.
COMPARED = 40
# The share of answers that must have the GPT-2's word in them.
USED = 0.95
# How often a set is typed until they have.
TRIES = 3
# Of the induction score: sequences, and tokens of each before it is repeated.
SEQUENCES, REPEATED = 100, 50


def session(gpt2: Path, positions: int):
    """The exported graph with an empty cache."""
    from export import Session

    return Session(gpt2 / "gpt2.onnx", positions)


def nats_of(gpt2: Path, texts: list[tuple[list[int], int]], positions: int) -> tuple[float, int]:
    """Summed nats of the tokens of each text from a position on, and how many they are."""
    graph = session(gpt2, positions)
    total, count = 0.0, 0
    for ids, start in texts:
        graph.past = 0
        scores = graph.logits(ids[:-1])[start - 1 :].astype(np.float64)
        most = scores.max(1, keepdims=True)
        spread = np.log(np.exp(scores - most).sum(1)) + most[:, 0]
        wanted = np.array(ids[start:])
        total += float((spread - scores[np.arange(len(wanted)), wanted]).sum())
        count += len(wanted)
    return total, count


def held_out(gpt2: Path, data: Path, positions: int) -> dict[str, list[tuple[list[int], int]]]:
    """Windows of each source's held-out text."""
    vocabulary.same(gpt2, data)
    text = Data(data)
    found = {name: text.drawn(name, positions - 1, WINDOWS, "held") for name in text.sources}
    return {name: [(ids.tolist(), 1) for ids in windows] for name, windows in found.items() if len(windows)}


def messages(gpt2: Path, kit: Path, positions: int, most: int = MESSAGES) -> dict[str, list[tuple[list[int], int]]]:
    """Messages of each dev set, at most so many, after as many whole turns of their conversation as fit."""
    tokenizer = vocabulary.load(gpt2)
    found: dict[str, list[tuple[list[int], int]]] = {}
    for path in sorted((kit / "data/dev").glob("*.jsonl")):
        streams = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        every = [message for stream in streams for message in stream["messages"]]
        texts = []
        for message in every[:: max(1, len(every) // most)][:most]:
            role = "agent" if message["context"] else "author"
            conversation = [(said["role"], said["text"]) for said in message["context"]]
            *context, ids = vocabulary.turns(tokenizer, [*conversation, (role, message["text"])])
            ids = ids[:positions]
            before: list[int] = []
            for earlier in reversed(context):
                if len(earlier) + len(before) + len(ids) > positions:
                    break
                before = earlier + before
            if len(ids) > 1:
                texts.append((before + ids, len(before) + 1))
        found[path.stem] = texts
    return found


def nats(given: argparse.Namespace) -> dict[str, object]:
    """Nats a token of each source or set, and over all."""
    if not given.data and not given.kit:
        raise InputError("say --data, --kit or both: what is to be read")
    positions = int(json.loads((given.gpt2 / "gpt2.json").read_text())["n_positions"])
    texts = held_out(given.gpt2, given.data, positions) if given.data else {}
    texts |= messages(given.gpt2, given.kit, positions) if given.kit else {}
    if not texts:
        raise InputError(f"no source of {given.data} has {positions} held-out tokens in a row")
    sums = {name: nats_of(given.gpt2, found, positions) for name, found in texts.items()}
    each = {name: round(total / count, 4) for name, (total, count) in sums.items()}
    total, count = (sum(sizes[at] for sizes in sums.values()) for at in (0, 1))
    return {**each, "all": round(total / count, 4), "perplexity": round(float(np.exp(total / count)), 3)}


def divergence(given: argparse.Namespace) -> dict[str, object]:
    """Nats that the graph's distributions are from those of the weights in fp32 (Kullback-Leibler), and how often both have the same best token."""
    network = Network(given.model)
    vocabulary.same(given.gpt2, given.model)
    graph = session(given.gpt2, network.positions)
    total = same = count = 0.0
    for texts in messages(given.gpt2, given.kit, network.positions, COMPARED).values():
        for ids, start in texts:
            graph.past = 0
            found, wanted = graph.logits(ids[:-1])[start - 1 :], network.logits(ids[:-1])[start - 1 :]
            found, wanted = (logits[:, : network.vocab].astype(np.float64) for logits in (found, wanted))
            said, meant = (logits - np.logaddexp.reduce(logits, 1, keepdims=True) for logits in (found, wanted))
            total += float((np.exp(meant) * (meant - said)).sum())
            same += float((said.argmax(1) == meant.argmax(1)).sum())
            count += len(said)
    return {"divergence": round(total / count, 5), "same_best": round(same / count, 4), "tokens": int(count)}


def bundle_with(gpt2: Path, bundle: Path, out: Path) -> None:
    """A copy of a bundle with another GPT-2, its sizes and hashes in the manifest."""
    shutil.copytree(bundle, out, dirs_exist_ok=True)
    manifest = (out / "bundle.toml").read_text()
    for name in NEURAL:
        shutil.copy(gpt2 / name, out / name)
        contents = (out / name).read_bytes()
        entry = f'[files."{name}"]\nsha256 = "{hashlib.sha256(contents).hexdigest()}"\nbytes = {len(contents)}\n'
        manifest = re.sub(rf'\[files\."{re.escape(name)}"\]\nsha256 = "\w+"\nbytes = \d+\n', entry, manifest)
    (out / "bundle.toml").write_text(manifest)


def keys(given: argparse.Namespace) -> dict[str, object]:
    """Keystroke savings of each dev set, everything shown, one suggestion at a time."""
    if not given.binary.exists():
        raise InputError(f"{given.binary} is not built: cargo build --release -p foretype-loadtests")
    files = [path for path in sorted((given.kit / "data/dev").glob("*.jsonl")) if not given.sets or path.stem in given.sets]
    if not files:
        raise InputError(f"{given.kit} has no such dev set: it is the folder with data/dev")
    with tempfile.TemporaryDirectory() as folder:
        bundle_with(given.gpt2, given.bundle, Path(folder))
        command = [given.binary, "quality", "--bundle", folder, "--predictors", given.predictors, "--min-confidence", 0]
        command += ["--limit", given.limit] if given.limit else []
        return {path.stem: typed([str(part) for part in (*command, path)], path.stem, "gpt2" in given.predictors) for path in files}


def typed(command: list[str], name: str, neural: bool) -> dict[str, object]:
    """A set's figures; typed again while a busy machine kept the GPT-2 from answering."""
    for _ in range(TRIES):
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise InputError(f"{name} could not be typed: the reason is above")
        row = json.loads(done.stdout)
        if not neural or row["used"].get("gpt2", 0) >= USED:
            return {key: row[key] for key in ("ksr", "ci95", "net", "used")}
        print(f"evaluate: {name}: the GPT-2 was late too often", file=sys.stderr)
    raise InputError(f"{name}: the figure would be one of the time that the GPT-2 had: try again when the machine is less busy")


def induction(given: argparse.Namespace) -> dict[str, object]:
    """The score, and the layer and head that has it."""
    network = Network(given.model)
    if network.positions < 2 * REPEATED:
        raise InputError(f"{given.model} has {network.positions} positions: the induction score needs {2 * REPEATED}")
    chance = np.random.default_rng(0)
    best = (0.0, 0, 0)
    sequences = chance.integers(300, network.vocab, (SEQUENCES, REPEATED))
    x = network.embed(np.concatenate([sequences, sequences], 1))
    for layer in range(network.layers):
        shares = network.shares(network.norm(x, f"h.{layer}.ln_1"), f"h.{layer}.attn")
        # From i in the second copy to what followed i in the first.
        paid = np.diagonal(shares, -(REPEATED - 1), 2, 3)[..., 1:].mean((0, 2))
        head = int(paid.argmax())
        best = max(best, (float(paid[head]), layer, head))
        x = network.block(x, layer)
    return {"induction": round(best[0], 4), "layer": best[1], "head": best[2]}


def activations(given: argparse.Namespace) -> dict[str, object]:
    """What makes 4 bits hard (Kaul et al. 2024): kurtosis of the layers' outputs, and attention to the first token."""
    network, text = Network(given.model), Data(given.data)
    vocabulary.same(given.model, given.data)
    drawn = np.concatenate([text.drawn(name, network.positions - 1, 2, "held") for name in text.sources])
    if not len(drawn):
        raise InputError(f"{given.data}: no source has {network.positions} held-out tokens in a row")
    x = network.embed(drawn)
    kurtosis, first = [], []
    for layer in range(network.layers):
        shares = network.shares(network.norm(x, f"h.{layer}.ln_1"), f"h.{layer}.attn")
        # The first tokens see little else.
        first.append(float(shares[:, :, 16:, 0].mean()))
        x = network.block(x, layer)
        spread = x - x.mean(-1, keepdims=True)
        kurtosis.append(float(((spread**4).mean(-1) / (spread**2).mean(-1) ** 2).mean()))
    return {"kurtosis": round(max(kurtosis), 2), "to_first_token": round(max(first), 4)}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = options.add_subparsers(required=True, metavar="VERB")
    verb = verbs.add_parser("nats", help="nats a token of an exported graph")
    verb.set_defaults(work=nats)
    verb.add_argument("--gpt2", type=Path, required=True, help="folder that export.py wrote")
    verb.add_argument("--data", type=Path, help="folder that prepare.py wrote")
    verb.add_argument("--kit", type=Path, help="folder of the evaluation kit")
    verb = verbs.add_parser("divergence", help="how far an exported graph is from its weights in fp32")
    verb.set_defaults(work=divergence)
    verb.add_argument("--gpt2", type=Path, required=True, help="folder that export.py wrote")
    verb.add_argument("--model", type=Path, required=True, help="folder with config.json and model.safetensors")
    verb.add_argument("--kit", type=Path, required=True, help="folder of the evaluation kit")
    verb = verbs.add_parser("keys", help="keystrokes saved by gpt2 alone")
    verb.set_defaults(work=keys)
    verb.add_argument("--gpt2", type=Path, required=True, help="folder that export.py wrote")
    verb.add_argument("--kit", type=Path, required=True, help="folder of the evaluation kit")
    verb.add_argument("--bundle", type=Path, default=ROOT / "models/bundle", help="the other models (default: models/bundle)")
    verb.add_argument("--binary", type=Path, default=ROOT / "target/release/loadtests", help="default: target/release/loadtests")
    verb.add_argument("--predictors", default="gpt2")
    verb.add_argument("--sets", nargs="*", help="dev sets (default: all)")
    verb.add_argument("--limit", type=int, help="messages of a stream")
    verb = verbs.add_parser("induction", help="the induction score of trained weights")
    verb.set_defaults(work=induction)
    verb.add_argument("--model", type=Path, required=True, help="folder with config.json and model.safetensors")
    verb = verbs.add_parser("activations", help="outliers of the residual stream and attention to the first token")
    verb.set_defaults(work=activations)
    verb.add_argument("--model", type=Path, required=True, help="folder with config.json and model.safetensors")
    verb.add_argument("--data", type=Path, required=True, help="folder that prepare.py wrote")
    given = options.parse_args()
    try:
        print(json.dumps(given.work(given)))
    except (InputError, OSError) as error:
        sys.exit(f"evaluate: {error}")


if __name__ == "__main__":
    main()
