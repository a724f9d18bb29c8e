;;; org-agent-text-tests.el --- Layout, input, undo  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Code:

(require 'org-agent-fake)

;;;; Layout

(ert-deftest org-agent-layout-is-byte-for-byte ()
  (pcase-dolist (`(,text ,expected)
                 '(("Hello." "Hello.")
                   ("Hello.\n" "Hello.")
                   ("*** Sub\n- a\n- b" "*** Sub\n- a\n- b")
                   ("  indented\n\nlast\n\n\n" "  indented\n\nlast")
                   ("" "")
                   ("tab\tand \\ \" é 漢 \U0001F600" "tab\tand \\ \" é 漢 \U0001F600")))
    (org-agent-fake-with
      (org-agent-fake-send "Who are you?")
      (should (equal (buffer-string)
                     (org-agent-fake-layout '(1 "Who are you?"))))
      (should (equal (org-agent-fake-insert "turn-1" 3 text) '(:accepted t)))
      (should (equal (buffer-string)
                     (org-agent-fake-layout `(1 "Who are you?" ,expected))))
      (org-agent-fake-until (lambda () (org-agent-fake-sent 'orgAgent/actuated)))
      (should (equal (org-agent-fake-sent 'orgAgent/actuated)
                     '((:actuationId "act-turn-1" :status "done")))))))

(ert-deftest org-agent-prompt-keeps-its-words ()
  (pcase-dolist (`(,typed ,sent)
                 '(("Hello" "Hello")
                   ("\n\n  Hello\n  there \n\n" "  Hello\n  there")
                   ("** Not mine\ntext" "** Not mine\ntext")))
    (org-agent-fake-with
      (goto-char (point-max))
      (insert typed)
      (org-agent-send)
      (org-agent-fake-settle)
      (should (equal (plist-get (car (org-agent-fake-sent 'orgAgent/event)) :text)
                     sent))
      (should (equal (buffer-string)
                     (org-agent-fake-layout (list 1 sent)))))))

(ert-deftest org-agent-conversation-goes-on ()
  (org-agent-fake-with
    (dotimes (i 3)
      (let ((turn (format "turn-%d" (1+ i))))
        (org-agent-fake-send (format "question %d" i))
        (org-agent-fake-insert turn 2 (format "answer %d" i))
        (org-agent-fake-state turn 3 "done")))
    (should (equal (buffer-string)
                   (org-agent-fake-layout '(1 "question 0" "answer 0")
                                          '(2 "question 1" "answer 1")
                                          '(3 "question 2" "answer 2"))))
    (should (equal (plist-get (nth 2 (org-agent-fake-sent 'orgAgent/event))
                              :sessionId)
                   "session-1"))))

(ert-deftest org-agent-replies-stand-under-their-own-prompts ()
  (org-agent-fake-with
    (org-agent-fake-send "first")
    (org-agent-fake-send "second")
    (org-agent-fake-insert "turn-1" 2 "one")
    (should (equal (buffer-string)
                   (org-agent-fake-layout '(1 "first" "one") '(2 "second"))))
    (org-agent-fake-insert "turn-2" 2 "two")
    (should (equal (buffer-string)
                   (org-agent-fake-layout '(1 "first" "one")
                                          '(2 "second" "two"))))))

(ert-deftest org-agent-reply-finds-its-place-after-edits ()
  (pcase-dolist (`(,edit ,expected)
                 (list
                  ;; The prompt was changed.
                  (list (lambda () (goto-char (point-min))
                          (search-forward "question") (insert "s"))
                        (org-agent-fake-layout '(1 "questions" "answer")))
                  ;; The input area was removed.
                  (list (lambda () (delete-region (car (org-agent--input))
                                                  (point-max)))
                        (org-agent-fake-layout '(1 "question" "answer")))
                  ;; All was removed.
                  (list #'erase-buffer
                        (concat "** ASSISTANT\n:PROPERTIES:\n:OA_ACT: act-turn-1\n"
                                ":END:\nanswer\n* USER\n"))
                  ;; The last line has lost its end.
                  (list (lambda () (delete-region (1- (car (org-agent--input)))
                                                  (point-max)))
                        (org-agent-fake-layout '(1 "question" "answer")))))
    (org-agent-fake-with
      (org-agent-fake-send "question")
      (funcall edit)
      (org-agent-fake-insert "turn-1" 2 "answer")
      (should (equal (buffer-string) expected)))))

;;;; Input

(ert-deftest org-agent-keys-send-only-from-the-input ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-fake-insert "turn-1" 2 "- [ ] box\n")
    (goto-char (point-min))
    (search-forward "box")
    (org-agent-fake-keys "C-c C-c")
    (should (search-backward "[X] box"))
    (should (= 1 (length (org-agent-fake-sent 'orgAgent/event))))))

;; `C-c C-n' and its like are what they are in Org unless there is something
;; to decide, also for who has bound them otherwise.
(ert-deftest org-agent-keys-are-left-to-org ()
  (org-agent-fake-with
    (let ((keys '(("C-c C-k" . org-agent-cancel) ("C-c C-y" . org-agent-approve)
                  ("C-c C-n" . org-agent-deny)
                  ("C-c C-e" . org-agent-edit-command)))
          (is-orgs (lambda (key)
                     (let ((command (with-temp-buffer
                                      (org-mode)
                                      (key-binding (kbd key)))))
                       (should command)
                       (should (eq (key-binding (kbd key)) command))))))
      (mapc is-orgs (mapcar #'car keys))
      (org-agent-fake-send "question")
      (mapc is-orgs (mapcar #'car (cdr keys)))
      (org-agent-fake-shell "turn-1" 1 '(:cmd "ls"))
      (pcase-dolist (`(,key . ,command) keys)
        (should (eq (key-binding (kbd key)) command)))
      (org-agent-fake-state "turn-1" 2 "cancelled")
      (mapc is-orgs (mapcar #'car keys))
      (let ((org-mode-map (copy-keymap org-mode-map)))
        (define-key org-mode-map (kbd "C-c C-n") 'forward-line)
        (funcall is-orgs "C-c C-n")))))

(ert-deftest org-agent-tables-and-checkboxes-work-in-the-input ()
  (pcase-dolist (`(,typed ,becomes)
                 '(("|a|b|\n|long|c|" "| a    | b |\n| long | c |\n")
                   ("- [ ] box" "- [X] box")))
    (org-agent-fake-with
      (goto-char (point-max))
      (insert typed)
      (goto-char (- (point-max) 2))
      (org-agent-fake-keys "C-c C-c")
      (should (equal (buffer-string) (concat "* USER\n" becomes)))
      (should-not (org-agent-fake-sent 'orgAgent/event))
      (goto-char (cdr (org-agent--input)))
      (goto-char (car (org-agent--input)))
      (org-agent-fake-keys "C-c C-c")
      (org-agent-fake-settle)
      (should (= 1 (length (org-agent-fake-sent 'orgAgent/event)))))))

(ert-deftest org-agent-empty-input-is-not-sent ()
  (org-agent-fake-with
    (dolist (text '("" "\n \n" "a null \0" "a byte \x3FFF80"))
      (goto-char (point-max))
      (insert text)
      (should-error (org-agent-send) :type 'user-error))
    (should-not (org-agent-fake-sent 'orgAgent/event))))

(ert-deftest org-agent-typing-before-the-acknowledgement-is-kept ()
  ;; Nothing is read from the server while keys are waiting.
  (pcase-dolist (`(,keys ,prompt ,rest)
                 '(("q C-c C-c" "q" "")
                   ("q C-c C-c n e x t" "q" "next")
                   ("q C-c C-c RET n" "q" "n")
                   ("q C-c C-c DEL x y" "q" "xy")))
    (org-agent-fake-with
      (goto-char (point-max))
      (org-agent-fake-keys keys)
      (org-agent-fake-settle)
      (should (equal (buffer-string)
                     (concat (org-agent-fake-layout (list 1 prompt)) rest)))
      (should (= (point) (point-max))))))

(ert-deftest org-agent-one-message-at-a-time ()
  (org-agent-fake-with
    (goto-char (point-max))
    (insert "q")
    (org-agent-send)
    (should-error (org-agent-send) :type 'user-error)
    (org-agent-fake-settle)
    (should (= 1 (length (org-agent-fake-sent 'orgAgent/event))))))

(ert-deftest org-agent-context-goes-along-once ()
  (org-agent-fake-with
    (with-temp-buffer
      (rename-buffer "notes" t)
      (insert "some text")
      (org-agent-send-region (point-min) (point-max)))
    (should (equal (buffer-string) "* USER\n"))
    (should (string-match-p "notes" (overlay-get org-agent--context-overlay
                                                 'before-string)))
    (org-agent-fake-send "what is this?")
    (org-agent-fake-send "and now?")
    (should (equal (mapcar (lambda (params) (plist-get params :context))
                           (org-agent-fake-sent 'orgAgent/event))
                   '([(:kind "region" :name "notes" :text "some text"
                              :mode "fundamental-mode")]
                     nil)))
    (should-not (overlay-buffer org-agent--context-overlay))
    ;; What is added while a message is on its way goes with the next one.
    (goto-char (point-max))
    (insert "third")
    (org-agent-send)
    (org-agent--add-context "region" "later" "more")
    (org-agent-fake-settle)
    (should (equal (mapcar #'org-agent--chip-name org-agent--context)
                   '("later")))
    (should (= (overlay-start org-agent--context-overlay)
               (car (org-agent--input))))))

(ert-deftest org-agent-nothing-in-the-buffer-acts ()
  (org-agent-fake-with
    (let ((file (expand-file-name "touched" org-agent-fake-directory)))
      (insert "#+begin_src emacs-lisp\n(write-region \"\" nil " (prin1-to-string file)
              ")\n#+end_src\n[[elisp:(write-region \"\" nil " (prin1-to-string file)
              ")]]\n[[shell:touch " file "]]\n"
              "#+begin_src emacs-lisp :var x=(write-region \"\" nil "
              (prin1-to-string file) ")\nx\n#+end_src\n"
              "src_emacs-lisp[:var x=(write-region \"\" nil "
              (prin1-to-string file) ")]{x}\n"
              "| # | cell |   |\n#+TBLFM: $3='(write-region \"\" nil "
              (prin1-to-string file) ")\n")
      (search-backward "begin_src")
      (org-agent-fake-keys "C-c C-c")
      (org-agent-fake-settle)
      (dolist (link '("elisp:" "shell:"))
        (goto-char (point-min))
        (search-forward link)
        (should-error (org-open-at-point)))
      ;; For its result Org would run it, and its header before it asks.
      (cl-letf (((symbol-function 'yes-or-no-p) #'ignore))
        (dolist (code '("src emacs-lisp :var" "src_emacs-lisp[:var"))
          (goto-char (point-min))
          (search-forward code)
          (should-error (org-agent-fake-keys "C-c C-o") :type 'user-error)))
      (dolist (key '("C-c C-c" "TAB" "RET"))
        (goto-char (point-min))
        (search-forward "cell")
        (org-agent-fake-keys key))
      (should-not (file-exists-p file)))
    (should-not org-src-fontify-natively)
    (should-not enable-local-variables)
    (should-not enable-local-eval)))

;;;; Undo

(defun org-agent-tests-undo (steps)
  "Undo STEPS steps, as by repeated keys; return the text after each.
It ends earlier if there is nothing more to undo."
  (let ((last-command 'ignore) this-command states)
    (undo-boundary)
    (condition-case nil
        (dotimes (_ steps)
          (undo)
          (undo-boundary)
          (setq last-command 'undo)
          (push (buffer-string) states))
      (user-error nil))
    (nreverse states)))

(defmacro org-agent-tests-steps (&rest steps)
  "Run STEPS, and return the buffer's text before and after each, newest first."
  `(list ,@(mapcar (lambda (step) `(progn ,step (buffer-string)))
                   (cons nil steps))))

(ert-deftest org-agent-undo-is-exact ()
  (org-agent-fake-with
    (setq buffer-undo-list nil)
    (let ((states
           (org-agent-tests-steps
            (org-agent-fake-type "question")
            (progn (org-agent-fake-keys "C-c C-c") (org-agent-fake-settle))
            (progn (org-agent-fake-delta "turn-1" 1 "preview\nof ")
                   (org-agent-fake-type "dra"))
            (progn (org-agent-fake-delta "turn-1" 2 "something\nlong\n")
                   (org-agent-fake-type "ft"))
            (progn (org-agent-fake-keys "DEL DEL")
                   (org-agent-fake-tell 'orgAgent/retract :turnId "turn-1"
                                        :attempt 1 :seq 3 :reason "no")
                   (org-agent-fake-delta "turn-1" 4 "again" 2))
            (org-agent-fake-insert "turn-1" 5 "the reply\nof two lines")
            (org-agent-fake-type "more"))))
      (should (equal (org-agent-tests-undo 7) (cdr (reverse states))))
      ;; And forward again, which is undoing the undoing.
      (should (equal (org-agent-tests-undo 7) (cdr states))))))

(ert-deftest org-agent-reply-is-one-step-between-keys ()
  ;; A reply that comes between two keys of one word does not become part of
  ;; their step, here or when the word is typed elsewhere.
  (dolist (elsewhere '(nil t))
    (org-agent-fake-with
      (org-agent-fake-send "question")
      (setq buffer-undo-list nil)
      (let* ((chat (current-buffer)) (start (buffer-string)) before after
             (between (lambda ()
                        (when (looking-back "ab" (point-min))
                          (with-current-buffer chat
                            (setq before (buffer-string))
                            (org-agent-fake-insert "turn-1" 2 "reply")
                            (setq after (buffer-string)))))))
        (with-temp-buffer
          (buffer-enable-undo)
          (when elsewhere (switch-to-buffer (current-buffer)))
          (unwind-protect
              (progn (add-hook 'post-command-hook between)
                     (org-agent-fake-type "abcd"))
            (remove-hook 'post-command-hook between)))
        (switch-to-buffer chat)
        (goto-char (point-max))
        (org-agent-fake-type "e")
        (should (equal (org-agent-tests-undo 4)
                       (if elsewhere
                           (list after start)
                         (list (concat after "cd") after before start))))))))

(defun org-agent-tests-random (random turn seq)
  "Do something that happens in a chat, chosen by RANDOM.
TURN runs, and its last message was SEQ.  Return non-nil if it ends."
  (pcase (funcall random 9)
    ((or 0 1) (org-agent-fake-type "some words"))
    (2 (unless (bobp) (org-agent-fake-keys "DEL")))
    (3 (org-agent-fake-keys "RET"))
    (4 (goto-char (+ (point-min) (funcall random (buffer-size))))
       (org-agent-fake-type "x"))
    (5 (goto-char (point-max)))
    (6 (goto-char (cdr (org-agent--ensure-input)))
       (unless (eobp) (org-agent-fake-keys "C-k")))
    (7 (org-agent-fake-delta turn seq "text\nand text") nil)
    (8 (org-agent-fake-insert turn seq (format "reply %d" seq)
                              (format "act-%s-%d" turn seq))
       t)))

(ert-deftest org-agent-undo-survives-anything ()
  (dotimes (round 15)
    (let* ((state (+ 7 (* 7919 round)))
           (random (lambda (n)
                     (setq state (mod (+ (* state 1103515245) 12345) 2147483648))
                     (mod (/ state 65536) n))))
      (org-agent-fake-with
        (setq buffer-undo-list nil)
        ;; Typing in a folded drawer is not what is tested.
        (set (make-local-variable 'org-fold-catch-invisible-edits) nil)
        (let ((first (buffer-string)) (seq 0) last)
          (dotimes (_ 3)
            (org-agent-fake-send "question")
            (let ((turn (format "turn-%d" org-agent-fake-count)))
              (while (not (eq t (org-agent-tests-random
                                 random turn (cl-incf seq)))))))
          (setq last (buffer-string))
          (let* ((back (org-agent-tests-undo 1000))
                 (forward (org-agent-tests-undo (length back))))
            (should (equal (car (last back)) first))
            (should (equal (car (last forward)) last))
            (should (equal (cdr (reverse forward)) (butlast back)))))))))

(provide 'org-agent-text-tests)
;;; org-agent-text-tests.el ends here
