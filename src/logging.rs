//! Logs go to standard error or a file, never to standard output: that is the protocol.
//!
//! `ORG_AGENT_LOG` chooses what is logged, in the syntax of `tracing_subscriber::EnvFilter`. What users and
//! models wrote is logged at `trace` at most, secrets never: whatever a library logs, the keys that are known are masked in
//! it, and so is what has the form of one. The same holds for the words of a panic.

use std::fs::OpenOptions;
use std::io::{self, Write, stderr};
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::error::{Error, Result};
use crate::known;

/// The environment variable with the filter.
pub const VARIABLE: &str = "ORG_AGENT_LOG";

/// The HTTP library logs whole bodies of servers; what matters in them is in our own errors.
const DEFAULT: &str = "warn,async_openai=off,org_agent=info";

/// Starts logging, once for the process: to `file`, which is appended to, or to standard error.
///
/// # Errors
/// `bad_request` if the filter cannot be understood or the file not opened, `internal` if logging was
/// started before.
pub fn start(file: Option<&Path>) -> Result<()> {
    start_with(file, DEFAULT)
}

/// Starts logging to standard error for a command that people look at: only what went wrong, unless
/// `ORG_AGENT_LOG` says otherwise.
///
/// # Errors
/// Those of [`start`].
pub fn start_quiet() -> Result<()> {
    start_with(None, "error,async_openai=off")
}

fn start_with(file: Option<&Path>, default: &str) -> Result<()> {
    let wanted = std::env::var(VARIABLE).ok().filter(|wanted| !wanted.trim().is_empty());
    let filter = filter(wanted.as_deref().unwrap_or(default))?;
    match file {
        Some(path) => start_on(filter, Mutex::new(open(path)?)),
        None => start_on(filter, stderr),
    }
}

fn filter(wanted: &str) -> Result<EnvFilter> {
    EnvFilter::try_new(wanted).map_err(|error| {
        Error::bad_request(format!("{VARIABLE}: no log filter"))
            .because(error)
            .hint("write a level (error, warn, info, debug, trace), or target=level, with commas between")
    })
}

fn open(path: &Path) -> Result<std::fs::File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| {
        Error::bad_request(format!("no log file {}", path.display()))
            .because(error)
            .hint("choose a file in a directory that exists and can be written to")
    })
}

/// Masks the keys in the words of a panic, before they are written to standard error.
pub fn mask_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let words = panic.to_string();
        let masked = known::masked(&words);
        if masked == words {
            return usual(panic);
        }
        // Without standard error there is nobody left to tell.
        drop(writeln!(stderr(), "\n{masked}"));
    }));
}

/// Writes each line of a log without the keys that are known.
struct Masked<M>(M);

/// One line on its way.
struct Line<W>(W);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Masked<M> {
    type Writer = Line<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self.0.make_writer())
    }
}

impl<W: Write> Write for Line<W> {
    /// Takes all: an event is written in one piece, and to mask a part of it could leave the other.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_all(known::masked(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn start_on(filter: EnvFilter, writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static) -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        // A line that cannot be written is no reason to end: it would be told on the stream that failed.
        .log_internal_errors(false)
        .with_writer(Masked(writer))
        .try_init()
        .map_err(|error| Error::internal("logging was started twice").because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        for good in [DEFAULT, "debug", "org_agent::lsp=trace,off"] {
            filter(good).unwrap();
        }
        assert!(filter("org_agent=loud").unwrap_err().to_string().contains(VARIABLE));
    }

    #[test]
    fn keys_are_masked_in_every_line() {
        known::given([secrecy::SecretString::from("canary-of-the-log")], []);
        let mut written = Vec::new();
        Line(&mut written).write_all(b"a b64=Y2FuYXJ5LW9mLXRoZS1sb2c= canary-of-the-log\n").unwrap();
        let text = String::from_utf8(written).unwrap();
        assert_eq!(text, "a b64=[redacted: live key]= [redacted: live key]\n");
    }

    #[test]
    fn files_are_appended_to_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for line in ["one\n", "two\n"] {
            open(&path).unwrap().write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(open(&dir.path().join("none/log")).is_err());
    }
}
