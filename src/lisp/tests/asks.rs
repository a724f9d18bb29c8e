//! Asking the model: where a call stops, how it goes on.

use std::sync::Arc;

use super::{Datum, Kind, Limits, LispError, Mode, Outcome, load};

/// Runs `(defun f (e) form)` as a neuro function, answering its questions in turn; what it asked, with `!` after a
/// tail question, and its value.
fn ask(form: &str, answers: &[&str]) -> Result<(Vec<String>, String), LispError> {
    let program = load(&format!("(defun g (p) (ask-neuro p)) (defun h (x) x)\n(defun f (e) {form})"))?;
    let function = program.function("f").unwrap();
    let mut call =
        program.call(function, vec![Datum::Nil], Mode::Neuro, Arc::new(()), Limits::of(Mode::Neuro));
    let (mut questions, mut answers) = (Vec::new(), answers.iter());
    loop {
        match call.run()? {
            Outcome::Value(value) => return Ok((questions, value.print(1000))),
            Outcome::Ask { prompt, system_prompt, tail } => {
                let system = system_prompt.map(|system| format!("[{system}]")).unwrap_or_default();
                questions.push(format!("{prompt}{system}{}", if tail { "!" } else { "" }));
                match answers.next() {
                    Some(answer) => call.answer(answer),
                    None => return Ok((questions, String::new())),
                }
            }
        }
    }
}

#[test]
fn a_call_waits_for_its_answer() {
    let program = load("(defun f () (ask-neuro \"x\"))").unwrap();
    let limits = Limits::of(Mode::Neuro);
    let mut call = program.call(program.function("f").unwrap(), vec![], Mode::Neuro, Arc::new(()), limits);
    assert!(matches!(call.run(), Ok(Outcome::Ask { tail: true, .. })));
    assert_eq!(call.run().unwrap_err().message, "the call waits for an answer");
}

#[test]
fn tail_or_not() {
    let tails = [
        "(ask-neuro \"p\")",
        "(g \"p\")",
        "(progn 1 (ask-neuro \"p\"))",
        "(let ((x \"p\")) (ask-neuro x))",
        "(let* ((x \"p\")) (g x))",
        "(cond (nil 1) (t (ask-neuro \"p\")))",
        "(if nil 1 (g \"p\"))",
        "(when t (g \"p\"))",
        "(case 1 (1 (g \"p\")))",
        "(and 1 (g \"p\"))",
        "(block nil (ask-neuro \"p\"))",
        "(block nil (return (ask-neuro \"p\")))",
        "(return-from f (ask-neuro \"p\"))",
        "(progn (mapcar (lambda (x) (if x (return-from f x))) '(nil)) (ask-neuro \"p\"))",
        "(dolist (x '(1 2)) (when (= x 2) (return (ask-neuro \"p\"))))",
        "(loop for x in '(1) do (return (g \"p\")))",
        "(loop for x in '(1) finally (return (g \"p\")))",
        "(funcall #'ask-neuro \"p\")",
        "(apply 'ask-neuro '(\"p\"))",
        "(funcall (lambda () (g \"p\")))",
        "(flet ((k () (ask-neuro \"p\"))) (k))",
        "(destructuring-bind (a) '(\"p\") (ask-neuro a))",
        "(multiple-value-bind (a b) (values \"p\" 1) (g a))",
        "(unless nil (g \"p\"))",
        "(or nil (g \"p\"))",
        "(the string (ask-neuro \"p\"))",
    ];
    for form in tails {
        assert_eq!(ask(form, &["x"]).unwrap(), (vec!["p!".to_owned()], "\"x\"".to_owned()), "{form}");
    }
    let others = [
        ("(h (ask-neuro \"p\"))", "\"x\""),
        ("(list (g \"p\"))", "(\"x\")"),
        ("(progn (ask-neuro \"p\") 1)", "1"),
        ("(let ((x (g \"p\"))) (list x x))", "(\"x\" \"x\")"),
        ("(ignore-errors (ask-neuro \"p\"))", "\"x\""),
        ("(handler-case (g \"p\") (error () 1))", "\"x\""),
        ("(prog1 (ask-neuro \"p\") 1)", "\"x\""),
        ("(if (g \"p\") 1 2)", "1"),
        ("(or (g \"p\") 1)", "\"x\""),
        ("(mapcar #'ask-neuro '(\"p\"))", "(\"x\")"),
        ("(mapcar (lambda (p) (format nil \"<~a>\" (g p))) '(\"p\"))", "(\"<x>\")"),
        ("(some #'g '(\"p\"))", "\"x\""),
        ("(sort (list \"p\" \"q\") (lambda (a b) (g \"p\") (string< a b)))", "(\"p\" \"q\")"),
        ("(loop for x in '(\"p\") collect (ask-neuro x))", "(\"x\")"),
        ("(setq e (ask-neuro \"p\"))", "\"x\""),
        ("(apply #'list (list (g \"p\")))", "(\"x\")"),
        ("(ignore-errors (error (g \"p\")))", "nil"),
        ("(handler-case (error \"z\") (error () (list (g \"p\"))))", "(\"x\")"),
    ];
    for (form, value) in others {
        assert_eq!(ask(form, &["x"]).unwrap(), (vec!["p".to_owned()], value.to_owned()), "{form}");
    }
}

#[test]
fn several_questions() {
    let form = "(let ((a (ask-neuro \"1\" :system-prompt \"s\")) (out nil))
        (dolist (p '(\"2\" \"3\")) (push (g p) out))
        (ask-neuro (format nil \"~a ~{~a~}\" a out)))";
    let (questions, value) = ask(form, &["a", "b", "c", "d"]).unwrap();
    assert_eq!(questions, ["1[s]", "2", "3", "a cb!"]);
    assert_eq!(value, "\"d\"");
}

#[test]
fn at_most_four() {
    let form = "(dotimes (i 9) (g \"p\"))";
    let error = ask(form, &["x"; 9]).unwrap_err();
    assert_eq!(error.kind, Kind::Effect);
    assert_eq!(ask("(progn (dotimes (i 4) (g \"p\")) (g \"q\"))", &["x"; 9]).unwrap().0.len(), 5);
}

#[test]
fn wrong_questions() {
    for form in [
        "(ask-neuro)",
        "(ask-neuro 5)",
        "(ask-neuro \"p\" :system \"s\")",
        "(ask-neuro \"p\" :system-prompt)",
    ] {
        let error = ask(form, &[]).unwrap_err();
        assert!(matches!(error.kind, Kind::Arguments | Kind::Type), "{form}: {error}");
        assert_eq!(error.line, 2, "{form}: {error}");
    }
    assert_eq!(ask("(ask-neuro \"p\" :system-prompt nil)", &[]).unwrap().0, ["p!"]);
}

#[test]
fn a_question_has_only_so_many_bytes() {
    let text = |bytes: usize| format!("(make-string {bytes} :initial-element #\\x)");
    let most = 2 << 20;
    let (questions, _) = ask(&format!("(g {})", text(most)), &["x"]).unwrap();
    assert_eq!(questions[0].len(), most + "!".len());
    let two = |a: usize, b: usize| format!("(ask-neuro {} :system-prompt {})", text(a), text(b));
    assert_eq!(ask(&two(most - 10, 10), &["x"]).unwrap().0.len(), 1);
    // Bytes, not characters.
    let wide = format!("(g (make-string {} :initial-element #\\é))", most / 2 + 1);
    for form in [format!("(g {})", text(most + 1)), two(most - 10, 11), two(11, most - 10), wide] {
        let error = ask(&form, &["x"]).unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (Kind::Effect, "ask-neuro is given more than 2 MiB")
        );
        assert!(error.hint.contains("together") && error.form.starts_with("(ask-neuro"), "{error}");
    }
    let caught = format!("(handler-case (g {}) (error (e) (g (princ-to-string e))))", text(most + 1));
    assert_eq!(ask(&caught, &["x"]).unwrap().0, ["ask-neuro is given more than 2 MiB!"]);
}

#[test]
fn a_trigger_may_not_ask() {
    let program = load("(defun f () (ask-neuro \"x\")) (defskill :a :neuro #'ask-neuro)").unwrap();
    for mode in [Mode::Trigger, Mode::Gate] {
        let function = program.function("f").unwrap();
        let error = program.call(function, vec![], mode, Arc::new(()), Limits::of(mode)).run().unwrap_err();
        assert_eq!((error.kind, error.line), (Kind::Effect, 1));
    }
    let neuro = program.skills()[0].neuro.unwrap();
    let limits = Limits::of(Mode::Neuro);
    let outcome = program.call(neuro, vec![Datum::str("p")], Mode::Neuro, Arc::new(()), limits).run();
    assert_eq!(outcome.unwrap_err().kind, Kind::Effect);
}

#[test]
fn the_clock_stands_while_the_model_answers() {
    let program = load("(defun f () (list (ask-neuro \"x\")))").unwrap();
    let limits = Limits { time: std::time::Duration::from_millis(50), ..Limits::of(Mode::Neuro) };
    let mut call = program.call(program.function("f").unwrap(), vec![], Mode::Neuro, Arc::new(()), limits);
    assert!(matches!(call.run(), Ok(Outcome::Ask { .. })));
    std::thread::sleep(std::time::Duration::from_millis(80));
    call.answer("y");
    assert!(matches!(call.run(), Ok(Outcome::Value(_))));
}

#[test]
fn a_call_may_move_between_threads() {
    fn sent<T: Send>() {}
    fn shared<T: Send + Sync + Clone>() {}
    sent::<super::Call>();
    shared::<super::Program>();
}
