//! Greedy continuation: the likeliest words after a word, one after the other.

use std::sync::Arc;

use crate::boundary::{End, Start};
use crate::distribution::Distribution;
use crate::gpt2::Word;
use crate::step::{Halt, Steps};

/// Tokens a word may have here; what is longer is seldom right.
const LONGEST: usize = 6;
/// A phrase this unlikely as a whole, given its first word, is not worth another step.
const FLOOR: f32 = 0.15;

/// Up to `count` words that follow `context`, whose text ends with `text`, each with its probability given all before.
///
/// Ends early after a sentence, where the message most likely ends, and where the steps do.
pub(crate) fn follow(steps: &mut Steps<'_>, context: &[u32], text: &str, count: usize) -> Vec<Word> {
    let (mut tokens, mut text) = (context.to_vec(), text.to_owned());
    let mut words = Vec::new();
    let mut joint = 1.0;
    while words.len() < count && joint >= FLOOR {
        let Ok(Some(word)) = next(steps, &mut tokens, &text) else { break };
        joint *= word.prob;
        text.push_str(&word.surface);
        let sentence = matches!(word.surface.as_str(), "." | "!" | "?");
        words.push(word);
        if sentence {
            break;
        }
    }
    words
}

/// The likeliest next word, its tokens appended to `tokens`; `None` where the message likelier ends.
fn next(steps: &mut Steps<'_>, tokens: &mut Vec<u32>, text: &str) -> Result<Option<Word>, Halt> {
    let before = End::of(text.as_bytes());
    let mut distribution = steps.after(tokens, &[])?;
    let begins = |start| !matches!(start, Start::Special) && before.splits(start);
    let Some((token, prob)) = likeliest(steps, &distribution, begins) else { return Ok(None) };
    let starts_here = distribution.boundary(before);
    if prob <= distribution.end() || starts_here <= 0.0 {
        return Ok(None);
    }
    let mut joint = prob / starts_here;
    let mut spelled = steps.vocabulary.bytes(token).to_vec();
    tokens.push(token);
    if steps.vocabulary.is_crossing(token) {
        // The rest of the token is another word, which would have to be shown with this one.
        return Ok(None);
    }
    for _ in 0..LONGEST {
        distribution = steps.after(tokens, &[])?;
        let end = End::of(&spelled);
        let ends = distribution.boundary(end);
        let goes_on = |start| !matches!(start, Start::Special | Start::Space) && !end.splits(start);
        match likeliest(steps, &distribution, goes_on) {
            Some((token, prob)) if prob > ends => {
                joint *= prob;
                spelled.extend_from_slice(steps.vocabulary.bytes(token));
                tokens.push(token);
            }
            _ => {
                let surface = String::from_utf8(spelled).ok().filter(|surface| !surface.trim().is_empty());
                return Ok(surface.map(|surface| Word { surface, prob: (joint * ends).min(1.0) }));
            }
        }
    }
    Ok(None)
}

/// The likeliest token whose beginning is `allowed`, ties to the lower id.
fn likeliest(
    steps: &Steps<'_>,
    distribution: &Arc<Distribution>,
    allowed: impl Fn(Start) -> bool,
) -> Option<(u32, f32)> {
    let mut best = None;
    let mut most = 0.0;
    for ((token, &prob), &start) in (0..).zip(distribution.probs()).zip(steps.vocabulary.starts()) {
        if prob > most && allowed(start) {
            most = prob;
            best = Some((token, prob));
        }
    }
    best
}
