"""What each linear layer of a network is rounded to in 4 bits.

Part by part, each made to give what the network gives unrounded, from what the parts before it, already rounded, hand it (GPTAQ,
Li et al. 2025): weights are moved towards that by least squares before GPTQ rounds them, and biases make up for what is left on average.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import numpy as np
import quantize
import vocabulary
from errors import InputError
from network import LINEAR, Network, gelu

# Windows of the training text that are read, and tokens of each at the most.
WINDOWS = 64
LENGTH = 256
# How reluctantly weights are moved, as a share of the mean second moment: with less they fit the windows, not the text.
RELUCTANCE = 0.2

# Of each linear layer the steps and the scales.
Quantised = dict[str, tuple[np.ndarray, np.ndarray]]


class Reading:
    """The windows as one network reads them, part by part."""

    def __init__(self, network: Network, windows: np.ndarray) -> None:
        self.network = network
        self.states = [network.embed(batch) for batch in np.array_split(windows, max(1, len(windows) // 8))]
        self.inner: list[np.ndarray] = []

    def inputs(self, layer: int, part: str) -> list[np.ndarray]:
        """What a part reads; parts are gone through in the order of LINEAR."""
        network, name = self.network, f"h.{layer}"
        if part == "attn.c_attn":
            self.inner = [network.norm(x, f"{name}.ln_1") for x in self.states]
        elif part == "attn.c_proj":
            self.inner = [network.mixed(network.linear(x, f"{name}.attn.c_attn")) for x in self.inner]
        elif part == "mlp.c_fc":
            self.inner = [network.norm(x, f"{name}.ln_2") for x in self.states]
        else:
            self.inner = [gelu(network.linear(x, f"{name}.mlp.c_fc")) for x in self.inner]
        return self.inner

    def go_on(self, layer: int, part: str) -> None:
        """Past a part, once its weights are what they will be."""
        if part.endswith("c_proj"):
            added = [self.network.linear(x, f"h.{layer}.{part}") for x in self.inner]
            self.states = [x + more for x, more in zip(self.states, added, strict=True)]

    def last(self) -> list[np.ndarray]:
        """What the head reads."""
        return [self.network.norm(x, "ln_f") for x in self.states]


def fitted(weights: np.ndarray, whole: list[np.ndarray], rough: list[np.ndarray], centred: bool) -> tuple[np.ndarray, ...]:
    """The weights that give of the `rough` inputs what `weights` give of the `whole` ones, reluctantly; with them the second
    moments of the rough ones, their mean, and the mean of what is to be made up for. `centred`: a bias makes up for the means.
    """
    size = weights.shape[0]
    count = sum(x.size // size for x in rough)
    mean = sum(x.reshape(-1, size).sum(0) for x in rough) / count if centred else np.zeros(size, np.float32)
    lost = sum((x - y).reshape(-1, size).sum(0) for x, y in zip(whole, rough, strict=True)) / count if centred else np.zeros(size, np.float32)
    moments, crossed = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
    for x, y in zip(whole, rough, strict=True):
        inputs = y.reshape(-1, size) - mean
        moments += inputs.T @ inputs / count
        crossed += inputs.T @ ((x - y).reshape(-1, size) - lost) / count
    firm = moments.astype(np.float64) + RELUCTANCE * np.mean(np.diag(moments)) * np.eye(size)
    moved = np.linalg.solve(firm, crossed.astype(np.float64)).astype(np.float32)
    return weights + moved @ weights, moments, mean, lost


def calibrated(network: Network, windows: np.ndarray, block: int) -> tuple[Quantised, dict[str, np.ndarray]]:
    """Steps and scales of each linear layer and the head, and the biases that go with them."""
    found: Quantised = {}
    other = copy.copy(network)
    other.weights = dict(network.weights)
    whole, rough = Reading(network, windows), Reading(other, windows)
    for layer in range(network.layers):
        for part in LINEAR:
            name = f"h.{layer}.{part}"
            weights, bias = network.weights[f"{name}.weight"], network.weights[f"{name}.bias"]
            target, moments, mean, lost = fitted(weights, whole.inputs(layer, part), rough.inputs(layer, part), True)
            found[name] = quantize.descended(target, moments, 4, block)
            restored = np.ascontiguousarray(quantize.restored(*found[name]))
            other.weights[f"{name}.weight"] = restored
            other.weights[f"{name}.bias"] = bias + lost @ weights + mean @ (weights - restored)
            whole.go_on(layer, part)
            rough.go_on(layer, part)
        progress(layer + 1, network.layers + 1, f"layer {layer}")
    target, moments, _, _ = fitted(network.weights["wte.weight"].T, whole.last(), rough.last(), False)
    found["head"] = quantize.descended(target, moments, 4, block)
    progress(network.layers + 1, network.layers + 1, "head")
    return found, {name: value for name, value in other.weights.items() if name.endswith(".bias")}


def progress(done: int, of: int, what: str) -> None:
    end = "\n" if done == of or not sys.stderr.isatty() else "\r"
    print(f"quantised {done}/{of}  {what:<24}", end=end, file=sys.stderr, flush=True)


def windows(data: Path, model: Path, positions: int) -> np.ndarray:
    """Evenly drawn windows of the training text, [windows, tokens], the same number of each source."""
    from data import Data

    vocabulary.same(model, data)
    text, length = Data(data), min(LENGTH, positions) - 1
    found = {name: text.drawn(name, length, WINDOWS) for name in text.sources}
    usable = [windows for windows in found.values() if len(windows)]
    if not usable:
        raise InputError(f"{data}: no source has {length + 1} tokens in a row to calibrate on")
    each = max(1, WINDOWS // len(usable))
    return np.concatenate([windows[np.linspace(0, len(windows) - 1, min(each, len(windows))).astype(int)] for windows in usable])
