use std::io;
use std::path::PathBuf;

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the directory.
    #[error(
        "{path}: another process uses this data directory; ask it over its HTTP API, stop it, or give \
         this one its own directory with --storage.tsdb.path"
    )]
    Locked {
        /// The data directory.
        path: PathBuf,
    },
    /// Written by another version.
    #[error(
        "{path}: written by format {found}, this build reads {oldest} to {newest}; see Upgrading \
         in README"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format version.
        found: u16,
        /// The oldest version this build reads.
        oldest: u16,
        /// The newest version this build reads.
        newest: u16,
    },
    /// The directory holds something else.
    #[error(
        "{path}: this directory holds {what}, which is not ours; give an empty or a Forewarn \
         directory with --storage.tsdb.path"
    )]
    Foreign {
        /// The data directory.
        path: PathBuf,
        /// What was found there.
        what: &'static str,
    },
    /// The disk refused.
    #[error("{path}: cannot {doing}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// Why a transaction was not stored. Nothing of it is visible, but after [`AppendError::Sync`], and
/// it may be sent again.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The log cannot be written. The store keeps trying to open a new segment.
    #[error(
        "{path}: cannot write the log, nothing was stored ({source}); make room or repair the disk, no restart is needed"
    )]
    Log {
        /// The segment.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The log was written and cannot be synced, as `wal.sync=ack` asks. A checkpoint is tried until it
    /// makes that good.
    #[error(
        "{path}: cannot sync the log: what was sent is kept, but not safe from a power cut ({source}); repair the disk, no restart is needed"
    )]
    Sync {
        /// The directory of the log.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A write failed before and the log has not recovered, or the disk is nearly full.
    #[error(
        "{path}: the log takes no writes for now ({reason}); make room or repair the disk, no restart is needed"
    )]
    Refusing {
        /// The directory of the log.
        path: PathBuf,
        /// The earlier failure, or how much room there is and is needed.
        reason: String,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// Why samples could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A block is not what was written.
    #[error("{path}: damaged at byte {offset}: {what}; other blocks still serve")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The disk refused.
    #[error("{path}: cannot read")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// Why a round of maintenance, or closing, did not finish. What it did not do is tried again.
#[derive(Debug, thiserror::Error)]
pub enum MaintainError {
    /// The disk refused.
    #[error("{path}: cannot {doing}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The head or a block could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log could not be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// A block would outgrow what its file format can address.
    #[error(
        "{path}: the block grows beyond 4 GiB of {what}; lower the load or raise the number of blocks"
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What is too large.
        what: &'static str,
    },
}
