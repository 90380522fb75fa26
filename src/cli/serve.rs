use std::process::ExitCode;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::Outcome;
use crate::api::{App, Command, Control, Server};
use crate::config::{Config, Flags};
use crate::env::{Clock, SystemClock};

/// Arguments of `forewarn serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
}

/// Serves until a signal, or `/-/quit`, ends it.
pub fn run(args: &Args) -> Outcome {
    init_logs();
    let config = Config::load(&args.flags)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(&args.flags, config))
}

async fn serve(flags: &Flags, config: Config) -> Outcome {
    let mut signals = Signals::new()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    log_warnings(&config);

    let mut server = Server::start(config.web.clone()).await?;
    let (control, mut commands) = Control::new();
    server.open(App {
        started_ms: clock.now_ms(),
        clock,
        config: ArcSwap::from_pointee(config),
        flags: flags.shown(),
        control,
    });
    tracing::info!(address = %server.local_address(), "Ready.");

    let clean = wait(&mut server, flags, &mut signals, &mut commands).await;

    tokio::spawn(async move {
        while let Wanted::Reload = signals.next().await {}
        tracing::warn!("Second signal: exiting at once.");
        std::process::exit(1);
    });
    server.stop().await;
    tracing::info!("Stopped.");
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reloads as often as asked; returns when it is time to stop, and whether that was wanted.
async fn wait(
    server: &mut Server,
    flags: &Flags,
    signals: &mut Signals,
    commands: &mut mpsc::Receiver<Command>,
) -> bool {
    loop {
        tokio::select! {
            wanted = signals.next() => match wanted {
                Wanted::Reload => drop(reload(server, flags)),
                Wanted::End(signal) => {
                    tracing::info!(signal, "Stopping.");
                    return true;
                }
            },
            command = commands.recv() => match command {
                Some(Command::Reload(answer)) => drop(answer.send(reload(server, flags))),
                Some(Command::Quit) | None => {
                    tracing::info!("Stopping: asked by /-/quit.");
                    return true;
                }
            },
            () = server.ended() => {
                tracing::error!("The HTTP server ended by itself. Stopping.");
                return false;
            }
        }
    }
}

/// Reads configuration again; what cannot be used changes nothing.
fn reload(server: &Server, flags: &Flags) -> Result<(), String> {
    match Config::load(flags) {
        Ok(config) => {
            log_warnings(&config);
            if let Some(app) = server.app() {
                app.config.store(Arc::new(config));
            }
            tracing::info!("Configuration reloaded.");
            Ok(())
        }
        Err(error) => {
            tracing::error!(%error, "Cannot reload; the old configuration stays.");
            Err(error.to_string())
        }
    }
}

fn log_warnings(config: &Config) {
    for warning in &config.warnings {
        tracing::warn!(warning, "Configuration.");
    }
}

/// Logs go to stderr; `FOREWARN_LOG` chooses what (`debug`, `forewarn::store=trace`).
fn init_logs() {
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing::level_filters::LevelFilter::INFO.into())
        .with_env_var("FOREWARN_LOG")
        .from_env_lossy();
    // A second initialisation, as in tests, changes nothing.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
}

/// The signals that mean something.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Resolves at the next signal.
    async fn next(&mut self) -> Wanted {
        tokio::select! {
            _ = self.interrupt.recv() => Wanted::End("SIGINT"),
            _ = self.terminate.recv() => Wanted::End("SIGTERM"),
            _ = self.hangup.recv() => Wanted::Reload,
        }
    }
}

/// What a signal asks for.
enum Wanted {
    Reload,
    End(&'static str),
}
