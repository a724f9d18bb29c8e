//! The blocks that are open, and how each of them ends.
//!
//! It knows no text: only kinds, marks and indentations.

/// What a block is in Org.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Src,
    Example,
    Quote,
    Verse,
    Center,
    /// A LaTeX environment: no block of Org's, but it would swallow one.
    Environment,
}

impl Kind {
    /// The live block kind with this name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Src, Self::Example, Self::Quote, Self::Verse, Self::Center]
            .into_iter()
            .find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Src => "src",
            Self::Example => "example",
            Self::Quote => "quote",
            Self::Verse => "verse",
            Self::Center => "center",
            Self::Environment => "environment",
        }
    }

    pub(super) const fn is_code(self) -> bool {
        matches!(self, Self::Src | Self::Example)
    }
}

/// The line that ends a block in the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// `#+end_NAME`
    Org(Kind),
    /// A row of at least so many of these marks.
    Fence(char, usize),
    /// The first line without a `>`.
    Marks,
    /// A line that ends with `\end{NAME}`.
    Environment(String),
}

/// An open block.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) kind: Kind,
    pub(super) ends: Ends,
    pub(super) indent: String,
}

impl Block {
    /// The line that ends it in the output.
    pub(super) fn end_line(&self) -> String {
        match &self.ends {
            Ends::Environment(name) => format!("{}\\end{{{name}}}", self.indent),
            _ => format!("{}#+end_{}", self.indent, self.kind.name()),
        }
    }

    /// Whether `line` ends it, and may do so as it stands.
    pub(super) fn is_ended_by(&self, line: &str) -> bool {
        let line = line.trim_matches([' ', '\t']);
        match &self.ends {
            Ends::Org(kind) => end_name(line).is_some_and(|name| kind.name().eq_ignore_ascii_case(name)),
            Ends::Fence(mark, length) => line.len() >= *length && line.chars().all(|c| c == *mark),
            Ends::Marks => false,
            Ends::Environment(name) => {
                let end = format!("\\end{{{name}}}");
                let at = line.len().checked_sub(end.len());
                at.and_then(|at| line.get(at..)).is_some_and(|tail| tail.eq_ignore_ascii_case(&end))
            }
        }
    }
}

/// The name in `#+end_NAME`.
pub(super) fn end_name(line: &str) -> Option<&str> {
    let (mark, name) = line.split_at_checked(6)?;
    mark.eq_ignore_ascii_case("#+end_").then_some(name)
}
