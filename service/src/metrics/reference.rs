//! The reference: every metric with its labels, for people and for programs.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::{Value, json};

use super::family::{Family, Label, Values};
use super::{Answers, Learning, Neural, Process, Traffic};
use crate::cli;

/// Metrics that belong together.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// What they are about.
    pub title: &'static str,
    /// The metrics.
    pub families: &'static [Family],
}

/// All there is.
pub const GROUPS: [Group; 5] = [
    Group { title: "Answers", families: Answers::FAMILIES },
    Group { title: "Neural tier", families: Neural::FAMILIES },
    Group { title: "Learning and the store", families: Learning::FAMILIES },
    Group { title: "Traffic", families: Traffic::FAMILIES },
    Group { title: "Process", families: Process::FAMILIES },
];

const INTRODUCTION: &str = "# Metrics

`/metrics` of the operators' listener (http://127.0.0.1:8081) has these in the text format of Prometheus. No label ever says who
wrote or what. Series whose labels have listed values are there from the start, at 0. This page is written by `foretype metrics`;
`foretype metrics --json` is the same for programs.
";

/// `foretype metrics`.
pub fn run(options: &cli::Metrics) -> anyhow::Result<()> {
    let text = if options.json { format!("{:#}\n", json()) } else { markdown() };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// The reference for people.
pub fn markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    for group in &GROUPS {
        let _ = write!(
            page,
            "\n## {}\n\n| metric | labels | what it is | what it tells |\n|---|---|---|---|\n",
            group.title
        );
        for family in group.families {
            let labels: Vec<_> = family.labels.iter().map(label_cell).collect();
            let (kind, unit) = (family.kind.name(), family.unit.name());
            let labels = labels.join("; ");
            let Family { name, help, reading, .. } = family;
            let _ = writeln!(page, "| `{name}`<br>{kind}, {unit} | {labels} | {help} | {reading} |");
        }
    }
    page
}

fn label_cell(label: &Label) -> String {
    match label.values {
        Values::These(values) => {
            let values: Vec<_> = values().into_iter().map(|value| format!("`{value}`")).collect();
            format!("{}: {}", label.name, values.join(", "))
        }
        Values::Described(values) => format!("{}: {values}", label.name),
    }
}

/// The reference for programs.
pub fn json() -> Value {
    let family = |group: &Group, family: &Family| {
        let labels: Vec<_> = family.labels.iter().map(label_json).collect();
        json!({
            "name": family.name, "group": group.title, "type": family.kind.name(), "unit": family.unit.name(),
            "labels": labels, "buckets": family.buckets, "help": family.help, "reading": family.reading,
        })
    };
    GROUPS.iter().flat_map(|group| group.families.iter().map(move |one| family(group, one))).collect()
}

fn label_json(label: &Label) -> Value {
    match label.values {
        Values::These(values) => json!({ "name": label.name, "values": values() }),
        Values::Described(what) => json!({ "name": label.name, "values": null, "described": what }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{Kind, Metrics, Now, Unit};
    use super::*;

    fn families() -> impl Iterator<Item = &'static Family> {
        GROUPS.into_iter().flat_map(|group| group.families)
    }

    #[test]
    fn the_page_in_deploy_is_that_of_this_release() {
        expect_test::expect_file!["../../../deploy/METRICS.md"].assert_eq(&markdown());
    }

    #[test]
    fn names_say_what_is_counted() {
        for family in families() {
            let Family { name, kind, unit, .. } = family;
            let bare = name.strip_suffix("_total").unwrap_or(name);
            assert_eq!(bare != *name, *kind == Kind::Counter, "{name}: counters and only they end in _total");
            let end = match unit {
                Unit::Seconds => "_seconds",
                Unit::Bytes => "_bytes",
                Unit::Ratio => "_ratio",
                Unit::Info => "_info",
                Unit::Of(_) => "",
            };
            assert!(bare.ends_with(end), "{name} is in {}", unit.name());
            assert!(name.starts_with("foretype_") || name.starts_with("process_"), "{name}");
            assert_eq!(family.buckets.is_empty(), *kind != Kind::Histogram, "{name}");
        }
    }

    #[test]
    fn every_metric_says_what_it_is_and_what_it_tells() {
        for family in families() {
            assert!(family.help.ends_with('.') && family.reading.ends_with(['.', ')']), "{}", family.name);
            assert!(!markdown_breaks(family.help) && !markdown_breaks(family.reading), "{}", family.name);
        }
    }

    /// Whether a text would end its cell.
    fn markdown_breaks(text: &str) -> bool {
        text.contains(['|', '\n'])
    }

    #[test]
    fn what_is_known_beforehand_is_there_from_the_start() {
        let metrics = Metrics::default();
        metrics.serves("b", std::time::Duration::from_millis(20));
        metrics.expect_request("other", "404");
        let text = metrics.render(&Now::default());
        let there: BTreeSet<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let listed: Vec<_> =
            families().map(|family| format!("{} {}", family.name, family.kind.name())).collect();
        assert_eq!(there, listed.iter().map(String::as_str).collect(), "those of the list and no others");
        for label in families().flat_map(|family| family.labels) {
            let Values::These(values) = label.values else { continue };
            for value in values() {
                assert!(text.contains(&format!("{}=\"{value}\"", label.name)), "{} {value}", label.name);
            }
        }
    }
}
