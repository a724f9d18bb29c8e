;;; org-agent-drawer.el --- What a turn of org-agent did, folded  -*- lexical-binding: t; -*-

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

;; What a turn did stays in sight above its reply: each command that ran
;; or was not to run, and each skill that was read for the model, as a
;; line that looks like a drawer of Org and unfolds like one.  It is no
;; text: nothing of it is in the buffer, in its file, in its undo or in
;; what is exported, and it goes with Emacs.  The record has all of it,
;; and [why] shows that.
;;
;; Each turn has one overlay for all of them, apart from that of what is
;; under way: a stream does not touch these lines.  They are bounded by
;; turn and by chat.  For a reply of an earlier Emacs, the record is asked
;; when the user wants to see them; it does not say where a command ran.

;;; Code:

(require 'org-agent-card)
(require 'org-agent-part)

;;;; State

(cl-defstruct (org-agent--deed (:copier nil) (:constructor org-agent--make-deed))
  "Something that a turn did, or was not to do."
  id ; of its actuation
  kind ; a word for what it is
  title ; what is on its line, to be shown as it is
  ending ; how it ended, in words
  well ; non-nil if there is nothing to see to
  parts ; what it shows unfolded: lists of prefix, text and rows
  (head "") (tail "") (length 0) ; of its output
  open) ; non-nil if it is unfolded

(defconst org-agent--deeds-most 30
  "How many deeds of a turn are shown.")

(defconst org-agent--deeds-turns 50
  "Of how many turns of a chat they are shown, the last ones.")

(defconst org-agent--deed-text 4000
  "How many characters of a text of a deed are kept.")

(defconst org-agent--deed-output 2000
  "How many characters of the beginning and of the end of output are kept.")

(defun org-agent--deed-add (turn deed)
  "Let TURN show DEED, in the place of one of the same action."
  (unless (org-agent--turn-deeds turn)
    (org-agent--deeds-forget (org-agent--turn-session turn)))
  (setf (org-agent--turn-deeds turn)
        (last (append (seq-remove (lambda (other)
                                    (equal (org-agent--deed-id other)
                                           (org-agent--deed-id deed)))
                                  (org-agent--turn-deeds turn))
                      (list deed))
              org-agent--deeds-most))
  (org-agent--deeds-show turn))

(defun org-agent--deeds-forget (session)
  "Forget the oldest deeds of SESSION if too many are kept."
  (let ((turns (seq-filter (lambda (turn)
                             (and (org-agent--turn-deeds turn)
                                  (equal (org-agent--turn-session turn) session)))
                           (org-agent--values org-agent--turns))))
    (dolist (turn (butlast turns (1- org-agent--deeds-turns)))
      (setf (org-agent--turn-deeds turn) nil)
      (org-agent--deeds-show turn))))

(defun org-agent--deed-short (text)
  "Return the beginning of TEXT, words of others."
  (if (< org-agent--deed-text (length text))
      (concat (substring text 0 org-agent--deed-text) "...")
    text))

;;;; Showing

(defun org-agent--deed-toggle (turn deed)
  "Unfold or fold DEED of TURN."
  (cl-callf not (org-agent--deed-open deed))
  (org-agent--deeds-show turn))

(defun org-agent--deed-why (turn deed)
  "Show all that is behind DEED of TURN."
  (with-current-buffer (or (org-agent--buffer (org-agent--turn-session turn))
                           (current-buffer))
    (org-agent--ask-why (list :actuationId (org-agent--deed-id deed)))))

(defun org-agent--deed-line (turn deed width)
  "Return the line of DEED of TURN in WIDTH columns."
  (let* ((open (org-agent--deed-open deed))
         (toggle (lambda (deed) (org-agent--deed-toggle turn deed)))
         (kind (format ":%s: " (org-agent--deed-kind deed)))
         (ending (org-agent--one-line (org-agent--deed-ending deed)
                                      (max 10 (/ width 2))))
         (buttons (concat (org-agent--button (if open "fold" "show") nil toggle deed)
                          " "
                          (org-agent--button
                           "why" nil
                           (lambda (deed) (org-agent--deed-why turn deed)) deed)))
         (title (org-agent--one-line
                 (org-agent--deed-title deed)
                 (max 10 (- width 3 (string-width
                                     (concat kind ending " … " buttons)))))))
    (concat
     (propertize kind 'face 'org-agent-notice)
     (propertize title
                 'mouse-face 'highlight
                 'keymap (get-text-property 0 'keymap buttons)
                 'help-echo "mouse-1, or TAB at the line below: unfold or fold it")
     " … "
     (propertize ending 'face (if (org-agent--deed-well deed) 'shadow 'org-agent-notice))
     " " buttons "\n")))

(defun org-agent--deed-body (deed rows width)
  "Return all of DEED but its line, its output in ROWS rows of WIDTH columns."
  (concat
   (mapconcat (pcase-lambda (`(,prefix ,text ,most))
                (org-agent--card-part prefix text most width))
              (org-agent--deed-parts deed) "")
   (unless (zerop (org-agent--deed-length deed))
     (concat (propertize (format "It wrote %s characters:\n"
                                 (org-agent--number (org-agent--deed-length deed)))
                         'face 'org-agent-notice)
             ;; Indented, lest it looks like the card's own.
             (org-agent--indent
              (string-trim-right
               (org-agent--excerpt (org-agent--deed-head deed)
                                   (org-agent--deed-tail deed)
                                   (org-agent--deed-length deed)
                                   rows width 'org-agent-unverified)
               "\n")
              "  ")))))

(defun org-agent--deeds-string (turn)
  "Return what is shown of what TURN did, in the current buffer."
  (pcase-let ((`(,rows ,width) (org-agent--room)))
    (mapconcat (lambda (deed)
                 (concat (org-agent--deed-line turn deed width)
                         (and (org-agent--deed-open deed)
                              (org-agent--deed-body
                               deed (max 3 (min 10 (- rows org-agent--card-rest)))
                               (max 10 (min 70 (- width 10)))))))
               (org-agent--turn-deeds turn) "")))

(defun org-agent--deeds-place (turn)
  "Return the position above the first reply of TURN, where that is or will be.
Return nil if its prompt is gone."
  (save-excursion
    (save-restriction
      (org-agent--widen)
      (let* ((case-fold-search nil)
             (event (org-agent--turn-event turn))
             (found (and event (org-agent--find "OA_EVENT" event))))
        (cond
         ((not event)
          (org-agent--place (org-agent--turn-place turn) nil))
         ((not found) nil)
         ((progn (goto-char found)
                 (re-search-forward "^[ \t]*:OA_ACT: " (org-agent--turn-end found) t))
          (re-search-backward "^\\*+ ")
          (point))
         (t (org-agent--turn-end found)))))))

(defvar org-agent--deeds-showing nil
  "Non-nil while what a turn did is being shown.")

(defun org-agent--deeds-show (turn)
  "Show what TURN did, or take it away."
  (when-let ((buffer (org-agent--buffer (org-agent--turn-session turn))))
    (with-current-buffer buffer
      (let* ((org-agent--deeds-showing t)
             (overlay (org-agent--turn-deeds-overlay turn))
             (deeds (org-agent--turn-deeds turn))
             (place (and deeds
                         (if (org-agent--deeds-stand-p turn) (overlay-start overlay)
                           (org-agent--deeds-place turn)))))
        (cond
         ((not place)
          (when overlay (delete-overlay overlay)))
         (t
          (if overlay (move-overlay overlay place place buffer)
            (setq overlay (make-overlay place place))
            (setf (org-agent--turn-deeds-overlay turn) overlay)
            (overlay-put overlay 'org-agent-deeds turn))
          (org-agent--show-before overlay (org-agent--deeds-string turn))))
        (run-hook-with-args 'org-agent--shown-hook turn)))))

(defun org-agent--deeds-stand-p (turn)
  "Return non-nil if what TURN did is shown where it belongs in this buffer."
  (let ((overlay (org-agent--turn-deeds-overlay turn)))
    (and overlay
         (eq (overlay-buffer overlay) (current-buffer))
         ;; While a preview grows, this is asked again and again.
         (or (not (zerop (org-agent--turn-length turn)))
             (org-agent--below-p (overlay-start overlay)
                                 (org-agent--turn-event turn))))))

(defun org-agent--deeds-follow (turn)
  "Show what TURN did where that is shown now, or no more."
  (let ((overlay (org-agent--turn-deeds-overlay turn)))
    (when (and (not org-agent--deeds-showing)
               (if (org-agent--turn-deeds turn)
                   (not (and (org-agent--deeds-stand-p turn)
                             ;; The reply came below it since.
                             (org-agent--covered-p overlay)))
                 (and overlay (overlay-buffer overlay))))
      (org-agent--deeds-show turn))))

(add-hook 'org-agent--shown-hook #'org-agent--deeds-follow)

;;;; Keys

(defun org-agent--deeds-here ()
  "Return the turn at whose lines of deeds point is, or nil.
That is the beginning of the line below them."
  (seq-some (lambda (overlay) (overlay-get overlay 'org-agent-deeds))
            (overlays-in (point) (point))))

(defun org-agent--deeds-at-point ()
  "Return the turn at point if it is known what it did, or nil."
  (or (org-agent--deeds-here)
      (when-let ((event (org-entry-get (point) "OA_EVENT" t)))
        (seq-find (lambda (turn)
                    (and (org-agent--turn-deeds turn)
                         (equal (org-agent--turn-event turn) event)))
                  (org-agent--turns-here)))))

(defun org-agent--deeds-last ()
  "Return the last turn of this chat of which it is known what it did, or fail."
  (or (car (last (seq-filter #'org-agent--turn-deeds (org-agent--turns-here))))
      (user-error "No command and no skill of this chat is known here")))

(org-agent--defcommand org-agent-toggle-card ()
  "Unfold or fold what the turn at point did: a command, or a skill.
If it did more, the last is unfolded first, then each before it in its
place, and then all are folded.  It is no text of the buffer and not
kept with it: for a reply of an earlier Emacs, the server is asked."
  (interactive nil org-agent-chat-mode)
  (let ((turn (org-agent--deeds-at-point))
        (reply (org-agent--reply-here)))
    (if (and reply (not turn))
        (org-agent--deeds-ask reply)
      (org-agent--deeds-unfold (or turn (org-agent--deeds-last))))))

(defun org-agent--deeds-unfold (turn)
  "Unfold the next of what TURN did, or fold all."
  (let* ((deeds (reverse (org-agent--turn-deeds turn)))
         (open (seq-position deeds t (lambda (deed _) (org-agent--deed-open deed))))
         (next (nth (if open (1+ open) 0) deeds)))
    (dolist (deed deeds)
      (setf (org-agent--deed-open deed) (eq deed next)))
    (org-agent--deeds-show turn)))

(org-agent--defcommand org-agent-card-why ()
  "Show all that is behind the command that is asked about or under way.
Without one, that is what is unfolded of what the turn at point did, or
else the last that it did."
  (interactive nil org-agent-chat-mode org-agent-command-mode)
  (if-let ((card (or (org-agent--card-here) (org-agent--card-here 'running))))
      (org-agent--card-why card)
    (let* ((turn (or (org-agent--deeds-at-point) (org-agent--deeds-last)))
           (deeds (org-agent--turn-deeds turn)))
      (org-agent--deed-why turn (or (seq-find #'org-agent--deed-open deeds)
                                    (car (last deeds)))))))

(org-agent--bind "TAB" "Unfold what the turn did" 'org-agent-toggle-card
                 #'org-agent--deeds-here)

;; Where a thought's line stands at the same place, RET is its key.
(org-agent--bind "RET" "Unfold what the turn did" 'org-agent-toggle-card
                 (lambda () (and (org-agent--deeds-here)
                                 (not (org-agent--thought-here)))))

(org-agent--bind "C-c C-q" "Why this command" 'org-agent-card-why
                 (lambda () (or (org-agent--card-here)
                                (org-agent--card-here 'running)
                                (org-agent--deeds-here))))

;;;; Commands

(defun org-agent--command-deed (id command well ending outcome parts)
  "Return the deed of the action ID whose COMMAND ended with OUTCOME, or nil.
For WELL, ENDING and PARTS see `org-agent--deed'."
  (let* ((output (org-agent--harmless
                  (concat (org-agent--text outcome :stdout)
                          (org-agent--text outcome :stderr))))
         (length (length output))
         (head (min length org-agent--deed-output))
         (message (org-agent--text outcome :message)))
    (org-agent--make-deed
     :id id :kind "COMMAND" :well well :ending ending
     :title (org-agent--literal (substring command 0 (min 300 (length command))))
     :head (substring output 0 head)
     :tail (substring output (max head (- length org-agent--deed-output)))
     :length length
     :parts (append parts
                    (and message
                         (list (org-agent--deed-part "It ended: " message)))))))

(defun org-agent--deed-part (title text)
  "Return TEXT of others, below TITLE, as a part of a deed."
  (list title (org-agent--literal (org-agent--deed-short text) t) 2))

(defun org-agent--ended (outcome &optional time)
  "Return in words how a command with OUTCOME ended, after TIME in seconds."
  (let ((code (plist-get outcome :exitCode)))
    (string-join (delq nil (list (if (integerp code) (format "exit %d" code)
                                   (org-agent--text outcome :status))
                                 (org-agent--text outcome :message)
                                 (and time (format "%.1f s" time))))
                 ", ")))

(defun org-agent--card-deed (card ending &optional outcome)
  "Show that CARD is over, with its ENDING in words.
OUTCOME is that of its command, if it ran."
  (let ((explanation (org-agent--card-explanation card)))
    (org-agent--deed-add
     (org-agent--card-turn card)
     (org-agent--command-deed
      (org-agent--card-id card) (org-agent--card-command card)
      (eql 0 (plist-get outcome :exitCode)) ending outcome
      `((,(if (org-agent--card-steps card) "  " "$ ")
         ,(string-remove-suffix
           "\n" (org-agent--deed-short (org-agent--card-text card)))
         ,org-agent--card-rows)
        ("in " ,(org-agent--card-place card) 2)
        ,@(and (stringp explanation)
               (list (org-agent--deed-part "The model said: " explanation)))
        ,(org-agent--deed-part (if (org-agent--card-allowed card)
                                   "Why you were not asked: "
                                 "Why you were asked: ")
                               (org-agent--card-rule card))
        ,(org-agent--deed-part
          "Sandbox: "
          (concat (cadr (assoc "Sandbox: " (org-agent--card-terms card)))
                  (and (org-agent--card-net card)
                       "; you let it use the network"))))))))

(defun org-agent--card-ended (card outcome)
  "Show how the command of CARD ended, which is the OUTCOME."
  (org-agent--card-deed
   card
   (org-agent--ended outcome
                     (and (org-agent--card-begun card)
                          (- (float-time) (org-agent--card-begun card))))
   outcome))

;;;; Skills

(defun org-agent--skill-deed (id name user problem &rest more)
  "Return the deed of the action ID that asked for the skill NAME.
USER is non-nil if that was the user.  PROBLEM says why there is none.
MORE are a note, where it comes from, and the hash of its text."
  (pcase-let ((`(,note ,origin ,hash) more))
    (org-agent--make-deed
     :id id :kind "SKILL" :well (not problem)
     :title (org-agent--literal (org-agent--deed-short name) t)
     :ending (cond (problem (concat "refused: " problem))
                   (note "read before")
                   (t "read"))
     :parts `(,(org-agent--deed-part "  " name)
              ("Asked for by: " ,(if user "you" "the model") 1)
              ,@(cl-loop for (title text) in `(("From: " ,origin)
                                               ("Note: " ,(or problem note))
                                               ("SHA-256: " ,hash))
                         when text collect (org-agent--deed-part title text))))))

(cl-defmethod org-agent--handle ((_ (eql 'orgAgent/step)) params)
  "Show the skill of PARAMS that was read for a model, or was not."
  (let* ((get (lambda (key) (org-agent--text params key)))
         (turn (org-agent--turn (plist-get params :turnId)
                                (plist-get params :sessionId)))
         (id (funcall get :actuationId))
         (name (funcall get :name))
         (message (funcall get :message))
         (loaded (equal (funcall get :status) "loaded")))
    (when (and turn id name (equal (funcall get :kind) "skill"))
      (org-agent--deed-add
       turn
       (org-agent--skill-deed
        id name (equal (funcall get :by) "user")
        (unless loaded (or message "no reason given"))
        (and loaded message) (funcall get :origin) (funcall get :sha256))))))

;;;; From the record

(defun org-agent--reply-here ()
  "Return the mark of the reply at point, or the first one to the prompt there."
  (or (org-entry-get (point) "OA_ACT" t)
      (when-let* ((event (org-entry-get (point) "OA_EVENT" t))
                  (found (org-agent--find "OA_EVENT" event)))
        (save-excursion
          (save-restriction
            (org-agent--widen)
            (goto-char found)
            (let ((case-fold-search nil))
              (and (re-search-forward "^[ \t]*:OA_ACT: +\\(\\S-+\\)"
                                      (org-agent--turn-end found) t)
                   (match-string-no-properties 1))))))))

(defun org-agent--deeds-ask (reply)
  "Ask what the turn of REPLY did, and show that unfolded."
  (let* ((buffer (current-buffer))
         (event (org-entry-get (point) "OA_EVENT" t))
         (else (lambda (words _code) (message "org-agent: %s" words))))
    ;; About an action only that is told, and which turn it is of.
    (org-agent--request
     'orgAgent/why (list :actuationId reply)
     (lambda (result)
       (org-agent--request
        'orgAgent/why (list :turnId (plist-get result :turnId))
        (lambda (result)
          (when (buffer-live-p buffer)
            (with-current-buffer buffer
              (org-agent--deeds-known result event))))
        else))
     else)))

(defun org-agent--deeds-known (result event)
  "Show what the turn of RESULT did, whose prompt here is EVENT."
  (let* ((deeds (org-agent--deeds-of (plist-get result :events)))
         (turn (and deeds (org-agent--turn (plist-get result :turnId)
                                           org-agent--session))))
    (cond
     ((not turn)
      (message "org-agent: this turn ran no command and read no skill"))
     ((org-agent--turn-deeds turn)) ; it was asked twice
     (t
      ;; One that is over, as far as this Emacs is concerned.
      (unless (org-agent--turn-state turn)
        (setf (org-agent--turn-state turn) "done"))
      (unless (org-agent--turn-event turn)
        (setf (org-agent--turn-event turn) event))
      (dolist (deed deeds)
        (org-agent--deed-add turn deed))
      (org-agent--deeds-unfold turn)))))

(defun org-agent--deeds-of (events)
  "Return the deeds that EVENTS, from the record of one turn, tell of."
  (let ((told nil))
    (seq-doseq (event events)
      (let ((id (org-agent--text event :actuation))
            (type (org-agent--text event :type)))
        (cond
         ((not id))
         ((equal type "chat.action.proposed")
          (push (list id (plist-get event :action) nil nil) told))
         ;; Of several decisions, the last counts.
         ((not (assoc id told)))
         ((equal type "chat.action.permitted")
          (setf (nth 2 (assoc id told)) event))
         ((equal type "chat.action.executed")
          (setf (nth 3 (assoc id told)) (plist-get event :outcome))))))
    (delq nil (mapcar (lambda (one) (apply #'org-agent--deed-of one))
                      (last (nreverse told) org-agent--deeds-most)))))

(defun org-agent--deed-of (id action decision outcome)
  "Return the deed that is recorded of the action ID, or nil.
DECISION is the last one about ACTION, and OUTCOME what came of it."
  (let* ((payload (plist-get action :payload))
         (command (or (org-agent--text decision :command)
                      (org-agent--text payload :cmd)))
         (name (org-agent--text payload :name))
         (rule (or (org-agent--text decision :rule) "no rule given"))
         (status (org-agent--text outcome :status))
         (message (org-agent--text outcome :message))
         (done (equal status "done")))
    (pcase (org-agent--text action :target)
      ((and "shell" (guard command))
       (org-agent--command-deed
        id command (eql 0 (plist-get outcome :exitCode))
        (cond ((not outcome) "not decided")
              ((equal status "denied") (concat "denied: " rule))
              (t (org-agent--ended outcome)))
        outcome
        `(("$ " ,(org-agent--literal (org-agent--deed-short command))
           ,org-agent--card-rows)
          ,(org-agent--deed-part "Decided by: " rule))))
      ((and "skill" (guard name))
       (org-agent--skill-deed id name (equal (plist-get decision :by) "user")
                              (unless done (or message status "not read"))
                              (and done message))))))

(provide 'org-agent-drawer)
;;; org-agent-drawer.el ends here
