;;; org-agent-approve.el --- Commands that org-agent asks about  -*- lexical-binding: t; -*-

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

;; A command that a model proposes is shown on a card where the reply
;; will stand.  Nothing is asked in the minibuffer and nothing waits:
;; the user decides when they like, by key or button, the server judges
;; the decision and gives a token, and only with the token it runs.  What
;; runs then is what the server wrote down for the token: this Emacs hands
;; on the token alone.  A command that the server allows comes with its
;; token, and runs at once, in the sandbox.  Otherwise it is asked.
;;
;; On another machine nothing of this is there.  A command runs there
;; through TRAMP, always asked, and the card says that nothing confines it.
;;
;; A command that is too long for its card is shown in full before it can
;; be approved.  What was on the screen for too short a time to be read
;; cannot be approved either.

;;; Code:

(require 'org-agent-drawer)

;;;; Keys

(pcase-dolist (`(,key ,name ,command)
               '(("C-c C-y" "Run the command" org-agent-approve)
                 ("C-c C-n" "Deny the command" org-agent-deny)
                 ("C-c C-e" "Edit the command" org-agent-edit-command)))
  (org-agent--bind key name command #'org-agent--card-here))

(org-agent--bind "C-c C-a" "More about the command" 'org-agent-more
                 (lambda () (or (org-agent--card-here)
                                (org-agent--card-here 'running))))

;;;; Messages

(cl-defmethod org-agent--act ((_ (eql 'shell)) turn params)
  "Show the command of PARAMS for TURN, or run it if it is allowed."
  (let* ((id (plist-get params :actuationId))
         (action (plist-get params :action))
         (payload (plist-get action :payload))
         (timeout (plist-get payload :timeout))
         (card (org-agent--make-card
                :id id :turn turn
                :command (plist-get payload :cmd)
                :timeout (if (natnump timeout) timeout
                           org-agent-command-timeout)
                :explanation (plist-get action :explanation)
                :directory (org-agent--text params :directory)
                :host (org-agent--text params :host)
                :open (eq (plist-get params :confined) :json-false)
                :token (plist-get params :token))))
    (org-agent--card-judged card params)
    (cond
     ((not (stringp (org-agent--card-command card)))
      (org-agent--report params "failed" "The message has no command"))
     ((and (org-agent--card-host card) (not (org-agent--card-remote card)))
      (org-agent--report params "failed"
                         (format "This Emacs knows no way to the machine %s"
                                 (org-agent--card-host card))))
     ((not (gethash id org-agent--cards))
      (puthash id card org-agent--cards)
      (setf (org-agent--turn-stop turn)
            (lambda () (org-agent--card-drop card)))
      (let* ((allowed (equal (plist-get params :decision) "allow"))
             (but (and allowed (org-agent--card-obstacle card))))
        (cond
         ((and allowed (not but))
          (setf (org-agent--card-allowed card) t)
          (org-agent--card-run card))
         (t
          (when but
            (setf (org-agent--card-rule card)
                  (format "it would be allowed (%s), but %s"
                          (org-agent--card-rule card) but)))
          (org-agent--card-ask card)
          (message "org-agent: a command waits for your decision"))))))))

(defun org-agent--card-judged (card result)
  "Note in CARD what the server made of its command, which is in RESULT."
  (setf (org-agent--card-rule card) (or (org-agent--text result :rule)
                                        "no rule given")
        (org-agent--card-always card) (org-agent--text result :always)
        (org-agent--card-steps card) (org-agent--steps (plist-get result :steps))
        (org-agent--card-literal card) nil)
  (when (org-agent--text result :sandbox)
    (setf (org-agent--card-sandbox card) (org-agent--text result :sandbox))))

(defun org-agent--card-obstacle (card)
  "Return in words why CARD, which is allowed, cannot run at once, or nil."
  (cond
   ((org-agent--card-host card) "it would run on another machine")
   ((not (stringp (org-agent--card-token card))) "it came without a token")
   ((not (org-agent--card-steps card)) "it came without its steps")
   ((not org-agent-shell-sandbox)
    "it would run without a sandbox: `org-agent-shell-sandbox' is nil")))

(defun org-agent--card-ask (card)
  "Ask the user about CARD."
  (setf (org-agent--card-state card) 'asking
        ;; As it is shown it runs, whatever the option is by then.
        (org-agent--card-own card) (not (or org-agent-shell-sandbox
                                            (org-agent--card-host card)))
        (org-agent--card-net card) nil
        (org-agent--card-shown card) (float-time))
  (org-agent--card-show card))

(cl-defmethod org-agent--handle ((_ (eql 'orgAgent/abort)) params)
  "Stop the command that PARAMS name."
  (when-let ((card (gethash (plist-get params :actuationId) org-agent--cards)))
    (if (org-agent--card-job card)
        (org-agent--shell-stop (org-agent--card-job card)
                               "stopped by the server")
      (org-agent--card-drop card))))

;;;; Deciding

(defun org-agent--card-here (&optional state)
  "Return the card of this buffer in STATE, or nil.
STATE nil means that it waits for a decision."
  (seq-find (lambda (card)
              (and (eq (org-agent--card-state card) (or state 'asking))
                   (or (eq card org-agent--card)
                       (eq (org-agent--card-buffer card) (current-buffer)))))
            (org-agent--values org-agent--cards)))

(defun org-agent--the-card ()
  "Return the card of this buffer that waits for a decision, or fail."
  (or (org-agent--card-here)
      (user-error "No command waits for a decision here")))

(org-agent--defcommand org-agent-approve (&optional always)
  "Run the command that waits here.
With prefix argument ALWAYS, also let the server remember the decision."
  (interactive "P" org-agent-chat-mode org-agent-command-mode)
  (if always (org-agent-approve-always)
    (org-agent--approve (org-agent--the-card))))

(org-agent--defcommand org-agent-approve-network ()
  "Run the command that waits here, and let it use the network."
  (interactive nil org-agent-chat-mode org-agent-command-mode)
  (let ((card (org-agent--the-card)))
    (unless (org-agent--card-confined-p card)
      (user-error "Without the sandbox it can use the network anyway"))
    (org-agent--approve card "run" t)))

(org-agent--defcommand org-agent-approve-always ()
  "Run the command that waits here, and let the server remember that.
What it would remember is shown before."
  (interactive nil org-agent-chat-mode org-agent-command-mode)
  (let* ((card (org-agent--the-card))
         (rule (or (org-agent--card-always card)
                   (user-error "Such a command can only be allowed once"))))
    (org-agent--card-check card)
    (when (yes-or-no-p (format "From now on, run without asking: %s? "
                               (org-agent--literal rule)))
      (org-agent--approve card "always"))))

(org-agent--defcommand org-agent-deny (&optional message)
  "Do not run the command that waits here.
With a prefix argument read a MESSAGE that tells the model why."
  (interactive
   (list (and current-prefix-arg (read-string "Tell the model: ")))
   org-agent-chat-mode org-agent-command-mode)
  (org-agent--decide (org-agent--the-card) "deny" nil
                     (and (not (equal message "")) message)))

(org-agent--defcommand org-agent-deny-why (message)
  "Do not run the command that waits here, and tell the model MESSAGE.
That may be empty."
  (interactive
   (progn (org-agent--the-card)
          (list (read-string "Tell the model (may be empty): ")))
   org-agent-chat-mode org-agent-command-mode)
  (org-agent-deny message))

(org-agent--defcommand org-agent-edit-command ()
  "Change the command that waits here, and run it if the server agrees."
  (interactive nil org-agent-chat-mode org-agent-command-mode)
  (org-agent--edit (org-agent--the-card)))

(org-agent--defcommand org-agent-more ()
  "Show the command that waits here in full, with every choice.
If one runs here, show more of its output, or less again."
  (interactive nil org-agent-chat-mode)
  (if-let ((card (org-agent--card-here 'running)))
      (progn
        (cl-callf not (org-agent--card-unfolded card))
        (org-agent--card-show card))
    (org-agent--show-command (org-agent--the-card))))

(defun org-agent--card-check (card)
  "Fail if CARD is asked for too short a time to have been read."
  (when (< (- (float-time) (org-agent--card-shown card)) org-agent--card-pause)
    (user-error "This question has just come up: read it, then decide")))

(defun org-agent--approve (card &optional choice net)
  "Run the command of CARD, shown in full before.
CHOICE is \"run\" or \"always\"; NET lets it use the network."
  (org-agent--card-check card)
  (when (or (not (if (eq card org-agent--card)
                     (org-agent--command-cut-p card)
                   (or (org-agent--card-cut card)
                       ;; The window may have become smaller since.
                       (org-agent--card-cut-p card))))
            (save-window-excursion
              (org-agent--show-command card)
              (yes-or-no-p "Run all of this (C-M-v scrolls)? ")))
    (setf (org-agent--card-net card) net)
    (org-agent--decide card (or choice "run"))))

(defun org-agent--edit (card)
  "Let the user change the command of CARD, and run it."
  (let ((command (read-string "Run: " (org-agent--card-command card))))
    (if (equal command (org-agent--card-command card))
        (org-agent--approve card)
      (org-agent--decide card "run" command))))

(defun org-agent--decide (card choice &optional command message)
  "Tell the server about CHOICE for CARD.
COMMAND is the command as edited, MESSAGE what to tell the model."
  (unless (eq (org-agent--card-state card) 'asking)
    (user-error "This command does not wait any more"))
  (let ((command (or command
                     ;; What was edited before is not what the server has.
                     (and (org-agent--card-edited card)
                          (not (equal choice "deny"))
                          (org-agent--card-command card)))))
    (setf (org-agent--card-state card) 'deciding)
    (org-agent--card-show card)
    (org-agent--card-request
     card 'orgAgent/decide
     `( :actuationId ,(org-agent--card-id card) :choice ,choice
        ,@(and (org-agent--card-net card) (list :network t))
        ,@(and (org-agent--card-own card) (not (equal choice "deny"))
               (list :unconfined t))
        ,@(and command (list :command command))
        ,@(and message (list :message message)))
     (lambda (result) (org-agent--decided card command result))
     (lambda (words _code)
       (when (eq (org-agent--card-state card) 'deciding)
         (org-agent--card-ask card))
       (message "org-agent: not decided: %s" words)))))

(defun org-agent--card-request (card method params then else)
  "Send METHOD with PARAMS about CARD, from the chat that it stands in.
For THEN and ELSE see `org-agent--request'."
  (with-current-buffer (or (org-agent--card-buffer card) (current-buffer))
    (org-agent--request method params then else)))

(defun org-agent--decided (card command result)
  "Go on with CARD according to RESULT, the answer of the server.
COMMAND is the command as edited, or nil."
  (when (eq (org-agent--card-state card) 'deciding)
    (let ((decision (plist-get result :decision))
          (token (plist-get result :token)))
      (when (and command (member decision '("allow" "ask")))
        (setf (org-agent--card-command card) command
              (org-agent--card-edited card) t))
      (cond
       ((and (equal decision "allow") (stringp token))
        (when command
          (org-agent--card-judged card result))
        (org-agent--card-remembered card result)
        (setf (org-agent--card-token card) token)
        (org-agent--card-run card))
       ((equal decision "ask")
        (org-agent--card-judged card result)
        (org-agent--card-ask card))
       (t
        (message "org-agent: the command does not run: %s"
                 (plist-get result :rule))
        (org-agent--card-drop card (org-agent--denied result)))))))

(defun org-agent--denied (result)
  "Return in words that RESULT, the answer of the server, denies a command."
  (concat "denied: " (org-agent--literal
                      (or (org-agent--text result :rule) "no rule given") t)))

;;;; Running

(defun org-agent--card-remembered (card result)
  "Tell the user if a rule of CARD was to be saved and RESULT denies it."
  (when (eq (plist-get result :saved) :json-false)
    (let ((words (format "it runs this once, and is asked again: %s"
                         (or (org-agent--text result :hint) "it was not saved"))))
      (message "org-agent: %s" words)
      (cl-callf concat (org-agent--turn-results (org-agent--card-turn card))
        (propertize (concat (org-agent--literal words t) "\n")
                    'face 'org-agent-notice)))))

(defconst org-agent--elsewhere
  "case $1 in '~'|'~/'*) set -- \"$HOME${1#?}\" \"$2\";; esac
cd -- \"$1\" || exit 126
exec /bin/sh -c \"$2\""
  "The script for the shell of another machine: go to $1, run $2.
Whether there is such a directory, only that machine knows.")

(defun org-agent--card-start (card)
  "Start the command of CARD, and return a job."
  (let ((where (org-agent--card-directory card))
        (plain '("TERM=dumb" "PAGER=cat" "GIT_PAGER=cat" "MANPAGER=cat"))
        (options (list :timeout (org-agent--card-timeout card)
                       :on-output (lambda (stream text)
                                    (org-agent--card-hear card stream text))
                       :on-exit (lambda (outcome)
                                  (org-agent--card-exit card outcome)))))
    (cond
     ;; The server has written down what that is; no text can differ.  Its
     ;; program has to find that, and to know what to hide, as the server did.
     ((org-agent--card-kept-p card)
      (pcase-let ((`(,program ,process-environment ,exec-path)
                   (or org-agent--spawned
                       (list (org-agent--executable) process-environment
                             exec-path))))
        (apply #'org-agent--shell-run
               (list program "sandbox" "--token" (org-agent--card-token card))
               :directory (expand-file-name "~/") options)))
     ((not where) (error "The server did not say where"))
     ((org-agent--card-host card)
      ;; Of this buffer's environment the other machine gets nothing.
      (let ((process-environment
             (append plain (default-toplevel-value 'process-environment))))
        (apply #'org-agent--shell-run
               (list "/bin/sh" "-c" org-agent--elsewhere "sh" where
                     (org-agent--card-command card))
               :directory (org-agent--card-remote card) options)))
     (t
      (let ((process-environment (append plain process-environment)))
        (apply #'org-agent--shell-run
               (list shell-file-name shell-command-switch
                     (org-agent--card-command card))
               :directory (org-agent--shell-directory where) options))))))

(defun org-agent--card-run (card)
  "Run the command of CARD, which the server permitted."
  (setf (org-agent--card-state card) 'running
        (org-agent--card-begun card) (float-time)
        (org-agent--card-sandboxed card) (org-agent--card-confined-p card))
  (condition-case problem
      (setf (org-agent--card-job card) (org-agent--card-start card))
    (error (org-agent--card-exit
            card (list :status "failed"
                       :message (error-message-string problem)))))
  (org-agent--card-show card))

(defun org-agent--card-hear (card stream text)
  "Pass on TEXT that the command of CARD wrote to STREAM."
  (org-agent--notify 'orgAgent/output
                     (list :actuationId (org-agent--card-id card)
                           :seq (cl-incf (org-agent--card-seq card))
                           :stream stream :text text))
  (cl-incf (org-agent--card-lines card) (cl-count ?\n text))
  (setf (org-agent--card-output card)
        (org-agent--last-lines
         (org-agent--tail (concat (org-agent--card-output card) text) 16000)
         org-agent--card-lines))
  (org-agent--card-show card))

(defun org-agent--last-lines (text count)
  "Return the last COUNT lines of TEXT."
  (let ((lines (split-string text "\n")))
    (string-join (last lines (if (equal (car (last lines)) "") (1+ count) count))
                 "\n")))

(defun org-agent--card-exit (card outcome)
  "Report the OUTCOME of CARD, and take it away."
  ;; Without the server that gave the token there is nobody to tell.
  (when org-agent--ready
    (org-agent--request 'orgAgent/actuated
                        `( :actuationId ,(org-agent--card-id card)
                           :token ,(org-agent--card-token card)
                           :sandboxed ,(if (org-agent--card-sandboxed card)
                                           t
                                         :json-false)
                           ,@outcome)))
  (org-agent--card-odd card outcome)
  (org-agent--card-link card)
  (org-agent--card-drop card)
  (org-agent--card-ended card outcome))

(defun org-agent--card-odd (card outcome)
  "Show what was said if the OUTCOME of CARD is that of one that was not run.
A command can end like that, too.  The server knows which it was."
  (when (and (org-agent--card-kept-p card)
             (eql (plist-get outcome :exitCode) org-agent--unconfined))
    (message "org-agent: ended with status %d: %s" org-agent--unconfined
             (org-agent--literal
              (car (split-string (plist-get outcome :stderr) "\n")) t))))

(defun org-agent--card-link (card)
  "Show where all of the output of CARD is, if that is a file."
  (when-let* ((job (org-agent--card-job card))
              (file (org-agent--job-file job)))
    (cl-callf concat (org-agent--turn-results (org-agent--card-turn card))
      (propertize "The command wrote " 'face 'org-agent-notice)
      (file-size-human-readable (org-agent--job-written job))
      "; it is in "
      (let ((map (make-sparse-keymap)))
        (define-key map [mouse-1] (lambda ()
                                    (interactive)
                                    (org-agent--show-file file)))
        (propertize (abbreviate-file-name file)
                    'face 'link 'mouse-face 'highlight 'keymap map))
      " until Emacs ends\n")))

(defun org-agent-show-output ()
  "Show all that the last command with a long output wrote."
  (interactive)
  (org-agent--show-file (or (car org-agent--shell-files)
                            (user-error "No command wrote much"))))

(defun org-agent--show-file (file)
  "Show the output in FILE as text that nothing acts upon."
  (unless (file-readable-p file)
    (user-error "The file %s is gone" file))
  (with-current-buffer (get-buffer-create "*org-agent output*")
    (let ((inhibit-read-only t)
          (coding-system-for-read 'utf-8-unix))
      (erase-buffer)
      (insert-file-contents file))
    (special-mode)
    (goto-char (point-min))
    (display-buffer (current-buffer))))

(defun org-agent--card-drop (card &optional ending)
  "Take CARD away, and end its command unless that has ended.
ENDING says how it ended if it was not run."
  (unless (eq (org-agent--card-state card) 'over)
    (setf (org-agent--card-state card) 'over)
    (if-let ((job (org-agent--card-job card)))
        (org-agent--shell-stop job "stopped with its turn")
      (unless (org-agent--card-begun card)
        (org-agent--card-deed card (or ending "not decided"))))
    (org-agent--card-show card)))

(provide 'org-agent-approve)
;;; org-agent-approve.el ends here
