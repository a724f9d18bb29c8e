;;; org-agent-replay.el --- Showing what was recorded  -*- lexical-binding: t; -*-

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

;; `org-agent-replay-traffic' plays the server's side of a file that
;; `org-agent-record-traffic' made: what the reporter saw, in a chat of
;; its own, without a server.
;;
;; The file may be anybody's.  Only messages that show something are
;; played, under identifiers of their own; nothing is sent, so that no
;; command can be decided or run, and no command counts as allowed.  Each
;; line is read when it is its turn, as data.
;;
;; What stood in the chat before the recording began is not there.

;;; Code:

(require 'org-agent-traffic)
(require 'org-agent-models)

(defconst org-agent--replay-limit (* 2 org-agent--record-limit)
  "How many bytes a file has at most that is played.")

(defconst org-agent--replay-chats 20
  "How many sessions of a file are played at most.")

(defconst org-agent--replay-longest 3
  "Seconds that are waited for the next message at most.")

(defvar org-agent--replay-count 0
  "How many files were played.")

(cl-defstruct (org-agent--replay (:copier nil) (:constructor org-agent--make-replay))
  "A file that is being played."
  name prefix
  lines ; a buffer with what was not played yet
  (played 0)
  at ; when the last message came, in seconds since the recording began
  timer
  (chats (make-hash-table :test #'equal)) ; buffers by session
  (asked (make-hash-table)) ; prompts that were sent, by number
  first) ; the chat that is shown

(defvar-local org-agent--replay nil
  "What is played in this chat, or nil.")

(defvar-local org-agent--replay-line ""
  "What the header line of this chat shows of what is played.")

(put 'org-agent--replay-line 'risky-local-variable t)

;;;; Reading

(defun org-agent--replay-next (replay)
  "Return the next message of REPLAY, or nil if there is none.
What is no message is left out."
  (let (entry)
    (when (buffer-live-p (org-agent--replay-lines replay))
      (with-current-buffer (org-agent--replay-lines replay)
        (while (and (not entry) (not (eobp)))
          (let ((line (buffer-substring-no-properties (point) (line-end-position))))
            (forward-line 1)
            (setq entry (ignore-errors
                          (let ((json-object-type 'plist) (json-array-type 'vector)
                                (json-false :json-false) (json-null nil))
                            (if (json-available-p)
                                (json-parse-string line :object-type 'plist
                                                   :null-object nil
                                                   :false-object :json-false)
                              (json-read-from-string line)))))
            (unless (and (listp entry) (stringp (plist-get entry :kind))
                         (numberp (plist-get entry :t)))
              (setq entry nil))))))
    entry))

(defun org-agent--replay-own (value prefix)
  "Return VALUE with identifiers that begin with PREFIX."
  (cond
   ((vectorp value)
    (vconcat (mapcar (lambda (part) (org-agent--replay-own part prefix)) value)))
   ((keywordp (car-safe value))
    (let (own)
      (while value
        (let* ((key (pop value))
               (part (pop value)))
          (push key own)
          (push (if (and (stringp part)
                         (memq key '(:sessionId :turnId :actuationId :eventId)))
                    (concat prefix part)
                  (org-agent--replay-own part prefix))
                own)))
      (nreverse own)))
   (t value)))

;;;; Playing

(defun org-agent--replay-chat (replay session)
  "Return the chat of SESSION in REPLAY, or nil if there are too many."
  (let ((chats (org-agent--replay-chats replay)))
    (or (let ((buffer (gethash session chats)))
          (and (buffer-live-p buffer) buffer))
        (and (stringp session)
             (< (hash-table-count chats) org-agent--replay-chats)
             (puthash session
                      (if (zerop (hash-table-count chats))
                          (org-agent--replay-first replay)
                        (org-agent--replay-buffer replay))
                      chats)))))

(defun org-agent--replay-buffer (replay)
  "Return a new chat for REPLAY, which sends nothing."
  (with-current-buffer (generate-new-buffer
                        (format "*org-agent replay: %s*"
                                (org-agent--replay-name replay)))
    ;; Before the mode asks for anything.
    (setq org-agent--detached 'silent
          default-directory (expand-file-name "~/"))
    (org-agent-chat-mode)
    (org-agent--ensure-input)
    (setq org-agent--detached t
          org-agent--replay replay
          header-line-format '("" org-agent--replay-line org-agent--sign
                               org-agent--status))
    (add-hook 'kill-buffer-hook #'org-agent--replay-pause nil t)
    (current-buffer)))

(defun org-agent--replay-play (replay entry)
  "Show what is to be seen of ENTRY, a message of REPLAY."
  (let* ((body (org-agent--replay-own (plist-get entry :body)
                                      (org-agent--replay-prefix replay)))
         (method (plist-get entry :method))
         (number (plist-get entry :number)))
    (pcase (list (plist-get entry :direction) (plist-get entry :kind))
      (`("out" "request")
       (when (and (equal method "orgAgent/event") (natnump number))
         (puthash number (plist-get body :text) (org-agent--replay-asked replay))))
      (`("in" "result")
       (when (and (equal method "orgAgent/event") (natnump number))
         (let ((text (gethash number (org-agent--replay-asked replay))))
           (remhash number (org-agent--replay-asked replay))
           (when (and (stringp text) (stringp (plist-get body :turnId))
                      (stringp (plist-get body :eventId)))
             (org-agent--replay-in
              replay body
              (lambda () (org-agent--replay-prompt text body)))))))
      (`("in" ,(or "notification" "request"))
       (when-let ((handled (assoc method
                                  '(("orgAgent/turn" . orgAgent/turn)
                                    ("orgAgent/delta" . orgAgent/delta)
                                    ("orgAgent/thought" . orgAgent/thought)
                                    ("orgAgent/retract" . orgAgent/retract)
                                    ("orgAgent/actuate" . orgAgent/actuate)))))
         (org-agent--replay-in
          replay body
          (lambda ()
            (org-agent--handle (cdr handled) (org-agent--replay-harmless body)))))))))

(defun org-agent--replay-harmless (body)
  "Return BODY, which permits nothing any more."
  (if (not (plist-member body :decision)) body
    (plist-put (plist-put (copy-sequence body) :decision "ask") :token nil)))

(defun org-agent--replay-prompt (text result)
  "Write the prompt TEXT, that was acknowledged by RESULT, into this chat."
  (org-agent--acknowledged (current-buffer)
                           (org-agent--make-pending :text text :context [])
                           result))

(defun org-agent--replay-in (replay body function)
  "Call FUNCTION in the chat of REPLAY that BODY belongs to."
  (let* ((turn (org-agent--turn (plist-get body :turnId)))
         (session (or (plist-get body :sessionId)
                      (and turn (org-agent--turn-session turn))))
         (buffer (and session (org-agent--replay-chat replay session))))
    (when buffer
      (with-current-buffer buffer
        (let ((org-agent--detached 'silent))
          (unless (equal org-agent--session session)
            (org-agent--join session))
          (org-agent--guarded function)
          (org-agent--handle :drained nil))))))

(defun org-agent--replay-step (replay)
  "Play the next message of REPLAY; return it, or nil if there is none."
  (let ((entry (org-agent--replay-next replay)))
    (when entry
      (cl-incf (org-agent--replay-played replay))
      (setf (org-agent--replay-at replay) (plist-get entry :t))
      (org-agent--guarded (lambda () (org-agent--replay-play replay entry))))
    (org-agent--replay-tell replay (if entry (or (plist-get entry :method)
                                                 (plist-get entry :kind))
                                     "the end"))
    entry))

(defun org-agent--replay-tell (replay what)
  "Let the chats of REPLAY say where it is; WHAT is the last message."
  (let ((line (concat
               " "
               (org-agent--part (format "REPLAY %d" (org-agent--replay-played replay))
                                20 "What was recorded is shown; there is no server."
                                'org-agent-replay-step 'warning)
               " "
               (org-agent--one-line (if (stringp what) what "?") 40) " · "
               (org-agent--part "[step]" 10 "Play the next message."
                                'org-agent-replay-step)
               " "
               (if (org-agent--replay-timer replay)
                   (org-agent--part "[pause]" 10 "Stop playing." 'org-agent-replay-pause)
                 (org-agent--part "[play]" 10 "Play on." 'org-agent-replay-play))
               " ·")))
    (dolist (buffer (cons (org-agent--replay-first replay)
                          (org-agent--values (org-agent--replay-chats replay))))
      (when (buffer-live-p buffer)
        (with-current-buffer buffer
          (setq org-agent--replay-line line)
          (force-mode-line-update))))))

(defun org-agent--replay-on (replay)
  "Play the next message of REPLAY, and the others in their time."
  (setf (org-agent--replay-timer replay) nil)
  (let ((before (or (org-agent--replay-at replay) 0)))
    (when (buffer-live-p (org-agent--replay-first replay))
      (if-let ((entry (org-agent--replay-step replay)))
          (org-agent--replay-later replay (- (plist-get entry :t) before))
        (message "org-agent: all of it was played")))))

(defun org-agent--replay-later (replay seconds)
  "Play the next message of REPLAY after SECONDS, or some less."
  (setf (org-agent--replay-timer replay)
        (run-at-time (max 0 (min seconds org-agent--replay-longest)) nil
                     #'org-agent--replay-on replay))
  (org-agent--replay-tell replay "playing"))

(defun org-agent--replay-pause ()
  "Stop what is played in this chat."
  (when-let* ((replay org-agent--replay)
              (timer (org-agent--replay-timer replay)))
    (cancel-timer timer)
    (setf (org-agent--replay-timer replay) nil)))

;;;; Commands

;;;###autoload (autoload 'org-agent-replay-traffic "org-agent" "Show what was recorded in FILE in a chat of its own, without a server." t)
(defun org-agent-replay-traffic (file &optional step)
  "Show what was recorded in FILE in a chat of its own, without a server.
With prefix argument STEP, wait for \\[org-agent-replay-step] before each
message."
  (interactive "fShow what was recorded in: \nP")
  (when (< org-agent--replay-limit
           (or (file-attribute-size (file-attributes file)) 0))
    (user-error "The file is larger than any that was recorded"))
  (let* ((lines (generate-new-buffer " *org-agent replay*"))
         (replay (org-agent--make-replay
                  :name (org-agent--one-line (file-name-nondirectory file) 60)
                  :prefix (format "replay-%d-" (cl-incf org-agent--replay-count))
                  :lines lines))
         (chat (org-agent--replay-buffer replay)))
    (setf (org-agent--replay-first replay) chat)
    (with-current-buffer lines
      (let ((coding-system-for-read 'utf-8-unix))
        (insert-file-contents file))
      (goto-char (point-min)))
    (with-current-buffer chat
      (add-hook 'kill-buffer-hook (lambda () (kill-buffer lines)) nil t))
    (unless (with-current-buffer lines
              (looking-at-p "{\"org-agent-traffic\":1[,}]"))
      (kill-buffer chat)
      (user-error "This is no file that `org-agent-record-traffic' made"))
    (pop-to-buffer chat)
    (if step (org-agent--replay-tell replay "not begun")
      (org-agent--replay-later replay 0))))

(defun org-agent--replay-here ()
  "Return what is played in this chat, or fail."
  (or org-agent--replay (user-error "Nothing that was recorded is shown here")))

(defun org-agent-replay-step ()
  "Play the next message in this chat."
  (interactive nil org-agent-chat-mode)
  (let ((replay (org-agent--replay-here)))
    (org-agent--replay-pause)
    (unless (org-agent--replay-step replay)
      (message "org-agent: all of it was played"))))

(defun org-agent-replay-play ()
  "Play on in this chat, each message in its time."
  (interactive nil org-agent-chat-mode)
  (org-agent--replay-later (org-agent--replay-here) 0))

(defun org-agent-replay-pause ()
  "Stop playing in this chat."
  (interactive nil org-agent-chat-mode)
  (let ((replay (org-agent--replay-here)))
    (org-agent--replay-pause)
    (org-agent--replay-tell replay "paused")))

(provide 'org-agent-replay)
;;; org-agent-replay.el ends here
