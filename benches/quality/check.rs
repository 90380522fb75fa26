//! Holds our scorers against the reference ones, on the same outputs.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::parallel::in_parallel;
use crate::scores::alerts::Honesty;
use crate::scores::{Figures, Labelled};

/// Figures may differ by this share: sums are made in another order.
const RELATIVE: f64 = 1e-6;

/// What the reference has to say of some outputs, and what we say.
pub(crate) struct Check {
    what: String,
    script: &'static str,
    arguments: Vec<OsString>,
    figures: Vec<(String, Option<f64>)>,
    /// The reference prints so many decimals, all if none.
    decimals: Option<i32>,
}

impl Check {
    pub(crate) fn new(what: String, figures: Figures) -> Check {
        let figures = figures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Check { what, script: "", arguments: Vec::new(), figures, decimals: None }
    }

    pub(crate) fn script(mut self, name: &'static str) -> Check {
        self.script = name;
        self
    }

    pub(crate) fn argument(mut self, value: impl AsRef<Path>) -> Check {
        self.arguments.push(value.as_ref().into());
        self
    }

    pub(crate) fn flag(self, name: &str) -> Check {
        self.argument(name)
    }

    pub(crate) fn option(self, name: &str, value: impl AsRef<Path>) -> Check {
        self.argument(name).argument(value)
    }

    pub(crate) fn rounded(mut self, decimals: i32) -> Check {
        self.decimals = Some(decimals);
        self
    }

    pub(crate) fn honesty(mut self, honesty: &[Honesty]) -> Check {
        for (at, one) in honesty.iter().enumerate() {
            let values = [one.said, one.observed, one.count as f64];
            let named = values.iter().enumerate();
            self.figures
                .extend(named.map(|(of, value)| (format!("reliability.{at}.{of}"), Some(*value))));
        }
        self
    }

    /// Returns the differences; empty is well.
    fn differences(&self, scripts: &Path) -> Result<Vec<String>> {
        let mut command = Command::new("python3");
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command.arg(scripts.join(self.script)).args(&self.arguments);
        let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
        if !output.status.success() {
            bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        // Python's infinity is not JSON; ours is none too where it is compared.
        let text = String::from_utf8_lossy(&output.stdout).replace("Infinity", "null");
        let reference: Value = serde_json::from_str(&text.replace("-null", "null"))
            .with_context(|| format!("{command:?} printed {text:?}"))?;
        let differs = |(name, ours): &(String, Option<f64>)| {
            let pointer = format!("/{}", name.replace('.', "/"));
            let theirs = reference.pointer(&pointer).and_then(Value::as_f64);
            let ours = ours.filter(|value| value.is_finite());
            let is_same = match (ours, theirs) {
                (Some(ours), Some(theirs)) => self.is_same(name, ours, theirs),
                (ours, theirs) => ours.is_none() && theirs.is_none(),
            };
            (!is_same).then(|| format!("{}: {name}: {ours:?}, reference {theirs:?}", self.what))
        };
        Ok(self.figures.iter().filter_map(differs).collect())
    }

    fn is_same(&self, name: &str, ours: f64, theirs: f64) -> bool {
        let decimals = if name.starts_with("brier") { Some(5) } else { self.decimals };
        let rounding = decimals.map_or(0.0, |decimals| 0.5 * 10f64.powi(-decimals));
        (ours - theirs).abs() <= rounding + RELATIVE * f64::max(ours.abs(), theirs.abs())
    }
}

/// Runs all checks and prints every difference; returns whether there is none.
pub(crate) fn run(scripts: &Path, checks: &[Check]) -> Result<bool> {
    let has_numpy = Command::new("python3").args(["-c", "import numpy"]).output();
    if !scripts.is_dir() || !has_numpy.is_ok_and(|output| output.status.success()) {
        println!("\nNot checked: {} or Python 3 with numpy is not there.", scripts.display());
        return Ok(true);
    }
    let (mut is_well, mut compared) = (true, 0);
    let results = in_parallel(checks, |check| check.differences(scripts));
    for (check, differences) in checks.iter().zip(results) {
        compared += check.figures.len();
        for difference in differences.with_context(|| check.what.clone())? {
            is_well = false;
            println!("{difference}");
        }
    }
    let verdict = if is_well { "all equal the reference's" } else { "some differ" };
    println!("\n{compared} figures of {} runs checked: {verdict}.", checks.len());
    Ok(is_well)
}

/// Returns the directory in which NAB's windows are incidents.
pub(crate) fn nab_pages(out: &Path) -> PathBuf {
    out.join("nab-pages")
}

/// Lays out NAB's series with their windows as the other data sets have their incidents.
pub(crate) fn lay_out_nab_pages(anomaly: &Path, out: &Path, series: &[Labelled]) -> Result<()> {
    let folder = nab_pages(out).join("nab");
    std::fs::create_dir_all(&folder)?;
    let source = anomaly.join("nab");
    let source = source.canonicalize().with_context(|| source.display().to_string())?;
    for entry in std::fs::read_dir(&source)? {
        let entry = entry?;
        let link = folder.join(entry.file_name());
        if entry.path().is_dir() && !link.exists() {
            std::os::unix::fs::symlink(entry.path(), link)?;
        }
    }
    let labels: Map<String, Value> = series
        .iter()
        .map(|one| (one.name.clone(), json!({"step": one.step, "incidents": one.incidents})))
        .collect();
    serde_json::to_writer(File::create(folder.join("labels.json"))?, &labels)?;
    Ok(())
}
