;;; org-agent-shell.el --- Run one command for org-agent  -*- lexical-binding: t; -*-

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

;; Runs a program without waiting for it, keeps a bounded part of what it
;; writes, and reports once when it is over.  If it writes much, all of
;; it goes to a file besides.  Whether a command may run, and by which
;; program, is decided elsewhere; this file knows no protocol, no turns
;; and no chat buffer.
;;
;; Output is collected as bytes.  It becomes text only when it leaves,
;; and what JSON cannot carry, or Emacs cannot read in JSON, becomes
;; U+FFFD: bytes that are not valid UTF-8, and the null character.

;;; Code:

(require 'org-agent-server)

(defvar tramp-dont-suspend-timers)

;;;; Limits

(defconst org-agent--shell-keep 32768
  "How many bytes are kept of a stream's beginning, and as many of its end.")

(defconst org-agent--shell-pace 0.2
  "Seconds between two reports of live output.")

(defconst org-agent--shell-spill 65536
  "How many bytes a command writes before all of them go to a file.")

(defconst org-agent--shell-spill-limit (* 256 1024 1024)
  "How many bytes such a file has at most.  A disk is not to be filled.")

(defconst org-agent--shell-grace 0.5
  "Seconds given to a stream to end after its command has.
A command can leave something in the background that holds the stream.")

(defconst org-agent--shell-patience 1
  "Seconds that Emacs waits for another machine to end a command.")

(defconst org-agent--shell-term 2
  "Seconds between asking a command to end and killing it.")

;;;; A stream

(cl-defstruct (org-agent--stream (:copier nil) (:constructor org-agent--make-stream))
  "What is kept of one output stream, as bytes."
  (head "") ; the first bytes
  (tail nil) ; the last pieces, newest first
  (tail-size 0)
  (dropped 0) ; bytes between the two
  (fresh "") ; bytes not reported live yet
  (live 0)) ; bytes reported live

(defun org-agent--stream-add (stream bytes)
  "Add BYTES to STREAM."
  (let* ((room (- org-agent--shell-keep
                  (length (org-agent--stream-head stream))))
         (first (min room (length bytes)))
         (live-room (- (* 2 org-agent--shell-keep)
                       (org-agent--stream-live stream)
                       (length (org-agent--stream-fresh stream)))))
    (when (> live-room 0)
      (cl-callf concat (org-agent--stream-fresh stream)
        (substring bytes 0 (min live-room (length bytes)))))
    (when (> first 0)
      (cl-callf concat (org-agent--stream-head stream)
        (substring bytes 0 first)))
    (when (< first (length bytes))
      (push (substring bytes first) (org-agent--stream-tail stream))
      (cl-incf (org-agent--stream-tail-size stream) (- (length bytes) first))
      (when (> (org-agent--stream-tail-size stream) (* 2 org-agent--shell-keep))
        (org-agent--stream-trim stream)))))

(defun org-agent--stream-trim (stream)
  "Keep only the last bytes of STREAM's tail."
  (let* ((tail (apply #'concat (reverse (org-agent--stream-tail stream))))
         (extra (max 0 (- (length tail) org-agent--shell-keep))))
    (cl-incf (org-agent--stream-dropped stream) extra)
    (setf (org-agent--stream-tail stream) (list (substring tail extra))
          (org-agent--stream-tail-size stream) (- (length tail) extra))))

(defun org-agent--stream-text (stream)
  "Return what is kept of STREAM as text, with a note where it was cut."
  (org-agent--stream-trim stream)
  (let ((head (org-agent--stream-head stream))
        (tail (car (org-agent--stream-tail stream)))
        (dropped (org-agent--stream-dropped stream)))
    (if (zerop dropped)
        (org-agent--decode (concat head tail))
      (format "%s\n[... %d bytes are left out here ...]\n%s"
              (org-agent--decode head) dropped (org-agent--decode tail)))))

(defun org-agent--stream-take (stream all)
  "Return as text what STREAM has not reported live yet, and count it.
Unless ALL, a character whose last bytes are still to come stays."
  (let* ((bytes (org-agent--stream-fresh stream))
         (end (if all (length bytes) (org-agent--whole bytes))))
    (setf (org-agent--stream-fresh stream) (substring bytes end))
    (cl-incf (org-agent--stream-live stream) end)
    (org-agent--decode (substring bytes 0 end))))

(defun org-agent--whole (bytes)
  "Return how many of BYTES come before a character that is cut at the end."
  (if (string-match
       (rx (or (in "\300-\337") (seq (in "\340-\357") (? (in "\200-\277")))
               (seq (in "\360-\367") (? (in "\200-\277") (? (in "\200-\277")))))
           string-end)
       bytes)
      (match-beginning 0)
    (length bytes)))

(defun org-agent--decode (bytes)
  "Return BYTES, taken as UTF-8, as text that JSON can carry."
  (org-agent--sane (decode-coding-string bytes 'utf-8-unix t)))

;;;; A job

(cl-defstruct (org-agent--job (:copier nil) (:constructor org-agent--make-job))
  "A running command."
  process errors ; the process, and the one that carries its standard error
  directory
  (stdout (org-agent--make-stream)) (stderr (org-agent--make-stream))
  on-output on-exit
  timeout-timer pace-timer kill-timer
  stopped ; why it was ended before its time
  (written 0) ; bytes of both streams
  spill ; those that are not in the file, in pieces, newest first
  (spill-size 0)
  file ; where all of them are, if they are many
  over)

(defun org-agent--shell-directory (name)
  "Return the directory NAME of this machine for a command to run in.
Signal an error if there is none, or if NAME would be taken for one of
another machine: looking can already connect."
  (let ((directory (file-name-as-directory name)))
    (when (file-remote-p directory)
      (error "%s is not on this machine" name))
    (unless (file-directory-p directory)
      (error "There is no directory %s" directory))
    directory))

(defun org-agent--shell-process (&rest args)
  "Start a process with ARGS; if it is elsewhere, one that can be ended.
A process that TRAMP starts directly has no number there that is known."
  (if (not (file-remote-p default-directory)) (apply #'make-process args)
    (require 'tramp)
    (cl-letf (((symbol-function 'tramp-direct-async-process-p) #'ignore))
      (apply #'make-process args))))

(cl-defun org-agent--shell-run
    (command &key directory timeout on-output on-exit)
  "Run COMMAND in DIRECTORY and return a job, without waiting.
COMMAND is a list of a program and its arguments, and is run on the
machine of DIRECTORY, with `process-environment'.  After TIMEOUT seconds
it is ended.  ON-OUTPUT is called from time to time with \"stdout\" or
\"stderr\" and a new piece of text; ON-EXIT once, with the parameters
of `orgAgent/actuated' that tell the outcome."
  (let* ((job (org-agent--make-job :directory directory :on-output on-output
                                   :on-exit on-exit))
         (default-directory directory))
    ;; TRAMP has one stream for both outputs.
    (unless (file-remote-p directory)
      (setf (org-agent--job-errors job)
            (make-pipe-process
             :name "org-agent-command-errors" :noquery t
             :coding 'no-conversion
             :filter (lambda (_process bytes)
                       (org-agent--shell-output job 'stderr bytes))
             :sentinel (lambda (_process _change)
                         (org-agent--shell-check job)))))
    (condition-case problem
        (setf (org-agent--job-process job)
              (org-agent--shell-process
               :name "org-agent-command" :noquery t
               :connection-type 'pipe :coding 'no-conversion
               :command command :file-handler t
               :stderr (org-agent--job-errors job)
               :filter (lambda (_process bytes)
                         (org-agent--shell-output job 'stdout bytes))
               :sentinel (lambda (_process _change)
                           (org-agent--shell-check job))))
      (error (when (org-agent--job-errors job)
               (delete-process (org-agent--job-errors job)))
             (signal (car problem) (cdr problem))))
    ;; It may have ended already.
    (ignore-errors (process-send-eof (org-agent--job-process job)))
    (setf (org-agent--job-timeout-timer job)
          (run-at-time timeout nil #'org-agent--shell-stop job
                       (format "ended after its time of %d s" timeout)))
    job))

(defun org-agent--shell-output (job name bytes)
  "Note that JOB wrote BYTES to its stream NAME."
  (unless (org-agent--job-over job)
    (org-agent--stream-add (if (eq name 'stderr)
                               (org-agent--job-stderr job)
                             (org-agent--job-stdout job))
                           bytes)
    (org-agent--shell-keep-all job bytes)
    (unless (org-agent--job-pace-timer job)
      (setf (org-agent--job-pace-timer job)
            (run-at-time org-agent--shell-pace nil
                         #'org-agent--shell-report job nil)))))

;;;; All of a long output

(defvar org-agent--shell-files nil
  "The files with long outputs, to be removed when Emacs ends.
What is masked before a model sees it is not in them.")

(defun org-agent--shell-remove-files ()
  "Remove the files with long outputs."
  (dolist (file org-agent--shell-files)
    (ignore-errors (delete-file file)))
  (setq org-agent--shell-files nil))

(defun org-agent--shell-keep-all (job bytes)
  "Note BYTES of JOB for its file, and write what is a good deal."
  (cl-incf (org-agent--job-written job) (length bytes))
  (when (<= (org-agent--job-written job) org-agent--shell-spill-limit)
    (push bytes (org-agent--job-spill job))
    (cl-incf (org-agent--job-spill-size job) (length bytes))
    (when (> (org-agent--job-spill-size job) org-agent--shell-spill)
      (org-agent--shell-write job))))

(defun org-agent--shell-write (job)
  "Write what is noted for the file of JOB, which is made if there is none."
  (let ((bytes (apply #'concat (reverse (org-agent--job-spill job))))
        (coding-system-for-write 'no-conversion))
    (setf (org-agent--job-spill job) nil
          (org-agent--job-spill-size job) 0)
    (condition-case problem
        (progn
          (unless (org-agent--job-file job)
            ;; Only this user may read what `make-temp-file' makes.
            (setf (org-agent--job-file job)
                  (let ((temporary-file-directory
                         (if (file-remote-p temporary-file-directory) "/tmp/"
                           temporary-file-directory)))
                    (make-temp-file "org-agent-output-" nil ".txt")))
            (push (org-agent--job-file job) org-agent--shell-files)
            (add-hook 'kill-emacs-hook #'org-agent--shell-remove-files))
          (write-region bytes nil (org-agent--job-file job) t 'silent))
      (file-error (message "org-agent: the output is not kept in full: %s"
                           (error-message-string problem))))))

;;;; Reporting and ending

(defun org-agent--shell-report (job all)
  "Report JOB's new output; for ALL see `org-agent--stream-take'."
  (when-let ((timer (org-agent--job-pace-timer job)))
    (cancel-timer timer))
  (setf (org-agent--job-pace-timer job) nil)
  (dolist (stream (list (cons "stdout" (org-agent--job-stdout job))
                        (cons "stderr" (org-agent--job-stderr job))))
    (let ((text (org-agent--stream-take (cdr stream) all)))
      (unless (string-empty-p text)
        (funcall (org-agent--job-on-output job) (car stream) text)))))

(defun org-agent--shell-stop (job reason)
  "End JOB and all that it started in the foreground; REASON is for people."
  (unless (or (org-agent--job-over job) (org-agent--job-stopped job))
    (setf (org-agent--job-stopped job) reason)
    (org-agent--shell-signal job 'SIGTERM)
    (setf (org-agent--job-kill-timer job)
          (run-at-time org-agent--shell-term nil
                       #'org-agent--shell-signal job 'SIGKILL))))

(defun org-agent--shell-signal (job signal)
  "Send SIGNAL to JOB's process group."
  (let* ((process (org-agent--job-process job))
         (remote (process-get process 'remote-pid)))
    (cond
     (remote
      ;; The group, where the machine has it; the process in any case.
      (let* ((default-directory (org-agent--job-directory job))
             (name (substring (symbol-name signal) 3))
             ;; Else newer versions of TRAMP hold back the timer as well.
             (tramp-dont-suspend-timers t)
             (sent (with-timeout (org-agent--shell-patience)
                     (ignore-errors
                       (process-file "/bin/sh" nil nil nil "-c"
                                     (format "kill -%s -- -%d || kill -%s %d"
                                             name remote name remote)))
                     t)))
        ;; Over a line that hangs nothing can be ended but this end of it.
        (when (or (not sent) (eq signal 'SIGKILL))
          (delete-process process))))
     ((process-id process)
      (signal-process (- (process-id process)) signal)))))

(defun org-agent--shell-check (job)
  "Finish JOB if its process has ended and its standard error as well."
  (let ((process (org-agent--job-process job)))
    (when (and process (not (process-live-p process))
               (not (org-agent--job-over job)))
      (if (and (org-agent--job-errors job)
               (process-live-p (org-agent--job-errors job)))
          (run-at-time org-agent--shell-grace nil #'org-agent--shell-finish job)
        (org-agent--shell-finish job)))))

(defun org-agent--shell-finish (job)
  "Report that JOB is over, once."
  (unless (org-agent--job-over job)
    (org-agent--shell-report job t)
    (setf (org-agent--job-over job) t)
    (if (org-agent--job-file job)
        (org-agent--shell-write job)
      (setf (org-agent--job-spill job) nil))
    (dolist (timer (list (org-agent--job-timeout-timer job)
                         (org-agent--job-kill-timer job)))
      (when timer (cancel-timer timer)))
    (when (org-agent--job-errors job)
      (delete-process (org-agent--job-errors job)))
    (let* ((process (org-agent--job-process job))
           (code (process-exit-status process))
           (signalled (eq (process-status process) 'signal))
           (stdout (org-agent--job-stdout job))
           (stderr (org-agent--job-stderr job))
           (texts (list (org-agent--stream-text stdout)
                        (org-agent--stream-text stderr)))
           (message (or (org-agent--job-stopped job)
                        (and signalled (format "killed by signal %d" code)))))
      (funcall
       (org-agent--job-on-exit job)
       `( :status ,(if (org-agent--job-stopped job) "failed" "done")
          :exitCode ,(if signalled (+ 128 code) code)
          :stdout ,(car texts)
          :stderr ,(cadr texts)
          :truncated ,(if (zerop (+ (org-agent--stream-dropped stdout)
                                    (org-agent--stream-dropped stderr)))
                          :json-false
                        t)
          ,@(and message (list :message message)))))))

(provide 'org-agent-shell)
;;; org-agent-shell.el ends here
