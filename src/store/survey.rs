//! A look at the files of a data directory without opening it: where the bytes go, and whether every
//! checksum holds. Reads only, so it may run beside the process that has the directory.

use std::path::{Path, PathBuf};

use hashbrown::HashMap;

use super::block::{Block, BlockError, SectionBytes};
use super::log::{Section, read_segment, segments};
use super::{OpenError, TEMPORARY};
use crate::env::Disk;
use crate::series::METRIC_NAME;

/// What a data directory holds.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// By the order in which their samples were stored.
    pub blocks: Vec<BlockSurvey>,
    /// The segments and the checkpoint of the log, by name.
    pub log: Vec<LogSurvey>,
    /// The metrics by the bytes of their values in blocks, largest first.
    pub metrics: Vec<MetricSurvey>,
    /// What is damaged, each with file and place. Empty when every checksum holds.
    pub problems: Vec<String>,
}

/// Where the bytes of a block go.
#[derive(Clone, Debug, Default)]
pub struct BlockSurvey {
    /// Its directory.
    pub dir: PathBuf,
    /// First sample, ms.
    pub min_time_ms: i64,
    /// Last sample, ms.
    pub max_time_ms: i64,
    /// How often its samples were merged.
    pub level: u32,
    /// Series in it.
    pub series: u64,
    /// Samples in it.
    pub samples: u64,
    /// Chunks in it.
    pub chunks: u64,
    /// Bytes of each part: values, times, the sections of the index, tombstones.
    pub parts: Vec<(&'static str, u64)>,
}

impl BlockSurvey {
    /// Returns the bytes of all parts.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// What a file of the log holds.
#[derive(Clone, Debug, Default)]
pub struct LogSurvey {
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Series named in it.
    pub series: u64,
    /// Samples in it.
    pub samples: u64,
}

/// What a metric takes in blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricSurvey {
    /// Its name.
    pub name: String,
    /// Series, those of several blocks counted in each.
    pub series: u64,
    /// Samples.
    pub samples: u64,
    /// Bytes of its values.
    pub bytes: u64,
}

/// Reads all files of a data directory and checks every checksum.
pub fn survey(disk: &dyn Disk, dir: &Path) -> Result<Survey, OpenError> {
    let mut found = Survey::default();
    let mut metrics: HashMap<String, MetricSurvey> = HashMap::new();
    let blocks_dir = dir.join("blocks");
    for entry in list(disk, &blocks_dir)?.into_iter().filter(|name| !name.ends_with(TEMPORARY)) {
        let path = blocks_dir.join(entry);
        match Block::open(disk, &path) {
            Ok(block) => found.blocks.push(survey_block(&block, &mut metrics, &mut found.problems)),
            Err(BlockError::Damaged { path, offset, what }) => {
                found.problems.push(format!("{}: at byte {offset}: {what}", path.display()));
            }
            Err(BlockError::Version { path, found: version }) => {
                found.problems.push(format!("{}: written by format {version}", path.display()));
            }
            // Merged, or a checkpoint stands for it, since the directory was listed.
            Err(BlockError::Io { source, .. }) if is_gone(&source) => {}
            Err(BlockError::Io { path, source }) => {
                return Err(OpenError::Io { path, doing: "read a block", source });
            }
        }
    }
    found.metrics = metrics.into_values().collect();
    found.metrics.sort_unstable_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    for path in segments(disk, &dir.join("wal"))? {
        match survey_log(disk, &path, &mut found.problems) {
            Err(OpenError::Io { source, .. }) if is_gone(&source) => {}
            survey => found.log.push(survey?),
        }
    }
    Ok(found)
}

fn is_gone(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}

/// Lists a directory; one that is missing is empty.
fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>, OpenError> {
    match disk.list(dir) {
        Ok(entries) => Ok(entries.into_iter().map(|entry| entry.name).collect()),
        Err(error) if is_gone(&error) => Ok(Vec::new()),
        Err(source) => Err(OpenError::Io { path: dir.to_owned(), doing: "list", source }),
    }
}

fn survey_block(
    block: &Block,
    metrics: &mut HashMap<String, MetricSurvey>,
    problems: &mut Vec<String>,
) -> BlockSurvey {
    let mut values = 0;
    for series in 0..block.series_count() {
        match block.check_series(series) {
            Ok(checked) => {
                let name = checked.labels.get(METRIC_NAME).unwrap_or_default();
                let metric = metrics.entry_ref(name).or_default();
                if metric.name.is_empty() {
                    name.clone_into(&mut metric.name);
                }
                metric.series += 1;
                metric.samples += checked.samples;
                metric.bytes += checked.bytes;
                values += checked.bytes;
                problems.extend(checked.problems);
            }
            Err(error) => problems.push(error.to_string()),
        }
    }
    let meta = &block.meta;
    let SectionBytes { index, tombstones } = block.section_bytes();
    let mut parts = vec![("values", values)];
    parts.push(("times and checksums", meta.chunks_len_bytes.saturating_sub(values)));
    parts.extend(index);
    parts.push(("tombstones", tombstones));
    BlockSurvey {
        dir: block.dir().to_owned(),
        min_time_ms: meta.min_time_ms,
        max_time_ms: meta.max_time_ms,
        level: meta.level,
        series: meta.series,
        samples: meta.samples,
        chunks: meta.chunks,
        parts,
    }
}

fn survey_log(
    disk: &dyn Disk,
    path: &Path,
    problems: &mut Vec<String>,
) -> Result<LogSurvey, OpenError> {
    let mut survey = LogSurvey { path: path.to_owned(), ..LogSurvey::default() };
    survey.bytes = read_segment(disk, path, problems, &mut |section| match section {
        Section::Series(named) => survey.series += named.series.len() as u64,
        Section::Floats(floats, _) | Section::LateFloats(floats) => {
            survey.samples += floats.len() as u64;
        }
        Section::Histograms(rows) | Section::LateHistograms(rows) => {
            survey.samples += rows.len() as u64;
        }
        Section::Held(held) => {
            survey.series += held.count as u64;
            survey.samples += held.samples;
        }
        _ => {}
    })?;
    Ok(survey)
}
