#!/usr/bin/env python3
"""What a writer's nearest messages are worth to the GPT-2: as an n-gram, by gradient steps, or in front of the text.

  models/train/neighbours.py --kit DIR                                     five messages of each writer of three dev sets
  models/train/neighbours.py --kit DIR --limit 2 --optimizer adamw --rate 1e-4      fewer, and no rates tried

Test-Time Training on Nearest Neighbors (Hardt and Sun 2024, arXiv 2305.18466): one step on each of the 20 to 50 nearest texts,
from the nearest to the farthest, then the prediction, then the weights as they were. Here the texts are what the writer sent
before, by BM25 over words; the query is the conversation and the first words of the message (--known), and what is scored is
the rest of it, the same tokens in every row. (The paper's code looks up by the very text that it scores, unless told to split it.)

Rows: the GPT-2 as it is; with an n-gram of the neighbours mixed in, which counts the nearest most; after the steps; after them
with the n-gram. Each with nothing in front of the message, with the writer's newest messages, as the service does it, and
with the nearest, as many tokens as fit. The n-gram's shares are learned as the messages of a set go, each token after it was
scored. The rate is chosen on the last message of some writers' histories (--tried), which is not scored.

Prints one JSON line at the end. Milliseconds are processor time of one thread, fp32.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
import vocabulary
from corpus import clean, records
from errors import InputError
from model import GPT2, loss
from recall import Index, Ngram, Shares
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
# Those with a history for each writer.
SETS = ("finance-meetings", "engineer-notes", "expert-mail")
# The paper's for 117 M parameters is AdamW at 2e-5; plain gradient descent wants larger ones.
RATES = {"adamw": (2e-5, 1e-4, 5e-4), "sgd": (0.03, 0.3)}
OPTIMIZERS = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
# The paper's code: gradients are clipped to a norm of 1.
CLIPPED = 1.0
WINDOWS = ("nothing", "newest", "nearest")
METHODS = ("none", "n-gram", "gradient", "both")
RESAMPLED = 2_000


class Case(NamedTuple):
    """A message about to be written, and what is known then."""

    # Its marker and tokens, and where those that are scored begin.
    ids: list[int]
    start: int
    # The turns of the conversation, and what the writer sent before, newest last; each with its marker.
    conversation: list[list[int]]
    past: list[list[int]]
    # Number in `past` and nearness of each neighbour, 1 for the nearest, nearest first.
    near: list[tuple[int, float]]
    # Of looking them up.
    milliseconds: float


class Clock:
    """Milliseconds of this thread since it was made."""

    def __init__(self) -> None:
        self.began = time.thread_time()

    def read(self) -> float:
        return 1e3 * (time.thread_time() - self.began)


def kit_streams(kit: Path, name: str) -> list[dict]:
    """The streams of a dev set."""
    path = kit / f"data/dev/{name}.jsonl"
    if not path.exists():
        raise InputError(f"{path} does not exist: --kit is the folder with data/dev")
    found = []
    for number, stream in records(path):
        try:
            texts = [*stream["history"], *(said["text"] for message in stream["messages"] for said in (message, *message["context"]))]
        except (KeyError, TypeError) as error:
            raise InputError(f"{path}, line {number}: a stream is an object with `history` and `messages`, each with `context` and `text` ({error!r})") from None
        if not all(isinstance(text, str) for text in texts):
            raise InputError(f"{path}, line {number}: a text is a string")
        found.append(stream)
    return found


def told(text: str, known: int) -> int:
    """Where the first so many words of a text end."""
    ends = [0, *(word.end() for word in re.finditer(r"\S+", text))]
    return ends[known] if known < len(ends) else len(text)


def cases(stream: dict, tokenizer: Tokenizer, given: argparse.Namespace, positions: int, last: int = 0) -> Iterator[Case]:
    """The messages of a stream that have something to score; with `last` so many at the end of the history in their place."""
    history = [text for text in map(clean, stream["history"]) if text]
    messages = stream["messages"][: given.limit]
    if last:
        history, messages = history[:-last], [{"context": [], "text": text} for text in history[-last:]]
    index, past = Index(), []

    def sent(text: str, role: str) -> None:
        index.add(text)
        past.extend(vocabulary.turns(tokenizer, [(role, text)]))

    for text in history:
        sent(text, "agent" if messages and messages[0]["context"] else "author")
    for message in messages:
        text, turns = clean(message["text"]), [(said["role"], clean(said["text"])) for said in message["context"]]
        role = "agent" if turns else "author"
        encoded = tokenizer.encode(text, add_special_tokens=False)
        end = told(text, given.known)
        start = 1 + next((at for at, (begins, _) in enumerate(encoded.offsets) if begins >= end), len(encoded.ids))
        (ids,) = vocabulary.turns(tokenizer, [(role, text)])
        ids = ids[:positions]
        if start < len(ids):
            clock = Clock()
            found = index.nearest(" ".join([*(said for _, said in turns), text[:end]]), given.neighbours)
            near = [(at, score / found[0][1]) for at, score in found]
            yield Case(ids, start, vocabulary.turns(tokenizer, turns), past.copy(), near, clock.read())
        if text:
            sent(text, role)


def fitted(turns: list[list[int]], room: int) -> list[int]:
    """The last tokens of turns that fit; of a turn that is cut its marker stays."""
    kept: list[int] = []
    for turn in reversed(turns):
        if len(kept) + 2 > room:
            break
        kept = turn[:1] + turn[1:][-(room - len(kept) - 1) :] + kept
    return kept


class Steps:
    """A model that takes one step on each text and is then put back, to the bit."""

    def __init__(self, model: GPT2, optimizer: str, rate: float) -> None:
        self.model, self.kind, self.rate = model, optimizer, rate
        self.kept = [weights.detach().clone() for weights in model.parameters()]
        self.reset()

    def take(self, ids: list[int]) -> int:
        """One step; of a text that is longer than the model's windows one on each, as the paper's code does. Says how many."""
        length, taken = self.model.shape.positions, 0
        for at in range(0, len(ids) - 1, length):
            self.optimizer.zero_grad()
            loss(self.model, torch.tensor([ids[at : at + length + 1]]), torch.float32).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIPPED)
            self.optimizer.step()
            taken += 1
        return taken

    @torch.no_grad()
    def reset(self) -> None:
        """The weights as they were, and an optimizer that knows of no step."""
        for weights, kept in zip(self.model.parameters(), self.kept, strict=True):
            weights.copy_(kept)
            weights.grad = None
        self.optimizer = OPTIMIZERS[self.kind](self.model.parameters(), lr=self.rate, fused=True)


@torch.no_grad()
def probabilities(model: GPT2, before: list[int], case: Case) -> np.ndarray:
    """Of the message's scored tokens, behind what is in front of it."""
    ids = torch.tensor([before + case.ids])
    hidden = model(ids[:, :-1])[0, len(before) + case.start - 1 :]
    shares = F.linear(hidden, model.wte.weight).double().softmax(-1)
    return shares.gather(1, ids[0, len(before) + case.start :, None])[:, 0].numpy()


def nats(probs: np.ndarray) -> float:
    return -float(np.log(probs).sum())


class Measured:
    """Nats and milliseconds of each row, a number for each message."""

    def __init__(self) -> None:
        self.nats: dict[tuple[str, str], list[float]] = {(window, method): [] for window in WINDOWS for method in METHODS}
        self.prepared = {method: [] for method in METHODS}
        self.passed: dict[str, list[float]] = {window: [] for window in WINDOWS}
        self.tokens: list[int] = []
        self.sets: list[str] = []
        self.near: list[int] = []
        self.steps: list[int] = []

    def rows(self) -> list[dict[str, object]]:
        """Each row of the table: nats a token of each set and of all tokens, and what is gained over nothing at all."""
        tokens, sets = np.array(self.tokens), np.array(self.sets)
        plain = np.array(self.nats["nothing", "none"])
        drawn = np.random.default_rng(0).integers(0, len(tokens), (RESAMPLED, len(tokens)))
        rows = []
        for (window, method), each in self.nats.items():
            found, gained = np.array(each), plain - np.array(each)
            in_set = {name: round(float(found[sets == name].sum() / tokens[sets == name].sum()), 4) for name in dict.fromkeys(self.sets)}
            whole = float(found.sum() / tokens.sum())
            # Messages are drawn anew, as many as there are, again and again.
            low, high = np.percentile(gained[drawn].sum(1) / tokens[drawn].sum(1), [2.5, 97.5])
            row = {"window": window, "method": method, "nats": in_set | {"all": round(whole, 4)}, "perplexity": round(float(np.exp(whole)), 2)}
            row |= {"gain": round(float(gained.sum() / tokens.sum()), 4), "ci95": [round(float(low), 4), round(float(high), 4)]}
            prepared, passed = np.median(self.prepared[method]), np.median(self.passed[window])
            rows.append(row | {"prepare_ms": round(float(prepared), 2), "pass_ms": round(float(passed), 1)})
        return rows


class Comparison:
    """All rows at once, message after message."""

    def __init__(self, steps: Steps, end: int, order: int) -> None:
        self.steps, self.end, self.order = steps, end, order
        self.measured = Measured()
        self.name = ""
        self.shares: dict[tuple[str, str], Shares] = {}

    def begin(self, name: str) -> None:
        """A set's first message is next: its shares are learned from nothing."""
        self.name = name
        self.shares = {(window, method): Shares() for window in WINDOWS for method in ("n-gram", "both")}

    def add(self, case: Case) -> None:
        """Scores a message in every row."""
        model, into = self.steps.model, self.measured
        texts = [[*case.past[at], self.end] for at, _ in case.near]
        turns = {"nothing": [], "newest": case.past, "nearest": [case.past[at] for at, _ in reversed(case.near)]}
        fronts = {window: fitted(turns[window] + case.conversation, model.shape.positions - len(case.ids)) for window in WINDOWS}
        clock = Clock()
        ngram = Ngram(((ids, nearness) for ids, (_, nearness) in zip(texts, case.near, strict=True)), self.order)
        counted = clock.read()
        levels = [ngram.levels(case.ids[:at]) for at in range(case.start, len(case.ids))]
        plain = {}
        for window, before in fronts.items():
            clock = Clock()
            plain[window] = probabilities(model, before, case)
            into.passed[window].append(clock.read())
        clock = Clock()
        into.steps.append(sum(self.steps.take(ids) for ids in texts))
        stepped = clock.read()
        tuned = {window: probabilities(model, before, case) for window, before in fronts.items()}
        clock = Clock()
        self.steps.reset()
        stepped += clock.read()
        for window in WINDOWS:
            for base, alone, mixed in ((plain[window], "none", "n-gram"), (tuned[window], "gradient", "both")):
                shares = self.shares[window, mixed]
                scored = zip(levels, case.ids[case.start :], base, strict=True)
                into.nats[window, alone].append(nats(base))
                into.nats[window, mixed].append(nats(np.array([shares.learn(*token) for token in scored])))
        found = case.milliseconds
        costs = {"none": 0.0, "n-gram": found + counted, "gradient": found + stepped, "both": found + counted + stepped}
        for method, cost in costs.items():
            into.prepared[method].append(cost)
        into.tokens.append(len(case.ids) - case.start)
        into.sets.append(self.name)
        into.near.append(len(case.near))


def rates(model: GPT2, tried: list[Case], end: int) -> list[dict[str, object]]:
    """Nats a token after the steps, of each optimizer and rate; nothing is in front of the messages."""
    if not tried:
        raise InputError("no history is long enough to choose a rate on: say --optimizer and --rate")
    tokens = sum(len(case.ids) - case.start for case in tried)
    plain = sum(nats(probabilities(model, [], case)) for case in tried) / tokens
    print(f"of {len(tried)} messages before those that are scored, {tokens} tokens: {plain:.4f} nats a token without a step", flush=True)
    found = []
    for optimizer, several in RATES.items():
        for rate in several:
            steps, total = Steps(model, optimizer, rate), 0.0
            for case in tried:
                for at, _ in case.near:
                    steps.take([*case.past[at], end])
                total += nats(probabilities(model, [], case))
                steps.reset()
            found.append({"optimizer": optimizer, "rate": rate, "nats": round(total / tokens, 4), "gain": round(plain - total / tokens, 4)})
            print(f"  {optimizer}, {rate:g}: {total / tokens:.4f}", flush=True)
    return found


def compare(given: argparse.Namespace) -> dict[str, object]:
    """The whole comparison; what the last line says."""
    for name, least in (("limit", 1), ("neighbours", 1), ("known", 0), ("order", 1), ("tried", 1)):
        if getattr(given, name) < least:
            raise InputError(f"--{name} is at least {least}")
    if (given.optimizer is None) != (given.rate is None):
        raise InputError("--optimizer and --rate are given together, or neither: then rates are tried")
    torch.set_num_threads(1)
    streams = {name: kit_streams(given.kit, name) for name in given.sets}
    model, tokenizer = GPT2.load(given.model), vocabulary.load(given.model)
    end, positions = vocabulary.markers(tokenizer)[vocabulary.END], model.shape.positions
    tried: list[dict[str, object]] = []
    if given.optimizer:
        optimizer, rate = given.optimizer, given.rate
    else:
        chosen = [case for several in streams.values() for stream in several[: given.tried] for case in cases(stream, tokenizer, given, positions, last=1)]
        tried = rates(model, chosen, end)
        best = min(tried, key=lambda row: row["nats"])
        optimizer, rate = best["optimizer"], best["rate"]
        print(f"chosen: {optimizer}, {rate:g}", flush=True)
    comparison = Comparison(Steps(model, optimizer, rate), end, given.order)
    measured = comparison.measured
    for name, several in streams.items():
        comparison.begin(name)
        for at, stream in enumerate(several, 1):
            for case in cases(stream, tokenizer, given, positions):
                comparison.add(case)
            print(f"{name}: writer {at} of {len(several)}, {len(measured.tokens)} messages", flush=True)
    if not measured.tokens:
        raise InputError(f"no message has more than {given.known} words: --known is smaller, or --limit larger")
    about = {"model": given.model.name, "limit": given.limit, "known": given.known, "neighbours": given.neighbours, "order": given.order}
    about |= {"messages": len(measured.tokens), "tokens": sum(measured.tokens), "optimizer": optimizer, "rate": rate, "rates": tried}
    about |= {"near": round(float(np.mean(measured.near)), 1), "steps": round(float(np.mean(measured.steps)), 1)}
    return about | {"rows": measured.rows()}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kit", type=Path, required=True, help="folder of the evaluation kit, with data/dev")
    options.add_argument("--model", type=Path, default=ROOT / "models/pretrained", help="config.json, model.safetensors, tokenizer.json (default: models/pretrained)")
    options.add_argument("--sets", nargs="+", default=list(SETS), help=f"dev sets (default: {' '.join(SETS)})")
    options.add_argument("--limit", type=int, default=5, help="messages of each stream, the first ones (default: 5)")
    options.add_argument("--neighbours", type=int, default=20, help="at most so many, fewer where fewer share a word (default: 20)")
    options.add_argument("--known", type=int, default=8, help="words of a message that are looked up and not scored (default: 8)")
    options.add_argument("--order", type=int, default=4, help="of the n-gram, in tokens (default: 4)")
    options.add_argument("--optimizer", choices=OPTIMIZERS, help="of the gradient steps, with --rate (default: the best of those tried)")
    options.add_argument("--rate", type=float, help="learning rate, with --optimizer")
    options.add_argument("--tried", type=int, default=2, help="writers of each set on whose last message before the scored ones rates are tried (default: 2)")
    given = options.parse_args()
    try:
        print(json.dumps(compare(given)))
    except (InputError, OSError) as error:
        sys.exit(f"neighbours: {error}")


if __name__ == "__main__":
    main()
