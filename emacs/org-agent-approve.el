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
;; The whole command is shown as it is: if it is plain, each argument on a
;; line of its own.  What could not be seen, would be seen in another
;; order or could be taken for something else is made visible; a command
;; that is too long for the card says so and is shown before it can be
;; approved.  What was on the screen for too short a time to be read
;; cannot be approved either.

;;; Code:

(require 'org-agent-shell)
(require 'org-agent-chat)
(require 'org-agent-literal)

(defvar tramp-methods)

;;;; Options

(defcustom org-agent-command-timeout 120
  "How many seconds a command may run if the model names no time.

For example 600, where builds and test suites are run."
  :type 'natnum
  :group 'org-agent
  :package-version '(org-agent . "0.1.0"))

(defcustom org-agent-shell-sandbox t
  "Whether commands that you approve run in the sandbox.
There they can write only the directory of the chat, read no secrets
and use no network unless you let them; see docs/security.md.  With nil
they run by `shell-file-name', and can do all that you can.

Commands that are allowed without asking never run outside of it: with
nil, you are asked about each of them."
  :type 'boolean
  :group 'org-agent
  :package-version '(org-agent . "0.1.0"))

;;;; State

(defconst org-agent--card-rows 12
  "How many rows of a command a card shows at most.")

(defconst org-agent--card-rest 15
  "How many rows a card, and the input below it, have besides the command.")

(defconst org-agent--card-lines 200
  "How many lines of live output are kept to be shown.")

(defvar org-agent--card-pause 0.5
  "Seconds that a question is on the screen before it can be answered by yes.
A key that was typed before it could be read is none for it.")

(defconst org-agent--unconfined 125
  "The exit status of the sandbox if it did not run the command.")

(cl-defstruct (org-agent--card (:copier nil))
  "A proposed command."
  id turn command timeout explanation rule
  steps ; of a plain command, as the server judged them
  always ; the rule that the choice "always" would save, or nil
  sandbox ; what it would permit, in the server's words
  open ; non-nil if the server says that there is none
  directory ; where it would run, as the server said it, or nil
  host ; the other machine that this is on, or nil
  own ; non-nil if this Emacs would run it here without the sandbox
  edited ; non-nil if the command is the user's, and the server has another
  literal ; the command as it is shown, once it was
  cut ; non-nil if that was only a part
  state ; asking, deciding, running or over
  shown ; when it was first shown as it is asked now
  allowed ; non-nil if the server allowed it without asking
  net ; non-nil if the user lets it use the network
  sandboxed ; non-nil if it runs in the sandbox
  token job
  (seq 0) ; of the last piece of live output
  unfolded ; non-nil if more of that is shown than one line
  (lines 0) ; of all live output
  (output "")) ; the end of it

(defvar org-agent--cards (make-hash-table :test #'equal)
  "Each card by its actuation.  A command is asked about once.")

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
         (card (make-org-agent--card
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

(defun org-agent--text (params key)
  "Return the text that PARAMS have for KEY, or nil."
  (let ((value (plist-get params key)))
    (and (stringp value) (not (string-empty-p value)) value)))

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

(defun org-agent--card-buffer (card)
  "Return the buffer of CARD, or nil."
  (org-agent--buffer (org-agent--turn-session (org-agent--card-turn card))))

(defvar-local org-agent--card nil
  "The card that this buffer shows in full.")

(defun org-agent--card-here (&optional state)
  "Return the card of this buffer in STATE, or nil.
STATE nil means that it waits for a decision."
  (seq-find (lambda (card)
              (and (eq (org-agent--card-state card) (or state 'asking))
                   (or (eq card org-agent--card)
                       (eq (org-agent--card-buffer card) (current-buffer)))))
            (hash-table-values org-agent--cards)))

(defun org-agent--the-card ()
  "Return the card of this buffer that waits for a decision, or fail."
  (or (org-agent--card-here)
      (user-error "No command waits for a decision here")))

(defun org-agent-approve (&optional always)
  "Run the command that waits here.
With prefix argument ALWAYS, also let the server remember the decision."
  (interactive "P" org-agent-chat-mode org-agent-command-mode)
  (if always (org-agent-approve-always)
    (org-agent--approve (org-agent--the-card))))

(defun org-agent-approve-network ()
  "Run the command that waits here, and let it use the network."
  (interactive nil org-agent-chat-mode org-agent-command-mode)
  (let ((card (org-agent--the-card)))
    (unless (org-agent--card-confined-p card)
      (user-error "Without the sandbox it can use the network anyway"))
    (org-agent--approve card "run" t)))

(defun org-agent-approve-always ()
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

(defun org-agent-deny (&optional message)
  "Do not run the command that waits here.
With a prefix argument read a MESSAGE that tells the model why."
  (interactive
   (list (and current-prefix-arg (read-string "Tell the model: ")))
   org-agent-chat-mode org-agent-command-mode)
  (org-agent--decide (org-agent--the-card) "deny" nil
                     (and (not (equal message "")) message)))

(defun org-agent-deny-why (message)
  "Do not run the command that waits here, and tell the model MESSAGE.
That may be empty."
  (interactive
   (progn (org-agent--the-card)
          (list (read-string "Tell the model (may be empty): ")))
   org-agent-chat-mode org-agent-command-mode)
  (org-agent-deny message))

(defun org-agent-edit-command ()
  "Change the command that waits here, and run it if the server agrees."
  (interactive nil org-agent-chat-mode org-agent-command-mode)
  (org-agent--edit (org-agent--the-card)))

(defun org-agent-more ()
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
    (org-agent--request
     'orgAgent/decide
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
        (org-agent--card-drop card))))))

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

(defun org-agent--card-remote (card)
  "Return the root directory of the machine of CARD as TRAMP names it, or nil.
Which machine it is, the server said: never the buffer that is current.
Nothing connects to it."
  (when-let* ((host (org-agent--card-host card))
              (name (concat "/" host ":/")))
    (and (equal (file-remote-p name) (substring name 0 -1))
         (assoc (file-remote-p name 'method) tramp-methods)
         name)))

(defun org-agent--card-kept-p (card)
  "Return non-nil if what CARD may run is kept by the server.
Otherwise this Emacs runs the command itself, as it was shown."
  (not (or (org-agent--card-own card) (org-agent--card-host card))))

(defun org-agent--card-confined-p (card)
  "Return non-nil if the command of CARD would run in the sandbox."
  (and (org-agent--card-kept-p card) (not (org-agent--card-open card))))

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
  (org-agent--card-drop card))

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

(defun org-agent--card-drop (card)
  "Take CARD away, and end its command unless that has ended."
  (unless (eq (org-agent--card-state card) 'over)
    (setf (org-agent--card-state card) 'over)
    (when-let ((job (org-agent--card-job card)))
      (org-agent--shell-stop job "stopped with its turn"))
    (org-agent--card-show card)))

;;;; Showing

(defun org-agent--card-show (card)
  "Show CARD as it is now, or take it away if it is over."
  (let ((turn (org-agent--card-turn card)))
    (setf (org-agent--turn-card turn)
          (unless (eq (org-agent--card-state card) 'over)
            (org-agent--card-string card)))
    (org-agent--show turn)
    (org-agent--show-command-again card)))

(defun org-agent--card-room (card)
  "Return the rows and columns that the window has for the command of CARD."
  (pcase-let ((`(,rows ,width)
               (with-current-buffer (or (org-agent--card-buffer card)
                                        (current-buffer))
                 (org-agent--room))))
    (list (max 1 (min org-agent--card-rows (- rows org-agent--card-rest)))
          ;; Indented, and with room for what wraps between words.
          (max 10 (min 70 (- width 10))))))

(defun org-agent--clip (text rows width)
  "Return where TEXT, seen in ROWS rows of WIDTH columns, is cut, or nil."
  (org-agent--row-end
   text rows
   ;; Nothing must be out of sight, so that each may be as wide as the widest.
   (if (seq-some (lambda (char) (< 1 (char-width char)))
                 (substring text 0 (min (length text) (* rows width))))
       (/ width 2)
     width)))

(defun org-agent--card-text (card)
  "Return the command of CARD as it is shown."
  (or (org-agent--card-literal card)
      (setf (org-agent--card-literal card)
            (if (org-agent--card-steps card)
                (org-agent--steps-text (org-agent--card-steps card))
              (org-agent--literal (org-agent--card-command card))))))

(defun org-agent--card-place (card)
  "Return the directory of CARD as it is shown."
  (let ((directory (or (org-agent--card-directory card)
                       "a directory that the server did not name"))
        (host (org-agent--card-host card)))
    (org-agent--literal
     (cond ((not host) directory)
           ((equal directory "~") (concat "the login directory of " host))
           (t (concat "/" host ":" directory))))))

(defun org-agent--card-terms (card)
  "Return what is to be known of CARD to decide: lists of title and text."
  `(("Why you are asked: " ,(org-agent--card-rule card))
    ("Sandbox: "
     ,(cond
       ((org-agent--card-host card)
        (concat "none: it runs on " (org-agent--card-host card)
                " and can do all that you can there"))
       ((org-agent--card-own card)
        "none, as `org-agent-shell-sandbox' is nil")
       ((org-agent--card-sandbox card))
       (t "it can write the directory of the chat, and use no network")))
    ("Environment: "
     ,(cond
       ((org-agent--card-host card) "that of the other machine")
       ((org-agent--card-kept-p card)
        "PATH, HOME, LANG and the like, and no keys")
       (t "all that Emacs has, with what keys are in it")))))

(defun org-agent--card-cut-p (card)
  "Return non-nil if the command of CARD is too long for the card.
That is so too if its directory is."
  (pcase-let ((`(,rows ,width) (org-agent--card-room card)))
    (or (org-agent--clip (org-agent--card-text card) rows width)
        (org-agent--clip (org-agent--card-place card) 2 width))))

(defun org-agent--card-part (prefix text rows width &optional suffix)
  "Return the first ROWS rows of WIDTH columns of TEXT.
PREFIX and SUFFIX stand around it.  Its other lines are indented, lest
they look like the card's own."
  (let ((end (org-agent--clip text rows width)))
    (org-agent--indent (concat (substring text 0 end) (and end "...") suffix)
                       prefix)))

(defun org-agent--card-string (card)
  "Return what is shown for CARD."
  (pcase-let* ((`(,rows ,width) (org-agent--card-room card))
               (command (org-agent--card-text card))
               (cut (org-agent--clip command rows width))
               (explanation (org-agent--card-explanation card)))
    (setf (org-agent--card-cut card) (org-agent--card-cut-p card))
    (concat
     (propertize (pcase (org-agent--card-state card)
                   ('asking "The model asks to run this command:\n")
                   ('deciding "Asking the server about this command:\n")
                   (_ "This command runs:\n"))
                 'face 'org-agent-notice)
     (org-agent--indent (string-remove-suffix "\n" (substring command 0 cut))
                        (if (org-agent--card-steps card) "  " "$ "))
     (and cut (propertize (format "[... %d of %d characters are not shown here ...]\n"
                                  (- (length command) cut) (length command))
                          'face 'org-agent-notice))
     (org-agent--card-part "in " (org-agent--card-place card) 2 width
                           (format ", at most %d s"
                                   (org-agent--card-timeout card)))
     (and (stringp explanation)
          (org-agent--card-part "The model says: "
                                (org-agent--literal explanation t)
                                2 (- width 8)))
     (pcase (org-agent--card-state card)
       ('asking
        (concat
         (mapconcat (pcase-lambda (`(,title ,text))
                      (org-agent--card-part title (org-agent--literal text t)
                                            2 (- width 8)))
                    (org-agent--card-terms card) "")
         (org-agent--button "run" "C-c C-y" #'org-agent--approve card) " "
         (org-agent--button "deny" "C-c C-n"
                            (lambda (card) (org-agent--decide card "deny"))
                            card)
         " "
         (org-agent--button "edit" "C-c C-e" #'org-agent--edit card)
         " "
         (org-agent--button "more" "C-c C-a" #'org-agent--show-command card)
         "\n"))
       ('running
        (concat (org-agent--card-live card) "[stop: C-c C-k]\n"))))))

(defun org-agent--card-live (card)
  "Return the live output of CARD as it is shown: folded, or the end of it."
  (let* ((output (org-agent--card-output card))
         (unfolded (org-agent--card-unfolded card))
         (room (car (with-current-buffer (or (org-agent--card-buffer card)
                                             (current-buffer))
                      (org-agent--room)))))
    (unless (string-empty-p output)
      (concat
       (propertize (format ":OUTPUT: %d lines "
                           (+ (org-agent--card-lines card)
                              (if (string-suffix-p "\n" output) 0 1)))
                   'face 'org-agent-notice)
       (org-agent--button (if unfolded "fold" "unfold") "C-c C-a"
                          (lambda (card)
                            (cl-callf not (org-agent--card-unfolded card))
                            (org-agent--card-show card))
                          card)
       "\n"
       (org-agent--unverified
        (org-agent--indent
         (string-trim-right
          (org-agent--last-rows (string-trim-right output "\n")
                                (if unfolded
                                    (max 5 (min org-agent--card-lines
                                                (- room org-agent--card-rest)))
                                  1)
                                70)
          "\n")
         "  "))))))

(defun org-agent--button (label key function card)
  "Return a button with LABEL to call FUNCTION with CARD, like KEY."
  (let ((map (make-sparse-keymap)))
    (define-key map [mouse-1] (lambda ()
                                (interactive)
                                (funcall function card)))
    (propertize (format "[%s: %s]" label key)
                'face 'link 'mouse-face 'highlight 'keymap map)))

;;;; The command in full

(defvar org-agent-command-mode-map
  (let ((map (make-sparse-keymap)))
    (pcase-dolist (`(,key ,command) '(("r" org-agent-approve)
                                      ("n" org-agent-approve-network)
                                      ("e" org-agent-edit-command)
                                      ("a" org-agent-approve-always)
                                      ("d" org-agent-deny-why)))
      (define-key map key command))
    map)
  "Keys of `org-agent-command-mode'.")

(define-derived-mode org-agent-command-mode special-mode "Org-Agent-Command"
  "Shows a command in full that waits for a decision.

\\{org-agent-command-mode-map}"
  :interactive nil)

(defconst org-agent--command-buffer "*org-agent command*"
  "The name of the buffer that shows a command in full.")

(defun org-agent--show-command (card)
  "Show the command of CARD in full in another window, with every choice."
  (with-current-buffer (get-buffer-create org-agent--command-buffer)
    (org-agent-command-mode)
    (setq org-agent--card card)
    (org-agent--write-command)
    (goto-char (point-min))
    ;; A key that was typed before is none for it.
    (setf (org-agent--card-shown card) (float-time))
    (pop-to-buffer (current-buffer)
                   '(nil (window-height . fit-window-to-buffer)))))

(defun org-agent--command-cut-p (card)
  "Return non-nil if the window on this buffer is too small for CARD.
What has to fit is the command and its directory."
  (pcase-let ((`(,rows ,width) (org-agent--room)))
    (org-agent--clip (concat (org-agent--card-text card) "\n\nin "
                             (org-agent--card-place card))
                     (max 1 rows) (max 2 width))))

(defun org-agent--show-command-again (card)
  "Bring the full view of CARD up to date; once it is decided, close it.
That is at once, and not when the server has answered: by then the user
may be somewhere else."
  (when-let ((buffer (get-buffer org-agent--command-buffer)))
    (when (eq card (buffer-local-value 'org-agent--card buffer))
      (if (eq (org-agent--card-state card) 'asking)
          (with-current-buffer buffer
            (org-agent--write-command))
        (let ((window (get-buffer-window buffer t)))
          (if window (quit-window t window) (kill-buffer buffer)))))))

(defun org-agent--write-command ()
  "Write the card of this buffer into it."
  (let* ((card org-agent--card)
         (inhibit-read-only t)
         (place (point))
         (explanation (org-agent--card-explanation card)))
    (erase-buffer)
    (insert
     (org-agent--wrapped (concat (org-agent--card-text card) "\n\nin "
                                 (org-agent--card-place card)))
     (format ", at most %d s\n" (org-agent--card-timeout card))
     (if (stringp explanation)
         (org-agent--indent (org-agent--literal explanation t) "The model says: ")
       "")
     (mapconcat (pcase-lambda (`(,title ,text))
                  (org-agent--indent (org-agent--literal text t) title))
                (org-agent--card-terms card) "")
     "\nr  run it\n"
     (if (org-agent--card-confined-p card) "n  run it with the network\n" "")
     "e  edit it, and run it if the server agrees\n"
     (if (org-agent--card-always card)
         (org-agent--indent (org-agent--literal (org-agent--card-always card))
                            "a  from now on, run without asking: ")
       "")
     "d  deny it, and tell the model why\n"
     "q  decide later\n")
    (goto-char place)))

(provide 'org-agent-approve)
;;; org-agent-approve.el ends here
