//! What writers measured, drawn: latency over the time of a run, or latency and net by how many type.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::SeriesLabelPosition;

use crate::capacity::{Capacity, Step};
use crate::plot::{Axis, Chart, Line, draw};
use crate::report::Report;

/// Width and height of a chart.
const SIZE: (u32, u32) = (720, 320);

impl Report {
    /// Draws latency, and what the service took, over the time of the run, as SVG.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn draw(&self, path: &Path) -> Result<()> {
        let mut charts = vec![self.latency()];
        charts.extend(self.memory());
        draw(path, SIZE, &charts)
    }

    fn latency(&self) -> Chart {
        let of = |name: &str, ms: fn(&crate::report::Second) -> f64| {
            let seconds = self.over_time.iter().filter(|second| second.keys > 0);
            line(name, seconds.map(|second| (second.second as f64, ms(second))).collect())
        };
        let lines = vec![of("p50", |second| second.p50), of("p99", |second| second.p99)];
        let x = seconds(self.seconds);
        Chart { x, y: milliseconds(&lines), lines, legend: SeriesLabelPosition::UpperRight }
    }

    fn memory(&self) -> Option<Chart> {
        let service = self.service.as_ref()?;
        let points = service.over_time.iter().map(|(second, resident, _)| (*second, *resident)).collect();
        let y = Axis {
            name: "resident, MiB",
            range: 0.0..1.1 * service.resident_mib_most.max(1.0),
            ratios: false,
            label: |mib| format!("{mib:.0}"),
        };
        let (x, lines) = (seconds(self.seconds), vec![line("service", points)]);
        Some(Chart { x, y, lines, legend: SeriesLabelPosition::LowerRight })
    }
}

impl Capacity {
    /// Draws latency and net by the number of writers, and latency over the time of the largest step that fits, as SVG.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn draw(&self, path: &Path) -> Result<()> {
        let mut steps: Vec<&Step> = self.steps.iter().collect();
        steps.sort_by_key(|step| step.report.writers);
        let by_writers = |name: &str, value: fn(&Step) -> f64| {
            line(name, steps.iter().map(|step| (f64::from(step.report.writers), value(step))).collect())
        };
        let most = steps.last().map_or(1.0, |step| f64::from(step.report.writers));
        let x = || Axis {
            name: "writers",
            range: 0.0..1.05 * most,
            ratios: false,
            label: |writers| format!("{writers:.0}"),
        };
        let latencies = vec![
            by_writers("whole answer, p50", |step| step.report.client_ms.p50),
            by_writers("whole answer, p99", |step| step.report.client_ms.p99),
            by_writers("first answer, p50", |step| step.report.first_ms.p50),
            by_writers("first answer, p99", |step| step.report.first_ms.p99),
        ];
        let nets = vec![
            by_writers("net", |step| step.report.saved.net),
            by_writers("typed alone", |step| step.alone),
        ];
        let values = nets.iter().flat_map(|line| line.points.iter().map(|(_, net)| *net));
        let (low, high) = values.fold((1.0, 0.0), |(low, high): (f64, f64), y| (low.min(y), high.max(y)));
        let y = Axis {
            name: "net keystroke savings",
            range: low - 0.05..high + 0.05,
            ratios: false,
            label: |net| format!("{net:.2}"),
        };
        let mut charts = vec![
            Chart {
                x: x(),
                y: milliseconds(&latencies),
                lines: latencies,
                legend: SeriesLabelPosition::UpperLeft,
            },
            Chart { x: x(), y, lines: nets, legend: SeriesLabelPosition::LowerLeft },
        ];
        let found = self.steps.iter().rev().find(|step| step.report.writers == self.writers);
        charts.extend(found.map(|step| step.report.latency()));
        draw(path, SIZE, &charts)
    }
}

fn line(name: &str, points: Vec<(f64, f64)>) -> Line {
    Line { name: name.to_owned(), points, beside: None }
}

fn seconds(length: f64) -> Axis {
    Axis {
        name: "seconds",
        range: 0.0..length.max(1.0),
        ratios: false,
        label: |second| format!("{second:.0}"),
    }
}

/// An axis of ratios for what the lines hold.
fn milliseconds(lines: &[Line]) -> Axis {
    let values = lines.iter().flat_map(|line| line.points.iter().map(|(_, ms)| *ms));
    let most = values.fold(10.0, f64::max);
    Axis {
        name: "milliseconds",
        range: 0.1..4.0 * most,
        ratios: true,
        label: |ms| if ms < 1.0 { format!("{ms:.1}") } else { format!("{ms:.0}") },
    }
}
