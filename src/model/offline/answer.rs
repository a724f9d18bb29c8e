//! What the built-in responder answers: a pure function of the prompt.
//!
//! Whatever the user typed, the action is valid: it is bounded, and control characters are made visible.

use std::fmt::Write as _;

use super::read::{Part, Report, parts};
use crate::action::{Action, CHAT_BUFFER, GRAMMAR, Kind, Value};
use crate::model::local;
use crate::prompt::{Message, Role};
use crate::sexp::printer::print;
use crate::sexp::recogniser::Recogniser;

/// The most bytes of the user's text that an answer repeats. Printed, each may become two.
const TEXT: usize = 60_000;

/// The most lines, and bytes of a line, that an answer quotes.
const QUOTE: (usize, usize) = (40, 400);

/// The most paragraphs of `long:`.
const LONG: usize = 500;

/// The action that answers `messages`; `offer` says what could answer instead, and is empty if nothing could.
pub(super) fn answer(messages: &[Message], user: &str, assistant: &str, offer: &str) -> Action {
    let parts = parts(messages);
    let said: Vec<&str> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Words(words) => Some(words.as_str()),
            Part::Result(_) | Part::Denied | Part::Other => None,
        })
        .collect();
    match parts.last() {
        Some(Part::Result(report)) => return insert(&outcome(report)),
        Some(Part::Denied) => {
            return insert(
                "You did not let it run, so nothing happened. Propose another one with =run: COMMAND=.",
            );
        }
        Some(Part::Words(_) | Part::Other) | None => {}
    }
    let words = said.last().copied().unwrap_or_default();
    // A message that got no answer stands before this one, without a mark between them.
    let last = words.rsplit("\n\n").next().unwrap_or_default();
    order(last).or_else(|| order(words)).unwrap_or_else(|| {
        let names = (visible(user), visible(assistant));
        // Once in a session, as far as the prompt reaches back.
        let is_known =
            |message: &Message| message.role == Role::Assistant && message.text.contains(local::YES);
        let is_new = !offer.is_empty() && !messages.iter().any(is_known);
        insert(&talk(&said, (&names.0, &names.1), offer, is_new))
    })
}

/// The answer to `NAME: REST`, if `words` is such an order.
fn order(words: &str) -> Option<Action> {
    let (name, rest) = words.split_once(':')?;
    let rest = rest.trim();
    Some(match name.trim().to_ascii_lowercase().as_str() {
        "run" => run(rest),
        "echo" if rest.is_empty() => insert("Say what: =echo: TEXT=."),
        "echo" => insert(&visible(rest)),
        "log" => {
            let mut action = Action::new(row(Kind::Log));
            action.set("text", Value::Text(visible(rest)));
            action
        }
        "long" => insert(&long(rest)),
        _ => return None,
    })
}

fn run(command: &str) -> Action {
    if command.is_empty() {
        return insert("Say which command: =run: ls -l=.");
    }
    let mut action = Action::new(row(Kind::Shell));
    action.set("cmd", Value::Text(command.to_owned()));
    action.explain(Some("you asked for it with run:".to_owned()));
    let mut recogniser = Recogniser::new(CHAT_BUFFER);
    match recogniser.feed(print(&action).as_bytes()) {
        Ok(()) => action,
        Err(rejection) => insert(&format!(
            "I cannot propose this command, because a model could not: {}.",
            rejection.message
        )),
    }
}

fn long(count: &str) -> String {
    let Ok(count) = count.parse::<usize>() else { return "Say how many paragraphs: =long: 20=.".to_owned() };
    let mut text = String::new();
    for number in 1..=count.clamp(1, LONG) {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "Paragraph {number}. This text is only here to be streamed, so that you can see it arrive, scroll and \
             cancel.\n\n"
        );
    }
    if count > LONG {
        let _ = write!(text, "I stop at {LONG} paragraphs.");
    }
    text.trim_end().to_owned()
}

/// What came of a command.
fn outcome(report: &Report<'_>) -> String {
    let mut text = match report.exit {
        Some("0") => "The command succeeded (exit code 0).".to_owned(),
        Some(code) => format!("The command failed with exit code {}.", visible(code)),
        None => "The command did not report an exit code.".to_owned(),
    };
    for note in &report.notes {
        let _ = write!(text, " {}", visible(note));
    }
    for (label, lines) in report.output.iter().filter(|(label, _)| *label != "command") {
        let _ = write!(text, "\n\nIts {}:\n\n{}", visible(label), quote(lines));
    }
    text
}

fn talk(said: &[&str], (user, assistant): (&str, &str), offer: &str, is_new: bool) -> String {
    let words = said.last().copied().unwrap_or_default();
    let asked = words.trim_end_matches(['?', '!', '.', ' ']).to_lowercase();
    let what = format!(
        "I am {assistant}, the built-in responder of org-agent: no language model, only a few fixed answers, so that \
         everything around a model can be tried without one."
    );
    let what = if is_new { format!("{what}\n\n{offer}") } else { what };
    match asked.as_str() {
        "help" | "what can you do" => format!("{what}\n\n{HELP}"),
        "setup" | "config" | "configure" | "how do i configure a model" | "how do i configure you" => {
            if offer.is_empty() { SETUP.to_owned() } else { format!("{offer}\n\n{SETUP}") }
        }
        "history" | "what did i say" | "what have i said" => {
            recall(said.split_last().map_or(&[], |(_, earlier)| earlier))
        }
        "" | "hi" | "hello" | "hey" | "good morning" | "good evening" | "who are you" | "what are you" => {
            format!("Hello, {user}. {what}\n\n{HELP}\n\n{SETUP}")
        }
        _ => {
            let gap = if is_new { "\n\n" } else { " " };
            let greeting = if said.len() == 1 { format!("Hello, {user}. ") } else { String::new() };
            format!(
                "{greeting}{what}{gap}I cannot answer what you wrote:\n\n{}\n\nSay =help= for what I can do, =setup= for \
                 how to get a real model.",
                quote(&words.split('\n').collect::<Vec<_>>())
            )
        }
    }
}

const HELP: &str = "What I can do:\n\n\
    - =help= :: this list\n\
    - =setup= :: how to configure a real model\n\
    - =history= :: what you said in this session\n\
    - =echo: TEXT= :: your text, back in the buffer\n\
    - =run: COMMAND= :: proposes a shell command; you are asked, and I report what came of it\n\
    - =log: TEXT= :: a line for the log, and nothing here\n\
    - =long: N= :: N paragraphs, to see an answer stream in";

const SETUP: &str = "To talk to a real model, set variables in the environment of your editor:\n\n\
    - =ORG_AGENT_MODEL= :: the model's name\n\
    - =OPENAI_API_KEY= :: a key, for OpenAI or the server below\n\
    - =OPENAI_BASE_URL= :: another OpenAI-compatible server\n\n\
    For a server on your own machine, such as Ollama, no key is needed:\n\n\
    #+begin_example\n\
    export OPENAI_BASE_URL=http://localhost:11434/v1\n\
    export ORG_AGENT_MODEL=llama3.2\n\
    #+end_example\n\n\
    Or write it to =config.toml=:\n\n\
    #+begin_src toml\n\
    [[models]]\n\
    model = \"llama3.2\"\n\
    base_url = \"http://localhost:11434/v1\"\n\
    #+end_src\n\n\
    Then restart the server; =org-agent doctor= says what is missing.";

fn recall(earlier: &[&str]) -> String {
    if earlier.is_empty() {
        return "You said nothing before this in this session, as far as I am told.".to_owned();
    }
    let lines: Vec<String> = earlier
        .iter()
        .enumerate()
        .map(|(at, words)| format!("{}. {}", at + 1, words.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    format!("In this session you said, oldest first:\n\n{}", quote(&lines))
}

fn row(kind: Kind) -> &'static crate::action::Row {
    GRAMMAR.iter().find(|row| row.kind == kind).unwrap_or(&GRAMMAR[0])
}

fn insert(text: &str) -> Action {
    Action::insert(CHAT_BUFFER, text)
}

/// The lines of a stranger as fixed-width Org lines, bounded.
fn quote(lines: &[&str]) -> String {
    let (most, width) = QUOTE;
    let mut text = String::new();
    for line in lines.iter().take(most) {
        let cut = &line[..line.floor_char_boundary(width)];
        let more = if cut.len() < line.len() { " …" } else { "" };
        let _ = writeln!(text, ": {}{more}", visible(cut));
    }
    if lines.len() > most {
        let _ = writeln!(text, ": … {} more lines", lines.len() - most);
    }
    text.trim_end().to_owned()
}

/// `text`, bounded, with its control characters made visible; line breaks and tabs stay.
fn visible(text: &str) -> String {
    let cut = &text[..text.floor_char_boundary(TEXT)];
    let mut out = String::with_capacity(cut.len());
    for c in cut.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            // The control pictures stand in the same order as what they picture.
            '\0'..='\x1f' => out.extend(char::from_u32(0x2400 + u32::from(c))),
            '\x7f' => out.push('\u{2421}'),
            c if c.is_control() => {
                let _ = write!(out, "<U+{:04X}>", u32::from(c));
            }
            c => out.push(c),
        }
    }
    if cut.len() < text.len() {
        let _ = write!(out, "\n(cut after {TEXT} bytes)");
    }
    out
}
