;;; org-agent-seams-tests.el --- Features that must know each other  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; What is right in each file and can still go wrong between two.

;;; Code:

(require 'org-agent-fake)

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

(provide 'org-agent-seams-tests)
;;; org-agent-seams-tests.el ends here
