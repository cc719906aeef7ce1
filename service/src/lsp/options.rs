//! What an editor may say about its writer when it connects.

use serde::Deserialize;
use serde_json::Value;

use crate::error::ApiError;
use crate::wire::Role;
use crate::writer::WriterId;

/// `initializationOptions`; all are optional.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Options {
    /// Who is typing.
    pub(super) writer: Option<WriterId>,
    /// Who is writing.
    pub(super) role: Option<Role>,
    /// Whether what is written is learned when it is saved.
    pub(super) learn_on_save: bool,
    /// How many suggestions at most, 1 to 10.
    pub(super) max_suggestions: Option<u32>,
    /// Suggestions below it are not shown, 0 to 1.
    pub(super) min_confidence: Option<f32>,
    /// Milliseconds an answer may take, 1 to 1000.
    pub(super) budget_ms: Option<f64>,
}

impl Options {
    /// Reads and checks them. `keyed`: a key may say who is typing.
    ///
    /// # Errors
    /// [`ApiError::Invalid`], which names the option.
    pub(super) fn read(options: Option<Value>, keyed: bool) -> Result<Self, ApiError> {
        let Some(options) = options.filter(|options| !options.is_null()) else { return Ok(Self::default()) };
        let options: Self = serde_path_to_error::deserialize(options).map_err(ApiError::wrong_field)?;
        let outside = |name: &str, range: &str| Err(ApiError::invalid(name, format!("must be {range}")));
        if options.max_suggestions.is_some_and(|count| !(1..=10).contains(&count)) {
            return outside("maxSuggestions", "between 1 and 10");
        }
        if options.min_confidence.is_some_and(|least| !(0.0..=1.0).contains(&least)) {
            return outside("minConfidence", "between 0 and 1");
        }
        if options.budget_ms.is_some_and(|ms| !(1.0..=1_000.0).contains(&ms)) {
            return outside("budgetMs", "between 1 and 1000");
        }
        if options.learn_on_save && options.writer.is_none() && !keyed {
            return outside("writer", "given with learnOnSave: nothing is learned of nobody");
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wrong_options_are_named() {
        assert!(Options::read(None, false).is_ok_and(|options| !options.learn_on_save));
        assert!(Options::read(Some(json!(null)), false).is_ok());
        let all = json!({"writer": "ann", "role": "agent", "learnOnSave": true, "maxSuggestions": 3, "minConfidence": 0, "budgetMs": 50});
        assert!(Options::read(Some(all), false).is_ok_and(|options| options.learn_on_save));
        assert!(Options::read(Some(json!({"learnOnSave": true})), true).is_ok(), "the key may say who");
        for (name, options) in [
            ("writer", json!({"writer": "a b"})),
            ("writer", json!({"learnOnSave": true})),
            ("maxSuggestions", json!({"maxSuggestions": 11})),
            ("minConfidence", json!({"minConfidence": -0.1})),
            ("budgetMs", json!({"budgetMs": 0})),
            ("learn_on_save", json!({"learn_on_save": true})),
            ("body", json!("ann")),
        ] {
            let error = Options::read(Some(options.clone()), false).expect_err("it is wrong").to_string();
            assert!(error.starts_with(name), "{options}: {error}");
        }
    }
}
