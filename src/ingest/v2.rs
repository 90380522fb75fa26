//! Remote write 2.0: `io.prometheus.write.v2.Request`, whose texts are references into a table.

use super::histogram::WireHistogram;
use super::labels::{Described, LabelError, RawLabels, checked, series_labels};
use super::receiver::Writing;
use super::sample::Sample;
use super::wire::{DecodeError, Fields};
use crate::series::{METRIC_NAME, SeriesId};
use crate::store::{Exemplar, MetricMetadata, MetricType, Speller, Spelling};

/// Buffers that one request leaves to the next.
#[derive(Default)]
pub(super) struct Scratch {
    /// The label references of a series.
    refs: Vec<u32>,
    /// How each text of the request is spelled.
    spellings: Vec<Spelling>,
    /// The references of the metadata that came last: name, type, help, unit. Senders repeat them
    /// with every series of a metric.
    metadata: Option<[u32; 4]>,
}

/// Adds what a message holds to a transaction.
pub(super) fn write(
    message: &[u8],
    writing: &mut Writing<'_>,
    scratch: &mut Scratch,
) -> Result<(), DecodeError> {
    let mut symbols: Vec<&[u8]> = Vec::new();
    let speller = writing.transaction.speller();
    scratch.spellings.clear();
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        if number == 4 {
            let text = value.bytes()?;
            symbols.push(text);
            scratch.spellings.push(speller.spell(text));
        }
    }
    let symbols = Symbols(symbols);
    scratch.metadata = None;
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        if number == 5 {
            series(value.bytes()?, &symbols, writing, scratch)?;
        }
    }
    Ok(())
}

/// The texts of a request.
struct Symbols<'a>(Vec<&'a [u8]>);

impl<'a> Symbols<'a> {
    #[inline]
    fn get(&self, index: u32) -> Result<&'a [u8], LabelError> {
        let found = self.0.get(index as usize).copied();
        found.ok_or(LabelError::NoSymbol { index, count: self.0.len() })
    }

    fn text(&self, index: u32) -> Result<String, LabelError> {
        Ok(String::from_utf8_lossy(self.get(index)?).into_owned())
    }

    /// Returns names and values; those that there are no symbols for are missing.
    fn described(&self, refs: &[u32]) -> String {
        let (pairs, _) = refs.as_chunks::<2>();
        let known = pairs
            .iter()
            .filter_map(|pair| Some((self.get(pair[0]).ok()?, self.get(pair[1]).ok()?)));
        Described(&known.collect()).to_string()
    }

    fn labels(&self, refs: &[u32]) -> Result<RawLabels<'a>, LabelError> {
        let (pairs, []) = refs.as_chunks::<2>() else { return Err(LabelError::OddReferences) };
        pairs.iter().map(|pair| Ok((self.get(pair[0])?, self.get(pair[1])?))).collect()
    }
}

/// Returns how a series is spelled: by the texts of its labels, whatever their numbers are in this
/// request. `None` where there is no text for a reference.
#[inline]
fn spell(refs: &[u32], spellings: &[Spelling], speller: &Speller) -> Option<Spelling> {
    if refs.iter().any(|index| *index as usize >= spellings.len()) {
        return None;
    }
    Some(speller.join(refs.iter().map(|index| spellings[*index as usize])))
}

#[inline]
fn series(
    message: &[u8],
    symbols: &Symbols<'_>,
    writing: &mut Writing<'_>,
    scratch: &mut Scratch,
) -> Result<(), DecodeError> {
    let Scratch { refs, spellings, metadata: last_metadata } = scratch;
    refs.clear();
    let (mut samples, mut metadata) = (0, None);
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => value.varints(|index| refs.push(index as u32))?,
            2 | 3 => samples += 1,
            5 => metadata = Some(value.bytes()?),
            _ => {}
        }
    }
    if samples == 0 {
        let series = symbols.described(refs);
        let error = "there is no sample and no histogram";
        writing.report.line(format_args!("series {series}: {error}"));
        return Ok(());
    }
    let id = match find(symbols, refs, spellings, writing) {
        Ok(id) => id,
        Err(error) => {
            writing.report.invalid_labels_samples += samples;
            let series = symbols.described(refs);
            writing.report.line(format_args!("series {series}: {error}"));
            return Ok(());
        }
    };
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            2 => {
                let sample = Sample::decode(value.bytes()?)?;
                writing.transaction.sample(id, sample.time_ms, sample.value, sample.start_ms);
            }
            3 => {
                let wire = WireHistogram::decode(value.bytes()?)?;
                writing.histogram(id, wire, || Ok(symbols.described(refs)))?;
            }
            4 => match exemplar(value.bytes()?, symbols)? {
                Ok(exemplar) => writing.transaction.exemplar(id, exemplar),
                Err(error) => {
                    let series = symbols.described(refs);
                    writing.report.line(format_args!("exemplar of {series}: {error}"));
                }
            },
            _ => {}
        }
    }
    if let Some(message) = metadata {
        self::metadata(message, symbols, refs, last_metadata, writing)?;
    }
    Ok(())
}

#[inline]
fn find(
    symbols: &Symbols<'_>,
    refs: &[u32],
    spellings: &[Spelling],
    writing: &mut Writing<'_>,
) -> Result<SeriesId, LabelError> {
    let spelling = spell(refs, spellings, writing.transaction.speller());
    let known = spelling.and_then(|spelling| writing.transaction.known(spelling));
    if let Some(id) = known {
        debug_assert!(
            (writing.transaction.labels(id)).is_none_or(|known| {
                let spelled = symbols.labels(refs).and_then(|mut raw| series_labels(&mut raw));
                spelled == Ok(known)
            }),
            "two series are spelled alike"
        );
        return Ok(id);
    }
    let labels = series_labels(&mut symbols.labels(refs)?)?;
    Ok(writing.transaction.series(spelling, &labels))
}

fn exemplar(
    message: &[u8],
    symbols: &Symbols<'_>,
) -> Result<Result<Exemplar, LabelError>, DecodeError> {
    let mut refs = Vec::new();
    let (mut number_seen, mut time_ms) = (0.0, 0);
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => value.varints(|index| refs.push(index as u32))?,
            2 => number_seen = value.double()?,
            3 => time_ms = value.int64()?,
            _ => {}
        }
    }
    let labels = symbols.labels(&refs).and_then(|mut raw| checked(&mut raw));
    Ok(labels.map(|labels| Exemplar { labels, value: number_seen, time_ms }))
}

fn metadata(
    message: &[u8],
    symbols: &Symbols<'_>,
    refs: &[u32],
    last: &mut Option<[u32; 4]>,
    writing: &mut Writing<'_>,
) -> Result<(), DecodeError> {
    let (mut kind, mut help, mut unit) = (0, 0, 0);
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => kind = value.uint32()?,
            3 => help = value.uint32()?,
            4 => unit = value.uint32()?,
            _ => {}
        }
    }
    if kind == 0 && help == 0 && unit == 0 {
        return Ok(());
    }
    let pairs = refs.as_chunks::<2>().0;
    let is_name = |pair: &&[u32; 2]| symbols.get(pair[0]) == Ok(METRIC_NAME.as_bytes());
    let Some([_, metric]) = pairs.iter().find(is_name) else { return Ok(()) };
    let these = Some([*metric, kind, help, unit]);
    if std::mem::replace(last, these) == these {
        return Ok(());
    }
    let all = || -> Result<(String, MetricMetadata), LabelError> {
        let (help, unit) = (symbols.text(help)?, symbols.text(unit)?);
        Ok((
            symbols.text(*metric)?,
            MetricMetadata { kind: MetricType::from_wire(kind.into()), help, unit },
        ))
    };
    match all() {
        Ok((metric, metadata)) => writing.transaction.metadata(&metric, metadata),
        Err(error) => {
            let series = symbols.described(refs);
            writing.report.line(format_args!("metadata of {series}: {error}"));
        }
    }
    Ok(())
}
