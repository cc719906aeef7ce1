"""Training on a part of the network: Evolving Subnetwork Training (Li et al. 2024, arXiv 2406.06962) and early exits.

Every step draws some of the layers, of each layer's heads and of its MLP's neurons, and only those are computed; what they
add is divided by their share, so that its size is that of the whole. In stage 1 all three are drawn, in stage 2 all
layers run, in stage 3 the whole network. The paper's shares and lengths are not public: those here are our choice.

A model that is to answer at fewer layers is trained on that: a share of the steps ends at one of the `exits` instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Where the stages end, as shares of the run, and what is computed in the first two.
STAGES = (0.35, 0.65)
LAYERS, HEADS, NEURONS = 2 / 3, 2 / 3, 2 / 3
# The share of steps that end at an exit.
AT_EXITS = 0.4


@dataclass(frozen=True)
class Subnetwork:
    """What one step computes: the layers, and of each its heads and neurons (None: all)."""

    layers: tuple[int, ...]
    heads: tuple[tuple[int, ...], ...] | None = None
    neurons: tuple[tuple[int, ...], ...] | None = None
    # What the layers' outputs are multiplied by: one over the share that is computed.
    scale: float = 1.0


def drawn(layers: int, heads: int, neurons: int, done: float, step: int, seed: int, evolving: bool, exits: tuple[int, ...]) -> Subnetwork | None:
    """The part of step `step`, the same in every process; None: the whole. `done`: the share of the run that is behind."""
    chance = np.random.default_rng((seed, 7, step))
    if exits and chance.random() < AT_EXITS:
        return Subnetwork(tuple(range(exits[chance.integers(len(exits))])))
    if not evolving or done >= STAGES[1]:
        return None

    def some(count: int, share: float) -> tuple[int, ...]:
        return tuple(sorted(chance.choice(count, max(1, round(count * share)), replace=False).tolist()))

    kept = some(layers, LAYERS) if done < STAGES[0] else tuple(range(layers))
    return Subnetwork(
        kept,
        tuple(some(heads, HEADS) for _ in range(layers)),
        tuple(some(neurons, NEURONS) for _ in range(layers)),
        layers / len(kept),
    )


def share_of_products(part: Subnetwork | None, layers: int, heads: int, neurons: int, vocab: int, width: int) -> float:
    """The share of the whole network's multiplications that a step does, the head counted in."""
    head, layer = vocab * width, 12 * width * width
    if part is None:
        return 1.0
    done = 0.0
    for at in part.layers:
        attention = len(part.heads[at]) / heads if part.heads else 1.0
        inner = len(part.neurons[at]) / neurons if part.neurons else 1.0
        done += layer * (attention / 3 + 2 * inner / 3)
    return (done + head) / (layers * layer + head)
