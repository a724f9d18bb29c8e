//! Calls one after another on shared arguments: each is what it would be alone.

use super::*;

fn event(text: &str) -> Datum {
    let turn = Datum::plist([("role", Datum::keyword("user")), ("text", Datum::str("before"))]);
    let payload = Datum::plist([
        ("sensor", Datum::keyword("chat-message")),
        ("text", Datum::str(text)),
        ("history", Datum::list([turn])),
    ]);
    Datum::plist([("type", Datum::keyword("event")), ("payload", payload)])
}

/// Functions of one argument, each in a program of its own.
const BODIES: &[&str] = &[
    "e",
    "(getf (getf e :payload) :text)",
    "(eq (getf (getf e :payload) :sensor) :chat-message)",
    "(list e e (cons 1 e))",
    "(equal e (reverse (reverse e)))",
    "(let ((n 0)) (dolist (x e) (incf n)) (list n (length e)))",
    "(subst-it e)",
    "(car 1)",
    "(ignore-errors (car 1))",
    "(handler-case (error \"no ~a\" (first e)) (error (c) (format nil \"~a\" c)))",
    "(loop)",
    "(labels ((down (n) (+ 1 (down n)))) (down 1))",
    "(ask-neuro \"x\")",
    "(progn (kernel-log \"got ~s\" (second e)) :own-keyword)",
    "(block done (mapcar (lambda (x) (when (keywordp x) (return-from done x))) e))",
    "(setf (getf e :type) 5)",
    "(progn (setf *g* (list *g* e)) *g*)",
    "(let ((*g* 3)) (car *g*))",
    "(string-upcase (getf (getf e :payload) :text))",
    "'(:type :event \"x\")",
    "(list \"one\" \"two\" (getf (getf e :payload) :text))",
    "(funcall (let ((k e)) (lambda () (setf k (cdr k)) k)))",
    "(cl-ppcre:scan-to-strings \"b.f\" (getf (getf (second e) :none) :text \"before\"))",
];

fn programs() -> Vec<Program> {
    let program = |body: &&str| {
        load(&format!(
            "(defvar *g* '(:a \"b\")) (defun subst-it (x) (if (consp x) (mapcar #'subst-it x) (list x)))\n\
             (defun f (e) {body})"
        ))
        .unwrap_or_else(|error| panic!("{body}: {error}"))
    };
    BODIES.iter().map(program).collect()
}

fn limits() -> Limits {
    Limits { fuel: 50_000, depth: 500, ..roomy() }
}

#[test]
fn a_call_on_shared_arguments_is_what_it_is_alone() {
    let programs = programs();
    for given in [event("hello"), event(""), event("ä"), Datum::Nil, event(&"long ".repeat(9_000))] {
        let shared = Shared::new(vec![given.clone()]);
        assert!(shared.is_one());
        let mut runner = Runner::new(shared, Arc::new(()));
        for round in 0..2 {
            for (program, body) in programs.iter().zip(BODIES) {
                let function = program.function("f").unwrap();
                let mut call =
                    program.call(function, vec![given.clone()], Mode::Gate, Arc::new(()), limits());
                let alone = call.run().map(|outcome| match outcome {
                    Outcome::Value(value) => value,
                    Outcome::Ask { .. } => panic!("{body}"),
                });
                let (value, logs) = runner.call(program, function, Mode::Gate, limits());
                assert_eq!(value, alone, "{body}, round {round}");
                assert_eq!(logs, call.logs(), "{body}, round {round}");
            }
        }
    }
}

#[test]
fn names_that_notes_have_are_the_same_in_what_they_are_given() {
    let odd = Datum::list([Datum::keyword("mine"), Datum::Symbol("yours".into())]);
    let shared = Shared::new(vec![odd.clone()]);
    assert!(!shared.is_one(), "programs know these by numbers of their own");
    let mut runner = Runner::new(shared, Arc::new(()));
    // In the one program the names are there, in the other order; in the other they are not.
    for text in [
        "(defun f (x) (if (and (eq (second x) 'yours) (eq (first x) :mine)) x 'no))",
        "(defun f (x) (list (first x) (second x)))",
    ] {
        let program = load(text).unwrap();
        let (value, _) = runner.call(&program, program.function("f").unwrap(), Mode::Gate, limits());
        assert_eq!(value.unwrap(), odd, "{text}");
    }
}

#[test]
fn what_is_too_large_to_be_shared_is_each_calls_error() {
    let mut deep = Datum::Nil;
    for _ in 0..=MAX_DEPTH {
        deep = Datum::list([deep]);
    }
    let mut runner = Runner::new(Shared::new(vec![deep.clone()]), Arc::new(()));
    let program = load("(defun f (x) 1)").unwrap();
    let function = program.function("f").unwrap();
    let alone = program.call(function, vec![deep], Mode::Gate, Arc::new(()), limits()).run();
    let (value, _) = runner.call(&program, function, Mode::Gate, limits());
    assert_eq!(value.unwrap_err(), alone.unwrap_err());
}

#[test]
fn a_runner_asks_nobody_and_calls_no_other_programs_function() {
    let one = load("(defun f (x) (ask-neuro \"a\"))").unwrap();
    let two = load("(defun f (x) 1)").unwrap();
    let mut runner = Runner::new(Shared::new(vec![Datum::Nil]), Arc::new(()));
    let (value, _) = runner.call(&one, one.function("f").unwrap(), Mode::Neuro, limits());
    assert!(value.unwrap_err().message.contains("asks the model"));
    let (value, _) = runner.call(&two, one.function("f").unwrap(), Mode::Gate, limits());
    assert!(value.unwrap_err().message.contains("another program"));
}

#[test]
fn the_time_of_one_call_is_not_taken_from_the_next() {
    let slow = load("(defun f (x) (dotimes (i 30000)) t)").unwrap();
    let mut runner = Runner::new(Shared::new(vec![Datum::Nil]), Arc::new(()));
    let before = runner.now();
    runner.call(&slow, slow.function("f").unwrap(), Mode::Gate, roomy()).0.unwrap();
    assert!(runner.now() > before, "after many steps the clock is looked at again");
}
