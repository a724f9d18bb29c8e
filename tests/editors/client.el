;;; client.el --- Emacs as a plain LSP client, steered by a test -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The org-agent authors
;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; eglot or lsp-mode in an Emacs without a display, and without the package of this repository.  The test sends a JSON
;; array a line over a socket; each is answered.  The client is as it is; what a user sees and answers in the minibuffer
;; is stood in for.

;;; Code:

(require 'cl-lib)
(require 'json)
(require 'org)

(defconst client-lsp-mode (equal (getenv "ORG_AGENT_CLIENT") "lsp-mode"))
(let ((packages (getenv "ORG_AGENT_ELPA")))
  (when packages
    (dolist (directory (directory-files packages t "\\`[^.]"))
      (push directory load-path))))
(require (if client-lsp-mode 'lsp-mode 'eglot))
(when client-lsp-mode (mapc #'require '(lsp-lens lsp-completion lsp-diagnostics)))

(defvar client-answer nil "The title that the user picks when asked, or nil: they quit.")
(defvar client-questions nil "What the user was asked, the newest first.")
(defvar client-wanted nil "The title that the user picks from a menu.")
(defvar client-offered nil "What the last menu offered.")
(defvar client-refuses nil "Whether the user says no to an edit.")
(defvar client-progress nil "What was shown as progress, the newest first.")
(defvar client-opened nil "The links that were given to the browser.")

(setq make-backup-files nil
      auto-save-default nil
      create-lockfiles nil
      inhibit-message t
      browse-url-browser-function (lambda (url &rest _) (push url client-opened)))

(defun client-titles (collection)
  "The titles in COLLECTION."
  (all-completions "" collection))

(defun client-pick (prompt collection &rest _)
  "Answer a question with this PROMPT and COLLECTION as the user does."
  (let ((titles (client-titles collection)))
    (cond ((string-match-p "Pick an action\\|Select code action" prompt)
           (setq client-offered titles)
           (if (and client-wanted (member client-wanted titles)) client-wanted (signal 'quit nil)))
          (t
           (push `((message . ,prompt) (titles . ,(vconcat titles))) client-questions)
           (or client-answer (signal 'quit nil))))))
(advice-add 'completing-read :override #'client-pick)
(advice-add 'y-or-n-p :override (lambda (&rest _) (not client-refuses)))
(advice-add 'yes-or-no-p :override (lambda (&rest _) (not client-refuses)))

(defun client-wait (what ready)
  "Wait until READY, which is called WHAT, says so; its value."
  (let ((end (+ (float-time) 20)) (value nil))
    (while (not (setq value (funcall ready)))
      (when (> (float-time) end) (error "Waited too long for %s" what))
      (accept-process-output nil 0.02))
    value))

(defun client-find (needle)
  "Go to the start of the last NEEDLE; its end is the value."
  (goto-char (point-max))
  (unless (search-backward needle nil t) (error "No such text: %s" needle))
  (match-end 0))

(defun client-menu (title)
  "Open the menu of code actions and pick TITLE."
  (setq client-wanted title client-offered nil)
  (condition-case nil
      (let ((last-nonmenu-event ?x))
        (if client-lsp-mode
            (client-lsp-action title)
          (call-interactively #'eglot-code-actions)))
    (quit nil))
  (when (and title (not (member title client-offered)))
    (error "Offered: %S" client-offered))
  client-offered)

(defun client-lsp-action (title)
  "Run the code action of lsp-mode with TITLE."
  (let* ((actions (lsp-code-actions-at-point))
         (found (cl-find title actions :key #'lsp:code-action-title :test #'equal)))
    (setq client-offered (mapcar #'lsp:code-action-title actions))
    (when found (lsp-execute-code-action found))))

(defun client-start ()
  "Attach the client to the current buffer."
  (let ((program (list (getenv "ORG_AGENT_PROGRAM") "serve")))
    (cond
     (client-lsp-mode
      (setq lsp-auto-guess-root t lsp-enable-file-watchers nil lsp-warn-no-matched-clients t
            lsp-session-file (expand-file-name "lsp-session" default-directory)
            lsp-lens-enable t lsp-headerline-breadcrumb-enable nil lsp-modeline-code-actions-enable nil
            lsp-enable-suggest-server-download nil lsp-diagnostics-provider :flymake)
      (push '(org-mode . "org") lsp-language-id-configuration)
      (lsp-register-client
       (make-lsp-client :new-connection (lsp-stdio-connection program)
                        :major-modes '(org-mode markdown-mode) :server-id 'org-agent))
      (lsp-workspace-folders-add default-directory)
      (lsp)
      (client-wait "the server" (lambda () (and (lsp-workspaces)
                                                (eq (lsp--workspace-status (car (lsp-workspaces))) 'initialized))))
      ;; Without company-mode it is left to the user.
      (lsp-completion-mode 1))
     (t
      (push (cons major-mode program) eglot-server-programs)
      (apply #'eglot (eglot--guess-contact))
      (client-wait "the server" (lambda () (and (eglot-current-server) (eglot-managed-p))))))))

(defun client-do (name argument)
  "Carry out the operation NAME with ARGUMENT."
  (pcase name
    ("open"
     (find-file argument)
     (unless (derived-mode-p 'org-mode)
       (if client-lsp-mode (progn (require 'markdown-mode) (markdown-mode)) (text-mode)))
     (client-start)
     t)
    ("text" (buffer-substring-no-properties (point-min) (point-max)))
    ("go" (client-find argument) t)
    ("type" (goto-char (point-max)) (when (bolp) (forward-line -1) (end-of-line)) (insert argument) t)
    ("actions" (vconcat (client-menu nil)))
    ("act" (client-menu argument) t)
    ("act_on"
     (let ((end (client-find (aref argument 0))))
       (push-mark end t t)
       (setq transient-mark-mode t mark-active t)
       (unwind-protect (client-menu (aref argument 1)) (setq mark-active nil))
       t))
    ("lens" (client-lens argument))
    ("execute"
     (let ((command (aref argument 0)) (arguments (aref argument 1)))
       (if client-lsp-mode
           (lsp-send-execute-command command (if (eq arguments :null) nil arguments))
         (client-execute command (if (eq arguments :null) nil arguments)))
       t))
    ("answer" (setq client-answer (if (eq argument :null) nil argument)) t)
    ;; C-g leaves the minibuffer, and with it what would have answered.
    ("leaves_unanswered" t)
    ("questions" (vconcat (reverse client-questions)))
    ("progress"
     (unless (or client-lsp-mode (boundp 'eglot-report-progress)) (throw 'lacks "it shows no progress"))
     (vconcat (reverse client-progress)))
    ("cancel_progress" (throw 'lacks "nothing in it cancels a progress"))
    ("complete" (client-complete (aref argument 0) (aref argument 1)))
    ("diagnostics"
     ;; Flymake waits for a buffer to be displayed, and nothing is displayed here.
     (unless client-lsp-mode (flymake-start))
     (vconcat (if client-lsp-mode
                  (mapcar (lambda (one) (lsp:diagnostic-message one)) (lsp--get-buffer-diagnostics))
                (mapcar #'flymake-diagnostic-text (flymake-diagnostics)))))
    ("refuse" (client-refuse (eq argument t)) t)
    ("opened" (vconcat client-opened))
    ("quit" (run-at-time 0.1 nil #'kill-emacs) t)))

(defun client-execute (command arguments)
  "Execute COMMAND with ARGUMENTS in eglot."
  (eglot-execute-command (eglot-current-server) (intern command) arguments))

(defun client-lens (title)
  "Press the code lens TITLE."
  (unless client-lsp-mode (throw 'lacks "it has no code lenses"))
  (let ((lens (client-wait
               "a code lens"
               (lambda ()
                 (cl-find title (append (lsp-request "textDocument/codeLens"
                                                     `(:textDocument (:uri ,(lsp--buffer-uri)))) nil)
                          :key (lambda (lens) (lsp:command-title (lsp:code-lens-command? lens))) :test #'equal)))))
    (lsp--execute-command (lsp:code-lens-command? lens))
    t))

(defun client-complete (typed part)
  "Type TYPED at the end, and complete it with the key for it; PART must come of it."
  (goto-char (point-max))
  (when (bolp) (forward-line -1) (end-of-line))
  (insert typed)
  (call-interactively #'completion-at-point)
  (let ((window (get-buffer-window "*Completions*" t)))
    ;; More than one way to go on: it is picked from the list.
    (when (and window (not (save-excursion (search-backward part nil t))))
      (with-selected-window window
        (goto-char (point-min))
        (when (search-forward part nil t)
          (backward-char)
          (choose-completion)))))
  (unless (save-excursion (search-backward part nil t))
    (error "It became: %s" (buffer-substring-no-properties (line-beginning-position) (line-end-position))))
  t)

(defun client-refuse (refuses)
  "Let the user say no to edits if REFUSES."
  (setq client-refuses refuses)
  ;; Where nobody is asked, a buffer that may not be changed says no.
  (setq buffer-read-only refuses))

(defun client-note-progress (&rest _)
  "Remember what is shown of a progress."
  (let ((shown (cond (client-lsp-mode
                      (mapconcat (lambda (workspace)
                                   (mapconcat (lambda (one) (format "%s" one))
                                              (and (lsp--workspace-work-done-tokens workspace)
                                                   (hash-table-values (lsp--workspace-work-done-tokens workspace)))
                                              " "))
                                 (lsp-workspaces) " "))
                     ((boundp 'eglot-report-progress)
                      (mapconcat (lambda (one) (format "%s" (cdr one)))
                                 (hash-table-values (eglot--progress-reporters (eglot-current-server))) " ")))))
    (when (and shown (not (equal shown ""))) (push shown client-progress))))
(cond (client-lsp-mode (advice-add 'lsp-on-progress-modeline :after #'client-note-progress))
      ((boundp 'eglot-report-progress)
       (cl-defmethod eglot-handle-notification :after (_server (_method (eql $/progress)) &key &allow-other-keys)
         (client-note-progress))))

(defvar client-buffer nil "The buffer that is looked at.")
(defvar client-unread "" "What came of a line.")

(defun client-serve (process line)
  "Carry out LINE and answer PROCESS."
  (let* ((message (json-parse-string line :null-object :null :false-object nil))
         (reply (catch 'lacks
                  (condition-case failed
                      (with-current-buffer (or client-buffer (current-buffer))
                        (let ((value (client-do (aref message 0) (aref message 1))))
                          (setq client-buffer (current-buffer))
                          (json-serialize `((ok . ,value)))))
                    ((error quit) (json-serialize `((error . ,(format "%S" failed)))))))))
    (process-send-string process (concat (if (string-prefix-p "{" reply) reply
                                           (json-serialize `((lacks . ,reply))))
                                         "\n"))))

(let ((process (make-network-process :name "driver" :host "127.0.0.1" :coding 'utf-8
                                     :service (string-to-number (getenv "ORG_AGENT_DRIVER")))))
  (set-process-query-on-exit-flag process nil)
  (set-process-filter
   process
   (lambda (process text)
     (setq client-unread (concat client-unread text))
     (while (string-match "\n" client-unread)
       (let ((line (substring client-unread 0 (match-beginning 0))))
         (setq client-unread (substring client-unread (match-end 0)))
         ;; Not in the filter: it waits for answers of the server.
         (run-at-time 0 nil #'client-serve process line))))))

;;; client.el ends here
