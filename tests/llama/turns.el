;;; turns.el --- Turns in an Emacs without a terminal  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; emacs -Q --batch -L emacs -l tests/llama/turns.el
;;
;; Asks ORG_AGENT_TURNS questions in the chat buffer, one after the other,
;; each when the turn before is over.  Proposed commands are denied.  Prints
;; a line "TURN id state" for each turn and then the buffer.

;;; Code:

(require 'org-agent)

(defun turns-until (what condition)
  "Wait at most two minutes for WHAT: until CONDITION returns non-nil."
  (let ((end (+ (float-time) 120)) value)
    (while (not (setq value (funcall condition)))
      (when (> (float-time) end)
        (error "Waited in vain for %s; buffer:\n%s" what (buffer-string)))
      (accept-process-output nil 0.02))
    value))

(defun turns-run (number)
  "Ask the question NUMBER and print what became of its turn."
  (goto-char (point-max))
  (execute-kbd-macro (vconcat (format "Question %d: what is there to say?" number)))
  (execute-kbd-macro (kbd "C-c C-c"))
  (turns-until "the acknowledgement" (lambda () (not org-agent--sending)))
  (let* ((event (car (last (org-agent--all "OA_EVENT"))))
         (turn (seq-find (lambda (turn)
                           (equal (org-agent--turn-event turn) event))
                         (org-agent--turns-here))))
    (turns-until "the end of the turn"
                 (lambda ()
                   (when (org-agent--card-here) (org-agent-deny))
                   (org-agent--over-p turn)))
    (princ (format "TURN %s %s\n" (org-agent--turn-id turn)
                   (org-agent--turn-state turn)))))

(org-agent-chat)
(dotimes (number (string-to-number (getenv "ORG_AGENT_TURNS")))
  (turns-run (1+ number)))
(princ (buffer-substring-no-properties (point-min) (point-max)))
(org-agent--disconnect "the test is over")
(turns-until "the end of the server" (lambda () (not org-agent--ending)))

;;; turns.el ends here
