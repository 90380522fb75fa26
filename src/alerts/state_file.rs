//! Where alert state is kept: a small file, written anew at each change.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tracing::{info, warn};

use crate::env::Disk;

use super::saved::SavedAlerts;

/// The newest `alerts-N.json` of a directory. A new one is complete and synced before it gets its
/// name, and only then the one before is removed: at every moment one of them can be read.
pub(super) struct StateFile {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Number of the newest file, 0 for none.
    newest: u64,
    /// Numbers of files that are to be removed once the newest is safe.
    older: Vec<u64>,
    is_failing: bool,
}

impl StateFile {
    /// Opens the directory and reads what is there. Trouble is logged, never fatal: alerts begin
    /// anew then.
    pub(super) fn open(disk: Arc<dyn Disk>, dir: PathBuf) -> (StateFile, Option<SavedAlerts>) {
        let mut file = StateFile { disk, dir, newest: 0, older: Vec::new(), is_failing: false };
        let saved = match file.find() {
            Ok(()) if file.newest > 0 => file.read(),
            Ok(()) => None,
            Err(error) => {
                let dir = file.dir.display();
                warn!(%dir, %error, "Cannot look for the state of alerts; they begin anew.");
                None
            }
        };
        (file, saved)
    }

    fn find(&mut self) -> io::Result<()> {
        self.disk.create_dir_all(&self.dir)?;
        let entries = self.disk.list(&self.dir)?;
        self.older = entries.iter().filter_map(|entry| number(&entry.name)).collect();
        self.older.sort_unstable();
        self.newest = self.older.pop().unwrap_or(0);
        Ok(())
    }

    fn read(&self) -> Option<SavedAlerts> {
        let path = self.path(self.newest);
        let shown = path.display();
        let bytes = match self.disk.read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                warn!(path = %shown, %error, "Cannot read the state of alerts; they begin anew.");
                return None;
            }
        };
        match SavedAlerts::decode(&bytes) {
            Ok(saved) => Some(saved),
            Err(error) => {
                warn!(path = %shown, %error, "The state of alerts cannot be used; they begin anew.");
                None
            }
        }
    }

    /// Writes the state. A failure is logged once, and tried again at the next change.
    pub(super) fn save(&mut self, saved: &SavedAlerts) {
        match saved.encode().and_then(|bytes| self.write(&bytes)) {
            Ok(()) => {
                if std::mem::take(&mut self.is_failing) {
                    info!(dir = %self.dir.display(), "The state of alerts is kept again.");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    let dir = self.dir.display();
                    warn!(%dir, %error, "Cannot keep the state of alerts; a restart would begin anew.");
                }
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let next = self.newest + 1;
        let (unfinished, path) = (self.dir.join("alerts.tmp"), self.path(next));
        // Left by a write that failed.
        let _ = self.disk.remove_file(&unfinished);
        let file = self.disk.create(&unfinished)?;
        file.append(bytes)?;
        file.sync()?;
        self.disk.rename(&unfinished, &path)?;
        self.older.extend((self.newest > 0).then_some(self.newest));
        self.newest = next;
        self.disk.sync_dir(&self.dir)?;
        while let Some(older) = self.older.last() {
            self.disk.remove_file(&self.path(*older))?;
            self.older.pop();
        }
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("alerts-{number:08}.json"))
    }
}

fn number(name: &str) -> Option<u64> {
    name.strip_prefix("alerts-")?.strip_suffix(".json")?.parse().ok()
}
