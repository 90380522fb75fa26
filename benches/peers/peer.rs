//! A server process under measurement.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use forewarn::env::{Clock, SystemClock};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Forewarn,
    VictoriaMetrics,
    Prometheus,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Forewarn => "forewarn",
            Kind::VictoriaMetrics => "victoria-metrics",
            Kind::Prometheus => "prometheus",
        }
    }

    pub(crate) fn is_there(self) -> bool {
        self == Kind::Forewarn
            || Command::new(self.name()).arg("--version").output().is_ok_and(|out| {
                out.status.success() || !out.stdout.is_empty() || !out.stderr.is_empty()
            })
    }
}

pub(crate) struct Peer {
    kind: Kind,
    child: Child,
    pub(crate) port: u16,
    dir: PathBuf,
}

impl Peer {
    pub(crate) fn start(kind: Kind, dir: &Path) -> Peer {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let data = dir.join("data");
        let mut command = match kind {
            Kind::Forewarn => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
                command
                    .arg("serve")
                    .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                    .arg(format!("--storage.tsdb.path={}", data.display()));
                command
            }
            Kind::VictoriaMetrics => {
                let mut command = Command::new("victoria-metrics");
                command
                    .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
                    .arg(format!("-storageDataPath={}", data.display()))
                    .arg("-retentionPeriod=100y")
                    .arg("-search.latencyOffset=0s");
                command
            }
            Kind::Prometheus => {
                let config = dir.join("prometheus.yml");
                std::fs::File::create(&config).unwrap();
                let mut command = Command::new("prometheus");
                command
                    .arg(format!("--config.file={}", config.display()))
                    .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                    .arg(format!("--storage.tsdb.path={}", data.display()))
                    .arg("--web.enable-remote-write-receiver");
                command
            }
        };
        let child =
            command.current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Peer { kind, child, port, dir: data }
    }

    /// User and system time of the process so far, s.
    pub(crate) fn cpu_s(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The name, in parentheses, may hold spaces; user and system time are fields 14 and 15.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        [11, 12].iter().map(|at| fields[*at].parse::<f64>().unwrap()).sum::<f64>() / 100.0
    }

    /// Anonymous memory, bytes.
    pub(crate) fn anonymous_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Bytes that the data take on disk: of the log, and of the rest.
    pub(crate) fn disk_bytes(&self) -> (u64, u64) {
        fn walk(dir: &Path, in_log: bool, sums: &mut (u64, u64)) {
            let Ok(entries) = std::fs::read_dir(dir) else { return };
            for entry in entries.flatten() {
                let Ok(metadata) = entry.metadata() else { continue };
                if metadata.is_dir() {
                    walk(&entry.path(), in_log || entry.file_name() == "wal", sums);
                } else {
                    use std::os::unix::fs::MetadataExt;
                    // What is preallocated is not counted, what is written is.
                    let bytes = metadata.len().min(metadata.blocks() * 512);
                    if in_log { sums.0 += bytes } else { sums.1 += bytes }
                }
            }
        }
        let mut sums = (0, 0);
        walk(&self.dir, false, &mut sums);
        sums
    }

    /// Asks for the body of a path; `None` while it does not answer 200.
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(answer)
    }

    /// What is added to a query so that its answer is not one kept from before.
    pub(crate) fn uncached(&self) -> &'static str {
        if self.kind == Kind::VictoriaMetrics { "&nocache=1" } else { "" }
    }

    /// Returns what an expression is at a time; `None` without an answer.
    pub(crate) fn query(&self, expr: &str, time_ms: i64) -> Option<f64> {
        let mut encoded = String::new();
        for byte in expr.bytes() {
            write!(encoded, "%{byte:02x}").unwrap();
        }
        let path = format!(
            "/api/v1/query?query={encoded}&time={}.{:03}{}",
            time_ms / 1000,
            time_ms % 1000,
            self.uncached(),
        );
        let answer = self.get(&path)?;
        let value = answer.split("\"value\":[").nth(1)?.split('"').nth(1)?;
        value.parse().ok()
    }

    /// Waits until an expression has a value; returns how long that took since `from`.
    pub(crate) fn wait_for(
        &self,
        expr: &str,
        time_ms: i64,
        clock: &SystemClock,
        from: Duration,
    ) -> Duration {
        loop {
            if self.query(expr, time_ms).is_some() {
                return clock.elapsed().saturating_sub(from);
            }
            assert!(clock.elapsed().saturating_sub(from) < Duration::from_mins(5), "no answer");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until it takes requests.
    pub(crate) fn wait_until_ready(&self) {
        let path = if self.kind == Kind::VictoriaMetrics { "/health" } else { "/-/ready" };
        while self.get(path).is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Merges what can be merged, where that can be asked for.
    pub(crate) fn force_merge(&self) -> bool {
        if self.kind != Kind::VictoriaMetrics || self.get("/internal/force_merge").is_none() {
            return false;
        }
        let mut before = 0;
        loop {
            std::thread::sleep(Duration::from_secs(5));
            let (log, rest) = self.disk_bytes();
            if log + rest == before {
                return true;
            }
            before = log + rest;
        }
    }

    /// Ends the process, the hard way with `kill`.
    pub(crate) fn stop(mut self, kill: bool) {
        if kill {
            self.child.kill().unwrap();
        } else {
            let id = self.child.id().to_string();
            Command::new("kill").args(["-TERM", &id]).status().unwrap();
        }
        self.child.wait().unwrap();
    }
}
