;;; org-agent-rewrite.el --- Rewrite a region in place  -*- lexical-binding: t; -*-

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

;; M-x org-agent-rewrite asks for an instruction and has the region
;; rewritten by it, in any buffer.  The new text is shown in the place of
;; the old one while it comes.  Verified, it waits, for as long as the
;; user likes: it is put there when they accept it, and not before.
;;
;; There can be many at once, in one buffer or several.  They must not
;; overlap: one would replace what the other was made from.

;;; Code:

(require 'org-agent)
(require 'org-agent-rewriting)
(require 'pulse)
(require 'thingatpt)

(defvar org-agent-rewrite-history nil
  "Instructions for rewrites, the last one first.")

;;;; Asking

(defun org-agent--rewrite-bounds ()
  "Return the region as a cons, or else the defun or paragraph at point.
What is not the region flashes."
  (cond
   ((and (use-region-p) (region-noncontiguous-p))
    (user-error "A rectangle cannot be rewritten"))
   ((use-region-p) (cons (region-beginning) (region-end)))
   (t
    (let ((bounds (bounds-of-thing-at-point
                   (if (derived-mode-p 'prog-mode) 'defun 'paragraph))))
      (when bounds
        ;; A paragraph begins with the blank line before it.
        (save-excursion
          (goto-char (car bounds))
          (skip-chars-forward " \t\n" (cdr bounds))
          (setcar bounds (line-beginning-position))))
      (unless (and bounds (< (car bounds) (cdr bounds)))
        (user-error "There is no text at point; select a region"))
      (pulse-momentary-highlight-region (car bounds) (cdr bounds))
      bounds))))

(defun org-agent--rewrite-read (again)
  "Read an instruction, or take the last one if AGAIN is non-nil."
  (let ((instruction
         (if again
             (or (car org-agent-rewrite-history)
                 (user-error "There is no instruction yet"))
           (string-trim (read-string "Rewrite: " nil
                                     'org-agent-rewrite-history)))))
    (when (string-empty-p instruction)
      (user-error "Say how it is to be rewritten"))
    instruction))

(defun org-agent--rewrite-check (beg end)
  "Signal an error if the text between BEG and END cannot be rewritten."
  (barf-if-buffer-read-only)
  (unless enable-multibyte-characters
    (user-error "This buffer has bytes and no characters"))
  (when (org-agent--rewrite-in beg end)
    (user-error "Some of this is being rewritten already"))
  (let ((text (buffer-substring-no-properties beg end)))
    (when (string-match org-agent--insane text)
      (user-error "The text has a byte that is no character, after `%s'"
                  (org-agent--tail (substring text 0 (match-beginning 0)) 20)))))

;;;###autoload
(defun org-agent-rewrite (beg end instruction)
  "Have the text between BEG and END rewritten by INSTRUCTION.
Without a region, that is the defun or the paragraph at point.  With a
prefix argument, the last instruction is taken again.

The new text is shown there and takes the place of the old one once you
accept it.

\\{org-agent-rewrite-map}"
  (interactive
   (pcase-let ((`(,beg . ,end) (org-agent--rewrite-bounds)))
     (org-agent--rewrite-check beg end)
     (list beg end (org-agent--rewrite-read current-prefix-arg))))
  (org-agent--rewrite-check beg end)
  (let ((rewrite (org-agent--rewrite-begin beg end)))
    (add-hook 'kill-buffer-hook #'org-agent--rewrites-leave nil t)
    (deactivate-mark)
    (org-agent--rewrite-ask rewrite instruction)))

;;;; Deciding

(defconst org-agent--rewrite-choices
  '((?a "accept" org-agent-rewrite-accept)
    (?r "reject" org-agent-rewrite-reject)
    (?d "diff" org-agent-rewrite-diff)
    (?e "ediff" org-agent-rewrite-ediff)
    (?i "iterate" org-agent-rewrite-again)
    (?w "why" org-agent-rewrite-why))
  "What can be done about new text, each by its key.")

(defun org-agent-rewrite-act (&optional event)
  "Ask what to do about the new text at point, or where EVENT was."
  (interactive (list last-nonmenu-event))
  (when (mouse-event-p event)
    (mouse-set-point event))
  (let* ((rewrite (org-agent--rewrite-here))
         (explanation (org-agent--rewrite-explanation rewrite))
         (choices (if (eq (org-agent--rewrite-state rewrite) 'offered)
                      org-agent--rewrite-choices
                    (seq-filter (lambda (choice) (memq (car choice) '(?r ?i ?w)))
                                org-agent--rewrite-choices))))
    (call-interactively
     (nth 2 (assq (car (read-multiple-choice
                        (if explanation
                            (org-agent--one-line explanation 200)
                          "New text")
                        (mapcar (lambda (choice) (seq-take choice 2)) choices)))
                  choices)))))

(defun org-agent--rewrite-here (&optional state)
  "Return the rewrite at point, or the only one of this buffer.
Of a buffer that shows the difference, that is the one it is about.
It must be in STATE, if given; else signal an error."
  (let* ((fits (lambda (rewrite)
                 (or (not state)
                     (eq (org-agent--rewrite-state rewrite) state))))
         (compared org-agent--rewrite-compared)
         (all (if compared (and (org-agent--rewrite-buffer compared)
                                (funcall fits compared)
                                (list compared))
                (seq-filter fits (org-agent--rewrites))))
         (here (and (not compared) (org-agent--rewrite-in (point) (point)))))
    (cond ((and here (funcall fits here)) here)
          ((null all)
           (let ((others (if here (list here) (org-agent--rewrites))))
             (user-error
              (cond ((not others) "Nothing is rewritten in this buffer")
                    ((seq-every-p (lambda (rewrite)
                                    (eq (org-agent--rewrite-state rewrite) 'failed))
                                  others)
                     "There is no new text: it was not rewritten")
                    (t "The new text is not there yet")))))
          ((cdr all) (user-error "Go to one of the %d texts first" (length all)))
          (t (car all)))))

(defun org-agent-rewrite-accept (&optional force)
  "Put the new text at point, or the only one, in the place of the old one.
If the old one was edited since the model was shown it, the difference
is shown instead; with prefix argument FORCE, it is replaced."
  (interactive "P")
  (let ((rewrite (org-agent--rewrite-here 'offered)))
    (if (or force (not (org-agent--rewrite-edited-p rewrite)))
        (org-agent--rewrite-accept (list rewrite))
      (display-buffer (org-agent--rewrite-diff rewrite))
      (user-error "You edited it since; with a prefix argument, that is lost"))))

(defun org-agent-rewrite-accept-all ()
  "Put each new text in this buffer in the place of the old one.
That is one undo step.  What was edited since is left as it is."
  (interactive)
  (let* ((offered (seq-filter (lambda (rewrite)
                                (eq (org-agent--rewrite-state rewrite) 'offered))
                              (org-agent--rewrites)))
         (ready (seq-remove #'org-agent--rewrite-edited-p offered))
         (left (- (length offered) (length ready))))
    (unless offered
      (user-error "No new text waits in this buffer"))
    (when ready
      (org-agent--rewrite-accept ready))
    (message "org-agent: %d accepted%s" (length ready)
             (if (zerop left) ""
               (format ", %d left as you edited the old text" left)))))

(defun org-agent--rewrite-accept (rewrites &optional message)
  "Put the new texts of REWRITES, all of one buffer, and tell the server.
MESSAGE is for the record."
  (with-current-buffer (org-agent--rewrite-buffer (car rewrites))
    (org-agent--rewrite-apply rewrites))
  (dolist (rewrite rewrites)
    (let ((overlay (org-agent--rewrite-overlay rewrite)))
      (with-current-buffer (overlay-buffer overlay)
        (pulse-momentary-highlight-region (overlay-start overlay)
                                          (overlay-end overlay))))
    (org-agent--rewrite-settle rewrite "done" message)
    (org-agent--rewrite-end rewrite))
  (org-agent--rewrite-leave-diff))

(defun org-agent--rewrite-leave-diff ()
  "Leave this buffer if it is the difference of what was decided."
  (when org-agent--rewrite-compared
    (quit-window t)))

(defun org-agent-rewrite-reject ()
  "Leave the text at point, or the only one, as it is.
What is still coming is cancelled."
  (interactive)
  (org-agent--rewrite-reject (org-agent--rewrite-here))
  (org-agent--rewrite-leave-diff))

(defun org-agent-rewrite-again (instruction)
  "Have the text at point, or the only one, rewritten by INSTRUCTION.
The model knows what it was told before, and what it wrote.  With a
prefix argument, the last instruction is taken again."
  (interactive (progn
                 (org-agent--rewrite-here)
                 (list (org-agent--rewrite-read current-prefix-arg))))
  (let ((rewrite (org-agent--rewrite-here)))
    (unless (memq (org-agent--rewrite-state rewrite) '(offered failed))
      (user-error "Wait for the new text, or cancel it"))
    (org-agent--rewrite-settle rewrite "denied" "The user asked again")
    (org-agent--rewrite-ask rewrite instruction)))

(defun org-agent-rewrite-diff ()
  "Show what the new text at point, or the only one, would change."
  (interactive)
  (pop-to-buffer (org-agent--rewrite-diff (org-agent--rewrite-here 'offered))))

(defun org-agent-rewrite-ediff ()
  "Compare the new text at point, or the only one, with the old one in Ediff.
Once that is left, what the new text has become can be put in place."
  (interactive)
  (let ((rewrite (org-agent--rewrite-here 'offered)))
    (org-agent--rewrite-ediff
     rewrite (lambda (old made)
               (org-agent--rewrite-ediffed rewrite old made)))))

(defun org-agent--rewrite-ediffed (rewrite old made)
  "Put MADE in the place of REWRITE if the user wants it.
OLD is what it was made from."
  (let ((buffer (org-agent--rewrite-buffer rewrite)))
    (cond
     ((not (and buffer (eq (org-agent--rewrite-state rewrite) 'offered)))
      (message "org-agent: there is nothing to rewrite any more"))
     ((not (equal old (org-agent--rewrite-current rewrite)))
      (message "org-agent: the old text was edited meanwhile; nothing was done"))
     ((y-or-n-p "Put the new text, as it is now, in the place of the old one? ")
      (let ((own (not (equal made (org-agent--rewrite-text rewrite)))))
        (setf (org-agent--rewrite-text rewrite) made)
        (with-current-buffer buffer
          (org-agent--rewrite-accept
           (list rewrite) (and own "The user edited it first"))))))))

(defun org-agent-rewrite-why ()
  "Show all that is behind the new text at point, or the only one."
  (interactive)
  (let ((rewrite (org-agent--rewrite-here)))
    (unless (org-agent--rewrite-turn rewrite)
      (user-error "The server knows nothing of it"))
    (org-agent--request
     'orgAgent/why
     (list :turnId (org-agent--rewrite-turn rewrite) :format "org")
     (lambda (result)
       (org-agent--show-page "*org-agent why*" (plist-get result :org)))
     (lambda (words _code) (message "org-agent: %s" words)))))

(provide 'org-agent-rewrite)
;;; org-agent-rewrite.el ends here
