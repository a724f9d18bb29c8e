;;; org-agent-preview.el --- What is shown and is no text  -*- lexical-binding: t; -*-

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

;; What overlays show in a chat, as strings: texts that are not verified
;; and what a model thinks, each in as many rows as there are for it.
;;
;; What a model thinks is one line, unfolded on demand.  It is in no
;; text, no undo list and no file, and may be long: pieces are only
;; counted until somebody looks, and few are drawn by themselves.

;;; Code:

(require 'cl-lib)
(require 'subr-x)
(require 'org-agent-server)
(require 'org-agent-text)

;;;; Faces

(defgroup org-agent-faces nil
  "How org-agent looks."
  :group 'org-agent
  :group 'faces)

(defface org-agent-unverified
  '((t :inherit shadow :slant italic))
  "Text of a reply that was not verified yet and may be taken back."
  :package-version '(org-agent . "0.1.0"))

(defface org-agent-notice
  '((t :inherit warning))
  "What org-agent says about a turn."
  :package-version '(org-agent . "0.1.0"))

(defface org-agent-thought
  '((t :inherit shadow))
  "What a model thinks before it answers."
  :package-version '(org-agent . "0.1.0"))

;;;; Texts in few rows

(defconst org-agent--head-limit 8000
  "How many characters of the beginning of a long text are shown.")

(defconst org-agent--tail-limit 4000
  "How many characters of the end of a long text are shown.")

(defun org-agent--unverified (text)
  "Return the lines TEXT as what is not verified."
  (org-agent--lines text 'org-agent-unverified))

(defun org-agent--excerpt (head tail length rows width face)
  "Return a text in at most ROWS rows of WIDTH columns, with FACE.
HEAD is its beginning, TAIL the end, as far as they were kept of LENGTH
characters.  Of a longer one that is the beginning, a note, and the end."
  (let* (;; In a window of a few lines nothing is left for it.
         (rows (max 1 rows))
         (width (max 1 width))
         (most (* rows width))
         (whole (= length (+ (length head) (length tail))))
         ;; What has more characters than there is room is not looked at:
         ;; this is drawn again and again while a text grows.
         (text (and whole (<= length most)
                    (if (string-empty-p tail) head (concat head tail)))))
    (if (and text (not (org-agent--row-end
                        text rows (org-agent--columns text width))))
        (org-agent--lines text face)
      (let* ((last-rows (/ rows 3))
             (first-rows (- rows last-rows 1))
             (first (substring head 0 (org-agent--row-end
                                       head first-rows
                                       (org-agent--columns
                                        head width 0 (* first-rows width)))))
             (least (* last-rows width))
             (end (if (or (not whole) (>= (length tail) least)) tail
                    (concat (org-agent--tail head least) tail)))
             (last (if (zerop last-rows) ""
                     (org-agent--last-rows
                      end last-rows
                      (org-agent--columns end width (- (length end) least))))))
        (concat (org-agent--lines first face)
                (propertize (format "[... %d characters more ...]\n"
                                    (- length (length first) (length last)))
                            'face 'org-agent-notice)
                (org-agent--lines last face))))))

(defun org-agent--lines (text face)
  "Return TEXT with one final newline and FACE."
  (let ((lines (org-agent--line text)))
    (if (eq lines text) (propertize text 'face face)
      ;; That is no copy of a copy.
      (put-text-property 0 (length lines) 'face face lines)
      lines)))

(defun org-agent--columns (text width &optional beg end)
  "Return how many characters of TEXT go into WIDTH columns, on average.
The average is that of what is between BEG and END, as far as it is there."
  (let* ((beg (max 0 (or beg 0)))
         (end (min (length text) (or end (length text))))
         (columns (string-width text beg end)))
    (if (> columns (- end beg))
        (max 1 (/ (* width (- end beg)) columns))
      width)))

(defun org-agent--row-end (text rows width &optional beg)
  "Return where the first ROWS rows of TEXT end, or nil if it has no more.
A row has WIDTH columns, taken as characters.  The first begins at BEG."
  (let ((at (or beg 0)))
    (while (and at (> rows 0))
      (let* ((newline (string-search "\n" text at))
             (need (max 1 (ceiling (- (or newline (length text)) at)
                                   (float width)))))
        (cond ((> need rows) (setq at (+ at (* rows width)) rows 0))
              (newline (setq at (1+ newline) rows (- rows need)))
              (t (setq at nil)))))
    (and at (< at (length text)) at)))

(defun org-agent--last-rows (text rows width)
  "Return the last ROWS rows of TEXT, each of WIDTH columns.
A line that does not begin there is left out if there is another."
  (let ((beg (max 0 (- (length text) (* rows width)))))
    (while (org-agent--row-end text rows width beg)
      (setq beg (org-agent--row-end text 1 width beg)))
    (let ((newline (string-search "\n" text beg)))
      (substring text
                 (if (and newline (> beg 0) (< (1+ newline) (length text)))
                     (1+ newline)
                   beg)))))

(defun org-agent--one-line (text most)
  "Return TEXT, words of others, in one line of at most MOST columns."
  (truncate-string-to-width
   (replace-regexp-in-string "[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]+"
                             " " text)
   most nil nil "..."))

(defun org-agent--harmless (text)
  "Return TEXT without characters that change the look of other text."
  (replace-regexp-in-string
   "[\u0000-\b\v-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]" "\ufffd"
   text))

;;;; Showing above a line

(defvar-local org-agent--covers nil
  "Overlays that keep the prefix of a line from what is shown above it.")

(defun org-agent--show-before (overlay string)
  "Let OVERLAY, in this buffer and where a line begins, show STRING before that.
In `org-indent-mode' each line on the screen has a prefix, that of a
heading being stars.  A string can say that its lines have none, but
the first is not asked: there Emacs takes that of the buffer's text.  So
the text has none either, and after the strings comes what it had."
  (save-restriction
    (widen)
    (let* ((place (overlay-start overlay))
           (prefix (get-text-property place 'line-prefix)))
      (overlay-put overlay 'org-agent-above t)
      (overlay-put overlay 'before-string
                   (if prefix (propertize string 'line-prefix "" 'wrap-prefix "")
                     string))
      (when (or prefix org-agent--covers)
        (org-agent--cover place prefix)))))

(defun org-agent--cover-at (place)
  "Return the overlay for the prefix of the line at PLACE, or nil."
  (seq-find (lambda (cover) (eql (overlay-start cover) place)) org-agent--covers))

(defun org-agent--covered-p (overlay)
  "Return non-nil if nothing is to be done for the line at OVERLAY."
  (save-restriction
    (widen)
    (let ((place (overlay-start overlay)))
      (eq (null (org-agent--cover-at place))
          (null (get-text-property place 'line-prefix))))))

(defun org-agent--cover (place prefix)
  "Let the line at PLACE have PREFIX after what is shown before it.
Elsewhere, where nothing is shown any more, leave no trace."
  (let ((cover (org-agent--cover-at place)))
    (dolist (other org-agent--covers)
      (unless (or (eq other cover)
                  (let ((start (overlay-start other)))
                    (and start
                         (seq-some (lambda (overlay)
                                     (and (overlay-get overlay 'org-agent-above)
                                          (= (overlay-start overlay) start)))
                                   (overlays-in start start)))))
        (delete-overlay other)))
    (setq org-agent--covers (seq-filter #'overlay-buffer org-agent--covers))
    (cond
     (prefix
      (unless cover
        (setq cover (make-overlay place place nil t))
        ;; The last of the strings at one place has the highest.
        (overlay-put cover 'priority 100)
        (overlay-put cover 'line-prefix "")
        (push cover org-agent--covers))
      (move-overlay cover place (min (point-max) (1+ place)))
      (overlay-put cover 'before-string
                   (propertize (if (stringp prefix) prefix
                                 (propertize " " 'display prefix))
                               'line-prefix "")))
     (cover (delete-overlay cover)))))

;;;; What a model thinks

(cl-defstruct (org-agent--thought (:copier nil) (:constructor org-agent--make-thought))
  "What a model thinks in one call."
  (attempt 0) ; number of the model call
  pieces ; newest first
  (length 0) ; of all pieces, in characters
  since until ; when the first piece came, and the last
  open) ; non-nil if it is unfolded

(defconst org-agent--thought-limit 65536
  "How many characters of what a model thinks are kept.")

(defconst org-agent--thought-pause 0.1
  "Seconds after which further pieces of a thought are drawn together.")

(defun org-agent--thought-add (thought text)
  "Add TEXT to THOUGHT as far as there is room."
  (let ((room (- org-agent--thought-limit (org-agent--thought-length thought)))
        (now (float-time)))
    (unless (org-agent--thought-since thought)
      (setf (org-agent--thought-since thought) now))
    (setf (org-agent--thought-until thought) now)
    (when (> room 0)
      (let ((text (org-agent--harmless
                   (substring text 0 (min room (length text))))))
        (cl-incf (org-agent--thought-length thought) (length text))
        (push text (org-agent--thought-pieces thought))))))

(defun org-agent--thought-text (thought)
  "Return all that was kept of THOUGHT."
  (let ((text (apply #'concat (reverse (org-agent--thought-pieces thought)))))
    (setf (org-agent--thought-pieces thought) (list text))
    text))

(defun org-agent--number (number)
  "Return NUMBER with a comma after each thousand."
  (let ((text (number-to-string number)))
    (while (string-match "\\`\\([0-9]+\\)\\([0-9]\\{3\\}\\)" text)
      (setq text (replace-match "\\1,\\2" t nil text)))
    text))

(defun org-agent--thought-string (thought over rows width toggle)
  "Return what is shown of THOUGHT, its text in ROWS rows of WIDTH columns.
If there are fewer than two, only its line is shown.  OVER is non-nil
if the model thinks no more.  TOGGLE is called when its line is clicked."
  (let* ((open (org-agent--thought-open thought))
         (map (make-sparse-keymap))
         (label (if over
                    (format "thought for %d s"
                            (max 1 (round (- (org-agent--thought-until thought)
                                             (org-agent--thought-since thought)))))
                  (format "thinking… %s characters"
                          (org-agent--number (org-agent--thought-length thought))))))
    (define-key map [mouse-1] (lambda () (interactive) (funcall toggle)))
    (concat
     (propertize (concat (if open "▾ " "▸ ") label)
                 'face 'org-agent-thought 'mouse-face 'highlight 'keymap map
                 'help-echo "mouse-1, or M-x org-agent-toggle-thought: unfold or fold it")
     "\n"
     (when (and open (> rows 1))
       (let* ((text (org-agent--thought-text thought))
              (length (length text))
              (head (min length org-agent--head-limit)))
         ;; What comes is drawn again and again: not all of it each time.
         (org-agent--excerpt (substring text 0 head)
                             (substring text (max head (- length org-agent--tail-limit)))
                             length rows width 'org-agent-thought))))))

(provide 'org-agent-preview)
;;; org-agent-preview.el ends here
