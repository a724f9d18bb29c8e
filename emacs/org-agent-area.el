;;; org-agent-area.el --- Where in a buffer a session stands  -*- lexical-binding: t; -*-

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

;; A session has a whole buffer, or the subtree of one heading, its root,
;; which has the session's identifier in its drawer.  What works on the
;; text of a session asks here how far that goes: `org-agent--widen'
;; takes the place of `widen'.
;;
;; A subtree can be moved, also to another depth.  So the level of
;; prompts is that of the root now, and one more.  What the server has
;; is at the level at which the session began, which the root's drawer
;; has as :OA_LEVEL:; headings in texts are moved by the difference on
;; their way in and out.  No text from outside leaves its subtree: its
;; headings are made deep enough.
;;
;; The chat of a subtree is an indirect buffer of the file's, see
;; `org-agent-here'.  So what is done to the points, windows and folds of
;; a session is done in all buffers that have the same text.
;; Commands of chats are defined by `org-agent--defcommand', so that they
;; work in all of them, too.

;;; Code:

(require 'org)
(require 'org-element)
(require 'seq)
(require 'subr-x)

(declare-function org-fold-subtree "org-fold" (flag))
(declare-function org-flag-subtree "org" (flag))

(defvar-local org-agent--root nil
  "A marker at the heading whose subtree is this buffer's session, or nil.
With nil the session has the whole buffer.")

(defvar-local org-agent--root-session nil
  "The session that the drawer of `org-agent--root' was seen to have, or nil.")

(defvar-local org-agent--moved-root nil
  "Non-nil if the root was moved and what is shown was not, yet.")

(defvar-local org-agent--user "* USER"
  "The heading of a prompt in this buffer.")

(defvar-local org-agent--assistant "** ASSISTANT"
  "The heading of a reply in this buffer.")

(defvar-local org-agent--area nil
  "How far the subtree goes, as (TICK BEG . END); TICK is the text's.")

;; The major mode comes after them.
(dolist (variable '(org-agent--root org-agent--root-session
                    org-agent--user org-agent--assistant))
  (put variable 'permanent-local t))

(defconst org-agent--deepest 62
  "The deepest level of a root: the server takes prompts down to 64.")

;;;; Drawers of headings

(defun org-agent--property-at (position key)
  "Return the property KEY in the drawer of the heading at POSITION, or nil.
Nothing of it is inherited or read."
  (save-excursion
    (save-restriction
      (widen)
      (goto-char position)
      (let ((case-fold-search t)
            (value nil))
        (when (and (bolp) (looking-at-p "\\*+ "))
          (forward-line 1)
          (when (looking-at-p "[ \t]*\\(?:CLOSED\\|DEADLINE\\|SCHEDULED\\):")
            (forward-line 1))
          (when (looking-at-p "[ \t]*:PROPERTIES:[ \t]*$")
            (forward-line 1)
            (while (and (not value) (not (eobp))
                        (looking-at-p "[ \t]*:\\S-+:")
                        (not (looking-at-p "[ \t]*:END:[ \t]*$")))
              (when (looking-at (format "[ \t]*:%s:[ \t]+\\(\\S-+\\)[ \t]*$" key))
                (setq value (match-string-no-properties 1)))
              (forward-line 1))))
        value))))

(defun org-agent--session-at (position)
  "Return the session whose root is the heading at POSITION, or nil."
  (org-agent--property-at position "OA_SESSION"))

(defun org-agent--roots (session)
  "Return the positions of all headings of this buffer that have SESSION."
  (let ((case-fold-search t)
        (found nil))
    (save-excursion
      (save-restriction
        (widen)
        (goto-char (point-min))
        (while (re-search-forward (format "^[ \t]*:OA_SESSION:[ \t]+%s[ \t]*$"
                                          (regexp-quote session))
                                  nil t)
          (save-excursion
            (when (and (re-search-backward "^\\*+ " nil t)
                       (equal (org-agent--session-at (point)) session))
              (push (point) found))))))
    (nreverse found)))

;;;; The area

(defun org-agent--root-there-p ()
  "Return non-nil if the root of this buffer is where its marker is."
  (when-let ((position (and (eq (marker-buffer org-agent--root) (current-buffer))
                            (marker-position org-agent--root))))
    (save-excursion
      (save-restriction
        (widen)
        (goto-char position)
        (and (bolp) (looking-at-p "\\*+ ")
             (or (not org-agent--root-session)
                 (equal (org-agent--session-at position)
                        org-agent--root-session)))))))

(defun org-agent--find-root ()
  "Return non-nil if the root of this buffer is there, found anew if need be."
  (or (not org-agent--root)
      (org-agent--root-there-p)
      (when-let ((found (and org-agent--root-session
                             (org-agent--roots org-agent--root-session))))
        (set-marker org-agent--root (car found))
        (setq org-agent--area nil
              org-agent--moved-root t)
        t)))

(defun org-agent--root-level ()
  "Return the level of the root of this buffer; 0 is the buffer."
  (if (not org-agent--root) 0
    (save-excursion
      (save-restriction
        (widen)
        (goto-char org-agent--root)
        (skip-chars-forward "*")))))

(defun org-agent--look ()
  "Return the area of the root of this buffer as (BEG . END), and note its level."
  (unless (org-agent--find-root)
    (user-error "The heading of this session is not in `%s' any more" (buffer-name)))
  (let ((level (org-agent--root-level))
        (case-fold-search nil))
    (setq org-agent--user (concat (make-string (+ level 1) ?*) " USER")
          org-agent--assistant (concat (make-string (+ level 2) ?*) " ASSISTANT"))
    (save-excursion
      (goto-char org-agent--root)
      (forward-line 1)
      (cons (marker-position org-agent--root)
            (if (re-search-forward (format "^\\*\\{1,%d\\} " level) nil t)
                (match-beginning 0)
              (point-max))))))

(defun org-agent--widen ()
  "Widen to all that the session of this buffer has: a subtree, or the buffer."
  (widen)
  (when org-agent--root
    (let ((tick (buffer-chars-modified-tick)))
      (unless (and (eql tick (car org-agent--area))
                   (eq (marker-position org-agent--root) (cadr org-agent--area)))
        (setq org-agent--area (cons tick (org-agent--look)))))
    (narrow-to-region (cadr org-agent--area) (cddr org-agent--area))))

(defun org-agent--keep-line ()
  "Let there be a line of its own to write in at the end of the area.
Without it one would write before the stars of the heading that follows."
  (when org-agent--root
    (save-excursion
      (goto-char (point-max))
      (when (save-restriction (widen) (not (eobp)))
        (insert "\n")))))

(defun org-agent--keep-apart ()
  "Let what was written at the end of the area end its line.
What follows the subtree is a heading only at the beginning of one."
  (when org-agent--root
    (save-excursion
      (goto-char (point-max))
      (unless (or (bolp) (save-restriction (widen) (eobp)))
        (insert "\n")))
    ;; Org does not see in one buffer what was changed in another.
    (when-let ((base (buffer-base-buffer)))
      (with-current-buffer base
        (when (derived-mode-p 'org-mode)
          (org-element-cache-reset))))))

(defun org-agent--title (&optional position)
  "Return the words of the heading at POSITION as a title for the server, or nil.
Without POSITION, that is the root of this buffer, if it has one."
  (when-let ((position (or position org-agent--root)))
    (save-excursion
      (save-restriction
        (widen)
        (goto-char position)
        (let ((title (string-trim
                      (replace-regexp-in-string
                       "[[:cntrl:]]+" " "
                       (substring-no-properties (or (org-get-heading t t t t) ""))))))
          (unless (string-empty-p title)
            (substring title 0 (min 200 (length title)))))))))

(defun org-agent--same-place-p (buffer)
  "Return non-nil if this session stands where the one of BUFFER does."
  (let ((base (lambda (buffer) (or (buffer-base-buffer buffer) buffer)))
        (root (buffer-local-value 'org-agent--root buffer)))
    (and (eq (funcall base buffer) (funcall base (current-buffer)))
         (or (not root) (not org-agent--root)
             (= root org-agent--root)))))

(defun org-agent--second-p (session)
  "Return non-nil if another heading above this root has SESSION as well."
  (and org-agent--root
       (not (eql (car (org-agent--roots session))
                 (marker-position org-agent--root)))))

(defun org-agent--turn-end (position)
  "Return where the turn of the prompt at POSITION ends, in the area.
That is at the next prompt, or another session that was put between."
  (save-excursion
    (goto-char position)
    (let ((user (concat (regexp-quote org-agent--user) "[ \t]*$"))
          (case-fold-search nil)
          (found nil))
      (while (and (not found)
                  (re-search-forward
                   (if org-agent--root
                       (format "^\\*\\{1,%d\\} " (1+ (org-agent--root-level)))
                     (concat "^" user))
                   nil t))
        (goto-char (match-beginning 0))
        (if (or (looking-at-p user) (org-agent--session-at (point)))
            (setq found (point))
          (forward-line 1)))
      (or found (point-max)))))

;;;; Levels

(defun org-agent--level ()
  "Return the level of a prompt of this session as the server has it."
  (let ((now (1+ (org-agent--root-level)))
        (noted (and org-agent--root
                    (org-agent--property-at org-agent--root "OA_LEVEL"))))
    (if (and noted (string-match-p "\\`[1-9][0-9]?\\'" noted)
             (<= (string-to-number noted) (1+ org-agent--deepest)))
        (string-to-number noted)
      now)))

(defun org-agent--moved ()
  "Return by how many levels this session is deeper than the server has it."
  (if (not org-agent--root) 0
    (- (1+ (org-agent--root-level)) (org-agent--level))))

(defun org-agent--shift (text by)
  "Return TEXT with each heading BY stars deeper."
  (if (zerop by) text
    (replace-regexp-in-string
     "^\\*+ "
     (lambda (stars)
       (concat (make-string (max 1 (+ (length stars) -1 by)) ?*) " "))
     text t t)))

(defun org-agent--top (text)
  "Return the number of stars of the highest heading in TEXT, or nil."
  (let ((at 0)
        (top nil))
    (while (string-match "^\\(\\*+\\) " text at)
      (let ((stars (- (match-end 1) (match-beginning 1))))
        (setq top (min stars (or top stars))
              at (match-end 0))))
    top))

(defun org-agent--inward (text)
  "Return TEXT, a reply of the server's, as it is to stand in this buffer."
  (if (not org-agent--root) text
    (let* ((text (org-agent--shift text (org-agent--moved)))
           (top (org-agent--top text)))
      (org-agent--shift text (if top
                                 (max 0 (- (+ (org-agent--root-level) 3) top))
                               0)))))

(defun org-agent--outward (text)
  "Return TEXT, which stands in this buffer, as the server has it."
  (org-agent--shift text (- (org-agent--moved))))

(defconst org-agent--first-turn
  (rx bol (group (+ "*")) " USER" (* (in " \t\r")) "\n")
  "What the first turn of a transcript begins with.")

(defun org-agent--localize (text)
  "Return what is to stand in this buffer of the transcript TEXT.
Its root stays what it is here."
  (cond
   ((not org-agent--root) text)
   ((let ((case-fold-search nil)) (string-match org-agent--first-turn text))
    (org-agent--shift (substring text (match-beginning 0))
                      (- (1+ (org-agent--root-level))
                         (- (match-end 1) (match-beginning 1)))))
   (t "")))

;;;; All buffers with this text

(defun org-agent--sharing ()
  "Return all buffers that have the text of this one."
  (let ((base (or (buffer-base-buffer) (current-buffer))))
    (seq-filter (lambda (buffer)
                  (eq (or (buffer-base-buffer buffer) buffer) base))
                (buffer-list))))

(defun org-agent--same-text ()
  "Return the buffers in which this session's text is seen, this one first."
  (cons (current-buffer)
        (and (or org-agent--root (buffer-base-buffer))
             (delq (current-buffer) (org-agent--sharing)))))

(defun org-agent--windows (&optional frames)
  "Return the windows that show the text of this buffer on FRAMES.
That is as in `get-buffer-window-list'."
  (seq-mapcat (lambda (buffer) (get-buffer-window-list buffer nil frames))
              (org-agent--same-text)))

(defun org-agent--folded ()
  "Return what hides the end of this subtree, as markers in other buffers."
  (when (and org-agent--root (org-agent--find-root))
    (let* ((area (save-restriction (org-agent--widen) (cons (point-min) (point-max))))
           (markers nil))
      (dolist (buffer (cdr (org-agent--same-text)))
        (with-current-buffer buffer
          (when (derived-mode-p 'org-mode)
            (save-excursion
              (save-restriction
                (widen)
                (goto-char (cdr area))
                (when (and (re-search-backward "^\\*+ " (car area) t)
                           (org-invisible-p (if (= (point) (car area))
                                                (line-end-position)
                                              (point))))
                  (while (and (org-invisible-p (point))
                              (re-search-backward "^\\*+ " nil t)))
                  (push (point-marker) markers)))))))
      markers)))

(defun org-agent--fold-again (markers)
  "Hide the subtrees at MARKERS, as they were."
  (dolist (marker markers)
    (with-current-buffer (marker-buffer marker)
      (save-excursion
        (save-restriction
          (widen)
          (goto-char marker)
          (if (fboundp 'org-fold-subtree) (org-fold-subtree t)
            ;; Before Org 9.6.
            (with-suppressed-warnings ((obsolete org-flag-subtree))
              (org-flag-subtree t))))))
    (set-marker marker nil)))

;;;; Commands of chats

(defvar org-agent--session)

(defvar org-agent--elsewhere-function
  (lambda (_function)
    (user-error "This is no chat of org-agent; see `org-agent-chat'"))
  "A function for a command of chats in a buffer that is none.
It is called with a function, and calls that in the chat that is meant.")

(defun org-agent--do-in-chat (modes function)
  "Call FUNCTION here, or in the chat that is meant, and return its value.
Here it is called if the major mode is one of MODES."
  (if (apply #'derived-mode-p modes) (funcall function)
    (funcall org-agent--elsewhere-function function)))

(defmacro org-agent--defcommand (name args doc interactive &rest body)
  "Define NAME, with ARGS and DOC, as a command of chats with BODY.
INTERACTIVE is a form (interactive SPEC MODE...).  In a buffer of
another mode, SPEC and BODY are evaluated in the chat that is meant
there: a command that is called by its name does the same as by a key."
  (declare (doc-string 3) (indent defun)
           (debug (&define name lambda-list stringp
                           ("interactive" def-form &rest symbolp) def-body)))
  (pcase-let ((`(,_ ,spec . ,modes) interactive))
    `(defun ,name ,args
       ,doc
       (interactive ,(if (or (null spec) (stringp spec)) spec
                       `(org-agent--do-in-chat ',modes (lambda () ,spec)))
                    ,@modes)
       (org-agent--do-in-chat ',modes (lambda () ,@body)))))

(defun org-agent--check-session ()
  "Signal an error if this chat has no session."
  (unless org-agent--session
    (user-error "This chat has not begun")))

(provide 'org-agent-area)
;;; org-agent-area.el ends here
