//! Evidence buckets: what is known of a place in a text, by which mixture weights differ.

use foretype_markov::Matched;

/// How many there are: what the writer's model matched times what the domain's matched, in a text of one's own and in a conversation.
pub const BUCKETS: usize = 2 * ALONE;

/// Those of a text of one's own, which come first. Earlier releases had no others.
pub const ALONE: usize = PERSONAL_LEVELS * DOMAIN_LEVELS;

/// None at all; some of a model that has learned little, as many of one that has learned more.
const PERSONAL_LEVELS: usize = 1 + 2 * MATCHES;
const MATCHES: usize = 9;
const DOMAIN_LEVELS: usize = 4;

/// Levels of what the writer's model matched, and buckets, of the first releases.
const FIRST_MATCHES: usize = 7;
pub(super) const FIRST_BUCKETS: usize = (1 + 2 * FIRST_MATCHES) * DOMAIN_LEVELS;

/// Words from which on a writer's model has seen enough to be trusted in another way: about fifty chat messages.
const GROWN: u64 = 1_000;

/// The bucket of a place in a text: what the writer's model, which has learned so many words, and the domain's know of
/// it, and whether the text `answers` others. `None`: that model is not there at all.
pub fn bucket(personal: Option<(Matched, u64)>, domain: Option<Matched>, answers: bool) -> usize {
    let personal = personal.map_or(0, |(matched, words)| {
        let level = match matched {
            Matched { order: 0, .. } => 0,
            Matched { order: 1, count } => 1 + usize::from(count >= 8),
            Matched { order: 2, count } => 3 + usize::from(count >= 3),
            Matched { order: 3 | 4, count } => 5 + usize::from(count >= 2),
            // What agrees with so many words is likely a copy of them.
            Matched { order, .. } => 7 + usize::from(order >= 8),
        };
        1 + level + if words >= GROWN { MATCHES } else { 0 }
    });
    let domain = domain.map_or(0, |m| usize::from(m.order).min(DOMAIN_LEVELS - 1));
    personal * DOMAIN_LEVELS + domain + if answers { ALONE } else { 0 }
}

/// Whether the writer's model matched five words or more in a bucket: 0 for up to seven, 1 beyond.
pub fn long_match(bucket: usize) -> Option<usize> {
    let level = (bucket % ALONE / DOMAIN_LEVELS).checked_sub(1)? % MATCHES;
    level.checked_sub(MATCHES - 2)
}

/// The bucket of today for one of the releases that told no conversations from other texts, [`BUCKETS`] for one they did not have.
pub(super) fn of_one_kind(bucket: usize, answers: bool) -> usize {
    match bucket {
        ALONE.. => BUCKETS,
        _ if answers => bucket + ALONE,
        _ => bucket,
    }
}

/// That bucket for one of the first releases', which told no long matches from longer ones.
pub(super) fn of_first(bucket: usize) -> usize {
    let (personal, domain) = (bucket / DOMAIN_LEVELS, bucket % DOMAIN_LEVELS);
    let grown = personal > FIRST_MATCHES;
    (personal + if grown { MATCHES - FIRST_MATCHES } else { 0 }) * DOMAIN_LEVELS + domain
}

/// Which of those buckets one of today was part of.
pub(super) fn first_of(bucket: usize) -> usize {
    let bucket = bucket % ALONE;
    let (personal, domain) = (bucket / DOMAIN_LEVELS, bucket % DOMAIN_LEVELS);
    let Some(level) = personal.checked_sub(1) else { return domain };
    let (grown, level) = (level / MATCHES, (level % MATCHES).min(FIRST_MATCHES - 1));
    (1 + grown * FIRST_MATCHES + level) * DOMAIN_LEVELS + domain
}
