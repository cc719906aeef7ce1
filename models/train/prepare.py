#!/usr/bin/env python3
"""A corpus becomes packed tokens: a tokenizer of byte-level BPE with role markers, and two files a source.

  models/train/prepare.py --corpus DIR --out target/train/data                      a tokenizer of its own
  models/train/prepare.py --corpus DIR --out DIR --tokenizer models/pretrained      that of a trained model

Written to OUT, all at once: `tokenizer.json`, `NAME.train` and `NAME.held` (uint16 or uint32, one token after another) and
`data.json` with their sizes. A dialogue is `<|customer|>text<|agent|>text…<|endoftext|>`, a document
`<|author|>text<|endoftext|>`, no space after a marker. What is held out is not trained on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import vocabulary
from corpus import END, SPECIAL, Piece, Source, files, read
from data import VERSION
from errors import InputError
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

# A token of more characters than this is a phrase that one template of a corpus repeats.
LONGEST_TOKEN = 24
# Text for a tokenizer of 16k; a larger source is sampled evenly, so that it does not take all of the vocabulary.
SAMPLED = 12_000_000
# English has about 4 characters a token of its own vocabulary, other languages 2, other scripts 1.
LEAST_PER_TOKEN = 2.7
AT_ONCE = 2_000


def train_tokenizer(sources: list[Source], size: int) -> Tokenizer:
    """Byte-level BPE with GPT-2's pre-tokeniser over the training text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        min_frequency=3,
        max_token_length=LONGEST_TOKEN,
        show_progress=sys.stderr.isatty(),
    )
    tokenizer.train_from_iterator(sample(sources), trainer)
    if tokenizer.get_vocab_size() < size:
        most = tokenizer.get_vocab_size()
        raise InputError(
            f"the text gives a vocabulary of {most} tokens, not of {size}: "
            f"take a trained one with --tokenizer models/pretrained, or say --vocab {most}"
        )
    return tokenizer


def sample(sources: list[Source]) -> Iterator[str]:
    """Every k-th piece of a source, as many as make up SAMPLED characters."""
    for source in sources:
        size = sum(len(text) for found in source.train for _, text in found.turns)
        for found in source.train[:: max(1, round(size / SAMPLED))]:
            yield from (text for _, text in found.turns)


def load_tokenizer(path: Path) -> Tokenizer:
    """That of a trained model; role markers it lacks are added behind its vocabulary."""
    tokenizer = vocabulary.load(path)
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def encode(tokenizer: Tokenizer, pieces: Iterable[Piece], dtype: type) -> np.ndarray:
    """All pieces one after another."""
    ids_of = vocabulary.markers(tokenizer)
    packed: list[np.ndarray] = []
    batch: list[Piece] = []

    def flush() -> None:
        encoded = iter(tokenizer.encode_batch([text for found in batch for _, text in found.turns], add_special_tokens=False))
        ids: list[int] = []
        for found in batch:
            for role, _ in found.turns:
                ids += [ids_of[f"<|{role}|>"], *next(encoded).ids]
            ids.append(ids_of[END])
        packed.append(np.array(ids, dtype))
        batch.clear()

    for found in pieces:
        batch.append(found)
        if len(batch) == AT_ONCE:
            flush()
    flush()
    return np.concatenate(packed)


def prepare(corpus: Path, out: Path, vocab: int, trained: Path | None) -> None:
    """Reads, tokenizes and writes; an `out` that is there already is replaced at the end."""
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {text}", flush=True)

    if out.exists() and not (out / "data.json").exists():
        raise InputError(f"{out} is there and holds no prepared text: name another folder with --out")
    sources = []
    for path in files(corpus):
        source = read(path)
        say(f"{source.name}: {len(source.train)} pieces to train on, {len(source.held_out)} held out")
        sources.append(source)
    if not any(found.turns for source in sources for found in source.train):
        raise InputError(f"{corpus} holds no text")
    tokenizer = load_tokenizer(trained) if trained else train_tokenizer(sources, vocab)
    say(f"a vocabulary of {tokenizer.get_vocab_size()} tokens")
    dtype = np.uint16 if tokenizer.get_vocab_size() <= 1 << 16 else np.uint32
    beside = out.with_name(out.name + ".partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        tokenizer.save(str(beside / "tokenizer.json"))
        sizes: dict[str, dict[str, int]] = {}
        turns = 0
        for source in sources:
            # Several files may be parts of one source.
            size = sizes.setdefault(source.name, {"characters": 0, "train": 0, "held": 0})
            size["characters"] += sum(len(text) for found in source.train for _, text in found.turns)
            turns += sum(1 + len(found.turns) for found in source.train)
            for part, pieces in (("train", source.train), ("held", source.held_out)):
                ids = encode(tokenizer, pieces, dtype)
                with (beside / f"{source.name}.{part}").open("ab") as file:
                    file.write(ids.tobytes())
                size[part] += len(ids)
            say(f"{source.name}: {size['train']} tokens to train on, {size['held']} held out")
        every, tokens = (sum(size[key] for size in sizes.values()) for key in ("characters", "train"))
        # Markers and ends are no text.
        per_token = every / max(1, tokens - turns)
        if trained and per_token < LEAST_PER_TOKEN:
            print(
                f"warning: {per_token:.1f} characters a token: this tokenizer was made for text in another language; "
                "train one without --tokenizer",
                file=sys.stderr,
            )
        about = {"version": VERSION, "dtype": np.dtype(dtype).name, "vocab": tokenizer.get_vocab_size(), "sources": sizes}
        (beside / "data.json").write_text(json.dumps(about, indent=1) + "\n")
        if out.exists():
            shutil.rmtree(out)
        os.replace(beside, out)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    say(f"{tokens} tokens in {out}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--corpus", type=Path, required=True, help="folder of .jsonl or .jsonl.gz files")
    options.add_argument("--out", type=Path, required=True, help="folder to write; what is there is replaced")
    options.add_argument("--vocab", type=int, default=16_384, help="tokens of a new tokenizer (default: 16384)")
    options.add_argument("--tokenizer", type=Path, help="tokenizer.json or folder of a trained model, instead of a new one")
    given = options.parse_args()
    try:
        prepare(given.corpus, given.out, given.vocab, given.tokenizer)
    except (InputError, OSError) as error:
        sys.exit(f"prepare: {error}")


if __name__ == "__main__":
    main()
