"""Prepared text as a stream of windows: which source comes next, and where in it, is a function of the seed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import vocabulary
from errors import InputError

VERSION = 1
# A window that would end within so many tokens of a marker ends there: the next begins with whole turns.
NEAR = 24


class Data:
    """A folder that prepare.py wrote."""

    def __init__(self, folder: Path) -> None:
        path = folder / "data.json"
        if not path.exists():
            raise InputError(f"{path} does not exist: prepare a corpus with models/train/prepare.py --out {folder}")
        about = json.loads(path.read_text())
        if about.get("version") != VERSION:
            raise InputError(f"{path} has version {about.get('version')}, not {VERSION}: prepare the corpus again")
        self.folder, self.vocab, self.sources = folder, int(about["vocab"]), dict(about["sources"])
        self.dtype = np.dtype(about["dtype"])
        ids = vocabulary.markers(vocabulary.load(folder))
        self.markers = np.array([at for marker, at in ids.items() if marker != vocabulary.END])

    def tokens(self, source: str, part: str = "train") -> np.ndarray:
        """A source's tokens, memory-mapped; `part` is `train` or `held`."""
        path = self.folder / f"{source}.{part}"
        if path.stat().st_size == 0:
            return np.empty(0, self.dtype)
        return np.memmap(path, self.dtype, "r")

    def windows(self, source: str, length: int, offset: int = 0, part: str = "train") -> np.ndarray:
        """Where windows of `length` tokens and the one that follows start, at a role marker where one is near."""
        tokens = self.tokens(source, part)
        marks = np.flatnonzero(np.isin(tokens, self.markers))
        starts: list[int] = []
        at = int(marks[np.searchsorted(marks, offset)]) if len(marks) and marks[-1] >= offset else 0
        while at + length + 1 <= len(tokens):
            starts.append(at)
            last = int(marks[np.searchsorted(marks, at + length, side="right") - 1])
            at = last if last > max(at, at + length - NEAR) else at + length
        return np.array(starts, np.int64)

    def drawn(self, source: str, length: int, most: int, part: str = "train") -> np.ndarray:
        """Evenly drawn windows of a source, at most so many, [windows, length + 1]."""
        tokens, starts = self.tokens(source, part), self.windows(source, length, part=part)
        starts = starts[np.linspace(0, len(starts) - 1, min(most, len(starts))).astype(int)]
        return np.array([tokens[start : start + length + 1] for start in starts], np.int64).reshape(-1, length + 1)


class Sampler:
    """Windows of all sources, each as often as its size times its weight."""

    def __init__(self, data: Data, length: int, weights: dict[str, float], seed: int) -> None:
        if unknown := sorted(weights.keys() - data.sources.keys()):
            raise InputError(f"no source is called {unknown[0]}: there are {', '.join(sorted(data.sources))}")
        self.data, self.length, self.seed = data, length, seed
        self.chance = np.random.default_rng(seed)
        self.drawn = dict.fromkeys(data.sources, 0)
        sizes = {name: size["train"] * weights.get(name, 1.0) for name, size in data.sources.items()}
        self.names = [name for name in data.sources if sizes[name] > 0 and len(data.windows(name, length))]
        if not self.names:
            raise InputError(f"no source has {length + 1} tokens in a row")
        total = sum(sizes[name] for name in self.names)
        self.shares = [sizes[name] / total for name in self.names]
        # Of each source the current pass, the number of its first window, and its windows.
        self.passes: dict[str, tuple[int, int, np.ndarray]] = {}

    def window(self) -> np.ndarray:
        """The next window, [length + 1]."""
        name = self.names[self.chance.choice(len(self.names), p=self.shares)]
        at = self.drawn[name]
        self.drawn[name] += 1
        epoch, before, order = self.passes.get(name, (-1, 0, np.empty(0, np.int64)))
        while at >= before + len(order):
            epoch, before = epoch + 1, before + len(order)
            order = self.order(name, epoch)
        self.passes[name] = (epoch, before, order)
        start = int(order[at - before])
        return np.asarray(self.data.tokens(name)[start : start + self.length + 1], np.int64)

    def order(self, name: str, epoch: int) -> np.ndarray:
        """The windows of one pass over a source, which begin elsewhere each time, in random order."""
        offset = 97 * epoch % self.length
        starts = self.data.windows(name, self.length, offset)
        starts = starts if len(starts) else self.data.windows(name, self.length)
        return np.random.default_rng((self.seed, epoch, len(name))).permutation(starts)

    def state(self) -> dict[str, object]:
        """What `restore` goes on from."""
        return {"drawn": dict(self.drawn), "chance": self.chance.bit_generator.state}

    def restore(self, state: dict[str, object]) -> None:
        """Goes on where a sampler of the same seed and text stopped."""
        self.drawn |= state["drawn"]
        self.chance.bit_generator.state = state["chance"]
