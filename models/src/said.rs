//! What was said before is likelier to be said again: names, numbers, the customer's words for things.
//!
//! A cache model (Kuhn and De Mori 1990) over the surfaces of the conversation and the draft, with the GPT-2 as its
//! prior: P(w) = (Σ weight of each time w was said + K · P_gpt2(w)) / (Σ weight of all that was said + K). The weight
//! grows with the surfaces before it that agree with those before the cursor. Both parts sum to one, hence their mixture.

use hashbrown::HashMap;

use crate::boundary::surfaces;
use crate::context::Prompt;
use crate::gpt2::{Word, Words};

/// K: what the GPT-2 weighs.
const PRIOR: f32 = 1500.0;
/// What a surface weighs that was said, by the number of surfaces before it that agree.
const WEIGHTS: [f32; 4] = [1.0, 30.0, 200.0, 800.0];
/// Bytes of text that are looked back at: the draft and the newest turns until there are so many.
const NEWEST: usize = 1_500;

/// A longer surface, in bytes, is a link or a key, and nobody wants it said again.
const LONGEST: usize = 64;

/// What was said, as it may be said at one place.
pub(crate) struct Said {
    weights: HashMap<String, f32>,
    total: f32,
}

impl Said {
    /// What was said before the unfinished surface of `prompt`.
    pub(crate) fn new(prompt: &Prompt<'_>) -> Self {
        let before = newest(prompt.before);
        let mut room = NEWEST.saturating_sub(before.len());
        let mut said: Vec<Vec<&str>> = vec![surfaces(before)];
        for (_, text) in prompt.turns.iter().rev() {
            if room == 0 {
                break;
            }
            let text = newest(text);
            room = room.saturating_sub(text.len());
            // A turn ends: nothing agrees across it.
            said.push(vec![""]);
            said.push(surfaces(text));
        }
        let said: Vec<&str> = said.into_iter().rev().flatten().collect();
        let mut weights: HashMap<String, f32> = HashMap::new();
        let mut total = 0.0;
        let words = said.iter().enumerate().filter(|(_, surface)| (1..=LONGEST).contains(&surface.len()));
        for (at, surface) in words {
            let agree = (1..WEIGHTS.len().min(at + 1))
                .take_while(|back| {
                    let (then, now) = (said[at - back], said[said.len() - back]);
                    !then.is_empty() && then.trim_start() == now.trim_start()
                })
                .count();
            let weight = WEIGHTS[agree];
            total += weight;
            *weights.entry(here(surface, prompt)).or_default() += weight;
        }
        Self { weights, total }
    }

    /// P(`surface`), of which the GPT-2 says `prob`.
    pub(crate) fn prob(&self, surface: &str, prob: f32) -> f32 {
        let said = self.weights.get(surface).copied().unwrap_or_default();
        (said + PRIOR * prob) / (self.total + PRIOR)
    }

    /// P(`prefix`), of which the GPT-2 says `mass`.
    #[cfg(test)]
    fn mass_of(&self, prefix: &str, mass: f32) -> f32 {
        let said = self.weights.iter().filter(|(surface, _)| surface.starts_with(prefix));
        (said.map(|(_, weight)| weight).sum::<f32>() + PRIOR * mass) / (self.total + PRIOR)
    }

    /// Mixes what was said into what the GPT-2 says of the place `prefix` is typed at. Unless it has `searched` there, it is of no
    /// opinion about words that it was not asked about.
    pub(crate) fn blend(&self, words: &mut Words, prefix: &str, asked: &[&str], top: usize, searched: bool) {
        if self.total == 0.0 || words.mass <= 0.0 {
            return;
        }
        let fits = |surface: &str| surface.starts_with(prefix);
        let said: f32 =
            self.weights.iter().filter(|(surface, _)| fits(surface)).map(|(_, weight)| weight).sum();
        let (prior, scale) = (PRIOR * words.mass, PRIOR * words.mass + said);
        let again = |surface: &str, prob: f32| {
            (self.weights.get(surface).copied().unwrap_or_default() + prior * prob) / scale
        };
        words.mass = (prior + said) / (PRIOR + self.total);
        if prefix.is_empty() {
            words.after_end = again("", words.after_end);
        } else if !prefix.trim().is_empty() {
            words.done = again(prefix, words.done);
        }
        for (prob, surface) in words.candidates.iter_mut().zip(asked).filter(|(_, surface)| fits(surface)) {
            *prob = again(surface, *prob);
        }
        for word in &mut words.top {
            word.prob = again(&word.surface, word.prob);
        }
        let new = self.weights.keys().filter(|surface| fits(surface) && surface.len() > prefix.len());
        let new = new.filter(|surface| searched || asked.contains(&surface.as_str()));
        let new: Vec<Word> = new
            .filter(|surface| words.top.iter().all(|word| word.surface != **surface))
            .map(|surface| {
                let asked = asked.iter().position(|asked| asked == surface);
                let prob = asked.map_or_else(|| again(surface, 0.0), |at| words.candidates[at]);
                Word { surface: surface.clone(), prob }
            })
            .collect();
        words.top.extend(new);
        words.top.retain(|word| word.prob > 0.0);
        words.top.sort_by(|a, b| b.prob.total_cmp(&a.prob).then_with(|| a.surface.cmp(&b.surface)));
        words.top.truncate(top);
    }
}

/// The end of a text, from a word on.
fn newest(text: &str) -> &str {
    let from = text.len().saturating_sub(NEWEST);
    let at = text.match_indices(' ').map(|(at, _)| at).find(|&at| at >= from);
    if from == 0 { text } else { &text[at.unwrap_or(text.len())..] }
}

/// How a surface that was said elsewhere is said at the cursor: a word has a space before it unless it begins the text or
/// is glued to what is typed.
fn here(surface: &str, prompt: &Prompt<'_>) -> String {
    let bare = surface.trim_start();
    let spaced = if prompt.prefix.is_empty() {
        !prompt.before.is_empty() && (surface.starts_with(' ') || bare.starts_with(char::is_alphanumeric))
    } else {
        prompt.prefix.starts_with(' ')
    };
    if spaced { [" ", bare].concat() } else { bare.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Role;

    const TURNS: [(Role, &str); 1] =
        [(Role::Customer, "Is Montara far? I have never been to Montara Beach.")];

    fn prompt<'a>(before: &'a str, prefix: &'a str) -> Prompt<'a> {
        Prompt { turns: &TURNS, role: Role::Agent, before, prefix }
    }

    fn word(surface: &str, prob: f32) -> Word {
        Word { surface: surface.to_owned(), prob }
    }

    #[test]
    fn a_name_is_said_again() {
        let said = Said::new(&prompt("The weather in", " Mon"));
        let mut words = Words { mass: 1e-3, top: vec![word(" Monday", 0.7)], done: 0.1, ..Words::default() };
        let mut unsearched = words.clone();
        said.blend(&mut unsearched, " Mon", &[], 4, false);
        assert_eq!(unsearched.top.len(), words.top.len(), "it was not asked about more");
        said.blend(&mut words, " Mon", &[], 4, true);
        assert_eq!(words.top[0].surface, " Montara");
        let sum: f32 = words.top.iter().map(|word| word.prob).sum::<f32>() + words.done;
        assert!(sum < 1.0 && (words.mass - said.mass_of(" Mon", 1e-3)).abs() < 1e-9, "{words:?}");
    }

    #[test]
    fn what_followed_then_follows_now() {
        let (after_then, elsewhere) =
            (Said::new(&prompt("It is Montara", "")), Said::new(&prompt("It is a", "")));
        assert!(after_then.prob(" Beach", 0.0) > 20.0 * elsewhere.prob(" Beach", 0.0));
    }

    #[test]
    fn probabilities_sum_to_one() {
        let said = Said::new(&prompt("Montara is", " "));
        let known: f32 = said.weights.keys().map(|surface| said.prob(surface, 0.0)).sum();
        assert!((known + said.prob("new", 1.0) - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_word_takes_the_space_of_the_place() {
        assert!(Said::new(&prompt("", "")).weights.contains_key("Montara"));
        assert!(Said::new(&prompt("In", "")).weights.contains_key(" Is"));
        assert!(Said::new(&prompt("In", "")).weights.contains_key("?"));
        assert!(Said::new(&prompt("In (", "Mon")).weights.contains_key("Montara"));
    }
}
