;;; org-agent-thought-tests.el --- What the model thinks  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Code:

(require 'org-agent-real)

(defun org-agent-tests-think (turn text &optional attempt)
  "Let the model of TURN think TEXT in its call ATTEMPT."
  (org-agent-fake-tell 'orgAgent/thought :turnId turn :attempt (or attempt 1)
                       :text text))

(defun org-agent-tests-thinking (turn text &optional attempt)
  "The same with TURN, TEXT and ATTEMPT, and wait until it is shown."
  (org-agent-tests-think turn text attempt)
  (org-agent-fake-settle)
  (org-agent-fake-until (lambda () (not org-agent--thinking)) "the drawing"))

(ert-deftest org-agent-thoughts-of-the-real-server-are-folded-and-no-text ()
  (org-agent-real-with `(("replay" . ,org-agent-tests-replay))
      '("ORG_AGENT_MODEL=replay:HOME/replay")
    (let* ((turn (org-agent-real-reply "One?"))
           (text (buffer-string))
           (file (expand-file-name "saved.org" home)))
      (should (equal (org-agent-fake-shown (org-agent--turn-id turn))
                     "▸ thought for 1 s\n"))
      (should (equal (org-agent--thought-text (org-agent--turn-thought turn))
                     "The user wants a greeting."))
      (should (string-suffix-p "\nHello.\n* USER\n" text))
      (set-buffer-modified-p nil)
      ;; From the reply, unfolded and folded.
      (search-backward "Hello.")
      (org-agent-toggle-thought)
      (should (equal (org-agent-fake-shown (org-agent--turn-id turn))
                     "▾ thought for 1 s\nThe user wants a greeting.\n"))
      (should (equal (buffer-string) text))
      (should-not (buffer-modified-p))
      (write-region nil nil file nil 'silent)
      (with-temp-buffer
        (insert-file-contents file)
        (should-not (string-search "greeting" (buffer-string))))
      ;; It is above the reply, one step of undo takes that away.
      (should (= (overlay-start (org-agent--turn-overlay turn))
                 (save-excursion (search-backward "** ASSISTANT")
                                 (match-beginning 0))))
      (undo-boundary)
      (let ((last-command 'ignore)) (undo))
      (should-not (string-search "Hello." (buffer-string)))
      ;; A killed buffer takes it along.
      (set-buffer-modified-p nil)
      (kill-buffer)
      (org-agent-chat)
      (org-agent-fake-until (lambda () (string-search "Hello." (buffer-string)))
                            "the chat")
      (should-not (org-agent-fake-shown (org-agent--turn-id turn)))
      (should-error (org-agent-toggle-thought) :type 'user-error))))

(ert-deftest org-agent-thoughts-are-one-line-while-they-come ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-fake-state "turn-1" 1 "thinking")
    (let ((text (buffer-string))
          (undo buffer-undo-list))
      (set-buffer-modified-p nil)
      (org-agent-tests-thinking "turn-1" (make-string 1000 ?a))
      (org-agent-tests-thinking "turn-1" (concat (make-string 233 ?b) "\n"))
      (should (equal (org-agent-fake-shown "turn-1") "▸ thinking… 1,234 characters\n"))
      ;; The key is Org's but for where the line is.
      (goto-char (overlay-start (org-agent--turn-overlay (org-agent--turn "turn-1"))))
      (should (eq (key-binding (kbd "RET")) 'org-agent-toggle-thought))
      (org-agent-fake-keys "RET")
      (should (string-prefix-p "▾ thinking… 1,234 characters\naaa"
                               (org-agent-fake-shown "turn-1")))
      (goto-char (point-max))
      (should (eq (key-binding (kbd "RET")) 'org-return))
      ;; By mouse, folded again.
      (let* ((shown (overlay-get (org-agent--turn-overlay (org-agent--turn "turn-1"))
                                 'before-string))
             (map (get-text-property 0 'keymap shown)))
        (should (eq (get-text-property 0 'face shown) 'org-agent-thought))
        (funcall (lookup-key map [mouse-1])))
      (should (equal (org-agent-fake-shown "turn-1") "▸ thinking… 1,234 characters\n"))
      ;; The preview comes below it.
      (org-agent-fake-state "turn-1" 2 "streaming")
      (org-agent-fake-delta "turn-1" 3 "text")
      (should (equal (org-agent-fake-shown "turn-1")
                     "▸ thought for 1 s\n** ASSISTANT (not verified)\ntext\n"))
      (should (equal (buffer-string) text))
      (should (eq buffer-undo-list undo))
      (should-not (buffer-modified-p)))
    (org-agent-toggle-thought)
    (org-agent-fake-insert "turn-1" 4 "text")
    (org-agent-fake-state "turn-1" 5 "done")
    (should (equal (org-agent-fake-shown "turn-1") "▸ thought for 1 s\n"))
    (should (equal (buffer-string) (org-agent-fake-layout '(1 "question" "text"))))))

(ert-deftest org-agent-thoughts-of-the-last-call-are-shown ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-tests-thinking "turn-1" "first" 1)
    (org-agent-fake-state "turn-1" 1 "repairing")
    (org-agent-tests-thinking "turn-1" "second" 2)
    ;; What is still said about the first call comes too late.
    (org-agent-tests-thinking "turn-1" "late" 1)
    (should (equal (org-agent--thought-text
                    (org-agent--turn-thought (org-agent--turn "turn-1")))
                   "second"))
    (should (equal (org-agent-fake-shown "turn-1") "▸ thinking… 6 characters\n"))))

(ert-deftest org-agent-thoughts-go-with-a-turn-that-leaves-no-reply ()
  (dolist (end (list (lambda () (org-agent-fake-state "turn-1" 9 "failed" "no"))
                     (lambda () (org-agent-fake-state "turn-1" 9 "cancelled"))
                     (lambda () (org-agent-cancel) (org-agent-fake-settle))
                     #'org-agent-fake-die))
    (org-agent-fake-with
      (org-agent-fake-send "question")
      (org-agent-tests-thinking "turn-1" "I think")
      (should (org-agent-fake-shown "turn-1"))
      (funcall end)
      (should-not (string-match-p "think\\|thought"
                                  (or (org-agent-fake-shown "turn-1") "")))
      ;; Nor does what comes then.
      (when org-agent-fake-connection
        (org-agent-fake-state "turn-1" 10 "cancelled")
        (org-agent-tests-think "turn-1" "more")
        (org-agent-fake-settle))
      (should-not (org-agent--turn-thought (org-agent--turn "turn-1"))))))

(ert-deftest org-agent-thoughts-of-two-chats-do-not-mix ()
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
      (org-agent-fake-send "second")
      (org-agent-tests-think "turn-1" "one")
      (org-agent-tests-think "turn-2" "two and more")
      (org-agent-tests-thinking "turn-1" ", on")
      (pcase-dolist (`(,buffer ,turn ,count) `((,first "turn-1" 7) (,second "turn-2" 12)))
        (should (eq buffer (overlay-buffer
                            (org-agent--turn-overlay (org-agent--turn turn)))))
        (should (equal (org-agent-fake-shown turn)
                       (format "▸ thinking… %d characters\n" count))))
      ;; In a buffer that is gone there is nothing to show.
      (set-buffer-modified-p nil)
      (kill-buffer second)
      (set-buffer first)
      (org-agent-tests-think "turn-2" "two")
      (org-agent-tests-thinking "turn-2" "two"))))

;; As many as the server lets through, one by one.
(ert-deftest org-agent-many-thoughts-are-drawn-seldom-and-bounded ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (let* ((drawn 0)
           (show (symbol-function 'org-agent--show))
           (turn (org-agent--turn "turn-1"))
           (begin (float-time)))
      (cl-letf (((symbol-function 'org-agent--show)
                 (lambda (turn) (cl-incf drawn) (funcall show turn))))
        (dotimes (i 3000)
          (org-agent-tests-think "turn-1" (make-string 40 ?x))
          (when (zerop (% i 10)) (accept-process-output nil 0.0001)))
        (org-agent-tests-thinking "turn-1" "y"))
      ;; The first one at once, then not more often than the pause permits.
      (should (<= 2 drawn (+ 3 (/ (- (float-time) begin) org-agent--thought-pause))))
      (should (= (org-agent--thought-length (org-agent--turn-thought turn)) 65536))
      (should (equal (org-agent-fake-shown "turn-1") "▸ thinking… 65,536 characters\n"))
      (org-agent-toggle-thought)
      (let ((shown (org-agent-fake-shown "turn-1")))
        (should (< (length shown) 4000))
        (should (string-match-p "\\[\\.\\.\\. [0-9]+ characters more" shown))))))

(ert-deftest org-agent-thoughts-cannot-change-how-others-look ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-tests-thinking "turn-1" "a\u202eb\u2067c\ed\u0085\n* é 漢")
    (org-agent-toggle-thought)
    (should (equal (org-agent-fake-shown "turn-1")
                   "▾ thinking… 14 characters\na\ufffdb\ufffdc\ufffdd\ufffd\n* é 漢\n"))
    ;; Nor can what is no thought.
    (let ((text (buffer-string)))
      (dolist (params '(nil (:turnId "turn-1") (:turnId 5 :attempt 1 :text "a")
                        (:turnId "turn-1" :attempt "2" :text "a")
                        (:turnId "turn-1" :attempt 2 :text 5)
                        (:turnId "nobody" :attempt 2 :text "a")))
        (apply #'org-agent-fake-tell 'orgAgent/thought params))
      (org-agent-fake-settle)
      (should (= 1 (org-agent--thought-attempt
                    (org-agent--turn-thought (org-agent--turn "turn-1")))))
      (should (equal (buffer-string) text)))))

(ert-deftest org-agent-thoughts-leave-room-for-the-input ()
  (dolist (rows '(7 12 24 60))
    (org-agent-fake-with
      (org-agent-fake-send "question")
      (cl-letf (((symbol-function 'org-agent--room) (lambda () (list rows 80))))
        (org-agent-tests-thinking "turn-1" (make-string 5000 ?x))
        (org-agent-toggle-thought)
        (org-agent-fake-delta "turn-1" 1 (make-string 5000 ?y))
        (should (<= (apply #'+ (mapcar (lambda (line)
                                         (max 1 (ceiling (string-width line) 80)))
                                       (split-string (string-trim-right
                                                      (org-agent-fake-shown "turn-1"))
                                                     "\n")))
                    (- rows 1)))))))

(provide 'org-agent-thought-tests)
;;; org-agent-thought-tests.el ends here
