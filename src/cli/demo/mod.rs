//! `forewarn demo`: the whole server on two weeks of made-up hosts and services, three of which go
//! wrong on the last day.
//!
//! The server is the real one, on a clock that stands where the data are: two weeks arrive over
//! remote write, then the last day minute by minute, while the shipped rules are evaluated. What
//! they say is printed as it comes, compared with what happened and with what a static rule would
//! have said.

mod clock;
mod fleet;
mod report;
mod sender;
mod troubles;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use self::clock::DemoClock;
use self::fleet::Fleet;
use self::report::Progress;
use self::sender::Sender;
use self::troubles::TROUBLES;
use super::Outcome;
use super::node::{Node, StartError};
use crate::alerts::{AlertState, AlertView};
use crate::config::Flags;
use crate::env::{Clock, RealDisk, SystemClock};
use crate::series::Labels;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// How much is sent before the rules begin to watch.
const HISTORY_MS: i64 = 14 * 24 * HOUR_MS - WATCHED_MS;
/// How much of the end is watched minute by minute.
const WATCHED_MS: i64 = 20 * HOUR_MS;
/// How much history goes into one request.
const BATCH_MS: i64 = 4 * HOUR_MS;

const RULES: [(&str, &str); 2] = [
    ("node.rules", include_str!("../../../rules/node.rules")),
    ("http.rules", include_str!("../../../rules/http.rules")),
];

/// Watch it warn: two weeks of made-up hosts in a temporary directory, with the shipped rules.
///
/// Exit code 0 with --exit: every trouble was warned about in time, and nothing else was paged.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// End after the report instead of serving on.
    #[arg(long)]
    exit: bool,
    /// Where to listen; where that is taken, any free port.
    #[arg(long = "web.listen-address", value_name = "HOST:PORT", default_value = "127.0.0.1:9909")]
    listen_address: String,
    /// When the data end, s since the epoch; now if it is not given. The same time gives the same
    /// data.
    #[arg(long, hide = true, value_parser = clap::value_parser!(i64).range(0..1 << 40))]
    until: Option<i64>,
    /// Which noise the data have.
    #[arg(long, hide = true, default_value_t = 9909)]
    seed: u64,
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    flags: Flags,
}

/// Runs the demo.
pub fn run(args: &Args) -> Outcome {
    super::init_logs(tracing::level_filters::LevelFilter::WARN);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(demo(args))
}

async fn demo(args: &Args) -> Outcome {
    let system = SystemClock::new();
    let now_ms = args.until.map_or(system.now_ms(), |until_s| until_s.saturating_mul(1000));
    let end_ms = now_ms / MINUTE_MS * MINUTE_MS;
    let start_ms = end_ms - HISTORY_MS - WATCHED_MS;
    let dir = tempfile::Builder::new().prefix("forewarn-demo-").tempdir()?;
    write_files(dir.path(), "rule_files: []\n")?;
    let clock = Arc::new(DemoClock::new(start_ms));
    let mut node = start(dir.path(), &args.listen_address, &clock).await?;
    let sender = Sender::new(node.local_address());
    let mut fleet = Fleet::new(end_ms, args.seed);
    say(&format!(
        "Forewarn serves at http://{} from {}.",
        node.local_address(),
        dir.path().display()
    ));

    send_history(&mut fleet, &sender, &clock, start_ms, end_ms - WATCHED_MS).await?;
    write_files(dir.path(), "rule_files: [rules/*.rules]\n")?;
    node.reload_now().await?;
    let warnings = watch(&mut fleet, &sender, &clock, &node, (end_ms - WATCHED_MS, end_ms)).await?;
    let went_well = compare(&node, &warnings, &fleet, (end_ms - WATCHED_MS, end_ms))?;

    if args.exit {
        node.stop().await?;
        return Ok(if went_well { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    clock.run();
    invite(&node);
    let ended = tokio::select! {
        ended = super::serve::until_the_end(&mut node) => ended?,
        failed = go_on(&mut fleet, &sender, clock.as_ref(), end_ms) => return Err(failed.into()),
    };
    node.stop().await?;
    Ok(ended)
}

/// Writes the rules and a configuration into the demo's directory.
#[expect(clippy::disallowed_methods, reason = "not the store's files")]
fn write_files(dir: &Path, config: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(dir.join("rules"))?;
    for (name, text) in RULES {
        std::fs::write(dir.join("rules").join(name), text)?;
    }
    std::fs::write(dir.join("forewarn.yml"), config)
}

async fn start(
    dir: &Path,
    address: &str,
    clock: &Arc<DemoClock>,
) -> Result<Node, Box<dyn std::error::Error + Send + Sync>> {
    let flags = |address: &str| {
        let config = format!("--config.file={}", dir.join("forewarn.yml").display());
        let data = format!("--storage.tsdb.path={}", dir.join("data").display());
        let address = format!("--web.listen-address={address}");
        Line::try_parse_from(["forewarn".to_owned(), config, data, address])
    };
    let node = |flags: Flags| Node::start(flags, Arc::new(RealDisk), clock.clone());
    match node(flags(address)?.flags).await {
        Err(StartError::Bind(error)) => {
            say(&format!("{error}. Taking a free port."));
            Ok(node(flags("127.0.0.1:0")?.flags).await?)
        }
        started => Ok(started?),
    }
}

async fn send_history(
    fleet: &mut Fleet,
    sender: &Sender,
    clock: &DemoClock,
    start_ms: i64,
    end_ms: i64,
) -> Result<(), sender::SendError> {
    let mut progress = Progress::new("Sending two weeks of ten hosts and four services");
    let (mut from_ms, mut samples) = (start_ms, 0);
    while from_ms < end_ms {
        let to_ms = (from_ms + BATCH_MS).min(end_ms);
        let request = fleet.report(from_ms, to_ms);
        samples += request.timeseries.iter().map(|series| series.samples.len()).sum::<usize>();
        clock.set(to_ms);
        sender.send(&request).await?;
        let share = (to_ms - start_ms) as f64 / (end_ms - start_ms) as f64;
        progress.show(share, &format!("{:.1} million samples", samples as f64 / 1e6));
        from_ms = to_ms;
    }
    Ok(())
}

/// Sends on, each minute; returns what ended it.
async fn go_on(
    fleet: &mut Fleet,
    sender: &Sender,
    clock: &DemoClock,
    end_ms: i64,
) -> sender::SendError {
    let mut sent_ms = end_ms;
    loop {
        let wait_ms = (sent_ms + MINUTE_MS - clock.now_ms()).max(0);
        tokio::time::sleep(Duration::from_millis(wait_ms.unsigned_abs())).await;
        if let Err(error) = sender.send(&fleet.report(sent_ms, sent_ms + MINUTE_MS)).await {
            return error;
        }
        sent_ms += MINUTE_MS;
    }
}

/// A warning that was given, as it was when it came.
struct Warning {
    alert: AlertView,
    fired_at_ms: i64,
}

impl Warning {
    fn is_page(&self) -> bool {
        self.alert.labels.get("severity") == Some("page")
    }
}

/// Sends the last day minute by minute, and prints each warning when it comes.
async fn watch(
    fleet: &mut Fleet,
    sender: &Sender,
    clock: &DemoClock,
    node: &Node,
    (start_ms, end_ms): (i64, i64),
) -> Result<Vec<Warning>, Box<dyn std::error::Error + Send + Sync>> {
    let last_hours = WATCHED_MS / HOUR_MS;
    say(&format!("\nThe last {last_hours} hours, as they happen (UTC):\n"));
    let mut warnings: Vec<Warning> = Vec::new();
    let mut firing: Vec<Labels> = Vec::new();
    let mut now_ms = start_ms;
    while now_ms < end_ms {
        sender.send(&fleet.report(now_ms, now_ms + MINUTE_MS)).await?;
        now_ms += MINUTE_MS;
        clock.set(now_ms);
        let view = node.evaluated(now_ms).await?;
        let fires = |alert: &&AlertView| alert.state == AlertState::Firing;
        let present: Vec<&AlertView> = view.alerts().filter(fires).collect();
        for alert in present.iter().filter(|alert| !firing.contains(&alert.labels)) {
            let fired_at_ms = alert.fired_at_ms.unwrap_or(now_ms);
            say(&report::warning(alert, fired_at_ms));
            warnings.push(Warning { alert: (*alert).clone(), fired_at_ms });
        }
        firing = present.into_iter().map(|alert| alert.labels.clone()).collect();
    }
    Ok(warnings)
}

/// Prints what the warnings were worth; returns whether each trouble was foreseen and nothing else
/// was paged.
fn compare(
    node: &Node,
    warnings: &[Warning],
    fleet: &Fleet,
    range: (i64, i64),
) -> Result<bool, crate::promql::QueryError> {
    let (engine, snapshot) = (node.engine(), node.store().snapshot());
    let mut went_well = true;
    say(&format!("\nWhat happened on this {}:\n", report::weekday(range.1)));
    for trouble in &TROUBLES {
        let happened_ms = troubles::first_time(engine, &snapshot, trouble.happens, range)?;
        let static_ms = troubles::first_time(engine, &snapshot, trouble.static_rule, range)?;
        let happened_ms = happened_ms.unwrap_or(range.1);
        let before = |time_ms: Option<i64>| match time_ms {
            Some(time_ms) if time_ms < happened_ms => {
                format!("{} before", report::span(happened_ms - time_ms))
            }
            Some(time_ms) => format!("{} too late", report::span(time_ms - happened_ms)),
            None => "not at all".to_owned(),
        };
        let meant = |page: bool| {
            let of_kind = warnings.iter().filter(|warning| warning.is_page() == page);
            let mut meant = of_kind.filter(|warning| trouble.is_meant_by(&warning.alert.labels));
            meant.next().map(|warning| warning.fired_at_ms)
        };
        let (page_ms, ticket_ms) = (meant(true), meant(false));
        went_well &= page_ms.is_some_and(|page_ms| page_ms < happened_ms);
        say(&format!("{}  {}", report::clock_time(happened_ms), trouble.name));
        if ticket_ms.is_some() {
            say(&format!("           ticket       {}", before(ticket_ms)));
        }
        say(&format!("           page         {}", before(page_ms)));
        say(&format!("           static rule  {} ({})", before(static_ms), trouble.static_words));
    }
    let innocent = |warning: &&Warning| {
        !TROUBLES.iter().any(|trouble| trouble.is_meant_by(&warning.alert.labels))
    };
    let false_ones: Vec<&Warning> = warnings.iter().filter(innocent).collect();
    let pages = false_ones.iter().filter(|warning| warning.is_page()).count();
    say(&format!(
        "\nOf {} series nothing else was wrong: {pages} false pages, {} false tickets.",
        fleet.series_count(),
        false_ones.len() - pages,
    ));
    for warning in false_ones {
        say(&format!("           {}", report::subject(&warning.alert.labels)));
    }
    Ok(went_well && pages == 0)
}

fn invite(node: &Node) {
    let base = format!("http://{}", node.local_address());
    say(&format!(
        "\nStill serving, until you press Ctrl-C. Have a look:\n\
         \n  {base}/                       the present warnings, each with its reason\
         \n  {base}/graph?g0.expr=forewarn_expected   what the rules have learned\
         \n  {base}/api/v1/alerts          the same for programs\
         \n  {base}/api/v1/query?query=ALERTS\
         \n  {base}/metrics                about the server itself\
         \n\nGrafana: add a Prometheus data source with the URL {base}."
    ));
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn say(text: &str) {
    println!("{text}");
}
