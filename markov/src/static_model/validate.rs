//! Everything that reading relies on, so that a damaged file is an error when opened and never a panic later.

use super::ORDER;
use super::sections::{Sections, nth_bit};
use crate::layout::{FIRST_WORD, LARGE, SELECTED, STARTS};

pub(super) fn validate(sections: &Sections) -> Result<(), &'static str> {
    vocabulary(sections)?;
    unigrams(sections)?;
    for len in 1..ORDER {
        contexts(sections, len)?;
    }
    Ok(())
}

fn check(fine: bool, reason: &'static str) -> Result<(), &'static str> {
    if fine { Ok(()) } else { Err(reason) }
}

fn vocabulary(sections: &Sections) -> Result<(), &'static str> {
    let offsets = sections.offsets();
    let surfaces = sections.surfaces();
    check(
        (2..=usize::from(u16::MAX - FIRST_WORD)).contains(&offsets.len()),
        "its vocabulary has an impossible size",
    )?;
    let ends = offsets[0] == 0 && offsets.last().is_some_and(|&end| end as usize == surfaces.len());
    check(ends && offsets.is_sorted_by(|a, b| a < b), "its word offsets are out of order")?;
    let words: Vec<&[u8]> =
        offsets.windows(2).map(|pair| &surfaces[pair[0] as usize..pair[1] as usize]).collect();
    check(words.is_sorted_by(|a, b| a < b), "its words are out of order")?;
    check(words.iter().all(|word| std::str::from_utf8(word).is_ok()), "a word is not UTF-8")
}

fn unigrams(sections: &Sections) -> Result<(), &'static str> {
    let unigrams = sections.unigrams();
    check(
        unigrams.len() == sections.vocabulary_len() + usize::from(FIRST_WORD),
        "a word lacks its probability",
    )?;
    check(unigrams.iter().all(|prob| (0.0..=1.0).contains(prob)), "a probability is not one")?;
    let total: f64 = unigrams.iter().map(|&prob| f64::from(prob)).sum();
    let starts = &unigrams[usize::from(STARTS.start)..usize::from(STARTS.end)];
    check(
        (total - 1.0).abs() < 1e-4 && starts.iter().all(|&prob| prob == 0.0),
        "its unigrams do not sum to one",
    )
}

/// The contexts of `len` words and their children.
fn contexts(sections: &Sections, len: usize) -> Result<(), &'static str> {
    let parents = if len == 1 { sections.unigrams().len() } else { sections.words(len).len() };
    let bits = sections.has_children(len);
    let ranks = sections.ranks(len);
    check(
        bits.len() == parents.div_ceil(64) && ranks.len() == bits.len(),
        "its contexts have the wrong number",
    )?;
    let spare = bits.len() * 64 - parents;
    check(bits.last().is_none_or(|last| last.leading_zeros() as usize >= spare), "a context is no n-gram")?;
    let mut count = 0;
    for (bits, &rank) in bits.iter().zip(ranks) {
        check(rank == count, "its contexts are numbered wrongly")?;
        count += bits.count_ones();
    }
    let count = count as usize;
    let (words, codes) = (sections.words(len + 1), sections.codes(len + 1));
    let backoffs = sections.backoffs(len).len();
    check(backoffs == count && codes.len() == words.len(), "its contexts have the wrong number")?;
    let (firsts, selects) = (sections.firsts(len), sections.selects(len));
    let starts: Vec<usize> =
        std::iter::successors(nth_bit(firsts, 0, 0), |&at| nth_bit(firsts, at + 1, 0)).collect();
    check(
        firsts.len() == words.len().div_ceil(64) && starts.len() == count,
        "its contexts have the wrong number",
    )?;
    let begins = starts.first().is_none_or(|&first| first == 0) && (count > 0 || words.is_empty());
    check(begins && starts.last().is_none_or(|&last| last < words.len()), "an n-gram has no context")?;
    let selected = starts.iter().step_by(SELECTED).map(|&start| start as u32);
    check(selected.eq(selects.iter().copied()), "its contexts are out of order")?;
    let ids = sections.unigrams().len();
    let mut large = sections.large(len).iter().zip(sections.sums(len));
    check(sections.large(len).len() == sections.sums(len).len(), "a sum has no context")?;
    for (context, &start) in starts.iter().enumerate() {
        let end = starts.get(context + 1).copied().unwrap_or(words.len());
        let children = &words[start..end];
        check(children.is_sorted_by(|a, b| a < b), "its n-grams are out of order")?;
        check(
            children.last().is_some_and(|&last| usize::from(last) < ids),
            "an n-gram holds an unknown word",
        )?;
        if children.len() > LARGE {
            let found = large.next();
            let fine =
                found.is_some_and(|(&at, &sum)| at as usize == context && sum >= 1e-7 && sum.is_finite());
            check(fine, "a sum is missing")?;
        }
    }
    check(large.next().is_none(), "a sum has no context")
}
