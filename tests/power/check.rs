//! One crash image against the ledger: the store opens it and verifies it, then a server works on it. It knows the
//! wire protocol and `Store::open` and `verify_all`, and no table.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use org_agent::store::Store;
use serde_json::{Value, json};

use crate::client::Client;
use crate::disk::{self, Image};
use crate::ledger::{Ledger, Receipt};
use crate::rng::Rng;
use crate::workload::Workload;

const ENV: [(&str, &str); 1] = [("ORG_AGENT_MODEL", "offline")];

/// How many messages that were acknowledged, and how many that were not, are sent again to one image.
const AGAIN: usize = 10;

/// What came out.
#[derive(Debug, Default)]
pub struct Verdict {
    pub acknowledged: usize,
    pub lost: Vec<String>,
    pub twice: Vec<String>,
    pub problems: Vec<String>,
}

/// What had been promised before the cut.
struct Promised<'l> {
    receipts: HashMap<usize, &'l Receipt>,
    reports: HashSet<&'l str>,
}

/// Checks the image of a cut after so many records, below `dir`, which is empty.
pub fn check(
    image: &Image,
    dir: &Path,
    cut: usize,
    (ledger, workload): (&Ledger, &Workload),
    rng: &mut Rng,
) -> Verdict {
    let before = |at: usize| at <= cut;
    let promised = Promised {
        receipts: ledger
            .receipts
            .iter()
            .filter(|(at, _)| before(*at))
            .map(|(_, receipt)| (receipt.message, receipt))
            .collect(),
        reports: ledger.reports.iter().filter(|(at, _)| before(*at)).map(|(_, id)| id.as_str()).collect(),
    };
    let acknowledged = promised.receipts.len() + promised.reports.len();
    let mut verdict = Verdict { acknowledged, ..Verdict::default() };

    // The store, on a copy of its own: opening it repairs it.
    let copy = dir.join("store");
    std::fs::create_dir(&copy).unwrap();
    disk::write(image, &copy);
    let findings = Store::open(&copy, |_| {}).and_then(|store| store.verify_all());
    match findings {
        Ok(findings) => verdict.problems.extend(findings.iter().map(|finding| format!("{finding:?}"))),
        Err(error) => verdict.problems.push(format!("the store does not open: {error}: {}", error.why)),
    }
    if !verdict.problems.is_empty() {
        verdict.lost = (0..acknowledged).map(|number| format!("{number}, with the whole log")).collect();
        return verdict;
    }

    let home = dir.join("home");
    std::fs::create_dir(&home).unwrap();
    disk::write(image, &home);
    let mut client = Client::new_in(&home, &ENV);
    look(&mut client, &promised, workload, &mut verdict);
    work(&mut client, &promised, workload, rng, &mut verdict);
    client.finish_unread();
    if rng.chance(10) {
        let findings = Store::open(&home, |_| {}).unwrap().verify_all().unwrap();
        verdict.problems.extend(findings.iter().map(|finding| format!("afterwards: {finding:?}")));
    }
    verdict
}

fn items(result: &Value) -> Vec<Value> {
    assert_eq!(result["nextCursor"], Value::Null, "the workload is too large for one list");
    result["items"].as_array().unwrap().clone()
}

fn sessions(client: &mut Client) -> Vec<String> {
    let sessions = items(&client.request("orgAgent/sessions/list", &json!({"limit": 500})));
    sessions.iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
}

/// What one method lists for each session, asked for all at once.
fn of_sessions(client: &mut Client, method: &str) -> Vec<(String, Value)> {
    let sessions = sessions(client);
    let ask = |session: &String| client.ask(method, &json!({"sessionId": session, "limit": 500}));
    let asked: Vec<u64> = sessions.iter().map(ask).collect();
    let mut all = Vec::new();
    for (session, id) in sessions.into_iter().zip(asked) {
        let items = items(&client.answer(id).unwrap());
        all.extend(items.into_iter().map(|item| (session.clone(), item)));
    }
    all
}

/// Where each message stands: event, session and turn, by client id.
type Found = HashMap<String, Vec<(String, String, String)>>;

fn messages(client: &mut Client) -> Found {
    let mut found = Found::new();
    for (session, item) in of_sessions(client, "orgAgent/sessions/messages") {
        if item["role"] == "user" {
            let word = |value: &Value| value.as_str().unwrap().to_owned();
            let place = (word(&item["id"]), session, word(&item["metadata"]["turn"]));
            found.entry(word(&item["metadata"]["clientId"])).or_default().push(place);
        }
    }
    found
}

fn once(found: &Found, twice: &mut Vec<String>) {
    let several = found.iter().filter(|(_, places)| places.len() > 1);
    twice.extend(several.map(|(id, places)| format!("{id}: {places:?}")));
}

/// What is there, before anything new is asked of it.
fn look(client: &mut Client, promised: &Promised<'_>, workload: &Workload, verdict: &mut Verdict) {
    let found = messages(client);
    once(&found, &mut verdict.twice);
    let known: HashSet<&str> = workload.messages.iter().map(|message| message.client_id.as_str()).collect();
    let strange = found.keys().filter(|id| !known.contains(id.as_str()));
    verdict.problems.extend(strange.map(|id| format!("{id} was never sent")));
    for receipt in promised.receipts.values() {
        let id = &workload.messages[receipt.message].client_id;
        let place = (receipt.event.clone(), receipt.session.clone(), receipt.turn.clone());
        if !found.get(id).is_some_and(|places| places.contains(&place)) {
            verdict.lost.push(format!("{id}: {receipt:?}, found {:?}", found.get(id)));
        }
    }
    let mut done = HashSet::new();
    let mut texts: HashMap<String, usize> = HashMap::new();
    for (_, action) in of_sessions(client, "orgAgent/sessions/actions") {
        let text = action["input"]["text"].as_str().unwrap();
        *texts.entry(text.to_owned()).or_default() += 1;
        if action["status"] == "done" {
            done.insert(action["id"].as_str().unwrap().to_owned());
        }
    }
    let gone = promised.reports.iter().filter(|id| !done.contains(**id));
    verdict.lost.extend(gone.map(|id| format!("the report of {id}")));
    let several = texts.iter().filter(|(_, times)| **times > 1);
    verdict.twice.extend(several.map(|(text, times)| format!("{text:?} was proposed {times} times")));
}

/// What a client that comes back does: it sends again what it is not sure of and resumes every session; and then
/// all goes on to its end, with something new at last.
fn work(
    client: &mut Client,
    promised: &Promised<'_>,
    workload: &Workload,
    rng: &mut Rng,
    verdict: &mut Verdict,
) {
    let resumed = sessions(client);
    let (mut sure, mut unsure): (Vec<usize>, Vec<usize>) =
        (0..workload.messages.len()).partition(|number| promised.receipts.contains_key(number));
    // The last ones are those at stake; some of the others are drawn.
    let mut again = sure.split_off(sure.len().saturating_sub(AGAIN));
    again.extend((0..AGAIN).filter_map(|_| rng.pick(&sure).copied()));
    unsure.truncate(AGAIN);
    again.extend(unsure);
    let mut events = HashMap::new();
    for number in again {
        let id = client.ask("orgAgent/event", &workload.messages[number].params());
        events.insert(id, number);
    }
    let mut others = HashSet::new();
    let mut resumes = HashSet::new();
    for session in &resumed {
        resumes.insert(client.ask("orgAgent/sessions/resume", &json!({"sessionId": session})));
    }
    let mut open: HashSet<String> = HashSet::new();
    let mut inserted: HashMap<String, HashSet<String>> = HashMap::new();
    while !(events.is_empty() && resumes.is_empty() && others.is_empty() && open.is_empty()) {
        let message = client.next().expect("the server lives");
        let params = &message["params"];
        let mut inserts = Vec::new();
        match message["method"].as_str() {
            None => {
                assert!(message.get("error").is_none(), "{message}");
                let (id, result) = (message["id"].as_u64().unwrap(), &message["result"]);
                let word = |name: &str| result[name].as_str().unwrap();
                if let Some(number) = events.remove(&id) {
                    let fresh = result["duplicate"] == false;
                    if fresh {
                        open.insert(word("turnId").to_owned());
                    }
                    if let Some(receipt) = promised.receipts.get(&number) {
                        let same = word("eventId") == receipt.event
                            && word("sessionId") == receipt.session
                            && word("turnId") == receipt.turn;
                        if fresh {
                            verdict.twice.push(format!("message {number} was taken again: {receipt:?}"));
                        } else if !same {
                            verdict.problems.push(format!("{result} and {receipt:?}"));
                        }
                    }
                } else if resumes.remove(&id) {
                    let live = result["live"].as_array().unwrap().iter();
                    open.extend(live.map(|turn| turn.as_str().unwrap().to_owned()));
                    inserts.extend(result["actuations"].as_array().unwrap().iter().cloned());
                } else {
                    others.remove(&id);
                }
            }
            Some("orgAgent/turn") => {
                if ["done", "failed", "cancelled"].contains(&params["state"].as_str().unwrap()) {
                    open.remove(params["turnId"].as_str().unwrap());
                }
            }
            Some("orgAgent/actuate") => inserts.push(params.clone()),
            Some(_) => {}
        }
        for insert in inserts {
            let id = insert["actuationId"].as_str().unwrap().to_owned();
            let text = insert["action"]["payload"]["text"].as_str().unwrap().to_owned();
            if promised.reports.contains(id.as_str()) {
                verdict.twice.push(format!("{text:?} was reported, and is offered again"));
            }
            inserted.entry(text).or_default().insert(id.clone());
            others.insert(client.ask("orgAgent/actuated", &json!({"actuationId": id, "status": "done"})));
        }
    }
    let several = inserted.iter().filter(|(_, ids)| ids.len() > 1);
    verdict.twice.extend(several.map(|(text, ids)| format!("{text:?} was inserted as {ids:?}")));
    once(&messages(client), &mut verdict.twice);

    let receipt = client.chat("*afterwards*", "afterwards", "echo: alive");
    let last = client.turn(receipt["turnId"].as_str().unwrap());
    assert_eq!(last.last().unwrap()["params"]["state"], "done");
}
