#!/usr/bin/env python3
"""A language model behind Foretype's HTTP API, so that the same typist types before it. `tools/peers.py` starts it.

  server.py hf DIR            Hugging Face's generate, on a GPT-2 directory (torch, transformers)
  server.py ctranslate2 DIR   CTranslate2 on the same (torch and transformers convert it once, beside the port file)
  server.py llama FILE.gguf   the llama.cpp server (xllamacpp has it as a library)

What each is asked for is what its documentation suggests for completing text: the likeliest token, eight times. The last word is
left out if it was cut, and so is what follows a line's end. While what is typed is what was shown, its rest stays, as editors do
with these models. A space that ends the draft is left out of the prompt and of the
answer, as these models' tokens begin with it; a word that is begun is not healed. The confidence is the probability of the tokens
of the first word. Nothing is learned.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import urllib.request
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

TOKENS = 8
# Tokens of text before the cursor that a GPT-2 of 256 positions has room for.
WINDOW = 240
# Those of ours that end a message; a GPT-2 that lacks them has its own.
ENDS = ("<|endoftext|>", "<|customer|>", "<|agent|>", "<|author|>")

# A piece of text and the logarithm of its probability after what is before it.
Piece = tuple[str, float]


def suggestion(pieces: Iterable[Piece], draft: str) -> tuple[str, float] | None:
    """What of a continuation would be shown, and the probability of its first word."""
    text, first, confidence, whole = "", 0.0, None, False
    for piece, logarithm in pieces:
        # The word that is begun ends where the next token begins with a space.
        if confidence is None and text.strip() and not piece[:1].isalnum():
            confidence = math.exp(first)
        first += logarithm
        text += piece
        if "\n" in piece:
            whole = True
            break
    text = text.split("\n")[0]
    if draft.endswith(" "):
        text = text.removeprefix(" ")
    if not whole and text and text[-1].isalnum():
        # The eighth token may have been followed by the rest of its word.
        head = text.rstrip()
        cut = max((at for at, char in enumerate(head) if not char.isalnum()), default=-1)
        text = head[: cut + 1]
    if not text.strip():
        return None
    return text, min(1.0, math.exp(first) if confidence is None else confidence)


class GPT2:
    """A GPT-2 directory's tokenizer, and prompts as ours was trained: a role's mark before each turn."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        known = [self.tokenizer.token_to_id(mark) for mark in ENDS]
        self.marks = {mark[2:-2]: number for mark, number in zip(ENDS, known, strict=True) if number is not None}

    def encode(self, turns: list[dict[str, str]], role: str, draft: str) -> list[int]:
        """The prompt's tokens, the newest that there is room for."""
        numbers: list[int] = []
        for turn in [*turns, {"role": role, "text": draft}]:
            numbers += [self.marks[turn["role"]]] if turn["role"] in self.marks else []
            numbers += self.tokenizer.encode(turn["text"], add_special_tokens=False).ids
        return numbers[-WINDOW:]

    def pieces(self, numbers: list[int], logarithms: list[float]) -> Iterable[Piece]:
        """Tokens as text, up to the end of the message."""
        for number, logarithm in zip(numbers, logarithms, strict=True):
            if number in self.marks.values():
                yield "\n", logarithm
                return
            yield self.tokenizer.decode([number], skip_special_tokens=False), logarithm


class HuggingFace(GPT2):
    """transformers' generate."""

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AttentionInterface, GPT2LMHeadModel

        super().__init__(folder)
        self.torch = torch
        torch.set_num_threads(1)
        AttentionInterface.register("softmax1", softmax1)
        attention = json.loads((folder / "config.json").read_text()).get("attention", "softmax")
        implementation = "softmax1" if attention == "softmax1" else "sdpa"
        self.model = GPT2LMHeadModel.from_pretrained(folder, attn_implementation=implementation, dtype=torch.float32).eval()

    def continuation(self, turns: list[dict[str, str]], role: str, draft: str) -> Iterable[Piece]:
        """Eight tokens."""
        prompt = self.torch.tensor([self.encode(turns, role, draft)])
        with self.torch.inference_mode():
            out = self.model.generate(
                prompt, attention_mask=self.torch.ones_like(prompt), max_new_tokens=TOKENS, do_sample=False,
                pad_token_id=0, eos_token_id=list(self.marks.values()) or None, return_dict_in_generate=True, output_logits=True,
            )  # fmt: skip
        chosen = out.sequences[0, prompt.shape[1] :]
        logs = [float(step[0].log_softmax(-1)[number]) for step, number in zip(out.logits, chosen, strict=True)]
        return self.pieces(chosen.tolist(), logs)


def softmax1(module, query, key, value, attention_mask, scaling=None, **_):
    """Attention of our GPT-2: one is added to the sum that exponentials are divided by, as if there were a score of 0 more."""
    import torch

    scores = query @ key.transpose(2, 3) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    new, all_ = scores.shape[-2:]
    future = torch.ones(new, all_, dtype=torch.bool).triu(all_ - new + 1)
    scores = scores.masked_fill(future, float("-inf"))
    weights = torch.cat([scores, torch.zeros_like(scores[..., :1])], -1).softmax(-1)[..., :-1]
    return (weights @ value).transpose(1, 2).contiguous(), weights


class CTranslate2(GPT2):
    """CTranslate2's generator, int8. It knows plain softmax only: a model of softmax-1 is computed with that, to no use but for
    its time."""

    def __init__(self, folder: Path) -> None:
        import ctranslate2

        super().__init__(folder)
        converted = Path(__file__).resolve().parent.parent.parent / "target/peers/ctranslate2" / folder.name
        if not (converted / "model.bin").exists():
            self.convert(folder, converted)
        self.model = ctranslate2.Generator(str(converted), device="cpu", compute_type="int8", inter_threads=1, intra_threads=1)

    @staticmethod
    def convert(folder: Path, converted: Path) -> None:
        """Once."""
        from ctranslate2.converters import TransformersConverter

        converted.parent.mkdir(parents=True, exist_ok=True)
        TransformersConverter(str(folder)).convert(str(converted), force=True)

    def continuation(self, turns: list[dict[str, str]], role: str, draft: str) -> Iterable[Piece]:
        """Eight tokens, the later ones after the prompt's cache."""
        prompt = [self.tokenizer.id_to_token(number) for number in self.encode(turns, role, draft)]
        ends = [ENDS[0]] if "endoftext" in self.marks else None
        steps = self.model.generate_tokens(prompt, max_length=TOKENS, sampling_topk=1, return_log_prob=True, end_token=ends)
        found = [(step.token_id, step.log_prob) for step in steps]
        return self.pieces([number for number, _ in found], [logarithm for _, logarithm in found])


class Llama:
    """The llama.cpp server, asked over HTTP; it keeps the prompt's cache between keystrokes."""

    def __init__(self, file: Path) -> None:
        import xllamacpp

        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(file)
        parameters.n_ctx, parameters.n_parallel = 2048, 1
        # Its threads wait for each other by spinning: two of them on cores that others use are a hundred times slower.
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
        parameters.verbosity = -1
        self.server = xllamacpp.Server(parameters)

    def continuation(self, turns: list[dict[str, str]], role: str, draft: str) -> Iterable[Piece]:
        """Eight tokens after the conversation as a transcript."""
        lines = [f"{turn['role'].capitalize()}: {turn['text']}" for turn in turns]
        prompt = "\n".join([*lines, f"{role.capitalize()}: {draft}" if turns else draft])
        body = {"prompt": prompt, "n_predict": TOKENS, "temperature": 0, "logprobs": 1, "cache_prompt": True}
        request = urllib.request.Request(
            f"{self.server.listening_address}/v1/completions", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request) as response:
            tokens = json.load(response)["choices"][0]["logprobs"]["content"]
        return [(token["token"], token["logprob"]) for token in tokens]


ENGINES = {"hf": HuggingFace, "ctranslate2": CTranslate2, "llama": Llama}


class Handler(BaseHTTPRequestHandler):
    """Complete; learning and outcomes are taken and forgotten."""

    protocol_version = "HTTP/1.1"
    engine: HuggingFace | CTranslate2 | Llama
    # The draft that was asked about last and, if anything was shown, what.
    last: ClassVar[tuple[str, tuple[str, float] | None]] = ("", None)
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Nothing: a line a keystroke is no log."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answer: dict[str, object] = {}
        if self.path == "/v1/complete":
            started = time.perf_counter()
            found, source = self.rest(body["text"]), "type_through"
            if not found:
                found, source = self.suggest(body["text"], body.get("context", [])), "models"
                Handler.last = (body["text"], found)
            least = body.get("min_confidence", 0)
            shown = [{"text": text, "confidence": p} for text, p in [found or ("", 0)] if found and p >= least]
            elapsed = 1e3 * (time.perf_counter() - started)
            answer = {"id": None, "suggestions": shown, "source": source, "elapsed_ms": elapsed, "predictors": {"peer": "used"}}
        said = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def rest(self, draft: str) -> tuple[str, float] | None:
        """What is left of the last suggestion, if what was typed since is its beginning."""
        before, shown = self.last
        typed = draft.removeprefix(before) if draft.startswith(before) else ""
        if not typed or not shown or not shown[0].startswith(typed) or not shown[0][len(typed) :].strip():
            return None
        return shown[0][len(typed) :], shown[1]

    def suggest(self, draft: str, turns: list[dict[str, str]]) -> tuple[str, float] | None:
        """What would be shown at the end of a draft."""
        if not draft.strip():
            return None
        role = "agent" if any(turn["role"] == "customer" for turn in turns) else "author"
        return suggestion(self.engine.continuation(turns, role, draft.rstrip(" ")), draft)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("engine", choices=ENGINES)
    options.add_argument("model", type=Path, help="a GPT-2 directory, or a GGUF file for llama")
    options.add_argument("--port", type=int, default=18100)
    given = options.parse_args()
    if not given.model.exists():
        sys.exit(f"{given.model} does not exist")
    Handler.engine = ENGINES[given.engine](given.model)
    server = HTTPServer(("127.0.0.1", given.port), Handler)
    print(f"ready: http://127.0.0.1:{given.port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
