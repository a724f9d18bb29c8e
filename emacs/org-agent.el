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
;;   about models, prompts or policies, and no option for them; but it
;;   hands keys over from auth-source, and lets the user choose.
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
;;   org-agent-table    hash tables in the order of their entries
;;   org-agent-secrets  keys from auth-source
;;   org-agent-wire     the messages, as they come over the line
;;   org-agent-program  finding the server
;;   org-agent-server   the process and the one line of its messages
;;   org-agent-shell    running one command
;;   org-agent-area     how much of a buffer a session has
;;   org-agent-text     what stands in a buffer, and all changes of it
;;   org-agent-marks    prompts and replies under their marks
;;   org-agent-preview  what is shown in a buffer and is no text
;;   org-agent-part     texts that can be clicked
;;   org-agent-turn     what becomes of a turn
;;   org-agent-context  what goes along with a message
;;   org-agent-chat     the mode, sending, cancelling, coming back
;;   org-agent-history  inputs, to be said again
;;   org-agent-queue    messages that wait their turn
;;   org-agent-sessions coming back to what was said, and branching from it
;;   org-agent-seen     what the user has seen
;;   org-agent-again    answering again: variants, retry, edited prompts
;;   org-agent-steer    words to a running turn
;;   org-agent-why      what is behind a turn, and what would be sent
;;   org-agent-suggest  what is offered after a reply
;;   org-agent-models   which model answers, and what that took
;;   org-agent-literal  commands, shown as they are
;;   org-agent-card     what is shown of a command
;;   org-agent-drawer   what a turn did, folded
;;   org-agent-approve  commands that the user is asked about
;;   org-agent-subtree  the chats of subtrees, and where they are
;;   org-agent-here     a chat in a subtree of any Org buffer
;;   org-agent-open     getting to a session, wherever it is
;;   org-agent-links    links and bookmarks to sessions
;;   org-agent-outline  the turns of a chat as its outline
;;   org-agent-side     a chat in a side window
;;   org-agent-capture  capturing from and into chats, and export
;;   org-agent-explain  what an error means, and what to do
;;   org-agent-state    what a chat is doing, in sight
;;   org-agent-notify   telling the desktop that a chat is done
;;   org-agent-revive   starting the server again when it died
;;   org-agent-doctor   what is configured, and what to do
;;   org-agent-run      running a program for its answer
;;   org-agent-config   what is configured, and changing it
;;   org-agent-fetch    fetching one file
;;   org-agent-install  installing the server, step by step
;;   org-agent-installer  installing, going back, removing
;;   org-agent-traffic  recording what passes, for bug reports
;;   org-agent-replay   showing what was recorded
;;   org-agent-menu     menus and keys
;;   org-agent-skills   the notes that shape the agent
;;   org-agent-trust    the notes that a project brings along
;;   org-agent-rows     the rows of the list of sessions
;;   org-agent-listing  that list, page by page
;;   org-agent-search   searching and narrowing it
;;   org-agent-keeping  what is done with sessions there
;;   org-agent-export   exporting and deleting sessions
;;   org-agent-browser  the list's keys
;;   org-agent-files    the files below a directory
;;   org-agent-complete completion in the input area
;;   org-agent          the commands to start from
;;   org-agent-replacement  new text for a region, shown and put there
;;   org-agent-rewriting    the turns of rewrites
;;   org-agent-rewrite      rewriting a region in place, when first used
;;   org-agent-transient  the menu, loaded when it is asked for

;;; Code:

(require 'org-agent-history)
(require 'org-agent-queue)
(require 'org-agent-sessions)
(require 'org-agent-seen)
(require 'org-agent-models)
(require 'org-agent-capture)
(require 'org-agent-outline)
(require 'org-agent-notify)
(require 'org-agent-revive)
(require 'org-agent-doctor)
(require 'org-agent-installer)
(require 'org-agent-replay)
(require 'org-agent-menu)
(require 'org-agent-skills)
(require 'org-agent-trust)
(require 'org-agent-steer)
(require 'org-agent-suggest)
(require 'org-agent-browser)
(require 'org-agent-complete)

(declare-function dired-get-marked-files "dired")

;;;; Chat

;;;###autoload
(defun org-agent-chat (&optional new)
  "Open the chat with org-agent.
With prefix argument NEW, begin another chat.  What was said earlier
in the same chat is shown if the buffer was closed since."
  (interactive "P")
  (pop-to-buffer-same-window (org-agent--chat-buffer new)))

;;;; What goes along with a message

;;;###autoload
(defun org-agent-send-region (beg end)
  "Let the text between BEG and END go with the next message of the chat.
With a prefix argument, instead let nothing go with it.
Then write the message in the chat."
  (interactive (if current-prefix-arg (list nil nil)
                 (list (region-beginning) (region-end))))
  (let ((text (and beg (buffer-substring-no-properties beg end)))
        (name (buffer-name))
        (mode (symbol-name major-mode))
        (file (org-agent--file-here)))
    (org-agent-chat)
    (if text (org-agent--add-context "region" name text mode file)
      (org-agent--clear-context))
    (goto-char (point-max))))

(defmacro org-agent--with-chat (&rest body)
  "Run BODY in the chat that was used last, and say that things go with it.
In a chat, or in the subtree of one, that is this one; without any, it
is made, and not shown."
  (declare (indent 0) (debug t))
  `(with-current-buffer
       (cond ((derived-mode-p 'org-agent-chat-mode) (current-buffer))
             ((org-agent--subtree-chat))
             ((org-agent--recent-chat))
             (t (save-window-excursion (org-agent-chat) (current-buffer))))
     ,@body
     (message "%d to go with your next message in %s"
              (length org-agent--context) (buffer-name))))

;;;###autoload
(defun org-agent-add-region (beg end)
  "Let the text between BEG and END go with the next message of the chat.
This window stays as it is; `org-agent-send-region' shows the chat."
  (interactive "r")
  (let ((text (buffer-substring-no-properties beg end))
        (name (buffer-name))
        (mode (symbol-name major-mode))
        (file (org-agent--file-here)))
    (when (string-blank-p text)
      (user-error "There is nothing in the region"))
    (org-agent--with-chat
      (org-agent--add-context "region" name text mode file))))

;;;###autoload
(defun org-agent-add-buffer (buffer)
  "Let the text of BUFFER go with the next message of the chat.
It is taken when the message is sent."
  (interactive (list (if (derived-mode-p 'org-agent-chat-mode)
                         (read-buffer "Send along the buffer: " (other-buffer) t)
                       (current-buffer))))
  (let ((buffer (get-buffer buffer)))
    (org-agent--with-chat
      (org-agent--add-chip (org-agent--buffer-chip buffer)))))

;;;###autoload
(defun org-agent-add-file (files)
  "Let FILES, names or one name, go with the next message of the chat.
They are read when the message is sent.  In Dired, these are the marked
files or the one at point."
  (interactive
   (list (if (derived-mode-p 'dired-mode) (dired-get-marked-files)
           (read-file-name "Send along the file: " nil nil t
                           (and (buffer-file-name)
                                (file-name-nondirectory (buffer-file-name)))))))
  (let ((files (mapcar (lambda (file)
                         (if (file-remote-p file) file
                           (file-name-unquote (expand-file-name file))))
                       (ensure-list files))))
    (org-agent--with-chat
      (dolist (file files)
        (let* ((chip (org-agent--file-chip file (org-agent--file-called file)))
               (source (org-agent--chip-source chip))
               (problem (and (stringp source) (org-agent--file-problem source))))
          (when problem
            (user-error "`%s' is not added: %s" file problem))
          (org-agent--add-chip chip))))))

(defun org-agent--file-called (file)
  "Return how FILE is called in this chat: as seen from its directory."
  (let ((here (expand-file-name default-directory)))
    (cond ((string-prefix-p here file) (substring file (length here)))
          ((file-remote-p file) file)
          (t (abbreviate-file-name file)))))

;;;###autoload
(defun org-agent-add-note ()
  "Let the Org subtree at point go with the next message of the chat."
  (interactive)
  (unless (derived-mode-p 'org-mode)
    (user-error "There are no notes here; this is no Org buffer"))
  (let* ((file (org-agent--file-here))
         (note (save-excursion
                 (condition-case nil (org-back-to-heading t)
                   (error (user-error "Point is in no subtree")))
                 (let ((beg (point)))
                   (cons (org-get-heading t t t t)
                         (buffer-substring-no-properties
                          beg (progn (org-end-of-subtree t t) (point))))))))
    (org-agent--with-chat
      (org-agent--add-context "note" (substring-no-properties (car note))
                              (cdr note) "org-mode" file))))

;;;; Rewriting

(autoload 'org-agent-rewrite "org-agent-rewrite"
  "Have the region rewritten in place, as you say." t)

(provide 'org-agent)
;;; org-agent.el ends here
