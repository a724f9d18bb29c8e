//! Any text, through the contract or not, as Markdown: nothing in it acts, and it is not much longer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use org_agent::org::{apply, markdown::markdown};
use pulldown_cmark::{Event, Options, Parser, Tag};

fuzz_target!(|data: (u8, &str)| {
    let (level, text) = (usize::from(data.0 % 9), data.1);
    let (org, _) = apply(text, level.max(1));
    for text in [text, &org] {
        let out = markdown(text, level);
        assert!(out.len() <= 64 * text.len() + 64);
        let github = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
        for options in [github, Options::all() - Options::ENABLE_YAML_STYLE_METADATA_BLOCKS] {
            for event in Parser::new_ext(&out, options) {
                match event {
                    Event::Html(_) | Event::InlineHtml(_) | Event::FootnoteReference(_) => panic!("{out:?}"),
                    Event::Start(Tag::HtmlBlock | Tag::Image { .. } | Tag::FootnoteDefinition(_)) => {
                        panic!("{out:?}");
                    }
                    Event::Start(Tag::Link { dest_url: to, .. }) => {
                        let kind = to.split(['/', '?', '#']).next().and_then(|start| start.split_once(':'));
                        let is_live = match kind {
                            Some((kind, _)) => ["https", "http", "mailto"].contains(&kind),
                            None => !to.starts_with("//") && !to.contains('\\'),
                        };
                        assert!(is_live, "{to} in {out:?}");
                    }
                    _ => {}
                }
            }
        }
    }
});
