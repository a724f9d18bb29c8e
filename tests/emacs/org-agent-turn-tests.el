;;; org-agent-turn-tests.el --- Previews, commits, places  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Code:

(require 'org-agent-fake)

;;;; Preview

(ert-deftest org-agent-preview-is-no-text ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (let ((text (buffer-string))
          (undo buffer-undo-list)
          (file (expand-file-name "saved.org" org-agent-fake-directory)))
      (set-buffer-modified-p nil)
      (org-agent-fake-delta "turn-1" 1 "first ")
      (org-agent-fake-delta "turn-1" 2 "second")
      (should (equal (org-agent-fake-shown "turn-1")
                     "** ASSISTANT (not verified)\nfirst second\n"))
      (should (equal (buffer-string) text))
      (should (eq buffer-undo-list undo))
      (should-not (buffer-modified-p))
      (write-region nil nil file)
      (with-temp-buffer
        (insert-file-contents file)
        (should (equal (buffer-string) text)))
      (org-agent-fake-insert "turn-1" 3 "first second")
      (should-not (org-agent-fake-shown "turn-1"))
      (should-not (text-property-any (point-min) (point-max)
                                     'face 'org-agent-unverified)))))

(ert-deftest org-agent-retract-takes-the-preview-away ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (let ((text (buffer-string)))
      (org-agent-fake-delta "turn-1" 1 "wrong")
      (org-agent-fake-tell 'orgAgent/retract :turnId "turn-1" :attempt 1 :seq 2
                           :reason "unbalanced")
      (org-agent-fake-settle)
      (should-not (org-agent-fake-shown "turn-1"))
      (should (equal (buffer-string) text))
      (org-agent-fake-delta "turn-1" 3 "right" 2)
      (should (equal (org-agent-fake-shown "turn-1")
                     "** ASSISTANT (not verified)\nright\n"))
      ;; What is still said about the first attempt comes too late.
      (org-agent-fake-delta "turn-1" 4 "more wrong" 1)
      (should (equal (org-agent-fake-shown "turn-1")
                     "** ASSISTANT (not verified)\nright\n")))))

(ert-deftest org-agent-messages-count-once ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-fake-state "turn-1" 1 "accepted")
    (org-agent-fake-delta "turn-1" 2 "a")
    (org-agent-fake-delta "turn-1" 2 "a")
    (org-agent-fake-delta "turn-1" 1 "z")
    (org-agent-fake-delta "turn-1" 4 "b")
    (org-agent-fake-delta "turn-1" 3 "z")
    (should (equal (org-agent-fake-shown "turn-1")
                   "** ASSISTANT (not verified)\nab\n"))
    (org-agent-fake-insert "turn-1" 5 "ab")
    (org-agent-fake-state "turn-1" 6 "done")
    (let ((text (buffer-string)))
      (should (equal (org-agent-fake-insert "turn-1" 5 "ab") '(:accepted t)))
      (org-agent-fake-delta "turn-1" 7 "after the end")
      (org-agent-fake-state "turn-1" 8 "thinking")
      (should (equal (buffer-string) text))
      (should-not (org-agent-fake-shown "turn-1"))
      (should-not mode-line-process)
      ;; Said twice, and reported as done both times.
      (should (= 2 (length (org-agent-fake-sent 'orgAgent/actuated)))))))

(ert-deftest org-agent-undone-reply-is-not-inserted-again ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (let ((text (buffer-string)))
      (org-agent-fake-insert "turn-1" 2 "reply")
      (undo-boundary)
      (let ((last-command 'ignore)) (undo))
      (should (equal (buffer-string) text))
      (org-agent-fake-insert "turn-1" 2 "reply")
      (should (equal (buffer-string) text)))))

(ert-deftest org-agent-state-is-in-the-mode-line ()
  (org-agent-fake-with
    (should-not mode-line-process)
    (goto-char (point-max))
    (insert "question")
    (org-agent-send)
    (should (equal mode-line-process " [sending]"))
    (org-agent-fake-settle)
    (let ((seq 0))
      (pcase-dolist (`(,state ,shown) '(("accepted" " [queued]")
                                        ("thinking" " [thinking]")
                                        ("streaming" " [streaming]")
                                        ("repairing" " [asking again]")
                                        ("awaitingApproval" " [asks you]")
                                        ("acting" " [acting]")
                                        ("acting" " [acting]")
                                        ("unheard-of" nil)
                                        ("done" nil)))
        (org-agent-fake-state "turn-1" (cl-incf seq) state)
        (should (equal mode-line-process shown))))))

(ert-deftest org-agent-failures-say-why ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (let ((text (buffer-string)))
      (org-agent-fake-delta "turn-1" 1 "half")
      (org-agent-fake-state "turn-1" 2 "failed" "the stream broke")
      (should (equal (buffer-string) text))
      (should (equal (org-agent-fake-shown "turn-1")
                     "This turn ended: the stream broke\n"))
      (org-agent-fake-send "again")
      (should-not (org-agent-fake-shown "turn-1"))
      ;; With a system error in the buffer nothing is said twice.
      (org-agent-fake-insert "turn-2" 1 "*System Error:* no")
      (org-agent-fake-state "turn-2" 2 "failed" "grammar")
      (should-not (org-agent-fake-shown "turn-2")))))

(ert-deftest org-agent-huge-reply ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    ;; What is cut in the middle of a line depends on it.
    (setq header-line-format nil)
    (let* ((line (concat (make-string 199 ?é) "\n"))
           (text (apply #'concat (make-list 1000 line))))
      (dotimes (i 100)
        (org-agent-fake-tell 'orgAgent/delta :turnId "turn-1" :attempt 1
                             :seq (1+ i) :text (substring text (* i 2000)
                                                          (* (1+ i) 2000))))
      (org-agent-fake-settle)
      (let ((shown (org-agent-fake-shown "turn-1")))
        (should (< (length shown) 20000))
        (should (string-prefix-p "** ASSISTANT (not verified)\nééé" shown))
        (should (string-match "\\[\\.\\.\\. \\([0-9]+\\) characters more" shown))
        (should (= (string-to-number (match-string 1 shown))
                   (- 200000 (cl-count ?é shown) (cl-count ?\n shown) -2))))
      (org-agent-fake-insert "turn-1" 200 text)
      (should (string-search (concat ":END:\n" text "* USER\n") (buffer-string))))))

(ert-deftest org-agent-preview-fits-its-window ()
  (let ((text (mapconcat #'number-to-string (number-sequence 1 500) "\n")))
    (dolist (rows '(6 7 20 40))
      (dolist (width '(1 3 10 80))
        (dolist (text (list text (make-string 3000 ?x) "" "\n\n\n" "a"
                            (concat text "\n" (make-string 500 ?y) "\n")))
          (let ((turn (org-agent--make-turn)))
            (dolist (piece (seq-partition text 77))
              (org-agent--preview-add turn piece))
            (let ((shown (substring-no-properties
                          (org-agent--preview turn rows width))))
              (if (string-search "characters more" shown)
                  (progn
                    (should-not (org-agent--row-end
                                 (replace-regexp-in-string "\\[.*more.*\\]" "["
                                                           shown)
                                 (+ rows 1) width))
                    (should (string-prefix-p (substring shown 0 1) text)))
                (should (equal shown (org-agent--line text)))))))))))

;; Wide characters take two columns, and the user sees what they write.
(ert-deftest org-agent-preview-leaves-room-for-the-input ()
  (dolist (rows '(4 7 12 24 60))
    (dolist (line (list (make-string 3000 ?x) (make-string 3000 ?漢)
                        (concat (make-string 2000 ?x) (make-string 1000 ?漢))))
      (org-agent-fake-with
        (org-agent-fake-send "question")
        (cl-letf (((symbol-function 'org-agent--room) (lambda () (list rows 80))))
          (org-agent-fake-delta "turn-1" 1 line)
          (should (<= (apply #'+ (mapcar (lambda (line)
                                           (max 1 (ceiling (string-width line) 80)))
                                         (split-string (string-trim-right
                                                        (org-agent-fake-shown "turn-1"))
                                                       "\n")))
                      (- rows 1))))))))

(ert-deftest org-agent-room-is-that-of-the-smallest-window ()
  (org-agent-fake-with
    (let ((whole (org-agent--room)))
      (split-window nil 6)
      (let ((part (org-agent--room)))
        (should (< (car part) 6))
        (should (= (cadr part) (cadr whole))))
      (with-temp-buffer
        (should (equal (org-agent--room) '(24 80)))))))

;;;; The user's place

(ert-deftest org-agent-point-stays-or-follows ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-fake-insert "turn-1" 2 "reply")
    (org-agent-fake-send "again")
    (let* ((reader (selected-window))
           (writer (split-window))
           (place (progn (goto-char (point-min)) (search-forward "rep"))))
      (set-window-point reader place)
      (set-window-point writer (point-max))
      (org-agent-fake-delta "turn-2" 1 "text\ntext\n")
      (should (= (window-point reader) place))
      (org-agent-fake-insert "turn-2" 2 "reply\nreply")
      (should (= (window-point reader) place))
      (should (= (window-point writer) (point-max)))
      (org-agent-send-text-in writer "third")
      (should (= (window-point reader) place))
      (should (= (window-point writer) (point-max))))))

(defun org-agent-send-text-in (window text)
  "Send TEXT from WINDOW while another window is selected."
  (with-selected-window window
    (goto-char (point-max))
    (insert text)
    (org-agent-send))
  (org-agent-fake-settle))

(ert-deftest org-agent-narrowing-and-read-only-are-kept ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (goto-char (point-min))
    (search-forward "question")
    (narrow-to-region (match-beginning 0) (match-end 0))
    (setq buffer-read-only t)
    (let ((inhibit-read-only t))
      (put-text-property (point-min) (point-max) 'read-only t))
    (org-agent-fake-insert "turn-1" 2 "reply")
    (should (equal (buffer-string) "question"))
    (should buffer-read-only)
    (widen)
    (should (equal (substring-no-properties (buffer-string))
                   (org-agent-fake-layout '(1 "question" "reply"))))))

(ert-deftest org-agent-text-goes-to-its-session ()
  (org-agent-fake-with
    (push (cons 'orgAgent/event
                (lambda (params)
                  (let ((n (cl-incf org-agent-fake-count)))
                    (list :eventId (format "event-%d" n) :lamport 1
                          :sessionId (concat "of " (plist-get params :buffer))
                          :turnId (format "turn-%d" n)
                          :duplicate :json-false))))
          org-agent-fake-answers)
    (org-agent-fake-send "first")
    (let ((first (current-buffer))
          (second (progn (org-agent-chat t) (current-buffer))))
      (should-not (eq first second))
      (org-agent-fake-send "second")
      (with-current-buffer first (rename-buffer "elsewhere"))
      (with-temp-buffer
        (org-agent-fake-insert "turn-2" 1 "to the second" nil
                               (concat "of " (buffer-name second)))
        (org-agent-fake-insert "turn-1" 1 "to the first" nil
                               "of *org-agent-chat*"))
      (pcase-dolist (`(,buffer ,text) `((,first "to the first")
                                        (,second "to the second")))
        (with-current-buffer buffer
          (should (= 1 (how-many "^to the " (point-min) (point-max))))
          (should (string-search text (buffer-string))))))))

(ert-deftest org-agent-killed-buffer-loses-nothing ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-fake-delta "turn-1" 1 "re")
    (let ((text (buffer-string))
          (file (expand-file-name "chat.org" org-agent-fake-directory)))
      (write-region text nil file)
      (kill-buffer)
      (should (equal (org-agent-fake-insert "turn-1" 2 "reply") '(:accepted t)))
      (org-agent-fake-insert "turn-1" 2 "reply")
      (should-not (org-agent-fake-sent 'orgAgent/actuated))
      (with-current-buffer (find-file-noselect file)
        (org-agent-chat-mode)
        (org-agent-fake-settle)
        (should (equal (buffer-string)
                       (org-agent-fake-layout '(1 "question" "reply"))))
        (should (= 1 (length (org-agent-fake-sent 'orgAgent/actuated))))
        (set-buffer-modified-p nil)))))

;; A chat that is saved as a file goes on there, and is the chat.
(ert-deftest org-agent-saved-chat-goes-on ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-fake-delta "turn-1" 1 "rep")
    (let ((chat (current-buffer)))
      (write-file (expand-file-name "chat.org" org-agent-fake-directory))
      (should (derived-mode-p 'org-agent-chat-mode))
      (should (org-agent-fake-shown "turn-1"))
      (org-agent-fake-insert "turn-1" 2 "reply")
      (org-agent-fake-send "again")
      (should (equal (buffer-string)
                     (org-agent-fake-layout '(1 "question" "reply") '(2 "again"))))
      (push '(orgAgent/sessions/list
              . (lambda (_) '(:items [(:id "session-1")] :nextCursor nil)))
            org-agent-fake-answers)
      ;; But nothing that is being written is taken away.
      (dolist (draft '(t nil))
        (org-agent-chat)
        (should-not (eq (window-buffer) chat))
        (when draft (insert "draft"))
        (org-agent-fake-settle)
        (should (eq (eq (window-buffer) chat) (not draft)))
        (when draft
          ;; It is another chat, also for the server.
          (org-agent-fake-send "")
          (org-agent-fake-settle)
          (should (equal (plist-get (car (last (org-agent-fake-sent 'orgAgent/event)))
                                    :sessionId)
                         "session-2"))
          (kill-buffer)))
      (should (equal (org-agent--chats) (list chat)))
      (should (eq (org-agent--buffer "session-1") chat)))))

(ert-deftest org-agent-closed-chat-comes-back ()
  (org-agent-fake-with
    (kill-buffer)
    (setq org-agent-fake-answers
          `((orgAgent/sessions/list
             . ,(lambda (params)
                  (should (equal (plist-get params :buffer) "*org-agent-chat*"))
                  (should (eq (plist-get params :archived) :json-false))
                  '(:items [ (:id "session-3" :status "completed")
                             (:id "session-1" :status "failed")
                             (:id "session-0" :status "active")]
                    :nextCursor nil))))
          org-agent-fake-transcript
          (org-agent-fake-said "session-1" '(1 "first" "one") '(2 "second" "two")))
    (org-agent-chat)
    (insert "draft")
    (dotimes (_ 5) (org-agent-fake-settle))
    (should (equal (buffer-string)
                   (concat (org-agent-fake-layout '(1 "first" "one")
                                                  '(2 "second" "two"))
                           "draft")))
    (should (= (point) (point-max)))
    (should (equal (org-agent-fake-sent 'orgAgent/sessions/resume)
                   '((:sessionId "session-1" :applied [] :turns [])
                     (:sessionId "session-1" :applied ["act-turn-1" "act-turn-2"]
                                 :turns []))))))

(ert-deftest org-agent-chat-of-another-emacs-is-left-alone ()
  (org-agent-fake-with
    (kill-buffer)
    (setq org-agent-fake-answers
          `((orgAgent/sessions/list
             . ,(lambda (_) '(:items [(:id "session-1")] :nextCursor nil)))
            (orgAgent/sessions/resume
             . ,(lambda (_)
                  (org-agent-fake-refuse "conflict")))))
    (let (said)
      (cl-letf (((symbol-function 'message)
                 (lambda (&rest args) (push (apply #'format-message args) said))))
        (org-agent-chat)
        (dotimes (_ 3) (org-agent-fake-settle)))
      (should (string-match-p "open in another Emacs" (car said))))
    (should (equal (buffer-string) "* USER\n"))
    (should-not (org-agent-fake-sent 'orgAgent/sessions/export))
    (setq org-agent-fake-answers nil)
    (org-agent-fake-send "mine")
    (org-agent-fake-settle)
    (should (equal (plist-get (car (org-agent-fake-sent 'orgAgent/event)) :sessionId)
                   "session-2"))
    (setq org-agent-fake-log nil)
    ;; And a new chat asks for nothing.
    (org-agent-chat t)
    (dotimes (_ 3) (org-agent-fake-settle))
    (should-not (org-agent-fake-sent 'orgAgent/sessions/list))))

(ert-deftest org-agent-cancel-leaves-the-buffer-clean ()
  (org-agent-fake-with
    (should-not (eq (key-binding (kbd "C-c C-k")) 'org-agent-cancel))
    (should-error (org-agent-cancel) :type 'user-error)
    (org-agent-fake-send "question")
    (let ((text (buffer-string)))
      (org-agent-fake-delta "turn-1" 1 "some preview")
      (org-agent-fake-keys "C-c C-k")
      (should-not (org-agent-fake-shown "turn-1"))
      (org-agent-fake-settle)
      (should (equal (org-agent-fake-sent 'orgAgent/cancel)
                     '((:turnId "turn-1"))))
      (org-agent-fake-state "turn-1" 2 "cancelled")
      (should (equal (buffer-string) text))
      (should-not (org-agent-fake-shown "turn-1"))
      (should-not (eq (key-binding (kbd "C-c C-k")) 'org-agent-cancel)))))

(provide 'org-agent-turn-tests)
;;; org-agent-turn-tests.el ends here
