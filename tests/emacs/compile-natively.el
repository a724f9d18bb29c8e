;;; compile-natively.el --- Native compilation of the package  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; emacs -Q --batch -L emacs -l tests/emacs/compile-natively.el
;;
;; Compiles each file of the package natively, one after the other, into
;; a directory that is removed.  Every warning is an error, and so is a
;; file of which no code comes.  What was compiled is loaded together in
;; another Emacs, and `org-agent-chat' has to be native there.  An Emacs
;; that cannot compile natively is told, and nothing is wrong then.

;;; Code:

(require 'bytecomp)
(require 'cl-lib)
(require 'comp nil t)

(declare-function native-compile "comp" (function-or-file &optional output))
(declare-function comp-el-to-eln-filename "comp.c" (file &optional directory))

(defvar compile-natively-problems 0)

(defun compile-natively-problem (file words)
  "Report WORDS about FILE."
  (cl-incf compile-natively-problems)
  (message "%s: %s" file words))

(defun compile-natively-file (file out)
  "Compile FILE into the directory OUT, and return the name of its code."
  (let ((byte-compile-log-warning-function
         (lambda (words &optional _position _fill _level)
           (compile-natively-problem file words)))
        (code (comp-el-to-eln-filename file out)))
    (condition-case problem
        (native-compile file code)
      (error (compile-natively-problem file (error-message-string problem))))
    (if (file-exists-p code) code
      (compile-natively-problem file "no native code came of it")
      nil)))

(defun compile-natively-load (codes)
  "Load CODES, files of native code, in an Emacs of its own."
  (with-temp-buffer
    (unless (eql 0 (call-process
                    (expand-file-name invocation-name invocation-directory)
                    nil t nil "-Q" "--batch" "-L" (expand-file-name "emacs")
                    "--eval"
                    (prin1-to-string
                     `(progn
                        (setq native-comp-deferred-compilation nil)
                        (mapc #'native-elisp-load ',codes)
                        (unless (and (subr-native-elisp-p (symbol-function 'org-agent-chat))
                                     (commandp 'org-agent-menu))
                          (error "The chat is not native"))))))
      (compile-natively-problem "org-agent" (buffer-string)))))

(defun compile-natively ()
  "Compile the whole package, and end Emacs."
  (if (not (and (fboundp 'native-comp-available-p) (native-comp-available-p)))
      (message "This Emacs cannot compile natively; nothing was checked")
    (let* ((out (make-temp-file "org-agent-native" t))
           (files (directory-files (expand-file-name "emacs") t
                                   "\\`org-agent.*\\.el\\'"))
           (codes (mapcar (lambda (file) (compile-natively-file file out)) files)))
      (unwind-protect
          (compile-natively-load (delq nil codes))
        (delete-directory out t))
      (message "%d problems in %d files"
               compile-natively-problems (length files))))
  (kill-emacs (if (zerop compile-natively-problems) 0 1)))

(compile-natively)

;;; compile-natively.el ends here
