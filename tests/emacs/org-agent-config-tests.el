;;; org-agent-config-tests.el --- What is configured, and changing it  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; The words of `config check' as they are read, and both commands with the
;; real program and real files.

;;; Code:

(require 'flymake)
(require 'org-agent-real)
(require 'org-agent-config)

(defmacro org-agent-config-tests-with (text &rest body)
  "Run BODY with the real program and a config.toml that says TEXT, or none.
In BODY, `file' is that file."
  (declare (indent 1) (debug t))
  `(let* ((home (file-name-as-directory (file-truename (make-temp-file "org-agent" t))))
          (file (expand-file-name "config.toml" home))
          (text ,text)
          (process-environment
           (append (list (concat "ORG_AGENT_HOME=" home) "ORG_AGENT_LOCAL_PORTS=none"
                         "ORG_AGENT_LOG=info" "OPENAI_API_KEY=canary-4711"
                         "OPENAI_BASE_URL" "ORG_AGENT_MODEL")
                   process-environment))
          (make-backup-files nil)
          (create-lockfiles nil)
          (inhibit-message t))
     (when text (write-region text nil file nil 'silent))
     (unwind-protect (save-window-excursion ,@body)
       (dolist (buffer (list "*org-agent config*" (find-buffer-visiting file)))
         (when (and buffer (get-buffer buffer))
           (with-current-buffer buffer (set-buffer-modified-p nil))
           (kill-buffer buffer)))
       (delete-directory home t))))

(defun org-agent-config-tests-shown (words)
  "Wait until the buffer that shows the configuration has WORDS; return its text."
  (with-current-buffer "*org-agent config*"
    (org-agent-fake-until (lambda () (string-search words (buffer-string))) words)
    (buffer-substring-no-properties (point-min) (point-max))))

(defun org-agent-config-tests-push (label)
  "Push the first button with LABEL in the buffer that shows the configuration.
Go to the buffer that is selected then."
  (with-current-buffer "*org-agent config*"
    (goto-char (point-min))
    (while (not (equal label (button-label (or (button-at (point)) (next-button (point))))))
      (goto-char (or (next-button (point)) (error "No button %s" label))))
    (push-button (or (button-at (point)) (button-start (next-button (point))))))
  (set-buffer (window-buffer)))

(defun org-agent-config-tests-found ()
  "Return what Flymake shows in this buffer: lists (LINE TYPE TEXT), by line."
  (sort (mapcar (lambda (diagnostic)
                  (list (line-number-at-pos (flymake-diagnostic-beg diagnostic))
                        (flymake-diagnostic-type diagnostic)
                        (flymake-diagnostic-text diagnostic)))
                (flymake-diagnostics))
        (lambda (one other) (< (car one) (car other)))))

;;;; What the program says

(ert-deftest org-agent-config-reads-what-the-check-says ()
  (pcase-dolist
      (`(,text . ,found)
       '((("/h/config.toml is right") "/h/config.toml")
         (("/h/config.toml: not there, so all is as it is by default"
           "  hint: begin one: org-agent config edit")
          "/h/config.toml")
         (("/h/a b: c/config.toml:2:1: there is no key `usr`"
           "  2 | usr = \"\u00b7\u00b7\u00b7\""
           "    | ^^^"
           "  hint: did you mean `user`?"
           "/h/a b: c/config.toml:12:15: warning: this looks like a secret"
           "  hint: keep it elsewhere"
           "/h/a b: c/config.toml: warning: others can change it"
           "  hint: chmod go-w it"
           "/h/a b: c/config.toml has 1 problem")
          "/h/a b: c/config.toml"
          (2 1 nil "there is no key `usr` (did you mean `user`?)")
          (12 15 t "this looks like a secret (keep it elsewhere)")
          (1 1 t "others can change it (chmod go-w it)"))
         (("/h/config.toml is wrong: line 3: two models are called `x`"
           "  hint: name one otherwise"
           "/h/config.toml has 100 problems or more")
          "/h/config.toml"
          (3 1 nil "/h/config.toml is wrong: line 3: two models are called `x` (name one otherwise)"))
         (("org-agent: no such command"))
         (("  hint: nothing"))
         (nil)))
    (should (equal (or found '(nil))
                   (org-agent--config-findings
                    (mapconcat (lambda (line) (concat line "\n")) text ""))))))

(ert-deftest org-agent-config-takes-any-words-of-a-program ()
  "What is no server, or another one, is shown and nothing else."
  (let ((program (make-temp-file "org-agent" nil nil "#!/bin/sh\necho \"$ANSWER\"\n")))
    (unwind-protect
        (progn
          (set-file-modes program #o700)
          (dolist (answer '("" "[]" "null" "{\"settings\":5}" "{\"settings\":[{}, 3]}"
                            "{\"file\":7,\"answers\":[1],\"settings\":[{\"key\":7,\"line\":\"x\"}]}"
                            "{\"file\":\"/a\\u001b[2J\\n/b\",\"settings\":[{\"key\":\"k\\nk\"}]}"))
            (let ((org-agent-program program)
                  (process-environment (cons (concat "ANSWER=" answer) process-environment))
                  (inhibit-message t))
              (save-window-excursion
                (org-agent-config)
                (org-agent-config-tests-shown "What is wrong or unwise")
                (with-current-buffer "*org-agent config*"
                  (should-not (string-search "\e" (buffer-string)))
                  (kill-buffer))))))
      (delete-file program))))

;;;; Showing

(ert-deftest org-agent-config-shows-values-and-leads-to-their-lines ()
  (org-agent-config-tests-with "# mine\n[persona]\nuser = \"Ada\"\n[sessions]\nkeep = \"90 days\"\n"
    (org-agent-config)
    (let ((shown (org-agent-config-tests-shown "The environment")))
      (dolist (words (list (concat "file     " file) "offline"
                           "config.toml, from the next message on"
                           "ORG_AGENT_HOME" "(set, and not shown)"))
        (should (string-search words shown)))
      (should (string-match-p "^persona\\.user +\"Ada\" +config\\.toml:3$" shown))
      (should (string-match-p "^sessions\\.keep +\"90 days\" +config\\.toml:5$" shown))
      (should (string-match-p "^persona\\.assistant +\"Passepartout\" +\\[default\\]$" shown))
      (should (string-match-p "^spend\\.per_day +(no limit) +\\[default\\]$" shown))
      (should-not (string-search "4711" shown)))
    (should (string-search "Your name" (car (org-agent-tests-said
                                              (org-agent-config-tests-push "persona.user")))))
    (org-agent-config-tests-push "config.toml:5")
    (should (equal file (buffer-file-name)))
    (should (looking-at "keep = "))
    (should org-agent-config-check-mode)
    ;; Once more, after a change.
    (goto-char (point-min))
    (search-forward "Ada")
    (replace-match "Eve")
    (save-buffer)
    (with-current-buffer "*org-agent config*" (revert-buffer))
    (org-agent-config-tests-shown "\"Eve\"")))

(ert-deftest org-agent-config-shows-a-file-that-is-wrong ()
  (org-agent-config-tests-with "[persona]\nusr = \"Ada\"\n\n[sessions]\nkeep = 3\n"
    (org-agent-config)
    (let ((shown (org-agent-config-tests-shown "What is wrong or unwise")))
      (should (string-search "Nothing can be shown" shown))
      (should (string-match-p "^config\\.toml:2  there is no key `usr`" shown)))
    (org-agent-config-tests-push "config.toml:5")
    (should (looking-at "keep = "))))

(ert-deftest org-agent-config-needs-a-program ()
  (let ((org-agent-program "/no/such/program"))
    (should-error (org-agent-config) :type 'user-error)
    (should-error (org-agent-config-edit) :type 'user-error))
  (when (get-buffer "*org-agent config*")
    (kill-buffer "*org-agent config*")))

;;;; Changing

(ert-deftest org-agent-config-edit-begins-with-a-sample ()
  (org-agent-config-tests-with nil
    (org-agent-config-edit)
    (org-agent-fake-until (lambda () (find-buffer-visiting file)))
    (with-current-buffer (find-buffer-visiting file)
      (org-agent-fake-until (lambda () (< 100 (buffer-size))))
      (should (string-search "[persona]" (buffer-string)))
      (should (buffer-modified-p))
      ;; It is made when the user says so.
      (should-not (file-exists-p file))
      (should (equal '("org-agent: config.toml is right")
                     (seq-filter
                      (lambda (words) (string-prefix-p "org-agent: " words))
                      (org-agent-tests-said
                        (save-buffer)
                        (org-agent-fake-until (lambda () (not org-agent--config-saving)))))))
      (should (file-exists-p file))
      (should-not (org-agent-config-tests-found)))))

(ert-deftest org-agent-config-edit-begins-where-no-directory-is ()
  (org-agent-config-tests-with nil
    (let* ((directory (expand-file-name "a/b/" home))
           (file (expand-file-name "config.toml" directory))
           (process-environment (cons (concat "ORG_AGENT_HOME=" (directory-file-name directory))
                                      process-environment)))
      (org-agent-config-edit)
      (org-agent-fake-until (lambda () (find-buffer-visiting file)))
      (with-current-buffer (find-buffer-visiting file)
        (org-agent-fake-until (lambda () (< 100 (buffer-size))))
        (should-not (file-exists-p directory))
        (should (file-directory-p default-directory))
        (cl-letf (((symbol-function 'y-or-n-p) #'always))
          (save-buffer))
        (should (file-exists-p file))
        (should (equal default-directory directory))
        (org-agent-fake-until (lambda () (not org-agent--config-saving)))
        (kill-buffer)))))

(ert-deftest org-agent-config-edit-checks-what-is-saved ()
  (org-agent-config-tests-with "[persona]\nuser = \"Ada\"\n"
    (org-agent-config-edit)
    (org-agent-fake-until (lambda () (find-buffer-visiting file)))
    (with-current-buffer (find-buffer-visiting file)
      (let ((save (lambda (text)
                    (erase-buffer)
                    (insert text)
                    (org-agent-tests-said
                      (save-buffer)
                      (org-agent-fake-until (lambda () (not org-agent--config-saving)))))))
        (should (member "org-agent: line 2: there is no key `usr` (did you mean `user`?); and 1 more"
                        (funcall save "[persona]\nusr = \"Ada\"\n[[models]]\nname = \"x\"\nmodel = \"m\"\ntemperature = \"hot\"\n")))
        (should (equal '((2 :error) (6 :error))
                       (mapcar (lambda (one) (seq-take one 2)) (org-agent-config-tests-found))))
        (should (string-search "write a number" (nth 2 (nth 1 (org-agent-config-tests-found)))))
        ;; What is typed is not checked before it is saved, whatever is asked for.
        (goto-char (point-max))
        (insert "nonsense\n")
        (flymake-start)
        (org-agent-fake-until (lambda () (not (seq-difference (flymake-running-backends)
                                                               (flymake-reporting-backends)))))
        (should (= 2 (length (org-agent-config-tests-found))))
        ;; A warning is none of an error; a key that is not set is one.
        (should (string-match-p "line 4: the variable of `api_key_env` is not set"
                                (car (last (funcall save "[[models]]\nname = \"x\"\nmodel = \"m\"\napi_key_env = \"NO_SUCH_KEY\"\nbase_url = \"http://127.0.0.1:9/v1\"\n")))))
        (should (equal '((4 :warning))
                       (mapcar (lambda (one) (seq-take one 2)) (org-agent-config-tests-found))))
        ;; The region is the place, not the line.
        (let ((one (car (flymake-diagnostics))))
          (should (string-prefix-p "api_key_env"
                                   (buffer-substring (flymake-diagnostic-beg one)
                                                     (flymake-diagnostic-end one)))))
        (should (member "org-agent: config.toml is right" (funcall save "[persona]\n")))
        (should-not (org-agent-config-tests-found))
        (org-agent-config-check-mode -1)
        (should-not flymake-mode)
        (should-not (memq #'org-agent--config-flymake flymake-diagnostic-functions))))))

(provide 'org-agent-config-tests)
;;; org-agent-config-tests.el ends here
