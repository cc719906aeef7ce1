#!/usr/bin/env python3
"""Averages the weights of networks that were trained from one another; what it writes is trained, exported and measured as any other.

  models/train/average.py models/pretrained target/train/mine --out target/train/both               half and half
  models/train/average.py models/pretrained target/train/mine --parts 7,3 --out DIR

Fine-tuning forgets what its text does not have. The average of a network before and after it keeps most of either (Wortsman et al.
2022, "Robust fine-tuning of zero-shot models"), and costs nothing when it answers. Of networks that were trained apart from the
start it is noise.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
import vocabulary
from errors import InputError
from model import GPT2


def average(folders: list[Path], parts: list[float]) -> GPT2:
    """The mean network; `parts` weigh the folders, in their order."""
    if len(parts) != len(folders):
        raise InputError(f"--parts are {len(parts)}, the networks {len(folders)}")
    if min(parts) < 0 or sum(parts) <= 0:
        raise InputError("--parts are not negative, and one at least is positive")
    mean, known = GPT2.load(folders[0]), vocabulary.load(folders[0]).get_vocab()
    with torch.no_grad():
        for weights in mean.parameters():
            weights.mul_(parts[0] / sum(parts))
        for folder, part in zip(folders[1:], parts[1:], strict=True):
            other = GPT2.load(folder)
            if other.shape != mean.shape:
                raise InputError(f"{folder} is {other.shape}, not {mean.shape} as {folders[0]} is")
            if vocabulary.load(folder).get_vocab() != known:
                raise InputError(f"{folder} has another tokenizer than {folders[0]}")
            for weights, others in zip(mean.parameters(), other.parameters(), strict=True):
                weights.add_(others, alpha=part / sum(parts))
    return mean


def numbers(text: str) -> list[float]:
    """`7,3`."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not numbers with commas between them") from None


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("networks", type=Path, nargs="+", help="folders of config.json, model.safetensors and tokenizer.json")
    options.add_argument("--parts", type=numbers, help="how much each counts: 7,3 (default: all the same)")
    options.add_argument("--out", type=Path, required=True, help="folder of the average")
    given = options.parse_args()
    try:
        mean = average(given.networks, given.parts or [1.0] * len(given.networks))
        mean.save(given.out, given.networks[0] / "tokenizer.json")
    except (InputError, OSError) as error:
        sys.exit(f"average: {error}")
    print(f"done: {given.out}")


if __name__ == "__main__":
    main()
