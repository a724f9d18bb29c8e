;;; org-agent-doctor.el --- What is configured, and what to do  -*- lexical-binding: t; -*-

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

;; `org-agent-doctor' in a buffer: first what this Emacs knows of the
;; server, then what the server's program says by `doctor', and buttons
;; for what to do.  `g' looks again.
;;
;; The program runs on this machine and in the background, whatever the
;; directory was from which it was called.

;;; Code:

(require 'org-agent-revive)

(defvar org-agent-doctor-mode-map (make-sparse-keymap)
  "Keys of `org-agent-doctor-mode'.")

(pcase-dolist (`(,key . ,command) '(("TAB" . forward-button)
                                    ("<backtab>" . backward-button)
                                    ("r" . org-agent-restart)))
  (define-key org-agent-doctor-mode-map (kbd key) command))

(define-derived-mode org-agent-doctor-mode special-mode "Org-Agent-Doctor"
  "Show what is configured, what is reachable, and what to do next.

\\{org-agent-doctor-mode-map}"
  (setq-local revert-buffer-function #'org-agent--doctor-again
              truncate-lines nil
              word-wrap t
              font-lock-defaults
              '((("^BAD\\>.*" 0 'error t)
                 ("^note\\>" 0 'warning t)
                 ("^ok\\>" 0 'success t)
                 ("^ *\\(->.*\\)" 1 'bold t)
                 ("^Next:.*" 0 'bold t))
                t))
  ;; The directory from which it was called may be gone, or remote.
  (setq default-directory (expand-file-name "~/")))

;;;###autoload (autoload 'org-agent-doctor "org-agent" "Show what is configured, what is reachable, and what to do next." t)
(defun org-agent-doctor ()
  "Show what is configured, what is reachable, and what to do next."
  (interactive)
  (let ((buffer (get-buffer-create "*org-agent doctor*")))
    (with-current-buffer buffer
      (org-agent-doctor-mode)
      (org-agent--doctor-again))
    (display-buffer buffer)))

(defun org-agent--doctor-again (&rest _)
  "Look again, and write this buffer anew."
  (when (get-buffer-process (current-buffer))
    (delete-process (get-buffer-process (current-buffer))))
  (let ((inhibit-read-only t)
        (found (org-agent--find-program)))
    (erase-buffer)
    (mapc (lambda (finding) (apply #'org-agent--doctor-line finding))
          (append (org-agent--doctor-program found)
                  (org-agent--doctor-server)))
    (insert "\n")
    (pcase-dolist (`(,label . ,command)
                   `(("Look again" . revert-buffer)
                     ("Restart the server" . org-agent-restart)
                     ("Install a server" . org-agent-install-server)
                     ("Configuration" . org-agent-config)
                     ("Choose another program" . ,(lambda ()
                                                    (interactive)
                                                    (customize-option 'org-agent-program)))
                     ("Open the chat" . org-agent-chat)))
      (insert-text-button label 'follow-link t
                          'action (lambda (_button) (call-interactively command)))
      (insert "   "))
    (insert "\n\n")
    (when (car found)
      (org-agent--doctor-ask (car found)))
    (goto-char (point-min))))

(defun org-agent--doctor-line (mark what text &optional hint)
  "Insert a line about WHAT: MARK, TEXT, and HINT about what to do.
It looks like those of the program."
  (insert (format "%-4s  %-13s  %s\n" mark what
                  (replace-regexp-in-string
                   "\n" (concat "\n" (make-string 21 ?\s))
                   (org-agent--harmless text)))
          (if hint (format "%-4s  %-13s  -> %s\n" "" "" hint) "")))

(defun org-agent--doctor-program (found)
  "Return what is to be said of the program, as FOUND, in a list of lines."
  (pcase-let ((`(,file . ,places) found))
    (list (if file
              (list "ok" "program" file)
            (list "BAD" "program"
                  (concat "there is none; looked at\n" (string-join places "\n"))
                  org-agent--program-hint)))))

(defun org-agent--doctor-server ()
  "Return what is to be said of the server, in a list of lines."
  (let ((lacks (and org-agent--ready (org-agent--lacks))))
    (delq nil
          (list
           (cond
            (org-agent--ready
             (list "ok" "server"
                   (format "process %s%s has run since %s"
                           (process-id org-agent--process)
                           (org-agent--server-name)
                           (format-time-string "%T" org-agent--ready-since))))
            (org-agent--connection (list "note" "server" "it is being started"))
            (org-agent--restart-timer
             (list "note" "server" "it died, and is started again in a moment"))
            (t (list "note" "server" "it does not run; it is started when it is needed")))
           (and lacks
                (list "BAD" "version"
                      (concat "the server is older than this package: it lacks\n"
                              (string-join lacks "\n"))
                      "M-x org-agent-install-server, update it otherwise, \
or set `org-agent-program'"))
           (and org-agent--last-words
                (list "note" "last death" org-agent--last-words
                      "M-x org-agent-record-traffic for a report"))))))

(defun org-agent--doctor-ask (program)
  "Let PROGRAM say in this buffer what it knows."
  (make-process
   :name "org-agent-doctor" :buffer (current-buffer) :noquery t
   :command (list program "doctor")
   :connection-type 'pipe
   :filter (lambda (process text)
             (when (buffer-live-p (process-buffer process))
               (with-current-buffer (process-buffer process)
                 (let ((inhibit-read-only t))
                   (save-excursion
                     (goto-char (point-max))
                     (insert (org-agent--harmless text)))))))
   :sentinel #'ignore))

(provide 'org-agent-doctor)
;;; org-agent-doctor.el ends here
