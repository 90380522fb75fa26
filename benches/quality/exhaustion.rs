//! Made-up resources that run out: who warns in time, and how often for nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use crate::Bench;
use crate::anchors::predict_linear;
use crate::check::Check;
use crate::data;
use crate::ours;
use crate::parallel::in_parallel;
use crate::scores::alerts::{self, Honesty, Limited, Said, Score};
use crate::table::{Table, shown};

const HORIZON_S: f64 = 4.0 * 3600.0;
const EVERY_S: f64 = 300.0;

/// The ranges of the `predict_linear` rules, by name.
const RANGES: [(&str, f64); 2] =
    [("predict_linear[1h]", 3600.0), ("predict_linear[6h]", 6.0 * 3600.0)];

/// Scores ours and the anchors and prints the tables; returns how many evaluations each run made.
pub(crate) fn report(bench: &Bench, checks: &mut Vec<Check>) -> Result<Vec<(String, usize)>> {
    let forecast = bench.data.join("forecast");
    let series = forecast.join("exhaustion-public.series.csv.gz");
    let truth = forecast.join("exhaustion-public.truth.json");
    let limited = data::limited(&series, &truth)?;
    let (mut table, mut evaluations) = (empty_table(), Vec::new());
    let mut add = |name: &str, written: &Path, said: &BTreeMap<String, Vec<Said>>| {
        let Score { figures, honesty } = alerts::score(&limited, said, HORIZON_S);
        let names = ["alerts", "precision", "recall", "lead_median_min", "false_per_series_week"];
        let digits = [0, 3, 3, 0, 2];
        let cells = names.iter().zip(digits).map(|(name, digits)| shown(&figures, name, digits));
        let probabilities = ["brier", "brier_base", "observed_at_p90"];
        let digits = [4, 4, 3];
        let more =
            probabilities.iter().zip(digits).map(|(name, digits)| shown(&figures, name, digits));
        table.rows.push([name.to_owned()].into_iter().chain(cells).chain(more).collect());
        let check = Check::new(format!("{name}, alerts"), figures);
        let check = check.honesty(&honesty).script("forecast_alerts.py").argument(&series);
        checks.push(check.argument(&truth).argument(written).rounded(3));
        honesty
    };
    let mut honesties = Vec::new();
    for at in ours::AT {
        let written = ours::crossings(&bench.out, at);
        let said = data::said(&written)?;
        evaluations.push((format!("crossing {at}"), said.values().map(Vec::len).sum()));
        honesties.push(add(&format!("forewarn, on at p {at}"), &written, &said));
    }
    for (name, range_s) in RANGES {
        let follow = |one: &Limited| predict_linear::follow(one, range_s, EVERY_S, HORIZON_S);
        let names = limited.iter().map(|one| one.name.clone());
        let said = names.zip(in_parallel(&limited, follow)).collect();
        let written = bench.out.join(format!("{name}.csv"));
        if bench.writes {
            write(&written, &said)?;
        }
        add(name, &written, &said);
    }
    add_bars(&mut table);
    table.print(bench.as_markdown);
    honesty_table(&honesties[0]).print(bench.as_markdown);
    Ok(evaluations)
}

fn empty_table() -> Table {
    Table {
        title: "Series that reach a limit, 4 h ahead (made up, 17 families)".to_owned(),
        header: vec![
            "",
            "alerts",
            "precision",
            "recall",
            "median lead, min",
            "false a series-week",
            "Brier",
            "base rate's",
            "of p >= 0.9 came true",
        ],
        ..Table::default()
    }
}

fn add_bars(table: &mut Table) {
    table.fixed(["bar at p 0.7: reach", "", "0.95", "0.80", "180", "0.10"]);
    table.fixed(["bar at p 0.7: and then", "", "0.97", "0.90", "200", "0.04"]);
    table.fixed(["bar at p 0.9: reach", "", "", "0.55", "", "0.02"]);
    table.fixed(["bar at p 0.9: and then", "", "", "0.75", "", "0.02"]);
}

fn honesty_table(honesty: &[Honesty]) -> Table {
    let row = |one: &Honesty| {
        vec![format!("{:.3}", one.said), format!("{:.3}", one.observed), one.count.to_string()]
    };
    Table {
        title: "Of what forewarn said with p (mean), this share came true within 4 h".to_owned(),
        header: vec!["p said", "came true", "evaluations"],
        rows: honesty.iter().map(row).collect(),
        notes: Vec::new(),
    }
}

/// Writes what a method without probabilities said, as `forewarn learn crossing` does.
fn write(path: &Path, said: &BTreeMap<String, Vec<Said>>) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut out = std::io::BufWriter::new(file);
    writeln!(out, "series,ts,firing,p")?;
    for (series, said) in said {
        for one in said {
            writeln!(out, "{series},{},{},", one.time, u8::from(one.firing))?;
        }
    }
    out.flush()?;
    Ok(())
}
