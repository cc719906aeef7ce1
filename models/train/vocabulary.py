"""Tokenizers: tokenizer.json files with role markers, and conversations as their tokens."""

from __future__ import annotations

from pathlib import Path

from corpus import END, SPECIAL
from errors import InputError
from tokenizers import Tokenizer

__all__ = ["END", "Turns", "load", "markers", "same", "turns"]

# (role, text) of each turn.
Turns = list[tuple[str, str]]


def load(path: Path) -> Tokenizer:
    """A tokenizer.json, or that of a folder, as it encodes whole texts."""
    path = path / "tokenizer.json" if path.is_dir() else path
    if not path.exists():
        raise InputError(f"{path} does not exist: transformers writes it with AutoTokenizer.from_pretrained(…).save_pretrained(…)")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    # The library raises no other.
    except Exception as error:
        raise InputError(f"{path} is no tokenizer: {error}") from None
    # Some are saved as they were last used, and would cut texts or fill them up.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def markers(tokenizer: Tokenizer) -> dict[str, int]:
    """Ids of the role markers and of the end."""
    found = {marker: tokenizer.token_to_id(marker) for marker in SPECIAL}
    if missing := [marker for marker, at in found.items() if at is None]:
        raise InputError(f"the tokenizer has no {missing[0]}: prepare a corpus with it and train the model, which adds it")
    return found


def turns(tokenizer: Tokenizer, conversation: Turns) -> list[list[int]]:
    """Each turn as tokens, its marker first."""
    ids = markers(tokenizer)
    return [[ids[f"<|{role}|>"], *tokenizer.encode(text, add_special_tokens=False).ids] for role, text in conversation]


def same(trained: Path, prepared: Path) -> None:
    """Refuses text that was prepared with another tokenizer than the model's; tokens may have been added behind."""
    known, used = (load(path).get_vocab() for path in (trained, prepared))
    if any(used.get(token) != at for token, at in known.items()):
        raise InputError(f"{prepared} was not prepared with the tokenizer of {trained}: say prepare.py --tokenizer {trained}")
