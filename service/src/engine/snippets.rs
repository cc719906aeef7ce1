//! The texts a writer keeps ready, as candidates beside the models' words.

use super::{Request, read};
use crate::ensemble::rank::Ranked;
use crate::ensemble::silence;
use crate::writer::snippets::Begun;

/// The writer's snippets that are begun here. Triggers are replaced only where the client can.
pub(super) fn snippets(request: &Request, prefix: &str) -> Vec<Ranked> {
    let Some(memory) = request.memory.as_deref().map(read) else { return Vec::new() };
    let begun = memory.snippets.begun(&request.text);
    let begun = begun.filter(|begun| begun.replace == 0 || request.corrections);
    let texts = |begun: &Begun<'_>| begun.pieces().map(str::to_owned).collect();
    begun.map(|begun| Ranked::snippet(texts(&begun), begun.prob, begun.replace, prefix)).collect()
}

/// How many surfaces of a candidate come before the word that follows the cursor; a text that a writer keeps ready may hold it further on.
pub(super) fn before_repeating(candidate: &Ranked, repeated: Option<&str>) -> usize {
    match silence::before_repeating(&candidate.surfaces, repeated) {
        1.. if candidate.is_snippet() => candidate.surfaces.len(),
        count => count,
    }
}
