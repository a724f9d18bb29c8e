;;; org-agent-revive.el --- Starting the server again when it died  -*- lexical-binding: t; -*-

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

;; A server that died while it worked is started again by itself, each
;; time a little later, some times only, and never if it did not start at
;; first: then it is the user who has to do something.  Each time the user
;; is told why, with the end of what it wrote.  What it had accepted is
;; not lost; see `org-agent-retry'.
;;
;; A server that is too old for this package is used as far as it goes,
;; and the user is told what it lacks.

;;; Code:

(require 'org-agent-state)

(defcustom org-agent-restart-delays '(1 2 4 8 16)
  "Seconds after which a server that died is started again.
The first is for the first time, and so on; after the last it stays
away until you send something or say \\[org-agent-restart].  After the
server ran for a minute, the first is the next.  With nil it is never
started by itself.

For example (5 60)."
  :type '(repeat number)
  :group 'org-agent
  :package-version '(org-agent . "0.1.0"))

(defconst org-agent--well-time 60
  "Seconds after which a server counts as one that runs well.")

(defvar org-agent--restarts 0
  "How many times the server was started again since it last ran well.")

(defvar org-agent--restart-timer nil
  "The timer that starts the server again, or nil.")

(defvar org-agent--ready-since nil
  "When the server last became ready, or nil.")

(defvar org-agent--last-words nil
  "The end of what the last server that died wrote, and why, or nil.")

(defconst org-agent--needed-methods
  '("orgAgent/event" "orgAgent/cancel" "orgAgent/decide" "orgAgent/output"
    "orgAgent/actuated" "orgAgent/why" "orgAgent/sessions/list"
    "orgAgent/sessions/resume" "orgAgent/sessions/create"
    "orgAgent/sessions/export" "orgAgent/sessions/fork"
    "orgAgent/sessions/messages" "orgAgent/skills/list"
    "orgAgent/capabilities" "orgAgent/models/list" "orgAgent/models/select")
  "The methods of the server that this package uses.")

;;;; Dying

(cl-defmethod org-agent--handle :extra "revive" :after ((_ (eql :died)) params)
  "Start the server again, later, if it died as PARAMS say."
  (let ((ran (and org-agent--ready-since
                  (- (float-time) org-agent--ready-since))))
    (setq org-agent--ready-since nil)
    (when (and ran (< org-agent--well-time ran))
      (setq org-agent--restarts 0))
    (when (plist-get params :crashed)
      (setq org-agent--last-words
            (org-agent--words-of-death (plist-get params :reason)))
      (when (or ran (< 0 org-agent--restarts))
        (org-agent--restart-later (plist-get params :reason))))))

(defun org-agent--words-of-death (reason)
  "Return REASON and the last lines that the server wrote."
  (let ((lines (last (split-string org-agent--stderr "\n" t "[ \t\r]+") 10)))
    (org-agent--harmless
     (string-join (cons (concat (format-time-string "%T ") reason)
                        (mapcar (lambda (line)
                                  (concat "  " (org-agent--one-line line 300)))
                                lines))
                  "\n"))))

(defun org-agent--restart-later (reason)
  "Start the server again after the next delay, because of REASON."
  (let ((delay (nth org-agent--restarts org-agent-restart-delays)))
    (cond
     ((or org-agent--restart-timer (not (org-agent--chats))))
     (delay
      (cl-incf org-agent--restarts)
      (setq org-agent--restart-timer
            (run-at-time delay nil #'org-agent--restart-now))
      (org-agent--say-server
       (format "server again in %s s" delay)
       (concat org-agent--last-words "\nM-x org-agent-restart starts it at once."))
      (message "org-agent: %s; it is started again in %s s" reason delay))
     (org-agent-restart-delays
      (org-agent--say-server
       "no server"
       (concat org-agent--last-words "\nM-x org-agent-restart starts it again."))
      (message "org-agent: %s; it was started %d times and is not again.  \
M-x org-agent-doctor helps, M-x org-agent-restart starts it"
               reason org-agent--restarts)))))

(defun org-agent--restart-now ()
  "Start the server again."
  (setq org-agent--restart-timer nil)
  (org-agent--request 'orgAgent/sessions/list (list :limit 1)
                      (lambda (_result)
                        (message "org-agent: the server is there again"))
                      ;; If it was never there, nothing died.
                      (lambda (words _code)
                        (unless (or org-agent--ready org-agent--restart-timer)
                          (setq org-agent--last-words words)
                          (org-agent--restart-later words)))))

(defun org-agent--say-server (words help)
  "Let each chat say WORDS of the server, and HELP, or nothing if WORDS is nil."
  (setq org-agent--server-state (and words (list words help)))
  (org-agent--show-statuses))

(defun org-agent--restart-never ()
  "Do not start the server again by itself."
  (when org-agent--restart-timer
    (cancel-timer org-agent--restart-timer)
    (setq org-agent--restart-timer nil)))

(defun org-agent-restart ()
  "Start the server again, at once.
What it had accepted is not lost; what was running is interrupted."
  (interactive)
  (org-agent--restart-never)
  (setq org-agent--restarts 0)
  (org-agent--disconnect "the server is restarted")
  (org-agent--request 'orgAgent/sessions/list (list :limit 1)
                      (lambda (_result)
                        (message "org-agent: the server is there"))
                      (lambda (words _code)
                        (message "org-agent: %s" words))))

;;;; Living

(cl-defmethod org-agent--handle :extra "revive" :after ((_ (eql :ready)) _params)
  "Take notice that a server is there, and of what it lacks."
  (org-agent--restart-never)
  (setq org-agent--ready-since (float-time))
  (let ((lacks (org-agent--lacks)))
    (org-agent--say-server
     (and lacks "server too old")
     (and lacks
          (format "It does not have %s.  What needs these does not work: \
M-x org-agent-install-server, update it otherwise, or set `org-agent-program'."
                  (string-join lacks ", "))))
    (when lacks
      (message "org-agent: the server%s is older than this package: it lacks %s"
               (org-agent--server-name) (string-join lacks ", ")))))

(defun org-agent--lacks ()
  "Return what the server lacks of `org-agent--needed-methods'."
  (let ((has (plist-get (org-agent--offered) :methods)))
    (and (vectorp has) (< 0 (length has))
         (seq-difference org-agent--needed-methods (append has nil)))))

(provide 'org-agent-revive)
;;; org-agent-revive.el ends here
