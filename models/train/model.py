"""GPT-2 (Radford et al. 2019), small and for the CPU too: names and orientations are Hugging Face's, so that weights move freely.

Pre-norm blocks, tanh GELU, learned positions, tied head. Attention is softmax or softmax-1 (Kaul et al. 2024, arXiv
2410.17174): exp(s_i) / (1 + sum_j exp(s_j)), which lets a head attend to nothing; it is softmax over one more key whose
score is 0 and whose value is 0, and that is how it is computed here.
"""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
import vocabulary
from errors import InputError
from network import USUAL, Network, configuration
from safetensors import SafetensorError
from safetensors.torch import save_file
from subnetwork import Subnetwork
from torch import Tensor, nn

# Hugging Face's name of each field of a shape.
CONFIG = {
    "layers": "n_layer",
    "width": "n_embd",
    "heads": "n_head",
    "vocab": "vocab_size",
    "positions": "n_positions",
    "epsilon": "layer_norm_epsilon",
    "attention": "attention",
}


@dataclass(frozen=True)
class Shape:
    """What a GPT-2 is made of; the defaults are shape B."""

    layers: int = 6
    width: int = 384
    heads: int = 6
    vocab: int = 16_384
    positions: int = 256
    epsilon: float = 1e-5
    attention: str = "softmax1"

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise InputError(f"a width of {self.width} cannot be split into {self.heads} heads")

    def config(self) -> dict[str, object]:
        """As config.json has it."""
        named = {CONFIG[key]: value for key, value in asdict(self).items()}
        return {"model_type": "gpt2"} | USUAL | named | {"n_ctx": self.positions}

    @classmethod
    def read(cls, folder: Path) -> Shape:
        """From a folder's config.json."""
        config = configuration(folder)
        return cls(**{key: config[name] for key, name in CONFIG.items()})


class Conv1D(nn.Module):
    """x @ weight + bias with the weight as [in, out], as GPT-2's checkpoints have it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, inputs: Tensor | None = None, outputs: Tensor | None = None) -> Tensor:
        """x: [..., in] in the type that is computed in; of a part, `inputs` and `outputs` are the rows and columns it has."""
        weight, bias = self.weight, self.bias
        if inputs is not None:
            weight = weight[inputs]
        if outputs is not None:
            weight, bias = weight[:, outputs], bias[outputs]
        return F.linear(x, weight.to(x.dtype).t(), bias.to(x.dtype))


class Attention(nn.Module):
    """Causal multi-head attention."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.one = shape.attention == "softmax1"
        self.c_attn = Conv1D(shape.width, 3 * shape.width)
        self.c_proj = Conv1D(shape.width, shape.width)

    def forward(self, x: Tensor, mask: Tensor, kept: tuple[int, ...] | None = None) -> Tensor:
        """x: [batch, tokens, width]; mask: [tokens, keys], 0 or -inf; kept: the heads that are computed, all if None."""
        batch, tokens, width = x.shape
        size, heads = width // self.heads, self.heads if kept is None else len(kept)
        columns = rows = None
        if kept is not None:
            rows = (torch.tensor(kept)[:, None] * size + torch.arange(size)).reshape(-1).to(x.device)
            columns = torch.cat([rows + part * width for part in range(3)])
        q, k, v = self.c_attn(x, outputs=columns).view(batch, tokens, 3, heads, size).permute(2, 0, 3, 1, 4).unbind(0)
        if self.one:
            k, v = F.pad(k, (0, 0, 1, 0)), F.pad(v, (0, 0, 1, 0))
        if x.is_cuda:
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        else:
            # Two or three times as fast as the fused kernel for CPUs at this length, there and back.
            q, k, v = (part.reshape(batch * heads, -1, size) for part in (q, k, v))
            scores = torch.baddbmm(mask.expand(batch * heads, *mask.shape), q, k.transpose(1, 2), alpha=size**-0.5)
            mixed = torch.bmm(torch.softmax(scores, -1), v).view(batch, heads, tokens, size)
        mixed = mixed.transpose(1, 2).reshape(batch, tokens, heads * size)
        return self.c_proj(mixed * (self.heads / heads) if kept else mixed, inputs=rows)


class MLP(nn.Module):
    """Two layers with four times the width between them."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.c_fc = Conv1D(shape.width, 4 * shape.width)
        self.c_proj = Conv1D(4 * shape.width, shape.width)

    def forward(self, x: Tensor, kept: tuple[int, ...] | None = None) -> Tensor:
        """x: [batch, tokens, width]; kept: the neurons that are computed, all if None."""
        neurons = None if kept is None else torch.tensor(kept, device=x.device)
        inner = F.gelu(self.c_fc(x, outputs=neurons), approximate="tanh")
        return self.c_proj(inner * (self.c_fc.bias.numel() / len(kept)) if kept else inner, inputs=neurons)


class Norm(nn.LayerNorm):
    """Layer normalisation in the type of its input."""

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps)


class Block(nn.Module):
    """Attention and MLP, each added to what it reads."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.ln_1 = Norm(shape.width, shape.epsilon)
        self.attn = Attention(shape)
        self.ln_2 = Norm(shape.width, shape.epsilon)
        self.mlp = MLP(shape)

    def forward(self, x: Tensor, mask: Tensor, part: Subnetwork | None = None, layer: int = 0, dropout: float = 0.0) -> Tensor:
        """x: [batch, tokens, width] in fp32; products are computed in the mask's type; `dropout`: the share of what is added that is not."""
        heads = part.heads[layer] if part and part.heads else None
        neurons = part.neurons[layer] if part and part.neurons else None
        scale = part.scale if part else 1.0
        x = x + scale * dropped(self.attn(self.ln_1(x).to(mask.dtype), mask, heads), dropout)
        return x + scale * dropped(self.mlp(self.ln_2(x).to(mask.dtype), neurons), dropout)


def dropped(x: Tensor, share: float) -> Tensor:
    """Without a share of its elements, drawn at random, the others the larger for it (Srivastava et al. 2014)."""
    return F.dropout(x, share) if share else x


class GPT2(nn.Module):
    """The network without its head, which shares the token embedding's weights."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.wte = nn.Embedding(shape.vocab, shape.width)
        self.wpe = nn.Embedding(shape.positions, shape.width)
        self.h = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.ln_f = Norm(shape.width, shape.epsilon)
        for name, weights in self.named_parameters():
            if weights.dim() == 2:
                deviation = 0.01 if name.startswith("wpe") else 0.02
                # What is added to the residual stream 2L times would grow with the square root of that.
                deviation /= math.sqrt(2 * shape.layers) if name.endswith("c_proj.weight") else 1
                nn.init.normal_(weights, 0, deviation)

    def mask(self, tokens: int, dtype: torch.dtype) -> Tensor:
        """[tokens, keys]: 0 where a token sees a key, -inf where not; softmax-1's key of zeros comes first."""
        extra = int(self.shape.attention == "softmax1")
        hidden = torch.full((tokens, tokens + extra), -torch.inf, device=self.wte.weight.device)
        return hidden.triu(1 + extra).to(dtype)

    def forward(
        self, ids: Tensor, dtype: torch.dtype = torch.float32, part: Subnetwork | None = None, dropout: float = 0.0
    ) -> Tensor:
        """ids: [batch, tokens]; the normalised output of the last block, [batch, tokens, width] in `dtype`."""
        mask = self.mask(ids.shape[1], dtype)
        x = dropped(F.embedding(ids, self.wte.weight) + self.wpe.weight[: ids.shape[1]], dropout)
        for layer in part.layers if part else range(self.shape.layers):
            x = self.h[layer](x, mask, part, layer, dropout)
        return self.ln_f(x).to(dtype)

    def logits(self, ids: Tensor, dtype: torch.dtype = torch.float32, part: Subnetwork | None = None) -> Tensor:
        """[batch, tokens, vocabulary]."""
        hidden = self(ids, dtype, part)
        return F.linear(hidden, self.wte.weight.to(hidden.dtype))

    def widened(self, vocab: int) -> GPT2:
        """The same network with more tokens, which start as the mean of those there are."""
        wider = GPT2(replace(self.shape, vocab=vocab))
        weights = self.state_dict()
        known, mean = weights["wte.weight"], weights["wte.weight"].mean(0, keepdim=True)
        weights["wte.weight"] = torch.cat([known, mean.expand(vocab - len(known), -1)])
        wider.load_state_dict(weights)
        return wider

    def save(self, folder: Path, tokenizer: Path) -> None:
        """config.json, model.safetensors in bf16 and tokenizer.json, a copy of that file."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: weights.detach().to("cpu", torch.bfloat16).contiguous() for name, weights in self.state_dict().items()}
        end = vocabulary.markers(vocabulary.load(tokenizer))[vocabulary.END]
        config = self.shape.config() | {"bos_token_id": end, "eos_token_id": end}
        beside = folder / "model.safetensors.partial"
        try:
            save_file(tensors, beside, metadata={"format": "pt"})
            # The library leaves it readable by its owner alone.
            beside.chmod(0o644)
        except SafetensorError as error:
            beside.unlink(missing_ok=True)
            raise InputError(f"{beside} cannot be written: {error}") from None
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
        if tokenizer.resolve() != (folder / "tokenizer.json").resolve():
            shutil.copy(tokenizer, folder / "tokenizer.json")
        beside.replace(folder / "model.safetensors")

    @classmethod
    def load(cls, folder: Path) -> GPT2:
        """A folder as Hugging Face lays it out: every tensor is there and of the shape that config.json says, or it is refused."""
        model, network = cls(Shape.read(folder)), Network(folder)
        model.load_state_dict({name: torch.from_numpy(network.weights[name].copy()) for name in model.state_dict()})
        return model


class HeadLoss(torch.autograd.Function):
    """Mean cross entropy of the tied head, some rows at a time: all logits would be 250 MB.

    The gradients are made on the way there, from the probabilities that are at hand.
    """

    ROWS = 1024

    @staticmethod
    def forward(ctx, x: Tensor, table: Tensor, wanted: Tensor) -> Tensor:
        """x: [tokens, width]; table: [vocabulary, width]; wanted: [tokens], the tokens that came."""
        weights = table.to(x.dtype)
        wanted_back = ctx.needs_input_grad[0]
        into_x, into_table = (torch.empty_like(x), torch.zeros_like(table)) if wanted_back else (None, None)
        loss = torch.zeros((), device=x.device)
        places = torch.arange(HeadLoss.ROWS, device=x.device) * len(table)
        for start in range(0, len(x), HeadLoss.ROWS):
            part = slice(start, start + HeadLoss.ROWS)
            came = wanted[part, None]
            probs = torch.softmax(F.linear(x[part], weights), -1)
            right = probs.gather(1, came)
            loss -= right.float().clamp_min(1e-30).log().sum()
            if not wanted_back:
                continue
            # `scatter_` copies all of them for this.
            probs.view(-1)[places[: len(came)] + came[:, 0]] = (right - 1)[:, 0]
            torch.matmul(probs, weights, out=into_x[part])
            into_table += probs.t() @ x[part]
        if wanted_back:
            ctx.save_for_backward(into_x, into_table)
        return loss / len(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        into_x, into_table = ctx.saved_tensors
        share = gradient / len(into_x)
        return into_x * share, into_table * share, None


def loss(model: GPT2, tokens: Tensor, dtype: torch.dtype, part: Subnetwork | None = None, dropout: float = 0.0) -> Tensor:
    """Mean nats of each token after those before it; tokens: [batch, length + 1]."""
    hidden = model(tokens[:, :-1], dtype, part, dropout)
    return HeadLoss.apply(hidden.reshape(-1, model.shape.width), model.wte.weight, tokens[:, 1:].reshape(-1))
