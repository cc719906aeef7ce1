//! Charts of lines, as SVG: one above the other in a picture.

use std::fmt::Display;
use std::ops::Range;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

/// An axis.
pub(crate) struct Axis {
    /// What it measures.
    pub(crate) name: &'static str,
    pub(crate) range: Range<f64>,
    /// Whether equal ratios are equal lengths.
    pub(crate) ratios: bool,
    /// How a value is written.
    pub(crate) label: fn(f64) -> String,
}

/// A line, and others that belong to it.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    /// Drawn thin and broken, in the same colour.
    pub(crate) beside: Option<Vec<(f64, f64)>>,
}

/// Lines over two axes.
pub(crate) struct Chart {
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
    pub(crate) legend: SeriesLabelPosition,
}

/// Draws charts, each as large as `size`, in pixels.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn draw(path: &Path, (width, height): (u32, u32), charts: &[Chart]) -> Result<()> {
    let failed = |error: &dyn Display| anyhow!("{}: {error}", path.display());
    let rows = u32::try_from(charts.len()).unwrap_or(u32::MAX);
    let sheet = SVGBackend::new(path, (width, height * rows)).into_drawing_area();
    sheet.fill(&WHITE).map_err(|error| failed(&error))?;
    for (area, chart) in sheet.split_evenly((charts.len(), 1)).iter().zip(charts) {
        let (x, y) = (chart.x.range.clone(), chart.y.range.clone());
        let drawn = match (chart.x.ratios, chart.y.ratios) {
            (false, false) => chart.draw(area, x, y),
            (false, true) => chart.draw(area, x, y.log_scale()),
            (true, false) => chart.draw(area, x.log_scale(), y),
            (true, true) => chart.draw(area, x.log_scale(), y.log_scale()),
        };
        drawn.map_err(|error| failed(&error))?;
    }
    sheet.present().map_err(|error| failed(&error))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Failed = DrawingAreaErrorKind<std::io::Error>;

impl Chart {
    fn draw<X, Y>(&self, area: &Area<'_>, x: X, y: Y) -> Result<(), Failed>
    where
        X: AsRangedCoord<Value = f64>,
        Y: AsRangedCoord<Value = f64>,
        X::CoordDescType: ValueFormatter<f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        let mut context = ChartBuilder::on(area)
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(56)
            .build_cartesian_2d(x, y)?;
        context
            .configure_mesh()
            .disable_x_mesh()
            .x_desc(self.x.name)
            .y_desc(self.y.name)
            .x_label_formatter(&|x| (self.x.label)(*x))
            .y_label_formatter(&|y| (self.y.label)(*y))
            .light_line_style(WHITE)
            .draw()?;
        for (number, line) in self.lines.iter().enumerate() {
            let colour = Palette99::pick(number).to_rgba();
            let points = LineSeries::new(line.points.iter().copied(), colour.stroke_width(2)).point_size(3);
            let key = move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2));
            context.draw_series(points)?.label(&line.name).legend(key);
            if let Some(beside) = &line.beside {
                context.draw_series(DashedLineSeries::new(
                    beside.iter().copied(),
                    4,
                    4,
                    colour.stroke_width(1),
                ))?;
            }
        }
        context
            .configure_series_labels()
            .position(self.legend.clone())
            .background_style(WHITE.mix(0.8))
            .draw()
    }
}
