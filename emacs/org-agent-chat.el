;;; org-agent-chat.el --- The chat mode of org-agent  -*- lexical-binding: t; -*-

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

;; The mode of a chat buffer, sending from it, cancelling, and coming
;; back after the server, the buffer or Emacs went away.
;;
;; A prompt stays in the input area until the server has it for good,
;; and is sent again with the same identifier, so that it is never lost
;; and never there twice.  With it goes what the texts above it are, as
;; hashes.  What the answers say of the session itself is another file's
;; business: it handles the messages `:acknowledged', `:resumed' and
;; `:copied'; and so is answering again what was not interrupted:
;; `:not-interrupted'.

;;; Code:

(require 'org-agent-marks)
(require 'org-agent-turn)
(require 'org-agent-context)
(require 'org-element)
(require 'org-table)

;;;; State

(cl-defstruct (org-agent--pending (:copier nil) (:constructor org-agent--make-pending))
  "A prompt that the server has not acknowledged."
  client-id text
  steers ; the turn that is to make way for it, or nil
  chips ; what goes with it, and its texts as they were taken:
  context
  directory) ; as the server is told it, or nil

(defvar-local org-agent--pending nil
  "The prompt of this buffer that was not acknowledged, or nil.
While it is on its way `org-agent--sending' is non-nil as well.")

(defvar org-agent--steers nil
  "The turn that is to make way for what is being sent, or nil.")

(defvar org-agent--sent-hook nil
  "Functions called in a chat whose prompt the server has.
Their arguments are the turn, the text, and what went along.")

(defvar-local org-agent--anew nil
  "Non-nil if the next prompt begins a session, whatever others there are.")

(defvar-local org-agent--copy-of nil
  "The session of which this buffer is a copy, until it has its own.")

;;;; Mode

(defvar org-agent-chat-mode-map (make-sparse-keymap)
  "Keys of `org-agent-chat-mode'; the rest is Org's.")

(defvar org-agent--bound nil
  "Alist from keys to lists of (COMMAND . WHEN), see `org-agent--bind'.")

(defun org-agent--bind (key name command when)
  "Bind KEY to COMMAND, called NAME, as long as WHEN is true.
WHEN is a function.  Otherwise the key is what it was bound to before
by this function, or what it is in Org."
  (setf (alist-get command (alist-get key org-agent--bound nil nil #'equal))
        when)
  (define-key org-agent-chat-mode-map (kbd key)
    `(menu-item ,name ,command
                :filter ,(lambda (_command)
                           ;; With nil here the key would be undefined.
                           (or (car (seq-find (lambda (bound) (funcall (cdr bound)))
                                              (alist-get key org-agent--bound
                                                         nil nil #'equal)))
                               (lookup-key org-mode-map (kbd key)))))))

(org-agent--bind "C-c C-k" "Cancel" 'org-agent-cancel #'org-agent--live-turn)

(define-derived-mode org-agent-chat-mode org-mode "Org-Agent"
  "Chat with org-agent in an Org buffer.

Write under the last heading; \\<org-mode-map>\\[org-ctrl-c-ctrl-c] there sends it.  In a table or at
a checkbox, and everywhere else in the buffer, the key does what it
does in Org.  \\<org-agent-chat-mode-map>\\[org-agent-cancel] cancels the running turn.

Org does not execute what stands in this buffer, and loads no mode of
a language for it."
  (setq-local org-babel-no-eval-on-ctrl-c-ctrl-c t
              org-confirm-babel-evaluate t
              org-link-elisp-confirm-function #'ignore
              org-link-elisp-skip-confirm-regexp ""
              org-link-shell-confirm-function #'ignore
              org-link-shell-skip-confirm-regexp ""
              org-src-fontify-natively nil
              org-table-allow-automatic-line-recalculation nil
              enable-local-variables nil
              enable-local-eval nil
              ;; A chat that is saved as a file goes on.
              change-major-mode-with-file-name nil
              ;; Each piece of a reply would have the lines counted again.
              line-number-display-limit (or line-number-display-limit 1000000)
              truncate-lines nil
              word-wrap t)
  (add-hook 'org-ctrl-c-ctrl-c-hook #'org-agent--ctrl-c-ctrl-c nil t)
  (add-hook 'org-open-at-point-functions #'org-agent--open-no-code nil t)
  (add-hook 'kill-buffer-hook #'org-agent--leave nil t)
  (add-hook 'change-major-mode-hook #'org-agent--leave nil t)
  (org-agent--ensure-input)
  (when-let ((session (org-agent--written-session)))
    (setq org-agent--session session)
    (unless (org-agent--copied)
      (org-agent--join session)
      (when org-agent--ready
        (org-agent--resume)))))

(defun org-agent--copied ()
  "Return non-nil if this buffer waits for a session of its own.
A copy of a chat that is still open must not speak for it."
  (when-let* ((session org-agent--session))
    (when (if-let ((other (org-agent--buffer session)))
              (not (org-agent--same-place-p other))
            (org-agent--second-p session))
      (setq org-agent--copy-of session
            org-agent--session nil
            ;; A clone has the variables of the other buffer.
            org-agent--sending nil
            org-agent--pending nil
            org-agent--context nil
            org-agent--context-overlay nil)))
  (when org-agent--copy-of
    (org-agent--handle :copied nil)
    t))

(defun org-agent--open-no-code ()
  "Refuse to open the result of code at point.
For that Org runs the code, and its header arguments before it asks."
  (when (org-element-lineage (org-element-context)
                             '(src-block inline-src-block) t)
    (user-error "Code in a chat has no result to open")))

(defun org-agent--join (session)
  "Make this the buffer of SESSION, and take what waits for it."
  (setq org-agent--session session)
  (puthash session (current-buffer) org-agent--buffers)
  (org-agent--release session)
  (mapc #'org-agent--show (org-agent--turns-here))
  (org-agent--show-state))

(defun org-agent--leave ()
  "Forget this buffer; what comes for its session waits."
  ;; A copy or an indirect buffer may have the same session.
  (when (eq (current-buffer) (gethash org-agent--session org-agent--buffers))
    (dolist (turn (org-agent--turns-here))
      (when (org-agent--turn-overlay turn)
        (delete-overlay (org-agent--turn-overlay turn)))
      (setf (org-agent--turn-overlay turn) nil
            (org-agent--turn-place turn) nil)
      (when (org-agent--over-p turn)
        (setf (org-agent--turn-thought turn) nil)))
    (remhash org-agent--session org-agent--buffers)))

(defun org-agent--forget-session ()
  "Let this buffer have no session; its next prompt begins a new one."
  (org-agent--leave)
  (setq org-agent--session nil
        org-agent--copy-of nil
        org-agent--anew t)
  (org-agent--show-state))

(defun org-agent--chats ()
  "Return the chat buffers, without those that only show what was recorded."
  (seq-filter (lambda (buffer)
                (with-current-buffer buffer
                  (and (derived-mode-p 'org-agent-chat-mode)
                       (not org-agent--detached))))
              (buffer-list)))

;;;; Sending

(defun org-agent--ctrl-c-ctrl-c ()
  "Send the input area if point is in it and not on something of Org's."
  (let ((input (org-agent--input)))
    (when (and input
               (>= (point) (car input))
               (not (org-at-table-p))
               (not (org-at-TBLFM-p))
               (not (org-at-item-checkbox-p)))
      (org-agent-send)
      t)))

(org-agent--defcommand org-agent-send ()
  "Send what is written under the last heading.
It stays there until the server has it for good."
  (interactive nil org-agent-chat-mode)
  (when (org-agent--copied)
    (user-error "This chat is a copy and gets a session of its own; send again in a moment"))
  (when org-agent--sending
    (user-error "Your last message is still on its way"))
  (let ((text (org-agent--prompt))
        (chips (reverse org-agent--context)))
    (when (and (string-empty-p text) (not chips))
      (user-error "Write something under the last heading first"))
    (when (string-match org-agent--insane text)
      (user-error "Your text has a byte that is no character, after `%s'"
                  (org-agent--tail (substring text 0 (match-beginning 0)) 20)))
    (unless (and org-agent--pending
                 (equal text (org-agent--pending-text org-agent--pending))
                 (equal chips (org-agent--pending-chips org-agent--pending)))
      (setq org-agent--pending
            (org-agent--make-pending :client-id (org-agent--client-id)
                                     :text text :chips chips
                                     :context (org-agent--context-take chips)
                                     :steers org-agent--steers
                                     :directory (org-agent--directory))))
    (org-agent--send-pending)))

(defun org-agent--directory ()
  "Return this buffer's directory; if it is remote, with its machine."
  (if-let ((remote (file-remote-p default-directory)))
      (concat remote (directory-file-name
                      (file-remote-p default-directory 'localname)))
    (directory-file-name (expand-file-name default-directory))))

(defun org-agent--location (directory)
  "Return DIRECTORY as parameters for the server.
Where the home of another user is, only the other machine knows."
  (let* ((remote (file-remote-p directory))
         (name (if remote (file-remote-p directory 'localname) directory)))
    `( ,@(and (string-match-p (if remote (rx bos (or "/" (seq "~" (or "/" eos))))
                                "\\`/")
                              name)
              (list :directory name))
       ,@(and remote
              (list :host (string-trim remote "/" ":"))))))

(defun org-agent--client-id ()
  "Return a fresh identifier."
  (substring (secure-hash 'sha256
                          (format "%S %S %S %S" (current-time) (emacs-pid)
                                  (random most-positive-fixnum)
                                  (system-name)))
             0 32))

(defun org-agent--send-pending ()
  "Send the pending prompt of this buffer."
  (let ((pending org-agent--pending)
        (buffer (current-buffer)))
    (setq org-agent--sending t)
    (org-agent--show-state)
    (if (or org-agent--session (not org-agent--anew))
        (org-agent--send-event buffer pending)
      (org-agent--request
       'orgAgent/sessions/create
       `( :buffer ,(buffer-name)
          ,@(when-let ((title (org-agent--title))) (list :title title)))
       (lambda (result)
         (when (buffer-live-p buffer)
           (with-current-buffer buffer
             (setq org-agent--session (plist-get result :id))
             (org-agent--send-event buffer pending))))
       (lambda (words code) (org-agent--not-sent buffer words code))))))

(defun org-agent--message (text context directory)
  "Return the parameters for the server of a message of this buffer.
It says TEXT, has the vector CONTEXT, and is from DIRECTORY."
  `( ,@(and org-agent--session (list :sessionId org-agent--session))
     :buffer ,(buffer-name)
     :text ,(org-agent--outward text)
     :level ,(org-agent--level)
     ,@(org-agent--location directory)
     ,@(unless (equal context []) (list :context context))
     ,@(when-let ((hashes (and org-agent--session (org-agent--hashes))))
         (list :turnHashes hashes))))

(defun org-agent--send-event (buffer pending)
  "Send PENDING, the prompt of BUFFER, which is current."
  (org-agent--request
   'orgAgent/event
   `( :sensor "chat-message"
      :clientId ,(org-agent--pending-client-id pending)
      ,@(when-let ((turn (org-agent--pending-steers pending)))
          (list :steers turn))
      ,@(org-agent--message (org-agent--pending-text pending)
                            (org-agent--pending-context pending)
                            (org-agent--pending-directory pending)))
   (lambda (result) (org-agent--acknowledged buffer pending result))
   (lambda (words code) (org-agent--not-sent buffer words code))))

(defun org-agent--not-sent (buffer words code)
  "Tell that the prompt of BUFFER was not sent; WORDS say why.
CODE is the server's, or nil if it never answered."
  (message "org-agent: not sent, your text is still there: %s%s" words
           (if (equal code "not_found")
               "; sent again, it begins a new session" ""))
  (when (buffer-live-p buffer)
    (with-current-buffer buffer
      (setq org-agent--sending nil)
      ;; What the server refused is another message when it is tried again.
      (when code (setq org-agent--pending nil))
      (when (equal code "not_found")
        (org-agent--forget-session))
      (org-agent--show-state)
      (when org-agent--session
        (org-agent--release org-agent--session)))))

(defun org-agent--acknowledged (buffer pending result)
  "Write down that the server has PENDING of BUFFER; RESULT is its answer."
  (let* ((event (plist-get result :eventId))
         (session (plist-get result :sessionId))
         (turn (org-agent--turn (plist-get result :turnId) session)))
    (setf (org-agent--turn-event turn) event)
    (unless (or (org-agent--true-p (plist-get result :duplicate))
                (org-agent--turn-state turn))
      (setf (org-agent--turn-state turn) "accepted"))
    (when (buffer-live-p buffer)
      (with-current-buffer buffer
        (setq org-agent--sending nil
              org-agent--pending nil
              org-agent--anew nil)
        (unless (org-agent--find "OA_EVENT" event)
          (setf (org-agent--turn-place turn)
                (org-agent--write-prompt session event
                                         (org-agent--pending-text pending))))
        (when (org-agent--pending-chips pending)
          (org-agent--clear-context (org-agent--pending-chips pending)))
        (run-hook-with-args 'org-agent--sent-hook turn
                            (org-agent--pending-text pending)
                            (org-agent--pending-chips pending))
        (org-agent--join session)
        (org-agent--handle :acknowledged result)
        (run-hooks 'org-agent--input-hook)
        (dolist (turn (org-agent--turns-here))
          (setf (org-agent--turn-notice turn) nil)
          (org-agent--show turn))))))

;;;; Cancelling

(defvar org-agent--cancel-functions nil
  "Functions for turns that are not cancelled as others are.
They are called with a turn's identifier, and non-nil if the user can be
asked.  The first that returns non-nil has done what there was to do.")

(org-agent--defcommand org-agent-cancel ()
  "Cancel what is under way in this buffer."
  (interactive nil org-agent-chat-mode)
  (let ((turn (or (org-agent--live-turn)
                  (user-error "Nothing runs in this chat"))))
    (unless (run-hook-with-args-until-success
             'org-agent--cancel-functions (org-agent--turn-id turn) t)
      (org-agent--request
       'orgAgent/cancel (list :turnId (org-agent--turn-id turn))
       (lambda (result)
         (unless (org-agent--true-p (plist-get result :cancelled))
           (message "org-agent: too late to cancel")))
       (lambda (words _code)
         (message "org-agent: not cancelled: %s" words)))
      ;; What runs here need not wait for the server.
      (org-agent--stop turn)
      (org-agent--clear-preview turn)
      (setf (org-agent--turn-thought turn) nil)
      (org-agent--show turn))))

;;;; What the model thinks

(defun org-agent--thought-here ()
  "Return the turn whose line of thinking point is at, or nil."
  (seq-find (lambda (turn)
              (when-let ((overlay (and (org-agent--turn-thought turn)
                                       (org-agent--turn-overlay turn))))
                (and (eq (overlay-buffer overlay) (current-buffer))
                     (= (overlay-start overlay) (point)))))
            (org-agent--turns-here)))

(org-agent--defcommand org-agent-toggle-thought ()
  "Unfold or fold what the model thinks, or thought before the reply at point.
It is no text of the buffer and not kept with it: of a chat that was
closed, or of earlier calls, \\[org-agent-why] shows it."
  (interactive nil org-agent-chat-mode)
  (let ((event (org-entry-get (point) "OA_EVENT" t))
        (turns (seq-filter #'org-agent--turn-thought (org-agent--turns-here))))
    (org-agent--toggle-thought
     (or (org-agent--thought-here)
         (seq-find (lambda (turn)
                     (and event (equal (org-agent--turn-event turn) event)))
                   turns)
         (seq-find #'org-agent--live-p turns)
         (car (last turns))
         (user-error "No thoughts of the model are known here")))))

(org-agent--bind "RET" "Unfold what the model thinks" 'org-agent-toggle-thought
                 #'org-agent--thought-here)

;;;; Coming back

(cl-defmethod org-agent--handle ((_ (eql :died)) params)
  "Take back what was not verified when the server went away as PARAMS say."
  (let ((reason (plist-get params :reason)))
    (dolist (turn (org-agent--values org-agent--turns))
      (unless (org-agent--over-p turn)
        (when (org-agent--live-p turn)
          (setf (org-agent--turn-notice turn)
                (format "%s; send something, or M-x org-agent-restart" reason)))
        (org-agent--stop turn)
        (org-agent--clear-preview turn)
        (setf (org-agent--turn-thought turn) nil
              (org-agent--turn-reason turn) nil)
        ;; A new server counts from 1 again.
        (setf (org-agent--turn-state turn) nil
              (org-agent--turn-seq turn) 0
              (org-agent--turn-attempt turn) 0)
        (org-agent--show turn)))
    (dolist (buffer (org-agent--chats))
      (with-current-buffer buffer
        (org-agent--show-state)))
    (message "org-agent: %s" reason)))

(cl-defmethod org-agent--handle ((_ (eql :ready)) _params)
  "Send again what was not acknowledged, and ask for what was missed."
  (dolist (buffer (org-agent--chats))
    (with-current-buffer buffer
      (when (and org-agent--pending (not org-agent--sending)
                 (string-prefix-p (org-agent--pending-text org-agent--pending)
                                  (org-agent--prompt)))
        (org-agent--send-pending))
      (when org-agent--session
        (org-agent--resume)))))

(defun org-agent--resume (&optional turns then drop)
  "Ask the server for what this buffer lacks.
Let it run TURNS, a list of identifiers, again, and let go of those in
DROP.  THEN is called in this buffer afterwards with the turns that
are still interrupted."
  (let ((buffer (current-buffer)))
    (org-agent--request
     'orgAgent/sessions/resume
     `( :sessionId ,org-agent--session
        :applied ,(vconcat (org-agent--have))
        :turns ,(vconcat turns)
        ,@(and drop (list :drop (vconcat drop))))
     (lambda (result)
       (org-agent--resumed result)
       (when (buffer-live-p buffer)
         (with-current-buffer buffer
           (org-agent--handle :resumed result)))
       (when (and then (buffer-live-p buffer))
         (with-current-buffer buffer
           (funcall then (seq-map (lambda (item) (plist-get item :turnId))
                                  (plist-get result :interrupted))))))
     (lambda (words _code)
       (message "org-agent: the chat is not up to date: %s" words)))))

(defun org-agent--have ()
  "Return the actuations that this buffer has had.
The server asks for those of unfinished turns; the last ones do."
  (last (seq-uniq (append (org-agent--all "OA_ACT") org-agent--applied)) 1000))

(defun org-agent--resumed (result)
  "Bring a session up to date with RESULT."
  (let ((session (plist-get result :sessionId)))
    (seq-doseq (item (plist-get result :resumed))
      (let ((from (org-agent--turn (plist-get item :from) session))
            (turn (org-agent--turn (plist-get item :turnId) session)))
        (setf (org-agent--turn-event turn) (org-agent--turn-event from)
              (org-agent--turn-place turn) (org-agent--turn-place from)
              (org-agent--turn-notice from) nil)
        (org-agent--show from)))
    ;; An earlier Emacs may have sent what they answer.
    (seq-doseq (item (plist-get result :events))
      (let ((turn (org-agent--turn (plist-get item :turnId) session)))
        (unless (equal (org-agent--turn-event turn) (plist-get item :mark))
          (setf (org-agent--turn-event turn) (plist-get item :mark))
          (org-agent--show turn))))
    (seq-doseq (id (plist-get result :live))
      (let ((turn (org-agent--turn id session)))
        (unless (org-agent--turn-state turn)
          (org-agent--set-state turn "accepted"))))
    (seq-doseq (item (plist-get result :interrupted))
      (let ((turn (org-agent--turn (plist-get item :turnId) session)))
        (setf (org-agent--turn-event turn) (or (org-agent--turn-event turn)
                                               (plist-get item :eventId))
              (org-agent--turn-state turn) "failed"
              (org-agent--turn-notice turn)
              "interrupted; M-x org-agent-retry runs it again, C-u lets it go")
        (org-agent--show turn)))
    (seq-doseq (params (plist-get result :actuations))
      (org-agent--actuate params))))

(org-agent--defcommand org-agent-retry (&optional drop)
  "Run again what was interrupted in this buffer when the server went away.
With prefix argument DROP, let it go instead: no answer is wanted.  If
nothing was, ask again what failed or was cancelled last."
  (interactive "P" org-agent-chat-mode)
  (org-agent--check-session)
  ;; The server says what was interrupted; then it is asked to go on.
  (org-agent--resume
   nil
   (lambda (turns)
     (cond ((and (null turns) drop)
            (message "org-agent: nothing was interrupted"))
           ((null turns) (org-agent--handle :not-interrupted nil))
           (drop (org-agent--resume nil #'ignore turns)
                 (dolist (id turns)
                   (let ((turn (org-agent--turn id)))
                     (setf (org-agent--turn-notice turn) nil)
                     (org-agent--show turn))))
           (t (org-agent--resume turns))))))

(provide 'org-agent-chat)
;;; org-agent-chat.el ends here
