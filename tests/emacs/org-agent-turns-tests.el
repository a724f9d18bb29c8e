;;; org-agent-turns-tests.el --- What a user can do with a turn  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The org-agent authors

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Dry runs, variants, steering, editing what was said, and what is
;; offered after a reply; with the fake server, and where it matters that
;; both sides agree, with the real one.

;;; Code:

(require 'org-agent)
(require 'org-agent-fake)
(require 'org-agent-real)

(defun org-agent-turns-tests-last (method)
  "Return the parameters of the last METHOD that was sent."
  (car (last (org-agent-fake-sent method))))

(defun org-agent-turns-tests-settle ()
  "Wait for answers to what is asked upon answers, too."
  (dotimes (_ 4) (org-agent-fake-settle)))

;;;; Dry runs

(ert-deftest org-agent-dry-run-shows-what-sending-would-send ()
  (org-agent-fake-with
    (should-error (org-agent-dry-run) :type 'user-error)
    (org-agent-fake-send "first")
    (org-agent-fake-insert "turn-1" 1 "reply")
    (org-agent--add-context "note" "a" "attached")
    (insert "second")
    (let ((text (buffer-string))
          (tick (buffer-chars-modified-tick)))
      (push (cons 'orgAgent/dryRun
                  (lambda (_) (list :org "* Dry run\n** What\n#(lambda) [[elisp:(x)]]\n")))
            org-agent-fake-answers)
      (org-agent-dry-run)
      (org-agent-turns-tests-settle)
      (should (= tick (buffer-chars-modified-tick)))
      (should (equal text (buffer-string))))
    (should (= 1 (length (org-agent-fake-sent 'orgAgent/event))))
    (with-current-buffer "*org-agent dry run*"
      (should (equal (buffer-string) "* Dry run\n** What\n#(lambda) [[elisp:(x)]]\n"))
      (should buffer-read-only)
      (should (derived-mode-p 'org-agent-why-mode))
      (kill-buffer))
    (let ((shown (org-agent-turns-tests-last 'orgAgent/dryRun)))
      (org-agent-fake-keys "C-c C-c")
      (org-agent-fake-settle)
      (let ((sent (org-agent-turns-tests-last 'orgAgent/event)))
        (should (equal (plist-get shown :format) "org"))
        (should (equal (plist-get sent :text) "second"))
        (dolist (key '(:sessionId :buffer :text :level :context :directory :turnHashes))
          (should (plist-member shown key))
          (should (equal (plist-get shown key) (plist-get sent key))))))))

(ert-deftest org-agent-dry-run-of-the-real-server ()
  (org-agent-real-with nil '("ORG_AGENT_MODEL=offline")
    (org-agent-real-reply "echo: one")
    (goto-char (point-max))
    (insert "echo: two")
    (org-agent-dry-run)
    (org-agent-fake-until (lambda () (get-buffer "*org-agent dry run*")) "the page")
    (with-current-buffer "*org-agent dry run*"
      (should (string-prefix-p "* Dry run “echo: two”" (buffer-string)))
      (should (string-search "\necho: one\n" (buffer-string)))
      (kill-buffer))
    (should (equal (length (org-agent--all "OA_EVENT")) 1))))

(provide 'org-agent-turns-tests)
;;; org-agent-turns-tests.el ends here
