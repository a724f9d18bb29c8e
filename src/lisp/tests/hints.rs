//! What is said of words and signs that are not there: that it is said, and that what is suggested can be written.

use super::{Kind, load, table};

/// Words of other Lisps in use, and a part of the hint.
const WORDS: &[(&str, &str)] = &[
    ("(when-let ((x (f))) x)", "(let ((x value)) (when x"),
    ("(if-let ((x 1)) x 2)", "(let ((x value)) (if x"),
    ("(cl-loop for x in '(1) collect x)", "write loop."),
    ("(cl-case 1 (1 2))", "write case."),
    ("(cl-remove-if-not #'evenp '(1))", "write remove-if-not."),
    ("(cl-defstruct point x y)", "property list"),
    ("(cl-check-type x string)", "typep"),
    ("(concat \"a\" \"b\")", "(concatenate 'string"),
    ("(mapconcat #'identity '(\"a\") \", \")", "(format nil \"~{~a~^, ~}\""),
    ("(string-join '(\"a\") \" \")", "(format nil \"~{~a~^, ~}\" list)"),
    ("(string-match \"a+\" \"aa\")", "cl-ppcre:scan"),
    ("(string-match-p \"a+\" \"aa\")", "cl-ppcre:scan"),
    ("(replace-regexp-in-string \"a\" \"b\" \"c\")", "cl-ppcre:regex-replace-all"),
    ("(plist-get '(:a 1) :a)", "(getf list key)"),
    ("(plist-put '(:a 1) :a 2)", "(setf (getf list key) value)"),
    ("(alist-get 'a '((a . 1)))", "(cdr (assoc key list))"),
    ("(seq-filter #'evenp '(1))", "(remove-if-not f list)"),
    ("(seq-map #'1+ '(1))", "(mapcar f list)"),
    ("(string-empty-p \"\")", "(string= text \"\")"),
    ("(message \"%s\" 1)", "kernel-log"),
    ("(pcase 1 (1 2))", "case"),
    ("(memq 'a '(a))", "(member x list)"),
    ("(delq 'a '(a))", "(remove x list)"),
    ("(assq 'a '((a . 1)))", "(assoc key list)"),
    ("(number-to-string 1)", "(princ-to-string n)"),
    ("(while t 1)", "(loop while x"),
    ("(condition-case nil 1 (error 2))", "handler-case"),
    ("(insert \"a\")", ":target :emacs"),
    ("(defmacro m () 1)", "no macros"),
    ("(defclass c () ())", "property list"),
    ("(defstruct p x y)", "property list"),
    ("(make-hash-table :test #'equal)", "association list"),
    ("(gethash 1 2)", "assoc"),
    ("(with-output-to-string (s) 1)", "format nil"),
    ("(read-line)", "the event"),
    ("(open \"f\")", ":shell"),
    ("(sleep 1)", "never waits"),
    ("(run-program \"ls\")", ":shell"),
    ("(uiop:run-program \"ls\")", ":shell"),
    ("(uiop:strcat \"a\" \"b\")", "(concatenate 'string"),
    ("(alexandria:when-let ((x 1)) x)", "(let ((x value)) (when x"),
    ("(logand 1 2)", "bits"),
];

#[test]
fn words_of_other_lisps() {
    for (form, hint) in WORDS {
        let error = load(&format!("\n(defun g (x)\n  {form})")).err().unwrap_or_else(|| panic!("{form}"));
        assert_eq!((error.kind, error.line), (Kind::Unsupported, 3), "{form}: {error}");
        assert!(error.message.ends_with(" is not there"), "{form}: {error}");
        assert!(error.hint.contains(hint), "{form}: {error}");
    }
    // A note may have a function of such a name.
    assert!(load("(defun concat (a b) (list a b)) (defun g () (concat 1 2))").is_ok());
    assert!(load("(flet ((memq (a) a)) (memq 1))").is_ok());
}

#[test]
fn what_is_suggested_can_be_written() {
    let mut seen = std::collections::HashSet::new();
    for (words, example) in table::all() {
        for word in words {
            assert!(seen.insert(word), "{word} is there twice");
            let error = load(&format!("({word})")).unwrap_err();
            assert_eq!(error.kind, Kind::Unsupported, "{word} is there: {error}");
        }
        let text =
            format!("(defun all (text list key value x n f)\n (list text list key value x n f)\n {example})");
        if let Err(error) = load(&text) {
            panic!("{words:?}: {error}");
        }
    }
}

/// Signs: the message and the hint.
const SIGNS: &[(&str, &str, &str)] = &[
    ("(list ?a)", "the variable ?a is not defined", "write #\\ before it: #\\a"),
    ("(list ?\\n)", "the variable ?n is not defined", "#\\Newline"),
    ("(list ?\\( 1)", "the variable ?( is not defined", "#\\a"),
    ("(length [1 2])", "length takes 1 argument, got 2", "no vectors; if a list is meant, write '(1 2)"),
    ("(list [1 2])", "the variable [1 is not defined", "'(1 2)"),
    ("(defun f (a) a) (f [1 2])", "f takes 1 argument, got 2", "'(1 2)"),
    ("[x]", "the variable [x] is not defined", "'(1 2)"),
    ("([1] 2)", "the function [1] is not defined", "'(1 2)"),
    ("#xFF", "the syntax #x is not there", "in decimal: 255."),
    ("#x-ff", "the syntax #x is not there", "in decimal: -255."),
    ("#b101", "the syntax #b is not there", "in decimal: 5."),
    ("#o17", "the syntax #o is not there", "in decimal: 15."),
    ("#xfffffffffffffffff", "the syntax #x is not there", "in decimal."),
    ("#(1 2)", "a vector, #( is not there", "'(…)"),
    ("#.(+ 1 2)", "#. (evaluation while reading) is not there", "Write the value itself."),
    ("#p\"/tmp\"", "the syntax #p is not there", "write the string"),
    ("#s(point)", "the syntax #s is not there", "property list"),
    ("#*101", "the syntax #* is not there", "list"),
    ("#t", "the syntax #t is not there", "True is t."),
    ("#1=(a)", "the syntax #1 is not there", "in full"),
    ("#é", "the syntax #é is not there", "There are #'f"),
];

#[test]
fn signs_of_other_lisps() {
    for (text, message, hint) in SIGNS {
        let error = load(&format!("\n{text}")).err().unwrap_or_else(|| panic!("{text}"));
        assert_eq!((error.message.as_str(), error.line), (*message, 2), "{text}: {error}");
        assert!(error.hint.contains(hint), "{text}: {error}");
    }
    assert_eq!(load("#xFF").unwrap_err().form, "#xFF");
    // As names of data they are what they are in Common Lisp.
    assert!(load("'(?a ?x [1 2])").is_ok());
    assert!(load("(let ((?a 1)) ?a)").is_ok());
}
