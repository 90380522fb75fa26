//! Files of rows, compressed or not.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum TableError {
    #[error("cannot {doing} {}: {source}", path.display())]
    File { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("no .csv or .csv.gz file is below {}", .0.display())]
    NoTable(PathBuf),
    #[error("{}: {source}", path.display())]
    Csv { path: PathBuf, source: csv::Error },
    #[error("{}: the first row names no column {name:?}", path.display())]
    NoColumn { path: PathBuf, name: &'static str },
    #[error("{}:{line}: {what}", path.display())]
    Row { path: PathBuf, line: u64, what: String },
}

/// Makes an error of what could not be done with a file.
pub(super) fn cannot(doing: &'static str, path: &Path) -> impl Fn(std::io::Error) -> TableError {
    move |source| TableError::File { doing, path: path.to_owned(), source }
}

/// Makes an error of a table that cannot be read or written.
pub(super) fn bad_table(path: &Path) -> impl Fn(csv::Error) -> TableError {
    move |source| TableError::Csv { path: path.to_owned(), source }
}

/// Opens a file; what ends in `.gz` is uncompressed on the way.
pub(super) fn open(path: &Path) -> Result<Box<dyn Read>, TableError> {
    let file = File::open(path).map_err(cannot("open", path))?;
    let file = BufReader::new(file);
    let is_compressed = path.extension().is_some_and(|end| end == "gz");
    Ok(if is_compressed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// Creates a file with the directories above it.
pub(super) fn create_file(path: &Path) -> Result<File, TableError> {
    let above = path.parent().unwrap_or(Path::new(""));
    let file = std::fs::create_dir_all(above).and_then(|()| File::create(path));
    file.map_err(cannot("create", path))
}

/// Creates a table with the directories above it; what ends in `.gz` is compressed on the way.
pub(super) fn create(path: &Path) -> Result<csv::Writer<Box<dyn Write>>, TableError> {
    let file = BufWriter::new(create_file(path)?);
    let is_compressed = path.extension().is_some_and(|end| end == "gz");
    let out: Box<dyn Write> = if is_compressed {
        Box::new(GzEncoder::new(file, Compression::fast()))
    } else {
        Box::new(file)
    };
    Ok(csv::Writer::from_writer(out))
}

/// Returns the files below a directory that end in `.csv` or `.csv.gz`, by path from there, sorted;
/// of a file that file by its name.
pub(super) fn tables_below(path: &Path) -> Result<Vec<(PathBuf, PathBuf)>, TableError> {
    if path.is_file() {
        return Ok(vec![(path.to_owned(), path.file_name().unwrap_or_default().into())]);
    }
    let mut found = Vec::new();
    collect(path, Path::new(""), &mut found)?;
    found.sort();
    if found.is_empty() {
        return Err(TableError::NoTable(path.to_owned()));
    }
    Ok(found)
}

fn collect(
    dir: &Path,
    relative: &Path,
    into: &mut Vec<(PathBuf, PathBuf)>,
) -> Result<(), TableError> {
    for entry in std::fs::read_dir(dir).map_err(cannot("list", dir))? {
        let entry = entry.map_err(cannot("list", dir))?;
        let (path, relative) = (entry.path(), relative.join(entry.file_name()));
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if path.is_dir() {
            collect(&path, &relative, into)?;
        } else if name.ends_with(".csv") || name.ends_with(".csv.gz") {
            into.push((path, relative));
        }
    }
    Ok(())
}

/// Reads a time in seconds to ms.
pub(super) fn time_ms(text: &str) -> Option<i64> {
    let seconds: f64 = text.trim().parse().ok()?;
    let ms = (seconds * 1000.0).round();
    (ms.abs() < 9e15).then_some(ms as i64)
}
