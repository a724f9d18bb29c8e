//! What to write instead of words and signs that are not there: those of Common Lisp, and of Emacs Lisp, which the
//! same people write.

/// Words, what to do instead, and how that is written; in the examples `text`, `list`, `key`, `value`, `x`, `n` and
/// `f` stand for what is meant. Every example is a form of this language.
type Entry = (&'static [&'static str], &'static str, &'static str);

const COMMON_LISP: &[Entry] = &[
    (
        &[
            "defmacro",
            "macrolet",
            "define-modify-macro",
            "define-compiler-macro",
            "symbol-macrolet",
            "gensym",
            "macroexpand",
            "macroexpand-1",
            "with-gensyms",
        ],
        "There are no macros here; write a function.",
        "",
    ),
    (
        &["defstruct", "defclass", "make-instance", "slot-value", "with-slots", "define-condition"],
        "There are no structures and classes; use a property list.",
        "(getf list :name)",
    ),
    (
        &["defgeneric", "defmethod", "call-next-method"],
        "There are no methods; use defun and typecase.",
        "(typecase x (string 1) (t 2))",
    ),
    (&["deftype"], "There are no types of one's own; write a function that tells.", ""),
    (&["defsetf"], "Lists never change: write a function that makes a new one.", ""),
    (
        &["defpackage", "defsystem", "use-package", "export", "import", "shadow"],
        "A note is a namespace of its own; leave it out.",
        "",
    ),
    (&["require", "provide", "quickload"], "There is nothing to load; leave it out.", ""),
    (
        &["make-hash-table", "gethash", "hash-table-p"],
        "There are no hash tables; use an association list.",
        "(cdr (assoc key list :test #'equal))",
    ),
    (
        &["remhash"],
        "There are no hash tables; use an association list.",
        "(remove key list :key #'car :test #'equal)",
    ),
    (
        &["maphash"],
        "There are no hash tables; use an association list.",
        "(loop for (key . value) in list collect (list key value))",
    ),
    (&["hash-table-count"], "There are no hash tables; use an association list.", "(length list)"),
    (&["hash-table-keys"], "There are no hash tables; use an association list.", "(mapcar #'car list)"),
    (&["hash-table-values"], "There are no hash tables; use an association list.", "(mapcar #'cdr list)"),
    (
        &["make-array", "vector", "make-sequence", "vconcat", "make-vector"],
        "There are no vectors; use a list.",
        "(list x x)",
    ),
    (&["aref", "svref"], "There are no vectors; for a string use char, for a list nth.", "(nth n list)"),
    (&["aset", "vector-push", "vector-push-extend"], "There are no vectors; use a list.", "(push x list)"),
    (&["fill-pointer", "array-dimension"], "There are no vectors; use a list.", "(length list)"),
    (&["rplaca", "setcar"], "Lists never change: make a new one.", "(cons x (cdr list))"),
    (&["rplacd", "setcdr"], "Lists never change: make a new one.", "(cons (car list) list)"),
    (&["nconc"], "Lists never change.", "(append list list)"),
    (&["nsubst", "nsubstitute", "subst"], "Lists never change.", "(substitute x key list)"),
    (&["nunion"], "Lists never change.", "(union list list)"),
    (&["nintersection"], "Lists never change.", "(intersection list list)"),
    (&["nset-difference"], "Lists never change.", "(set-difference list list)"),
    (
        &["set-exclusive-or"],
        "It is the union of both differences.",
        "(union (set-difference list x) (set-difference x list))",
    ),
    (&["nbutlast"], "Lists never change.", "(butlast list)"),
    (&["nreconc"], "Lists never change.", "(revappend list x)"),
    (
        &["remf"],
        "Lists never change: copy what is to stay.",
        "(loop for (k v) on list by #'cddr unless (eq k key) append (list k v))",
    ),
    (&["map-into", "mapl"], "Lists never change.", "(mapcar f list)"),
    (&["mapcon"], "Append what maplist makes.", "(apply #'append (maplist f list))"),
    (&["merge"], "Sort both together.", "(sort (append list list) #'<)"),
    (&["assoc-if-not"], "", "(find-if-not f list :key #'car)"),
    (&["rassoc-if"], "", "(find-if f list :key #'cdr)"),
    (&["substitute-if-not"], "", "(substitute-if x (complement f) list)"),
    (&["tree-equal"], "", "(equal list x)"),
    (&["eval"], "A skill can not evaluate data; call a function.", "(funcall f x)"),
    (&["compile", "fdefinition", "symbol-function"], "Name the function.", "#'car"),
    (&["symbol-value"], "Name the variable itself.", ""),
    (&["fboundp", "boundp"], "What a note names is there, or it is not loaded; leave it out.", ""),
    (&["load"], "A skill reads no files; put the code into the note.", ""),
    (
        &[
            "open",
            "with-open-file",
            "read-file-into-string",
            "read-file-string",
            "probe-file",
            "directory",
            "delete-file",
            "rename-file",
            "file-exists-p",
            "insert-file-contents",
            "directory-files",
        ],
        "A skill reads no files; ask for a :shell action instead.",
        "'(:type :request :target :shell :payload (:cmd \"ls\"))",
    ),
    (
        &["read-line", "read-char", "y-or-n-p", "yes-or-no-p", "read-string", "completing-read"],
        "A skill reads no input; use the event it gets.",
        "",
    ),
    (&["read", "read-from-minibuffer"], "A string can be read.", "(read-from-string text)"),
    (
        &[
            "run-program",
            "launch-program",
            "shell-command",
            "shell-command-to-string",
            "call-process",
            "start-process",
        ],
        "A skill runs nothing; return a :shell action, which is judged first.",
        "'(:type :request :target :shell :payload (:cmd \"ls\"))",
    ),
    (
        &[
            "print",
            "princ",
            "prin1",
            "terpri",
            "write-line",
            "write-string",
            "write-char",
            "pprint",
            "fresh-line",
            "message",
            "warn",
        ],
        "A skill prints nothing; use kernel-log, or return the text.",
        "(kernel-log \"~a\" x)",
    ),
    (&["finish-output", "force-output"], "A skill prints nothing; leave it out.", ""),
    (
        &["with-output-to-string", "make-string-output-stream", "get-output-stream-string"],
        "There are no streams; make the string.",
        "(format nil \"~a~a\" text x)",
    ),
    (
        &["with-input-from-string", "make-string-input-stream"],
        "There are no streams; read the string.",
        "(read-from-string text)",
    ),
    (&["tagbody", "go", "prog"], "Use loop, block and return-from.", "(loop (return x))"),
    (&["catch", "throw"], "Use block and return-from.", "(block found (return-from found x))"),
    (
        &["unwind-protect", "restart-case", "invoke-restart"],
        "Nothing here needs to be undone; use handler-case.",
        "(handler-case (funcall f x) (error (e) (princ-to-string e)))",
    ),
    (
        &["handler-bind", "condition-case", "with-demoted-errors"],
        "Use handler-case.",
        "(handler-case (funcall f x) (error (e) (princ-to-string e)))",
    ),
    (&["ignore-error"], "", "(ignore-errors (funcall f x))"),
    (&["set"], "Use setf.", "(setf x value)"),
    (&["psetq", "psetf"], "Use let and setq.", ""),
    (&["rotatef"], "Use let and setf.", "(let ((old x)) (setf x value value old))"),
    (&["shiftf"], "Use prog1 and setf.", "(prog1 x (setf x value))"),
    (
        &["multiple-value-setq"],
        "Use multiple-value-bind and setq.",
        "(multiple-value-bind (a b) (floor n 2) (setq x (list a b)))",
    ),
    (
        &["multiple-value-call", "multiple-value-prog1"],
        "Use multiple-value-list.",
        "(apply #'list (multiple-value-list (floor n 2)))",
    ),
    (&["ccase"], "", "(ecase x (1 value))"),
    (&["ctypecase"], "", "(etypecase x (string 1))"),
    (&["random"], "The language is pure; the same event gives the same answer.", ""),
    (
        &[
            "get-universal-time",
            "get-decoded-time",
            "get-internal-real-time",
            "current-time",
            "float-time",
            "format-time-string",
            "current-time-string",
        ],
        "The language is pure; the time is in the event, if anywhere.",
        "",
    ),
    (&["sleep", "sit-for", "run-with-timer", "run-at-time"], "A skill never waits.", ""),
    (&["make-thread"], "A skill has no threads; call the function.", "(funcall f x)"),
    (&["make-symbol"], "There are no uninterned symbols; use a keyword.", "(intern text :keyword)"),
    (
        &["get", "symbol-plist", "remprop", "put"],
        "Symbols have no properties; use a property list.",
        "(getf list key)",
    ),
    (&["replace", "fill"], "Strings never change.", "(concatenate 'string (subseq text 0 n) text)"),
    (&["nstring-upcase", "upcase"], "", "(string-upcase text)"),
    (&["nstring-downcase", "downcase"], "", "(string-downcase text)"),
    (&["nstring-capitalize", "capitalize"], "", "(string-capitalize text)"),
    (&["signal", "cerror", "user-error", "make-condition"], "Use error.", "(error \"no ~a\" x)"),
    (&["assert", "cl-assert"], "Use unless and error.", "(unless x (error \"no x\"))"),
    (
        &["check-type", "cl-check-type"],
        "Use unless, typep and error.",
        "(unless (stringp text) (error \"no text\"))",
    ),
    (&["type-of", "class-of"], "Use typecase.", "(typecase x (string :text) (list :list))"),
    (
        &["logand", "logior", "logxor", "lognot", "logbitp"],
        "There are no operations on bits.",
        "(mod (floor n 4) 2)",
    ),
    (
        &["ash", "lsh"],
        "There are no operations on bits; to the left multiply, to the right divide.",
        "(floor n (expt 2 x))",
    ),
    (&["isqrt"], "", "(floor (sqrt n))"),
    (&["lcm"], "", "(/ (* n n) (gcd n n))"),
    (
        &["register-groups-bind"],
        "The second value of scan-to-strings is the list of groups.",
        "(destructuring-bind (a b) (nth-value 1 (cl-ppcre:scan-to-strings \"(a)(b)\" text)) (list a b))",
    ),
    (
        &["do-matches", "do-matches-as-strings", "do-scans", "do-register-groups"],
        "",
        "(dolist (x (cl-ppcre:all-matches-as-strings \"a+\" text)) (kernel-log x))",
    ),
    (&["create-scanner"], "Write the regular expression as a string.", "(cl-ppcre:scan \"a+\" text)"),
    (&["starts-with-subseq", "starts-with-p", "string-starts-with-p"], "", "(string-prefix-p \"a\" text)"),
    (&["ends-with-subseq", "ends-with-p", "string-ends-with-p"], "", "(string-suffix-p \"a\" text)"),
    (&["ensure-list"], "", "(if (listp x) x (list x))"),
    (&["emptyp"], "", "(= (length x) 0)"),
    (&["curry", "apply-partially"], "", "(lambda (x) (funcall f key x))"),
    (&["compose"], "", "(lambda (x) (funcall f (funcall f x)))"),
];

const EMACS_LISP: &[Entry] = &[
    (&["when-let", "when-let*", "and-let*"], "", "(let ((x value)) (when x (list x)))"),
    (&["if-let", "if-let*"], "", "(let ((x value)) (if x (list x) nil))"),
    (&["pcase", "pcase-exhaustive"], "Use case, or cond.", "(case x (:a 1) (t 2))"),
    (&["pcase-let", "pcase-let*", "seq-let"], "", "(destructuring-bind (a b) list (list a b))"),
    (&["while"], "", "(loop while x do (pop x))"),
    (&["setq-local", "setq-default"], "", "(setq x value)"),
    (&["defcustom", "defvar-local"], "It stands at top level.", "(defvar *x* 1)"),
    (&["defconst"], "It stands at top level.", "(defconstant +x+ 1)"),
    (&["defsubst", "defalias"], "", "(defun g (x) (list x))"),
    (&["concat", "strcat"], "", "(concatenate 'string text text)"),
    (&["mapconcat"], "", "(format nil \"~{~a~^, ~}\" (mapcar f list))"),
    (&["string-join", "join"], "", "(format nil \"~{~a~^, ~}\" list)"),
    (
        &["string-match", "string-match-p", "looking-at", "re-search-forward"],
        "",
        "(cl-ppcre:scan \"a+\" text)",
    ),
    (
        &["match-string", "match-string-no-properties", "match-beginning"],
        "scan-to-strings answers the match and a list of its groups.",
        "(multiple-value-bind (all groups) (cl-ppcre:scan-to-strings \"(a+)b\" text) (list all groups))",
    ),
    (&["replace-regexp-in-string"], "", "(cl-ppcre:regex-replace-all \"a+\" text \"b\")"),
    (&["string-replace", "subst-char-in-string"], "", "(substitute #\\- #\\Space text)"),
    (&["regexp-quote", "quote-meta-chars"], "To look for plain text use search.", "(search \"a.b\" text)"),
    (&["string-search"], "", "(search \"a\" text)"),
    (&["string-empty-p"], "", "(string= text \"\")"),
    (&["string-blank-p"], "", "(string= (string-trim \" \" text) \"\")"),
    (&["string-to-number", "string-to-int"], "", "(parse-integer text :junk-allowed t)"),
    (&["number-to-string", "int-to-string", "symbol-to-string"], "", "(princ-to-string n)"),
    (&["string-to-list"], "", "(coerce text 'list)"),
    (&["char-to-string"], "", "(string #\\a)"),
    (&["string-lines"], "", "(cl-ppcre:split \"\\n\" text)"),
    (&["string-pad"], "", "(format nil \"~10a\" text)"),
    (&["string-remove-prefix"], "", "(if (string-prefix-p \"a\" text) (subseq text 1) text)"),
    (&["string-remove-suffix"], "", "(if (string-suffix-p \"a\" text) (subseq text 0 n) text)"),
    (&["substring", "substring-no-properties", "seq-subseq"], "", "(subseq text 0 n)"),
    (&["format-message"], "", "(format nil \"~a\" x)"),
    (&["propertize"], "Text has no properties; use it as it is.", ""),
    (&["plist-get"], "", "(getf list key)"),
    (&["plist-put"], "Lists never change: the variable gets a new one.", "(setf (getf list key) value)"),
    (&["plist-member"], "", "(member key list)"),
    (&["alist-get"], "", "(cdr (assoc key list))"),
    (&["assq", "assoc-string"], "", "(assoc key list)"),
    (&["assq-delete-all"], "", "(remove key list :key #'car)"),
    (&["rassq"], "", "(rassoc value list)"),
    (&["memq", "memql"], "", "(member x list)"),
    (&["delq", "remq", "seq-difference"], "Lists never change.", "(remove x list)"),
    (&["delete-dups", "seq-uniq"], "", "(remove-duplicates list :test #'equal)"),
    (&["add-to-list", "add-to-ordered-list"], "", "(pushnew x list :test #'equal)"),
    (&["car-safe"], "", "(and (consp x) (car x))"),
    (&["cdr-safe"], "", "(and (consp x) (cdr x))"),
    (&["copy-sequence", "seq-copy"], "", "(copy-seq list)"),
    (&["number-sequence"], "", "(loop for i from 1 to n collect i)"),
    (&["seq-filter"], "", "(remove-if-not f list)"),
    (&["seq-remove"], "", "(remove-if f list)"),
    (&["seq-map", "seq-mapn"], "", "(mapcar f list)"),
    (&["seq-do", "seq-doseq"], "", "(dolist (x list) (funcall f x))"),
    (&["seq-mapcat"], "", "(mapcan f list)"),
    (&["seq-find"], "", "(find-if f list)"),
    (&["seq-some"], "", "(some f list)"),
    (&["seq-every-p"], "", "(every f list)"),
    (&["seq-contains-p"], "", "(member x list :test #'equal)"),
    (&["seq-count"], "", "(count-if f list)"),
    (&["seq-reduce"], "The first value comes after :initial-value.", "(reduce f list :initial-value x)"),
    (&["seq-take"], "", "(subseq list 0 (min n (length list)))"),
    (&["seq-drop"], "", "(nthcdr n list)"),
    (&["seq-length"], "", "(length list)"),
    (&["seq-elt"], "", "(elt list n)"),
    (&["seq-first"], "", "(first list)"),
    (&["seq-rest"], "", "(rest list)"),
    (&["seq-reverse"], "", "(reverse list)"),
    (&["seq-sort"], "The function comes last.", "(sort list f)"),
    (&["seq-empty-p"], "", "(= (length list) 0)"),
    (&["seq-position"], "", "(position x list)"),
    (&["natnump"], "", "(and (integerp n) (>= n 0))"),
    (&["booleanp"], "", "(typep x 'boolean)"),
    (&["sequencep"], "", "(or (listp x) (stringp x))"),
    (&["thread-first", "thread-last"], "", "(funcall f (funcall f x))"),
    (
        &[
            "insert",
            "with-current-buffer",
            "with-temp-buffer",
            "save-excursion",
            "current-buffer",
            "buffer-string",
            "point",
            "goto-char",
            "find-file",
        ],
        "A skill sees no buffer: what it is given is in the event, and what it returns is put in.",
        "'(:type :request :target :emacs :payload (:action :insert-at-end :text \"Hello\"))",
    ),
    (&["interactive"], "A skill is called with the event; leave it out.", ""),
];

fn entries() -> impl Iterator<Item = &'static Entry> {
    COMMON_LISP.iter().chain(EMACS_LISP)
}

/// What to do instead of a function or form that is not there. `known` tells whether another is.
pub fn absent(name: &str, known: impl FnOnce(&str) -> bool) -> Option<String> {
    // The names of cl-lib are Common Lisp's, with a prefix.
    let plain = name.strip_prefix("cl-");
    if let Some(plain) = plain.filter(|plain| known(plain)) {
        return Some(format!("It has no prefix here: write {plain}."));
    }
    let name = if entries().any(|(names, ..)| names.contains(&name)) { name } else { plain.unwrap_or(name) };
    let (_, what, example) = entries().find(|(names, ..)| names.contains(&name))?;
    Some(match (*what, *example) {
        (what, "") => what.to_owned(),
        ("", example) => format!("Write {example}."),
        (what, example) => format!("{what} Write {example}."),
    })
}

/// What may be meant by a name that no one gives here.
pub fn sign(name: &str) -> Option<&'static str> {
    let mut chars = name.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some('?'), Some(_), None) => Some("If a character is meant, write #\\ before it: #\\a, #\\Newline."),
        _ if name.starts_with('[') || name.ends_with(']') => {
            Some("There are no vectors; if a list is meant, write '(1 2), or (list x y).")
        }
        _ => None,
    }
}

/// What to write instead of `#` and what follows it.
pub fn sharp(text: &str) -> String {
    let digits =
        text.chars().skip(1).take(70).take_while(|c| c.is_alphanumeric() || *c == '-').collect::<String>();
    let radix = match text.chars().next().map(|c| c.to_ascii_lowercase()) {
        Some('x') => 16,
        Some('o') => 8,
        Some('b') => 2,
        Some('p') => return "There are no paths; write the string alone.".to_owned(),
        Some('s') => return "There are no structures; write a property list: '(:name value).".to_owned(),
        Some('*' | '&') => return "There are no vectors; write a list: '(1 0 1).".to_owned(),
        Some('c') => return "There are no complex numbers.".to_owned(),
        Some('t') => return "True is t.".to_owned(),
        Some('f') => return "False is nil.".to_owned(),
        Some(c) if c.is_ascii_digit() => return "Write the data out in full.".to_owned(),
        _ => return "There are #'f, #\\c, #:name and #| comments |#.".to_owned(),
    };
    match i64::from_str_radix(&digits, radix) {
        Ok(number) => format!("Write the number in decimal: {number}."),
        Err(_) => "Write the number in decimal.".to_owned(),
    }
}

/// The words, and the examples; for tests.
#[cfg(test)]
pub fn all() -> impl Iterator<Item = (&'static [&'static str], &'static str)> {
    entries().map(|(names, _, example)| (*names, *example))
}
