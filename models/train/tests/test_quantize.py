"""Rounding to few bits, each way against the plainer one, and the logits that are computed anew. Without torch."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import calibrate
import numpy as np
import onnx
import onnxruntime
import quantize
from export import Graph, refine
from onnx import TensorProto, helper


def inputs(chance: np.random.Generator, count: int, size: int) -> np.ndarray:
    """As a layer has them: some vary much, and several together."""
    return (chance.normal(size=(count, size)) @ chance.normal(size=(size, size)) * np.geomspace(0.1, 3, size)).astype(np.float32)


class Rounding(unittest.TestCase):
    def setUp(self) -> None:
        chance = np.random.default_rng(0)
        self.x = inputs(chance, 500, 64)
        self.weights = chance.normal(size=(64, 24)).astype(np.float32)
        self.moments = self.x.T @ self.x / len(self.x)

    def cost(self, steps: np.ndarray, scale: np.ndarray) -> float:
        return float(((self.x @ quantize.restored(steps, scale) - self.x @ self.weights) ** 2).mean())

    def test_each_way_costs_less_than_the_one_before(self) -> None:
        nearest = self.cost(*quantize.nearest(self.weights, 4, 32))
        gptq = self.cost(*quantize.gptq(self.weights, self.moments, 4, 32))
        descended = self.cost(*quantize.descended(self.weights, self.moments, 4, 32))
        self.assertLess(gptq, 0.5 * nearest)
        self.assertLess(descended, 0.95 * gptq)

    def test_no_single_step_is_better_elsewhere(self) -> None:
        rows = np.ascontiguousarray(self.weights.T)
        steps, scale = quantize.nearest(self.weights, 4, 32)
        for _ in range(60):
            steps = quantize.stepped(rows, steps, scale, self.moments, 4)
        least = self.cost(steps, scale)
        for row, one in ((0, 0), (5, 17), (23, 63)):
            for move in (-1, 1):
                other = steps.copy()
                other[row, one] = np.clip(other[row, one] + move, -8, 7)
                self.assertGreaterEqual(self.cost(other, scale), least - 1e-6 * least)

    def test_scales_are_the_best_of_these_steps(self) -> None:
        rows = np.ascontiguousarray(self.weights.T)
        steps, scale = quantize.nearest(self.weights, 4, 32)
        best = quantize.rescaled(rows, steps, scale, self.moments)
        least = self.cost(steps, best)
        self.assertLess(least, self.cost(steps, scale))
        for factor in (0.97, 1.03):
            self.assertGreater(self.cost(steps, best * np.where(np.arange(best.size).reshape(best.shape) % 3, 1, factor)), least)

    def test_a_column_of_nothing_stays_nothing(self) -> None:
        self.weights[:, 3] = 0
        restored = quantize.restored(*quantize.descended(self.weights, self.moments, 4, 32))
        self.assertTrue(np.isfinite(restored).all())
        self.assertLess(np.abs(restored[:, 3]).max(), 1e-3)

    def test_rounding_is_within_half_a_step(self) -> None:
        for bits in (4, 8):
            steps, scale = quantize.nearest(self.weights, bits, 32)
            self.assertLess(np.abs(quantize.restored(steps, scale) - self.weights).max(), 1.5 / (1 << bits) * 4)
            packed = quantize.packed(steps, bits, 32)
            self.assertEqual((packed.shape, packed.dtype), ((24, 2, 32 * bits // 8), np.uint8))
        low, high = quantize.packed(np.array([[-8, 7]], np.int8), 4, 2)[0, 0, 0] & 15, quantize.packed(np.array([[-8, 7]], np.int8), 4, 2)[0, 0, 0] >> 4
        self.assertEqual((low, high), (0, 15))

    def test_weights_make_up_for_what_their_inputs_lost(self) -> None:
        chance = np.random.default_rng(1)
        rough = (0.8 * self.x + 0.1 * chance.normal(size=self.x.shape) + 0.3).astype(np.float32)
        moved, moments, mean, lost = calibrate.fitted(self.weights, [self.x], [rough], True)
        self.assertTrue(np.allclose(moments, np.cov(rough.T, bias=True), rtol=1e-2, atol=1e-2))
        wanted = self.x @ self.weights
        before = ((rough @ self.weights - wanted) ** 2).mean()
        after = ((rough @ moved + lost @ self.weights + mean @ (self.weights - moved) - wanted) ** 2).mean()
        self.assertLess(after, 0.5 * before)


class Refined(unittest.TestCase):
    def test_the_likeliest_are_those_of_the_embedding_and_the_others_stay(self) -> None:
        chance, graph = np.random.default_rng(2), Graph()
        steps, scale = chance.integers(-127, 128, (300, 16)).astype(np.int8), chance.random((300, 1), np.float32)
        graph.constant("wte.steps", steps)
        graph.constant("wte.scales", scale)
        refine(graph, "rows", "rough", 40)
        named = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "N", size]) for name, size in (("rows", 16), ("rough", 300), ("logits", 300))]
        made = helper.make_graph(graph.nodes, "head", named[:2], named[2:], graph.constants)
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)])
        model.ir_version = 10
        with tempfile.TemporaryDirectory() as folder:
            onnx.save(model, Path(folder) / "head.onnx")
            session = onnxruntime.InferenceSession(str(Path(folder) / "head.onnx"), providers=["CPUExecutionProvider"])
            rows, rough = chance.normal(size=(1, 5, 16)).astype(np.float32), chance.normal(size=(1, 5, 300)).astype(np.float32)
            found = session.run(None, {"rows": rows, "rough": rough})[0]
        exact = rows @ (steps * scale).T
        anew = np.argsort(-rough, -1)[..., :40]
        expected = rough.copy()
        np.put_along_axis(expected, anew, np.take_along_axis(exact, anew, -1), -1)
        self.assertTrue(np.allclose(found, expected, rtol=1e-4, atol=1e-3))


if __name__ == "__main__":
    unittest.main()
