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

(defconst org-agent--user "* USER"
  "The heading of a prompt.")

(defconst org-agent--assistant "** ASSISTANT"
  "The heading of a reply.")

;;;; Editing

(defmacro org-agent--with-edit (&rest body)
  "Change the whole buffer by BODY as one undo step of its own.
The buffer is kept out of the list of those whose undo boundaries the
next command may take away to amalgamate what the user types."
  (declare (indent 0) (debug t))
  `(let ((inhibit-read-only t)
         (undo-auto--undoably-changed-buffers nil))
     (save-restriction
       (widen)
       (undo-boundary)
       (unwind-protect
           (progn ,@body)
         (undo-boundary)))))

(defun org-agent--line (text)
  "Return TEXT with exactly one final newline."
  (concat (replace-regexp-in-string "\n+\\'" "" text) "\n"))

(defun org-agent--drawer (key value)
  "Return a drawer with the property KEY of VALUE."
  (format ":PROPERTIES:\n:%s: %s\n:END:\n" key value))

(defun org-agent--fold (beg end)
  "Hide the drawers between BEG and END."
  (save-excursion
    (save-restriction
      (narrow-to-region beg end)
      (ignore-errors (org-cycle-hide-drawers 'all)))))

;;;; Properties

(defmacro org-agent--at-start (&rest body)
  "Run BODY at the start of the whole buffer, and come back."
  (declare (indent 0) (debug t))
  `(save-excursion
     (save-restriction
       (widen)
       (goto-char (point-min))
       (let ((case-fold-search nil))
         ,@body))))

(defun org-agent--find (key value &optional regexp)
  "Return the position after the line that gives KEY the VALUE, or nil.
VALUE is a regular expression if REGEXP is non-nil."
  (org-agent--at-start
    (re-search-forward (format "^:%s: +%s[ \t]*$" key
                               (if regexp value (regexp-quote value)))
                       nil t)))

(defun org-agent--all (key)
  "Return all values of the property KEY in the buffer, in their order."
  (org-agent--at-start
    (let (values)
      (while (re-search-forward (format "^:%s: +\\(\\S-+\\)[ \t]*$" key) nil t)
        (push (match-string-no-properties 1) values))
      (nreverse values))))

(defun org-agent--write-session (session)
  "Write SESSION into the buffer's own drawer.  Call inside an edit."
  (unless (equal (car (org-agent--all "OA_SESSION")) session)
    (save-excursion
      (goto-char (point-min))
      (cond
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
      (widen)
      (goto-char (point-max))
      (let ((case-fold-search nil))
        (when (re-search-backward (concat "^" (regexp-quote org-agent--user)
                                          "[ \t]*$")
                                  nil t)
          (let ((heading (point)))
            (forward-line 1)
            (unless (looking-at-p
                     ":PROPERTIES:[ \t]*\n\\(?::.*\n\\)*?:OA_EVENT:")
              (cons heading (point)))))))))

(defun org-agent--ensure-input ()
  "Return the input area as `org-agent--input', made if there is none."
  (or (org-agent--input)
      (progn
        (org-agent--with-edit
          (let ((at-end (eobp)))
            (save-excursion
              (goto-char (point-max))
              (unless (bolp) (insert "\n"))
              (insert org-agent--user "\n"))
            (when at-end (goto-char (point-max)))))
        (org-agent--input))))

(defun org-agent--prompt ()
  "Return the text of the input area without blank lines around it."
  (save-restriction
    (widen)
    (replace-regexp-in-string
     "\\`\\(?:[ \t]*\n\\)+\\|[ \t\n\r]+\\'" ""
     (buffer-substring-no-properties (cdr (org-agent--ensure-input))
                                     (point-max)))))

(defun org-agent--draft ()
  "Return the text of the input area as it is, or nil if there is none."
  (when-let ((input (org-agent--input)))
    (save-restriction
      (widen)
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
  (append (and (<= beg (point) end) (list (current-buffer)))
          (seq-filter (lambda (window) (<= beg (window-point window) end))
                      (get-buffer-window-list nil t t))))

(defun org-agent--move (movers position)
  "Put the points of MOVERS, see `org-agent--points', to POSITION."
  (dolist (mover movers)
    (if (bufferp mover)
        (goto-char position)
      (set-window-point mover position))))

(defun org-agent--place (place event)
  "Return the position where the reply to EVENT belongs.
That is the marker PLACE if it is still below the prompt of EVENT,
else the end of that prompt, else the end of the transcript."
  (save-excursion
    (save-restriction
      (widen)
      (let ((case-fold-search nil)
            (found (and event (org-agent--find "OA_EVENT" event)))
            (place (and place (eq (marker-buffer place) (current-buffer))
                        (marker-position place))))
        (cond
         ((and place
               (or (not found)
                   (and (< found place)
                        (progn (goto-char found)
                               (not (re-search-forward "^:OA_EVENT: " place t))))))
          place)
         (found
          (goto-char found)
          (if (re-search-forward (concat "^" (regexp-quote org-agent--user)
                                         "[ \t]*$")
                                 nil t)
              (match-beginning 0)
            (point-max)))
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
        (insert (org-agent--line text))
        (point)))))

;;;; What stands under its marks

(defconst org-agent--heading-regexp
  (rx bol (+ "*") " " (or (group "USER") "ASSISTANT") (* (in " \t")) "\n"
      ":PROPERTIES:" (* (in " \t")) "\n")
  "What begins a prompt, whose word is group 1, or a reply.")

(defconst org-agent--text-limit (ash 1 18)
  "How many bytes a text has at most whose hash is sent.")

(defun org-agent--marks (&optional most)
  "Return what stands above the input area, in its order.
Each element is a list (MARK HEADING BEG END): the :OA_EVENT: of a
prompt or the :OA_ACT: of a reply, where it begins, and where its
text begins and ends.  With MOST, only that many prompts, the last
ones, and what is under them."
  (save-excursion
    (save-restriction
      (widen)
      (let ((case-fold-search nil)
            (end (or (car (org-agent--input)) (point-max)))
            (marks nil))
        (goto-char end)
        (while (and (not (eql most 0))
                    (re-search-backward org-agent--heading-regexp nil t))
          (let ((heading (point))
                (prompt (match-beginning 1)))
            (when-let ((found (save-excursion
                                (goto-char (match-end 0))
                                (org-agent--read-drawer
                                 (if prompt "OA_EVENT" "OA_ACT") end))))
              (push (list (car found) heading (cdr found) end) marks)
              (setq end heading)
              (when (and most prompt) (cl-decf most)))))
        marks))))

(defun org-agent--read-drawer (key limit)
  "Return (VALUE . END) of the rest of the drawer at point, or nil.
VALUE is that of the property KEY, END the position after the drawer,
at most LIMIT."
  (let ((property (format ":%s: +\\(\\S-+\\)[ \t]*$" key))
        (value nil))
    (while (and (looking-at ":") (not (looking-at ":END:[ \t]*$"))
                (< (point) limit))
      (when (looking-at property)
        (setq value (match-string-no-properties 1)))
      (forward-line 1))
    (and value
         (looking-at ":END:[ \t]*$")
         (progn (forward-line 1) (<= (point) limit))
         (cons value (point)))))

(defun org-agent--prompt-of (event)
  "Return the element of `org-agent--marks' of EVENT, if it is a late one."
  (assoc event (org-agent--marks 50)))

(defun org-agent--mark-text (mark &optional most)
  "Return the text of MARK, see `org-agent--marks', without final newlines.
With MOST, only that many characters of it, and \"\" if MARK is nil."
  (pcase mark
    (`(,_ ,_ ,beg ,end)
     (save-restriction
       (widen)
       (string-trim-right
        (buffer-substring-no-properties beg (min end (+ beg (or most end))))
        "\n+")))
    (_ "")))

(defun org-agent--take-prompt (event text keep)
  "Put TEXT before what stands in the input area.
Take the prompt of EVENT away unless KEEP is non-nil.  Points that were
in either are behind TEXT."
  (org-agent--with-edit
    (pcase-let* ((`(,_ ,heading ,_ ,end) (and (not keep)
                                             (org-agent--prompt-of event)))
                 (beg (cdr (org-agent--ensure-input)))
                 (movers (append (org-agent--points beg (point-max))
                                 (and heading
                                      (org-agent--points heading (1- end)))))
                 (behind (make-marker)))
      (save-excursion
        (goto-char beg)
        (unless (bolp) (insert "\n"))
        (insert text)
        (set-marker behind (point))
        (unless (looking-at-p "[ \t\n]*\\'") (insert "\n\n"))
        (when heading (delete-region heading end)))
      (org-agent--move movers behind)
      (set-marker behind nil))))

(defun org-agent--mark-at (position)
  "Return the element of `org-agent--marks' at or above POSITION, or nil."
  (seq-find (lambda (mark) (<= (nth 1 mark) position))
            (nreverse (org-agent--marks))))

(defun org-agent--hashes ()
  "Return a table with the hash of each recent text, or nil.
Its keys are what `org-agent--marks' has of the last 50 prompts.  A
text is all that stands between its drawer and what follows."
  (save-restriction
    (widen)
    (let ((hashes (make-hash-table :test #'equal))
          ;; Also says that there is nothing to ask the user.
          (coding-system-for-write 'utf-8-unix)
          ;; Each text is garbage twice; to collect that takes longer than
          ;; the hashes do.
          (gc-cons-threshold (max gc-cons-threshold (ash 1 26))))
      (pcase-dolist (`(,mark ,_heading ,beg ,end) (org-agent--marks 50))
        (when (<= (- (position-bytes end) (position-bytes beg))
                  org-agent--text-limit)
          (puthash mark (secure-hash 'sha256 (current-buffer) beg end) hashes)))
      (and (< 0 (hash-table-count hashes)) hashes))))

(defun org-agent--write-transcript (text)
  "Let TEXT stand above the input area, in place of what stands there.
What is the same already is not touched, and points stay in their
prompts and replies."
  (pcase-let* ((heading (car (org-agent--ensure-input)))
               (`(,beg ,end . ,new) (org-agent--difference heading text))
               (spots (mapcar #'org-agent--spot (org-agent--points beg end))))
    (org-agent--with-edit
      (save-excursion
        (goto-char end)
        ;; Before the deletion: what is at the end stays behind the text.
        (insert new)
        (delete-region beg end)
        (goto-char beg)
        (ignore-errors (re-search-backward "^\\*"))
        (org-agent--fold (point) (+ beg (length new)))))
    (dolist (spot spots)
      (pcase-let* ((`(,mover ,mark . ,offset) spot)
                   (`(,_ ,heading ,_ ,end) (assoc mark (org-agent--marks))))
        (when (and heading (< offset (- end heading)))
          (org-agent--move (list mover) (+ heading offset)))))))

(defun org-agent--difference (end new)
  "Compare what stands before END with the text NEW, line by line.
Return (FROM TO . TEXT): what stands between is to become TEXT."
  (save-restriction
    (widen)
    (let* ((old (buffer-substring-no-properties (point-min) end))
           (same (lambda (old new)
                   (let ((at (compare-strings old nil nil new nil nil)))
                     (if (eq at t) (length new) (1- (abs at))))))
           (first (funcall same old new))
           (first (progn
                    (while (not (or (= first 0) (eq (aref new (1- first)) ?\n)))
                      (cl-decf first))
                    first))
           (old (substring old first))
           (new (substring new first))
           (last (funcall same (reverse old) (reverse new)))
           (last (let ((newline (string-search
                                 "\n" (substring new (- (length new) last)))))
                   (if newline (- last newline 1) 0))))
      (cl-list* (+ (point-min) first) (- end last)
                (substring new 0 (- (length new) last))))))

(defun org-agent--spot (mover)
  "Return (MOVER MARK . OFFSET): where the point of MOVER is."
  (let* ((point (if (bufferp mover) (point) (window-point mover)))
         (mark (org-agent--mark-at point)))
    (cl-list* mover (car mark) (- point (or (nth 1 mark) point)))))

(provide 'org-agent-text)
;;; org-agent-text.el ends here
