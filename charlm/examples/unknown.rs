//! Types words that the lexicon does not have: `unknown LEXICON CHARS < surfaces`, a line each, for tools/unknown.py.
//!
//! Prints, separated by tabs, for each surface whether it is listed (1 or 0) and the characters that taking it from the
//! first suggestion, and from any of the first three, would have saved: what is left of it less the one key.
#![expect(clippy::print_stdout, reason = "printing is what this program does")]

use std::{env, error::Error, io};

use foretype_charlm::Spelling;

/// What the service asks for.
const PROPOSALS: usize = 8;

/// The characters saved by the first of `shown` suggestions that is right.
fn saved(spelling: &Spelling, surface: &str, shown: usize) -> usize {
    let letters = surface.len() - surface.trim_start().len();
    let places = surface.char_indices().map(|(at, _)| at).filter(|&at| at > letters);
    places
        .filter(|&at| {
            let top = spelling.top(&surface[..at], PROPOSALS);
            top.iter().take(shown).any(|(word, _)| word == surface)
        })
        .map(|at| surface[at..].chars().count() - 1)
        .next()
        .unwrap_or(0)
}

fn main() -> Result<(), Box<dyn Error>> {
    let [lexicon, chars] =
        env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "name two files")?;
    let spelling = Spelling::open(lexicon, chars)?;
    for line in io::stdin().lines() {
        let surface = line?;
        let listed = spelling.contains(&surface);
        let [one, three] = [1, 3].map(|shown| if listed { 0 } else { saved(&spelling, &surface, shown) });
        println!("{}\t{one}\t{three}", u8::from(listed));
    }
    Ok(())
}
