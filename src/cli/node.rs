//! The whole server in one value: the rooms put together, and the threads that keep them going.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam::channel::{Sender, bounded};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::check::load_options;
use super::tasks::{self, Change, Task};
use crate::alerts::{Manager, ManagerOptions, Notifier, RulesView};
use crate::api::{App, BindError, Command, Control, HttpCounters, ReloadState, Server};
use crate::config::{Config, ConfigError, Flags};
use crate::env::{Clock, Disk};
use crate::ingest::{IngestLimits, Receiver};
use crate::promql::{Engine, EngineOptions, Features, UnknownFeature};
use crate::rules::{self, FileDiagnostic, GroupSpec, LocalEvaluator};
use crate::store::{MaintainError, OpenError, Store, StoreOptions};

/// How long alerts may take to be sent once the server stops.
const NOTIFY_MAX: Duration = Duration::from_secs(10);

/// A running server.
pub struct Node {
    server: Server,
    app: Arc<App>,
    reloader: Arc<Reloader>,
    commands: mpsc::Receiver<Command>,
    tasks: Vec<Task>,
    /// Where a task says that it has ended.
    ended: mpsc::Receiver<&'static str>,
}

/// What made a node end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A client asked for it.
    Quit,
    /// A part ended that never should.
    Broken(&'static str),
}

/// The node is about to end, and does not evaluate any more.
#[derive(Debug, thiserror::Error)]
#[error("the server is stopping")]
pub(super) struct Stopping;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `--enable-feature` names something unknown.
    #[error("--enable-feature: {0}")]
    Feature(#[from] UnknownFeature),
    /// The address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl Node {
    /// Listens, opens the store, loads the rules and starts everything; returns when all is served.
    ///
    /// Rule files with errors are left out, and the errors logged: samples are received and the
    /// other rules watch, which serves better than nothing at all.
    pub async fn start(
        flags: Flags,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Result<Node, StartError> {
        let started_ms = clock.now_ms();
        let config = Config::load(&flags)?;
        log_warnings(&config);
        let features = Features::parse(&config.query.features.join(","))?;
        let http = Arc::new(HttpCounters::default());
        let server = Server::start(&config, Arc::clone(&clock), Arc::clone(&http)).await?;

        let store = open_store(&config, Arc::clone(&disk), &clock).await?;
        let engine = Engine::new(engine_options(&config, features), Arc::clone(&clock));
        let limits = IngestLimits::default();
        let receiver = Receiver::new(store.clone(), limits);
        let notifier =
            Notifier::new(Handle::current(), Arc::clone(&clock), config.alerts.queue_capacity);
        notifier.set_alertmanagers(&config.alertmanagers);

        let reload = ReloadState::new(started_ms);
        let (loaded, problems) = load_rules(&config)?;
        if let Some(problems) = problems {
            tracing::error!("Rule files with errors were left out.\n{problems}");
            reload.note(false, started_ms);
        }
        let evaluator = Arc::new(LocalEvaluator::new(store.clone(), engine.clone()));
        let sink = notifier.clone();
        let sink = Box::new(move |alerts| sink.send(alerts));
        let options = manager_options(&config);
        let mut manager = Manager::new(options, evaluator, store.clone(), Arc::clone(&clock), sink);
        manager.keep_state(disk, config.storage.dir.join("alerts"), started_ms);
        manager.load(loaded, started_ms);
        let rules = manager.shared_view();

        let (tell_end, ended) = mpsc::channel(8);
        let (changes, asked) = bounded(1);
        let maintained = store.clone();
        let rules_clock = Arc::clone(&clock);
        let tasks = vec![
            Task::start("rules", tell_end.clone(), move |stop| {
                tasks::evaluate(manager, &rules_clock, &asked, &stop);
            })?,
            Task::start("maintenance", tell_end, move |stop| {
                tasks::maintain(&maintained, &stop);
            })?,
        ];

        let (control, commands) = Control::new();
        let app = Arc::new(App {
            started_ms,
            clock,
            config: ArcSwap::from_pointee(config),
            flags: flags.shown(),
            reload,
            store,
            engine,
            receiver,
            rules,
            notifier,
            http,
            control,
        });
        let one_by_one = Mutex::new(());
        let reloader = Arc::new(Reloader { flags, app: Arc::clone(&app), changes, one_by_one });
        server.open(Arc::clone(&app));
        Ok(Node { server, app, reloader, commands, tasks, ended })
    }

    /// Returns where it listens.
    pub fn local_address(&self) -> SocketAddr {
        self.server.local_address()
    }

    /// Serves clients' commands until something ends the node.
    pub async fn run(&mut self) -> End {
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(Command::Reload(answer)) => {
                        let reloader = Arc::clone(&self.reloader);
                        tokio::task::spawn_blocking(move || {
                            // Whoever asked may have gone away.
                            let _ = answer.send(reloader.reload());
                        });
                    }
                    Some(Command::Quit) | None => return End::Quit,
                },
                name = self.ended.recv() => return End::Broken(name.unwrap_or("a task")),
                () = self.server.ended() => return End::Broken("the HTTP server"),
            }
        }
    }

    /// Has configuration and rules read again. What cannot be used changes nothing, and is logged.
    pub fn reload(&self) {
        let reloader = Arc::clone(&self.reloader);
        tokio::task::spawn_blocking(move || reloader.reload());
    }

    /// As [`Node::reload`], and returns once the change is in force.
    pub(super) async fn reload_now(&self) -> Result<(), String> {
        let reloader = Arc::clone(&self.reloader);
        let reloaded = tokio::task::spawn_blocking(move || reloader.reload()).await;
        reloaded.unwrap_or_else(|panicked| Err(panicked.to_string()))
    }

    /// Returns the rules and alerts once everything that was due until `now_ms` is evaluated, each
    /// group at its own instants.
    pub(super) async fn evaluated(&self, now_ms: i64) -> Result<Arc<RulesView>, Stopping> {
        let (done, is_done) = tokio::sync::oneshot::channel();
        let change: Change = Box::new(move |manager| {
            while let Some(due_ms) = manager.next_due().filter(|due_ms| *due_ms <= now_ms) {
                manager.evaluate_due(due_ms);
            }
            let _ = done.send(());
        });
        let changes = self.reloader.changes.clone();
        let sent = tokio::task::spawn_blocking(move || changes.send(change).is_ok()).await;
        match (sent, is_done.await) {
            (Ok(true), Ok(())) => Ok(self.app.rules.load_full()),
            _ => Err(Stopping),
        }
    }

    /// Returns what queries are evaluated with.
    pub(super) fn engine(&self) -> &Engine {
        &self.app.engine
    }

    /// Returns the store.
    pub(super) fn store(&self) -> &Store {
        &self.app.store
    }

    /// Finishes what is under way, sends what is to be sent, and closes the store.
    pub async fn stop(self) -> Result<(), MaintainError> {
        self.server.stop().await;
        let tasks = self.tasks;
        let join = move || tasks.into_iter().for_each(Task::stop);
        // A task that panicked has said so.
        let _ = tokio::task::spawn_blocking(join).await;
        let unsent = self.app.notifier.drain(NOTIFY_MAX).await;
        if unsent > 0 {
            tracing::warn!(alerts = unsent, "Alerts could not be sent before the end.");
        }
        let store = self.app.store.clone();
        let closed = tokio::task::spawn_blocking(move || store.close()).await;
        closed.unwrap_or(Ok(()))
    }
}

/// Puts a changed configuration into force, on a thread that may block.
struct Reloader {
    flags: Flags,
    app: Arc<App>,
    /// Where the thread of the rules takes changes.
    changes: Sender<Change>,
    one_by_one: Mutex<()>,
}

impl Reloader {
    /// Returns why the old configuration stays, if it does.
    fn reload(&self) -> Result<(), String> {
        let _one_by_one = self.one_by_one.lock();
        let outcome = self.try_reload();
        self.app.reload.note(outcome.is_ok(), self.app.clock.now_ms());
        match &outcome {
            Ok(()) => tracing::info!("Configuration and rules reloaded."),
            Err(error) => tracing::error!("Cannot reload; the old configuration stays. {error}"),
        }
        outcome
    }

    fn try_reload(&self) -> Result<(), String> {
        let config = Config::load(&self.flags).map_err(|error| error.to_string())?;
        let (groups, problems) = load_rules(&config).map_err(|error| error.to_string())?;
        if let Some(problems) = problems {
            return Err(problems);
        }
        log_warnings(&config);
        let (options, now_ms) = (manager_options(&config), self.app.clock.now_ms());
        let (done, is_done) = bounded(1);
        let change: Change = Box::new(move |manager| {
            manager.set_options(options);
            manager.load(groups, now_ms);
            let _ = done.send(());
        });
        let sent = self.changes.send(change).is_ok();
        if !sent || is_done.recv().is_err() {
            return Err("the server is stopping".to_owned());
        }
        self.app.notifier.set_alertmanagers(&config.alertmanagers);
        self.app.config.store(Arc::new(config));
        Ok(())
    }
}

async fn open_store(
    config: &Config,
    disk: Arc<dyn Disk>,
    clock: &Arc<dyn Clock>,
) -> Result<Store, OpenError> {
    let options = StoreOptions {
        dir: config.storage.dir.clone(),
        retention_ms: config.storage.retention_ms,
        retention_bytes: config.storage.retention_bytes,
        out_of_order_window_ms: config.storage.out_of_order_window_ms,
        wal_sync: config.storage.wal_sync,
        ..StoreOptions::default()
    };
    let clock = Arc::clone(clock);
    let opening = tokio::task::spawn_blocking(move || Store::open(options, disk, clock));
    let store = match opening.await {
        Ok(opened) => opened?,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    };
    let recovery = store.recovery();
    for problem in &recovery.problems {
        tracing::warn!(problem, "Damage met while opening the store.");
    }
    tracing::info!(
        dir = %config.storage.dir.display(),
        series = recovery.series,
        blocks = recovery.blocks,
        log_segments = recovery.segments,
        head_samples = recovery.samples,
        took_ms = recovery.duration_ms,
        "Store opened.",
    );
    Ok(store)
}

fn engine_options(config: &Config, features: Features) -> EngineOptions {
    EngineOptions {
        lookback_ms: config.query.lookback_ms,
        max_samples: config.query.max_samples,
        timeout: config.query.timeout,
        default_subquery_step_ms: config.evaluation_interval_ms,
        features,
    }
}

fn manager_options(config: &Config) -> ManagerOptions {
    ManagerOptions {
        external_labels: config.external_labels.clone(),
        external_url: config.web.external_url.clone(),
        resend_delay_ms: config.alerts.resend_delay_ms,
        outage_tolerance_ms: config.alerts.outage_tolerance_ms,
        default_interval_ms: config.evaluation_interval_ms,
        query_offset_ms: config.rule_query_offset_ms,
        is_aligned: false,
    }
}

/// Returns the groups of all files without errors, and the errors of the others. Warnings are
/// logged.
fn load_rules(config: &Config) -> Result<(Vec<GroupSpec>, Option<String>), ConfigError> {
    let sources = config.rule_files()?;
    let options = load_options(config.evaluation_interval_ms);
    let (groups, diagnostics) = rules::load(&sources, &options);
    let (errors, warnings): (Vec<_>, Vec<_>) =
        diagnostics.iter().partition(|found| FileDiagnostic::is_error(found));
    for warning in warnings {
        tracing::warn!("{}", warning.render(&sources));
    }
    let errors: Vec<String> = errors.iter().map(|error| error.render(&sources)).collect();
    Ok((groups, if errors.is_empty() { None } else { Some(errors.join("\n")) }))
}

fn log_warnings(config: &Config) {
    for warning in &config.warnings {
        tracing::warn!(warning, "Configuration.");
    }
}
