//! Attention of a few rows to what a conversation holds, head by head: plain loops over arrays, compiled for wide registers.

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
    /// Whether it may attend to nothing (softmax-1, Kaul et al. 2024, arXiv 2410.17174).
    pub(super) nothing: bool,
}

/// Rounds the keys and values of the new rows behind those that are held.
pub(super) fn append(rows: &[f32], heads: usize, keys: &mut Vec<u8>, values: &mut Vec<u8>) {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { append_avx2(rows, heads, keys, values) };
    }
    append_any(rows, heads, keys, values);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn append_avx2(rows: &[f32], heads: usize, keys: &mut Vec<u8>, values: &mut Vec<u8>) {
    append_any(rows, heads, keys, values);
}

#[inline(always)]
fn append_any(rows: &[f32], heads: usize, keys: &mut Vec<u8>, values: &mut Vec<u8>) {
    let across = heads * WIDTH;
    for (held, part) in [(keys, 1), (values, 2)] {
        let more = rows.len() / (3 * across) * heads * EACH;
        if held.capacity() - held.len() < more {
            // Not twice as much: many conversations are kept.
            held.reserve_exact(more.max(held.len() / 4));
        }
        for row in rows.chunks_exact(3 * across) {
            let from = held.len();
            held.resize(from + heads * EACH, 0);
            let cells = row[part * across..][..across].as_chunks::<WIDTH>().0;
            for (cells, held) in cells.iter().zip(held[from..].chunks_exact_mut(EACH)) {
                rounded::round(&mut { *cells }, held);
            }
        }
    }
}

/// What each row finds, `[rows, heads · WIDTH]`; `scores` is for nothing but this.
pub(super) fn attend(seen: &Seen<'_>, scores: &mut Vec<f32>, out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { attend_avx512(seen, scores, out) };
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the same holds.
        return unsafe { attend_avx2(seen, scores, out) };
    }
    attend_any::<false, 1>(seen, scores, out, dot);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,fma")]
fn attend_avx512(seen: &Seen<'_>, scores: &mut Vec<f32>, out: &mut [f32]) {
    attend_any::<true, 4>(seen, scores, out, |a, b| x86::dot_avx512(a, b));
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn attend_avx2(seen: &Seen<'_>, scores: &mut Vec<f32>, out: &mut [f32]) {
    attend_any::<true, 1>(seen, scores, out, |a, b| x86::dot_avx2(a, b));
}

/// `FUSED`: products are added in one instruction; `GROUP`: rows whose sums fit the registers; `dot`: the product of two heads.
#[inline(always)]
fn attend_any<const FUSED: bool, const GROUP: usize>(
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
            softmax(scores, bias, seen.nothing);
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

#[inline(always)]
fn add<const FUSED: bool>(a: f32, b: f32, sum: f32) -> f32 {
    if FUSED { a.mul_add(b, sum) } else { a * b + sum }
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
fn softmax(scores: &mut [f32], bias: &[f32], nothing: bool) {
    let scale = 1.0 / (WIDTH as f32).sqrt();
    for (score, bias) in scores.iter_mut().zip(bias) {
        *score = *score * scale + bias;
    }
    let floor = if nothing { 0.0 } else { f32::MIN };
    let (groups, rest) = scores.as_chunks_mut::<LANES>();
    let mut most = [floor; LANES];
    for scores in groups.iter() {
        for (most, score) in most.iter_mut().zip(scores) {
            *most = if *score > *most { *score } else { *most };
        }
    }
    let most = most.iter().chain(&*rest).fold(floor, |most, score| if *score > most { *score } else { most });
    let mut sums = [0.0; LANES];
    for scores in groups {
        for (sum, score) in sums.iter_mut().zip(scores) {
            *score = exp(*score - most);
            *sum += *score;
        }
    }
    for (sum, score) in sums.iter_mut().zip(rest) {
        *score = exp(*score - most);
        *sum += *score;
    }
    let all = sums.iter().sum::<f32>() + if nothing { exp(-most) } else { 0.0 };
    for score in scores {
        *score /= all;
    }
}

/// The sums of the values of a head for the first `ROWS` rows of `shares` and `out`.
#[inline(always)]
fn mix<const FUSED: bool, const ROWS: usize>(seen: &Seen<'_>, head: usize, shares: &[f32], out: &mut [f32]) {
    let (across, length) = (seen.heads * WIDTH, seen.slots.len());
    let mut sums = [[0.0; WIDTH]; ROWS];
    for (at, slot) in seen.slots.iter().enumerate() {
        let value = head_of(seen.values, slot * seen.heads + head);
        for (row, sums) in sums.iter_mut().enumerate() {
            let share = shares[row * length + at];
            for (sum, value) in sums.iter_mut().zip(&value) {
                *sum = add::<FUSED>(share, *value, *sum);
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        out[row * across + head * WIDTH..][..WIDTH].copy_from_slice(sums);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Way = fn(&Seen<'_>, &mut Vec<f32>, &mut [f32]);

    /// The same in the plainest way, in double precision.
    fn plain(seen: &Seen<'_>) -> Vec<f64> {
        let across = seen.heads * WIDTH;
        let mut out = Vec::new();
        for (row, bias) in seen.rows.chunks(3 * across).zip(seen.bias.chunks(seen.slots.len())) {
            for head in 0..seen.heads {
                let of = |held: &[u8], slot: usize| head_of(held, slot * seen.heads + head).map(f64::from);
                let query = &row[head * WIDTH..][..WIDTH];
                let scores: Vec<f64> = (seen.slots.iter().zip(bias))
                    .map(|(slot, bias)| {
                        let key = of(seen.keys, *slot);
                        let product: f64 = query.iter().zip(key).map(|(a, b)| f64::from(*a) * b).sum();
                        product / (WIDTH as f64).sqrt() + f64::from(*bias)
                    })
                    .collect();
                let all =
                    scores.iter().map(|score| score.exp()).sum::<f64>() + f64::from(u8::from(seen.nothing));
                let mut mixed = [0.0; WIDTH];
                for (score, slot) in scores.iter().zip(seen.slots) {
                    let value = of(seen.values, *slot);
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
            (heads, past, count) in (1..4_usize, 0..40_usize, 1..12_usize),
            (nothing, seed) in (any::<bool>(), 1..u64::MAX),
        ) {
            let mut state = seed;
            let mut chance = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f32 / (1 << 23) as f32 - 1.0
            };
            let mut rows = |count: usize| (0..count * 3 * heads * WIDTH).map(|_| 2.0 * chance()).collect::<Vec<f32>>();
            let (before, rows) = (rows(past), rows(count));
            let (mut keys, mut values) = (Vec::new(), Vec::new());
            append(&before, heads, &mut keys, &mut values);
            append(&rows, heads, &mut keys, &mut values);
            // A row sees itself and every third or so of the others.
            let total = past + count;
            let slots: Vec<usize> = (0..total).filter(|slot| *slot >= past || chance() > -0.3).collect();
            let sees = |row: usize, slot: usize| slot == past + row || (slot < past + row && !(slot + row).is_multiple_of(3));
            let bias: Vec<f32> = (0..count)
                .flat_map(|row| slots.iter().map(move |slot| if sees(row, *slot) { 0.0 } else { -1e9 }))
                .collect();
            let seen = Seen { heads, rows: &rows, keys: &keys, values: &values, slots: &slots, bias: &bias, nothing };
            let expected = plain(&seen);
            let mut ways: Vec<Way> =
                vec![attend, |seen, scores, out| attend_any::<false, 3>(seen, scores, out, dot)];
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                #[allow(unsafe_code)]
                // SAFETY: the processor has what the function is compiled for.
                ways.push(|seen, scores, out| unsafe { attend_avx2(seen, scores, out) });
            }
            for way in ways {
                let mut out = vec![0.0; count * heads * WIDTH];
                way(&seen, &mut Vec::new(), &mut out);
                for (found, expected) in out.iter().zip(&expected) {
                    prop_assert!((f64::from(*found) - expected).abs() < 1e-4, "{found} {expected}");
                }
            }
        }
    }
}
