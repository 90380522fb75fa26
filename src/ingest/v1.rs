//! Remote write 1.0: `prometheus.WriteRequest`.

use std::borrow::Cow;

use super::histogram::WireHistogram;
use super::labels::{Described, RawLabels, checked, series_labels};
use super::receiver::Writing;
use super::sample::Sample;
use super::wire::{DecodeError, Fields};
use crate::series::SeriesId;
use crate::store::{Exemplar, MetricMetadata, MetricType};

/// Adds what a message holds to a transaction.
pub(super) fn write(message: &[u8], writing: &mut Writing<'_>) -> Result<(), DecodeError> {
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => series(value.bytes()?, writing)?,
            3 => metadata(value.bytes()?, writing)?,
            _ => {}
        }
    }
    Ok(())
}

/// What is in a `TimeSeries`.
struct Layout<'a> {
    /// Its label fields, byte for byte.
    labels: Cow<'a, [u8]>,
    samples: usize,
    exemplars: usize,
    /// Where the first field that is no label begins, of which there is always one where samples
    /// are.
    others: usize,
}

fn layout(message: &[u8]) -> Result<Layout<'_>, DecodeError> {
    let mut fields = Fields::new(message);
    let (mut start, mut others) = (0, 0); // of the label section, and of the rest
    let mut next = fields.next()?;
    // As all senders do it: labels first.
    while matches!(next, Some((1, _))) {
        others = fields.offset();
        next = fields.next()?;
    }
    let labels = Cow::Borrowed(&message[..others]);
    let mut layout = Layout { labels, samples: 0, exemplars: 0, others };
    let mut from = others;
    loop {
        let Some((number, _)) = next else { return Ok(layout) };
        let to = fields.offset();
        match number {
            1 => match &mut layout.labels {
                Cow::Borrowed([]) => {
                    start = from;
                    layout.labels = Cow::Borrowed(&message[from..to]);
                }
                Cow::Borrowed(section) if start + section.len() == from => {
                    *section = &message[start..to];
                }
                scattered => scattered.to_mut().extend_from_slice(&message[from..to]),
            },
            2 | 4 => layout.samples += 1,
            3 => layout.exemplars += 1,
            _ => {}
        }
        from = to;
        next = fields.next()?;
    }
}

#[inline]
fn series(message: &[u8], writing: &mut Writing<'_>) -> Result<(), DecodeError> {
    if let Some((id, others)) = writing.transaction.expected(message)
        && !has_labels(Fields::from(message, others))?
    {
        debug_assert!(is_named(id, &message[..others], writing), "two series are spelled alike");
        return samples(id, message, others, writing);
    }
    let layout = layout(message)?;
    let spelling = writing.transaction.speller().spell(&layout.labels);
    let id = if let Some(id) = writing.transaction.known(spelling) {
        debug_assert!(is_named(id, &layout.labels, writing), "two series are spelled alike");
        id
    } else {
        let mut raw = labels(&layout.labels)?;
        match series_labels(&mut raw) {
            Ok(_) if layout.samples + layout.exemplars == 0 => return Ok(()),
            Ok(labels) => writing.transaction.series(Some(spelling), &labels),
            Err(error) => {
                writing.report.invalid_labels_samples += layout.samples;
                writing.report.line(format_args!("series {}: {error}", Described(&raw)));
                return Ok(());
            }
        }
    };
    samples(id, message, layout.others, writing)
}

/// Returns whether there are labels among the fields that follow the first ones.
#[inline]
fn has_labels(mut fields: Fields<'_>) -> Result<bool, DecodeError> {
    while let Some((number, _)) = fields.next()? {
        if number == 1 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns whether the series, unless it was forgotten, has these labels.
fn is_named(id: SeriesId, section: &[u8], writing: &mut Writing<'_>) -> bool {
    let Some(known) = writing.transaction.labels(id) else { return true };
    labels(section).is_ok_and(|mut raw| series_labels(&mut raw) == Ok(known))
}

/// Adds the samples, histograms and exemplars of a series, which begin at `others`.
#[inline]
fn samples(
    id: SeriesId,
    message: &[u8],
    others: usize,
    writing: &mut Writing<'_>,
) -> Result<(), DecodeError> {
    let mut fields = Fields::from(message, others);
    while let Some((number, value)) = fields.next()? {
        match number {
            2 => {
                let sample = Sample::decode(value.bytes()?)?;
                writing.transaction.sample(id, sample.time_ms, sample.value, 0);
            }
            // One that is invalid is ignored, as upstream does for this protocol.
            3 => {
                if let Some(exemplar) = exemplar(value.bytes()?)? {
                    writing.transaction.exemplar(id, exemplar);
                }
            }
            4 => {
                let wire = WireHistogram::decode(value.bytes()?)?;
                writing.histogram(id, wire, || Ok(Described(&labels(message)?).to_string()))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Returns the names and values of `Label` fields with number 1, whatever else is between them.
fn labels(message: &[u8]) -> Result<RawLabels<'_>, DecodeError> {
    let mut raw = RawLabels::new();
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        if number != 1 {
            continue;
        }
        let (mut name, mut text): (&[u8], &[u8]) = (&[], &[]);
        let mut parts = Fields::new(value.bytes()?);
        while let Some((number, part)) = parts.next()? {
            match number {
                1 => name = part.bytes()?,
                2 => text = part.bytes()?,
                _ => {}
            }
        }
        raw.push((name, text));
    }
    Ok(raw)
}

fn exemplar(message: &[u8]) -> Result<Option<Exemplar>, DecodeError> {
    let Ok(labels) = checked(&mut labels(message)?) else { return Ok(None) };
    let mut exemplar = Exemplar { labels, value: 0.0, time_ms: 0 };
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            2 => exemplar.value = value.double()?,
            3 => exemplar.time_ms = value.int64()?,
            _ => {}
        }
    }
    Ok(Some(exemplar))
}

fn metadata(message: &[u8], writing: &mut Writing<'_>) -> Result<(), DecodeError> {
    let mut metric = String::new();
    let mut metadata = MetricMetadata::default();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => metadata.kind = MetricType::from_wire(value.varint()?),
            2 => metric = text(value.bytes()?),
            4 => metadata.help = text(value.bytes()?),
            5 => metadata.unit = text(value.bytes()?),
            _ => {}
        }
    }
    if !metric.is_empty() {
        writing.transaction.metadata(&metric, metadata);
    }
    Ok(())
}
