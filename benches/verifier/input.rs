//! The replies that all readers read, and the same as JSON.

use std::path::PathBuf;

use org_agent::action::CHAT_BUFFER;
use org_agent::sexp::recogniser::Recogniser;

/// One reply.
pub struct Input {
    pub name: &'static str,
    pub reply: String,
    pub json: String,
}

/// Texts of three sizes, and a reply of nothing but keys.
pub fn all() -> [Input; 4] {
    [
        of_text(200, "200 B of text"),
        of_text(4_000, "4 KB of text"),
        of_text(240_000, "240 KB of text"),
        of_reply(
            "every key, short values",
            "(:payload (:timeout 30 :cwd \"/x\" :cmd \"ls\") :explanation \"why\" :target :shell :type :request)".into(),
        ),
    ]
}

/// An insert with so many bytes of text: prose in lines, as models write it.
pub fn of_text(bytes: usize, name: &'static str) -> Input {
    const LINES: &str = concat!(
        r"Some words of an answer, with /emphasis/ in it and a [[https://example.org][link]].\n",
        r#"A second line that quotes \"a few words\", as people do, and then goes on for a while.\n"#
    );
    let mut text = LINES.repeat(bytes / LINES.len() + 1);
    text.truncate(bytes);
    // Not in the middle of an escape.
    text.truncate(text.trim_end_matches('\\').len());
    of_reply(
        name,
        format!(
            "(:type :request :target :emacs :payload (:action :insert-at-end :buffer \"{CHAT_BUFFER}\" :text \"{text}\"))"
        ),
    )
}

fn of_reply(name: &'static str, reply: String) -> Input {
    let mut recogniser = Recogniser::new(CHAT_BUFFER);
    recogniser.feed(reply.as_bytes()).unwrap();
    let json = recogniser.finish().unwrap().to_json().to_string();
    Input { name, reply, json }
}

impl Input {
    /// Writes the reply to a file that a reader in another process can read.
    pub fn write(&self) -> PathBuf {
        let path =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("reply-{}.lisp", self.reply.len()));
        std::fs::write(&path, &self.reply).unwrap();
        path
    }
}
