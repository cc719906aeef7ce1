"""A writer's nearest messages: found, counted, stepped on and forgotten. Needs torch."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import neighbours
import numpy as np
import torch
from corpus import SPECIAL
from errors import InputError
from model import GPT2, Shape
from neighbours import Case, Steps, cases, compare, fitted, kit_streams, told
from recall import Index, Ngram, Shares, words
from tokenizers import Tokenizer, models, pre_tokenizers

WORDS = "please check could you open close the a my your account card order ticket today tomorrow with for and again"


def texts(chance: random.Random, count: int, least: int = 3) -> list[str]:
    return [" ".join(chance.choices(WORDS.split(), k=chance.randint(least, 14))) for _ in range(count)]


def tokenizer() -> Tokenizer:
    """Bytes as tokens: every text has many."""
    made = Tokenizer(models.BPE(vocab={token: at for at, token in enumerate([*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())])}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.add_special_tokens(SPECIAL)
    return made


def tiny() -> GPT2:
    torch.manual_seed(0)
    return GPT2(Shape(layers=1, width=16, heads=2, vocab=len(SPECIAL) + 256, positions=64))


def asked(**changed: object) -> argparse.Namespace:
    usual = {"limit": 9, "known": 3, "neighbours": 5, "order": 3, "sets": ["notes"], "optimizer": "sgd", "rate": 0.1, "tried": 1}
    return argparse.Namespace(**usual | changed)


class Nearest(unittest.TestCase):
    def test_bm25_ranks_as_the_formula_does(self) -> None:
        chance = random.Random(1)
        written = texts(chance, 40)
        index = Index()
        for text in written:
            index.add(text)
        usual = sum(len(text.split()) for text in written) / 40
        for query in texts(chance, 10, 1):
            expected = []
            for at, text in enumerate(written):
                score = 0.0
                for word in set(query.split()):
                    holding = sum(word in other.split() for other in written)
                    often = text.split().count(word)
                    rarity = math.log(1 + (40 - holding + 0.5) / (holding + 0.5))
                    score += rarity * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * len(text.split()) / usual))
                expected.append((-round(score, 9), -at))
            ranked = [-at for score, at in sorted(expected) if score < 0][:7]
            self.assertEqual([at for at, _ in index.nearest(query.upper(), 7)], ranked)
        self.assertEqual(Index().nearest("please", 3), [])
        self.assertEqual(words("Don't — it's 3 items."), ["don't", "it's", "3", "items"])

    def test_nothing_of_the_future_is_found(self) -> None:
        # The words of all are the same, and each has a number of its own.
        def numbered(at: int) -> str:
            return f"please check your account again {at} today"

        messages = [{"context": [], "text": numbered(at)} for at in range(6, 12)]
        stream = {"history": [numbered(at) for at in range(6)], "messages": messages}
        made = tokenizer()
        found = list(cases(stream, made, asked(neighbours=50, limit=4), 64))
        self.assertEqual(len(found), 4)
        for at, case in enumerate(found, 6):
            texts_of = [vocabulary_text(made, case.past[number]) for number, _ in case.near]
            # Of equals the newest is the nearest.
            self.assertEqual(texts_of, [numbered(earlier) for earlier in reversed(range(at))])
            self.assertEqual(vocabulary_text(made, case.ids), numbered(at))
            self.assertEqual(vocabulary_text(made, case.ids[: case.start]), "please check your")
        # In place of messages the end of the history: nothing of it is known before.
        (only,) = cases(stream, made, asked(), 64, last=1)
        self.assertEqual((vocabulary_text(made, only.ids), len(only.past)), (numbered(5), 5))

    def test_what_is_looked_up_is_what_is_known(self) -> None:
        stream = {"history": ["order a card", "open the ticket"], "messages": [{"context": [], "text": "please check my ticket"}]}
        (case,) = cases(stream, tokenizer(), asked(), 64)
        self.assertEqual(case.near, [], "the word in common is one that is scored")
        stream["messages"][0]["context"] = [{"role": "customer", "text": "my ticket?"}]
        (case,) = cases(stream, tokenizer(), asked(), 64)
        self.assertEqual(case.near, [(1, 1.0)])
        self.assertEqual(list(cases(stream, tokenizer(), asked(known=4), 64)), [], "nothing is left to score")
        self.assertEqual((told(" one  two three", 2), told("one", 2), told("one", 0)), (9, 3, 0))

    def test_what_stands_in_front_fits_and_keeps_its_markers(self) -> None:
        turns = [[1, 10, 11, 12], [2, 20, 21], [3, 30]]
        self.assertEqual(fitted(turns, 20), [1, 10, 11, 12, 2, 20, 21, 3, 30])
        self.assertEqual(fitted(turns, 7), [1, 12, 2, 20, 21, 3, 30])
        self.assertEqual(fitted(turns, 6), [2, 20, 21, 3, 30])
        self.assertEqual(fitted(turns, 4), [2, 21, 3, 30])
        self.assertEqual(fitted(turns, 0), [])


def vocabulary_text(made: Tokenizer, ids: list[int]) -> str:
    """What byte tokens say, without the marker."""
    return "".join(made.id_to_token(token) for token in ids[1:]).replace("Ġ", " ")


class Counted(unittest.TestCase):
    def test_probabilities_sum_to_one_and_shares_are_of_the_past(self) -> None:
        chance, shares = random.Random(2), Shares()
        every = np.random.default_rng(2)
        written = [(chance.choices(range(12), k=9), 1 / (1 + at)) for at in range(6)]
        ngram = Ngram(written, 3)
        for _ in range(60):
            before, token = chance.choices(range(14), k=5), chance.randrange(20)
            base = every.dirichlet(np.ones(20))
            levels = ngram.levels(before)
            whole = shares.estimate(levels, range(20), base)
            self.assertAlmostEqual(whole.sum(), 1.0, places=12)
            self.assertGreater(whole.min(), 0.0)
            # What is learned of a token comes after its probability.
            self.assertAlmostEqual(shares.learn(levels, token, base[token]), whole[token], places=12)
        self.assertTrue(all(0 < shares.share(kind) < 1 for kind in shares.seen))

    def test_counts_and_shares_of_one_sentence(self) -> None:
        ngram, shares = Ngram([([0, 5, 6, 5, 7], 1.0), ([0, 5, 6], 0.5)], 3), Shares()
        zero, one, two = ngram.levels([0, 5])
        self.assertEqual((zero.followers, zero.total), ({5: 2.5, 6: 1.5, 7: 1.0}, 5.0))
        self.assertEqual((one.followers, two.followers), ({6: 1.5, 7: 1.0}, {6: 1.5}))
        self.assertEqual([level.kind for level in (zero, one, two)], [(0, 3), (1, 2), (2, 1)])
        self.assertEqual(len(ngram.levels([9])), 1)
        # Each share is 1/4.
        expected = 0.75 * (0.75 * (0.75 * 0.1 + 0.25 * 1.5 / 5) + 0.25 * 1.5 / 2.5) + 0.25
        self.assertAlmostEqual(shares.learn([zero, one, two], 6, 0.1), expected)
        self.assertAlmostEqual(shares.share((2, 1)), (1 + 0.25 / expected) / 5)
        self.assertEqual(Ngram([], 3).levels([0]), [])


class Stepped(unittest.TestCase):
    def test_steps_learn_and_are_undone_to_the_bit(self) -> None:
        for optimizer, rate in (("adamw", 1e-3), ("sgd", 0.3)):
            model = tiny()
            before = {name: weights.clone() for name, weights in model.state_dict().items()}
            steps = Steps(model, optimizer, rate)
            ids = [3, *(torch.arange(150) % 7 + 40).tolist()]
            case = Case(ids[:40], 5, [], [], [], 0.0)
            plain = neighbours.probabilities(model, [], case)
            # Windows of 64: 150 tokens are three steps.
            self.assertEqual(steps.take(ids), 3)
            self.assertGreater(neighbours.probabilities(model, [], case).mean(), plain.mean())
            once = {name: weights.clone() for name, weights in model.state_dict().items()}
            self.assertFalse(any(torch.equal(once[name], before[name]) for name in ("wte.weight", "h.0.attn.c_attn.weight")))
            steps.reset()
            self.assertTrue(all(torch.equal(weights, before[name]) for name, weights in model.state_dict().items()))
            # The next message begins as this one did.
            steps.take(ids)
            self.assertTrue(all(torch.equal(weights, once[name]) for name, weights in model.state_dict().items()))
            # A text of nothing but its marker teaches nothing.
            self.assertEqual(steps.take([3]), 0)

    def test_probabilities_are_of_the_tokens_that_are_scored(self) -> None:
        model, before, ids = tiny(), [3, 50, 60], [3, 70, 80, 90, 41]
        found = neighbours.probabilities(model, before, Case(ids, 2, [], [], [], 0.0))
        with torch.no_grad():
            shares = model.logits(torch.tensor([before + ids]))[0].softmax(-1)
        expected = [float(shares[at - 1, (before + ids)[at]]) for at in range(5, 8)]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


class Compared(unittest.TestCase):
    """The script on a tiny kit and model."""

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.kit, cls.model = Path(folder.name), Path(folder.name) / "model"
        made = Path(folder.name) / "tokenizer.json"
        tokenizer().save(str(made))
        tiny().save(cls.model, made)
        (cls.kit / "data/dev").mkdir(parents=True)
        chance = random.Random(4)
        streams = [{"history": texts(chance, 6, 6), "messages": [{"context": [], "text": text} for text in texts(chance, 3, 6)]} for _ in range(2)]
        (cls.kit / "data/dev/notes.jsonl").write_text("".join(json.dumps(stream) + "\n" for stream in streams))

    def asked(self, **changed: object) -> argparse.Namespace:
        return asked(**{"kit": self.kit, "model": self.model} | changed)

    def test_every_row_is_of_the_same_tokens_and_can_be_repeated(self) -> None:
        given = [sys.executable, Path(neighbours.__file__), "--kit", self.kit, "--model", self.model, "--sets", "notes", "--known", 3, "--tried", 1, "--neighbours", 4]
        done = subprocess.run([str(part) for part in given], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        said = json.loads(done.stdout.splitlines()[-1])
        self.assertIn("notes: writer 2 of 2, 6 messages", done.stdout)
        self.assertEqual((said["messages"], said["near"], said["limit"]), (6, 4.0, 5))
        self.assertEqual(len(said["rates"]), sum(map(len, neighbours.RATES.values())))
        self.assertEqual(said["rate"], min(said["rates"], key=lambda row: row["nats"])["rate"])
        self.assertEqual([(row["window"], row["method"]) for row in said["rows"]], [(window, method) for window in neighbours.WINDOWS for method in neighbours.METHODS])
        plain, counted = said["rows"][:2]
        # A GPT-2 that has learned nothing gives each of 260 tokens about as much; the n-gram knows the letters.
        self.assertAlmostEqual(plain["nats"]["all"], math.log(260), delta=0.2)
        self.assertGreater(counted["gain"], 0.5)
        self.assertTrue(counted["ci95"][0] <= counted["gain"] <= counted["ci95"][1])
        self.assertEqual((plain["gain"], plain["prepare_ms"]), (0.0, 0.0))
        with contextlib.redirect_stdout(io.StringIO()):
            again = compare(self.asked(optimizer=said["optimizer"], rate=said["rate"], neighbours=4, order=4))
        self.assertEqual([row["nats"] for row in again["rows"]], [row["nats"] for row in said["rows"]])

    def test_bad_input_is_told_what_to_do(self) -> None:
        for changed, expected in (
            ({"sets": ["letters"]}, "letters.jsonl does not exist: --kit is the folder with data/dev"),
            ({"known": 99}, "no message has more than 99 words"),
            ({"known": 99, "optimizer": None, "rate": None}, "say --optimizer and --rate"),
            ({"rate": None}, "are given together"),
            ({"limit": 0}, "--limit is at least 1"),
            ({"model": self.kit / "none"}, "does not exist"),
        ):
            with self.assertRaisesRegex(InputError, expected), contextlib.redirect_stdout(io.StringIO()):
                compare(self.asked(**changed))
        for line, expected in (("{", "line 1: not JSON"), ('{"messages": []}', "line 1: a stream is"), ('{"history": [7], "messages": []}', "a text is a string")):
            (self.kit / "data/dev/bad.jsonl").write_text(line)
            with self.assertRaisesRegex(InputError, expected):
                kit_streams(self.kit, "bad")


if __name__ == "__main__":
    unittest.main()
