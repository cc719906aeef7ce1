"""The logits that an exported graph must reproduce, from numpy in fp32; the parity test of the crate compares them."""

from __future__ import annotations

import numpy as np
import vocabulary
from network import Network
from tokenizers import Tokenizer

# (role, text) turns; the last one is the draft. Long enough together to cross a chunk, and one that fills most of a context.
PROMPTS = [
    [("agent", "Thanks for calling, I can")],
    [("author", "The committee's view is that inflation has")],
    [("customer", "I want to check the weather for Tuesday next week."), ("agent", "What location do you want to check")],
    [("author", "Fix the crash in foo_bar() when the list is empty: don't read past its end... (see 3.5)")],
    [("customer", "Hi, caf\u00e9 na\u00efve \u201cquoted\u201d \u2014 \u4f60\u597d \U0001f600"), ("agent", "Sorry, I didn't get that")],
    [("customer", "My order has not arrived and I would like to know where it is. " * 12), ("agent", "I am sorry to hear")],
]
KEPT = 64


def cases(network: Network, tokenizer: Tokenizer) -> list[dict[str, object]]:
    """For each prompt its tokens, the likeliest logits after it and an even sample of the others."""
    found = []
    for turns in PROMPTS:
        ids = [at for turn in vocabulary.turns(tokenizer, turns) for at in turn]
        if len(ids) > network.positions:
            continue
        out = network.logits(ids)[-1].astype(np.float64)
        top = np.argsort(-out, kind="stable")
        # The likeliest half, where a distribution lives, and an even sample of the rest.
        rest = top[KEPT // 2 :: (len(top) - KEPT // 2) // (KEPT // 2) + 1]
        kept = np.concatenate([top[: KEPT // 2], rest])[:KEPT]
        most = out.max()
        found.append(
            {
                "turns": [list(turn) for turn in turns],
                "tokens": ids,
                "ids": kept.tolist(),
                "logits": [round(float(value), 5) for value in out[kept]],
                "logsumexp": round(float(most + np.log(np.exp(out - most).sum())), 5),
                "top": top[:5].tolist(),
            }
        )
    return found
