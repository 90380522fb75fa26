use std::io;
use std::path::{Path, PathBuf};

use super::differences::Differences;
use super::gather::Gather;
use super::record::{self, Records, TRANSACTION};
use super::transaction::{Section, read_sections};
use super::{
    Found, HEADER_LEN, MAGIC_CHECKPOINT, MAGIC_SEGMENT, OLDEST, SegmentInfo, VERSION, read_header,
};
use crate::env::Disk;
use crate::store::OpenError;

/// What replaying the log found.
#[derive(Debug, Default)]
pub(in crate::store) struct Replayed {
    pub(in crate::store) found: Found,
    /// The newest sample, ms; `i64::MIN` without samples.
    pub(in crate::store) newest_ms: i64,
    /// What could not be read, each with file and offset.
    pub(in crate::store) problems: Vec<String>,
}

/// Where a section is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Origin {
    /// The checkpoint that stands for the segments before this one.
    Checkpoint(u64),
    Segment(u64),
}

/// Sections are handed from thread to thread so many at a time, those of sorted floats alone, which
/// are large.
const BATCH: usize = 32;

/// So many batches may be read ahead of the one that is visited.
const AHEAD_MAX: usize = 2;

/// Reads checkpoint and segments in the order they were written and hands each section to `visit`,
/// with where it is from, the floats that came in order sorted by series. What cannot be read is reported, and
/// passed over. Reading goes on in a thread of its own while sections are visited.
pub(in crate::store) fn replay(
    disk: &dyn Disk,
    dir: &Path,
    visit: &mut dyn FnMut(Origin, Section),
) -> Result<Replayed, OpenError> {
    let (sender, receiver) = crossbeam::channel::bounded(AHEAD_MAX);
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let mut batch = Vec::new();
            // Nobody stops listening before this has ended.
            let send = |batch: &mut Vec<_>| drop(sender.send(std::mem::take(batch)));
            let replayed = read_all(disk, dir, &mut |origin, section| {
                let is_large = matches!(section, Section::Sorted(_));
                batch.push((origin, section));
                if is_large || batch.len() >= BATCH {
                    send(&mut batch);
                }
            });
            send(&mut batch);
            replayed
        });
        for batch in receiver {
            for (origin, section) in batch {
                visit(origin, section);
            }
        }
        reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn read_all(
    disk: &dyn Disk,
    dir: &Path,
    visit: &mut dyn FnMut(Origin, Section),
) -> Result<Replayed, OpenError> {
    let io = |path: &Path, doing| {
        let path = path.to_owned();
        move |source: io::Error| OpenError::Io { path, doing, source }
    };
    let entries = disk.list(dir).map_err(io(dir, "list the log"))?;
    let numbered = |suffix: &str| {
        let names = entries.iter().filter_map(|entry| entry.name.strip_suffix(suffix));
        let mut numbers: Vec<u64> = names.filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        numbers
    };
    let mut replayed = Replayed { newest_ms: i64::MIN, ..Replayed::default() };
    let mut differences = Differences::default();
    let mut from = 0;
    if let Some(number) = numbered(".checkpoint").pop() {
        let path = dir.join(super::checkpoint_name(number));
        let bytes = disk.read(&path).map_err(io(&path, "read the checkpoint"))?;
        check_version(&path, &bytes, MAGIC_CHECKPOINT)?;
        let origin = Origin::Checkpoint(number);
        let one = File { path, origin, limit: None, is_last: false };
        one.replay(&bytes, &mut differences, visit, &mut replayed);
        replayed.found.checkpoint_bytes = bytes.len() as u64;
        from = number;
    }
    let numbers = numbered(".wal");
    replayed.found.next_number = numbers.last().map_or(1, |last| last + 1).max(from).max(1);
    for number in numbers.iter().filter(|number| **number < from) {
        // The checkpoint stands for it; the process ended before it was removed.
        let path = dir.join(super::segment_name(*number));
        disk.remove_file(&path)
            .map_err(io(&path, "remove a segment that a checkpoint replaced"))?;
    }
    let mut files = Vec::new();
    for number in numbers.into_iter().filter(|number| *number >= from) {
        let path = dir.join(super::segment_name(number));
        files.push(File { path, origin: Origin::Segment(number), limit: None, is_last: false });
    }
    limits(disk, &mut files)?;
    for file in &files {
        let bytes = disk.read(&file.path).map_err(io(&file.path, "read the log"))?;
        let len_bytes = file.replay(&bytes, &mut differences, visit, &mut replayed);
        if let Origin::Segment(number) = file.origin {
            replayed.found.segments.push(SegmentInfo { number, len_bytes });
        }
    }
    if differences.baseless > 0 {
        let samples = differences.baseless;
        tracing::warn!(samples, "The log has samples that build on damaged ones.");
        replayed.problems.push(format!(
            "{}: {samples} samples build on others that are damaged; they are lost",
            dir.display()
        ));
    }
    Ok(replayed)
}

struct File {
    path: PathBuf,
    origin: Origin,
    /// Up to where the segment after it says that it counts.
    limit: Option<u64>,
    is_last: bool,
}

/// Takes from each segment's header up to where the one before counts.
fn limits(disk: &dyn Disk, files: &mut [File]) -> Result<(), OpenError> {
    for at in 0..files.len() {
        let path = &files[at].path;
        let bytes = disk.map(path).map_err(|source| OpenError::Io {
            path: path.clone(),
            doing: "read the log",
            source,
        })?;
        check_version(path, &bytes, MAGIC_SEGMENT)?;
        let before = read_header(&bytes, MAGIC_SEGMENT).and_then(|header| header.before);
        if let Some((number, len)) = before
            && let Some(file) = files.iter_mut().find(|file| file.origin == Origin::Segment(number))
        {
            file.limit = Some(len);
        }
    }
    // Segments that hold nothing, as a full disk leaves them, do not make the one before the last
    // one less so: its tail may be torn.
    for file in files.iter_mut().rev() {
        if file.limit.is_some() {
            break;
        }
        file.is_last = true;
    }
    Ok(())
}

fn check_version(path: &Path, bytes: &[u8], magic: [u8; 4]) -> Result<(), OpenError> {
    match read_header(bytes, magic) {
        Some(header) if !(OLDEST..=VERSION).contains(&header.version) => Err(OpenError::Format {
            path: path.to_owned(),
            found: header.version,
            oldest: OLDEST,
            newest: VERSION,
        }),
        _ => Ok(()),
    }
}

impl File {
    /// Returns up to where the file counts.
    fn replay(
        &self,
        bytes: &[u8],
        differences: &mut Differences,
        visit: &mut dyn FnMut(Origin, Section),
        replayed: &mut Replayed,
    ) -> u64 {
        let found_len = bytes.len();
        let file_len = found_len as u64;
        let limit = self.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(found_len);
        let bytes = &bytes[..limit.min(found_len)];
        let Replayed { newest_ms, problems, .. } = replayed;
        differences.begin();
        let path = self.path.display();
        let mut report = |offset: usize, text: &str| {
            let problem = format!("{path}: at byte {offset}: {text}");
            tracing::warn!(file = %path, offset, "Could not read all of the log: {text}.");
            problems.push(problem);
        };
        let is_segment = matches!(self.origin, Origin::Segment(_));
        let magic = if is_segment { MAGIC_SEGMENT } else { MAGIC_CHECKPOINT };
        if bytes.len() < HEADER_LEN && self.limit.is_none() && is_segment {
            // Begun on a disk that failed, and given up: no segment after it counts it.
            return HEADER_LEN as u64;
        }
        if read_header(bytes, magic).is_none() {
            report(0, "the header is damaged; its records are read all the same");
        }
        if found_len < limit {
            report(found_len, "the file is shorter than it was when the next one was begun");
        }
        let mut visit = |section| visit(self.origin, section);
        let mut gather = Gather::new(&mut visit);
        for found in Records::new(bytes) {
            match found {
                record::Found::Record { offset, kind: TRANSACTION, payload } => {
                    let mut visit = |mut section| {
                        match &mut section {
                            Section::Series(named) => differences.name(named),
                            Section::Floats(rows, check) => differences.undo(rows, *check),
                            // No more than the file has room for.
                            Section::Held(held) => held.in_all = held.in_all.min(file_len / 4),
                            _ => {}
                        }
                        *newest_ms = section.newest_ms().max(*newest_ms);
                        gather.take(section);
                    };
                    if read_sections(&payload, &mut visit).is_none() {
                        report(offset, "the record makes no sense; the rest of it is passed over");
                    }
                }
                record::Found::Record { offset, .. } => {
                    report(offset, "a record of a kind unknown to this build is passed over");
                }
                record::Found::Damage { offset, what } => {
                    report(offset, &format!("{what}; passed over up to the next record"));
                }
                record::Found::Tail { offset, what } if self.is_last => {
                    report(
                        offset,
                        &format!("{what}: a write that was not acknowledged; the log ends here"),
                    );
                    gather.finish();
                    return offset as u64;
                }
                record::Found::Tail { offset, what } => {
                    report(offset, &format!("{what}; the rest of the file is lost"));
                }
            }
        }
        gather.finish();
        bytes.len() as u64
    }
}

/// Lists checkpoint and segments by name; a log that is missing has none.
pub(in crate::store) fn segments(disk: &dyn Disk, dir: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let entries = match disk.list(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(OpenError::Io { path: dir.to_owned(), doing: "list the log", source });
        }
    };
    let names = entries.into_iter().map(|entry| entry.name);
    let is_log = |name: &String| {
        name.strip_suffix(".wal").or_else(|| name.strip_suffix(".checkpoint")).is_some()
    };
    Ok(names.filter(is_log).map(|name| dir.join(name)).collect())
}

/// Reads one file of the log by itself and hands its sections to `visit`; returns its length. What
/// follows its last whole record may be a write that goes on, and is no problem.
pub(in crate::store) fn read_segment(
    disk: &dyn Disk,
    path: &Path,
    problems: &mut Vec<String>,
    visit: &mut dyn FnMut(Section),
) -> Result<u64, OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), doing: "read the log", source };
    let bytes = disk.read(path).map_err(io)?;
    let is_checkpoint = path.extension().is_some_and(|extension| extension == "checkpoint");
    let magic = if is_checkpoint { MAGIC_CHECKPOINT } else { MAGIC_SEGMENT };
    match read_header(&bytes, magic) {
        Some(header) if !(OLDEST..=VERSION).contains(&header.version) => {
            problems.push(format!("{}: written by format {}", path.display(), header.version));
            return Ok(bytes.len() as u64);
        }
        Some(_) => {}
        None if bytes.is_empty() => return Ok(0),
        None => problems.push(format!("{}: at byte 0: the header is damaged", path.display())),
    }
    for found in Records::new(&bytes) {
        let (offset, what) = match found {
            record::Found::Record { offset, payload, .. } => {
                if read_sections(&payload, visit).is_some() {
                    continue;
                }
                (offset, "the record makes no sense")
            }
            record::Found::Damage { offset, what } => (offset, what),
            record::Found::Tail { .. } => break,
        };
        problems.push(format!("{}: at byte {offset}: {what}", path.display()));
    }
    Ok(bytes.len() as u64)
}
