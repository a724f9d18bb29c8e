;;; org-agent-turn.el --- What becomes of a turn of org-agent  -*- lexical-binding: t; -*-

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

;; Follows each turn from the server's messages: shows what is not
;; verified, inserts what is, tells how it ended.  It knows nothing of
;; how a prompt is sent, and of commands only that there may be a card
;; to show and something to stop.
;;
;; What is not verified is never buffer text.  Previews, questions and
;; notices are the string of one overlay per turn: so they are in no
;; file, no undo list, no search and no Org parser, move no marker, and
;; vanish without a trace.  The string is kept to what a window can
;; show, because Emacs cannot scroll inside it; of a long preview the
;; beginning and the end are shown.
;;
;; A reply is placed by its session and its prompt, never by a buffer's
;; name, and inserted once: an :OA_ACT: that is there was applied.

;;; Code:

(require 'org-agent-table)
(require 'org-agent-server)
(require 'org-agent-text)
(require 'org-agent-preview)

;;;; State

(defconst org-agent--live-states
  '(("accepted" . "queued") ("thinking" . "thinking")
    ("streaming" . "streaming") ("repairing" . "asking again")
    ("awaitingApproval" . "asks you") ("acting" . "acting"))
  "The states of a turn that is not over, with a word for the mode line.")

(cl-defstruct (org-agent--turn (:copier nil) (:constructor org-agent--make-turn))
  "A turn as this client sees it."
  id session
  event ; identifier of its prompt, if known
  place ; marker where its reply goes, if known
  (seq 0) ; of the last message seen
  state ; as on the wire; nil if the server did not tell since it started
  reason ; why a model is asked again, or another one
  (attempt 0) ; number of the model call whose preview this is:
  (head "") (tail "") (length 0)
  pieces (waiting 0) ; of it, newest first, that are in neither; how long
  thought ; what the model thinks, or thought before the reply
  replied ; non-nil once text of it was inserted
  card ; a string to show: something the user is asked
  notice ; a string to show: why it ended
  (results "") ; to show as long as the buffer lives: where long outputs are
  stop ; a function to call once the turn is over
  overlay deeds deeds-overlay) ; for the last two see org-agent-drawer

(defvar org-agent--turns (make-hash-table :test #'equal)
  "Each turn by its identifier.")

(defvar org-agent--changed nil
  "Turns to show again at the end of the burst.")

(defvar org-agent--buffers (make-hash-table :test #'equal)
  "The buffer of each session.")

(defvar org-agent--held (make-hash-table :test #'equal)
  "Actuations that wait, by session, newest first.
A session's buffer may be gone, or its prompt not acknowledged yet.")

(defvar-local org-agent--session nil
  "The session of this buffer, or nil if it has none yet.")

(defvar-local org-agent--sending nil
  "Non-nil while a prompt of this buffer waits to be acknowledged.")

(defvar-local org-agent--applied nil
  "Actuations that were inserted in this buffer, also if undone since.")

(defun org-agent--turn (id &optional session)
  "Return the turn ID, made if SESSION is given and there is none."
  (or (gethash id org-agent--turns)
      (and (stringp id) (stringp session)
           (puthash id (org-agent--make-turn :id id :session session)
                    org-agent--turns))))

(defun org-agent--live-p (turn)
  "Return non-nil if TURN is not over."
  (assoc (org-agent--turn-state turn) org-agent--live-states))

(defun org-agent--over-p (turn)
  "Return non-nil if the server said that TURN is over."
  (member (org-agent--turn-state turn) '("done" "failed" "cancelled")))

(defun org-agent--turns-here ()
  "Return each turn of this buffer's session."
  (and org-agent--session
       (seq-filter (lambda (turn)
                     (equal (org-agent--turn-session turn) org-agent--session))
                   (org-agent--values org-agent--turns))))

(defun org-agent--live-turn ()
  "Return the turn under way in this buffer, else the next one, or nil."
  (let ((live (seq-filter #'org-agent--live-p (org-agent--turns-here))))
    (or (seq-find (lambda (turn)
                    (not (equal (org-agent--turn-state turn) "accepted")))
                  live)
        (car live))))

(defvar org-agent--follow-function nil
  "Function of a session and its buffer, whose root it is to be in.
It returns the buffer in which the root is now, or nil.")

(defun org-agent--buffer (session)
  "Return the live buffer of SESSION, or nil."
  (let ((buffer (gethash session org-agent--buffers)))
    (and (buffer-live-p buffer)
         (if (and org-agent--follow-function
                  (buffer-local-value 'org-agent--root buffer))
             (funcall org-agent--follow-function session buffer)
           buffer))))

(defvar org-agent--writable-function nil
  "Function of a buffer that returns nil if nothing can be written there now.
It says why in the echo area.")

(defun org-agent--fresh (turn params)
  "Return non-nil unless the message PARAMS for TURN was seen before."
  (let ((seq (plist-get params :seq)))
    (and (natnump seq)
         (> seq (org-agent--turn-seq turn))
         (setf (org-agent--turn-seq turn) seq))))

;;;; Messages

(cl-defmethod org-agent--handle ((_ (eql 'orgAgent/turn)) params)
  "Note the new state of a turn in PARAMS."
  (let ((turn (org-agent--turn (plist-get params :turnId)
                               (plist-get params :sessionId)))
        (state (plist-get params :state)))
    (when (and turn (stringp state)
               (not (org-agent--over-p turn))
               (org-agent--fresh turn params))
      (org-agent--set-state turn state (plist-get params :reason)))))

(cl-defmethod org-agent--handle ((_ (eql 'orgAgent/delta)) params)
  "Add the text in PARAMS to its turn's preview."
  (let ((turn (org-agent--turn (plist-get params :turnId)))
        (attempt (plist-get params :attempt))
        (text (plist-get params :text)))
    (when (and turn (natnump attempt) (stringp text)
               (org-agent--live-p turn)
               (>= attempt (org-agent--turn-attempt turn))
               (org-agent--fresh turn params))
      (when (> attempt (org-agent--turn-attempt turn))
        (org-agent--clear-preview turn)
        (setf (org-agent--turn-attempt turn) attempt))
      (org-agent--preview-add turn text)
      (cl-pushnew turn org-agent--changed))))

(defvar org-agent--thinking nil
  "Turns whose models thought on since their line was drawn.")

(cl-defmethod org-agent--handle ((_ (eql 'orgAgent/thought)) params)
  "Add what PARAMS say to what a turn's model thinks."
  (let ((turn (org-agent--turn (plist-get params :turnId)))
        (attempt (plist-get params :attempt))
        (text (plist-get params :text)))
    (when (and turn (natnump attempt) (stringp text)
               (org-agent--live-p turn)
               (>= attempt (org-agent--turn-attempt turn)))
      (let* ((last (org-agent--turn-thought turn))
             (before (if last (org-agent--thought-attempt last) 0)))
        (when (> attempt before)
          (setf (org-agent--turn-thought turn)
                (org-agent--make-thought
                 :attempt attempt
                 :open (and last (org-agent--thought-open last)))))
        (when (>= attempt before)
          (org-agent--thought-add (org-agent--turn-thought turn) text)
          (if (> attempt before)
              (cl-pushnew turn org-agent--changed)
            ;; Pieces are short and many: drawing each would take all the time.
            (unless org-agent--thinking
              (run-at-time org-agent--thought-pause nil
                           #'org-agent--show-thinking))
            (cl-pushnew turn org-agent--thinking)))))))

(defun org-agent--show-thinking ()
  "Show each turn whose model thought on."
  (let ((thinking org-agent--thinking))
    (setq org-agent--thinking nil)
    (mapc #'org-agent--show thinking)))

(cl-defmethod org-agent--handle ((_ (eql 'orgAgent/retract)) params)
  "Take back the preview that PARAMS name."
  (let ((turn (org-agent--turn (plist-get params :turnId)))
        (attempt (plist-get params :attempt)))
    (when (and turn (natnump attempt)
               (>= attempt (org-agent--turn-attempt turn))
               (org-agent--fresh turn params))
      (org-agent--clear-preview turn)
      (cl-pushnew turn org-agent--changed))))

(cl-defmethod org-agent--handle ((_ (eql 'orgAgent/actuate)) params)
  "Do what PARAMS ask for, or keep it until it can be done."
  (org-agent--actuate params))

(defvar org-agent--over-hook nil
  "Functions called with each turn that is over, in its buffer.
Their second argument is the reason, a string or nil.")

(cl-defmethod org-agent--handle ((_ (eql :drained)) _params)
  "Show each turn that changed in this burst."
  (let ((changed org-agent--changed))
    (setq org-agent--changed nil)
    (mapc #'org-agent--show changed)))

(defun org-agent--set-state (turn state &optional reason)
  "Give TURN the STATE, because of REASON."
  (setf (org-agent--turn-state turn) state
        ;; Why a reply was rejected is the model's to know.
        (org-agent--turn-reason turn) (and (stringp reason)
                                           (equal state "thinking")
                                           (org-agent--one-line reason 300))
        (org-agent--turn-notice turn) nil)
  (when (org-agent--over-p turn)
    (org-agent--stop turn)
    (org-agent--clear-preview turn)
    (unless (org-agent--turn-replied turn)
      (setf (org-agent--turn-thought turn) nil))
    (when (equal state "failed")
      ;; A system error was inserted: the reason stands in the buffer.
      (unless (org-agent--turn-replied turn)
        (setf (org-agent--turn-notice turn) (or reason "it failed")))
      (message "org-agent: the turn failed: %s" (or reason "no reason given"))))
  (cl-pushnew turn org-agent--changed)
  (when-let ((buffer (org-agent--buffer (org-agent--turn-session turn))))
    (with-current-buffer buffer
      (org-agent--show-state)
      (when (org-agent--over-p turn)
        (run-hook-with-args 'org-agent--over-hook turn reason)))))

(defun org-agent--stop (turn)
  "Stop what was started for TURN, and take its card away."
  (let ((stop (org-agent--turn-stop turn)))
    (setf (org-agent--turn-stop turn) nil
          (org-agent--turn-card turn) nil)
    (when stop (funcall stop))))

;;;; Actuations

(cl-defgeneric org-agent--act (target turn params)
  "Carry out PARAMS of `orgAgent/actuate' for TURN in its buffer.
TARGET is the action's target as a symbol.")

(cl-defmethod org-agent--act (target _turn params)
  "Refuse a TARGET that this client does not have; PARAMS name the action."
  (org-agent--report params "failed"
                     (format "This client has no target %s" target)))

(defun org-agent--actuate (params)
  "Carry out PARAMS of `orgAgent/actuate', or keep them for later."
  (let* ((session (plist-get params :sessionId))
         (turn (org-agent--turn (plist-get params :turnId) session))
         (buffer (and turn (org-agent--buffer session)))
         (target (plist-get (plist-get params :action) :target)))
    (cond
     ((not (and turn (stringp target)))
      (org-agent--report params "failed" "The message is not as expected"))
     ((or (not buffer)
          (and org-agent--writable-function
               (not (funcall org-agent--writable-function buffer)))
          ;; Its prompt must be written first.
          (and (not (org-agent--turn-event turn))
               (buffer-local-value 'org-agent--sending buffer)))
      (unless (seq-some (lambda (held)
                          (equal (plist-get held :actuationId)
                                 (plist-get params :actuationId)))
                        (gethash session org-agent--held))
        (push params (gethash session org-agent--held)))
      (unless buffer
        (message "org-agent: an answer waits; M-x org-agent-chat shows it, \
or org-agent-chat-here in its subtree")))
     (t
      (with-current-buffer buffer
        (org-agent--act (intern target) turn params))))))

(defun org-agent--release (session)
  "Carry out what waits for SESSION."
  (let ((held (reverse (gethash session org-agent--held))))
    (remhash session org-agent--held)
    (mapc #'org-agent--actuate held)))

(cl-defmethod org-agent--act ((_ (eql 'emacs)) turn params)
  "Insert the text of PARAMS as the reply of TURN, once."
  (let* ((id (plist-get params :actuationId))
         (payload (plist-get (plist-get params :action) :payload))
         (text (plist-get payload :text)))
    (cond
     ((not (and (equal (plist-get payload :action) "insert-at-end")
                (stringp text)
                (string-match-p "\\`[[:graph:]]+\\'" id)))
      (org-agent--report params "failed" "This client can only insert text"))
     (t
      (unless (or (member id org-agent--applied)
                  (org-agent--find "OA_ACT" id))
        ;; What was thought stands above the reply, also if all came at once.
        (when (org-agent--turn-thought turn)
          (org-agent--show turn))
        (let* ((place (org-agent--place (org-agent--turn-place turn)
                                        (org-agent--turn-event turn)))
               (end (org-agent--write-reply place id text)))
          (when (org-agent--turn-place turn)
            (set-marker (org-agent--turn-place turn) end)))
        (org-agent--ensure-input)
        (push id org-agent--applied))
      (setf (org-agent--turn-replied turn) t)
      (when (org-agent--turn-thought turn)
        (setf (org-agent--thought-open (org-agent--turn-thought turn)) nil))
      (org-agent--clear-preview turn)
      (cl-pushnew turn org-agent--changed)
      (org-agent--report params "done")))))

(defun org-agent--report (params status &optional message)
  "Tell the server that the action of PARAMS ended with STATUS.
MESSAGE says more."
  (org-agent--request 'orgAgent/actuated
                      `( :actuationId ,(plist-get params :actuationId)
                         :status ,status
                         ,@(and message (list :message message)))))

;;;; Preview

(defun org-agent--clear-preview (turn)
  "Forget the preview of TURN."
  (setf (org-agent--turn-head turn) ""
        (org-agent--turn-tail turn) ""
        (org-agent--turn-length turn) 0
        (org-agent--turn-pieces turn) nil
        (org-agent--turn-waiting turn) 0))

(defun org-agent--preview-add (turn text)
  "Add TEXT to the preview of TURN."
  (cl-incf (org-agent--turn-length turn) (length text))
  (cl-incf (org-agent--turn-waiting turn) (length text))
  (push text (org-agent--turn-pieces turn))
  ;; Only what nobody looks at grows so long.
  (when (> (org-agent--turn-waiting turn) org-agent--tail-limit)
    (org-agent--preview-join turn)))

(defun org-agent--preview-join (turn)
  "Put the pieces of the preview of TURN together, as far as they are kept."
  (when (org-agent--turn-pieces turn)
    (let* ((text (apply #'concat (nreverse (org-agent--turn-pieces turn))))
           (room (- org-agent--head-limit (length (org-agent--turn-head turn)))))
      (setf (org-agent--turn-pieces turn) nil
            (org-agent--turn-waiting turn) 0)
      (when (> room 0)
        (cl-callf concat (org-agent--turn-head turn)
          (substring text 0 (min room (length text)))))
      (when (> (length text) (max room 0))
        (setf (org-agent--turn-tail turn)
              (org-agent--tail
               (concat (org-agent--turn-tail turn)
                       (org-agent--tail text (min org-agent--tail-limit
                                                  (- (length text) (max room 0)))))
               org-agent--tail-limit))))))

(defun org-agent--preview (turn rows width)
  "Return the preview of TURN in at most ROWS rows of WIDTH columns."
  (org-agent--preview-join turn)
  (org-agent--excerpt (org-agent--turn-head turn) (org-agent--turn-tail turn)
                      (org-agent--turn-length turn)
                      rows width 'org-agent-unverified))

;;;; Showing

(defvar org-agent--shown-hook nil
  "Functions called with a turn of which something else is shown, in its chat.")

(defun org-agent--show (turn)
  "Show TURN as it is now."
  (when-let ((buffer (org-agent--buffer (org-agent--turn-session turn))))
    (with-current-buffer buffer
      (let ((string (org-agent--turn-string turn))
            (overlay (org-agent--turn-overlay turn)))
        (cond
         ((string-empty-p string)
          (when overlay (delete-overlay overlay)))
         (t
          (unless (and overlay (eq (overlay-buffer overlay) buffer)
                       (org-agent--below-p (overlay-start overlay)
                                           (org-agent--turn-event turn)))
            (let ((place (org-agent--place (org-agent--turn-place turn)
                                           (org-agent--turn-event turn))))
              (if overlay
                  (move-overlay overlay place place buffer)
                (setf (org-agent--turn-overlay turn)
                      (setq overlay (make-overlay place place)))
                (overlay-put overlay 'priority 1))))
          (org-agent--show-before overlay string)))
        (run-hook-with-args 'org-agent--shown-hook turn)))))

(defun org-agent--below-p (position event)
  "Return non-nil if the last prompt above POSITION is that of EVENT, or unknown.
It is not if the user moved the prompt, and that is all that is asked:
what finds the place itself looks at the whole buffer."
  (or (not event)
      (save-excursion
        (save-restriction
          (org-agent--widen)
          (goto-char position)
          (let ((case-fold-search nil))
            (and (re-search-backward "^[ \t]*:OA_EVENT: +\\(\\S-+\\)" nil t)
                 (equal (match-string-no-properties 1) event)))))))

(defun org-agent--room ()
  "Return the rows and columns that each window on this buffer has."
  (let ((windows (org-agent--windows 'visible)))
    (list (apply #'min (or (mapcar #'window-body-height windows) '(24)))
          (apply #'min (or (mapcar #'window-body-width windows) '(80))))))

(defun org-agent--turn-string (turn)
  "Return what is shown of TURN."
  (pcase-let* ((`(,rows ,width) (org-agent--room))
               (previewed (not (zerop (org-agent--turn-length turn))))
               ;; The user must see the line they write as well.
               (room (max (- rows 8) (/ rows 2)))
               (thought (org-agent--turn-thought-string
                         turn (if previewed (/ room 2) room) width)))
    (concat
     thought
     (when previewed
       (propertize (format "%s (not verified)\n" org-agent--assistant)
                   'face 'org-agent-notice))
     (when previewed
       (org-agent--preview
        turn (- room (pcase (cl-count ?\n thought)
                       ((and lines (or 0 1)) lines)
                       (_ (/ room 2))))
        width))
     (org-agent--turn-card turn)
     (org-agent--turn-results turn)
     (when-let ((reason (org-agent--turn-reason turn)))
       (propertize (format "%s: %s\n" (cdr (org-agent--live-p turn)) reason)
                   'face 'org-agent-notice))
     (when-let ((notice (org-agent--turn-notice turn)))
       (propertize (format "This turn ended: %s\n" notice)
                   'face 'org-agent-notice)))))

(defun org-agent--turn-thought-string (turn rows width)
  "Return what is shown of what the model of TURN thinks.
That is at most ROWS rows of WIDTH columns."
  (if-let ((thought (org-agent--turn-thought turn)))
      (org-agent--thought-string
       thought (or (org-agent--turn-replied turn)
                   (not (member (org-agent--turn-state turn)
                                '("accepted" "thinking" "repairing"))))
       (- rows 1) width
       (lambda () (org-agent--toggle-thought turn)))
    ""))

(defun org-agent--toggle-thought (turn)
  "Unfold or fold what the model of TURN thinks."
  (when-let ((thought (org-agent--turn-thought turn)))
    (cl-callf not (org-agent--thought-open thought))
    (org-agent--show turn)))

(defvar org-agent--state-hook nil
  "Functions called in a chat whose turns, or what they do, changed.")

(defun org-agent--show-state ()
  "Show in the mode line what this buffer waits for."
  (let* ((turn (org-agent--live-turn))
         (reason (and turn (org-agent--turn-reason turn)))
         (state (cond (turn (cdr (org-agent--live-p turn)))
                      (org-agent--sending "sending"))))
    (setq mode-line-process
          (and state
               (format " [%s%s]" state
                       (if reason (concat ": " (org-agent--one-line reason 60))
                         ""))))
    (force-mode-line-update))
  (run-hooks 'org-agent--state-hook))

(provide 'org-agent-turn)
;;; org-agent-turn.el ends here
