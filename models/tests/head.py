#!/usr/bin/env python3
"""Writes tests/head.onnx: a head of 4 bits as train/export.py makes it, whose likeliest logits are computed anew, of weights of no meaning.

  PYTHONPATH=models/train .venv-train/bin/python models/tests/head.py
"""

from pathlib import Path

import numpy as np
import onnx
import quantize
from export import Graph, refine
from onnx import TensorProto, helper

VOCABULARY, WIDTH = 600, 64

chance, graph = np.random.default_rng(0), Graph()
weights = chance.normal(size=(VOCABULARY, WIDTH)).astype(np.float32)
scale = (np.abs(weights).max(1, keepdims=True) / 127).astype(np.float32)
graph.constant("wte.steps", np.rint(weights / scale).astype(np.int8))
graph.constant("wte.scales", scale)
graph.linear("rows", "head", weights.T, None, quantize.nearest(weights.T, 4, 32), 4, ["rough"])
refine(graph, "rows", "rough", 64)
rows, logits = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "N", size]) for name, size in (("rows", WIDTH), ("logits", VOCABULARY)))
made = helper.make_graph(graph.nodes, "head", [rows], [logits], graph.constants)
model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)], producer_name="foretype")
model.ir_version = 10
onnx.save(model, Path(__file__).with_suffix(".onnx"))
