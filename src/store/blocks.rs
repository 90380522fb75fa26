//! The list of open blocks: what is found on opening, and what upkeep changes.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;

use super::block::{Block, BlockError};
use super::{MaintainError, OpenError, TEMPORARY};
use crate::env::Disk;

/// Blocks, by the order in which they were cut.
pub(super) type BlockList = Vec<Arc<Block>>;

/// The blocks of a data directory. Readers hold the list that was current when they began.
pub(super) struct Blocks {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    list: ArcSwap<BlockList>,
    /// Damaged chunks of blocks that are in the list no more.
    damaged_before: AtomicU64,
}

const FORMAT_VERSION: u16 = 2;

impl Blocks {
    /// Opens every block. Damaged ones are moved to `quarantine/` beside `blocks/` and told of in
    /// `problems`; the others serve.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        data_dir: &Path,
        problems: &mut Vec<String>,
    ) -> Result<Blocks, OpenError> {
        let dir = data_dir.join("blocks");
        let io = |doing| {
            let path = dir.clone();
            move |source| OpenError::Io { path, doing, source }
        };
        disk.create_dir_all(&dir).map_err(io("create the directory of the blocks"))?;
        disk.sync_dir(data_dir).map_err(io("sync the data directory"))?;
        let mut list = BlockList::new();
        for entry in disk.list(&dir).map_err(io("list the blocks"))? {
            let path = dir.join(&entry.name);
            if entry.name.ends_with(TEMPORARY) {
                disk.remove_dir_all(&path).map_err(io("remove an unfinished block"))?;
                continue;
            }
            match Block::open(&*disk, &path) {
                Ok(block) => list.push(Arc::new(block)),
                Err(BlockError::Version { path, found }) => {
                    let (oldest, newest) = (FORMAT_VERSION, FORMAT_VERSION);
                    return Err(OpenError::Format { path, found, oldest, newest });
                }
                Err(BlockError::Io { path, source }) => {
                    let problem = format!("{}: cannot read: {source}", path.display());
                    tracing::error!(file = %path.display(), error = %source, "Skipped a block.");
                    problems.push(problem);
                }
                Err(BlockError::Damaged { path: file, offset, what }) => {
                    let moved = quarantine(&*disk, data_dir, &entry.name, &path);
                    let fate = match &moved {
                        Ok(to) => format!("the block was moved to {}", to.display()),
                        Err(error) => format!("it could not be moved aside ({error})"),
                    };
                    tracing::error!(
                        file = %file.display(), offset, what, fate,
                        "A block is damaged; all else serves."
                    );
                    problems.push(format!("{}: at byte {offset}: {what}; {fate}", file.display()));
                }
            }
        }
        list.sort_by_key(|block| block.meta.sequence);
        let (list, replaced) = split_replaced(list);
        for block in replaced {
            remove(&*disk, &dir, &block).map_err(io("remove a block that was merged"))?;
        }
        let list = ArcSwap::from_pointee(list);
        Ok(Blocks { disk, dir, list, damaged_before: AtomicU64::new(0) })
    }

    pub(super) fn current(&self) -> Arc<BlockList> {
        self.list.load_full()
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Adds a block and returns a witness that lives as long as any reader that does not see it.
    pub(super) fn add(&self, block: Block) -> Weak<BlockList> {
        let mut list = BlockList::clone(&self.current());
        list.push(Arc::new(block));
        Arc::downgrade(&self.list.swap(Arc::new(list)))
    }

    /// Returns how many damaged chunks were met.
    pub(super) fn damaged_total(&self) -> u64 {
        let of_list: u64 = self.current().iter().map(|block| block.damaged_total()).sum();
        of_list + self.damaged_before.load(Ordering::Relaxed)
    }

    /// Puts a block in the place of others; those who read them finish undisturbed. A member of
    /// which not all could be read is put aside rather than removed.
    pub(super) fn replace(
        &self,
        members: &[Arc<Block>],
        merged: Block,
    ) -> Result<(), MaintainError> {
        let is_member =
            |block: &Arc<Block>| members.iter().any(|member| Arc::ptr_eq(member, block));
        let mut list: BlockList =
            self.current().iter().filter(|block| !is_member(block)).cloned().collect();
        list.push(Arc::new(merged));
        list.sort_by_key(|block| block.meta.sequence);
        self.list.store(Arc::new(list));
        let (damaged, sound): (BlockList, BlockList) =
            members.iter().cloned().partition(|block| block.damaged_total() > 0);
        for block in &damaged {
            let io = |source| MaintainError::Io {
                path: block.dir().to_owned(),
                doing: "put a damaged block aside",
                source,
            };
            let data_dir = self.dir.parent().unwrap_or(&self.dir);
            let to =
                quarantine(&*self.disk, data_dir, &block.meta.ulid, block.dir()).map_err(io)?;
            tracing::error!(
                block = %block.meta.ulid, to = %to.display(),
                "A merged block had damaged chunks; what could be read of it serves, it was put aside."
            );
            self.damaged_before.fetch_add(block.damaged_total(), Ordering::Relaxed);
        }
        self.remove_all(&sound)
    }

    /// Drops the blocks that `is_dropped` names; those who read them finish undisturbed.
    pub(super) fn drop_where(
        &self,
        is_dropped: impl Fn(&Block) -> bool,
    ) -> Result<(), MaintainError> {
        let list = self.current();
        let (dropped, kept): (BlockList, BlockList) =
            list.iter().cloned().partition(|block| is_dropped(block));
        if dropped.is_empty() {
            return Ok(());
        }
        for block in &dropped {
            tracing::info!(block = %block.meta.ulid, "Dropped a block beyond retention.");
        }
        self.list.store(Arc::new(kept));
        self.remove_all(&dropped)
    }

    fn remove_all(&self, blocks: &[Arc<Block>]) -> Result<(), MaintainError> {
        for block in blocks {
            self.damaged_before.fetch_add(block.damaged_total(), Ordering::Relaxed);
            remove(&*self.disk, &self.dir, block).map_err(|source| MaintainError::Io {
                path: block.dir().to_owned(),
                doing: "remove a block",
                source,
            })?;
        }
        Ok(())
    }
}

/// Removes the files of a block.
fn remove(disk: &dyn Disk, blocks_dir: &Path, block: &Block) -> std::io::Result<()> {
    let mut doomed = block.dir().as_os_str().to_owned();
    doomed.push(TEMPORARY);
    let doomed = PathBuf::from(doomed);
    // Renamed first: half a block must not be found as a damaged one.
    disk.rename(block.dir(), &doomed)?;
    disk.sync_dir(blocks_dir)?;
    disk.remove_dir_all(&doomed)
}

/// Tells the blocks that others have replaced from the rest.
fn split_replaced(list: BlockList) -> (BlockList, BlockList) {
    let sources: hashbrown::HashSet<String> =
        list.iter().flat_map(|block| block.meta.sources.iter().cloned()).collect();
    list.into_iter().partition(|block| !sources.contains(&block.meta.ulid))
}

fn quarantine(
    disk: &dyn Disk,
    data_dir: &Path,
    name: &str,
    path: &Path,
) -> std::io::Result<PathBuf> {
    let dir = data_dir.join("quarantine");
    disk.create_dir_all(&dir)?;
    let to = dir.join(name);
    disk.rename(path, &to)?;
    disk.sync_dir(&dir)?;
    disk.sync_dir(path.parent().unwrap_or(data_dir))?;
    Ok(to)
}
