//! The hours after the M4 competition's hourly series.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, anyhow};

use crate::Bench;
use crate::anchors::seasonal_naive;
use crate::check::Check;
use crate::data;
use crate::ours::{self, Run};
use crate::scores::forecasts::{self, Forecast, Hourly};
use crate::table::{Table, shown};

/// Scores ours and the anchors and prints the table; returns how many series were foretold.
pub(crate) fn report(
    bench: &Bench,
    runs: &[Run],
    checks: &mut Vec<Check>,
) -> Result<Vec<(String, usize)>> {
    let forecast = bench.data.join("forecast");
    let train = forecast.join("m4-hourly-train.csv.gz");
    let test = forecast.join("m4-hourly-test-public.csv.gz");
    let series = data::hourly(&train, &test)?;
    let (mut table, mut foretold) = (empty_table(series.len()), Vec::new());
    let mut add = |name: &str, written: &Path, told: &BTreeMap<String, Forecast>, cpu: &str| {
        let figures = forecasts::score(&series, told);
        let figures = figures.map_err(|what| anyhow!("{}: {what}", written.display()))?;
        let names = ["owa", "smape", "mase", "coverage95", "msis"];
        let cells = names.map(|name| shown(&figures, name, 3));
        let row = [name.to_owned()].into_iter().chain(cells).chain([cpu.to_owned()]);
        table.rows.push(row.collect());
        let check = Check::new(format!("{name}, M4"), figures).script("forecast_m4.py");
        checks.push(check.argument(&train).argument(&test).argument(written).rounded(4));
        anyhow::Ok(())
    };
    let run = runs.iter().find(|run| run.name == "profile" && run.is_known);
    if let Some(run) = run {
        let written = ours::forecasts(&bench.out);
        let told = data::forecasts(&written)?;
        let cpu = run.cpu_s.map(|cpu_s| format!("{:.2} ms", cpu_s * 1e3 / told.len() as f64));
        foretold.push(("profile".to_owned(), told.len()));
        add("forewarn", &written, &told, &cpu.unwrap_or_default())?;
    }
    for (name, file, method) in ANCHORS {
        let told = series.iter().map(|hourly| (hourly.name.clone(), method(hourly))).collect();
        let written = bench.out.join(file);
        if bench.writes {
            write(&written, &told)?;
        }
        add(name, &written, &told, "")?;
    }
    if run.is_none() {
        table.fixed(["forewarn: this build has no `learn profile`"]);
    }
    add_known(&mut table);
    table.print(bench.as_markdown);
    Ok(foretold)
}

/// Name, file and method.
type Anchor = (&'static str, &'static str, fn(&Hourly) -> Forecast);

const ANCHORS: [Anchor; 2] = [
    ("sNaive", "snaive.csv", seasonal_naive::forecast),
    ("Naive2", "naive2.csv", |hourly| Forecast {
        mean: forecasts::naive2(&hourly.history),
        interval: None,
    }),
];

fn empty_table(series: usize) -> Table {
    Table {
        title: format!("M4 hourly, 48 hours ahead, {series} of 414 series"),
        header: vec!["", "OWA", "sMAPE", "MASE", "in the 95 % interval", "MSIS", "CPU a series"],
        notes: vec!["Published figures are of all 414 series.".to_owned()],
        ..Table::default()
    }
}

fn add_known(table: &mut Table) {
    table.fixed(["bar: reach", "0.475", "", "", "0.93 to 0.97", "6.5", "1 ms"]);
    table.fixed(["bar: and then", "0.44", "", "", "0.94 to 0.96", "6.1", "0.3 ms"]);
    table.fixed(["published: best", "0.410"]);
    table.fixed(["published: M4's winner", "0.440"]);
    table.fixed(["published: MSTL + AutoETS", "0.60", "", "", "", "", "27 ms"]);
    table.fixed(["published: sNaive", "0.627"]);
}

/// Writes forecasts as `forewarn learn profile` does.
fn write(path: &Path, told: &BTreeMap<String, Forecast>) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut out = std::io::BufWriter::new(file);
    writeln!(out, "series,h,mean,lo95,hi95")?;
    for (series, forecast) in told {
        for (at, mean) in forecast.mean.iter().enumerate() {
            let ends = forecast.interval.as_ref().map(|interval| interval[at]);
            let ends = ends.map_or(",".to_owned(), |(lower, upper)| format!("{lower},{upper}"));
            writeln!(out, "{series},{},{mean},{ends}", at + 1)?;
        }
    }
    out.flush()?;
    Ok(())
}
