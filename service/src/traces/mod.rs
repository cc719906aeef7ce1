//! Traces of some requests, for a collector that takes OpenTelemetry's protocol (OTLP) over HTTP.
//!
//! A request that is traced notes what its stages took, and becomes spans once it is answered; the others cost a look at an
//! `Option`. Spans wait in a bounded queue for a thread that sends them, and are dropped when it is full. They say how long
//! things took and how they ended: never what was typed, nor who typed it.

mod send;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::http::{HeaderMap, Method, Uri};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};

use crate::engine::Completion;
use send::Client;

/// How long the last spans may take to be sent when the service stops.
const LAST: Duration = Duration::from_secs(2);

/// Why there are no traces; the message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// Not an address.
    #[error("traces go to an address such as http://127.0.0.1:4318, not to {0:?}: change --trace-endpoint")]
    Address(String),
    /// It wants TLS.
    #[error("traces are sent unencrypted: name a collector on this machine, and let that one go on to {0:?}")]
    Encrypted(String),
    /// What the variables of OpenTelemetry say cannot be done.
    #[error("traces cannot be set up: {0}. Look at the OTEL_ variables of the environment")]
    Variables(String),
}

/// Where traces go, and how many.
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    /// The share of requests that are traced, of those whose client does not say.
    share: f64,
    asked: AtomicU64,
    chance: RandomState,
}

impl Traces {
    /// Sends to `endpoint`, or where the variables of OpenTelemetry say; `None`: nobody wants any. Needs a runtime.
    ///
    /// # Errors
    /// When there is an address, and it is none that can be sent to.
    pub fn open(endpoint: Option<&str>, share: f64) -> Result<Option<Self>, TraceError> {
        let named = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let standard =
            || named("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| named("OTEL_EXPORTER_OTLP_ENDPOINT"));
        let Some(address) = endpoint.map(str::to_owned).or_else(standard) else { return Ok(None) };
        let uri: Uri = address.parse().map_err(|_| TraceError::Address(address.clone()))?;
        match uri.scheme_str() {
            Some("http") if uri.host().is_some() => {}
            Some("https") => return Err(TraceError::Encrypted(address)),
            _ => return Err(TraceError::Address(address)),
        }
        let mut exporter = SpanExporter::builder().with_http().with_http_client(Client::new());
        if endpoint.is_some() {
            let path = if uri.path() == "/" { "/v1/traces" } else { "" };
            exporter = exporter.with_endpoint(format!("{}{path}", address.trim_end_matches('/')));
        }
        let exporter = exporter.build().map_err(|error| TraceError::Variables(error.to_string()))?;
        let mut resource =
            Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        if named("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("foretype");
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer("foretype");
        let (asked, chance) = (AtomicU64::new(0), RandomState::new());
        Ok(Some(Self { provider, tracer, share, asked, chance }))
    }

    /// Begins the trace of a request, if it is to be traced: if its client traces it, or by chance.
    pub fn begin(self: &Arc<Self>, headers: Option<&HeaderMap>) -> Option<Arc<Trace>> {
        let parent = headers.filter(|headers| headers.contains_key("traceparent")).map(|headers| {
            TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers))
        });
        let parent = parent.filter(|parent| parent.span().span_context().is_valid());
        let traced = match &parent {
            Some(parent) => parent.span().span_context().is_sampled(),
            None => self.by_chance(),
        };
        traced.then(|| {
            let (traces, parent) = (Arc::clone(self), parent.unwrap_or_default());
            let began = (SystemTime::now(), Instant::now());
            Arc::new(Trace { traces, parent, began, noted: Mutex::default() })
        })
    }

    fn by_chance(&self) -> bool {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        (self.chance.hash_one(number) as f64) < self.share * u64::MAX as f64
    }

    /// Sends what waits; blocks until that is done, or given up.
    pub fn shutdown(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// A request that is traced, while it is worked on.
pub struct Trace {
    traces: Arc<Traces>,
    parent: Context,
    /// The same instant on two clocks.
    began: (SystemTime, Instant),
    noted: Mutex<Noted>,
}

/// What is known of it by now.
#[derive(Default)]
struct Noted {
    attributes: Vec<KeyValue>,
    stages: Vec<Stage>,
}

/// A part of the work.
struct Stage {
    name: &'static str,
    from: Instant,
    took: Duration,
    attributes: Vec<KeyValue>,
    within: Vec<Stage>,
}

impl Stage {
    fn new(name: &'static str, from: Instant, took: Duration) -> Self {
        Self { name, from, took, attributes: Vec::new(), within: Vec::new() }
    }
}

impl Trace {
    /// A part of the work, from then until now.
    pub fn stage(&self, name: &'static str, from: Instant) {
        self.note(|noted| noted.stages.push(Stage::new(name, from, from.elapsed())));
    }

    /// A keystroke was answered.
    pub fn answered(&self, completion: &Completion, late: bool) {
        let text = |key: &'static str, value: &'static str| KeyValue::new(key, value);
        let mut attributes = vec![
            text("foretype.source", completion.source.name()),
            KeyValue::new("foretype.suggestions", completion.suggestions.len() as i64),
            KeyValue::new("foretype.late", late),
        ];
        attributes.extend(completion.silence.map(|silence| text("foretype.silence", silence.name())));
        if let Some(first) = completion.suggestions.first() {
            attributes.push(text("foretype.first.predictor", first.predictor.name()));
            attributes.push(text("foretype.first.kind", first.kind.name()));
        }
        for (predictor, status) in completion.predictors {
            attributes.push(KeyValue::new(format!("foretype.predictor.{}", predictor.name()), status.name()));
        }
        self.note(|noted| {
            noted.attributes.extend(attributes);
            noted.stages.extend(stages(completion));
        });
    }

    /// It was an HTTP request, answered with this status. `route` is the pattern, never the path: that holds a writer's name.
    pub fn finish_request(&self, method: &Method, route: &str, status: u16) {
        let attributes = vec![
            KeyValue::new("http.request.method", method.to_string()),
            KeyValue::new("http.route", route.to_owned()),
            KeyValue::new("http.response.status_code", i64::from(status)),
        ];
        self.finish(format!("{method} {route}"), attributes, status >= 500);
    }

    /// It was an edit over a WebSocket.
    pub fn finish_edit(&self, failed: bool) {
        self.finish("edit".to_owned(), Vec::new(), failed);
    }

    fn finish(&self, name: String, more: Vec<KeyValue>, failed: bool) {
        let Noted { mut attributes, stages } = self.note(std::mem::take);
        attributes.extend(more);
        let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Server).with_start_time(self.began.0);
        let mut span =
            self.traces.tracer.build_with_context(builder.with_attributes(attributes), &self.parent);
        if failed {
            span.set_status(Status::error(""));
        }
        let inside = Context::new().with_remote_span_context(span.span_context().clone());
        stages.into_iter().for_each(|stage| self.emit(stage, &inside));
        span.end();
    }

    fn emit(&self, stage: Stage, parent: &Context) {
        let start = self.began.0 + stage.from.saturating_duration_since(self.began.1);
        let builder = SpanBuilder::from_name(stage.name).with_start_time(start);
        let builder = builder.with_attributes(stage.attributes);
        let mut span = self.traces.tracer.build_with_context(builder, parent);
        let inside = Context::new().with_remote_span_context(span.span_context().clone());
        stage.within.into_iter().for_each(|part| self.emit(part, &inside));
        span.end_with_timestamp(start + stage.took);
    }

    /// A panic while it was held leaves at worst a stage behind.
    fn note<T>(&self, change: impl FnOnce(&mut Noted) -> T) -> T {
        change(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The stages of an answer: they follow each other.
fn stages(completion: &Completion) -> Vec<Stage> {
    let tables = completion.fast.saturating_sub(completion.decided);
    let mut stages = vec![Stage::new("fast tier", completion.began, tables)];
    let mut from = completion.began + tables;
    if let Some(neural) = completion.neural {
        let mut stage = Stage::new("neural tier", from, neural.elapsed);
        let count = |key: &'static str, count: u32| KeyValue::new(key, i64::from(count));
        stage.attributes.push(count("foretype.neural.passes", neural.passes));
        stage.attributes.push(count("foretype.neural.tokens", neural.tokens));
        if !neural.worked.is_zero() {
            stage.within.push(Stage::new("wait", from, neural.waited));
            stage.within.push(Stage::new("work", from + neural.waited, neural.worked));
        }
        stages.push(stage);
        from += neural.elapsed;
    }
    if !completion.decided.is_zero() {
        stages.push(Stage::new("mixture", from, completion.decided));
    }
    stages
}
