//! `forewarn help`: how a subcommand is called, and what PromQL knows.

use std::io::Write;
use std::process::ExitCode;

use clap::CommandFactory;

use super::{Cli, Outcome};
use crate::lang::nearest;
use crate::promql::{AggregateOp, Function, function, functions};

/// What help is wanted on.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A subcommand, or `promql`.
    topic: Option<String>,
    /// With `promql`: only these functions.
    names: Vec<String>,
}

/// Prints the help on a topic.
pub fn run(args: &Args) -> Outcome {
    let mut out = std::io::stdout().lock();
    let mut cli = Cli::command();
    cli.build();
    match args.topic.as_deref() {
        None => write!(out, "{}", cli.render_long_help())?,
        Some("promql") if args.names.is_empty() => write!(out, "{}", language())?,
        Some("promql") => {
            for name in &args.names {
                writeln!(out, "{}", usage(name)?)?;
            }
        }
        Some(topic) => {
            let known: Vec<String> = cli.get_subcommands().map(|c| c.get_name().into()).collect();
            let Some(command) = cli.find_subcommand_mut(topic) else {
                let known = known.iter().map(String::as_str).chain(["promql"]);
                let near = nearest(topic, known.clone());
                let near = near.map_or(String::new(), |near| format!("did you mean {near}? "));
                let known = known.collect::<Vec<_>>().join(", ");
                return Err(format!("no help on {topic:?}; {near}There is help on {known}.").into());
            };
            write!(out, "{}", command.render_long_help())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn usage(name: &str) -> Result<String, String> {
    if let Some((op, name)) = AggregateOp::ALL.iter().find(|(_, known)| *known == name) {
        let parameter = op.parameter().map_or(String::new(), |kind| format!("{kind}, "));
        return Ok(format!(
            "{name}({parameter}instant vector): aggregation, by (...) or without (...)"
        ));
    }
    function(name).map(line).ok_or_else(|| {
        let known = functions().iter().map(|function| function.name);
        let near = nearest(name, known.chain(AggregateOp::ALL.map(|(_, name)| name)));
        let near = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
        format!("PromQL has no function {name:?}{near}")
    })
}

fn line(function: &Function) -> String {
    let mark = if function.experimental { " [experimental]" } else { "" };
    format!("{}{mark}", function.usage())
}

fn language() -> String {
    let aggregations = AggregateOp::ALL.map(|(op, name)| {
        let mark = if op.is_experimental() { " [experimental]" } else { "" };
        format!("{name}{mark}")
    });
    let functions: Vec<String> =
        functions().iter().map(|function| format!("  {}", line(function))).collect();
    format!(
        "PromQL as of Prometheus 3.14.\n\n\
         Aggregations, each with by (...) or without (...):\n  {}\n\n\
         Functions:\n{}\n\n\
         What is experimental takes --enable-feature=promql-experimental-functions.\n",
        aggregations.join(", "),
        functions.join("\n"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_table() {
        let text = language();
        assert!(text.contains("\n  rate(range vector): growth of a counter per second"));
        assert!(text.contains("limitk [experimental]"));
        assert_eq!(text.lines().filter(|line| line.contains("): ")).count(), functions().len());
        assert!(usage("raet").unwrap_err().ends_with("did you mean rate?"));
    }
}
