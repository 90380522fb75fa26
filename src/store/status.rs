use std::sync::atomic::{AtomicU64, Ordering};

/// What the store counts from its opening on.
#[derive(Default)]
pub(super) struct Counters {
    samples_appended: AtomicU64,
    late_samples: AtomicU64,
    refused_samples: AtomicU64,
    lookups: [AtomicU64; 3],
    blocks: AtomicU64,
    rounds_failed: AtomicU64,
}

impl Counters {
    pub(super) fn add_lookups(&self, lookups: [u64; 3]) {
        for (counter, more) in self.lookups.iter().zip(lookups) {
            counter.fetch_add(more, Ordering::Relaxed);
        }
    }

    pub(super) fn count_block(&self) {
        self.blocks.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_failed_round(&self) {
        self.rounds_failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_samples(&self, appended: u64, late: u64, refused: u64) {
        self.samples_appended.fetch_add(appended, Ordering::Relaxed);
        self.late_samples.fetch_add(late, Ordering::Relaxed);
        self.refused_samples.fetch_add(refused, Ordering::Relaxed);
    }
}

/// A look at the store, for operators: what it holds, and what it met.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoreStatus {
    /// The newest samples, in memory.
    pub head: HeadStatus,
    /// The sealed blocks, oldest first.
    pub blocks: Vec<BlockStatus>,
    /// The log.
    pub log: LogStatus,
    /// What opening found.
    pub recovery: RecoveryReport,
    /// Floats and histograms stored since opening.
    pub samples_appended_total: u64,
    /// Those of them that came late.
    pub out_of_order_samples_total: u64,
    /// Samples refused since opening.
    pub refused_samples_total: u64,
    /// Series lookups of all senders that the order of the request before answered.
    pub lookups_predicted_total: u64,
    /// Series lookups that took a hash.
    pub lookups_hashed_total: u64,
    /// Series lookups that had to decode labels.
    pub lookups_missed_total: u64,
    /// Blocks cut since opening.
    pub compactions_total: u64,
    /// Rounds of maintenance that failed since opening.
    pub compactions_failed_total: u64,
    /// Damaged records and chunks met since opening.
    pub corruptions_total: u64,
}

/// The head, in numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadStatus {
    /// Series held.
    pub series: u64,
    /// Distinct label pairs.
    pub label_pairs: u64,
    /// Compressed chunks and open buffers.
    pub chunks: u64,
    /// Samples held.
    pub samples: u64,
    /// Oldest sample, ms; `None` while empty.
    pub min_time_ms: Option<i64>,
    /// Newest sample, ms; `None` while empty.
    pub max_time_ms: Option<i64>,
}

/// One sealed block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockStatus {
    /// Its name.
    pub ulid: String,
    /// Oldest sample, ms.
    pub min_time_ms: i64,
    /// End of its range, ms, exclusive.
    pub max_time_ms: i64,
    /// Series in it.
    pub series: u64,
    /// Chunks in it.
    pub chunks: u64,
    /// Samples in it.
    pub samples: u64,
    /// Bytes on disk.
    pub size_bytes: u64,
    /// How often its samples were merged with those of other blocks.
    pub level: u32,
}

/// The log, in numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogStatus {
    /// First segment on disk.
    pub first_segment: u64,
    /// The segment written to.
    pub current_segment: u64,
    /// Bytes of all segments.
    pub size_bytes: u64,
    /// Why writes are refused; `None` while all is well.
    pub refusing: Option<String>,
}

/// What opening a store found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecoveryReport {
    /// Blocks opened.
    pub blocks: u64,
    /// Series that the head has.
    pub series: u64,
    /// Segments replayed.
    pub segments: u64,
    /// First segment replayed.
    pub first_segment: u64,
    /// Last segment replayed.
    pub last_segment: u64,
    /// Samples that the checkpoint and the log gave the head.
    pub samples: u64,
    /// Messages on what could not be read, each naming file and offset.
    pub problems: Vec<String>,
    /// How long it took, ms.
    pub duration_ms: u64,
}

/// A name with a number, for the lists of `/api/v1/status/tsdb`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedCount {
    /// The label name, metric name or `name=value`.
    pub name: String,
    /// How many, or how many bytes.
    pub value: u64,
}

/// Where the head's cardinality comes from; each list is in descending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cardinality {
    /// Series by metric name.
    pub series_by_metric: Vec<NamedCount>,
    /// Values by label name.
    pub values_by_label: Vec<NamedCount>,
    /// Bytes of values by label name.
    pub bytes_by_label: Vec<NamedCount>,
    /// Series by label pair.
    pub series_by_pair: Vec<NamedCount>,
}

impl Counters {
    pub(super) fn fill(&self, status: &mut StoreStatus) {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        status.samples_appended_total = get(&self.samples_appended);
        status.out_of_order_samples_total = get(&self.late_samples);
        status.refused_samples_total = get(&self.refused_samples);
        status.lookups_predicted_total = get(&self.lookups[0]);
        status.lookups_hashed_total = get(&self.lookups[1]);
        status.lookups_missed_total = get(&self.lookups[2]);
        status.compactions_total = get(&self.blocks);
        status.compactions_failed_total = get(&self.rounds_failed);
    }
}
