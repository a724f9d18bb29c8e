;;; org-agent-rewriting.el --- The turns of rewrites  -*- lexical-binding: t; -*-

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

;; What is sent to have a region rewritten, and what becomes of the
;; messages about it.
;;
;; The server does what it does in a chat, but for the Org contract: code
;; is not Org.  A rewrite is a turn of a session of its own, and is no
;; turn of `org-agent--turns': it has no chat, no heading and no reply.
;; So all messages about it are taken here, before others see them; a chat
;; in which its session was opened is told of the turn's states, and says
;; where the text is that waits.
;;
;; A turn ends when the server is told what became of its text.  So what
;; nobody waits for any more, as it was cancelled or asked for again, is
;; answered all the same.

;;; Code:

(require 'org-agent-chat)
(require 'org-agent-part)
(require 'org-agent-replacement)

(defcustom org-agent-rewrite-context 20
  "How many lines before and after a region the model is shown.
They are data like the region, and not rewritten.  Zero: none."
  :group 'org-agent
  :type 'natnum
  :package-version '(org-agent . "0.1.0"))

(defvar org-agent-mode)

(defconst org-agent--rewrite-context-limit 4000
  "How many characters of text on each side of a region are shown at most.")

(defvar org-agent--rewriting (make-hash-table :test #'equal)
  "The rewrite of each turn that is not over.")

(defvar org-agent--rewrites-kept nil
  "Rewrites whose new texts wait since an earlier server.")

(defvar org-agent--rewrites-unreported nil
  "What became of texts and no server has confirmed, the last first.
They are parameters of `orgAgent/actuated'.")

(defvar org-agent--rewrites-changed nil
  "Rewrites to show again at the end of the burst.")

;;;; Keys

(defun org-agent--rewrite-if-shown (command)
  "Return COMMAND if new text stands at point, and the old one is not seen."
  (let ((rewrite (org-agent--rewrite-in (point) (point))))
    (and rewrite
         (overlay-get (org-agent--rewrite-overlay rewrite) 'display)
         command)))

(defvar org-agent-rewrite-map
  (let ((map (make-sparse-keymap)))
    (define-key map (kbd "C-c C-c") 'org-agent-rewrite-accept)
    (define-key map (kbd "C-c C-k") 'org-agent-rewrite-reject)
    ;; Whoever sees the old text may be writing there.
    (dolist (key (list (kbd "RET") [mouse-1]))
      (define-key map key '(menu-item "More" org-agent-rewrite-act
                                      :filter org-agent--rewrite-if-shown)))
    map)
  "Keys where new text for a region is shown.")

(defvar org-agent-rewrite-running-map
  (let ((map (make-sparse-keymap)))
    (define-key map (kbd "C-c C-k") 'org-agent-rewrite-reject)
    (define-key map (kbd "C-g") 'org-agent-rewrite-reject)
    map)
  "Keys where a text is being rewritten.")

;;;; Asking

(defun org-agent--rewrite-around (beg end)
  "Return what stands before BEG and after END, as a cons of two texts."
  (let ((lines org-agent-rewrite-context)
        (most org-agent--rewrite-context-limit))
    (save-excursion
      (cons (progn
              (goto-char beg)
              (forward-line (- lines))
              (buffer-substring-no-properties
               (if (zerop lines) beg (max (point) (- beg most))) beg))
            (progn
              (goto-char end)
              (forward-line lines)
              (buffer-substring-no-properties
               end (if (zerop lines) end (min (point) (+ end most)))))))))

(defun org-agent--rewrite-parts (rewrite)
  "Return the region of REWRITE and what is around it, for the server."
  (with-current-buffer (org-agent--rewrite-buffer rewrite)
    (pcase-let* ((overlay (org-agent--rewrite-overlay rewrite))
                 (name (buffer-name))
                 (mode (symbol-name major-mode))
                 ;; What the user hid by narrowing is theirs.
                 (`(,before . ,after)
                  (org-agent--rewrite-around (overlay-start overlay)
                                             (overlay-end overlay)))
                 (around (lambda (where text)
                           (unless (string-blank-p text)
                             (list (list :kind "buffer"
                                         :name (format "%s, %s" name where)
                                         :text (org-agent--sane text)
                                         :mode mode))))))
      (vconcat (funcall around "before it" before)
               (list (list :kind "region" :name name :mode mode
                           :text (org-agent--rewrite-source rewrite)))
               (funcall around "after it" after)))))

(defun org-agent--rewrite-ask (rewrite instruction)
  "Send REWRITE with INSTRUCTION, in its session if it has one."
  (setf (org-agent--rewrite-source rewrite) (org-agent--rewrite-current rewrite)
        (org-agent--rewrite-instruction rewrite) instruction
        (org-agent--rewrite-client-id rewrite) (org-agent--client-id)
        (org-agent--rewrite-state rewrite) 'sending
        (org-agent--rewrite-turn rewrite) nil
        (org-agent--rewrite-seq rewrite) 0
        (org-agent--rewrite-attempt rewrite) 0
        (org-agent--rewrite-touched rewrite) nil
        (org-agent--rewrite-text rewrite) nil
        (org-agent--rewrite-actuation rewrite) nil
        (org-agent--rewrite-explanation rewrite) nil
        (org-agent--rewrite-reason rewrite) nil)
  (org-agent--rewrite-clear rewrite)
  (org-agent--rewrite-keys rewrite)
  (let ((id (org-agent--rewrite-client-id rewrite)))
    (org-agent--request
     'orgAgent/event
     `( :sensor "rewrite" :clientId ,id
        ,@(and (org-agent--rewrite-session rewrite)
               (list :sessionId (org-agent--rewrite-session rewrite)))
        :text ,(org-agent--sane instruction)
        ,@(with-current-buffer (org-agent--rewrite-buffer rewrite)
            (org-agent--location (org-agent--directory)))
        :context ,(org-agent--rewrite-parts rewrite))
     (lambda (result) (org-agent--rewrite-acknowledged rewrite id result))
     (lambda (words _code)
       (when (equal id (org-agent--rewrite-client-id rewrite))
         (org-agent--rewrite-fail rewrite words))))))

(defun org-agent--rewrite-acknowledged (rewrite id result)
  "Note that the server has REWRITE, sent as ID; RESULT is its answer."
  (let ((turn (plist-get result :turnId)))
    (if (and (eq (org-agent--rewrite-state rewrite) 'sending)
             (equal id (org-agent--rewrite-client-id rewrite)))
        (progn
          (setf (org-agent--rewrite-session rewrite) (plist-get result :sessionId)
                (org-agent--rewrite-turn rewrite) turn
                (org-agent--rewrite-state rewrite) 'running)
          (puthash turn rewrite org-agent--rewriting))
      ;; It was taken back on its way.
      (puthash turn rewrite org-agent--rewriting)
      (org-agent--rewrite-cancel turn))))

(defun org-agent--rewrite-cancel (turn)
  "Ask the server to stop TURN."
  (org-agent--request 'orgAgent/cancel (list :turnId turn)
                      #'ignore #'ignore))

(defun org-agent--rewrite-keys (rewrite)
  "Give REWRITE the keys of its state, and show it."
  (overlay-put (org-agent--rewrite-overlay rewrite) 'keymap
               (if (memq (org-agent--rewrite-state rewrite) '(offered failed))
                   org-agent-rewrite-map
                 org-agent-rewrite-running-map))
  (org-agent--rewrite-show rewrite))

(defun org-agent--rewrite-fail (rewrite reason)
  "Show that REWRITE came to nothing because of REASON."
  (unless (eq (org-agent--rewrite-state rewrite) 'over)
    (setf (org-agent--rewrite-state rewrite) 'failed
          (org-agent--rewrite-reason rewrite) reason)
    (org-agent--rewrite-clear rewrite)
    (message "org-agent: not rewritten: %s" (org-agent--one-line reason 300))
    (if (org-agent--rewrite-buffer rewrite)
        (org-agent--rewrite-keys rewrite)
      (org-agent--rewrite-end rewrite))))

;;;; Messages

(cl-defmethod org-agent--handle :extra "rewrite" :around (method params)
  "Take METHOD with PARAMS if it is about a rewrite."
  (let* ((turn (and (listp params) (plist-get params :turnId)))
         (rewrite (and turn (gethash turn org-agent--rewriting))))
    (cond
     ((not rewrite)
      (pcase method
        (:died (org-agent--rewrites-died (plist-get params :reason)))
        (:ready (org-agent--rewrites-report))
        (:drained
         (let ((changed org-agent--rewrites-changed))
           (setq org-agent--rewrites-changed nil)
           (mapc #'org-agent--rewrite-show changed)
           (org-agent--rewrites-look))))
      (cl-call-next-method))
     ((not (equal turn (org-agent--rewrite-turn rewrite)))
      (org-agent--rewrite-ignore method params))
     (t
      (let ((seq (plist-get params :seq)))
        ;; What a model thinks is not numbered, and not shown.
        (when (and (natnump seq) (> seq (org-agent--rewrite-seq rewrite)))
          (setf (org-agent--rewrite-seq rewrite) seq)
          (org-agent--rewrite-take method rewrite params)
          (cl-pushnew rewrite org-agent--rewrites-changed)))))
    ;; From the list of sessions it can be opened as a chat.
    (when (and rewrite (eq method 'orgAgent/turn)
               (org-agent--buffer (plist-get params :sessionId)))
      (cl-call-next-method)
      (when (equal turn (org-agent--rewrite-turn rewrite))
        (org-agent--rewrite-tell rewrite)))))

(defun org-agent--rewrites-look ()
  "Show each old text that was changed through another buffer with this text.
Emacs tells overlays only of changes in their own buffer; the reply of a
subtree's chat is written in that of the chat."
  (dolist (rewrite (hash-table-values org-agent--rewriting))
    (when-let ((buffer (org-agent--rewrite-buffer rewrite)))
      (when (and (not (org-agent--rewrite-touched rewrite))
                 (or (buffer-base-buffer buffer)
                     (buffer-local-value 'org-agent-mode buffer))
                 (org-agent--rewrite-edited-p rewrite))
        (setf (org-agent--rewrite-touched rewrite) t)
        (org-agent--rewrite-show rewrite)))))

(defun org-agent--rewrite-ignore (method params)
  "Let METHOD with PARAMS, about what nobody waits for, come to nothing."
  (pcase method
    ('orgAgent/actuate
     ;; A turn that has something to show waits until it is told.
     (org-agent--report params "denied" "Nobody waits for it any more"))
    ('orgAgent/turn
     (when (org-agent--rewrite-last-p (plist-get params :state))
       (remhash (plist-get params :turnId) org-agent--rewriting)))))

(defun org-agent--rewrite-last-p (state)
  "Return non-nil if a turn ends with STATE."
  (member state '("done" "failed" "cancelled")))

(defun org-agent--rewrite-take (method rewrite params)
  "Take METHOD with PARAMS, which is about REWRITE."
  (let ((attempt (plist-get params :attempt))
        (text (plist-get params :text)))
    (pcase method
      ('orgAgent/turn (org-agent--rewrite-turned rewrite params))
      ('orgAgent/actuate (org-agent--rewrite-offered rewrite params))
      ('orgAgent/retract
       (org-agent--rewrite-clear rewrite))
      ('orgAgent/delta
       (when (and (natnump attempt) (stringp text)
                  (>= attempt (org-agent--rewrite-attempt rewrite)))
         (when (> attempt (org-agent--rewrite-attempt rewrite))
           (setf (org-agent--rewrite-attempt rewrite) attempt)
           (org-agent--rewrite-clear rewrite))
         (push text (org-agent--rewrite-fresh rewrite)))))))

(defun org-agent--rewrite-turned (rewrite params)
  "Note the new state of the turn of REWRITE in PARAMS."
  (let ((state (plist-get params :state))
        (reason (plist-get params :reason)))
    (setf (org-agent--rewrite-reason rewrite)
          (cond ((equal state "repairing") "asking again")
                ((equal state "accepted") "queued")
                ((stringp reason) reason)
                ((equal state "failed") (org-agent--rewrite-reason rewrite))))
    (when (org-agent--rewrite-last-p state)
      (remhash (org-agent--rewrite-turn rewrite) org-agent--rewriting)
      (if (equal state "failed")
          (org-agent--rewrite-fail rewrite
                                   (or (org-agent--rewrite-reason rewrite)
                                       "no reason given"))
        (org-agent--rewrite-end rewrite)))))

(defun org-agent--rewrite-offered (rewrite params)
  "Take what PARAMS offer for REWRITE."
  (let* ((action (plist-get params :action))
         (payload (plist-get action :payload))
         (text (plist-get payload :text)))
    (cond
     ((not (and (equal (plist-get action :target) "emacs") (stringp text)))
      (org-agent--report params "failed" "The message is not as expected"))
     ((not (equal (plist-get payload :action) "replace-region"))
      ;; A system error: why there is no text.
      (setf (org-agent--rewrite-reason rewrite) text)
      (org-agent--report params "done"))
     ((not (org-agent--rewrite-buffer rewrite))
      (org-agent--report params "denied" "The buffer was killed"))
     (t
      (let ((explanation (plist-get action :explanation)))
        (setf (org-agent--rewrite-state rewrite) 'offered
              (org-agent--rewrite-text rewrite) text
              (org-agent--rewrite-actuation rewrite)
              (plist-get params :actuationId)
              (org-agent--rewrite-rule rewrite) (plist-get params :rule)
              (org-agent--rewrite-explanation rewrite)
              (and (stringp explanation) explanation)))
      (org-agent--rewrite-keys rewrite)
      (org-agent--rewrite-tell rewrite)
      (message "org-agent: a new text waits in %s%s"
               (org-agent--rewrite-buffer rewrite)
               (if-let ((explanation (org-agent--rewrite-explanation rewrite)))
                   (concat ": " (org-agent--one-line explanation 200))
                 ""))))))

(defun org-agent--rewrites-died (reason)
  "Take note that the server went away because of REASON."
  (let ((rewrites (org-agent--values org-agent--rewriting)))
    (clrhash org-agent--rewriting)
    (dolist (rewrite rewrites)
      (pcase (org-agent--rewrite-state rewrite)
        ;; A new server learns of a verified text when it is decided about.
        ('offered (push rewrite org-agent--rewrites-kept))
        ('running (org-agent--rewrite-fail rewrite
                                           (or reason "the server ended")))))))

(defun org-agent--rewrite-settle (rewrite status &optional message)
  "Tell the server that the text of REWRITE ended with STATUS.
MESSAGE says more.  What still comes of its turn is ignored."
  (let ((actuation (org-agent--rewrite-actuation rewrite))
        (turn (org-agent--rewrite-turn rewrite)))
    (cond (actuation
           (org-agent--rewrite-report
            `( :actuationId ,actuation :status ,status
               ,@(and message (list :message message)))))
          ((and turn (gethash turn org-agent--rewriting))
           (org-agent--rewrite-cancel turn)))
    (setf (org-agent--rewrite-turn rewrite) nil
          (org-agent--rewrite-actuation rewrite) nil)
    (when-let ((shown (and turn (org-agent--turn turn))))
      (setf (org-agent--turn-card shown) nil)
      ;; Of what waited for an earlier server, nothing comes.
      (when (memq rewrite org-agent--rewrites-kept)
        (org-agent--set-state shown (if (equal status "done") status "cancelled")))
      (org-agent--show shown))
    (setq org-agent--rewrites-kept (delq rewrite org-agent--rewrites-kept))))

(defun org-agent--rewrite-report (params)
  "Tell the server PARAMS, what became of a text, or the next one if it dies."
  (org-agent--request 'orgAgent/actuated params nil
                      (lambda (words code)
                        (if code
                            (message "org-agent: the record lacks what became \
of a new text: %s" words)
                          (push params org-agent--rewrites-unreported)))))

(defun org-agent--rewrites-report ()
  "Tell the server, which is a new one, what no other has confirmed."
  (let ((unreported (nreverse org-agent--rewrites-unreported)))
    (setq org-agent--rewrites-unreported nil)
    (mapc #'org-agent--rewrite-report unreported)))

(defun org-agent--rewrite-reject (rewrite)
  "Leave the text of REWRITE as it is; cancel what is still coming."
  (org-agent--rewrite-settle rewrite "denied")
  (org-agent--rewrite-end rewrite)
  (message "org-agent: it stays as it is"))

(defun org-agent--rewrites-leave ()
  "Let go of all that is rewritten in this buffer, which is being killed."
  (dolist (rewrite (org-agent--rewrites))
    (org-agent--rewrite-settle rewrite "denied" "The buffer was killed")
    (org-agent--rewrite-end rewrite)))

;; A major mode must not take it out.
(put 'org-agent--rewrites-leave 'permanent-local-hook t)

;;;; In a chat of its session

(defun org-agent--rewrite-of (turn)
  "Return the rewrite whose turn is TURN, an identifier, or nil."
  (seq-find (lambda (rewrite)
              (and rewrite (equal turn (org-agent--rewrite-turn rewrite))))
            (cons (gethash turn org-agent--rewriting) org-agent--rewrites-kept)))

(defun org-agent--rewrite-tell (rewrite)
  "Let a chat of the session of REWRITE, if there is one, say where its text is."
  (when-let* ((session (and (memq (org-agent--rewrite-state rewrite)
                                  '(running offered))
                            (org-agent--rewrite-session rewrite)))
              (id (org-agent--rewrite-turn rewrite))
              (turn (and (org-agent--buffer session)
                         (org-agent--turn id session)))
              (buffer (org-agent--rewrite-buffer rewrite)))
    (let* ((offered (eq (org-agent--rewrite-state rewrite) 'offered))
           (state (cond (offered "awaitingApproval")
                        ((equal (org-agent--rewrite-reason rewrite) "queued")
                         "accepted")
                        ((org-agent--live-p turn) (org-agent--turn-state turn))
                        (t "thinking"))))
      (unless (equal state (org-agent--turn-state turn))
        (org-agent--set-state turn state))
      (setf (org-agent--turn-notice turn) nil
            (org-agent--turn-card turn)
            (concat
             (propertize (format-message
                          (if offered
                              "A rewrite in `%s': the new text waits there \
for you to accept or reject it.  "
                            "A rewrite in `%s' is under way.  ")
                          (org-agent--one-line (buffer-name buffer) 60))
                         'face 'org-agent-notice)
             (org-agent--part "[go there]" 20
                              "mouse-1, or M-x org-agent-rewrite-visit"
                              #'org-agent-rewrite-visit 'link)
             "\n"))
      (org-agent--show turn))))

(cl-defmethod org-agent--handle :extra "rewrite" :after ((_ (eql :resumed)) result)
  "Show in the chat that RESULT is for where its rewrites wait."
  (dolist (id (append (plist-get result :live)
                      (seq-map (lambda (item) (plist-get item :turnId))
                               (plist-get result :interrupted))
                      nil))
    (when-let ((rewrite (org-agent--rewrite-of id)))
      (org-agent--rewrite-tell rewrite))))

(defun org-agent--rewrites-here ()
  "Return the rewrites of this chat."
  (delq nil (mapcar (lambda (turn) (org-agent--rewrite-of (org-agent--turn-id turn)))
                    (org-agent--turns-here))))

(org-agent--defcommand org-agent-rewrite-visit ()
  "Go to the text whose rewrite is a turn of this chat."
  (interactive nil org-agent-chat-mode)
  (let* ((rewrite (or (car (org-agent--rewrites-here))
                      (user-error "No text is being rewritten by this chat")))
         (overlay (org-agent--rewrite-overlay rewrite))
         (place (overlay-start overlay)))
    (pop-to-buffer (overlay-buffer overlay))
    (unless (<= (point-min) place (point-max))
      (widen))
    (goto-char place)))

(defun org-agent--rewrite-cancelled (turn ask)
  "Reject the new text of TURN, an identifier, if that is a rewrite's.
If ASK is non-nil and the text waits, the user has to agree."
  (when-let ((rewrite (org-agent--rewrite-of turn)))
    (if (or (not ask)
            (not (eq (org-agent--rewrite-state rewrite) 'offered))
            (y-or-n-p (format-message
                       "Reject the new text that waits in `%s'? "
                       (org-agent--one-line
                        (buffer-name (org-agent--rewrite-buffer rewrite)) 60))))
        (org-agent--rewrite-reject rewrite)
      (message "org-agent: the new text still waits"))
    t))

(add-hook 'org-agent--cancel-functions #'org-agent--rewrite-cancelled)

(provide 'org-agent-rewriting)
;;; org-agent-rewriting.el ends here
