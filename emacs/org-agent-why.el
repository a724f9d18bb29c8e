;;; org-agent-why.el --- What is behind a turn of org-agent, or would be  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The org-agent authors

;; SPDX-License-Identifier: GPL-3.0-or-later

;; This program is free software; you can redistribute it and/or modify
;; it under the terms of the GNU General Public License as published by
;; the Free Software Foundation, either version 3 of the License, or
;; (at your option) any later version.

;; This program is distributed in the hope that it will be useful,
;; but WITHOUT ANY WARRANTY; without even the implied warranty of
;; MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.  See the
;; GNU General Public License for more details.

;; You should have received a copy of the GNU General Public License
;; along with this program.  If not, see <https://www.gnu.org/licenses/>.

;;; Commentary:

;; Pages that the server writes about a turn: all that is behind a text,
;; and what would be sent for what stands in the input area.  They are
;; the server's Org text, byte for byte, with secrets masked there; here
;; it is shown and nothing in it acts.
;;
;; A dry run sends the same parameters as sending does, to a request
;; that records nothing.

;;; Code:

(require 'org-agent-chat)
(require 'outline)

;;;; Pages

(defvar org-agent-why-mode-map (make-sparse-keymap)
  "Keys of `org-agent-why-mode'.")

(pcase-dolist (`(,key . ,command) '(("TAB" . outline-cycle)
                                    ("<backtab>" . outline-cycle-buffer)
                                    ("n" . outline-next-visible-heading)
                                    ("p" . outline-previous-visible-heading)
                                    ("q" . quit-window)))
  (define-key org-agent-why-mode-map (kbd key) command))

;; Not Org: there is nothing in it to act on, and much that others wrote.
(define-derived-mode org-agent-why-mode outline-mode "Org-Agent-Why"
  "Show what is behind a turn, or would be, as an Org document that is only text.

\\{org-agent-why-mode-map}"
  (setq-local outline-regexp "[*]+ "
              buffer-read-only t
              truncate-lines nil))

(defun org-agent--show-page (name text)
  "Show TEXT in the buffer NAME, with its headings only."
  (with-current-buffer (get-buffer-create name)
    (org-agent-why-mode)
    (let ((inhibit-read-only t))
      (erase-buffer)
      (insert (or text "The server has nothing to show.\n")))
    (goto-char (point-min))
    (outline-hide-body)
    (display-buffer (current-buffer))))

;;;; Why

(defun org-agent-why ()
  "Show all that is behind the text of the agent at point.
At a prompt, show what has become of it since this Emacs knows it."
  (interactive)
  (let* ((id (org-entry-get (point) "OA_ACT" t))
         (event (org-entry-get (point) "OA_EVENT" t))
         (turn (seq-find (lambda (turn)
                           (and event (equal (org-agent--turn-event turn) event)))
                         (if (derived-mode-p 'org-agent-chat-mode)
                             (org-agent--turns-here)
                           ;; A prompt in a subtree, or in a copy of one.
                           (hash-table-values org-agent--turns)))))
    (org-agent--ask-why
     (cond (id (list :actuationId id))
           (turn (list :turnId (org-agent--turn-id turn)))
           (t (user-error "This text is not the agent's"))))))

(defun org-agent--ask-why (what)
  "Show all that is behind WHAT: parameters that name a turn or an action."
  (org-agent--request
   'orgAgent/why `(,@what :format "org")
   (lambda (result)
     (org-agent--show-page "*org-agent why*" (plist-get result :org)))
   (lambda (words _code) (message "org-agent: %s" words))))

;;;; Dry run

(defun org-agent--dry-part (chip)
  "Return CHIP as the server is told of it now.
What may be secret is not asked about: no model gets it."
  (pcase-let ((`(,text . ,problem) (org-agent--chip-taken chip)))
    (when problem
      (user-error "Of `%s', %s" (org-agent--chip-name chip) problem))
    (org-agent--context-part chip text)))

(org-agent--defcommand org-agent-dry-run ()
  "Show what would be sent if you sent now, and send nothing.
That is the prompt as the model would get it, what it is estimated to
take, and what of the session would be left out."
  (interactive nil org-agent-chat-mode)
  (let* ((text (org-agent--prompt))
         (chips (reverse org-agent--context))
         (context (vconcat (mapcar #'org-agent--dry-part chips))))
    (when (and (string-empty-p text) (not chips))
      (user-error "Write something under the last heading first"))
    (org-agent--request
     'orgAgent/dryRun
     (append (org-agent--message text context (org-agent--directory))
             '(:format "org"))
     (lambda (result)
       (org-agent--show-page "*org-agent dry run*" (plist-get result :org)))
     (lambda (words _code) (message "org-agent: %s" words)))))

(provide 'org-agent-why)
;;; org-agent-why.el ends here
