//! When keys are pressed, and which of them are wrong.
//!
//! Gaps between keys are log-normal, as those of people are: short inside a word, longer before a word, longer still before a
//! sentence or a message (Medimorec and Risko 2017). Consecutive gaps are correlated, so that keys come in bursts. All of it is
//! scaled so that a text typed out by hand takes the rate that was asked for, pauses included.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Distribution as _, StandardNormal};

/// Correlation of a gap's logarithm with the one before.
const BURST: f64 = 0.4;

/// No gap is shorter, whatever the draw: fingers overlap, but not more.
const SHORTEST: Duration = Duration::from_millis(10);

const ROWS: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];

/// What a key comes after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Another key of the word.
    Within,
    /// A word.
    Word,
    /// A sentence.
    Sentence,
    /// A message that was sent.
    Message,
}

impl Pause {
    /// Before the key that follows `typed`.
    pub fn after(typed: &str) -> Self {
        if typed.is_empty() {
            return Self::Message;
        }
        let words = typed.trim_end();
        if words.len() == typed.len() {
            return Self::Within;
        }
        if words.ends_with(['.', '!', '?', ':']) || typed.ends_with('\n') {
            Self::Sentence
        } else {
            Self::Word
        }
    }

    /// Median in units of that within a word, and deviation of the logarithm.
    const fn shape(self) -> (f64, f64) {
        match self {
            Self::Within => (1.0, 0.35),
            Self::Word => (1.6, 0.5),
            Self::Sentence => (4.0, 0.6),
            Self::Message => (10.0, 0.6),
        }
    }

    /// Mean in the same unit: that of a log-normal.
    fn mean(self) -> f64 {
        let (median, sigma) = self.shape();
        median * (sigma * sigma / 2.0).exp()
    }
}

/// How fast a text is typed.
#[derive(Clone, Copy, Debug)]
pub struct Tempo {
    /// Seconds: the median gap within a word.
    unit: f64,
}

impl Tempo {
    /// So many keys a second over all of `texts` typed by hand, each a message.
    pub fn new<'a>(keys_per_second: f64, texts: impl Iterator<Item = &'a str>) -> Self {
        let (mut units, mut keys) = (0.0, 0.0);
        for text in texts {
            for (at, _) in text.char_indices() {
                units += Pause::after(&text[..at]).mean();
                keys += 1.0;
            }
        }
        Self { unit: f64::max(keys, 1.0) / (keys_per_second * f64::max(units, 1.0)) }
    }
}

/// One writer's hands. The same seed and writer press the same keys at the same instants.
#[derive(Debug)]
pub struct Hands {
    tempo: Tempo,
    random: StdRng,
    /// The last gap's place in its distribution, in deviations.
    last: f64,
}

impl Hands {
    /// Those of writer number `writer`.
    pub fn new(tempo: Tempo, seed: u64, writer: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&writer.to_le_bytes());
        let mut random = StdRng::from_seed(bytes);
        let last = StandardNormal.sample(&mut random);
        Self { tempo, random, last }
    }

    /// Time until the next key.
    pub fn gap(&mut self, pause: Pause) -> Duration {
        let fresh: f64 = StandardNormal.sample(&mut self.random);
        // Stays a standard normal: an autoregressive process of order 1.
        self.last = BURST * self.last + (1.0 - BURST * BURST).sqrt() * fresh;
        let (median, sigma) = pause.shape();
        let seconds = self.tempo.unit * median * (sigma * self.last).exp();
        Duration::from_secs_f64(seconds).max(SHORTEST)
    }

    /// When in `span` this writer begins.
    pub fn start(&mut self, span: Duration) -> Duration {
        span.mul_f64(self.random.random())
    }

    /// The key that is pressed in place of `right`: one beside it, at a share of the letters; `None`: the right one.
    pub fn slip(&mut self, right: char, share: f64) -> Option<char> {
        let low = right.to_ascii_lowercase();
        let row = ROWS.iter().find(|row| row.contains(low))?;
        if !self.random.random_bool(share) {
            return None;
        }
        let at = row.find(low)?;
        let beside = if at == 0 || (at + 1 < row.len() && self.random.random()) { at + 1 } else { at - 1 };
        row[beside..].chars().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Thanks for calling. I can help you with that, of course: what is it about?";

    #[test]
    fn pauses_are_where_words_sentences_and_messages_begin() {
        for (typed, pause) in [
            ("", Pause::Message),
            ("T", Pause::Within),
            ("Thanks", Pause::Within),
            ("Thanks ", Pause::Word),
            ("Thanks.", Pause::Within),
            ("Thanks. ", Pause::Sentence),
            ("Thanks for:\n", Pause::Sentence),
            ("Thanks\n", Pause::Sentence),
        ] {
            assert_eq!(Pause::after(typed), pause, "{typed:?}");
        }
    }

    #[test]
    fn typed_by_hand_the_rate_is_what_was_asked_for() {
        for rate in [2.0, 5.0] {
            let tempo = Tempo::new(rate, [TEXT].into_iter());
            let mut keys = 0;
            let mut took = Duration::ZERO;
            for writer in 0..200 {
                let mut hands = Hands::new(tempo, 1, writer);
                for (at, _) in TEXT.char_indices() {
                    took += hands.gap(Pause::after(&TEXT[..at]));
                    keys += 1;
                }
            }
            let measured = f64::from(keys) / took.as_secs_f64();
            assert!((measured / rate - 1.0).abs() < 0.03, "{measured} instead of {rate}");
        }
    }

    #[test]
    fn gaps_are_log_normal_and_come_in_bursts() {
        let mut hands = Hands::new(Tempo::new(5.0, [TEXT].into_iter()), 7, 0);
        let logs: Vec<f64> = (0..20_000).map(|_| hands.gap(Pause::Within).as_secs_f64().ln()).collect();
        let count = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / count;
        let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / count;
        let pairs = logs.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean));
        let correlation = pairs.sum::<f64>() / count / variance;
        assert!((variance.sqrt() - 0.35).abs() < 0.01, "{}", variance.sqrt());
        assert!((correlation - BURST).abs() < 0.03, "{correlation}");
        let (_, sigma) = Pause::Within.shape();
        let beyond = logs.iter().filter(|log| (*log - mean).abs() > 1.96 * sigma).count() as f64;
        assert!((beyond / count - 0.05).abs() < 0.01, "normal tails: {}", beyond / count);
    }

    #[test]
    fn the_seed_decides() {
        let tempo = Tempo::new(5.0, [TEXT].into_iter());
        let gaps = |seed, writer| {
            let mut hands = Hands::new(tempo, seed, writer);
            (hands.gap(Pause::Word), hands.slip('a', 0.5), hands.gap(Pause::Within))
        };
        assert_eq!(gaps(1, 2), gaps(1, 2));
        assert_ne!(gaps(1, 2), gaps(1, 3));
        assert_ne!(gaps(1, 2), gaps(2, 2));
    }

    #[test]
    fn slips_hit_the_key_beside() {
        let mut hands = Hands::new(Tempo::new(5.0, [TEXT].into_iter()), 1, 1);
        let slips = (0..10_000).filter_map(|_| hands.slip('G', 0.1)).collect::<Vec<_>>();
        assert!((900..1_100).contains(&slips.len()), "{}", slips.len());
        assert!(slips.iter().all(|key| "fh".contains(*key)) && slips.contains(&'f') && slips.contains(&'h'));
        assert_eq!(hands.slip('q', 1.0), Some('w'));
        assert_eq!(hands.slip('m', 1.0), Some('n'));
        assert_eq!(hands.slip(' ', 1.0), None);
        assert_eq!(hands.slip('é', 1.0), None);
    }
}
