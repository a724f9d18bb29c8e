;;; org-agent-package-tests.el --- The package, installed  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; The package is written, installed into an empty directory by an Emacs
;; that knows nothing else of it, used with only its autoloads, and
;; uninstalled.  And what a package archive asks for: one prefix, few
;; requirements, an archive that is the same each time.

;;; Code:

(require 'cl-lib)
(require 'ert)
(require 'make-manual)
(require 'make-package)

;;;; What it is made of

(ert-deftest org-agent-package-has-one-prefix ()
  (let ((defined (make-manual-defined '(nil defun defface provide define-type))))
    (should (> (length defined) 500))
    (should-not (seq-remove
                 (lambda (symbol)
                   (string-match-p "\\`org-agent\\(?:-\\|\\'\\)" (symbol-name symbol)))
                 defined))))

(ert-deftest org-agent-package-requires-little ()
  "Only what Emacs 28.1 has; `jsonrpc' is said because its version matters."
  (should (equal (package-desc-reqs (make-package-description))
                 '((emacs (28 1)) (jsonrpc (1 0 14)))))
  (let (others)
    (dolist (file (directory-files (expand-file-name "emacs" make-package-root)
                                   t "\\.el\\'"))
      (with-temp-buffer
        (insert-file-contents file)
        (while (re-search-forward "(require '\\([^) ]+\\)" nil t)
          (let ((name (match-string 1)))
            (unless (string-prefix-p "org-agent" name)
              (cl-pushnew name others :test #'equal))))))
    (should (member "jsonrpc" others))
    (dolist (name others)
      ;; In the directories of Emacs itself, and not in those of packages.
      (should (equal (cons name (and (file-in-directory-p
                                      (locate-library name)
                                      (expand-file-name "../" data-directory))
                                     'with-emacs))
                     (cons name 'with-emacs))))))

(ert-deftest org-agent-package-has-one-version ()
  (let ((version (package-version-join
                  (package-desc-version (make-package-description)))))
    (with-temp-buffer
      (insert-file-contents (expand-file-name "Cargo.toml" make-package-root))
      (re-search-forward "^version = \"\\([^\"]+\\)\"")
      (should (equal (match-string 1) version)))
    (should (equal org-agent--version version))))

(ert-deftest org-agent-package-recipes-have-the-address-of-the-repository ()
  (let ((address
         (with-temp-buffer
           (insert-file-contents (expand-file-name "Cargo.toml" make-package-root))
           (if (re-search-forward "^repository = \".*github\\.com/\\([^\"]+\\)\"" nil t)
               (match-string 1)
             "OWNER/org-agent"))))
    (with-temp-buffer
      (insert-file-contents (expand-file-name "docs/emacs.md" make-package-root))
      (re-search-forward "^ +(org-agent :fetcher github\n")
      (let ((recipe (progn (goto-char (match-beginning 0)) (read (current-buffer)))))
        (should (equal (plist-get (cdr recipe) :repo) address))
        (dolist (files (plist-get (cdr recipe) :files))
          (should (or (equal files "docs/org-agent.texi")
                      (file-expand-wildcards
                       (expand-file-name files make-package-root))))))
      (re-search-forward "^ +(org-agent :url ")
      (let ((entry (progn (goto-char (match-beginning 0)) (read (current-buffer)))))
        (should (string-suffix-p (concat "/" address) (plist-get (cdr entry) :url)))
        (dolist (key '(:lisp-dir :doc))
          (should (file-exists-p (expand-file-name (plist-get (cdr entry) key)
                                                   make-package-root))))))))

(ert-deftest org-agent-package-archive-is-the-same-each-time ()
  (let* ((files (make-package-files))
         (bytes (make-package-archive "d" files)))
    (should (equal (mapcar #'car files) (sort (mapcar #'car files) #'string<)))
    (should (equal bytes (make-package-archive "d" (make-package-files))))
    (should (zerop (mod (length bytes) 512)))
    (should-not (multibyte-string-p bytes))))

(ert-deftest org-agent-package-archive-is-one ()
  "A program that is not ours reads it, with the bytes that were put in."
  (skip-unless (executable-find "tar"))
  (let ((out (make-temp-file "org-agent-package" t)))
    (unwind-protect
        (let ((file (expand-file-name "a.tar" out))
              (coding-system-for-write 'no-conversion)
              (files `(("empty" . "") ("exactly" . ,(make-string 512 ?x))
                       ("more" . ,(unibyte-string 0 255 10 13)))))
          (write-region (make-package-archive "d" files) nil file nil 'silent)
          (should (eql 0 (call-process "tar" nil nil nil "-xf" file "-C" out)))
          (should (equal (mapcar (lambda (pair)
                                   (make-package--read
                                    (expand-file-name (concat "d/" (car pair)) out)))
                                 files)
                         (mapcar #'cdr files))))
      (delete-directory out t))))

;;;; Installed

(defun org-agent-package-tests--emacs (directory &rest forms)
  "Run FORMS in a new Emacs whose packages are in DIRECTORY.
Return what the last of them gives, or fail."
  (let ((out (expand-file-name "out" directory)))
    (with-temp-buffer
      (let ((process-environment
             (cons (concat "HOME=" directory) process-environment)))
        (unless (eql 0 (call-process
                        (expand-file-name invocation-name invocation-directory)
                        nil t nil "-Q" "--batch" "--eval"
                        (prin1-to-string
                         `(progn
                            (setq package-user-dir ,(expand-file-name "elpa" directory)
                                  package-archives nil
                                  package-directory-list nil)
                            (require 'package)
                            (let ((value (progn ,@forms)))
                              (with-temp-file ,out (prin1 value (current-buffer))))))))
          (ert-fail (buffer-string)))))
    (with-temp-buffer
      (insert-file-contents out)
      (read (current-buffer)))))

(defmacro org-agent-package-tests--installed (directory &rest body)
  "Run BODY with DIRECTORY in which the package is installed."
  (declare (indent 1) (debug t))
  `(let ((,directory (file-truename (make-temp-file "org-agent-package" t))))
     (unwind-protect
         (let ((file (make-package ,directory)))
           (org-agent-package-tests--emacs
            ,directory
            '(package-initialize)
            `(package-install-file ,file))
           ,@body)
       (delete-directory ,directory t))))

(ert-deftest org-agent-package-can-be-installed-and-used ()
  (org-agent-package-tests--installed directory
    (let ((here (expand-file-name (concat "elpa/" (make-package-name)) directory)))
      ;; Every file is there, and compiled.
      (dolist (name (mapcar #'car (make-package-files)))
        (should (file-exists-p (expand-file-name name here)))
        (when (and (string-suffix-p ".el" name) (not (equal name "org-agent-pkg.el")))
          (should (file-exists-p (expand-file-name (concat name "c") here)))))
      ;; With only the autoloads nothing is loaded, and nothing has happened.
      (should
       (equal
        (org-agent-package-tests--emacs
         directory
         '(let ((hooks (copy-sequence find-file-hook))
                (global (copy-keymap global-map))
                (modes auto-mode-alist))
            (package-initialize)
            (list (commandp 'org-agent-chat)
                  (autoloadp (symbol-function 'org-agent-chat))
                  ;; Emacs 30 has a feature for the autoloads themselves.
                  (seq-filter (lambda (feature)
                                (string-prefix-p "org-agent" (symbol-name feature)))
                              (remq 'org-agent-autoloads features))
                  (featurep 'org)
                  (equal hooks find-file-hook)
                  (equal global global-map)
                  (equal modes auto-mode-alist)
                  (process-list))))
        '(t t nil nil t t t nil)))
      ;; The first command loads what is in the package, all of it.
      (should
       (equal
        (org-agent-package-tests--emacs
         directory
         '(let (timers)
            (package-initialize)
            (setq timers (length timer-list))
            (autoload-do-load (symbol-function 'org-agent-chat) 'org-agent-chat)
            (list (autoloadp (symbol-function 'org-agent-chat))
                  (and (featurep 'org-agent) (featurep 'org-agent-complete))
                  (file-name-directory (locate-library "org-agent"))
                  (= timers (length timer-list))
                  (process-list)
                  (seq-filter (lambda (buffer)
                                (string-match-p "org-agent" (buffer-name buffer)))
                              (buffer-list)))))
        (list nil t (file-name-as-directory here) t nil nil)))
      ;; And it is gone when it is deleted.
      (should
       (equal (org-agent-package-tests--emacs
               directory
               '(progn
                  (package-initialize)
                  (package-delete (cadr (assq 'org-agent package-alist)))
                  (list (assq 'org-agent package-alist)
                        (directory-files package-user-dir nil "org-agent"))))
              '(nil nil))))))

(ert-deftest org-agent-package-loads-all-from-each-command ()
  "Whatever a user calls first, the chat that comes of it has all its keys."
  (org-agent-package-tests--installed directory
    (let ((commands
           (org-agent-package-tests--emacs
            directory
            '(let (found)
               (package-initialize)
               (mapatoms
                (lambda (symbol)
                  (when (and (string-prefix-p "org-agent" (symbol-name symbol))
                             (autoloadp (symbol-function symbol)))
                    (push (list symbol
                                (nth 1 (symbol-function symbol))
                                (documentation symbol)
                                (commandp symbol))
                          found))))
               (sort found (lambda (one other) (string< (car one) (car other))))))))
      (should (> (length commands) 25))
      (pcase-dolist (`(,name ,file ,doc ,command) commands)
        ;; The state alone has no chat, and loads nothing that it does not use.
        (unless (eq name 'org-agent-mode-line-mode)
          (should (member file '("org-agent" "org-agent-rewrite" "org-agent-transient"))))
        ;; What is said of it before it is loaded is true.
        (unless (eq name 'org-agent-command-map)
          (should (equal (list name (and command t)) (list name (commandp name))))
          (should (equal (cons name (car (split-string doc "\n")))
                         (cons name (car (split-string (documentation name) "\n"))))))))))

(provide 'org-agent-package-tests)
;;; org-agent-package-tests.el ends here
