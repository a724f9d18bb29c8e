;;; org-agent-capture-tests.el --- Captures and exports  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; With Org's own capture and its own exporters.

;;; Code:

(require 'org-capture)
(require 'ox-ascii)
(require 'ox-html)
(require 'ox-md)
(require 'org-agent-places-tests)

;;;; Capture

(defmacro org-agent-tests-capture (template &rest body)
  "Capture with TEMPLATE, run BODY in the capture buffer, and finish."
  (declare (indent 1) (debug t))
  `(let ((org-capture-templates (list ,template)))
     ;; Bookmarks would be saved in the user's file; the option has another name since Org 9.7.
     (cl-letf (((symbol-function 'bookmark-set) #'ignore)
               ((symbol-function 'bookmark-store) #'ignore))
       (org-capture nil "t"))
     ,@body
     (cl-letf (((symbol-function 'bookmark-set) #'ignore)
               ((symbol-function 'bookmark-store) #'ignore))
       (org-capture-finalize))))

(ert-deftest org-agent-capture-a-question-about-the-region ()
  (org-agent-fake-with
    (let ((chat (current-buffer)))
      (goto-char (point-max))
      (org-agent-fake-type "Draft.")
      (with-temp-buffer
        (switch-to-buffer (current-buffer))
        (insert "%(insert \"evil\") %^{ask} %? 100% %\\1\n")
        (transient-mark-mode 1)
        (set-mark (point-min))
        (activate-mark)
        (org-agent-tests-capture
            '("t" "Ask" plain (function org-agent-capture-input)
              "%(org-agent-capture-region)%?" :no-save t)
          (insert "What does it do?")))
      (with-current-buffer chat
        (should (equal (org-agent--prompt)
                       (concat "Draft.\n%(insert \"evil\") %\u200b^{ask} %\u200b? 100% "
                               "%\u200b\\1\nWhat does it do?")))
        (org-agent-capture-send)
        (org-agent-fake-settle)
        (should (= (length (org-agent-fake-sent 'orgAgent/event)) 1))))))

(ert-deftest org-agent-capture-aborted-sends-nothing ()
  (org-agent-fake-with
    (let ((org-capture-after-finalize-hook '(org-agent-capture-send))
          (org-capture-templates
           '(("t" "Ask" plain (function org-agent-capture-input) "words %?"
              :no-save t)))
          (chat (current-buffer)))
      (with-temp-buffer
        (switch-to-buffer (current-buffer))
        (org-capture nil "t")
        (org-capture-kill))
      (org-agent-fake-settle)
      (should-not (org-agent-fake-sent 'orgAgent/event))
      (with-temp-buffer
        (switch-to-buffer (current-buffer))
        (org-capture nil "t")
        (org-capture-finalize))
      (org-agent-fake-settle)
      (should (equal (plist-get (car (org-agent-fake-sent 'orgAgent/event)) :text)
                     "words"))
      (with-current-buffer chat
        (should (string-empty-p (org-agent--prompt)))))))

(ert-deftest org-agent-capture-a-note-from-a-reply ()
  (org-agent-tests-two-turns
    (org-agent-fake-send "Third")
    (org-agent-fake-insert "turn-3" 1
                           "%^{ask}C %? %(kill-emacs)\n*** Part\n#+call: f()\n")
    (let ((file (expand-file-name "notes.org" org-agent-fake-directory))
          (org-stored-links nil))
      (org-agent-tests-at "Part\n#")
      (org-agent-tests-capture
          `("t" "Note" entry (file ,file) "* %?\n%(org-agent-capture-reply)%a")
        (insert "My title"))
      (with-current-buffer (find-file-noselect file)
        (should (equal (buffer-string)
                       (concat "* My title\n#+begin_src org\n"
                               "%\u200b^{ask}C %\u200b? %(kill-emacs)\n,*** Part\n,#+call: f()\n"
                               "#+end_src\n"
                               "[[org-agent:session-1/act-turn-3][Third]]\n"))))
      (org-agent-tests-forget-files)
      ;; Of a prompt, only that.
      (org-agent-tests-at "And that")
      (should (equal (org-agent--text-here) "And that?\n"))
      (goto-char (point-max))
      (should-not (org-agent--text-here)))))

;;;; Export

(ert-deftest org-agent-export-writes-the-record ()
  (org-agent-tests-two-turns
    (setq org-agent-fake-transcript "* USER\nä\u200b\n")
    (let ((file (expand-file-name "out.org" org-agent-fake-directory))
          (read (lambda (file) (with-temp-buffer
                                 (set-buffer-multibyte nil)
                                 (insert-file-contents-literally file)
                                 (buffer-string))))
          (asked 0))
      (org-agent-export file)
      (org-agent-fake-settle)
      (should (equal (funcall read file)
                     (encode-coding-string org-agent-fake-transcript 'utf-8-unix)))
      ;; It asks before something goes, and only then.
      (setq org-agent-fake-transcript "* USER\nother\n")
      (cl-letf (((symbol-function 'y-or-n-p) (lambda (_) (cl-incf asked) nil)))
        (should-error (org-agent-export file) :type 'user-error))
      (cl-letf (((symbol-function 'y-or-n-p) (lambda (_) (cl-incf asked) t)))
        (org-agent-export file))
      (org-agent-fake-settle)
      (should (= asked 2))
      (should (equal (funcall read file) "* USER\nother\n"))
      ;; What came to be there meanwhile stays.
      (delete-file file)
      (org-agent-export file)
      (write-region "mine" nil file nil 'silent)
      (org-agent-fake-settle)
      (should (equal (funcall read file) "mine")))))

(ert-deftest org-agent-export-by-org-leaves-drawers-out ()
  (org-agent-tests-two-turns
    ;; The first prompt has a link that leads nowhere.
    (dolist (backend '(ascii html md))
      (let ((text (org-export-as backend)))
        (dolist (word '("And that?" "Second." "deep"))
          (should (string-search word text)))
        (dolist (word '("OA_EVENT" "OA_ACT" "OA_SESSION" "PROPERTIES" "event-2"))
          (should-not (string-search word text)))))))

(provide 'org-agent-capture-tests)
;;; org-agent-capture-tests.el ends here
