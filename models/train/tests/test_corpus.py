"""The corpus: what is read, what is held out, and what bad text is told. Standard library only: part of `make test`."""

from __future__ import annotations

import gzip
import json
import tempfile
import unittest
from pathlib import Path

from corpus import Piece, files, read, split
from errors import InputError


class Corpus(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, *lines: object, name: str = "notes.jsonl") -> Path:
        text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        path = self.folder / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    def refused(self, *lines: object) -> str:
        with self.assertRaises(InputError) as caught:
            read(self.write(*lines))
        return str(caught.exception)

    def test_dialogues_and_documents(self) -> None:
        dialogue = {"source": "chats", "turns": [{"role": "customer", "text": "Hi"}, {"role": "agent", "text": " Hello <|author|> there\n\t\u0085you "}]}
        for name in ("notes.jsonl", "notes.jsonl.gz"):
            source = read(self.write(dialogue, "", {"author": "w1", "text": "A note"}, {"text": "  "}, name=name))
            self.assertEqual(source.name, "chats")
            found = source.train + source.held_out
            self.assertIn(Piece(None, [("customer", "Hi"), ("agent", "Hello there you")]), found)
            self.assertIn(Piece("w1", [("author", "A note")]), found)
            self.assertEqual(len(found), 2)

    def test_foretype_build_holds_out_the_same(self) -> None:
        # service/src/build/corpus.rs has these writers of the same corpus.
        train, held_out = split([Piece(f"w{i % 100}", [("author", f"note {i}")]) for i in range(400)])
        self.assertEqual({found.author for found in held_out}, {"w4", "w60"})
        self.assertEqual(len(train) + len(held_out), 400)
        # Of few writers pieces, of little text none.
        few = [Piece(f"w{i % 4}", [("author", f"note {i}")]) for i in range(200)]
        self.assertEqual({found.turns[0][1] for found in split(few)[1]}, {"note 170", "note 197", "note 28", "note 92"})
        self.assertEqual(split(few[:49]), (few[:49], []))

    def test_bad_text_is_named(self) -> None:
        self.assertRegex(self.refused({"text": "fine"}, "{nonsense"), r"notes\.jsonl, line 2: not JSON .* at column 2")
        self.assertRegex(self.refused({"turns": [{"role": "manager", "text": "x"}]}), "line 1: the role 'manager' is none of customer, agent, author")
        self.assertRegex(self.refused({"turns": [{"role": "agent"}]}), "line 1: a turn is an object with `role` and `text`")
        self.assertRegex(self.refused({"author": 7, "text": "x"}), "line 1: `author` is a string")
        self.assertRegex(self.refused({"turns": 5}), "line 1: `turns` is a list")
        self.assertRegex(self.refused('{"text": "cut \\ud83d"}'), "line 1: half of a surrogate pair")
        self.assertRegex(self.refused({"body": "x"}), "line 1: neither `turns` nor `text`")
        self.assertRegex(self.refused("[1]"), "line 1: a record is an object")
        path = self.folder / "notes.jsonl"
        path.write_bytes(b'{"text": "fine"}\n{"text": "caf\xe9"}\n')
        with self.assertRaisesRegex(InputError, r"line 2: not UTF-8 \(invalid continuation byte at byte 13\)"):
            read(path)
        path = self.write({"text": "x"}, name="cut.jsonl.gz")
        whole = path.read_bytes()
        path.write_bytes(whole[:-12])
        with self.assertRaisesRegex(InputError, r"cut\.jsonl\.gz cannot be read"):
            read(path)
        path.write_bytes(whole[:12] + b"nonsense" + whole[20:])
        with self.assertRaisesRegex(InputError, r"cut\.jsonl\.gz cannot be read"):
            read(path)

    def test_a_folder_without_text_says_what_is_missing(self) -> None:
        with self.assertRaisesRegex(InputError, r"holds no \.jsonl or \.jsonl\.gz file"):
            files(self.folder)
        with self.assertRaisesRegex(InputError, "is no folder"):
            files(self.folder / "absent")


if __name__ == "__main__":
    unittest.main()
