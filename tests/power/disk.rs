//! What a disk may hold after the power failed: the model of a crash.
//!
//! - `fsync` of a file makes everything durable that was done to the file before: its data and its size, and that
//!   it was made, removed or renamed. `fsync` of a directory makes durable what happened to the names in it.
//! - Of everything else any part may have reached the disk, in any combination, whatever came before or after it: a
//!   write as a whole, not at all, or some of its sectors of 512 bytes (a sector itself is never torn); the size
//!   that a write gave the file also without its data (zeros stand there then); a new size, a new file, a removal
//!   or a rename, or not. A rename is atomic. What a write does not cover it does not damage.
//! - Which of it survives is drawn from a seed. Images are drawn with different odds, from "only what is durable"
//!   to "everything".
//! - SQLite's `-shm` file is left out: it is memory that processes share, and is made anew after a crash.
//!
//! This is weaker than what common file systems promise: most write names in order, and none keeps a removed file.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use crate::rng::Rng;
use crate::trace::{Op, Record, Trace};

const SECTOR: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Dir,
    File(usize),
}

enum Change {
    Write(usize, Range<usize>),
    Size(usize),
}

#[derive(Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Naming {
    Made(String, Node),
    Gone(String, Node),
    Moved(String, String, Node),
}

impl Naming {
    fn node(&self) -> Node {
        match self {
            Self::Made(_, node) | Self::Gone(_, node) | Self::Moved(_, _, node) => *node,
        }
    }

    fn is_in(&self, dir: &str) -> bool {
        match self {
            Self::Made(path, _) | Self::Gone(path, _) => parent(path) == dir,
            Self::Moved(from, to, _) => parent(from) == dir || parent(to) == dir,
        }
    }

    fn apply(&self, names: &mut Names) {
        match self {
            Self::Made(path, node) => drop(names.insert(path.clone(), *node)),
            // Another file may have the name by now.
            Self::Gone(path, node) => names.retain(|own, other| own != path || other != node),
            Self::Moved(from, to, node) => {
                names.retain(|own, other| own != from || other != node);
                names.insert(to.clone(), *node);
            }
        }
    }
}

type Names = BTreeMap<String, Node>;

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The disk at one moment.
pub struct Disk<'t> {
    trace: &'t Trace,
    files: Vec<File>,
    /// As the server sees them, and as they stand on disk.
    seen: Names,
    durable: Names,
    pending: Vec<Naming>,
}

/// The files of a home by path; `None` is a directory.
pub type Image = BTreeMap<String, Option<Vec<u8>>>;

/// What became of that which was not durable.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fate {
    pub whole: u64,
    pub torn: u64,
    pub dropped: u64,
}

/// How many of a hundred survive, and how many of these are torn.
struct Odds {
    survive: u64,
    torn: u64,
}

impl<'t> Disk<'t> {
    /// The disk after the first `cut` records.
    pub fn after(trace: &'t Trace, cut: usize) -> Self {
        let mut disk =
            Self { trace, files: Vec::new(), seen: Names::new(), durable: Names::new(), pending: Vec::new() };
        for record in &trace.records[..cut] {
            if !record.path.ends_with("-shm") {
                disk.take(record);
            }
        }
        disk
    }

    fn take(&mut self, record: &Record) {
        let path = &record.path;
        match record.op {
            Op::Begin | Op::Said => {}
            Op::Create => {
                self.files.push(File::default());
                self.name(Naming::Made(path.clone(), Node::File(self.files.len() - 1)));
            }
            Op::Mkdir => self.name(Naming::Made(path.clone(), Node::Dir)),
            Op::Remove => self.name(Naming::Gone(path.clone(), self.seen[path])),
            Op::Rename => {
                let to = str::from_utf8(self.trace.bytes(record.data.clone())).unwrap();
                self.name(Naming::Moved(path.clone(), to.to_owned(), self.seen[path]));
            }
            Op::Write => self.file(path).pending.push(Change::Write(record.offset, record.data.clone())),
            Op::Size => self.file(path).pending.push(Change::Size(record.offset)),
            Op::Sync => self.sync(path),
        }
    }

    fn name(&mut self, naming: Naming) {
        naming.apply(&mut self.seen);
        self.pending.push(naming);
    }

    fn file(&mut self, path: &str) -> &mut File {
        match self.seen.get(path) {
            Some(Node::File(file)) => &mut self.files[*file],
            other => panic!("{path} was written and is {other:?}"),
        }
    }

    fn sync(&mut self, path: &str) {
        let node = if path.is_empty() { Node::Dir } else { self.seen[path] };
        if let Node::File(file) = node {
            let File { durable, pending } = &mut self.files[file];
            for change in pending.drain(..) {
                change.apply(durable, self.trace);
            }
        }
        let durable = &mut self.durable;
        self.pending.retain(|naming| {
            let now = match node {
                Node::File(_) => naming.node() == node,
                Node::Dir => naming.is_in(path),
            };
            if now {
                naming.apply(durable);
            }
            !now
        });
    }

    /// What the server saw: everything survives.
    pub fn everything(&self) -> Image {
        let odds = Odds { survive: 100, torn: 0 };
        self.image(&odds, &mut Rng(0), &mut Fate::default())
    }

    /// What may be left of it.
    pub fn crash(&self, rng: &mut Rng, fate: &mut Fate) -> Image {
        let survive = [0, 10, 50, 50, 90, 100][rng.below(6) as usize];
        let odds = Odds { survive, torn: [0, 20, 60][rng.below(3) as usize] };
        self.image(&odds, rng, fate)
    }

    fn image(&self, odds: &Odds, rng: &mut Rng, fate: &mut Fate) -> Image {
        let mut names = self.durable.clone();
        for naming in &self.pending {
            if rng.chance(odds.survive) {
                fate.whole += 1;
                naming.apply(&mut names);
            } else {
                fate.dropped += 1;
            }
        }
        let dirs = |path: &str| path.is_empty() || names.get(path) == Some(&Node::Dir);
        let mut image = Image::new();
        for (path, node) in &names {
            if !dirs(parent(path)) {
                continue;
            }
            let content = match node {
                Node::Dir => None,
                Node::File(file) => Some(self.content(&self.files[*file], odds, rng, fate)),
            };
            image.insert(path.clone(), content);
        }
        image
    }

    fn content(&self, file: &File, odds: &Odds, rng: &mut Rng, fate: &mut Fate) -> Vec<u8> {
        let mut content = file.durable.clone();
        for change in &file.pending {
            if rng.chance(odds.survive) {
                match change {
                    Change::Write(at, data) if rng.chance(odds.torn) => {
                        fate.torn += u64::from(tear(*at, data.clone(), rng, |at, data| {
                            Change::Write(at, data).apply(&mut content, self.trace);
                        }));
                    }
                    _ => {
                        fate.whole += 1;
                        change.apply(&mut content, self.trace);
                    }
                }
            } else {
                fate.dropped += 1;
                if let Change::Write(at, data) = change
                    && odds.survive > 0
                    && rng.chance(20)
                {
                    let size = content.len().max(at + data.len());
                    content.resize(size, 0);
                }
            }
        }
        content
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>, trace: &Trace) {
        match self {
            Self::Size(size) => content.resize(*size, 0),
            Self::Write(at, data) => {
                let end = at + data.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*at..end].copy_from_slice(trace.bytes(data.clone()));
            }
        }
    }
}

/// Gives some sectors of a write; whether that was less than all and more than nothing.
fn tear(at: usize, data: Range<usize>, rng: &mut Rng, mut give: impl FnMut(usize, Range<usize>)) -> bool {
    let (mut given, mut missing) = (false, false);
    let mut from = 0;
    while from < data.len() {
        let to = (((at + from) / SECTOR + 1) * SECTOR - at).min(data.len());
        if rng.chance(50) {
            given = true;
            give(at + from, data.start + from..data.start + to);
        } else {
            missing = true;
        }
        from = to;
    }
    given && missing
}

/// Writes an image into an empty directory.
pub fn write(image: &Image, dir: &Path) {
    for (path, content) in image {
        let path = dir.join(path);
        match content {
            None => fs::create_dir(path).unwrap(),
            Some(content) => fs::write(path, content).unwrap(),
        }
    }
}

/// The files that really are in a directory, as an image.
pub fn read(dir: &Path) -> Image {
    let mut image = Image::new();
    let mut dirs = vec![String::new()];
    while let Some(at) = dirs.pop() {
        for entry in fs::read_dir(dir.join(&at)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = if at.is_empty() { name } else { format!("{at}/{name}") };
            if entry.file_type().unwrap().is_dir() {
                image.insert(path.clone(), None);
                dirs.push(path);
            } else if !path.ends_with("-shm") {
                image.insert(path, Some(fs::read(entry.path()).unwrap()));
            }
        }
    }
    image
}
