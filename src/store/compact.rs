//! Compaction: blocks that lie in one window of time become one block.
//!
//! Windows are four times as long from level to level, up to a tenth of the retention. A window is
//! merged once nothing that comes in order can fall into it. Readers hold the list of blocks that
//! they began with, so they neither wait nor notice; a block names those that it replaces, so a
//! process that ends between two steps leaves nothing that is read twice.

use std::sync::Arc;

use super::block::{Block, BlockWriter, Covers, Origin};
use super::blocks::BlockList;
use super::chunk::{Effort, Encoder};
use super::maintain::open_written;
use super::merge::merge_into;
use super::{Inner, MaintainError};
use crate::series::{Labels, Points, TimeRange};

/// What the name of a source begins with that was imported.
pub(super) const IMPORTED: &str = "prometheus/";

/// How many windows of a level are one of the next.
const LEVEL_FACTOR: i64 = 4;

/// The most samples of a chunk in a merged block: larger ones hardly take less room, and a query for
/// a moment decodes all of one.
pub(super) const CHUNK_COUNT_MAX: usize = 1_920;

/// A merged block covers no more than this.
const WINDOW_MAX_MS: i64 = 31 * 24 * 3_600_000;

impl Inner {
    /// Merges what is to be merged. Without room for the result it is left for later.
    pub(super) fn compact(&self) -> Result<(), MaintainError> {
        let windows = Windows::new(self.options.block_range_ms, self.options.retention_ms);
        while let Some(members) = windows.next_to_merge(&self.blocks.current()) {
            let needed = members.iter().map(|block| block.len_bytes()).sum();
            if !self.has_room_for(needed) {
                tracing::warn!(needed, "There is no room on the disk to merge blocks.");
                return Ok(());
            }
            self.rewrite(&members)?;
        }
        Ok(())
    }

    /// Rewrites the blocks from which samples were deleted, without those.
    pub(super) fn drop_deleted(&self) -> Result<(), MaintainError> {
        for block in self.blocks.current().iter().filter(|block| !block.tombstones().is_empty()) {
            self.rewrite(std::slice::from_ref(block))?;
        }
        Ok(())
    }

    /// Makes one block of several, in the order in which they were stored, and puts it in their
    /// place.
    fn rewrite(&self, members: &[Arc<Block>]) -> Result<(), MaintainError> {
        let disk = &**self.blocks.disk();
        let mut writer = BlockWriter::begin(disk, self.blocks.dir(), self.clock.now_ms())?;
        if let Err(error) = merge(members, &mut writer) {
            writer.abandon();
            return Err(error);
        }
        let covers = members.iter().map(|block| block.meta.covers);
        let levels = members.iter().map(|block| block.meta.level);
        let origin = Origin {
            sequence: members.iter().map(|block| block.meta.sequence).min().unwrap_or(0),
            level: levels.max().unwrap_or(0) + u32::from(members.len() > 1),
            sources: sources_of(members),
            covers: covers.max_by_key(|covers| covers.end_ms).unwrap_or(Covers::NOTHING),
        };
        let merged = open_written(disk, &writer.finish(&origin)?)?;
        tracing::info!(
            block = %merged.meta.ulid, sources = members.len(), series = merged.meta.series,
            samples = merged.meta.samples, bytes = merged.len_bytes(), "Merged blocks."
        );
        self.counters.count_block();
        self.blocks.replace(members, merged)
    }
}

/// Returns the names of the members, and what was imported with them: that is not done twice.
fn sources_of(members: &[Arc<Block>]) -> Vec<String> {
    let names = members.iter().map(|block| block.meta.ulid.clone());
    let imported = members.iter().flat_map(|block| block.meta.sources.iter().cloned());
    names.chain(imported.filter(|source| source.starts_with(IMPORTED))).collect()
}

/// Writes the series of all members, each with its samples of all of them but those deleted.
fn merge(members: &[Arc<Block>], writer: &mut BlockWriter<'_>) -> Result<(), MaintainError> {
    let mut encoder = Encoder::new(Effort::Compact, CHUNK_COUNT_MAX);
    let mut heads = Vec::new();
    for block in members {
        heads.push(Cursor::new(block)?);
    }
    let (mut points, mut part) = (Points::default(), Points::default());
    while let Some(labels) = heads.iter().filter_map(|head| head.labels.as_ref()).min().cloned() {
        points.clear();
        for head in heads.iter_mut().filter(|head| head.labels.as_ref() == Some(&labels)) {
            part.clear();
            head.block.read(head.series, TimeRange::ALL, &mut part)?;
            merge_into(&mut points, &part);
            head.advance()?;
        }
        writer.add(&labels, &encoder.encode(&points))?;
    }
    Ok(())
}

/// A place in the sorted series of a block.
struct Cursor<'a> {
    block: &'a Block,
    series: u32,
    /// `None` at the end.
    labels: Option<Labels>,
}

impl<'a> Cursor<'a> {
    fn new(block: &'a Block) -> Result<Cursor<'a>, MaintainError> {
        let mut cursor = Cursor { block, series: 0, labels: None };
        cursor.load()?;
        Ok(cursor)
    }

    fn advance(&mut self) -> Result<(), MaintainError> {
        self.series += 1;
        self.load()
    }

    fn load(&mut self) -> Result<(), MaintainError> {
        self.labels = (self.series < self.block.series_count())
            .then(|| self.block.labels(self.series))
            .transpose()?;
        Ok(())
    }
}

/// The windows that blocks are merged in, shortest first.
struct Windows(Vec<i64>);

impl Windows {
    fn new(block_range_ms: i64, retention_ms: i64) -> Windows {
        let longest_ms = WINDOW_MAX_MS.min(retention_ms / 10);
        let mut windows = Vec::new();
        let mut window_ms = block_range_ms.saturating_mul(LEVEL_FACTOR);
        while window_ms <= longest_ms {
            windows.push(window_ms);
            window_ms = window_ms.saturating_mul(LEVEL_FACTOR);
        }
        Windows(windows)
    }

    /// Returns the blocks to merge next, by the order in which they were stored.
    fn next_to_merge(&self, blocks: &BlockList) -> Option<Vec<Arc<Block>>> {
        let settled_ms = blocks.iter().map(|block| block.meta.covers.end_ms).max()?;
        for window_ms in &self.0 {
            let window_of = |block: &Block| block.meta.max_time_ms.div_euclid(*window_ms);
            let mut windows: Vec<_> = blocks.iter().map(|block| window_of(block)).collect();
            windows.sort_unstable();
            windows.dedup();
            for window in windows {
                let is_over =
                    (window + 1).checked_mul(*window_ms).is_some_and(|end| end <= settled_ms);
                let inside: Vec<_> =
                    blocks.iter().filter(|block| window_of(block) == window).cloned().collect();
                if is_over && inside.len() > 1 && keeps_order(blocks, &inside) {
                    return Some(inside);
                }
            }
        }
        None
    }
}

/// Returns whether the members can take one place in the order in which samples were stored: no
/// other block that has samples at their times comes between.
fn keeps_order(blocks: &BlockList, members: &[Arc<Block>]) -> bool {
    let sequences = || members.iter().map(|block| block.meta.sequence);
    let (first, last) = (sequences().min(), sequences().max());
    blocks.iter().all(|block| {
        let sequence = Some(block.meta.sequence);
        sequence <= first
            || sequence >= last
            || sequences().any(|member| Some(member) == sequence)
            || !members.iter().any(|member| member.range().overlaps(block.range()))
    })
}
