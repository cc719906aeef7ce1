"""Weights in 4 or 8 bits, as MatMulNBits of ONNX Runtime reads them: blocks of a column share a scale.

GPTQ (Frantar et al. 2023) rounds one input at a time and lets the inputs that are not yet rounded make up for it, by the
inverse of the inputs' second moments. Coordinate descent then goes over all of them again.
"""

from __future__ import annotations

import numpy as np

# Shares of the largest value that the ends of the range may stand for: clipping a few large weights pays.
FRACTIONS = np.arange(0.62, 1.06, 0.04, dtype=np.float32)
# Added to the diagonal of the second moments, as a share of its mean.
DAMPING = 0.01
# How often scales and steps are improved after that.
ROUNDS = 2
# Inputs after which the errors are handed on to all others.
AT_ONCE = 128


def scales(blocks: np.ndarray, bits: int, importance: np.ndarray | None = None) -> np.ndarray:
    """The scale of least squared error of each row; blocks: [rows, block], result [rows, 1]. Its sign puts the largest on -2^(bits-1).

    importance: [block], how much an error at each input counts; all alike if None.
    """
    importance = np.ones(blocks.shape[1], np.float32) if importance is None else importance
    low = 1 << (bits - 1)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(1)[:, None], 1)
    best, least = np.ones_like(largest), np.full_like(largest, np.inf)
    for end in (-low, low - 1):
        for fraction in FRACTIONS:
            scale = largest / end * fraction
            scale = np.where(scale == 0, np.float32(1), scale)
            error = (((blocks - rounded(blocks, scale, bits) * scale) ** 2) @ importance)[:, None]
            best, least = np.where(error < least, scale, best), np.minimum(error, least)
    return best.astype(np.float32)


def rounded(values: np.ndarray, scale: np.ndarray, bits: int) -> np.ndarray:
    """The nearest steps of a scale, within the range."""
    low = 1 << (bits - 1)
    return np.clip(np.rint(values / scale), -low, low - 1)


def nearest(weights: np.ndarray, bits: int, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Rounds each weight by itself; weights: [inputs, outputs], result: steps [outputs, inputs] and scales [outputs, blocks]."""
    rows = np.ascontiguousarray(weights.T, np.float32)
    blocks = rows.reshape(-1, block)
    scale = scales(blocks, bits)
    steps = rounded(blocks, scale, bits).reshape(rows.shape)
    return steps.astype(np.int8), scale.reshape(len(rows), -1)


def gptq(weights: np.ndarray, moments: np.ndarray, bits: int, block: int) -> tuple[np.ndarray, np.ndarray]:
    """As [`nearest`], with what rounding an input costs made up for by later ones; moments: [inputs, inputs].

    Inputs are rounded in the order of their second moments, the largest first: what matters most is rounded while all others
    can still make up for it. Scales are those of the blocks before.
    """
    rows = np.array(weights.T, np.float32, order="C")
    size = rows.shape[1]
    importance = np.diag(moments).astype(np.float32)
    found = [scales(np.ascontiguousarray(rows[:, at : at + block]), bits, importance[at : at + block]) for at in range(0, size, block)]
    scale = np.concatenate(found, 1)
    order = np.argsort(-importance, kind="stable")
    rows, each = rows[:, order], scale[:, order // block]
    damped = moments.astype(np.float64) + DAMPING * np.mean(importance) * np.eye(size)
    # The upper Cholesky factor of the inverse: row i says what an error at input i costs those that follow.
    upper = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T.astype(np.float32)
    steps = np.empty(rows.shape, np.int8)
    for start in range(0, size, AT_ONCE):
        part = slice(start, start + AT_ONCE)
        mine, inverse, of_each = rows[:, part], upper[part, part], each[:, part]
        errors = np.empty_like(mine)
        for at in range(mine.shape[1]):
            one = slice(at, at + 1)
            step = rounded(mine[:, one], of_each[:, one], bits)
            steps[:, start + at : start + at + 1] = step
            errors[:, one] = (mine[:, one] - step * of_each[:, one]) / inverse[at, at]
            mine[:, at:] -= errors[:, one] * inverse[at, at:]
        rows[:, start + AT_ONCE :] -= errors @ upper[part, start + AT_ONCE :]
    back = np.empty_like(steps)
    back[:, order] = steps
    return back, scale


def descended(weights: np.ndarray, moments: np.ndarray, bits: int, block: int) -> tuple[np.ndarray, np.ndarray]:
    """As [`gptq`], which it starts from: scales and steps are then improved in turn, until each is the best there is beside the others."""
    steps, scale = gptq(weights, moments, bits, block)
    rows = np.ascontiguousarray(weights.T, np.float32)
    damped = (moments + DAMPING * np.mean(np.diag(moments)) * np.eye(len(moments))).astype(np.float32)
    for _ in range(ROUNDS):
        scale = rescaled(rows, steps, scale, damped)
        steps = stepped(rows, steps, scale, damped, bits)
    return steps, rescaled(rows, steps, scale, damped)


def rescaled(rows: np.ndarray, steps: np.ndarray, scale: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """The scales that cost least with these steps, by least squares; rows: [outputs, inputs] of what is wanted."""
    count, block = scale.shape[1], rows.shape[1] // scale.shape[1]
    blocks = [slice(at * block, (at + 1) * block) for at in range(count)]
    values, wanted = steps.astype(np.float32), rows @ moments
    products = np.empty((len(rows), count, count))
    for a, of_a in enumerate(blocks):
        for b, of_b in enumerate(blocks):
            products[:, a, b] = ((values[:, of_a] @ moments[of_a, of_b]) * values[:, of_b]).sum(1)
    right = np.stack([(values[:, part] * wanted[:, part]).sum(1) for part in blocks], 1)
    # Held where they were by a little: a block may have no steps but 0.
    held = 1e-4 * np.einsum("okk->ok", products).mean(1) + 1e-12
    found = np.linalg.solve(products + held[:, None, None] * np.eye(count), (right + held[:, None] * scale)[..., None])[..., 0]
    return np.where(np.abs(found) > 1e-8, found, scale).astype(np.float32)


def stepped(rows: np.ndarray, steps: np.ndarray, scale: np.ndarray, moments: np.ndarray, bits: int) -> np.ndarray:
    """Each step in turn the best beside all others (QuantEase, Behdin et al. 2023), those of the largest moments first."""
    low, block = 1 << (bits - 1), rows.shape[1] // scale.shape[1]
    found, now = steps.copy(), restored(steps, scale).T.copy()
    errors = rows - now
    order = np.argsort(-np.diag(moments), kind="stable")
    for start in range(0, len(order), AT_ONCE):
        part = order[start : start + AT_ONCE]
        # What moving each of these would change, kept up to date as they move.
        slopes, inner = errors @ moments[:, part], moments[np.ix_(part, part)]
        moves = np.zeros_like(slopes)
        for at, one in enumerate(part):
            size = scale[:, one // block]
            step = np.clip(np.rint((now[:, one] + slopes[:, at] / inner[at, at]) / size), -low, low - 1)
            moves[:, at] = step * size - now[:, one]
            found[:, one] = step
            slopes[:, at + 1 :] -= moves[:, at : at + 1] * inner[at, at + 1 :]
        errors[:, part] -= moves
    return found


def restored(steps: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The weights [inputs, outputs] that quantised ones stand for."""
    blocks = steps.reshape(len(steps), scale.shape[1], -1).astype(np.float32) * scale[..., None]
    return blocks.reshape(steps.shape).T


def packed(steps: np.ndarray, bits: int, block: int) -> np.ndarray:
    """Steps as unsigned bytes [outputs, blocks, bytes], two a byte where there are 4 bits, the lower first."""
    codes = (steps.astype(np.int16) + (1 << (bits - 1))).astype(np.uint8).reshape(len(steps), -1, block)
    return codes[..., 0::2] | codes[..., 1::2] << 4 if bits == 4 else codes
