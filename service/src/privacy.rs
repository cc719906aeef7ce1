//! Personal data in text: taken out before anything is stored, and kept out of what is shown.
//!
//! What is looked for: card numbers (Luhn), IBAN (ISO 7064 mod 97-10), US social security numbers, e-mail addresses, phone
//! numbers, IP addresses, keys (private key blocks, JWT, AWS, GitHub, `sk-`…), long random strings and long digit runs. Each is replaced by its name, such as
//! `<email>`, so that the words around it can still be learned. Digits are those of ASCII. Patterns are matched in time linear in the text.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// Entropy in bits per character from which a long token of letters and digits may be a key; random base64 is near log2 of its
/// length. Paths and joined words reach it as well: they are told by their parts.
const RANDOM_BITS: f64 = 3.5;
/// Characters a random string has at least.
const RANDOM_LENGTH: usize = 20;
/// The same of a part of it, if the others look like words.
const RANDOM_PART: usize = 16;

/// In a longer match nothing else is looked for, so that the time stays linear.
const INSPECTED: usize = 128;

/// Characters without a space that the shortest key without a digit has (`AIza` and 16 more, a JWT's two parts).
const LONG_TOKEN: usize = 20;

/// One kind of personal data.
struct Rule {
    /// What stands in its place.
    placeholder: &'static str,
    pattern: Regex,
    /// What the pattern alone cannot say, given the text before the match as well.
    confirm: fn(&str, &str) -> bool,
}

/// In order: an earlier rule's matches are out of reach of the later ones.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let always: fn(&str, &str) -> bool = |_, _| true;
    // Blanks of all kinds but line breaks, and what stands between the groups of a number.
    let (blank, dash) = (r"[\p{Zs}\t]", r"[\p{Zs}\t\u{2010}-\u{2015}-]{1,2}");
    let gap = r"[\p{Zs}\t.\u{2010}-\u{2015}-]";
    vec![
        rule(
            "<key>",
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
            always,
        ),
        rule("<key>", r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?", always),
        rule("<key>", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", always),
        rule("<key>", r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|AIza)[A-Za-z0-9_-]{16,}", always),
        rule("<key>", r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}", |_, found| has_digit(found)),
        rule("<key>", r"\b[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b", always),
        rule("<email>", r"(?i)[\p{L}\p{N}._%+'-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,}", always),
        rule("<ip>", r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b", is_ip),
        rule("<ip>", r"(?i)(?:\b[0-9a-f]{1,4}|:)(?::[0-9a-f]{0,4}){1,7}\b", is_ip),
        // In one or in fours.
        rule(
            "<iban>",
            &format!(
                r"(?i)\b[A-Z]{{2}}[0-9]{{2}}(?:[A-Z0-9]{{11,30}}|(?:{dash}[A-Z0-9]{{4}}){{2,7}}(?:{dash}[A-Z0-9]{{1,3}})?)\b"
            ),
            is_iban,
        ),
        // In one, in fours, or in two or three longer groups, as American Express writes them.
        rule(
            "<card>",
            &format!(
                r"\b(?:[0-9]{{13,19}}|[0-9]{{4}}(?:{gap}{{1,2}}[0-9]{{4}}){{2,3}}(?:{gap}{{1,2}}[0-9]{{1,3}})?|[0-9]{{4,12}}(?:{gap}{{1,2}}[0-9]{{4,12}}){{1,2}})\b"
            ),
            is_card,
        ),
        rule("<ssn>", &format!(r"\b[0-9]{{3}}{dash}[0-9]{{2}}{dash}[0-9]{{4}}\b"), is_ssn),
        rule(
            "<phone>",
            &format!(r"(?:\+|\b00)[1-9][0-9]{{0,2}}(?:(?:{gap}|[/()]){{0,3}}[0-9]){{6,13}}"),
            is_abroad,
        ),
        rule(
            "<phone>",
            &format!(
                r"(?:\([0-9]{{3}}\){blank}{{0,2}}|\b[0-9]{{3}}{gap}{{1,2}})[0-9]{{3}}{gap}{{1,2}}[0-9]{{4}}\b"
            ),
            always,
        ),
        rule(
            "<phone>",
            &format!(
                r"(?:\(0[1-9][0-9]{{0,4}}\)|\b0[1-9][0-9]{{0,4}})(?:(?:{gap}|/){{1,2}}[0-9]{{2,8}}){{1,4}}\b"
            ),
            is_phone,
        ),
        rule("<number>", r"[0-9]{9,}", always),
        rule("<key>", r"[A-Za-z0-9+/_=-]{20,}", is_random),
    ]
});

/// What stands in the place of personal data.
pub fn placeholders() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.placeholder)
}

fn rule(placeholder: &'static str, pattern: &str, confirm: fn(&str, &str) -> bool) -> Rule {
    Rule {
        placeholder,
        pattern: Regex::new(pattern).expect("the patterns are constants and tested"),
        confirm,
    }
}

/// Whether any rule can match at all: each needs a digit, an at sign, a long token or the head of a key block. Most of
/// what is typed has none of them, and on every keystroke the patterns would cost more than the prediction.
fn is_suspicious(text: &str) -> bool {
    let mut token = 0;
    let long = |c: char| {
        token = if c.is_whitespace() { 0 } else { token + 1 };
        token >= LONG_TOKEN
    };
    text.bytes().any(|b| b.is_ascii_digit() || b == b'@') || text.contains("-----") || text.chars().any(long)
}

/// The text with personal data replaced; borrowed when there is none.
pub fn filter(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    if !is_suspicious(&text) {
        return text;
    }
    for rule in RULES.iter() {
        if let Some(replaced) = rule.replace(&text) {
            text = Cow::Owned(replaced);
        }
    }
    text
}

/// Whether the text holds personal data.
pub fn private(text: &str) -> bool {
    ends_private(text, 0)
}

/// Whether the text holds personal data that ends beyond byte `from`: what stands before it is not for us to judge.
pub fn ends_private(text: &str, from: usize) -> bool {
    is_suspicious(text)
        && RULES.iter().any(|rule| {
            let mut start = 0;
            while let Some(found) = rule.find(text, start) {
                if found.end > from {
                    return true;
                }
                start = found.end;
            }
            false
        })
}

impl Rule {
    /// The first confirmed match that starts at `from` or later. A match may hold a shorter true one (one for IBAN
    /// runs on into the next words, and one for cards begins at the year before), so what the pattern found is shortened from its
    /// end until it is confirmed, and looked for from its next group on.
    fn find(&self, text: &str, mut from: usize) -> Option<Range<usize>> {
        while let Some(found) = self.pattern.find_at(text, from) {
            let (start, whole) = (found.start(), found.as_str());
            if (self.confirm)(&text[..start], whole) {
                return Some(found.range());
            }
            if let Some(end) = self.shorter(&text[..start], whole) {
                return Some(start..start + end);
            }
            from = (start + next_group(whole)).max(from + 1);
            if from > text.len() {
                return None;
            }
            from = text.ceil_char_boundary(from);
        }
        None
    }

    /// The length of the longest confirmed start of an unconfirmed match that ends before a separator.
    fn shorter(&self, before: &str, found: &str) -> Option<usize> {
        let ends = found.char_indices().rev().filter(|(_, c)| !c.is_alphanumeric()).take(8);
        ends.map(|(end, _)| end).find(|&end| {
            let start = &found[..end];
            self.pattern.find(start).is_some_and(|whole| whole.range() == (0..end))
                && (self.confirm)(before, start)
        })
    }

    fn replace(&self, text: &str) -> Option<String> {
        let (mut clean, mut from) = (String::new(), 0);
        while let Some(found) = self.find(text, from) {
            clean.push_str(&text[from..found.start]);
            clean.push_str(self.placeholder);
            from = found.end;
        }
        (from > 0).then(|| clean + &text[from..])
    }
}

/// Where the second group of letters and digits of a match begins; its end if there is none, or it is long.
fn next_group(found: &str) -> usize {
    let mut chars = found.char_indices().skip_while(|(_, c)| !c.is_alphanumeric());
    let mut later = chars.by_ref().skip_while(|(_, c)| c.is_alphanumeric());
    let next = later.find(|(_, c)| c.is_alphanumeric()).map(|(at, _)| at);
    next.filter(|_| found.len() <= INSPECTED).unwrap_or(found.len())
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

fn digits(text: &str) -> impl DoubleEndedIterator<Item = u32> + '_ {
    text.chars().filter_map(|c| c.to_digit(10))
}

/// Luhn's check (ISO/IEC 7812-1, annex B) over 13 to 19 digits.
fn is_card(_: &str, text: &str) -> bool {
    let sum: u32 = digits(text)
        .rev()
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 => digit,
            _ if digit > 4 => digit * 2 - 9,
            _ => digit * 2,
        })
        .sum();
    let is_long_enough = (13..=19).contains(&digits(text).count());
    is_long_enough && sum.is_multiple_of(10) && digits(text).any(|digit| digit > 0)
}

/// ISO 13616: the first four characters moved to the end, letters as numbers from 10, remainder 1 modulo 97.
fn is_iban(_: &str, text: &str) -> bool {
    let compact: Vec<u8> = text.bytes().filter(u8::is_ascii_alphanumeric).collect();
    if !(15..=34).contains(&compact.len()) {
        return false;
    }
    let rotated = compact[4..].iter().chain(&compact[..4]);
    let remainder = rotated.fold(0, |remainder, byte| match byte {
        b'0'..=b'9' => (remainder * 10 + u32::from(byte - b'0')) % 97,
        _ => (remainder * 100 + u32::from(byte.to_ascii_uppercase() - b'A') + 10) % 97,
    });
    remainder == 1
}

/// Numbers the Social Security Administration never gives out are something else.
fn is_ssn(_: &str, text: &str) -> bool {
    let number = digits(text).fold(0, |number, digit| 10 * number + digit);
    let (area, group, serial) = (number / 1_000_000, number / 10_000 % 100, number % 10_000);
    area != 0 && area != 666 && area < 900 && group != 0 && serial != 0
}

/// With the code of its country a number has eight digits or more; "+1 500 000" is a sum.
fn is_abroad(_: &str, text: &str) -> bool {
    digits(text).skip_while(|digit| *digit == 0).count() >= 8
}

/// With the leading zero a local number has nine digits or more. So has a date with what comes after it, or the end of one.
fn is_phone(before: &str, text: &str) -> bool {
    (9..=15).contains(&digits(text).count()) && !goes_on(before) && !begins_with_date(text)
}

/// Whether digits and a mark stand before a number: it is the rest of another.
fn goes_on(before: &str) -> bool {
    before.strip_suffix(['.', '/', '-', ':']).is_some_and(|before| before.ends_with(is_digit))
}

/// Whether a text begins with a day, a month and a year in digits.
fn begins_with_date(text: &str) -> bool {
    let mark = |c: char| ['.', '/', '-'].contains(&c);
    let mut parts = text.splitn(3, mark);
    let (Some(one), Some(two), Some(rest)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let year = &rest[..rest.find(|c| !is_digit(c)).unwrap_or(rest.len())];
    let of_day =
        |part: &str| (1..=2).contains(&part.len()) && part.parse().is_ok_and(|n: u8| (1..=31).contains(&n));
    let ends = |rest: &str| !rest.strip_prefix(mark).is_some_and(|rest| rest.starts_with(is_digit));
    // Phones in pairs of digits go on after three pairs.
    let of_year = match year.len() {
        2 => ends(&rest[2..]),
        4 => year.starts_with("19") || year.starts_with("20"),
        _ => false,
    };
    of_day(one) && of_day(two) && of_year
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// Parsed, so that versions ("1.2.3") and times ("10:30:00") stay; without a digit it is a path in code ("a::b").
fn is_ip(before: &str, text: &str) -> bool {
    has_digit(text) && !goes_on(before) && !names_version(before) && text.parse::<IpAddr>().is_ok()
}

/// Whether what stands before four numbers says that they are a version.
fn names_version(before: &str) -> bool {
    let word = before.trim_end().trim_end_matches('.').rsplit(|c: char| !c.is_alphanumeric()).next();
    let said = word.unwrap_or_default().to_lowercase();
    before.ends_with([' ', '.']) && ["version", "versions", "release", "build", "ver", "v"].contains(&&*said)
}

/// Letters and digits with the entropy of a random draw, in one long part that mixes them or several shorter ones: not a word, a
/// path, a title with a date or a name in code.
fn is_random(_: &str, text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = bytes.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    if bytes.len() < RANDOM_LENGTH || digits < 3 || letters < 3 || entropy(bytes) < RANDOM_BITS {
        return false;
    }
    let parts = || text.split(['/', '-', '_', '+', '=']).filter(|part| part.len() >= 4 && is_mixed(part));
    parts().any(|part| part.len() >= RANDOM_PART) || parts().nth(1).is_some()
}

/// Whether a digit stands before a letter: words have theirs behind.
fn is_mixed(part: &str) -> bool {
    let first = part.find(is_digit);
    first.is_some_and(|at| part[at..].contains(|c: char| c.is_ascii_alphabetic()))
}

/// Bits per byte.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let total = bytes.len() as f64;
    let shares = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / total);
    shares.map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests;
