;;; org-agent-sessions.el --- The sessions behind chats  -*- lexical-binding: t; -*-

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

;; What a chat buffer and the server's record of its session are to each
;; other: filling a buffer from the record, branching, copies, and what
;; was edited in one or is missing in it.
;;
;; The record is what was said, and the model is shown that.  The buffer
;; is the user's, who may edit all of it: then they are told, and decide.
;; A transcript is never put together here.  It is the server's export,
;; byte for byte, and is put above the input area, which is the user's.
;;
;; A session has one buffer.  A copy of that gets a session of its own,
;; which begins with what stands in the copy; nothing else is made
;; without being asked for, and nothing that was edited is overwritten
;; before the user said so.

;;; Code:

(require 'org-agent-chat)

(defconst org-agent--chat-name "*org-agent-chat*"
  "The name of the chat buffer.")

(defvar-local org-agent--edited nil
  "What of this buffer was said with other words, by marks.
That is what the answer to the last message said.")

(defvar-local org-agent--missing nil
  "Replies that were reported to be in this buffer and are not, by marks.")

(defvar-local org-agent--would-go nil
  "How many texts a rebuild would take away that was not done, or nil.")

(defvar-local org-agent--forking nil
  "Non-nil while a session for this copy is being made.")

(defun org-agent--new-name ()
  "Return a name for a chat that there never was."
  (generate-new-buffer-name (format-time-string "*org-agent-chat %F %T*")))

;;;; Notices

(defun org-agent--session-notice ()
  "Return what there is to say of this buffer's session, or nil."
  (let ((edited (length org-agent--edited))
        (missing (length org-agent--missing)))
    (concat
     (unless (zerop edited)
       (format "%s edited here; the model was shown what was said.  \
M-x org-agent-branch goes on from your text\n"
               (if (= edited 1) "1 text above was"
                 (format "%d texts above were" edited))))
     (unless (zerop missing)
       (format "%s not in this buffer; \
M-x org-agent-rebuild writes the chat as it was said\n"
               (if (= missing 1) "1 reply is" (format "%d replies are" missing)))))))

(defun org-agent--show-session ()
  "Show above the input area what there is to say of the session."
  (org-agent--hide-session)
  (let ((notice (org-agent--session-notice)))
    (unless (string-empty-p notice)
      (let* ((place (car (org-agent--ensure-input)))
             (overlay (make-overlay place place nil t t)))
        (overlay-put overlay 'org-agent-session t)
        (org-agent--show-before
         overlay (propertize notice 'face 'org-agent-notice))
        (add-hook 'change-major-mode-hook #'org-agent--hide-session nil t)))))

(defun org-agent--hide-session ()
  "Take away what `org-agent--show-session' showed."
  (save-restriction
    (org-agent--widen)
    (remove-overlays (point-min) (point-max) 'org-agent-session t)))

(add-hook 'org-agent--input-hook #'org-agent--show-session)

(cl-defmethod org-agent--handle ((_ (eql :acknowledged)) result)
  "Note what was edited as of RESULT, the answer to a message of this buffer."
  (setq org-agent--edited (append (plist-get result :edited) nil)
        org-agent--would-go nil))

(cl-defmethod org-agent--handle ((_ (eql :resumed)) result)
  "Note what is missing here as of RESULT, the answer of the server."
  (when (equal (plist-get result :sessionId) org-agent--session)
    (setq org-agent--missing (append (plist-get result :missing) nil))
    (org-agent--show-session)))

(cl-defmethod org-agent--handle ((_ (eql 'orgAgent/sessions/changed)) params)
  "Forget the session of PARAMS if it was deleted."
  (let ((session (plist-get params :sessionId)))
    (when (seq-contains-p (plist-get params :changes) "chat.session.deleted")
      (remhash session org-agent--held)
      (dolist (buffer (org-agent--chats))
        (with-current-buffer buffer
          (when (member session (list org-agent--session org-agent--copy-of))
            (org-agent--forget-session)
            (setq org-agent--edited nil
                  org-agent--missing nil)
            (org-agent--show-session)
            (message "org-agent: the session of `%s' was deleted; \
your next message begins a new one"
                     (buffer-name))))))))

;;;; The transcript

(defun org-agent--export (session then)
  "Call THEN with the transcript of SESSION."
  (org-agent--request
   'orgAgent/sessions/export (list :sessionId session)
   (lambda (result) (funcall then (plist-get result :org)))
   (lambda (words _code)
     (message "org-agent: what was said is not shown: %s" words))))

(defun org-agent--fill (session text)
  "Let this new chat buffer be the one of SESSION, whose transcript is TEXT."
  (if (or org-agent--root (not (string-match-p "\\`\\*+ " text)))
      (org-agent--write-transcript (org-agent--localize text))
    (org-agent--write-root session text))
  (org-agent--join session)
  (org-agent--resume))

(defun org-agent--write-root (session text)
  "Let this new buffer have TEXT, the transcript of SESSION, which has a heading.
What is written in the input area is written below that then."
  (let ((draft (org-agent--prompt))
        (movers (org-agent--points (point-min) (point-max))))
    (org-agent--with-edit
      (delete-region (point-min) (point-max))
      (insert text)
      (org-agent--fold (point-min) (point-max)))
    (setq org-agent--root (copy-marker (point-min))
          org-agent--root-session session)
    (org-agent--ensure-input)
    (org-agent--with-edit
      (save-excursion
        (goto-char (point-max))
        (insert draft)))
    (org-agent--move movers (point-max))))

(defun org-agent--reopen ()
  "Fill this new buffer with the session that the server has for it."
  (let ((buffer (current-buffer)))
    (org-agent--request
     'orgAgent/sessions/list
     (list :archived :json-false :buffer (buffer-name))
     (lambda (result)
       (when-let* ((item (seq-find (lambda (item)
                                     (not (equal (plist-get item :status)
                                                 "completed")))
                                   (plist-get result :items)))
                   (session (plist-get item :id)))
         (let ((other (org-agent--buffer session)))
           (if (and other (not (eq other buffer)))
               (org-agent--give-way buffer other)
             (org-agent--take buffer session)))))
     (lambda (words _code)
       (message "org-agent: %s" words)))))

(defun org-agent--give-way (buffer other)
  "Show the chat OTHER in place of BUFFER, and kill BUFFER.
They are the same chat: OTHER was saved as a file, or renamed.  If
something is being written in BUFFER, let it be a chat of its own."
  (when (buffer-live-p buffer)
    (message "This chat is in `%s'" (buffer-name other))
    (with-current-buffer buffer
      (cond
       (org-agent--session)
       ((and (string-empty-p (org-agent--prompt))
             (not org-agent--context))
        (dolist (window (get-buffer-window-list buffer nil t))
          (set-window-buffer window other))
        (kill-buffer buffer))
       (t (setq org-agent--anew t))))))

(defun org-agent--take (buffer session)
  "Fill BUFFER with SESSION unless another Emacs has it."
  (org-agent--request
   'orgAgent/sessions/resume
   (list :sessionId session :applied [] :turns [])
   (lambda (_result)
     (org-agent--export
      session
      (lambda (text)
        (when (buffer-live-p buffer)
          (with-current-buffer buffer
            (unless (or org-agent--session (org-agent--all "OA_EVENT"))
              (org-agent--fill session text)))))))
   (lambda (words code)
     (when (and (equal code "conflict") (buffer-live-p buffer))
       (with-current-buffer buffer
         (setq org-agent--anew t)))
     (message "org-agent: %s"
              (if (equal code "conflict")
                  "the chat is open in another Emacs; this is a new one"
                (concat "what was said is not shown: " words))))))

(defun org-agent--chat-buffer (&optional new)
  "Return the chat buffer, or if NEW another one, made if need be."
  (let ((buffer (get-buffer-create
                 ;; The server finds a chat by its name, so a new one needs
                 ;; a name that never was.
                 (if new (org-agent--new-name)
                   org-agent--chat-name))))
    (with-current-buffer buffer
      (unless (derived-mode-p 'org-agent-chat-mode)
        (org-agent-chat-mode)
        (goto-char (point-max))
        (unless (or new org-agent--session)
          (org-agent--reopen))
        (message "Write under the last heading; %s sends it"
                 (substitute-command-keys
                  "\\<org-mode-map>\\[org-ctrl-c-ctrl-c]")))
      (org-agent--ensure-input))
    buffer))

;;;; Branches

(org-agent--defcommand org-agent-branch (&optional here)
  "Go on from this chat in another one, which is a copy of it.
If texts were edited here, the copy has what you made of them.  If a
turn is under way, it ends with the prompt of that, which is answered
there by \[org-agent-retry].  Without edits, or with prefix argument
HERE, it ends with the prompt or reply at point.  This chat stays as
it is."
  (interactive "P" org-agent-chat-mode)
  (org-agent--check-session)
  (let ((buffer (current-buffer))
        (directory default-directory)
        (name (org-agent--new-name))
        (edits (unless here (org-agent--edits)))
        (live (org-agent--live-turn)))
    (org-agent--request
     'orgAgent/sessions/fork
     `( :sessionId ,org-agent--session
        :buffer ,name
        ,@(and edits (list :edits edits))
        ,@(cond ((not edits)
                 (list :messageId
                       (or (car (org-agent--mark-at (point)))
                           (user-error "There is nothing above to branch from"))))
                ;; Otherwise it would be left out.
                ((and live (org-agent--turn-event live))
                 (list :messageId (org-agent--turn-event live)))))
     (lambda (result)
       (let ((session (plist-get result :id)))
         (org-agent--export
          session
          (lambda (text)
            (org-agent--open session name directory text buffer)))))
     (lambda (words _code)
       (message "org-agent: no branch was made: %s" words)))))

(defun org-agent--edits ()
  "Return the texts of this buffer that were edited, or nil.
It is a table from marks to them."
  (let ((edits (make-hash-table :test #'equal)))
    (pcase-dolist (`(,mark ,_heading ,beg ,end)
                   (and org-agent--edited (org-agent--marks)))
      (when (member mark org-agent--edited)
        (puthash mark (org-agent--outward
                       (org-agent--sane
                        (save-restriction
                          (org-agent--widen)
                          (replace-regexp-in-string
                           "\n+\\'" "" (buffer-substring-no-properties beg end)))))
                 edits)))
    (and (< 0 (hash-table-count edits)) edits)))

(defun org-agent--open (session name directory text from)
  "Open SESSION, whose transcript is TEXT, in a new chat called NAME.
Its directory is DIRECTORY.  It takes the place of the buffer FROM if
the user is still there."
  (let ((buffer (generate-new-buffer name)))
    (with-current-buffer buffer
      (setq default-directory directory)
      (org-agent-chat-mode)
      (goto-char (point-max))
      (org-agent--fill session text))
    (if (eq (window-buffer) from)
        (pop-to-buffer-same-window buffer)
      (message "The branch is in `%s'" (buffer-name buffer)))))

;;;; Copies

(cl-defmethod org-agent--handle ((_ (eql :copied)) _params)
  "Let the server make a session of what stands in this copy of a chat."
  (let ((buffer (current-buffer))
        (last (caar (last (org-agent--marks)))))
    (cond
     (org-agent--forking)
     ((not last) (org-agent--forget-session))
     (t
      (setq org-agent--forking t)
      (org-agent--request
       'orgAgent/sessions/fork
       (list :sessionId org-agent--copy-of :messageId last
             :buffer (buffer-name))
       (lambda (result) (org-agent--forked buffer (plist-get result :id)))
       (lambda (words code) (org-agent--not-forked buffer words code)))))))

(defun org-agent--forked (buffer session)
  "Write down that SESSION is the one of BUFFER, a copy of a chat."
  (when (buffer-live-p buffer)
    (with-current-buffer buffer
      (setq org-agent--forking nil
            org-agent--copy-of nil)
      (org-agent--with-edit
        (org-agent--write-session session))
      (org-agent--join session)
      (org-agent--resume)
      (message "org-agent: `%s' is a copy of a chat and goes on apart from it"
               (buffer-name)))))

(defun org-agent--not-forked (buffer words code)
  "Tell that BUFFER, a copy of a chat, has no session; WORDS say why.
CODE is the server's, or nil if it never answered."
  (when (buffer-live-p buffer)
    (with-current-buffer buffer
      (setq org-agent--forking nil)
      (when (equal code "not_found")
        (org-agent--forget-session))
      (message "org-agent: `%s' is a copy and has no session yet: %s%s"
               (buffer-name) words
               (if (equal code "not_found")
                   "; your next message begins a new one" "")))))

;;;; Rebuilding

(org-agent--defcommand org-agent-rebuild ()
  "Write the chat above the input area as it was said.
What you write in the input area stays.  If something was edited
above, that is not done before it was said that it would go, and you
agreed.  It is one step of undo."
  (interactive nil org-agent-chat-mode)
  (org-agent--check-session)
  (let* ((buffer (current-buffer))
         (session org-agent--session)
         (edits (or org-agent--would-go
                    (and org-agent--edited (length org-agent--edited))))
         (agreed (and edits
                      (or (y-or-n-p
                           (format "%s edited here would go; write the chat anew? "
                                   (if (eql edits 1) "1 text that was"
                                     (format "%s texts that were" edits))))
                          (user-error "The chat stays as it is")))))
    (org-agent--export
     session
     (lambda (text)
       (when (buffer-live-p buffer)
         (with-current-buffer buffer
           (when (equal session org-agent--session)
             (org-agent--rebuild (org-agent--localize text) agreed))))))))

(defun org-agent--rebuild (text agreed)
  "Write TEXT, the transcript, anew if nothing is lost by it, or AGREED."
  (let ((lost (if agreed 0 (org-agent--lost text))))
    (cond
     ((< 0 lost)
      ;; No question opens the minibuffer by itself.
      (setq org-agent--would-go lost)
      (message "org-agent: %s edited here would go; \
M-x org-agent-rebuild once more asks you"
               (if (= lost 1) "1 text that was"
                 (format "%d texts that were" lost))))
     (t
      ;; Turns keep no place in what goes.
      (org-agent--leave)
      (org-agent--write-transcript text)
      (setq org-agent--edited nil
            org-agent--missing nil
            org-agent--would-go nil)
      (org-agent--join org-agent--session)
      (org-agent--show-session)
      (message "org-agent: this is what was said")))))

(defun org-agent--lost (text)
  "Return how many texts of this buffer are not so in the transcript TEXT."
  (let ((said (make-hash-table :test #'equal)))
    (pcase-dolist (`(,mark . ,part) (with-temp-buffer
                                      (insert text)
                                      (org-agent--parts)))
      (puthash mark part said))
    (seq-count (pcase-lambda (`(,mark . ,part))
                 (not (member part (list "" (gethash mark said)))))
               (org-agent--parts))))

(defun org-agent--parts ()
  "Return what stands above the input area as a list of (MARK . TEXT).
The first, with nil for its mark, is what stands before all turns."
  (save-restriction
    (org-agent--widen)
    (let ((marks (org-agent--marks)))
      (cons (cons nil (buffer-substring-no-properties
                       (org-agent--turns-begin)
                       (or (nth 1 (car marks)) (car (org-agent--input))
                           (point-max))))
            (mapcar (pcase-lambda (`(,mark ,heading ,_beg ,end))
                      (cons mark (buffer-substring-no-properties heading end)))
                    marks)))))

(provide 'org-agent-sessions)
;;; org-agent-sessions.el ends here
