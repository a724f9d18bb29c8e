;;; org-agent-links.el --- Links and bookmarks to sessions  -*- lexical-binding: t; -*-

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

;; The link [[org-agent:SESSION]] leads to a session and
;; [[org-agent:SESSION/MARK]] to a prompt or reply in it, wherever the
;; session is.  Loading this file defines the link type, as all of Org's
;; files of links do, and nothing else.  Bookmarks of chats are kept by
;; session, too.
;;
;; What a link says is two identifiers of few characters, or no link: it
;; is looked up, and nothing else is done with it.

;;; Code:

(require 'ol)
(require 'org-agent-open)

(declare-function bookmark-prop-get "bookmark" (bookmark-name-or-record prop))

;;;; Links

(defconst org-agent--link-regexp
  (rx bos (group (** 1 100 (in "A-Za-z0-9_.-")))
      (? "/" (group (** 1 200 (in "A-Za-z0-9_.:-")))) eos)
  "What follows the type of a link: a session and perhaps a mark.")

(defun org-agent--link (session &optional mark)
  "Return the link to SESSION, and to MARK in it if a link can say that.
It is nil if no link can lead to the session."
  (let ((link (if mark (concat session "/" mark) session)))
    (cond ((let ((case-fold-search nil))
             (string-match-p org-agent--link-regexp link))
           (concat "org-agent:" link))
          (mark (org-agent--link session)))))

(defun org-agent-store-link (&rest _)
  "Store a link to the session or turn at point.
In a file with sessions that is where point is in a prompt or reply, or
in what the session's heading itself has."
  (when (derived-mode-p 'org-mode)
    (let* ((session (org-agent--session-here))
           (mark (and session (org-agent--turn-at-point)))
           (link (and session
                      (or mark
                          (derived-mode-p 'org-agent-chat-mode)
                          (eql (org-agent--root-here) (org-agent--heading-here)))
                      (org-agent--link session mark))))
      (when link
        (org-link-store-props
         :type "org-agent"
         :link link
         :description (org-agent--link-words mark))
        link))))

(defun org-agent--heading-here ()
  "Return the position of the heading at point, or nil."
  (save-excursion
    (save-restriction
      (widen)
      (unless (org-before-first-heading-p)
        (org-back-to-heading t)
        (point)))))

(defun org-agent--link-words (mark)
  "Return the description of a link to MARK here, or to the session."
  (or (and mark (org-agent--prompt-line))
      (when-let ((root (org-agent--root-here)))
        (org-agent--title root))
      (save-excursion
        (save-restriction
          (widen)
          (goto-char (point-min))
          (when (re-search-forward "^\\*+ USER[ \t]*$" nil t)
            (org-agent--prompt-line))))
      "Chat with org-agent"))

(defun org-agent-follow-link (path &optional _arg)
  "Show the session, or the turn in it, that PATH of a link names."
  (let ((case-fold-search nil))
    (unless (string-match org-agent--link-regexp path)
      (user-error "This link does not name a session of org-agent")))
  (let ((session (match-string 1 path))
        (mark (match-string 2 path)))
    (org-mark-ring-push)
    (let ((buffer (org-agent--open-session
                   session (and mark (lambda () (org-agent--goto-turn mark))))))
      (pop-to-buffer-same-window buffer)
      (org-agent--to-point buffer))))

(defun org-agent--to-point (buffer)
  "Let the selected window be where the point of BUFFER is, if that is in it."
  (when (eq (window-buffer) buffer)
    (set-window-point nil (with-current-buffer buffer (point)))))

(defun org-agent-export-link (path description _backend &optional _info)
  "Return the text for a link to PATH with DESCRIPTION: no more than words."
  (cond (description)
        ((let ((case-fold-search nil))
           (string-match-p org-agent--link-regexp path))
         (concat "org-agent:" path))
        (t "org-agent")))

;;;; Completion

(defvar org-agent--titles nil
  "The sessions that were listed last, as (LABEL . SESSION).")

(defun org-agent--ask-titles (&optional then)
  "Ask the server for its sessions, and call THEN when they are known."
  (org-agent--request
   'orgAgent/sessions/list (list :archived :json-false :limit 500)
   (lambda (result)
     (setq org-agent--titles (org-agent--title-list (plist-get result :items)))
     (when then (funcall then)))
   (lambda (words _code)
     (when then (funcall then))
     (message "org-agent: the sessions are not known: %s" words))))

(defun org-agent--title-list (items)
  "Return a list of (LABEL . SESSION) for ITEMS, as the server lists them."
  (let ((seen (make-hash-table :test #'equal))
        (titles nil))
    (seq-doseq (item items)
      (let* ((session (plist-get item :id))
             (title (plist-get item :title))
             (label (string-trim
                     (org-agent--one-line (if (stringp title) title "") 80)))
             (label (if (string-empty-p label) "Chat" label)))
        (when (and (stringp session) (org-agent--link session))
          (when (gethash label seen)
            (setq label (format "%s (%s)" label session)))
          (puthash label t seen)
          (push (cons label session) titles))))
    (nreverse titles)))

(defun org-agent-complete-link (&optional _arg)
  "Ask for a session, and return a link to it.
What was listed last is offered at once, and asked for anew."
  (let ((listed nil))
    (org-agent--ask-titles (lambda () (setq listed t)))
    (unless org-agent--titles
      ;; The user waits, for they asked, but not for long.
      (with-timeout (5)
        (while (not listed)
          (accept-process-output nil 0.05))))
    (unless org-agent--titles
      (user-error "There are no sessions to link to, or they are not known yet"))
    (let ((label (completing-read "Session: " org-agent--titles nil t)))
      (org-agent--link (or (cdr (assoc label org-agent--titles))
                           (user-error "This is no session"))))))

(defun org-agent-describe-link (link &optional description)
  "Return DESCRIPTION, or the title of the session that LINK leads to."
  (or description
      (car (rassoc (string-remove-prefix "org-agent:" link) org-agent--titles))))

(org-link-set-parameters "org-agent"
                         :follow #'org-agent-follow-link
                         :store #'org-agent-store-link
                         :export #'org-agent-export-link
                         :complete #'org-agent-complete-link
                         :insert-description #'org-agent-describe-link)

;;;; Bookmarks

(defun org-agent--bookmark ()
  "Return a bookmark of this chat, or of the turn at point in it.
Of a chat that has not begun, it is one of the chat that there is."
  (let ((session (org-agent--session-here))
        (file (buffer-file-name (or (buffer-base-buffer) (current-buffer))))
        (words (org-agent--link-words (org-agent--turn-at-point))))
    `(,(concat "org-agent: " words)
      (org-agent-session . ,session)
      (org-agent-turn . ,(org-agent--turn-at-point))
      ,@(and file (list (cons 'filename file)))
      (location . ,(concat "org-agent: " words))
      (handler . org-agent-bookmark-jump))))

;;;###autoload (autoload 'org-agent-bookmark-jump "org-agent" "Go to the session, or the turn in it, of BOOKMARK.")
(defun org-agent-bookmark-jump (bookmark)
  "Go to the session, or the turn in it, of BOOKMARK."
  (let ((session (bookmark-prop-get bookmark 'org-agent-session))
        (mark (bookmark-prop-get bookmark 'org-agent-turn))
        (file (bookmark-prop-get bookmark 'filename)))
    (set-buffer (if session
                    (org-agent--open-session
                     session (and mark (lambda () (org-agent--goto-turn mark)))
                     file)
                  (org-agent--chat-buffer)))))

(defun org-agent--keep-bookmarks ()
  "Let bookmarks of this chat be kept by session."
  (setq-local bookmark-make-record-function #'org-agent--bookmark))

(add-hook 'org-agent-chat-mode-hook #'org-agent--keep-bookmarks)

(provide 'org-agent-links)
;;; org-agent-links.el ends here
