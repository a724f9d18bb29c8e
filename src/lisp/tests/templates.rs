//! `render`, with templates that are none: what the language makes of what comes of one.

use super::*;

/// Says what it was given; `wrong` fails, `long` takes all steps there are.
#[derive(Debug)]
struct Fake;

impl Templates for Fake {
    fn names(&self) -> Vec<&str> {
        vec!["echo", "long", "wrong"]
    }

    fn fill(&self, name: &str, given: &Datum, context: Option<Arc<Datum>>, steps: u64) -> Option<Filled> {
        let context = context.map_or_else(|| "none".to_owned(), |context| context.print(100));
        let wrong = Unfilled::Wrong { message: "line 3: x is not there".into(), hint: "Give it.".into() };
        match name {
            "echo" => Some(Filled { text: Ok(format!("{} {context}", given.print(100))), steps: 10 }),
            "wrong" => Some(Filled { text: Err(wrong), steps: 1_000 }),
            "long" => Some(Filled { text: Err(Unfilled::Steps), steps }),
            _ => None,
        }
    }
}

struct Turn;

impl Environment for Turn {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn context(&self) -> Option<Arc<Datum>> {
        Some(Arc::new(Datum::plist([("user", Datum::str("Ada"))])))
    }
}

fn load_with(text: &str) -> Result<Program, LispError> {
    let source = Source { file: "note.org", line: 1, text };
    Program::load_with(&[source], Arc::new(()), Some(Arc::new(Fake)), roomy())
}

fn value(form: &str, mode: Mode) -> Result<String, LispError> {
    let program = load_with(&format!("(defun main () (princ-to-string {form}))"))?;
    let main = program.function("main").unwrap();
    match program.call(main, Vec::new(), mode, Arc::new(Turn), roomy()).run()? {
        Outcome::Value(Datum::Str(text)) => Ok(text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_template_gets_what_is_given_and_the_context() {
    for mode in [Mode::Trigger, Mode::Gate, Mode::Neuro] {
        assert_eq!(
            value("(render \"Echo\" :a 1 :b '(:c \"d\"))", mode).unwrap(),
            "(:a 1 :b (:c \"d\")) (:user \"Ada\")"
        );
    }
    assert_eq!(value("(render :echo)", Mode::Gate).unwrap(), "nil (:user \"Ada\")");
    assert_eq!(value("(apply #'render \"echo\" '(:a 1))", Mode::Gate).unwrap(), "(:a 1) (:user \"Ada\")");
    // While the note is loaded there is no turn.
    let program = load_with("(defvar *x* (render \"echo\"))").unwrap();
    assert_eq!(program.variable("*x*"), Some(Datum::str("nil none")));
    assert_eq!(program.templates().map(Templates::names), Some(vec!["echo", "long", "wrong"]));
}

#[test]
fn what_fails_can_be_caught_and_a_limit_can_not() {
    let error = value("(render \"wrong\")", Mode::Gate).unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str(), error.line),
        (Kind::Template, "line 3: x is not there", 1)
    );
    assert_eq!(error.hint, "Give it.");
    assert_eq!(
        value("(handler-case (render \"wrong\") (error (e) e))", Mode::Gate).unwrap(),
        "line 3: x is not there"
    );
    assert_eq!(value("(ignore-errors (render \"wrong\"))", Mode::Gate).unwrap(), "NIL");
    assert_eq!(value("(ignore-errors (render \"long\"))", Mode::Gate).unwrap_err().kind, Kind::Fuel);
    // Each one that fails is paid for.
    let error = value("(loop (ignore-errors (render \"wrong\")))", Mode::Gate).unwrap_err();
    assert_eq!(error.kind, Kind::Fuel);
}

#[test]
fn a_template_that_is_not_there_is_found_when_the_note_is_loaded() {
    let error = load_with("\n(defun f () (ignore-errors (render \"Ecko\")))").unwrap_err();
    assert_eq!((error.kind, error.line), (Kind::Template, 2));
    assert!(
        error.message.contains("no template \"ecko\"") && error.hint.contains("echo, long, wrong"),
        "{error}"
    );
    let error = load("(defun f () (render \"echo\"))").unwrap_err();
    assert!(error.hint.contains("#+name:"), "{error}");
    // A name that is made is known when it is called.
    let error = value("(render (format nil \"no~a\" 1))", Mode::Gate).unwrap_err();
    assert!(error.message.contains("no template \"no1\""), "{error}");
    for (form, why) in [
        ("(render)", "argument"),
        ("(render \"echo\" :a)", "key without a value"),
        ("(apply #'render \"echo\" '(:a))", "needs keys and values"),
        ("(apply #'render \"echo\" '(1 2))", "needs keys and values, got 1"),
        ("(render 5)", "needs a string"),
    ] {
        let error = value(form, Mode::Gate).unwrap_err();
        assert!(error.message.contains(why), "{form}: {error}");
    }
    // It is no function of Common Lisp's: a note may have its own.
    let program = load("(defun render (x) x)\n(defvar *x* (render \"mine\"))").unwrap();
    assert_eq!(program.variable("*x*"), Some(Datum::str("mine")));
}
