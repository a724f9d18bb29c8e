;;; org-agent-trust-tests.el --- Skills that a project brings along  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; What the user is told of a project's skills, and what is sent when they
;; trust one.

;;; Code:

(require 'org-agent-skills-tests)
(require 'org-agent-trust)

(defun org-agent-tests-untrusted (name &optional diff)
  "Return a skill NAME as the server shows it before it is trusted, with DIFF."
  (list :name name :description "Lints.\nAll." :origin "project"
        :state (if diff "changed" "untrusted") :file (concat "/p/" name "/SKILL.md")
        :sha256 (concat "hash-" name) :text "Run it.\u202e\n" :diff diff))

(defmacro org-agent-tests-with-project (&rest body)
  "Run BODY in a chat whose project has two skills that nobody trusts.
What was sent to trust one is in `sent', to look at them in `asked'."
  (declare (indent 0) (debug t))
  `(org-agent-tests-with-skills
     (let ((sent nil)
           (asked nil)
           (default-directory (file-name-as-directory (file-truename org-agent-fake-directory))))
       (ignore asked)
       (push (cons 'orgAgent/skills/untrusted
                   (lambda (params)
                     (let ((all (list (org-agent-tests-untrusted "lint")
                                      (org-agent-tests-untrusted "mend" "-old\n+new\n")))
                           (file (plist-get params :file)))
                       (unless file (setq asked params))
                       ;; Texts come one by one.
                       (list :items (vconcat
                                     (if file
                                         (seq-filter (lambda (item) (equal (plist-get item :file) file)) all)
                                       (mapcar (lambda (item) (append '(:text nil :diff nil) item)) all)))
                             :nextCursor nil))))
             org-agent-fake-answers)
       (push (cons 'orgAgent/skills/trust
                   (lambda (params)
                     (push params sent)
                     (list :skills 3 :problems [] :directory "/p" :untrusted [])))
             org-agent-fake-answers)
       (unwind-protect (progn ,@body)
         (when (get-buffer "*org-agent trust*") (kill-buffer "*org-agent trust*"))))))

(ert-deftest org-agent-project-with-skills-is-told-in-its-chat-only ()
  (org-agent-tests-with-project
    (let ((tell (lambda (directory names)
                  (org-agent-fake-tell
                   'orgAgent/skills/changed :skills 4 :problems [] :directory directory
                   :untrusted (vconcat (mapcar #'org-agent-tests-untrusted names)))
                  (org-agent-fake-settle))))
      (funcall tell "/somewhere/else" '("other"))
      (should-not (org-agent-tests-skill-notice))
      (funcall tell (directory-file-name default-directory) '("lint" "mend\nx"))
      (should (equal (org-agent-tests-skill-notice)
                     (concat "This project brings skills that you do not trust: lint, mend x "
                             "[look: M-x org-agent-skill-trust]\n")))
      (funcall tell (directory-file-name default-directory) nil)
      (should-not (org-agent-tests-skill-notice)))))

(ert-deftest org-agent-skill-is-trusted-as-it-was-shown ()
  (org-agent-tests-with-project
    (let ((project (directory-file-name default-directory)))
      (org-agent-skill-trust)
      (org-agent-fake-until (lambda () (get-buffer "*org-agent trust*")) "the skill to be shown")
      (should (equal asked (list :directory project)))
      (with-current-buffer "*org-agent trust*"
        (org-agent-fake-until (lambda () (string-match-p "\\`lint" (buffer-string))) "its text")
        (should (string-match-p "\\`lint: Lints. All.\n/p/lint/SKILL.md\nSHA-256 hash-lint\n" (buffer-string)))
        ;; What turns the text around is seen.
        (should (string-match-p (regexp-quote "Run it.\\u{202E}") (buffer-string)))
        (should-not sent)
        (cl-letf (((symbol-function 'y-or-n-p) (lambda (_) nil)))
          (org-agent-trust-accept))
        (org-agent-fake-settle)
        (should-not sent)
        (cl-letf (((symbol-function 'y-or-n-p) (lambda (_) t)))
          (org-agent-trust-accept))
        (org-agent-fake-until (lambda () (string-match-p "\\`mend" (buffer-string))) "the next")
        (should (equal sent `((:directory ,project :file "/p/lint/SKILL.md" :sha256 "hash-lint"))))
        (should (string-match-p "It changed since you trusted it:\n\n-old\n\\+new" (buffer-string)))
        (org-agent-trust-next))
      (should-not (get-buffer "*org-agent trust*"))
      (should (= 1 (length sent))))))

(provide 'org-agent-trust-tests)
;;; org-agent-trust-tests.el ends here
