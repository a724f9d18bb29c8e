;;; org-agent-skills-tests.el --- Notes that shape the agent  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; What an author of skills sees: problems in the chat, the list, one skill
;; shown, and the program run on a note.

;;; Code:

(require 'org-agent-fake)
(require 'org-agent-skills)

(defconst org-agent-tests-skill
  '( :name "haiku" :title "haiku" :description "Writes verse.\nShort." :priority 60
     :origin "user" :file "/tmp/skills/haiku.org" :line 12 :sha256 "ab" :capabilities []
     :dependencies ["identity"] :state "ok" :trigger t :neuro t :symbolic :json-false :problem nil)
  "A skill as the server lists it.")

(defconst org-agent-tests-problem
  '( :file "/tmp/skills/haiku.org" :line 3 :name "haiku" :origin "user"
     :message "haiku-prmpt is not\ndefined" :hint "Did you mean haiku-prompt?" :form "(haiku-prmpt)"
     :kept t)
  "What is wrong with it.")

(defmacro org-agent-tests-with-skills (&rest body)
  "Run BODY in a chat of which the server knows a skill."
  (declare (indent 0) (debug t))
  `(org-agent-fake-with
     (let ((org-agent--skill-problems nil)
           (org-agent--skills-told nil))
       (push (cons 'orgAgent/skills/list
                   (lambda (_) (list :items (vector org-agent-tests-skill) :nextCursor nil
                                     :problems (vector (append '(:kept :json-false :file "/x/bad.org" :name nil)
                                                               org-agent-tests-problem))
                                     :shadowed [])))
             org-agent-fake-answers)
       (push (cons 'orgAgent/skills/show
                   (lambda (_) (append org-agent-tests-skill '(:prose "* How\nIn /verse/." :functions ["haiku-prompt"]))))
             org-agent-fake-answers)
       (unwind-protect (progn ,@body)
         (dolist (name '("*org-agent skills*" "*org-agent skill*"))
           (when (get-buffer name) (kill-buffer name)))))))

(defun org-agent-tests-skill-notice ()
  "Return what this chat shows about notes, or nil."
  (and org-agent--skill-overlay
       (overlay-buffer org-agent--skill-overlay)
       (substring-no-properties (overlay-get org-agent--skill-overlay 'before-string))))

(ert-deftest org-agent-broken-skill-is-told-in-the-chat ()
  (org-agent-tests-with-skills
    (let ((text (buffer-string)))
      (org-agent-fake-tell 'orgAgent/skills/changed :skills 4 :problems (vector org-agent-tests-problem))
      (org-agent-fake-settle)
      (should (equal (org-agent-tests-skill-notice)
                     (concat "A skill does not work any more (it goes on as it was): "
                             "/tmp/skills/haiku.org:3: haiku-prmpt is not defined"
                             " [visit: M-x org-agent-skill-next-problem]\n"
                             "  Did you mean haiku-prompt?\n")))
      (should (= (overlay-start org-agent--skill-overlay) (car (org-agent--ensure-input))))
      (should (equal (buffer-string) text))
      ;; It stays above the input, and goes when all is well.
      (org-agent-fake-send "question")
      (org-agent-fake-insert "turn-1" 1 "Answer.")
      (should (= (overlay-start org-agent--skill-overlay) (car (org-agent--ensure-input))))
      (org-agent-fake-tell 'orgAgent/skills/changed :skills 4 :problems [])
      (org-agent-fake-settle)
      (should-not (org-agent-tests-skill-notice)))))

(ert-deftest org-agent-problem-of-a-skill-is-visited ()
  (org-agent-tests-with-skills
    (should-error (org-agent-skill-next-problem) :type 'user-error)
    (let ((file (expand-file-name "n.org" org-agent-fake-directory)))
      (write-region "one\ntwo\nthree\nfour\n" nil file nil 'silent)
      (setq org-agent--skill-problems (list (append (list :file file) org-agent-tests-problem)))
      (org-agent-skill-next-problem)
      (unwind-protect
          (should (equal (list buffer-file-name (line-number-at-pos))
                         (list (file-truename file) 3)))
        (kill-buffer)))
    (should-error (org-agent--skill-visit '(:file "builtin:chat.org" :line 1)) :type 'user-error)))

(ert-deftest org-agent-skills-are-listed-and-shown ()
  (org-agent-tests-with-skills
    (org-agent-skills)
    (org-agent-fake-settle)
    (with-current-buffer "*org-agent skills*"
      (should (string-match-p "haiku +60 user +ok +Writes verse\\. Short\\." (buffer-string)))
      (should (string-match-p "bad +user +broken +haiku-prmpt is not defined" (buffer-string)))
      (goto-char (point-min))
      (search-forward "haiku")
      (org-agent-skills-show)
      (org-agent-fake-settle))
    (should (equal (org-agent-fake-sent 'orgAgent/skills/show) '((:name "haiku"))))
    (with-current-buffer "*org-agent skill*"
      (dolist (part '("haiku: Writes verse." "Has        trigger, prompt" "Builds on  identity"
                      "Functions  haiku-prompt" "* How\nIn /verse/."))
        (should (string-search part (buffer-string))))
      (should (derived-mode-p 'special-mode)))))

(defconst org-agent-tests-folder
  '( :name "pdf-forms" :format "folder" :title "" :description "Fills forms." :priority 0 :origin "user"
     :file "/tmp/skills/pdf-forms/SKILL.md" :line 1 :sha256 "cd" :capabilities [] :dependencies [] :state "warn"
     :trigger :json-false :neuro :json-false :symbolic :json-false :license "MIT" :compatibility nil
     :metadata nil :allowedTools ["Read"] :problem nil :triggers ["/pdf-forms" "model"])
  "A folder as the server lists it.")

(ert-deftest org-agent-folder-is-listed-shown-and-called ()
  (org-agent-tests-with-skills
    (let ((warning '( :file "/tmp/skills/pdf-forms/SKILL.md" :line 3 :name "pdf-forms" :origin "user" :state "warn"
                      :message "the key x is none" :hint "" :form "" :kept :json-false)))
      (push (cons 'orgAgent/skills/list
                  (lambda (_) (list :items (vector org-agent-tests-skill org-agent-tests-folder) :nextCursor nil
                                    :problems (vector warning))))
            org-agent-fake-answers)
      (push (cons 'orgAgent/skills/show
                  (lambda (_) (append org-agent-tests-folder
                                      '(:prose "# How" :functions [] :resources ["references/a.md"]))))
            org-agent-fake-answers)
      (should (string-prefix-p "About a skill: /tmp" (org-agent--skill-words warning))))
    (org-agent-skills)
    (org-agent-fake-settle)
    (with-current-buffer "*org-agent skills*"
      (should (string-match-p "pdf-forms +folder +user +warn +Fills forms\\." (buffer-string)))
      (should-not (string-search "broken" (buffer-string))))
    (org-agent-skill-show "pdf-forms")
    (org-agent-fake-settle)
    (with-current-buffer "*org-agent skill*"
      (dolist (part '("License    MIT" "Names      Read" "Files      references/a.md" "# How"))
        (should (string-search part (buffer-string))))
      (should-not (string-search "Priority" (buffer-string))))
    ;; Only what begins the input is a call, and only what can be called completes.
    (org-agent--skill-prefetch)
    (org-agent-fake-settle)
    (pcase-dolist (`(,text ,names) '(("/" ("pdf-forms")) ("/pd" ("pdf-forms")) ("/hai" nil) ("\n /p" ("pdf-forms"))
                                     ("say /p" none) ("/pdf-forms it" none) ("/a/b" none) ("" none)))
      (goto-char (point-max))
      (let ((start (point)))
        (insert text)
        (let ((found (org-agent--skill-complete)))
          (should (equal (if found (all-completions (buffer-substring (nth 0 found) (nth 1 found)) (nth 2 found))
                           'none)
                         names)))
        (delete-region start (point-max))))
    (should (memq #'org-agent--skill-complete completion-at-point-functions))
    ;; When something changed it is asked again.
    (push (cons 'orgAgent/skills/list (lambda (_) '(:items [] :nextCursor nil :problems [])))
          org-agent-fake-answers)
    (org-agent-fake-tell 'orgAgent/skills/changed :skills 4 :problems [])
    (org-agent-fake-settle)
    (org-agent-fake-settle)
    (insert "/p")
    (should-not (all-completions "p" (nth 2 (org-agent--skill-complete))))))

(ert-deftest org-agent-skill-is-checked-by-the-program ()
  (org-agent-tests-with-skills
    (let* ((org-agent-program (expand-file-name "program" org-agent-fake-directory))
           (note (expand-file-name "a b.org" org-agent-fake-directory))
           (done nil)
           (compilation-finish-functions (list (lambda (_buffer _how) (setq done t)))))
      (write-region "#!/bin/sh\nprintf '<%s>' \"$@\"\n" nil org-agent-program nil 'silent)
      (set-file-modes org-agent-program #o700)
      (write-region "#+TITLE: x\n" nil note nil 'silent)
      (pcase-dolist (`(,command ,words)
                     `((,(lambda () (org-agent-skill-check)) ,(format "<skill><check><%s>" note))
                       (,(lambda () (org-agent-skill-check t)) "<skill><check>")
                       (,(lambda () (org-agent-skill-test t)) ,(format "<skill><test><--watch><%s>" note))))
        (setq done nil)
        (with-current-buffer (find-file-noselect note)
          (let ((compilation-ask-about-save nil))
            (funcall command)))
        (org-agent-fake-until (lambda () done) "the program")
        (with-current-buffer (if (string-search "check" words) "*org-agent skill check*" "*org-agent skill test*")
          (should (string-search words (buffer-string)))
          (let (kill-buffer-query-functions) (kill-buffer))))
      (kill-buffer (find-buffer-visiting note)))))

(provide 'org-agent-skills-tests)
;;; org-agent-skills-tests.el ends here
