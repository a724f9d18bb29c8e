//! What is checked when a note is loaded: how functions are called, and what `format` is given.

use super::{Kind, load};

/// Checks texts that are not loaded: each with the line and parts of the message and the hint.
fn refused(table: &[(&str, usize, &str, &str)], kinds: &[Kind]) {
    for (text, line, message, hint) in table {
        let error = load(text).err().unwrap_or_else(|| panic!("{text} is loaded"));
        assert!(error.message.contains(message), "{text}: {error}");
        assert!(error.hint.contains(hint), "{text}: {error}");
        assert!(kinds.contains(&error.kind), "{text}: {:?}: {error}", error.kind);
        assert_eq!((error.file.as_str(), error.line), ("note.org", *line), "{text}: {error}");
        assert!(!error.form.is_empty(), "{text}: {error}");
    }
}

fn loaded(table: &[&str]) {
    for text in table {
        if let Err(error) = load(text) {
            panic!("{text}: {error}");
        }
    }
}

/// Calls that can never be right.
const WRONG_CALLS: &[(&str, usize, &str, &str)] = &[
    ("(defun f (a b) (list a b))\n(defun g ()\n  (f 1))", 3, "f takes 2 arguments, got 1", ""),
    ("(defun g ()\n  (f 1))\n(defun f (a b) (list a b))", 2, "f takes 2 arguments, got 1", ""),
    ("(defun f (a) a)\n(defun g () (ignore-errors (f)))", 2, "f takes 1 argument, got 0", ""),
    ("(defun f (a) a)\n(defun g () (handler-case (f) (error () 1)))", 2, "f takes 1 argument, got 0", ""),
    ("(defun f (a) a)\n(defun never-called () (f 1 2))", 2, "f takes 1 argument, got 2", ""),
    ("(defun f (a &optional b) (list a b))\n(f 1 2 3)", 2, "f takes 1 to 2 arguments, got 3", ""),
    ("(defun f (a &rest b) (list a b))\n(f)", 2, "f takes at least 1 argument, got 0", ""),
    ("(defun f () 1)\n(f 1)", 2, "f takes 0 arguments, got 1", ""),
    ("(defun f (a) (f))", 1, "f takes 1 argument, got 0", ""),
    ("(defun f (a) `(x ,(f)))", 1, "f takes 1 argument, got 0", ""),
    ("(let ((n 0)) (defun f (a) (incf n a)))\n(defun g () (f))", 2, "f takes 1 argument, got 0", ""),
    // The last definition counts.
    ("(defun f (a))\n(defun g () (f 1))\n(defun f (a b) (list a b))", 2, "f takes 2 arguments, got 1", ""),
    ("(defun f (a b))\n(defun f (a) a)\n\n(defun g () (f 1 2))", 4, "f takes 1 argument, got 2", ""),
    ("(defun f (a))\n(defun f (a b) (list a b))\n(f)", 3, "f takes 1 to 2 arguments, got 0", ""),
    (
        "(if t (defun f (a) a) (defun f (a b) b))\n(defun g () (f 1 2 3))",
        2,
        "f takes 1 to 2 arguments, got 3",
        "",
    ),
    // Keys.
    ("(defun f (&key a) a)\n(defun g () (f :b 1))", 2, "f has no key :b", "It has :a."),
    ("(defun f (a &key b c) (list a b c))\n(f 1 :b 2 :d 3)", 2, "f has no key :d", "It has :b :c."),
    ("(defun f (&key ((:k v))) v)\n(f :v 1)", 2, "f has no key :v", "It has :k."),
    ("(defun f (a &key b) (list a b))\n(f 1 2)", 2, "f got a key without a value", ":key value"),
    ("(defun f (a &rest r &key b) (list a r b))\n(f 1 :b)", 2, "f got a key without a value", ""),
    ("(defun f (a) (find 1 a :tset #'eq))", 1, "find has no key :tset", ":test"),
    ("(defun f (a) (member 1 a #'eq))", 1, "member got a key without a value", ":key value"),
    ("(defun f (a) (split-string a \",\"))", 1, "split-string got a key without a value", ":separator"),
    ("(defun f (a) (uiop:split-string a \",\"))", 1, "split-string got a key without a value", ":separator"),
    ("(defun f (a) (ask-neuro a \"Be kind.\"))", 1, "ask-neuro got a key without a value", ":system-prompt"),
    ("(defun f (a) (string= a \"b\" :start1))", 1, "string= got a key without a value", ":key value"),
    ("(defun f (a) (cl-ppcre:split \",\" a 2))", 1, "cl-ppcre:split got a key without a value", ":key value"),
    // Local functions.
    ("(flet ((f (a) a))\n (f))", 2, "f takes 1 argument, got 0", ""),
    ("(labels ((f (a) (g)) (g (b) (f b)))\n (f 1))", 1, "g takes 1 argument, got 0", ""),
    ("(defun f () 1)\n(flet ((f (a) a)) (f))", 2, "f takes 1 argument, got 0", ""),
    ("(flet ((f (&key a) a)) (f :b 1))", 1, "f has no key :b", "It has :a."),
    ("((lambda (a b) (list a b)) 1)", 1, "lambda takes 2 arguments, got 1", ""),
    ("(funcall (lambda (a b) (list a b)) 1)", 1, "lambda takes 2 arguments, got 1", ""),
    ("(funcall #'(lambda (a) a))", 1, "lambda takes 1 argument, got 0", ""),
    ("(defun f (a) a)\n(funcall #'f)", 2, "f takes 1 argument, got 0", ""),
    ("(defun f (a) a)\n(funcall 'f 1 2)", 2, "f takes 1 argument, got 2", ""),
    ("(flet ((f (a) a)) (funcall #'f))", 1, "f takes 1 argument, got 0", ""),
    ("(funcall #'car)", 1, "car takes 1 argument, got 0", ""),
    // The language's own.
    ("(defun f (x) (car x x))", 1, "car takes 1 argument, got 2", ""),
    ("(defun f () (cons 1))", 1, "cons takes 2 arguments, got 1", ""),
    ("(defun f (x) (sort x))", 1, "sort takes at least 2 arguments, got 1", ""),
    ("(defun f (x) (mapcar x))", 1, "mapcar takes at least 2 arguments, got 1", ""),
    ("(defun f () (getf))", 1, "getf takes 2 to 3 arguments, got 0", ""),
    ("(defun f () (ask-neuro))", 1, "ask-neuro takes at least 1 argument, got 0", ""),
    ("(defun f (x) (apply #'list))", 1, "apply needs a list of arguments", "(apply f list)"),
    ("(let ((x nil)) (pushnew 1 x :tset #'eq))", 1, "adjoin has no key :tset", ":test"),
    ("(defun f (x) (loop for y in x collect\n (car)))", 2, "car takes 1 argument, got 0", ""),
    // What a skill's functions get.
    (
        "(defun f () 1)\n(defskill :a :trigger #'f)",
        2,
        "the skill's :trigger gets the event, but f takes 0",
        "(event)",
    ),
    (
        "(defskill :a :neuro (lambda () 1))",
        1,
        ":neuro gets the event, but lambda takes 0 arguments, got 1",
        "",
    ),
    ("(defskill :a :neuro (lambda (a b) (list a b)))", 1, "takes 2 arguments, got 1", "(event)"),
    (
        "(defun f (e) e)\n(defskill :a :symbolic 'f)",
        2,
        "the skill's :symbolic gets the action and the event, but f takes 1 argument, got 2",
        "Give it the arguments (action event).",
    ),
    ("(defskill :a :deterministic #'car)", 1, ":symbolic gets the action and the event, but car takes 1", ""),
    ("(defskill :a :trigger (let ((x 1)) (lambda () x)))", 1, "lambda takes 0 arguments, got 1", ""),
    ("(defskill :a :trigger #'mapcar)", 1, "mapcar takes at least 2 arguments, got 1", ""),
    ("(defskill :a :symbolic (lambda (a &key b) (list a b)))", 1, "lambda takes 1 argument, got 2", ""),
    ("(defun f (e) e)\n(defskill :a :trigger #'f)\n(defun f () 1)", 2, "f takes 0 arguments, got 1", ""),
];

#[test]
fn calls_that_can_never_be_right() {
    refused(WRONG_CALLS, &[Kind::Arguments]);
}

/// Calls of the language's functions with a key.
#[test]
fn keys_of_builtins() {
    loaded(&[
        "(defun f (a) (split-string a :separator \",\") (search \"x\" a :start2 1) (make-list 2 :initial-element a))",
        "(defun f (a) (string= a a :start1 1 :end2 2) (parse-integer a :junk-allowed t) (make-string 2))",
        "(defun f (a) (cl-ppcre:scan a a :start 1) (ppcre:split a a :limit 2) (regex-replace-all a a a :start 1))",
        "(defun f (a) (write-to-string a :escape nil) (ask-neuro a :system-prompt a) (scan-to-strings a a :end 1))",
        "(defun f (a) (all-matches-as-strings a a :start 1) (string-lessp a a :end1 1) (regex-replace a a a))",
    ]);
}

/// What may be right is loaded.
const MAY_BE_RIGHT: &[&str] = &[
    // Stubs first, with arguments of their own; what is in them is not in use.
    "(defun f ())\n(defun g () (f))\n(defun f (a) a)\n(defun g () (f 1))",
    "(defun f (a) \"Doc.\")\n(defun g () (f 1 2))\n(defun f (a b) (list a b))\n(defskill :a :symbolic #'f)",
    // At top level, what is defined by then counts.
    "(defun f () 1)\n(defvar *a* (f))\n(defun f (a) a)\n(defvar *b* (f 1))",
    "(let ((x 1)) (defun f () x))\n(defvar *a* (f))",
    // What is defined in passing may be the one that counts.
    "(defun h () (defun g () 2) (g))\n(defun g (a) a)\n(defun i () (g 1))",
    "(when nil (defun f (a) a))\n(defun f (a b) (list a b))\n(defun g () (f 1))",
    "(defvar *form* '(defun f (a) a))\n(defun f (a b) (list a b))\n(defun g () (f 1 2))",
    "(defvar *form* '(defun f 5))\n(defun f (a b) (list a b))\n(defun g () (f 1))",
    "(progn (defun f (a) a) (eval-when (:execute) (defun f (a b) (list a b))))\n(defun g () (f 1 2))",
    // Keys that may be there.
    "(defun f (&key a &allow-other-keys) a)\n(f :b 1)",
    "(defun f (&key a) a)\n(f :b 1 :allow-other-keys t)",
    "(defun f (&key a) a)\n(defun g (k) (f :b 1 k t))",
    "(defun f (&rest r &key a &allow-other-keys) (list r a))\n(f :b 1)",
    "(defun f (&rest r) r)\n(f 1 :b)",
    "(defun f (a &optional b) (list a b))\n(f 1)\n(f 1 2)",
    "(defun split (a) a)\n(defun f () (split 1))",
    "(defun f (a) a)\n(flet ((f () 1)) (f))",
    "(defun f (a) a)\n(flet ((f () (f 1))) (f))",
    "(defun f (a) a)\n(defun g (f) (funcall f) (apply #'f (list 1)))",
    "(defun f (&aux (a 1)) a)\n(f)",
    "(funcall #'funcall #'car nil)",
    // What skills give.
    "(defskill :a :trigger (lambda (&rest r) r) :neuro (lambda (e &key x) (list e x)) :symbolic #'list)",
    "(defskill :a :trigger #'identity :neuro #'ask-neuro :symbolic (lambda (a &optional e) (list a e)))",
    "(defun f ())\n(defskill :a :trigger #'f)\n(defun f (e) e)",
    "(defskill :a :trigger nil :neuro nil :symbolic nil)",
];

#[test]
fn calls_that_may_be_right() {
    loaded(MAY_BE_RIGHT);
}

/// Control strings that can not be used.
const WRONG_FORMATS: &[(&str, usize, &str, &str)] = &[
    ("(defun f (x)\n  (format nil \"~q\" x))", 2, "format has no directive ~q", "docs/skill-language.md"),
    ("(format t \"~q\" 1)", 1, "format has no directive ~q", ""),
    ("(defun f (x) (error \"~w\" x))", 1, "format has no directive ~w", ""),
    ("(defun f (x) (kernel-log \"~r\" x))", 1, "format has no directive ~r", ""),
    ("(defun f (x) (format nil \"~{~q~}\" x))", 1, "format has no directive ~q", ""),
    ("(defun f (x) (format nil \"~[a~;~q~]\" x))", 1, "format has no directive ~q", ""),
    ("(defun f (x) (format nil \"~(~a~q~)\" x))", 1, "format has no directive ~q", ""),
    ("(defun f (x) (format nil \"~a~}\" x))", 1, "format has no directive ~}", ""),
    ("(defun f (x) (format nil \"~{~a\" x))", 1, "a directive of format has no ~}", ""),
    ("(defun f (x) (format nil \"100~\" x))", 1, "ends after a tilde", ""),
    ("(defun f (x) (format nil \"~9999999a\" x))", 1, "too large", ""),
    (
        "(defun f () (ignore-errors (format nil \"~a\")))",
        1,
        "format has more directives than arguments: it takes at least 1, got 0",
        "for each",
    ),
    ("(defun f (x) (format nil \"~a ~s ~%~d\" x 1))", 1, "takes at least 3, got 2", ""),
    (
        "(defun f (x) (error \"~a ~a\" x))",
        1,
        "error has more directives than arguments: it takes at least 2",
        "",
    ),
    ("(kernel-log \"~a\")", 1, "kernel-log has more directives than arguments", ""),
    ("(format nil \"~va\" 5)", 1, "takes at least 2, got 1", ""),
    ("(format nil \"~v%\")", 1, "takes at least 1, got 0", ""),
    ("(format nil \"~(~a ~a~) ~a\" 1 2)", 1, "takes at least 3, got 2", ""),
    ("(format nil \"~a~:p ~a\" 1)", 1, "takes at least 2, got 1", ""),
    ("(format nil \"~{~a~} ~a\" '(1))", 1, "takes at least 2, got 1", ""),
    ("(format nil \"~a ~[x~;y~]\" 1)", 1, "takes at least 2, got 1", ""),
    ("(format nil \"~:[x~;y~]\")", 1, "takes at least 1, got 0", ""),
    ("(format nil \"~@[x~]\")", 1, "takes at least 1, got 0", ""),
];

#[test]
fn control_strings_that_can_not_be_used() {
    refused(WRONG_FORMATS, &[Kind::Form, Kind::Arguments]);
    let deep = format!("(format nil \"{}~a{}\" 1)", "~(".repeat(9), "~)".repeat(9));
    assert!(load(&deep).err().is_some_and(|error| error.message.contains("more than 8 deep")));
    let broad = format!("(defun f () (format nil \"{}\" 1))", "~(~)".repeat(20_000));
    assert!(load(&broad).is_ok());
}

const FORMATS: &[&str] = &[
    "(format nil \"~a\" 1 2 3)",
    "(defun f (c) (format nil c) (error c) (kernel-log c))",
    "(defun f (x) (format nil \"~a~*~a\" x) (format nil \"~a~^~a\" x) (format nil \"~@{~a~a~}\" x))",
    "(defun f (x) (format nil \"~#[none~;~a~:;~a and ~a~]\" x) (format nil \"~[~;~a~]\" x))",
    "(defun f (x) (format nil \"~a~:p\" x) (format nil \"~~~%~&~2%~|\"))",
    "(defun f (x) (error 'my-error :why x) (error x) (kernel-log x))",
    "(defun kernel-log (x) x) (defun f () (kernel-log \"~q\"))",
    "(defun f (x) (format t \"~a\" x))",
    "(defun f (x) (funcall #'format nil \"~a\" x))",
];

#[test]
fn control_strings_that_may_be_used() {
    loaded(FORMATS);
}
