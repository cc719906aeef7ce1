#!/usr/bin/env python3
"""Gives a graph of one logit row the inputs that token-tree passes need; the weights stay as they are.

    pip install -r models/train/requirements.txt
    python3 models/train/regraph.py old.onnx models/bundle/gpt2.onnx

Added: `attention_bias` f32 [1, 1, S, past + S] on every GroupQueryAttention, with which a token sees its ancestors in a
tree and not its neighbours (the op's causal mask stays: a token comes after its ancestors), and `wanted` i64 [N], the
rows of the S whose logits are computed, so that a prefill of 16 tokens does not pay for the head 16 times. The output
`logits` becomes f32 [1, N, vocabulary].

Both graphs are then run on the same tokens, a bias of zeros and the last row wanted: the logits must be the same.
Update the SHA-256 and the size in bundle.toml afterwards.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

# Position of `attention_bias` among the inputs of com.microsoft GroupQueryAttention.
BIAS = 10
# As the service runs them: a first chunk, a full one, single steps and a short append.
CHUNKS = [16, 16, 1, 1, 4, 1]


def regraph(model: onnx.ModelProto) -> onnx.ModelProto:
    """Changes `model` in place: the new inputs, and the head on the rows wanted."""
    graph = model.graph
    names = {value.name for value in graph.input}
    if names & {"attention_bias", "wanted"}:
        raise SystemExit("the graph has these inputs already")
    attentions = [node for node in graph.node if node.op_type == "GroupQueryAttention"]
    head = next(node for node in graph.node if "logits" in node.output)
    last = next(node for node in graph.node if head.input[0] in node.output)
    if not attentions or last.op_type != "Gather":
        raise SystemExit("not a fused graph that gathers the last row before its head")
    for node in attentions:
        node.input.extend([""] * (BIAS - len(node.input)) + ["attention_bias"])
    constant = last.input[1]
    last.input[1] = "wanted"
    for initializer in [value for value in graph.initializer if value.name == constant]:
        graph.initializer.remove(initializer)
    graph.input.append(helper.make_tensor_value_info("wanted", TensorProto.INT64, ["N"]))
    graph.input.append(helper.make_tensor_value_info("attention_bias", TensorProto.FLOAT, [1, 1, "S", "T"]))
    for output in graph.output:
        if output.name == "logits":
            output.type.tensor_type.shape.dim[1].dim_param = "N"
    onnx.checker.check_model(model)
    return model


def logits(path: Path, tokens: list[list[int]]) -> list[np.ndarray]:
    """Logits [vocabulary] of the last token of each chunk, appended to the same keys and values."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    shapes = {value.name: value.shape for value in session.get_inputs()}
    binding, caches, past, rows = session.io_binding(), {}, 0, []
    for name in [name for name in shapes if name.startswith("past_")]:
        _, heads, _, width = shapes[name]
        empty = np.zeros((1, heads, 256, width), np.float32)
        caches[name] = onnxruntime.OrtValue.ortvalue_from_numpy(empty)
        binding.bind_ortvalue_input(name, caches[name])
        binding.bind_ortvalue_output(name.replace("past", "present"), caches[name])
    for chunk in tokens:
        size, total = len(chunk), past + len(chunk)
        inputs = {
            "input_ids": np.array([chunk], np.int64),
            "position_ids": np.arange(past, total, dtype=np.int64)[None],
            "seqlens_k": np.array([total - 1], np.int32),
            "total_len": np.array(total, np.int32),
            "wanted": np.array([size - 1], np.int64),
            "attention_bias": np.zeros((1, 1, size, total), np.float32),
        }
        for name in shapes.keys() & inputs.keys():
            binding.bind_cpu_input(name, inputs[name])
        binding.bind_output("logits")
        session.run_with_iobinding(binding)
        rows.append(binding.get_outputs()[-1].numpy()[0, -1])
        past = total
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    args = parser.parse_args()
    onnx.save(regraph(onnx.load(args.old)), args.new)
    random = np.random.default_rng(0)
    tokens = [random.integers(300, 8_000, size).tolist() for size in CHUNKS]
    pairs = zip(logits(args.old, tokens), logits(args.new, tokens), strict=True)
    worst = max(float(np.abs(old - new).max()) for old, new in pairs)
    print(f"largest difference of a logit, old graph and new: {worst:.1e}")
    if worst > 1e-4:
        raise SystemExit("the graphs do not say the same")


if __name__ == "__main__":
    main()
