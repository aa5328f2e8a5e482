//! The metrics as Prometheus reads them.

use std::{fmt, time::Duration};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::telemetry::{Kind, METRICS, describe};

/// From half a millisecond to a minute.
const SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// How often what was observed is put into its buckets, when nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);

/// A recorder for the whole program, and what reads it.
///
/// ```
/// use celerysalt::monitor::Prometheus;
///
/// // First of all: what is counted before goes nowhere.
/// let prometheus = Prometheus::install()?;
/// println!("{}", prometheus.render());
/// # Ok::<(), celerysalt::monitor::PrometheusError>(())
/// ```
#[derive(Clone)]
pub struct Prometheus(PrometheusHandle);

/// Why there is no recorder.
#[derive(Debug, thiserror::Error)]
#[error("the recorder of metrics can't be installed: {0}; a program has one, so give its handle to `Prometheus::of`")]
pub struct PrometheusError(#[source] BuildError);

impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prometheus")
    }
}

impl Prometheus {
    /// Installs a recorder for this program, with histograms for the times of [`METRICS`]. A thread keeps it in order for
    /// as long as the program runs.
    ///
    /// # Errors
    /// [`PrometheusError`] when the program has a recorder already.
    pub fn install() -> Result<Self, PrometheusError> {
        let mut builder = PrometheusBuilder::new();
        for metric in METRICS.iter().filter(|metric| metric.kind == Kind::Seconds) {
            builder = builder
                .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), &SECONDS)
                .map_err(PrometheusError)?;
        }
        let handle = builder.install_recorder().map_err(PrometheusError)?;
        describe();
        let upkept = handle.clone();
        let keep = move || {
            loop {
                std::thread::sleep(UPKEEP);
                upkept.run_upkeep();
            }
        };
        // Without it the page still tells everything; what was observed only waits in memory until somebody asks.
        if let Err(error) = std::thread::Builder::new().name("celerysalt-metrics".to_owned()).spawn(keep) {
            tracing::warn!(%error, "the recorder of metrics is kept in order only when it is read");
        }
        Ok(Self(handle))
    }

    /// Of a recorder that the program has installed itself.
    pub fn of(handle: PrometheusHandle) -> Self {
        describe();
        Self(handle)
    }

    /// The page.
    pub fn render(&self) -> String {
        self.0.render()
    }
}
