//! What this process has told: its log as JSON lines, and the spans that were exported.

use std::sync::LazyLock;

use celerysalt::monitor::Prometheus;
use celerysalt_tests::log::Log;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use serde_json::Value;
use tracing_subscriber::Layer;
use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt};

static SEEN: LazyLock<Seen> = LazyLock::new(Seen::install);

/// Everything that was told so far.
pub(crate) struct Seen {
    log: Log,
    exporter: InMemorySpanExporter,
    /// What is counted.
    pub(crate) prometheus: Prometheus,
    _provider: SdkTracerProvider,
}

/// From now on, everything is seen.
pub(crate) fn seen() -> &'static Seen {
    &SEEN
}

impl Seen {
    fn install() -> Self {
        let (log, exporter) = (Log::default(), InMemorySpanExporter::default());
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("tests"));
        let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(log.clone());
        let subscriber = tracing_subscriber::registry()
            .with(spans.with_filter(LevelFilter::INFO))
            .with(lines.with_filter(LevelFilter::TRACE));
        tracing::subscriber::set_global_default(subscriber).unwrap();
        Self { log, exporter, prometheus: Prometheus::install().unwrap(), _provider: provider }
    }

    /// The log as it was written.
    pub(crate) fn text(&self) -> String {
        self.log.text()
    }

    /// The lines of deliveries of one service.
    pub(crate) fn deliveries(&self, service: &str) -> Vec<Value> {
        let lines = self.log.lines("celerysalt::delivery");
        lines.into_iter().filter(|line| line["service"] == service).collect()
    }

    /// The spans that have ended, of one trace.
    pub(crate) fn spans(&self, trace_id: &str) -> Vec<SpanData> {
        let spans = self.exporter.get_finished_spans().unwrap();
        spans.into_iter().filter(|span| span.span_context.trace_id().to_string() == trace_id).collect()
    }
}

/// The sum of the series of a metric that have all of these labels, on a page of Prometheus's. None when there is none.
pub(crate) fn value(page: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let has = |line: &&str| labels.iter().all(|(name, value)| line.contains(&format!("{name}=\"{value}\"")));
    let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    let values = page.lines().filter(of_name).filter(has).map(|line| line.rsplit(' ').next().unwrap().parse::<f64>());
    values.map(Result::unwrap).fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

/// An attribute of a span, as text.
pub(crate) fn attribute(span: &SpanData, name: &str) -> Option<String> {
    span.attributes.iter().find(|attribute| attribute.key.as_str() == name).map(|found| found.value.to_string())
}
