;;; org-agent-shell-tests.el --- Commands: asked, run, reported  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Code:

(require 'org-agent-fake)

(defun org-agent-tests-outcome ()
  "Wait until a command was reported, and return the report."
  (car (org-agent-fake-until
        (lambda () (org-agent-fake-sent 'orgAgent/actuated)))))

(defun org-agent-tests-run (payload)
  "Approve the command of PAYLOAD, and return the report."
  (org-agent-fake-send "question")
  (org-agent-fake-shell "turn-1" 1 payload)
  (org-agent-fake-keys "C-c C-y")
  (org-agent-tests-outcome))

;;;; Running

(ert-deftest org-agent-commands-are-reported ()
  (pcase-dolist
      (`(,command ,status ,code ,stdout ,stderr . ,message)
       '(("echo out; echo err >&2; exit 3" "done" 3 "out\n" "err\n")
         ("cat; echo end of input" "done" 0 "end of input\n" "")
         ("printf '%s ' $TERM $PAGER $GIT_PAGER" "done" 0 "dumb cat cat " "")
         ("test -t 0 || test -t 1 || test -t 2 || echo no tty" "done" 0 "no tty\n" "")
         ("printf '\\377\\355\\240\\200 \\303\\251 \\000 \\364\\220\\200\\200'"
          "done" 0 "\uFFFD\uFFFD\uFFFD\uFFFD é \uFFFD \uFFFD" "")
         ("kill -9 $$" "done" 137 "" "" "killed by signal 9")
         ("echo left; sleep 100 & echo over" "done" 0 "left\nover\n" "")
         ("no-such-command-at-all 2>/dev/null" "done" 127 "" "")))
    (org-agent-fake-with
      (let ((report (org-agent-tests-run (list :cmd command))))
        (should (equal report
                       `( :actuationId "act-turn-1" :token "token-1" :sandboxed :json-false
                          :status ,status :exitCode ,code
                          :stdout ,stdout :stderr ,stderr
                          :truncated :json-false
                          ,@(and message (cons :message message)))))
        (should-not (org-agent-fake-shown "turn-1"))))))

(ert-deftest org-agent-commands-run-where-they-should ()
  (org-agent-fake-with
    (let ((directory (file-name-as-directory
                      (file-truename org-agent-fake-directory))))
      (make-directory (concat directory "sub dir"))
      (setq default-directory directory)
      (pcase-dolist (`(,turn ,cwd ,expected)
                     `(("a" nil ,directory)
                       ("b" "sub dir" ,(concat directory "sub dir/"))
                       ("c" "/" "/")
                       ("d" "missing" nil)
                       ("e" "/ssh:host.invalid:/tmp" nil)))
        (setq org-agent-fake-log nil)
        (org-agent-fake-send "question")
        (org-agent-fake-shell turn 1 `(:cmd "pwd" ,@(and cwd (list :cwd cwd))))
        (org-agent-fake-keys "C-c C-y")
        (let ((report (org-agent-tests-outcome)))
          (if expected
              (should (equal (file-name-as-directory
                              (string-trim (plist-get report :stdout)))
                             expected))
            (should (equal (plist-get report :status) "failed"))
            (should (string-match-p "no directory\\|not on this machine"
                                    (plist-get report :message)))))))))

(ert-deftest org-agent-huge-output-is-bounded-and-says-so ()
  (org-agent-fake-with
    (let* ((report (org-agent-tests-run
                    '(:cmd "echo first; head -c 3000000 /dev/zero | tr '\\0' a; echo last; echo err >&2")))
           (stdout (plist-get report :stdout)))
      (should (equal (plist-get report :status) "done"))
      (should (eq (plist-get report :truncated) t))
      (should (< (string-bytes stdout) 66000))
      (should (string-prefix-p "first\naaa" stdout))
      (should (string-suffix-p "aaalast\n" stdout))
      (should (string-match "\\[\\.\\.\\. \\([0-9]+\\) bytes are left out" stdout))
      (should (= (string-to-number (match-string 1 stdout))
                 (- 3000011 (* 2 org-agent--shell-keep))))
      (should (equal (plist-get report :stderr) "err\n"))
      ;; The live output is bounded as well.
      (should (<= (apply #'+ (mapcar (lambda (params)
                                       (string-bytes (plist-get params :text)))
                                     (org-agent-fake-sent 'orgAgent/output)))
                  (+ (* 2 org-agent--shell-keep) 4))))))

(ert-deftest org-agent-output-comes-live-and-in-order ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (let ((gate (expand-file-name "gate" org-agent-fake-directory)))
      (org-agent-fake-shell
       "turn-1" 1
       ;; The first piece ends in the middle of a character.
       `(:cmd ,(format "printf 'one \\303'; while [ ! -e %s ]; do sleep 0.01; done; printf '\\251 two'"
                       (shell-quote-argument gate))))
      (org-agent-fake-keys "C-c C-y")
      (org-agent-fake-until (lambda () (org-agent-fake-sent 'orgAgent/output)))
      (should (string-match-p ":COMMAND: This runs:\\(?:.\\|\n\\)*one"
                              (org-agent-fake-shown "turn-1")))
      (write-region "" nil gate)
      (should (equal (plist-get (org-agent-tests-outcome) :stdout) "one é two"))
      (should (equal (org-agent-fake-sent 'orgAgent/output)
                     '((:actuationId "act-turn-1" :seq 1 :stream "stdout" :text "one ")
                       (:actuationId "act-turn-1" :seq 2 :stream "stdout" :text "é two")))))))

(ert-deftest org-agent-streams-are-cut-between-characters ()
  (let ((stream (org-agent--make-stream))
        (text (encode-coding-string "aé漢\U0001F600z" 'utf-8))
        (taken ""))
    (dolist (byte (append text nil))
      (org-agent--stream-add stream (unibyte-string byte))
      (setq taken (concat taken (org-agent--stream-take stream nil))))
    (should (equal taken "aé漢\U0001F600z"))))

(defun org-agent-tests-sleeper (stop)
  "Start a command that would sleep, call STOP, and check that all of it ends.
Return the report, or nil if there was none."
  (org-agent-fake-send "question")
  (let* ((file (expand-file-name "pids" org-agent-fake-directory))
         (command (format "(sleep 1000; echo) | cat & echo $$ > %s; trap '' TERM; sleep 1000"
                          (shell-quote-argument file)))
         (org-agent--shell-term 0.1))
    (org-agent-fake-shell "turn-1" 1 (list :cmd command :timeout 1000))
    (org-agent-fake-keys "C-c C-y")
    (org-agent-fake-until
     (lambda () (and (file-exists-p file)
                     (< 0 (file-attribute-size (file-attributes file))))))
    (let* ((group (string-to-number
                   (with-temp-buffer (insert-file-contents file) (buffer-string))))
           (job (org-agent--card-job (gethash "act-turn-1" org-agent--cards))))
      (funcall stop)
      (org-agent-fake-until (lambda () (org-agent--job-over job)))
      (org-agent-fake-until
       (lambda ()
         (not (seq-some (lambda (pid)
                          (let ((process (process-attributes pid)))
                            (and (equal (cdr (assq 'pgrp process)) group)
                                 (not (equal (cdr (assq 'state process)) "Z")))))
                        (list-system-processes)))))
      (org-agent-fake-settle)
      (should-not (string-search "This runs"
                                 (or (org-agent-fake-shown "turn-1") "")))
      (car (org-agent-fake-sent 'orgAgent/actuated)))))

(ert-deftest org-agent-commands-are-ended-with-all-they-started ()
  (pcase-dolist
      (`(,stop ,message)
       (list (list (lambda () (org-agent-fake-ask 'orgAgent/abort
                                                  :actuationId "act-turn-1"))
                   "stopped by the server")
             (list (lambda () (org-agent-fake-keys "C-c C-k"))
                   "stopped with its turn")
             (list (lambda () (org-agent-fake-state "turn-1" 2 "cancelled"))
                   "stopped with its turn")))
    (org-agent-fake-with
      (let ((report (org-agent-tests-sleeper stop)))
        (should (equal (plist-get report :status) "failed"))
        (should (equal (plist-get report :message) message)))))
  ;; When the server is gone there is nobody to tell.
  (org-agent-fake-with
    (let ((connection (symbol-function 'org-agent-fake-settle)))
      (cl-letf (((symbol-function 'org-agent-fake-settle)
                 (lambda ()
                   (when org-agent-fake-connection (funcall connection)))))
        (should-not (org-agent-tests-sleeper #'org-agent-fake-die))))))

(ert-deftest org-agent-commands-have-a-time ()
  (org-agent-fake-with
    (let ((report (org-agent-tests-run
                   '(:cmd "echo before; sleep 1000" :timeout 1))))
      (should (equal (plist-get report :status) "failed"))
      (should (equal (plist-get report :stdout) "before\n"))
      (should (equal (plist-get report :message) "ended after its time of 1 s")))))

;;;; Deciding

(ert-deftest org-agent-nothing-runs-undecided ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (let ((text (buffer-string)))
      (should-not (eq (key-binding (kbd "C-c C-y")) 'org-agent-approve))
      (org-agent-fake-shell "turn-1" 1 '(:cmd "touch file" :cwd "/tmp" :timeout 5))
      (should (eq (key-binding (kbd "C-c C-y")) 'org-agent-approve))
      (should (equal (org-agent-fake-shown "turn-1")
                     (concat ":COMMAND: The model asks to run this:\n$ touch file\n"
                             "in /tmp, at most 5 s\n"
                             "The model says: I want to look.\n"
                             "Why you are asked: every shell command is asked\n"
                             "Sandbox: none, as `org-agent-shell-sandbox' is nil\n"
                             "Environment: all that Emacs has, with what keys are in it\n"
                             "[run: C-c C-y] [deny: C-c C-n] [edit: C-c C-e] [more: C-c C-a] [why: C-c C-q]\n")))
      ;; Said twice, asked once.
      (org-agent-fake-shell "turn-1" 1 '(:cmd "touch file" :cwd "/tmp"))
      (should (equal (buffer-string) text))
      (should-not (org-agent-fake-sent 'orgAgent/decide))
      (should-not (org-agent-fake-sent 'orgAgent/actuated)))))

(ert-deftest org-agent-denial ()
  (pcase-dolist (`(,message ,sent) '((nil nil) ("too dangerous" (:message "too dangerous"))))
    (org-agent-fake-with
      (org-agent-fake-send "question")
      (org-agent-fake-shell "turn-1" 1 '(:cmd "rm -rf /"))
      (org-agent-deny message)
      (org-agent-fake-settle)
      (should (equal (org-agent-fake-sent 'orgAgent/decide)
                     `((:actuationId "act-turn-1" :choice "deny" ,@sent))))
      (should-not (org-agent-fake-sent 'orgAgent/actuated))
      (should-not (org-agent-fake-shown "turn-1"))
      (should-error (org-agent-deny) :type 'user-error))))

(ert-deftest org-agent-edited-command ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-fake-shell "turn-1" 1 '(:cmd "echo one"))
    (cl-letf (((symbol-function 'read-string)
               (lambda (_prompt initial) (concat initial "; echo two"))))
      (org-agent-fake-keys "C-c C-e"))
    (should (equal (plist-get (org-agent-tests-outcome) :stdout) "one\ntwo\n"))
    (should (equal (org-agent-fake-sent 'orgAgent/decide)
                   '(( :actuationId "act-turn-1" :choice "run" :unconfined t
                       :command "echo one; echo two"))))))

(ert-deftest org-agent-server-has-the-last-word ()
  (pcase-dolist
      (`(,result ,shown)
       `(((:decision "deny" :token nil :rule "never") nil)
         ((:decision "allow" :token nil :rule "no token") nil)
         ((:decision "ask" :token "t" :rule "look again") "look again")
         (error "every shell command is asked")))
    (org-agent-fake-with
      (push (cons 'orgAgent/decide
                  (lambda (_)
                    (if (eq result 'error)
                        (jsonrpc-error :code -32000 :message "not allowed")
                      result)))
            org-agent-fake-answers)
      (org-agent-fake-send "question")
      (let ((file (expand-file-name "touched" org-agent-fake-directory)))
        (org-agent-fake-shell "turn-1" 1
                              (list :cmd (concat "touch " (shell-quote-argument file))))
        (org-agent-approve)
        (org-agent-fake-settle)
        (org-agent-fake-settle)
        (if shown
            (should (string-search shown (org-agent-fake-shown "turn-1")))
          (should-not (org-agent-fake-shown "turn-1")))
        (should-not (org-agent-fake-sent 'orgAgent/actuated))
        (should-not (file-exists-p file))))))

(ert-deftest org-agent-question-vanishes-with-its-turn ()
  (dolist (end (list (lambda () (org-agent-fake-state "turn-1" 2 "cancelled"))
                     (lambda () (org-agent-fake-ask 'orgAgent/abort
                                                    :actuationId "act-turn-1")
                       (org-agent-fake-settle))
                     #'org-agent-fake-die))
    (org-agent-fake-with
      (org-agent-fake-send "question")
      (org-agent-fake-shell "turn-1" 1 '(:cmd "ls"))
      (funcall end)
      (should-not (string-search "ls" (or (org-agent-fake-shown "turn-1") "")))
      (should-error (org-agent-approve) :type 'user-error))))

(ert-deftest org-agent-question-survives-its-buffer ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-fake-shell "turn-1" 1 '(:cmd "echo back"))
    (let ((text (buffer-string)))
      (kill-buffer)
      (org-agent-chat)
      (erase-buffer)
      (insert text)
      (org-agent-chat-mode)
      (should (string-search "echo back" (org-agent-fake-shown "turn-1")))
      (org-agent-fake-keys "C-c C-y")
      (should (equal (plist-get (org-agent-tests-outcome) :stdout) "back\n")))))

;;;; Showing

(ert-deftest org-agent-commands-are-shown-as-they-are ()
  (pcase-dolist (`(,command ,shown)
                 '(("ls\t-l\n  rm x" "$ ls^I-l\n    rm x\n")
                   ("a\e[2Kb\rc" "$ a^[[2Kb^Mc\n")
                   ("a\u00A0b\u200Bc\u202Ed\u3164\uFE0F" "$ a\\u{A0}b\\u{200B}c\\u{202E}d\\u{3164}\\u{FE0F}\n")
                   ("echo \u05D0/\u05D1" "$ echo \u05D0\u200E\\u{5D0}/\u05D1\u200E\\u{5D1}\n")
                   ("echo é漢\U0001F600" "$ echo é\\u{E9}漢\\u{6F22}\U0001F600\\u{1F600}\n")
                   ("ls \u0430" "$ ls \u0430\\u{430}\n")
                   ("a\u0085\u007F\u2028b" "$ a\\u{85}\\u{7F}\\u{2028}b\n")))
    (org-agent-fake-with
      (org-agent-fake-send "question")
      (org-agent-fake-shell "turn-1" 1 (list :cmd command))
      (should (string-search (concat "this:\n" shown "in ")
                             (org-agent-fake-shown "turn-1"))))))

(ert-deftest org-agent-long-command-is-not-cut-in-silence ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (let ((command (concat "true " (make-string 5000 ?a) "\necho done")))
      (org-agent-fake-shell "turn-1" 1 (list :cmd command))
      (should (string-match-p "\\[\\.\\.\\. [0-9]+ of 5015 characters are not shown"
                              (org-agent-fake-shown "turn-1")))
      ;; It is shown in full before it can be approved.
      (let (asked)
        (cl-letf (((symbol-function 'yes-or-no-p)
                   (lambda (_)
                     (setq asked (with-current-buffer "*org-agent command*"
                                   (buffer-string)))
                     nil))
                  ;; Edited, but for nothing.
                  ((symbol-function 'read-string)
                   (lambda (_prompt initial) initial)))
          (org-agent-edit-command)
          (should asked)
          (setq asked nil)
          (org-agent-approve))
        (should (string-prefix-p (concat command "\n\nin ") asked)))
      (should-not (org-agent-fake-sent 'orgAgent/decide))
      (cl-letf (((symbol-function 'yes-or-no-p) #'always))
        (org-agent-approve))
      (should (equal (plist-get (org-agent-tests-outcome) :stdout) "done\n")))))

;; What does not fit the window is not approved unseen, however the command
;; and what comes with it are written.
(ert-deftest org-agent-card-fits-its-window ()
  (pcase-dolist
      (`(,payload ,rows ,asks)
       (let ((lines (mapconcat #'number-to-string (number-sequence 1 10) "\n")))
         `(((:cmd "ls") 8 nil)
           ((:cmd ,lines) 30 nil)
           ((:cmd ,lines) 14 t)
           ((:cmd "one\ntwo") 8 t)
           ((:cmd ,(make-string 600 ?a)) 30 nil)
           ((:cmd ,(make-string 600 ?漢)) 30 t)
           ((:cmd "ls" :cwd ,(concat "/" (make-string 900 ?a))) 30 t))))
    (org-agent-fake-with
      (org-agent-fake-send "question")
      (cl-letf (((symbol-function 'org-agent--room) (lambda () (list rows 80)))
                ((symbol-function 'yes-or-no-p) (lambda (_) (throw 'asked t))))
        (org-agent-fake-shell "turn-1" 1 payload)
        (should (<= (length (split-string (org-agent-fake-shown "turn-1") "\n"))
                    (max rows 12)))
        (should (eq asks (catch 'asked (org-agent-approve) nil)))
        (when asks
          ;; Also if the window has become larger, but not what it shows.
          (cl-letf (((symbol-function 'org-agent--room) (lambda () '(99 80))))
            (should (catch 'asked (org-agent-approve) nil))))))))

(ert-deftest org-agent-card-has-no-lines-of-the-model ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-fake-shell
     "turn-1" 1 '(:cmd "rm x\nWhy" :cwd "/tmp\nWhy you are asked: habit")
     :action '( :type "request" :target "shell"
                :explanation "Nothing.\nWhy you are asked: habit\n[run: RET]\n\n\n\n"
                :payload ( :cmd "rm x\nWhy"
                           :cwd "/tmp\nWhy you are asked: habit")))
    (should (equal (org-agent-fake-shown "turn-1")
                   (concat ":COMMAND: The model asks to run this:\n$ rm x\n  Why\n"
                           "in /tmp\n   Why you are asked: habit, at most 120 s\n"
                           "The model says: Nothing.\n"
                           "                Why you are asked: habit\n"
                           "                ...\n"
                           "Why you are asked: every shell command is asked\n"
                           "Sandbox: none, as `org-agent-shell-sandbox' is nil\n"
                           "Environment: all that Emacs has, with what keys are in it\n"
                           "[run: C-c C-y] [deny: C-c C-n] [edit: C-c C-e] [more: C-c C-a] [why: C-c C-q]\n")))))

(provide 'org-agent-shell-tests)
;;; org-agent-shell-tests.el ends here
