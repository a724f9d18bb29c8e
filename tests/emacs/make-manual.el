;;; make-manual.el --- The manual, and its reference  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; emacs -Q --batch -L emacs -L tests/emacs -l make-manual -f make-manual-texinfo
;; emacs -Q --batch -L emacs -L tests/emacs -l make-manual -f make-manual-reference
;;
;; The first writes docs/org-agent.texi, of which makeinfo makes the Info
;; file; a link that leads nowhere is an error.  The second writes the
;; chapter "Reference" of docs/org-agent.org anew: commands with their
;; keys, options, faces, maps and hooks, as the package defines them.
;; Both are for batch mode.  org-agent-manual-tests.el checks the rest.

;;; Code:

(require 'cl-lib)
(require 'org)
(require 'org-agent)
(require 'org-agent-rewrite)
(require 'org-agent-transient)

(defconst make-manual-root
  (expand-file-name "../.." (file-name-directory
                             (or load-file-name buffer-file-name)))
  "The root of the repository.")

(defun make-manual-file (name)
  "Return the file NAME of the documents."
  (expand-file-name (concat "docs/" name) make-manual-root))

;;;; What the package defines

(defun make-manual-defined (&optional kinds)
  "Return what the files of the package define: symbols by name.
KINDS are those of `load-history', with nil for variables; by default
functions, variables and faces."
  (let ((files (mapcar #'file-name-base
                       (directory-files (expand-file-name "emacs" make-manual-root)
                                        nil "\\`org-agent.*\\.el\\'")))
        (kinds (or kinds '(nil defun defface)))
        found)
    (pcase-dolist (`(,file . ,entries) load-history)
      (when (and file (member (file-name-base file) files))
        (dolist (entry entries)
          (when (and (memq (car-safe entry) kinds)
                     (symbolp (if (consp entry) (cdr entry) entry)))
            (push (if (consp entry) (cdr entry) entry) found)))))
    (sort (delete-dups found) #'string<)))

(defun make-manual-public (predicate)
  "Return the names that are no internal ones and for which PREDICATE holds."
  (seq-filter (lambda (symbol)
                (and (not (string-match-p "--" (symbol-name symbol)))
                     (funcall predicate symbol)))
              (make-manual-defined)))

(defun make-manual-command-p (symbol)
  "Return non-nil if SYMBOL is a command and no menu."
  (and (commandp symbol)
       (not (and (boundp symbol) (keymapp (symbol-value symbol))))))

(defun make-manual-option-p (symbol)
  "Return non-nil if SYMBOL is an option and no mode."
  (and (custom-variable-p symbol)
       (not (or (commandp symbol) (make-manual-hook-p symbol)))))

(defun make-manual-map-p (symbol)
  "Return non-nil if SYMBOL is a map of keys."
  (and (boundp symbol) (keymapp (symbol-value symbol))
       (string-suffix-p "-map" (symbol-name symbol))))

(defun make-manual-hook-p (symbol)
  "Return non-nil if SYMBOL is a hook."
  (and (boundp symbol) (string-suffix-p "-hook" (symbol-name symbol))))

(defun make-manual-bound (binding)
  "Return the command of BINDING, which may be an entry of a menu."
  (pcase binding
    (`(menu-item ,_ ,command . ,_) (and (symbolp command) command))
    (`(,(pred stringp) . ,command) (and (symbolp command) command))
    ((pred symbolp) binding)))

(defun make-manual--keys (map &optional prefix)
  "Return the keys of MAP and not of its parents, as conses (COMMAND . KEY).
PREFIX is what stands before each."
  (let (found)
    (map-keymap-internal
     (lambda (event binding)
       (let ((key (concat prefix (single-key-description event))))
         (cond
          ((memq event '(menu-bar remap)))
          ((eq event 27)                ; M-x is ESC x in a map
           (when (keymapp binding)
             (pcase-dolist (`(,command . ,rest) (make-manual--keys binding))
               (push (cons command (concat prefix "M-" rest)) found))))
          ((keymapp binding)
           (setq found (append (make-manual--keys binding (concat key " ")) found)))
          ((make-manual-bound binding)
           (push (cons (make-manual-bound binding) key) found)))))
     map)
    found))

;;;; The reference

(defun make-manual--line (text)
  "Return the first line of TEXT, a documentation, in Org."
  (replace-regexp-in-string "[`‘]\\([^'’]+\\)['’]" "~\\1~"
                            (car (split-string (or text "") "\n"))))

(defun make-manual--pressed (command maps)
  "Return by what keys of MAPS, an alist, COMMAND is called, or nil."
  (let (found)
    (pcase-dolist (`(,map . ,keys) maps)
      (pcase-dolist (`(,bound . ,key) keys)
        (when (eq bound command)
          (push (format "~%s~ in ~%s~" key map) found))))
    (and found (concat " Keys: " (mapconcat #'identity (sort found #'string<) ", ")
                       "."))))

(defun make-manual--list (kind symbols words)
  "Return a list of SYMBOLS, whose index is KIND; WORDS says what stands there."
  (concat (format "#+attr_texinfo: :table-type %s :indic @code\n" kind)
          (mapconcat (lambda (symbol)
                       (format "- %s :: %s\n" symbol (funcall words symbol)))
                     symbols "")))

(defconst make-manual--groups
  '(("Modes" . "-mode\\'")
    ("Commands for the list of sessions" . "\\`org-agent-sessions-")
    ("Commands for rewriting" . "\\`org-agent-rewrite")
    ("Commands for skills" . "\\`org-agent-\\(?:skill\\|trust\\)")
    ("Commands for chats and all else" . ""))
  "Headings for commands, each with a regular expression; the first counts.")

(defun make-manual--group (command)
  "Return the heading below which COMMAND stands."
  (car (seq-find (lambda (group)
                   (string-match-p (cdr group) (symbol-name command)))
                 make-manual--groups)))

(defun make-manual-anchor (heading)
  "Return the anchor that HEADING has where the manual is shown as a page."
  (replace-regexp-in-string
   " " "-" (replace-regexp-in-string "[^a-z0-9 _-]" "" (downcase heading))))

(defun make-manual--heading (words)
  "Return a heading of WORDS in the chapter."
  (format "\n** %s\n:PROPERTIES:\n:CUSTOM_ID: %s\n:END:\n\n"
          words (make-manual-anchor words)))

(defun make-manual--default (option)
  "Return the default of OPTION if it is short, in words."
  (let ((text (let ((process-environment (cons "ORG_AGENT_PROGRAM" process-environment)))
                (prin1-to-string (eval (car (get option 'standard-value)) t)))))
    (if (> (length text) 40) "" (format " The default is ~%s~." text))))

(defun make-manual-text ()
  "Return what the chapter has to be."
  (let ((commands (make-manual-public #'make-manual-command-p))
        ;; `org-agent-mode-map' gets the keys of chats when the mode is first
        ;; turned on, all of them with one command that is called by no name.
        (maps (mapcar (lambda (map)
                        (cons map (and (not (eq map 'org-agent-mode-map))
                                       (make-manual--keys (symbol-value map)))))
                      (make-manual-public #'make-manual-map-p)))
        (variable (lambda (symbol)
                    (make-manual--line
                     (documentation-property symbol 'variable-documentation t)))))
    (concat
     (mapconcat
      (lambda (group)
        (concat
         (make-manual--heading (car group))
         (make-manual--list
          "ftable"
          (seq-filter (lambda (command)
                        (equal (make-manual--group command) (car group)))
                      commands)
          (lambda (command)
            (concat (make-manual--line (documentation command t))
                    (make-manual--pressed command maps))))))
      (reverse make-manual--groups) "")
     (make-manual--heading "Options")
     (make-manual--list
      "vtable" (make-manual-public #'make-manual-option-p)
      (lambda (option) (concat (funcall variable option) (make-manual--default option))))
     (make-manual--heading "Faces")
     (make-manual--list
      "vtable" (make-manual-public #'facep)
      (lambda (face) (make-manual--line (face-documentation face))))
     (make-manual--heading "Maps of keys")
     (make-manual--list "vtable" (mapcar #'car maps) variable)
     (make-manual--heading "Hooks")
     (make-manual--list
      "vtable" (make-manual-public #'make-manual-hook-p)
      (lambda (hook)
        (format "Run by ~%s~." (string-remove-suffix "-hook" (symbol-name hook)))))
     "\n")))

(defun make-manual-reference-here ()
  "Go to the chapter's text in this buffer, and return its beginning and end."
  (goto-char (point-min))
  (list (re-search-forward "^# begin reference\n")
        (progn (re-search-forward "^# end reference\n") (match-beginning 0))))

(defun make-manual-reference ()
  "Write the chapter anew."
  (let ((file (make-manual-file "org-agent.org"))
        (coding-system-for-write 'utf-8-unix))
    (with-temp-buffer
      (insert-file-contents file)
      (pcase-let ((`(,beg ,end) (make-manual-reference-here)))
        (delete-region beg end)
        (goto-char beg)
        (insert (make-manual-text)))
      (write-region nil nil file nil 'silent))))

;;;; Export

(defvar org-export-with-broken-links)
(defvar org-export-use-babel)
(defvar org-export-coding-system)
(declare-function org-export-as "ox")

(defun make-manual-export (out)
  "Export the manual as Texinfo to the file OUT."
  (require 'ox-texinfo)
  (with-temp-buffer
    (insert-file-contents (make-manual-file "org-agent.org"))
    (let ((org-inhibit-startup t)
          (default-directory (file-name-directory (make-manual-file "org-agent.org")))
          (org-export-with-broken-links nil)
          (org-export-use-babel nil)
          (coding-system-for-write 'utf-8-unix)
          (org-export-coding-system 'utf-8-unix)
          text)
      (delay-mode-hooks (org-mode))
      (setq text (org-export-as 'texinfo nil nil nil
                                (list :output-file "org-agent.texi")))
      (write-region text nil out nil 'silent))))

(defun make-manual-texinfo ()
  "Export the manual beside itself."
  (make-manual-export (make-manual-file "org-agent.texi")))

(provide 'make-manual)
;;; make-manual.el ends here
