//! Corrects mistyped prefixes, a line each: `correct LEXICON CHARS < prefixes`, for tools/speller.py.
//!
//! Prints, separated by tabs: the microseconds it took, whether the prefix leads nowhere (1 or 0), and the three best words.
#![expect(clippy::print_stdout, reason = "printing is what this program does")]

use std::{env, error::Error, io, time::Instant};

use foretype_charlm::Spelling;

fn main() -> Result<(), Box<dyn Error>> {
    let [lexicon, chars] = env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "name two files")?;
    let spelling = Spelling::open(lexicon, chars)?;
    for line in io::stdin().lines() {
        let prefix = format!(" {}", line?);
        let started = Instant::now();
        let nowhere = u8::from(spelling.leads_nowhere(&prefix));
        let found = spelling.lexicon().correct(&prefix, 3);
        let micros = started.elapsed().as_nanos() as f64 / 1e3;
        let words: Vec<_> = found.iter().map(|c| c.word.trim_start()).collect();
        println!("{micros:.1}\t{nowhere}\t{}", words.join("\t"));
    }
    Ok(())
}
