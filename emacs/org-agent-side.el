;;; org-agent-side.el --- A chat in a side window  -*- lexical-binding: t; -*-

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

;; M-x org-agent-chat-side shows the last chat at a side of the frame,
;; from anywhere, and takes it away again.  It is one of Emacs's side
;; windows: other windows stay as they are, and `C-x 1' leaves it.

;;; Code:

(require 'org-agent-here)

(defgroup org-agent-side nil
  "The side window of org-agent."
  :group 'org-agent)

(defcustom org-agent-side 'right
  "The side of the frame at which `org-agent-chat-side' shows the chat."
  :type '(choice (const left) (const right) (const top) (const bottom))
  :package-version '(org-agent . "0.1.0"))

(defcustom org-agent-side-size 0.4
  "How wide, or at the top or bottom how high, the side window is.
A floating-point number is a fraction of the frame, an integer a number
of columns or lines."
  :type '(choice (float :tag "Fraction of the frame")
                 (integer :tag "Columns or lines"))
  :package-version '(org-agent . "0.1.0"))

(defun org-agent--side-window ()
  "Return the side window of this frame that has a chat, or nil."
  (seq-find (lambda (window) (window-parameter window 'org-agent-side))
            (window-list nil 'no-minibuffer)))

(defun org-agent--recent-chat ()
  "Return the chat that was used last, or nil.
Those of subtrees are used where their subtrees are."
  (seq-find (lambda (chat) (not (buffer-base-buffer chat)))
            (org-agent--chats)))

;;;###autoload (autoload 'org-agent-chat-side "org-agent" "Show the last chat in a side window and go there, or take that away." t)
(defun org-agent-chat-side (&optional new)
  "Show the last chat in a side window and go there, or take that away.
With prefix argument NEW, show a new chat there."
  (interactive "P")
  (let ((window (org-agent--side-window)))
    (cond
     ((and window (not new))
      ;; A buried chat would not be the last one.
      (quit-restore-window window)
      (when (window-live-p window)
        (delete-window window)))
     (t
      (let ((chat (or (and (not new) (org-agent--recent-chat))
                      (org-agent--chat-buffer new))))
        (when window
          (delete-window window))
        (select-window (org-agent--show-at-side chat)))))))

(defun org-agent--show-at-side (chat)
  "Show CHAT in the side window, and return that."
  (let ((window (display-buffer-in-side-window
                 chat
                 `((side . ,org-agent-side)
                   (,(if (memq org-agent-side '(left right)) 'window-width
                       'window-height)
                    . ,org-agent-side-size)
                   (window-parameters . ((org-agent-side . t)
                                         (no-delete-other-windows . t)))))))
    (unless window
      (user-error "This frame has no room for a window at its side"))
    (with-selected-window window
      (goto-char (point-max)))
    window))

(provide 'org-agent-side)
;;; org-agent-side.el ends here
