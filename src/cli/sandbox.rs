//! `org-agent sandbox`: runs a command confined, and exits as it did.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Config;
use crate::error::{Code, Result};
use crate::kernel::rules;
use crate::sandbox::{self, Mechanism, Spec, Stage, UNCONFINED};
use crate::warrant::{self, Warrants};

const EXAMPLE: &str = "\
Examples:
  org-agent sandbox -- make test
  org-agent sandbox --dir ~/notes -- sh -c 'grep -rl TODO . | wc -l'
  org-agent sandbox --allow-net --write ~/.cache/pip -- pip download requests
  org-agent sandbox --token 3f9c1a…

The command writes its workspace, what --write names and a /tmp of its own, but no .git, .org-agent or shell \
start-up file. It does not see keys, passwords, browsers' profiles or org-agent's data, and not your \
environment but for PATH, HOME, LANG and the like. It has no network, and all it started ends with it. See \
\"The sandbox\" in docs/security.md for what is not protected.

A token is what the server gives for a command that was approved or allowed. It runs that, in the directory and \
with the environment it was approved for, once, within ten minutes; --dir and the like say nothing then. Where there \
is no sandbox, and the question said so, it runs that unconfined.

Exit status: the command's; 128 and the signal's number if a signal ended it, 126 or 127 if it cannot be run or \
is not found, 125 if it was not run, because it could not be confined or must not run, 2 wrong usage.";

/// Run a command that can write only its workspace and reach no network (Linux)
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Args {
    /// The workspace: where the command starts, and what it may write
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// A further directory that it may write; may be given again
    #[arg(long, value_name = "DIR")]
    write: Vec<PathBuf>,
    /// Let it write nothing but its own temporary files
    #[arg(long, conflicts_with = "write")]
    read_only: bool,
    /// Let it use the network; Unix sockets stay closed
    #[arg(long)]
    allow_net: bool,
    /// Confine by this, rather than by the better one that works
    #[arg(long, value_enum)]
    mechanism: Option<Mechanism>,
    /// Run what this token of the server is good for
    #[arg(long, conflicts_with_all = ["dir", "write", "read_only", "allow_net", "mechanism", "command"])]
    token: Option<String>,
    /// The command and its arguments
    #[arg(last = true, required_unless_present = "token", value_name = "CMD")]
    command: Vec<OsString>,
    #[command(flatten)]
    inner: Inner,
}

/// How the program calls itself.
#[derive(Debug, clap::Args)]
struct Inner {
    #[arg(long, hide = true, value_parser = ["keep", "confine"])]
    stage: Option<String>,
    #[arg(long, hide = true)]
    parent: Option<i32>,
    #[arg(long, hide = true)]
    tmp: Option<PathBuf>,
    #[arg(long, hide = true)]
    ready: Option<i32>,
    #[arg(long, hide = true)]
    given: bool,
}

/// Runs the command and answers its exit status. Errors are reported here, since their statuses are not those
/// of the other commands.
pub(super) fn main(args: Args, config: impl FnOnce() -> Result<Config>) -> u8 {
    let args_given = args.token.is_none();
    let outcome = match &args.token {
        Some(token) => config().and_then(|config| redeem(token, &config)),
        None => run(args),
    };
    outcome.unwrap_or_else(|error| {
        warrant::refuse_here(&error);
        drop(writeln!(io::stderr(), "org-agent: {error}"));
        if error.code == Code::BadRequest && args_given { 2 } else { UNCONFINED }
    })
}

/// Becomes what `token` lets run.
fn redeem(token: &str, config: &Config) -> Result<u8> {
    let warrants = Warrants::new(&config.paths.data);
    let warrant = warrants.take(token)?;
    let refusal = warrants.refusal_file(token);
    let rules = rules::load(config).map(Arc::new);
    let checked = rules.and_then(|rules| warrant.check(&rules::here(&rules, warrant.directory.path())));
    let error = checked.err().unwrap_or_else(|| warrant.run(&refusal));
    warrant::refuse(&refusal, &error);
    Err(error)
}

fn run(args: Args) -> Result<u8> {
    let Inner { stage, parent, tmp, ready, given } = args.inner;
    let stage = match stage.as_deref() {
        Some("keep") => Stage::Keep { parent: parent.unwrap_or_default() },
        Some(_) => Stage::Confine { parent, tmp, ready: ready.unwrap_or(-1) },
        None => Stage::Front,
    };
    let mut command = args.command.into_iter();
    let spec = Spec {
        workspace: args.dir,
        write: args.write,
        read_only: args.read_only,
        allow_net: args.allow_net,
        mechanism: args.mechanism,
        program: command.next().unwrap_or_default(),
        args: command.collect(),
        given,
    };
    let mut warn = |text: &str| drop(writeln!(io::stderr(), "org-agent: warning: {text}"));
    super::runtime()?.block_on(sandbox::run(spec, stage, &mut warn))
}
