;;; org-agent-complete-tests.el --- Completion in the input area  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; What completes behind @, where, and what comes of it.

;;; Code:

(require 'org-agent-context-tests)

(defmacro org-agent-tests-with-files (files &rest body)
  "Run BODY in a chat whose directory has FILES, all of which are known."
  (declare (indent 1) (debug t))
  `(org-agent-fake-with
     (dolist (name ,files)
       (org-agent-tests-file (concat "project/" name) (concat "text of " name)))
     (setq default-directory
           (file-name-as-directory (expand-file-name "project" org-agent-fake-directory)))
     (org-agent-tests-list-files)
     (goto-char (point-max))
     ,@body))

(defun org-agent-tests-list-files ()
  "List the files below this directory, and wait until that is done."
  (setq org-agent--files nil)
  (org-agent--files-refresh)
  (org-agent-fake-until (lambda () (not org-agent--files-job)) "the files")
  (sort (copy-sequence (org-agent--files-here)) #'string<))

(defun org-agent-tests-completions (text)
  "Type TEXT and return what completes there, or `none' if nothing is asked."
  (let ((start (point)))
    (insert text)
    (prog1 (pcase (org-agent--mention-complete)
             (`(,beg ,end ,table . ,_)
              (sort (all-completions (buffer-substring beg end) table) #'string<))
             (_ 'none))
      (delete-region start (point)))))

(ert-deftest org-agent-file-completes-and-goes-along ()
  (org-agent-tests-with-files '("src/main.c" "src/other.c" "a b.txt")
    (org-agent-fake-type "look at (@src/ma")
    (org-agent-fake-keys "C-M-i")
    (org-agent-fake-type ") and @a")
    (completion-at-point)
    (should (equal (org-agent--prompt) "look at (@src/main.c) and @a b.txt"))
    (should (equal (mapcar #'org-agent--chip-name org-agent--context)
                   '("a b.txt" "src/main.c")))
    (org-agent-fake-type "?")
    (org-agent-fake-keys "C-c C-c")
    (org-agent-fake-settle)
    (should (equal (org-agent-tests-sent-context)
                   '((:kind "file" :name "src/main.c" :text "text of src/main.c")
                     (:kind "file" :name "a b.txt" :text "text of a b.txt"))))))

(ert-deftest org-agent-buffer-completes-and-goes-along ()
  (org-agent-tests-with-files '("known.txt")
    (let ((buffer (generate-new-buffer "quite-unmistakable")))
      (with-current-buffer buffer (insert "its text"))
      (generate-new-buffer " hidden-one")
      (org-agent-fake-type "@quite-u")
      (org-agent-fake-keys "C-M-i")
      (should (equal (org-agent--prompt) "@quite-unmistakable"))
      (should (equal (org-agent-tests-completions " @quite") '("quite-unmistakable")))
      (dolist (name '(" hidden-one" "hidden-one" "*org-agent-chat*"))
        (should-not (member name (org-agent-tests-completions " @"))))
      (kill-buffer buffer)
      (kill-buffer " hidden-one")
      ;; It is gone, and that is said instead of sending nothing.
      (should-error (org-agent-send) :type 'user-error))))

(ert-deftest org-agent-other-completion-at-the-same-place-is-meant-instead ()
  (org-agent-tests-with-files '("main.c" "main.cpp")
    (insert "@main.c")
    (pcase-let* ((`(,beg ,end ,table . ,plist) (org-agent--mention-complete))
                 (exit (plist-get plist :exit-function)))
      (should (equal (sort (all-completions (buffer-substring beg end) table) #'string<)
                     '("main.c" "main.cpp")))
      (should (equal (funcall (plist-get plist :annotation-function) "main.c") "  file"))
      (should (eq (plist-get plist :exclusive) 'no))
      (pcase-let ((`(metadata . ,metadata) (funcall table "" nil 'metadata)))
        (should (eq (alist-get 'category metadata) 'org-agent-mention))
        (should (equal (funcall (alist-get 'group-function metadata) "main.c" nil) "Files")))
      (funcall exit "main.c" 'exact)
      (should (equal (mapcar #'org-agent--chip-name org-agent--context) '("main.c")))
      (insert "pp")
      (funcall (plist-get (nthcdr 3 (org-agent--mention-complete)) :exit-function)
               "main.cpp" 'finished)
      (should (equal (mapcar #'org-agent--chip-name org-agent--context) '("main.cpp")))
      ;; Words that are no name mean nothing.
      (funcall exit "main" 'finished)
      (should (= 1 (length org-agent--context))))))

(ert-deftest org-agent-nothing-completes-where-the-character-is-another ()
  (org-agent-tests-with-files '("known.txt")
    (dolist (text '("@kn" "see @kn" "\n- item @kn" "| a | @kn" "(@kn" "\"@kn" "/italic/ @kn"
                    "#+begin_quote\nsaid @kn" "fn[1] @kn"))
      (should (equal (org-agent-tests-completions text) '("known.txt"))))
    (dolist (text '("me@kn" "a.b@kn" "[cite:@kn" "[cite:see @kn" "[cite/t: @kn" "@@kn" "known"
                    "mail me@x.org @kn@kn"))
      (should (eq (org-agent-tests-completions text) 'none)))
    (pcase-dolist (`(,before . ,after)
                   '(("#+begin_src java\n@kn" . "\n#+end_src\n")
                     ("#+begin_example\n@kn" . "\n#+end_example\n")
                     ("#+begin_export html\n@kn" . "\n#+end_export\n")
                     ("[cite:see @kn" . " p. 3]")
                     ("=code @kn" . "=") ("~code @kn" . "~")
                     ("[[https://x.org][by @kn" . "]]")
                     ("# by @kn" . "\n") ("#+AUTHOR: @kn" . "\n") (": by @kn" . "\n")
                     ("| 1 |\n#+TBLFM: $1= @kn" . "\n")
                     ("@@html: @kn" . "@@") ("$x @kn" . "$")))
      (let ((start (point)))
        (insert before)
        (save-excursion (insert after))
        (ert-info (before)
          (should-not (org-agent--mention-complete)))
        (delete-region start (point-max))))
    ;; Above the input nothing of it is anybody's business.
    (org-agent-fake-send "@kn")
    (goto-char (point-min))
    (search-forward "@kn")
    (should-not (org-agent--mention-complete))
    (should (memq 'pcomplete-completions-at-point completion-at-point-functions))))

(ert-deftest org-agent-files-are-listed-without-waiting ()
  (org-agent-tests-with-files '("b/c/d.txt" "a.txt" ".hidden/x" "b/.y" "new\nline")
    (should (equal (org-agent-tests-list-files) '("a.txt" "b/c/d.txt")))
    ;; For a while the list is kept.
    (org-agent-tests-file "project/later.txt" "")
    (org-agent--files-refresh)
    (should-not org-agent--files-job)
    (let ((org-agent--files-directories 2))
      (should (equal (org-agent-tests-list-files) '("a.txt" "later.txt"))))
    ;; Another directory has others.
    (setq default-directory (concat default-directory "b/"))
    (should-not (org-agent--files-here))
    (should (equal (org-agent-tests-list-files) '("c/d.txt")))
    (setq org-agent--files nil
          default-directory "/ssh:box:/srv/")
    (org-agent--files-refresh)
    (should-not org-agent--files-job)
    (setq default-directory "/tmp/")))

(ert-deftest org-agent-files-of-a-repository-are-those-of-git ()
  (skip-unless (executable-find "git"))
  (org-agent-tests-with-files '("src/ä.c" "target/out" ".gitignore" ".dotfile" "new\nline")
    (let ((touched (expand-file-name "touched" org-agent-fake-directory))
          (process-environment (cons "GIT_CONFIG_GLOBAL=/dev/null" process-environment)))
      (should (zerop (call-process "git" nil nil nil "init" "-q")))
      (write-region "target/\n" nil ".gitignore" nil 'silent)
      (should (zerop (call-process "git" nil nil nil "add" "src")))
      ;; What a project configures is not run.
      (call-process "git" nil nil nil "config" "core.fsmonitor" (concat "touch " touched))
      (should (equal (org-agent-tests-list-files) '(".dotfile" ".gitignore" "src/ä.c")))
      (should-not (file-exists-p touched))
      (let ((org-agent--files-bytes 10))
        (should (< (length (org-agent-tests-list-files)) 3)))
      ;; A buffer that is killed takes its process along.
      (let ((job (start-process "cat" nil "cat")))
        (setq org-agent--files-job job)
        (set-buffer-modified-p nil)
        (kill-buffer)
        (org-agent-fake-until (lambda () (not (process-live-p job))))))))

(ert-deftest org-agent-session-completes-and-goes-along ()
  (org-agent-tests-with-files nil
    (setq org-agent-fake-answers
          (list (cons 'orgAgent/sessions/list
                      (lambda (_)
                        '(:items [(:id "s-1" :title "The  lemon\nquestion" :archived :json-false)
                                  (:id "s-2" :title "The other" :archived t)
                                  (:id "session-1" :title "The one here" :archived :json-false)]
                                 :nextCursor nil)))
                (cons 'orgAgent/sessions/messages
                      (lambda (params)
                        (if (equal (plist-get params :sessionId) "session-1")
                            '(:items [] :nextCursor nil)
                          '(:items [(:role "user" :content "Is it sour?" :metadata (:kind "user"))
                                    (:role "assistant" :content "Yes.\n" :metadata (:kind "action"))]
                                   :nextCursor nil))))))
    (org-agent-fake-send "hello")
    (org-agent-fake-type "as in @")
    (org-agent-fake-settle)
    (org-agent-fake-type "The")
    (org-agent-fake-keys "C-M-i")
    (should (equal (org-agent--prompt) "as in @The  lemon question"))
    ;; What was said there comes when it comes.
    (should (string-match-p "on its way" (org-agent-tests-chips)))
    (should-error (org-agent-send) :type 'user-error)
    (org-agent-fake-settle)
    (should-not (string-match-p "on its way" (org-agent-tests-chips)))
    (org-agent-send)
    (org-agent-fake-settle)
    (should (equal (org-agent-tests-sent-context)
                   '((:kind "note" :name "The  lemon question"
                            :text "* USER\nIs it sour?\n** ASSISTANT\nYes.\n"
                            :mode "org-mode"))))
    ;; What cannot be had is said.
    (push (cons 'orgAgent/sessions/messages (lambda (_) (org-agent-fake-refuse "not_found")))
          org-agent-fake-answers)
    (org-agent-fake-type "@The")
    (org-agent-fake-keys "C-M-i")
    (org-agent-fake-settle)
    (should (string-match-p "cannot be sent: refused" (org-agent-tests-chips)))
    (should-error (org-agent-send) :type 'user-error)))

(ert-deftest org-agent-session-that-goes-along-is-bounded ()
  (let ((item (lambda (role text) (list :role role :content text :metadata nil))))
    (should (equal (org-agent--session-text
                    (list :items (vector (funcall item "user" "q") (funcall item "assistant" "a")
                                         (funcall item "system" "done"))
                          :nextCursor "more"))
                   "(What was said before is left out.)\n* USER\nq\n** ASSISTANT\na\n** SYSTEM\ndone\n"))
    (let ((text (org-agent--session-text
                 (list :items (vector (funcall item "user" "early")
                                      (funcall item "assistant" (make-string (ash 1 20) ?x))
                                      (funcall item "user" "late"))))))
      (should (string-prefix-p "(What was said before is left out.)\n** ASSISTANT\nx" text))
      (should (string-suffix-p "x...\n* USER\nlate\n" text))
      (should (< (length text) (+ 100 (ash 1 18)))))))

(ert-deftest org-agent-skills-complete-by-what-the-server-has-in-use ()
  (org-agent-fake-with
    (push (cons 'orgAgent/skills/list
                (lambda (_)
                  '(:items [(:name "pdf-forms" :triggers ["/pdf-forms" "model"]
                                   :description "Fills\nforms.")
                            (:name "chat" :triggers ["chat-message"] :description "Answers.")]
                           :nextCursor nil)))
          org-agent-fake-answers)
    (goto-char (point-max))
    (org-agent-fake-type "/")
    (org-agent-fake-settle)
    (org-agent-fake-type "p")
    (should (equal (funcall (plist-get (nthcdr 3 (org-agent--skill-complete))
                                       :annotation-function)
                            "pdf-forms")
                   "  Fills forms."))
    (org-agent-fake-keys "C-M-i")
    (should (equal (org-agent--prompt) "/pdf-forms"))
    (org-agent-fake-type " a/")
    (should-not (org-agent--skill-complete))
    ;; The skills are those of the directory, so of a project that is trusted.
    (should (equal (org-agent-fake-sent 'orgAgent/skills/list)
                   (list (list :limit 500
                               :directory (directory-file-name
                                           (expand-file-name default-directory))))))))

(provide 'org-agent-complete-tests)
;;; org-agent-complete-tests.el ends here
