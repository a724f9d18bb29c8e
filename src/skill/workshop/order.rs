//! In which order notes are evaluated: what a note builds on comes first. Cycles and gaps are problems of their notes.
//!
//! A name may stand for several notes. The one from the latest source that works is taken, never the note itself: so a
//! user's `identity` can build on the built-in one, and a broken one leaves the built-in in its place.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::content::{Need, Read};
use super::{MAX_CHAIN, Origin, Part, Problem, Slot, Workshop};

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
    /// The needs that no note meets: line, and the way there.
    missing: Vec<(usize, String)>,
    /// The chain of notes that leads back here, if there is one.
    cycle: Option<Vec<usize>>,
}

/// Where notes are found by `id:…` and by name.
type Index = HashMap<String, Vec<usize>>;

fn index(slots: &[Slot<'_>]) -> Index {
    let mut index = Index::new();
    // A folder has nothing to build on.
    for (at, slot) in slots.iter().enumerate().filter(|(_, slot)| !slot.is_folder()) {
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
    // Who names a note by its ID gets the skill of a later note that stands in front of it, as everybody does.
    for (at, slot) in slots.iter().enumerate() {
        let Some(id) = slot.read().and_then(|read| read.note.id.as_ref()) else { continue };
        let fronts: Vec<usize> = slot
            .names()
            .iter()
            .filter_map(|name| index.get(name)?.last().copied())
            .filter(|front| *front > at)
            .collect();
        if let Some(all) = index.get_mut(&format!("id:{}", id.to_lowercase())) {
            all.extend(fronts);
            all.sort_unstable();
            all.dedup();
        }
    }
    index
}

impl Workshop {
    /// Evaluates every note after those that it builds on.
    pub(super) fn work(&mut self, slots: &mut [Slot<'_>]) {
        let mut round = Round {
            index: index(slots),
            marks: vec![Mark::New; slots.len()],
            cycles: HashMap::new(),
            frames: Vec::new(),
            slots,
        };
        for start in 0..round.slots.len() {
            if round.marks[start] == Mark::New && !self.unfold(&mut round.slots[start]) {
                round.begin(start);
            }
            while let Some(frame) = round.frames.pop() {
                round.go_on(self, frame);
            }
        }
    }
}

/// One evaluation of all notes.
struct Round<'s, 'g> {
    slots: &'s mut [Slot<'g>],
    index: Index,
    marks: Vec<Mark>,
    /// The circles that were found, by their members.
    cycles: HashMap<usize, Vec<usize>>,
    /// Notes that wait for what they build on, each for the next.
    frames: Vec<Frame<'g>>,
}

impl<'g> Round<'_, 'g> {
    /// Begins to look for what a note needs. One that can not be read is done at once.
    fn begin(&mut self, slot: usize) {
        let given = self.slots[slot].given;
        match &given.content.read {
            Ok(_) if given.content.is_something_else() => {
                let message = "the note says nothing of a skill any more".to_owned();
                self.fail(slot, 0, message, "Delete the file to take the skill away, or mend it.");
            }
            Ok(read) => {
                self.marks[slot] = Mark::Open;
                let needs = read.needs.clone();
                let (found, missing) = (Vec::new(), Vec::new());
                self.frames.push(Frame { slot, read, needs, at: (0, 0), found, missing, cycle: None });
            }
            Err(error) => self.fail(slot, error.line, error.message.clone(), error.hint),
        }
    }

    /// Says what is wrong with a note before anything could be evaluated.
    fn fail(&mut self, slot: usize, line: usize, message: String, hint: &str) {
        self.marks[slot] = Mark::Done;
        let slot = &mut self.slots[slot];
        slot.problem = Some(slot.problem(line, message, hint));
        slot.state.tried = None;
    }

    /// Looks for the next need of a note that waits for no other; evaluates it if there is none.
    fn go_on(&mut self, workshop: &mut Workshop, mut frame: Frame<'g>) {
        let own = frame.slot;
        let Some(need) = frame.needs.get(frame.at.0) else {
            return self.finish(workshop, frame);
        };
        // What is the user's or built in is never made of what a project brings along.
        let origin = |slot: usize| self.slots[slot].given.origin;
        let fits = |other: &usize| origin(*other) != Origin::Project || origin(own) == Origin::Project;
        let candidates = self.index.get(&need.target).map_or(&[][..], Vec::as_slice);
        let candidates: Vec<usize> = candidates.iter().copied().filter(fits).collect();
        if candidates.is_empty() {
            let way: Vec<String> =
                self.frames.iter().chain([&frame]).map(|frame| self.slots[frame.slot].label()).collect();
            frame.missing.push((need.line, format!("{} -> {}", way.join(" -> "), need.target)));
            frame.at = (frame.at.0 + 1, 0);
            return self.frames.push(frame);
        }
        let mut others = candidates.iter().rev().copied().filter(|other| *other != own).take(MAX_CANDIDATES);
        let first = others.clone().next();
        match others.nth(frame.at.1) {
            None => self.give_up(frame, first),
            Some(other) if self.marks[other] == Mark::New => {
                self.frames.push(frame);
                self.begin(other);
            }
            Some(other) if self.marks[other] == Mark::Done && self.slots[other].state.good.is_some() => {
                frame.found.push(other);
                frame.cycle = None;
                frame.at = (frame.at.0 + 1, 0);
                self.frames.push(frame);
            }
            Some(other) => {
                if self.marks[other] == Mark::Open {
                    let all = self.frames.iter().chain([&frame]).map(|frame| frame.slot);
                    frame.cycle = Some(all.skip_while(|slot| *slot != other).collect());
                }
                frame.at.1 += 1;
                self.frames.push(frame);
            }
        }
    }

    /// Says why nothing was found for a need; `first` is what was tried first.
    fn give_up(&mut self, mut frame: Frame<'_>, first: Option<usize>) {
        let own = frame.slot;
        let need = &frame.needs[frame.at.0];
        let of_first =
            || first.and_then(|first| self.cycles.get(&first)).filter(|cycle| cycle.contains(&own));
        let (message, hint) = match (frame.cycle.take().or_else(|| of_first().cloned()), first) {
            (Some(cycle), _) => {
                let members = cycle.iter().chain(cycle.first());
                let way: Vec<String> = members.map(|slot| self.slots[*slot].label()).collect();
                self.cycles.insert(own, cycle);
                let message = format!("notes depend on each other in a circle: {}", way.join(" -> "));
                (message, "Take one of the dependencies out; move what both need into a third note.")
            }
            (None, Some(first)) => (broken(&need.target, &self.slots[first]), "Mend that one first."),
            (None, None) => {
                (format!("the note depends on itself: {}", need.target), "Take that dependency out.")
            }
        };
        self.fail(own, need.line, message, hint);
    }

    /// Evaluates a note whose needs are met; goes on with it if there turn out to be more.
    fn finish(&mut self, workshop: &mut Workshop, mut frame: Frame<'g>) {
        let own = frame.slot;
        let below = parts(own, &frame.found, self.slots);
        let chain = match chain(own, &frame.found, below.len(), self.slots) {
            Ok(chain) => chain,
            Err(message) => {
                let line = frame.needs.first().map_or(0, |need| need.line);
                return self.fail(own, line, message, "Put what they share into fewer notes.");
            }
        };
        let more = workshop.evaluate(&mut self.slots[own], frame.read, &frame.needs, below, chain);
        if more.is_empty() {
            self.slots[own].misses(&frame.missing);
            self.marks[own] = Mark::Done;
        } else {
            frame.needs.extend(more);
            self.frames.push(frame);
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

/// What is evaluated before a note that builds on `found`, in order and each once. What works only with an earlier
/// version of another brings that version.
fn parts(own: usize, found: &[usize], slots: &[Slot<'_>]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut add = |part: Part| {
        if part.file != slots[own].given.file && !parts.iter().any(|other| other.file == part.file) {
            parts.push(part);
        }
    };
    for other in found {
        let slot = &slots[*other];
        let Some(good) = &slot.state.good else { continue };
        good.below.iter().cloned().for_each(&mut add);
        let (origin, file) = (slot.given.origin, slot.given.file.clone());
        add(Part { origin, file, content: Arc::clone(&good.content) });
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
    /// Says what the note names and nobody has. It may work all the same: that it was named may mean nothing more
    /// than that it is read first.
    fn misses(&mut self, missing: &[(usize, String)]) {
        let Some((line, way)) = missing.first() else { return };
        let message = format!("a note is missing: {way}");
        let hint =
            "Name a skill, a file without .org, or id: and the ID of a note; see: org-agent skill list";
        self.problem = Some(match self.problem.take() {
            None => {
                self.works = true;
                self.problem(*line, format!("{message}; this one works without it"), hint)
            }
            Some(problem) => Problem { hint: format!("{message}. {}", problem.hint), ..problem },
        });
    }
}
