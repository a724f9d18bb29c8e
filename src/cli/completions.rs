//! `org-agent completions`: scripts for shells, made from the command line itself.

use std::io::Write;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::error::Result;

const EXAMPLE: &str = "\
Examples:
  org-agent completions bash > ~/.local/share/bash-completion/completions/org-agent
  org-agent completions zsh > ~/.zfunc/_org-agent     # with ~/.zfunc in $fpath
  org-agent completions fish > ~/.config/fish/completions/org-agent.fish

Exit status: 0 the script was printed, 1 it could not be written, 2 wrong usage.";

/// Print the script with which a shell completes commands and options
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the command; answers the exit status.
///
/// # Errors
/// `internal` if `stdout` can not be written.
pub(super) fn run(args: &Args, stdout: &mut dyn Write) -> Result<u8> {
    let mut command = super::Cli::command();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "org-agent", &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if args.shell == Shell::Bash {
        // The library spells the state of a program with a hyphen in its name in two ways, so nothing after a command would be
        // completed. The test `bash_completes` says whether this is still needed.
        script = script.replace("org__subcmd__agent__subcmd__", "org__agent__subcmd__");
    }
    super::written(stdout.write_all(script.as_bytes()).and_then(|()| stdout.flush()), "the script")
        .map(|()| 0)
}
