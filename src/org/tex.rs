//! The TeX commands and environments that read, write or run something, or leave the page.
//!
//! An environment is a command, too: `\begin{input}` does what `\input` does. With what makes names out of
//! other text left out as well, no other spelling is left. It knows names, not text.

/// The commands, and the environments by their plain name.
const ACTING: &[&str] = &[
    "BVerbatimInput",
    "CatchFileDef",
    "ExpandArgs",
    "ExplSyntaxOn",
    "InputIfFileExists",
    "LVerbatimInput",
    "LoadClass",
    "RequirePackage",
    "RequirePackageWithOptions",
    "ShellEscape",
    "UseName",
    "VerbatimInput",
    "VerbatimOut",
    "XeTeXpdffile",
    "XeTeXpicfile",
    "asy",
    "catcode",
    "csname",
    "csvreader",
    "directlua",
    "documentclass",
    "filecontents",
    "filedump",
    "href",
    "immediate",
    "import",
    "include",
    "includefrom",
    "includegraphics",
    "includeonly",
    "includepdf",
    "includestandalone",
    "includesvg",
    "input",
    "inputfrom",
    "inputminted",
    "latelua",
    "lstinputlisting",
    "luacode",
    "luadirect",
    "luaexec",
    "luafunction",
    "makeatletter",
    "markdownInput",
    "minted",
    "newwrite",
    "openin",
    "openout",
    "pdfextension",
    "pdffiledump",
    "pdfobj",
    "pdfximage",
    "read",
    "readline",
    "require",
    "scantokens",
    "special",
    "subfile",
    "subimport",
    "usepackage",
    "verbatiminput",
    "verbatimwrite",
    "write",
];

/// The longest name in the list.
pub(super) const LONGEST: usize = 25;

/// Whether the command or environment `name` does more than print.
pub(super) fn acts(name: &str) -> bool {
    ACTING.binary_search(&name.trim_end_matches('*')).is_ok()
}
