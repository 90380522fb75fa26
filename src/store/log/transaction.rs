use hashbrown::HashMap;

use super::floats::{self, Floats};
use super::gather::Sorted;
use super::held::{self, HeldSeries, PairTexts, SavedTail};
use crate::series::{Histogram, HistogramKind, Labels, ResetHint, Span, TimeRange};
use crate::store::bytes::{Reader, put_signed, put_text, put_u32, put_u64, put_varint};
use crate::store::types::{Exemplar, MetricMetadata, MetricType};

const SERIES: u8 = 1;
const FLOATS: u8 = 2;
const LATE_FLOATS: u8 = 3;
const HISTOGRAMS: u8 = 4;
const LATE_HISTOGRAMS: u8 = 5;
const EXEMPLARS: u8 = 6;
const METADATA: u8 = 7;
const DELETED: u8 = 8;
pub(super) const PAIRS: u8 = 9;
pub(super) const HELD: u8 = 10;
pub(super) const TAILS: u8 = 11;

/// A series as its segment knows it: by the order in which it is named there.
pub(in crate::store) type Number = u32;

/// A float of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct FloatRow {
    pub(in crate::store) series: Number,
    pub(in crate::store) time_ms: i64,
    /// The bits of the value; of one that came in order its difference (exclusive or) to the one
    /// that the segment has before for the series, or to 0.
    pub(in crate::store) bits: u64,
    pub(in crate::store) start_ms: i64,
}

/// A native histogram of a transaction.
#[derive(Clone, Debug)]
pub(in crate::store) struct HistogramRow<H> {
    pub(in crate::store) series: Number,
    pub(in crate::store) time_ms: i64,
    pub(in crate::store) start_ms: i64,
    pub(in crate::store) histogram: H,
}

/// Adds a value to the sum over the values of floats, by which replay sees whether it has the
/// values that they are the differences to.
#[inline]
pub(in crate::store) fn add_to_check(check: u32, bits: u64) -> u32 {
    check.rotate_left(5) ^ bits as u32 ^ (bits >> 32) as u32
}

/// Series that are named, with their label pairs by place in a table.
#[derive(Debug, Default)]
pub(in crate::store) struct NamedSeries {
    pub(in crate::store) pairs: Vec<(String, String)>,
    /// The number of the first; the others follow.
    pub(in crate::store) first: Number,
    pub(in crate::store) series: Vec<Vec<u32>>,
}

/// A part of a transaction, as read back.
pub(in crate::store) enum Section {
    Series(NamedSeries),
    /// With the check over their values.
    Floats(Floats, u32),
    /// Floats of many transactions that came in order, as replay hands them on.
    Sorted(Sorted),
    LateFloats(Floats),
    Histograms(Vec<HistogramRow<Histogram>>),
    LateHistograms(Vec<HistogramRow<Histogram>>),
    Exemplars(Vec<(Number, Exemplar)>),
    Metadata(Vec<(String, MetricMetadata)>),
    /// What was deleted of series, of all that came before.
    Deleted(Vec<(Number, TimeRange)>),
    /// The label pairs of the series that are held next.
    Pairs(PairTexts),
    Held(HeldSeries<Vec<u8>>),
    /// What the newest samples of series are; the first is of the series with the number given.
    Tails(Number, Vec<SavedTail>),
}

impl Section {
    /// Returns the time of the newest sample in it; `i64::MIN` without samples.
    pub(super) fn newest_ms(&self) -> i64 {
        match self {
            Section::Floats(floats, _) | Section::LateFloats(floats) => {
                newest(floats.times_ms.iter().copied())
            }
            Section::Histograms(rows) | Section::LateHistograms(rows) => {
                newest(rows.iter().map(|row| row.time_ms))
            }
            Section::Held(held) => held.newest_ms,
            _ => i64::MIN,
        }
    }
}

fn newest(times_ms: impl Iterator<Item = i64>) -> i64 {
    times_ms.max().unwrap_or(i64::MIN)
}

/// Puts the payload of a record together. Each part is given as something that can be walked over
/// more than once, since it is written in columns.
#[derive(Default)]
pub(in crate::store) struct TransactionWriter {
    payload: Vec<u8>,
    /// The bytes of values that are not 0, before they go behind the lengths.
    values: Vec<u8>,
}

impl TransactionWriter {
    pub(in crate::store) fn clear(&mut self) {
        self.payload.clear();
    }

    /// Returns the payload; empty when there is nothing to log.
    pub(in crate::store) fn payload(&self) -> &[u8] {
        &self.payload
    }

    pub(super) fn section(&mut self, tag: u8, count: usize, write: impl FnOnce(&mut Vec<u8>)) {
        if count == 0 {
            return;
        }
        self.payload.push(tag);
        let at = self.payload.len();
        put_u32(&mut self.payload, 0);
        put_varint(&mut self.payload, count as u64);
        write(&mut self.payload);
        let len = (self.payload.len() - at - 4) as u32;
        self.payload[at..at + 4].copy_from_slice(&len.to_le_bytes());
    }

    /// Names series, the first of them with the number `first`. Each is given as the numbers of
    /// its label pairs, whose text `text` knows.
    pub(in crate::store) fn series<'a>(
        &mut self,
        first: Number,
        series: impl Iterator<Item = &'a [u32]> + Clone,
        text: impl Fn(u32) -> (&'a str, &'a str),
    ) {
        self.section(SERIES, series.clone().count(), |into| {
            let mut places = HashMap::new();
            let mut order = Vec::new();
            for pair in series.clone().flatten() {
                places.entry(*pair).or_insert_with(|| {
                    order.push(*pair);
                    order.len() as u64 - 1
                });
            }
            put_varint(into, order.len() as u64);
            for pair in order {
                let (name, value) = text(pair);
                put_text(into, name);
                put_text(into, value);
            }
            put_varint(into, u64::from(first));
            for pairs in series {
                put_varint(into, pairs.len() as u64);
                for pair in pairs {
                    put_varint(into, places[pair]);
                }
            }
        });
    }

    /// Adds floats that came in order, and the check over their values.
    pub(in crate::store) fn floats(
        &mut self,
        rows: impl Iterator<Item = FloatRow> + Clone,
        check: u32,
    ) {
        let mut values = std::mem::take(&mut self.values);
        values.clear();
        self.rows(FLOATS, rows, |into, rows| {
            for row in rows {
                let above = row.bits.leading_zeros() / 8;
                let below = if row.bits == 0 { 0 } else { row.bits.trailing_zeros() / 8 };
                into.push((above << 4 | below) as u8);
                let bytes = row.bits.to_le_bytes();
                values.extend_from_slice(&bytes[below as usize..8 - above as usize]);
            }
            into.extend_from_slice(&values);
            put_u32(into, check);
        });
        self.values = values;
    }

    /// Adds floats that came late.
    pub(in crate::store) fn late_floats(&mut self, rows: impl Iterator<Item = FloatRow> + Clone) {
        self.rows(LATE_FLOATS, rows, |into, rows| {
            rows.for_each(|row| put_u64(into, row.bits));
        });
    }

    fn rows<R: Iterator<Item = FloatRow> + Clone>(
        &mut self,
        tag: u8,
        rows: R,
        put_values: impl FnOnce(&mut Vec<u8>, R),
    ) {
        let (mut count, mut any_start) = (0, false);
        for row in rows.clone() {
            count += 1;
            any_start |= row.start_ms != 0;
        }
        self.section(tag, count, |into| {
            into.push(u8::from(any_start));
            let mut before = 0;
            for row in rows.clone() {
                put_signed(into, i64::from(row.series) - before);
                before = i64::from(row.series);
            }
            let mut before = 0;
            for row in rows.clone() {
                put_signed(into, row.time_ms.wrapping_sub(before));
                before = row.time_ms;
            }
            if any_start {
                for row in rows.clone() {
                    put_signed(into, row.start_ms);
                }
            }
            put_values(into, rows);
        });
    }

    /// Adds histograms, those that came late apart.
    pub(in crate::store) fn histograms<'a>(
        &mut self,
        rows: impl Iterator<Item = HistogramRow<&'a Histogram>> + Clone,
        late: bool,
    ) {
        let tag = if late { LATE_HISTOGRAMS } else { HISTOGRAMS };
        self.section(tag, rows.clone().count(), |into| {
            for row in rows {
                put_varint(into, u64::from(row.series));
                put_signed(into, row.time_ms);
                put_signed(into, row.start_ms);
                put_histogram(into, row.histogram);
            }
        });
    }

    pub(in crate::store) fn exemplars<'a>(
        &mut self,
        exemplars: impl Iterator<Item = (Number, &'a Exemplar)> + Clone,
    ) {
        self.section(EXEMPLARS, exemplars.clone().count(), |into| {
            for (series, exemplar) in exemplars {
                put_varint(into, u64::from(series));
                put_signed(into, exemplar.time_ms);
                put_u64(into, exemplar.value.to_bits());
                put_labels(into, &exemplar.labels);
            }
        });
    }

    pub(in crate::store) fn metadata<'a>(
        &mut self,
        metadata: impl Iterator<Item = (&'a str, &'a MetricMetadata)> + Clone,
    ) {
        self.section(METADATA, metadata.clone().count(), |into| {
            for (metric, known) in metadata {
                put_text(into, metric);
                let kind = MetricType::ALL.iter().position(|kind| *kind == known.kind);
                into.push(kind.expect("ALL has every type") as u8);
                put_text(into, &known.help);
                put_text(into, &known.unit);
            }
        });
    }
}

impl TransactionWriter {
    /// Adds ranges of series that are deleted.
    pub(in crate::store) fn deleted(
        &mut self,
        series: impl Iterator<Item = Number> + Clone,
        range: TimeRange,
    ) {
        self.section(DELETED, series.clone().count(), |into| {
            for number in series {
                put_varint(into, u64::from(number));
                put_signed(into, range.start_ms);
                put_signed(into, range.end_ms);
            }
        });
    }
}

/// Reads the sections of a payload in order; `None` where it makes no sense. Sections of unknown
/// kinds are passed over.
pub(super) fn read_sections(payload: &[u8], visit: &mut dyn FnMut(Section)) -> Option<()> {
    let mut reader = Reader::new(payload);
    while !reader.is_empty() {
        let tag = reader.u8()?;
        let len = reader.u32()? as usize;
        let mut section = Reader::new(reader.take(len)?);
        let section = &mut section;
        visit(match tag {
            SERIES => Section::Series(read_series(section)?),
            FLOATS => {
                let floats = floats::read_ordered(section)?;
                Section::Floats(floats, section.u32()?)
            }
            LATE_FLOATS => Section::LateFloats(floats::read_late(section)?),
            HISTOGRAMS => Section::Histograms(read_histograms(section)?),
            LATE_HISTOGRAMS => Section::LateHistograms(read_histograms(section)?),
            EXEMPLARS => Section::Exemplars(read_many(section, 10, |reader| {
                let series = read_number(reader)?;
                let time_ms = reader.signed()?;
                let value = f64::from_bits(reader.u64()?);
                Some((series, Exemplar { labels: get_labels(reader)?, value, time_ms }))
            })?),
            METADATA => Section::Metadata(read_many(section, 4, |reader| {
                let metric = reader.text()?.to_owned();
                let kind = *MetricType::ALL.get(usize::from(reader.u8()?))?;
                let help = reader.text()?.to_owned();
                Some((metric, MetricMetadata { kind, help, unit: reader.text()?.to_owned() }))
            })?),
            DELETED => Section::Deleted(read_many(section, 3, |reader| {
                let series = read_number(reader)?;
                Some((series, TimeRange::new(reader.signed()?, reader.signed()?)))
            })?),
            PAIRS => Section::Pairs(held::read_pairs(section)?),
            HELD => Section::Held(held::read_held(section)?),
            TAILS => {
                let (first, tails) = held::read_tails(section)?;
                Section::Tails(first, tails)
            }
            _ => continue,
        });
    }
    Some(())
}

pub(super) fn read_number(reader: &mut Reader<'_>) -> Option<Number> {
    Number::try_from(reader.varint()?).ok()
}

fn read_series(reader: &mut Reader<'_>) -> Option<NamedSeries> {
    let count = reader.count(1)?;
    let pairs = read_pairs(reader)?;
    let first = read_number(reader)?;
    first.checked_add(Number::try_from(count).ok()?)?;
    let mut series = Vec::with_capacity(count.min(reader.remaining()));
    for _ in 0..count {
        let places: Vec<u32> = read_many(reader, 1, read_number)?;
        let named = places.iter().map(|place| pairs.get(*place as usize));
        let named: Vec<&(String, String)> = named.collect::<Option<_>>()?;
        named.is_sorted_by(|(a, _), (b, _)| a < b).then_some(())?;
        series.push(places);
    }
    Some(NamedSeries { pairs, first, series })
}

fn read_pairs(reader: &mut Reader<'_>) -> Option<Vec<(String, String)>> {
    let pairs = read_many(reader, 2, |reader| {
        Some((reader.text()?.to_owned(), reader.text()?.to_owned()))
    })?;
    pairs.iter().all(|(_, value)| !value.is_empty()).then_some(pairs)
}

fn read_histograms(reader: &mut Reader<'_>) -> Option<Vec<HistogramRow<Histogram>>> {
    read_many(reader, 3, |reader| {
        Some(HistogramRow {
            series: read_number(reader)?,
            time_ms: reader.signed()?,
            start_ms: reader.signed()?,
            histogram: get_histogram(reader)?,
        })
    })
}

pub(super) fn read_many<T>(
    reader: &mut Reader<'_>,
    bytes_min: usize,
    mut read: impl FnMut(&mut Reader<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = reader.count(bytes_min)?;
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        all.push(read(reader)?);
    }
    Some(all)
}

fn put_labels(into: &mut Vec<u8>, labels: &Labels) {
    put_varint(into, labels.len() as u64);
    for (name, value) in labels {
        put_text(into, name);
        put_text(into, value);
    }
}

fn get_labels(reader: &mut Reader<'_>) -> Option<Labels> {
    let count = reader.count(2)?;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        pairs.push((reader.text()?, reader.text()?));
    }
    let sorted = pairs.is_sorted_by(|(a, _), (b, _)| a < b);
    let whole = pairs.iter().all(|(_, value)| !value.is_empty());
    (sorted && whole).then(|| Labels::from_sorted(pairs))
}

const KIND_FLOAT: u8 = 1;

/// Appends a histogram, to the bit.
pub(in crate::store) fn put_histogram(into: &mut Vec<u8>, histogram: &Histogram) {
    let kind = match histogram.kind {
        HistogramKind::Integer => 0,
        HistogramKind::Float => KIND_FLOAT,
    };
    let hint = match histogram.reset_hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    };
    into.push(kind | hint << 1);
    put_signed(into, i64::from(histogram.schema));
    for spans in [&histogram.positive_spans, &histogram.negative_spans] {
        put_varint(into, spans.len() as u64);
        for span in spans {
            put_signed(into, i64::from(span.offset));
            put_varint(into, u64::from(span.len));
        }
    }
    let scalars = [histogram.zero_threshold, histogram.zero_count, histogram.count, histogram.sum];
    for value in scalars {
        put_u64(into, value.to_bits());
    }
    let columns =
        [&histogram.positive_buckets, &histogram.negative_buckets, &histogram.custom_bounds];
    for column in columns {
        put_varint(into, column.len() as u64);
        for value in column {
            put_u64(into, value.to_bits());
        }
    }
}

/// Reads what [`put_histogram`] wrote.
pub(in crate::store) fn get_histogram(reader: &mut Reader<'_>) -> Option<Histogram> {
    let flags = reader.u8()?;
    let kind = if flags & KIND_FLOAT == 0 { HistogramKind::Integer } else { HistogramKind::Float };
    let reset_hint = match flags >> 1 {
        0 => ResetHint::Unknown,
        1 => ResetHint::Reset,
        2 => ResetHint::NotReset,
        3 => ResetHint::Gauge,
        _ => return None,
    };
    let schema = i32::try_from(reader.signed()?).ok()?;
    let spans = |reader: &mut Reader<'_>| {
        read_many(reader, 2, |reader| {
            let offset = i32::try_from(reader.signed()?).ok()?;
            Some(Span { offset, len: u32::try_from(reader.varint()?).ok()? })
        })
    };
    let (positive_spans, negative_spans) = (spans(reader)?, spans(reader)?);
    let float = |reader: &mut Reader<'_>| reader.u64().map(f64::from_bits);
    let [zero_threshold, zero_count, count, sum] =
        [float(reader)?, float(reader)?, float(reader)?, float(reader)?];
    let column = |reader: &mut Reader<'_>| read_many(reader, 8, float);
    Some(Histogram {
        kind,
        schema,
        zero_threshold,
        zero_count,
        count,
        sum,
        positive_spans,
        positive_buckets: column(reader)?,
        negative_spans,
        negative_buckets: column(reader)?,
        custom_bounds: column(reader)?,
        reset_hint,
    })
}
