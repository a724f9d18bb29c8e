//! A user who writes, sends, closes and opens while an editor takes edits or not, all by chance: in the end every
//! prompt has its one answer under it, and what the user wrote is there.

use serde_json::{Value, json};

use crate::editor::{OnEdit, Units};
use crate::rng::Rng;
use crate::{Scene, insert};

const URIS: [(&str, &str); 2] = [("file:///tmp/ä.org", "org"), ("file:///tmp/ö.md", "markdown")];

/// What the user has written so far.
#[derive(Default)]
struct Written {
    notes: Vec<String>,
    prompts: usize,
}

fn play(seed: u64, steps: usize) {
    let mut rng = Rng(seed);
    let units = if rng.below(2) == 0 { Units::Utf8 } else { Units::Utf16 };
    let mut scene = Scene::new(units, true);
    let mut written = [Written::default(), Written::default()];
    for (uri, language) in URIS {
        let star = if language == "org" { "*" } else { "#" };
        scene.editor.open(uri, language, &format!("{star} Notizen 😀\nend of notes\n"));
    }
    for step in 0..steps {
        let which = rng.below(2) as usize;
        let (uri, language) = URIS[which];
        scene.editor.on_edit = match rng.below(4) {
            0 => OnEdit::Refuse,
            1 => OnEdit::Error,
            _ => OnEdit::Apply,
        };
        match rng.below(6) {
            // Writes among the notes, perhaps while an edit is on its way.
            0 | 1 => {
                let note = format!("Notiz {step} 𝄞\n");
                let at = scene.editor.text(uri).find("end of notes").unwrap();
                written[which].notes.push(note.clone());
                if rng.below(2) == 0 && scene.editor.types_first.is_none() {
                    scene.editor.types_first = Some((uri.to_owned(), "end of notes".to_owned(), note));
                } else {
                    scene.editor.replace(uri, at, at, &note);
                }
            }
            // Asks something.
            2 | 3 => {
                let star = if language == "org" { "*" } else { "#" };
                let open = scene.editor.text(uri).ends_with(&format!("{star} USER\n"));
                let heading = if open { String::new() } else { format!("{star} USER\n") };
                scene.editor.append(uri, &format!("{heading}Frage {step} 🙂\n"));
                scene.model.reply_with(&insert(&format!("Antwort für {step}.")));
                let command = json!({"command": "org-agent.send", "arguments": [{"uri": uri}]});
                scene.editor.request("workspace/executeCommand", &command).unwrap();
                written[which].prompts += 1;
            }
            4 => {
                let text = scene.editor.close(uri);
                scene.editor.open(uri, language, &text);
            }
            // Looks at what came.
            _ => {
                scene.editor.lenses(uri);
            }
        }
    }
    scene.editor.on_edit = OnEdit::Apply;
    let answers = |text: &str| text.matches("Antwort für ").count();
    for (which, (uri, _)) in URIS.iter().enumerate() {
        let wanted = written[which].prompts;
        while answers(scene.editor.text(uri)) < wanted {
            let seen = scene.editor.messages.len() + answers(scene.editor.text(uri));
            scene.editor.command("org-agent.apply", &Value::Null);
            scene.editor.until(&format!("more is put in (seed {seed})"), |editor| {
                editor.messages.len() + answers(editor.text(uri)) > seen
            });
        }
    }
    scene.model.take_requests();
    for (which, (uri, language)) in URIS.iter().enumerate() {
        let text = scene.editor.text(uri);
        let (sent, reply) =
            if *language == "org" { ("OA_EVENT", "** ASSISTANT") } else { ("OA_EVENT", "## ASSISTANT") };
        let Written { notes, prompts } = &written[which];
        for count in [text.matches(sent).count(), text.matches(reply).count(), answers(text)] {
            assert_eq!(count, *prompts, "seed {seed}: {text}");
        }
        // Each prompt is followed by its answer before the next one begins.
        let mut rest = text;
        for _ in 0..*prompts {
            let question = rest.find("Frage ").unwrap();
            let answer = rest.find("Antwort für ").unwrap();
            assert!(question < answer, "seed {seed}: {text}");
            rest = &rest[answer + "Antwort".len()..];
            assert!(
                rest.find("Antwort").is_none_or(|next| rest.find("Frage ").is_some_and(|it| it < next)),
                "seed {seed}: {text}"
            );
        }
        for note in
            notes.iter().filter(|note| scene.editor.types_first.as_ref().is_none_or(|late| late.2 != **note))
        {
            assert_eq!(text.matches(note.as_str()).count(), 1, "seed {seed}: {note} in {text}");
        }
    }
    scene.finish();
}

#[test]
fn whatever_happens_nothing_is_lost_and_nothing_comes_twice() {
    for seed in 1..=12 {
        play(seed, 24);
    }
}
