//! Any changes of any document, in each encoding, against a string; and the layout of what came of it: its edits are
//! for what there is, and nothing that a model wrote becomes a prompt.
#![no_main]

use libfuzzer_sys::fuzz_target;
use org_agent::lsp::plain::layout::{Edit, Layout, Target, apply};
use org_agent::lsp::plain::text::{Document, Encoding, Gravity, Language};
use org_agent::org;
use tower_lsp_server::ls_types::{Position, Range, TextDocumentContentChangeEvent};

type Change<'a> = (bool, (u32, u32), (u32, u32), &'a str);

fuzz_target!(|data: (u8, bool, &str, Vec<Change<'_>>, u16, &str)| {
    let (encoding, is_org, text, changes, at, reply) = data;
    let encoding = [Encoding::Utf8, Encoding::Utf16, Encoding::Utf32][usize::from(encoding % 3)];
    let (id, language) = if is_org { ("org", Language::Org) } else { ("markdown", Language::Markdown) };
    let mut document = Document::open("file:///x", id, 1, text, encoding);
    let mut own = text.to_owned();
    let anchor = document.anchor(usize::from(at), Gravity::Behind);
    for (is_whole, start, end, new) in changes {
        let range = Range::new(Position::new(start.0, start.1), Position::new(end.0, end.1));
        let bytes = if is_whole { 0..own.len() } else { document.bytes(range).unwrap() };
        own.replace_range(bytes, new);
        let range = (!is_whole).then_some(range);
        document.change(2, &[TextDocumentContentChangeEvent { range, range_length: None, text: new.to_owned() }]);
        assert_eq!(document.text().unwrap(), own);
        assert!(own.is_char_boundary(document.at(anchor).unwrap().offset));
    }
    let position = document.position(usize::from(at)).unwrap();
    let back = document.offset(position).unwrap();
    assert!(back <= usize::from(at) && document.position(back).unwrap() == position);

    let layout = Layout::new(&own, language);
    let edits = match layout.target(Some(usize::from(at))) {
        Target::Prompt(prompt) => layout.edit_sent(prompt, "new", "s", None),
        Target::Free(section) => layout.edit_headed(&section, "new", "s"),
        Target::Notes(_) | Target::Nothing => layout.edit_asked("what", "new", "s"),
    };
    let sent = applied(&own, &edits);
    let layout = Layout::new(&sent, language);
    let before: Vec<String> = open(&layout);
    let with = applied(&sent, &layout.edit_block("new", reply).unwrap());
    let layout = Layout::new(&with, language);
    let level = layout.prompt_of("new").unwrap().level + 1;
    let done = applied(&with, &layout.edit_reply("new", "act", &org::apply(reply, level).0).unwrap());
    let layout = Layout::new(&done, language);
    assert!(layout.has_act("act"), "{done:?}");
    let mut after = open(&layout);
    if before.is_empty() {
        assert_eq!(after.pop().as_deref(), Some(""), "{done:?}");
    }
    assert_eq!(before, after, "{done:?}");
});

fn open(layout: &Layout<'_>) -> Vec<String> {
    layout.open().map(|prompt| layout.message(prompt).into_owned()).collect()
}

/// `text` after `edits`, which are in order and do not touch.
fn applied(text: &str, edits: &[Edit]) -> String {
    assert!(edits.windows(2).all(|pair| pair[0].range.end < pair[1].range.start), "{edits:?}");
    assert!(edits.iter().all(|edit| text.get(edit.range.clone()).is_some()), "{edits:?}");
    apply(text, edits)
}
