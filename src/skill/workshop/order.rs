//! In which order notes are evaluated: what a note builds on comes first. Cycles and gaps are problems of their notes.
//!
//! A name may stand for several notes. The one from the latest source that works is taken, never the note itself: so a
//! user's `identity` can build on the built-in one, and a broken one leaves the built-in in its place.

use std::collections::HashMap;

use super::super::content::{Need, Read};
use super::{MAX_CHAIN, Part, Slot, Workshop};

/// How many notes of one name are tried.
const MAX_CANDIDATES: usize = 8;

/// The most notes that one may build on, in all.
const MAX_BELOW: usize = 256;

/// The most characters of another note's problem that are repeated.
const MAX_REPEATED: usize = 300;

/// What is known of a note in this round.
#[derive(Clone, Copy, PartialEq)]
enum Mark {
    New,
    /// What it builds on is being looked for.
    Open,
    Done,
}

/// A note whose needs are being looked for.
struct Frame<'c> {
    slot: usize,
    read: &'c Read,
    needs: Vec<Need>,
    /// The need that is looked at, and which of its candidates.
    at: (usize, usize),
    /// What was found for the needs before.
    found: Vec<usize>,
    /// The chain of notes that leads back here, if there is one.
    cycle: Option<Vec<usize>>,
}

/// Where notes are found by `id:…` and by name.
type Index = HashMap<String, Vec<usize>>;

fn index(slots: &[Slot<'_>]) -> Index {
    let mut index = Index::new();
    for (at, slot) in slots.iter().enumerate() {
        let mut add = |key: String| {
            let all = index.entry(key).or_default();
            if all.last() != Some(&at) {
                all.push(at);
            }
        };
        add(slot.stem());
        if let Some(read) = slot.read() {
            read.names.iter().for_each(|name| add(name.clone()));
            if let Some(id) = &read.note.id {
                add(format!("id:{}", id.to_lowercase()));
            }
            if !read.note.title.is_empty() {
                add(read.note.title.to_lowercase());
            }
        }
    }
    index
}

impl Workshop {
    /// Evaluates every note after those that it builds on.
    pub(super) fn work(&self, slots: &mut [Slot<'_>]) {
        let index = index(slots);
        let by_file: HashMap<String, usize> =
            slots.iter().enumerate().map(|(at, slot)| (slot.given.file.clone(), at)).collect();
        let mut marks = vec![Mark::New; slots.len()];
        let mut cycles: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut frames: Vec<Frame<'_>> = Vec::new();
        for start in 0..slots.len() {
            if marks[start] == Mark::New {
                begin(start, slots, &mut marks, &mut frames);
            }
            while let Some(frame) = frames.last_mut() {
                let Some(need) = frame.needs.get(frame.at.0) else {
                    let at = frame.slot;
                    let below = parts(at, &frame.found, slots, &by_file);
                    let more = match chain(at, &frame.found, below.len(), slots) {
                        Ok(chain) => self.evaluate(&mut slots[at], frame.read, &frame.needs, below, chain),
                        Err(message) => {
                            let line = frame.needs.first().map_or(0, |need| need.line);
                            slots[at].fail(line, message, "Put what they share into fewer notes.");
                            Vec::new()
                        }
                    };
                    if more.is_empty() {
                        marks[at] = Mark::Done;
                        frames.pop();
                    } else {
                        frame.needs.extend(more);
                    }
                    continue;
                };
                let candidates = index.get(&need.target).map_or(&[][..], Vec::as_slice);
                let own = frame.slot;
                let mut others =
                    candidates.iter().rev().copied().filter(|other| *other != own).take(MAX_CANDIDATES);
                let Some(other) = others.nth(frame.at.1) else {
                    let any = candidates.iter().rev().copied().find(|other| *other != own);
                    let (line, target) = (need.line, need.target.clone());
                    let cycle = frame.cycle.take().or_else(|| {
                        let cycle = cycles.get(&any?)?;
                        cycle.contains(&own).then(|| cycle.clone())
                    });
                    let (message, hint) = match (cycle, any) {
                        (Some(cycle), _) => {
                            let way: Vec<String> =
                                cycle.iter().chain(cycle.first()).map(|at| slots[*at].label()).collect();
                            cycles.insert(own, cycle);
                            (
                                format!("notes depend on each other in a circle: {}", way.join(" -> ")),
                                "Take one of the dependencies out; move what both need into a third note.",
                            )
                        }
                        (None, Some(other)) => (broken(&target, &slots[other]), "Mend that one first."),
                        (None, None) if candidates.is_empty() => {
                            let chain: Vec<String> =
                                frames.iter().map(|frame| slots[frame.slot].label()).collect();
                            (
                                format!(
                                    "there is no note {target}, which is needed: {} -> {target}",
                                    chain.join(" -> ")
                                ),
                                "Name a skill, a file without .org, or id: and the ID of a note; see: org-agent skill list",
                            )
                        }
                        (None, None) => {
                            (format!("the note depends on itself: {target}"), "Take that dependency out.")
                        }
                    };
                    slots[own].fail(line, message, hint);
                    marks[own] = Mark::Done;
                    frames.pop();
                    continue;
                };
                match marks[other] {
                    Mark::New => begin(other, slots, &mut marks, &mut frames),
                    Mark::Open => {
                        frame.at.1 += 1;
                        let way =
                            frames.iter().map(|frame| frame.slot).skip_while(|slot| *slot != other).collect();
                        if let Some(frame) = frames.last_mut() {
                            frame.cycle = Some(way);
                        }
                    }
                    Mark::Done if slots[other].state.good.is_some() => {
                        frame.found.push(other);
                        frame.cycle = None;
                        frame.at = (frame.at.0 + 1, 0);
                    }
                    Mark::Done => frame.at.1 += 1,
                }
            }
        }
    }
}

/// Begins to look for what a note needs. One that can not be read is done at once.
fn begin<'g>(at: usize, slots: &mut [Slot<'g>], marks: &mut [Mark], frames: &mut Vec<Frame<'g>>) {
    let given = slots[at].given;
    match &given.content.read {
        Ok(read) => {
            marks[at] = Mark::Open;
            let needs = read.needs.clone();
            frames.push(Frame { slot: at, read, needs, at: (0, 0), found: Vec::new(), cycle: None });
        }
        Err(error) => {
            marks[at] = Mark::Done;
            slots[at].fail(error.line, error.message.clone(), error.hint);
        }
    }
}

fn broken(target: &str, other: &Slot<'_>) -> String {
    let mut message = format!("the note depends on {target}, which does not work: {}", other.given.file);
    if let Some(problem) = &other.problem {
        message.push_str(&format!(":{}: ", problem.line));
        message.extend(problem.message.chars().take(MAX_REPEATED));
    }
    message
}

/// What is evaluated before a note that builds on `found`: each once, in order, in its newest version that works.
fn parts(own: usize, found: &[usize], slots: &[Slot<'_>], by_file: &HashMap<String, usize>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut add = |file: &str, content| {
        if file != slots[own].given.file && !parts.iter().any(|part| part.file == file) {
            parts.push(Part { file: file.to_owned(), content });
        }
    };
    for other in found {
        let Some(good) = &slots[*other].state.good else { continue };
        for part in &good.below {
            let newest = by_file.get(&part.file).and_then(|at| slots[*at].state.good.as_ref());
            add(&part.file, newest.map_or(&part.content, |good| &good.content).clone());
        }
        add(&slots[*other].given.file, good.content.clone());
    }
    parts
}

/// The longest way down from a note that builds on `found`, `below` notes in all.
///
/// # Errors
/// It is too long, or they are too many.
fn chain(own: usize, found: &[usize], below: usize, slots: &[Slot<'_>]) -> Result<Vec<String>, String> {
    let goods = found.iter().filter_map(|other| slots[*other].state.good.as_ref());
    let longest = goods.map(|good| good.chain.as_slice()).max_by_key(|chain| chain.len()).unwrap_or_default();
    let chain: Vec<String> = std::iter::once(slots[own].label()).chain(longest.iter().cloned()).collect();
    if chain.len() > MAX_CHAIN + 1 {
        return Err(format!(
            "the note builds on more than {MAX_CHAIN} notes in a row: {}",
            chain.join(" -> ")
        ));
    }
    if below > MAX_BELOW {
        return Err(format!("the note builds on {below} notes, and {MAX_BELOW} are the most"));
    }
    Ok(chain)
}

impl Slot<'_> {
    /// Says what is wrong before anything could be evaluated.
    fn fail(&mut self, line: usize, message: String, hint: &str) {
        self.problem = Some(self.problem(line, message, hint));
        self.state.tried = None;
    }
}
