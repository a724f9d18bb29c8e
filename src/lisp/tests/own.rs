//! What this language does otherwise than Common Lisp, what it has of its own, and its errors.

use super::{Datum, Kind, Mode, Outcome, Program, Source, eval, load, roomy};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Forms that differ from Common Lisp on purpose, or are not in it.
const OWN: &[(&str, &str)] = &[
    ("(/ 1 2)", "0.5"),
    ("(/ 4)", "0.25"),
    ("(/ 7 2.0)", "3.5"),
    ("\"a\\nb\\tc\\qd\"", "\"a\nb\tcqd\""),
    ("'|Foo Bar|", "|FOO BAR|"),
    ("(eq '|foo| 'FOO)", "T"),
    ("'org-agent::x", "X"),
    ("'org-agent:x", "X"),
    ("'keyword:x", ":X"),
    ("(cl:car '(1))", "1"),
    ("'#:foo", "FOO"),
    ("(common-lisp:+ 1 2)", "3"),
    ("(intern \"foo\" :keyword)", ":FOO"),
    ("#\\é", "#\\é"),
    ("(length \"héé\")", "3"),
    ("(char \"héllo\" 1)", "#\\é"),
    ("(subseq \"héllo\" 1 3)", "\"él\""),
    ("(search \"l\" \"héllo\")", "2"),
    ("(string-upcase \"é\")", "\"É\""),
    ("(reverse \"né\")", "\"én\""),
    ("(cl-ppcre:scan \"b+\" \"abbc\")", "1"),
    ("(multiple-value-list (cl-ppcre:scan \"(b)(x)?\" \"abc\"))", "(1 2 (1 NIL) (2 NIL))"),
    ("(scan \"x\" \"abc\")", "NIL"),
    ("(multiple-value-list (scan \"l\" \"éll\" :start 2))", "(2 3 NIL NIL)"),
    (
        "(multiple-value-list (cl-ppcre:scan-to-strings \"(\\\\d+)-(\\\\d+)\" \"x 12-34 y\"))",
        "(\"12-34\" (\"12\" \"34\"))",
    ),
    ("(cl-ppcre:all-matches-as-strings \"\\\\w+\" \"ab cd\")", "(\"ab\" \"cd\")"),
    ("(cl-ppcre:regex-replace \"a\" \"banana\" \"o\")", "\"bonana\""),
    ("(regex-replace-all \"a\" \"banana\" \"o\")", "\"bonono\""),
    ("(regex-replace-all \"(\\\\w)(\\\\w)\" \"abcd\" \"\\\\2\\\\1\")", "\"badc\""),
    ("(regex-replace-all \"b\" \"abc\" \"[\\\\&]\")", "\"a[b]c\""),
    ("(regex-replace-all \"b\" \"abc\" \"\\\\{0}$1\")", "\"ab$1c\""),
    ("(cl-ppcre:split \",\" \"a,b,,c,,\")", "(\"a\" \"b\" \"\" \"c\")"),
    ("(split \"\\\\s+\" \"a b  c\")", "(\"a\" \"b\" \"c\")"),
    ("(split \",\" \"a,b,c\" :limit 2)", "(\"a\" \"b,c\")"),
    ("(uiop:split-string \"a b c\")", "(\"a\" \"b\" \"c\")"),
    ("(uiop:split-string \"a,b\" :separator \",\")", "(\"a\" \"b\")"),
    ("(uiop:split-string \"a.b.c\" :separator '(#\\.) :max 2)", "(\"a.b\" \"c\")"),
    ("(uiop:getenv \"HOME\")", "NIL"),
    (
        "(list (uiop:string-prefix-p \"ab\" \"abc\") (string-suffix-p \"abc\" \"bc\") (string-prefix-p \"b\" \"abc\"))",
        "(T T NIL)",
    ),
    ("(kernel-log \"x ~a\" 1)", "NIL"),
    ("(list (float 3) (coerce 1 'float))", "(3.0 1.0)"),
    ("(read-from-string \"#| c |# 'x\")", "'X"),
    ("(handler-case (error 'my-error :why 1) (error (e) (princ-to-string e)))", "\"(MY-ERROR :WHY 1)\""),
    (
        "(multiple-value-bind (v e) (ignore-errors (error \"no ~a\" 1)) (list v (princ-to-string e)))",
        "(NIL \"no 1\")",
    ),
    ("(progn (in-package :x) (declaim (optimize speed)) 1)", "1"),
    ("(set-difference '(1 2 3) '(2))", "(1 3)"),
    ("(union '(1 2) '(2 3))", "(1 2 3)"),
    ("(let ((l '(1 2 3))) (setf (car l) 9) l)", "(9 2 3)"),
    ("(let* ((a '(1 2)) (b a)) (setf (car a) 9) b)", "(1 2)"),
    ("(let ((l '(3 1 2))) (sort l #'<) l)", "(3 1 2)"),
    ("; comment\n 5 ; more", "5"),
    ("#| a #| nested |# b |# 5", "5"),
    ("(DEFUN later () 1)", "LATER"),
    ("(sort '(3 1 2) (lambda (a b) (declare (ignore a b)) t))", "(2 1 3)"),
];

#[test]
fn own_forms() {
    super::tables::check(&[OWN]);
}

/// A note that can not be loaded: its text, the line, parts of message and hint.
const NOT_LOADED: &[(&str, usize, &str, &str)] = &[
    ("(defun f ()\n  (lenght \"x\"))", 2, "the function lenght is not defined", "Did you mean length?"),
    ("(defun foo () 1)\n(defun f () (fooo))", 2, "fooo is not defined", "Did you mean foo?"),
    ("(defun f (x)\n\n  (+ x conut))", 3, "the variable conut is not defined", "let"),
    ("(defun f (count) (+ conut 1))", 1, "the variable conut", "Did you mean count?"),
    ("(defun f () #'nothing)", 1, "the function nothing", "defun"),
    ("(\n(a\n", 2, "the list that opens in line 2 is not closed", "closing parenthesis"),
    ("(a))", 1, "a closing parenthesis too many", "Remove"),
    ("\n\"abc", 2, "the string that opens in line 2 is not closed", "quote"),
    ("(defmacro m () 1)", 1, "defmacro is not there", "no macros"),
    ("(make-hash-table)", 1, "make-hash-table is not there", "association list"),
    ("(print 1)", 1, "print is not there", "kernel-log"),
    ("(uiop:run-program \"ls\")", 1, "run-program is not there", ":shell"),
    ("#+sbcl (a)", 1, "#+ and #-", "the one form"),
    ("#.(a)", 1, "#. (evaluation while reading)", "value"),
    ("#(1 2)", 1, "a vector", "list"),
    ("1/2", 1, "the ratio 1/2", "0.5"),
    ("99999999999999999999", 1, "more than 64 bits", "float"),
    ("#\\Foo", 1, "no character is called Foo", "Space"),
    ("(a . b c)", 1, "after a dot stands one form", "(a . b)"),
    ("( . a)", 1, "a dot stands where none may", "(a . b)"),
    ("(defun f () (if))", 1, "not written as it must be", "(if test then else)"),
    ("(let ((x 1 2)) x)", 1, "not written as it must be", "let"),
    ("(setf (car 5) 1)", 1, "only a variable, or a place in one", "Lists never change"),
    ("(let ((h nil)) (setf (gethash 1 h) 2))", 1, "(gethash …) is no place", "Lists never change"),
    ("(let ((al nil)) (setf (cdr (assoc 1 al)) 2))", 1, "(assoc …) is no place", "make a new one"),
    ("(loop for x being the elements of y)", 1, "loop for has no being", "in, on, across"),
    ("(loop for x in '(1) colect x)", 1, "loop has no clause colect", "Did you mean collect?"),
    ("(return-from f 1)", 1, "there is no block f", "block"),
    ("(defun car (x) x)", 1, "CAR is part of the language", "another name"),
    ("(defun let (x) x)", 1, "LET is part of the language", "another name"),
    ("``(a)", 1, "a backquote in a backquote", "list"),
    (",a", 1, "the function unquote", ""),
    ("(handler-case 1 (weird-error () 2))", 1, "there is no condition weird-error", "error"),
    ("(defskill :a :trigge nil)", 1, "defskill has no key :trigge", "Did you mean :trigger?"),
    ("\n(defskill :a :trigger #'nothing)", 2, "the skill's :trigger names nothing", "defun"),
    ("(defun chat-p (e) e)\n(defskill :a :trigger #'chatp)", 2, "names chatp", "Did you mean chat-p?"),
    ("(defskill :a :priority \"high\")", 1, ":priority of the skill needs a whole number", ""),
    ("(defskill :a :trigger 5)", 1, ":trigger of the skill needs a function", ""),
    ("(defskill :trigger nil :neuro nil)", 1, "a skill has no name", "defskill :name"),
    ("(ask-neuro \"x\")", 1, "ask-neuro may not be used while the note is loaded", ":neuro"),
    ("(f)\n(defun f () 1)", 1, "the function f is not defined yet", "move it up"),
    ("(error \"no ~a\" 5)", 1, "no 5", ""),
    ("(defun f (&key a &optional b) 1)", 1, "out of order", "&optional"),
    ("(funcall)", 1, "a function to call is missing", ""),
    ("((1 2) 3)", 1, "(1 2) is no function", "Quote"),
    ("(1 2)", 1, "1 is no function", "Quote"),
    ("(let ((t 1)) t)", 1, "nil and t are constants", ""),
    ("(setq :a 1)", 1, ":a is a constant", ""),
    ("#'if", 1, "if is a form, not a function", "lambda"),
    ("(defvar *a*)\n*a*", 2, "the variable *a* has no value yet", ""),
];

#[test]
fn errors_at_load() {
    for (text, line, message, hint) in NOT_LOADED {
        let error = load(text).err().unwrap_or_else(|| panic!("{text} is loaded"));
        assert!(error.message.contains(message), "{text}: {error}");
        assert!(error.hint.contains(hint), "{text}: {error}");
        assert_eq!(error.line, *line, "{text}: {error}");
        assert_eq!(error.file, "note.org", "{text}: {error}");
    }
}

/// Forms that fail when they run: parts of the message and the hint.
const FAILS: &[(&str, Kind, &str, &str)] = &[
    ("(car 5)", Kind::Type, "car needs a list, got 5", ""),
    ("(cadr 5)", Kind::Type, "cadr needs a list, got 5", ""),
    ("(length 5)", Kind::Type, "length needs a list or a string, got 5", ""),
    ("(+ 1 'a)", Kind::Type, "+ needs a number, got A", ""),
    ("(+ 9223372036854775807 1)", Kind::Arithmetic, "+ has a result with more than 64 bits", "floats"),
    ("(* 9223372036854775807 2)", Kind::Arithmetic, "64 bits", ""),
    ("(- -9223372036854775808)", Kind::Arithmetic, "64 bits", ""),
    ("(abs -9223372036854775808)", Kind::Arithmetic, "64 bits", ""),
    ("(floor -9223372036854775808 -1)", Kind::Arithmetic, "64 bits", ""),
    ("(/ -9223372036854775808 -1)", Kind::Arithmetic, "64 bits", ""),
    ("(* 1e308 10)", Kind::Arithmetic, "too large", ""),
    ("(/ 1 0)", Kind::Arithmetic, "/ divides by zero", "zerop"),
    ("(mod 1 0)", Kind::Arithmetic, "mod divides by zero", ""),
    ("(car)", Kind::Arguments, "car takes 1 argument, got 0", ""),
    ("(cons 1)", Kind::Arguments, "cons takes 2 arguments, got 1", ""),
    ("(flet ((f (a &optional b) (list a b))) (f))", Kind::Arguments, "f takes 1 to 2 arguments, got 0", ""),
    ("(flet ((f (a &rest b) (list a b))) (f))", Kind::Arguments, "f takes at least 1 argument, got 0", ""),
    ("(flet ((f (&key a) a)) (f :b 1))", Kind::Arguments, "f has no key :b", "It has :a."),
    ("(flet ((f (&key a) a)) (f :a))", Kind::Arguments, "f got a key without a value", ""),
    ("(find 1 '(1) :tset #'eq)", Kind::Arguments, "find has no key :tset", ":test"),
    ("(string= \"a\" \"b\" :end 1)", Kind::Arguments, "string= has no key :end", ":end1"),
    ("(funcall 'nothing)", Kind::Undefined, "the function nothing is not defined", ""),
    ("(funcall 5)", Kind::Type, "needs a function to call, got 5", ""),
    ("(format t \"x\")", Kind::Unsupported, "format writes nothing", "kernel-log"),
    ("(format nil \"~q\" 1)", Kind::Form, "format has no directive ~q", ""),
    ("(format nil \"~1000000000a\" 1)", Kind::Form, "too large", ""),
    ("(format nil \"~a\")", Kind::Arguments, "more directives than arguments", ""),
    ("(parse-integer \"x\")", Kind::Type, "parse-integer finds no whole number in \"x\"", "junk"),
    ("(subseq \"abc\" 5)", Kind::Type, "needs a range within 0 and 3", ""),
    ("(cl-ppcre:scan \"(\" \"x\")", Kind::Type, "can not use the regular expression \"(\"", ""),
    ("(cl-ppcre:scan \"(?=a)\" \"x\")", Kind::Type, "look-around", "not there"),
    ("(ecase 5 (1 2))", Kind::Type, "no case is for 5", ""),
    ("(error \"a ~a\" \"b\")", Kind::Signalled, "a b", ""),
    ("(ask-neuro \"x\")", Kind::Effect, "ask-neuro may not be used in a gate", ""),
    ("(intern \"a\")", Kind::Unsupported, "intern makes keywords only", ""),
    ("(read-from-string \"(a\")", Kind::Syntax, "is not closed", ""),
    ("(read-from-string \"#.(a)\")", Kind::Unsupported, "#.", ""),
    ("(defskill :x)", Kind::Effect, "defskill may only be used while the note is loaded", ""),
    ("(funcall (block nil (lambda () (return 1))))", Kind::Form, "is done already", ""),
    ("(coerce 5 'string)", Kind::Type, "coerce needs", ""),
    ("(typep 1 'weird)", Kind::Unsupported, "there is no type WEIRD", ""),
    ("(typecase 1 (weird 1))", Kind::Unsupported, "there is no type WEIRD", ""),
    ("(sort '(1 a) #'<)", Kind::Type, "< needs a number, got A", ""),
    ("(dolist (x '(1 . 2)) x)", Kind::Type, "car needs a list, got 2", ""),
];

#[test]
fn errors_of_calls() {
    for (form, kind, message, hint) in FAILS {
        let error = eval(form).expect_err(form);
        assert_eq!(error.kind, *kind, "{form}: {error}");
        assert!(error.message.contains(message), "{form}: {error}");
        assert!(error.hint.contains(hint), "{form}: {error}");
        assert_eq!(error.line, 1, "{form}: {error}");
        assert!(!error.form.is_empty(), "{form}: {error}");
    }
}

fn call(program: &Program, name: &str, args: Vec<Datum>) -> Result<Outcome, super::LispError> {
    let function = program.function(name).unwrap();
    program.call(function, args, Mode::Gate, Arc::new(()), roomy()).run()
}

#[test]
fn an_error_names_its_place() {
    let source = |line, text| Source { file: "a.org", line, text };
    let sources =
        [source(10, "(defun f (x)\n  (g x))\n"), source(30, "\n(defun g (x)\n  (mapcar #'car\n x))")];
    let program = Program::load(&sources, Arc::new(()), roomy()).unwrap();
    let error = call(&program, "f", vec![Datum::list([Datum::Int(1)])]).unwrap_err();
    assert_eq!((error.line, error.file.as_str(), error.form.as_str()), (32, "a.org", "(mapcar #'car x)"));
    assert_eq!(error.to_string(), "a.org:32: car needs a list, got 1\n  in: (mapcar #'car x)");
}

#[test]
fn later_definitions_win() {
    let text = "(defun f () \"Says one.\")\n(defun g () (f))\n(defun f () \"Doc.\" 2)\n(defvar *a* 1)\n(defvar *a* 2)\n\
                (defparameter *b* 1)\n(defparameter *b* 2)(defconstant +c+ 3)\n(setf *b* (+ *b* +c+))\
                (defun h () 1) (defskill :s :trigger #'h) (defun h (e) (f)) (defun f () 3)";
    let program = load(text).unwrap();
    assert_eq!(call(&program, "g", vec![]).unwrap(), Outcome::Value(Datum::Int(3)));
    assert_eq!(program.variable("*A*"), Some(Datum::Int(1)));
    assert_eq!(program.variable("*b*"), Some(Datum::Int(5)));
    let trigger = program.skills()[0].trigger.unwrap();
    let outcome = program.call(trigger, vec![Datum::Nil], Mode::Trigger, Arc::new(()), roomy()).run();
    assert_eq!(outcome.unwrap(), Outcome::Value(Datum::Int(3)));
    assert_eq!(program.functions().collect::<Vec<_>>(), ["f", "g", "h"]);
}

#[test]
fn calls_leave_the_program_as_it_was() {
    let text = "(defvar *n* 0) (defvar *l* '(1))\n(let ((c 0)) (defun f () (incf c) (incf *n*) (push c *l*) (list c *n* *l*)))
                (defun h () (defun g () 2) (g)) (defun g () 1)";
    let program = load(text).unwrap();
    let first = call(&program, "f", vec![]).unwrap();
    assert_eq!(first, call(&program, "f", vec![]).unwrap());
    let Outcome::Value(value) = first else { panic!() };
    assert_eq!(value.print(100), "(1 1 (1 1))");
    assert_eq!(call(&program, "h", vec![]).unwrap(), Outcome::Value(Datum::Int(2)));
    assert_eq!(call(&program, "g", vec![]).unwrap(), Outcome::Value(Datum::Int(1)));
}

#[test]
fn global_variables_are_dynamic() {
    let text = "(defvar *x* 1) (defun f () *x*)
        (defun g () (list (let ((*x* 2)) (f)) (f)))
        (defun h () (list (ignore-errors (let ((*x* 3)) (error \"x\"))) (f)))
        (defun i (*x*) (f)) (defun j () (list (i 4) (f)))
        (defun k () (list (block nil (let* ((*x* 5) (y (f))) (return (list y (f))))) (f)))
        (defun l () (list (loop for *x* in '(7 8) collect (f)) (f)))";
    let program = load(text).unwrap();
    for (name, expected) in [("g", "(2 1)"), ("h", "(nil 1)"), ("j", "(4 1)"), ("k", "((5 5) 1)")] {
        let Outcome::Value(value) = call(&program, name, vec![]).unwrap() else { panic!() };
        assert_eq!(value.print(100), expected, "{name}");
    }
}

#[test]
fn skills() {
    let text = "(in-package :org-agent)\n(defun f (e &optional f) e)\n
(defskill :Skill-Chat :priority 100 :trigger #'f :neuro 'f :symbolic (lambda (a e) (list a e))
  :dependencies (list :a \"B\" 'c) :description \"Chats.\" :capabilities '(:shell))
(defskill :name \"Other\" :probabilistic nil :deterministic #'f)
(defskill third :trigger (lambda (e) e))
(defskill :skill-chat :priority 7)";
    let program = load(text).unwrap();
    let names: Vec<_> =
        program.skills().iter().map(|skill| (skill.name.as_str(), skill.priority, skill.line)).collect();
    assert_eq!(names, [("other", 0, 6), ("third", 0, 7), ("skill-chat", 7, 8)]);
    let program = load(text.rsplit_once('\n').unwrap().0).unwrap();
    let skill = &program.skills()[0];
    assert_eq!(skill.dependencies, ["a", "b", "c"]);
    assert_eq!(
        (skill.description.as_deref(), skill.capabilities.as_slice()),
        (Some("Chats."), &["shell".to_owned()][..])
    );
    assert!(skill.trigger.is_some() && skill.neuro.is_some() && skill.symbolic.is_some());
    let outcome = program
        .call(skill.symbolic.unwrap(), vec![Datum::Int(1), Datum::Nil], Mode::Gate, Arc::new(()), roomy())
        .run();
    assert_eq!(outcome.unwrap(), Outcome::Value(Datum::list([Datum::Int(1), Datum::Nil])));
}

#[test]
fn what_a_call_sees_and_says() {
    let env: BTreeMap<String, String> = [("MEMEX_USER".to_owned(), "Ada".to_owned())].into();
    let program = load(
        "(defun f (e) (kernel-log \"got ~a\" (getf e :text)) (kernel-log 5)\
        (list (uiop:getenv \"MEMEX_USER\") (getenv \"PATH\") (getf (getf e :payload) :sensor)))",
    )
    .unwrap();
    let event = Datum::plist([
        ("text", Datum::str("hi")),
        ("payload", Datum::plist([("sensor", Datum::keyword("Chat"))])),
    ]);
    assert_eq!(event.get("text").and_then(Datum::as_str), Some("hi"));
    let function = program.function("F").unwrap();
    let mut call = program.call(function, vec![event], Mode::Trigger, Arc::new(env), roomy());
    let Outcome::Value(value) = call.run().unwrap() else { panic!() };
    assert_eq!(value.print(100), "(\"Ada\" nil :chat)");
    assert_eq!(call.logs(), ["got hi", "5"]);
    assert_eq!(call.run().unwrap_err().message, "the call is over");
}

#[test]
fn a_function_belongs_to_its_program() {
    let one = load("(defskill :a :trigger (let ((x 1)) (lambda (e) x)))").unwrap();
    let two = load("(defun f () 1)").unwrap();
    let trigger = one.skills()[0].trigger.unwrap();
    let error = two.call(trigger, vec![], Mode::Gate, Arc::new(()), roomy()).run().unwrap_err();
    assert!(error.message.contains("another program"), "{error}");
    assert!(one.clone().call(trigger, vec![Datum::Nil], Mode::Gate, Arc::new(()), roomy()).run().is_ok());
}

#[test]
fn own_names_may_be_defined() {
    let program =
        load("(defun split (x) (list :mine x)) (defun f () (list (split 1) (cl-ppcre:split \",\" \"a,b\")))")
            .unwrap();
    let Outcome::Value(value) = call(&program, "f", vec![]).unwrap() else { panic!() };
    assert_eq!(value.print(100), "((:mine 1) (\"a\" \"b\"))");
}

#[test]
fn data_prints_within_a_limit() {
    let long = Datum::list((0..1000).map(Datum::Int));
    let text = long.print(50);
    assert!(text.len() < 60 && text.ends_with('…'), "{text}");
    assert_eq!(Datum::Dotted(vec![Datum::Int(1)], Box::new(Datum::Symbol("a".into()))).print(99), "(1 . a)");
    assert_eq!(Datum::str("a\"b").print(99), "\"a\\\"b\"");
    assert_eq!(Datum::list([]).print(99), "nil");
}
