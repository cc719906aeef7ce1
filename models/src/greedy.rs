//! Greedy decoding with a draft: what is likely to come is verified as many tokens at a time as a pass has room for.
//!
//! Speculative decoding (Leviathan et al. 2023, arXiv 2211.17192) where the draft costs nothing and the likeliest token is taken. The service
//! verifies words the same way, as branches of a token tree; here it is measured by itself, one token after another beside it.

use crate::session::CHUNK;
use crate::step::{Halt, Steps};

/// The `count` tokens that are likeliest one after the other behind `context`, ties by token id; `draft` is what they may be, which
/// changes nothing but the number of passes. Fewer where passes or positions end.
pub(crate) async fn greedy(steps: &mut Steps<'_>, context: &[u32], draft: &[u32], count: usize) -> Vec<u32> {
    let mut found: Vec<u32> = Vec::new();
    while found.len() < count {
        match verified(steps, context, &found, draft, count - found.len()).await {
            Ok(more) if !more.is_empty() => found.extend(more),
            Ok(_) | Err(_) => break,
        }
    }
    found
}

/// What one pass finds behind `context` and `found`: the tokens of the draft that are right, and the one after those.
async fn verified(
    steps: &mut Steps<'_>,
    context: &[u32],
    found: &[u32],
    draft: &[u32],
    most: usize,
) -> Result<Vec<u32>, Halt> {
    let behind = [context, found].concat();
    let ahead = draft.strip_prefix(found).unwrap_or_default();
    let ahead = &ahead[..ahead.len().min(most.min(CHUNK) - 1)];
    let sequences: Vec<Vec<u32>> =
        (0..=ahead.len()).map(|length| [&behind, &ahead[..length]].concat()).collect();
    let sequences: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
    let mut more = Vec::new();
    for (at, distribution) in steps.pass(&sequences).await?.into_iter().enumerate() {
        let Some(distribution) = distribution else { break };
        let best = distribution.best();
        more.push(best);
        if ahead.get(at) != Some(&best) {
            break;
        }
    }
    Ok(more)
}
