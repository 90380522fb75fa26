use crate::series::{Histogram, HistogramKind, Labels, ResetHint, SeriesId, Span};
use crate::store::bytes::{Reader, put_signed, put_text, put_u32, put_u64, put_varint};
use crate::store::types::{Exemplar, MetricMetadata, MetricType};

const SERIES: u8 = 1;
const FLOATS: u8 = 2;
const HISTOGRAMS: u8 = 3;
const EXEMPLARS: u8 = 4;
const METADATA: u8 = 5;

/// A float of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct FloatRow {
    pub(in crate::store) series: SeriesId,
    pub(in crate::store) time_ms: i64,
    pub(in crate::store) bits: u64,
    pub(in crate::store) start_ms: i64,
}

/// A native histogram of a transaction.
#[derive(Clone, Debug)]
pub(in crate::store) struct HistogramRow<H> {
    pub(in crate::store) series: SeriesId,
    pub(in crate::store) time_ms: i64,
    pub(in crate::store) start_ms: i64,
    pub(in crate::store) histogram: H,
}

/// A part of a transaction, as read back.
pub(in crate::store) enum Section {
    Series(Vec<(SeriesId, Labels)>),
    Floats(Vec<FloatRow>),
    Histograms(Vec<HistogramRow<Histogram>>),
    Exemplars(Vec<(SeriesId, Exemplar)>),
    Metadata(Vec<(String, MetricMetadata)>),
}

/// Puts the payload of a record together. Each part is given as something that can be walked over
/// more than once, since it is written in columns.
#[derive(Default)]
pub(in crate::store) struct TransactionWriter {
    payload: Vec<u8>,
}

impl TransactionWriter {
    pub(in crate::store) fn clear(&mut self) {
        self.payload.clear();
    }

    /// Returns the payload; empty when there is nothing to log.
    pub(in crate::store) fn payload(&self) -> &[u8] {
        &self.payload
    }

    fn section(&mut self, tag: u8, count: usize, write: impl FnOnce(&mut Vec<u8>)) {
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

    pub(in crate::store) fn series<'a>(
        &mut self,
        series: impl Iterator<Item = (SeriesId, &'a Labels)> + Clone,
    ) {
        self.section(SERIES, series.clone().count(), |into| {
            for (id, labels) in series {
                put_varint(into, id.0);
                put_labels(into, labels);
            }
        });
    }

    pub(in crate::store) fn floats(&mut self, rows: impl Iterator<Item = FloatRow> + Clone) {
        let (mut count, mut any_start) = (0, false);
        for row in rows.clone() {
            count += 1;
            any_start |= row.start_ms != 0;
        }
        self.section(FLOATS, count, |into| {
            into.push(u8::from(any_start));
            let mut before = 0;
            for row in rows.clone() {
                put_signed(into, (row.series.0 as i64).wrapping_sub(before));
                before = row.series.0 as i64;
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
            for row in rows {
                put_u64(into, row.bits);
            }
        });
    }

    pub(in crate::store) fn histograms<'a>(
        &mut self,
        rows: impl Iterator<Item = HistogramRow<&'a Histogram>> + Clone,
    ) {
        self.section(HISTOGRAMS, rows.clone().count(), |into| {
            for row in rows {
                put_varint(into, row.series.0);
                put_signed(into, row.time_ms);
                put_signed(into, row.start_ms);
                put_histogram(into, row.histogram);
            }
        });
    }

    pub(in crate::store) fn exemplars<'a>(
        &mut self,
        exemplars: impl Iterator<Item = (SeriesId, &'a Exemplar)> + Clone,
    ) {
        self.section(EXEMPLARS, exemplars.clone().count(), |into| {
            for (series, exemplar) in exemplars {
                put_varint(into, series.0);
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
            SERIES => Section::Series(read_many(section, 2, |reader| {
                Some((SeriesId(reader.varint()?), get_labels(reader)?))
            })?),
            FLOATS => Section::Floats(read_floats(section)?),
            HISTOGRAMS => Section::Histograms(read_many(section, 3, |reader| {
                Some(HistogramRow {
                    series: SeriesId(reader.varint()?),
                    time_ms: reader.signed()?,
                    start_ms: reader.signed()?,
                    histogram: get_histogram(reader)?,
                })
            })?),
            EXEMPLARS => Section::Exemplars(read_many(section, 10, |reader| {
                let series = SeriesId(reader.varint()?);
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
            _ => continue,
        });
    }
    Some(())
}

fn read_many<T>(
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

fn read_floats(reader: &mut Reader<'_>) -> Option<Vec<FloatRow>> {
    let count = reader.count(10)?;
    let any_start = reader.u8()? != 0;
    let empty = FloatRow { series: SeriesId(0), time_ms: 0, bits: 0, start_ms: 0 };
    let mut rows = vec![empty; count];
    let mut before = 0i64;
    for row in &mut rows {
        before = before.wrapping_add(reader.signed()?);
        row.series = SeriesId(before as u64);
    }
    let mut before = 0i64;
    for row in &mut rows {
        before = before.wrapping_add(reader.signed()?);
        row.time_ms = before;
    }
    if any_start {
        for row in &mut rows {
            row.start_ms = reader.signed()?;
        }
    }
    for row in &mut rows {
        row.bits = reader.u64()?;
    }
    Some(rows)
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
