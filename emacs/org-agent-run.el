;;; org-agent-run.el --- Running a program for its answer  -*- lexical-binding: t; -*-

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

;; Running a program in the background, with a bound on its time and on
;; what it may write.  When it is over, a function is called, once, with
;; what became of it; or never, if the run was stopped before.
;;
;; The program runs on this machine, whatever directory is current, and
;; gets no input.  A program that keeps its standard error open after its
;; end, through a child of its own, is over when its time is.

;;; Code:

(require 'cl-lib)
(require 'subr-x)

(defconst org-agent--run-limit 1000000
  "How many characters a program may write to each of its outputs.")

(cl-defun org-agent--run (command then &key (seconds 30) environment)
  "Run COMMAND, a list of texts, and call THEN with its status and outputs.
The status is the exit status, a number, or words that say why there
is none.  The outputs are what it wrote to its standard output and to
its standard error.  It is killed after SECONDS, unless that is nil.
ENVIRONMENT is added to what is inherited.
Return a function that ends it without calling THEN."
  (let ((default-directory (expand-file-name "~/"))
        (process-environment (append environment process-environment))
        (texts (list "" "")) (open 2) (over nil)
        process errors buffer timer finish)
    (cl-flet* ((stop ()
                 (setq over t)
                 (when timer (cancel-timer timer))
                 (dolist (one (list process errors))
                   (when (processp one) (delete-process one)))
                 (when buffer (kill-buffer buffer)))
               (finish (status)
                 (unless over
                   (stop)
                   (run-at-time 0 nil then status (car texts) (cadr texts))))
               (take (which text)
                 (unless over
                   (let ((whole (concat (nth which texts) text)))
                     (setf (nth which texts) whole)
                     (when (< org-agent--run-limit (length whole))
                       (finish "it wrote too much")))))
               (closed (one)
                 (unless (or over (process-live-p one) (< 0 (cl-decf open)))
                   (finish (org-agent--run-status process)))))
      (setq finish #'finish)
      (condition-case problem
          ;; A pipe has a buffer, whether it is used or not.
          (setq buffer (generate-new-buffer " *org-agent run*")
                errors (make-pipe-process
                        :name "org-agent-run-errors" :noquery t :coding 'utf-8-unix
                        :buffer buffer
                        :filter (lambda (_process text) (take 1 text))
                        :sentinel (lambda (one _change) (closed one)))
                process (make-process
                         :name "org-agent-run" :noquery t :command command
                         :connection-type 'pipe :coding 'utf-8-unix :stderr errors
                         :filter (lambda (_process text) (take 0 text))
                         :sentinel (lambda (one _change) (closed one))))
        (error (finish (format "it cannot be started: %s"
                               (error-message-string problem)))))
      (unless over
        ;; It may be over before it can be told that there is no input.
        (ignore-errors (process-send-eof process))
        (when seconds
          (setq timer
                (run-at-time
                 seconds nil
                 (lambda ()
                   (funcall finish
                            (if (process-live-p process)
                                (format "it took longer than %s s" seconds)
                              (org-agent--run-status process))))))))
      #'stop)))

(defun org-agent--run-status (process)
  "Return the exit status of PROCESS, which is over, or words that say why."
  (if (eq (process-status process) 'signal)
      (format "it was ended by signal %d" (process-exit-status process))
    (process-exit-status process)))

(defun org-agent--run-words (status errors)
  "Return what is to be said of a program that failed with STATUS and ERRORS.
ERRORS is what it wrote to its standard error, of which the last lines
are of use."
  (let ((lines (last (split-string errors "\n" t "[ \t\r]+") 3)))
    (cond ((stringp status) status)
          (lines (string-join lines "; "))
          (t (format "it ended with status %s" status)))))

(provide 'org-agent-run)
;;; org-agent-run.el ends here
