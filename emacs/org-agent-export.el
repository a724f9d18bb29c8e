;;; org-agent-export.el --- Exporting and deleting sessions  -*- lexical-binding: t; -*-

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

;; Nothing is deleted without a question that says what is lost and
;; offers an export first.  An export is read back and compared before it
;; gets its name; no file is replaced unless the user agreed, and only
;; the user can read it, as it is with the server's own record.

;;; Code:

(require 'org-agent-keeping)

;;;; Exporting

(defun org-agent-sessions-export ()
  "Write the chosen sessions to Org files."
  (interactive nil org-agent-sessions-mode)
  (let ((sessions (org-agent--browser-chosen)))
    (org-agent--browser-export sessions (org-agent--browser-files sessions) nil)))

(defun org-agent--browser-files (sessions)
  "Ask where to write SESSIONS.
Return a list with a file for each, and t if it may be replaced."
  (let ((files
         (if (cdr sessions)
             (let ((directory (read-directory-name "Export to directory: ")))
               (unless (file-directory-p directory)
                 (user-error "There is no directory %s" directory))
               (mapcar (lambda (session)
                         (expand-file-name (org-agent--browser-file session) directory))
                       sessions))
           (let ((file (org-agent--browser-file (car sessions))))
             (list (expand-file-name
                    (read-file-name "Export to file: " nil file nil file)))))))
    (mapcar (lambda (file)
              (when (file-directory-p file)
                (user-error "%s is a directory" file))
              (list file
                    (and (file-exists-p file)
                         (or (yes-or-no-p (format "Replace %s? " file))
                             (user-error "Nothing is written")))))
            files)))

(defun org-agent--browser-file (session)
  "Return a name for the file of SESSION."
  (let ((title (replace-regexp-in-string
                "[^[:alnum:]]+" "-" (org-agent--browser-called session))))
    (format "%s-%s.org" (string-trim title "-+" "-+")
            (truncate-string-to-width
             (replace-regexp-in-string "[^[:alnum:]]" "" session) 8))))

(defun org-agent--browser-export (sessions files then)
  "Write SESSIONS to FILES, and call THEN with those that were written."
  (let ((where (cl-mapcar #'cons sessions files)))
    (org-agent--browser-do
     sessions 'orgAgent/sessions/export
     (lambda (session) (list :sessionId session))
     (lambda (session answer)
       (apply #'org-agent--browser-write (plist-get answer :org)
              (cdr (assoc session where))))
     (lambda (count)
       (if (cdr files) (format "%d of %d sessions are exported" count (length files))
         (format "%s is written" (abbreviate-file-name (caar files)))))
     then)))

(defun org-agent--browser-write (text file replace)
  "Write TEXT to FILE, or fail and leave what was there.
It is read back before it gets that name.  A file that is there gives
way only if REPLACE."
  (let ((draft (make-temp-file (concat file ".part")))
        (create-lockfiles nil))
    (unwind-protect
        (progn
          (let ((coding-system-for-write 'utf-8-unix))
            (write-region text nil draft nil 'silent))
          (unless (equal text (with-temp-buffer
                                (let ((coding-system-for-read 'utf-8-unix))
                                  (insert-file-contents draft))
                                (buffer-string)))
            (error "%s is not what was to be written; it is left out" file))
          (rename-file draft file replace))
      (when (file-exists-p draft)
        (delete-file draft)))))

;;;; Deleting

(defun org-agent-sessions-delete ()
  "Delete the flagged sessions for good, after a question.
An export is offered first.  One with a turn under way is not deleted:
cancel that before."
  (interactive nil org-agent-sessions-mode)
  (let ((sessions (or (org-agent--browser-marked ?D)
                      (user-error "Nothing is flagged; %s flags the session of a line"
                                  (substitute-command-keys
                                   "\\[org-agent-sessions-flag]")))))
    (when-let ((running (seq-find
                         (lambda (session)
                           (org-agent--browser-all-p (list session) :status "running"))
                         sessions)))
      (user-error "A turn runs in `%s'; %s on its line cancels it"
                  (org-agent--browser-called running)
                  (substitute-command-keys "\\[org-agent-sessions-cancel]")))
    (pcase (car (read-multiple-choice
                 (org-agent--browser-farewell sessions)
                 '((?e "export first" "Write Org files, then delete what was written")
                   (?d "delete" "Delete without an export")
                   (?q "keep" "Delete nothing"))))
      (?e (org-agent--browser-export sessions (org-agent--browser-files sessions)
                                     #'org-agent--browser-delete))
      (?d (org-agent--browser-delete sessions))
      (_ (message "Nothing is deleted")))))

(defun org-agent--browser-farewell (sessions)
  "Return the question whether SESSIONS are to be deleted."
  (let ((messages (mapcar (lambda (session)
                            (plist-get (org-agent--browser-known session) :messages))
                          sessions)))
    (format "%s with %s will be gone for good, and what is behind them.  \
This cannot be undone"
            (if (cdr sessions) (format "%d sessions" (length sessions))
              (format-message "`%s'" (org-agent--browser-called (car sessions))))
            (if (memq nil messages) "all messages"
              (format "%d messages" (apply #'+ messages))))))

(defun org-agent--browser-delete (sessions)
  "Delete SESSIONS."
  (org-agent--browser-do
   sessions 'orgAgent/sessions/delete
   (lambda (session) (list :sessionId session))
   ;; The server tells every list.
   #'ignore
   (lambda (count)
     (if (= count 1) "1 session is deleted" (format "%d sessions are deleted" count)))))

(provide 'org-agent-export)
;;; org-agent-export.el ends here
