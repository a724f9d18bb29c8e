//! Reads the YAML of a frontmatter into a small flat tree.
//!
//! Whoever wrote it may mean harm: there are no aliases, so nothing grows; nesting, nodes and bytes are bounded; nothing
//! here calls itself. Scalars stay the text that was written: no `no` becomes false, no `1.10` becomes 1.1.

use granit_parser::{Event, Parser, ScalarStyle};

/// The most bytes of a frontmatter.
pub const MAX_BYTES: usize = 1 << 16;

/// How deep lists and mappings may stand in each other.
const MAX_DEPTH: usize = 16;

/// The most values, keys among them.
const MAX_NODES: usize = 4_096;

/// How many values that are no YAML are taken as text.
const MAX_REPAIRS: usize = 16;

/// The most lines of such a value.
const MAX_VALUE: usize = 64;

/// A value, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The line in the frontmatter, from 1.
    pub line: usize,
    /// What it is.
    pub kind: Kind,
    /// Its first byte and the one behind it, in the text that was parsed.
    span: (usize, usize),
}

/// What a value is. Numbers are places in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text, and whether it is an empty plain one, as `~` is: nothing.
    Scalar(String, bool),
    /// A list.
    List(Vec<usize>),
    /// Keys and values, in turns.
    Map(Vec<usize>),
}

/// A frontmatter that could be read.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    text: String,
    /// The lines whose values were no YAML and are taken as text, from 1.
    pub repaired: Vec<usize>,
}

/// Why a frontmatter can not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The line in it, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// Whether it is YAML all right, and more of it than is read.
    refused: bool,
}

impl Tree {
    /// Reads a frontmatter. A value in which YAML finds a second mapping or a sign of its own, as in
    /// `description: Use when: x`, is taken as text.
    ///
    /// # Errors
    /// It is no YAML, or more than it may be.
    pub fn read(text: &str) -> Result<Self, Wrong> {
        // YAML ends a line at a lone CR, which no editor counts as one.
        let mut text = text.replace("\r\n", "\n").replace('\r', " ");
        let mut repaired = Vec::new();
        let mut first = None;
        loop {
            match nodes(&text) {
                Ok(nodes) => return Ok(Self { nodes, text, repaired }),
                Err(wrong) => {
                    let mended = (repaired.len() < MAX_REPAIRS && !wrong.refused)
                        .then(|| mend(&text, wrong.line, &repaired))
                        .flatten();
                    let lines = text.split('\n').count();
                    let first = first.get_or_insert(Wrong { line: wrong.line.min(lines), ..wrong });
                    let Some((line, mended)) = mended else { return Err(first.clone()) };
                    text = mended;
                    repaired.push(line);
                }
            }
        }
    }

    /// The value of the whole.
    #[must_use]
    pub fn root(&self) -> Option<&Node> {
        self.nodes.first()
    }

    /// The node at a place.
    #[must_use]
    pub fn node(&self, at: usize) -> Option<&Node> {
        self.nodes.get(at)
    }

    /// The keys and values of a mapping, in order; nothing of what is none.
    pub fn pairs<'t>(&'t self, node: &'t Node) -> impl Iterator<Item = (&'t Node, &'t Node)> {
        let places = match &node.kind {
            Kind::Map(places) => places.as_slice(),
            _ => &[],
        };
        places.chunks_exact(2).filter_map(|pair| Some((self.node(pair[0])?, self.node(pair[1])?)))
    }

    /// The text of a scalar; of anything else the source as it stands.
    #[must_use]
    pub fn shown<'t>(&'t self, node: &'t Node) -> &'t str {
        match &node.kind {
            Kind::Scalar(text, _) => text,
            Kind::List(_) | Kind::Map(_) => {
                self.text.get(node.span.0..node.span.1).unwrap_or_default().trim()
            }
        }
    }
}

/// The values in a text, the whole first.
fn nodes(text: &str) -> Result<Vec<Node>, Wrong> {
    let options = granit_parser::options! {
        disallow_directives: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut nodes: Vec<Node> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut ended = false;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| Wrong {
            line: error.marker().line().max(1),
            message: brief(&error),
            refused: false,
        })?;
        let line = span.start.line().max(1);
        let wrong = |message: String| Err(Wrong { line, message, refused: true });
        let start = span.start.byte_offset().unwrap_or(0);
        let end = span.end.byte_offset().unwrap_or(start);
        let kind = match event {
            Event::Scalar(value, style, _, _) => {
                let nothing =
                    style == ScalarStyle::Plain && matches!(&*value, "" | "~" | "null" | "Null" | "NULL");
                Kind::Scalar(if nothing { String::new() } else { value.into_owned() }, nothing)
            }
            Event::SequenceStart(..) => Kind::List(Vec::new()),
            Event::MappingStart(..) => Kind::Map(Vec::new()),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(node) = open.pop().and_then(|at| nodes.get_mut(at)) {
                    node.span.1 = end.max(node.span.0);
                }
                continue;
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                return wrong("there is an alias (*name), which is not read".to_owned());
            }
            Event::DocumentStart(..) if ended => return wrong("a second document begins".to_owned()),
            Event::DocumentEnd => {
                ended = true;
                continue;
            }
            _ => continue,
        };
        let at = nodes.len();
        if at == MAX_NODES {
            return wrong(format!("there are more than {MAX_NODES} values"));
        }
        let container = !matches!(kind, Kind::Scalar(..));
        let above = open.last().and_then(|above| nodes.get_mut(*above)).map(|node| &mut node.kind);
        if let Some(Kind::List(items) | Kind::Map(items)) = above {
            items.push(at);
        }
        nodes.push(Node { line, kind, span: (start, end) });
        if container {
            open.push(at);
            if open.len() > MAX_DEPTH {
                return wrong(format!("values stand more than {MAX_DEPTH} deep in each other"));
            }
        }
    }
    Ok(nodes)
}

/// What the parser says, without where: that is said in lines of the file.
fn brief(error: &granit_parser::ScanError) -> String {
    let text = error.kind().to_string();
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

/// A text in which the value that stands at `line`, or goes on there, is quoted; with the line where it begins. Only a
/// value that begins as plain text does is one: what is quoted or a block says itself where it ends.
fn mend(text: &str, line: usize, repaired: &[usize]) -> Option<(usize, String)> {
    let lines: Vec<&str> = text.split('\n').collect();
    let last = line.min(lines.len()).checked_sub(1)?;
    let candidates = (0..=last).rev().take(MAX_VALUE).filter(|at| !repaired.contains(&(at + 1)));
    let (_, at, goes_on, key, value) = candidates
        .filter_map(|at| {
            let (key, value) = plain(lines[at])?;
            let goes_on = continuation(&lines, at);
            // The parser may notice at the beginning of the next line.
            let distance = last.saturating_sub(at + goes_on);
            // What stands in the value of another key is a part of that.
            (distance <= 1).then(|| ((distance, indent(key), last - at), at, goes_on, key, value))
        })
        .min_by_key(|(rank, ..)| *rank)?;
    let mut value = value.trim().to_owned();
    for next in lines[at + 1..=at + goes_on].iter().filter(|next| !next.trim().is_empty()) {
        value.push(' ');
        value.push_str(next.trim());
    }
    let quoted = format!("{key} '{}'", value.replace('\'', "''"));
    // As many lines as before: what is wrong further down keeps its number.
    let mut mended: Vec<&str> = lines[..at].to_vec();
    mended.push(&quoted);
    mended.extend(std::iter::repeat_n("", goes_on));
    mended.extend(&lines[at + goes_on + 1..]);
    Some((at + 1, mended.join("\n")))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// How many lines behind the line `at` belong to its value: those that stand further in, and empty ones between.
fn continuation(lines: &[&str], at: usize) -> usize {
    let own = indent(lines[at]);
    let blank = |line: &str| line.trim().is_empty();
    let goes_on = |next: &&&str| blank(next) || indent(next) > own;
    let reach = lines[at + 1..].iter().take(MAX_VALUE).take_while(goes_on);
    reach.enumerate().filter(|(_, next)| !blank(next)).last().map_or(0, |(offset, _)| offset + 1)
}

/// The key with its colon, or the mark of an item in a list, and the value of a line that has a plain one.
fn plain(line: &str) -> Option<(&str, &str)> {
    if line.trim_start_matches(' ').starts_with("- ") {
        let (mark, value) = line.split_at(indent(line) + 1);
        let is_text =
            !value.trim_start().starts_with(['"', '\'', '|', '>', '#', '-']) && !value.trim().is_empty();
        return is_text.then_some((mark, value));
    }
    let colon = line.find(':')?;
    let (key, value) = line.split_at(colon + 1);
    let word = key[..colon].trim_start_matches(' ');
    let is_word = word.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let value_begins = value.trim_start();
    let plain = !value_begins.is_empty() && !value_begins.starts_with(['"', '\'', '|', '>', '#']);
    (!word.is_empty() && is_word && plain && value.starts_with([' ', '\t'])).then_some((key, value))
}
