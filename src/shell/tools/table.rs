//! The programs, each with the flags it has, as the manuals of GNU coreutils, findutils, grep, sed and diffutils,
//! of ripgrep, jq, tree and util-linux give them.
//!
//! A flag that takes a value only if it is joined to it is `maybe`: taken for one that always has a value, it would
//! hide the word behind it, which the program reads as a path. The other way round is only stricter.

use super::{Effect, Flags, Operands, Takes, Tool};

const fn flags(names: &'static str) -> Flags {
    Flags { names, takes: Takes::Nothing, effect: Effect::Reads }
}

const fn text(names: &'static str) -> Flags {
    Flags { names, takes: Takes::Text, effect: Effect::Reads }
}

const fn number(names: &'static str) -> Flags {
    Flags { names, takes: Takes::Number, effect: Effect::Reads }
}

const fn maybe(names: &'static str) -> Flags {
    Flags { names, takes: Takes::Maybe, effect: Effect::Reads }
}

const fn path(names: &'static str) -> Flags {
    Flags { names, takes: Takes::Path, effect: Effect::Reads }
}

const fn writes(names: &'static str) -> Flags {
    Flags { names, takes: Takes::Maybe, effect: Effect::Writes }
}

const fn runs(names: &'static str) -> Flags {
    Flags { names, takes: Takes::Maybe, effect: Effect::Runs }
}

const fn other(names: &'static str, what: &'static str) -> Flags {
    Flags { names, takes: Takes::Maybe, effect: Effect::Other(what) }
}

const LINKS: &str = "follows links, which may lead out of the workspace";
const LISTED: &str = "reads the files that another file names";
const WAITS: &str = "waits for what comes";

const fn tool(name: &'static str, operands: Operands, flags: &'static [Flags]) -> Tool {
    Tool { name, flags, operands, numeric: false, piped: false }
}

/// A program that reads what is piped into it, if it is given no path.
const fn filter(name: &'static str, operands: Operands, flags: &'static [Flags]) -> Tool {
    Tool { name, flags, operands, numeric: false, piped: true }
}

const ANY: usize = usize::MAX;

const CHECKSUM: &[Flags] = &[flags("-b -t -z --binary --text --tag --zero"), other("-c --check", LISTED)];

/// All that may run without asking. `git` is not one of them, nor is anything that runs what a file of the
/// workspace says.
pub(in crate::shell) const TOOLS: &[Tool] = &[
    filter("base64", Operands::Paths(1), &[flags("-d -i --decode --ignore-garbage"), text("-w --wrap")]),
    tool("basename", Operands::Texts, &[flags("-a -z --multiple --zero"), text("-s --suffix")]),
    filter(
        "cat",
        Operands::Paths(ANY),
        &[flags(
            "-A -b -e -E -n -s -t -T -u -v --show-all --number-nonblank --show-ends --number --squeeze-blank \
             --show-tabs --show-nonprinting",
        )],
    ),
    filter("cksum", Operands::Paths(ANY), &[]),
    tool(
        "cmp",
        Operands::Paths(2),
        &[flags("-b -l -s --print-bytes --verbose --quiet --silent"), text("-i -n --ignore-initial --bytes")],
    ),
    filter(
        "column",
        Operands::Paths(ANY),
        &[
            flags("-t -x -n -e -L --table --fillrows"),
            text("-s -o -c -N -R --separator --output-separator --output-width"),
        ],
    ),
    tool(
        "comm",
        Operands::Paths(2),
        &[
            flags("-1 -2 -3 -z --check-order --nocheck-order --total --zero-terminated"),
            text("--output-delimiter"),
        ],
    ),
    filter(
        "cut",
        Operands::Paths(ANY),
        &[
            flags("-n -s -z --complement --only-delimited --zero-terminated"),
            text("-b -c -d -f --bytes --characters --delimiter --fields --output-delimiter"),
        ],
    ),
    tool(
        "date",
        Operands::Date,
        &[
            flags("-R -u --utc --universal --rfc-email"),
            maybe("-I --iso-8601"),
            text("-d --date --rfc-3339"),
            path("-r --reference"),
            other("-f --file", LISTED),
            other("-s --set", "sets the clock"),
        ],
    ),
    tool(
        "df",
        Operands::Paths(ANY),
        &[
            flags(
                "-a -h -H -i -k -l -P -T --all --human-readable --si --inodes --local --portability --print-type --total",
            ),
            text("-B -t -x --block-size --type --exclude-type"),
        ],
    ),
    tool(
        "diff",
        Operands::Paths(2),
        &[
            flags(
                "-a -b -B -c -d -E -i -N -q -s -t -T -u -w -y -Z --text --ignore-space-change --ignore-blank-lines \
                 --brief --report-identical-files --ignore-case --ignore-all-space --side-by-side --minimal \
                 --ignore-trailing-space --suppress-common-lines --strip-trailing-cr --new-file --normal \
                 --ignore-tab-expansion --expand-tabs --no-dereference",
            ),
            text("-C -U -W -I -L -x --width --ignore-matching-lines --label --exclude"),
            maybe("--color --context --unified --palette"),
            other("-r --recursive", LINKS),
        ],
    ),
    tool("dirname", Operands::Texts, &[flags("-z --zero")]),
    tool(
        "du",
        Operands::Paths(ANY),
        &[
            flags(
                "-a -b -c -h -k -m -l -P -s -S -x -0 --all --apparent-size --bytes --total --human-readable --si \
                 --summarize --separate-dirs --one-file-system --null --no-dereference --inodes",
            ),
            text("-B -d -t --block-size --max-depth --threshold --exclude"),
            maybe("--time --time-style"),
            other("-D -H -L --dereference --dereference-args", LINKS),
            other("--files0-from -X --exclude-from", LISTED),
        ],
    ),
    tool("echo", Operands::Echo, &[]),
    filter("expand", Operands::Paths(ANY), &[flags("-i --initial"), text("-t --tabs")]),
    tool("false", Operands::None, &[]),
    tool(
        "file",
        Operands::Paths(ANY),
        &[
            flags(
                "-b -h -i -k -N -n -r -0 --brief --no-dereference --mime --mime-type --mime-encoding --extension",
            ),
            text("-F --separator"),
            writes("-C --compile"),
            runs("-z -Z --uncompress"),
            other("-f --files-from -m --magic-file", LISTED),
            other("-L --dereference", LINKS),
        ],
    ),
    tool("find", Operands::Find, &[]),
    filter("fmt", Operands::Paths(ANY), &[flags("-c -s -t -u"), text("-w -p --width --prefix")]),
    filter("fold", Operands::Paths(ANY), &[flags("-b -s --bytes --spaces"), text("-w --width")]),
    Tool {
        name: "grep",
        flags: &[
            flags(
                "-a -b -c -E -F -G -h -H -i -I -l -L -n -o -P -q -r -s -T -v -w -x -y -z -Z --extended-regexp \
                 --fixed-strings --basic-regexp --perl-regexp --ignore-case --no-ignore-case --invert-match \
                 --word-regexp --line-regexp --count --files-without-match --files-with-matches \
                 --only-matching --quiet --silent --no-messages --byte-offset --with-filename --no-filename \
                 --line-number --initial-tab --null --text --recursive --line-buffered --null-data",
            ),
            text(
                "-e -m -A -B -C -d -D --regexp --max-count --after-context --before-context --context --include \
                 --exclude --exclude-dir --label --binary-files --directories --devices",
            ),
            maybe("--color --colour"),
            path("-f --file --exclude-from"),
            other("-R --dereference-recursive", LINKS),
        ],
        operands: Operands::Pattern("-e -f --regexp --file"),
        numeric: true,
        // Without a path it reads the directory it is in, if it is recursive: never what is typed.
        piped: false,
    },
    Tool {
        name: "head",
        flags: &[
            flags("-q -v -z --quiet --silent --verbose --zero-terminated"),
            number("-c -n --bytes --lines"),
        ],
        operands: Operands::Paths(ANY),
        numeric: true,
        piped: true,
    },
    tool("hostname", Operands::None, &[flags("-s -f -d -i -I"), other("-F --file", "sets the name")]),
    tool(
        "id",
        Operands::Names,
        &[flags("-a -g -G -n -r -u -z --group --groups --name --real --user --zero")],
    ),
    filter(
        "jq",
        Operands::Jq,
        &[
            flags(
                "-c -r -j -a -S -s -e -n -C -M --compact-output --raw-output --join-output --ascii-output \
                 --sort-keys --slurp --exit-status --null-input --color-output --monochrome-output --tab",
            ),
            text("--indent"),
            other("-f --from-file -L --rawfile --slurpfile --args --jsonargs --arg --argjson", LISTED),
        ],
    ),
    tool(
        "ls",
        Operands::Paths(ANY),
        &[
            flags(
                "-a -A -b -B -c -C -d -f -F -g -G -h -H -i -k -l -m -n -N -o -p -q -Q -r -R -s -S -t -u -U -v -x \
                 -X -Z -1 --all --almost-all --author --escape --ignore-backups --directory --classify \
                 --file-type --full-time --group-directories-first --no-group --human-readable --si --inode \
                 --kibibytes --numeric-uid-gid --literal --hide-control-chars --show-control-chars --quote-name \
                 --reverse --recursive --size --context --zero",
            ),
            text(
                "-w -T -I --block-size --hide --ignore --indicator-style --quoting-style --sort --time --time-style --tabsize --width --format",
            ),
            maybe("--color --hyperlink"),
            other("-L --dereference", LINKS),
        ],
    ),
    filter("md5sum", Operands::Paths(ANY), CHECKSUM),
    filter(
        "nl",
        Operands::Paths(ANY),
        &[
            flags("-p --no-renumber"),
            text(
                "-b -d -f -h -i -l -n -s -v -w --body-numbering --number-width --number-separator --number-format --starting-line-number",
            ),
        ],
    ),
    tool("nproc", Operands::None, &[flags("--all"), text("--ignore")]),
    filter(
        "od",
        Operands::Paths(ANY),
        &[
            flags("-b -c -d -o -s -x -v"),
            maybe("-w --width"),
            text("-A -j -N -t --address-radix --skip-bytes --read-bytes --format"),
        ],
    ),
    filter(
        "paste",
        Operands::Paths(ANY),
        &[flags("-s -z --serial --zero-terminated"), text("-d --delimiters")],
    ),
    tool("pwd", Operands::None, &[flags("-L -P --logical --physical")]),
    tool(
        "readlink",
        Operands::Paths(ANY),
        &[flags(
            "-e -f -m -n -q -s -v -z --canonicalize --canonicalize-existing --canonicalize-missing --no-newline --zero",
        )],
    ),
    tool(
        "realpath",
        Operands::Paths(ANY),
        &[
            flags(
                "-e -m -L -P -q -s -z --canonicalize-existing --canonicalize-missing --logical --physical --quiet --strip --no-symlinks --zero",
            ),
            path("--relative-to --relative-base"),
        ],
    ),
    filter("rev", Operands::Paths(ANY), &[]),
    Tool {
        name: "rg",
        flags: &[
            flags(
                "-a -b -c -F -h -H -i -I -l -L -n -N -o -p -P -q -s -S -u -U -v -V -w -x -. -0 --text --byte-offset \
                 --case-sensitive --column --count --count-matches --files --files-with-matches \
                 --files-without-match --fixed-strings --heading --no-heading --hidden --ignore-case \
                 --invert-match --json --line-number --line-regexp --no-config --no-filename --no-ignore \
                 --no-line-number --no-messages --multiline --null --only-matching --pcre2 --pretty --quiet \
                 --smart-case --stats --trim --type-list --vimgrep --with-filename --word-regexp --version",
            ),
            text(
                "-A -B -C -e -g -j -m -M -r -t -T -d -E --after-context --before-context --color --context --glob --iglob \
                 --max-columns --max-count --max-depth --max-filesize --regexp --replace --sort --sortr --threads \
                 --type --type-not --encoding --engine",
            ),
            runs("--pre --pre-glob --hostname-bin -z --search-zip"),
            path("-f --file --ignore-file"),
            other("--follow", LINKS),
        ],
        operands: Operands::Pattern("-e -f --regexp --file --files --type-list -V --version"),
        numeric: false,
        piped: false,
    },
    filter(
        "sed",
        Operands::Sed,
        &[
            flags(
                "-n -E -r -s -u -z --quiet --silent --regexp-extended --separate --unbuffered --null-data --posix --sandbox",
            ),
            text("-e --expression -l --line-length"),
            writes("-i --in-place"),
            runs("-f --file"),
            other("--follow-symlinks --debug", "is not needed to read"),
        ],
    ),
    tool("seq", Operands::Texts, &[flags("-w --equal-width"), text("-f -s --format --separator")]),
    filter("sha1sum", Operands::Paths(ANY), CHECKSUM),
    filter("sha256sum", Operands::Paths(ANY), CHECKSUM),
    filter("sha512sum", Operands::Paths(ANY), CHECKSUM),
    filter(
        "sort",
        Operands::Paths(ANY),
        &[
            flags(
                "-b -c -C -d -f -g -h -i -m -M -n -r -R -s -u -V -z --ignore-leading-blanks --dictionary-order \
                 --ignore-case --general-numeric-sort --ignore-nonprinting --month-sort --human-numeric-sort \
                 --numeric-sort --random-sort --reverse --version-sort --merge --stable --unique --zero-terminated \
                 --debug",
            ),
            text("-k -t -S --key --field-separator --buffer-size --parallel --sort --batch-size"),
            maybe("--check"),
            path("--random-source"),
            writes("-o --output -T --temporary-directory"),
            runs("--compress-program"),
            other("--files0-from", LISTED),
        ],
    ),
    tool(
        "stat",
        Operands::Paths(ANY),
        &[
            flags("-f -t --file-system --terse"),
            text("-c --format --printf"),
            other("-L --dereference", LINKS),
        ],
    ),
    filter("tac", Operands::Paths(ANY), &[flags("-b -r --before --regex"), text("-s --separator")]),
    Tool {
        name: "tail",
        flags: &[
            flags("-q -v -z --quiet --silent --verbose --zero-terminated"),
            number("-c -n --bytes --lines"),
            other("-f -F --follow --retry --pid -s --sleep-interval", WAITS),
        ],
        operands: Operands::Paths(ANY),
        numeric: true,
        piped: true,
    },
    tool("test", Operands::Test, &[]),
    tool("[", Operands::Test, &[]),
    filter(
        "tr",
        Operands::Texts,
        &[flags("-c -C -d -s -t --complement --delete --squeeze-repeats --truncate-set1")],
    ),
    tool(
        "tree",
        Operands::Paths(ANY),
        &[
            flags(
                "-a -A -C -d -D -f -F -g -h -i -J -n -N -p -q -Q -r -s -S -t -u -U -v -x -X --dirsfirst --du --noreport --prune --gitignore",
            ),
            text("-I -L -P --filelimit --timefmt --charset --sort"),
            writes("-o -R"),
            other("-l", LINKS),
            other("--fromfile --gitfile --infofile", LISTED),
        ],
    ),
    tool("true", Operands::None, &[]),
    tool("tty", Operands::None, &[flags("-s --silent --quiet")]),
    tool(
        "uname",
        Operands::None,
        &[flags(
            "-a -i -m -n -o -p -r -s -v --all --kernel-name --nodename --kernel-release --kernel-version --machine --processor --operating-system",
        )],
    ),
    filter("unexpand", Operands::Paths(ANY), &[flags("-a --all --first-only"), text("-t --tabs")]),
    // A second path would be written.
    filter(
        "uniq",
        Operands::Paths(1),
        &[
            flags("-c -d -D -i -u -z --count --repeated --ignore-case --unique --zero-terminated"),
            text("-f -s -w --skip-fields --skip-chars --check-chars"),
            maybe("--all-repeated --group"),
        ],
    ),
    tool("uptime", Operands::None, &[flags("-p -s --pretty --since")]),
    filter(
        "wc",
        Operands::Paths(ANY),
        &[
            flags("-c -l -L -m -w --bytes --chars --lines --max-line-length --words"),
            text("--total"),
            other("--files0-from", LISTED),
        ],
    ),
    tool("which", Operands::Names, &[flags("-a")]),
    tool("whoami", Operands::None, &[]),
];
