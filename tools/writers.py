#!/usr/bin/env python3
"""Measures what each part of the personal model's estimate is worth, on writers of the training text.

  tools/writers.py --kit DIR          writers of DIR/data/train, each with 60,000 characters of history
  tools/writers.py --kit DIR --dev    the streams of DIR/data/dev: only to confirm, nothing is chosen by them
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Sources with writers of their own, and how many of these.
SOURCES = {"fomc_1976_1993": 8, "commits_openstack_nova": 8, "commits_httpd": 6, "irc": 1, "podcasts": 6}
DEV = ["support-chat", "customer-care", "finance-meetings", "engineer-notes", "expert-mail"]
# Characters that are learned first, and characters that are predicted.
HISTORY, PREDICTED = 60_000, 9_000


def line(source: str, writer: str, kind: str, conversation: list[str], text: str) -> str:
    """A message as the example reads it."""
    return "\t".join([source, writer, kind, "\x01".join(conversation), one_line(text)])


def one_line(text: str) -> str:
    """Without tabs and line ends."""
    return " ".join(text.split())


def training(kit: Path) -> Iterator[str]:
    """The writers of each source who wrote enough, the most productive ones left out: one of them could be a program."""
    for source, count in SOURCES.items():
        writers: dict[str, list[tuple[str, str]]] = {}
        with gzip.open(kit / f"data/train/{source}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for record in map(json.loads, lines):
                writers.setdefault(record["author"], []).append((record.get("time", ""), record["text"]))
        size = {writer: sum(len(text) for _, text in messages) for writer, messages in writers.items()}
        able = sorted((w for w in writers if size[w] > 1.2 * (HISTORY + PREDICTED)), key=lambda w: -size[w])
        for writer in able[len(able) // 4 :][:count]:
            seen = 0
            for _, text in sorted(writers[writer]):
                if seen < HISTORY + PREDICTED:
                    yield line(source, writer, "h" if seen < HISTORY else "m", [], text)
                seen += len(text)


def dev(kit: Path) -> Iterator[str]:
    """The streams that are measured elsewhere."""
    for source in DEV:
        with (kit / f"data/dev/{source}.jsonl").open(encoding="utf-8") as lines:
            for number, stream in enumerate(map(json.loads, lines)):
                yield from (line(source, str(number), "h", [], text) for text in stream["history"])
                for message in stream["messages"]:
                    turns = [turn["role"][0] + one_line(turn["text"]) for turn in message["context"]]
                    yield line(source, str(number), "m", turns, message["text"])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kit", type=Path, required=True, help="folder of the evaluation kit")
    options.add_argument("--dev", action="store_true", help="the measuring streams instead of training text")
    given = options.parse_args()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv", encoding="utf-8") as file:
        file.write("".join(text + "\n" for text in (dev if given.dev else training)(given.kit)))
        file.flush()
        run = ["cargo", "run", "--release", "--quiet", "--package", "foretype-markov", "--example", "estimates", "--", file.name]
        subprocess.run(run, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
