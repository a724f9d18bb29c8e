//! Templates of notes and folders: what is read, what of it is wrong, and where they can be filled in.

use super::command::skill;
use super::*;

const CODE: &str = "(defun value () (render \"greeting\" :who \"Ada\" :when \"now\"))\n(defskill :greet)";

/// A note with a template, and this code.
fn with(template: &str, code: &str) -> String {
    format!(
        "#+TITLE: SKILL: x\n\nProse.\n\n#+name: greeting\n#+header: :tangle no\n#+begin_src jinja\n{template}\n#+end_src\n\n\
         #+begin_src lisp\n{code}\n#+end_src\n"
    )
}

#[test]
fn a_note_fills_in_its_templates() {
    let mut home = Home::with(&[("greet.org", &with("Hello {{ who }}.\n,* {{ when }}", CODE))]);
    assert_eq!(home.problems(), Vec::<String>::new());
    assert_eq!(home.value("greet"), "\"Hello Ada.\n* now\"");
    let shelf = home.shelf();
    let greet = shelf.get("greet").unwrap();
    assert_eq!(&*greet.prose, "#+TITLE: SKILL: x\n\nProse.\n\n".replace("#+TITLE: SKILL: x\n\n", "").trim());
    // Of one name the later counts, in any case; names that nobody has are prose.
    let twice = with("first", CODE)
        + "#+NAME: Greeting\n#+BEGIN_SRC jinja2\nsecond {{ who }}\n#+END_SRC\n\n#+begin_src jinja\n{% no template %}\n#+end_src\n";
    assert!(home.save("greet.org", &twice));
    assert_eq!(home.value("greet"), "\"second Ada\"");
    assert!(home.shelf().get("greet").unwrap().prose.contains("{% no template %}"));
    // A name stands just before its block.
    assert!(home.save("greet.org", &with("x", CODE).replace("#+header: :tangle no", "")));
    assert_eq!(home.problems(), ["kept greet.org:12: there is no template \"greeting\""]);
}

#[test]
fn what_is_wrong_with_a_template_says_where_and_the_last_version_is_kept() {
    let mut home = Home::with(&[("greet.org", &with("Hello {{ who }}", CODE))]);
    let wrong = |template: &str, line: usize, why: &str, home: &mut Home| {
        assert!(home.save("greet.org", &with(template, CODE)));
        let problems = home.problems();
        let begin = format!("kept greet.org:{line}: the template \"greeting\": ");
        assert!(
            problems.len() == 1 && problems[0].starts_with(&begin) && problems[0].contains(why),
            "{problems:?}"
        );
        assert_eq!(home.value("greet"), "\"Hello Ada\"");
    };
    wrong("a\n{{ who", 9, "unexpected end of input", &mut home);
    wrong("{% include 'x' %}", 8, "there is no tag include", &mut home);
    wrong("a\n\n{{ 1 + 1 }}", 10, "do not calculate", &mut home);
    wrong(&"x".repeat(40_000), 8, "more than 32 KiB", &mut home);
    let unclosed = "#+TITLE: SKILL: x\n#+name: greeting\n#+begin_src jinja\nHello\n* Heading\n#+begin_src lisp\n(defskill :greet)\n#+end_src\n";
    assert!(home.save("greet.org", unclosed));
    assert_eq!(home.problems(), ["kept greet.org:3: the block that begins here is not closed"]);
    let many = "#+name: a\n#+begin_src jinja\n#+end_src\n".repeat(101);
    assert!(home.save("greet.org", &format!("{many}{}", note("(defskill :greet)"))));
    assert!(home.problems()[0].contains("more than 100 templates"), "{:?}", home.problems());
}

#[test]
fn what_is_missing_is_an_error_of_the_call() {
    let home = Home::with(&[("greet.org", &with("Hello\n{{ whom }}", CODE))]);
    let shelf = home.shelf();
    let program = &shelf.get("greet").unwrap().program;
    let value = program.function("value").unwrap();
    let error =
        program.call(value, Vec::new(), Mode::Gate, Arc::new(()), Limits::of(Mode::Gate)).run().unwrap_err();
    assert!(error.message.contains("greet.org:9): `whom` is not there"), "{error}");
    assert_eq!(error.line, 13, "the form that renders it");
}

#[test]
fn templates_of_a_note_below_are_there_too() {
    let below = "#+TITLE: SKILL: prompts\n#+name: greeting\n#+begin_src jinja\nHello {{ who }}, says {{ from | default(\"below\") }}\n#+end_src\n\
                 #+name: other\n#+begin_src template\nother\n#+end_src\n#+begin_src lisp\n(defskill :prompts)\n#+end_src\n";
    let above = format!("#+DEPENDS_ON: prompts\n{}", note(CODE));
    let mut home = Home::with(&[("prompts.org", below), ("greet.org", &above)]);
    assert_eq!(home.problems(), Vec::<String>::new());
    assert_eq!(home.value("greet"), "\"Hello Ada, says below\"");
    assert!(home.save("prompts.org", &below.replace("Hello", "Dear")));
    assert_eq!(home.value("greet"), "\"Dear Ada, says below\"");
    // The note's own goes before it.
    assert!(home.save("greet.org", &format!("#+DEPENDS_ON: prompts\n{}", with("Own", CODE))));
    assert_eq!(home.value("greet"), "\"Own\"");
    let (status, out, err) = skill(home.directory.path(), &["show", "greet"]);
    assert!(status == 0 && out.contains("templates     greeting, other"), "{out}{err}");
    let (_, out, _) = skill(home.directory.path(), &["show", "greet", "--json"]);
    assert!(out.contains("\"templates\":[\"greeting\",\"other\"]"), "{out}");
}

#[test]
fn cases_see_what_is_rendered_and_say_which_day_it_is() {
    let home = tempfile::tempdir().unwrap();
    let template = "You are {{ assistant }}, for {{ user }}. {{ weekday }}, {{ date }}. In {{ buffer }}:\n{% for tool in tools %}\n\
                    - {{ tool.name }}: {{ tool.state }}\n{% endfor %}\n{% if region is defined %}\nAbout {{ region }}\n{% endif %}";
    let code = "(defskill :greet :priority 60 :trigger (lambda (event) event t)\n  :neuro (lambda (event) (ask-neuro \
                (getf (getf event :payload) :text) :system-prompt (render \"greeting\"))))";
    put(home.path(), "greet.org", &with(template, code));
    put(
        home.path(),
        "plain.org",
        "#+TITLE: SKILL: plain\n#+DESCRIPTION: Only words.\nSay it plainly.\n\n#+begin_src lisp\n(defskill :plain)\n#+end_src\n",
    );
    let cases = r#"[[case]]
name = "on a friday"
text = "hello"
date = "2026-11-27"
env = { MEMEX_USER = "Ada" }
context = [{ kind = "file", name = "a", text = "A" }, { kind = "region", name = "b", text = "the words" }]
[case.expect]
system = ["You are Passepartout, for Ada. Friday, 2026-11-27. In *org-agent-chat*:\n- insertAtEnd: ready\n- shell: confined\n- plain: loadable\nAbout the words"]
prompt = ["hello"]
"#;
    put(home.path(), "greet.test.toml", cases);
    let (status, out, err) = skill(home.path(), &["test", "greet"]);
    assert!(status == 0 && out.contains("on a friday: ok"), "{out}{err}");
    // Without a day there is none, and the case says what is missing.
    put(home.path(), "greet.test.toml", &cases.replace("date = \"2026-11-27\"\n", ""));
    let (status, out, _) = skill(home.path(), &["test", "greet"]);
    assert!(status == 1 && out.contains("`weekday` is not there") && out.contains("greet.org:8"), "{out}");
    let (status, out, _) = skill(home.path(), &["check"]);
    assert_eq!(status, 0, "{out}");
}

#[test]
fn a_case_can_be_a_rewrite() {
    let home = tempfile::tempdir().unwrap();
    let code = "(defskill :tidy :trigger (lambda (event) (eq (getf (getf event :payload) :sensor) :rewrite))\n  \
                :neuro (lambda (event) (ask-neuro (getf (getf event :payload) :text))))";
    let note =
        format!("#+TITLE: SKILL: tidy\n#+DESCRIPTION: Tidies.\n\n#+begin_src lisp\n{code}\n#+end_src\n");
    put(home.path(), "tidy.org", &note);
    let case = |context: &str, expect: &str| {
        format!(
            "[[case]]\nname = \"c\"\ntext = \"Tidy it\"\ncontext = [{context}]\n\
                 reply = '(:type :response :payload (:text \"# **x**\"))'\n[case.expect]\n{expect}\n"
        )
    };
    let rewrite = "{ kind = \"rewrite\", name = \"a.py\", text = \"# x\", mode = \"python-mode\" }";
    let taken =
        "skill = \"tidy\"\nverdict = \"accept\"\naction = '(:type :response :payload (:text \"# **x**\"))'";
    for (context, expect) in [(rewrite, taken), ("", "triggered = false")] {
        put(home.path(), "tidy.test.toml", &case(context, expect));
        let (status, out, err) = skill(home.path(), &["test", "tidy"]);
        assert!(status == 0 && out.contains("c: ok"), "{out}{err}");
    }
}

#[test]
fn the_body_of_a_folder_is_a_template_only_if_it_says_so() {
    let text = |template: &str, body: &str| {
        format!(
            "---\nname: plan\ndescription: Plans.\nmetadata:\n  template: {template}\n---\n\n# Plan\n\n{body}\n"
        )
    };
    let mut home = Home::with(&[("plan/SKILL.md", &text("none", "For {{ user }}: {{ x }}"))]);
    let load = |home: &Home| {
        let context = || Some(Arc::new(Datum::plist([("user", Datum::str("Ada"))])));
        org_agent::skills::load(&home.shelf(), "plan", context).map(|loaded| loaded.text)
    };
    assert_eq!(load(&home).unwrap(), "# Plan\n\nFor {{ user }}: {{ x }}");
    assert!(home.save("plan/SKILL.md", &text("jinja", "For {{ user }}.")));
    assert_eq!(load(&home).unwrap(), "# Plan\n\nFor Ada.");
    assert!(home.save("plan/SKILL.md", &text("jinja", "For {{ x }}.")));
    let error = load(&home).unwrap_err();
    assert!(error.contains("plan/SKILL.md:10): `x` is not there"), "{error}");
    // One that does not parse keeps the last that did.
    assert!(home.save("plan/SKILL.md", &text("jinja", "For {{ user }}.")));
    assert!(home.save("plan/SKILL.md", &text("jinja", "For {{ user }.")));
    let problems = home.problems();
    assert!(problems[0].starts_with("kept plan/SKILL.md:10: the template \"skill.md\": "), "{problems:?}");
    assert_eq!(load(&home).unwrap(), "# Plan\n\nFor Ada.");
}
