;;; org-agent-subtree.el --- The chats of subtrees, and where they are  -*- lexical-binding: t; -*-

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

;; The chat of a subtree is a buffer in `org-agent-chat-mode', indirect
;; and narrowed to it.  So everything that works in a chat works there,
;; and a file may have many.  The user's own buffer has `org-agent-mode':
;; what a chat shows is shown there as well.
;;
;; The session is where its heading is.  If that was moved, the chat
;; follows it, also to another file; an indirect buffer cannot change
;; its text, so there it is a new one.  While the heading is nowhere, or
;; nothing can be written, texts are held.

;;; Code:

(require 'org-agent-sessions)
(require 'org-agent-models)

(defvar org-agent-mode)
(declare-function org-agent-mode "org-agent-here" (&optional arg))
(declare-function org-indent-refresh-maybe "org-indent" (beg end _))

(defvar-local org-agent--twins nil
  "Overlays in other buffers that show what this chat shows.")

(defvar-local org-agent--sought nil
  "When the root of this chat was last looked for in vain, or nil.")

(defvar-local org-agent--here-lighter " Agent"
  "What the mode line says of `org-agent-mode'.")

(defvar org-agent--session-files (make-hash-table :test #'equal)
  "The file in which each session that is under a heading was last seen.")

;;;; Which chat

(defun org-agent--subtree-chats ()
  "Return the chats of subtrees of this buffer's text."
  (let ((base (or (buffer-base-buffer) (current-buffer))))
    (seq-filter (lambda (chat)
                  (and (eq (buffer-base-buffer chat) base)
                       (buffer-local-value 'org-agent--root chat)))
                (org-agent--chats))))

(defun org-agent--chat-here ()
  "Return the chat of the innermost subtree around point, if it is open."
  (let ((place (point))
        (found nil))
    (dolist (chat (org-agent--subtree-chats))
      (with-current-buffer chat
        (when (org-agent--find-root)
          (save-restriction
            (org-agent--widen)
            (when (and (<= (point-min) place (point-max))
                       ;; What follows the subtree is not of it.
                       (or (< place (point-max))
                           (save-restriction (widen) (= place (point-max))))
                       (or (not found)
                           (> org-agent--root
                              (buffer-local-value 'org-agent--root found))))
              (setq found chat))))))
    found))

(defun org-agent--subtree-chat ()
  "Return the chat of the subtree at point, if its keys are here as well."
  (and (bound-and-true-p org-agent-mode)
       (org-agent--chat-here)))

(defun org-agent--root-here ()
  "Return the position of the root of the session at point, or nil."
  (let ((chat (org-agent--chat-here)))
    (save-excursion
      (save-restriction
        (widen)
        (unless (org-before-first-heading-p)
          (org-back-to-heading t)
          (let ((open (and chat (marker-position
                                 (buffer-local-value 'org-agent--root chat))))
                (more t))
            (while (and more (not (eql (point) open))
                        (not (org-agent--session-at (point))))
              (setq more (org-up-heading-safe)))
            (and more (point))))))))

(defun org-agent--chat-at (position)
  "Return the chat whose root is the heading at POSITION, made if need be."
  (or (seq-find (lambda (chat)
                  (with-current-buffer chat
                    (and (org-agent--find-root) (= org-agent--root position))))
                (org-agent--subtree-chats))
      (org-agent--make-chat position)))

(defun org-agent--make-chat (position)
  "Make the chat of the subtree at POSITION of this buffer, and return it."
  (let* ((base (or (buffer-base-buffer) (current-buffer)))
         (directory default-directory)
         (session (org-agent--session-at position))
         (title (truncate-string-to-width
                 (or (org-agent--title position) "chat") 60 nil nil t))
         (chat (make-indirect-buffer
                base (generate-new-buffer-name
                      (format "%s: %s" (buffer-name base) title)))))
    (when session
      (org-agent--give-way-here session))
    (with-current-buffer chat
      (setq default-directory directory
            org-agent--root (copy-marker position)
            org-agent--root-session session)
      (let ((org-inhibit-startup t))
        (org-agent-chat-mode))
      ;; The server would find another one by the buffer's name.
      (unless org-agent--session
        (setq org-agent--anew t))
      (run-hooks 'clone-indirect-buffer-hook)
      (add-hook 'kill-buffer-hook #'org-agent--note-file -90 t)
      (add-hook 'kill-buffer-hook #'org-agent--remove-twins nil t)
      (add-hook 'after-change-functions #'org-agent--indent-change nil t)
      (org-agent--widen)
      (goto-char (cdr (org-agent--ensure-input))))
    chat))

(defun org-agent--indent-change (beg end length)
  "Let `org-indent-mode' indent what changed in this chat.
BEG, END and LENGTH say what did.  That mode is told of changes in the
user's buffer, and not of those in an indirect one of the same text."
  (when-let ((buffer (seq-find (lambda (buffer)
                                 (buffer-local-value 'org-indent-mode buffer))
                               (and (boundp 'org-indent-mode)
                                    (cdr (org-agent--same-text))))))
    (with-current-buffer buffer
      (org-indent-refresh-maybe beg end length))))

(defun org-agent--note-file ()
  "Note the file in which the session of this chat is, before that is closed."
  (when-let ((file (and org-agent--session (buffer-file-name (buffer-base-buffer)))))
    (when (equal (org-agent--written-session) org-agent--session)
      (puthash org-agent--session file org-agent--session-files))))

(defun org-agent--give-way-here (session)
  "Close the chat that was opened on the record of SESSION, if nothing is lost."
  (when-let ((other (org-agent--buffer session)))
    (with-current-buffer other
      (when (and org-agent--root
                 (not (buffer-base-buffer))
                 (not buffer-file-name)
                 (not org-agent--sending)
                 (not org-agent--context)
                 (string-empty-p (org-agent--prompt)))
        (set-buffer-modified-p nil)
        (kill-buffer other)))))

;;;; Where nothing can be written

(defun org-agent--unwritable (buffer)
  "Return why nothing can be written in BUFFER now, or nil."
  (let ((root (buffer-local-value 'org-agent--root buffer)))
    (with-current-buffer (or (buffer-base-buffer buffer) buffer)
      (cond
       ((and root buffer-read-only)
        (format "`%s' is read-only" (buffer-name)))
       ;; To change the buffer would open the minibuffer.
       ((and buffer-file-name
             (not (buffer-modified-p))
             (not (file-remote-p buffer-file-name))
             (file-exists-p buffer-file-name))
        (cond
         ((not (verify-visited-file-modtime))
          (format "the file of `%s' was changed by another program" (buffer-name)))
         ((stringp (file-locked-p buffer-file-name))
          (format "the file of `%s' is being edited elsewhere" (buffer-name)))))))))

(defun org-agent--writable (buffer)
  "Return non-nil if BUFFER can be written, else say why not."
  (if-let ((why (org-agent--unwritable buffer)))
      (progn (message "org-agent: an answer waits: %s" why) nil)
    t))

(setq org-agent--writable-function #'org-agent--writable)

(defun org-agent--release-here ()
  "Write what waits for the sessions of this buffer."
  (dolist (chat (cons (current-buffer) (org-agent--subtree-chats)))
    (with-current-buffer chat
      (when (and org-agent--session (eq chat (org-agent--buffer org-agent--session))
                 (org-agent--find-root)
                 (gethash org-agent--session org-agent--held)
                 (not (org-agent--unwritable chat)))
        (org-agent--release org-agent--session)
        (org-agent--mirror)))))

(defun org-agent--reverted ()
  "Go on after this buffer was read from its file again."
  (when (org-agent--subtree-chats)
    (unless org-agent-mode (org-agent-mode))
    (org-agent--release-here)))

(defun org-agent--release-on-saving ()
  "Let what waits for this chat come once its file is saved."
  (add-hook 'after-save-hook #'org-agent--release-here nil t))

(add-hook 'org-agent-chat-mode-hook #'org-agent--release-on-saving)

;;;; Where the heading went

(defun org-agent--seek (session &optional not)
  "Return where in Org buffers the root of SESSION is, (BUFFER . POSITION), or nil.
The buffer NOT is left out."
  (seq-some (lambda (buffer)
              (and (not (eq buffer not))
                   (not (buffer-base-buffer buffer))
                   (with-current-buffer buffer
                     (when-let ((found (and (derived-mode-p 'org-mode)
                                            (org-agent--roots session))))
                       (cons buffer (car found))))))
            (buffer-list)))

(defun org-agent--follow (session chat)
  "Return CHAT, or the chat in which the root of SESSION is now, or nil."
  (with-current-buffer chat
    (cond
     ((org-agent--find-root)
      (setq org-agent--sought nil)
      (when org-agent--moved-root
        (org-agent--place-again))
      chat)
     ;; Each piece of a text asks.
     ((and org-agent--sought (< (- (float-time) org-agent--sought) 0.5))
      nil)
     (t
      (setq org-agent--sought (float-time))
      (when-let ((place (org-agent--seek session (or (buffer-base-buffer) chat))))
        (org-agent--move-chat chat place))))))

(defun org-agent--place-again ()
  "Show each turn of this chat where its text was moved to."
  (setq org-agent--moved-root nil)
  (dolist (turn (org-agent--turns-here))
    (when (org-agent--turn-overlay turn)
      (delete-overlay (org-agent--turn-overlay turn)))
    (setf (org-agent--turn-overlay turn) nil
          (org-agent--turn-place turn) nil)
    (org-agent--show turn)))

(setq org-agent--follow-function #'org-agent--follow)

(defconst org-agent--moving
  '(org-agent--pending org-agent--context org-agent--applied org-agent--edited
    org-agent--missing org-agent--model org-agent--usage)
  "What a chat takes along to another buffer.")

(defun org-agent--move-chat (chat place)
  "Let CHAT be at PLACE, (BUFFER . POSITION); return its new buffer."
  (let ((state (mapcar (lambda (variable)
                         (cons variable (buffer-local-value variable chat)))
                       org-agent--moving))
        (new nil))
    (with-current-buffer chat
      (org-agent--leave))
    (with-current-buffer (car place)
      (org-agent-mode)
      (setq new (org-agent--make-chat (cdr place))))
    (with-current-buffer new
      (pcase-dolist (`(,variable . ,value) state)
        (set variable value))
      (when org-agent--context
        (org-agent--show-context))
      ;; It may be on its way: then it is there once all the same.
      (when org-agent--pending
        (org-agent--send-pending))
      (org-agent--mirror))
    (when (buffer-base-buffer chat)
      (kill-buffer chat))
    new))

;;;; What is shown

(defun org-agent--mirrors ()
  "Return the buffers that mirror this chat."
  (and org-agent--root
       (buffer-base-buffer)
       (seq-filter (lambda (buffer) (buffer-local-value 'org-agent-mode buffer))
                   (cdr (org-agent--same-text)))))

(defun org-agent--mirror (&optional _turn)
  "Let other buffers with this text mirror this chat."
  (when (and org-agent--root (buffer-base-buffer) (org-agent--find-root))
    (let ((mirrors (org-agent--mirrors))
          (shown (save-restriction
                   (org-agent--widen)
                   (cl-loop for overlay in (overlays-in (point-min) (point-max))
                            when (overlay-get overlay 'before-string)
                            collect overlay)))
          (twins nil))
      (dolist (buffer mirrors)
        (dolist (overlay shown)
          (let* ((beg (overlay-start overlay))
                 (end (overlay-end overlay))
                 (known (overlay-get overlay 'org-agent-twins))
                 (twin (cl-loop for twin in known
                                when (eq (overlay-buffer twin) buffer) return twin)))
            (unless twin
              (setq twin (make-overlay beg end buffer))
              (overlay-put overlay 'org-agent-twins
                           (cons twin (seq-filter #'overlay-buffer known))))
            ;; Each piece of a text asks: what is as it was is left alone.
            (unless (and (= beg (overlay-start twin)) (= end (overlay-end twin)))
              (move-overlay twin beg end))
            (dolist (name '(before-string line-prefix priority))
              (unless (eq (overlay-get twin name) (overlay-get overlay name))
                (overlay-put twin name (overlay-get overlay name))))
            (push twin twins))))
      (dolist (twin org-agent--twins)
        (unless (memq twin twins)
          (delete-overlay twin)))
      (setq org-agent--twins twins)
      (let ((state (if (stringp mode-line-process) mode-line-process "")))
        (dolist (buffer mirrors)
          (with-current-buffer buffer
            (setq org-agent--here-lighter
                  (concat " Agent" state))
            (force-mode-line-update)))))))

(defun org-agent--remove-twins ()
  "Show nothing of this chat in other buffers."
  (mapc #'delete-overlay org-agent--twins)
  (setq org-agent--twins nil))

(add-hook 'org-agent--shown-hook #'org-agent--mirror)

(cl-defmethod org-agent--handle :extra "subtree" :after ((_ (eql :drained)) _params)
  "Show in other buffers what changed in chats of subtrees."
  (dolist (chat (org-agent--chats))
    (when (buffer-local-value 'org-agent--root chat)
      (with-current-buffer chat
        (org-agent--mirror)))))

(provide 'org-agent-subtree)
;;; org-agent-subtree.el ends here
