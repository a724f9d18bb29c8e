//! Random sequences of what is done with sessions, against a model that is as plain as can be: what the views say is what
//! the model says; any beginning of the log folds into the views that were there then; the export of an import is the
//! same text, and the messages are the same.

use std::collections::BTreeMap;

use org_agent::ids::{SessionId, TurnId};
use org_agent::request::{Change, Search};
use org_agent::sessions;
use org_agent::store::Fork;
use org_agent::transcript;

use super::*;

/// One thing that is done; numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    Create,
    Say { session: usize, text: String, answers: Vec<String>, end: u8 },
    Rename { session: usize, title: String },
    Archive { session: usize, archived: bool },
    Complete { session: usize },
    Pause { session: usize, paused: bool },
    Label { session: usize, group: Option<String>, tags: Vec<String> },
    Checkpoint { session: usize, name: u8 },
    Restore { session: usize, name: u8 },
    Read { session: usize, message: usize },
    Fork { session: usize, at: Option<usize>, edit: Option<String> },
    Delete { session: usize },
    Import { session: usize },
    Reopen,
}

/// A message as the model has it.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    mark: String,
    role: &'static str,
    text: String,
    turn: usize,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Session {
    title: String,
    archived: bool,
    paused: bool,
    completed: bool,
    failed: bool,
    group: Option<String>,
    tags: Vec<String>,
    messages: Vec<Said>,
    /// How many of the messages the user has seen, by their place among all that were ever said.
    turns: usize,
    /// The messages then, whether the last turn had failed, and which checkpoint it is.
    checkpoints: BTreeMap<String, (Vec<Said>, bool, usize)>,
    /// The one to which it was taken back, if nothing has come since.
    at: Option<usize>,
    imported: bool,
    /// What its own model calls cost.
    micro_usd: Option<u64>,
}

impl Session {
    fn status(&self) -> &'static str {
        match self {
            Self { paused: true, .. } => "paused",
            Self { completed: true, .. } => "completed",
            Self { failed: true, .. } => "failed",
            _ => "active",
        }
    }

    /// As it stands in its buffer.
    fn export(&self, id: &str) -> String {
        let mut out = format!(":PROPERTIES:\n:OA_SESSION: {id}\n:END:\n");
        for said in &self.messages {
            let (head, key) =
                if said.role == "user" { ("* USER", "OA_EVENT") } else { ("** ASSISTANT", "OA_ACT") };
            out.push_str(&format!(
                "{head}\n:PROPERTIES:\n:{key}: {}\n:END:\n{}\n",
                said.mark,
                said.text.trim_end_matches('\n')
            ));
        }
        out
    }
}

/// The model, and the store that has to agree with it.
struct Both {
    home: Option<Home>,
    sessions: BTreeMap<String, Session>,
    /// Numbers what is made.
    made: usize,
}

impl Both {
    fn new() -> Self {
        Self { home: Some(Home::new()), sessions: BTreeMap::new(), made: 0 }
    }

    fn home(&mut self) -> &mut Home {
        self.home.as_mut().unwrap()
    }

    fn id(&self, number: usize) -> Option<String> {
        let count = self.sessions.len();
        (count > 0).then(|| self.sessions.keys().nth(number % count).unwrap().clone())
    }

    fn next(&mut self) -> usize {
        self.made += 1;
        self.made
    }

    fn change(&mut self, id: &str, change: &Change) -> bool {
        let home = self.home();
        match sessions::changed(&home.store, &id.into(), change) {
            Ok(records) => {
                if !records.is_empty() {
                    home.append(id, &records);
                }
                true
            }
            Err(error) => {
                assert!(matches!(error.code, Code::BadRequest | Code::NotFound), "{error}");
                false
            }
        }
    }

    fn step(&mut self, step: Step) {
        let of = |both: &Self, session: usize| both.id(session);
        match step {
            Step::Create => {
                let id = format!("s{}", self.next());
                self.home().append(&id, &[created("b")]);
                let session = Session { title: "A title".into(), ..Session::default() };
                self.sessions.insert(id, session);
            }
            Step::Say { session, text, answers, end } => {
                let Some(id) = of(self, session) else { return };
                let turn = format!("turn{}", self.next());
                let mut records = vec![sent(&turn, &text), started(&turn)];
                let mut acts = Vec::new();
                for (answer, attempt) in answers.iter().zip(1..) {
                    let act = format!("act{}", self.next());
                    let counted = (usage(10, 5), u64::from(end));
                    records.extend([
                        asked(&turn, attempt, "m"),
                        replied(&turn, attempt, Verdict::Accept, Some(counted)),
                        proposed(&act, &turn, insert(answer)),
                        permitted(&act, Decision::Allow),
                        executed(&act, Status::Done),
                    ]);
                    acts.push((act, answer.clone()));
                }
                let state = [EndState::Done, EndState::Failed, EndState::Cancelled][usize::from(end % 3)];
                records.push(ended(&turn, state));
                let events = self.home().append(&id, &records);
                let session = self.sessions.get_mut(&id).unwrap();
                if !answers.is_empty() {
                    let cost = u64::from(end) * answers.len() as u64;
                    session.micro_usd = Some(session.micro_usd.unwrap_or_default() + cost);
                }
                session.turns += 1;
                let number = session.turns;
                session.messages.push(Said { mark: events[0].0.clone(), role: "user", text, turn: number });
                session.messages.extend(acts.into_iter().map(|(mark, text)| Said {
                    mark,
                    role: "assistant",
                    text,
                    turn: number,
                }));
                session.completed = false;
                session.failed = state == EndState::Failed;
                session.at = None;
            }
            Step::Rename { session, title } => {
                let Some(id) = of(self, session) else { return };
                if self.change(&id, &Change::Rename(title.clone())) {
                    self.sessions.get_mut(&id).unwrap().title = title.trim().to_owned();
                }
            }
            Step::Archive { session, archived } => {
                let Some(id) = of(self, session) else { return };
                assert!(self.change(&id, &Change::Archive(archived)));
                self.sessions.get_mut(&id).unwrap().archived = archived;
            }
            Step::Complete { session } => {
                let Some(id) = of(self, session) else { return };
                assert!(self.change(&id, &Change::Complete));
                let session = self.sessions.get_mut(&id).unwrap();
                if session.status() != "completed" {
                    session.at = None;
                }
                session.completed = true;
            }
            Step::Pause { session, paused } => {
                let Some(id) = of(self, session) else { return };
                assert!(self.change(&id, &Change::Pause(paused)));
                self.sessions.get_mut(&id).unwrap().paused = paused;
            }
            Step::Label { session, group, tags } => {
                let Some(id) = of(self, session) else { return };
                let change = Change::Label { group: Some(group.clone()), tags: Some(tags.clone()) };
                assert!(self.change(&id, &change));
                let session = self.sessions.get_mut(&id).unwrap();
                let mut once = Vec::new();
                tags.into_iter().for_each(|tag| {
                    if !once.contains(&tag) {
                        once.push(tag);
                    }
                });
                (session.group, session.tags) = (group, once);
            }
            Step::Checkpoint { session, name } => {
                let Some(id) = of(self, session) else { return };
                let name = format!("c{}", name % 3);
                assert!(self.change(&id, &Change::Checkpoint(name.clone())));
                let made = self.next();
                let session = self.sessions.get_mut(&id).unwrap();
                session.checkpoints.insert(name, (session.messages.clone(), session.failed, made));
            }
            Step::Restore { session, name } => {
                let Some(id) = of(self, session) else { return };
                let name = format!("c{}", name % 3);
                let there = self.sessions[&id].checkpoints.contains_key(&name);
                assert_eq!(self.change(&id, &Change::Restore(name.clone())), there);
                if there {
                    let session = self.sessions.get_mut(&id).unwrap();
                    let (messages, failed, made) = session.checkpoints[&name].clone();
                    // If that is where it is, nothing happens.
                    if session.at != Some(made) {
                        (session.messages, session.failed, session.completed) = (messages, failed, false);
                        session.at = Some(made);
                    }
                }
            }
            Step::Read { session, message } => {
                let Some(id) = of(self, session) else { return };
                let messages = &self.sessions[&id].messages;
                if messages.is_empty() {
                    return;
                }
                let mark = messages[message % messages.len()].mark.clone();
                assert!(self.change(&id, &Change::Read(mark)));
            }
            Step::Fork { session, at, edit } => self.fork(session, at, edit),
            Step::Delete { session } => {
                let Some(id) = of(self, session) else { return };
                let home = self.home();
                let ticket = home.store.delete(&SessionId(id.clone()), "user").unwrap().ticket;
                home.wait(ticket);
                self.sessions.remove(&id);
            }
            Step::Import { session } => self.import(session),
            Step::Reopen => self.home = self.home.take().map(Home::reopen),
        }
    }

    fn fork(&mut self, session: usize, at: Option<usize>, edit: Option<String>) {
        let Some(id) = self.id(session) else { return };
        let to = format!("s{}", self.next());
        let mut copy = self.sessions[&id].clone();
        let cut = at.filter(|_| !copy.messages.is_empty()).map(|at| at % copy.messages.len());
        let mark = cut.map(|cut| copy.messages[cut].mark.clone());
        if let Some(cut) = cut {
            let turn = copy.messages[cut].turn;
            let place = |said: &Said| said.turn < turn;
            let last = copy.messages[cut].clone();
            let kept = copy.messages.iter().position(|said| *said == last).unwrap();
            let before: Vec<Said> = copy.messages[..=kept].to_vec();
            assert!(before.iter().all(|said| place(said) || said.turn == turn));
            copy.messages = before;
        }
        let mut edits = BTreeMap::new();
        if let (Some(text), false) = (edit, copy.messages.is_empty()) {
            let last = copy.messages.last_mut().unwrap();
            edits.insert(last.mark.clone(), text.clone());
            last.text = text;
        }
        let home = self.home();
        let fork = Fork { at: mark, edits };
        let first = [created("b")];
        let appended = home.store.fork(&id.as_str().into(), &fork, &to.as_str().into(), &first).unwrap();
        home.wait(appended.last().unwrap().ticket);
        // How the last turn ended depends on where the copy ends: the store says, the model learns.
        let status = home.store.session(&to.as_str().into()).unwrap()["status"].clone();
        let copy = Session {
            title: "A title".into(),
            failed: status == "failed",
            messages: copy.messages,
            turns: copy.turns,
            imported: copy.imported,
            ..Session::default()
        };
        self.sessions.insert(to, copy);
    }

    /// An export goes, and comes back under its own identifier, from the text alone.
    fn import(&mut self, session: usize) {
        let Some(id) = self.id(session) else { return };
        let before = self.sessions[&id].clone();
        let home = self.home();
        let text = transcript::write(&sessions::export(&home.store, &id.as_str().into()).unwrap());
        let ticket = home.store.delete(&id.as_str().into(), "user").unwrap().ticket;
        home.wait(ticket);
        if before.messages.is_empty() {
            self.sessions.remove(&id);
            return;
        }
        let found = sessions::import(&home.store, "User", &text, "file.org", Some("b")).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].session.as_str(), id);
        home.append(&id, &found[0].records);
        let again = transcript::write(&sessions::export(&home.store, &id.as_str().into()).unwrap());
        assert_eq!(again, text);
        let title = home.store.session(&id.as_str().into()).unwrap()["title"].as_str().unwrap().to_owned();
        let session = Session {
            title,
            messages: before
                .messages
                .into_iter()
                .map(|said| Said { text: said.text.trim_end_matches('\n').to_owned(), ..said })
                .collect(),
            turns: before.turns,
            imported: true,
            ..Session::default()
        };
        self.sessions.insert(id, session);
    }

    /// The views say what the model says.
    fn agree(&mut self) {
        let sessions = self.sessions.clone();
        let store = &self.home().store;
        let list = store.sessions(&Sessions::default(), Some(500), None).unwrap();
        let mut known = ids(&list);
        known.sort_unstable();
        let mut wanted: Vec<&str> = sessions.keys().map(String::as_str).collect();
        wanted.sort_unstable();
        assert_eq!(known, wanted);
        for item in list["items"].as_array().unwrap() {
            let id = item["id"].as_str().unwrap();
            let session = &sessions[id];
            assert_eq!(item["title"], session.title.as_str(), "{id}");
            assert_eq!(
                (&item["status"], &item["archived"]),
                (&json!(session.status()), &json!(session.archived)),
                "{id}"
            );
            assert_eq!(
                (&item["group"], &item["tags"]),
                (&json!(session.group), &json!(session.tags)),
                "{id}"
            );
            assert_eq!(item["messages"], session.messages.len(), "{id}");
            assert_eq!(item["imported"].is_string(), session.imported, "{id}");
            let cost = session.micro_usd.map(|micro_usd| Cost { micro_usd }.dollars());
            assert_eq!(item["cost"], json!(cost), "{id}");
            let messages = store.messages(&id.into(), Some(500), None).unwrap();
            let found: Vec<(&str, &str)> = messages["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| (item["role"].as_str().unwrap(), item["content"].as_str().unwrap()))
                .collect();
            let said: Vec<(&str, &str)> =
                session.messages.iter().map(|said| (said.role, said.text.as_str())).collect();
            assert_eq!(found, said, "{id}");
            let last = store.last_messages(&id.into(), Some(3), None).unwrap();
            let tail: Vec<&str> = last["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["content"].as_str().unwrap())
                .collect();
            let count = said.len().saturating_sub(3);
            assert_eq!(tail, said[count..].iter().map(|(_, text)| *text).collect::<Vec<_>>(), "{id}");
            assert_eq!(transcript::write(&sessions_export(store, id)), session.export(id), "{id}");
            // Each word of it is found in it, and nowhere that it is not.
            for word in ["apple", "birne", "kiwi"] {
                let search = Search {
                    text: word.into(),
                    session: Some(id.into()),
                    limit: Some(100),
                    ..Search::default()
                };
                let hits = store.search(&search, None).unwrap()["items"].as_array().unwrap().len();
                let has = |said: &&Said| said.text.split_whitespace().any(|own| own == word);
                assert_eq!(hits, session.messages.iter().filter(has).count(), "{word} in {id}");
            }
        }
    }
}

fn sessions_export(store: &Store, id: &str) -> transcript::Transcript {
    sessions::export(store, &id.into()).unwrap()
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["apple", "birne", "kiwi", "* star", "#+x", "日本"]), 1..5)
        .prop_map(|words| words.join("\n"))
}

fn any_step() -> impl Strategy<Value = Step> {
    let session = || 0..6_usize;
    prop_oneof![
        2 => Just(Step::Create),
        8 => (session(), text(), prop::collection::vec(text(), 0..3), 0..3_u8)
            .prop_map(|(session, text, answers, end)| Step::Say { session, text, answers, end }),
        1 => (session(), "[a-z ]{0,5}").prop_map(|(session, title)| Step::Rename { session, title }),
        1 => (session(), any::<bool>()).prop_map(|(session, archived)| Step::Archive { session, archived }),
        1 => session().prop_map(|session| Step::Complete { session }),
        1 => (session(), any::<bool>()).prop_map(|(session, paused)| Step::Pause { session, paused }),
        1 => (session(), prop::option::of("[a-z]{1,3}"), prop::collection::vec("[a-z]{1,2}", 0..3))
            .prop_map(|(session, group, tags)| Step::Label { session, group, tags }),
        2 => (session(), 0..3_u8).prop_map(|(session, name)| Step::Checkpoint { session, name }),
        2 => (session(), 0..3_u8).prop_map(|(session, name)| Step::Restore { session, name }),
        1 => (session(), 0..9_usize).prop_map(|(session, message)| Step::Read { session, message }),
        2 => (session(), prop::option::of(0..9_usize), prop::option::of(text()))
            .prop_map(|(session, at, edit)| Step::Fork { session, at, edit }),
        1 => session().prop_map(|session| Step::Delete { session }),
        1 => session().prop_map(|session| Step::Import { session }),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(24), ..ProptestConfig::default() })]

    #[test]
    fn the_views_are_what_the_model_says(steps in prop::collection::vec(any_step(), 1..40)) {
        let mut both = Both::new();
        // What the views were after each step, by how long the log was then.
        let mut earlier: Vec<(i64, Vec<String>)> = Vec::new();
        for step in steps {
            // What is deleted is in no beginning any more.
            if matches!(step, Step::Delete { .. } | Step::Import { .. }) {
                earlier.clear();
            }
            both.step(step);
            both.agree();
            let db = both.home().raw();
            let last = "SELECT coalesce(max(position), 0) FROM log";
            earlier.push((db.query_row(last, [], |row| row.get(0)).unwrap(), views(&db)));
        }
        let home = both.home.take().unwrap();
        prop_assert_eq!(home.store.verify_all().unwrap(), []);
        let live = views(&home.raw());
        home.store.rebuild_views().unwrap();
        prop_assert_eq!(views(&home.raw()), live);
        // Any beginning of the log folds into what the views were then.
        for (length, wanted) in earlier.iter().step_by(3) {
            prop_assert_eq!(&beginning(&home, *length), wanted, "the first {} events", length);
        }
    }
}

/// The views of the first events of the log, folded by a store of its own.
fn beginning(home: &Home, length: i64) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let db = raw(dir.path());
    db.execute("ATTACH ?1 AS whole", [home.dir.path().join("agent.db").to_str().unwrap()]).unwrap();
    db.execute("INSERT INTO main.log SELECT * FROM whole.log WHERE position <= ?1", [length]).unwrap();
    db.execute_batch("DETACH whole").unwrap();
    drop(db);
    drop(open(dir.path()));
    views(&raw(dir.path()))
}

/// As many cases as `PROPTEST_CASES` says, or this many.
fn cases(default: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(default)
}

#[test]
fn a_turn_identifier_is_of_one_session() {
    let mut home = Home::new();
    home.append("s", &[created("b"), sent("t", "q")]);
    // Another session's events about it change nothing of it.
    home.append("r", &[created("b"), started("t"), ended("t", EndState::Done)]);
    assert_eq!(home.store.find_turn(&TurnId::from("t")).unwrap().unwrap().state, "queued");
    assert_eq!(home.store.verify_all().unwrap(), []);
}
