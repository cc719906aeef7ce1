//! How much better a writer's new words are spelled once the earlier ones were learned: `adapt LEXICON CHARS < streams`, for
//! tools/unknown.py.
//!
//! A line is `R<TAB>name` where another writer begins, `L<TAB>surface` for one that is learned, `T<TAB>surface` for one that is
//! weighed first, if it is in no list and the writer did not use it before. For each of those is printed, separated by tabs: the
//! name, the surface, then without and with the delta its nats, and the characters that taking it from the first suggestion and
//! from any of the first three saves.
#![expect(clippy::print_stdout, reason = "printing is what this program does")]

use std::{collections::HashSet, env, error::Error, io};

use foretype_charlm::{Adapted, Delta, Spelling};

/// What the service asks for.
const PROPOSALS: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let [lexicon, chars] =
        env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "name two files")?;
    let spelling = Spelling::open(lexicon, chars)?;
    let (mut name, mut delta, mut used) = (String::new(), Delta::default(), HashSet::new());
    for line in io::stdin().lines() {
        let line = line?;
        let (kind, text) = line.split_once('\t').ok_or("a line has no tab")?;
        if kind == "R" {
            (name, delta) = (text.to_owned(), Delta::default());
            used.clear();
            continue;
        }
        let new = used.insert(text.to_owned()) && !spelling.contains(text);
        if kind == "T" && new {
            let [before, after] = [None, Some(&delta)].map(|delta| {
                let nats = -spelling.chars().with(delta).log_prob(text);
                let [one, three] = [1, 3].map(|shown| saved(&spelling.with(delta), text, shown));
                format!("{nats:.3}\t{one}\t{three}")
            });
            println!("{name}\t{text}\t{before}\t{after}");
        }
        delta.learn(&spelling, text);
    }
    Ok(())
}

/// The characters saved by the first of `shown` suggestions that is right.
fn saved(model: &Adapted<'_>, surface: &str, shown: usize) -> usize {
    let letters = surface.len() - surface.trim_start().len();
    let places = surface.char_indices().map(|(at, _)| at).filter(|&at| at > letters);
    places
        .filter(|&at| {
            model.top(&surface[..at], PROPOSALS).iter().take(shown).any(|(word, _)| word == surface)
        })
        .map(|at| surface[at..].chars().count() - 1)
        .next()
        .unwrap_or(0)
}
