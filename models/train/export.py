#!/usr/bin/env python3
"""A trained GPT-2 becomes the graph that the service runs; numpy only, no torch.

  models/train/export.py --model target/train/b --data target/train/data --out DIR           int4, calibrated
  models/train/export.py --model DIR --out DIR --precision int8                              int8 or fp32

Written to OUT: `gpt2.onnx`, `gpt2.json`, `tokenizer.json` and `reference.json`, the logits that the graph must reproduce;
`foretype build --gpt2 OUT` makes a bundle of them. Printed: how far the graph's logits are from fp32 numpy.

The graph is fused (nine nodes a layer): GroupQueryAttention with past and present keys in one buffer, `attention_bias` for
token trees and `smooth_softmax` for softmax-1; SkipLayerNormalization; FastGelu; and MatMulNBits (int4, int8) or MatMul.
Rows of the embedding are int8 with a scale each, except in fp32. `wanted` names the rows whose logits are computed.
int4 is calibrated by GPTQ on windows of the training text; without --data it is rounded to nearest and worse. Its likeliest
logits are computed anew from the embedding's int8 rows, which are there anyway: half of what 4 bits cost is the head's.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import quantize
import vocabulary
from calibrate import Quantised, calibrated, windows
from errors import InputError
from network import LINEAR, Network
from onnx import TensorProto, helper, numpy_helper
from reference import cases

MICROSOFT = "com.microsoft"
PRECISIONS = ("fp32", "int8", "int4")
BITS = {"int8": 8, "int4": 4}
# Position of `attention_bias` among the inputs of GroupQueryAttention.
BIAS = 10
# Logits that int4 computes anew from int8 rows.
LIKELIEST = 64
# As the service runs them: chunks of a prefill, single steps and a short append.
CHUNKS = (16, 16, 1, 1, 4, 1)
# How far a distribution may move from fp32, over the kept tokens: Kullback-Leibler in nats, cosine of the centred logits.
TOLERANCE = {"fp32": (1e-5, 0.99999), "int8": (0.05, 0.998), "int4": (0.15, 0.994)}


class Graph:
    """Nodes and constants of an ONNX graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], outputs: list[str] | None = None, domain: str = MICROSOFT, **attributes) -> str:
        name = f"{kind}_{len(self.nodes)}"
        outputs = outputs or [f"{name}_out"]
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=name, domain=domain, **attributes))
        return outputs[0]

    def linear(self, x: str, name: str, weights: np.ndarray, bias: np.ndarray | None, steps: tuple | None, bits: int, outputs=None) -> str:
        """x @ weights + bias; weights: [inputs, outputs], or their steps and scales."""
        if steps is None:
            product = self.node("MatMul", [x, self.constant(f"{name}.weight", weights)], outputs, domain="")
            return product if bias is None else self.node("Add", [product, self.constant(f"{name}.bias", bias)], domain="")
        codes, scale = steps
        count, inputs = codes.shape
        block = inputs // scale.shape[1]
        named = [x, self.constant(f"{name}.codes", quantize.packed(codes, bits, block)), self.constant(f"{name}.scales", scale.reshape(-1))]
        if bias is not None:
            named += ["", "", self.constant(f"{name}.bias", bias)]
        return self.node("MatMulNBits", named, outputs, K=inputs, N=count, bits=bits, block_size=block, accuracy_level=4)

    def norm(self, x: str, skip: str, network: Network, name: str) -> tuple[str, str]:
        """The normalised sum, and the sum."""
        inputs = [x, skip, *(self.constant(f"{name}.{part}", network.weights[f"{name}.{part}"]) for part in ("weight", "bias"))]
        outputs = [f"{name}_out", "", "", f"{name}_sum"]
        return self.node("SkipLayerNormalization", inputs, outputs, epsilon=network.epsilon), outputs[3]


def build(network: Network, quantised: Quantised, biases: dict[str, np.ndarray], precision: str) -> onnx.ModelProto:
    """The fused graph; `quantised` is empty in fp32; `biases` are those that take the place of the network's."""
    graph, bits = Graph(), BITS.get(precision, 0)
    x = graph.node("Gather", [graph.constant("wpe", network.weights["wpe.weight"]), "position_ids"], domain="")
    skip = embedding(graph, network.weights["wte.weight"], precision)
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["B", "S"]) for name in ("input_ids", "position_ids")]
    inputs += [helper.make_tensor_value_info("seqlens_k", TensorProto.INT32, ["B"]), helper.make_tensor_value_info("total_len", TensorProto.INT32, [])]
    keys, presents = [], []

    def linear(x: str, name: str) -> str:
        bias = biases.get(f"{name}.bias", network.weights[f"{name}.bias"])
        return graph.linear(x, name, network.weights[f"{name}.weight"], bias, quantised.get(name), bits)

    for layer in range(network.layers):
        block = f"h.{layer}"
        normal, skip = graph.norm(x, skip, network, f"{block}.ln_1")
        past, present = [f"past_k{layer}", f"past_v{layer}"], [f"present_k{layer}", f"present_v{layer}"]
        named = [linear(normal, f"{block}.attn.c_attn"), "", "", *past, "seqlens_k", "total_len"]
        named += [""] * (BIAS - len(named)) + ["attention_bias"]
        attention = {"num_heads": network.heads, "kv_num_heads": network.heads, "do_rotary": 0, "smooth_softmax": int(network.one)}
        mixed = graph.node("GroupQueryAttention", named, [f"{block}_mixed", *present], **attention)
        x = linear(mixed, f"{block}.attn.c_proj")
        normal, skip = graph.norm(x, skip, network, f"{block}.ln_2")
        x = linear(graph.node("FastGelu", [linear(normal, f"{block}.mlp.c_fc")]), f"{block}.mlp.c_proj")
        shape = ["B", network.heads, "P", network.width // network.heads]
        keys += [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in past]
        presents += [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in present]
    normal, _ = graph.norm(x, skip, network, "ln_f")
    rows = graph.node("Gather", [normal, "wanted"], domain="", axis=1)
    rough = precision == "int4"
    graph.linear(rows, "head", network.weights["wte.weight"].T, None, quantised.get("head"), bits, ["rough" if rough else "logits"])
    if rough:
        refine(graph, rows, "rough", min(LIKELIEST, network.vocab))
    wanted = helper.make_tensor_value_info("wanted", TensorProto.INT64, ["N"])
    inputs += [*keys, wanted, helper.make_tensor_value_info("attention_bias", TensorProto.FLOAT, [1, 1, "S", "T"])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", "N", network.vocab]), *presents]
    made = helper.make_graph(graph.nodes, "gpt2", inputs, outputs, graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid(MICROSOFT, 1)], producer_name="foretype")
    model.ir_version = 10
    onnx.checker.check_model(model)
    return model


def refine(graph: Graph, rows: str, rough: str, likeliest: int) -> None:
    """The likeliest of the rough logits anew, of the embedding's rows in int8. models/src/rewrite.rs knows these nodes by their kinds."""

    def plain(kind: str, *inputs: str, **attributes) -> str:
        return graph.node(kind, list(inputs), domain="", **attributes)

    last = graph.constant("last", np.array([-1], np.int64))
    tokens = "tokens"
    graph.node("TopK", [rough, graph.constant("likeliest", np.array([likeliest], np.int64))], ["highest", tokens], domain="", sorted=0)
    steps = plain("Cast", plain("Gather", "wte.steps", tokens), to=TensorProto.FLOAT)
    products = plain("MatMul", steps, plain("Unsqueeze", rows, last))
    exact = plain("Squeeze", plain("Mul", products, plain("Gather", "wte.scales", tokens)), last)
    graph.node("ScatterElements", [rough, tokens, exact], ["logits"], domain="", axis=2)


def embedding(graph: Graph, table: np.ndarray, precision: str) -> str:
    """The rows of the tokens; int8 where weights are quantised, as in fp32 they would be most of the file."""
    if precision == "fp32":
        return graph.node("Gather", [graph.constant("wte", table), "input_ids"], domain="")
    scale = (np.abs(table).max(1, keepdims=True) / 127).astype(np.float32)
    scale[scale == 0] = 1
    rows = graph.node("Gather", [graph.constant("wte.steps", np.rint(table / scale).astype(np.int8)), "input_ids"], domain="")
    each = graph.node("Gather", [graph.constant("wte.scales", scale), "input_ids"], domain="")
    return graph.node("Mul", [graph.node("Cast", [rows], domain="", to=TensorProto.FLOAT), each], domain="")


class Session:
    """The graph in ONNX Runtime, one thread, keys and values kept in place."""

    def __init__(self, path: Path, positions: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.binding, self.kept, self.past = self.session.io_binding(), [], 0
        for value in self.session.get_inputs():
            if value.name.startswith("past_"):
                empty = np.zeros((1, value.shape[1], positions, value.shape[3]), np.float32)
                self.kept.append(onnxruntime.OrtValue.ortvalue_from_numpy(empty))
                self.binding.bind_ortvalue_input(value.name, self.kept[-1])
                self.binding.bind_ortvalue_output(value.name.replace("past", "present"), self.kept[-1])

    def logits(self, ids: list[int]) -> np.ndarray:
        """Appends tokens; logits [tokens, vocabulary] after each."""
        size, total = len(ids), self.past + len(ids)
        inputs = {
            "input_ids": np.array([ids], np.int64),
            "position_ids": np.arange(self.past, total, dtype=np.int64)[None],
            "seqlens_k": np.array([total - 1], np.int32),
            "total_len": np.array(total, np.int32),
            "wanted": np.arange(size, dtype=np.int64),
            "attention_bias": np.zeros((1, 1, size, total), np.float32),
        }
        for name, value in inputs.items():
            self.binding.bind_cpu_input(name, value)
        self.binding.bind_output("logits")
        self.session.run_with_iobinding(self.binding)
        self.past = total
        return self.binding.get_outputs()[-1].numpy()[0]


def distance(network: Network, path: Path, texts: list[list[int]]) -> float:
    """The largest difference of a logit between the graph, run in chunks, and numpy."""
    worst = 0.0
    for ids in texts:
        session, at = Session(path, network.positions), 0
        expected = network.logits(ids)
        sizes = list(CHUNKS) + [16] * len(ids)
        while at < len(ids):
            size = min(sizes.pop(0), len(ids) - at)
            worst = max(worst, float(np.abs(session.logits(ids[at : at + size]) - expected[at : at + size]).max()))
            at += size
    return worst


def export(model: Path, out: Path, precision: str, block: int, data: Path | None, layers: int | None = None) -> dict[str, float]:
    """Writes the four files, and says how large the graph is and how far from fp32; `layers`: only the first so many."""
    network, tokenizer = Network(model), vocabulary.load(model)
    network.trim(tokenizer.get_vocab_size())
    markers = vocabulary.markers(tokenizer)
    if layers is not None:
        network.cut(layers)
    if (network.width % block or 4 * network.width % block) and precision != "fp32":
        raise InputError(f"blocks of {block} do not divide a width of {network.width}: say --block 32 or 64")
    quantised: Quantised = {}
    biases: dict[str, np.ndarray] = {}
    if precision == "int4" and data:
        quantised, biases = calibrated(network, windows(data, model, network.positions), block)
    elif precision != "fp32":
        tables = {f"h.{layer}.{part}": network.weights[f"h.{layer}.{part}.weight"] for layer in range(network.layers) for part in LINEAR}
        tables["head"] = network.weights["wte.weight"].T
        quantised = {name: quantize.nearest(table, BITS[precision], block) for name, table in tables.items()}
    divergence, cosine = TOLERANCE[precision]
    found = cases(network, tokenizer)
    config = {key: value for key, value in network.config.items() if not key.startswith("_")} | {"special_tokens": markers}
    config |= {"precision": precision, "block": block if quantised else None, "calibrated": bool(quantised and precision == "int4" and data)}
    reference = json.dumps({"version": 1, "tolerance": {"kl": divergence, "cosine": cosine}, "cases": found}, separators=(",", ":"))
    # The four belong together: nothing is in `out` before all of them are written.
    beside = out.with_name(out.name + ".partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        onnx.save(build(network, quantised, biases, precision), beside / "gpt2.onnx")
        worst = distance(network, beside / "gpt2.onnx", [case["tokens"] for case in found])
        (beside / "gpt2.json").write_text(json.dumps(config, indent=1) + "\n")
        (beside / "reference.json").write_text(reference.replace('{"turns"', '\n{"turns"') + "\n")
        tokenizer.save(str(beside / "tokenizer.json"))
        out.mkdir(parents=True, exist_ok=True)
        for path in beside.iterdir():
            path.replace(out / path.name)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return {"megabytes": round((out / "gpt2.onnx").stat().st_size / 1e6, 2), "largest_logit_difference": round(worst, 6)}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", type=Path, required=True, help="folder with config.json, model.safetensors, tokenizer.json")
    options.add_argument("--out", type=Path, required=True, help="folder to write the four files to")
    options.add_argument("--precision", choices=PRECISIONS, default="int4", help="of the weights (default: int4)")
    options.add_argument("--block", type=int, default=128, choices=(32, 64, 128), help="weights that share a scale (default: 128)")
    options.add_argument("--data", type=Path, help="folder that prepare.py wrote, to calibrate int4 on")
    options.add_argument("--layers", type=int, help="only the first so many: an early exit, of a model trained with --exits")
    given = options.parse_args()
    if given.precision == "int4" and not given.data:
        print("export: without --data int4 is rounded to nearest, which costs more", file=sys.stderr)
    started = time.monotonic()
    try:
        said = export(given.model, given.out, given.precision, given.block, given.data, given.layers)
    except (InputError, OSError, ValueError) as error:
        sys.exit(f"export: {error}")
    print(json.dumps({"precision": given.precision, **said, "seconds": round(time.monotonic() - started, 1)}))


if __name__ == "__main__":
    main()
