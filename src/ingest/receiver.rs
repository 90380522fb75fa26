use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::histogram::WireHistogram;
use super::report::Report;
use super::snappy::Decompressor;
use super::wire::DecodeError;
use super::{Protocol, v1, v2};
use crate::series::{SeriesId, format_rfc3339};
use crate::store::{AppendError, Appender, Committed, RefusedKind, Store, Transaction};

/// When a sender that was refused for now may come again, s.
const RETRY_AFTER_S: u32 = 5;

/// What a request may not exceed.
#[derive(Clone, Copy, Debug)]
pub struct IngestLimits {
    /// Bytes of a body as sent.
    pub compressed_bytes_max: usize,
    /// Bytes of a body once decompressed.
    pub decompressed_bytes_max: usize,
}

impl Default for IngestLimits {
    fn default() -> Self {
        IngestLimits { compressed_bytes_max: 32 << 20, decompressed_bytes_max: 128 << 20 }
    }
}

/// The receiving end of remote write; makes a [`Connection`] for each sender.
pub struct Receiver {
    store: Store,
    limits: IngestLimits,
    invalid_labels_samples: Arc<AtomicU64>,
}

impl Receiver {
    /// Returns the receiver that writes into `store`.
    pub fn new(store: Store, limits: IngestLimits) -> Receiver {
        Receiver { store, limits, invalid_labels_samples: Arc::default() }
    }

    /// Returns what to write the requests of one sender with: it remembers the sender's series.
    pub fn connection(&self) -> Connection {
        Connection {
            appender: self.store.appender(),
            limits: self.limits,
            decompressor: Decompressor::default(),
            scratch: v2::Scratch::default(),
            invalid_labels_samples: Arc::clone(&self.invalid_labels_samples),
        }
    }

    /// Returns the limits that it holds requests to.
    pub fn limits(&self) -> &IngestLimits {
        &self.limits
    }

    /// Returns how many samples and histograms were refused since the start because the labels of
    /// their series were invalid.
    pub fn invalid_labels_samples_total(&self) -> u64 {
        self.invalid_labels_samples.load(Ordering::Relaxed)
    }
}

/// What a sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteAnswer {
    /// The HTTP status: 204, or 4xx for what will never be stored, or 5xx for what may be sent
    /// again.
    pub status: u16,
    /// The reason in plain text, a line for each error; empty with 204.
    pub body: String,
    /// What was stored of the request, for the answer to a 2.0 request.
    pub written: Option<Written>,
    /// When to send the same again, s; with 5xx.
    pub retry_after_s: Option<u32>,
}

impl WriteAnswer {
    pub(super) fn failed(status: u16, reason: String) -> WriteAnswer {
        WriteAnswer { status, body: reason + "\n", written: None, retry_after_s: None }
    }
}

/// How much of a request was stored; exact duplicates of what is stored count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Floats.
    pub samples: usize,
    /// Native histograms.
    pub histograms: usize,
    /// Exemplars.
    pub exemplars: usize,
}

/// Why a request stored nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error("the body is larger than {limit} bytes; send less at once")]
    CompressedTooLarge { limit: usize },
    #[error("the body decompresses to {len} bytes, and {limit} are taken; send less at once")]
    TooLarge { len: usize, limit: usize },
    #[error("the body is no snappy block: {from} bytes cannot decompress to {len}")]
    Inflated { len: usize, from: usize },
    #[error("the body is no snappy block: {0}")]
    Snappy(#[from] snap::Error),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl WriteError {
    fn status(&self) -> u16 {
        match self {
            WriteError::CompressedTooLarge { .. } | WriteError::TooLarge { .. } => 413,
            WriteError::Inflated { .. } | WriteError::Snappy(_) | WriteError::Decode(_) => 400,
            WriteError::Append(_) => 503,
        }
    }
}

/// What a request is written with: the transaction, and what was wrong so far.
pub(super) struct Writing<'a> {
    pub(super) transaction: Transaction<'a>,
    pub(super) report: Report,
}

impl Writing<'_> {
    /// Adds a native histogram if it is valid; `series` names its series in the report.
    pub(super) fn histogram(
        &mut self,
        id: SeriesId,
        wire: WireHistogram,
        series: impl FnOnce() -> Result<String, DecodeError>,
    ) -> Result<(), DecodeError> {
        let (time_ms, start_ms) = (wire.time_ms, wire.start_ms);
        match wire.checked() {
            Ok(histogram) => self.transaction.histogram(id, time_ms, histogram, start_ms),
            Err(error) => {
                let (series, time) = (series()?, format_rfc3339(time_ms));
                self.report.line(format_args!("histogram of {series} at {time}: {error}"));
            }
        }
        Ok(())
    }
}

/// The requests of one sender, one after the other.
pub struct Connection {
    appender: Appender,
    limits: IngestLimits,
    decompressor: Decompressor,
    scratch: v2::Scratch,
    invalid_labels_samples: Arc<AtomicU64>,
}

impl Connection {
    /// Stores what a body holds. What is good is stored although other parts of the same request
    /// are not (partial write); those are named in the answer, which is 400 then.
    ///
    /// Source: remote-write specification 2.0, "Partial Write"; 1.0 requests are treated alike.
    pub fn write(&mut self, protocol: Protocol, body: &[u8]) -> WriteAnswer {
        let outcome = self.store(protocol, body);
        let written = match &outcome {
            Ok((committed, _)) => Written {
                samples: committed.samples,
                histograms: committed.histograms,
                exemplars: committed.exemplars,
            },
            Err(_) => Written::default(),
        };
        let answer = match outcome {
            Ok((_, None)) => {
                WriteAnswer { status: 204, body: String::new(), written: None, retry_after_s: None }
            }
            Ok((_, Some(body))) => {
                WriteAnswer { status: 400, body, written: None, retry_after_s: None }
            }
            Err(error) => {
                let again = matches!(error, WriteError::Append(_)).then_some(RETRY_AFTER_S);
                let answer = WriteAnswer::failed(error.status(), error.to_string());
                WriteAnswer { retry_after_s: again, ..answer }
            }
        };
        WriteAnswer { written: (protocol == Protocol::V2).then_some(written), ..answer }
    }

    /// Returns what was stored, and the text that says what was not.
    fn store(
        &mut self,
        protocol: Protocol,
        body: &[u8],
    ) -> Result<(Committed, Option<String>), WriteError> {
        let message = self.decompressor.decompress(body, &self.limits)?;
        let mut writing = Writing { transaction: self.appender.begin(), report: Report::default() };
        let decoded = match protocol {
            Protocol::V1 => v1::write(message.bytes(), &mut writing),
            Protocol::V2 => v2::write(message.bytes(), &mut writing, &mut self.scratch),
        };
        self.decompressor.give_back(message);
        decoded?;
        let Writing { transaction, mut report } = writing;
        let committed = transaction.commit()?;
        for refused in &committed.refused {
            // Exemplars out of order are no errors in 1.0.
            let what = match refused.what {
                RefusedKind::Sample => "sample",
                RefusedKind::Histogram => "histogram",
                RefusedKind::Exemplar if protocol == Protocol::V1 => continue,
                RefusedKind::Exemplar => "exemplar",
            };
            let (series, reason) = (&refused.labels, refused.reason);
            let time = format_rfc3339(refused.time_ms);
            report.line(format_args!("{what} of {series} at {time}: {reason}"));
        }
        let invalid = report.invalid_labels_samples as u64;
        self.invalid_labels_samples.fetch_add(invalid, Ordering::Relaxed);
        Ok((committed, report.finish()))
    }
}
