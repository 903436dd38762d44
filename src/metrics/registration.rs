//! How a metric is registered, and how the series of what is gone are removed.

use std::cell::RefCell;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    CounterVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

/// A metric with labels, whatever it counts.
pub(super) trait Labelled: Send + Sync {
    /// Removes the series with this value of a label.
    fn forget(&self, label: &str, value: &str);
}

impl<B: MetricVecBuilder> Labelled for MetricVec<B> {
    fn forget(&self, label: &str, value: &str) {
        let described = self.desc();
        let Some(names) = described
            .first()
            .map(|described| &described.variable_labels)
        else {
            return;
        };
        if !names.iter().any(|name| name == label) {
            return;
        }
        for family in self.collect() {
            for metric in family.get_metric() {
                let of = |name: &String| {
                    let mut pairs = metric.get_label().iter();
                    pairs
                        .find(|pair| pair.name() == name)
                        .map(|pair| pair.value())
                };
                let values: Vec<&str> = names.iter().filter_map(of).collect();
                let mut labels = names.iter().zip(&values);
                let meant = labels.any(|(name, is)| name == label && *is == value);
                if meant && let Err(error) = self.remove_label_values(&values) {
                    tracing::debug!(%error, "a series is gone already");
                }
            }
        }
    }
}

/// What can be said about a metric before it has a value.
#[cfg(test)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    /// Its full name, prefix included.
    pub(super) name: String,
    /// `counter`, `gauge` or `histogram`.
    pub(super) kind: &'static str,
    /// Names of its labels.
    pub(super) labels: Vec<String>,
    /// One sentence.
    pub(super) help: String,
}

#[cfg(test)]
impl Definition {
    fn of(metric: &impl Collector) -> impl Iterator<Item = Self> {
        let kinds = metric
            .collect()
            .into_iter()
            .map(|family| match family.get_field_type() {
                prometheus::proto::MetricType::COUNTER => "counter",
                prometheus::proto::MetricType::GAUGE => "gauge",
                _ => "histogram",
            });
        metric
            .desc()
            .into_iter()
            .zip(kinds)
            .map(|(described, kind)| Self {
                name: described.fq_name.clone(),
                kind,
                labels: described.variable_labels.clone(),
                help: described.help.clone(),
            })
    }
}

/// Registers metrics, and keeps those with labels for the removal of series.
pub(super) struct Adder<'a> {
    registry: &'a Registry,
    #[cfg(test)]
    definitions: RefCell<Vec<Definition>>,
    labelled: RefCell<Vec<Box<dyn Labelled>>>,
}

impl<'a> Adder<'a> {
    pub(super) fn new(registry: &'a Registry) -> Self {
        Self {
            registry,
            #[cfg(test)]
            definitions: RefCell::default(),
            labelled: RefCell::default(),
        }
    }

    /// The metrics with labels.
    pub(super) fn labelled(&self) -> Vec<Box<dyn Labelled>> {
        self.labelled.take()
    }

    /// The definitions of all metrics.
    #[cfg(test)]
    pub(super) fn definitions(&self) -> Vec<Definition> {
        self.definitions.take()
    }

    fn add<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, prometheus::Error> {
        self.registry.register(Box::new(metric.clone()))?;
        #[cfg(test)]
        self.definitions
            .borrow_mut()
            .extend(Definition::of(&metric));
        Ok(metric)
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.add(IntCounter::new(name, help)?)
    }

    pub(super) fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.labelled.borrow_mut().push(Box::new(metric.clone()));
        self.add(metric)
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.add(IntGauge::new(name, help)?)
    }

    pub(super) fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, prometheus::Error> {
        let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
        self.labelled.borrow_mut().push(Box::new(metric.clone()));
        self.add(metric)
    }

    pub(super) fn float_counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<CounterVec, prometheus::Error> {
        let metric = CounterVec::new(Opts::new(name, help), labels)?;
        self.labelled.borrow_mut().push(Box::new(metric.clone()));
        self.add(metric)
    }

    pub(super) fn histogram(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> Result<Histogram, prometheus::Error> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.add(Histogram::with_opts(options)?)
    }

    pub(super) fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, prometheus::Error> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let metric = HistogramVec::new(options, labels)?;
        self.labelled.borrow_mut().push(Box::new(metric.clone()));
        self.add(metric)
    }
}
