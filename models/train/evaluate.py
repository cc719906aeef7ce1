#!/usr/bin/env python3
"""What a GPT-2 is worth: nats a token, keystrokes saved, induction, outliers.

  models/train/evaluate.py nats --gpt2 DIR --data target/train/data         an exported folder, on the held-out text
  models/train/evaluate.py nats --gpt2 DIR --kit DIR                        on the messages of the evaluation kit's dev sets
  models/train/evaluate.py keys --gpt2 DIR --kit DIR                        KSR of gpt2 alone, typed against the release binary
  models/train/evaluate.py induction --model DIR                            of trained weights
  models/train/evaluate.py activations --model DIR --data DIR               what makes them hard to quantise

Each prints one JSON line. `nats` runs the exported graph itself, so that what a precision costs is in it. `keys` serves a copy
of --bundle with the GPT-2 exchanged (`--predictors gpt2`, everything shown) and needs the service built (`make build`).
The induction score (Olsson et al. 2022) is the largest mean attention, over heads, that tokens of a repeated random sequence pay
to what followed their first occurrence.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
from data import Data, DataError
from network import Network, NetworkError
from reference import markers
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
NEURAL = ("gpt2.onnx", "gpt2.json", "tokenizer.json", "reference.json")
# Windows of each source's held-out text, and of a dev set's messages, that are read.
WINDOWS = 24
MESSAGES = 200
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


def held_out(gpt2: Path, data: Path) -> dict[str, list[tuple[list[int], int]]]:
    """Windows of each source's held-out text."""
    text, positions = Data(data), int(json.loads((gpt2 / "gpt2.json").read_text())["n_positions"])
    found = {}
    for name in text.sources:
        tokens, starts = text.tokens(name, "held"), text.windows(name, positions - 1, part="held")
        starts = starts[:: max(1, len(starts) // WINDOWS)][:WINDOWS]
        found[name] = [(tokens[start : start + positions].tolist(), 1) for start in starts]
    return {name: windows for name, windows in found.items() if windows}


def messages(gpt2: Path, kit: Path) -> dict[str, list[tuple[list[int], int]]]:
    """Messages of each dev set after as many whole turns of their conversation as fit."""
    tokenizer, ids_of = Tokenizer.from_file(str(gpt2 / "tokenizer.json")), markers(gpt2 / "tokenizer.json")
    positions = int(json.loads((gpt2 / "gpt2.json").read_text())["n_positions"])

    def turn(role: str, text: str) -> list[int]:
        return [ids_of[f"<|{role}|>"], *tokenizer.encode(text, add_special_tokens=False).ids]

    found: dict[str, list[tuple[list[int], int]]] = {}
    for path in sorted((kit / "data/dev").glob("*.jsonl")):
        streams = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        every = [(stream, message) for stream in streams for message in stream["messages"]]
        texts = []
        for _, message in every[:: max(1, len(every) // MESSAGES)][:MESSAGES]:
            role = "agent" if message["context"] else "author"
            ids = turn(role, message["text"])[:positions]
            before: list[int] = []
            for said in reversed(message["context"]):
                earlier = turn(said["role"], said["text"])
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
        raise NetworkError("say --data, --kit or both: what is to be read")
    positions = int(json.loads((given.gpt2 / "gpt2.json").read_text())["n_positions"])
    texts = (held_out(given.gpt2, given.data) if given.data else {}) | (messages(given.gpt2, given.kit) if given.kit else {})
    sums = {name: nats_of(given.gpt2, found, positions) for name, found in texts.items()}
    each = {name: round(total / count, 4) for name, (total, count) in sums.items()}
    total, count = (sum(sizes[at] for sizes in sums.values()) for at in (0, 1))
    return {**each, "all": round(total / count, 4), "perplexity": round(float(np.exp(total / count)), 3)}


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


def free_ports() -> tuple[int, int]:
    """Two ports that nobody listens on."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def keys(given: argparse.Namespace) -> dict[str, object]:
    """KSR of each dev set with gpt2 alone, everything shown."""
    binary = given.binary or ROOT / "target/release/foretype"
    if not binary.exists():
        raise NetworkError(f"{binary} is not built: make build")
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        bundle_with(given.gpt2, given.bundle, Path(folder) / "bundle")
        for path in sorted((given.kit / "data/dev").glob("*.jsonl")):
            if given.sets and path.stem not in given.sets:
                continue
            port, admin = free_ports()
            command = [binary, "serve", "--bundle", f"{folder}/bundle", "--data", f"{folder}/{path.stem}", "--predictors", given.predictors]
            command += ["--listen", f"127.0.0.1:{port}", "--admin-listen", f"127.0.0.1:{admin}", "--log", "warn"]
            with subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL) as service:
                try:
                    ready(service, admin)
                    script = [sys.executable, given.kit / "eval/measure.py", path, "--url", f"http://127.0.0.1:{port}", "--k", "1"]
                    script += ["--min-confidence", "0"]
                    script += ["--budget-ms", str(given.budget_ms)] if given.budget_ms else []
                    script += ["--limit", str(given.limit)] if given.limit else []
                    row = json.loads(subprocess.run([str(part) for part in script], check=True, capture_output=True).stdout)
                finally:
                    service.terminate()
            found[path.stem] = row["KSR"]
            print(f"{path.stem}: {row['KSR']}", file=sys.stderr, flush=True)
    return found


def ready(service: subprocess.Popen, admin: int) -> None:
    for _ in range(100):
        time.sleep(0.1)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz"):
                return
        except OSError:
            if service.poll() is not None:
                break
    raise NetworkError("the service did not start with this GPT-2: its messages are above")


def induction(given: argparse.Namespace) -> dict[str, object]:
    """The score, and the layer and head that has it."""
    network = Network(given.model)
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
    drawn = []
    for name in text.sources:
        tokens, starts = text.tokens(name, "held"), text.windows(name, network.positions - 1, part="held")
        drawn += [np.asarray(tokens[start : start + network.positions], np.int64) for start in starts[:2]]
    x = network.embed(np.stack(drawn))
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
    verb = verbs.add_parser("keys", help="keystrokes saved by gpt2 alone")
    verb.set_defaults(work=keys)
    verb.add_argument("--gpt2", type=Path, required=True, help="folder that export.py wrote")
    verb.add_argument("--kit", type=Path, required=True, help="folder of the evaluation kit")
    verb.add_argument("--bundle", type=Path, default=ROOT / "models/bundle", help="the other models (default: models/bundle)")
    verb.add_argument("--binary", type=Path, help="the service (default: target/release/foretype)")
    verb.add_argument("--predictors", default="gpt2")
    verb.add_argument("--budget-ms", type=int, help="the service's own by default")
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
    except (NetworkError, DataError, OSError) as error:
        sys.exit(f"evaluate: {error}")


if __name__ == "__main__":
    main()
