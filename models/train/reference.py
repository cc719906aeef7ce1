#!/usr/bin/env python3
"""Writes the logits that the shipped graph must reproduce: GPT-2 in plain fp32 numpy, from the trained weights.

The network is that of Radford et al. 2019 (pre-norm blocks, tanh GELU, learned positions, tied head) with softmax-1
attention (Miller 2023): exp(s_i) / (1 + sum_j exp(s_j)), which lets a head attend to nothing.

    pip install -r models/train/requirements.txt
    python3 models/train/reference.py --weights model.safetensors --bundle models/bundle

Written: `reference.json` in the bundle. The parity test of the crate compares the graph with it.
"""

from __future__ import annotations

import argparse
import json
import struct
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

# (role, text) turns; the last one is the draft. Long enough together to cross a chunk, and one that fills most of a context.
PROMPTS = [
    [("agent", "Thanks for calling, I can")],
    [("author", "The committee's view is that inflation has")],
    [("customer", "I want to check the weather for Tuesday next week."), ("agent", "What location do you want to check")],
    [("author", "Fix the crash in foo_bar() when the list is empty: don't read past its end... (see 3.5)")],
    [("customer", "Hi, caf\u00e9 na\u00efve \u201cquoted\u201d \u2014 \u4f60\u597d \U0001f600"), ("agent", "Sorry, I didn't get that")],
    [("customer", "My order has not arrived and I would like to know where it is. " * 12), ("agent", "I am sorry to hear")],
]
KEPT = 64
# How far int4 weights (block 128, GPTQ) may move a distribution away from fp32, over the kept tokens. Measured on the
# shipped graph: KL at most 0.07 nats, cosine of the centred logits at least 0.9987.
TOLERANCE = {"kl": 0.12, "cosine": 0.995}


def bf16(raw: bytes, shape: list[int]) -> np.ndarray:
    """bfloat16 is the upper half of float32, which numpy has no type for."""
    upper = np.frombuffer(raw, "<u2").astype(np.uint32) << 16
    return upper.view(np.float32).reshape(shape)


def load(path: Path) -> dict[str, np.ndarray]:
    """Tensors of a safetensors file (bf16 or fp32) in fp32, without the `transformer.` prefix."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + size]), memoryview(data)[8 + size :]
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        read = {"BF16": bf16, "F32": lambda raw, shape: np.frombuffer(raw, "<f4").reshape(shape)}[entry["dtype"]]
        tensors[name.removeprefix("transformer.")] = read(bytes(body[start:end]), entry["shape"])
    return tensors


def norm(x: np.ndarray, weights: dict[str, np.ndarray], name: str, epsilon: float) -> np.ndarray:
    """Layer normalisation over the last axis."""
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def attend(x: np.ndarray, weights: dict[str, np.ndarray], name: str, heads: int) -> np.ndarray:
    """Causal multi-head attention with softmax-1. x: [tokens, width]."""
    tokens, width = x.shape
    qkv = x @ weights[f"{name}.c_attn.weight"] + weights[f"{name}.c_attn.bias"]
    q, k, v = qkv.reshape(tokens, 3, heads, width // heads).transpose(1, 2, 0, 3)
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(np.float32(width // heads))
    scores = np.where(np.tri(tokens, dtype=bool), scores, -np.inf)
    # The one in the denominator is a key whose score is 0: it takes part in the maximum.
    most = np.maximum(scores.max(-1, keepdims=True), 0)
    weight = np.exp(scores - most)
    weight /= weight.sum(-1, keepdims=True) + np.exp(-most)
    mixed = (weight @ v).transpose(1, 0, 2).reshape(tokens, width)
    return mixed @ weights[f"{name}.c_proj.weight"] + weights[f"{name}.c_proj.bias"]


def gelu(x: np.ndarray) -> np.ndarray:
    """The tanh form GPT-2 was defined with."""
    return 0.5 * x * (1 + np.tanh(np.float32(np.sqrt(2 / np.pi)) * (x + 0.044715 * x**3)))


def logits(ids: list[int], weights: dict[str, np.ndarray], config: dict) -> np.ndarray:
    """Logits [vocabulary] after the last of `ids`."""
    x, epsilon = weights["wte.weight"][ids] + weights["wpe.weight"][: len(ids)], config["layer_norm_epsilon"]
    for layer in range(config["n_layer"]):
        block = f"h.{layer}"
        x = x + attend(norm(x, weights, f"{block}.ln_1", epsilon), weights, f"{block}.attn", config["n_head"])
        hidden = norm(x, weights, f"{block}.ln_2", epsilon) @ weights[f"{block}.mlp.c_fc.weight"]
        hidden = gelu(hidden + weights[f"{block}.mlp.c_fc.bias"])
        x = x + hidden @ weights[f"{block}.mlp.c_proj.weight"] + weights[f"{block}.mlp.c_proj.bias"]
    return norm(x[-1], weights, "ln_f", epsilon) @ weights["wte.weight"].T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="safetensors file of the trained model")
    parser.add_argument("--bundle", type=Path, required=True, help="folder with gpt2.json and tokenizer.json")
    args = parser.parse_args()
    config = json.loads((args.bundle / "gpt2.json").read_text())
    if config["attention"] != "softmax1" or config["activation_function"] != "gelu_new":
        parser.error("this reference computes softmax-1 attention and tanh GELU only")
    tokenizer = Tokenizer.from_file(str(args.bundle / "tokenizer.json"))
    weights = load(args.weights)
    cases = []
    for turns in PROMPTS:
        ids = []
        for role, text in turns:
            ids += [config["special_tokens"][f"<|{role}|>"], *tokenizer.encode(text, add_special_tokens=False).ids]
        if len(ids) > config["n_positions"]:
            parser.error(f"a prompt has {len(ids)} tokens")
        out = logits(ids, weights, config).astype(np.float64)
        top = np.argsort(-out, kind="stable")
        # The likeliest half, where a distribution lives, and an even sample of the rest.
        kept = np.concatenate([top[: KEPT // 2], top[KEPT // 2 :: (len(top) - KEPT // 2) // (KEPT // 2) + 1]])[:KEPT]
        most = out.max()
        cases.append(
            {
                "turns": [list(turn) for turn in turns],
                "tokens": ids,
                "ids": kept.tolist(),
                "logits": [round(float(value), 5) for value in out[kept]],
                "logsumexp": round(float(most + np.log(np.exp(out - most).sum())), 5),
                "top": top[:5].tolist(),
            }
        )
    text = json.dumps({"version": 1, "tolerance": TOLERANCE, "cases": cases}, separators=(",", ":"))
    (args.bundle / "reference.json").write_text(text.replace('{"turns"', '\n{"turns"') + "\n")


if __name__ == "__main__":
    main()
