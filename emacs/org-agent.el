;;; org-agent.el --- Chat with a model whose actions are verified  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The org-agent authors

;; Author: The org-agent authors
;; Version: 0.1.0
;; Package-Requires: ((emacs "28.1") (jsonrpc "1.0.14"))
;; Keywords: convenience, processes, outlines

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

;; M-x org-agent-chat opens an Org buffer.  Write under the last heading,
;; press C-c C-c, and the answer streams in below and is committed as an
;; Org subtree under your own words.
;;
;; This package is a client of the org-agent server, a program that asks
;; a language model for one action at a time, verifies it, and only then
;; sends it here.  What the client is, and is not:
;;
;; - The server disposes, Emacs carries out.  The client has no opinion
;;   about models, prompts or policies, and no option for them.
;;
;; - What a model wrote is data.  It is inserted as text or shown as
;;   text; it is never read, evaluated, expanded or used as a name.
;;
;; - Nothing blocks.  Every request is asynchronous, no message is
;;   handled inside a process filter, no question opens the minibuffer
;;   by itself.
;;
;; - What is not verified is not in the buffer.  It is shown by an
;;   overlay's string and leaves no trace.  What is verified is inserted
;;   by one recorded change: one undo step.
;;
;; - The user's place is theirs.  Positions are markers; point, windows
;;   and narrowing stay; text goes to the session that asked, wherever
;;   its buffer is.
;;
;; - A prompt is in the input area until the server has it for good, and
;;   text that the server has sent is inserted once, whatever dies
;;   between.
;;
;; - Emacs already has the user interface: Org's keys act as in Org,
;;   except where there is something to send, cancel or decide.
;;
;; The files, each of which uses only those above it:
;;
;;   org-agent-server   the process and the one line of its messages
;;   org-agent-shell    running one command
;;   org-agent-text     what stands in a buffer, and all changes of it
;;   org-agent-turn     what becomes of a turn
;;   org-agent-chat     the mode, sending, cancelling, coming back
;;   org-agent-literal  commands, shown as they are
;;   org-agent-card     what is shown of a command
;;   org-agent-approve  commands that the user is asked about
;;   org-agent-skills   the notes that shape the agent
;;   org-agent-trust    the notes that a project brings along
;;   org-agent          the commands to start from

;;; Code:

(require 'org-agent-chat)
(require 'org-agent-approve)
(require 'org-agent-skills)
(require 'org-agent-trust)

(defconst org-agent--chat-name "*org-agent-chat*"
  "The name of the chat buffer.")

;;;; Chat

;;;###autoload
(defun org-agent-chat (&optional new)
  "Open the chat with org-agent.
With prefix argument NEW, begin another chat.  What was said earlier
in the same chat is shown if the buffer was closed since."
  (interactive "P")
  (let ((buffer (get-buffer-create
                 ;; The server finds a chat by its name, so a new one needs
                 ;; a name that never was.
                 (if new (generate-new-buffer-name
                          (format-time-string "*org-agent-chat %F %T*"))
                   org-agent--chat-name))))
    (with-current-buffer buffer
      (unless (derived-mode-p 'org-agent-chat-mode)
        (org-agent-chat-mode)
        (goto-char (point-max))
        (unless (or new org-agent--session)
          (org-agent--reopen))
        (message "Write under the last heading; %s sends it"
                 (substitute-command-keys
                  "\\<org-mode-map>\\[org-ctrl-c-ctrl-c]")))
      (org-agent--ensure-input))
    (pop-to-buffer-same-window buffer)))

;;;###autoload
(defun org-agent-send-region (beg end)
  "Let the text between BEG and END go with the next message of the chat.
With a prefix argument, instead let nothing go with it.
Then write the message in the chat."
  (interactive "r")
  (let ((text (buffer-substring-no-properties beg end))
        (name (buffer-name))
        (mode (symbol-name major-mode)))
    (org-agent-chat)
    (if current-prefix-arg
        (org-agent--clear-context)
      (org-agent--add-context "region" name text mode))
    (goto-char (point-max))))

;;;; What was said earlier

(defun org-agent--reopen ()
  "Fill this new buffer with the session that the server has for it."
  (let ((buffer (current-buffer)))
    (org-agent--request
     'orgAgent/sessions/list
     (list :status "active" :buffer (buffer-name) :limit 1)
     (lambda (result)
       (seq-doseq (item (plist-get result :items))
         (let* ((session (plist-get item :id))
                (other (org-agent--buffer session)))
           (if (and other (not (eq other buffer)))
               (org-agent--give-way buffer other)
             (org-agent--take buffer session)))))
     (lambda (words _code)
       (message "org-agent: %s" words)))))

(defun org-agent--give-way (buffer other)
  "Show the chat OTHER in place of BUFFER, and kill BUFFER.
They are the same chat: OTHER was saved as a file, or renamed."
  (when (buffer-live-p buffer)
    (message "This chat is in `%s'" (buffer-name other))
    (with-current-buffer buffer
      (when (and (string-empty-p (org-agent--prompt))
                 (not org-agent--session)
                 (not org-agent--context))
        (dolist (window (get-buffer-window-list buffer nil t))
          (set-window-buffer window other))
        (kill-buffer buffer)))))

(defun org-agent--take (buffer session)
  "Fill BUFFER with SESSION unless another Emacs has it."
  (org-agent--request
   'orgAgent/sessions/resume
   (list :sessionId session :applied [] :turns [])
   (lambda (_result) (org-agent--read-messages buffer session nil nil))
   (lambda (words code)
     (message "org-agent: %s"
              (if (equal code "conflict")
                  "the chat is open in another Emacs; this is a new one"
                (concat "what was said is not shown: " words))))))

(defun org-agent--read-messages (buffer session cursor before)
  "Read the messages of SESSION from CURSOR on into BUFFER.
BEFORE holds those that were read already, newest first."
  (org-agent--request
   'orgAgent/sessions/messages
   `(:sessionId ,session :limit 500 ,@(and cursor (list :cursor cursor)))
   (lambda (result)
     (let ((all (append (reverse (plist-get result :items)) before))
           (next (plist-get result :nextCursor)))
       (if next
           (org-agent--read-messages buffer session next all)
         (when (buffer-live-p buffer)
           (with-current-buffer buffer
             (org-agent--rebuild session (reverse all)))))))
   (lambda (words _code)
     (message "org-agent: what was said is not shown: %s" words))))

(defun org-agent--rebuild (session messages)
  "Write MESSAGES of SESSION above the input area, unless there are some."
  (unless (or org-agent--session (org-agent--all "OA_EVENT"))
    (let ((text (org-agent--transcript messages))
          (heading (car (org-agent--ensure-input))))
      (org-agent--with-edit
        (save-excursion
          (goto-char heading)
          (insert text)
          (org-agent--fold heading (point))
          (org-agent--write-session session))))
    (org-agent--join session)
    (org-agent--resume)))

(defun org-agent--transcript (messages)
  "Return the text of a chat in which MESSAGES were said.
Each reply stands under its prompt."
  (let ((turns nil))
    (dolist (message messages)
      (let* ((metadata (plist-get message :metadata))
             (kind (plist-get metadata :kind))
             (place (assoc (plist-get metadata :turn) turns))
             (content (org-agent--line (plist-get message :content))))
        (cond
         ((equal kind "user")
          (push (list (plist-get metadata :turn)
                      (concat org-agent--user "\n"
                              (org-agent--drawer "OA_EVENT"
                                                 (plist-get message :id))
                              content))
                turns))
         ((org-agent--reply-p metadata)
          (setcdr (or place (car turns))
                  (append (cdr (or place (car turns)))
                          (list (concat org-agent--assistant "\n"
                                        (org-agent--drawer
                                         "OA_ACT" (plist-get metadata :actuation))
                                        content))))))))
    (mapconcat (lambda (turn) (string-join (cdr turn))) (reverse turns) "")))

(defun org-agent--reply-p (metadata)
  "Return non-nil if a message with METADATA is text for the buffer."
  (or (equal (plist-get metadata :kind) "system-error")
      (and (equal (plist-get metadata :kind) "action")
           (member (list (plist-get metadata :module)
                         (plist-get metadata :action))
                   '(("emacs" "insert-at-end") ("chat" "response"))))))

;;;; Server

(defun org-agent-restart ()
  "Start the server again.
What it had accepted is not lost; what was running is interrupted."
  (interactive)
  (org-agent--disconnect "the server is restarted")
  (org-agent--request 'orgAgent/sessions/list (list :limit 1)
                      (lambda (_result)
                        (message "org-agent: the server is there"))
                      (lambda (words _code)
                        (message "org-agent: %s" words))))

(defun org-agent-doctor ()
  "Show what is configured, what is reachable, and what to do next."
  (interactive)
  (let ((buffer (get-buffer-create "*org-agent doctor*")))
    (when (get-buffer-process buffer)
      (delete-process (get-buffer-process buffer)))
    (with-current-buffer buffer
      ;; The directory from which it was called may be gone, or remote.
      (setq default-directory (expand-file-name "~/"))
      (special-mode)
      (let ((inhibit-read-only t))
        (erase-buffer)))
    (let ((command (list (org-agent--executable) "doctor")))
      (with-current-buffer buffer
        (make-process :name "org-agent-doctor" :buffer buffer :noquery t
                      :command command
                      :connection-type 'pipe
                      :filter (lambda (process text)
                                (when (buffer-live-p (process-buffer process))
                                  (with-current-buffer (process-buffer process)
                                    (let ((inhibit-read-only t))
                                      (save-excursion
                                        (goto-char (point-max))
                                        (insert text))))))
                      :sentinel #'ignore)))
    (display-buffer buffer)))

;;;; Why

(defun org-agent-why ()
  "Show all that is behind the text of the agent at point.
At a prompt, show what has become of it since this Emacs knows it."
  (interactive)
  (let* ((id (org-entry-get (point) "OA_ACT" t))
         (event (org-entry-get (point) "OA_EVENT" t))
         (turn (seq-find (lambda (turn)
                           (and event (equal (org-agent--turn-event turn) event)))
                         (org-agent--turns-here))))
    (org-agent--request
     'orgAgent/why
     (cond (id (list :actuationId id))
           (turn (list :turnId (org-agent--turn-id turn)))
           (t (user-error "This text is not the agent's")))
     (lambda (result)
       (with-current-buffer (get-buffer-create "*org-agent why*")
         (let ((inhibit-read-only t))
           (erase-buffer)
           (insert (org-agent--outline result 0))
           (goto-char (point-min)))
         (special-mode)
         (display-buffer (current-buffer))))
     (lambda (words _code) (message "org-agent: %s" words)))))

(defun org-agent--outline (value depth)
  "Return VALUE, read from JSON, as text with an indentation of DEPTH."
  (let ((indent (make-string (* 2 depth) ?\s)))
    (cond
     ((null value) "-\n")
     ((eq value t) "yes\n")
     ((eq value :json-false) "no\n")
     ((numberp value) (format "%s\n" value))
     ((stringp value)
      (if (string-search "\n" value)
          (concat "\n" (replace-regexp-in-string "^" (concat indent "| ") value)
                  "\n")
        (concat value "\n")))
     ((vectorp value)
      (concat "\n" (mapconcat (lambda (item)
                                (concat indent "- "
                                        (string-trim-left
                                         (org-agent--outline item (1+ depth)))))
                              value "")))
     (t
      (concat "\n" (cl-loop for (key item) on value by #'cddr
                            concat (format "%s%s: %s" indent
                                           (substring (symbol-name key) 1)
                                           (org-agent--outline
                                            item (1+ depth)))))))))

(provide 'org-agent)
;;; org-agent.el ends here
