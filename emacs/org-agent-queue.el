;;; org-agent-queue.el --- Messages that wait their turn  -*- lexical-binding: t; -*-

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

;; A message that is sent while a turn runs waits: the server has it, and
;; answers it when its turn has come.  Here it is shown above the input
;; area that it does, and can be taken back or cancelled.
;;
;; To take one back is to cancel it, and then to put its text, and what
;; went along, back where they were before it was sent.  No model has
;; seen it, and none will, so that its prompt goes out of the buffer; the
;; record keeps that it was said and cancelled.  If its turn came
;; meanwhile it stays where it is, as what was said.  What went along is
;; known only as long as this Emacs runs.

;;; Code:

(require 'org-agent-chat)

(defconst org-agent--queue-lines 5
  "How many messages that wait are shown, each on a line.")

(defvar-local org-agent--queue-overlay nil
  "The overlay that shows which messages wait, or nil.")

(defvar-local org-agent--queue-chips nil
  "What went along with messages that wait: (TURN . CHIPS), by identifiers.")

(defvar-local org-agent--queue-leaving nil
  "Turns that are being taken back: (TURN . BEGUN), by identifiers.
BEGUN is non-nil once the turn did anything but wait.")

(defun org-agent--queue ()
  "Return in order what waits for the turn under way in this buffer."
  (let* ((turns (org-agent--turns-here))
         (first (org-agent--live-turn)))
    (seq-filter (lambda (turn)
                  (and (not (eq turn first))
                       (equal (org-agent--turn-state turn) "accepted")))
                turns)))

(defun org-agent--queue-sent (turn _text chips)
  "Keep CHIPS, what went along with TURN, as long as that waits."
  (when chips
    (push (cons (org-agent--turn-id turn) chips) org-agent--queue-chips)))

(add-hook 'org-agent--sent-hook #'org-agent--queue-sent)

;;;; Showing

(defun org-agent--queue-changed ()
  "Note what became of the messages that waited, and show those that do."
  (dolist (leaving org-agent--queue-leaving)
    (unless (member (org-agent--queue-state (car leaving))
                    '("accepted" "cancelled"))
      (setcdr leaving t)))
  (setq org-agent--queue-chips
        (seq-filter (lambda (entry)
                      (or (equal (org-agent--queue-state (car entry)) "accepted")
                          (assoc (car entry) org-agent--queue-leaving)))
                    org-agent--queue-chips))
  (org-agent--show-queue))

(defun org-agent--queue-state (id)
  "Return the state of the turn ID, or nil."
  (when-let ((turn (org-agent--turn id)))
    (org-agent--turn-state turn)))

(defun org-agent--show-queue ()
  "Show above the input area which messages wait."
  (let* ((turns (org-agent--queue))
         (marks (and turns (org-agent--marks (length turns)))))
    (org-agent--show-above
     'org-agent--queue-overlay
     (and turns
          (concat
           (propertize (format "queued (%d):\n" (length turns))
                       'face 'org-agent-notice)
           (mapconcat
            (lambda (turn)
              (let ((event (org-agent--turn-event turn)))
                (org-agent--queue-line
                 turn
                 ;; Cancelled ones may stand among the last.
                 (or (assoc event marks) (org-agent--prompt-of event)))))
            (seq-take turns org-agent--queue-lines) "")
           (when (nthcdr org-agent--queue-lines turns)
             (propertize (format "  and %d more\n"
                                 (- (length turns) org-agent--queue-lines))
                         'face 'org-agent-notice)))))))

(add-hook 'org-agent--state-hook #'org-agent--queue-changed)
(add-hook 'org-agent--input-hook #'org-agent--show-queue)

(defun org-agent--queue-line (turn mark)
  "Return the line of TURN above the input area; MARK is its prompt."
  (concat "  "
          (propertize (format " %s " (org-agent--one-line
                                      (string-trim (org-agent--mark-text mark 200))
                                      50))
                      'face 'org-agent-chip)
          " "
          (org-agent--chip-button "edit" #'org-agent-edit-queued turn) " "
          (org-agent--chip-button "cancel" #'org-agent-cancel-queued turn)
          "\n"))

;;;; Taking back

(defun org-agent--queued-here ()
  "Return the turn that waits whose prompt point is at, else the last one."
  (let* ((turns (or (org-agent--queue)
                    (user-error "No message waits in this chat")))
         (event (car (org-agent--mark-at (point)))))
    (or (seq-find (lambda (turn) (and event (equal event (org-agent--turn-event turn))))
                  turns)
        (car (last turns)))))

(org-agent--defcommand org-agent-edit-queued (turn)
  "Take back TURN, a message that waits, to write it anew.
Its text comes before what stands in the input area, and what went
along goes along again.  Interactively, that is the message at point,
or else the one that was sent last."
  (interactive (list (org-agent--queued-here)) org-agent-chat-mode)
  (let ((buffer (current-buffer))
        (id (org-agent--turn-id turn)))
    (unless (assoc id org-agent--queue-leaving)
      (push (cons id nil) org-agent--queue-leaving)
      (org-agent--request
       'orgAgent/cancel (list :turnId id)
       (lambda (result)
         (when (buffer-live-p buffer)
           (with-current-buffer buffer
             (if (org-agent--true-p (plist-get result :cancelled))
                 (org-agent--taken-back turn)
               (org-agent--not-taken-back turn "it is answered already")))))
       (lambda (words _code)
         (when (buffer-live-p buffer)
           (with-current-buffer buffer
             (org-agent--not-taken-back turn words))))))))

(defun org-agent--not-taken-back (turn words)
  "Tell that TURN stays what it is; WORDS say why."
  (setf (alist-get (org-agent--turn-id turn) org-agent--queue-leaving nil t #'equal)
        nil)
  (message "org-agent: your message cannot be taken back: %s" words))

(defun org-agent--taken-back (turn)
  "Put the message of TURN, which was cancelled, back where it came from."
  (let* ((id (org-agent--turn-id turn))
         (event (org-agent--turn-event turn))
         (text (org-agent--mark-text (org-agent--prompt-of event)))
         (begun (cdr (assoc id org-agent--queue-leaving)))
         (chips (cdr (assoc id org-agent--queue-chips))))
    (setf (alist-get id org-agent--queue-leaving nil t #'equal) nil)
    (org-agent--take-prompt event text begun)
    ;; Those that were added since are newer.
    (setq org-agent--context
          (append org-agent--context
                  (seq-difference (reverse chips) org-agent--context #'eq)))
    (org-agent--show-context)
    (org-agent--queue-changed)
    (when begun
      (message "org-agent: a model had begun to answer; what you had said stays"))))

(org-agent--defcommand org-agent-cancel-queued (turn)
  "Cancel TURN, a message that waits.
Interactively, that is the message at point, or else the one that was
sent last.  It stays in the buffer, and no model sees it."
  (interactive (list (org-agent--queued-here)) org-agent-chat-mode)
  (org-agent--request
   'orgAgent/cancel (list :turnId (org-agent--turn-id turn))
   (lambda (result)
     (unless (org-agent--true-p (plist-get result :cancelled))
       (message "org-agent: too late to cancel")))
   (lambda (words _code)
     (message "org-agent: not cancelled: %s" words))))

(provide 'org-agent-queue)
;;; org-agent-queue.el ends here
