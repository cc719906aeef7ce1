"""The nearest of what a writer wrote, and an n-gram of just that which rests on another model's probabilities: no torch.

As markov's `Recall` has it for words: Test-Time Training on Nearest Neighbors (Hardt and Sun 2024, arXiv 2305.18466) with
counts in place of gradient steps. Nearness is BM25 (Robertson et al. 1994).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

WORD = re.compile(r"\w+(?:['’]\w+)*")
# BM25's saturation, and how much length counts: those of markov.
SATURATION, LENGTH = 1.2, 0.75
# What a share starts with: as if its level had been right once in so many tokens.
WON, LOST = 1.0, 3.0
# Contexts with as many different followers, or more, have one share.
FOLLOWERS = 3


def words(text: str) -> list[str]:
    """Its words, lower-cased."""
    return WORD.findall(text.lower())


class Index:
    """A writer's messages, in the order they were written, by their words."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        # How often each message has the word.
        self.places: dict[str, dict[int, int]] = {}

    def add(self, text: str) -> None:
        """Takes in the next message."""
        found = words(text)
        for word in found:
            times = self.places.setdefault(word, {})
            times[len(self.lengths)] = times.get(len(self.lengths), 0) + 1
        self.lengths.append(len(found))

    def nearest(self, query: str, most: int) -> list[tuple[int, float]]:
        """Numbers and scores of at most so many messages that share a word with the query, nearest first, of equals the newest."""
        messages = len(self.lengths)
        usual = sum(self.lengths) / max(1, messages)
        scores: dict[int, float] = {}
        for word in dict.fromkeys(words(query)):
            times = self.places.get(word, {})
            rarity = math.log(1 + (messages - len(times) + 0.5) / (len(times) + 0.5))
            for at, often in times.items():
                norm = SATURATION * (1 - LENGTH + LENGTH * self.lengths[at] / usual)
                scores[at] = scores.get(at, 0.0) + rarity * often * (SATURATION + 1) / (often + norm)
        return sorted(scores.items(), key=lambda found: (-found[1], -found[0]))[:most]


class Level(NamedTuple):
    """What followed one context."""

    # Its length, and how many different tokens followed, which its share is kept by.
    kind: tuple[int, int]
    followers: dict[int, float]
    total: float


class Ngram:
    """Weighted counts of what followed each context of fewer than `order` tokens."""

    def __init__(self, texts: Iterable[tuple[list[int], float]], order: int) -> None:
        """texts: tokens, the first of which is only a context, and what each of their places counts."""
        self.order = order
        self.after: dict[tuple[int, ...], dict[int, float]] = {}
        for ids, weight in texts:
            for at in range(1, len(ids)):
                for back in range(min(order, at + 1)):
                    followers = self.after.setdefault(tuple(ids[at - back : at]), {})
                    followers[ids[at]] = followers.get(ids[at], 0.0) + weight

    def levels(self, before: list[int]) -> list[Level]:
        """Of the contexts at the end of `before` those that were seen, the shortest first."""
        found = []
        for back in range(min(self.order, len(before) + 1)):
            followers = self.after.get(tuple(before[len(before) - back :]))
            if followers is None:
                break
            found.append(Level((back, min(len(followers), FOLLOWERS)), followers, sum(followers.values())))
        return found


class Shares:
    """How much each kind of context counts over shorter ones and, below all, the other model (Jelinek and Mercer 1980).

    P_k(w) = (1 - share) P_(k-1)(w) + share c(context, w) / c(context), P_0 the other model's. A share is the part of the tokens
    so far that its level, and no lower one, is likely to have brought: a step of expectation maximisation at each token.
    """

    def __init__(self) -> None:
        self.seen: dict[tuple[int, int], list[float]] = {}

    def share(self, kind: tuple[int, int]) -> float:
        won, lost = self.seen.get(kind, (WON, LOST))
        return won / (won + lost)

    def estimate(self, levels: list[Level], tokens: Iterable[int], base: np.ndarray) -> np.ndarray:
        """Probabilities [tokens]; base: what the other model gives these tokens."""
        for kind, followers, total in levels:
            share = self.share(kind)
            base = (1 - share) * base + share / total * np.array([followers.get(token, 0.0) for token in tokens])
        return base

    def learn(self, levels: list[Level], token: int, base: float) -> float:
        """The probability of the token that came, as it was before it is learned from."""
        prob, parts = base, []
        for kind, followers, total in levels:
            share = self.share(kind)
            own = share * followers.get(token, 0.0) / total
            prob = (1 - share) * prob + own
            parts.append((kind, own / prob))
        left = 1.0
        for kind, part in reversed(parts):
            seen = self.seen.setdefault(kind, [WON, LOST])
            seen[0] += left * part
            seen[1] += left * (1 - part)
            left *= 1 - part
        return prob
