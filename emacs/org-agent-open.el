;;; org-agent-open.el --- Getting to a session, wherever it is  -*- lexical-binding: t; -*-

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

;; Where a session is, and a buffer for it.  A session that is open, or
;; whose heading or drawer is in an Org buffer, is there.  If this Emacs
;; closed its file, that is visited again.  Otherwise its buffer is made
;; of the server's record; until that is there, the buffer says so, for
;; nothing waits.
;;
;; Limit: where files have the headings of sessions is known only as long
;; as Emacs lives, and from bookmarks.

;;; Code:

(require 'org-agent-here)

(defvar-local org-agent--opening nil
  "The session whose record this buffer waits for, or nil.")

(defvar-local org-agent--then nil
  "Functions to call when this buffer has its session.")

(defun org-agent--session-here ()
  "Return the session at point, or nil."
  (or org-agent--session
      org-agent--opening
      (and (derived-mode-p 'org-mode)
           (if-let ((root (org-agent--root-here)))
               (org-agent--session-at root)
             (car (org-agent--file-session))))))

(defun org-agent--file-session ()
  "Return the session that this whole buffer is said to be, as a list, or nil."
  (when (org-agent--whole-chat-p)
    (seq-take (org-agent--all "OA_SESSION") 1)))

;;;; Places

(defun org-agent--session-place (session &optional file)
  "Return where SESSION is in this Emacs, (BUFFER . POSITION), or nil.
The position is nil if it is all of the buffer.  FILE is where it may be,
if that is a local Org file."
  (if-let ((chat (org-agent--buffer session)))
      (if (buffer-base-buffer chat)
          (cons (buffer-base-buffer chat)
                (marker-position (buffer-local-value 'org-agent--root chat)))
        (list chat))
    (or (org-agent--seek session)
        (seq-some (lambda (buffer)
                    (with-current-buffer buffer
                      (and (derived-mode-p 'org-mode)
                           (not (buffer-base-buffer))
                           (equal (org-agent--file-session) (list session))
                           (list buffer))))
                  (buffer-list))
        (when-let ((file (or file (gethash session org-agent--session-files))))
          (and (not (file-remote-p file))
               (not (get-file-buffer file))
               (string-suffix-p ".org" file)
               (file-readable-p file)
               (with-temp-buffer
                 (insert-file-contents file)
                 (org-agent--find "OA_SESSION" session))
               (progn (find-file-noselect file)
                      (org-agent--session-place session)))))))

(defun org-agent--open-session (session &optional then file)
  "Return the buffer in which SESSION is, or will be as soon as it can.
Call THEN in that with point at the session.  FILE is where it may be.
The buffer is not shown."
  (if-let ((place (org-agent--session-place session file)))
      (with-current-buffer (car place)
        (when (cdr place)
          (unless (<= (point-min) (cdr place) (point-max))
            (widen))
          (goto-char (cdr place)))
        (when then (funcall then))
        (org-agent--show-point)
        (car place))
    (let ((buffer (or (seq-find (lambda (buffer)
                                  (equal session (buffer-local-value
                                                  'org-agent--opening buffer)))
                                (buffer-list))
                      (org-agent--ask-record session))))
      (when then
        (with-current-buffer buffer
          (push then org-agent--then)))
      buffer)))

(defun org-agent--show-point ()
  "Let windows that show this buffer show its point."
  (dolist (window (get-buffer-window-list nil nil t))
    (set-window-point window (point)))
  (when (and (derived-mode-p 'org-mode) (org-invisible-p))
    (org-reveal t)))

;;;; A buffer made of the record

(defun org-agent--opening-buffer ()
  "Return a new buffer, which gets the name of its chat later."
  (generate-new-buffer "*org-agent-chat: opening*"))

(defun org-agent--get-record (session then failed)
  "Take SESSION, and call THEN with it as an item and with its transcript.
If another Emacs has it, or it cannot be had, call FAILED with words and
the server's code."
  (org-agent--request
   'orgAgent/sessions/get (list :sessionId session)
   (lambda (item)
     (org-agent--request
      'orgAgent/sessions/resume
      (list :sessionId session :applied [] :turns [])
      (lambda (_result)
        (org-agent--request
         'orgAgent/sessions/export (list :sessionId session)
         (lambda (result) (funcall then item (plist-get result :org)))
         failed))
      failed))
   failed))

(defun org-agent--ask-record (session)
  "Ask for the record of SESSION; return the buffer that gets it."
  (let ((buffer (org-agent--opening-buffer))
        (directory default-directory))
    (with-current-buffer buffer
      (special-mode)
      (setq default-directory directory
            org-agent--opening session)
      (let ((inhibit-read-only t))
        (insert "This chat is being opened.\n"))
      (org-agent--get-record
       session
       (lambda (item text) (org-agent--opened buffer session item text))
       (lambda (words code) (org-agent--not-opened buffer words code))))
    buffer))

(defun org-agent--not-opened (buffer words code)
  "Say in BUFFER that its session was not opened; WORDS and CODE say why."
  (when (buffer-live-p buffer)
    (with-current-buffer buffer
      (setq org-agent--opening nil)
      (let ((inhibit-read-only t))
        (erase-buffer)
        (insert (pcase code
                  ("conflict" "This chat is open in another Emacs.")
                  ("not_found" "There is no such chat any more.")
                  (_ (format "This chat was not opened: %s"
                             (org-agent--one-line words 300))))
                "\n"))
      (message "org-agent: the chat was not opened"))))

(defun org-agent--opened (buffer session item text)
  "Let BUFFER be the chat SESSION, which is ITEM and whose transcript is TEXT."
  (when (buffer-live-p buffer)
    (let ((place (org-agent--session-place session))
          (then (buffer-local-value 'org-agent--then buffer)))
      (if place
          ;; It was opened in another way meanwhile.
          (progn
            (dolist (window (get-buffer-window-list buffer nil t))
              (set-window-buffer window (car place)))
            (kill-buffer buffer)
            (org-agent--open-session
             session (lambda () (mapc #'funcall then))))
        (with-current-buffer buffer
          (org-agent--write-record session item text)
          (goto-char (point-max))
          (mapc #'funcall then)
          (org-agent--show-point))))))

(defun org-agent--record-name (item)
  "Return the name for the chat buffer of ITEM."
  (let ((name (org-agent--one-line (or (plist-get item :buffer) "") 200)))
    ;; A file's or anything else's name would say what this buffer is not.
    (if (string-match-p "\\`\\*.+\\*\\'" name) name
      (format "*org-agent-chat %s*"
              (org-agent--one-line (or (plist-get item :title) "") 60)))))

(defun org-agent--write-record (session item text)
  "Let this buffer have SESSION, which is ITEM and whose transcript is TEXT."
  (let ((inhibit-read-only t))
    (setq org-agent--opening nil
          buffer-read-only nil)
    (erase-buffer)
    (rename-buffer (org-agent--record-name item) t)
    (org-agent-chat-mode)
    (goto-char (point-max))
    (org-agent--fill session text)
    (setq buffer-undo-list nil)
    (set-buffer-modified-p nil)))

(defun org-agent--make-recorded (session item directory text)
  "Return a new chat buffer in DIRECTORY for SESSION, which is ITEM.
Its transcript is TEXT."
  (let ((buffer (org-agent--opening-buffer)))
    (with-current-buffer buffer
      (setq default-directory directory)
      (org-agent--write-record session item text))
    buffer))

;;;; Turns

(defun org-agent--goto-turn (mark)
  "Go to the heading of the turn that has MARK, in this buffer."
  (if-let ((found (or (org-agent--find "OA_EVENT" mark)
                      (org-agent--find "OA_ACT" mark))))
      (progn
        (unless (<= (point-min) found (point-max))
          (widen))
        (goto-char found)
        (re-search-backward "^\\*+ " nil t)
        (when (org-invisible-p)
          (org-reveal t)))
    (message "org-agent: this turn is not in `%s'" (buffer-name))))

(defun org-agent--turn-at-point ()
  "Return the mark of the prompt or reply around point, or nil.
Of a prompt that is not sent there is none."
  (save-excursion
    (save-restriction
      (widen)
      (let ((more (not (org-before-first-heading-p)))
            (mark nil))
        (when more (org-back-to-heading t))
        (while (and more (not mark) (not (org-agent--session-at (point))))
          (setq mark (or (org-agent--property-at (point) "OA_EVENT")
                         (org-agent--property-at (point) "OA_ACT"))
                more (and (not mark) (org-up-heading-safe))))
        mark))))

(defun org-agent--prompt-line ()
  "Return the first line of the prompt around point, in few columns, or nil."
  (save-excursion
    (save-restriction
      (widen)
      (let ((case-fold-search nil))
        (end-of-line)
        (when (re-search-backward "^\\*+ USER[ \t]*$" nil t)
          (org-agent--first-line (point)))))))

(defun org-agent--first-line (heading)
  "Return the first line of what stands below HEADING, in few columns, or nil."
  (save-excursion
    (goto-char heading)
    (org-end-of-meta-data t)
    (skip-chars-forward " \t\n")
    (let ((line (string-trim
                 (org-agent--one-line
                  (buffer-substring-no-properties
                   (point) (min (line-end-position) (+ (point) 500)))
                  60))))
      (unless (or (string-empty-p line) (org-at-heading-p))
        line))))

(provide 'org-agent-open)
;;; org-agent-open.el ends here
