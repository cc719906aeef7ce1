//! Learning curves: what suggestions save by how much of a writer's text was taught before.

use std::path::{Path, PathBuf};

use anyhow::Result;
use plotters::prelude::SeriesLabelPosition;

use crate::corpus;
use crate::desk::Setup;
use crate::plot::{self, Axis, Chart, Line};
use crate::results::Results;

/// Characters taught.
const TAUGHT: [usize; 6] = [0, 1_000, 3_000, 10_000, 30_000, 60_000];

/// Where nothing taught stands on the axis, which is of logarithms.
const NOTHING: f64 = 300.0;

/// Width and height of the picture.
const SIZE: (u32, u32) = (720, 420);

/// A curve for each set.
#[derive(Debug)]
pub struct Curves(Vec<Curve>);

#[derive(Debug)]
struct Curve {
    set: String,
    /// KSR by place in [`TAUGHT`].
    personal: Vec<f64>,
    /// That of a writer nobody knows.
    unknown: f64,
}

/// Measures what is not in `results` yet, of this set-up. Each writer types the same messages however much was taught, and teaches them.
///
/// # Errors
/// When a file cannot be read or written, the models not be opened, or a request is refused.
pub fn run(base: &Setup, files: &[PathBuf], results: &Path) -> Result<Curves> {
    let mut results = Results::open(results, base.limit)?;
    let shown = Setup { min_confidence: base.min_confidence.or(Some(0.0)), ..base.clone() };
    let mut curves = Vec::new();
    for file in files {
        let set = corpus::set(file);
        let mut ksr = |name: &str, setup: &Setup| -> Result<f64> {
            results.measure(name, setup, file)?;
            Ok(results.get(name, &set).map_or(f64::NAN, |figures| figures.ksr))
        };
        let personal = TAUGHT.map(|taught| {
            ksr(&format!("{taught} characters taught"), &Setup { taught: Some(taught), ..shown.clone() })
        });
        let personal = personal.into_iter().collect::<Result<_>>()?;
        let unknown = ksr("not personal", &Setup { no_personal: true, ..shown.clone() })?;
        curves.push(Curve { set, personal, unknown });
    }
    Ok(Curves(curves))
}

impl Curves {
    /// Draws them, as SVG.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn draw(&self, path: &Path) -> Result<()> {
        let all = self.0.iter().flat_map(|curve| curve.personal.iter().chain([&curve.unknown]));
        let (low, high) = all.fold((1.0, 0.0), |(low, high): (f64, f64), y| (low.min(*y), high.max(*y)));
        let last = *TAUGHT.last().unwrap_or(&1) as f64;
        let places = || TAUGHT.iter().map(|taught| (*taught as f64).max(NOTHING));
        let line = |curve: &Curve| Line {
            name: curve.set.clone(),
            points: places().zip(curve.personal.iter().copied()).collect(),
            // What the same text is worth to a writer nobody knows.
            beside: Some([NOTHING, last].map(|x| (x, curve.unknown)).to_vec()),
        };
        let x = Axis {
            name: "characters taught before the first message",
            range: NOTHING..last * 1.1,
            ratios: true,
            label: |x| if x < 1_000.0 { "0".to_owned() } else { format!("{:.0}k", x / 1_000.0) },
        };
        let y = Axis {
            name: "KSR, everything shown",
            range: low - 0.02..high + 0.02,
            ratios: false,
            label: |y| format!("{y:.2}"),
        };
        let lines = self.0.iter().map(line).collect();
        plot::draw(path, SIZE, &[Chart { x, y, lines, legend: SeriesLabelPosition::LowerRight }])
    }
}

/// Markdown.
impl std::fmt::Display for Curves {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sets: Vec<_> = self.0.iter().map(|curve| curve.set.as_str()).collect();
        writeln!(f, "| characters taught | {} |\n|{}", sets.join(" | "), "---|".repeat(sets.len() + 1))?;
        let mut line = |label: String, of: &dyn Fn(&Curve) -> f64| {
            let cells: Vec<_> = self.0.iter().map(|curve| format!("{:.3}", of(curve))).collect();
            writeln!(f, "| {label} | {} |", cells.join(" | "))
        };
        line("nobody is known".into(), &|curve| curve.unknown)?;
        for (at, taught) in TAUGHT.iter().enumerate() {
            line(taught.to_string(), &|curve| curve.personal[at])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_drawn_and_told() {
        let curve = |set: &str, least: f64| Curve {
            set: set.to_owned(),
            personal: (0..TAUGHT.len()).map(|at| least + 0.01 * at as f64).collect(),
            unknown: least - 0.01,
        };
        let curves = Curves(vec![curve("notes", 0.4), curve("mail", 0.35)]);
        assert!(curves.to_string().contains("\n| 3000 | 0.420 | 0.370 |\n"), "{curves}");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("curve.svg");
        curves.draw(&path).expect("drawn");
        let drawn = std::fs::read_to_string(path).expect("read");
        assert!(
            drawn.starts_with("<svg") && drawn.contains("notes") && drawn.matches("<polyline").count() >= 2
        );
    }
}
