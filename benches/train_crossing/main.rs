//! Trains the table of the crossing engine, `src/learn/crossing/table.rs`.
//!
//! `cargo run --release --example train_crossing > src/learn/crossing/table.rs` writes the shipped
//! table again, byte for byte. Examples are made up (`generate`) or real (`sources`: the series of
//! `../shared/data`, with limits put above and below them). Shares of the weight: made up 0.35, kpi
//! 0.2, NAB 0.2, M4 0.15, cloud 0.1. What each source says of models that have not seen it is
//! printed, and teaches how far a record is to be trusted.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

mod boost;
mod generate;
mod sources;
mod trust;

use std::path::Path;

use anyhow::Result;

use self::boost::{Model, Node, Row};
use self::generate::FAMILIES;
use self::sources::{Source, ask};

/// Examples of each source, about.
const ROWS: usize = 80_000;
/// Share of the weight of all made-up series.
const MADE_UP: f64 = 0.35;

fn main() -> Result<()> {
    let sources = sources()?;
    let rows: Vec<Vec<Row>> = sources.iter().map(rows).collect();
    for (source, rows) in sources.iter().zip(&rows) {
        let crossed = rows.iter().filter(|row| row.crossed).count();
        eprintln!("{}: {} examples, {crossed} crossed", source.name, rows.len());
    }
    let mut heard = Vec::new();
    for (left_out, source) in sources.iter().enumerate() {
        let others: Vec<Row> = rows
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != left_out)
            .flat_map(|(_, rows)| rows.iter().cloned())
            .collect();
        let model = Model::train(&evened(others));
        heard.push(trust::listen(source, &model));
    }
    let bend = trust::fit(&heard);
    for (source, heard) in sources.iter().zip(&heard) {
        eprintln!("{}: {}", source.name, trust::report(heard, &bend));
    }
    let model = Model::train(&evened(rows.into_iter().flatten().collect()));
    print!("{}", table(&model, &bend));
    Ok(())
}

fn sources() -> Result<Vec<Source>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let anomaly = data.join("anomaly");
    let (half, all) = (FAMILIES.len() / 2, FAMILIES.len());
    let exhaustion = |end: &str| data.join("forecast").join(format!("exhaustion-public.{end}"));
    Ok(vec![
        Source::made_up("made up, first half", MADE_UP / 3.0, 0..half, 0..14),
        Source::made_up("made up, second half", MADE_UP / 3.0, half..all, 0..14),
        Source::limited(
            "exhaustion",
            MADE_UP / 3.0,
            &exhaustion("series.csv.gz"),
            &exhaustion("truth.json"),
        )?,
        Source::real("kpi", 0.2, sources::read_directory(&anomaly.join("kpi"))?),
        Source::real("NAB", 0.2, sources::read_directory(&anomaly.join("nab"))?),
        Source::real(
            "M4",
            0.15,
            sources::read_hourly(&data.join("forecast/m4-hourly-train.csv.gz"))?,
        ),
        Source::real("cloud", 0.1, sources::read_directory(&anomaly.join("cloud"))?),
    ])
}

/// Returns examples of a source, its share of the weight spread evenly over them.
fn rows(source: &Source) -> Vec<Row> {
    let questions: usize =
        source.runs.iter().map(|run| source.buckets(run) * run.limits.len()).sum();
    let stride = (questions / ROWS).max(1);
    let answers = in_two(&source.runs, |run| {
        let mut found = Vec::new();
        ask(&source.tracks, run, stride, |asked| {
            if let Some(features) = asked.features {
                found.push(Row { features, crossed: asked.crossed, weight: 1.0 });
            }
        });
        found
    });
    let mut rows: Vec<Row> = answers.into_iter().flatten().collect();
    let weight = source.share / rows.len() as f64;
    for row in &mut rows {
        row.weight = weight;
    }
    rows
}

/// Scales weights to a mean of 1.
fn evened(mut rows: Vec<Row>) -> Vec<Row> {
    let mean = rows.iter().map(|row| row.weight).sum::<f64>() / rows.len() as f64;
    for row in &mut rows {
        row.weight /= mean;
    }
    rows
}

/// Does something with each item on two threads, and returns what came of it in order.
fn in_two<T: Sync, R: Send>(items: &[T], of: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (odd, even): (Vec<R>, Vec<R>) = std::thread::scope(|scope| {
        let every_second = |from: usize| items.iter().skip(from).step_by(2).map(&of).collect();
        let odd = scope.spawn(move || every_second(1));
        let even = items.iter().step_by(2).map(&of).collect();
        (odd.join().expect("no example can fail"), even)
    });
    let (mut odd, mut even) = (odd.into_iter(), even.into_iter());
    let next = |index: usize| if index.is_multiple_of(2) { even.next() } else { odd.next() };
    (0..items.len()).filter_map(next).collect()
}

/// Writes the table as Rust.
fn table(model: &Model, bend: &[f64; 3]) -> String {
    let [bias, slope, record] = bend;
    let trees = model.trees.iter().map(|tree| {
        let nodes: Vec<String> = tree.iter().map(node).collect();
        format!("    &[{}],\n", nodes.join(", "))
    });
    format!(
        "// Written by `cargo run --release --example train_crossing`; not to be edited.\n\n\
         #![expect(clippy::unreadable_literal, reason = \"written by a program\")]\n\n\
         use super::trees::Node::{{Leaf, Split}};\n\
         use super::trees::Trees;\n\
         use super::trust::Bend;\n\n\
         /// How far the record of a series is trusted.\n\
         pub(super) const BEND: Bend = \
         Bend {{ bias: {bias:.3}, slope: {slope:.3}, record: {record:.3} }};\n\n\
         /// The trees.\n\
         #[rustfmt::skip]\n\
         pub(super) static TREES: Trees = Trees {{ bias: {:?}, trees: &[\n{}] }};\n",
        model.bias,
        trees.collect::<String>()
    )
}

fn node(node: &Node) -> String {
    match node {
        Node::Split { feature, at, right } => {
            format!("Split {{ feature: {feature}, at: {at:?}, right: {right} }}")
        }
        Node::Leaf(value) => format!("Leaf({value:?})"),
    }
}
