#!/usr/bin/env python3
"""Corrections of a running Foretype in the messages of the dev sets: how often right, how sure, how often unwanted.

  tools/corrections.py --kit DIR --url http://127.0.0.1:8080

Slips as in tools/speller.py are put into words of the messages, and the service is asked, `corrections` on and nobody named,
where the typing stops. `answered`: the first suggestion replaces what was typed; `right`: by the word that was meant;
`confidence`: what the answers said of that on average, `ece` its expected calibration error in ten bins.
`unwanted` asks at every letter of words typed without a slip: the share where the first suggestion replaces one, at the
server's own threshold.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from speller import KINDS

SIZE = 400
WORD = re.compile(r"(?<![\w'’])[A-Za-z]{4,}(?![\w'’])")
MESSAGES = 200


def messages(kit: Path) -> list[dict[str, object]]:
    """The messages of all sets, with their context."""
    paths = sorted((kit / "data/dev").glob("*.jsonl"))
    lines = (line for path in paths for line in path.read_text(encoding="utf-8").splitlines())
    return [message for line in lines for message in json.loads(line)["messages"]]


def ask(url: str, context: object, text: str, **more: object) -> dict[str, object] | None:
    """The first suggestion, if it replaces something."""
    body = {"text": text, "context": context, "corrections": True, "budget_ms": 100, **more}
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/complete", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as reply:
        first = json.load(reply)["suggestions"][:1]
    return first[0] if first and first[0].get("replace") else None


def mistyped(kind: str, all_messages: list[dict[str, object]]) -> Iterator[tuple[object, str, str]]:
    """(context, draft that ends in a mistyped prefix, the word meant), SIZE times."""
    chance, made = random.Random(kind), 0
    while made < SIZE:
        message = chance.choice(all_messages)
        found = list(WORD.finditer(str(message["text"])))
        word = chance.choice(found) if found else None
        slip = KINDS[kind](word[0].lower(), chance) if word and word[0].islower() else None
        if word is None or slip is None:
            continue
        wrong, end = slip
        typed = wrong[: chance.randint(min(max(3, end), len(wrong)), len(wrong))]
        if len(typed) >= 3 and not word[0].startswith(typed):
            made += 1
            yield message["context"], str(message["text"])[: word.start()] + typed, word[0]


def calibration(marks: list[tuple[float, bool]]) -> float:
    """Expected calibration error in ten bins."""
    bins: dict[int, list[tuple[float, bool]]] = {}
    for mark in marks:
        bins.setdefault(min(9, int(mark[0] * 10)), []).append(mark)
    return sum(abs(sum(p for p, _ in one) - sum(ok for _, ok in one)) for one in bins.values()) / max(1, len(marks))


def measure(kit: Path, url: str) -> dict[str, object]:
    """A row for each kind of slip, and the share of right words that would be replaced."""
    every, result = messages(kit), {}
    for kind in KINDS:
        marks = []
        for context, draft, meant in mistyped(kind, every):
            if answer := ask(url, context, draft, min_confidence=0):
                marks.append((float(str(answer["confidence"])), str(answer["text"]).split()[0] == meant))
        result[kind] = {
            "answered": round(len(marks) / SIZE, 3),
            "right": round(sum(ok for _, ok in marks) / max(1, len(marks)), 3),
            "confidence": round(sum(p for p, _ in marks) / max(1, len(marks)), 3),
            "ece": round(calibration(marks), 3),
        }
    asked = unwanted = 0
    for message in random.Random(0).sample(every, min(MESSAGES, len(every))):
        text = str(message["text"])
        for word in WORD.finditer(text):
            for end in range(word.start() + 3, word.end() + 1):
                asked += 1
                unwanted += ask(url, message["context"], text[:end]) is not None
    return result | {"unwanted": {"asked": asked, "share": round(unwanted / max(1, asked), 5)}}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kit", type=Path, required=True, help="folder of the evaluation kit")
    options.add_argument("--url", default="http://127.0.0.1:8080", help="where the service listens")
    given = options.parse_args()
    print(json.dumps(measure(given.kit, given.url), indent=1))


if __name__ == "__main__":
    main()
