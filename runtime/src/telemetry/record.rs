//! How a metric is recorded: by the facade `metrics`, or, without that feature, not at all, and its labels are not made.

use std::time::Duration;

/// A label's value. Static ones, and shared ones, are cloned for nothing.
#[cfg(feature = "metrics")]
pub(crate) type Text = metrics::SharedString;
#[cfg(not(feature = "metrics"))]
pub(crate) type Text = std::borrow::Cow<'static, str>;

#[cfg(feature = "metrics")]
fn labels<const N: usize>(values: [(&'static str, Text); N]) -> Vec<metrics::Label> {
    values.into_iter().map(|(name, value)| metrics::Label::new(name, value)).collect()
}

/// Counts `count` more.
pub(crate) fn add<const N: usize>(name: &'static str, count: u64, values: impl FnOnce() -> [(&'static str, Text); N]) {
    #[cfg(feature = "metrics")]
    metrics::counter!(name, labels(values())).increment(count);
    #[cfg(not(feature = "metrics"))]
    let _ = (name, count, values);
}

/// A time that something took.
pub(crate) fn seconds<const N: usize>(
    name: &'static str,
    took: Duration,
    values: impl FnOnce() -> [(&'static str, Text); N],
) {
    #[cfg(feature = "metrics")]
    metrics::histogram!(name, labels(values())).record(took);
    #[cfg(not(feature = "metrics"))]
    let _ = (name, took, values);
}

/// How something stands.
pub(crate) fn level<const N: usize>(
    name: &'static str,
    value: f64,
    values: impl FnOnce() -> [(&'static str, Text); N],
) {
    #[cfg(feature = "metrics")]
    metrics::gauge!(name, labels(values())).set(value);
    #[cfg(not(feature = "metrics"))]
    let _ = (name, value, values);
}

/// One more of something, for as long as this lives: also when what it counts is dropped half-way.
#[cfg(feature = "metrics")]
pub(crate) struct InFlight(metrics::Gauge);
#[cfg(not(feature = "metrics"))]
pub(crate) struct InFlight;

impl InFlight {
    pub(crate) fn begin<const N: usize>(
        name: &'static str,
        values: impl FnOnce() -> [(&'static str, Text); N],
    ) -> Self {
        #[cfg(feature = "metrics")]
        {
            let gauge = metrics::gauge!(name, labels(values()));
            gauge.increment(1);
            Self(gauge)
        }
        #[cfg(not(feature = "metrics"))]
        {
            let _ = (name, values);
            Self
        }
    }
}

#[cfg(feature = "metrics")]
impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
