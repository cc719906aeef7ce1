"""Options of train.py, the checkpoint that they go on from, and what they are when nothing is said."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import torch
from data import Data
from errors import InputError
from model import Shape
from optim import DECAYS, RATES

# Windows of fine-tuning: few messages need more tokens, and small steps suit little text.
TUNED_LENGTH, TUNED_BATCH = 256, 16
# Of the learning rate of a model from nothing, the share that one which has learned much already is tuned with.
TUNED_RATE = 1 / 3
# Passes over the text, if neither tokens nor minutes are said: of a new model, and of one that is tuned.
PASSES, TUNED_PASSES = 2, 4
# Of what last.pt holds.
VERSION = 1
# Options that are not those of the checkpoint but of the command that goes on from it.
PLACE = ("data", "out", "fresh", "device", "workers", "precision")


def weights_of(text: str) -> dict[str, float]:
    """`sgd=2,irc=0.5`, or a JSON file of the same."""
    try:
        if text.endswith(".json"):
            return {name: float(weight) for name, weight in json.loads(Path(text).read_text()).items()}
        return {name: float(weight) for name, weight in (part.split("=") for part in text.split(",") if part)}
    except (ValueError, OSError) as error:
        raise argparse.ArgumentTypeError(f"neither NAME=WEIGHT,… nor a JSON file of such: {error}") from None


def arguments(about: str | None) -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = options.add_argument
    add("--data", type=Path, required=True, help="folder that prepare.py wrote")
    add("--out", type=Path, required=True, help="folder of the checkpoint, the log and the finished model")
    add("--init", type=Path, help="folder of a GPT-2 to start from (models/pretrained, or Hugging Face's gpt2)")
    add("--fresh", action="store_true", help="do not go on from a checkpoint in --out")
    for name, value in (("layers", Shape.layers), ("width", Shape.width), ("heads", Shape.heads), ("positions", Shape.positions)):
        add(f"--{name}", type=int, default=value, help=f"of a model that starts from nothing (default: {value})")
    add("--attention", choices=("softmax1", "softmax"), default="softmax1", help="of a model that starts from nothing")
    add("--tokens", type=int, default=0, help=f"tokens to train on in all (default: {PASSES} passes over the text, with --init {TUNED_PASSES})")
    add("--minutes", type=float, default=0.0, help="or how long to train")
    add("--weights", type=weights_of, default={}, help="how often a source is read beside the others: sgd=2,irc=0.5 or a .json file")
    add("--batch", type=int, default=0, help=f"windows a step (default: 32, with --init {TUNED_BATCH})")
    add("--length", type=int, default=0, help=f"tokens of a window (default: the model's positions; with --init at most {TUNED_LENGTH})")
    add("--micro", type=int, default=0, help="windows that a process computes at once (default: at most 8, and fewer for more processes)")
    add("--optimizer", choices=sorted(RATES), default="muon", help="default: muon")
    add("--rate", type=float, help=f"its learning rate (default: {', '.join(f'{k} {v}' for k, v in RATES.items())}; with --init a third)")
    add("--weight-decay", type=float, help=f"times the rate (default: {', '.join(f'{k} {v}' for k, v in DECAYS.items())})")
    add("--dropout", type=float, default=0.0, help="share of what each layer adds that is left out at random; 0.1 suits text that is read often")
    add("--warmup", type=int, default=40, help="steps until the whole learning rate, or a tenth of a short run (default: 40)")
    add("--decay", type=float, default=0.5, help="last share of the run over which the rate falls (default: 0.5)")
    add("--evolving", action="store_true", help="Evolving Subnetwork Training: early steps compute a part of the network")
    add("--exits", type=int, nargs="*", default=[], metavar="LAYERS", help="train answers after fewer layers too: --exits 2 4")
    add("--checkpoint", type=float, default=10.0, help="minutes between checkpoints (default: 10)")
    add("--keep", action="store_true", help="keep the weights of every checkpoint, in OUT/kept, to choose among them")
    add("--precision", choices=("bf16", "fp32"), help="of products (default: bf16 where the processor has it); weights are kept in fp32")
    add("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    add("--workers", type=int, help="processes on CPUs (default: one a core)")
    add("--seed", type=int, default=0)
    return options


def checkpoint(options: argparse.Namespace) -> dict | None:
    """What a former run left in --out, if it is to be gone on from."""
    last = options.out / "last.pt"
    if options.fresh or not last.exists():
        return None
    try:
        kept = torch.load(last, map_location=options.device, weights_only=False)
    except (RuntimeError, EOFError, ValueError) as error:
        raise InputError(f"{last} is damaged ({error}): start over with --fresh") from None
    if kept.get("version") != VERSION:
        raise InputError(f"{last} is of another version of this script: start over with --fresh, perhaps with --init {options.out}")
    return kept


def parsed(about: str | None) -> tuple[argparse.Namespace, dict | None]:
    """The options of this run and the checkpoint it goes on from, whose options hold where none are given."""
    given = arguments(about).parse_args()
    kept = checkpoint(given)
    if not kept:
        return given, None
    parser = arguments(about)
    parser.set_defaults(**{name: value for name, value in kept["options"].items() if name not in PLACE})
    options = parser.parse_args()
    # Either one says how long the run is.
    if given.minutes or given.tokens:
        options.minutes, options.tokens = given.minutes, given.tokens
    # What was fitted to another optimizer or another batch is fitted again.
    if options.optimizer != kept["options"]["optimizer"]:
        options.rate, options.weight_decay = given.rate, given.weight_decay
    if options.batch != kept["options"]["batch"]:
        options.micro = given.micro
    return options, kept


def complete(options: argparse.Namespace, data: Data) -> None:
    """Fills in what was not said; of fine-tuning other than of a model from nothing."""
    tuned = options.init is not None
    if not options.tokens and not options.minutes:
        options.tokens = (TUNED_PASSES if tuned else PASSES) * sum(size["train"] for size in data.sources.values())
    options.rate = options.rate or RATES[options.optimizer] * (TUNED_RATE if tuned else 1)
    options.weight_decay = DECAYS[options.optimizer] if options.weight_decay is None else options.weight_decay
    options.batch = options.batch or (TUNED_BATCH if tuned else 32)
    cores = 1 if options.device == "cuda" else options.workers or len(os.sched_getaffinity(0))
    if not options.micro:
        # Small enough that every process has its share of a step.
        fitting = [micro for micro in range(1, 9) if options.batch % micro == 0]
        options.micro = max((micro for micro in fitting if options.batch // micro >= cores), default=1)
    for name in ("batch", "micro", "warmup"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name} is at least 1")
    if not 0 <= options.dropout < 1:
        raise InputError("--dropout is at least 0 and less than 1")
    if options.batch % options.micro:
        raise InputError(f"--batch {options.batch} is no multiple of --micro {options.micro}")
    options.workers = min(cores, options.batch // options.micro)
    options.precision = options.precision or ("bf16" if has_bf16(options.device) else "fp32")


def has_bf16(device: str) -> bool:
    """Whether products in bf16 are quicker here; without instructions for them they are slower by far."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    about = Path("/proc/cpuinfo")
    flags = about.read_text().split() if about.exists() else []
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags))
