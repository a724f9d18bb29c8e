;;; org-agent-menu.el --- Menus and keys of org-agent  -*- lexical-binding: t; -*-

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

;; All that can be done, by one table: a keymap that the user may bind, a
;; menu in the menu bar of a chat, and what a click with the right button
;; offers there.  The transient menu, \\[org-agent-menu], is made of the
;; same table, in a file that is loaded when it is first asked for.
;;
;; A command that is not there has no key and no entry.  Nothing is bound
;; outside of chats: in an init file, one line gives the keys a place,
;;
;;   (global-set-key (kbd "C-c o") \\='org-agent-command-map)

;;; Code:

(require 'easymenu)
(require 'org-agent-approve)
(require 'org-agent-subtree)
(require 'org-agent-explain)

(defvar context-menu-functions)

;;;; The table

(defun org-agent--chat-p ()
  "Return non-nil if point is in a chat, or in the subtree of one."
  (or (derived-mode-p 'org-agent-chat-mode)
      (org-agent--subtree-chat)))

(defun org-agent--card-in-sight ()
  "Return the card that waits for a decision in the chat at point, or nil."
  (or (org-agent--card-here)
      (when-let ((chat (org-agent--subtree-chat)))
        (with-current-buffer chat
          (org-agent--card-here)))))

(defconst org-agent--menu-groups
  '(("Chat" always
     ("c" "Open the chat" org-agent-chat)
     ("h" "Chat of this subtree" org-agent-chat-here)
     ("o" "Chat beside this window" org-agent-chat-side)
     ("r" "Send the region along" org-agent-send-region)
     ("+ r" "Add the region" org-agent-add-region)
     ("+ b" "Add a buffer" org-agent-add-buffer)
     ("+ f" "Add a file" org-agent-add-file)
     ("+ n" "Add a note" org-agent-add-note)
     ("+ s" "Show what goes along" org-agent-show-context)
     ("+ k" "Take something back" org-agent-remove-context)
     ("x" "Rewrite the region" org-agent-rewrite))
    ("Turn" org-agent--chat-p
     ("RET" "Send" org-agent-send)
     ("d" "Show what would be sent" org-agent-dry-run)
     ("i" "Steer" org-agent-steer)
     ("k" "Cancel" org-agent-cancel)
     ("K" "Cancel what is queued" org-agent-cancel-queued)
     ("Q" "Edit what is queued" org-agent-edit-queued)
     ("g" "Answer again" org-agent-regenerate)
     ("n" "Next variant" org-agent-next-variant)
     ("p" "Previous variant" org-agent-previous-variant)
     ("M" "Edit this prompt" org-agent-edit-turn)
     ("." "What is offered" org-agent-suggest)
     ("]" "Next turn" org-agent-next-turn)
     ("[" "Previous turn" org-agent-previous-turn)
     ("t" "Unfold thoughts" org-agent-toggle-thought)
     ("f" "Unfold what it did" org-agent-toggle-card)
     ("R" "Run what was interrupted" org-agent-retry)
     ("E" "Explain the error" org-agent-explain)
     ("A" "Ask the same again" org-agent-ask-again))
    ("Command that waits" org-agent--card-in-sight
     ("y" "Run it" org-agent-approve)
     ("u" "Run it with network" org-agent-approve-network)
     ("a" "Always run such" org-agent-approve-always)
     ("e" "Edit it" org-agent-edit-command)
     ("N" "Deny it" org-agent-deny-why)
     ("v" "Show all of it" org-agent-more)
     ("V" "Why it is asked" org-agent-card-why))
    ("Session" always
     ("s" "All sessions" org-agent-sessions)
     ("/" "Search sessions" org-agent-sessions-search)
     ("W" "Export" org-agent-export)
     ("b" "Branch from here" org-agent-branch)
     ("B" "Write it anew" org-agent-rebuild)
     ("O" "Show long output" org-agent-show-output))
    ("Model" always
     ("m" "Choose the model" org-agent-model))
    ("Skills" always
     ("S s" "All skills" org-agent-skills)
     ("S v" "Show one" org-agent-skill-show)
     ("S n" "Write one" org-agent-skill-new)
     ("S c" "Check" org-agent-skill-check)
     ("S t" "Test" org-agent-skill-test)
     ("S y" "Trust a project's" org-agent-skill-trust))
    ("Server" always
     ("X" "Restart it" org-agent-restart)
     ("C" "Show the configuration" org-agent-config)
     ("F" "Edit the configuration" org-agent-config-edit)
     ("I i" "Install one" org-agent-install-server)
     ("I k" "Give that up" org-agent-install-cancel)
     ("I b" "Back to the one before" org-agent-restore-server)
     ("I r" "Remove what is installed" org-agent-remove-server))
    ("Help" always
     ("w" "Why this text" org-agent-why)
     ("G" "Go to what is busy" org-agent-go-to-busy)
     ("D" "Doctor" org-agent-doctor)
     ("T" "Record traffic" org-agent-record-traffic)
     ("P" "Replay traffic" org-agent-replay-traffic)))
  "What can be done: groups (NAME WHERE ENTRY...).
WHERE is a function that says whether a group is offered.  An ENTRY is
a list (KEY LABEL COMMAND); it is offered if there is such a command.")

;;;; The map

;;;###autoload (autoload 'org-agent-command-map "org-agent" nil nil 'keymap)
(defvar org-agent-command-map (make-sparse-keymap)
  "What can be done, by keys.  It is bound to none.")

;; A keymap that is named by a symbol can be loaded when it is used.
(fset 'org-agent-command-map org-agent-command-map)

(defun org-agent--there (command)
  "Return COMMAND if there is such a command."
  (and (commandp command) command))

(defun org-agent--menu-each (function)
  "Call FUNCTION with each group's name and where, and an entry's three."
  (pcase-dolist (`(,name ,where . ,entries) org-agent--menu-groups)
    (pcase-dolist (`(,key ,label ,command) entries)
      (funcall function name where key label command))))

(org-agent--menu-each
 (lambda (_name _where key label command)
   (define-key org-agent-command-map (kbd key)
     `(menu-item ,label ,command :filter org-agent--there))))

(define-key org-agent-command-map (kbd "SPC") '("Menu" . org-agent-menu))

(defvar org-agent-variant-map
  (let ((map (make-sparse-keymap)))
    (define-key map "n" 'org-agent-next-variant)
    (define-key map "p" 'org-agent-previous-variant)
    map)
  "Keys that repeat with `repeat-mode' after one variant was shown.")

(dolist (command '(org-agent-next-variant org-agent-previous-variant))
  (put command 'repeat-map 'org-agent-variant-map))

;;;; The menu bar

(defun org-agent--menu-bar ()
  "Return the menu of a chat, for `easy-menu-define'."
  (cons
   "Org-Agent"
   (mapcar
    (pcase-lambda (`(,name ,where . ,entries))
      `(,name
        :visible ,(if (eq where 'always) t (list where))
        ,@(mapcar (pcase-lambda (`(,_key ,label ,command))
                    `[,label ,command :visible (commandp ',command)
                             :active ,(if (eq command 'org-agent-cancel)
                                          '(org-agent--live-turn)
                                        t)])
                  entries)))
    org-agent--menu-groups)))

(easy-menu-define org-agent-chat-menu org-agent-chat-mode-map
  "The menu of a chat."
  (org-agent--menu-bar))

;;;; The context menu

(defconst org-agent--context-entries
  '((org-agent-why "Why This Text" always)
    (org-agent-explain "Explain This Error" org-agent--error-here)
    (org-agent-branch "Branch From Here" org-agent--chat-p)
    (org-agent-regenerate "Answer Again" org-agent--chat-p)
    (org-agent-toggle-thought "Unfold Thoughts" org-agent--chat-p)
    (org-agent-toggle-card "Unfold What the Turn Did" org-agent--deeds-here)
    (org-agent-more "Show the Command That Waits" org-agent--card-here)
    (org-agent-card-why "Why This Command" org-agent--card-here)
    (org-agent-cancel "Cancel the Turn" org-agent--live-turn)
    (org-agent-menu "More..." always))
  "What a click offers in a chat: lists (COMMAND LABEL WHERE).
WHERE is a function that is called where the click was.")

(defun org-agent--context-menu (menu click)
  "Add to MENU what can be done where CLICK was, for `context-menu-mode'."
  (let* ((start (event-start click))
         (place (posn-point start)))
    (define-key-after menu [org-agent-separator] menu-bar-separator)
    (pcase-dolist (`(,command ,label ,where) org-agent--context-entries)
      (when (and (commandp command)
                 (or (eq where 'always)
                     (save-excursion
                       (when (integer-or-marker-p place) (goto-char place))
                       (funcall where))))
        (define-key-after menu (vector command)
          `(menu-item ,label ,(lambda ()
                                (interactive)
                                (posn-set-point start)
                                (call-interactively command)))))))
  menu)

(defun org-agent--menus-begin ()
  "Let a click with the right button offer what can be done in this chat."
  (add-hook 'context-menu-functions #'org-agent--context-menu 50 t))

(add-hook 'org-agent-chat-mode-hook #'org-agent--menus-begin)

(autoload 'org-agent-menu "org-agent-transient"
  "All that can be done with org-agent." t)

(provide 'org-agent-menu)
;;; org-agent-menu.el ends here
