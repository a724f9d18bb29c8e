;;; org-agent-replacement.el --- New text for a region, shown and put there  -*- lexical-binding: t; -*-

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

;; A region that is being rewritten, how it looks meanwhile, and how the
;; new text takes its place.  It knows nothing of the server.
;;
;; The new text is shown by an overlay in the place of the old one, which
;; stays in the buffer until the new one is accepted.  So what is shown
;; is in no file, no undo list and no search, and moves no marker.  Of
;; what is too long for a window the beginning and the end are shown,
;; because Emacs cannot scroll inside it; the difference shows all.
;;
;; Accepted, the text is put there by the smallest changes that are found
;; in little time, as one undo step: so point, markers and what is folded
;; stay where they were in what did not change.
;;
;; An overlay moves with its text.  If the text inside it is another one
;; than the model was shown, it is not replaced unless the user says so.

;;; Code:

(require 'cl-lib)
(require 'diff)
(require 'diff-mode)
(require 'org-agent-preview)
(require 'org-agent-turn)

(defvar ediff-after-quit-hook-internal)

;;;; Faces

(defface org-agent-rewrite-new
  '((t :inherit diff-added))
  "New text for a region, verified and not accepted yet."
  :group 'org-agent-faces
  :package-version '(org-agent . "0.1.0"))

(defface org-agent-rewrite-old
  '((t :inherit shadow))
  "Text that is being rewritten."
  :group 'org-agent-faces
  :package-version '(org-agent . "0.1.0"))

;;;; State

(cl-defstruct (org-agent--rewrite (:copier nil))
  "A region that is being rewritten."
  overlay ; the region
  source ; its text as the model was shown it
  instruction ; what the user wants
  client-id ; of the message that said so
  session turn ; once the server answered
  (state 'sending) ; or running, offered, failed, over
  (seq 0) ; of the last message seen
  (attempt 0) (pieces nil) ; the preview, newest first
  text ; the new text, verified
  actuation ; its identifier
  rule ; why it may be offered, and what was changed in it
  explanation ; what the model said about it
  reason) ; why it failed, or what the server waits for

(defun org-agent--rewrite-buffer (rewrite)
  "Return the live buffer of REWRITE, or nil."
  (overlay-buffer (org-agent--rewrite-overlay rewrite)))

(defun org-agent--rewrites (&optional buffer)
  "Return what is being rewritten in BUFFER or this one, first things first."
  (with-current-buffer (or buffer (current-buffer))
    (save-restriction
      (widen)
      (let (found)
        (dolist (overlay (overlays-in (point-min) (point-max)))
          (let ((rewrite (overlay-get overlay 'org-agent-rewrite)))
            ;; A cloned buffer has copies of overlays that mean nothing.
            (when (and rewrite
                       (eq overlay (org-agent--rewrite-overlay rewrite)))
              (push rewrite found))))
        (sort found (lambda (one other)
                      (< (overlay-start (org-agent--rewrite-overlay one))
                         (overlay-start (org-agent--rewrite-overlay other)))))))))

(defun org-agent--rewrite-in (beg end)
  "Return the first rewrite that has text between BEG and END, or nil.
If they are the same, it may end there if none begins there."
  (let ((rewrites (org-agent--rewrites)))
    (cl-flet ((find (fits)
                (seq-find (lambda (rewrite)
                            (let ((overlay (org-agent--rewrite-overlay rewrite)))
                              (funcall fits (overlay-start overlay)
                                       (overlay-end overlay))))
                          rewrites)))
      (or (find (lambda (from to) (and (< from (max end (1+ beg))) (< beg to))))
          (and (= beg end)
               (find (lambda (from to) (<= from beg to))))))))

(defun org-agent--rewrite-current (rewrite)
  "Return what stands in the region of REWRITE now."
  (let ((overlay (org-agent--rewrite-overlay rewrite)))
    (with-current-buffer (overlay-buffer overlay)
      (save-restriction
        (widen)
        (buffer-substring-no-properties (overlay-start overlay)
                                        (overlay-end overlay))))))

(defun org-agent--rewrite-edited-p (rewrite)
  "Return non-nil if the text of REWRITE is not what the model was shown."
  (not (equal (org-agent--rewrite-current rewrite)
              (org-agent--rewrite-source rewrite))))

;;;; Showing

(defun org-agent--rewrite-label (rewrite)
  "Return what stands before the text of REWRITE."
  (let ((words
         (pcase (org-agent--rewrite-state rewrite)
           ('offered
            (concat "new text"
                    (if (org-agent--rewrite-edited-p rewrite)
                        ", and you edited the old one" "")
                    ": C-c C-c accept, C-c C-k reject, RET more"))
           ('failed
            (format "not rewritten: %s: C-c C-k dismiss, RET more"
                    (org-agent--one-line
                     (or (org-agent--rewrite-reason rewrite) "no reason given")
                     200)))
           (_ (format "rewriting%s: C-c C-k cancel"
                      (if-let ((reason (org-agent--rewrite-reason rewrite)))
                          (format " (%s)" (org-agent--one-line reason 60))
                        ""))))))
    (propertize (format "[%s]" words) 'face 'org-agent-notice)))

(defun org-agent--rewrite-shown (rewrite)
  "Return what is shown in the place of the text of REWRITE, or nil.
While the new text comes, the lines of the old one that it has not
reached yet stand below it."
  (pcase-let ((`(,rows ,width) (org-agent--room))
              (text (org-agent--rewrite-text rewrite)))
    (cond
     ((eq (org-agent--rewrite-state rewrite) 'offered)
      (org-agent--rewrite-excerpt text (max 2 (- rows 4)) width
                                  'org-agent-rewrite-new))
     ((org-agent--rewrite-pieces rewrite)
      (let* ((new (org-agent--rewrite-preview rewrite))
             (old (org-agent--rewrite-current rewrite))
             (done (cl-count ?\n new))
             (at 0))
        (while (and at (>= done 0))
          (setq at (string-search "\n" old at)
                at (and at (1+ at))
                done (1- done)))
        (let ((rest (if at (substring old at) ""))
              (room (max 2 (/ (- rows 4) 2))))
          (concat
           (org-agent--rewrite-excerpt new room width 'org-agent-unverified)
           (if (or (string-empty-p rest) (string-suffix-p "\n" new)) "" "\n")
           (org-agent--rewrite-excerpt rest room width
                                       'org-agent-rewrite-old))))))))

(defun org-agent--rewrite-excerpt (text rows width face)
  "Return TEXT with FACE, in at most ROWS rows of WIDTH columns."
  (let* ((text (org-agent--harmless text))
         (length (length text))
         (head (min length org-agent--head-limit))
         (shown (org-agent--excerpt
                 (substring text 0 head)
                 (substring text (max head (- length org-agent--tail-limit)))
                 length rows width face)))
    ;; As many line breaks at the end as it has.
    (if (string-suffix-p "\n" text) shown
      (string-remove-suffix "\n" shown))))

(defun org-agent--rewrite-preview (rewrite)
  "Return all that came of the new text of REWRITE."
  (let ((text (apply #'concat (reverse (org-agent--rewrite-pieces rewrite)))))
    (setf (org-agent--rewrite-pieces rewrite) (list text))
    text))

(defun org-agent--rewrite-show (rewrite)
  "Show REWRITE as it is now, if its buffer is there."
  (when-let ((buffer (org-agent--rewrite-buffer rewrite)))
    (with-current-buffer buffer
      (let* ((overlay (org-agent--rewrite-overlay rewrite))
             (shown (org-agent--rewrite-shown rewrite))
             (line (save-excursion
                     (save-restriction
                       (widen)
                       (goto-char (overlay-start overlay))
                       (bolp)))))
        (overlay-put overlay 'display
                     ;; Emacs shows the text itself if this is empty.
                     (if (equal shown "")
                         (propertize "[nothing]" 'face 'org-agent-rewrite-new)
                       shown))
        (overlay-put overlay 'before-string
                     (concat (org-agent--rewrite-label rewrite)
                             (if line "\n" " ")))
        (overlay-put overlay 'face 'org-agent-rewrite-old)))))

(defun org-agent--rewrite-end (rewrite)
  "Show nothing of REWRITE any more."
  (setf (org-agent--rewrite-state rewrite) 'over)
  (delete-overlay (org-agent--rewrite-overlay rewrite)))

;;;; Putting it there

(defconst org-agent--rewrite-search-time 0.3
  "Seconds in which the smallest changes of a text are looked for.
After that it is replaced as a whole.")

(defun org-agent--rewrite-apply (rewrites)
  "Put the new text of each of REWRITES, all of this buffer, in its place.
That is one undo step.  If one cannot be put there, none is."
  (barf-if-buffer-read-only)
  (undo-boundary)
  (let ((changes (prepare-change-group)) done)
    (activate-change-group changes)
    (unwind-protect
        (save-restriction
          (widen)
          (dolist (rewrite rewrites)
            (let* ((overlay (org-agent--rewrite-overlay rewrite))
                   (text (org-agent--rewrite-text rewrite)))
              (save-excursion
                (replace-region-contents
                 (overlay-start overlay) (overlay-end overlay)
                 (lambda () text) org-agent--rewrite-search-time))))
          (undo-amalgamate-change-group changes)
          (accept-change-group changes)
          (setq done t))
      (unless done
        (cancel-change-group changes))))
  (undo-boundary))

;;;; Differences

(defun org-agent--rewrite-diff (rewrite)
  "Return a buffer with what is to change by REWRITE."
  (let* ((name (buffer-name (org-agent--rewrite-buffer rewrite)))
         (coding-system-for-write 'utf-8-emacs-unix)
         (old (make-temp-file "org-agent-old" nil nil
                              (org-agent--rewrite-current rewrite)))
         (new (make-temp-file "org-agent-new" nil nil
                              (org-agent--rewrite-text rewrite)))
         (coding-system-for-read 'utf-8-emacs-unix)
         (default-directory temporary-file-directory)
         (buffer (get-buffer-create (format "*org-agent diff: %s*" name))))
    (unwind-protect
        (with-current-buffer buffer
          (let ((inhibit-read-only t))
            (erase-buffer)
            (call-process diff-command nil t nil "-u"
                          "--label" "as it is" "--label" "rewritten" old new)
            (when (= (point-min) (point-max))
              (insert "The new text is the same as the old one.\n")))
          (diff-mode)
          ;; Words that changed are shown, not only lines.
          (setq-local diff-refine 'font-lock)
          (setq buffer-read-only t)
          (goto-char (point-min)))
      (delete-file old)
      (delete-file new))
    buffer))

(defun org-agent--rewrite-side (name text mode)
  "Return a new buffer with TEXT in MODE, called NAME or nearly so."
  (with-current-buffer (generate-new-buffer name)
    (insert text)
    ;; Its hooks are for files, and start programs.
    (ignore-errors (delay-mode-hooks (funcall mode)))
    (setq buffer-undo-list nil)
    (set-buffer-modified-p nil)
    (current-buffer)))

(defun org-agent--rewrite-ediff (rewrite then)
  "Start Ediff on the old and the new text of REWRITE.
Once it is left, call THEN with the old text and with what the user
made of the new one."
  (let* ((buffer (org-agent--rewrite-buffer rewrite))
         (mode (buffer-local-value 'major-mode buffer))
         (mode (if (eq mode 'org-agent-chat-mode) 'org-mode mode))
         (old (org-agent--rewrite-current rewrite))
         (a (org-agent--rewrite-side (format "*%s: as it is*" buffer) old mode))
         (b (org-agent--rewrite-side (format "*%s: rewritten*" buffer)
                                     (org-agent--rewrite-text rewrite) mode))
         (windows (current-window-configuration)))
    (with-current-buffer a (setq buffer-read-only t))
    (ediff-buffers
     a b
     (list (lambda ()
             (add-hook 'ediff-after-quit-hook-internal
                       (lambda ()
                         (let ((made (and (buffer-live-p b)
                                          (with-current-buffer b
                                            (buffer-substring-no-properties
                                             (point-min) (point-max))))))
                           (dolist (side (list a b))
                             (when (buffer-live-p side)
                               (with-current-buffer side
                                 (set-buffer-modified-p nil))
                               (kill-buffer side)))
                           (set-window-configuration windows)
                           (when made (funcall then old made))))
                       nil t))))))

(provide 'org-agent-replacement)
;;; org-agent-replacement.el ends here
