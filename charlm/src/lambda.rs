//! Fits the one weight of the spelling model.

/// Ends the search: the likelihood of one weight is concave, and EM is close after a few steps.
const STEPS: usize = 100;
/// Without words to fit on: nineteen of twenty new words are known to a lexicon of the domain.
const DEFAULT: f64 = 0.95;
/// λ stays below 1 so that every string keeps a probability, and above 0 so that the lexicon is never forgotten.
const RANGE: (f64, f64) = (0.01, 0.999);

/// The λ that makes words likeliest under λ·a + (1 − λ)·b, by expectation maximisation (Dempster et al. 1977).
///
/// Each word is (count, a, b); words that neither side can explain say nothing and are passed over.
pub(crate) fn fit(words: &[(f64, f64, f64)]) -> f32 {
    let total: f64 = words.iter().filter(|&&(_, a, b)| a + b > 0.0).map(|&(count, ..)| count).sum();
    if total == 0.0 {
        return DEFAULT as f32;
    }
    let mut lambda: f64 = 0.5;
    for _ in 0..STEPS {
        let listed: f64 = words
            .iter()
            .filter(|&&(_, a, b)| a + b > 0.0)
            .map(|&(count, a, b)| count * lambda * a / (lambda * a + (1.0 - lambda) * b))
            .sum();
        lambda = (listed / total).clamp(RANGE.0, RANGE.1);
    }
    lambda as f32
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT, fit};

    #[test]
    fn recovers_the_share_of_words_only_one_side_knows() {
        let lambda = fit(&[(70.0, 1e-3, 0.0), (30.0, 0.0, 1e-9)]);
        assert!((lambda - 70.0 / 100.0).abs() < 1e-4, "{lambda}");
    }

    #[test]
    fn finds_the_maximum_of_the_likelihood() {
        let words = [(3.0, 0.2, 0.1), (5.0, 0.05, 0.3), (2.0, 0.4, 0.01)];
        let likelihood =
            |l: f64| words.iter().map(|&(n, a, b)| n * (l * a + (1.0 - l) * b).ln()).sum::<f64>();
        let best = f64::from(fit(&words));
        assert!(likelihood(best) >= likelihood(best - 0.01) && likelihood(best) >= likelihood(best + 0.01));
    }

    #[test]
    fn stays_inside_its_range_and_has_a_default() {
        assert!((fit(&[(1.0, 1.0, 0.0)]) - 0.999).abs() < 1e-6);
        assert!((fit(&[(1.0, 0.0, 1.0)]) - 0.01).abs() < 1e-6);
        assert!((f64::from(fit(&[(9.0, 0.0, 0.0)])) - DEFAULT).abs() < 1e-6);
    }
}
