;;; org-agent-keeping-tests.el --- What is done with sessions in their list  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Code:

(require 'org-agent-browser-tests)

(defun org-agent-keeping-tests-said (keys)
  "Press KEYS, wait, and return what was said, oldest first."
  (org-agent-tests-said
    (condition-case problem
        (org-agent-fake-keys keys)
      (user-error (message "%s" (error-message-string problem))))
    (org-agent-browser-tests-settle)))

(defun org-agent-keeping-tests-changes (method key)
  "Let the fake server do METHOD, which gives a session what has KEY."
  (push (cons method
              (lambda (params)
                (org-agent-browser-tests-change params key (plist-get params key))))
        org-agent-fake-answers))


;;;; Changing

(ert-deftest org-agent-browser-renames-and-labels ()
  (org-agent-browser-tests-with (mapcar #'org-agent-browser-tests-session '(0 1 2))
    (org-agent-keeping-tests-changes 'orgAgent/sessions/rename :title)
    (org-agent-browser-tests-go "Chat 1")
    (should (equal (org-agent-keeping-tests-said "r C-a C-k Another SPC one RET")
                   (list (format-message "org-agent: `Chat 1' is `Another one' now"))))
    (should (equal (org-agent-fake-sent 'orgAgent/sessions/rename)
                   '((:sessionId "s1" :title "Another one"))))
    (should (equal (org-agent-browser-tests-titles) '("Chat 0" "Another one" "Chat 2")))
    (should (equal (tabulated-list-get-id) '("s1")))
    (push (cons 'orgAgent/sessions/label
                (lambda (params)
                  (org-agent-browser-tests-change
                   params :group (plist-get params :group)
                   :tags (plist-get params :tags))))
          org-agent-fake-answers)
    (org-agent-fake-keys "l thesis RET draft SPC @home RET")
    (org-agent-browser-tests-settle)
    (should (equal (org-agent-browser-tests-last 'orgAgent/sessions/label)
                   '(:sessionId "s1" :group "thesis" :tags ["draft" "@home"])))
    (should (equal (car (last (nth 1 (org-agent-browser-tests-rows))))
                   "thesis :draft:@home:"))
    ;; What is there is offered, and can be taken away.
    (org-agent-fake-keys "l C-a C-k RET C-a C-k RET")
    (org-agent-browser-tests-settle)
    (should (equal (org-agent-browser-tests-last 'orgAgent/sessions/label)
                   '(:sessionId "s1" :group nil :tags [])))
    (should (equal (car (last (nth 1 (org-agent-browser-tests-rows)))) ""))))

(ert-deftest org-agent-browser-changes-all-that-is-marked ()
  (org-agent-browser-tests-with (mapcar #'org-agent-browser-tests-session '(0 1 2 3))
    (org-agent-keeping-tests-changes 'orgAgent/sessions/archive :archived)
    (goto-char (point-min))
    (should (equal (org-agent-keeping-tests-said "m m a")
                   '("org-agent: 2 sessions are archived")))
    (should (equal (org-agent-fake-sent 'orgAgent/sessions/archive)
                   '((:sessionId "s0" :archived t) (:sessionId "s1" :archived t))))
    (should (equal (org-agent-browser-tests-titles) '("Chat 2" "Chat 3")))
    ;; They are still there, and come back.
    (org-agent-fake-keys "/ a / a")
    (org-agent-browser-tests-settle)
    (should (equal (mapcar #'cadr (org-agent-browser-tests-rows))
                   '("archived" "archived" "active" "active")))
    (org-agent-browser-tests-go "Chat 1")
    (should (equal (org-agent-keeping-tests-said "a")
                   (list (format-message "org-agent: `Chat 1' is archived no more"))))
    (should (equal (mapcar #'cadr (org-agent-browser-tests-rows))
                   '("archived" "active" "active" "active")))
    ;; Some went well, some did not.
    (push (cons 'orgAgent/sessions/pause
                (lambda (params)
                  (if (equal (plist-get params :sessionId) "s2")
                      (org-agent-fake-refuse "conflict")
                    (org-agent-browser-tests-change params :status "paused"))))
          org-agent-fake-answers)
    (org-agent-browser-tests-go "Chat 1")
    (should (equal (org-agent-keeping-tests-said "m m P")
                   (list (format-message "org-agent: `Chat 1' is paused; refused (a hint)"))))
    (org-agent-fake-keys "U")
    (org-agent-browser-tests-go "Chat 1")
    (org-agent-fake-keys "P")
    (org-agent-browser-tests-settle)
    (should (equal (org-agent-browser-tests-last 'orgAgent/sessions/pause)
                   '(:sessionId "s1" :paused :json-false)))
    (org-agent-fake-keys "c")
    (org-agent-browser-tests-settle)
    (should (equal (org-agent-fake-sent 'orgAgent/sessions/complete)
                   '((:sessionId "s1"))))))

;;;; Opening

(ert-deftest org-agent-browser-opens-the-buffer-that-is-there ()
  (org-agent-browser-tests-with (list (org-agent-browser-tests-session
                                       1 :id "session-1"))
    (let ((list (current-buffer)))
      (set-buffer (car (org-agent--chats)))
      (org-agent-fake-send "question")
      (let ((chat (current-buffer)))
        (switch-to-buffer list)
        (org-agent-fake-keys "g")
        (org-agent-browser-tests-settle)
        (org-agent-fake-keys "RET")
        (should (eq (window-buffer) chat))
        (switch-to-buffer list)
        (delete-other-windows)
        (org-agent-fake-keys "o")
        (should (eq (window-buffer) chat))
        (should (get-buffer-window list))
        (should-not (org-agent-fake-sent 'orgAgent/sessions/export))))))

(ert-deftest org-agent-browser-makes-a-chat-again ()
  (org-agent-browser-tests-with
      (list (org-agent-browser-tests-session 1 :buffer "*mine*")
            (org-agent-browser-tests-session 2 :buffer "notes.org" :title "In a file"))
    (setq org-agent-fake-transcript (org-agent-fake-said "s1" '(1 "first" "reply")
                                                         '(2 "second" "more")))
    (let ((list (current-buffer)) (default-directory org-agent-fake-directory))
      (org-agent-fake-keys "RET")
      (org-agent-browser-tests-settle)
      (should (equal (buffer-name (window-buffer)) "*mine*"))
      (with-current-buffer (window-buffer)
        (should (derived-mode-p 'org-agent-chat-mode))
        (should (equal (buffer-string) (concat org-agent-fake-transcript "* USER\n")))
        (should (equal org-agent--session "s1"))
        (should (eobp)))
      ;; Once more it is the same one.
      (switch-to-buffer list)
      (org-agent-fake-keys "RET")
      (should (equal (buffer-name (window-buffer)) "*mine*"))
      (should (= (length (org-agent-fake-sent 'orgAgent/sessions/export)) 1))
      ;; A file's name is not taken; C-o stays in the list.
      (switch-to-buffer list)
      (setq org-agent-fake-transcript (org-agent-fake-said "s2" '(3 "third" "text")))
      (org-agent-browser-tests-go "In a file")
      (org-agent-fake-keys "C-o")
      (org-agent-browser-tests-settle)
      (should (eq (window-buffer) list))
      (should (get-buffer-window "*org-agent-chat In a file*"))
      ;; What another Emacs has is not opened.
      (kill-buffer "*mine*")
      (push (cons 'orgAgent/sessions/resume (lambda (_) (org-agent-fake-refuse "conflict")))
            org-agent-fake-answers)
      (org-agent-browser-tests-go "Chat 1")
      (should (equal (org-agent-keeping-tests-said "RET")
                     '("org-agent: not opened: the chat is open in another Emacs")))
      (should (eq (window-buffer) list))
      (should-not (get-buffer "*mine*")))))

(ert-deftest org-agent-browser-does-not-take-a-window-that-was-left ()
  (org-agent-browser-tests-with (list (org-agent-browser-tests-session 1 :buffer "*mine*"))
    (setq org-agent-fake-transcript (org-agent-fake-said "s1" '(1 "first" "reply")))
    (org-agent-fake-keys "RET")
    (switch-to-buffer "*scratch*")
    (should (equal (org-agent-tests-said (org-agent-browser-tests-settle))
                   (list (format-message "The chat is in `*mine*'"))))
    (should (equal (buffer-name (window-buffer)) "*scratch*"))))

(ert-deftest org-agent-browser-goes-to-the-heading-of-a-session ()
  (let ((file (make-temp-file "org-agent" nil ".org")))
    (unwind-protect
        (org-agent-browser-tests-with (list (org-agent-browser-tests-session 1 :id "in-file"))
          (let ((list (current-buffer)))
            (with-temp-file file
              (insert "* One\ntext\n* Two\n** Chat\n:PROPERTIES:\n:OA_SESSION: in-file\n"
                      ":END:\n*** USER\n* Three\n"))
            (find-file-noselect file)
            (with-current-buffer (get-file-buffer file)
              (goto-char (point-max))
              (narrow-to-region (point-min) 10))
            (org-agent-fake-keys "RET")
            (should (equal (buffer-file-name (window-buffer)) file))
            (with-current-buffer (window-buffer)
              (should (looking-at "\\*\\* Chat"))
              (should-not (org-invisible-p))
              (set-buffer-modified-p nil)
              (kill-buffer))
            (should-not (org-agent-fake-sent 'orgAgent/sessions/export))
            (switch-to-buffer list)))
      (delete-file file))))

(ert-deftest org-agent-browser-opens-at-what-was-found ()
  (org-agent-browser-tests-with (list (org-agent-browser-tests-session 1 :buffer "*mine*"))
    (setq org-agent-fake-transcript
          (org-agent-fake-said "s1" '(1 "first foo" "a reply\nthat has\tfoo (and more)")
                               '(2 "second" "more")))
    (push (cons 'orgAgent/sessions/search
                (lambda (_)
                  (list :complete t :nextCursor nil
                        :items (vector (org-agent-browser-tests-hit 1 :title "Prompt")
                                       (org-agent-browser-tests-hit
                                        1 :title "Reply" :messageId "logged"
                                        :snippet "…reply that has foo (and…")
                                       (org-agent-browser-tests-hit
                                        1 :title "Outcome" :messageId "other"
                                        :snippet "nowhere")))))
          org-agent-fake-answers)
    (let ((list (current-buffer)))
      (org-agent--browser-look "foo")
      (org-agent-browser-tests-settle)
      (pcase-dolist (`(,title . ,text) '(("Prompt" . "first foo")
                                         ("Reply" . "reply\nthat has\tfoo")))
        (switch-to-buffer list)
        (org-agent-browser-tests-go title)
        (org-agent-fake-keys "RET")
        (org-agent-browser-tests-settle)
        (with-current-buffer (window-buffer)
          (should (equal (buffer-name) "*mine*"))
          (should (= (point) (window-point)))
          (should (looking-at text))
          (should-not (org-invisible-p))))
      ;; What is in no buffer leaves point where it is.
      (let ((point (with-current-buffer "*mine*" (point))))
        (switch-to-buffer list)
        (org-agent-browser-tests-go "Outcome")
        (org-agent-fake-keys "RET")
        (should (= (with-current-buffer "*mine*" (point)) point))))))

(ert-deftest org-agent-browser-forks-and-opens-the-copy ()
  (org-agent-browser-tests-with (list (org-agent-browser-tests-session 1))
    (setq org-agent-fake-transcript (org-agent-fake-said "session-2" '(1 "first" "reply")))
    (push (cons 'orgAgent/sessions/fork
                (lambda (params)
                  (org-agent-browser-tests-session
                   9 :id "session-2" :buffer (plist-get params :buffer))))
          org-agent-fake-answers)
    (org-agent-fake-keys "f")
    (org-agent-browser-tests-settle)
    (let ((sent (org-agent-browser-tests-last 'orgAgent/sessions/fork)))
      (should (equal (plist-get sent :sessionId) "s1"))
      (should (equal (plist-get sent :buffer) (buffer-name (window-buffer))))
      (should-not (plist-member sent :messageId)))
    (with-current-buffer (window-buffer)
      (should (equal org-agent--session "session-2"))
      (should (equal (buffer-string) (concat org-agent-fake-transcript "* USER\n"))))))

;;;; Turns

(ert-deftest org-agent-browser-runs-interrupted-turns-again-or-drops-them ()
  (org-agent-browser-tests-with (list (org-agent-browser-tests-session
                                       1 :status "failed" :buffer "*mine*"))
    (push (cons 'orgAgent/sessions/resume
                (lambda (params)
                  (append
                   (unless (or (plist-get params :drop)
                               (not (equal (plist-get params :turns) [])))
                     (list :interrupted [(:turnId "turn-1" :eventId "event-1")]))
                   (org-agent-fake-default 'orgAgent/sessions/resume params))))
          org-agent-fake-answers)
    (should (equal (org-agent-keeping-tests-said "C-u R")
                   '("org-agent: what was interrupted is let go")))
    (should (equal (org-agent-browser-tests-last 'orgAgent/sessions/resume)
                   '(:sessionId "s1" :applied [] :turns [] :drop ["turn-1"])))
    (should-not (get-buffer "*mine*"))
    (setq org-agent-fake-transcript (org-agent-fake-said "s1" '(1 "first")))
    (org-agent-fake-keys "R")
    (org-agent-browser-tests-settle)
    (should (equal (buffer-name (window-buffer)) "*mine*"))
    (should (equal (org-agent-browser-tests-last 'orgAgent/sessions/resume)
                   '(:sessionId "s1" :applied [] :turns ["turn-1"])))))

(ert-deftest org-agent-browser-cancels ()
  (org-agent-browser-tests-with (list (org-agent-browser-tests-session 1 :status "running"))
    (should (equal (org-agent-keeping-tests-said "C-c C-k")
                   '("Nothing runs in this session")))
    (push (cons 'orgAgent/sessions/resume
                (lambda (params)
                  (append (list :live ["turn-1" "turn-2"])
                          (org-agent-fake-default 'orgAgent/sessions/resume params))))
          org-agent-fake-answers)
    (org-agent-fake-keys "C-c C-k")
    (org-agent-browser-tests-settle)
    (should (equal (org-agent-fake-sent 'orgAgent/cancel)
                   '((:turnId "turn-1") (:turnId "turn-2"))))))

;;;; Exporting and deleting

(ert-deftest org-agent-browser-exports-and-asks-before-it-replaces ()
  (org-agent-browser-tests-with (list (org-agent-browser-tests-session
                                       1 :id "abcdef0123456789" :title "Über: a/b"))
    (setq org-agent-fake-transcript "* USER\nwörds \U0001F600\n")
    (let* ((default-directory (file-name-as-directory org-agent-fake-directory))
           (file (expand-file-name "Über-a-b-abcdef01.org"))
           (read (lambda ()
                   (with-temp-buffer
                     (insert-file-contents-literally file)
                     (decode-coding-string (buffer-string) 'utf-8-unix))))
           (asked nil))
      (cl-letf (((symbol-function 'yes-or-no-p)
                 (lambda (question) (push question asked) nil)))
        (setq-local default-directory default-directory)
        (org-agent-fake-keys "e RET")
        (org-agent-browser-tests-settle)
        (should-not asked)
        (should (equal (funcall read) org-agent-fake-transcript))
        (should (= (file-modes file) #o600))
        (setq org-agent-fake-transcript "* USER\nother\n")
        (should (equal (org-agent-keeping-tests-said "e RET") '("Nothing is written")))
        (should (= (length asked) 1))
        (should (string-search "wörds" (funcall read)))
        (should (= (length (org-agent-fake-sent 'orgAgent/sessions/export)) 1)))
      (cl-letf (((symbol-function 'yes-or-no-p) #'always))
        (org-agent-fake-keys "e RET")
        (org-agent-browser-tests-settle)
        (should (equal (funcall read) "* USER\nother\n")))
      ;; What came to be there meanwhile is not replaced, and nothing is left behind.
      (delete-file file)
      (org-agent-fake-keys "e RET")
      (write-region "mine" nil file nil 'silent)
      (should (string-search "File already exists"
                             (car (org-agent-tests-said (org-agent-browser-tests-settle)))))
      (should (equal (funcall read) "mine"))
      (should-not (directory-files org-agent-fake-directory nil "part")))))

(ert-deftest org-agent-browser-deletes-after-a-question-only ()
  (org-agent-browser-tests-with
      (cons (org-agent-browser-tests-session 9 :status "running" :updatedAt 2000009000)
            (mapcar #'org-agent-browser-tests-session '(0 1 2 3)))
    (let* ((questions nil) (choice ?q)
           (default-directory (file-name-as-directory org-agent-fake-directory)))
      (setq-local default-directory default-directory)
      (push (cons 'orgAgent/sessions/delete
                  (lambda (params)
                    (org-agent-fake-tell 'orgAgent/sessions/changed
                                         :sessionId (plist-get params :sessionId)
                                         :changes ["chat.session.deleted"])
                    (list :deleted t :sessionId (plist-get params :sessionId) :org "")))
            org-agent-fake-answers)
      (cl-letf (((symbol-function 'read-multiple-choice)
                 (lambda (question choices &rest _)
                   (push question questions)
                   (assq choice choices))))
        (should (equal (org-agent-keeping-tests-said "x")
                       '("Nothing is flagged; d flags the session of a line")))
        ;; Not while a turn runs.
        (goto-char (point-min))
        (should (equal (org-agent-keeping-tests-said "d d x")
                       (list (format-message "A turn runs in `Chat 9'; C-c C-k on its line cancels it"))))
        (should-not questions)
        (goto-char (point-min))
        (should (equal (org-agent-keeping-tests-said "u d x") '("Nothing is deleted")))
        (should (equal questions (list (format-message "`Chat 0' with 2 messages will be gone for good, \
and what is behind them.  This cannot be undone"))))
        (should-not (org-agent-fake-sent 'orgAgent/sessions/delete))
        (setq choice ?d)
        (should (equal (org-agent-keeping-tests-said "d x")
                       '("org-agent: 2 sessions are deleted")))
        (should (string-search "2 sessions with 4 messages" (car questions)))
        (should (equal (org-agent-browser-tests-titles) '("Chat 9" "Chat 2" "Chat 3")))
        ;; An export first: what was not written is not deleted.
        (setq choice ?e
              org-agent-fake-transcript "* USER\nwords\n")
        (push (cons 'orgAgent/sessions/export
                    (lambda (params)
                      (if (equal (plist-get params :sessionId) "s2")
                          (org-agent-fake-refuse "internal")
                        (org-agent-fake-default 'orgAgent/sessions/export params))))
              org-agent-fake-answers)
        (org-agent-browser-tests-go "Chat 2")
        (should (equal (org-agent-keeping-tests-said "d d x RET")
                       '("org-agent: 1 of 2 sessions are exported; refused (a hint)"
                         "org-agent: 1 session is deleted")))
        (should (equal (org-agent-browser-tests-titles) '("Chat 9" "Chat 2")))
        (should (equal (mapcar (lambda (params) (plist-get params :sessionId))
                               (org-agent-fake-sent 'orgAgent/sessions/delete))
                       '("s0" "s1" "s3")))
        (should (equal (directory-files org-agent-fake-directory nil "org\\'")
                       '("Chat-3-s3.org")))
        ;; The server's no is told, and the row stays.
        (setq choice ?d)
        (push (cons 'orgAgent/sessions/delete
                    (lambda (_) (org-agent-fake-refuse "conflict")))
              org-agent-fake-answers)
        (should (equal (org-agent-keeping-tests-said "x")
                       '("org-agent: refused (a hint)")))
        (should (equal (org-agent-browser-tests-titles) '("Chat 9" "Chat 2")))))))

(provide 'org-agent-keeping-tests)
;;; org-agent-keeping-tests.el ends here
