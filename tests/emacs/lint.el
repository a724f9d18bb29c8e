;;; lint.el --- Byte-compilation, checkdoc and package-lint  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; emacs -Q --batch -l tests/emacs/lint.el
;;
;; Every warning is an error.  Nothing is written beside the sources and
;; nothing is fetched: of package-lint the checks that need an archive
;; are answered for the one dependency there is.

;;; Code:

(require 'bytecomp)
(require 'checkdoc)
(require 'cl-lib)
(require 'package)

(defvar package-lint-main-file)
(declare-function package-lint-buffer "package-lint" (&optional buffer))

(defvar lint-root
  (expand-file-name "../.." (file-name-directory load-file-name)))

(defvar lint-files
  (directory-files (expand-file-name "emacs" lint-root) t "\\`org-agent.*\\.el\\'"))

(defvar lint-problems 0)

(defconst lint-known
  '(;; There is no public address to name yet.
    "Homepage or URL header"
    ;; package-lint 0.16, which Debian 12 has, is older than Emacs 28.
    "uninstallable in all released Emacs versions")
  "What package-lint says and is not to be done.")

(defun lint-problem (file line words)
  "Report WORDS about LINE of FILE."
  (cl-incf lint-problems)
  (message "%s:%s: %s" (file-relative-name file lint-root) line words))

(defun lint-compile ()
  "Byte-compile each file, tests included, into a directory that is removed."
  (let* ((out (make-temp-file "org-agent-lint" t))
         (tests (directory-files (expand-file-name "tests/emacs" lint-root)
                                 t "\\.el\\'"))
         (load-path (append (list (expand-file-name "emacs" lint-root)
                                  (expand-file-name "tests/emacs" lint-root))
                            load-path))
         (byte-compile-dest-file-function
          (lambda (file)
            (expand-file-name (concat (file-name-nondirectory file) "c") out))))
    (unwind-protect
        (dolist (file (append lint-files tests))
          (cl-letf* ((byte-compile-log-warning-function
                      (lambda (words &optional position _fill _level)
                        (lint-problem file (or position "?") words))))
            (unless (byte-compile-file file)
              (lint-problem file "?" "does not compile"))))
      (delete-directory out t))))

(defun lint-checkdoc ()
  "Check the documentation of each file."
  (dolist (file lint-files)
    (with-current-buffer (find-file-noselect file)
      (let ((checkdoc-create-error-function
             (lambda (words start _end &optional _unfixable)
               (lint-problem file (if start (line-number-at-pos start) "?") words)
               nil)))
        (checkdoc-current-buffer t)))))

(defun lint-package ()
  "Check each file by package-lint."
  (unless (require 'package-lint nil t)
    ;; Debian tells `package' where it is in a file that -Q skips.
    (add-to-list 'package-directory-list "/usr/share/emacs/site-lisp/elpa")
    (package-initialize)
    (unless (require 'package-lint nil t)
      (lint-problem lint-root "?" "package-lint is missing: apt-get install elpa-package-lint")))
  (when (featurep 'package-lint)
    (setq package-lint-main-file (expand-file-name "emacs/org-agent.el" lint-root)
          ;; The only dependency, so that no archive has to be read.
          package-archive-contents
          (list (list 'jsonrpc (package-desc-create
                                :name 'jsonrpc :version '(1 0 14)
                                :summary "JSON-RPC library" :kind 'single
                                :archive "gnu"))))
    (dolist (file lint-files)
      (with-current-buffer (find-file-noselect file)
        (pcase-dolist (`(,line ,_column ,_kind ,words) (package-lint-buffer))
          (unless (seq-some (lambda (known) (string-match-p known words))
                            lint-known)
            (lint-problem file line words)))))))

(lint-compile)
(lint-checkdoc)
(lint-package)
(message "%d problems in %d files" lint-problems (length lint-files))
(kill-emacs (if (zerop lint-problems) 0 1))

;;; lint.el ends here
