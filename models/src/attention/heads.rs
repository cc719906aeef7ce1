//! Attention of a few rows to what a conversation holds, head by head, in plain loops over arrays.

#[cfg(target_arch = "x86_64")]
use super::x86;
use crate::exp::exp;
use crate::rounded;

/// Numbers of a head, which is what every GPT-2 has.
pub(crate) const WIDTH: usize = 64;
/// Sums that run beside each other.
const LANES: usize = 16;
/// Bytes that a head's keys or values of a slot take.
const EACH: usize = rounded::bytes(WIDTH);
/// Of a score so far below the best nothing is left in an f32.
const LEAST: f32 = -87.0;

/// What a layer's attention sees.
pub(super) struct Seen<'a> {
    pub(super) heads: usize,
    /// Of each row the queries of all heads, then their keys and values: `[rows, 3 · heads · WIDTH]`.
    pub(super) rows: &'a [f32],
    /// Rounded, `[slots, heads]`.
    pub(super) keys: &'a [u8],
    pub(super) values: &'a [u8],
    /// The slots that any row sees.
    pub(super) slots: &'a [usize],
    /// Added to the scores of each row: `[rows, slots]`.
    pub(super) bias: &'a [f32],
    /// Whether it is softmax-1, by which a head may attend to nothing (Kaul et al. 2024, arXiv 2410.17174).
    pub(super) smooth: bool,
}

/// Rounds the keys and values of the new rows behind those that are held.
pub(super) fn append(rows: &[f32], heads: usize, keys: &mut Vec<u8>, values: &mut Vec<u8>) {
    #[cfg(target_arch = "x86_64")]
    if x86::append(rows, heads, keys, values) {
        return;
    }
    append_any(rows, heads, keys, values);
}

/// What each row finds, `[rows, heads · WIDTH]`; `scores` is for nothing but this.
pub(super) fn attend(seen: &Seen<'_>, scores: &mut Vec<f32>, out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if x86::attend(seen, scores, out) {
        return;
    }
    attend_any::<false, 1>(seen, scores, out, dot);
}

#[inline(always)]
pub(super) fn append_any(rows: &[f32], heads: usize, keys: &mut Vec<u8>, values: &mut Vec<u8>) {
    let across = heads * WIDTH;
    for (held, part) in [(keys, 1), (values, 2)] {
        let from = held.len();
        rounded::grow(held, rows.len() / (3 * across) * heads * EACH);
        for (row, held) in rows.chunks_exact(3 * across).zip(held[from..].chunks_exact_mut(heads * EACH)) {
            let cells = row[part * across..][..across].as_chunks::<WIDTH>().0;
            for (cells, held) in cells.iter().zip(held.chunks_exact_mut(EACH)) {
                rounded::round(&mut { *cells }, held);
            }
        }
    }
}

/// `FUSED`: products are added in one instruction; `GROUP`: rows whose sums fit the registers; `dot`: the product of two heads.
#[inline(always)]
pub(super) fn attend_any<const FUSED: bool, const GROUP: usize>(
    seen: &Seen<'_>,
    scores: &mut Vec<f32>,
    out: &mut [f32],
    dot: impl Fn(&[f32; WIDTH], &[f32; WIDTH]) -> f32,
) {
    let across = seen.heads * WIDTH;
    let (count, length) = (out.len() / across, seen.slots.len());
    scores.resize(count * length, 0.0);
    for head in 0..seen.heads {
        for (at, slot) in seen.slots.iter().enumerate() {
            let key = head_of(seen.keys, slot * seen.heads + head);
            for (row, scores) in seen.rows.chunks_exact(3 * across).zip(scores.chunks_exact_mut(length)) {
                let query = &row[head * WIDTH..].as_chunks::<WIDTH>().0[0];
                scores[at] = dot(query, &key);
            }
        }
        for (scores, bias) in scores.chunks_exact_mut(length).zip(seen.bias.chunks_exact(length)) {
            softmax(scores, bias, seen.smooth);
        }
        let mut row = 0;
        while row < count {
            let (scores, out) = (&scores[row * length..], &mut out[row * across..]);
            if count - row >= GROUP {
                mix::<FUSED, GROUP>(seen, head, scores, out);
                row += GROUP;
            } else {
                mix::<FUSED, 1>(seen, head, scores, out);
                row += 1;
            }
        }
    }
}

/// What `at` heads further on is held.
#[inline(always)]
fn head_of(held: &[u8], at: usize) -> [f32; WIDTH] {
    let mut cells = [0.0; WIDTH];
    rounded::load(&held[at * EACH..][..EACH], &mut cells);
    cells
}

fn dot(a: &[f32; WIDTH], b: &[f32; WIDTH]) -> f32 {
    let mut sums = [0.0; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// Scores, not yet scaled, become shares.
#[inline(always)]
fn softmax(scores: &mut [f32], bias: &[f32], smooth: bool) {
    let scale = 1.0 / (WIDTH as f32).sqrt();
    for (score, bias) in scores.iter_mut().zip(bias) {
        *score = *score * scale + bias;
    }
    let floor = if smooth { 0.0 } else { f32::MIN };
    let (groups, rest) = scores.as_chunks_mut::<LANES>();
    let mut most = [floor; LANES];
    for scores in groups.iter() {
        for (most, score) in most.iter_mut().zip(scores) {
            *most = if *score > *most { *score } else { *most };
        }
    }
    let most = most.iter().chain(&*rest).fold(floor, |most, score| if *score > most { *score } else { most });
    // On some processors subnormal numbers slow down everything they are multiplied with.
    let share = |score: f32| if score - most < LEAST { 0.0 } else { exp(score - most) };
    let mut sums = [0.0; LANES];
    for scores in groups {
        for (sum, score) in sums.iter_mut().zip(scores) {
            *score = share(*score);
            *sum += *score;
        }
    }
    for (sum, score) in sums.iter_mut().zip(rest) {
        *score = share(*score);
        *sum += *score;
    }
    let all = sums.iter().sum::<f32>() + if smooth { exp(-most) } else { 0.0 };
    for score in scores {
        *score /= all;
    }
}

/// The sums of the values of a head for the first `ROWS` rows of `shares` and `out`.
#[inline(always)]
fn mix<const FUSED: bool, const ROWS: usize>(seen: &Seen<'_>, head: usize, shares: &[f32], out: &mut [f32]) {
    let (across, length) = (seen.heads * WIDTH, seen.slots.len());
    let mut sums = [[0.0_f32; WIDTH]; ROWS];
    for (at, slot) in seen.slots.iter().enumerate() {
        let value = head_of(seen.values, slot * seen.heads + head);
        for (row, sums) in sums.iter_mut().enumerate() {
            let share = shares[row * length + at];
            for (sum, value) in sums.iter_mut().zip(&value) {
                *sum = if FUSED { share.mul_add(*value, *sum) } else { share * value + *sum };
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        out[row * across + head * WIDTH..][..WIDTH].copy_from_slice(sums);
    }
}

/// A way of attending.
#[cfg(test)]
pub(super) type Way = fn(&Seen<'_>, &mut Vec<f32>, &mut [f32]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::chance;
    use proptest::prelude::*;

    /// The same in the plainest way, in double precision, of all rows that there were: `[slots, 3 · heads · WIDTH]`, of which the last
    /// ones ask.
    fn plain(
        all: &[f32],
        past: usize,
        heads: usize,
        sees: impl Fn(usize, usize) -> bool,
        smooth: bool,
    ) -> Vec<f64> {
        let across = heads * WIDTH;
        let rows: Vec<&[f32]> = all.chunks(3 * across).collect();
        // What is kept of a head of a row: its keys are the second part, its values the third.
        let kept = |slot: usize, part: usize, head: usize| {
            let mut cells = rows[slot][part * across + head * WIDTH..][..WIDTH].to_vec();
            rounded::round(&mut cells, &mut [0; EACH]);
            cells.into_iter().map(f64::from).collect::<Vec<_>>()
        };
        let mut out = Vec::new();
        for asks in past..rows.len() {
            for head in 0..heads {
                let query = &rows[asks][head * WIDTH..][..WIDTH];
                let seen: Vec<usize> = (0..rows.len()).filter(|slot| sees(asks, *slot)).collect();
                let scores = seen.iter().map(|slot| {
                    let product: f64 =
                        query.iter().zip(kept(*slot, 1, head)).map(|(a, b)| f64::from(*a) * b).sum();
                    product / (WIDTH as f64).sqrt()
                });
                let scores: Vec<f64> = scores.collect();
                let all = scores.iter().map(|score| score.exp()).sum::<f64>() + f64::from(u8::from(smooth));
                let mut mixed = [0.0; WIDTH];
                for (score, slot) in scores.iter().zip(&seen) {
                    let value = kept(*slot, 2, head);
                    mixed.iter_mut().zip(value).for_each(|(sum, value)| *sum += score.exp() / all * value);
                }
                out.extend(mixed);
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn each_way_finds_what_plain_sums_do(
            (heads, past, count) in (1..4_usize, 0..40_usize, 1..=16_usize),
            (smooth, seed) in (any::<bool>(), 1..u64::MAX),
            large in prop::sample::select(vec![1.0_f32, 8.0]),
        ) {
            let mut chance = chance(seed);
            let total = past + count;
            // Products of large ones are beyond what e can be raised to.
            let all: Vec<f32> = (0..total * 3 * heads * WIDTH).map(|_| 2.0 * large * chance()).collect();
            let (before, rows) = all.split_at(past * 3 * heads * WIDTH);
            let (mut keys, mut values) = (Vec::new(), Vec::new());
            append(before, heads, &mut keys, &mut values);
            append(rows, heads, &mut keys, &mut values);
            // A row sees itself and two thirds of those before it, some of which none sees.
            let unseen: Vec<bool> = (0..past).map(|_| chance() > 0.3).chain((0..count).map(|_| false)).collect();
            let sees = |row: usize, slot: usize| {
                slot == row || (slot < row && !unseen[slot] && !(slot + row).is_multiple_of(3))
            };
            let slots: Vec<usize> = (0..total).filter(|slot| !unseen[*slot]).collect();
            let bias = |row: usize| slots.iter().map(move |slot| if sees(row, *slot) { 0.0 } else { -1e9 });
            let bias: Vec<f32> = (past..total).flat_map(bias).collect();
            let seen = Seen { heads, rows, keys: &keys, values: &values, slots: &slots, bias: &bias, smooth };
            let expected = plain(&all, past, heads, sees, smooth);
            let mut ways: Vec<Way> = vec![attend, |seen, scores, out| attend_any::<false, 3>(seen, scores, out, dot)];
            #[cfg(target_arch = "x86_64")]
            ways.extend(x86::ways());
            for way in ways {
                let mut out = vec![0.0; count * heads * WIDTH];
                way(&seen, &mut Vec::new(), &mut out);
                for (found, expected) in out.iter().zip(&expected) {
                    prop_assert!((f64::from(*found) - expected).abs() < 1e-3 * f64::from(large), "{found} {expected}");
                }
            }
        }
    }
}
