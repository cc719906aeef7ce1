//! Which words are slips of others: `slips < counts`, a surface and its count a line, separated by a tab, for tools/slips.py.
//!
//! Prints each slip and the word meant, separated by a tab, in byte order.
#![expect(clippy::print_stdout, reason = "printing is what this program does")]

use std::{error::Error, io};

use foretype_charlm::Slips;

fn main() -> Result<(), Box<dyn Error>> {
    let mut counts = Vec::new();
    for line in io::stdin().lines() {
        let line = line?;
        let (surface, count) = line.split_once('\t').ok_or("a line is a surface, a tab and a count")?;
        counts.push((surface.to_owned(), count.parse()?));
    }
    let slips = Slips::find(counts.iter().map(|(surface, count)| (surface.as_str(), *count)));
    let mut found: Vec<_> = slips.iter().collect();
    found.sort_unstable();
    for (slip, meant) in found {
        println!("{slip}\t{meant}");
    }
    Ok(())
}
