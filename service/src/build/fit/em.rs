//! Maximum likelihood of mixture weights.

use crate::engine::{Predictor, Probe};
use crate::ensemble::bucket::{ALONE, BUCKETS, long_match};
use crate::ensemble::mixture::{PREFIX_CLASSES, Prior};
use crate::ensemble::weights::{Loss, MEMBERS};

/// Words the overall weights count for in a bucket of few.
const PSEUDO: f64 = 30.0;

/// How far the weight of the writer's model in a conversation goes from that anywhere towards that in the corpus's conversations, in
/// logs. Not all the way, as these are of few kinds, which the GPT-2 knows better than other people's.
const CONVERSING: f64 = 0.5;

/// No member's weight is smaller: text to come may need it.
const LEAST: f64 = 0.004;

/// What the members gave the true word at a typed prefix.
pub(super) struct Typed {
    bucket: usize,
    class: usize,
    /// P_m(word) and P_m(prefix), scaled alike.
    word: [f64; MEMBERS],
    prefix: [f64; MEMBERS],
}

impl From<Probe> for Typed {
    fn from(probe: Probe) -> Self {
        let scale = f64::from(probe.mass.iter().flatten().copied().fold(f32::MIN_POSITIVE, f32::max));
        Self {
            bucket: probe.bucket,
            class: probe.class,
            word: std::array::from_fn(|m| {
                if probe.mass[m].is_some() { f64::from(probe.word[m]) / scale } else { 0.0 }
            }),
            prefix: probe.mass.map(|mass| f64::from(mass.unwrap_or(0.0)) / scale),
        }
    }
}

/// Words the GPT-2 weighed; the others say little about who is better.
fn complete(losses: &[Loss]) -> impl Iterator<Item = (usize, [f64; MEMBERS], [bool; MEMBERS])> + Clone {
    losses.iter().filter(|loss| loss.log_probs[Predictor::Gpt2 as usize].is_some()).map(|loss| {
        let probs = loss.log_probs.map(|p| p.map_or(0.0, |p| f64::from(p).exp()));
        (usize::from(loss.bucket), probs, loss.log_probs.map(|p| p.is_some()))
    })
}

/// Expectation maximisation per bucket, drawn to the overall weights where there are few words. Long matches are rarer
/// than that and nothing like the rest: those are drawn to all that are as long, whatever else is known of the place.
/// Conversations and other texts are one here; see [`conversing`].
pub(super) fn weights(losses: &[Loss]) -> Vec<[f32; MEMBERS]> {
    let one_kind = |bucket: usize| bucket % ALONE;
    let uniform = [1.0 / MEMBERS as f64; MEMBERS];
    let overall = em(&complete(losses).map(|(_, probs, awake)| (probs, awake)), uniform, 0.0);
    let within =
        |inside: &dyn Fn(usize) -> bool, start| within(losses, |bucket| inside(one_kind(bucket)), start);
    let long = [0, 1].map(|longer| within(&|bucket| long_match(bucket) == Some(longer), overall));
    let buckets = (0..ALONE).map(|bucket| {
        within(&|other| other == bucket, long_match(bucket).map_or(overall, |longer| long[longer]))
    });
    let weights: Vec<_> = buckets.map(floored).collect();
    weights.repeat(BUCKETS / ALONE)
}

/// The same in conversations, where the writer's model counts less: what it knows of them the GPT-2 has read as well.
pub(super) fn conversing(losses: &[Loss], anywhere: &[[f32; MEMBERS]]) -> Vec<[f32; MEMBERS]> {
    let personal = Predictor::Personal as usize;
    let overall = within(losses, |bucket| bucket >= ALONE, [1.0 / MEMBERS as f64; MEMBERS]);
    let buckets = (ALONE..BUCKETS).zip(anywhere).map(|(bucket, anywhere)| {
        let here = floored(within(losses, |other| other == bucket, overall))[personal];
        let mut weights = anywhere.map(f64::from);
        weights[personal] = weights[personal].powf(1.0 - CONVERSING) * f64::from(here).powf(CONVERSING);
        floored(weights)
    });
    anywhere[..ALONE].iter().copied().chain(buckets).collect()
}

/// Expectation maximisation over the words of some buckets, drawn to `start` where there are few.
fn within(losses: &[Loss], inside: impl Fn(usize) -> bool, start: [f64; MEMBERS]) -> [f64; MEMBERS] {
    let words = complete(losses).filter(|(bucket, ..)| inside(*bucket));
    let words: Vec<_> = words.map(|(_, probs, awake)| (probs, awake)).collect();
    em(&words.iter().copied(), start, PSEUDO)
}

fn floored(weights: [f64; MEMBERS]) -> [f32; MEMBERS] {
    normalised(weights.map(|w| w.max(LEAST))).map(|w| w as f32)
}

/// Members that sleep keep their share of each word: one that slept through it was not wrong about it.
fn em(
    words: &(impl Iterator<Item = ([f64; MEMBERS], [bool; MEMBERS])> + Clone),
    start: [f64; MEMBERS],
    pseudo: f64,
) -> [f64; MEMBERS] {
    let mut weights = start;
    for _ in 0..40 {
        let mut counts = start.map(|w| w * pseudo);
        for (probs, awake) in words.clone() {
            let joint: [f64; MEMBERS] = std::array::from_fn(|m| weights[m] * probs[m]);
            let total: f64 = joint.iter().sum();
            let awake_weight: f64 = (0..MEMBERS).filter(|m| awake[*m]).map(|m| weights[m]).sum();
            if total > 0.0 {
                for m in 0..MEMBERS {
                    counts[m] += if awake[m] { awake_weight * joint[m] / total } else { weights[m] };
                }
            }
        }
        weights = normalised(counts);
    }
    weights
}

fn normalised(values: [f64; MEMBERS]) -> [f64; MEMBERS] {
    let total: f64 = values.iter().sum();
    if total > 0.0 { values.map(|v| v / total) } else { [1.0 / MEMBERS as f64; MEMBERS] }
}

/// Nats a word of one member, over the words it weighed.
pub(super) fn mean_loss(losses: &[Loss], predictor: Predictor) -> f64 {
    let weighed: Vec<f64> =
        losses.iter().filter_map(|loss| loss.log_probs[predictor as usize]).map(|p| -f64::from(p)).collect();
    weighed.iter().sum::<f64>() / weighed.len().max(1) as f64
}

/// Nats a word of the mixture, over the words all weighed.
pub(super) fn mixture_loss(losses: &[Loss], prior: &Prior) -> f64 {
    let (mut total, mut count) = (0.0, 0);
    for (bucket, probs, awake) in complete(losses) {
        let weights = prior.weights[bucket].map(f64::from);
        let (mut mixed, mut mass) = (0.0, 0.0);
        for m in (0..MEMBERS).filter(|m| awake[*m]) {
            mixed += weights[m] * probs[m];
            mass += weights[m];
        }
        total -= (mixed / mass).max(f64::MIN_POSITIVE).ln();
        count += 1;
    }
    total / f64::from(count.max(1))
}

/// Numerator and denominator of P(word | prefix), by member.
fn terms(typed: &Typed, prior: &Prior, factors: &[[f64; MEMBERS]]) -> ([f64; MEMBERS], [f64; MEMBERS]) {
    let weight = |m: usize| f64::from(prior.weights[typed.bucket][m]) * factors[typed.class][m];
    (std::array::from_fn(|m| weight(m) * typed.word[m]), std::array::from_fn(|m| weight(m) * typed.prefix[m]))
}

/// Nats of the true word at a typed prefix; at most 20 for a word nobody thought of.
pub(super) fn typed_loss(typed: &[Typed], prior: &Prior) -> f64 {
    let factors: Vec<_> = prior.prefix.iter().map(|row| row.map(f64::from)).collect();
    let loss = |t: &Typed| {
        let (word, prefix) = terms(t, prior, &factors);
        -(word.iter().sum::<f64>() / prefix.iter().sum::<f64>().max(f64::MIN_POSITIVE)).max(2e-9).ln()
    };
    typed.iter().map(loss).sum::<f64>() / typed.len().max(1) as f64
}

/// What a typed prefix does to each member's weight beyond its likelihood: gradient ascent on the logarithms.
pub(super) fn prefixes(typed: &[Typed], prior: &Prior) -> Vec<[f32; MEMBERS]> {
    let mut logs = [[0.0_f64; MEMBERS]; PREFIX_CLASSES];
    for _ in 0..300 {
        let factors = logs.map(|row| row.map(f64::exp));
        let mut gradient = [[0.0; MEMBERS]; PREFIX_CLASSES];
        let mut counts = [1.0; PREFIX_CLASSES];
        for t in typed {
            let (word, prefix) = terms(t, prior, &factors);
            let (word_sum, prefix_sum): (f64, f64) = (word.iter().sum(), prefix.iter().sum());
            if word_sum <= 0.0 || prefix_sum <= 0.0 {
                continue;
            }
            counts[t.class] += 1.0;
            for m in 0..MEMBERS {
                gradient[t.class][m] += word[m] / word_sum - prefix[m] / prefix_sum;
            }
        }
        for (class, row) in logs.iter_mut().enumerate() {
            for m in 0..MEMBERS {
                row[m] = (row[m] + 2.0 * gradient[class][m] / counts[class]).clamp(-5.0, 5.0);
            }
        }
    }
    logs.iter().map(|row| row.map(|log| log.exp() as f32)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(bucket: u8, probs: [f32; MEMBERS]) -> Loss {
        Loss { bucket, prior: [64; MEMBERS], log_probs: probs.map(|p| Some(p.ln())) }
    }

    #[test]
    fn em_finds_the_share_of_each_member() {
        // Two of three words are known to gpt2 only, one to the domain only.
        let mut losses = vec![loss(5, [0.9, 1e-6, 1e-6, 1e-6, 1e-6, 1e-6]); 200];
        losses.extend(vec![loss(5, [1e-6, 1e-6, 0.9, 1e-6, 1e-6, 1e-6]); 100]);
        let weights = weights(&losses)[5];
        assert!(
            (weights[0] - 2.0 / 3.0).abs() < 0.02 && (weights[2] - 1.0 / 3.0).abs() < 0.02,
            "{weights:?}"
        );
        assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn in_conversations_the_writers_model_counts_less() {
        // The writer's words foresee two of three words of their own text, and none of a conversation.
        let (gpt2, personal) = ([0.9, 1e-6, 1e-6, 1e-6, 1e-6, 1e-6], [1e-6, 0.9, 1e-6, 1e-6, 1e-6, 1e-6]);
        let (alone, answering) = (5, 5 + ALONE as u8);
        let mut losses = vec![loss(alone, personal); 200];
        losses.extend(vec![loss(alone, gpt2); 100]);
        losses.extend(vec![loss(answering, gpt2); 300]);
        let anywhere = weights(&losses);
        let weights = conversing(&losses, &anywhere);
        assert!((anywhere[5][1] - 1.0 / 3.0).abs() < 0.02, "{:?}", anywhere[5]);
        assert_eq!(weights[..ALONE], anywhere[..ALONE], "other texts keep theirs");
        let (here, there) = (weights[5 + ALONE], anywhere[5]);
        assert!((1.5 * LEAST as f32..0.1).contains(&here[1]), "not all the way: {here:?}");
        assert!(
            (here[0] / here[2] - there[0] / there[2]).abs() < 0.02 * there[0] / there[2],
            "the others as anywhere"
        );
        assert!(weights.iter().all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-5));
    }

    #[test]
    fn a_member_that_misjudges_prefixes_counts_less_there() {
        let typed: Vec<_> = (0..100)
            .map(|_| Typed {
                bucket: 0,
                class: 2,
                word: [0.0, 0.0, 0.5, 0.01, 0.0, 0.0],
                prefix: [0.0, 0.0, 0.6, 1.0, 0.0, 0.0],
            })
            .collect();
        let mut prior = Prior::default();
        let before = typed_loss(&typed, &prior);
        prior.prefix = prefixes(&typed, &prior);
        assert!(prior.prefix[2][2] > 5.0 * prior.prefix[2][3]);
        assert!(typed_loss(&typed, &prior) < before);
        assert_eq!(prior.prefix[1], [1.0; MEMBERS], "classes without examples keep one");
    }
}
