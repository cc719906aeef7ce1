"""The experiments and their report, with scripts that say what they would say: nothing is trained here."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import errors
import evaluate
import experiments
import report

KIT = {"ksr": 0.5, "ci95": [0.48, 0.52], "net": 0.4, "used": {"gpt2": 1.0}}


def said(name: str, *arguments: object) -> dict[str, object]:
    """What a script would say, and the files that are read of it."""
    given = {str(part): arguments[at + 1] for at, part in enumerate(arguments[:-1]) if str(part).startswith("--")}
    if name == "train":
        out = Path(str(given["--out"]))
        out.mkdir(parents=True, exist_ok=True)
        line = {"step": 7, "tokens": 1_000_000, "products": 800_000, "seconds": 60, "held_out": {"all": 4.5}}
        (out / "log.jsonl").write_text(json.dumps(line) + "\n")
    if name == "export":
        return {"precision": "int4", "megabytes": 9.5, "largest_logit_difference": 0.5, "seconds": 1.0}
    if name == "neighbours":
        row = {"window": "nothing", "nats": {"expert-mail": 4.5, "all": 4.5}, "perplexity": 90.0, "ci95": [0.1, 0.3], "prepare_ms": 4.0, "pass_ms": 20.0}
        about = {"model": "b", "limit": 9, "known": 8, "messages": 3, "tokens": 1_164, "near": 20.0, "steps": 26.5, "optimizer": "adamw", "rate": 1e-4}
        tried = [{"optimizer": "adamw", "rate": 1e-4, "nats": 4.4, "gain": 0.1}]
        return about | {"rates": tried, "rows": [row | {"method": "none", "gain": 0.0}, row | {"method": "n-gram", "gain": 0.2}]}
    if name == "evaluate":
        return {
            "nats": {"all": 4.5, "perplexity": 90.0},
            "activations": {"kurtosis": 3.0, "to_first_token": 0.1},
            "induction": {"induction": 0.2, "layer": 1, "head": 2},
            "keys": dict.fromkeys((str(part) for part in arguments if str(part) in report.SETS), KIT) or dict.fromkeys(report.SETS, KIT),
        }[str(arguments[0])]
    return {}


class Report(unittest.TestCase):
    def test_every_experiment_is_reported_and_done_once(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "kit/data/dev").mkdir(parents=True)
            stream = {"history": ["one two three"] * 40, "messages": []}
            (folder / f"kit/data/dev/{experiments.DOMAIN}.jsonl").write_text(f"{json.dumps(stream)}\n{json.dumps(stream)}\n")
            model = folder / "b"
            (model / "kept/000007").mkdir(parents=True)
            said("train", "--out", model)
            given = argparse.Namespace(corpus=folder, kit=folder / "kit", model=model, data=folder, only=None, minutes=6, tokens=1_000_000, limit=9, foretype="foretype")
            for turn in range(2):
                results = experiments.Results(folder / "work")
                with (
                    mock.patch.object(experiments, "script", side_effect=said) as script,
                    mock.patch.object(experiments, "milliseconds", return_value=[0.4, 0.6]),
                    mock.patch.object(experiments.subprocess, "run") as built,
                ):
                    for name in ("compare", "checkpoints", "versions", "precisions", "own", "served", "neighbours"):
                        getattr(experiments, name)(given, results)
                self.assertEqual(script.call_count > 1, turn == 0, script.call_args_list)
                self.assertEqual(built.call_count, 1 - turn)
            rows = [json.loads(line) for line in results.path.read_text().splitlines()]
            rows.append({"experiment": "large", "run": "124M", "training": {"step": 4}, "megabytes": 108.0, "milliseconds": [6.0, 9.0], "keys": {}})
            for experiment, (_, section) in report.SECTIONS.items():
                of = [row for row in rows if row["experiment"] == experiment]
                self.assertTrue(of, experiment)
                text = section(of, folder / "report")
                self.assertTrue("| " in text or "ms a token" in text, text)
            written = json.loads((folder / "work/10 KB/text/history.jsonl").read_text().splitlines()[0])
            self.assertEqual(written, {"source": "history", "text": "one two three"})

    def test_the_page_is_what_its_rows_say(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            models = report.ROOT / "models"
            page = report.page(report.read(models / "report/rows.jsonl"), Path(name) / "report")
            self.assertEqual(page, (models / "REPORT.md").read_text(encoding="utf-8"))
            self.assertEqual(
                sorted(path.name for path in (Path(name) / "report").iterdir()),
                sorted(path.name for path in (models / "report").glob("*.svg")),
            )

    def test_what_is_measured_again_takes_its_place_and_the_rest_stays(self) -> None:
        def row(run: str, nats: float) -> dict:
            return {"experiment": "optimizers", "run": run, "optimizer": run, "rate": 0.02, "minutes": 4, "tokens": 1_000_000, "nats": nats}

        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            command = ["report", "--out", str(folder / "REPORT.md")]
            for measured in ([row("adamw", 5.5), row("muon", 4.5)], [row("adamw", 5.25), row("orthoadam", 5.0)]):
                (folder / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in measured))
                with mock.patch.object(sys, "argv", [*command, "--results", str(folder / "results.jsonl")]):
                    report.main()
            kept = report.read(folder / "report/rows.jsonl")
            self.assertEqual([(line["run"], line["nats"]) for line in kept], [("adamw", 5.25), ("muon", 4.5), ("orthoadam", 5.0)])
            page = (folder / "REPORT.md").read_text()
            self.assertIn("| muon | 0.02 | 1.00 | 4.5 |\n| orthoadam | 0.02 | 1.00 | 5.0 |\n| adamw | 0.02 | 1.00 | 5.25 |", page)
            with mock.patch.object(sys, "argv", command):
                report.main()
            self.assertEqual((folder / "REPORT.md").read_text(), page)

    def test_a_choice_of_a_checkpoint_says_what_it_costs(self) -> None:
        def row(step: int, ksr: float, nats: float, induction: float) -> dict:
            saved = {name: {"ksr": ksr, "ci95": [ksr - 0.01, ksr + 0.01]} for name in ("support-chat", "finance-meetings")}
            return {"model": "a", "tokens": step * 1_000_000, "nats": nats, "induction": induction, "limit": 9, "keys": saved}

        rows = [row(1, 0.30, 6.0, 0.010), row(2, 0.40, 5.0, 0.012), row(3, 0.45, 4.9, 0.011), row(4, 0.44, 4.8, 0.030)]
        with tempfile.TemporaryDirectory() as name:
            said = report.checkpoints(rows, Path(name) / "report")
        self.assertIn("| keys saved | 3.00 | 0.4500 | 0.00 |\n| held-out loss | 4.00 | 0.4400 | 1.00 |", said)
        # Of ranks 1 2 4 3 with 1 2 3 4, and of steps .10 .05 -.01 with 1 .1 .1.
        self.assertIn("| lower loss | +0.80 | +0.87 |", said)
        self.assertEqual(report.rank_correlation([1.0, 2.0, 3.0], [7.0, 7.0, 7.0]), "–")

    def test_a_set_is_typed_again_while_the_machine_is_too_busy(self) -> None:
        def row(used: float) -> mock.Mock:
            return mock.Mock(returncode=0, stdout=json.dumps(KIT | {"set": "support-chat", "k": 1, "used": {"gpt2": used}}))

        with mock.patch.object(evaluate.subprocess, "run", side_effect=[row(0.5), row(0.99)]):
            self.assertEqual(evaluate.typed([], "support-chat", True)["used"], {"gpt2": 0.99})
        with mock.patch.object(evaluate.subprocess, "run", return_value=row(0.5)) as run, self.assertRaisesRegex(errors.InputError, "less busy"):
            evaluate.typed([], "support-chat", True)
        self.assertEqual(run.call_count, evaluate.TRIES)
        with mock.patch.object(evaluate.subprocess, "run", return_value=row(0.0)):
            self.assertEqual(evaluate.typed([], "support-chat", False)["ksr"], 0.5)


if __name__ == "__main__":
    unittest.main()
