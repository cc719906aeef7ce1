//! Suggestions as the protocol's clients show them.

use lsp_types::{
    Command, CompletionItem, CompletionItemKind, CompletionList, CompletionTextEdit, InlineCompletionItem,
    InlineCompletionList, Position, Range, TextEdit,
};
use serde_json::{Value, json};

use super::document::Encoding;
use super::service::Suggested;

/// The command that clients run when a suggestion was taken.
pub(super) const ACCEPTED: &str = "foretype.accepted";

/// Text behind the cursor, in grey.
pub(super) fn inline(suggested: &Suggested, at: Position) -> Value {
    let items = suggested.texts.iter().enumerate().map(|(index, text)| InlineCompletionItem {
        insert_text: text.clone(),
        filter_text: None,
        range: Some(Range { start: at, end: at }),
        command: Some(accepted(suggested, index)),
        insert_text_format: None,
    });
    json!(InlineCompletionList { items: items.collect() })
}

/// A list to choose from, for clients that know no other way. What is begun counts to each choice, as they filter by it.
pub(super) fn list(begun: &str, suggested: &Suggested, at: Position, encoding: Encoding) -> Value {
    let range = Range {
        start: Position { character: at.character.saturating_sub(encoding.len(begun)), ..at },
        end: at,
    };
    let items = suggested.texts.iter().enumerate().map(|(index, text)| {
        let whole = format!("{begun}{text}");
        CompletionItem {
            label: whole.trim().to_owned(),
            kind: Some(CompletionItemKind::TEXT),
            sort_text: Some(index.to_string()),
            filter_text: Some(whole.clone()),
            text_edit: Some(CompletionTextEdit::Edit(TextEdit { range, new_text: whole })),
            preselect: Some(index == 0),
            command: Some(accepted(suggested, index)),
            ..CompletionItem::default()
        }
    });
    // Every key changes what is likely.
    json!(CompletionList { is_incomplete: true, items: items.collect() })
}

fn accepted(suggested: &Suggested, index: usize) -> Command {
    let chars = suggested.texts[index].chars().count();
    let arguments = vec![json!(suggested.id), json!(index), json!(chars)];
    Command { title: "Accepted".into(), command: ACCEPTED.into(), arguments: Some(arguments) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_begun_is_replaced_as_the_document_has_it() {
        let suggested = Suggested { id: "a".into(), texts: vec!["\u{e9} ".into()] };
        // The accent stands for itself, as it came from a file name.
        let begun = "re\u{301}sum";
        for (encoding, length) in [(Encoding::Utf8, 7), (Encoding::Utf16, 6)] {
            let list = list(begun, &suggested, Position { line: 0, character: 10 + length }, encoding);
            let edit = &list["items"][0]["textEdit"];
            assert_eq!(edit["range"]["start"]["character"], 10, "{edit}");
            assert_eq!(edit["newText"], "re\u{301}sum\u{e9} ");
        }
    }
}
