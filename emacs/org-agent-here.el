;;; org-agent-here.el --- A chat in a subtree of any Org buffer  -*- lexical-binding: t; -*-

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

;; M-x org-agent-chat-here makes a session of the subtree at point, in
;; place, and turns on `org-agent-mode' in that buffer.  Nothing looks
;; for sessions by itself: a file that is visited again is an Org file
;; like any other until the command is called in it.
;;
;; Keys of the chat do in the user's buffer what they do in the chat, as
;; long as point is in the subtree and Org has nothing to do at point.
;; With `M-x' they do it anywhere in the file of a chat, as long as it is
;; clear which one is meant.

;;; Code:

(require 'org-agent-subtree)
(require 'org-element)

;;;; Keys

(defun org-agent--in-chat (chat function)
  "Call FUNCTION in CHAT at point, let point move along, and return its value."
  (let ((place (point))
        (moved nil))
    (prog1
        (with-current-buffer chat
          (org-agent--widen)
          (goto-char place)
          (unwind-protect (funcall function)
            (when (buffer-live-p chat)
              (with-current-buffer chat
                (setq moved (point))
                (org-agent--mirror)))))
      (when (and moved (/= moved place))
        (goto-char moved)))))

(defun org-agent--chat-titles (chats)
  "Return the titles of CHATS of one file, as they stand there, as a text."
  (mapconcat (lambda (chat)
               (with-current-buffer chat
                 (format-message "`%s'" (or (and (org-agent--find-root)
                                                 (org-agent--title))
                                            (buffer-name)))))
             (seq-sort-by (lambda (chat)
                            (marker-position
                             (buffer-local-value 'org-agent--root chat)))
                          #'< chats)
             ", "))

(defun org-agent--in-file (function)
  "Call FUNCTION in the chat that is meant in this file; return its value.
That is the one of the subtree at point.  Under no heading of a chat it
is the only one that is open, at its own point."
  (let ((chats (org-agent--subtree-chats))
        (here (org-agent--chat-here)))
    (cond
     (here (org-agent--in-chat here function))
     ((and (derived-mode-p 'org-mode) (org-agent--root-here))
      (user-error "The chat of this subtree is not open; M-x org-agent-chat-here opens it"))
     ((not chats)
      (user-error "This is no chat of org-agent; see `org-agent-chat'"))
     ((cdr chats)
      (user-error "Go to the heading of the chat that you mean: %s"
                  (org-agent--one-line (org-agent--chat-titles chats) 300)))
     (t
      (with-current-buffer (car chats)
        (unwind-protect (funcall function)
          (org-agent--mirror)))))))

(setq org-agent--elsewhere-function #'org-agent--in-file)

(defun org-agent--here-command (key)
  "Return the command that KEY has in the chat at point, if it is not Org's."
  (let ((place (point)))
    (when-let ((chat (org-agent--chat-here)))
      (with-current-buffer chat
        (save-excursion
          (goto-char place)
          (let ((command (lookup-key org-agent-chat-mode-map key)))
            (and (commandp command)
                 (not (eq command (lookup-key org-mode-map key)))
                 command)))))))

(defun org-agent-here-press ()
  "Do what the key does in the chat of the subtree at point."
  (interactive)
  (let ((command (org-agent--here-command (this-single-command-keys)))
        (chat (org-agent--chat-here)))
    (if (and command chat)
        (org-agent--in-chat chat (lambda () (call-interactively command)))
      (user-error "There is nothing to do here for org-agent"))))

(defvar org-agent-mode-map (make-sparse-keymap)
  "Keys of `org-agent-mode': those of `org-agent-chat-mode'.
They are what they are in Org wherever that has nothing for them.")

(defun org-agent--take-keys (map prefix)
  "Let the keys of MAP after PREFIX be in `org-agent-mode-map' as well."
  (map-keymap-internal
   (lambda (event binding)
     (let ((key (vconcat prefix (vector event))))
       (cond
        ((memq event '(menu-bar tool-bar tab-bar)))
        ((keymapp binding) (org-agent--take-keys binding key))
        (t
         (define-key org-agent-mode-map key
           `(menu-item "org-agent" org-agent-here-press
                       :filter ,(lambda (command)
                                  (and (org-agent--here-command key) command))))))))
   map))

(defun org-agent--here-complete ()
  "Complete in the input area at point what its chat completes there."
  (let ((place (point))
        (chat (org-agent--chat-here)))
    (when-let ((found (and chat
                           (with-current-buffer chat
                             (save-excursion
                               (goto-char place)
                               ;; Those of Org are in this buffer, too.
                               (seq-some (lambda (function)
                                           (and (symbolp function)
                                                (string-prefix-p "org-agent-"
                                                                 (symbol-name function))
                                                (funcall function)))
                                         completion-at-point-functions))))))
      (pcase-let* ((`(,beg ,end ,table . ,more) found)
                   (exit (plist-get more :exit-function)))
        (append (list beg end table)
                (and exit
                     (list :exit-function
                           (lambda (name status)
                             (when (buffer-live-p chat)
                               (org-agent--in-chat
                                chat (lambda () (funcall exit name status)))))))
                more)))))

(defun org-agent--plain-p ()
  "Return non-nil if Org has nothing to do at point but the user's text."
  (memq (org-element-type
         (org-element-lineage
          (org-element-context)
          '( babel-call clock dynamic-block footnote-definition footnote-reference
             headline inline-babel-call inline-src-block inlinetask item keyword
             node-property paragraph plain-list planning property-drawer
             radio-target src-block statistics-cookie table table-cell table-row
             timestamp)
          t))
        '(nil paragraph item plain-list headline)))

(defun org-agent--below-input-p (root)
  "Return non-nil if point is in the text of the input area below ROOT."
  (let ((org-agent--root (copy-marker root))
        (org-agent--root-session nil)
        (org-agent--area nil)
        (org-agent--user nil)
        (org-agent--assistant nil))
    (when-let ((input (org-agent--input)))
      (<= (cdr input) (point)))))

(defun org-agent--here-ctrl-c-ctrl-c ()
  "Send the input area at point unless Org has something to do there."
  (when-let ((root (org-agent--root-here)))
    (when (and (org-agent--below-input-p root)
               (not (org-at-heading-p))
               (org-agent--plain-p))
      (org-agent--check-here)
      (let ((sent nil))
        (org-agent--in-chat (org-agent--chat-at root)
                            (lambda () (setq sent (org-agent--ctrl-c-ctrl-c))))
        sent))))

;;;; The mode and the command

;;;###autoload (autoload 'org-agent-mode "org-agent" "Chat with org-agent in subtrees of this Org buffer." t)
(define-minor-mode org-agent-mode
  "Chat with org-agent in subtrees of this Org buffer.
\\<org-mode-map>\\[org-ctrl-c-ctrl-c] in the input area of a session sends it; `org-agent-chat-here'
makes one.  Everywhere else all keys are what they are in Org."
  :lighter org-agent--here-lighter
  (if (not org-agent-mode)
      (progn
        (remove-hook 'org-ctrl-c-ctrl-c-hook #'org-agent--here-ctrl-c-ctrl-c t)
        (remove-hook 'completion-at-point-functions #'org-agent--here-complete t)
        (remove-hook 'after-revert-hook #'org-agent--reverted t)
        (remove-hook 'read-only-mode-hook #'org-agent--release-here t)
        (remove-hook 'after-save-hook #'org-agent--release-here t)
        (unless (seq-some (lambda (buffer)
                            (buffer-local-value 'org-agent-mode buffer))
                          (org-agent--sharing))
          (mapc #'kill-buffer (org-agent--subtree-chats))))
    (unless (derived-mode-p 'org-mode)
      (setq org-agent-mode nil)
      (user-error "A chat in a subtree needs an Org buffer"))
    (org-agent--take-keys org-agent-chat-mode-map [])
    (add-hook 'org-ctrl-c-ctrl-c-hook #'org-agent--here-ctrl-c-ctrl-c nil t)
    (add-hook 'completion-at-point-functions #'org-agent--here-complete nil t)
    (add-hook 'after-revert-hook #'org-agent--reverted nil t)
    (add-hook 'read-only-mode-hook #'org-agent--release-here nil t)
    (add-hook 'after-save-hook #'org-agent--release-here nil t)))

(defun org-agent--check-here ()
  "Signal an error if nothing can be written in this buffer."
  (when (or buffer-read-only
            (buffer-local-value 'buffer-read-only
                                (or (buffer-base-buffer) (current-buffer))))
    (user-error "`%s' is read-only; \\[read-only-mode] lets a chat be written in it"
                (buffer-name)))
  (when-let ((why (org-agent--unwritable (current-buffer))))
    (user-error "A chat cannot be written here: %s" why)))

(defun org-agent--whole-chat-p ()
  "Return non-nil if this buffer as a whole is said to be a session."
  (save-excursion
    (save-restriction
      (widen)
      (goto-char (point-min))
      (let ((case-fold-search t))
        (re-search-forward
         "^[ \t]*:OA_SESSION:[ \t]+\\S-"
         (save-excursion (if (re-search-forward "^\\*+ " nil t)
                             (match-beginning 0)
                           (point-max)))
         t)))))

;;;###autoload (autoload 'org-agent-chat-here "org-agent" "Chat with org-agent in the subtree at point, in any Org buffer." t)
(defun org-agent-chat-here (&optional alone)
  "Chat with org-agent in the subtree at point, in any Org buffer.
If point is in the subtree of a session, that goes on; else the
heading at point becomes one.  Its identifier is in the heading's
drawer, so that it can be moved, and what was said is below it.

With prefix argument ALONE, show the chat of the subtree in a buffer
of its own, which has the same text."
  (interactive "P")
  (unless (derived-mode-p 'org-mode)
    (user-error "A chat in a subtree needs an Org buffer"))
  (org-agent--check-here)
  (let ((root (org-agent--root-here)))
    (cond
     ((derived-mode-p 'org-agent-chat-mode)
      (goto-char (point-max)))
     ((and (not root) (org-agent--whole-chat-p))
      (org-agent-chat-mode)
      (goto-char (point-max)))
     (t
      (unless root
        (save-excursion
          (save-restriction
            (widen)
            (when (org-before-first-heading-p)
              (user-error "Put point under a heading; that becomes the chat"))
            (org-back-to-heading t)
            (when (> (skip-chars-forward "*") org-agent--deepest)
              (user-error "This heading is too deep for a chat below it"))
            (setq root (line-beginning-position)))))
      (org-agent-mode)
      (let ((chat (org-agent--chat-at root)))
        (org-agent--release-here)
        (with-current-buffer chat
          (org-agent--mirror))
        (if alone (org-agent--show-alone chat)
          (org-agent--goto-input chat)))))))

(defun org-agent--show-alone (chat)
  "Show CHAT, of a subtree, in its own buffer."
  (pop-to-buffer-same-window chat)
  (org-agent--widen)
  (ignore-errors (org-cycle-hide-drawers 'all))
  (goto-char (point-max))
  (skip-chars-backward "\n" (cdr (org-agent--ensure-input))))

(defun org-agent--goto-input (chat)
  "Go to the end of what is written in the input area of CHAT, in this buffer."
  (let ((place (with-current-buffer chat
                 (let ((text (cdr (org-agent--ensure-input))))
                   (save-excursion
                     (save-restriction
                       (org-agent--widen)
                       (goto-char text)
                       ;; The line may have been taken away.
                       (when (eobp)
                         (org-agent--with-edit (org-agent--keep-line)))
                       (goto-char (point-max))
                       (skip-chars-backward " \t\n" text)
                       (point)))))))
    (unless (<= (point-min) place (point-max))
      (widen))
    (goto-char place)
    (when (org-invisible-p)
      (org-reveal t))
    (message "Write below the last heading of this subtree; %s sends it"
             (substitute-command-keys "\\<org-mode-map>\\[org-ctrl-c-ctrl-c]"))))

(provide 'org-agent-here)
;;; org-agent-here.el ends here
