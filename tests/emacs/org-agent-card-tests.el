;;; org-agent-card-tests.el --- The question about a command, and its output  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; What the card shows, which keys answer it and when, and how the output of
;; a command that runs is shown.

;;; Code:

(require 'org-agent-approve-tests)

;;;; The question

(ert-deftest org-agent-steps-are-shown-by-argument ()
  (org-agent-tests-with-program
    (org-agent-fake-shell
     "turn-1" 1 '(:cmd "grep -e ' x' 'a\nb' | wc")
     :rule "wc is not known" :directory "/srv/chat" :sandbox "It writes WS." :always "wc in WS"
     :steps [(:op nil :argv ["grep" "-e" " x" "a\nb" "" "\u202Eé"]) (:op "|" :argv ["wc"])])
    (should (equal (org-agent-fake-shown "turn-1")
                   (concat ":COMMAND: The model asks to run this:\n"
                           "     grep\n       -e\n       \" x\"\n       a^Jb\n"
                           "       \"\"\n       \\u{202E}é\\u{E9}\n"
                           "   | wc\n"
                           "in /srv/chat, at most 120 s\n"
                           "The model says: I want to look.\n"
                           "Why you are asked: wc is not known\n"
                           "Sandbox: It writes WS.\n"
                           "Environment: PATH, HOME, LANG and the like, and no keys\n"
                           "[run: C-c C-y] [deny: C-c C-n] [edit: C-c C-e] [more: C-c C-a] [why: C-c C-q]\n")))
    ;; Where a long line goes on, it does not look like a line of the card.
    (let ((string (overlay-get (org-agent--turn-overlay (org-agent--turn "turn-1"))
                               'before-string)))
      (should (equal-including-properties
               (get-text-property (string-search "grep" string) 'wrap-prefix string)
               (propertize "... " 'face 'shadow))))
    (org-agent-fake-keys "C-c C-a")
    (should (equal (buffer-name) "*org-agent command*"))
    (should (get-text-property (point-min) 'wrap-prefix))
    (should (string-prefix-p "   grep\n     -e\n     \" x\"\n     a^Jb\n" (buffer-string)))
    (dolist (part '("Why you are asked: wc is not known\n" "Sandbox: It writes WS.\n"
                    "\nr  run it\nn  run it with the network\ne  edit"
                    "\na  from now on, run without asking: wc in WS\nd  deny"))
      (should (string-search part (buffer-string))))
    (should buffer-read-only)))

(ert-deftest org-agent-keys-of-the-full-view ()
  (pcase-dolist
      (`(,key ,sent)
       '(("r" (:choice "run"))
         ("n" (:choice "run" :network t))
         ("e" (:choice "run" :command "ls -l"))
         ("a" (:choice "always"))
         ("d" (:choice "deny" :message "no need"))
         ("q" nil)
         ("RET" nil)
         ("SPC" nil)
         ("y" nil)))
    (org-agent-tests-with-program
      (org-agent-fake-shell "turn-1" 1 '(:cmd "ls") :always "ls, always")
      (let ((chat (current-buffer)) asked)
        (org-agent-fake-keys "C-c C-a")
        (cl-letf (((symbol-function 'read-string)
                   (lambda (_prompt &optional initial)
                     (if initial (concat initial " -l") "no need")))
                  ((symbol-function 'yes-or-no-p)
                   (lambda (question) (setq asked question) t)))
          (ignore-errors (org-agent-fake-keys key)))
        (org-agent-fake-settle)
        (should (equal (org-agent-fake-sent 'orgAgent/decide)
                       (and sent `((:actuationId "act-turn-1" ,@sent)))))
        (should (equal asked (and (equal key "a")
                                  "From now on, run without asking: ls, always? ")))
        (when (or sent (equal key "q"))
          (should (eq (window-buffer) chat)))
        (when (and sent (not (equal key "d")))
          (org-agent-tests-outcome))
        (when (get-buffer "*org-agent command*")
          (kill-buffer "*org-agent command*"))))))

(ert-deftest org-agent-always-is-asked-once-more ()
  (pcase-dolist (`(,always ,answer) '(("ls, always" nil) (nil t)))
    (org-agent-tests-with-program
      (apply #'org-agent-fake-shell "turn-1" 1 '(:cmd "ls")
             (and always (list :always always)))
      (cl-letf (((symbol-function 'yes-or-no-p) (lambda (_) answer)))
        (if always (org-agent-fake-keys "C-u C-c C-y")
          (should-error (org-agent-approve-always) :type 'user-error)))
      (org-agent-fake-settle)
      (should-not (org-agent-fake-sent 'orgAgent/decide))
      (should (org-agent--card-here)))))

(ert-deftest org-agent-question-is-not-answered-before-it-is-read ()
  (org-agent-tests-with-program
    (let ((org-agent--card-pause 1.0))
      (org-agent-fake-shell "turn-1" 1 '(:cmd "ls") :always "ls")
      (cl-letf (((symbol-function 'yes-or-no-p) #'always))
        (dolist (command '(org-agent-approve org-agent-approve-network
                           org-agent-approve-always))
          (should-error (call-interactively command) :type 'user-error))
        ;; Opened, it is new as well.
        (sleep-for 1.1)
        (org-agent-fake-keys "C-c C-a")
        (should-error (org-agent-fake-keys "r") :type 'user-error))
      (org-agent-fake-settle)
      (should-not (org-agent-fake-sent 'orgAgent/decide))
      (sleep-for 1.1)
      (org-agent-fake-keys "r")
      (should (equal (plist-get (org-agent-tests-outcome) :status) "done")))))

;; The second key was for the first question, not for the one that came of it.
(ert-deftest org-agent-question-that-changed-is-a-new-one ()
  (org-agent-tests-with-program
    (push (cons 'orgAgent/decide
                (lambda (_) '( :decision "ask" :token nil :rule "look again"
                               :steps [(:op nil :argv ["rm" "x"])])))
          org-agent-fake-answers)
    (org-agent-fake-shell "turn-1" 1 '(:cmd "ls"))
    (org-agent-fake-keys "C-c C-y")
    (let ((org-agent--card-pause 10))
      (org-agent-fake-settle)
      (should (string-search "look again" (org-agent-fake-shown "turn-1")))
      (should (string-search "     rm\n       x\n" (org-agent-fake-shown "turn-1")))
      (should-error (org-agent-approve) :type 'user-error))
    (should (= 1 (length (org-agent-fake-sent 'orgAgent/decide))))))

(ert-deftest org-agent-edited-command-is-judged-again ()
  (org-agent-tests-with-program
    (let ((answers '(( :decision "ask" :token nil :rule "edited, asked" :always "two"
                       :steps [(:op nil :argv ["echo" "two"])])
                     ( :decision "allow" :token "second" :rule "the user said run"
                       :steps [(:op nil :argv ["echo" "two"])]))))
      (push (cons 'orgAgent/decide (lambda (_) (pop answers))) org-agent-fake-answers)
      (org-agent-fake-shell "turn-1" 1 '(:cmd "echo one") :always "one")
      (cl-letf (((symbol-function 'read-string) (lambda (&rest _) "echo two")))
        (org-agent-fake-keys "C-c C-e"))
      (org-agent-fake-settle)
      (should (string-search "     echo\n       two\n" (org-agent-fake-shown "turn-1")))
      (should (string-search "edited, asked" (org-agent-fake-shown "turn-1")))
      (org-agent-fake-keys "C-c C-y")
      (let ((report (org-agent-tests-outcome)))
        (should (equal (plist-get report :token) "second"))
        (should (equal (plist-get report :stdout) "ran second\n")))
      (should (equal (org-agent-fake-sent 'orgAgent/decide)
                     '((:actuationId "act-turn-1" :choice "run" :command "echo two")
                       (:actuationId "act-turn-1" :choice "run" :command "echo two"))))))
  (org-agent-tests-with-program
    (push (cons 'orgAgent/decide (lambda (_) '(:decision "deny" :token nil :rule "never")))
          org-agent-fake-answers)
    (org-agent-fake-shell "turn-1" 1 '(:cmd "echo one"))
    (org-agent-fake-keys "C-c C-a")
    (cl-letf (((symbol-function 'read-string) (lambda (&rest _) "rm -rf /")))
      (org-agent-fake-keys "e"))
    (org-agent-fake-settle)
    (should-not (org-agent-tests-calls))
    (should-not (get-buffer-window "*org-agent command*"))))

(ert-deftest org-agent-long-command-is-asked-about-in-the-full-view-too ()
  (org-agent-tests-with-program
    (org-agent-fake-shell "turn-1" 1 (list :cmd (mapconcat #'number-to-string
                                                           (number-sequence 1 100) "\n")))
    (org-agent-fake-keys "C-c C-a")
    (cl-letf (((symbol-function 'yes-or-no-p) (lambda (_) (throw 'asked t))))
      (should (catch 'asked (org-agent-fake-keys "r") nil)))
    (should-not (org-agent-fake-sent 'orgAgent/decide))))

;;;; Output

(ert-deftest org-agent-live-output-is-folded-and-disturbs-nothing ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (insert "my next")
    (goto-char (- (point) 2))
    (undo-boundary)
    (let ((gate (expand-file-name "gate" org-agent-fake-directory))
          (before (list (buffer-string) (point) buffer-undo-list
                        (buffer-modified-p) (window-start) (buffer-chars-modified-tick))))
      (org-agent-fake-shell
       "turn-1" 1 `(:cmd ,(format "seq 1000; while [ ! -e %s ]; do sleep 0.01; done; printf end"
                                  (shell-quote-argument gate))))
      (org-agent-approve)
      (org-agent-fake-until (lambda () (org-agent-fake-sent 'orgAgent/output)))
      (org-agent-fake-settle)
      (should (string-search ":OUTPUT: 1000 lines [unfold: C-c C-a]\n  1000\n[stop"
                             (org-agent-fake-shown "turn-1")))
      (cl-letf (((symbol-function 'org-agent--room) (lambda () (list 999 80))))
        (org-agent-fake-keys "C-c C-a")
        ;; Of all that was written, the last lines are kept.
        (should (string-search "[fold: C-c C-a]\n  801\n  802\n"
                               (org-agent-fake-shown "turn-1"))))
      (org-agent-fake-keys "C-c C-a")
      (should (string-search "[unfold" (org-agent-fake-shown "turn-1")))
      (write-region "" nil gate nil 'silent)
      (should (string-suffix-p "1000\nend" (plist-get (org-agent-tests-outcome) :stdout)))
      (should-not (org-agent-fake-shown "turn-1"))
      (should (equal before
                     (list (buffer-string) (point) buffer-undo-list
                           (buffer-modified-p) (window-start)
                           (buffer-chars-modified-tick)))))))

(ert-deftest org-agent-live-output-is-shown-at-a-pace ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (let ((shown 0))
      (advice-add 'org-agent--card-hear :before (lambda (&rest _) (cl-incf shown))
                  '((name . org-agent-tests)))
      (unwind-protect
          (org-agent-fake-shell
           "turn-1" 1 '(:cmd "i=0; while [ $i -lt 100 ]; do echo $i; sleep 0.01; i=$((i+1)); done"))
        (let ((begun (float-time)))
          (org-agent-approve)
          (org-agent-tests-outcome)
          (advice-remove 'org-agent--card-hear 'org-agent-tests)
          (should (<= 2 shown (+ 2 (* 5 (- (float-time) begun))))))))))

(ert-deftest org-agent-long-output-is-in-a-file-of-the-user ()
  (org-agent-fake-with
    (let* ((report (org-agent-tests-run '(:cmd "seq 30000; printf '\\377' >&2")))
           (file (car org-agent--shell-files))
           (lines (mapconcat #'number-to-string (number-sequence 1 30000) "\n")))
      (should (eq (plist-get report :truncated) t))
      (should (= (file-modes file) #o600))
      (should (= (file-attribute-size (file-attributes file)) (+ (length lines) 2)))
      (should (string-search (format "The command wrote %s; it is in %s until"
                                     (file-size-human-readable (+ (length lines) 2))
                                     (abbreviate-file-name file))
                             (org-agent-fake-shown "turn-1")))
      (org-agent-show-output)
      (with-current-buffer "*org-agent output*"
        (should (string-search "\n29999\n30000\n" (buffer-string)))
        (should buffer-read-only)
        (kill-buffer))
      ;; The reply does not take the place away, and it goes with Emacs.
      (org-agent-fake-insert "turn-1" 2 "Done.")
      (org-agent-fake-state "turn-1" 3 "done")
      (should (string-search "The command wrote" (org-agent-fake-shown "turn-1")))
      (should-not (string-search "The command wrote" (buffer-string)))
      (should (memq #'org-agent--shell-remove-files kill-emacs-hook))
      (org-agent--shell-remove-files)
      (should-not (file-exists-p file))
      (should-error (org-agent-show-output) :type 'user-error)))
  ;; What fits is in no file.
  (org-agent-fake-with
    (org-agent-tests-run '(:cmd "head -c 65536 /dev/zero | tr '\\0' a"))
    (should-not org-agent--shell-files)))

(provide 'org-agent-card-tests)
;;; org-agent-card-tests.el ends here
