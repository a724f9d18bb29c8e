;;; org-agent-marks.el --- Prompts and replies under their marks  -*- lexical-binding: t; -*-

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

;; Reading what stands in a chat: each prompt and reply has its mark, an
;; identifier in its drawer, and what is under it is compared with what
;; the server has by its hash.  What is changed as a whole, a transcript,
;; is written here, too.

;;; Code:

(require 'org-agent-text)

(defconst org-agent--heading-regexp
  (rx bol (+ "*") " " (or (group "USER") "ASSISTANT") (* (in " \t")) "\n"
      (* (in " \t")) ":PROPERTIES:" (* (in " \t")) "\n")
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
      (org-agent--widen)
      (let ((case-fold-search nil)
            (end (or (car (org-agent--input)) (point-max)))
            (marks nil))
        (goto-char end)
        (while (and (not (eql most 0))
                    (re-search-backward org-agent--heading-regexp nil t))
          (let ((heading (point))
                (prompt (match-beginning 1)))
            ;; Below a root there may be another session.
            (when-let ((found (and (or (not org-agent--root)
                                       (looking-at-p (concat (regexp-quote
                                                              (if prompt org-agent--user
                                                                org-agent--assistant))
                                                             "[ \t]*$")))
                                   (save-excursion
                                     (goto-char (match-end 0))
                                     (org-agent--read-drawer
                                      (if prompt "OA_EVENT" "OA_ACT") end)))))
              (push (list (car found) heading (cdr found) end) marks)
              (setq end heading)
              (when (and most prompt) (cl-decf most)))))
        marks))))

(defun org-agent--read-drawer (key limit)
  "Return (VALUE . END) of the rest of the drawer at point, or nil.
VALUE is that of the property KEY, END the position after the drawer,
at most LIMIT."
  (let ((property (format "[ \t]*:%s: +\\(\\S-+\\)[ \t]*$" key))
        (value nil))
    (while (and (looking-at "[ \t]*:") (not (looking-at "[ \t]*:END:[ \t]*$"))
                (< (point) limit))
      (when (looking-at property)
        (setq value (match-string-no-properties 1)))
      (forward-line 1))
    (and value
         (looking-at "[ \t]*:END:[ \t]*$")
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
       (org-agent--widen)
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
    (org-agent--widen)
    (let ((hashes (make-hash-table :test #'equal))
          (moved (org-agent--moved))
          ;; Also says that there is nothing to ask the user.
          (coding-system-for-write 'utf-8-unix)
          ;; Each text is garbage twice; to collect that takes longer than
          ;; the hashes do.
          (gc-cons-threshold (max gc-cons-threshold (ash 1 26))))
      (pcase-dolist (`(,mark ,_heading ,beg ,end) (org-agent--marks 50))
        (when (<= (- (position-bytes end) (position-bytes beg))
                  org-agent--text-limit)
          (puthash mark
                   (if (zerop moved)
                       (secure-hash 'sha256 (current-buffer) beg end)
                     (secure-hash 'sha256
                                  (encode-coding-string
                                   (org-agent--outward
                                    (buffer-substring-no-properties beg end))
                                   'utf-8-unix)))
                   hashes)))
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

(defun org-agent--turns-begin ()
  "Return where the transcript of this buffer begins: after what its root has."
  (if (not org-agent--root) (point-min)
    (or (nth 1 (car (org-agent--marks)))
        (car (org-agent--ensure-input)))))

(defun org-agent--difference (end new)
  "Compare what stands before END with the text NEW, line by line.
Return (FROM TO . TEXT): what stands between is to become TEXT."
  (save-restriction
    (org-agent--widen)
    (let* ((begin (org-agent--turns-begin))
           (old (buffer-substring-no-properties begin end))
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
      (cl-list* (+ begin first) (- end last)
                (substring new 0 (- (length new) last))))))

(defun org-agent--spot (mover)
  "Return (MOVER MARK . OFFSET): where the point of MOVER is."
  (let* ((point (if (bufferp mover) (point) (window-point mover)))
         (mark (org-agent--mark-at point)))
    (cl-list* mover (car mark) (- point (or (nth 1 mark) point)))))

(provide 'org-agent-marks)
;;; org-agent-marks.el ends here
