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

(cl-defstruct (org-agent--rewrite (:copier nil) (:constructor org-agent--make-rewrite))
  "A region that is being rewritten."
  overlay ; the region
  source ; its text as the model was shown it
  instruction ; what the user wants
  client-id ; of the message that said so
  session turn ; once the server answered
  (state 'sending) ; or running, offered, failed, over
  (seq 0) ; of the last message seen
  (attempt 0) ; number of the model call whose preview this is:
  (head "") (tail "") (length 0) (lines 0)
  fresh ; what came of it since it was shown, newest first
  touched ; non-nil if the old text may have been edited
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
            (if (and (org-agent--rewrite-touched rewrite)
                     (org-agent--rewrite-edited-p rewrite))
                "new text waits, but you edited the old one: C-c C-c show, C-c C-k reject"
              "new text: C-c C-c accept, C-c C-k reject, RET more"))
           ('failed
            (format "not rewritten: %s: C-c C-k dismiss"
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
reached yet stand below it.  What the user edits, they must see."
  (pcase-let ((`(,rows ,width) (org-agent--room)))
    (cond
     ((and (org-agent--rewrite-touched rewrite)
           (org-agent--rewrite-edited-p rewrite))
      nil)
     ((eq (org-agent--rewrite-state rewrite) 'offered)
      (let* ((text (org-agent--rewrite-text rewrite))
             (head (min (length text) org-agent--head-limit)))
        (org-agent--rewrite-excerpt
         (substring text 0 head)
         (substring text (max head (- (length text) org-agent--tail-limit)))
         (length text) (max 2 (- rows 4)) width 'org-agent-rewrite-new)))
     ((> (org-agent--rewrite-length rewrite) 0)
      (let ((room (max 2 (/ (- rows 4) 2))))
        (concat
         (org-agent--rewrite-excerpt
          (org-agent--rewrite-head rewrite) (org-agent--rewrite-tail rewrite)
          (org-agent--rewrite-length rewrite) room width 'org-agent-unverified)
         (org-agent--rewrite-rest rewrite room width)))))))

(defun org-agent--rewrite-rest (rewrite rows width)
  "Return the first ROWS rows of WIDTH columns that REWRITE has not reached."
  (let ((overlay (org-agent--rewrite-overlay rewrite)))
    (save-excursion
      (save-restriction
        (narrow-to-region (overlay-start overlay) (overlay-end overlay))
        (goto-char (point-min))
        (if (or (> (forward-line (1+ (org-agent--rewrite-lines rewrite))) 0)
                (eobp))
            ""
          (let* ((text (buffer-substring-no-properties
                        (point) (min (point-max) (+ (point) (* rows width)))))
                 (end (org-agent--row-end text rows width)))
            (concat "\n" (propertize (org-agent--harmless (substring text 0 end))
                                     'face 'org-agent-rewrite-old))))))))

(defun org-agent--rewrite-excerpt (head tail length rows width face)
  "Return a text with FACE, in at most ROWS rows of WIDTH columns.
HEAD, TAIL and LENGTH are as in `org-agent--excerpt'."
  (let* ((most (* rows width))
         (long (> length (+ most most)))
         (last (if (string-empty-p tail) head tail))
         (shown (org-agent--excerpt
                 (org-agent--harmless
                  (if long (substring head 0 (min most (length head))) head))
                 (org-agent--harmless (if long (org-agent--tail last most) tail))
                 length rows width face)))
    ;; As many line breaks at the end as it has.
    (if (string-suffix-p "\n" last) shown
      (string-remove-suffix "\n" shown))))

(defun org-agent--rewrite-fold (rewrite)
  "Add what is fresh to the preview of REWRITE, of which a part is kept.
In a burst there may be thousands of pieces: they are added at once."
  (let ((text (apply #'concat (nreverse (org-agent--rewrite-fresh rewrite)))))
    (setf (org-agent--rewrite-fresh rewrite) nil)
    (unless (string-empty-p text)
      (org-agent--rewrite-add rewrite text))))

(defun org-agent--rewrite-add (rewrite text)
  "Add TEXT to the preview of REWRITE."
  (cl-incf (org-agent--rewrite-length rewrite) (length text))
  (cl-incf (org-agent--rewrite-lines rewrite) (cl-count ?\n text))
  (let ((room (max 0 (- org-agent--head-limit
                        (length (org-agent--rewrite-head rewrite))))))
    (when (> room 0)
      (cl-callf concat (org-agent--rewrite-head rewrite)
        (substring text 0 (min room (length text)))))
    (when (> (length text) room)
      (setf (org-agent--rewrite-tail rewrite)
            (org-agent--tail (concat (org-agent--rewrite-tail rewrite)
                                     (substring text room))
                             org-agent--tail-limit)))))

(defun org-agent--rewrite-clear (rewrite)
  "Forget the preview of REWRITE."
  (setf (org-agent--rewrite-head rewrite) ""
        (org-agent--rewrite-tail rewrite) ""
        (org-agent--rewrite-fresh rewrite) nil
        (org-agent--rewrite-length rewrite) 0
        (org-agent--rewrite-lines rewrite) 0))

(defun org-agent--rewrite-show (rewrite)
  "Show REWRITE as it is now, if its buffer is there."
  (when-let ((buffer (org-agent--rewrite-buffer rewrite)))
    (org-agent--rewrite-fold rewrite)
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

(defvar org-agent--rewrite-applying nil
  "Non-nil while new text is being put there.")

(defun org-agent--rewrite-touch (overlay after &rest _)
  "Show what OVERLAY is about anew, if it was edited AFTER all."
  (when (and after (not org-agent--rewrite-applying))
    (let ((rewrite (overlay-get overlay 'org-agent-rewrite)))
      (when (eq overlay (org-agent--rewrite-overlay rewrite))
        (setf (org-agent--rewrite-touched rewrite) t)
        (org-agent--rewrite-show rewrite)))))

(defun org-agent--rewrite-begin (beg end)
  "Return a rewrite of the text between BEG and END of this buffer."
  (let* ((overlay (make-overlay beg end nil t nil))
         (rewrite (org-agent--make-rewrite :overlay overlay)))
    (overlay-put overlay 'org-agent-rewrite rewrite)
    (overlay-put overlay 'priority 50)
    (overlay-put overlay 'modification-hooks '(org-agent--rewrite-touch))
    rewrite))

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
  (let ((changes (prepare-change-group))
        (org-agent--rewrite-applying t)
        done)
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

(defvar-local org-agent--rewrite-compared nil
  "The rewrite that this buffer shows the difference of, or nil.")

(defvar org-agent-rewrite-diff-map
  (let ((map (make-sparse-keymap)))
    (set-keymap-parent map diff-mode-map)
    (define-key map (kbd "C-c C-c") 'org-agent-rewrite-accept)
    (define-key map (kbd "C-c C-k") 'org-agent-rewrite-reject)
    map)
  "Keys where the difference that new text makes is shown.")

(defun org-agent--rewrite-diff (rewrite)
  "Return a buffer with what is to change by REWRITE."
  (let* ((name (buffer-name (org-agent--rewrite-buffer rewrite)))
         (coding-system-for-write 'utf-8-emacs-unix)
         ;; That they were written is nobody's business.
         (inhibit-message t)
         (message-log-max nil)
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
          (use-local-map org-agent-rewrite-diff-map)
          (setq org-agent--rewrite-compared rewrite
                header-line-format
                (substitute-command-keys
                 "\\<org-agent-rewrite-diff-map>\\[org-agent-rewrite-accept] accept, \\[org-agent-rewrite-reject] reject, \\[quit-window] leave")
                buffer-read-only t)
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
