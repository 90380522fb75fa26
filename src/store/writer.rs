use std::sync::Arc;

use hashbrown::HashMap;

use super::appender::{Batch, Row};
use super::forget::Forgotten;
use super::head::Stored;
use super::judge::{Bounds, FUTURE_MAX_MS, JudgeOptions, Tail, TailKind, Tails, Verdict};
use super::log::{FloatRow, HistogramRow, Log, Number, Ticket, TransactionWriter, add_to_check};
use super::types::{Committed, Exemplar, Refused, RefusedKind, RefusedReason};
use super::{AppendError, Inner};
use crate::series::{HistogramPoint, Labels, SeriesId};

/// The labels and the value of an exemplar may have this many characters together.
const EXEMPLAR_CHARS_MAX: usize = 128;

/// So many series are brought near the processor at once.
pub(super) const WARM: usize = 32;

/// What the one writer of the head owns.
pub(super) struct Writer {
    pub(super) tails: Tails,
    pub(super) log: Log,
    /// The newest sample stored anywhere, ms; `i64::MIN` in an empty store.
    pub(super) newest_ms: i64,
    /// The end of what was cut into blocks, ms, exclusive; `i64::MIN` where there is none.
    pub(super) blocks_end_ms: i64,
    pub(super) forgotten: Forgotten,
    pub(super) closed: bool,
    fates: Vec<Fate>,
    /// The tails that the present transaction has moved, as they were.
    undo: Vec<(SeriesId, Tail)>,
    /// What the floats of the present transaction that came in order are the differences to.
    bases: Vec<u64>,
    /// The series that the present transaction is the first of its log segment to name.
    pub(super) named: Vec<SeriesId>,
    pub(super) numbers: Numbers,
    pub(super) record: TransactionWriter,
}

/// The numbers that a log segment has given to series.
#[derive(Clone, Copy, Default)]
pub(super) struct Numbers {
    segment: u32,
    pub(super) next: Number,
}

/// What is done with a sample that was judged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Ordered,
    Late,
    /// There already, to the bit.
    Known,
    Refused,
}

impl Writer {
    pub(super) fn new(log: Log, tails: Tails, newest_ms: i64, blocks_end_ms: i64) -> Writer {
        Writer {
            tails,
            log,
            newest_ms,
            blocks_end_ms,
            forgotten: Forgotten::default(),
            closed: false,
            fates: Vec::new(),
            undo: Vec::new(),
            bases: Vec::new(),
            named: Vec::new(),
            numbers: Numbers::default(),
            record: TransactionWriter::default(),
        }
    }

    /// Syncs the log; from here on nothing is taken.
    pub(super) fn close(&mut self) -> std::io::Result<()> {
        self.closed = true;
        self.log.sync()
    }

    /// Takes back what judging a transaction did. The segment that did not take it is given up, and
    /// the numbers in it with it.
    pub(super) fn roll_back(&mut self) {
        for (series, tail) in self.undo.drain(..).rev() {
            *self.tails.get(series) = tail;
        }
        self.numbers = Numbers::default();
    }

    /// Begins a transaction in the segment that is written to.
    pub(super) fn begin(&mut self) {
        let segment = self.log.current_number() as u32;
        if self.numbers.segment != segment {
            self.numbers = Numbers { segment, next: 0 };
        }
        self.fates.clear();
        self.undo.clear();
        self.bases.clear();
        self.named.clear();
    }

    /// Returns the tail of a series that is going to be logged, under a number that the present
    /// segment has.
    #[inline]
    pub(super) fn tail_to_log(&mut self, id: SeriesId) -> &mut Tail {
        let Numbers { segment, next } = self.numbers;
        let tail = self.tails.get(id);
        self.undo.push((id, *tail));
        if tail.segment != segment {
            tail.name(segment, next);
            self.numbers.next += 1;
            self.named.push(id);
        }
        tail
    }
}

impl Inner {
    /// Stores a batch or, after an error, nothing of it.
    pub(super) fn commit(&self, batch: &mut Batch) -> Result<Committed, AppendError> {
        let (committed, ticket) = self.write(batch)?;
        self.wait(ticket)?;
        Ok(committed)
    }

    /// Waits until a record is as safe as the options say.
    pub(super) fn wait(&self, ticket: Option<Ticket>) -> Result<(), AppendError> {
        let Some(ticket) = ticket else { return Ok(()) };
        ticket
            .wait()
            .map_err(|source| AppendError::Sync { path: self.options.dir.join("wal"), source })
    }

    fn write(&self, batch: &mut Batch) -> Result<(Committed, Option<Ticket>), AppendError> {
        let mut writer = self.writer.lock();
        if writer.closed {
            return Err(AppendError::Closed);
        }
        writer.log.ensure_open()?;
        writer.begin();
        let now_ms = self.clock.now_ms();
        self.revive(&mut writer, batch);
        let mut committed = Committed::default();
        self.judge(&mut writer, batch, now_ms, &mut committed);
        self.judge_exemplars(batch, now_ms, &mut committed);
        let ticket = match self.log(&mut writer, batch) {
            Ok(ticket) => ticket,
            Err(error) => {
                writer.roll_back();
                return Err(error);
            }
        };
        self.publish(&mut writer, batch);
        self.count(&writer, &committed);
        Ok((committed, ticket))
    }

    /// Creates anew the series that were forgotten between the start of the transaction and here.
    fn revive(&self, writer: &mut Writer, batch: &mut Batch) {
        let samples = batch.samples.iter_mut().map(|row| &mut row.series);
        for series in samples.chain(batch.exemplars.iter_mut().map(|(series, _)| series)) {
            if writer.tails.is_forgotten(*series)
                && let Some(labels) = writer.forgotten.labels(*series)
            {
                *series = self.head.write().find_or_create(labels);
            }
        }
    }

    fn judge(&self, writer: &mut Writer, batch: &Batch, now_ms: i64, committed: &mut Committed) {
        let options = JudgeOptions {
            out_of_order_window_ms: self.options.out_of_order_window_ms,
            block_range_ms: self.options.block_range_ms,
        };
        let bounds = Bounds::new(now_ms, writer.newest_ms, writer.blocks_end_ms, &options);
        let mut fates = std::mem::take(&mut writer.fates);
        let mut pending = Pending::default();
        for (at, row) in batch.samples.iter().enumerate() {
            let tail = *writer.tails.get(row.series);
            let fate = match bounds.judge(&tail, row.time_ms) {
                Verdict::Ordered => {
                    let segment = writer.numbers.segment;
                    let tail = writer.tail_to_log(row.series);
                    let base = tail.base(segment);
                    tail.time_ms = row.time_ms;
                    if row.is_histogram {
                        (tail.kind, tail.bits) = (TailKind::Histogram, 0);
                    } else {
                        (tail.kind, tail.bits, tail.is_base) = (TailKind::Float, row.bits, true);
                        writer.bases.push(base);
                    }
                    Ok(Fate::Ordered)
                }
                Verdict::SameTime if !row.is_histogram && tail.kind == TailKind::Float => {
                    let same = tail.bits == row.bits;
                    if same { Ok(Fate::Known) } else { Err(RefusedReason::Duplicate) }
                }
                Verdict::SameTime | Verdict::Late => {
                    let taken = pending
                        .find(batch, &fates, row.series, row.time_ms)
                        .or_else(|| self.head.read().sample_at(row.series, row.time_ms));
                    match taken {
                        None => Ok(Fate::Late),
                        Some(taken) if taken.bits_equal(&stored(batch, row)) => Ok(Fate::Known),
                        Some(_) => Err(RefusedReason::Duplicate),
                    }
                }
                Verdict::Refused(reason) => Err(reason),
            };
            match fate {
                Ok(_) if row.is_histogram => committed.histograms += 1,
                Ok(_) => committed.samples += 1,
                Err(reason) => {
                    let what =
                        if row.is_histogram { RefusedKind::Histogram } else { RefusedKind::Sample };
                    committed.refused.push(self.refused(row.series, row.time_ms, what, reason));
                }
            }
            fates.push(fate.unwrap_or(Fate::Refused));
            debug_assert_eq!(fates.len(), at + 1);
        }
        writer.fates = fates;
    }

    /// Keeps of the batch's exemplars those to store.
    fn judge_exemplars(&self, batch: &mut Batch, now_ms: i64, committed: &mut Committed) {
        if batch.exemplars.is_empty() {
            return;
        }
        let mut newest: HashMap<SeriesId, Exemplar> = HashMap::new();
        let latest_ms = now_ms.saturating_add(FUTURE_MAX_MS);
        batch.exemplars.retain(|(series, exemplar)| {
            let chars = |text: &str| text.chars().count();
            let len: usize = exemplar.labels.iter().map(|(n, v)| chars(n) + chars(v)).sum();
            if len > EXEMPLAR_CHARS_MAX || exemplar.time_ms > latest_ms {
                return false;
            }
            let before = newest
                .get(series)
                .cloned()
                .or_else(|| self.head.read().exemplars(*series).next_back().cloned());
            let order = before.as_ref().map(|before| exemplar_order(exemplar, before));
            match order {
                Some(_) if before.is_some_and(|before| before.bits_equal(exemplar)) => {
                    committed.exemplars += 1;
                    false
                }
                Some(std::cmp::Ordering::Less) => {
                    let (what, reason) = (RefusedKind::Exemplar, RefusedReason::OutOfOrder);
                    committed.refused.push(self.refused(*series, exemplar.time_ms, what, reason));
                    false
                }
                _ => {
                    committed.exemplars += 1;
                    newest.insert(*series, exemplar.clone());
                    true
                }
            }
        });
    }

    fn refused(
        &self,
        series: SeriesId,
        time_ms: i64,
        what: RefusedKind,
        reason: RefusedReason,
    ) -> Refused {
        let labels = self.head.read().labels(series).unwrap_or_else(Labels::empty);
        Refused { labels, time_ms, what, reason }
    }

    /// Writes what was judged to the log, as one record.
    fn log(&self, writer: &mut Writer, batch: &mut Batch) -> Result<Option<Ticket>, AppendError> {
        let first = writer.numbers.next - writer.named.len() as Number;
        for at in 0..writer.fates.len() {
            if writer.fates[at] == Fate::Late {
                writer.tail_to_log(batch.samples[at].series);
            }
        }
        for (series, _) in &batch.exemplars {
            writer.tail_to_log(*series);
        }
        let Writer { record, tails, fates, bases, named, .. } = writer;
        record.clear();
        {
            let head = self.head.read();
            batch.metadata.retain(|(metric, known)| head.metadata.get(metric) != Some(known));
            let named = named.iter().map(|id| head.pair_ids(*id));
            record.series(first, named, |pair| head.index().text(pair));
        }
        let tails = &*tails;
        let rows = |fate: Fate, is_histogram: bool| {
            let rows = batch.samples.iter().zip(fates.iter());
            let rows = rows
                .filter(move |(row, found)| **found == fate && row.is_histogram == is_histogram);
            rows.map(|(row, _)| row)
        };
        let float = |row: &Row, base: u64| FloatRow {
            series: tails.number(row.series),
            time_ms: row.time_ms,
            bits: row.bits ^ base,
            start_ms: row.start_ms,
        };
        let ordered = rows(Fate::Ordered, false).zip(bases.iter());
        let check = rows(Fate::Ordered, false).fold(0, |check, row| add_to_check(check, row.bits));
        record.floats(ordered.map(|(row, base)| float(row, *base)), check);
        record.late_floats(rows(Fate::Late, false).map(|row| float(row, 0)));
        for (fate, late) in [(Fate::Ordered, false), (Fate::Late, true)] {
            let rows = rows(fate, true).map(|row| HistogramRow {
                series: tails.number(row.series),
                time_ms: row.time_ms,
                start_ms: row.start_ms,
                histogram: &*batch.histograms[row.bits as usize],
            });
            record.histograms(rows, late);
        }
        let exemplars = batch.exemplars.iter();
        record.exemplars(exemplars.map(|(series, one)| (tails.number(*series), one)));
        record.metadata(batch.metadata.iter().map(|(metric, known)| (metric.as_str(), known)));
        if record.payload().is_empty() {
            // What is known already may be as new as the last record.
            return Ok(writer.log.last_ticket());
        }
        writer.log.append(record.payload())
    }

    /// Makes what was judged and logged visible.
    fn publish(&self, writer: &mut Writer, batch: &mut Batch) {
        let mut head = self.head.write();
        for (at, (row, fate)) in batch.samples.iter().zip(&writer.fates).enumerate() {
            if at % WARM == 0 {
                head.warm(batch.samples[at..].iter().take(WARM).map(|row| row.series));
            }
            if !matches!(fate, Fate::Ordered | Fate::Late) {
                continue;
            }
            writer.newest_ms = writer.newest_ms.max(row.time_ms);
            let Row { series, time_ms, start_ms, .. } = *row;
            match (fate, stored(batch, row)) {
                (Fate::Late, sample) => head.insert_late(series, time_ms, sample, start_ms),
                (_, Stored::Float(bits)) => head.push_float(series, time_ms, bits, start_ms),
                (_, Stored::Histogram(histogram)) => {
                    head.push_histogram(series, HistogramPoint { time_ms, start_ms, histogram });
                }
            }
        }
        for (series, exemplar) in batch.exemplars.drain(..) {
            head.push_exemplar(series, exemplar);
        }
        for (name, metadata) in batch.metadata.drain(..) {
            head.metadata.insert(name, metadata);
        }
    }

    fn count(&self, writer: &Writer, committed: &Committed) {
        let late = writer.fates.iter().filter(|fate| **fate == Fate::Late).count();
        let appended = writer.fates.iter().filter(|fate| **fate == Fate::Ordered).count() + late;
        let refused = committed.refused.len();
        self.counters.add_samples(appended as u64, late as u64, refused as u64);
    }
}

fn stored(batch: &Batch, row: &Row) -> Stored {
    if row.is_histogram {
        Stored::Histogram(Arc::clone(&batch.histograms[row.bits as usize]))
    } else {
        Stored::Float(row.bits)
    }
}

/// By time, then value, then labels.
fn exemplar_order(a: &Exemplar, b: &Exemplar) -> std::cmp::Ordering {
    let by_labels = || {
        crc32c::crc32c(a.labels.identity_bytes()).cmp(&crc32c::crc32c(b.labels.identity_bytes()))
    };
    a.time_ms.cmp(&b.time_ms).then(a.value.total_cmp(&b.value)).then_with(by_labels)
}

/// The accepted samples of the transaction being judged, by series and time; built once a late
/// sample asks for it, which few transactions have.
#[derive(Default)]
struct Pending {
    rows: HashMap<(SeriesId, i64), usize>,
    indexed: usize,
}

impl Pending {
    fn find(
        &mut self,
        batch: &Batch,
        fates: &[Fate],
        series: SeriesId,
        time_ms: i64,
    ) -> Option<Stored> {
        for (at, fate) in fates.iter().enumerate().skip(self.indexed) {
            if matches!(fate, Fate::Ordered | Fate::Late) {
                let row = &batch.samples[at];
                self.rows.insert((row.series, row.time_ms), at);
            }
        }
        self.indexed = fates.len();
        let at = *self.rows.get(&(series, time_ms))?;
        Some(stored(batch, &batch.samples[at]))
    }
}
