//! What a metric is: declared once, registered and documented from that.

use prometheus::core::Collector;
use prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

/// One metric: a name with its labels, and what it is for.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// As Prometheus knows it.
    pub name: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// What it counts or measures.
    pub unit: Unit,
    /// What tells its series apart.
    pub labels: &'static [Label],
    /// Upper bounds of a histogram's buckets.
    pub buckets: &'static [f64],
    /// What it is.
    pub help: &'static str,
    /// What an operator reads from it.
    pub reading: &'static str,
}

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Up only, from the start of the process.
    Counter,
    /// Up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

impl Kind {
    /// As Prometheus calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// What a metric counts or measures; the end of its name says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Time.
    Seconds,
    /// Memory and files.
    Bytes,
    /// From 0 to 1.
    Ratio,
    /// Always 1: the labels say it.
    Info,
    /// Things of this name.
    Of(&'static str),
}

impl Unit {
    /// For the reference.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::Ratio => "ratio",
            Self::Info => "info",
            Self::Of(things) => things,
        }
    }
}

/// What tells the series of a metric apart. Never who wrote or what: that would be both personal and unbounded.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub values: Values,
}

/// The values of a label.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// These and no others; all are there from the start, so that a rate of what never came is 0 and not missing.
    These(fn() -> Vec<&'static str>),
    /// Described, because only a running service knows them.
    Described(&'static str),
}

/// A metric; its kind comes with the type of what counts it.
pub(super) const fn family(name: &'static str, unit: Unit, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, unit, labels: &[], buckets: &[], help, reading: "" }
}

impl Family {
    pub(super) const fn by(self, labels: &'static [Label]) -> Self {
        Self { labels, ..self }
    }

    pub(super) const fn buckets(self, buckets: &'static [f64]) -> Self {
        Self { buckets, ..self }
    }

    pub(super) const fn reading(self, reading: &'static str) -> Self {
        Self { reading, ..self }
    }

    /// The series that are known beforehand, each as the values of its labels.
    fn series(&self) -> Vec<Vec<&'static str>> {
        let mut series = vec![Vec::new()];
        for label in self.labels {
            let Values::These(values) = label.values else { return Vec::new() };
            let with = |before: &Vec<_>, value| [before.as_slice(), &[value]].concat();
            series = series
                .iter()
                .flat_map(|before| values().into_iter().map(move |value| with(before, value)))
                .collect();
        }
        series
    }

    fn options(&self) -> Opts {
        Opts::new(self.name, self.help)
    }

    fn label_names(&self) -> Vec<&'static str> {
        self.labels.iter().map(|label| label.name).collect()
    }
}

/// What counts a metric.
pub(super) trait Counts: Collector + Clone + 'static {
    /// How it moves.
    const KIND: Kind;

    fn new(family: &Family) -> prometheus::Result<Self>;
}

impl Counts for IntCounter {
    const KIND: Kind = Kind::Counter;

    fn new(family: &Family) -> prometheus::Result<Self> {
        Self::with_opts(family.options())
    }
}

impl Counts for Counter {
    const KIND: Kind = Kind::Counter;

    fn new(family: &Family) -> prometheus::Result<Self> {
        Self::with_opts(family.options())
    }
}

impl Counts for CounterVec {
    const KIND: Kind = Kind::Counter;

    fn new(family: &Family) -> prometheus::Result<Self> {
        let counters = Self::new(family.options(), &family.label_names())?;
        for values in family.series() {
            counters.get_metric_with_label_values(&values)?;
        }
        Ok(counters)
    }
}

impl Counts for IntCounterVec {
    const KIND: Kind = Kind::Counter;

    fn new(family: &Family) -> prometheus::Result<Self> {
        let counters = Self::new(family.options(), &family.label_names())?;
        for values in family.series() {
            counters.get_metric_with_label_values(&values)?;
        }
        Ok(counters)
    }
}

impl Counts for IntGauge {
    const KIND: Kind = Kind::Gauge;

    fn new(family: &Family) -> prometheus::Result<Self> {
        Self::with_opts(family.options())
    }
}

impl Counts for Gauge {
    const KIND: Kind = Kind::Gauge;

    fn new(family: &Family) -> prometheus::Result<Self> {
        Self::with_opts(family.options())
    }
}

impl Counts for IntGaugeVec {
    const KIND: Kind = Kind::Gauge;

    fn new(family: &Family) -> prometheus::Result<Self> {
        let gauges = Self::new(family.options(), &family.label_names())?;
        for values in family.series() {
            gauges.get_metric_with_label_values(&values)?;
        }
        Ok(gauges)
    }
}

impl Counts for GaugeVec {
    const KIND: Kind = Kind::Gauge;

    fn new(family: &Family) -> prometheus::Result<Self> {
        Self::new(family.options(), &family.label_names())
    }
}

impl Counts for Histogram {
    const KIND: Kind = Kind::Histogram;

    fn new(family: &Family) -> prometheus::Result<Self> {
        let options = HistogramOpts::new(family.name, family.help);
        Self::with_opts(options.buckets(family.buckets.to_vec()))
    }
}

/// Makes what counts a metric, for all who scrape.
pub(super) fn register<C: Counts>(registry: &Registry, family: &Family) -> C {
    let counts = C::new(family).expect("names and labels are constants, and a test registers them all");
    registry.register(Box::new(counts.clone())).expect("every metric has its own name");
    counts
}

/// Declares a group of metrics: the list of them, and the struct that counts them.
macro_rules! families {
    ($(#[$doc:meta])* $group:ident { $($field:ident: $type:ty = $family:expr;)* }) => {
        $(#[$doc])*
        pub(super) struct $group {
            $(pub(super) $field: $type,)*
        }

        impl $group {
            pub(super) const FAMILIES: &[Family] =
                &[$(Family { kind: <$type as Counts>::KIND, ..$family }),*];

            pub(super) fn register(registry: &prometheus::Registry) -> Self {
                Self { $($field: register(registry, &$family)),* }
            }
        }
    };
}

pub(super) use families;
