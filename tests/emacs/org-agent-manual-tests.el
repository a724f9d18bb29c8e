;;; org-agent-manual-tests.el --- Whether the manual is true  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; What the package has stands in docs/org-agent.org, what stands there
;; the package has, keys do what is said beside them, links lead
;; somewhere, and it can be exported.

;;; Code:

(require 'cl-lib)
(require 'ert)
(require 'info)
(require 'org-element)
(require 'make-manual)
(require 'org-agent-real)

(defmacro org-agent-manual-tests--with (&rest body)
  "Run BODY in a buffer that has the manual."
  (declare (indent 0) (debug t))
  `(with-temp-buffer
     (insert-file-contents (make-manual-file "org-agent.org"))
     (let ((org-inhibit-startup t)) (delay-mode-hooks (org-mode)))
     ,@body))

(defun org-agent-manual-tests--all (regexp group)
  "Return what GROUP of REGEXP matches in this buffer, each once."
  (let ((case-fold-search nil) found)
    (goto-char (point-min))
    (while (re-search-forward regexp nil t)
      (push (match-string-no-properties group) found))
    (delete-dups (nreverse found))))

(ert-deftest org-agent-manual-has-the-reference-of-this-package ()
  (org-agent-manual-tests--with
    (let ((there (apply #'buffer-substring-no-properties (make-manual-reference-here)))
          (right (make-manual-text)))
      (unless (equal there right)
        (ert-fail (list "`make reference' writes it anew"
                        (cl-set-exclusive-or (split-string there "\n")
                                             (split-string right "\n")
                                             :test #'equal)))))))

(ert-deftest org-agent-manual-reference-has-everything ()
  "The generator leaves nothing out, which is looked for in another way."
  (let ((text (make-manual-text)) (missing nil) (found 0))
    (dolist (file (directory-files (expand-file-name "emacs" make-manual-root)
                                   t "\\`org-agent.*\\.el\\'"))
      (with-temp-buffer
        (insert-file-contents file)
        (goto-char (point-min))
        (while (re-search-forward
                (concat "^(\\(defun\\|defcustom\\|defface\\|define-minor-mode\\)"
                        " \\(org-agent-[^- \n)]+\\(?:-[^- \n)]+\\)*\\)[ \n]")
                nil t)
          (let ((kind (match-string 1)) (name (match-string 2)))
            (when (or (not (equal kind "defun"))
                      (save-excursion
                        (let ((end (save-excursion (end-of-defun) (point))))
                          (re-search-forward "^  (interactive\\_>" end t))))
              (cl-incf found)
              (unless (string-match-p (format "^- %s :: " (regexp-quote name)) text)
                (push name missing)))))))
    (should (> found 100))
    (should-not missing)))

(ert-deftest org-agent-manual-mentions-only-what-there-is ()
  (org-agent-manual-tests--with
    ;; By characters, as Org takes the marks of code for parts of a name.
    (let ((names (org-agent-manual-tests--all
                  "[^a-z/*-]\\(org-agent-\\(?:[a-z]+-\\)*[a-z]+\\)" 1)))
      (should (> (length names) 150))
      (should-not
       (seq-remove (lambda (name)
                     (let ((symbol (intern-soft name)))
                       (and symbol (or (fboundp symbol) (boundp symbol) (facep symbol)))))
                   names)))))

(ert-deftest org-agent-manual-has-what-is-loaded-first-in-its-prose ()
  "What an init file can call stands outside of the reference, too."
  (let (entries prose)
    (dolist (file (directory-files (expand-file-name "emacs" make-manual-root)
                                   t "\\`org-agent.*\\.el\\'"))
      (with-temp-buffer
        (insert-file-contents file)
        (setq entries
              (append (org-agent-manual-tests--all
                       (concat "^;;;###autoload\\(?: (autoload '\\|\n([a-z-]+ \\)"
                               "\\(org-agent[a-z-]*\\)")
                       1)
                      entries))))
    (org-agent-manual-tests--with
      (apply #'delete-region (make-manual-reference-here))
      (setq prose (buffer-string)))
    (should (> (length entries) 25))
    (should-not (seq-remove (lambda (name)
                              (string-match-p (format "[ ~]%s[~ ]" (regexp-quote name)) prose))
                            entries))))

;;;; Keys

(defun org-agent-manual-tests--rows ()
  "Return the rows of the table at point: lists of cells, without the first row."
  (let (rows)
    (while (looking-at "[ \t]*|")
      (unless (looking-at "[ \t]*|-")
        (push (mapcar #'string-trim
                      (split-string (string-trim (buffer-substring-no-properties
                                                  (point) (line-end-position))
                                                 "[ \t]*|" "|[ \t]*")
                                    "|"))
              rows))
      (forward-line 1))
    (cdr (nreverse rows))))

(defun org-agent-manual-tests--code (cell)
  "Return what CELL has between its marks."
  (and (string-match "\\`~\\([^~]+\\)~\\'" cell) (match-string 1 cell)))

(defun org-agent-manual-tests--bound (name key)
  "Return the command of KEY in the map NAME, whatever the conditions for it.
What the map has not, its mode's parents or all buffers have."
  (let ((map (symbol-value (intern-soft name)))
        (mode (intern-soft (string-remove-suffix "-map" name))))
    (or (car (rassoc key (make-manual--keys map)))
        (with-temp-buffer
          (when (and (string-suffix-p "-mode-map" name) (fboundp mode))
            (funcall mode))
          (let ((parent (keymap-parent map)))
            (or (and parent (make-manual-bound (lookup-key parent (kbd key))))
                (lookup-key global-map (kbd key))))))))

(ert-deftest org-agent-manual-tables-of-keys-are-right ()
  (org-agent-manual-tests--with
    (let ((indexed (org-agent-manual-tests--all "^#\\+kindex: \\(.*\\)" 1))
          (count 0) wrong)
      (goto-char (point-min))
      (while (re-search-forward "^# keys: \\(\\S-+\\)\n" nil t)
        (let ((name (match-string-no-properties 1)))
          (while (looking-at "#\\+") (forward-line 1))
          (dolist (row (org-agent-manual-tests--rows))
            (cl-incf count)
            (let ((key (org-agent-manual-tests--code (nth 0 row)))
                  (command (org-agent-manual-tests--code (nth 1 row))))
              (unless (and key command
                           (eq (intern-soft command)
                               (org-agent-manual-tests--bound name key))
                           (member (if (equal name "org-agent-command-map")
                                       (concat "C-c o " key)
                                     key)
                                   indexed))
                (push (cons name row) wrong))))))
      (should (> count 70))
      (should-not wrong)))
  ;; No table of keys is left out.
  (org-agent-manual-tests--with
    (goto-char (point-min))
    (while (re-search-forward "^| key" nil t)
      (forward-line -1)
      (while (looking-at "#\\+attr") (forward-line -1))
      (should (looking-at "# keys: "))
      (re-search-forward "^| key"))))

(ert-deftest org-agent-manual-keys-that-are-shown-as-pressed-are-bound ()
  "C-c C-c is Org's key; what it does in a chat is done from Org's hook."
  (with-temp-buffer
    (org-agent-chat-mode)
    (should (eq (key-binding (kbd "C-c C-c")) 'org-ctrl-c-ctrl-c))
    (should (memq #'org-agent--ctrl-c-ctrl-c org-ctrl-c-ctrl-c-hook))))

;;;; The guided session

(defun org-agent-manual-tests--say (words)
  "Say WORDS, which the guided session has, and return the last reply."
  (org-agent-manual-tests--with
    (goto-char (point-min))
    (re-search-forward "^\\* A guided session$")
    (let ((end (save-excursion (re-search-forward "^\\* ") (point))))
      (should (search-forward (format "=%s=" words) end t))))
  (org-agent-real-reply words)
  (org-agent-manual-tests--last))

(defun org-agent-manual-tests--last ()
  "Return the last reply of this chat."
  (save-excursion
    (goto-char (point-max))
    (re-search-backward "^\\*\\* ASSISTANT")
    (re-search-forward ":END:\n")
    (buffer-substring-no-properties (point) (progn (re-search-forward "^\\* USER")
                                                   (match-beginning 0)))))

(ert-deftest org-agent-manual-guided-session-is-as-it-says ()
  (org-agent-real-with nil '("ORG_AGENT_MODEL=offline")
    (setq default-directory home)
    (buffer-enable-undo)
    ;; The reply is a list, and one step of undo.
    (let ((list (org-agent-manual-tests--say "help"))
          (whole (buffer-string)))
      (should (string-match-p "^- =run: COMMAND= ::" list))
      (goto-char (point-min))
      (undo-boundary)
      (let ((last-command nil)) (undo))
      (should-not (string-match-p "ASSISTANT" (buffer-string)))
      (undo-boundary)
      (undo-redo 1)
      (should (equal (buffer-string) whole)))
    (should (> (length (split-string (org-agent-manual-tests--say "long: 40") "\n\n" t)) 39))
    ;; Nothing runs before it was decided.
    (goto-char (point-max))
    (insert "run: touch hello.txt")
    (org-agent-send)
    (org-agent-fake-until #'org-agent--card-here "the card")
    (org-agent-deny)
    (org-agent-fake-until (lambda () (seq-every-p #'org-agent--over-p (org-agent--turns-here))))
    (org-agent-fake-settle)
    (should (string-match-p "You did not let it run" (org-agent-manual-tests--last)))
    (should-not (file-exists-p (expand-file-name "hello.txt" home)))
    ;; A region goes along, once.
    (let ((chat (current-buffer)))
      (with-temp-buffer
        (insert "a few\nlines\n")
        (org-agent-send-region (point-min) (point-max)))
      (set-buffer chat)
      (should (equal (length org-agent--context) 1))
      (should (string-match-p "^this$" (org-agent-manual-tests--say "echo: this")))
      (should-not org-agent--context))
    ;; Another answer, and the one before it.
    (org-agent-regenerate)
    (org-agent-fake-until (lambda () (string-match-p "2/2" (org-agent-manual-tests--shown)))
                          "the second answer")
    (org-agent-previous-variant)
    (org-agent-fake-until (lambda () (string-match-p "1/2" (org-agent-manual-tests--shown)))
                          "the first answer")))

(defun org-agent-manual-tests--shown ()
  "Return what overlays show in this buffer and is no text of it."
  (mapconcat (lambda (overlay)
               (concat (overlay-get overlay 'before-string)
                       (overlay-get overlay 'after-string)))
             (overlays-in (point-min) (point-max)) ""))

;;;; Links

(ert-deftest org-agent-manual-anchors-are-those-of-its-headings ()
  "A page that shows the manual makes anchors of headings, Org of properties."
  (org-agent-manual-tests--with
    (let ((seen nil))
      (org-map-entries
       (lambda ()
         (unless (org-entry-get (point) "COPYING")
           (let ((id (org-entry-get (point) "CUSTOM_ID"))
                 (heading (org-get-heading t t t t)))
             (should (equal (cons heading id)
                            (cons heading (make-manual-anchor heading))))
             (should-not (member id seen))
             (push id seen)))))
      (should (> (length seen) 30)))))

(ert-deftest org-agent-manual-is-linked-to-where-it-has-something ()
  (let ((anchors (org-agent-manual-tests--with
                   (org-agent-manual-tests--all "^:CUSTOM_ID: \\(.*\\)" 1)))
        (count 0))
    (dolist (file (append (directory-files make-manual-root t "\\.md\\'")
                          (directory-files (make-manual-file "") t "\\.md\\'")))
      (with-temp-buffer
        (insert-file-contents file)
        (dolist (anchor (org-agent-manual-tests--all
                         "](\\(?:docs/\\)?org-agent\\.org#\\([^)]+\\))" 1))
          (cl-incf count)
          (should (equal (list file (car (member anchor anchors)))
                         (list file anchor))))))
    (should (> count 5))))

(ert-deftest org-agent-manual-links-lead-somewhere ()
  (org-agent-manual-tests--with
    (let ((anchors (org-agent-manual-tests--all "^:CUSTOM_ID: \\(.*\\)" 1)))
      (dolist (anchor (org-agent-manual-tests--all "\\[\\[#\\([^]]+\\)\\]" 1))
        (should (member anchor anchors)))
      (let ((files (org-agent-manual-tests--all "\\[\\[file:\\([^]]+\\)\\]" 1)))
        (should files)
        (dolist (file files)
          (should (file-exists-p (make-manual-file file))))))))

;;;; Export

(ert-deftest org-agent-manual-can-be-exported ()
  (let ((out (make-temp-file "org-agent-manual" nil ".texi")))
    (unwind-protect
        (progn
          (make-manual-export out)
          (with-temp-buffer
            (insert-file-contents out)
            (should (re-search-forward "^@setfilename org-agent.info$"))
            (should (re-search-forward "^\\* Org-Agent: (org-agent)\\."))
            (dolist (node '("Top" "Getting started" "Rewriting in place" "Key index"))
              (goto-char (point-min))
              (should (search-forward (format "\n@node %s\n" node) nil t)))
            ;; What an index is made of.
            (dolist (entry '("@printindex cp" "@printindex ky" "@printindex fn"
                             "@printindex vr" "@ftable @code\n@item org-agent-add-buffer"
                             "@vtable @code\n@item org-agent-command-timeout"))
              (goto-char (point-min))
              (should (search-forward (concat "\n" entry) nil t)))
            (dolist (mark '("[[" "]]" "#+"))
              (goto-char (point-min))
              (should-not (search-forward mark nil t)))))
      (delete-file out))))

(ert-deftest org-agent-manual-makes-info-without-a-warning ()
  (skip-unless (executable-find "makeinfo"))
  (let ((out (make-temp-file "org-agent-manual" t)))
    (unwind-protect
        (let ((default-directory (file-name-as-directory out)))
          (make-manual-export (expand-file-name "org-agent.texi"))
          (with-temp-buffer
            (should (equal (list (call-process "makeinfo" nil t nil "--no-split"
                                               "-I" (make-manual-file "")
                                               "org-agent.texi")
                                 (buffer-string))
                           '(0 ""))))
          (org-agent-manual-tests--follow (expand-file-name "org-agent.info")))
      (delete-directory out t))))

(defun org-agent-manual-tests--follow (file)
  "Follow each entry of each menu and each reference of the Info FILE."
  (save-window-excursion
    (let (nodes)
      (info file)
      (should (equal Info-current-node "Top"))
      (setq nodes (mapcar #'car (Info-build-node-completions)))
      (should (> (length nodes) 40))
      (dolist (node nodes)
        (unless (equal node "*")
          (Info-goto-node node)
          (dolist (target (org-agent-manual-tests--targets))
            (should (equal (list node target (car (member target nodes)))
                           (list node target target))))))
      (kill-buffer))))

(defun org-agent-manual-tests--targets ()
  "Return the nodes that this node's references and menu name."
  (let (found)
    (goto-char (point-min))
    (while (re-search-forward
            "\\*[Nn]ote\\s-+\\(?:[^:]*?:\\s-+\\([^.,:]+\\)[.,]\\|\\([^:]+\\)::\\)"
            nil t)
      (push (or (match-string-no-properties 1) (match-string-no-properties 2)) found))
    (goto-char (point-min))
    (when (re-search-forward "^\\* Menu:" nil t)
      (while (re-search-forward "^\\* \\(?:\\([^:\n]+\\)::\\|.*?: +\\([^.\n]+\\)\\.\\)" nil t)
        (push (or (match-string-no-properties 1) (match-string-no-properties 2)) found)))
    (mapcar (lambda (target) (replace-regexp-in-string "\\s-+" " " target)) found)))

(provide 'org-agent-manual-tests)
;;; org-agent-manual-tests.el ends here
