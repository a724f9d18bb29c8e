;;; demo.el --- One real turn in an Emacs without a terminal  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; emacs -Q --batch -L emacs -L tests/emacs -l demo
;;
;; Types a question into the chat buffer, presses C-c C-c, waits for the
;; answer and prints the buffer.  ORG_AGENT_QUESTION is the question if
;; it is set.  Unless ORG_AGENT_HOME says where, nothing is kept.

;;; Code:

(require 'org-agent)

(defvar demo-home
  (unless (getenv "ORG_AGENT_HOME")
    (make-temp-file "org-agent-demo" t))
  "A directory to be removed, or nil.")

(defun demo-until (condition)
  "Wait at most two minutes until CONDITION returns non-nil, and return that."
  (let ((end (+ (float-time) 120)) value)
    (while (not (or (setq value (funcall condition))
                    (> (float-time) end)))
      (accept-process-output nil 0.05))
    value))

(defun demo-turn ()
  "Run one turn; return non-nil if it was answered."
  (org-agent-chat)
  (goto-char (point-max))
  (execute-kbd-macro (vconcat (or (getenv "ORG_AGENT_QUESTION")
                                  "Hello, who are you?")))
  (execute-kbd-macro (kbd "C-c C-c"))
  (let ((turn (demo-until
               (lambda ()
                 (or (and (not org-agent--sending) (not org-agent--session) 'lost)
                     (seq-find (lambda (turn)
                                 ;; Nobody is there to be asked.
                                 (when (org-agent--card-here) (org-agent-deny))
                                 (org-agent--over-p turn))
                               (org-agent--turns-here)))))))
    (princ (buffer-substring-no-properties (point-min) (point-max)))
    (and (org-agent--turn-p turn)
         (equal (org-agent--turn-state turn) "done"))))

(when demo-home
  (setenv "ORG_AGENT_HOME" demo-home))

(let ((answered (unwind-protect (demo-turn)
                  (org-agent--disconnect "the demo is over")
                  (demo-until (lambda () (not org-agent--ending)))
                  (when demo-home (delete-directory demo-home t)))))
  (kill-emacs (if answered 0 1)))

;;; demo.el ends here
