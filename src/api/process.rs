use super::exposition::{Exposition, Kind};

/// The kernel counts processor time in these for user space, whatever its own tick (`man 7 time`).
const TICKS_PER_SECOND: f64 = 100.0;
/// The page size of x86-64 and of the usual arm64 kernels.
const PAGE_BYTES: u64 = 4096;

/// Adds what the kernel says of this process, as far as it can be read.
pub(super) fn push(out: &mut Exposition, started_ms: i64) {
    if let Some(stat) = Stat::read() {
        let help = "Processor time spent.";
        out.family("process_cpu_seconds_total", Kind::Counter, help)
            .value(&[], stat.cpu_ticks as f64 / TICKS_PER_SECOND);
        let help = "Memory in RAM.";
        out.family("process_resident_memory_bytes", Kind::Gauge, help)
            .value(&[], stat.resident_pages * PAGE_BYTES);
        let help = "Address space in use; mapped blocks count.";
        out.family("process_virtual_memory_bytes", Kind::Gauge, help)
            .value(&[], stat.virtual_bytes);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        let help = "Open file descriptors.";
        out.family("process_open_fds", Kind::Gauge, help).value(&[], open.count());
    }
    if let Some(limit) = open_files_limit() {
        let help = "File descriptors that may be open.";
        out.family("process_max_fds", Kind::Gauge, help).value(&[], limit);
    }
    let help = "When the process started.";
    out.family("process_start_time_seconds", Kind::Gauge, help)
        .value(&[], started_ms as f64 / 1000.0);
}

struct Stat {
    cpu_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn read() -> Option<Stat> {
        let text = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name, in parentheses, may hold spaces; field 3 comes after it (`man 5 proc`).
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Stat {
            cpu_ticks: field(14)? + field(15)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

fn open_files_limit() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
