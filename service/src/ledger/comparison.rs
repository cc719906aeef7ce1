//! Are people faster with suggestions? Typing speed of sessions that are shown some against those that are held out, with how far
//! chance reaches.
//!
//! A side's speed is a ratio of sums, characters by minutes, so that a session weighs as much as was typed in it. Its variance is
//! that of a ratio estimator over sessions (Cochran 1977, Sampling Techniques, 6.4), the sessions being what was put on a side by
//! chance; that of the quotient of two speeds follows on the logarithmic scale (the delta method; Deng, Knoblich and Lu 2018).

use serde::{Deserialize, Serialize};

use super::count::Group;

/// Sessions that either side needs before an interval is worth the name: below, the method's approximation does not hold.
pub const ENOUGH_SESSIONS: u64 = 30;

/// Of a normal distribution 95 % lie within so many standard deviations.
const NORMAL_95: f64 = 1.959_964;

/// What was typed in a session.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Typed {
    pub(super) characters: f64,
    pub(super) minutes: f64,
}

impl Typed {
    pub(super) fn and(self, more: Self) -> Self {
        Self { characters: self.characters + more.characters, minutes: self.minutes + more.minutes }
    }
}

/// Sums over the sessions of a side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Side {
    sessions: u64,
    characters: f64,
    minutes: f64,
    /// Of squares.
    characters_2: f64,
    minutes_2: f64,
    /// Of products.
    characters_minutes: f64,
}

impl Side {
    /// One session got on.
    fn add(&mut self, before: Typed, more: Typed) {
        let now = before.and(more);
        self.sessions += u64::from(before == Typed::default());
        self.characters += more.characters;
        self.minutes += more.minutes;
        self.characters_2 += now.characters.powi(2) - before.characters.powi(2);
        self.minutes_2 += now.minutes.powi(2) - before.minutes.powi(2);
        self.characters_minutes += now.characters * now.minutes - before.characters * before.minutes;
    }

    /// Characters a minute; NaN: nothing was typed.
    fn speed(&self) -> f64 {
        self.characters / self.minutes
    }

    /// The variance of the speed's logarithm.
    fn variance(&self) -> f64 {
        let (n, speed) = (self.sessions as f64, self.speed());
        let residuals =
            self.characters_2 - 2.0 * speed * self.characters_minutes + speed.powi(2) * self.minutes_2;
        // Where all are alike rounding may leave less than nothing.
        n / (n - 1.0) * residuals.max(0.0) / self.characters.powi(2)
    }
}

/// How much faster those type who are shown suggestions, as a share of the others' speed, with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// What was measured; below 0: slower.
    pub faster: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

/// Both sides since the share of sessions that are held out was last changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// When it began, in milliseconds since the Unix epoch.
    pub begun: i64,
    /// Tells it from those before it in this process.
    #[serde(skip)]
    pub(super) number: u32,
    sides: [Side; Group::ALL.len()],
}

impl Comparison {
    /// Begins at a time.
    pub(super) fn new(begun: i64, number: u32) -> Self {
        Self { begun, number, sides: Default::default() }
    }

    /// A session in which something was typed `before` got on.
    pub(super) fn add(&mut self, group: Group, before: Typed, more: Typed) {
        self.sides[group as usize].add(before, more);
    }

    /// Sessions in which something was typed.
    pub fn sessions(&self, group: Group) -> u64 {
        self.sides[group as usize].sessions
    }

    /// Characters a minute of typing; NaN: nobody typed.
    pub fn speed(&self, group: Group) -> f64 {
        self.sides[group as usize].speed()
    }

    /// What the two sides say; `None`: one has too few sessions.
    pub fn difference(&self) -> Option<Difference> {
        let [shown, held] = Group::ALL.map(|group| self.sides[group as usize]);
        let speeds = [shown.speed(), held.speed()];
        if shown.sessions.min(held.sessions) < ENOUGH_SESSIONS || !speeds.iter().all(|speed| *speed > 0.0) {
            return None;
        }
        let ratio = speeds[0] / speeds[1];
        let reach = NORMAL_95 * (shown.variance() + held.variance()).sqrt();
        Some(Difference {
            faster: ratio - 1.0,
            low: ratio * (-reach).exp() - 1.0,
            high: ratio * reach.exp() - 1.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sessions of a side, each with characters and minutes, as they go on key by key.
    fn typed(comparison: &mut Comparison, group: Group, sessions: &[(f64, f64)]) {
        for (characters, minutes) in sessions {
            let (mut before, part) =
                (Typed::default(), Typed { characters: characters / 4.0, minutes: minutes / 4.0 });
            for _ in 0..4 {
                comparison.add(group, before, part);
                before = before.and(part);
            }
        }
    }

    /// Half of `count` sessions at each of two speeds, a minute each.
    fn sides(count: usize, shown: [f64; 2], held: [f64; 2]) -> Comparison {
        let mut comparison = Comparison::default();
        let sessions = |speeds: [f64; 2]| (0..count).map(|n| (speeds[n % 2], 1.0)).collect::<Vec<_>>();
        typed(&mut comparison, Group::Others, &sessions(shown));
        typed(&mut comparison, Group::HeldOut, &sessions(held));
        comparison
    }

    #[track_caller]
    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
    }

    #[test]
    fn the_interval_is_that_of_the_textbook() {
        // Sessions of a minute: the ratio is the mean, of 100 values that are 180 or 220. Their variance is 400 · 100/99.
        let comparison = sides(100, [180.0, 220.0], [150.0, 170.0]);
        assert_eq!((comparison.speed(Group::Others), comparison.sessions(Group::HeldOut)), (200.0, 100));
        let (shown, held) = (400.0 / 99.0 / 200.0_f64.powi(2), 100.0 / 99.0 / 160.0_f64.powi(2));
        let reach = 1.959_964 * (shown + held).sqrt();
        let difference = comparison.difference().expect("there are enough");
        near(difference.faster, 0.25);
        near(difference.low, 1.25 * (-reach).exp() - 1.0);
        near(difference.high, 1.25 * reach.exp() - 1.0);
        near(difference.low, 0.221_298);
        near(difference.high, 0.279_376);
    }

    #[test]
    fn a_long_session_weighs_more() {
        let mut comparison = Comparison::default();
        typed(&mut comparison, Group::Others, &[(100.0, 1.0), (900.0, 3.0)]);
        near(comparison.speed(Group::Others), (100.0 + 900.0) / (1.0 + 3.0));
        // Residuals from 250 a minute: 100 − 250 and 900 − 750.
        let variance = 2.0 / (2.0 - 1.0) * (150.0_f64.powi(2) + 150.0_f64.powi(2)) / 1_000.0_f64.powi(2);
        near(comparison.sides[0].variance(), variance);
    }

    #[test]
    fn chance_is_told_from_a_difference() {
        let includes_zero = |comparison: &Comparison| {
            comparison.difference().map(|difference| difference.low < 0.0 && difference.high > 0.0)
        };
        assert_eq!(includes_zero(&sides(40, [100.0, 300.0], [90.0, 290.0])), Some(true));
        assert_eq!(includes_zero(&sides(40, [190.0, 210.0], [170.0, 190.0])), Some(false));
        assert_eq!(includes_zero(&sides(28, [190.0, 210.0], [90.0, 110.0])), None, "too few");
        assert_eq!(Comparison::default().difference(), None);
        let alike = sides(30, [200.0, 200.0], [100.0, 100.0]).difference().expect("there are enough");
        near(alike.low, 1.0);
        near(alike.high, 1.0);
    }
}
