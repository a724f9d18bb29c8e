;;; org-agent-again.el --- Answering again in org-agent  -*- lexical-binding: t; -*-

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

;; A prompt is answered again: in its place, with the replies before as
;; variants to flip through; or, if more was said since or the prompt is
;; edited, in a branch, where the server answers the last prompt.
;;
;; Which variant counts is the server's record.  Here the texts of one
;; take the place of those of the other, as one step of undo, and only
;; after it was seen that nothing is lost: what the user edited is not
;; in any variant.  Nothing runs by flipping: a variant is text.
;;
;; An undone flip leaves the record as it is.  Then the buffer has other
;; text than the model is shown, as after any other edit, until the
;; buffer is brought up to date the next time, or another flip.

;;; Code:

(require 'org-agent-sessions)

;;;; Turns in the buffer

(defun org-agent--turn-at (position)
  "Return the prompt at or above POSITION and its replies, or nil.
They are elements of `org-agent--marks'."
  (save-excursion
    (save-restriction
      (org-agent--widen)
      (let (turns)
        (dolist (mark (org-agent--marks))
          (goto-char (nth 1 mark))
          (cond ((looking-at-p "\\*+ USER") (push (list mark) turns))
                (turns (push mark (car turns)))))
        (reverse (seq-find (lambda (turn)
                             (<= (nth 1 (car (last turn))) position))
                           turns))))))

(defun org-agent--turn-here ()
  "Return the turn at point as `org-agent--turn-at', or signal an error."
  (org-agent--check-session)
  (or (org-agent--turn-at (point))
      (user-error "There is no prompt at or above point")))

(defun org-agent--text-under (mark)
  "Return the text of MARK, an element of `org-agent--marks'."
  (save-restriction
    (org-agent--widen)
    (buffer-substring-no-properties (nth 2 mark) (nth 3 mark))))

(defun org-agent--turns-of (event)
  "Return each turn of this buffer that answers EVENT."
  (seq-filter (lambda (turn) (equal (org-agent--turn-event turn) event))
              (org-agent--turns-here)))

;;;; Variants

(defvar-local org-agent--regenerated nil
  "The turn that makes a variant in this buffer, or nil.")

(defun org-agent--at-rest ()
  "Signal an error if a turn is under way here."
  (when (org-agent--live-turn)
    (user-error "A turn is under way; wait for its end, or cancel it")))

(defun org-agent--ask-variants (mark then &optional quietly)
  "Call THEN with the variants of the prompt MARK.
It is called in this buffer with the prompt and its replies as
`org-agent--turn-at' has them then, and the list of variants.  With
QUIETLY, say nothing if there is no answer."
  (let ((buffer (current-buffer))
        (session org-agent--session))
    (org-agent--request
     'orgAgent/sessions/variants (list :sessionId session :messageId mark)
     (lambda (result)
       (when (buffer-live-p buffer)
         (with-current-buffer buffer
           (when-let* ((place (and (equal session org-agent--session)
                                   (org-agent--find "OA_EVENT" mark)))
                       (turn (org-agent--turn-at place)))
             (funcall then turn (append (plist-get result :items) nil))))))
     (lambda (words _code)
       (unless quietly
         (message "org-agent: %s" words))))))

(defun org-agent--chosen (variants)
  "Return the one of VARIANTS that counts."
  (seq-find (lambda (item) (org-agent--true-p (plist-get item :chosen)))
            variants))

(defun org-agent--intact-p (replies variants)
  "Return non-nil if each of REPLIES stands here as VARIANTS have it."
  (let ((said (make-hash-table :test #'equal)))
    (dolist (item variants)
      (seq-doseq (text (plist-get item :texts))
        (puthash (plist-get text :mark)
                 (org-agent--line (plist-get text :text)) said)))
    (seq-every-p (lambda (reply)
                   (equal (org-agent--outward (org-agent--text-under reply))
                          (gethash (car reply) said)))
                 replies)))

(defun org-agent--swap (turn item)
  "Let the texts of the variant ITEM stand under the prompt of TURN.
With nil for ITEM, none.  Return the position after the prompt."
  (pcase-let ((`(,prompt . ,replies) turn))
    (dolist (old (org-agent--turns-of (car prompt)))
      (setf (org-agent--turn-thought old) nil
            (org-agent--turn-notice old) nil
            (org-agent--turn-deeds old) nil
            (org-agent--turn-results old) "")
      (org-agent--show old))
    (let ((texts (seq-map (lambda (text)
                            (cons (plist-get text :mark)
                                  (plist-get text :text)))
                          (plist-get item :texts))))
      (org-agent--write-replies (nth 3 prompt)
                                (nth 3 (car (last turn))) texts)
      (dolist (text texts)
        (cl-pushnew (car text) org-agent--applied :test #'equal))
      (when replies (org-agent--ensure-input))
      (nth 3 prompt))))

(defun org-agent--number-variant (turn variants)
  "Show at TURN which of VARIANTS stands there."
  (save-restriction
    (org-agent--widen)
    (remove-overlays (point-min) (point-max) 'org-agent-variant t)
    (let* ((texts (seq-filter (lambda (item)
                                (< 0 (length (plist-get item :texts))))
                              variants))
           (at (seq-position texts (org-agent--chosen variants) #'eq)))
      (when (and at (cdr turn) (cdr texts))
        (save-excursion
          (goto-char (nth 1 (cadr turn)))
          (let ((overlay (make-overlay (point) (line-end-position))))
            (overlay-put overlay 'org-agent-variant t)
            (overlay-put overlay 'evaporate t)
            (overlay-put overlay 'after-string
                         (propertize (format " %d/%d" (1+ at) (length texts))
                                     'face 'org-agent-notice))))))))

(defconst org-agent--edited-here
  "org-agent: the reply was edited here and would go; \
M-x org-agent-branch goes on from your text, C-u lets it go"
  "What is said where a reply is no variant.")

(org-agent--defcommand org-agent-regenerate (&optional force)
  "Have the prompt at point answered again.
The last prompt is answered in its place: the reply that stands there
becomes a variant, see `org-agent-next-variant'.  An earlier prompt is
answered in a branch, which ends with it.  A reply that was edited is
not replaced, unless with prefix argument FORCE."
  (interactive "P" org-agent-chat-mode)
  (let* ((turn (org-agent--turn-here))
         (mark (caar turn)))
    (if (not (equal (car turn) (car (org-agent--turn-at (point-max)))))
        (org-agent--branch-at mark)
      (org-agent--at-rest)
      (org-agent--ask-variants
       mark
       (lambda (turn variants)
         (if (or force (org-agent--intact-p (cdr turn) variants))
             (org-agent--regenerate mark)
           (message org-agent--edited-here)))))))

(defun org-agent--regenerate (mark)
  "Have the last prompt, which is MARK, answered again in its place."
  (let ((buffer (current-buffer))
        (session org-agent--session))
    (org-agent--request
     'orgAgent/sessions/regenerate (list :sessionId session :messageId mark)
     (lambda (result)
       (let ((new (org-agent--turn (plist-get result :turnId) session)))
         (setf (org-agent--turn-event new) mark)
         (unless (org-agent--turn-state new)
           (setf (org-agent--turn-state new) "accepted"))
         (when (buffer-live-p buffer)
           (with-current-buffer buffer
             (when-let* ((place (org-agent--find "OA_EVENT" mark))
                         (turn (org-agent--turn-at place)))
               (setf (org-agent--turn-place new)
                     (copy-marker (org-agent--swap turn nil)))
               (org-agent--number-variant turn nil))
             (setq org-agent--regenerated new)
             (org-agent--show new)
             (org-agent--show-state)))))
     (lambda (words _code)
       (message "org-agent: not asked again: %s" words)))))

(defun org-agent--variant-over (turn _reason)
  "Show which variant TURN made, if it made one; else go back."
  (when (eq turn org-agent--regenerated)
    (setq org-agent--regenerated nil)
    (cond
     ((org-agent--turn-replied turn)
      (org-agent--ask-variants (org-agent--turn-event turn)
                               #'org-agent--number-variant))
     ;; Otherwise other messages wait, and the server goes on with them.
     ((not (org-agent--live-turn))
      (org-agent--flip -1 (org-agent--turn-event turn))))))

(add-hook 'org-agent--over-hook #'org-agent--variant-over)

(defun org-agent--flip (step &optional event force)
  "Show the variant that is STEP behind the one that counts.
It is one of the prompt EVENT.  With FORCE, also if the reply was
edited."
  (org-agent--ask-variants
   event
   (lambda (turn variants)
     (let* ((chosen (org-agent--chosen variants))
            (texts (seq-filter (lambda (item)
                                 (or (eq item chosen)
                                     (< 0 (length (plist-get item :texts)))))
                               variants))
            (next (and (cdr texts)
                       (nth (mod (+ step (seq-position texts chosen #'eq))
                                 (length texts))
                            texts))))
       (cond
        ((not next)
         (message "org-agent: there is no other reply; \
M-x org-agent-regenerate asks for one"))
        ((not (or force (org-agent--intact-p (cdr turn) variants)))
         (message org-agent--edited-here))
        (t (org-agent--choose (caar turn) next)))))))

(defun org-agent--choose (mark item)
  "Let the variant ITEM of the prompt MARK count, and show it."
  (let ((buffer (current-buffer)))
    (org-agent--request
     'orgAgent/sessions/choose
     (list :sessionId org-agent--session :turnId (plist-get item :turnId))
     (lambda (_result)
       (when (buffer-live-p buffer)
         (with-current-buffer buffer
           (when-let* ((place (org-agent--find "OA_EVENT" mark)))
             (org-agent--swap (org-agent--turn-at place) item)
             (org-agent--ask-variants mark #'org-agent--number-variant)))))
     (lambda (words _code) (message "org-agent: %s" words)))))

(defun org-agent--last-prompt ()
  "Return the mark of the last prompt here, or signal an error."
  (org-agent--at-rest)
  (org-agent--check-session)
  (or (caar (org-agent--turn-at (point-max)))
      (user-error "This chat has not begun")))

(org-agent--defcommand org-agent-next-variant (&optional force)
  "Show the next of the replies to the last prompt, and let it count.
A reply that was edited is not replaced, unless with prefix argument
FORCE.  \\[org-agent-previous-variant] goes the other way."
  (interactive "P" org-agent-chat-mode)
  (org-agent--flip 1 (org-agent--last-prompt) force))

(org-agent--defcommand org-agent-previous-variant (&optional force)
  "Show the reply before to the last prompt, and let it count.
A reply that was edited is not replaced, unless with prefix argument
FORCE."
  (interactive "P" org-agent-chat-mode)
  (org-agent--flip -1 (org-agent--last-prompt) force))

(cl-defmethod org-agent--handle :extra "again" :after ((_ (eql :resumed)) result)
  "Let the variant that counts stand here, of the session of RESULT."
  (when (equal (plist-get result :sessionId) org-agent--session)
    (when-let ((mark (caar (org-agent--turn-at (point-max)))))
      (org-agent--ask-variants mark #'org-agent--catch-up t))))

(defun org-agent--catch-up (turn variants)
  "Let that of VARIANTS stand at TURN which counts, and show which it is.
Another one may stand there: the answer that a new one is made was
lost, or a flip was undone."
  (let* ((chosen (org-agent--chosen variants))
         (marks (seq-map (lambda (text) (plist-get text :mark))
                         (plist-get chosen :texts)))
         (live (org-agent--turn (plist-get chosen :turnId))))
    (when (and live (not (org-agent--turn-event live)))
      (setf (org-agent--turn-event live) (caar turn)))
    (when (and chosen (cdr turn)
               (not (equal (mapcar #'car (cdr turn)) marks))
               (org-agent--intact-p (cdr turn) variants))
      (org-agent--swap turn chosen)
      (setq turn (org-agent--turn-at (nth 1 (car turn)))))
    (org-agent--number-variant turn variants)))

;;;; Retry

(cl-defmethod org-agent--handle ((_ (eql :not-interrupted)) _params)
  "Have the last prompt answered again if that failed or was cancelled."
  (let ((mark (caar (org-agent--turn-at (point-max)))))
    (if (not mark)
        (message "org-agent: nothing was interrupted")
      (org-agent--ask-variants
       mark
       (lambda (turn variants)
         (cond
          ((not (member (plist-get (org-agent--chosen variants) :state)
                        '("failed" "cancelled")))
           (message "org-agent: nothing was interrupted, and the last turn did \
not fail; M-x org-agent-regenerate asks all the same"))
          ((org-agent--intact-p (cdr turn) variants)
           (org-agent--regenerate mark))
          (t (message org-agent--edited-here))))))))

;;;; Branches that are answered

(defun org-agent--branch-at (mark &optional text then)
  "Have the prompt MARK answered in a branch that ends with it.
With TEXT, that is what it says there.  THEN is called in this buffer
once the branch was made."
  (let ((buffer (current-buffer))
        (directory default-directory)
        (name (org-agent--new-name))
        (edits (make-hash-table :test #'equal)))
    (when text (puthash mark text edits))
    (org-agent--request
     'orgAgent/sessions/fork
     `( :sessionId ,org-agent--session :buffer ,name :messageId ,mark
        ,@(and text (list :edits edits)))
     (lambda (result)
       (let ((session (plist-get result :id)))
         (when (and then (buffer-live-p buffer))
           (with-current-buffer buffer (funcall then)))
         (org-agent--export
          session
          (lambda (transcript)
            (org-agent--open session name directory transcript buffer)
            (when-let ((branch (org-agent--buffer session)))
              (with-current-buffer branch
                ;; The copy ends with what is to be answered.
                (org-agent--resume
                 nil (lambda (turns) (org-agent--resume (last turns))))))))))
     (lambda (words _code)
       (message "org-agent: no branch was made: %s" words)))))

;;;; Editing a prompt

(defface org-agent-edited-prompt
  '((t :inherit secondary-selection :extend t))
  "Face of a prompt while it is edited to be asked again."
  :group 'org-agent)

(defvar org-agent-edit-map
  (let ((map (make-sparse-keymap)))
    (define-key map (kbd "C-c C-k") 'org-agent-edit-abandon)
    map)
  "Keys in a prompt that is edited.")

(defun org-agent--edit-overlay (&optional anywhere)
  "Return the overlay of the prompt that is edited at point, or nil.
With ANYWHERE, that of any prompt of this buffer."
  (save-restriction
    (org-agent--widen)
    (seq-find (lambda (overlay)
                (and (overlay-get overlay 'org-agent-edit)
                     (or anywhere
                         (<= (overlay-start overlay) (point)
                             (overlay-end overlay)))))
              (overlays-in (point-min) (point-max)))))

(org-agent--defcommand org-agent-edit-turn ()
  "Edit the prompt at point, to have it answered anew in a branch.
\\<org-mode-map>\\[org-ctrl-c-ctrl-c] in it makes the branch, which ends with the edited
prompt and is answered there; this chat is then as it was before.
\\<org-agent-edit-map>\\[org-agent-edit-abandon] takes back what you edited."
  (interactive nil org-agent-chat-mode)
  (let ((prompt (car (org-agent--turn-here))))
    (when (org-agent--edit-overlay t)
      (user-error "Another prompt is being edited; finish or abandon that first"))
    (let* ((beg (nth 2 prompt))
           (overlay (make-overlay beg (max beg (1- (nth 3 prompt))) nil nil t)))
      (overlay-put overlay 'org-agent-edit
                   (cons (car prompt) (org-agent--edit-text overlay)))
      (overlay-put overlay 'face 'org-agent-edited-prompt)
      (overlay-put overlay 'keymap org-agent-edit-map)
      (overlay-put overlay 'before-string
                   (propertize
                    (substitute-command-keys
                     "You edit this; \\<org-mode-map>\\[org-ctrl-c-ctrl-c] \
asks again in a branch, \\<org-agent-edit-map>\\[org-agent-edit-abandon] takes it back\n")
                    'face 'org-agent-notice))
      (add-hook 'org-ctrl-c-ctrl-c-hook #'org-agent--edit-ctrl-c-ctrl-c nil t)
      (unless (<= beg (point) (overlay-end overlay))
        (goto-char beg)))))

(defun org-agent--edit-text (overlay)
  "Return the text that OVERLAY, of a prompt that is edited, is over."
  (save-restriction
    (org-agent--widen)
    (buffer-substring-no-properties (overlay-start overlay)
                                    (overlay-end overlay))))

(defun org-agent--edit-end (overlay)
  "End the editing in OVERLAY, and let the prompt be what it was."
  (let ((old (cdr (overlay-get overlay 'org-agent-edit))))
    (unless (equal old (org-agent--edit-text overlay))
      (org-agent--with-edit
        (save-excursion
          (goto-char (overlay-start overlay))
          (insert old)
          (delete-region (point) (overlay-end overlay)))))
    (delete-overlay overlay)))

(defun org-agent--edit-ctrl-c-ctrl-c ()
  "Ask again with the prompt at point, if it is edited."
  (when-let ((overlay (and (not (org-at-table-p))
                           (not (org-at-TBLFM-p))
                           (not (org-at-item-checkbox-p))
                           (org-agent--edit-overlay))))
    (let* ((old (overlay-get overlay 'org-agent-edit))
           (text (string-trim-right (org-agent--edit-text overlay) "[ \t\n\r]+")))
      (when (string-blank-p text)
        (user-error "Write something first"))
      (when (string-match org-agent--insane text)
        (user-error "Your text has a byte that is no character, after `%s'"
                    (org-agent--tail (substring text 0 (match-beginning 0)) 20)))
      (org-agent--branch-at (car old)
                            (and (not (equal text (cdr old)))
                                 (org-agent--outward text))
                            (lambda ()
                              (when (overlay-buffer overlay)
                                (org-agent--edit-end overlay)))))
    t))

(org-agent--defcommand org-agent-edit-abandon ()
  "Take back what was edited in the prompt at point."
  (interactive nil org-agent-chat-mode)
  (org-agent--edit-end (or (org-agent--edit-overlay)
                           (user-error "No prompt is being edited here"))))

(provide 'org-agent-again)
;;; org-agent-again.el ends here
