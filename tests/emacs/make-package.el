;;; make-package.el --- The package as it is installed  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; emacs -Q --batch -L tests/emacs -l make-package -f make-package-batch OUT
;;
;; Writes OUT/org-agent-VERSION.tar, which `package-install-file' takes.
;; The same sources give the same bytes: files stand by name, their time
;; is one moment, they belong to nobody, and nothing but their contents
;; is taken from this machine.  The archive is written here because
;; `tar' has other options on every system.
;;
;; An Info file and its `dir' go in if OUT has them; `make package' puts
;; them there.

;;; Code:

(require 'lisp-mnt)
(require 'package)
(require 'seq)

(defconst make-package-root
  (expand-file-name "../.." (file-name-directory
                             (or load-file-name buffer-file-name)))
  "The root of the repository.")

(defun make-package-description ()
  "Return what emacs/org-agent.el says of the package."
  (with-temp-buffer
    (insert-file-contents (expand-file-name "emacs/org-agent.el" make-package-root))
    (package-buffer-info)))

(defun make-package-name ()
  "Return the name of the package with its version."
  (package-desc-full-name (make-package-description)))

(defun make-package--about ()
  "Return the text of org-agent-pkg.el."
  (let ((about (make-package-description)))
    (concat
     ";; Written by make-package.el  -*- lexical-binding: t; no-byte-compile: t -*-\n"
     (prin1-to-string
      `(define-package ,(symbol-name (package-desc-name about))
         ,(package-version-join (package-desc-version about))
         ,(package-desc-summary about)
         ',(mapcar (pcase-lambda (`(,name ,version))
                     (list name (package-version-join version)))
                   (package-desc-reqs about))
         :keywords ',(cdr (assq :keywords (package-desc-extras about)))))
     "\n")))

(defun make-package--read (file)
  "Return the bytes of FILE."
  (with-temp-buffer
    (set-buffer-multibyte nil)
    (insert-file-contents-literally file)
    (buffer-string)))

(defun make-package-files (&optional built)
  "Return what the package has: conses (NAME . BYTES), by name.
BUILT is a directory that may have the Info file and its `dir'."
  (let ((emacs (expand-file-name "emacs" make-package-root)))
    (sort
     (append
      (mapcar (lambda (name)
                (cons name (make-package--read (expand-file-name name emacs))))
              (directory-files emacs nil "\\`\\(?:org-agent.*\\.el\\|LICENSE\\)\\'"))
      (list (cons "org-agent-pkg.el"
                  (encode-coding-string (make-package--about) 'utf-8-unix)))
      (and built
           (mapcar (lambda (name)
                     (cons name (make-package--read (expand-file-name name built))))
                   (seq-filter (lambda (name)
                                 (file-exists-p (expand-file-name name built)))
                               '("dir" "org-agent.info")))))
     (lambda (one other) (string< (car one) (car other))))))

;;;; The archive

(defun make-package--header (name size)
  "Return the header that a tar archive has before the file NAME of SIZE bytes."
  (when (> (length name) 100)
    (error "The name `%s' is too long for an archive" name))
  (let* ((field (lambda (text length)
                  (concat text (make-string (- length (length text)) 0))))
         (build (lambda (sum)
                  (concat (funcall field name 100)
                          "0000644\0" "0000000\0" "0000000\0"
                          (format "%011o\0" size)
                          ;; A moment in 2001, as some programs take 0 for none.
                          (format "%011o\0" 1000000000)
                          sum "0" (make-string 100 0)
                          "ustar\0" "00" (make-string 247 0))))
         (sum (apply #'+ (append (funcall build (make-string 8 ?\s)) nil))))
    (funcall build (format "%06o\0 " sum))))

(defun make-package-archive (directory files)
  "Return the bytes of an archive of FILES, conses (NAME . BYTES), in DIRECTORY."
  (concat
   (mapconcat
    (pcase-lambda (`(,name . ,bytes))
      (concat (make-package--header (concat directory "/" name) (length bytes))
              bytes
              (make-string (mod (- (length bytes)) 512) 0)))
    files "")
   (make-string 1024 0)))

(defun make-package (out)
  "Write the package into the directory OUT, and return its file."
  (let ((name (make-package-name))
        (coding-system-for-write 'no-conversion))
    (make-directory out t)
    (let ((file (expand-file-name (concat name ".tar") out)))
      (write-region (make-package-archive name (make-package-files out))
                    nil file nil 'silent)
      file)))

(defun make-package-batch ()
  "Write the package into the directory that the command line names."
  (message "%s" (make-package (expand-file-name (pop command-line-args-left)))))

(provide 'make-package)
;;; make-package.el ends here
