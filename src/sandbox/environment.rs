//! What of the environment a confined command sees: a list of names, and nothing that is not on it.

use std::ffi::{OsStr, OsString};

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

#[cfg(test)]
mod tests {
    use super::*;

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
