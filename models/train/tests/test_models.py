"""From a tiny corpus to a graph: `make test-models`. Needs torch, transformers and ONNX Runtime."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

import numpy as np
import options
import torch
from data import Data, Sampler
from errors import InputError
from export import Session, export
from model import GPT2, HeadLoss, Shape, loss
from network import Network
from optim import bases, jobs, orthogonal, turn
from subnetwork import Subnetwork, drawn, share_of_products

TRAIN = Path(__file__).resolve().parents[1]
WORDS = "please check could you open close the a my your account card order ticket today tomorrow with for and again"


def verb(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A script as a user runs it."""
    command = [sys.executable, TRAIN / f"{name}.py", *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)


def corpus(folder: Path, messages: int = 3_000) -> Path:
    """Sentences of few words, dialogues and documents."""
    chance = random.Random(0)
    folder.mkdir(parents=True)
    with (folder / "chats.jsonl").open("w") as file:
        for at in range(messages):
            texts = [" ".join(chance.choices(WORDS.split(), k=chance.randint(4, 12))).capitalize() + "." for _ in range(3)]
            turns = [{"role": role, "text": text} for role, text in zip(("customer", "agent", "customer"), texts, strict=True)]
            file.write(json.dumps({"source": "chats", "turns": turns} if at % 2 else {"author": f"w{at % 40}", "text": texts[0]}) + "\n")
    return folder


class Pipeline(unittest.TestCase):
    """What the scripts do one after another, on one small folder."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        corpus(cls.folder / "corpus")
        done = verb("prepare", "--corpus", cls.folder / "corpus", "--out", cls.folder / "data", "--vocab", 320)
        assert done.returncode == 0, done.stderr
        cls.shape = ("--layers", 2, "--width", 64, "--heads", 2, "--positions", 64)
        cls.small = (*cls.shape, "--workers", 2, "--batch", 8, "--micro", 4, "--warmup", 5)

    def train(self, out: str, *arguments: object) -> str:
        done = verb("train", "--data", self.folder / "data", "--out", self.folder / out, *arguments)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_prepared_text_is_the_corpus(self) -> None:
        data = Data(self.folder / "data")
        from tokenizers import Tokenizer

        tokens = data.tokens("chats")
        text = Tokenizer.from_file(str(self.folder / "data/tokenizer.json")).decode(tokens[:400].tolist(), skip_special_tokens=False)
        first = json.loads((self.folder / "corpus/chats.jsonl").read_text().splitlines()[1])["turns"]
        self.assertIn(f"<|customer|>{first[0]['text']}<|agent|>{first[1]['text']}<|customer|>{first[2]['text']}<|endoftext|>", text)
        self.assertGreater(len(data.tokens("chats", "held")), 100)
        for start in data.windows("chats", 64)[:50]:
            self.assertIn(tokens[start], [*data.markers, tokens[start]])

    def test_the_average_lies_between_networks(self) -> None:
        tokenizer = self.folder / "data/tokenizer.json"
        networks = [GPT2(Shape(2, 64, 2, 320, 64)), GPT2(Shape(2, 64, 2, 320, 64)), GPT2(Shape(3, 64, 2, 320, 64))]
        folders = [self.folder / f"averaged-{at}" for at in range(3)]
        for network, folder in zip(networks, folders, strict=True):
            network.save(folder, tokenizer)
        done = verb("average", *folders[:2], "--parts", "3,1", "--out", self.folder / "average")
        self.assertEqual(done.returncode, 0, done.stderr)
        mean, one, other = (GPT2.load(folder).state_dict() for folder in (self.folder / "average", *folders[:2]))
        for name, weights in mean.items():
            torch.testing.assert_close(weights, 0.75 * one[name] + 0.25 * other[name], atol=2e-3, rtol=1e-2)
        for arguments, why in (
            (folders, "layers=3"),
            ((*folders[:2], "--parts", "1,2,3"), "--parts are 3, the networks 2"),
            ((*folders[:2], "--parts", "1,x"), "not numbers"),
            ((folders[0], self.folder / "nowhere"), "does not exist"),
        ):
            done = verb("average", *arguments, "--out", self.folder / "none")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(why, done.stderr)
        self.assertFalse((self.folder / "none").exists())

    def test_sampling_goes_on_where_it_stopped(self) -> None:
        data = Data(self.folder / "data")
        one = Sampler(data, 64, {}, 3)
        size = len(data.windows("chats", 64)) + 20
        drawn = [one.window() for _ in range(size)]
        two = Sampler(data, 64, {}, 3)
        for _ in range(7):
            two.window()
        three = Sampler(data, 64, {}, 3)
        three.restore(two.state())
        self.assertTrue(all((three.window() == window).all() for window in drawn[7:]))
        self.assertEqual(len({window.tobytes() for window in drawn[: size - 20]}), size - 20, "each window once a pass")

    def test_training_learns_stops_and_goes_on(self) -> None:
        whole = self.train("whole", *self.small, "--workers", 1, "--tokens", 30_720)
        self.assertIn("done:", whole)
        log = [json.loads(line) for line in (self.folder / "whole/log.jsonl").read_text().splitlines()]
        nats = [line["loss"] for line in log if "loss" in line]
        self.assertLess(nats[-1], nats[0] - 1)
        self.assertIn("held_out", log[-1])
        # Half of it, and then the rest: the same weights to the last bit.
        half = ("--workers", 1, "--tokens", 30_720, "--decay", 0.5)
        given = ("--data", self.folder / "data", "--out", self.folder / "parts", *self.small, *half)
        stopped = subprocess.run(
            [sys.executable, "-c", STOP_AFTER_30, str(TRAIN), *map(str, given)], capture_output=True, text=True, timeout=300
        )
        self.assertIn("stopped: the same command goes on from here", stopped.stdout, stopped.stderr)
        # The options are those of then.
        self.assertIn("going on from step 30", self.train("parts", "--workers", 1))
        one, two = (torch.load(self.folder / name / "last.pt", weights_only=False)["model"] for name in ("whole", "parts"))
        self.assertTrue(all(torch.equal(one[name], two[name]) for name in one))

    def test_processes_share_the_work(self) -> None:
        self.train("shared", *self.small, "--tokens", 30_720)
        self.train("alone", *self.small, "--workers", 1, "--tokens", 30_720)
        last = [json.loads((self.folder / name / "log.jsonl").read_text().splitlines()[-1])["held_out"]["all"] for name in ("shared", "alone")]
        self.assertAlmostEqual(*last, delta=0.05)

    def test_every_optimizer_and_attention(self) -> None:
        for at, optimizer in enumerate(("adamw", "orthoadam", "muon")):
            attention = ("softmax1", "softmax")[at % 2]
            part = ((), ("--evolving",), ("--exits", 1))[at]
            said = self.train(optimizer, *self.small, *part, "--optimizer", optimizer, "--attention", attention, "--tokens", 20_480, "--fresh")
            self.assertIn(f"attention='{attention}'", said)

    def test_graphs_say_what_the_weights_say(self) -> None:
        self.train("model", *self.small, "--tokens", 30_720)
        for attention in ("softmax1", "softmax"):
            folder = self.folder / f"as_{attention}"
            shutil.copytree(self.folder / "model", folder, dirs_exist_ok=True)
            config = json.loads((folder / "config.json").read_text()) | {"attention": attention}
            (folder / "config.json").write_text(json.dumps(config))
            ids = Data(self.folder / "data").tokens("chats")[:60].astype("int64")
            network = Network(folder)
            expected = network.logits(ids.tolist())
            with torch.no_grad():
                torchs = GPT2.load(folder).logits(torch.from_numpy(ids)[None])[0].numpy()
            self.assertLess(np.abs(torchs - expected).max(), 1e-3)
            for precision, worst in (("fp32", 1e-3), ("int8", 0.5), ("int4", 2.0)):
                out = self.folder / f"{attention}_{precision}"
                said = export(folder, out, precision, 32, self.folder / "data" if precision == "int4" else None)
                self.assertLess(said["largest_logit_difference"], worst)
                session = Session(out / "gpt2.onnx", network.positions)
                found = np.concatenate([session.logits(part) for part in (ids[:20].tolist(), ids[20:21].tolist(), ids[21:].tolist())])
                self.assertLess(np.abs(found - expected).max(), worst)
                config = json.loads((out / "gpt2.json").read_text())
                self.assertEqual((config["precision"], config["attention"], config["n_positions"]), (precision, attention, 64))
                self.assertEqual(config["special_tokens"]["<|author|>"], 3)
                self.assertTrue(json.loads((out / "reference.json").read_text())["cases"])
            export(folder, self.folder / "exit", "fp32", 32, None, 1)
            with torch.no_grad():
                expected = GPT2.load(folder).logits(torch.from_numpy(ids)[None], part=Subnetwork((0,)))[0].numpy()
            session = Session(self.folder / "exit/gpt2.onnx", 64)
            self.assertLess(np.abs(session.logits(ids.tolist()) - expected).max(), 1e-3)

    def test_a_hugging_face_directory(self) -> None:
        from transformers import GPT2Config, GPT2LMHeadModel

        folder = self.folder / "hugging"
        config = GPT2Config(n_layer=2, n_embd=64, n_head=2, vocab_size=316, n_positions=128)
        theirs = GPT2LMHeadModel(config).eval()
        theirs.save_pretrained(folder)
        # Their tokenizer knows no roles, and has fewer tokens.
        about = json.loads((self.folder / "data/tokenizer.json").read_text())
        about["added_tokens"] = about["added_tokens"][:1]
        for role in ("<|customer|>", "<|agent|>", "<|author|>"):
            about["model"]["vocab"].pop(role, None)
        kept = sorted(about["model"]["vocab"].items(), key=lambda item: item[1])
        about["model"]["vocab"] = {token: at for at, (token, _) in enumerate(kept)}
        about["added_tokens"][0]["id"] = about["model"]["vocab"]["<|endoftext|>"]
        (folder / "tokenizer.json").write_text(json.dumps(about))
        ids = torch.arange(40)[None]
        with torch.no_grad():
            self.assertLess(float((theirs(ids).logits - GPT2.load(folder).logits(ids)).abs().max()), 1e-4)
        done = verb("prepare", "--corpus", self.folder / "corpus", "--out", self.folder / "theirs", "--tokenizer", folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        vocab = Data(self.folder / "theirs").vocab
        done = verb("train", "--data", self.folder / "theirs", "--out", self.folder / "tuned", "--init", folder, *self.small, "--tokens", 10_240)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = verb("export", "--model", self.folder / "tuned", "--out", self.folder / "tuned_int8", "--precision", "int8", "--block", 32)
        self.assertEqual(done.returncode, 0, done.stderr)
        config = json.loads((self.folder / "tuned_int8/gpt2.json").read_text())
        self.assertEqual((config["attention"], config["vocab_size"]), ("softmax", vocab))
        # Some pad their tables; what has no token is not served.
        network = Network(self.folder / "tuned")
        ids = list(range(20))
        before = network.logits(ids)
        network.trim(vocab - 9)
        # A product with fewer columns may be summed in another order, as the processor has it.
        self.assertLess(float(np.abs(network.logits(ids) - before[:, : vocab - 9]).max()), 1e-4)
        with self.assertRaisesRegex(InputError, f"the tokenizer has {vocab} tokens, the model {vocab - 9}"):
            network.trim(vocab)

    def test_bad_input_is_told_and_leaves_nothing(self) -> None:
        out = self.folder / "nothing"

        def refused(name: str, *arguments: object) -> str:
            done = verb(name, *arguments)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertNotIn("Traceback", done.stderr)
            self.assertFalse(out.exists())
            self.assertFalse(out.with_name("nothing.partial").exists())
            return done.stderr

        small = corpus(self.folder / "few", 30)
        self.assertRegex(refused("prepare", "--corpus", small, "--out", out), "gives a vocabulary of .* say --vocab")
        (small / "bad.jsonl").write_text('{"text": 1}\n')
        self.assertRegex(refused("prepare", "--corpus", small, "--out", out), r"bad\.jsonl, line 1: a turn is")
        (small / "bad.jsonl").write_bytes(b'\xff\n')
        self.assertRegex(refused("prepare", "--corpus", small, "--out", out), r"bad\.jsonl, line 1: not UTF-8")
        self.assertRegex(refused("prepare", "--corpus", out, "--out", out), "is no folder")
        self.assertRegex(refused("train", "--data", small, "--out", out), "prepare a corpus")
        data = ("--data", self.folder / "data", "--out", out)
        other = self.folder / "llama"
        other.mkdir()
        self.assertRegex(refused("train", *data, "--init", other), "config.json does not exist")
        (other / "config.json").write_text('{"model_type": "llama"}')
        self.assertRegex(refused("train", *data, "--init", other), "the architecture is 'llama', and only gpt2 is supported")
        self.assertRegex(refused("export", "--model", other, "--out", out), "the architecture is 'llama'")
        about = json.loads((self.folder / "data/tokenizer.json").read_text())
        *_, one, two = sorted(about["model"]["vocab"], key=about["model"]["vocab"].get)
        ids = about["model"]["vocab"]
        ids[one], ids[two] = ids[two], ids[one]
        tokenizer = self.folder / "swapped.json"
        tokenizer.write_text(json.dumps(about))
        tokens = Data(self.folder / "data").vocab
        GPT2(Shape(layers=1, width=64, heads=2, vocab=tokens, positions=64)).save(self.folder / "theirs_small", tokenizer)
        self.assertRegex(refused("train", *data, "--init", self.folder / "theirs_small"), "was not prepared with the tokenizer of")
        (self.folder / "theirs_small/model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
        self.assertRegex(refused("train", *data, "--init", self.folder / "theirs_small"), "is no safetensors file")
        (self.folder / "theirs_small/tokenizer.json").write_text("{}")
        self.assertRegex(refused("prepare", "--corpus", self.folder / "corpus", "--out", out, "--tokenizer", self.folder / "theirs_small"), "is no tokenizer")
        self.assertRegex(refused("train", *data, "--batch", 5, "--micro", 4), "no multiple")
        self.assertRegex(refused("train", *data, *self.shape, "--weights", "chatz=2"), "no source is called chatz: there are chats")

    def test_parts_of_a_source_are_put_together(self) -> None:
        folder = self.folder / "shards"
        folder.mkdir()
        for name in ("a", "b"):
            lines = [json.dumps({"source": "crm/notes", "text": f"please check order {name}"})] * 10
            (folder / f"{name}.jsonl").write_text("\n".join(lines))
        # As transformers leaves one that was used for training.
        tokenizer = json.loads((self.folder / "data/tokenizer.json").read_text())
        tokenizer["truncation"] = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
        (self.folder / "cutting.json").write_text(json.dumps(tokenizer))
        done = verb("prepare", "--corpus", folder, "--out", self.folder / "together", "--tokenizer", self.folder / "cutting.json")
        self.assertEqual(done.returncode, 0, done.stderr)
        data = Data(self.folder / "together")
        tokens = data.tokens("crm_notes")
        self.assertEqual((len(tokens), int((tokens == 0).sum())), (data.sources["crm_notes"]["train"], 20))
        self.assertGreater(len(tokens), 20 * 5)

    def test_wrong_shapes_are_named(self) -> None:
        folder = self.folder / "wrong"
        tokenizer = self.folder / "data/tokenizer.json"
        GPT2(Shape(layers=1, width=64, heads=2, vocab=300, positions=64)).save(folder, tokenizer)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"n_positions": 128}))
        with self.assertRaisesRegex(InputError, r"wpe\.weight is \[64, 64\], not \[128, 64\]"):
            GPT2.load(folder)
        with self.assertRaisesRegex(InputError, r"wpe\.weight is \[64, 64\], not \[128, 64\]"):
            Network(folder)
        (folder / "config.json").write_text(json.dumps(config | {"n_layer": 2}))
        with self.assertRaisesRegex(InputError, r"h\.1\..* is missing"):
            GPT2.load(folder)
        for key, value in (("tie_word_embeddings", False), ("scale_attn_weights", False), ("n_inner", 100)):
            (folder / "config.json").write_text(json.dumps(config | {key: value}))
            with self.assertRaisesRegex(InputError, f"{key} is {value}"):
                Network(folder)


# Stops a training run after 30 steps, as a signal would.
STOP_AFTER_30 = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import train
note = train.Lead.note
def noted(lead, run):
    note(lead, run)
    lead.stopped = lead.step >= 30
train.Lead.note = noted
if __name__ == "__main__":
    train.main()
"""


class Parts(unittest.TestCase):
    """The mathematics, beside naive twins."""

    def test_another_optimizer_or_batch_is_fitted_anew(self) -> None:
        with tempfile.TemporaryDirectory() as folder:

            def parsed(*given: str) -> argparse.Namespace:
                with unittest.mock.patch.object(sys, "argv", ["train", "--data", "data", "--out", folder, *given]):
                    return options.parsed(None)[0]

            former = parsed("--optimizer", "muon", "--rate", "0.01", "--batch", "12", "--micro", "4", "--seed", "7")
            torch.save({"version": options.VERSION, "options": vars(former)}, Path(folder) / "last.pt")
            same = parsed()
            self.assertEqual((same.optimizer, same.rate, same.batch, same.micro, same.seed), ("muon", 0.01, 12, 4, 7))
            other = parsed("--optimizer", "adamw")
            self.assertEqual((other.rate, other.weight_decay, other.micro), (None, None, 4))
            self.assertEqual((parsed("--optimizer", "adamw", "--rate", "0.002").rate, parsed("--batch", "15").micro), (0.002, 0))

    def test_softmax1_is_softmax_with_a_key_of_zero(self) -> None:
        torch.manual_seed(0)
        shape = Shape(layers=1, width=32, heads=2, vocab=50, positions=16)
        model = GPT2(shape)
        x = torch.randn(1, 5, 32)
        attention = model.h[0].attn
        found = attention(x, model.mask(5, torch.float32))
        q, k, v = attention.c_attn(x).view(5, 3, 2, 16).permute(1, 2, 0, 3)
        mixed = torch.zeros(5, 2, 16)
        for head in range(2):
            for at in range(5):
                shares = torch.exp(k[head, : at + 1] @ q[head, at] / 4)
                mixed[at, head] = (shares / (1 + shares.sum())) @ v[head, : at + 1]
        self.assertLess(float((attention.c_proj(mixed.reshape(1, 5, 32)) - found).abs().max()), 1e-5)

    def test_the_loss_in_parts_is_cross_entropy(self) -> None:
        torch.manual_seed(0)
        x, table = torch.randn(HeadLoss.ROWS + 70, 16, requires_grad=True), torch.randn(40, 16, requires_grad=True)
        wanted = torch.randint(0, 40, (len(x),))
        expected = torch.nn.functional.cross_entropy(x @ table.t(), wanted)
        into = torch.autograd.grad(expected, (x, table))
        found = HeadLoss.apply(x, table, wanted)
        self.assertAlmostEqual(float(found), float(expected), places=4)
        for mine, theirs in zip(torch.autograd.grad(found, (x, table)), into, strict=True):
            self.assertLess(float((mine - theirs).abs().max()), 1e-5)

    def test_adam_is_torchs(self) -> None:
        torch.manual_seed(0)
        weights = torch.randn(6, 4)
        theirs = torch.nn.Parameter(weights.clone())
        reference = torch.optim.AdamW([theirs], lr=0.01, betas=(0.9, 0.95), weight_decay=0.1)
        state: dict[str, torch.Tensor] = {}
        (job,) = jobs({"w": weights}.items(), state, "adamw", 0.01, 0.1)
        for step in range(1, 6):
            gradient = torch.randn(6, 4)
            theirs.grad = gradient.clone()
            reference.step()
            job.step({"w": gradient}, 1.0, step)
        self.assertLess(float((weights - theirs.detach()).abs().max()), 1e-6)

    def test_turning_keeps_lengths_and_comes_back(self) -> None:
        weights = torch.randn(6, 5)
        found = bases(weights, 1)
        turned = turn(weights, found)
        self.assertAlmostEqual(float(turned.norm()), float(weights.norm()), places=4)
        back = turn(turned, [(axis, basis.t()) for axis, basis in found])
        self.assertLess(float((back - weights).abs().max()), 1e-5)

    def test_muon_makes_singular_values_even(self) -> None:
        torch.manual_seed(0)
        for shape in ((2, 16, 48), (2, 48, 16)):
            values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
            self.assertGreater(float(values.min()), 0.3)
            self.assertLess(float(values.max()), 1.4)

    def test_widening_keeps_what_was_said(self) -> None:
        model = GPT2(Shape(layers=1, width=32, heads=2, vocab=50, positions=16))
        ids = torch.randint(0, 50, (1, 9))
        with torch.no_grad():
            before, after = model.logits(ids), model.widened(53).logits(ids)
        self.assertLess(float((before - after[..., :50]).abs().max()), 1e-6)

    def test_a_part_of_the_network_is_the_network_with_the_rest_at_zero(self) -> None:
        torch.manual_seed(0)
        shape = Shape(layers=3, width=32, heads=4, vocab=50, positions=16)
        model, ids = GPT2(shape), torch.randint(0, 50, (1, 9))
        part = drawn(3, 4, 128, 0.1, 5, 0, True, ())
        self.assertEqual((len(part.layers), len(part.heads[0]), len(part.neurons[0])), (2, 3, 85))
        twin = GPT2(shape)
        twin.load_state_dict(model.state_dict())
        with torch.no_grad():
            for layer, block in enumerate(twin.h):
                used = layer in part.layers
                heads = torch.tensor([used and head in part.heads[layer] for head in range(4)]).repeat_interleave(8)
                neurons = torch.tensor([used and neuron in part.neurons[layer] for neuron in range(128)])
                # What is computed adds as much as all of it would: by the share of layers, and of heads or neurons.
                block.attn.c_proj.weight.mul_(heads[:, None] * (1.5 * 4 / 3))
                block.mlp.c_proj.weight.mul_(neurons[:, None] * (1.5 * 128 / 85))
                for projection in (block.attn.c_proj, block.mlp.c_proj):
                    projection.bias.mul_(1.5 if used else 0)
            self.assertLess(float((model.logits(ids, part=part) - twin.logits(ids)).abs().max()), 1e-5)
        self.assertIsNone(drawn(3, 4, 128, 0.7, 5, 0, True, ()))
        self.assertEqual(len(drawn(3, 4, 128, 0.5, 5, 0, True, ()).layers), 3)
        depths = [drawn(3, 4, 128, 0.5, step, 0, False, (1, 2)) for step in range(200)]
        self.assertEqual({len(depth.layers) for depth in depths if depth}, {1, 2})
        self.assertAlmostEqual(share_of_products(None, 3, 4, 128, 50, 32), 1.0)
        self.assertLess(share_of_products(part, 3, 4, 128, 50, 32), 0.55)

    def test_a_small_loss_is_a_small_loss(self) -> None:
        torch.manual_seed(0)
        model = GPT2(Shape(layers=1, width=32, heads=2, vocab=50, positions=16))
        tokens = torch.randint(0, 50, (2, 17))
        with torch.no_grad():
            logits = model.logits(tokens[:, :-1])
            expected = torch.nn.functional.cross_entropy(logits.reshape(-1, 50), tokens[:, 1:].reshape(-1))
        self.assertAlmostEqual(float(loss(model, tokens, torch.float32).detach()), float(expected), places=4)


if __name__ == "__main__":
    unittest.main()
