;;; org-agent-server.el --- The connection to the org-agent server  -*- lexical-binding: t; -*-

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

;; One server process per Emacs, and the one line of messages from it.
;; This file knows JSON-RPC and processes; it knows nothing of buffers,
;; turns or commands.
;;
;; A process filter only appends to an inbox.  A timer of zero seconds
;; empties the inbox in order, each message under its own error guard.
;; So nothing runs inside a filter, a handler that fails cannot hold up
;; the message behind it, an answer keeps its place among the
;; notifications, and whatever came in one burst is drawn once.
;;
;; A stream has sixty pieces a second.  To wake up for one costs more
;; than what it says, so after a piece, and nothing else, nothing is read
;; for a moment.  If the server dies in that moment, what it wrote in it
;; is not read: pieces that would be taken back anyway, or what it sends
;; again when it is asked.

;;; Code:

(require 'cl-lib)
(require 'jsonrpc)
(require 'subr-x)
(require 'org-agent-secrets)
(require 'org-agent-wire)
(require 'org-agent-program)

(defgroup org-agent nil
  "Talk to a language model whose actions are verified."
  :group 'org
  :group 'processes
  :prefix "org-agent-")

;;;; State

(defconst org-agent--version "0.1.0"
  "The version of this package.")

(defvar org-agent--connection nil
  "The connection to the server, or nil.")

(defvar org-agent--process nil
  "The process behind `org-agent--connection', or nil.")

(defvar org-agent--spawned nil
  "How the server was started: its program, environment and path, or nil.
What it permits is run by the same.")

(defvar org-agent--ending nil
  "The connection to a server that was asked to end and has not yet, or nil.
No other is started before: it could not have the sessions of this one.")

(defvar org-agent--starting nil
  "Non-nil while a server is being started.
While auth-source asks for a passphrase, timers run and want one too.")

(defvar org-agent--introduction nil
  "What the last server said when it introduced itself.")

(defvar org-agent--ready nil
  "Non-nil once the server answered `initialize'.")

(defvar org-agent--waiting nil
  "Requests made before the server was ready, newest first.
Each is a list (METHOD PARAMS THEN ELSE).")

(defvar org-agent--inbox nil
  "What came from the server and was not handled yet, newest first.
Each element is a function of no arguments.")

(defvar org-agent--inbox-timer nil
  "The timer that empties `org-agent--inbox', or nil.")

(defvar org-agent--tap nil
  "A function that is told of each message as it passes, or nil.
It is called with the direction, `in' or `out', with the kind, which is
`request', `notification', `result' or `error', with the number of the
request that it is or belongs to, or nil, with the method, and with the
parameters, result or error.")

(defvar org-agent--count 0
  "How many requests were made; the number of the last one.")

(defvar-local org-agent--detached nil
  "Non-nil in a buffer that only shows what was recorded: it sends nothing.
If it is `silent', what would be sent is dropped, else an error.")

(put 'org-agent--detached 'permanent-local t)

(defvar org-agent--stderr ""
  "The end of what the server wrote to its standard error.")

(defconst org-agent--start-time 20
  "Seconds given to the server to answer the first request.
What takes longer is no server, and may fill the memory with its output.")

(defconst org-agent--shutdown-time 3
  "Seconds given to the server to end when it is asked to.")

(defconst org-agent--stderr-limit 20000
  "How many characters of the server's standard error are kept.")

;;;; What other files hook into

(cl-defgeneric org-agent--handle (method params)
  "Handle METHOD with PARAMS, a property list, from the server.
METHOD is a symbol such as `orgAgent/delta'.  A keyword is a message
from this client itself, in this file `:ready' and `:died', the latter
with a `:reason' and whether it `:crashed', and `:drained' after each
burst.")

(cl-defmethod org-agent--handle (_method _params)
  "Ignore what this client does not know, as the protocol asks."
  nil)

(cl-defmethod org-agent--handle ((_ (eql 'window/showMessage)) params)
  "Show the message in PARAMS."
  (when (stringp (plist-get params :message))
    (message "org-agent: %s" (plist-get params :message))))

;;;; Inbox

(defun org-agent--enqueue (function)
  "Call FUNCTION soon, after all that was enqueued before it."
  (push function org-agent--inbox)
  (unless org-agent--inbox-timer
    (setq org-agent--inbox-timer (run-at-time 0 nil #'org-agent--drain))))

(defun org-agent--drain ()
  "Handle all that is in the inbox."
  (setq org-agent--inbox-timer nil)
  (let ((inbox (nreverse org-agent--inbox)))
    (setq org-agent--inbox nil)
    (save-current-buffer
      ;; The user may look at what was recorded: nothing is sent from there.
      (when org-agent--detached
        (set-buffer (get-buffer-create " *org-agent inbox*")))
      (mapc #'org-agent--guarded inbox)
      (org-agent--guarded (lambda () (org-agent--handle :drained nil))))))

(defun org-agent--guarded (function)
  "Call FUNCTION, and report an error instead of passing it on."
  (condition-case problem
      (funcall function)
    (error (message "org-agent: a message of the server was not handled: %s"
                    (error-message-string problem)))))

(defun org-agent--tell (&rest args)
  "Let `org-agent--tap' know of the message that ARGS describe."
  (when org-agent--tap
    (org-agent--guarded (lambda () (apply org-agent--tap args)))))

(defun org-agent--receive (connection method params &optional kind)
  "Enqueue METHOD with PARAMS, a message of the server behind CONNECTION.
KIND is `request' if it is one."
  (when (and (eq connection org-agent--connection)
             (not (keywordp method)))
    (org-agent--tell 'in (or kind 'notification) nil method params)
    (org-agent--enqueue (lambda () (org-agent--handle method params))))
  nil)

(defun org-agent--receive-request (connection method params)
  "Acknowledge the server's request METHOD with PARAMS, and enqueue it.
CONNECTION is the connection it came from."
  (unless (memq method '(orgAgent/actuate orgAgent/abort))
    (jsonrpc-error :code -32601 :message (format "%s is not supported" method)))
  (if (not (and (eq connection org-agent--connection)
                (stringp (plist-get params :actuationId))))
      '(:accepted :json-false)
    (org-agent--receive connection method params 'request)
    '(:accepted t)))

;;;; Reading

(defconst org-agent--stream '("orgAgent/delta" "orgAgent/thought")
  "The methods of which a stream has many.")

(defvar org-agent--stream-pause 0.1
  "Seconds for which nothing is read after a piece of a stream, or nil.")

(defun org-agent--read (process string)
  "Handle what is complete of the messages of PROCESS, which wrote STRING."
  (when (buffer-live-p (process-buffer process))
    (let ((connection (process-get process 'jsonrpc-connection))
          (messages (with-current-buffer (process-buffer process)
                      (org-agent--read-messages string))))
      (dolist (message messages)
        (org-agent--guarded
         (lambda () (org-agent--dispatch connection message))))
      (when (and messages org-agent--stream-pause
                 (seq-every-p (lambda (message)
                                (member (plist-get message :method)
                                        org-agent--stream))
                              messages))
        (org-agent--pause process)))))

(defun org-agent--pause (process)
  "Read nothing from PROCESS for a moment."
  (set-process-filter process t)
  (run-at-time org-agent--stream-pause nil
               (lambda ()
                 (when (process-live-p process)
                   (set-process-filter process #'org-agent--read)))))

(defun org-agent--dispatch (connection message)
  "Handle MESSAGE, a property list, of the server behind CONNECTION."
  (let ((method (plist-get message :method)))
    (if (and (stringp method) (not (plist-get message :id)))
        (org-agent--receive connection (intern method)
                            (plist-get message :params))
      (jsonrpc-connection-receive connection message))))

;;;; Asking

(defun org-agent--request (method params &optional then else)
  "Send the request METHOD with PARAMS, starting the server if need be.
THEN is called with the result, or ELSE with an error in words and the
server's error code or nil.  Both are called later, in the order of
the server's messages.  Nothing is waited for."
  (cond
   ((eq org-agent--detached 'silent) nil)
   (org-agent--detached
    (user-error "This shows what was recorded; nothing is sent from it"))
   (org-agent--ready (org-agent--send method params then else))
   (t
    (push (list method params then else) org-agent--waiting)
    (org-agent--start))))

(defun org-agent--start ()
  "Start the server unless there is one, or one that has yet to end."
  (unless (or org-agent--connection org-agent--ending org-agent--starting)
    (condition-case problem
        (let ((org-agent--starting t))
          (org-agent--connect))
      (error (org-agent--give-up (error-message-string problem))))))

(defun org-agent--send (method params then else)
  "Send METHOD with PARAMS now; for THEN and ELSE see `org-agent--request'."
  (let ((number (cl-incf org-agent--count)))
    (org-agent--tell 'out 'request number method params)
    (condition-case problem
        (jsonrpc-async-request
         org-agent--connection method params
         :timeout nil
         :success-fn (lambda (result)
                       (org-agent--tell 'in 'result number method result)
                       (org-agent--enqueue
                        (lambda () (when then (funcall then result)))))
         :error-fn (lambda (problem)
                     (org-agent--tell 'in 'error number method problem)
                     (org-agent--enqueue
                      (lambda ()
                        (when else
                          (apply else (org-agent--problem problem)))))))
      (error (when else
               (org-agent--enqueue
                (lambda () (funcall else (error-message-string problem) nil))))))))

(defun org-agent--problem (problem)
  "Return PROBLEM, a JSON-RPC error object, as a list (WORDS CODE)."
  (let* ((data (plist-get problem :data))
         (data (and (listp data) data))
         (hint (plist-get data :hint)))
    (list (concat (or (plist-get problem :message) "unknown error")
                  (and (stringp hint) (format " (%s)" hint)))
          (plist-get data :code))))

(defun org-agent--notify (method params)
  "Send the notification METHOD with PARAMS, if there is a server."
  (when org-agent--ready
    (org-agent--tell 'out 'notification nil method params)
    (ignore-errors (jsonrpc-notify org-agent--connection method params))))

(defun org-agent--true-p (value)
  "Return non-nil if VALUE, read from JSON, is true."
  (eq value t))

;;;; The process

(defun org-agent--spawn ()
  "Start the server and return its process."
  (let* ((process-adaptive-read-buffering nil)
         ;; A buffer's directory may be remote or gone; the server needs none.
         (default-directory (expand-file-name "~/"))
         (program (org-agent--executable)))
    (setq org-agent--stderr ""
          org-agent--spawned (list program (copy-sequence process-environment)
                                   exec-path))
    (make-process
     :name "org-agent"
     :command (list program "serve")
     :connection-type 'pipe
     :coding 'utf-8-emacs-unix
     :noquery t
     :stderr (make-pipe-process
              :name "org-agent-stderr" :noquery t :sentinel #'ignore
              :filter (lambda (_process text)
                        (setq org-agent--stderr
                              (org-agent--tail (concat org-agent--stderr text)
                                               org-agent--stderr-limit)))))))

(defun org-agent--tail (string limit)
  "Return the last LIMIT characters of STRING."
  (if (> (length string) limit) (substring string (- limit)) string))

(defun org-agent--connect ()
  "Start the server and introduce this client, without waiting for it."
  ;; This may ask for a passphrase, and take its time: no server waits for it.
  (let* ((secrets (org-agent--secrets))
         (process (org-agent--spawn)))
    (setq org-agent--ready nil
          org-agent--process process
          org-agent--connection
          (apply #'make-instance 'jsonrpc-process-connection
                 :name "org-agent"
                 :process process
                 :notification-dispatcher #'org-agent--receive
                 :request-dispatcher #'org-agent--receive-request
                 :on-shutdown #'org-agent--closed
                 (org-agent--no-events-buffer)))
    (set-process-filter process #'org-agent--read)
    (org-agent--silence process)
    (run-at-time org-agent--start-time nil #'org-agent--too-late process)
    (org-agent--send
     'initialize
     `( :processId ,(emacs-pid)
        :clientInfo (:name "org-agent.el" :version ,org-agent--version)
        :rootUri nil
        :capabilities
        (:experimental
         (:orgAgent ( :version 1 :streaming t :reasoning t :steps t
                      :actuators ["insertAtEnd" "replaceRegion" "shell"])))
        ,@(and secrets
               (list :initializationOptions (list :secrets secrets))))
     #'org-agent--initialized
     ;; A closure could keep the keys, too.
     (apply-partially #'org-agent--not-initialized process))))

(defun org-agent--not-initialized (process words _code)
  "End PROCESS, which refused `initialize'; WORDS say why."
  ;; If the process is gone, `org-agent--closed' tells more.
  (when (process-live-p process)
    (org-agent--disconnect words)))

(defun org-agent--too-late (process)
  "End PROCESS unless it has answered by now."
  (when (and (eq process org-agent--process) (not org-agent--ready))
    (org-agent--disconnect
     (format "`%s' does not answer as a server of org-agent"
             org-agent-program))))

(defun org-agent--silence (process)
  "Let the sentinel of PROCESS say nothing.
The one of jsonrpc reports every end as if it were a failure."
  (let ((sentinel (process-sentinel process)))
    (set-process-sentinel process
                          (lambda (process change)
                            (let ((inhibit-message t)
                                  (message-log-max nil))
                              (funcall sentinel process change))))))

(defun org-agent--no-events-buffer ()
  "Return the arguments that keep jsonrpc from logging each message.
With the log it takes a tenth of the messages a second, and the keys in
the first would be in it.  Its name changed in version 1.0.24."
  (if (memq '-events-buffer-config
            (mapcar #'eieio-slot-descriptor-name
                    (eieio-class-slots 'jsonrpc-connection)))
      '(:events-buffer-config (:size 0 :format full))
    '(:events-buffer-scrollback-size 0)))

(defun org-agent--initialized (result)
  "Begin to work with the server that answered `initialize' with RESULT."
  (setq org-agent--introduction result)
  (let ((version (plist-get (org-agent--offered) :version)))
    (cond
     ((not org-agent--connection) nil)
     ((not (equal version 1))
      (org-agent--disconnect
       (format "The server%s speaks version %s of the protocol, and this package \
version 1: the older of the two has to be updated, or `org-agent-program' set"
               (org-agent--server-name) (or version "none"))))
     (t
      (jsonrpc-notify org-agent--connection 'initialized
                      (make-hash-table))
      (setq org-agent--ready t)
      (let ((waiting (nreverse org-agent--waiting)))
        (setq org-agent--waiting nil)
        (dolist (request waiting)
          (apply #'org-agent--send request)))
      (org-agent--handle :ready nil)))))

(defun org-agent--offered ()
  "Return what the server announced of this protocol."
  (plist-get (plist-get (plist-get org-agent--introduction :capabilities)
                        :experimental)
             :orgAgent))

(defun org-agent--server-name ()
  "Return the server's own name and version, after a space, and its program."
  (let* ((info (plist-get org-agent--introduction :serverInfo))
         (words (mapcar (lambda (key) (let ((word (plist-get info key)))
                                        (if (stringp word)
                                            (truncate-string-to-width word 40)
                                          "")))
                        '(:name :version))))
    (concat (and info (concat " " (string-trim (string-join words " "))))
            (and org-agent--spawned (format " (%s)" (car org-agent--spawned))))))

(defun org-agent--give-up (words)
  "Answer every request that waits for the server with the error WORDS."
  (let ((waiting (nreverse org-agent--waiting)))
    (setq org-agent--waiting nil)
    (pcase-dolist (`(,_method ,_params ,_then ,else) waiting)
      (when else
        (org-agent--enqueue (lambda () (funcall else words nil)))))))

(defun org-agent--closed (connection)
  "Take notice that CONNECTION is gone."
  (cond
   ((eq connection org-agent--connection)
    (org-agent--forget
     (let ((last (car (last (split-string org-agent--stderr "\n" t "[ \t\r]+")))))
       (concat "the server ended"
               (and (eq (process-status org-agent--process) 'signal)
                    (format ", by signal %d"
                            (process-exit-status org-agent--process)))
               (and last (format ": %s" last))))
     t))
   ;; That was reported when it began.
   ((eq connection org-agent--ending)
    (setq org-agent--ending nil)
    (when org-agent--waiting
      (org-agent--start)))))

(defun org-agent--forget (words &optional crashed)
  "Forget the connection; WORDS say why it is gone.
CRASHED is non-nil if nobody asked it to."
  (setq org-agent--connection nil
        org-agent--process nil
        org-agent--spawned nil
        org-agent--ready nil)
  (org-agent--enqueue (lambda () (org-agent--handle :died (list :reason words
                                                              :crashed crashed))))
  (org-agent--give-up words))

(defun org-agent--disconnect (words)
  "End the server; WORDS say why.
It is asked to, and killed if it does not.  Nothing is waited for."
  (when org-agent--connection
    (let ((connection org-agent--connection)
          (process org-agent--process)
          (ready org-agent--ready))
      (org-agent--forget words)
      (setq org-agent--ending connection)
      (if ready
          (org-agent--shut-down connection process)
        (delete-process process)))))

(defun org-agent--shut-down (connection process)
  "Ask the server behind CONNECTION, which is PROCESS, to end."
  (let ((kill (lambda ()
                (when (process-live-p process)
                  (delete-process process)))))
    (run-at-time org-agent--shutdown-time nil kill)
    (condition-case nil
        (jsonrpc-async-request
         connection 'shutdown nil
         :timeout nil
         :success-fn (lambda (_result)
                       (org-agent--enqueue
                        (lambda ()
                          (jsonrpc-notify connection 'exit nil))))
         :error-fn (lambda (_problem) (org-agent--enqueue kill)))
      (error (funcall kill)))))

(provide 'org-agent-server)
;;; org-agent-server.el ends here
