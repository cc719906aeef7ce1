//! Fill-in-the-middle prompts: plugins write a document with a cursor as one text, with marks that a model was trained on.

/// A family of marks: what begins the text before the cursor, what the text after it, and what ends both.
type Marks = [&'static str; 3];

/// Those whose text after the cursor follows that before it, or stands first with nothing before (SPM): then the text before the
/// cursor is what comes behind the last mark.
const MARKS: [Marks; 5] = [
    // Qwen, CodeGemma.
    ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"],
    // StarCoder, Granite, Stable Code.
    ["<fim_prefix>", "<fim_suffix>", "<fim_middle>"],
    // DeepSeek.
    ["<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"],
    // GLM, Code Llama's successors.
    ["<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"],
    // Code Llama: the marks stand between spaces of their own.
    ["<PRE> ", " <SUF>", " <MID>"],
];

/// Codestral writes the text after the cursor first and does not mark the end.
const SUFFIX_FIRST: [&str; 2] = ["[SUFFIX]", "[PREFIX]"];

/// The texts before and after the cursor; `None`: there are no marks, and the whole text is before it.
pub(super) fn split(prompt: &str) -> Option<(String, String)> {
    MARKS.iter().find_map(|marks| prefix_first(prompt, marks)).or_else(|| suffix_first(prompt))
}

fn prefix_first(prompt: &str, [prefix, suffix, middle]: &Marks) -> Option<(String, String)> {
    // What stands before the first mark is about the repository.
    let (_, marked) = prompt.split_once(prefix)?;
    let (before, marked) = marked.split_once(suffix)?;
    let (after, begun) = marked.split_once(middle)?;
    Some((format!("{before}{begun}"), after.to_owned()))
}

fn suffix_first(prompt: &str) -> Option<(String, String)> {
    let [suffix, prefix] = SUFFIX_FIRST;
    let (after, before) = prompt.split_once(suffix)?.1.split_once(prefix)?;
    Some((before.to_owned(), after.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[track_caller]
    fn check(prompt: &str, cursor: Option<&str>) {
        let found = split(prompt).map(|(before, after)| format!("{before}|{after}"));
        assert_eq!(found.as_deref(), cursor, "{prompt}");
    }

    #[test]
    fn each_family_is_read() {
        let at = Some("I can he| you.");
        check("<|fim_prefix|>I can he<|fim_suffix|> you.<|fim_middle|>", at);
        check(
            "<|repo_name|>notes\n<|file_sep|>a.md\n<|fim_prefix|>I can he<|fim_suffix|> you.<|fim_middle|>",
            at,
        );
        check("<fim_prefix>I can he<fim_suffix> you.<fim_middle>", at);
        check("<fim_prefix><fim_suffix> you.<fim_middle>I can he", at);
        check("<｜fim▁begin｜>I can he<｜fim▁hole｜> you.<｜fim▁end｜>", at);
        check("<PRE> I can he <SUF> you. <MID>", at);
        check("[SUFFIX] you.[PREFIX]I can he", at);
        check("<fim_prefix>I can he<fim_suffix><fim_middle>", Some("I can he|"));
    }

    #[test]
    fn what_only_mentions_a_mark_is_text() {
        for prompt in [
            "",
            "I can he",
            "the token <fim_prefix> comes first",
            "<fim_suffix>a<fim_prefix>b<fim_middle>",
            "[PREFIX]a",
        ] {
            check(prompt, None);
        }
    }
}
