;;; org-agent-state.el --- What a chat is doing, in sight  -*- lexical-binding: t; -*-

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

;; The state of a chat in its header line: what it does, how many messages
;; wait, and whether commands are confined, beside the model and what the
;; last reply took.  And a place in every mode line for chats that are
;; busy or ask something, if the user wants it.
;;
;; What is shown is made when something changes, never while Emacs draws.
;; Only the sign that a turn runs moves by itself: by one timer, which is
;; there while a window shows such a chat, and ends itself when none does.
;; To draw only for it costs as much as to draw a piece of a reply, so
;; while those come it moves with them.
;;
;; That commands are not confined is said before one is proposed: the
;; server tells when it is ready.  An older one does not; then it is said
;; with the first command.

;;; Code:

(require 'org-agent-models)
(require 'org-agent-approve)

(declare-function org-agent-doctor "org-agent-doctor")
(declare-function org-agent-menu "org-agent-transient")

(defface org-agent-unconfined
  '((t :inherit error))
  "That commands are not confined."
  :group 'org-agent-faces
  :package-version '(org-agent . "0.1.0"))

;;;; State

(defvar org-agent--confined 'unknown
  "Whether the server can confine commands: t, nil, or `unknown'.")

(defvar org-agent--confined-words nil
  "What the server says about that, or nil.")

(defvar-local org-agent--status ""
  "What the header line of this chat shows of its state.")

(defvar-local org-agent--sign ""
  "What moves in the header line of this chat while a turn runs.")

;; Otherwise their buttons would be none.
(put 'org-agent--status 'risky-local-variable t)

(defvar org-agent--recording nil
  "The file that messages are recorded in, or nil.")

(defvar org-agent--server-state nil
  "What there is to say of the server, as a list (WORDS HELP), or nil.")

;;;; The header line

(defun org-agent--state-words ()
  "Return the state of this chat in a word or two."
  (let ((turn (org-agent--live-turn)))
    (cond (turn (cdr (org-agent--live-p turn)))
          (org-agent--sending "sending")
          (t "ready"))))

(defun org-agent--queued ()
  "Return what waits in this chat behind the turn under way."
  (delq (org-agent--live-turn)
        (seq-filter #'org-agent--live-p (org-agent--turns-here))))

(defun org-agent--sandbox-part ()
  "Return what is to be said about the sandbox in this chat, or nil."
  (let ((remote (file-remote-p default-directory 'host)))
    (pcase-let
        ((`(,text ,help)
          (cond
           (remote
            (list (format "not confined on %s" remote)
                  "The server runs on this machine; commands run on the other one, \
where nothing confines them.  You are asked about each."))
           ((not org-agent-shell-sandbox)
            (list "not confined"
                  "`org-agent-shell-sandbox' is nil: commands that you approve can do \
all that you can."))
           ((eq org-agent--confined t)
            (list "sandboxed" (or org-agent--confined-words "Commands are confined.")))
           ((null org-agent--confined)
            (list "not confined"
                  (or org-agent--confined-words "Commands can do all that you can."))))))
      (and text
           (org-agent--part text 40 (concat help "\nmouse-1: what is configured")
                            'org-agent-doctor
                            (unless (equal text "sandboxed") 'org-agent-unconfined))))))

(defun org-agent--status-parts ()
  "Return the parts of the header line that tell the state of this chat."
  (let* ((turn (org-agent--live-turn))
         (asks (and turn (equal (org-agent--turn-state turn) "awaitingApproval")))
         (reason (and turn (org-agent--turn-reason turn)))
         (queued (length (org-agent--queued))))
    (delq nil
          (list
           (and org-agent--recording
                (org-agent--part "RECORDING" 20
                                 (format "Messages are recorded in %s.\nmouse-1: stop"
                                         org-agent--recording)
                                 'org-agent-record-traffic 'error))
           (and org-agent--server-state
                (org-agent--part (car org-agent--server-state) 40
                                 (cadr org-agent--server-state)
                                 'org-agent-doctor 'warning))
           (org-agent--part
            (org-agent--state-words) 20
            (cond (asks "A command waits for your decision.\nmouse-1: show all of it")
                  (t (concat (and reason (concat reason "\n"))
                             "mouse-1: what can be done")))
            (if asks 'org-agent-more 'org-agent-menu)
            (and asks 'warning))
           (and (< 0 queued)
                (org-agent--part (format "%d queued" queued) 16
                                 "Messages that wait for the turn under way.\n\
mouse-1: what can be done"
                                 'org-agent-menu))
           (org-agent--sandbox-part)))))

(defun org-agent--show-status ()
  "Show the state of this chat in its header line."
  (when (derived-mode-p 'org-agent-chat-mode)
    (setq org-agent--status
          (concat " " (string-join (org-agent--status-parts) " · ") " ·"))
    (org-agent--sign-begins)
    (force-mode-line-update)))

(defun org-agent--show-statuses ()
  "Show the state of each chat."
  (dolist (buffer (org-agent--chats))
    (with-current-buffer buffer
      (org-agent--show-status))))

(add-hook 'org-agent--state-hook #'org-agent--show-status)

(defun org-agent--status-begins ()
  "Give this chat's header line its state."
  (org-agent--show-status)
  ;; It is run when a window begins to show this buffer.
  (add-hook 'window-buffer-change-functions #'org-agent--sign-begins nil t))

(add-hook 'org-agent-chat-mode-hook #'org-agent--status-begins)

;;;; The server's word

(cl-defmethod org-agent--handle :extra "state" :after ((_ (eql :ready)) _params)
  "Ask whether commands are confined."
  (org-agent--request
   'orgAgent/capabilities '(:limit 1)
   (lambda (result)
     (when (plist-member result :confined)
       (org-agent--note-confined (org-agent--true-p (plist-get result :confined))
                                 (plist-get result :sandbox))))
   #'ignore))

(cl-defmethod org-agent--handle :extra "state" :after
  ((_ (eql 'orgAgent/actuate)) params)
  "Note whether the command of PARAMS is confined."
  (when (and (not org-agent--detached)
             (plist-member params :confined) (plist-get params :confined)
             (not (plist-get params :host)))
    (org-agent--note-confined (org-agent--true-p (plist-get params :confined))
                              (plist-get params :sandbox))))

(defun org-agent--note-confined (confined words)
  "Note that commands are CONFINED, or not; WORDS are the server's."
  (setq org-agent--confined confined
        org-agent--confined-words (and (stringp words) words))
  (org-agent--show-statuses))

(cl-defmethod org-agent--handle :extra "state" :after ((_ (eql :died)) _params)
  "Forget what a server said that is gone."
  (setq org-agent--confined 'unknown
        org-agent--confined-words nil)
  (org-agent--show-statuses))

;;;; What moves

(defvar org-agent--sign-timer nil
  "The timer of what moves, or nil if nothing does.")

(defconst org-agent--signs ["|" "/" "-" "\\"]
  "What is shown one after the other while a turn runs.")

(defvar org-agent--sign-at 0
  "Which of `org-agent--signs' is shown.")

(defun org-agent--moving-p (buffer)
  "Return non-nil if BUFFER has a turn under way."
  (with-current-buffer buffer
    (let ((turn (org-agent--live-turn)))
      (and turn (not (equal (org-agent--turn-state turn) "awaitingApproval"))))))

(defun org-agent--seen-p (buffer)
  "Return non-nil if BUFFER is in a window of a visible frame."
  (get-buffer-window buffer 'visible))

(defun org-agent--sign-begins (&rest _)
  "Let the sign move if there is a chat for that, else take it away."
  (unless (or org-agent--sign-timer
              (not (org-agent--moving-p (current-buffer)))
              (not (org-agent--seen-p (current-buffer))))
    (org-agent--sign-waits))
  (unless (org-agent--moving-p (current-buffer))
    (setq org-agent--sign "")))

(defun org-agent--sign-waits ()
  "Let the sign move after a moment, and then again and again."
  (setq org-agent--sign-timer (run-at-time 0.25 0.25 #'org-agent--sign-moves)))

(defun org-agent--sign-along (&rest _)
  "Let the sign move with what is drawn anyway, if its time is near."
  (when (and org-agent--sign-timer
             (> (timer-until org-agent--sign-timer (current-time)) -0.1))
    (cancel-timer org-agent--sign-timer)
    (org-agent--sign-waits)
    (org-agent--sign-moves)))

(add-hook 'org-agent--shown-hook #'org-agent--sign-along)

(defun org-agent--sign-moves ()
  "Show the next sign, or end if nobody would see it."
  (let ((buffers (seq-filter (lambda (buffer)
                               (and (org-agent--seen-p buffer)
                                    (org-agent--moving-p buffer)))
                             (org-agent--chats))))
    (if (not buffers)
        (progn
          (cancel-timer org-agent--sign-timer)
          (setq org-agent--sign-timer nil))
      (setq org-agent--sign-at (mod (1+ org-agent--sign-at)
                                    (length org-agent--signs)))
      (dolist (buffer buffers)
        (with-current-buffer buffer
          (setq org-agent--sign
                (concat " " (aref org-agent--signs org-agent--sign-at)))
          (force-mode-line-update))))))

;;;; Every mode line

(defvar org-agent--lighter ""
  "What every mode line shows of chats that are busy.")

(put 'org-agent--lighter 'risky-local-variable t)

(defun org-agent--busy (&optional but)
  "Return the chats that ask something and those that are busy, but not BUT.
It is a list of two lists of buffers."
  (let (asking busy)
    (dolist (buffer (remq but (org-agent--chats)))
      (with-current-buffer buffer
        (when-let ((turn (org-agent--live-turn)))
          (if (equal (org-agent--turn-state turn) "awaitingApproval")
              (push buffer asking)
            (push buffer busy)))))
    (list (nreverse asking) (nreverse busy))))

(defun org-agent--show-lighter (&optional but)
  "Show in every mode line which chats are busy, not minding the buffer BUT."
  (pcase-let ((`(,asking ,busy) (org-agent--busy but))
              (before org-agent--lighter))
    (setq org-agent--lighter
          (concat
           (when asking
             (concat
              (org-agent--part (if (cdr asking)
                                   (format "[%d chats ask you]" (length asking))
                                 "[a chat asks you]")
                               24 (org-agent--names asking) 'org-agent-go-to-busy
                               'warning)
              " "))
           (when busy
             (concat
              (org-agent--part (if (cdr busy)
                                   (format "[%d chats busy]" (length busy))
                                 "[chat busy]")
                               24 (org-agent--names busy) 'org-agent-go-to-busy)
              " "))))
    (unless (equal before org-agent--lighter)
      (force-mode-line-update t))))

(defun org-agent--names (buffers)
  "Return the names of BUFFERS, and what a click does."
  (concat (mapconcat (lambda (buffer)
                       (org-agent--one-line (buffer-name buffer) 60))
                     (seq-take buffers 10) "\n")
          "\nmouse-1: go there"))

(defun org-agent--leave-lighter ()
  "Let no mode line show this buffer, which is to be killed."
  (org-agent--show-lighter (current-buffer)))

(defun org-agent--lighter-begins ()
  "Let every mode line know when this chat is killed."
  (add-hook 'kill-buffer-hook #'org-agent--leave-lighter nil t))

;;;###autoload
(define-minor-mode org-agent-mode-line-mode
  "Show in every mode line which chats are busy, and which ask something.
A click there, or \\[org-agent-go-to-busy], goes there."
  :global t
  :group 'org-agent
  (cond
   ((and org-agent-mode-line-mode (memq 'org-agent--lighter
                                        (ensure-list global-mode-string)))
    (org-agent--show-lighter))
   (org-agent-mode-line-mode
    ;; A list that begins with a symbol would mean something else.
    (setq global-mode-string (append (ensure-list (or global-mode-string ""))
                                     '(org-agent--lighter)))
    (add-hook 'org-agent--state-hook #'org-agent--show-lighter)
    (add-hook 'org-agent-chat-mode-hook #'org-agent--lighter-begins)
    (dolist (buffer (org-agent--chats))
      (with-current-buffer buffer
        (org-agent--lighter-begins)))
    (org-agent--show-lighter))
   (t
    (setq global-mode-string (remq 'org-agent--lighter global-mode-string))
    (remove-hook 'org-agent--state-hook #'org-agent--show-lighter)
    (remove-hook 'org-agent-chat-mode-hook #'org-agent--lighter-begins)
    (dolist (buffer (org-agent--chats))
      (with-current-buffer buffer
        (remove-hook 'kill-buffer-hook #'org-agent--leave-lighter t)))
    (force-mode-line-update t))))

(defun org-agent-go-to-busy ()
  "Go to a chat that asks something, or else to one that is busy.
Once more, go to the next such chat."
  (interactive)
  (let* ((all (apply #'append (org-agent--busy)))
         (rest (cdr (memq (current-buffer) all))))
    (unless all
      (user-error "No chat is busy"))
    (pop-to-buffer (car (or rest all)))))

(provide 'org-agent-state)
;;; org-agent-state.el ends here
