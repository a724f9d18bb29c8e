;;; org-agent-program.el --- Finding the org-agent server  -*- lexical-binding: t; -*-

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

;; Where the server's program is: what the user says, what is in the path,
;; or what Cargo built in the checkout that this package was loaded from.
;; If it is nowhere, the user is told each place that was looked at.
;;
;; It is always a program of this machine.  No place is looked at by way
;; of another one, whatever buffer is current: that could take minutes.

;;; Code:

(require 'seq)
(require 'subr-x)

(defcustom org-agent-program
  (let ((program (getenv "ORG_AGENT_PROGRAM")))
    (if (member program '(nil "")) "org-agent" program))
  "The org-agent server: a program's name, or a file name.
A plain name is looked up in variable `exec-path', and then, for those who work
on org-agent itself, among what Cargo built beside this file.  The
environment variable ORG_AGENT_PROGRAM is the default if it is set.

For example \"~/.cargo/bin/org-agent\"."
  :type 'string
  :group 'org-agent
  :package-version '(org-agent . "0.1.0"))

(defun org-agent--find-program ()
  "Return a list (FILE . PLACES): the server, or nil, and where it was sought.
PLACES is a list of texts, in the order of the search."
  (let ((default-directory (expand-file-name "~/"))
        (places nil)
        (found nil))
    (cond
     ((file-remote-p org-agent-program)
      (push (format "%s (on another machine: the server runs on this one)"
                    org-agent-program)
            places))
     ((file-name-directory org-agent-program)
      (let ((file (expand-file-name org-agent-program)))
        (push (concat file (cond ((not (file-exists-p file)) " (not there)")
                                 ((file-directory-p file) " (a directory)")
                                 ((not (file-executable-p file))
                                  " (not executable)")
                                 (t (setq found file) "")))
              places)))
     ((setq found (executable-find org-agent-program))
      (push found places))
     (t
      (push (format "`%s' in the path (%s)" org-agent-program
                    (string-join (delq nil (copy-sequence exec-path)) ":"))
            places)
      (dolist (file (org-agent--built))
        (unless found
          (push file places)
          (when (and (file-executable-p file) (not (file-directory-p file)))
            (setq found file))))))
    (cons found (nreverse places))))

(defun org-agent--built ()
  "Return where Cargo would build the server in the checkout of this package."
  (when-let* ((library (locate-library "org-agent-program"))
              ;; Package managers make links to where it was checked out.
              (root (file-name-directory
                     (directory-file-name
                      (file-name-directory (file-truename library))))))
    (mapcar (lambda (profile)
              (expand-file-name (format "target/%s/org-agent" profile) root))
            '("release" "debug"))))

(defun org-agent--executable ()
  "Return the file name of the server, or signal an error that helps."
  (pcase-let ((`(,found . ,places) (org-agent--find-program)))
    (or found
        (user-error "No program `%s'; looked at: %s.  Install org-agent, build it \
with `cargo build --release', or set `org-agent-program'"
                    org-agent-program (string-join places "; ")))))

(provide 'org-agent-program)
;;; org-agent-program.el ends here
