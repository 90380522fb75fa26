//! Runs the built binary's learners, two at a time, and takes their times.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use forewarn::env::{Clock, SystemClock};

use crate::Part;
use crate::data::Dataset;
use crate::parallel::in_parallel;

/// The folder of our outputs below the one for all.
pub(crate) const FOLDER: &str = "forewarn";

/// Probabilities at which alerts begin.
pub(crate) const AT: [&str; 2] = ["0.7", "0.9"];

/// What the kernel counts processor time in, per second.
const TICKS_PER_S: f64 = 100.0;

struct Job {
    name: String,
    part: Part,
    arguments: Vec<OsString>,
}

/// What a run took.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) name: String,
    /// Whether this build has such a learner at all.
    pub(crate) is_known: bool,
    pub(crate) wall_s: f64,
    /// None where there is no `/proc`.
    pub(crate) cpu_s: Option<f64>,
}

/// Returns where the alerts of series with limits are written.
pub(crate) fn crossings(out: &Path, at: &str) -> PathBuf {
    out.join(FOLDER).join(format!("crossing-{at}.csv"))
}

/// Returns where the forecasts of hourly series are written.
pub(crate) fn forecasts(out: &Path) -> PathBuf {
    out.join(FOLDER).join("profile.csv")
}

/// Runs the learners that these parts need.
pub(crate) fn run(data: &Path, out: &Path, parts: &[Part]) -> Result<Vec<Run>> {
    let jobs: Vec<Job> =
        jobs(data, out).into_iter().filter(|job| parts.contains(&job.part)).collect();
    in_parallel(&jobs, run_one).into_iter().collect()
}

/// The longest first, so that the other worker does the rest meanwhile.
fn jobs(data: &Path, out: &Path) -> Vec<Job> {
    let mut jobs = Vec::new();
    let baseline = |dataset: Dataset| {
        let folder = dataset.folder();
        let mut arguments = words("learn baseline");
        arguments.push(data.join("anomaly").join(folder).into());
        arguments.extend(["--out".into(), out.join(FOLDER).join(folder).into()]);
        Job { name: format!("baseline {folder}"), part: Part::Anomaly, arguments }
    };
    jobs.extend(Dataset::ALL.map(baseline));
    let forecast = data.join("forecast");
    for at in AT {
        let mut arguments = words("learn crossing --horizon 4h --every 5m --at");
        arguments.extend([at.into(), forecast.join("exhaustion-public.series.csv.gz").into()]);
        arguments.extend(["--limits".into(), forecast.join("exhaustion-public.truth.json").into()]);
        arguments.extend(["--out".into(), crossings(out, at).into()]);
        jobs.push(Job { name: format!("crossing {at}"), part: Part::Exhaustion, arguments });
    }
    let mut arguments = words("learn profile --period 1h --horizon 48");
    arguments.push(forecast.join("m4-hourly-train.csv.gz").into());
    arguments.extend(["--out".into(), forecasts(out).into()]);
    jobs.push(Job { name: "profile".to_owned(), part: Part::M4, arguments });
    jobs
}

fn words(text: &str) -> Vec<OsString> {
    text.split(' ').map(OsString::from).collect()
}

fn run_one(job: &Job) -> Result<Run> {
    let clock = SystemClock::new();
    let begin = clock.elapsed();
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
    command.args(&job.arguments).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
    let cpu_s = cpu_until_end(&child);
    let output = child.wait_with_output()?;
    let wall_s = clock.elapsed().saturating_sub(begin).as_secs_f64();
    let said = String::from_utf8_lossy(&output.stderr);
    let is_known = !said.contains("unrecognized subcommand");
    if is_known && !output.status.success() {
        bail!("{command:?} ended with {}: {}", output.status, said.trim());
    }
    Ok(Run { name: job.name.clone(), is_known, wall_s, cpu_s })
}

/// Waits until the process has ended and returns the processor time that it took; the kernel tells it
/// until the end is asked for.
fn cpu_until_end(child: &Child) -> Option<f64> {
    let path = format!("/proc/{}/stat", child.id());
    loop {
        let text = std::fs::read_to_string(&path).ok()?;
        let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
        if fields[0] == "Z" {
            let ticks: f64 = [11, 12].iter().filter_map(|at| fields[*at].parse::<f64>().ok()).sum();
            return Some(ticks / TICKS_PER_S);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
