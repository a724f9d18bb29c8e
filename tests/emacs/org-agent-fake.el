;;; org-agent-fake.el --- A server for tests, inside the same Emacs  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; The other end of the protocol over a local socket: real framing, real
;; JSON, real filters and sentinels, and every step in the hand of the
;; test.  It records each message of the client and answers requests as
;; the test says, or as a well-behaved server would.

;;; Code:

(require 'cl-lib)
(require 'ert)
(require 'jsonrpc)
(require 'org-agent)

(defvar org-agent-fake-connection nil
  "The fake server's connection, or nil.")

(defvar org-agent-fake-log nil
  "What the client sent, newest first: lists (METHOD . PARAMS).")

(defvar org-agent-fake-answers nil
  "Alist from methods to functions of the parameters that give the result.")

(defvar org-agent-fake-errors nil
  "Errors of the client's handlers.")

;; Where a test stands in for a primitive, Emacs would have a compiler make a
;; detour for natively compiled callers, which takes seconds; none is here.
(dolist (name '(native-comp-enable-subr-trampolines
                comp-enable-subr-trampolines)) ; in Emacs 28
  (set name nil))

(defvar org-agent-fake-listener nil)
(defvar org-agent-fake-directory nil)
(defvar org-agent-fake-count 0)

(defvar org-agent-fake-transcript ""
  "What the server has as the transcript of every session.")

(defvar org-agent-fake-code nil
  "The code of the last refusal.")

;; The generic functions of jsonrpc are the place to fall silent.
(defclass org-agent-fake-endpoint (jsonrpc-process-connection) ())

(defvar org-agent-fake-stubborn nil
  "Non-nil if the fake server does not end when it is told to.")

(defvar org-agent-fake-mute nil
  "Non-nil if the fake server says nothing.")

(cl-defmethod jsonrpc-connection-send :around
  ((connection org-agent-fake-endpoint) &rest args)
  "Send ARGS to CONNECTION, with an error's data, unless `org-agent-fake-mute'."
  (unless org-agent-fake-mute
    (when-let ((problem (plist-get args :error)))
      (setq args (plist-put args :error
                            (append problem
                                    (list :data (list :code org-agent-fake-code
                                                      :hint "a hint"))))))
    (apply #'cl-call-next-method connection args)))

(defun org-agent-fake-refuse (code)
  "Answer a request with an error of CODE."
  ;; jsonrpc drops the data of an error that a dispatcher signals.
  (setq org-agent-fake-code code)
  (jsonrpc-error :code -32000 :message "refused"))

(defun org-agent-fake-default (method params)
  "Answer METHOD with PARAMS as a well-behaved server would."
  (pcase method
    ('initialize '(:capabilities (:experimental (:orgAgent (:version 1)))))
    ('orgAgent/event
     (let ((n (cl-incf org-agent-fake-count)))
       (list :eventId (format "event-%d" n)
             :sessionId (or (plist-get params :sessionId) "session-1")
             :turnId (format "turn-%d" n) :lamport n :duplicate :json-false)))
    ('orgAgent/cancel '(:cancelled t))
    ('orgAgent/decide
     (if (equal (plist-get params :choice) "deny")
         '(:decision "deny" :token nil :steps nil :rule "the user said no")
       '(:decision "allow" :token "token-1" :steps nil :rule "the user said run")))
    ('orgAgent/sessions/resume
     (list :sessionId (plist-get params :sessionId)
           :actuations [] :missing [] :interrupted [] :resumed [] :live []))
    ('orgAgent/sessions/create '(:id "session-2"))
    ('orgAgent/sessions/fork '(:id "session-2"))
    ('orgAgent/sessions/export
     (list :sessionId (plist-get params :sessionId)
           :org org-agent-fake-transcript))
    ('orgAgent/sessions/list '(:items [] :nextCursor nil))
    (_ (make-hash-table))))

(defun org-agent-fake-answer (_connection method params)
  "Record METHOD with PARAMS and answer it."
  (push (cons method params) org-agent-fake-log)
  (let ((own (assq method org-agent-fake-answers)))
    (if own (funcall (cdr own) params)
      (org-agent-fake-default method params))))

(defun org-agent-fake-spawn ()
  "Return a client's process that is connected to a new fake server."
  (let ((socket (expand-file-name (make-temp-name "socket")
                                  org-agent-fake-directory)))
    (setq org-agent-fake-listener
          (make-network-process
           :name "fake" :server t :family 'local :service socket :noquery t
           :coding 'utf-8-emacs-unix
           :log (lambda (_server process _message)
                  (set-process-query-on-exit-flag process nil)
                  (setq org-agent-fake-connection
                        (make-instance
                         'org-agent-fake-endpoint
                         :name "fake" :process process
                         :request-dispatcher #'org-agent-fake-answer
                         :notification-dispatcher
                         (lambda (connection method params)
                           (push (cons method params) org-agent-fake-log)
                           (when (and (eq method 'exit)
                                      (not org-agent-fake-stubborn))
                             (delete-process
                              (jsonrpc--process connection))))))
                  (org-agent--silence process))))
    (prog1 (make-network-process :name "client" :family 'local :service socket
                                 :noquery t :coding 'utf-8-emacs-unix)
      (org-agent-fake-until (lambda () org-agent-fake-connection)))))

(defun org-agent-fake-guarded (function)
  "Call FUNCTION, and note an error."
  (condition-case problem
      (funcall function)
    (error (push problem org-agent-fake-errors))))

(defun org-agent-fake-until (condition &optional what)
  "Wait until CONDITION returns non-nil, and return that; WHAT names it."
  (let ((end (+ (float-time) 30)) value)
    (while (not (setq value (funcall condition)))
      (when (> (float-time) end)
        (error "Waited 30 s in vain for %s" (or what condition)))
      (accept-process-output nil 0.01))
    value))

(defun org-agent-fake-settle ()
  "Wait until every message on its way was handled, in both directions.
What the client answers may be on its way when the first question of
this is answered; it is there before the second."
  (dotimes (_ 2)
    (let (answered)
      (org-agent--request 'orgAgent/models/list nil
                          (lambda (_) (setq answered t))
                          (lambda (&rest _) (setq answered t)))
      (org-agent-fake-until (lambda () answered) "the line to settle"))))

(defun org-agent-fake-tell (method &rest params)
  "Send the notification METHOD with PARAMS to the client."
  (jsonrpc-notify org-agent-fake-connection method params))

(defun org-agent-fake-ask (method &rest params)
  "Send the request METHOD with PARAMS to the client; return a cell.
Its car becomes the client's answer."
  (let ((cell (list nil)))
    (jsonrpc-async-request org-agent-fake-connection method params
                           :timeout nil
                           :success-fn (lambda (result) (setcar cell result))
                           :error-fn (lambda (problem) (setcar cell problem)))
    cell))

(defun org-agent-fake-die ()
  "End the fake server."
  (let ((connection org-agent-fake-connection))
    (setq org-agent-fake-connection nil)
    (delete-process (jsonrpc--process connection))
    (org-agent-fake-until (lambda () (not org-agent--connection)))
    (accept-process-output nil 0.05)))

(defun org-agent-fake-sent (method)
  "Return the parameters of each METHOD that the client sent, oldest first."
  (mapcar #'cdr (seq-filter (lambda (entry) (eq (car entry) method))
                            (reverse org-agent-fake-log))))

(defmacro org-agent-fake-with (&rest body)
  "Run BODY in a fresh chat buffer with a fresh fake server."
  (declare (indent 0) (debug t))
  `(let ((org-agent-fake-directory (make-temp-file "org-agent" t))
         (org-agent-fake-log nil)
         (org-agent-fake-answers nil)
         (org-agent-fake-count 0)
         (org-agent-fake-transcript "")
         (org-agent-fake-connection nil)
         (org-agent--connection nil)
         (org-agent--process nil)
         (org-agent--spawned nil)
         (org-agent--ending nil)
         (org-agent--ready nil)
         ;; A server that dies is to stay dead.
         (org-agent-restart-delays nil)
         (org-agent--waiting nil)
         (org-agent--turns (make-hash-table :test #'equal))
         (org-agent--buffers (make-hash-table :test #'equal))
         (org-agent--held (make-hash-table :test #'equal))
         (org-agent--cards (make-hash-table :test #'equal))
         (org-agent--skill-calls nil)
         (org-agent-fake-errors nil)
         (org-agent-fake-mute nil)
         (org-agent-fake-stubborn nil)
         ;; Tests are faster than those who read.
         (org-agent--card-pause 0)
         (org-agent--stream-pause nil)
         ;; Those that need the sandbox say so.
         (org-agent-shell-sandbox nil)
         (org-agent--shell-files nil)
         (inhibit-message t))
     (cl-letf (((symbol-function 'org-agent--spawn) #'org-agent-fake-spawn)
               ((symbol-function 'org-agent--guarded)
                #'org-agent-fake-guarded))
       (unwind-protect
           (progn
             (delete-other-windows)
             (org-agent-chat)
             (org-agent-fake-settle)
             ,@body
             (should-not org-agent-fake-errors))
         (dolist (buffer (org-agent--chats))
           (with-current-buffer buffer (set-buffer-modified-p nil))
           (kill-buffer buffer))
         (org-agent--shell-remove-files)
         (when org-agent-fake-connection
           (org-agent-fake-die))
         (delete-directory org-agent-fake-directory t)))))

;;;; What tests do often

(defun org-agent-fake-keys (keys)
  "Press KEYS as the user would."
  (execute-kbd-macro (kbd keys)))

(defun org-agent-fake-type (text)
  "Type TEXT, key by key."
  (execute-kbd-macro (vconcat text)))

(defun org-agent-fake-send (text)
  "Type TEXT in the input area, send it, and wait for the answer."
  (goto-char (point-max))
  (org-agent-fake-type text)
  (org-agent-fake-keys "C-c C-c")
  (org-agent-fake-settle))

(defun org-agent-fake-delta (turn seq text &optional attempt)
  "Stream TEXT as message SEQ of the ATTEMPT of TURN."
  (org-agent-fake-tell 'orgAgent/delta :turnId turn :attempt (or attempt 1)
                       :seq seq :text text)
  (org-agent-fake-settle))

(defun org-agent-fake-state (turn seq state &optional reason)
  "Tell that TURN is in STATE by message SEQ; REASON says why."
  (apply #'org-agent-fake-tell 'orgAgent/turn :turnId turn
         :sessionId "session-1" :seq seq :state state
         (and reason (list :reason reason)))
  (org-agent-fake-settle))

(defun org-agent-fake-insert (turn seq text &optional actuation session)
  "Actuate an insert of TEXT for TURN by message SEQ; return the answer.
ACTUATION defaults to a name made of TURN, SESSION to session-1."
  (let ((answer (org-agent-fake-ask
                 'orgAgent/actuate
                 :actuationId (or actuation (concat "act-" turn))
                 :turnId turn :sessionId (or session "session-1")
                 :attempt 1 :seq seq
                 :action `( :type "request" :target "emacs"
                            :payload (:action "insert-at-end"
                                      :buffer "*org-agent-chat*" :text ,text))
                 :sexp "" :decision "allow" :rule "text may go")))
    (org-agent-fake-settle)
    (car answer)))

(defun org-agent-fake-place (cwd)
  "Return where a server would say that a command runs that names CWD."
  (let* ((remote (file-remote-p default-directory))
         (base (if remote (file-remote-p default-directory 'localname)
                 default-directory))
         (file-name-handler-alist nil))
    `( :directory ,(directory-file-name (expand-file-name (or cwd base) base))
       ,@(and remote (list :host (substring remote 1 -1))))))

(defun org-agent-fake-shell (turn seq payload &rest more)
  "Ask about the command in PAYLOAD for TURN by message SEQ.
MORE are further parameters, which win."
  (apply #'org-agent-fake-ask 'orgAgent/actuate
         (append more (org-agent-fake-place (plist-get payload :cwd))
                 (list :actuationId (concat "act-" turn)
                       :turnId turn :sessionId "session-1" :attempt 1 :seq seq
                       :action `( :type "request" :target "shell"
                                  :explanation "I want to look."
                                  :payload ,payload)
                       :sexp "" :decision "ask"
                       :rule "every shell command is asked")))
  (org-agent-fake-settle))

(defun org-agent-fake-shown (turn)
  "Return what the overlay of TURN shows, or nil."
  (let ((overlay (org-agent--turn-overlay (org-agent--turn turn))))
    (and overlay (overlay-buffer overlay)
         (substring-no-properties (overlay-get overlay 'before-string)))))

(defun org-agent-fake-layout (&rest turns)
  "Return the text of a chat with TURNS: lists of number, prompt and reply."
  (concat ":PROPERTIES:\n:OA_SESSION: session-1\n:END:\n"
          (mapconcat
           (lambda (turn)
             (concat (format "* USER\n:PROPERTIES:\n:OA_EVENT: event-%d\n:END:\n%s\n"
                             (nth 0 turn) (nth 1 turn))
                     (and (nth 2 turn)
                          (format "** ASSISTANT\n:PROPERTIES:\n:OA_ACT: act-turn-%d\n:END:\n%s\n"
                                  (nth 0 turn) (nth 2 turn)))))
           turns "")
          "* USER\n"))

(defun org-agent-fake-said (session &rest turns)
  "Return the transcript of SESSION with TURNS, see `org-agent-fake-layout'."
  (string-remove-suffix
   "* USER\n" (string-replace "session-1" session
                              (apply #'org-agent-fake-layout turns))))

(provide 'org-agent-fake)
;;; org-agent-fake.el ends here
