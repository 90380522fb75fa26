use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Outcome;
use super::node::{End, Node};
use crate::config::Flags;
use crate::env::{RealDisk, SystemClock};

/// Arguments of `forewarn serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
}

/// Serves until a signal, or `/-/quit`, ends it.
pub fn run(args: &Args) -> Outcome {
    super::init_logs(tracing::level_filters::LevelFilter::INFO);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(args.flags.clone()))
}

/// Serves until a signal or a client ends it, or a part breaks; returns with which exit code.
pub(super) async fn until_the_end(node: &mut Node) -> std::io::Result<ExitCode> {
    let clean = wait(node, &mut Signals::new()?).await;
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn serve(flags: Flags) -> Outcome {
    let mut signals = Signals::new()?;
    let clock = Arc::new(SystemClock::new());
    let starting = Node::start(flags, Arc::new(RealDisk), clock);
    let mut node = tokio::select! {
        node = starting => node?,
        // Nothing was taken that could be lost: the log that is replayed is on disk.
        signal = signals.end() => {
            tracing::info!(signal, "Stopped while starting.");
            return Ok(ExitCode::SUCCESS);
        }
    };
    tracing::info!(address = %node.local_address(), "Ready.");

    let clean = wait(&mut node, &mut signals).await;

    tokio::spawn(async move {
        let signal = signals.end().await;
        tracing::warn!(signal, "Second signal: exiting at once.");
        std::process::exit(1);
    });
    node.stop().await?;
    tracing::info!("Stopped.");
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns when it is time to stop, and whether that was wanted.
async fn wait(node: &mut Node, signals: &mut Signals) -> bool {
    loop {
        tokio::select! {
            wanted = signals.next() => match wanted {
                Wanted::Reload => node.reload(),
                Wanted::End(signal) => {
                    tracing::info!(signal, "Stopping.");
                    return true;
                }
            },
            end = node.run() => match end {
                End::Quit => {
                    tracing::info!("Stopping: asked by /-/quit.");
                    return true;
                }
                End::Broken(part) => {
                    tracing::error!(part, "A part of the server ended by itself. Stopping.");
                    return false;
                }
            },
        }
    }
}

/// The signals that mean something.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

/// What a signal asks for.
enum Wanted {
    Reload,
    End(&'static str),
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

    /// Resolves at a signal that ends the server, with its name.
    async fn end(&mut self) -> &'static str {
        loop {
            if let Wanted::End(signal) = self.next().await {
                return signal;
            }
        }
    }
}
