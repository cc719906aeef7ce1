#!/usr/bin/env python3
"""Compares the static n-gram model with KenLM on the same words: perplexity, bytes an n-gram, time of a look-up.

  tools/kenlm.py --kit DIR                    train on DIR/data/train, measure on the messages held out of it
  tools/kenlm.py --kit DIR --only commits     on the files whose names contain one of these, comma-separated

KenLM is built once from its source distribution into .tools/kenlm, which needs cmake, a C++ compiler and the Boost
libraries (Debian: cmake libboost-program-options-dev libboost-system-dev libboost-thread-dev libboost-test-dev).
Every twentieth message is held out. Both models are of order 5, unpruned, over the same vocabulary: what Foretype's
does not hold is one word, `_unk_`, to both.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KENLM = ROOT / ".tools" / "kenlm"
VERSION = "0.3.0"
HELD_OUT = 20


def kenlm() -> Path:
    """The folder of KenLM's programs, built if need be."""
    programs = KENLM / "build" / "bin"
    if (programs / "lmplz").exists():
        return programs
    KENLM.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "kenlm"]
    subprocess.run([*pip, "--dest", KENLM, f"kenlm=={VERSION}"], check=True)
    with tarfile.open(next(KENLM.glob("kenlm-*.tar.gz"))) as archive:
        archive.extractall(KENLM, filter="data")
    source = KENLM / f"kenlm-{VERSION}"
    configure = ["cmake", "-S", source, "-B", KENLM / "build", "-DCMAKE_BUILD_TYPE=Release", "-DCOMPILE_TESTS=OFF"]
    configure += ["-DCMAKE_POLICY_VERSION_MINIMUM=3.5"]
    subprocess.run(configure, check=True)
    subprocess.run(["cmake", "--build", KENLM / "build", "--parallel", "2", "--target", "lmplz", "build_binary", "query"], check=True)
    return programs


def messages(kit: Path, only: list[str]) -> list[str]:
    """Every text of the training files, a line each."""
    texts = []
    for path in sorted((kit / "data/train").glob("*.jsonl.gz")):
        if only and not any(part in path.name for part in only):
            continue
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                turns = record.get("turns", [record])
                texts += (" ".join(turn["text"].split()) for turn in turns)
    return [text for text in texts if text]


def seconds(command: list[object], **options: object) -> tuple[float, subprocess.CompletedProcess[str]]:
    """How long a command took, and what it said."""
    started = time.monotonic()
    done = subprocess.run([str(part) for part in command], check=True, text=True, **options)  # type: ignore[call-overload]
    return time.monotonic() - started, done


def measure(folder: Path, texts: list[str]) -> dict[str, object]:
    """Both models on the same split."""
    programs = kenlm()
    (folder / "train").write_text("\n".join(t for i, t in enumerate(texts) if i % HELD_OUT) + "\n")
    (folder / "test").write_text("\n".join(t for i, t in enumerate(texts) if i % HELD_OUT == 0) + "\n")
    cargo = ["cargo", "run", "--release", "--quiet", "--package", "foretype-markov", "--example", "against_kenlm", "--"]
    ours = json.loads(subprocess.run([*cargo, folder / "train", folder / "test", folder], check=True, capture_output=True, cwd=ROOT).stdout)

    arpa, sizes, quiet = folder / "kenlm.arpa", {}, {"capture_output": True}
    lmplz = [programs / "lmplz", "-o", "5", "-S", "40%", "-T", folder, "--discount_fallback"]
    build, _ = seconds([*lmplz, "--text", folder / "train.txt", "--arpa", arpa], **quiet)
    with arpa.open() as lines:
        header = re.findall(r"ngram \d=(\d+)", "".join(islice(lines, 8)))
    # The plain trie; quantised as ours is; and with its pointers compressed as well.
    for name, options in {"trie": [], "trie_q8": ["-q", 8, "-b", 8], "trie_q8_a": ["-q", 8, "-b", 8, "-a", 22]}.items():
        binary = folder / f"{name}.bin"
        seconds([programs / "build_binary", *options, "trie", arpa, binary], **quiet)
        sizes[name] = binary.stat().st_size
    perplexities = {}
    for name in ("trie", "trie_q8"):
        with (folder / "test.txt").open() as test:
            query = [programs / "query", "-v", "summary", folder / f"{name}.bin"]
            said = seconds(query, stdin=test, **quiet)[1].stdout
        perplexities[name] = float(re.search(r"Perplexity including OOVs:\s*([\d.]+)", said).group(1))  # type: ignore[union-attr]
    ngrams = sum(map(int, header))
    return {
        "corpus_mb": round((folder / "train").stat().st_size / 1e6, 1),
        "foretype": ours | {"bytes_per_ngram": round(ours["bytes"] / ours["ngrams"], 3)},
        "kenlm": {
            "perplexity": perplexities,
            "ngrams": ngrams,
            "bytes_per_ngram": {name: round(size / ngrams, 3) for name, size in sizes.items()},
            "build_s": round(build, 2),
        },
        "perplexity_ratio": round(ours["perplexity"] / perplexities["trie"], 4),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kit", type=Path, required=True, help="folder of the evaluation kit")
    options.add_argument("--only", default="", help="files whose names contain one of these, comma-separated")
    given = options.parse_args()
    texts = messages(given.kit, [part for part in given.only.split(",") if part])
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), texts), indent=1))


if __name__ == "__main__":
    main()
