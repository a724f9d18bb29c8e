//! What of the environment a confined command sees: a list of names, and nothing that is not on it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The variables that pass, besides every `LC_*` and a `TMPDIR` of the sandbox's own. Each says where
/// something is or how to write; none is where a secret is kept.
pub const PASSED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "COLUMNS",
    "LINES",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
];

/// Whether the variable `name` passes.
#[must_use]
pub fn passes(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| PASSED.contains(&name) || name.starts_with("LC_"))
}

/// The environment of a confined command, of the variables of this process.
pub fn clean(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    tmpdir: impl Into<OsString>,
) -> Vec<(OsString, OsString)> {
    variables
        .into_iter()
        .filter(|(name, _)| passes(name))
        .chain([(OsString::from("TMPDIR"), tmpdir.into())])
        .collect()
}

/// What stands before the name of a variable that is handed on: through the processes of a sandbox, which need the
/// whole environment to know what to hide, to the command.
const HANDED_ON: &[u8] = b"ORG_AGENT_GIVEN_";

/// `variables` under the names by which they are handed on.
pub fn hand_on(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> impl Iterator<Item = (OsString, OsString)> {
    variables.into_iter().map(|(name, value)| {
        let name = [HANDED_ON, name.as_bytes()].concat();
        (OsString::from_vec(name), value)
    })
}

/// Those of `variables` that are handed on, under the names by which they are.
pub fn handed_on(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> impl Iterator<Item = (OsString, OsString)> {
    variables.into_iter().filter(|(name, _)| name.as_bytes().starts_with(HANDED_ON))
}

/// The environment that was handed on to a command, of the variables of this process.
pub fn given(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    tmpdir: impl Into<OsString>,
) -> Vec<(OsString, OsString)> {
    variables
        .into_iter()
        .filter_map(|(name, value)| {
            let name = name.as_bytes().strip_prefix(HANDED_ON)?;
            (name != b"TMPDIR").then(|| (OsStr::from_bytes(name).to_owned(), value))
        })
        .chain([(OsString::from("TMPDIR"), tmpdir.into())])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_on_is_all_that_arrives() {
        let own = [("PATH", "/own"), ("GNUPGHOME", "/keys"), ("TERM", "xterm")]
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let odd = OsString::from_vec(b"/b\xff".to_vec());
        let own_of_command = [("PATH".into(), odd.clone()), ("TMPDIR".into(), "/old".into())];
        let all: Vec<_> = own.into_iter().chain(hand_on(own_of_command)).collect();
        assert_eq!(handed_on(all.clone()).count(), 2);
        assert_eq!(given(all, "/tmp"), [("PATH".into(), odd), ("TMPDIR".into(), "/tmp".into())]);
    }

    #[test]
    fn only_what_is_listed_passes() {
        let given = [
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("OPENAI_API_KEY", "sk"),
            ("SSH_AUTH_SOCK", "/s"),
            ("TMPDIR", "/old"),
            ("LD_PRELOAD", "/x.so"),
            ("BASH_FUNC_ls%%", "() { :; }"),
        ]
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let names = clean(given, "/tmp");
        let expected = [("PATH", "/bin"), ("LC_ALL", "C"), ("TMPDIR", "/tmp")]
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        assert_eq!(names, expected);
    }
}
