"""A corpus: a folder of JSON Lines, dialogues and documents, some of it held out by writer.

A dialogue is `{"source", "turns": [{"role": "customer" | "agent" | "author", "text"}]}`, a document `{"source", "author",
"time", "text"}`. What is held out is chosen as `foretype build` chooses it, so that neither the GPT-2 nor the other models
have learned what the ensemble's weights are fitted on.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from errors import InputError

ROLES = ("customer", "agent", "author")
END = "<|endoftext|>"
# White space and control characters.
BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
SPECIAL = [END, *(f"<|{role}|>" for role in ROLES)]

# One held-out share of each source, in messages; a writer with more than LARGEST of them is its voice and stays.
HELD_OUT = 0.02
LARGEST = 0.015
# Of fewer messages none can be spared.
LEAST = 50


class Piece(NamedTuple):
    """A dialogue, or one document of an author."""

    author: str | None
    turns: list[tuple[str, str]]


class Source(NamedTuple):
    """One file of the corpus."""

    name: str
    train: list[Piece]
    held_out: list[Piece]


def files(folder: Path) -> list[Path]:
    """The corpus files of a folder, in name order."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: name the folder of your corpus")
    found = sorted(path for path in folder.iterdir() if path.name.endswith((".jsonl", ".jsonl.gz")))
    if not found:
        raise InputError(f"{folder} holds no .jsonl or .jsonl.gz file: name the folder of your corpus")
    return found


def clean(text: str) -> str:
    """The text as the service shows it to the model, without what would be read as a marker.

    Every run of white space or control characters is one space (`markov::segment::normalise`).
    """
    for marker in SPECIAL:
        text = text.replace(marker, " ")
    return BLANK.sub(" ", text).strip(" ")


def piece(record: object) -> Piece | None:
    """A record's turns, None if it has no text; raises ValueError with what is wrong."""
    if not isinstance(record, dict):
        raise ValueError("a record is an object with `turns` or `text`")
    if "turns" not in record and "text" not in record:
        raise ValueError("neither `turns` nor `text`")
    turns = record.get("turns") or []
    if not isinstance(turns, list):
        raise ValueError("`turns` is a list")
    turns = list(turns)
    if record.get("text") is not None:
        turns.append({"role": "author", "text": record["text"]})
    kept, said = [], False
    for turn in turns:
        if not isinstance(turn, dict) or not isinstance(turn.get("text"), str):
            raise ValueError("a turn is an object with `role` and `text`")
        if turn.get("role") not in ROLES:
            raise ValueError(f"the role {turn.get('role')!r} is none of {', '.join(ROLES)}")
        # A text of markers only counts: the numbers of the others are those that `foretype build` gives them.
        said |= bool(turn["text"].strip())
        if text := clean(turn["text"]):
            kept.append((turn["role"], text))
    author = record.get("author")
    if author is not None and not isinstance(author, str):
        raise ValueError("`author` is a string")
    for text in (author or "", *(text for _, text in kept)):
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise ValueError("half of a surrogate pair: a character was cut in two")
    return Piece(author, kept) if said else None


def records(path: Path) -> Iterator[tuple[int, object]]:
    """The records of a file with the numbers of their lines."""
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}, line {number}: not UTF-8 ({error.reason} at byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {number}: not JSON ({error.msg} at column {error.colno})") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read after line {number}: {error}") from None


def read(path: Path) -> Source:
    """Reads a file and splits off what is held out."""
    pieces: list[Piece] = []
    name = ""
    for number, record in records(path):
        try:
            found = piece(record)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: {error}") from None
        name = name or str(record.get("source") or "")
        if found:
            pieces.append(found)
    return Source(file_name(name) or file_name(path.name.split(".")[0]) or "text", *split(pieces))


def file_name(name: str) -> str:
    """A source's name as that of a file."""
    return "".join(letter if letter.isalnum() or letter in "_.-" else "_" for letter in name).strip(".")


def split(pieces: list[Piece]) -> tuple[list[Piece], list[Piece]]:
    """Holds out whole writers (or whole dialogues), chosen by hash; writers with a history first.

    Where there are a few writers only, each with much, single pieces are held out instead.
    """
    if len(pieces) < LEAST:
        return pieces, []
    keys = [f"#{at}" if found.author is None else found.author for at, found in enumerate(pieces)]
    sizes = Counter(keys)
    largest = max(1, int(len(pieces) * LARGEST))
    if min(sizes.values()) > largest:
        keys = [f"#{at}" for at in range(len(pieces))]
        sizes = Counter(keys)
    order = sorted(
        (key for key, size in sizes.items() if size <= largest),
        key=lambda key: (sizes[key] < 20, zlib.crc32(key.encode()), key),
    )
    chosen: set[str] = set()
    held = 0
    for key in order:
        if held >= len(pieces) * HELD_OUT:
            break
        held += sizes[key]
        chosen.add(key)
    train, held_out = [], []
    for key, found in zip(keys, pieces, strict=True):
        (held_out if key in chosen else train).append(found)
    return train, held_out
