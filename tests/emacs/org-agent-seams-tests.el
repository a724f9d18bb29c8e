;;; org-agent-seams-tests.el --- Features that must know each other  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; What is right in each file and can still go wrong between two.

;;; Code:

(require 'org-agent-fake)
(require 'org-agent-rewrite)

(defun org-agent-seams-tests-definitions ()
  "Return what the files of the package define, each a list to compare.
Of a method these are its qualifiers and specializers as well."
  (let (found)
    (dolist (file (directory-files (file-name-directory (locate-library "org-agent"))
                                   t "\\`org-agent.*\\.el\\'"))
      (with-temp-buffer
        (insert-file-contents file)
        (condition-case nil
            (while t
              (pcase (read (current-buffer))
                (`(cl-defmethod ,name . ,rest)
                 (let (key)
                   (while (not (listp (car rest)))
                     (push (pop rest) key))
                   (push (list name (reverse key)
                               (mapcar (lambda (argument)
                                         (and (consp argument) (cadr argument)))
                                       (car rest)))
                         found)))
                (`(,(or 'defun 'defmacro 'cl-defgeneric) ,name . ,_)
                 (push (list name 'function) found))
                (`(,(or 'defvar 'defvar-local 'defconst 'defcustom) ,name ,_ . ,_)
                 (push (list name 'variable) found))))
          (end-of-file nil))))
    found))

(ert-deftest org-agent-nothing-is-defined-twice ()
  ;; A method with the qualifiers of another takes its place, and says nothing.
  (let ((definitions (org-agent-seams-tests-definitions))
        (seen (make-hash-table :test #'equal)))
    (should (> (length definitions) 500))
    (dolist (definition definitions)
      (ert-info ((format "%S" definition))
        (should-not (gethash definition seen)))
      (puthash definition t seen))))

;;;; Coming back

(ert-deftest org-agent-resumed-chat-asks-for-its-model-and-for-variants ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (let (asked)
      (cl-letf (((symbol-function 'org-agent--ask-model)
                 (lambda () (push 'model asked)))
                ((symbol-function 'org-agent--ask-variants)
                 (lambda (&rest _) (push 'variants asked))))
        (org-agent--handle :resumed (list :sessionId org-agent--session)))
      (should (memq 'model asked))
      (should (memq 'variants asked)))))

;;;; In a subtree, and elsewhere

(defmacro org-agent-seams-tests-in-subtree (&rest body)
  "Run BODY in a buffer of Org, at the input area of a subtree's chat."
  (declare (indent 0) (debug t))
  `(org-agent-fake-with
     (let ((buffer (generate-new-buffer "notes.org")))
       (unwind-protect
           (save-window-excursion
             (switch-to-buffer buffer)
             (org-mode)
             (insert "* Task\ntext\n* Other\n")
             (goto-char (point-min))
             (org-agent-chat-here)
             ,@body)
         (with-current-buffer buffer (org-agent-mode -1))
         (kill-buffer buffer)))))

(defun org-agent-seams-tests-ask ()
  "Send a question in the subtree at point, and wait until the server has it."
  (let ((chat (org-agent--chat-here)))
    (insert "question")
    (org-ctrl-c-ctrl-c)
    (org-agent-fake-until
     (lambda () (not (buffer-local-value 'org-agent--sending chat)))
     "the acknowledgement")
    (org-agent-fake-settle)))

(ert-deftest org-agent-menu-in-a-subtree-is-that-of-its-chat ()
  (org-agent-seams-tests-in-subtree
    (should (org-agent--chat-p))
    (org-agent-seams-tests-ask)
    (should-not (org-agent--card-in-sight))
    (let ((chat (org-agent--chat-here)))
      (org-agent-fake-shell "turn-1" 1 '(:cmd "date")
                            :sessionId (buffer-local-value 'org-agent--session chat))
      (should (org-agent--card-in-sight)))
    (goto-char (point-max))
    (should-not (org-agent--chat-p))
    (should-not (org-agent--card-in-sight))))

(ert-deftest org-agent-what-is-added-in-a-subtree-goes-to-its-chat ()
  (org-agent-seams-tests-in-subtree
    (let ((chat (org-agent--chat-here)))
      (org-agent-add-note)
      (should (equal (length (buffer-local-value 'org-agent--context chat)) 1)))
    (goto-char (point-max))
    (org-agent-add-note)
    (should (equal (length (buffer-local-value 'org-agent--context
                                               (get-buffer "*org-agent-chat*")))
                   1))))

(ert-deftest org-agent-why-is-known-of-a-prompt-in-a-subtree ()
  (org-agent-seams-tests-in-subtree
    (org-agent-seams-tests-ask)
    (goto-char (point-min))
    (search-forward "question")
    (org-agent-why)
    (org-agent-fake-settle)
    (should (equal (plist-get (car (org-agent-fake-sent 'orgAgent/why)) :turnId)
                   "turn-1"))))

(ert-deftest org-agent-suggestion-is-not-written-into-another-buffer ()
  (org-agent-fake-with
    (dolist (mode '(text-mode org-mode))
      (with-temp-buffer
        (funcall mode)
        (insert "my text\n")
        (should-error (org-agent-suggest (car org-agent-suggestions))
                      :type 'user-error)
        (should-error (call-interactively #'org-agent-suggest) :type 'user-error)
        (should (equal (buffer-string) "my text\n"))))))

;;;; Rewrites

(ert-deftest org-agent-chat-of-a-rewrite-knows-when-that-is-over ()
  (let ((org-agent--rewriting (make-hash-table :test #'equal))
        (org-agent--rewrites-changed nil))
    (org-agent-fake-with
      (with-temp-buffer
        (insert "old text")
        (org-agent-rewrite (point-min) (point-max) "shorten it")
        (org-agent-fake-settle)
        (with-current-buffer "*org-agent-chat*"
          ;; As from the list of sessions, when it runs.
          (org-agent--join "session-1")
          (org-agent--resumed (list :sessionId "session-1" :live ["turn-1"]))
          (should (org-agent--live-turn)))
        (org-agent-fake-state "turn-1" 1 "cancelled")
        (should-not (org-agent--rewrites))
        (with-current-buffer "*org-agent-chat*"
          (should-not (org-agent--live-turn)))))))

(ert-deftest org-agent-reply-under-a-rewrite-is-seen ()
  (let ((org-agent--rewriting (make-hash-table :test #'equal))
        (org-agent--rewrites-changed nil))
    (org-agent-seams-tests-in-subtree
      (org-agent-seams-tests-ask)
      (let ((end (save-excursion (goto-char (point-min)) (search-forward "* Other")
                                 (line-beginning-position)))
            (chat (org-agent--chat-here)))
        (org-agent-rewrite (point-min) end "shorten it")
        (org-agent-fake-settle)
        (let ((overlay (org-agent--rewrite-overlay (car (org-agent--rewrites)))))
          (org-agent-fake-delta "turn-2" 1 "new text")
          (should (overlay-get overlay 'display))
          (org-agent-fake-insert "turn-1" 1 "the reply" "act-1"
                                 (buffer-local-value 'org-agent--session chat))
          (org-agent-fake-settle)
          (should (string-search "the reply" (buffer-string)))
          (should-not (overlay-get overlay 'display)))))))

;;;; Tiny windows

(ert-deftest org-agent-reply-streams-into-a-window-of-one-line ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (dolist (rows '(1 2 3))
      (dolist (width '(1 10))
        (cl-letf (((symbol-function 'org-agent--room) (lambda () (list rows width))))
          (org-agent-fake-delta "turn-1" (+ (* rows 10) width) "words of a reply\nmore "))))
    (org-agent-fake-insert "turn-1" 100 "words" "act-1")
    (should (string-search "words" (buffer-string)))
    (dolist (rows '(-1 0 1))
      (should (stringp (org-agent--excerpt "a\nb" "" 3 rows 10 'default)))
      (should (stringp (org-agent--excerpt "long words" "the end" 1000 rows 0
                                           'default))))))

;;;; A recording in the selected window

(ert-deftest org-agent-messages-are-answered-while-a-recording-is-looked-at ()
  (org-agent-fake-with
    (with-temp-buffer
      (setq org-agent--detached t)
      (org-agent--enqueue
       (lambda ()
         (org-agent--request 'orgAgent/capabilities '(:limit 1) #'ignore #'ignore)))
      (setq org-agent-fake-log nil)
      (org-agent--drain)
      ;; By itself it still sends nothing.
      (should-error (org-agent--request 'orgAgent/why nil #'ignore #'ignore)
                    :type 'user-error))
    (org-agent-fake-settle)
    (should (org-agent-fake-sent 'orgAgent/capabilities))))

(provide 'org-agent-seams-tests)
;;; org-agent-seams-tests.el ends here
