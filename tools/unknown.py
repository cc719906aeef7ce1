#!/usr/bin/env python3
"""Words of the dev sets that the lexicon does not have: how many characters charlm alone saves on them.

  tools/unknown.py --kit DIR                     the messages of DIR/data/dev, models/bundle
  tools/unknown.py --kit DIR --bundle OTHER      another bundle

Each unlisted surface is typed letter by letter, as often as it is written, and taken when the best suggestion is right, or one of the
best three: saved is what is left of it less the one key. Kinds: `variant`, listed with another case or space; `inflection`,
a listed word and an ending; `compound`, two listed words; `identifier`, with `_`, digits or capitals inside; `other`.

Then by set the words that were also new to their writers, each once, where the history is learned first: nats a word, and the
same shares, of charlm as it is and as the writer's earlier words change it.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SURFACE = re.compile(r" ?(?:\w|(?<=\w)['’](?=\w)|(?<=\d)[.,:](?=\d))+")
ENDINGS = ("s", "es", "ed", "d", "ing", "er", "ers", "ly", "ness", "able", "ability", "ize", "ized", "ization", "'s", "’s", "n't")
SHORTEST = 3


def surfaces(kit: Path) -> Counter[str]:
    """Words with the space before them, by how often they are written; no numbers."""
    counts: Counter[str] = Counter()
    for path in sorted((kit / "data/dev").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            for message in json.loads(line)["messages"]:
                found = SURFACE.findall(" ".join(message["text"].split()))
                counts.update(surface for surface in found if re.search(r"[^\W\d_]", surface))
    return counts


def example(name: str, bundle: Path, lines: list[str]) -> list[list[str]]:
    """What an example of the crate says to each line."""
    command = ["cargo", "run", "--release", "--quiet", "--package", "foretype-charlm", "--example", name, "--"]
    files = [bundle / "lexicon.fst", bundle / "chars.bin"]
    text = "".join(f"{line}\n" for line in lines)
    done = subprocess.run([*command, *files], input=text, check=True, text=True, capture_output=True, cwd=ROOT)
    return [row.split("\t") for row in done.stdout.splitlines()]


def kinds(unknown: list[str], bundle: Path) -> dict[str, str]:
    """The kind of each surface, from what the lexicon has of its parts."""
    parts: dict[str, dict[str, list[list[str]]]] = {}
    for surface in unknown:
        word = surface.strip()
        lower = word.lower()
        stems = [lower[: -len(end)] for end in ENDINGS if lower.endswith(end)]
        cuts = range(SHORTEST, len(lower) - SHORTEST + 1)
        parts[surface] = {
            "variant": [[f" {lower}"], [word], [f" {word}"]],
            "inflection": [[f" {form}"] for stem in stems if len(stem) >= SHORTEST for form in (stem, f"{stem}e")],
            "compound": [[f" {lower[:at]}", f" {lower[at:]}"] for at in cuts],
        }
    asked = sorted({part for ways in parts.values() for way in ways.values() for option in way for part in option})
    listed = {part for part, row in zip(asked, example("unknown", bundle, asked), strict=True) if row[0] == "1"}

    def kind(surface: str) -> str:
        if re.search(r"[_\d]|[a-z][A-Z]", surface):
            return "identifier"
        for name, options in parts[surface].items():
            if any(all(part in listed for part in option) for option in options):
                return name
        return "other"

    return {surface: kind(surface) for surface in unknown}


def measure(kit: Path, bundle: Path) -> dict[str, dict[str, float]]:
    """A row for each kind, and one for all."""
    counts = surfaces(kit)
    every = sorted(counts)
    answers = dict(zip(every, example("unknown", bundle, every), strict=True))
    unknown = [surface for surface in every if answers[surface][0] == "0"]
    kind = kinds(unknown, bundle)
    rows: dict[str, Counter[str]] = {}
    for surface in unknown:
        times, (_, one, three) = counts[surface], answers[surface]
        for name in (kind[surface], "all"):
            row = rows.setdefault(name, Counter())
            characters = len(surface.strip())
            row.update(words=times, characters=times * characters, saved=times * int(one), saved_of_three=times * int(three))
    return {
        name: {
            "words": row["words"],
            "characters": row["characters"],
            "saved": round(row["saved"] / row["characters"], 4),
            "saved_of_three": round(row["saved_of_three"] / row["characters"], 4),
        }
        for name, row in sorted(rows.items())
    }


def streams(kit: Path) -> list[str]:
    """What the example `adapt` reads: what each writer wrote, in order."""
    lines: list[str] = []
    for path in sorted((kit / "data/dev").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            stream = json.loads(line)
            lines.append(f"R\t{path.stem}")
            for kind, texts in (("L", stream["history"]), ("T", [message["text"] for message in stream["messages"]])):
                for text in texts:
                    lines += [f"{kind}\t{surface}" for surface in SURFACE.findall(" ".join(text.split()))]
    return lines


def adapted(kit: Path, bundle: Path) -> dict[str, dict[str, list[float]]]:
    """A row for each set, and one for all: each figure without and with what the writer taught."""
    rows: dict[str, Counter[str]] = {}
    for name, surface, *figures in example("adapt", bundle, streams(kit)):
        if not re.search(r"[^\W\d_]", surface):
            continue
        for row in (rows.setdefault(name, Counter()), rows.setdefault("all", Counter())):
            row.update(words=1, characters=len(surface.strip()))
            for column, figure in enumerate(figures):
                row[str(column)] += float(figure)  # type: ignore[assignment]
    found: dict[str, dict[str, list[float]]] = {}
    for name, row in sorted(rows.items()):
        pairs = {"nats": (0, row["words"]), "saved": (1, row["characters"]), "saved_of_three": (2, row["characters"])}
        found[name] = {"words": [row["words"]]}
        for figure, (column, units) in pairs.items():
            found[name][figure] = [round(row[str(column + shift)] / units, 4) for shift in (0, 3)]
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kit", type=Path, required=True, help="folder of the evaluation kit")
    options.add_argument("--bundle", type=Path, default=ROOT / "models/bundle", help="folder of lexicon.fst and chars.bin")
    given = options.parse_args()
    bundle = given.bundle.resolve()
    print(json.dumps({"unknown": measure(given.kit, bundle), "new to the writer": adapted(given.kit, bundle)}, indent=1))


if __name__ == "__main__":
    main()
