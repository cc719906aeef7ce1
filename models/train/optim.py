"""Optimizers as jobs, one or a few tensors each, so that processes with shared weights can divide them.

- AdamW (Loshchilov and Hutter 2019).
- Muon (Jordan et al. 2024): momentum, orthogonalised by Newton-Schulz steps, for the matrices of the blocks; AdamW for the
  embeddings and vectors. The three parts of the packed q, k and v are matrices of their own.
- OrthoAdam (Kaul et al. 2024, arXiv 2410.17174): Adam's moments in a basis turned by a fixed random orthogonal matrix for
  each axis of a tensor, axes longer than 4,096 left as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor

BETAS = (0.9, 0.95)
EPSILON = 1e-8
MOMENTUM = 0.95
LONGEST_AXIS = 4_096
# The learning rates that each is best with at shape B, before the schedule; AdamW's beside Muon is the second.
RATES = {"adamw": 2e-3, "orthoadam": 2e-3, "muon": 0.03}
DECAYS = {"adamw": 0.1, "orthoadam": 0.1, "muon": 0.02}
BESIDE_MUON = 3e-3

State = dict[str, Tensor]


class Job(Protocol):
    """The update of some parameters, from their gradients."""

    cost: int

    def step(self, gradients: dict[str, Tensor], scale: float, step: int) -> None:
        """Moves the parameters; `scale` is the schedule's, `step` counts from 1."""
        ...


class Adam:
    """AdamW, in a turned basis where one is given."""

    def __init__(self, name: str, weights: Tensor, state: State, rate: float, decay: float, turned: bool = False, seed: int = 0) -> None:
        self.name, self.weights, self.rate = name, weights, rate
        self.decay = decay if weights.dim() > 1 else 0.0
        self.first = state.setdefault(f"{name}.first", torch.zeros_like(weights, memory_format=torch.contiguous_format))
        self.second = state.setdefault(f"{name}.second", torch.zeros_like(self.first))
        self.turned, self.seed = turned, seed
        self.bases: list[tuple[int, Tensor]] | None = None
        self.cost = weights.numel()

    @torch.no_grad()
    def step(self, gradients: dict[str, Tensor], scale: float, step: int) -> None:
        if self.bases is None:
            # Only now: a process needs those of its own jobs.
            self.bases = bases(self.weights, self.seed) if self.turned else []
        gradient = turn(gradients[self.name], self.bases)
        self.first.lerp_(gradient, 1 - BETAS[0])
        self.second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        deviation = (self.second / (1 - BETAS[1] ** step)).sqrt_().add_(EPSILON)
        moved = turn(self.first / deviation, [(axis, basis.t()) for axis, basis in self.bases])
        if self.decay:
            self.weights.mul_(1 - self.rate * scale * self.decay)
        self.weights.add_(moved, alpha=-self.rate * scale / (1 - BETAS[0] ** step))


def bases(weights: Tensor, seed: int) -> list[tuple[int, Tensor]]:
    """A random orthogonal matrix for each axis that is not too long."""
    chance = torch.Generator().manual_seed(seed)
    found = []
    for axis, length in enumerate(weights.shape):
        if 1 < length <= LONGEST_AXIS:
            q, r = torch.linalg.qr(torch.randn(length, length, generator=chance))
            # Without the signs of R's diagonal, Q is not evenly distributed.
            found.append((axis, (q * r.diagonal().sign()).to(weights.device)))
    return found


def turn(tensor: Tensor, into: list[tuple[int, Tensor]]) -> Tensor:
    """The tensor with each axis multiplied by its matrix."""
    for axis, basis in into:
        tensor = torch.tensordot(tensor, basis, dims=([axis], [1])).movedim(-1, axis)
    return tensor


class Muon:
    """The matrices of one shape, orthogonalised together."""

    def __init__(self, named: dict[str, Tensor], state: State, rate: float, decay: float) -> None:
        self.named, self.rate, self.decay = named, rate, decay
        self.momenta = {name: state.setdefault(f"{name}.first", torch.zeros_like(weights)) for name, weights in named.items()}
        # Newton-Schulz is some thirty products of a matrix with itself: far dearer than Adam's passes.
        self.cost = 20 * sum(weights.numel() for weights in named.values())

    @torch.no_grad()
    def step(self, gradients: dict[str, Tensor], scale: float, step: int) -> None:
        momentum = min(MOMENTUM, 0.85 + 0.0005 * step)
        updates, parts = [], []
        for name, weights in self.named.items():
            self.momenta[name].lerp_(gradients[name], 1 - momentum)
            update = gradients[name].lerp(self.momenta[name], momentum)
            count = 3 if weights.shape[1] == 3 * weights.shape[0] else 1
            updates += update.chunk(count, 1)
            parts += weights.chunk(count, 1)
        for part, update in zip(parts, orthogonal(torch.stack(updates)), strict=True):
            inputs, outputs = part.shape
            part.mul_(1 - self.rate * scale * self.decay)
            part.add_(update, alpha=-self.rate * scale * max(1, outputs / inputs) ** 0.5)


def orthogonal(stack: Tensor, steps: int = 5) -> Tensor:
    """The nearest orthogonal matrices, roughly, by five Newton-Schulz steps of order 5 in bf16; stack: [n, rows, columns]."""
    x = stack.to(torch.bfloat16)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * (gram @ gram)) @ x
    return (x.mT if tall else x).float()


def jobs(named: Iterable[tuple[str, Tensor]], state: State, kind: str, rate: float, decay: float) -> list[Job]:
    """The updates of all parameters; `state` is filled with what they keep, and continued where it has that already."""
    named = dict(named)
    if kind != "muon":
        turned = kind == "orthoadam"
        return [Adam(name, weights, state, rate, decay, turned, at) for at, (name, weights) in enumerate(named.items())]
    beside = rate * BESIDE_MUON / RATES["muon"]
    shapes: dict[tuple[str, torch.Size], dict[str, Tensor]] = {}
    found: list[Job] = []
    for name, weights in named.items():
        if name.startswith("h.") and weights.dim() == 2:
            # Two layers at a time: enough to be quick, few enough to be divided evenly.
            shapes.setdefault((str(int(name.split(".")[1]) // 2), weights.shape), {})[name] = weights
        else:
            found.append(Adam(name, weights, state, beside, 0.0))
    return found + [Muon(group, state, rate, decay) for group in shapes.values()]


def share(work: list[Job], workers: int) -> list[list[Job]]:
    """The jobs divided evenly by cost, the dearest first."""
    shares: list[list[Job]] = [[] for _ in range(workers)]
    for job in sorted(work, key=lambda job: -job.cost):
        min(shares, key=lambda found: sum(job.cost for job in found)).append(job)
    return shares
