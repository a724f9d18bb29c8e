;;; org-agent-text.el --- What stands in a buffer of org-agent  -*- lexical-binding: t; -*-

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

;; The layout of a chat buffer, byte for byte as the protocol has it,
;; and the only functions that change its text.  They know nothing of
;; the server, and nothing of turns but identifiers.
;;
;; A transcript of prompts and replies is followed by the input area:
;; the last "* USER" heading, which has no :OA_EVENT: yet.  It is a
;; heading like any other, so that a saved file needs nothing else to
;; be gone on with, and filling, folding and lists in the input never
;; touch the reply above it.
;;
;; Every change is an ordinary, recorded one between two undo
;; boundaries.  Nothing is changed behind the undo list's back, so the
;; positions in it stay true, whatever the user types meanwhile.

;;; Code:

(require 'org)
(require 'cl-lib)
(require 'org-agent-area)

;;;; Editing

(defmacro org-agent--with-edit (&rest body)
  "Change the whole buffer by BODY as one undo step of its own.
The buffer is kept out of the list of those whose undo boundaries the
next command may take away to amalgamate what the user types."
  (declare (indent 0) (debug t))
  (let ((folded (make-symbol "folded")))
    `(let ((inhibit-read-only t)
           (undo-auto--undoably-changed-buffers nil)
           (,folded (org-agent--folded)))
       (prog1 (save-restriction
                (org-agent--widen)
                (undo-boundary)
                (unwind-protect
                    (prog1 (progn ,@body)
                      (org-agent--keep-apart))
                  (undo-boundary)))
         (org-agent--fold-again ,folded)))))

(defun org-agent--line (text)
  "Return TEXT with exactly one final newline."
  (let ((end (length text)))
    (while (and (> end 0) (eq (aref text (1- end)) ?\n))
      (setq end (1- end)))
    (cond ((= (1+ end) (length text)) text)
          ((= end (length text)) (concat text "\n"))
          (t (concat (substring text 0 end) "\n")))))

(defun org-agent--drawer (key value)
  "Return a drawer with the property KEY of VALUE."
  (format ":PROPERTIES:\n:%s: %s\n:END:\n" key value))

(defun org-agent--fold (beg end)
  "Hide the drawers between BEG and END."
  (let ((beg (copy-marker beg))
        (end (copy-marker end)))
    (dolist (buffer (org-agent--same-text))
      (with-current-buffer buffer
        ;; The chat of a subtree is most often not seen.
        (when (and (derived-mode-p 'org-mode)
                   (or (not (buffer-base-buffer)) (get-buffer-window nil t)))
          (save-excursion
            (save-restriction
              (widen)
              (narrow-to-region (marker-position beg) (marker-position end))
              (ignore-errors (org-cycle-hide-drawers 'all)))))))
    (set-marker beg nil)
    (set-marker end nil)))

;;;; Properties

(defmacro org-agent--at-start (&rest body)
  "Run BODY at the start of the whole buffer, and come back."
  (declare (indent 0) (debug t))
  `(save-excursion
     (save-restriction
       (org-agent--widen)
       (goto-char (point-min))
       (let ((case-fold-search nil))
         ,@body))))

(defun org-agent--find (key value &optional regexp)
  "Return the position after the line that gives KEY the VALUE, or nil.
VALUE is a regular expression if REGEXP is non-nil."
  (org-agent--at-start
    (let ((line (format "^[ \t]*:%s: +%s[ \t]*$" key
                        (if regexp value (regexp-quote value)))))
      (if (or regexp (string-empty-p value))
          (re-search-forward line nil t)
        ;; In a large buffer a plain string is found much faster.
        (let ((found nil))
          (while (and (not found) (search-forward value nil t))
            (beginning-of-line)
            (if (looking-at line)
                (setq found (match-end 0))
              (forward-line 1)))
          found)))))

(defun org-agent--all (key)
  "Return all values of the property KEY in the buffer, in their order."
  (org-agent--at-start
    (let (values)
      (while (re-search-forward (format "^[ \t]*:%s: +\\(\\S-+\\)[ \t]*$" key)
                                nil t)
        (push (match-string-no-properties 1) values))
      (nreverse values))))

(defun org-agent--written-session ()
  "Return the session in the drawer of this buffer, or of its root, or nil."
  (if org-agent--root (org-agent--session-at org-agent--root)
    (org-agent--at-start
      ;; Most often that is the first drawer: what is below is not looked at.
      (when (re-search-forward "^[ \t]*:OA_SESSION: +\\(\\S-+\\)[ \t]*$" nil t)
        (match-string-no-properties 1)))))

(defun org-agent--write-session (session)
  "Write SESSION into the buffer's own drawer.  Call inside an edit."
  (unless (equal (org-agent--written-session) session)
    (save-excursion
      (goto-char (point-min))
      (cond
       (org-agent--root
        (org-entry-put (point) "OA_LEVEL" (number-to-string (org-agent--level)))
        (org-entry-put (point) "OA_SESSION" session)
        (setq org-agent--root-session session)
        (org-agent--fold (point-min)
                         (save-excursion (org-end-of-meta-data) (point))))
       ((org-agent--find "OA_SESSION" "\\S-+" t)
        (goto-char (org-agent--find "OA_SESSION" "\\S-+" t))
        (delete-region (line-beginning-position) (point))
        (insert ":OA_SESSION: " session))
       ((looking-at ":PROPERTIES:[ \t]*\n")
        (goto-char (match-end 0))
        (insert (format ":OA_SESSION: %s\n" session)))
       (t
        (insert (org-agent--drawer "OA_SESSION" session))
        (org-agent--fold (point-min) (point)))))))

;;;; The input area

(defun org-agent--input ()
  "Return the input area as (HEADING . TEXT), two positions, or nil."
  (save-excursion
    (save-restriction
      (org-agent--widen)
      (goto-char (point-max))
      (let ((case-fold-search nil))
        (when (re-search-backward (concat "^" (regexp-quote org-agent--user)
                                          "[ \t]*$")
                                  nil t)
          (let ((heading (point)))
            (forward-line 1)
            (unless (looking-at-p
                     "[ \t]*:PROPERTIES:[ \t]*\n\\(?:[ \t]*:.*\n\\)*?[ \t]*:OA_EVENT:")
              (cons heading (point)))))))))

(defun org-agent--ensure-input ()
  "Return the input area as `org-agent--input', made if there is none."
  (or (org-agent--input)
      (progn
        (org-agent--with-edit
          (let ((at-end (eobp))
                place)
            (save-excursion
              (goto-char (point-max))
              (unless (bolp) (insert "\n"))
              (insert org-agent--user "\n")
              (setq place (copy-marker (point)))
              (org-agent--keep-line))
            (when at-end (goto-char place))
            (set-marker place nil)))
        (org-agent--input))))

(defun org-agent--prompt ()
  "Return the text of the input area without blank lines around it."
  (save-restriction
    (org-agent--widen)
    (replace-regexp-in-string
     "\\`\\(?:[ \t]*\n\\)+\\|[ \t\n\r]+\\'" ""
     (buffer-substring-no-properties (cdr (org-agent--ensure-input))
                                     (point-max)))))

(defun org-agent--draft ()
  "Return the text of the input area as it is, or nil if there is none."
  (when-let ((input (org-agent--input)))
    (save-restriction
      (org-agent--widen)
      (buffer-substring-no-properties (cdr input) (point-max)))))

(defun org-agent--in-input-p ()
  "Return non-nil if point is in the text of the input area."
  (when-let ((input (org-agent--input)))
    (>= (point) (cdr input))))

(defun org-agent--write-draft (text)
  "Let TEXT stand in the input area, and what is there no more.
Points that were in it are behind TEXT."
  (org-agent--with-edit
    (let* ((beg (cdr (org-agent--ensure-input)))
           (movers (org-agent--points beg (point-max))))
      (save-excursion
        (goto-char beg)
        (delete-region beg (point-max))
        (unless (bolp) (insert "\n"))
        (insert text))
      (org-agent--move movers (point-max)))))

;;;; Prompts and replies

(defvar org-agent--input-hook nil
  "Functions called in a chat buffer that has a new input area.")

(defun org-agent--write-prompt (session event text)
  "Turn the input area into the prompt TEXT of EVENT, and make a new one.
SESSION is written into the buffer's drawer.  What the user added to
TEXT since it was sent is the new input.  Return a marker after the
prompt, which stays before what is inserted there."
  (org-agent--with-edit
    (pcase-let* ((`(,heading . ,start) (org-agent--ensure-input))
                 (beg (save-excursion
                        (goto-char start)
                        (if (looking-at "\\(?:[ \t]*\n\\)+") (match-end 0)
                          start)))
                 (end (min (point-max) (+ beg (length text))))
                 (place nil))
      (if (not (equal text (buffer-substring-no-properties beg end)))
          ;; The input was rewritten meanwhile: it is the next prompt.
          (save-excursion
            (goto-char heading)
            (insert org-agent--user "\n" (org-agent--drawer "OA_EVENT" event)
                    (org-agent--line text))
            (setq place (point-marker))
            (org-agent--fold heading (point)))
        (let* ((rest (save-excursion (goto-char end)
                                     (skip-chars-forward " \t\r\n")
                                     (point)))
               (movers (org-agent--points heading
                                          (if (= rest (point-max)) rest end)))
               (next (make-marker)))
          (save-excursion
            (goto-char end)
            (delete-region end rest)
            (insert "\n")
            (setq place (point-marker))
            (insert org-agent--user "\n")
            (set-marker next (point))
            (when (eobp) (org-agent--keep-line))
            (goto-char start)
            (delete-region start beg)
            (unless (bolp) (insert "\n"))
            (insert (org-agent--drawer "OA_EVENT" event))
            (org-agent--fold heading (point)))
          (org-agent--move movers next)
          (set-marker next nil)))
      (org-agent--write-session session)
      place)))

(defun org-agent--points (beg end)
  "Return what has its point between BEG and END: windows, or the buffer."
  (append (seq-filter (lambda (buffer)
                        (with-current-buffer buffer (<= beg (point) end)))
                      (org-agent--same-text))
          (seq-filter (lambda (window) (<= beg (window-point window) end))
                      (org-agent--windows t))))

(defun org-agent--move (movers position)
  "Put the points of MOVERS, see `org-agent--points', to POSITION."
  (let ((position (if (markerp position) (marker-position position) position)))
    (dolist (mover movers)
      (if (bufferp mover)
          (with-current-buffer mover (goto-char position))
        (set-window-point mover position)))))

(defun org-agent--place (place event)
  "Return the position where the reply to EVENT belongs.
That is the marker PLACE if it is still below the prompt of EVENT,
else the end of that prompt, else the end of the transcript."
  (save-excursion
    (save-restriction
      (org-agent--widen)
      (let ((case-fold-search nil)
            (found (and event (org-agent--find "OA_EVENT" event)))
            (place (and place (eq (marker-buffer place) (current-buffer))
                        (marker-position place))))
        (cond
         ((and place
               (or (not found)
                   (and (< found place)
                        (progn (goto-char found)
                               (not (re-search-forward "^[ \t]*:OA_EVENT: " place t))))))
          place)
         (found
          (org-agent--turn-end found))
         (t (car (org-agent--ensure-input))))))))

(defun org-agent--write-reply (position actuation text)
  "Insert the reply TEXT of ACTUATION at POSITION.
Return the position after it."
  (org-agent--with-edit
    (save-excursion
      (goto-char position)
      (unless (bolp) (insert "\n"))
      (let ((start (point)))
        (insert org-agent--assistant "\n"
                (org-agent--drawer "OA_ACT" actuation))
        (org-agent--fold start (point))
        (insert (org-agent--line (org-agent--inward text)))
        (point)))))

(defun org-agent--write-replies (beg end texts)
  "Let TEXTS be the replies between BEG and END, in place of what is there.
Each is a list (ACTUATION . TEXT)."
  (org-agent--with-edit
    (save-excursion
      (goto-char beg)
      (delete-region beg end)
      (pcase-dolist (`(,actuation . ,text) texts)
        (insert org-agent--assistant "\n"
                (org-agent--drawer "OA_ACT" actuation)
                (org-agent--line (org-agent--inward text))))
      (org-agent--fold beg (point)))))

(provide 'org-agent-text)
;;; org-agent-text.el ends here
