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

;; Where the server's program is: what the user says, what was installed by
;; `org-agent-install-server', what is in the path, or what Cargo built in
;; the checkout that this package was loaded from.  If it is nowhere, the
;; user is told each place that was looked at.
;;
;; What was installed goes before the path: it was asked for here.  What is
;; installed is what the record says, a list of property lists, the one in
;; use first, and its files are named by their checksums: two versions can
;; lie side by side, and a server that runs keeps its program.
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
The name \"org-agent\" means the one that `org-agent-install-server'
installed, if there is one.  A plain name is looked up in variable
`exec-path', and then, for those who work on org-agent itself, among
what Cargo built beside this file.  The environment variable
ORG_AGENT_PROGRAM is the default if it is set.

For example \"~/.cargo/bin/org-agent\"."
  :type 'string
  :group 'org-agent
  :package-version '(org-agent . "0.1.0"))

(defcustom org-agent-server-directory (locate-user-emacs-file "org-agent/")
  "The directory for the server that `org-agent-install-server' installs.
Nothing of yours is kept there, and it has to be on this machine.

For example \"~/.local/lib/org-agent/\"."
  :type 'directory
  :group 'org-agent
  :package-version '(org-agent . "0.1.0"))

(defun org-agent--server-directory ()
  "Return `org-agent-server-directory' as seen from the home directory."
  (file-name-as-directory
   (expand-file-name org-agent-server-directory (expand-file-name "~/"))))

(defun org-agent--installed-record ()
  "Return the file with the record of what is installed."
  (expand-file-name "org-agent-installed.eld" (org-agent--server-directory)))

(defun org-agent--installed-entries ()
  "Return what is installed: property lists, the one in use first."
  (unless (file-remote-p org-agent-server-directory)
    (condition-case nil
        (with-temp-buffer
          (insert-file-contents (org-agent--installed-record) nil 0 20000)
          (seq-filter (lambda (entry)
                        (let ((sum (plist-get entry :sha256)))
                          (and (stringp sum)
                               (string-match-p "\\`[0-9a-f]\\{64\\}\\'" sum))))
                      (read (current-buffer))))
      (error nil))))

(defun org-agent--installed-file (entry)
  "Return the program of ENTRY, one of `org-agent--installed-entries'."
  (expand-file-name (concat "org-agent-" (substring (plist-get entry :sha256) 0 16))
                    (org-agent--server-directory)))

(defun org-agent--installed ()
  "Return the program that is installed, or nil."
  (when-let* ((entry (car (org-agent--installed-entries)))
              (file (org-agent--installed-file entry)))
    (and (file-executable-p file) (not (file-directory-p file)) file)))

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
     ((and (equal org-agent-program "org-agent")
           (setq found (org-agent--installed)))
      (push found places))
     ((setq found (executable-find org-agent-program))
      (push found places))
     (t
      (when (equal org-agent-program "org-agent")
        (push (format "%s (nothing is installed there)" org-agent-server-directory)
              places))
      (push (format "`%s' in the path (%s)" org-agent-program
                    (string-join (delq nil (copy-sequence exec-path)) ":"))
            places)
      (dolist (file (org-agent--built))
        (unless found
          (push file places)
          (when (and (file-executable-p file) (not (file-directory-p file)))
            (setq found file))))))
    (cons found (nreverse places))))

(defconst org-agent--program-hint
  "Install org-agent with M-x org-agent-install-server, build it with `cargo \
build --release', or set `org-agent-program'"
  "What to do if there is no server.")

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
        ;; What to do goes first: the echo area may have room for no more.
        (user-error "No program `%s'.  %s.  (Looked at: %s)"
                    org-agent-program org-agent--program-hint
                    (string-join places "; ")))))

(provide 'org-agent-program)
;;; org-agent-program.el ends here
