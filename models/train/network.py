"""GPT-2 in plain fp32 numpy, from its trained weights: what exported graphs are compared with, and calibrated by.

The network is that of model.py, which trains it; this one needs no torch.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
from errors import InputError

# What a layer's linear parts are called, and their sizes as multiples of the width: inputs, outputs.
LINEAR = {"attn.c_attn": (1, 3), "attn.c_proj": (1, 1), "mlp.c_fc": (1, 4), "mlp.c_proj": (4, 1)}


# What GPT-2's configuration may say otherwise, and is not supported.
USUAL = {
    "activation_function": "gelu_new",
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "tie_word_embeddings": True,
}
NEEDED = ("n_layer", "n_embd", "n_head", "vocab_size", "n_positions")


def configuration(folder: Path) -> dict[str, object]:
    """A folder's config.json; what another architecture says there is an error."""
    path = folder / "config.json"
    if not path.exists():
        raise InputError(f"{path} does not exist: a model is a folder with config.json, model.safetensors and tokenizer.json")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    if config.get("model_type") != "gpt2":
        raise InputError(f"{path}: the architecture is {config.get('model_type')!r}, and only gpt2 is supported")
    if missing := [key for key in NEEDED if not isinstance(config.get(key), int)]:
        raise InputError(f"{path}: {missing[0]} is missing or no whole number")
    for key, usual in (USUAL | {"n_inner": None}).items():
        inner = key == "n_inner" and config.get(key) == 4 * config["n_embd"]
        if config.get(key, usual) != usual and not inner:
            raise InputError(f"{path}: {key} is {config[key]!r}, and only {usual!r} is supported")
    if config["n_embd"] % config["n_head"]:
        raise InputError(f"{path}: a width of {config['n_embd']} cannot be split into {config['n_head']} heads")
    # A GPT-2 that does not say otherwise was trained with plain softmax.
    config = {"attention": "softmax", "layer_norm_epsilon": 1e-5} | config
    if config["attention"] not in ("softmax", "softmax1"):
        raise InputError(f"{path}: attention is softmax or softmax1, not {config['attention']!r}")
    return config


class Network:
    """A folder with config.json and model.safetensors, as Hugging Face lays out a GPT-2."""

    def __init__(self, folder: Path) -> None:
        self.config = configuration(folder)
        self.layers, self.width, self.heads = (int(self.config[key]) for key in ("n_layer", "n_embd", "n_head"))
        self.vocab, self.positions = int(self.config["vocab_size"]), int(self.config["n_positions"])
        self.epsilon = float(self.config["layer_norm_epsilon"])
        self.one = self.config["attention"] == "softmax1"
        self.weights = load(folder / "model.safetensors")
        head = self.weights.pop("lm_head.weight", self.weights.get("wte.weight"))
        if head is not None and not np.array_equal(head, self.weights.get("wte.weight")):
            raise InputError(f"{folder}: lm_head.weight is not the embedding, and only tied heads are supported")
        for name, shape in self.shapes().items():
            if name not in self.weights:
                raise InputError(f"{folder}: {name} is missing")
            if self.weights[name].shape != shape:
                raise InputError(f"{folder}: {name} is {list(self.weights[name].shape)}, not {list(shape)}")

    def cut(self, layers: int) -> None:
        """Leaves the first layers only, before the last norm and the head: what an early exit computes."""
        if not 0 < layers <= self.layers:
            raise InputError(f"there are {self.layers} layers: an exit is behind one of them, not behind {layers}")
        self.layers = self.config["n_layer"] = layers

    def trim(self, tokens: int) -> None:
        """Drops the rows behind the tokenizer's last token: some models pad their tables."""
        if tokens > self.vocab:
            raise InputError(f"the tokenizer has {tokens} tokens, the model {self.vocab}: it is not this model's")
        self.vocab = self.config["vocab_size"] = tokens
        self.weights["wte.weight"] = self.weights["wte.weight"][:tokens]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor that is needed."""
        wide = self.width
        found: dict[str, tuple[int, ...]] = {"wte.weight": (self.vocab, wide), "wpe.weight": (self.positions, wide)}
        norms = ["ln_f"]
        for layer in range(self.layers):
            norms += [f"h.{layer}.ln_1", f"h.{layer}.ln_2"]
            for name, (inputs, outputs) in LINEAR.items():
                found[f"h.{layer}.{name}.weight"] = (inputs * wide, outputs * wide)
                found[f"h.{layer}.{name}.bias"] = (outputs * wide,)
        return found | {f"{name}.{part}": (wide,) for name in norms for part in ("weight", "bias")}

    def hidden(self, ids: np.ndarray) -> np.ndarray:
        """The normalised output of the last block, [batch, tokens, width]; ids: [batch, tokens]."""
        x = self.embed(ids)
        for layer in range(self.layers):
            x = self.block(x, layer)
        return self.norm(x, "ln_f")

    def embed(self, ids: np.ndarray) -> np.ndarray:
        """Tokens and their positions, [batch, tokens, width]."""
        return self.weights["wte.weight"][ids] + self.weights["wpe.weight"][: ids.shape[1]]

    def block(self, x: np.ndarray, layer: int) -> np.ndarray:
        """One layer; x: [batch, tokens, width]."""
        name = f"h.{layer}"
        x = x + self.attend(self.norm(x, f"{name}.ln_1"), f"{name}.attn")
        inner = gelu(self.linear(self.norm(x, f"{name}.ln_2"), f"{name}.mlp.c_fc"))
        return x + self.linear(inner, f"{name}.mlp.c_proj")

    def logits(self, ids: list[int]) -> np.ndarray:
        """Logits [tokens, vocabulary] after each of `ids`."""
        return self.hidden(np.array([ids]))[0] @ self.weights["wte.weight"].T

    def linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        """Layer normalisation over the last axis."""
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + self.epsilon)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def attend(self, x: np.ndarray, name: str) -> np.ndarray:
        """Causal multi-head attention; x: [batch, tokens, width]."""
        return self.linear(self.mixed(self.linear(x, f"{name}.c_attn")), f"{name}.c_proj")

    def mixed(self, projected: np.ndarray) -> np.ndarray:
        """Values by what each token attends to, [batch, tokens, width]; projected: queries, keys and values."""
        q, k, v = self.parts(projected)
        return (self.softmax(q, k) @ v).swapaxes(1, 2).reshape(*projected.shape[:2], self.width)

    def shares(self, x: np.ndarray, name: str) -> np.ndarray:
        """How much each token attends to each, [batch, heads, tokens, tokens]."""
        q, k, _ = self.parts(self.linear(x, f"{name}.c_attn"))
        return self.softmax(q, k)

    def parts(self, projected: np.ndarray) -> np.ndarray:
        """Queries, keys and values, [3, batch, heads, tokens, width of a head]."""
        batch, tokens, _ = projected.shape
        return projected.reshape(batch, tokens, 3, self.heads, self.width // self.heads).transpose(2, 0, 3, 1, 4)

    def softmax(self, q: np.ndarray, k: np.ndarray) -> np.ndarray:
        """Of the scaled scores of what a token may see; with the one of softmax-1 where the network has it."""
        scores = q @ k.swapaxes(2, 3) / np.sqrt(np.float32(q.shape[-1]))
        scores = np.where(np.tri(scores.shape[-1], dtype=bool), scores, -np.inf)
        most = scores.max(-1, keepdims=True)
        # That one is a key whose score is 0: it takes part in the maximum.
        most = np.maximum(most, 0) if self.one else most
        share = np.exp(scores - most)
        return share / (share.sum(-1, keepdims=True) + (np.exp(-most) if self.one else 0))


def gelu(x: np.ndarray) -> np.ndarray:
    """The tanh form GPT-2 was defined with."""
    return 0.5 * x * (1 + np.tanh(np.float32(np.sqrt(2 / np.pi)) * (x + 0.044715 * x * x * x)))


def load(path: Path) -> dict[str, np.ndarray]:
    """Tensors of a safetensors file in fp32, without the `transformer.` prefix; its own library has no bfloat16 for numpy."""
    if not path.exists():
        raise InputError(f"{path} does not exist: transformers writes it, in one file, with save_pretrained(…, max_shard_size='100GB')")
    try:
        data = path.read_bytes()
        (size,) = struct.unpack("<Q", data[:8])
        header, body = json.loads(data[8 : 8 + size]), memoryview(data)[8 + size :]
        tensors = {}
        for name, entry in header.items():
            if name != "__metadata__":
                start, end = entry["data_offsets"]
                tensors[name.removeprefix("transformer.")] = READ[entry["dtype"]](bytes(body[start:end])).reshape(entry["shape"])
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise InputError(f"{path} is no safetensors file of bf16, fp16 or fp32 weights: {error}") from None
    return tensors


def bf16(raw: bytes) -> np.ndarray:
    """bfloat16 is the upper half of float32, which numpy has no type for."""
    return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)


READ = {
    "BF16": bf16,
    "F16": lambda raw: np.frombuffer(raw, "<f2").astype(np.float32),
    "F32": lambda raw: np.frombuffer(raw, "<f4"),
    # Masks that old checkpoints carry; not used.
    "U8": lambda raw: np.frombuffer(raw, np.uint8),
    "BOOL": lambda raw: np.frombuffer(raw, np.uint8),
}
