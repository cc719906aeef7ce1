//! Corrects mistyped prefixes, a line each: `correct LEXICON CHARS [WRITER] < prefixes`, for tools/speller.py.
//!
//! WRITER is a file of surfaces, a line each; the first 500 of them that the lexicon does not have are learned as a writer's.
//! Prints, separated by tabs: the microseconds that correcting takes, and all that the service asks at such a key (the best of
//! four runs: what the code costs, not what else the machine does), whether the prefix leads nowhere (1 or 0), and the three best words.
#![expect(clippy::print_stdout, reason = "printing is what this program does")]

use std::{env, error::Error, fs, hint::black_box, io, time::Instant};

use foretype_charlm::{Delta, Spelling};

/// Unlisted words of a writer who has used the service for months.
const WORDS: usize = 500;

fn main() -> Result<(), Box<dyn Error>> {
    let mut files = env::args().skip(1);
    let mut file = || files.next().ok_or("name two files, or three");
    let spelling = Spelling::open(file()?, file()?)?;
    let mut delta = Delta::default();
    if let Ok(writer) = file() {
        let surfaces = fs::read_to_string(writer)?;
        let mut unlisted = surfaces.lines();
        while delta.words(&spelling).count() < WORDS {
            delta.learn(&spelling, unlisted.next().ok_or("WRITER has too few unlisted words")?);
        }
    }
    let adapted = spelling.with(Some(&delta));
    for line in io::stdin().lines() {
        let prefix = format!(" {}", line?);
        let nowhere = u8::from(spelling.leads_nowhere(&prefix));
        let found = spelling.lexicon().correct(&prefix, 3);
        let correct = || drop(black_box(spelling.lexicon().correct(black_box(&prefix), 3)));
        let all = || {
            black_box((adapted.mass(black_box(&prefix)), adapted.top(&prefix, 8)));
            if spelling.leads_nowhere(&prefix) {
                correct();
            }
        };
        let (micros, all) = (best(correct), best(all));
        let words: Vec<_> = found.iter().map(|c| c.word.trim_start()).collect();
        println!("{micros:.1}\t{all:.1}\t{nowhere}\t{}", words.join("\t"));
    }
    Ok(())
}

/// Microseconds.
fn best(work: impl Fn()) -> f64 {
    let run = || {
        let started = Instant::now();
        work();
        started.elapsed().as_nanos() as f64 / 1e3
    };
    (0..4).map(|_| run()).fold(f64::INFINITY, f64::min)
}
