#!/usr/bin/env python3
"""Mistyped prefixes: how often the right word is among the first three, of charlm, hunspell and pyspellchecker.

  tools/speller.py --kit DIR                     words of DIR/data/dev, slips of every kind, models/bundle
  tools/speller.py --kit DIR --bundle OTHER      another bundle
  tools/speller.py --kit DIR --times             what charlm is asked at a key takes, right prefixes and mistyped ones

Each kind of slip is put into words of the dev sets' messages, drawn as often as they occur, of four small letters or
more; the typing stops somewhere between the slip and the end of the word. `misspelling` takes what people really
wrote from the list of codespell instead. What still begins a listed word may be no mistake; `nowhere` is the share that
leads nowhere, and the other columns are of those.
Spellers that know whole words only are asked the same, and in the rows `whole word` for words typed to their end.

hunspell is Debian's (apt install hunspell hunspell-en-us); pyspellchecker and codespell come from PyPI into .tools/speller.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SPELLERS = ROOT / ".tools" / "speller"
PACKAGES = ("pyspellchecker==0.9.1", "codespell==2.4.3")
SIZE = 400
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
SHIFTS = (0, 0.25, 0.75)
KEYS = {key: (x + shift, y) for y, (row, shift) in enumerate(zip(ROWS, SHIFTS, strict=True)) for x, key in enumerate(row)}

# The whole word with its slip, and how many letters show it.
Slip = tuple[str, int]


class Case(NamedTuple):
    """What was typed so far, the whole word with its slip, the word meant."""

    typed: str
    wrong: str
    meant: str


class Answer(NamedTuple):
    """What a speller said to one question, and how long that took."""

    micros: float
    words: list[str]
    nowhere: bool
    # Microseconds of all that is asked at such a key.
    in_all: float = 0.0


def beside(key: str) -> list[str]:
    """The keys next to one, in a row or on the slant."""
    x, y = KEYS[key]
    return [k for k, (u, v) in sorted(KEYS.items()) if k != key and abs(x - u) <= 1 and abs(y - v) <= 1]


def transposed(word: str, chance: random.Random) -> Slip | None:
    at = chance.randrange(len(word) - 1)
    return (word[:at] + word[at + 1] + word[at] + word[at + 2 :], at + 2) if word[at] != word[at + 1] else None


def missing(word: str, chance: random.Random) -> Slip:
    at = chance.randrange(1, len(word) - 1)
    return word[:at] + word[at + 1 :], at + 1


def doubled(word: str, chance: random.Random) -> Slip:
    at = chance.randrange(len(word))
    return word[: at + 1] + word[at:], at + 2


def neighbour(word: str, chance: random.Random) -> Slip:
    at = chance.randrange(1, len(word))
    return word[:at] + chance.choice(beside(word[at])) + word[at + 1 :], at + 1


KINDS = {"transposed": transposed, "missing": missing, "doubled": doubled, "neighbour": neighbour}


def packages() -> None:
    """The Python spellers, fetched once."""
    if not (SPELLERS / "spellchecker").exists():
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", SPELLERS, *PACKAGES], check=True)
    sys.path.insert(0, str(SPELLERS))


def words(kit: Path) -> Counter[str]:
    """How often each word of four small letters or more is written in the dev sets."""
    counts: Counter[str] = Counter()
    for path in sorted((kit / "data/dev").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            for message in json.loads(line)["messages"]:
                counts.update(re.findall(r"(?<![\w'’])[a-z]{4,}(?![\w'’])", message["text"]))
    return counts


def written(kit: Path) -> Iterator[str]:
    """The surfaces of what the dev sets' writers wrote before, those with most identifiers first."""
    for name in ("engineer-notes", "expert-mail", "finance-meetings"):
        for line in (kit / f"data/dev/{name}.jsonl").read_text(encoding="utf-8").splitlines():
            for message in json.loads(line)["history"]:
                text = message if isinstance(message, str) else message["text"]
                yield from re.findall(r" ?[\w'’]+", " ".join(text.split()))


def misspellings() -> dict[str, list[str]]:
    """What codespell's list has for each right word."""
    found: dict[str, list[str]] = {}
    for line in (SPELLERS / "codespell_lib/data/dictionary.txt").read_text(encoding="utf-8").splitlines():
        wrong, right = line.split("->")
        if re.fullmatch(r"[a-z]{4,}", wrong) and re.fullmatch(r"[a-z]{4,}", right):
            found.setdefault(right, []).append(wrong)
    return found


def real(word: str, wrong: str) -> Slip:
    """A misspelling and where it departs from the word."""
    same = next((i for i, (a, b) in enumerate(zip(wrong, word, strict=False)) if a != b), min(len(wrong), len(word)))
    return wrong, same + 1


def slips(kind: str, counts: Counter[str]) -> list[Case]:
    """SIZE mistyped words as often as they are written."""
    chance = random.Random(kind)
    listed = misspellings() if kind == "misspelling" else {}
    usable = sorted(word for word in counts if not listed or word in listed)
    weights = [counts[word] for word in usable]
    made: list[Case] = []
    while len(made) < SIZE:
        word = chance.choices(usable, weights)[0]
        slip = real(word, chance.choice(listed[word])) if listed else KINDS[kind](word, chance)
        if slip is None:
            continue
        wrong, end = slip
        typed = wrong[: chance.randint(min(max(3, end), len(wrong)), len(wrong))]
        if len(typed) >= 3 and not word.startswith(typed):
            made.append(Case(typed, wrong, word))
    return made


def charlm(bundle: Path, typed: list[str], writer: Path | None = None) -> list[Answer]:
    """The example of the crate, a line each; `writer` has surfaces of one who has taught it."""
    command = ["cargo", "run", "--release", "--quiet", "--package", "foretype-charlm", "--example", "correct", "--"]
    files = [bundle / "lexicon.fst", bundle / "chars.bin", *([writer] if writer else [])]
    lines = "".join(f"{line}\n" for line in typed)
    done = subprocess.run([*command, *files], input=lines, check=True, text=True, capture_output=True, cwd=ROOT)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return [Answer(float(row[0]), [word for word in row[3:] if word], row[2] == "1", float(row[1])) for row in rows]


def hunspell(typed: list[str]) -> list[Answer]:
    """Debian's hunspell with its American dictionary, asked word by word through a pipe."""
    answers = []
    with subprocess.Popen(["hunspell", "-a", "-d", "en_US"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as pipe:
        assert pipe.stdin and pipe.stdout
        pipe.stdout.readline()
        for word in typed:
            started = time.perf_counter()
            pipe.stdin.write(f"^{word}\n")
            pipe.stdin.flush()
            said = pipe.stdout.readline()
            while pipe.stdout.readline().strip():
                pass
            micros = (time.perf_counter() - started) * 1e6
            words = said.split(": ", 1)[1].strip().split(", ") if said.startswith("&") else []
            answers.append(Answer(micros, words, True))
        pipe.stdin.close()
    return answers


def pyspellchecker(typed: list[str]) -> list[Answer]:
    """Norvig's method with the package's English word frequencies."""
    from spellchecker import SpellChecker  # type: ignore[import-not-found]

    speller, answers = SpellChecker(), []
    for word in typed:
        started = time.perf_counter()
        words = sorted(speller.candidates(word) or [], key=lambda found: (-speller.word_usage_frequency(found), found))
        answers.append(Answer((time.perf_counter() - started) * 1e6, words, True))
    return answers


def first_three(answers: list[Answer], meant: list[str]) -> float:
    hits = sum(word in answer.words[:3] for answer, word in zip(answers, meant, strict=True))
    return round(hits / max(1, len(meant)), 3)


def percentiles(answers: list[Answer]) -> list[float]:
    """Microseconds at p50 and p99."""
    times = sorted(answer.micros for answer in answers)
    return [round(times[int(share * (len(times) - 1))], 1) for share in (0.5, 0.99)]


def measure(kit: Path, bundle: Path) -> dict[str, object]:
    """A row for each kind of slip and each of the two questions."""
    packages()
    counts = words(kit)
    result: dict[str, object] = {}
    times: dict[str, list[Answer]] = {}
    for kind in (*KINDS, "misspelling"):
        made = slips(kind, counts)
        for question in ("typed", "wrong"):
            asked = [getattr(case, question) for case in made]
            ours = charlm(bundle, asked)
            astray = [i for i, answer in enumerate(ours) if answer.nowhere]
            typed, meant = [asked[i] for i in astray], [made[i].meant for i in astray]
            row: dict[str, float] = {"nowhere": round(len(astray) / len(made), 3)}
            for name, answers in {
                "charlm": [ours[i] for i in astray], "hunspell": hunspell(typed), "pyspellchecker": pyspellchecker(typed)
            }.items():  # fmt: skip
                row[name] = first_three(answers, meant)
                times.setdefault(name, []).extend(answers)
            result[f"{kind}, {'prefix' if question == 'typed' else 'whole word'}"] = row
    result["microseconds, p50 and p99"] = {name: percentiles(answers) for name, answers in times.items()}
    return result


def at_a_key(kit: Path, bundle: Path) -> dict[str, list[float]]:
    """Microseconds of all that charlm is asked at a key, p50 and p99."""
    counts = words(kit)
    drawn = random.Random(SIZE).choices(list(counts), weights=list(counts.values()), k=20 * SIZE)
    right = [word[: 1 + index % len(word)] for index, word in enumerate(drawn)]
    wrong = [case.typed for kind in KINDS for case in slips(kind, counts)]
    asked: dict[str, list[Answer]] = {}
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.writelines(f"{surface}\n" for surface in dict.fromkeys(written(kit)))
        file.flush()
        for who, writer in (("", None), (", 500 own words", Path(file.name))):
            asked[f"right prefixes{who}"] = charlm(bundle, right, writer)
            asked[f"leading nowhere{who}"] = [answer for answer in charlm(bundle, wrong, writer) if answer.nowhere]
    return {name: percentiles([answer._replace(micros=answer.in_all) for answer in answers]) for name, answers in asked.items()}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kit", type=Path, required=True, help="folder of the evaluation kit")
    options.add_argument("--bundle", type=Path, default=ROOT / "models/bundle", help="folder of lexicon.fst and chars.bin")
    options.add_argument("--times", action="store_true", help="only what charlm takes")
    given = options.parse_args()
    work = at_a_key if given.times else measure
    print(json.dumps(work(given.kit, given.bundle.resolve()), indent=1))


if __name__ == "__main__":
    main()
