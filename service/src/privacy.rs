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

/// Entropy in bits per character from which a long token of letters and digits is taken for a key. English words joined
/// by case stay below 3.9 at these lengths; random base64 is near log2 of its length.
const RANDOM_BITS: f64 = 3.5;
/// Characters a random string has at least.
const RANDOM_LENGTH: usize = 20;

/// Characters without a space that the shortest key without a digit has (`AIza` and 16 more, a JWT's two parts).
const LONG_TOKEN: usize = 20;

/// One kind of personal data.
struct Rule {
    /// What stands in its place.
    placeholder: &'static str,
    pattern: Regex,
    /// What the pattern alone cannot say.
    confirm: fn(&str) -> bool,
}

/// In order: an earlier rule's matches are out of reach of the later ones.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let always: fn(&str) -> bool = |_| true;
    vec![
        rule(
            "<key>",
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
            always,
        ),
        rule("<key>", r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?", always),
        rule("<key>", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", always),
        rule("<key>", r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|AIza)[A-Za-z0-9_-]{16,}", always),
        rule("<key>", r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}", has_digit),
        rule("<email>", r"(?i)[\p{L}\p{N}._%+'-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,}", always),
        rule("<ip>", r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b", is_ip),
        rule("<ip>", r"(?i)(?:\b[0-9a-f]{1,4}|:)(?::[0-9a-f]{0,4}){1,7}\b", is_ip),
        rule("<iban>", r"(?i)\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}", is_iban),
        rule("<card>", r"\b[0-9](?:[ .-]?[0-9]){12,18}\b", is_card),
        rule("<ssn>", r"\b[0-9]{3}[- ][0-9]{2}[- ][0-9]{4}\b", is_ssn),
        rule("<phone>", r"(?:\+|\b00)[0-9]{1,3}(?:[ ./()-]{0,2}[0-9]){6,13}", always),
        rule("<phone>", r"(?:\([0-9]{3}\) ?|\b[0-9]{3}[-. ])[0-9]{3}[-. ][0-9]{4}\b", always),
        rule("<phone>", r"\b0[0-9]{1,4}(?:[ ./-][0-9]{2,5}){1,4}\b", is_phone),
        rule("<number>", r"[0-9]{9,}", always),
        rule("<key>", r"[A-Za-z0-9+/_=-]{20,}", is_random),
    ]
});

/// What stands in the place of personal data.
pub fn placeholders() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.placeholder)
}

fn rule(placeholder: &'static str, pattern: &str, confirm: fn(&str) -> bool) -> Rule {
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
    /// The first confirmed match that starts at `from` or later. A match may hold a shorter true one (a pattern for IBAN
    /// runs on into the next words), so what the pattern found is shortened from its end until it is confirmed.
    fn find(&self, text: &str, mut from: usize) -> Option<Range<usize>> {
        while let Some(found) = self.pattern.find_at(text, from) {
            if (self.confirm)(found.as_str()) {
                return Some(found.range());
            }
            if let Some(end) = self.shorter(found.as_str()) {
                return Some(found.start()..found.start() + end);
            }
            from = found.end().max(from + 1);
            if from > text.len() {
                return None;
            }
            from = text.ceil_char_boundary(from);
        }
        None
    }

    /// The length of the longest confirmed start of an unconfirmed match that ends before a separator.
    fn shorter(&self, found: &str) -> Option<usize> {
        let ends = found.char_indices().rev().filter(|(_, c)| *c == ' ').take(8);
        ends.map(|(end, _)| end).find(|&end| {
            let start = &found[..end];
            self.pattern.find(start).is_some_and(|whole| whole.range() == (0..end)) && (self.confirm)(start)
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

fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

fn digits(text: &str) -> impl DoubleEndedIterator<Item = u32> + '_ {
    text.chars().filter_map(|c| c.to_digit(10))
}

/// Luhn's check (ISO/IEC 7812-1, annex B) over 13 to 19 digits.
fn is_card(text: &str) -> bool {
    let sum: u32 = digits(text)
        .rev()
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 => digit,
            _ if digit > 4 => digit * 2 - 9,
            _ => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10) && digits(text).any(|digit| digit > 0)
}

/// ISO 13616: the first four characters moved to the end, letters as numbers from 10, remainder 1 modulo 97.
fn is_iban(text: &str) -> bool {
    let compact: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
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
fn is_ssn(text: &str) -> bool {
    let area = &text[..3];
    area != "000" && area != "666" && !area.starts_with('9') && &text[4..6] != "00" && &text[7..] != "0000"
}

/// With the leading zero a local number has nine digits or more; dates and times of day have eight.
fn is_phone(text: &str) -> bool {
    (9..=15).contains(&digits(text).count())
}

/// Parsed, so that versions ("1.2.3") and times ("10:30:00") stay; without a digit it is a path in code ("a::b").
fn is_ip(text: &str) -> bool {
    has_digit(text) && text.parse::<IpAddr>().is_ok()
}

/// Letters of both cases and digits, with the entropy of a random draw: not a word, a path or a name in code.
fn is_random(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = bytes.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    if bytes.len() < RANDOM_LENGTH || digits < 3 || letters < 3 {
        return false;
    }
    let mut counts = [0_u32; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let total = bytes.len() as f64;
    let shares = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / total);
    shares.map(|share| -share * share.log2()).sum::<f64>() >= RANDOM_BITS
}

#[cfg(test)]
mod tests {
    use super::{filter, private};

    fn check(text: &str, expected: &str) {
        assert_eq!(filter(text), expected);
        assert_eq!(private(text), text != expected, "{text}");
    }

    #[test]
    fn digits_of_other_scripts_are_text() {
        for text in [
            "\u{660}\u{667}\u{668}-\u{660}\u{665}-\u{661}\u{661}\u{662}\u{660}",
            "\u{966}\u{967}\u{968}-\u{966}\u{967}-\u{966}\u{967}\u{968}\u{969}",
        ] {
            assert_eq!(filter(text), text);
            assert!(!private(text));
        }
    }

    #[test]
    fn what_ends_before_a_place_does_not_count_there() {
        let draft = "Call 415-555-0132 ";
        let whole = format!("{draft}tomorrow");
        assert!(private(&whole) && !super::ends_private(&whole, draft.len()));
        assert!(super::ends_private("Call 415-555-0132", "Call 415-55".len()));
    }

    #[test]
    fn cards() {
        check("my card is 4111 1111 1111 1111, thanks", "my card is <card>, thanks");
        check("5500-0000-0000-0004", "<card>");
        check("4111111111111111.", "<card>.");
        check("amex 378282246310005 ok", "amex <card> ok");
        // Fails Luhn: still a long run of digits.
        check("4111111111111112", "<number>");
        check("order 4111 1111 1111 1112", "order 4111 1111 1111 1112");
    }

    #[test]
    fn ibans() {
        check("to GB82 WEST 1234 5698 7654 32 please", "to <iban> please");
        check("DE89370400440532013000", "<iban>");
        check("de89 3704 0044 0532 0130 00", "<iban>");
        check("GB82 WEST 1234 5698 7654 33", "GB82 WEST 1234 5698 7654 33");
    }

    #[test]
    fn social_security() {
        check("SSN 078-05-1120.", "SSN <ssn>.");
        check("900-12-3456 is none", "900-12-3456 is none");
    }

    #[test]
    fn mail() {
        check("write to Anna.O'Neil+x@mail.example.co.uk!", "write to <email>!");
        check("björn@exämple.se", "<email>");
        check("@anna look at this", "@anna look at this");
        check("5 @ 3 dollars", "5 @ 3 dollars");
    }

    #[test]
    fn phones() {
        check("call +1 (415) 555-0132 now", "call <phone> now");
        check("(415) 555-0132", "<phone>");
        check("415-555-0132 or 415.555.0133", "<phone> or <phone>");
        check("+41 44 668 18 00", "<phone>");
        check("ring 020 7946 0958", "ring <phone>");
        check("from 1990-2000, 10-12 people", "from 1990-2000, 10-12 people");
        check("on 01.02.2026, 08.30-09.15", "on 01.02.2026, 08.30-09.15");
    }

    #[test]
    fn addresses() {
        check("ping 192.168.0.254 twice", "ping <ip> twice");
        check("host 2001:db8::8a2e:370:7334 is down", "host <ip> is down");
        check("version 1.2.3 at 10:30:00", "version 1.2.3 at 10:30:00");
        check("std::sync::Arc and a::b", "std::sync::Arc and a::b");
        check("listen on [::1]:8080", "listen on [<ip>]:8080");
        check("999.999.999.999 is none", "999.999.999.999 is none");
    }

    #[test]
    fn keys() {
        check("export K=sk-proj-4fR8sT2bQ9xZ7mLw1vNc", "export K=<key>");
        check("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "<key>");
        check("id AKIAIOSFODNN7EXAMPLE;", "id <key>;");
        check("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN", "Bearer <key>");
        check("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----\nbye", "<key>\nbye");
        check("-----BEGIN PRIVATE KEY-----\nMIIEow", "<key>");
        check("token f3a9Kq72LmZx0PvB81dRtYw4", "token <key>");
        check("sk-learn-is-a-library-for-machines", "sk-learn-is-a-library-for-machines");
    }

    #[test]
    fn innocent_text_is_untouched_and_borrowed() {
        for text in [
            "Thanks for calling, I can help you with that.",
            "The Committee lowered the rate by 25 basis points to 5.25 percent in 1998-2001.",
            "It costs $1,234,567.89 and 12345678 shares were sold.",
            "org.apache.hadoop.hbase.regionserver.HRegionServer",
            "internationalization-of-telecommunications",
            "see HBASE-12345 and /usr/local/share/applications/foretype.desktop",
            "2026-11-23T07:24:52 🎉 مرحبا 你好",
            "",
        ] {
            check(text, text);
            assert!(matches!(filter(text), std::borrow::Cow::Borrowed(_)));
        }
    }

    #[test]
    fn filtering_twice_changes_nothing() {
        let text = "a@b.io, 4111111111111111, +41446681800, GB82WEST12345698765432 and 078-05-1120";
        let once = filter(text).into_owned();
        assert_eq!(once, "<email>, <card>, <phone>, <iban> and <ssn>");
        assert_eq!(filter(&once), once);
    }

    #[test]
    fn long_text_takes_linear_time() {
        let digits = "4 ".repeat(30_000);
        let colons = "a:".repeat(30_000);
        assert_eq!(filter(&colons), colons);
        // Fours in a row satisfy Luhn at some lengths; what counts is that this returns at once.
        assert!(filter(&digits).len() <= digits.len());
    }
}
