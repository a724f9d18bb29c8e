//! The small languages that some programs take: `sed` and `jq` scripts, the expressions of `find` and `test`.
//!
//! Only what is known to read is accepted of them.

use crate::shell::place::Place;

/// A script for `sed` that prints lines by their numbers, or deletes them from what is printed.
pub(super) fn sed(script: &str) -> Result<(), String> {
    let refused = || Err("only scripts like 1,20p are known to read only".to_owned());
    script.split(';').map(|part| part.trim_matches(' ')).try_for_each(|part| {
        let Some(addresses) = part.strip_suffix(['p', 'd', '=', 'q']) else { return refused() };
        let mut addresses = addresses.trim_end_matches(' ').splitn(2, ',');
        let is_address =
            |text: &str| text == "$" || !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if addresses.clone().all(is_address) || addresses.next() == Some("") && addresses.next().is_none() {
            Ok(())
        } else {
            refused()
        }
    })
}

/// A filter for `jq` that only takes its input apart.
pub(super) fn jq(filter: &str) -> Result<(), String> {
    const WORDS: &[&str] = &[
        "add",
        "all",
        "and",
        "any",
        "ascii_downcase",
        "contains",
        "endswith",
        "first",
        "flatten",
        "from_entries",
        "group_by",
        "has",
        "if",
        "then",
        "else",
        "elif",
        "end",
        "in",
        "index",
        "inside",
        "join",
        "keys",
        "keys_unsorted",
        "last",
        "length",
        "limit",
        "map",
        "map_values",
        "max",
        "max_by",
        "min",
        "min_by",
        "not",
        "null",
        "or",
        "paths",
        "reverse",
        "select",
        "sort",
        "sort_by",
        "split",
        "startswith",
        "test",
        "to_entries",
        "tonumber",
        "tostring",
        "true",
        "false",
        "type",
        "unique",
        "unique_by",
        "values",
        "with_entries",
        "empty",
    ];
    let mut rest = filter;
    while let Some(c) = rest.chars().next() {
        let word =
            rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_').len();
        match c {
            '"' => {
                // A text without `\(`, which would hold a filter.
                let Some(end) = rest[1..].find('"').filter(|end| !rest[1..][..*end].contains('\\')) else {
                    return Err("a text in the filter that is not known to read only".into());
                };
                rest = &rest[end + 2..];
            }
            '.' => {
                let field = rest[1..].trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
                rest = field;
            }
            _ if word > 0 => {
                let name = &rest[..word];
                if !(WORDS.contains(&name) || name.bytes().all(|b| b.is_ascii_digit())) {
                    return Err(format!("{name} in the filter is not known to read only"));
                }
                rest = &rest[word..];
            }
            ' ' | '[' | ']' | '(' | ')' | '{' | '}' | '|' | ',' | ':' | '?' | '=' | '!' | '<' | '>' | '+'
            | '-' | '*' | '/' | '%' => rest = &rest[1..],
            _ => return Err(format!("{c} in the filter is not known to read only")),
        }
    }
    Ok(())
}

/// Paths and an expression for `find`.
pub(super) fn find(arguments: &[String], place: &Place<'_>) -> Result<(), String> {
    const ALONE: &[&str] = &[
        "!",
        "(",
        ")",
        ",",
        "-a",
        "-and",
        "-daystart",
        "-depth",
        "-empty",
        "-executable",
        "-false",
        "-ls",
        "-mount",
        "-nogroup",
        "-noleaf",
        "-not",
        "-nouser",
        "-o",
        "-or",
        "-print",
        "-print0",
        "-prune",
        "-quit",
        "-readable",
        "-true",
        "-writable",
        "-xdev",
        "-P",
    ];
    const TEXT: &[&str] = &[
        "-amin",
        "-atime",
        "-cmin",
        "-ctime",
        "-gid",
        "-group",
        "-ilname",
        "-iname",
        "-inum",
        "-ipath",
        "-iregex",
        "-links",
        "-lname",
        "-maxdepth",
        "-mindepth",
        "-mmin",
        "-mtime",
        "-name",
        "-path",
        "-perm",
        "-printf",
        "-regex",
        "-regextype",
        "-size",
        "-type",
        "-uid",
        "-used",
        "-user",
        "-wholename",
        "-xtype",
    ];
    const WRITES: &[&str] = &["-delete", "-fls", "-fprint", "-fprint0", "-fprintf"];
    const RUNS: &[&str] = &["-exec", "-execdir", "-ok", "-okdir"];
    const PATH: &[&str] = &["-anewer", "-cnewer", "-newer", "-samefile"];
    let mut rest = arguments.iter().map(String::as_str);
    let mut expression = false;
    while let Some(argument) = rest.next() {
        if ALONE.contains(&argument) {
            expression |= argument != "-P";
        } else if TEXT.contains(&argument) || PATH.contains(&argument) {
            expression = true;
            let Some(value) = rest.next() else { return Err(format!("{argument} lacks its value")) };
            if PATH.contains(&argument) {
                place.may_read(value)?;
            }
        } else if WRITES.contains(&argument) {
            return Err(format!("{argument} writes or deletes"));
        } else if RUNS.contains(&argument) {
            return Err(format!("{argument} runs something"));
        } else if argument.starts_with('-') || expression {
            return Err(format!("{argument} is not known to read only"));
        } else {
            place.may_read(argument)?;
        }
    }
    Ok(())
}

/// An expression for `test` or `[`.
pub(super) fn test(program: &str, arguments: &[String], place: &Place<'_>) -> Result<(), String> {
    const FILES: &[&str] = &[
        "-b", "-c", "-d", "-e", "-f", "-g", "-G", "-h", "-k", "-L", "-N", "-O", "-p", "-r", "-s", "-S", "-u",
        "-w", "-x",
    ];
    const TEXTS: &[&str] = &["-n", "-z"];
    const BETWEEN: &[&str] = &["=", "==", "!=", "-eq", "-ne", "-lt", "-le", "-gt", "-ge"];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let arguments = match (program, arguments.as_slice()) {
        ("[", [inner @ .., "]"]) => inner,
        ("[", _) => return Err("a bracket without an end".into()),
        (_, arguments) => arguments,
    };
    let arguments = if let ["!", rest @ ..] = arguments { rest } else { arguments };
    match arguments {
        [operator, path] if FILES.contains(operator) => place.may_read(path).map_err(Into::into),
        [operator, _] if TEXTS.contains(operator) => Ok(()),
        [_, operator, _] if BETWEEN.contains(operator) => Ok(()),
        _ => Err("an expression that is not known to read only".into()),
    }
}

/// Texts for `echo`, as they stand.
pub(super) fn echo(arguments: &[String]) -> Result<(), String> {
    let is_flag = |word: &&String| {
        word.len() > 1 && word.starts_with('-') && word[1..].bytes().all(|b| b"neE".contains(&b))
    };
    match arguments.iter().take_while(is_flag).find(|word| word.contains('e')) {
        Some(flag) => Err(format!("{flag} makes control characters")),
        None => Ok(()),
    }
}
