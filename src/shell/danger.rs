//! What is plainly destructive, in every spelling that the parser sees through: a courtesy, not a wall.
//!
//! A command that is not recognised here is not harmless; it is asked. It looks at words, wherever in the text
//! they stand.

use super::literal::Word;
use super::place::Place;
use super::script::{self, Script, Seen};

/// A chain of more commands is not read by anyone.
const LONG_CHAIN: usize = 30;

/// Programs that run what their arguments say.
const WRAPPERS: &[&str] = &[
    "builtin",
    "busybox",
    "chroot",
    "command",
    "coproc",
    "env",
    "exec",
    "find",
    "flock",
    "ionice",
    "nice",
    "nohup",
    "parallel",
    "script",
    "setsid",
    "stdbuf",
    "strace",
    "systemd-run",
    "taskset",
    "time",
    "timeout",
    "toybox",
    "unshare",
    "watch",
    "xargs",
    "proot",
    "fakeroot",
    "fd",
    "not",
    "doas",
    "sudo",
];

const SHELLS: &[&str] =
    &["ash", "bash", "csh", "dash", "fish", "ksh", "mksh", "rbash", "sh", "tcsh", "yash", "zsh"];

const FETCHERS: &[&str] = &[
    "aria2c", "curl", "fetch", "ftp", "nc", "ncat", "netcat", "scp", "sftp", "socat", "ssh", "telnet", "wget",
];

/// How deep texts inside texts are looked at.
const MAX_DEPTH: usize = 4;

/// Why the text must not run, if it must not.
#[must_use]
pub fn find(script: &Script, place: &Place<'_>) -> Option<String> {
    if script.calls_itself {
        return Some("a function that calls itself without end".into());
    }
    if script.seen.len() > LONG_CHAIN {
        let fetcher = script.seen.iter().flat_map(|seen| &seen.words).find_map(|word| {
            let name = program(word)?;
            FETCHERS.contains(&name).then(|| name.to_owned())
        });
        if let Some(fetcher) = fetcher {
            return Some(format!("a chain of {} commands with {fetcher} in it", script.seen.len()));
        }
    }
    let mut found = None;
    let mut texts = vec![(script.seen.clone(), 0)];
    while let (Some((seen, depth)), None) = (texts.pop(), &found) {
        for command in &seen {
            found = found.or_else(|| command_danger(command, place));
            if depth < MAX_DEPTH
                && let Some(text) = inner_text(&command.words)
                && let Ok(inner) = script::parse(&text)
            {
                texts.push((inner.seen, depth + 1));
            }
        }
    }
    found
}

/// The last part of a word's path, if it is literal.
fn program(word: &Word) -> Option<&str> {
    word.text()?.rsplit('/').next()
}

/// The text that a command gives to a shell.
fn inner_text(words: &[Word]) -> Option<String> {
    let at = words.iter().position(|word| {
        program(word)
            .is_some_and(|name| SHELLS.contains(&name) || matches!(name, "eval" | "trap" | "su" | "watch"))
    })?;
    let name = program(&words[at])?;
    let rest = &words[at + 1..];
    let texts = |words: &[Word]| {
        let texts: Vec<&str> = words.iter().map(|word| word.text().unwrap_or(&word.raw)).collect();
        texts.join(" ")
    };
    if matches!(name, "eval" | "watch") {
        return Some(texts(rest));
    }
    if name == "trap" {
        return rest.first().map(|word| word.text().unwrap_or(&word.raw).to_owned());
    }
    // `-c`, alone or with others.
    let is_c = |word: &Word| {
        word.text().is_some_and(|w| w.starts_with('-') && !w.starts_with("--") && w.contains('c'))
    };
    let at = rest.iter().position(is_c)?;
    rest.get(at + 1).map(|word| word.text().unwrap_or(&word.raw).to_owned())
}

/// Why this command must not run.
fn command_danger(seen: &Seen, place: &Place<'_>) -> Option<String> {
    if let Some(word) = seen.writes.iter().find(|word| word.text().is_some_and(is_disk)) {
        return Some(format!("it writes to the device {}", word.raw));
    }
    let mut words = seen.words.as_slice();
    while let Some((first, rest)) = words.split_first() {
        let name = program(first).unwrap_or_default();
        if let Some(danger) = program_danger(name, rest, place) {
            return Some(danger);
        }
        if !WRAPPERS.contains(&name) {
            return None;
        }
        // What a wrapper runs stands somewhere behind it: each word could be it.
        let next = rest
            .iter()
            .position(|word| program(word).is_some_and(|name| WRAPPERS.contains(&name) || is_judged(name)))?;
        words = &rest[next..];
    }
    None
}

/// Whether [`program_danger`] knows a program.
fn is_judged(name: &str) -> bool {
    let known = [
        "rm",
        "sudo",
        "su",
        "doas",
        "pkexec",
        "wipefs",
        "shred",
        "dd",
        "chmod",
        "chown",
        "git",
        "shutdown",
        "reboot",
        "poweroff",
        "halt",
        "kill",
        "iptables",
        "nft",
        "crontab",
        "run0",
        "systemctl",
        "mv",
        "truncate",
        "blkdiscard",
        "ip6tables",
        "fdisk",
        "parted",
        "sfdisk",
        "unlink",
        "rmdir",
        "killall",
        "pkill",
        "init",
        "telinit",
        "setfacl",
        "chgrp",
        "tee",
        "cp",
        "find",
    ];
    known.contains(&name) || name.starts_with("mkfs")
}

fn program_danger(name: &str, words: &[Word], place: &Place<'_>) -> Option<String> {
    let has = |short: &[char], longs: &[&str]| flag(words, short, longs);
    match name {
        "sudo" | "su" | "doas" | "pkexec" | "run0" => {
            Some(format!("{name} gives rights that nothing here needs"))
        }
        "wipefs" | "blkdiscard" | "fdisk" | "sfdisk" | "parted" => Some(format!("{name} changes a disk")),
        _ if name == "mkfs" || name.starts_with("mkfs.") => Some(format!("{name} erases a file system")),
        "shutdown" | "reboot" | "poweroff" | "halt" | "telinit" => Some(format!("{name} stops the machine")),
        "systemctl" => {
            let verbs = ["emergency", "exit", "halt", "kexec", "poweroff", "reboot", "rescue", "soft-reboot"];
            let verb = words.iter().filter_map(Word::text).find(|word| verbs.contains(word));
            verb.map(|verb| format!("systemctl {verb} stops the machine"))
        }
        "init" if words.first().and_then(Word::text).is_some_and(|level| matches!(level, "0" | "6")) => {
            Some("init 0 or 6 stops the machine".into())
        }
        "rm" if has(&['r', 'R', 'f'], &["--recursive", "--force"]) => {
            let what = operands(words).find_map(|word| Some((word, outside(word, place)?)));
            what.map(|(word, what)| format!("rm, recursive or forced, of {}: {what}", word.raw))
        }
        "find" if words.iter().any(|word| word.text() == Some("-delete")) => {
            let roots = words.iter().take_while(|word| !word.raw.starts_with(['-', '!', '(']));
            let what = roots.filter_map(|word| Some((word, outside(word, place)?))).next();
            what.map(|(word, what)| format!("find -delete below {}: {what}", word.raw))
        }
        "dd" => {
            let target = words
                .iter()
                .filter_map(Word::text)
                .find(|word| word.strip_prefix("of=").is_some_and(is_disk));
            target.map(|target| format!("dd {target} overwrites a device"))
        }
        "tee" | "cp" | "mv" | "truncate" | "shred" => {
            let target = words.iter().find(|word| word.text().is_some_and(is_disk));
            target.map(|word| format!("{name} overwrites the device {}", word.raw))
        }
        "chmod" => {
            if let Some(mode) = words.iter().filter_map(Word::text).find(|word| sets_id(word)) {
                return Some(format!("chmod {mode} gives the rights of a file's owner to all who run it"));
            }
            recursive_outside(name, words, place)
        }
        "chown" | "chgrp" | "setfacl" => recursive_outside(name, words, place),
        "git" => push(words),
        "kill" if words.iter().any(|word| word.text() == Some("-1")) && words.len() > 1 => {
            let last = words.last().and_then(Word::text) == Some("-1");
            last.then(|| "kill of -1 ends every process of the user".into())
        }
        "killall" | "pkill"
            if words.iter().any(|word| matches!(word.raw.as_str(), "-u" | "--user" | "--euid")) =>
        {
            Some(format!("{name} of a user ends every process of the user"))
        }
        "iptables" | "ip6tables" if has(&['F', 'X'], &["--flush", "--delete-chain"]) => {
            Some(format!("{name} -F removes the rules of the firewall"))
        }
        "nft" if words.first().and_then(Word::text) == Some("flush") => {
            Some("nft flush removes the rules of the firewall".into())
        }
        "crontab" if has(&['r'], &[]) => Some("crontab -r removes all timed jobs".into()),
        _ => None,
    }
}

/// A recursive change of rights that goes beyond the workspace.
fn recursive_outside(name: &str, words: &[Word], place: &Place<'_>) -> Option<String> {
    if !flag(words, &['R'], &["--recursive"]) {
        return None;
    }
    let what = operands(words)
        .filter(|word| word.raw.contains(['/', '~', '$']))
        .find_map(|word| Some((word, outside(word, place)?)));
    what.map(|(word, what)| format!("{name}, recursive, of {}: {what}", word.raw))
}

/// A forced push.
fn push(words: &[Word]) -> Option<String> {
    let at = words.iter().position(|word| word.text() == Some("push"))?;
    let forced = words[at..].iter().filter_map(Word::text).find(|word| {
        let short = word.starts_with('-') && !word.starts_with("--") && word.contains(['f', 'd']);
        let long =
            ["--force", "--force-with-lease", "--mirror", "--delete", "--prune", "--force-if-includes"];
        // git takes any beginning of a long option that is not ambiguous.
        let abbreviated = word.len() > 4
            && long.iter().any(|long| long.starts_with(word.split('=').next().unwrap_or(word)));
        short || abbreviated || word.starts_with('+') || word.starts_with(':') && word.len() > 1
    });
    forced.map(|word| format!("git push {word} overwrites or deletes what others have"))
}

/// Whether one of these flags is given, short ones alone or among others.
fn flag(words: &[Word], short: &[char], longs: &[&str]) -> bool {
    let given = words.iter().map(|word| word.text().unwrap_or(&word.raw)).take_while(|word| *word != "--");
    given.into_iter().any(|word| match word.strip_prefix("--") {
        // GNU programs take any beginning of a long option.
        Some(long) => long.len() > 1 && longs.iter().any(|known| known[2..].starts_with(long)),
        None => word.starts_with('-') && word.contains(short),
    })
}

/// The words that are no flags.
fn operands(words: &[Word]) -> impl Iterator<Item = &Word> {
    let end = words.iter().position(|word| word.text() == Some("--")).unwrap_or(words.len());
    let (before, behind) = words.split_at(end);
    before.iter().filter(|word| !word.raw.starts_with('-')).chain(behind.iter().skip(1))
}

/// Whether a path is the root, a home, or outside the workspace, as far as its text tells; what it is.
fn outside(word: &Word, place: &Place<'_>) -> Option<&'static str> {
    if let Some(text) = word.text() {
        return if text.is_empty() { None } else { place.is_own(&place.absolute(text)).err() };
    }
    // What stands before the first thing that a shell replaces. Quotes make no difference to it.
    let raw: String = word.raw.chars().filter(|c| !matches!(c, '"' | '\'' | '\\')).collect();
    if raw.starts_with('~') || ["$HOME", "${HOME", "$USERPROFILE"].iter().any(|home| raw.starts_with(home)) {
        return Some("the home directory");
    }
    let end = raw.find(['$', '`', '*', '?', '[', '{', '~'])?;
    let before = &raw[..end];
    if before.starts_with('/') || before.contains("..") {
        let directory = &before[..=before.rfind('/').unwrap_or(0)];
        let path = place.absolute(if directory.is_empty() { "." } else { directory });
        return if path == place.workspace { None } else { place.is_own(&path).err() };
    }
    None
}

/// Whether writing to this path writes to a disk.
fn is_disk(path: &str) -> bool {
    let Some(name) = path.strip_prefix("/dev/") else {
        return path.starts_with("/proc/sysrq") || path.starts_with("/proc/sys/kernel/");
    };
    [
        "sd", "hd", "vd", "xvd", "nvme", "mmcblk", "disk", "dm-", "mapper", "loop", "md", "mem", "kmem",
        "nbd", "sr",
    ]
    .iter()
    .any(|disk| name.starts_with(disk))
}

/// Whether a mode for `chmod` sets the user or group at execution.
fn sets_id(mode: &str) -> bool {
    if !mode.is_empty() && mode.bytes().all(|b| (b'0'..=b'7').contains(&b)) {
        return u32::from_str_radix(mode, 8).is_ok_and(|mode| mode & 0o6000 != 0);
    }
    mode.split(',').any(|clause| {
        let Some(at) = clause.find(['+', '=']) else { return false };
        let (who, what) = clause.split_at(at);
        who.bytes().all(|b| b"ugoa".contains(&b)) && what.contains('s') && !clause.contains('/')
    })
}
