#!/usr/bin/env python3
"""Presage (Debian's libpresage1v5) behind Foretype's HTTP API, so that the same typist types before it.

  apt-get install presage libpresage1v5
  tools/presage_server.py --train sgd.jsonl.gz --data DIR --port 18090

Trained as its documentation says: 1- to 3-grams of the text by text2ngram, once per data folder. Each writer has a database of
their own, which `/v1/learn` teaches. Settings are Debian's, but case is kept and abbreviations are not expanded. Words that are
typed already, or that differ in case from what is typed, give way to the next. It says no probabilities: confidence falls with
the place in the list and means nothing. The conversation is not used.
"""

from __future__ import annotations

import argparse
import ctypes
import gzip
import itertools
import json
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

CONFIG = Path("/etc/presage.xml")
GRAMS = 3
MOST = 10


def texts(paths: Iterable[Path]) -> Iterable[str]:
    """The messages of a corpus."""
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                for turn in record.get("turns") or [record]:
                    yield turn["text"]


def train(paths: list[Path], folder: Path) -> Path:
    """The database of a corpus; made once."""
    database = folder / "domain.db"
    if not database.exists():
        folder.mkdir(parents=True, exist_ok=True)
        text, unfinished = folder / "text.txt", folder / "unfinished.db"
        unfinished.unlink(missing_ok=True)
        text.write_text("\n".join(texts(paths)), encoding="utf-8")
        for n in range(1, GRAMS + 1):
            command = ["text2ngram", "-n", str(n), "-f", "sqlite", "-o", unfinished, *(["-a"] if n > 1 else []), text]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        unfinished.rename(database)
    return database


class Presage:
    """One writer's, new: `folder` is emptied."""

    def __init__(self, domain: Path, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        tree = ElementTree.parse(CONFIG)
        self.set(tree, "PredictorRegistry/PREDICTORS", "DefaultSmoothedNgramPredictor UserSmoothedNgramPredictor DefaultRecencyPredictor")
        # Off: it would learn drafts, and from every letter of them.
        self.set(tree, "ContextTracker/ONLINE_LEARNING", "no")
        self.set(tree, "ContextTracker/LOWERCASE_MODE", "no")
        self.set(tree, "Selector/SUGGESTIONS", str(MOST))
        self.set(tree, "Selector/REPEAT_SUGGESTIONS", "yes")
        self.set(tree, "Predictors/DefaultSmoothedNgramPredictor/DBFILENAME", str(domain))
        self.set(tree, "Predictors/UserSmoothedNgramPredictor/DBFILENAME", str(folder / "writer.db"))
        config = folder / "presage.xml"
        tree.write(config, encoding="UTF-8", xml_declaration=True)
        self.library = ctypes.CDLL("libpresage.so.1")
        # A c_char_p that Python returns to C is never freed: its address is.
        callback = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
        self.text, nothing = ctypes.create_string_buffer(b""), ctypes.create_string_buffer(b"")
        self.past = callback(lambda _: ctypes.addressof(self.text))
        self.future = callback(lambda _: ctypes.addressof(nothing))
        self.handle = ctypes.c_void_p()
        self.call("new_with_config", self.past, None, self.future, None, str(config).encode(), ctypes.byref(self.handle))

    @staticmethod
    def set(tree: ElementTree.ElementTree, path: str, value: str) -> None:
        """Changes a setting that must be there."""
        found = tree.getroot().find(path)
        if found is None:
            sys.exit(f"{CONFIG} has no {path}: another version of Presage?")
        found.text = value

    def call(self, name: str, *arguments: object) -> None:
        """A function of the library that answers with an error code."""
        if code := getattr(self.library, f"presage_{name}")(*arguments):
            raise RuntimeError(f"presage_{name} says {code}")

    def close(self) -> None:
        """Frees it."""
        self.library.presage_free(self.handle)

    def learn(self, text: str) -> None:
        """Teaches a message."""
        # What was seen last is taken for what went before: the draft, had it not been left behind.
        self.predict("")
        # A word that nothing follows would not be learnt: it could go on.
        self.call("learn", self.handle, f"{text}\n".encode())

    def predict(self, text: str) -> list[str]:
        """Whole words, best first."""
        self.text = ctypes.create_string_buffer(text.encode())
        words = ctypes.POINTER(ctypes.c_char_p)()
        self.call("predict", self.handle, ctypes.byref(words))
        found = [word.decode(errors="replace") for word in itertools.takewhile(lambda word: word is not None, words)]
        self.library.presage_free_string_array(words)
        return found

    def suggest(self, text: str) -> list[str]:
        """What would be inserted, best first."""
        words, prefix = self.predict(text), ctypes.c_char_p()
        self.call("prefix", self.handle, ctypes.byref(prefix))
        typed = (prefix.value or b"").decode()
        self.library.presage_free_string(prefix)
        return [word[len(typed) :] + " " for word in words if word.startswith(typed) and word != typed]


class Handler(BaseHTTPRequestHandler):
    """Complete, learn and feedback; anything else is no route."""

    protocol_version = "HTTP/1.1"
    writers: ClassVar[dict[str, Presage]] = {}
    domain = folder = Path()
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Nothing: a line a keystroke is no log."""

    def writer(self, name: str) -> Presage:
        """The writer's, made when first asked for."""
        if name not in self.writers:
            # Those before are done: a typist is one writer after another.
            while self.writers:
                self.writers.popitem()[1].close()
            self.writers[name] = Presage(self.domain, self.folder / "writer")
        return self.writers[name]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answer: dict[str, object] = {}
        if self.path == "/v1/complete":
            started = time.perf_counter()
            found = self.writer(body.get("writer", "")).suggest(body["text"])[: body.get("max_suggestions", 1)]
            suggestions = [{"text": text, "confidence": 1 / (2 + at)} for at, text in enumerate(found)]
            elapsed = 1e3 * (time.perf_counter() - started)
            answer = {"id": None, "suggestions": suggestions, "source": "models", "elapsed_ms": elapsed, "predictors": {"presage": "used"}}
        elif self.path == "/v1/learn":
            self.writer(body["writer"]).learn(body["text"])
        elif self.path != "/v1/feedback":
            self.send_error(404)
            return
        said = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--train", type=Path, nargs="+", required=True, help=".jsonl.gz files of text")
    options.add_argument("--data", type=Path, required=True, help="folder of its databases")
    options.add_argument("--port", type=int, default=18090)
    given = options.parse_args()
    Handler.domain, Handler.folder = train(given.train, given.data), given.data
    server = HTTPServer(("127.0.0.1", given.port), Handler)
    print(f"ready: http://127.0.0.1:{given.port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
