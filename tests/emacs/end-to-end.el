;;; end-to-end.el --- A real Emacs against the real server  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; emacs -Q --batch -L emacs -L tests/emacs -l end-to-end.el
;;
;; In the environment: ORG_AGENT_PROGRAM, ORG_AGENT_HOME, and a model that
;; answers as written here (OPENAI_BASE_URL, OPENAI_API_KEY,
;; ORG_AGENT_MODEL).  ORG_AGENT_SCENARIO names the scenarios to run,
;; separated by commas; without it all run, in this order.
;;
;; Each step is told by a line "STEP scenario-step" on stdout and, if
;; ORG_AGENT_GATES names a directory, by an empty file of that name in it.
;; The model waits for such a gate where a line below says so.  At the end
;; of a scenario there is a line "PASS name" or "FAIL name reason".
;;
;; stream   1st request: the first part of an insert with some text;
;;          gate stream-seen; the rest.
;; repair   1st: an insert with some text, gate repair-seen, then what makes
;;          it invalid.  2nd: gate repair-retracted, then a good insert.
;; typing   1st: part of an insert, gate typing-first, more text of it,
;;          gate typing-second, the rest.
;; shell    1st: a shell action, "echo marker-$((40+2))".
;;          2nd: an insert whose text has "marker-42".
;; cancel   1st: part of an insert with some text, then nothing.
;;          2nd: a good insert.
;; death    1st: part of an insert with some text, then nothing.
;;          2nd: a good insert.

;;; Code:

(require 'org-agent)

;;;; What comes from the server

(defvar end-to-end-seen nil
  "Messages of the server, newest first: lists (METHOD . PARAMS).")

(cl-defmethod org-agent--handle :before (method params)
  "Note METHOD with PARAMS."
  (push (cons method params) end-to-end-seen))

(defun end-to-end-last (method)
  "Return the parameters of the last METHOD in this scenario, or nil."
  (cdr (assq method end-to-end-seen)))

;;;; Steps

(defun end-to-end-say (&rest words)
  "Write the line WORDS to stdout at once."
  ;; What is printed is held back when stdout is a pipe; this is not.  The
  ;; scenarios run side by side, and all would lock the one file.
  (let ((create-lockfiles nil))
    (write-region (concat (string-join words " ") "\n") nil "/dev/stdout" t 'silent)))

(defun end-to-end-step (name)
  "Tell that the step NAME is reached."
  (when-let ((gates (getenv "ORG_AGENT_GATES")))
    (write-region "" nil (expand-file-name name gates) nil 'silent))
  (end-to-end-say "STEP" name))

(defun end-to-end-until (what condition)
  "Wait at most 30 s for WHAT: until CONDITION returns non-nil."
  (let ((end (+ (float-time) 30)) value)
    (while (not (setq value (funcall condition)))
      (when (> (float-time) end)
        (error "Waited in vain for %s; state %S; buffer:\n%s" what
               mode-line-process (buffer-string)))
      (accept-process-output nil 0.02))
    value))

(defun end-to-end-check (what condition)
  "Fail unless CONDITION is non-nil; WHAT is to be true."
  (unless condition
    (error "Not true: %s; buffer:\n%s" what (buffer-string))))

(defun end-to-end-ask (question)
  "Type QUESTION in this chat, or the chat, and send it; return its turn."
  (unless (derived-mode-p 'org-agent-chat-mode)
    (org-agent-chat))
  (setq end-to-end-seen nil)
  (goto-char (point-max))
  (execute-kbd-macro (vconcat question))
  (execute-kbd-macro (kbd "C-c C-c"))
  (end-to-end-until "the acknowledgement" (lambda () (not org-agent--sending)))
  (let ((event (car (last (org-agent--all "OA_EVENT")))))
    (seq-find (lambda (turn) (equal (org-agent--turn-event turn) event))
              (org-agent--turns-here))))

(defun end-to-end-shown (turn)
  "Return what is shown of TURN and is not text, or nil."
  (let ((overlay (org-agent--turn-overlay turn)))
    (and overlay (overlay-buffer overlay)
         (overlay-get overlay 'before-string))))

(defun end-to-end-preview (turn)
  "Wait until a preview of TURN is shown while the buffer has none of it."
  (let ((text (buffer-string)))
    (end-to-end-until "a preview"
                      (lambda () (< 0 (org-agent--turn-length turn))))
    (end-to-end-check "the preview is shown" (end-to-end-shown turn))
    (end-to-end-check "the preview is not in the buffer"
                      (equal text (buffer-string)))))

(defun end-to-end-state (turn state)
  "Wait until TURN is in STATE."
  (end-to-end-until state (lambda ()
                            (equal (org-agent--turn-state turn) state))))

(defun end-to-end-reply (turn &optional before)
  "Wait until TURN is done, and check that its action's text is there.
BEFORE is the buffer's text as it was before the reply, without input,
if it is known.  Return the text with the reply."
  (end-to-end-state turn "done")
  (let* ((params (end-to-end-last 'orgAgent/actuate))
         (text (plist-get (plist-get (plist-get params :action) :payload) :text))
         (reply (concat "** ASSISTANT\n:PROPERTIES:\n:OA_ACT: "
                        (plist-get params :actuationId) "\n:END:\n"
                        (string-trim-right text "\n+") "\n* USER\n"))
         (before (string-remove-suffix
                  "* USER\n" (or before
                                 (car (split-string (buffer-string)
                                                    (regexp-quote reply)))))))
    (end-to-end-check "the action has a text" (and text (< 0 (length text))))
    (end-to-end-check "the prompt is before the reply"
                      (string-match-p "^:OA_EVENT: [0-9a-f]+\n:END:\n.+\n\\'" before))
    (end-to-end-check "the buffer has the action's text, in its place"
                      (string-prefix-p (concat before reply) (buffer-string)))
    (end-to-end-check "nothing unverified is shown" (not (end-to-end-shown turn)))
    (concat before reply)))

(defun end-to-end-undo (steps)
  "Undo STEPS steps, as by repeated keys; return the text after each."
  (let ((last-command 'ignore) this-command)
    (undo-boundary)
    (cl-loop repeat steps
             do (undo)
             (undo-boundary)
             (setq last-command 'undo)
             collect (buffer-string))))

;;;; Scenarios

(defun end-to-end-stream ()
  "Question, deltas, commit; one step of undo, and back."
  (let* ((turn (end-to-end-ask "Stream, please."))
         (before (buffer-string)))
    (end-to-end-preview turn)
    (end-to-end-step "stream-seen")
    (let ((after (end-to-end-reply turn before)))
      (end-to-end-check "undone in one step" (equal (end-to-end-undo 1) (list before)))
      (end-to-end-check "redone in one step" (equal (end-to-end-undo 1) (list after))))))

(defun end-to-end-repair ()
  "An invalid reply is taken back, a repaired one committed."
  (let* ((turn (end-to-end-ask "Make a mistake first."))
         (before (buffer-string)))
    (end-to-end-preview turn)
    (end-to-end-step "repair-seen")
    (end-to-end-until "the retraction"
                      (lambda () (end-to-end-last 'orgAgent/retract)))
    (end-to-end-check "the preview is gone" (not (end-to-end-shown turn)))
    (end-to-end-check "the buffer is as before" (equal before (buffer-string)))
    (end-to-end-step "repair-retracted")
    (end-to-end-reply turn before)))

(defun end-to-end-typing ()
  "What the user types meanwhile is theirs, and undone apart."
  (let* ((turn (end-to-end-ask "Take your time."))
         (before (buffer-string)))
    (end-to-end-preview turn)
    (execute-kbd-macro (vconcat "my next "))
    (let ((length (org-agent--turn-length turn)))
      (end-to-end-step "typing-first")
      (end-to-end-until "more preview"
                        (lambda () (< length (org-agent--turn-length turn)))))
    (execute-kbd-macro (vconcat "question"))
    (end-to-end-check "typing stays" (equal (buffer-string)
                                            (concat before "my next question")))
    (end-to-end-step "typing-second")
    (let ((after (end-to-end-reply turn before)))
      (end-to-end-check "the input is there"
                        (equal (org-agent--prompt) "my next question"))
      (end-to-end-check "point follows the input" (= (point) (point-max)))
      (execute-kbd-macro (vconcat "!"))
      (end-to-end-check "each thing is undone apart"
                        (equal (end-to-end-undo 4)
                               (list (concat after "my next question")
                                     (concat before "my next question")
                                     (concat before "my next ")
                                     before)))
      (end-to-end-check "and all comes back"
                        (equal (car (last (end-to-end-undo 4)))
                               (concat after "my next question!")))
      (delete-region (cdr (org-agent--input)) (point-max)))))

(defun end-to-end-shell ()
  "A command is asked about, run, and its output answered about."
  (let* ((turn (end-to-end-ask "Run something."))
         (before (buffer-string)))
    (end-to-end-until "the question" #'org-agent--card-here)
    (end-to-end-check "the command is shown"
                      (string-search "echo marker-$((40+2))"
                                     (end-to-end-shown turn)))
    (end-to-end-check "the buffer is as before" (equal before (buffer-string)))
    (end-to-end-step "shell-asked")
    (let ((asked (float-time)))
      (end-to-end-until "the time to read it"
                        (lambda ()
                          (< org-agent--card-pause (- (float-time) asked)))))
    (execute-kbd-macro (kbd "C-c C-y"))
    (end-to-end-check "the output is answered about"
                      (string-search "marker-42" (end-to-end-reply turn before)))))

(defun end-to-end-cancel ()
  "A turn cancelled in the middle leaves nothing behind."
  (let* ((turn (end-to-end-ask "Never mind."))
         (before (buffer-string)))
    (end-to-end-preview turn)
    (end-to-end-step "cancel-seen")
    (execute-kbd-macro (kbd "C-c C-k"))
    (end-to-end-state turn "cancelled")
    (end-to-end-check "the buffer is clean" (equal before (buffer-string)))
    (end-to-end-check "nothing is shown" (not (end-to-end-shown turn)))
    (end-to-end-check "nothing runs" (not mode-line-process))
    (end-to-end-step "cancel-cancelled")
    (end-to-end-reply (end-to-end-ask "And now?"))))

(defun end-to-end-death ()
  "A server killed in the middle is reported, and comes back."
  (let* ((turn (end-to-end-ask "Go on for ever."))
         (before (buffer-string)))
    (end-to-end-preview turn)
    (end-to-end-step "death-seen")
    (signal-process (process-id org-agent--process) 'SIGKILL)
    (end-to-end-until "the report" (lambda () (end-to-end-last :died)))
    (end-to-end-check "the buffer is clean" (equal before (buffer-string)))
    (end-to-end-check "the death is shown"
                      (string-prefix-p "This turn ended: the server ended"
                                       (end-to-end-shown turn)))
    (end-to-end-step "death-died")
    (end-to-end-reply (end-to-end-ask "Are you back?"))
    (end-to-end-until "word of the interruption"
                      (lambda ()
                        (string-search "interrupted"
                                       (or (end-to-end-shown turn) ""))))))

(defun end-to-end-above ()
  "Return what stands above the input area."
  (buffer-substring-no-properties (point-min) (car (org-agent--input))))

(defun end-to-end-export ()
  "Return the transcript that the server has of this buffer's session."
  (let (text)
    (org-agent--request 'orgAgent/sessions/export
                        (list :sessionId org-agent--session)
                        (lambda (result) (setq text (plist-get result :org))))
    (end-to-end-until "the export" (lambda () text))))

(defun end-to-end-record ()
  "What stands in the buffer is the server's record, byte for byte."
  (let ((check (lambda (what)
                 (let ((said (end-to-end-export)))
                   (end-to-end-check (format "%s; the record:\n%s" what said)
                                     (equal said (end-to-end-above))))))
        all)
    (org-agent-chat)
    (insert "\n\nGrüße, *世界* 🙂\n** A heading\n- [ ] =one=\n#+begin_src sh\n* no heading\n\n\n")
    (let ((first (progn (org-agent-send)
                        (end-to-end-until "the acknowledgement"
                                          (lambda () (not org-agent--sending)))
                        (car (org-agent--turns-here))))
          (second (end-to-end-ask "And this meanwhile?")))
      (end-to-end-step "record-queued")
      (end-to-end-state first "done")
      (end-to-end-state second "done"))
    (end-to-end-check "replies stand under their prompts"
                      (string-match-p "no heading\n\\*\\* ASSISTANT\n" (buffer-string)))
    (funcall check "two turns are as they were said")
    (end-to-end-state (end-to-end-ask "Fail, please.") "failed")
    (end-to-end-check "the failure is told" (string-search "System Error" (end-to-end-above)))
    (end-to-end-state (end-to-end-ask "Answer me only.") "done")
    (funcall check "a failed turn and a response are as they were said")
    (setq all (end-to-end-above))
    (let ((file (expand-file-name "chat.org" (getenv "ORG_AGENT_HOME")))
          (lost (string-search "** ASSISTANT\n"
                               all (string-search "Answer me only." all))))
      (kill-buffer)
      (org-agent-chat)
      (end-to-end-until "the chat" (lambda () org-agent--session))
      (end-to-end-check "a chat that was closed comes back" (equal (end-to-end-above) all))
      (kill-buffer)
      ;; Emacs died before the file was saved.
      (write-region (substring all 0 lost) nil file nil 'silent)
      (find-file file)
      (org-agent-chat-mode)
      (end-to-end-until "word of what is missing" (lambda () org-agent--missing))
      (end-to-end-check "one reply is" (= 1 (length org-agent--missing)))
      (goto-char (point-max))
      (insert "draft")
      (org-agent-rebuild)
      (end-to-end-until "the rebuilding" (lambda () (not org-agent--missing)))
      (end-to-end-check "all is back" (equal (buffer-string) (concat all "* USER\ndraft")))
      (set-buffer-modified-p nil))))

(defun end-to-end-branch ()
  "What was edited is told, and gone on from; so is a copy."
  (end-to-end-reply (end-to-end-ask "One?"))
  (goto-char (point-min))
  (search-forward "First")
  (replace-match "Éditéd")
  (end-to-end-reply (end-to-end-ask "Two?"))
  (end-to-end-check "the edit is told" (= 1 (length org-agent--edited)))
  (let ((chat (current-buffer))
        (above (end-to-end-above))
        (session org-agent--session))
    (org-agent-branch)
    (end-to-end-until "the branch" (lambda () (not (eq (window-buffer) chat))))
    (set-buffer (window-buffer))
    (end-to-end-check "it has the edited text, under the same marks"
                      (equal (end-to-end-above)
                             (string-replace session org-agent--session above)))
    (end-to-end-check "it is another" (not (equal session org-agent--session)))
    (end-to-end-reply (end-to-end-ask "Three?"))
    (end-to-end-check "nothing is edited there" (not org-agent--edited))
    (end-to-end-check "it is as it was said" (equal (end-to-end-export) (end-to-end-above)))
    (with-current-buffer chat
      (end-to-end-check "the chat is as it was"
                        (equal (buffer-string) (concat above "* USER\n"))))
    ;; A copy of the branch while that is open.
    (let ((file (expand-file-name "copy.org" (getenv "ORG_AGENT_HOME")))
          (before (end-to-end-above))
          (session org-agent--session)
          (branch (current-buffer)))
      (write-region before nil file nil 'silent)
      (find-file file)
      (org-agent-chat-mode)
      (end-to-end-until "a session of its own" (lambda () org-agent--session))
      (end-to-end-check "the copy has the same text but for the session"
                        (equal (end-to-end-above)
                               (string-replace session org-agent--session before)))
      (end-to-end-reply (end-to-end-ask "Four?"))
      (end-to-end-check "the copy is as it was said"
                        (equal (end-to-end-export) (end-to-end-above)))
      (set-buffer-modified-p nil)
      (set-buffer branch)
      (end-to-end-check "the branch is as it was" (equal before (end-to-end-above)))
      (end-to-end-check "it has its session" (eq branch (org-agent--buffer session))))))

(defun end-to-end-retake ()
  "A branch takes the prompt that is under way along, to be answered there."
  (end-to-end-reply (end-to-end-ask "One?"))
  (goto-char (point-min))
  (search-forward "First")
  (replace-match "Edited")
  (let ((turn (end-to-end-ask "Two?"))
        (chat (current-buffer))
        (session org-agent--session))
    (end-to-end-check "the edit is told" (= 1 (length org-agent--edited)))
    (org-agent-branch)
    (end-to-end-until "the branch" (lambda () (not (eq (window-buffer) chat))))
    (set-buffer (window-buffer))
    (end-to-end-check "it has all but the session"
                      (equal (string-replace org-agent--session session
                                             (end-to-end-above))
                             (with-current-buffer chat (end-to-end-above))))
    (end-to-end-until "word of the interruption"
                      (lambda ()
                        (seq-find (lambda (turn)
                                    (string-search "M-x org-agent-retry"
                                                   (or (end-to-end-shown turn) "")))
                                  (org-agent--turns-here))))
    (org-agent-retry)
    (end-to-end-until "the answer in the branch"
                      (lambda () (string-search "Again." (buffer-string))))
    (end-to-end-check "it is as it was said" (equal (end-to-end-export) (end-to-end-above)))
    (end-to-end-step "retake-answered")
    (set-buffer chat)
    (end-to-end-state turn "done")
    (end-to-end-check "the chat has its own answer"
                      (string-suffix-p "\nSecond.\n" (end-to-end-above)))))

(defun end-to-end-skill ()
  "A note of the user's leads the turn; broken by a save it goes on as it was.
The note is tests/skills/original.org, in the style of the first kernel."
  (let* ((note (expand-file-name "skills/chat-agent.org" (getenv "ORG_AGENT_HOME")))
         (text (with-temp-buffer
                 (insert-file-contents "tests/skills/original.org")
                 (buffer-string)))
         (save (lambda (text)
                 (make-directory (file-name-directory note) t)
                 (write-region text nil note nil 'silent))))
    (funcall save text)
    (end-to-end-reply (end-to-end-ask "Who are you?"))
    (end-to-end-step "skill-led")
    (setq end-to-end-seen nil)
    (funcall save (string-replace "(ask-neuro prompt" "(ask-nuero prompt" text))
    (end-to-end-until "word of the problem" (lambda () org-agent--skill-problems))
    (end-to-end-check
     "it is shown above the input"
     (string-search "Did you mean ask-neuro?"
                    (overlay-get org-agent--skill-overlay 'before-string)))
    (end-to-end-reply (end-to-end-ask "And now?"))
    (funcall save text)
    (end-to-end-until "word of the repair" (lambda () (not org-agent--skill-problems)))
    (end-to-end-check "nothing is shown any more" (not org-agent--skill-overlay))))

;;;; All of them

(defun end-to-end-run (name)
  "Run the scenario NAME; return non-nil if it passed."
  (condition-case problem
      (progn
        (funcall (intern (concat "end-to-end-" name)))
        (end-to-end-say "PASS" name)
        t)
    (error
     (end-to-end-say "FAIL" name
                     (replace-regexp-in-string
                      "\n" "\\n" (error-message-string problem) t t))
     nil)))

(let ((failed 0))
  (dolist (name (split-string (or (getenv "ORG_AGENT_SCENARIO")
                                  "stream,repair,typing,shell,cancel,death,record,branch,retake,skill")
                              "," t))
    (unless (end-to-end-run name)
      (setq failed (1+ failed))))
  (org-agent--disconnect "the test is over")
  (kill-emacs (if (zerop failed) 0 1)))

;;; end-to-end.el ends here
