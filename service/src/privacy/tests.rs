//! What is taken out of text, and what stays.

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
    for before in ["12/27 ", "2027 ", "CVV 123, 2 x ", "3 "] {
        check(&format!("{before}4111 1111 1111 1111."), &format!("{before}<card>."));
    }
    check("4111\u{a0}1111\u{a0}1111\u{a0}1111", "<card>");
    check("4111  1111\t1111\u{2013}1111", "<card>");
    check("3782 822463 10005", "<card>");
    check("41111111 11111111", "<card>");
    check("4111 11111111 1111", "<card>");
    check("4111 1111 1117 and 100 200 300 400 500", "4111 1111 1117 and 100 200 300 400 500");
    check("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16");
}

#[test]
fn ibans() {
    check("to GB82 WEST 1234 5698 7654 32 please", "to <iban> please");
    check("DE89370400440532013000", "<iban>");
    check("de89 3704 0044 0532 0130 00", "<iban>");
    check("GB82 WEST 1234 5698 7654 33", "GB82 WEST 1234 5698 7654 33");
    check("FY24 IBAN DE89 3704 0044 0532 0130 00", "FY24 IBAN <iban>");
    check("in KW12 to DE89\u{a0}3704\u{a0}0044\u{a0}0532\u{a0}0130\u{a0}00 now", "in KW12 to <iban> now");
}

#[test]
fn social_security() {
    check("SSN 078-05-1120.", "SSN <ssn>.");
    check("900-12-3456 is none", "900-12-3456 is none");
    check("078\u{2010}05\u{2010}1120", "<ssn>");
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
    for phone in [
        "07700 900123",
        "0171 5551234",
        "0171/5551234",
        "030 12345678",
        "(030) 1234567",
        "(020) 7946 0958",
        "02.12.34.56.78",
        "06 12 34 56 78",
        "0044 20 7946 0958",
        "+1\u{a0}415\u{a0}555\u{a0}0132",
    ] {
        check(&format!("ring {phone} now"), "ring <phone> now");
    }
    for text in [
        "05/06/2024 10:30",
        "01.02.2026 08.30",
        "01.01.2026-31.12.2026",
        "2026-01-05/2026-01-12",
        "2026-07-14 12500",
        "1.000.000.000 and 1 000 000 000",
        "+1 500 000",
    ] {
        check(text, text);
    }
}

#[test]
fn addresses() {
    check("ping 192.168.0.254 twice", "ping <ip> twice");
    check(
        "Version 10.0.19.1 and ver. 1.2.3.4 on host v 1.2.3.4",
        "Version 10.0.19.1 and ver. 1.2.3.4 on host v 1.2.3.4",
    );
    check("conversion 10.0.19.1, the build: 10.0.19.1", "conversion <ip>, the build: <ip>");
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
    check("at 3f2504e0-4f89-11d3-9a0c-0305e82c3301.", "at <key>.");
    check("VK7JG-NPHTM-C97JM-9MPGT-3V66T", "<key>");
    check("dGhpcyBpcyBh/8Zk2Qm9xY3Rl+2Fzd==", "<key>");
    for text in [
        "/home/ann/projects/report-2026/figures",
        "meeting-notes-2026-07-14",
        "https://example.com/blog/2026/07/our-new-office",
        "covid19-test2024-results-final",
        "2026-11-23T07-24-52_backup_of_notes",
    ] {
        check(text, text);
    }
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
