;;; org-agent-files.el --- The files below a directory  -*- lexical-binding: t; -*-

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

;; The names of the files below a chat's directory, for completion.  They
;; are listed behind the user's back and kept for a while, so that
;; completion has them at once and never waits: the first time it may
;; come before they do.
;;
;; In a Git repository Git lists them, without those that it ignores.
;; Nothing that the repository configures is run for that.  Elsewhere the
;; directories are read one by one from a timer, the hidden ones left
;; out.  Both end at a number of files.  On another machine nothing is
;; listed.

;;; Code:

(require 'cl-lib)
(require 'subr-x)

(defconst org-agent--files-most 10000
  "How many files are listed at most.")

(defconst org-agent--files-bytes (ash 1 20)
  "How many bytes of names are taken from Git at most.")

(defconst org-agent--files-directories 1000
  "How many directories are read at most, where there is no Git.")

(defconst org-agent--files-slice 0.01
  "Seconds after which reading directories lets others go first.")

(defconst org-agent--files-odd
  "[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]"
  "A regexp for the characters that no listed name has.
They would break lines, or change the look of other text.")

(defconst org-agent--files-age 30
  "Seconds after which files are listed again.")

(defvar-local org-agent--files nil
  "The last list: (DIRECTORY TIME NAMES . SET), names relative to DIRECTORY.
SET is a hash table that has the same names.")

(defvar-local org-agent--files-job nil
  "What lists files for this buffer: a process, a timer, or nil.")

(defun org-agent--files-here ()
  "Return the names of the files below this buffer's directory, as known now."
  (pcase org-agent--files
    (`(,(pred (equal (expand-file-name default-directory))) ,_ ,names . ,_)
     names)))

(defun org-agent--file-known-p (name)
  "Return non-nil if NAME is among `org-agent--files-here'."
  (pcase org-agent--files
    (`(,(pred (equal (expand-file-name default-directory))) ,_ ,_ . ,set)
     (gethash name set))))

(defun org-agent--files-refresh ()
  "List the files below this buffer's directory again if it is time to."
  (unless (or org-agent--files-job
              (file-remote-p default-directory))
    (let ((directory (expand-file-name default-directory)))
      (unless (pcase org-agent--files
                (`(,(pred (equal directory)) ,time . ,_)
                 (< (- (float-time) time) org-agent--files-age)))
        (add-hook 'kill-buffer-hook #'org-agent--files-stop nil t)
        (org-agent--files-by-git directory)))))

(defun org-agent--files-stop ()
  "Stop listing files for this buffer."
  (cond ((processp org-agent--files-job) (delete-process org-agent--files-job))
        ((timerp org-agent--files-job) (cancel-timer org-agent--files-job)))
  (setq org-agent--files-job nil))

(defun org-agent--files-done (buffer directory names)
  "Let BUFFER know NAMES, the files below DIRECTORY."
  (when (buffer-live-p buffer)
    (let ((names (seq-remove (lambda (name) (string-match-p org-agent--files-odd name))
                             names))
          (set (make-hash-table :test #'equal :size (length names))))
      (dolist (name names) (puthash name t set))
      (with-current-buffer buffer
        (setq org-agent--files-job nil
              org-agent--files `(,directory ,(float-time) ,names . ,set))))))

;;;; With Git

(defun org-agent--files-by-git (directory)
  "List the files below DIRECTORY for this buffer by Git, or without."
  (let* ((buffer (current-buffer))
         (pieces nil)
         (size 0)
         (default-directory directory)
         (process-environment (append '("GIT_OPTIONAL_LOCKS=0"
                                        "GIT_TERMINAL_PROMPT=0")
                                      process-environment)))
    (setq org-agent--files-job
          (condition-case nil
              (make-process
               :name "org-agent-files" :noquery t :connection-type 'pipe
               :coding 'binary
               ;; What Git says besides would be among the names.
               :command '("/bin/sh" "-c" "exec git -c core.fsmonitor=false \
ls-files -z --cached --others --exclude-standard 2>/dev/null")
               :filter (lambda (process bytes)
                         (push bytes pieces)
                         (when (> (cl-incf size (length bytes))
                                  org-agent--files-bytes)
                           (process-put process 'full t)
                           (delete-process process)))
               :sentinel
               (lambda (process _change)
                 (unless (process-live-p process)
                   (org-agent--files-listed
                    buffer directory process
                    (apply #'concat (nreverse pieces))))))
            (file-error nil)))
    (unless org-agent--files-job
      (org-agent--files-walk buffer directory (list "") 0 nil))))

(defun org-agent--files-listed (buffer directory process bytes)
  "Take BYTES, what PROCESS listed below DIRECTORY, for BUFFER."
  (cond
   ((not (buffer-live-p buffer)))
   ((not (eq process (buffer-local-value 'org-agent--files-job buffer))))
   ((or (process-get process 'full) (zerop (process-exit-status process)))
    (let* (;; To collect the garbage of this takes longer than all of it.
           (gc-cons-threshold (max gc-cons-threshold (ash 1 26)))
           (names (split-string (decode-coding-string bytes 'utf-8) "\0" t)))
      ;; The last name may not be whole.
      (when (process-get process 'full) (setq names (butlast names)))
      (org-agent--files-done
       buffer directory
       (delete-consecutive-dups (seq-take names org-agent--files-most)))))
   (t (org-agent--files-walk buffer directory (list "") 0 nil))))

;;;; Without

(defun org-agent--files-walk (buffer root directories count names)
  "Read some of DIRECTORIES below ROOT for BUFFER, and go on later.
COUNT directories were read and have NAMES."
  (let ((end (+ (float-time) org-agent--files-slice))
        (found (length names)))
    (while (and directories
                (< count org-agent--files-directories)
                (< found org-agent--files-most)
                (< (float-time) end))
      (let ((directory (pop directories))
            (below nil))
        (cl-incf count)
        (dolist (name (ignore-errors
                        (directory-files (concat root directory) nil
                                         "\\`[^.]" t 2000)))
          (let ((type (file-attribute-type
                       (file-attributes (concat root directory name)))))
            (cond ((eq type t) (push (concat directory name "/") below))
                  (t (push (concat directory name) names)
                     (cl-incf found)))))
        ;; What is near comes first.
        (setq directories (append directories (nreverse below)))))
    (if (or (not directories)
            (>= count org-agent--files-directories)
            (>= found org-agent--files-most))
        (org-agent--files-done buffer root (nreverse names))
      (when (buffer-live-p buffer)
        (with-current-buffer buffer
          (setq org-agent--files-job
                (run-at-time 0.01 nil #'org-agent--files-walk
                             buffer root directories count names)))))))

(provide 'org-agent-files)
;;; org-agent-files.el ends here
