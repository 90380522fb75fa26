//! Real processes: started, waited for by polling with a deadline, and ended with the test.

use std::ffi::OsStr;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::http::HttpClient;

/// A child process that does not outlive the test; its output is in a file for the post-mortem.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    #[track_caller]
    pub(crate) fn start<A: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        arguments: &[A],
        log: PathBuf,
    ) -> Process {
        let name = program.as_ref().to_string_lossy().into_owned();
        let output = File::options().create(true).append(true).open(&log).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Process { name, child, log }
    }

    /// The server under test on `port` with its data in `dir`, ready to serve.
    #[track_caller]
    pub(crate) fn forewarn(dir: &Path, port: u16, more: &[&str]) -> Process {
        let mut arguments = vec![
            "serve".to_owned(),
            format!("--web.listen-address=127.0.0.1:{port}"),
            format!("--storage.tsdb.path={}", dir.join("data").display()),
        ];
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        let mut process =
            Process::start(env!("CARGO_BIN_EXE_forewarn"), &arguments, dir.join("forewarn.log"));
        process.wait_ready(&HttpClient::new(format!("http://127.0.0.1:{port}")), "/-/ready");
        process
    }

    #[track_caller]
    pub(crate) fn wait_ready(&mut self, client: &HttpClient, path: &str) {
        poll(&format!("{} answers {path}", self.name), Duration::from_mins(1), || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{} ended with {status}:\n{}", self.name, self.output());
            }
            client.get(path).ok().filter(|answer| answer.status == 200)
        });
    }

    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends the process the hard way, as a crash or the OOM killer would.
    pub(crate) fn kill_hard(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal by name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    #[track_caller]
    pub(crate) fn wait_exit(&mut self) -> ExitStatus {
        let name = format!("{} exits", self.name);
        poll(&name, Duration::from_secs(30), || self.child.try_wait().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let output = self.output();
            let tail: Vec<_> = output.lines().rev().take(40).collect();
            eprintln!("--- last lines of {}:", self.name);
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks again and again until there is an answer; fails the test after `deadline`.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "real processes live on the real clock")]
pub(crate) fn poll<T>(what: &str, deadline: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < deadline, "gave up after {deadline:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Where a peer's program is, if it is installed. Where peers are required (the environment says
/// `FOREWARN_REQUIRE_PEERS=1`, as CI does) a missing one fails the test; elsewhere the test says
/// its name and ends.
pub(crate) fn peer(name: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).map(|dir| dir.join(name)).find(|path| path.is_file());
    if found.is_none() {
        let required = std::env::var("FOREWARN_REQUIRE_PEERS").is_ok_and(|value| value == "1");
        assert!(!required, "{name} is not installed (apt-get install {name})");
        eprintln!("SKIPPED: {name} is not installed (apt-get install {name})");
    }
    found
}
