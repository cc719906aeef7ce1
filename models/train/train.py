#!/usr/bin/env python3
"""Trains a GPT-2 on prepared text; what it writes is a Hugging Face directory that export.py and others read.

  models/train/train.py --data target/train/data --out target/train/b                   shape B, from nothing
  models/train/train.py --data DIR --out DIR --init models/pretrained --minutes 30      fine-tuning

Stopped (Ctrl-C, a deadline, a power cut), `--data DIR --out DIR` goes on from the last checkpoint, with the options of
then except those that are given anew. A checkpoint is written every few minutes; `log.jsonl` has a line every ten steps.

On CPUs several single-threaded processes share the weights and take micro-batches as they come: one barrier a step
instead of one an operation, so that other work on the same cores delays and does not stall it. Products are in bf16
where the processor has it.
The learning rate rises, stays, and falls to nothing over the last part (`--decay`), so a run can be made longer.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import signal
import sys
import threading
import time
from datetime import timedelta
from multiprocessing import connection

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import torch.multiprocessing as mp
import vocabulary
from data import Data, Sampler
from errors import InputError
from model import GPT2, Shape, loss
from optim import jobs, share
from options import TUNED_LENGTH, VERSION, complete, parsed
from subnetwork import Subnetwork, drawn, share_of_products
from torch import Tensor

EVERY = 10
# What a checkpoint keeps of the lead's books.
BOOKS = ("step", "tokens", "products", "seconds", "smooth")
CLIPPED = 1.0
# Warming up takes no more of a run than this share.
WARMEST = 0.1
# Held-out tokens that a checkpoint is judged by.
HELD_TOKENS = 48_000


def held_out(model: GPT2, data: Data, length: int, dtype: torch.dtype) -> dict[str, float]:
    """Nats a token of each source's held-out text, a few windows of it, and over all."""
    device = model.wte.weight.device
    most = max(1, HELD_TOKENS // length // len(data.sources))
    found: dict[str, float] = {}
    total = count = 0.0
    with torch.no_grad():
        for name in data.sources:
            windows = torch.from_numpy(data.drawn(name, length, most, "held")).to(device)
            if len(windows):
                nats = sum(float(loss(model, batch, dtype)) * len(batch) for batch in windows.split(8))
                found[name] = round(nats / len(windows), 4)
                total, count = total + nats, count + len(windows)
    return found | ({"all": round(total / count, 4)} if count else {})


def schedule(done: float, step: int, warmup: int, decay: float) -> float:
    """Warm-up, a plateau, and a straight line down to nothing over the last `decay` of the run; `done`: 0 to 1."""
    # A short run cannot spend all its steps on warming up.
    warm = max((step + 1) / warmup, done / WARMEST)
    return min(1.0, warm) * min(1.0, (1.0 - done) / max(decay, 1e-9))


class Run:
    """What the processes share."""

    def __init__(self, options: argparse.Namespace, model: GPT2, state: dict[str, Tensor]) -> None:
        context = mp.get_context("spawn")
        size, workers = sum(weights.numel() for weights in model.parameters()), options.workers
        self.options, self.model, self.state = options, model, state
        shared = (lambda tensor: tensor.share_memory_()) if workers > 1 else (lambda tensor: tensor)
        device = options.device
        self.gradients = [shared(torch.zeros(size, device=device)) for _ in range(workers)]
        micros = options.batch // options.micro
        self.batch = shared(torch.zeros(micros, options.micro, options.length + 1, dtype=torch.long, device=device))
        self.losses = shared(torch.zeros(micros, device=device))
        self.squares = torch.zeros(workers, dtype=torch.float64).share_memory_()
        # The schedule's scale (negative: stop), the number of the step, and the share of the run that is behind.
        self.plan = torch.zeros(3, dtype=torch.float64).share_memory_()
        self.barrier, self.taken = context.Barrier(workers), context.Value("i", 0)

    def views(self, worker: int) -> dict[str, Tensor]:
        """A worker's gradients by parameter."""
        found, at = {}, 0
        for name, weights in self.model.named_parameters():
            found[name] = self.gradients[worker][at : at + weights.numel()].view_as(weights)
            at += weights.numel()
        return found

    def part(self, step: int, done: float) -> Subnetwork | None:
        """What of the network this step computes; None: all of it."""
        shape, options = self.model.shape, self.options
        return drawn(shape.layers, shape.heads, 4 * shape.width, done, step, options.seed, options.evolving, tuple(options.exits))

    def wait(self) -> None:
        if self.options.workers > 1:
            self.barrier.wait()


def watch(run: Run, others: list) -> None:
    """Ends the run when a process dies, whatever of; the others would wait for it."""
    connection.wait([other.sentinel for other in others])
    if any(other.exitcode for other in others):
        run.barrier.abort()


def work(run: Run, worker: int, lead: Lead | None = None) -> None:
    """Steps until the plan says stop; `lead` is the first worker's, who draws the text and keeps the books."""
    torch.set_num_threads(1)
    options, model = run.options, run.model
    torch.manual_seed(options.seed + 1 + worker)
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    for (_, weights), view in zip(model.named_parameters(), run.views(worker).values(), strict=True):
        weights.grad = view
    mine = share(jobs(model.named_parameters(), run.state, options.optimizer, options.rate, options.weight_decay), options.workers)[worker]
    summed = run.views(0)
    size = len(run.gradients[0])
    summed_here = slice(size * worker // options.workers, size * (worker + 1) // options.workers)
    while True:
        if lead:
            lead.plan(run)
        run.wait()
        scale, step, done = run.plan.tolist()
        if scale < 0:
            return
        part = run.part(int(step), done)
        while True:
            with run.taken.get_lock():
                micro, run.taken.value = run.taken.value, run.taken.value + 1
            if micro >= len(run.batch):
                break
            nats = loss(model, run.batch[micro], dtype, part, options.dropout)
            (nats / len(run.batch)).backward()
            run.losses[micro] = nats.detach()
        run.wait()
        gradient = run.gradients[0][summed_here]
        for other in run.gradients[1:]:
            gradient += other[summed_here]
        run.squares[worker] = float(torch.linalg.vector_norm(gradient, dtype=torch.float64)) ** 2
        run.wait()
        norm = math.sqrt(float(run.squares.sum()))
        if not math.isfinite(norm):
            # All of them see it; one tells.
            if lead is None:
                return
            raise InputError(f"the gradient is {norm} at step {int(step)}: try a lower --rate")
        gradient *= min(1.0, CLIPPED / (norm + 1e-6))
        run.wait()
        for job in mine:
            job.step(summed, scale, int(step))
        run.wait()
        run.gradients[worker].zero_()
        if lead:
            lead.note(run)


class Lead:
    """Draws the text, follows the schedule, reports, and writes checkpoints."""

    def __init__(self, options: argparse.Namespace, data: Data, kept: dict | None) -> None:
        self.options, self.data = options, data
        self.sampler = Sampler(data, options.length, options.weights, options.seed)
        self.step = self.tokens = 0
        # Of the whole network's products for as many tokens.
        self.seconds = self.products = 0.0
        self.smooth: float | None = None
        if kept:
            for name in BOOKS:
                setattr(self, name, kept[name])
            self.sampler.restore(kept["sampler"])
        self.began = self.saved = self.reported = time.monotonic()
        self.since = self.tokens
        self.stopped = False

    def stop(self, *_: object) -> None:
        """The step under way is finished and kept."""
        self.stopped = True

    def done(self) -> float:
        """The share of the run that is behind: of its tokens, or of its minutes."""
        by_time = self.spent() / (60 * self.options.minutes) if self.options.minutes else 0.0
        return max(by_time, self.tokens / self.options.tokens if self.options.tokens else 0.0)

    def spent(self) -> float:
        """Seconds of training, those before a stop counted in."""
        return self.seconds + time.monotonic() - self.began

    def plan(self, run: Run) -> None:
        """Fills the batch of the next step, or ends the run."""
        done = self.done()
        ended = done >= 1 or self.stopped
        scale = -1.0 if ended else schedule(done, self.step, self.options.warmup, self.options.decay)
        run.plan.copy_(torch.tensor([scale, self.step + 1, done], dtype=torch.float64))
        run.taken.value = 0
        if not ended:
            windows = [torch.from_numpy(self.sampler.window()) for _ in range(self.options.batch)]
            run.batch.copy_(torch.stack(windows).view_as(run.batch))

    def note(self, run: Run) -> None:
        """After a step."""
        self.step += 1
        shape, tokens = run.model.shape, run.batch[..., 1:].numel()
        part = run.part(self.step, float(run.plan[2]))
        self.tokens += tokens
        self.products += tokens * share_of_products(part, shape.layers, shape.heads, 4 * shape.width, shape.vocab, shape.width)
        nats = float(run.losses.mean())
        self.smooth = nats if self.smooth is None else 0.95 * self.smooth + 0.05 * nats
        now = time.monotonic()
        if self.step % EVERY == 0:
            speed = (self.tokens - self.since) / (now - self.reported)
            self.reported, self.since = now, self.tokens
            done = self.done()
            left = self.spent() * (1 - done) / max(done, 1e-9)
            print(
                f"step {self.step}  {self.tokens / 1e6:.2f} M tokens  loss {self.smooth:.3f}  {speed:.0f} tokens/s  "
                f"rate {float(run.plan[0]):.2f}  {done:.1%} done, {timedelta(seconds=round(left))} left",
                flush=True,
            )
            self.log(loss=round(nats, 4), smooth=round(self.smooth, 4))
        if now - self.saved > 60 * self.options.checkpoint:
            self.save(run)
            self.saved = time.monotonic()

    def log(self, **said: object) -> None:
        line = {"step": self.step, "tokens": self.tokens, "products": round(self.products), "seconds": round(self.spent())}
        with (self.options.out / "log.jsonl").open("a") as file:
            file.write(json.dumps(line | said) + "\n")

    def save(self, run: Run) -> None:
        """The checkpoint, whole or not at all, and what the held-out text costs by now."""
        kept = {
            "version": VERSION,
            "shape": run.model.shape,
            "options": vars(self.options),
            "model": run.model.state_dict(),
            "optimizer": run.state,
            "sampler": self.sampler.state(),
            **{name: getattr(self, name) for name in BOOKS},
            "seconds": self.spent(),
        }
        beside = self.options.out / "last.partial"
        try:
            torch.save(kept, beside)
        # A full disk is one of these too.
        except RuntimeError as error:
            beside.unlink(missing_ok=True)
            raise InputError(f"{beside} cannot be written: {error}") from None
        beside.replace(self.options.out / "last.pt")
        dtype = torch.bfloat16 if self.options.precision == "bf16" else torch.float32
        nats = held_out(run.model, self.data, self.options.length, dtype)
        print(f"step {self.step}: kept; held out {nats.get('all')}", flush=True)
        self.log(held_out=nats)
        tokenizer = self.options.out / "tokenizer.json"
        run.model.save(self.options.out, tokenizer)
        if self.options.keep:
            run.model.save(self.options.out / "kept" / f"{self.step:06}", tokenizer)


def network(options: argparse.Namespace, data: Data, kept: dict | None) -> GPT2:
    """The network to train: the checkpoint's, that of --init, or a new one."""
    if kept:
        model = GPT2(kept["shape"])
        model.load_state_dict(kept.pop("model"))
        print(f"going on from step {kept['step']}, {kept['tokens'] / 1e6:.2f} M tokens", flush=True)
    elif options.init:
        model = GPT2.load(options.init)
    else:
        named = ("layers", "width", "heads", "positions", "attention")
        model = GPT2(Shape(vocab=data.vocab, **{name: getattr(options, name) for name in named}))
    if known := options.out if kept else options.init:
        vocabulary.same(known, options.data)
    if any(not 0 < layers < model.shape.layers for layers in options.exits):
        raise InputError(f"an exit is behind one of the first {model.shape.layers - 1} layers")
    options.length = min(options.length or (TUNED_LENGTH if options.init else model.shape.positions), model.shape.positions)
    if model.shape.vocab < data.vocab:
        if kept:
            raise InputError(f"{options.data} has more tokens than the run had: start another from its model, with --init {options.out}")
        model = model.widened(data.vocab)
    return model


def train(options: argparse.Namespace, kept: dict | None) -> None:
    data = Data(options.data)
    complete(options, data)
    torch.manual_seed(options.seed)
    model = network(options, data, kept)
    if kept and kept["options"]["optimizer"] != options.optimizer:
        print(f"the optimizer was {kept['options']['optimizer']}: {options.optimizer} starts with what it knows of nothing", flush=True)
        kept["optimizer"] = {}
    state = kept.pop("optimizer") if kept else {}
    lead = Lead(options, data, kept)
    options.out.mkdir(parents=True, exist_ok=True)
    if not kept:
        (options.out / "log.jsonl").unlink(missing_ok=True)
        shutil.rmtree(options.out / "kept", ignore_errors=True)
    model.to(options.device)
    jobs(model.named_parameters(), state, options.optimizer, options.rate, options.weight_decay)
    if options.workers > 1:
        model.share_memory()
        for tensor in state.values():
            tensor.share_memory_()
    size = sum(weights.numel() for weights in model.parameters())
    about = f"{options.workers} processes on {options.device}, {options.precision}, {options.batch} windows of {options.length} a step"
    print(f"{size / 1e6:.1f} M parameters, {model.shape}, {about}", flush=True)
    if options.data.resolve() != options.out.resolve():
        shutil.copy(options.data / "tokenizer.json", options.out / "tokenizer.json")
    run = Run(options, model, state)
    others = [mp.get_context("spawn").Process(target=work, args=(run, worker), daemon=True) for worker in range(1, options.workers)]
    # Signals are for the lead: the others inherit that they ignore them.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    for other in others:
        other.start()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lead.stop)
    if others:
        threading.Thread(target=watch, args=(run, others), daemon=True).start()
    work(run, 0, lead)
    for other in others:
        other.join()
    lead.save(run)
    print("stopped: the same command goes on from here" if lead.done() < 1 else f"done: {options.out}", flush=True)


def main() -> None:
    try:
        train(*parsed(__doc__))
    except (InputError, OSError) as error:
        sys.exit(f"train: {error}")
    except threading.BrokenBarrierError:
        sys.exit("train: one of the processes ended, for the reason above if there is one; the same command goes on from the last checkpoint")


if __name__ == "__main__":
    main()
