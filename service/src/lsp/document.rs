//! A document as the editor has it: its text, changed bit by bit, with positions as the protocol counts them.

use lsp_types::{Position, PositionEncodingKind, Range, TextDocumentContentChangeEvent};

/// In what the `character` of a position counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Bytes.
    Utf8,
    /// What every client understands: two for what is beyond the basic plane.
    Utf16,
}

impl Encoding {
    /// The better one of those a client offers.
    pub(super) fn of(offered: Option<&[PositionEncodingKind]>) -> Self {
        let bytes = offered.is_some_and(|offered| offered.contains(&PositionEncodingKind::UTF8));
        if bytes { Self::Utf8 } else { Self::Utf16 }
    }

    /// Its name.
    pub(super) fn kind(self) -> PositionEncodingKind {
        match self {
            Self::Utf8 => PositionEncodingKind::UTF8,
            Self::Utf16 => PositionEncodingKind::UTF16,
        }
    }

    /// What a text adds to `character`.
    pub(super) fn len(self, text: &str) -> u32 {
        let count = match self {
            Self::Utf8 => text.len(),
            Self::Utf16 => text.chars().map(char::len_utf16).sum(),
        };
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

/// What a change put where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inserted {
    /// Byte offset behind it.
    pub(super) end: usize,
    /// It.
    pub(super) text: String,
}

/// An open document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Document {
    text: String,
}

impl Document {
    pub(super) fn new(text: String) -> Self {
        Self { text }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The text before a position, and the text behind it.
    pub(super) fn split(&self, at: Position, encoding: Encoding) -> (&str, &str) {
        self.text.split_at(self.offset(at, encoding))
    }

    /// Changes a part, or everything.
    pub(super) fn change(&mut self, change: TextDocumentContentChangeEvent, encoding: Encoding) -> Inserted {
        let TextDocumentContentChangeEvent { range, text, .. } = change;
        let (start, end) = match range {
            Some(Range { start, end }) => {
                let (start, end) = (self.offset(start, encoding), self.offset(end, encoding));
                (start, end.max(start))
            }
            None => (0, self.text.len()),
        };
        self.text.replace_range(start..end, &text);
        Inserted { end: start + text.len(), text }
    }

    /// The byte a position is before. One beyond the end of its line, or of the text, is that end; one inside a character is before
    /// it.
    fn offset(&self, at: Position, encoding: Encoding) -> usize {
        let Some(start) = line_start(&self.text, at.line) else { return self.text.len() };
        let line = &self.text[start..];
        let line = &line[..line.find(['\n', '\r']).unwrap_or(line.len())];
        let mut left = at.character;
        let inside = line.char_indices().find(|(_, c)| {
            let size = encoding.len(c.encode_utf8(&mut [0; 4]));
            let beyond = left < size;
            left = left.saturating_sub(size);
            beyond
        });
        start + inside.map_or(line.len(), |(offset, _)| offset)
    }
}

/// Where a line starts; `None`: there are fewer. Lines end with `\n`, `\r\n` or `\r`.
fn line_start(text: &str, line: u32) -> Option<usize> {
    let bytes = text.as_bytes();
    let ends = (0..bytes.len()).filter(|&at| match bytes[at] {
        b'\n' => true,
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    });
    let starts = std::iter::once(0).chain(ends.map(|at| at + 1));
    starts.into_iter().nth(line as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Encoding::{Utf8, Utf16};

    fn at(line: u32, character: u32) -> Position {
        Position { line, character }
    }

    #[test]
    fn positions_count_what_was_agreed_on() {
        let document = Document::new("a𝒳é b\r\nsecond\rthird\n".into());
        let before = |position, encoding| document.split(position, encoding).0;
        assert_eq!(before(at(0, 1), Utf16), "a");
        assert_eq!(before(at(0, 2), Utf16), "a", "inside the pair");
        assert_eq!(before(at(0, 3), Utf16), "a𝒳");
        assert_eq!(before(at(0, 4), Utf16), "a𝒳é");
        assert_eq!(before(at(0, 5), Utf8), "a𝒳");
        assert_eq!(before(at(0, 6), Utf8), "a𝒳", "inside the character");
        assert_eq!(before(at(0, 7), Utf8), "a𝒳é");
        assert_eq!(before(at(0, 99), Utf16), "a𝒳é b", "the line's end");
        assert_eq!(before(at(1, 3), Utf16), "a𝒳é b\r\nsec");
        assert_eq!(before(at(2, 0), Utf16), "a𝒳é b\r\nsecond\r");
        assert_eq!(before(at(3, 0), Utf16), document.text());
        assert_eq!(before(at(9, 9), Utf16), document.text());
        assert_eq!(Document::new(String::new()).split(at(0, 0), Utf16), ("", ""));
    }

    #[test]
    fn changes_follow_one_another() {
        let mut document = Document::new("I can\nhelp".into());
        let mut change = |range: Option<(Position, Position)>, text: &str| {
            let range = range.map(|(start, end)| Range { start, end });
            let text = text.to_owned();
            let change = TextDocumentContentChangeEvent { range, range_length: None, text };
            let inserted = document.change(change, Utf16);
            (document.text().to_owned(), inserted.end)
        };
        assert_eq!(change(Some((at(0, 5), at(1, 0))), " 𝒳"), ("I can 𝒳help".into(), 10));
        assert_eq!(change(Some((at(0, 8), at(0, 8))), " "), ("I can 𝒳 help".into(), 11));
        assert_eq!(change(Some((at(0, 6), at(0, 9))), ""), ("I can help".into(), 6));
        assert_eq!(change(Some((at(0, 5), at(0, 2))), "-"), ("I can- help".into(), 6), "backwards");
        assert_eq!(change(None, "new"), ("new".into(), 3));
    }

    proptest::proptest! {
        /// The naive twin: a text as lines of UTF-16.
        #[test]
        fn offsets_agree_with_lines_of_utf16(text in "[a𝒳é\n]{0,30}", line in 0_u32..6, character in 0_u32..12) {
            let lines: Vec<Vec<u16>> = text.split('\n').map(|line| line.encode_utf16().collect()).collect();
            let mut before: Vec<u16> = Vec::new();
            for (number, units) in lines.iter().enumerate() {
                if number == line as usize {
                    before.extend(&units[..units.len().min(character as usize)]);
                    break;
                }
                before.extend(units);
                if number + 1 < lines.len() {
                    before.push(u16::from(b'\n'));
                }
            }
            // Half a pair is dropped.
            let before: String = char::decode_utf16(before).filter_map(Result::ok).collect();
            let document = Document::new(text);
            proptest::prop_assert_eq!(document.split(at(line, character), Utf16).0, before);
        }
    }
}
