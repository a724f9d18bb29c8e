//! Templates in a turn: what reaches the model.

use std::fs;

use serde_json::json;

use crate::client::Client;
use crate::fake_model::FakeModel;
use crate::scene::Scene;
use crate::{insert, variables};

const NOTE: &str = r##"#+TITLE: SKILL: Guide
#+name: guide
#+begin_src jinja
You are {{ assistant }}, and help {{ user }} in {{ buffer }}, in {{ project }}.
Today is {{ weekday }}, {{ date }}.
{% for tool in tools %}
- {{ tool.name }}: {{ tool.description | truncate(20) }} ({{ tool.state }})
{% endfor %}
{% if region is defined %}
It is about:
{{ region | indent(2, true) }}
{% endif %}
{% for turn in history %}
{{ turn.role }} said {{ turn.text }}
{% endfor %}
#+end_src
#+begin_src lisp
(defskill :guide :priority 70 :trigger (lambda (event) (not (search "missing" (getf (getf event :payload) :text))))
  :neuro (lambda (event) (ask-neuro (getf (getf event :payload) :text) :system-prompt (render "guide"))))
(defskill :lost :priority 71 :trigger (lambda (event) (search "missing" (getf (getf event :payload) :text)))
  :neuro (lambda (event) event (ask-neuro "x" :system-prompt (render "lost"))))
#+end_src
#+name: lost
#+begin_src jinja
First
{{ mode }}
#+end_src
"##;

#[test]
fn a_rendered_system_prompt_reaches_the_model_and_a_missing_variable_fails_the_turn() {
    let home = tempfile::tempdir().unwrap();
    let skills = home.path().join("skills");
    fs::create_dir_all(skills.join("plan")).unwrap();
    fs::write(skills.join("guide.org"), NOTE).unwrap();
    let plan = "---\nname: plan\ndescription: Makes plans.\nmetadata: {template: jinja}\n---\nPlan for {{ user }} of {{ text }}.\n";
    fs::write(skills.join("plan/SKILL.md"), plan).unwrap();
    let project = tempfile::tempdir().unwrap();
    let project = project.path().canonicalize().unwrap();
    let model = FakeModel::start();
    let client = Client::new_in(home.path(), &variables(&model.base_url(), &[]));
    let mut scene = Scene::of(model, client);
    scene.model.reply_with(&insert("Yes."));
    let region = json!([{"kind": "region", "name": "a.txt", "text": "one\ntwo"}]);
    let params = json!({"sensor": "chat-message", "clientId": "a", "text": "Hello", "context": region, "directory": project});
    let turn = scene.event(&params)["turnId"].as_str().unwrap().to_owned();
    let system = scene.model.take_request_blocking().messages()[0].1.clone();
    let first =
        format!("You are Jeeves, and help Ada in *org-agent-chat*, in {}.\nToday is ", project.display());
    let rest = system.strip_prefix(&first).unwrap_or_else(|| panic!("{system}"));
    let (day, rest) = rest.split_once(".\n").unwrap();
    let (weekday, date) = day.split_once(", ").unwrap();
    assert!(weekday.ends_with("day") && date.len() == 10 && date.starts_with("20"), "{day}");
    assert!(rest.starts_with("- insertAtEnd: "), "{rest}");
    assert!(
        rest.contains("\n- shell: ")
            && rest.contains(
                "\n- plan: Makes plans. (loadable)\nIt is about:\n  one\n  two\n\n\nAnswer with exactly one"
            ),
        "{rest}"
    );
    scene.end(&turn);

    // The next turn knows the one before.
    scene.model.reply_with(&insert("Yes."));
    let params =
        json!({"sensor": "chat-message", "clientId": "b", "text": "/plan a trip", "directory": project});
    let turn = scene.event(&params)["turnId"].as_str().unwrap().to_owned();
    let messages = scene.model.take_request_blocking().messages();
    assert!(
        messages[0].1.contains("\nuser said Hello\nassistant said Yes.\n\n\nAnswer"),
        "{}",
        messages[0].1
    );
    assert!(messages.iter().any(|(_, text)| text.contains("Plan for Ada of /plan a trip.")), "{messages:?}");
    scene.end(&turn);

    let turn = scene.say("missing");
    let story = scene.end(&turn);
    let error = story.iter().find(|line| line.starts_with("insert *System Error:*")).unwrap();
    assert!(error.contains("lost") && error.contains("guide.org:26): ~mode~ is not there"), "{error}");
    scene.finish();
}
