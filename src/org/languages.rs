//! The closed table of languages a source block may name.
//!
//! Emacs turns the name into `NAME-mode` and calls that function when it displays the block, so a name
//! that is not a programming language's could turn on anything (`server` turned on `server-mode`).
//! Absent on purpose: `org` (its mode reads set-up files), `markdown` (its mode can fontify blocks of any
//! language), `ditaa` (draws), and `shell`, `eshell`, `ielm`, `server`, `racket`, `agda`, `coq`, `lean`,
//! `jupyter` (their modes start processes or shells). A name on the right never reaches Org.

/// The name in Org, then the other names that models use for it; all are compared without case.
const LANGUAGES: &[(&str, &[&str])] = &[
    ("ada", &[]),
    ("asm", &["assembly", "nasm", "gas", "x86asm"]),
    ("awk", &["gawk"]),
    ("bibtex", &[]),
    ("C", &["h"]),
    ("C++", &["cpp", "cxx", "cc", "hpp"]),
    ("clojure", &["clj", "cljs", "clojurescript", "edn"]),
    ("cmake", &[]),
    ("cobol", &[]),
    ("coffee", &["coffeescript"]),
    ("conf", &["ini", "cfg", "properties", "dotenv", "env", "nginx", "apache"]),
    ("crystal", &[]),
    ("csharp", &["c#", "cs"]),
    ("css", &[]),
    ("d", &["dlang"]),
    ("dart", &[]),
    ("diff", &["patch", "udiff"]),
    ("dockerfile", &["docker"]),
    ("elixir", &["ex", "exs"]),
    ("elm", &[]),
    ("emacs-lisp", &["elisp", "el"]),
    ("erlang", &["erl"]),
    ("fortran", &["f90", "f95"]),
    ("fsharp", &["f#", "fs"]),
    ("glsl", &["hlsl"]),
    ("go", &["golang"]),
    ("graphql", &["gql"]),
    ("groovy", &["gradle"]),
    ("haskell", &["hs"]),
    ("html", &["htm", "xhtml", "html5", "vue", "svelte"]),
    ("java", &[]),
    ("js", &["javascript", "node", "nodejs", "mjs", "cjs", "jsx"]),
    ("json", &["json5", "jsonc", "jsonl"]),
    ("julia", &["jl"]),
    ("kotlin", &["kt", "kts"]),
    ("latex", &["tex"]),
    ("less", &[]),
    ("lisp", &["common-lisp", "commonlisp", "cl"]),
    ("lua", &[]),
    ("m4", &[]),
    ("makefile", &["make", "mk", "gnumake"]),
    ("nim", &[]),
    ("nix", &[]),
    ("objc", &["objective-c", "objectivec", "obj-c"]),
    ("ocaml", &["ml"]),
    ("octave", &["matlab"]),
    ("pascal", &["delphi"]),
    ("perl", &["pl"]),
    ("php", &[]),
    ("powershell", &["ps1", "pwsh", "posh"]),
    ("prolog", &[]),
    ("protobuf", &["proto"]),
    ("python", &["py", "python3", "py3", "python2"]),
    ("R", &["rlang"]),
    ("ruby", &["rb"]),
    ("rust", &["rs"]),
    ("sass", &[]),
    ("scala", &[]),
    ("scheme", &["scm", "guile", "racket", "rkt"]),
    ("scss", &[]),
    ("sh", &["bash", "zsh", "ksh", "dash", "fish", "shell", "shellscript", "shell-script"]),
    ("solidity", &["sol"]),
    ("sql", &["mysql", "postgresql", "postgres", "sqlite", "plsql", "tsql", "psql"]),
    ("swift", &[]),
    ("tcl", &[]),
    ("terraform", &["hcl", "tf"]),
    ("toml", &[]),
    ("typescript", &["ts", "tsx"]),
    ("verilog", &["systemverilog", "sv"]),
    ("vhdl", &[]),
    ("xml", &["xsl", "xslt", "svg", "xsd"]),
    ("yaml", &["yml"]),
    ("zig", &[]),
];

/// Names that only say "no language".
const PLAIN: &[&str] = &[
    "text",
    "txt",
    "plain",
    "plaintext",
    "none",
    "nohighlight",
    "output",
    "ascii",
    "console",
    "terminal",
    "log",
];

/// The Org name of the language that `name` means, if it is in the table.
pub(super) fn lookup(name: &str) -> Option<&'static str> {
    let same = |other: &&str| other.eq_ignore_ascii_case(name);
    LANGUAGES.iter().find(|(org, more)| same(org) || more.iter().any(same)).map(|(org, _)| *org)
}

/// Whether `name` says that the block is no code.
pub(super) fn is_plain(name: &str) -> bool {
    PLAIN.iter().any(|p| p.eq_ignore_ascii_case(name))
}

/// All names in the table, as Org writes them.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    LANGUAGES.iter().map(|(org, _)| *org)
}
