#!/usr/bin/env python3
"""Words of the training text taken for slips of others: how many misspellings are among them, and how many words.

  tools/slips.py --kit DIR            the text of DIR/data/train
  tools/slips.py --kit DIR --list     also the slips, the most frequent first

Of what is seen at least twice and one slip from a word that is seen a hundred times: `misspellings` are in codespell's list
(and not in the dictionary), `words` in hunspell's en_US dictionary (apt install hunspell hunspell-en-us), `others` in neither.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import subprocess
from collections import Counter
from pathlib import Path

from speller import ROOT, misspellings, packages

SURFACE = re.compile(r" ?[^\W\d_]+(?:['’][^\W\d_]+)*")
COMMON = 100


def surfaces(kit: Path) -> Counter[str]:
    """Words with the space before them, by how often they are written."""
    counts: Counter[str] = Counter()
    for path in sorted((kit / "data/train").glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                for text in [record.get("text") or "", *(turn["text"] for turn in record.get("turns", []))]:
                    counts.update(SURFACE.findall(" ".join(text.split())))
    return counts


def found(counts: Counter[str]) -> dict[str, str]:
    """Each slip with the word meant."""
    command = ["cargo", "run", "--release", "--quiet", "--package", "foretype-charlm", "--example", "slips"]
    lines = "".join(f"{surface}\t{count}\n" for surface, count in counts.items())
    done = subprocess.run(command, input=lines, check=True, text=True, capture_output=True, cwd=ROOT)
    return dict(line.split("\t") for line in done.stdout.splitlines())


def unknown(words: list[str]) -> set[str]:
    """Those that the dictionary has neither in small letters nor as names."""
    refused = set(words)
    for form in (str.lower, str.capitalize):
        text = "\n".join(form(word) for word in words)
        done = subprocess.run(["hunspell", "-d", "en_US", "-l"], input=text, check=True, text=True, capture_output=True)
        refused &= {word.lower() for word in done.stdout.split()}
    return refused


def edits(word: str) -> set[str]:
    """Everything one slip away."""
    letters = "abcdefghijklmnopqrstuvwxyz'"
    halves = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    removed = {a + b[1:] for a, b in halves if b}
    swapped = {a + b[1] + b[0] + b[2:] for a, b in halves if len(b) > 1}
    replaced = {a + c + b[1:] for a, b in halves if b for c in letters}
    return removed | swapped | replaced | {a + c + b for a, b in halves for c in letters}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kit", type=Path, required=True, help="folder of the evaluation kit")
    options.add_argument("--list", action="store_true", help="also print the slips")
    given = options.parse_args()
    packages()
    counts = surfaces(given.kit)
    slips = found(counts)
    words: Counter[str] = Counter()
    for surface, count in counts.items():
        words[surface.strip().lower().replace("’", "'")] += count
    near = {edit for word, count in words.items() if count >= COMMON for edit in edits(word)}
    rare = [word for word, count in words.items() if count >= 2 and len(word) > 3 and word in near]
    listed = {wrong for wrongs in misspellings().values() for wrong in wrongs}
    refused = unknown(rare)
    kinds = {word: "words" if word not in refused else "misspellings" if word in listed else "others" for word in rare}
    every, taken = Counter(kinds.values()), Counter(kind for word, kind in kinds.items() if word in slips)
    print(json.dumps({"slips": len(slips)} | {kind: {"all": every[kind], "slips": taken[kind]} for kind in sorted(every)}, indent=1))
    if given.list:
        for slip in sorted(slips, key=lambda slip: (-words[slip], slip)):
            print(f"{slip}\t{slips[slip]}\t{words[slip]}\t{words[slips[slip]]}\t{kinds.get(slip, 'once')}")


if __name__ == "__main__":
    main()
