;;; org-agent-capture.el --- Capturing from and into chats, and export  -*- lexical-binding: t; -*-

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

;; Functions for `org-capture-templates': a target that is the input area
;; of the last chat, the region as it can stand there, and the reply at
;; point as it can stand in notes.  The manual has templates.
;;
;; Org expands what such functions return once more, and asks or moves
;; point because of it.  So a zero width space, which is Org's own escape
;; character, stands where it would.  In notes the text of a model is a
;; source block with Org's commas: nothing in it is a heading or acts.
;;
;; And M-x org-agent-export: the server's record as a file.

;;; Code:

(require 'org-agent-links)
(require 'org-agent-side)

(defvar org-export-with-broken-links)
(declare-function org-capture-get "org-capture" (prop &optional local))

;;;; Capture

(defvar org-agent--captured nil
  "The chat into which was captured last.")

(defun org-agent--inert (text)
  "Return TEXT without what a capture template would expand."
  (replace-regexp-in-string "%\\([?^\\\\]\\)" "%\u200b\\1"
                            (substring-no-properties text)))

;;;###autoload (autoload 'org-agent-capture-input "org-agent" "Go to the end of the input area of the last chat, a target for captures.")
(defun org-agent-capture-input ()
  "Go to the end of the input area of the last chat, a target for captures."
  (set-buffer (setq org-agent--captured
                    (or (org-agent--recent-chat) (org-agent--chat-buffer))))
  (widen)
  (let ((text (cdr (org-agent--ensure-input))))
    (goto-char (save-restriction (org-agent--widen) (point-max)))
    (skip-chars-backward " \t\n" text)
    (unless (bolp)
      (end-of-line)
      (if (eobp) (org-agent--with-edit (save-excursion (goto-char (point-max))
                                                       (insert "\n"))))
      (forward-line 1))))

;;;###autoload (autoload 'org-agent-capture-region "org-agent" "Return the region that a capture was begun with, as it can be in a prompt.")
(defun org-agent-capture-region ()
  "Return the region that a capture was begun with, as it can be in a prompt."
  (let ((text (org-capture-get :initial)))
    (if (and (stringp text) (not (string-blank-p text)))
        (org-agent--inert (org-agent--line text))
      "")))

;;;###autoload (autoload 'org-agent-capture-reply "org-agent" "Return the prompt or reply at point, as it can be in notes.")
(defun org-agent-capture-reply ()
  "Return the prompt or reply at point, as it can be in notes."
  (let ((buffer (org-capture-get :original-buffer)))
    (with-current-buffer (if (buffer-live-p buffer) buffer (current-buffer))
      (let ((text (or (org-agent--text-here)
                      (user-error "There is no prompt or reply of a chat here"))))
        (concat "#+begin_src org\n"
                (org-agent--inert (org-agent--line
                                   (org-escape-code-in-string text)))
                "#+end_src\n")))))

(defun org-agent--text-here ()
  "Return the text of the prompt or reply around point, or nil."
  (when-let ((mark (org-agent--turn-at-point)))
    (save-excursion
      (save-restriction
        (widen)
        (goto-char (or (org-agent--find "OA_ACT" mark)
                       (org-agent--find "OA_EVENT" mark)))
        (re-search-backward "^\\*+ ")
        (let ((level (skip-chars-forward "*")))
          (goto-char (or (re-search-forward "^[ \t]*:END:[ \t]*\n" nil t) (point)))
          (buffer-substring-no-properties
           (point)
           (let ((case-fold-search nil))
             (if (re-search-forward
                  (format "^\\(?:\\*\\{1,%d\\} \\|\\*+ ASSISTANT[ \t]*\n[ \t]*:PROP\\)" level)
                  nil t)
                 (match-beginning 0)
               (point-max)))))))))

;;;###autoload (autoload 'org-agent-capture-send "org-agent" "Send what was captured into a chat.")
(defun org-agent-capture-send ()
  "Send what was captured into a chat.
It is for `:after-finalize' of a template, which Org 9.6 has, or for
`org-capture-after-finalize-hook'."
  (let ((chat org-agent--captured))
    (setq org-agent--captured nil)
    (when (and chat (buffer-live-p chat)
               (not (bound-and-true-p org-note-abort)))
      (with-current-buffer chat
        (org-agent-send)))))

;;;; Export

(defun org-agent--export-begins ()
  "Let Org export this chat whatever links were written in it."
  (setq-local org-export-with-broken-links 'mark))

(add-hook 'org-agent-chat-mode-hook #'org-agent--export-begins)

;;;###autoload (autoload 'org-agent-export "org-agent" "Write what was said in the session at point to FILE." t)
(defun org-agent-export (file)
  "Write what was said in the session at point to FILE.
That is the server's record as an Org text, byte for byte, and not what
was edited in the buffer."
  (interactive
   (progn
     (unless (org-agent--session-here)
       (user-error "There is no session here"))
     (list (read-file-name "Export the chat to: " nil nil nil
                           (org-agent--file-name)))))
  (let ((session (or (org-agent--session-here)
                     (user-error "There is no session here")))
        (file (expand-file-name file))
        (new t))
    (when (file-exists-p file)
      (unless (y-or-n-p (format "Overwrite `%s'? " file))
        (user-error "Nothing was written"))
      (setq new nil))
    (org-agent--request
     'orgAgent/sessions/export (list :sessionId session)
     (lambda (result)
       (let ((coding-system-for-write 'utf-8-unix)
             (file-name (abbreviate-file-name file)))
         (condition-case problem
             (progn
               (write-region (plist-get result :org) nil file nil 'silent nil
                             (and new 'excl))
               (message "org-agent: the chat is in `%s'" file-name))
           (file-error
            (message "org-agent: not exported to `%s': %s" file-name
                     (error-message-string problem))))))
     (lambda (words _code)
       (message "org-agent: not exported: %s" words)))))

(defun org-agent--file-name ()
  "Return a name for a file with the session at point."
  (concat (string-trim
           (replace-regexp-in-string "[^[:alnum:]]+" "-"
                                     (org-agent--link-words nil))
           "-+" "-+")
          ".org"))

(provide 'org-agent-capture)
;;; org-agent-capture.el ends here
