;;; org-agent-sessions-tests.el --- Edits, branches, copies  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Code:

(require 'org-agent-fake)

(defun org-agent-sessions-tests-notice ()
  "Return what is shown of the session in this buffer, or nil."
  (let ((shown (seq-filter (lambda (overlay) (overlay-get overlay 'org-agent-session))
                           (overlays-in (point-min) (point-max)))))
    (should (<= (length shown) 1))
    (when shown
      (should (= (overlay-start (car shown)) (car (org-agent--input))))
      (substring-no-properties (overlay-get (car shown) 'before-string)))))

(defun org-agent-sessions-tests-answer (method function)
  "Let the fake server answer METHOD by FUNCTION."
  (push (cons method function) org-agent-fake-answers))

(defun org-agent-sessions-tests-edited (&rest marks)
  "Let the fake server find MARKS edited, which may be none."
  (org-agent-sessions-tests-answer
   'orgAgent/event
   (lambda (params)
     (append (org-agent-fake-default 'orgAgent/event params)
             (and marks (list :edited (vconcat marks)))))))

(defun org-agent-sessions-tests-last (method)
  "Return the parameters of the last METHOD that was sent."
  (car (last (org-agent-fake-sent method))))

(defun org-agent-sessions-tests-hashes ()
  "Return the hashes that went with the last message, as an alist."
  (cl-loop for (mark hash) on (plist-get (org-agent-sessions-tests-last 'orgAgent/event)
                                         :turnHashes)
           by #'cddr
           collect (cons (substring (symbol-name mark) 1) hash)))

(defun org-agent-sessions-tests-hash (text)
  "Return the hash of TEXT as the protocol wants it."
  (secure-hash 'sha256 (encode-coding-string text 'utf-8)))

(defun org-agent-sessions-tests-settle ()
  "Wait for answers to what is asked upon answers, too."
  (dotimes (_ 3) (org-agent-fake-settle)))

(defmacro org-agent-sessions-tests-said (&rest body)
  "Run BODY, and return the messages that it showed, newest first."
  `(let (said)
     (cl-letf (((symbol-function 'message)
                (lambda (format &rest args)
                  (when format (push (apply #'format-message format args) said)))))
       ,@body)
     said))

(defun org-agent-sessions-tests-undo ()
  "Undo one step."
  (let ((last-command 'ignore))
    (undo-boundary)
    (undo 1)))

;;;; Marks and hashes

(ert-deftest org-agent-marks-are-headings-with-their-drawers ()
  (with-temp-buffer
    (org-mode)
    (insert ":PROPERTIES:\n:OA_SESSION: s\n:END:\n"
            "* USER\n:PROPERTIES:\n:OA_EVENT: e1\n:END:\nHé\n\n"
            "** ASSISTANT\n:PROPERTIES:\n:CUSTOM_ID: mine\n:OA_ACT: a1\n:END:\n"
            ;; None of these is a turn.
            "** USER\n** ASSISTANT\n:PROPERTIES:\n:OA_EVENT: no\n:END:\n"
            "text\n:OA_ACT: no\n* USER\n:PROPERTIES:\n:OA_EVENT: no\nno end\n"
            "* User\n:PROPERTIES:\n:OA_EVENT: no\n:END:\n"
            "*** USER\n:PROPERTIES:\n:OA_EVENT: e2\n:END:\n"
            "* USER\n:PROPERTIES:\n:OTHER: x\n:END:\ndraft")
    (let ((marks (org-agent--marks)))
      (should (equal (mapcar #'car marks) '("e1" "a1" "e2")))
      (should (equal (mapcar (lambda (mark)
                               (buffer-substring-no-properties
                                (nth 2 mark) (nth 3 mark)))
                             (list (nth 0 marks) (nth 2 marks)))
                     '("Hé\n\n" "")))
      (should (equal (mapcar #'car (org-agent--marks 1)) '("e2")))
      (should (equal (mapcar #'car (org-agent--marks 2)) '("e1" "a1" "e2")))
      ;; Narrowing, the coding of the file and its line ends change nothing.
      (narrow-to-region (point-max) (point-max))
      (setq buffer-file-coding-system 'latin-1-dos)
      (should (equal (gethash "e1" (org-agent--hashes))
                     (org-agent-sessions-tests-hash "Hé\n\n")))
      (should (= 3 (hash-table-count (org-agent--hashes))))
      (widen)
      (should (equal (car (org-agent--mark-at (nth 2 (car marks)))) "e1"))
      (should-not (org-agent--mark-at (point-min)))
      (goto-char (nth 2 (car marks)))
      (insert (make-string (1+ org-agent--text-limit) ?x))
      (should-not (gethash "e1" (org-agent--hashes)))
      (erase-buffer)
      (should-not (org-agent--hashes)))))

(ert-deftest org-agent-transcript-is-written-where-it-differs ()
  (let ((before (org-agent-fake-said "s" '(1 "one" "eins") '(3 "three" "drei")))
        (after (org-agent-fake-said "s" '(1 "one" "eins") '(2 "two" "zwei")
                                    '(3 "three" "DREI"))))
    (org-agent-fake-with
      (erase-buffer)
      (insert before "* USER\ndraft")
      (dolist (place '("eins" "three" "draft"))
        (goto-char (point-min))
        (search-forward place)
        (setq buffer-undo-list nil)
        (org-agent--write-transcript after)
        (should (equal (buffer-string) (concat after "* USER\ndraft")))
        (should (looking-back place (point-min)))
        ;; What was the same was not touched, and it is one step.
        (dolist (change buffer-undo-list)
          (when (and (consp change) (integerp (car change)))
            (should (< (string-search ":OA_EVENT: event-2" after) (car change)))))
        (org-agent-sessions-tests-undo)
        (should (equal (buffer-string) (concat before "* USER\ndraft"))))
      (org-agent--write-transcript "")
      (should (equal (buffer-string) "* USER\ndraft")))))

;;;; Edits and branches

(ert-deftest org-agent-edits-are-told-and-branched-from ()
  (org-agent-fake-with
    (org-agent-fake-send "quéstion")
    (should-not (org-agent-sessions-tests-hashes))
    (org-agent-fake-insert "turn-1" 1 "reply\n\nmore")
    (org-agent-fake-send "second")
    (should (equal (org-agent-sessions-tests-hashes)
                   `(("event-1" . ,(org-agent-sessions-tests-hash "quéstion\n"))
                     ("act-turn-1" . ,(org-agent-sessions-tests-hash "reply\n\nmore\n")))))
    (should-not (org-agent-sessions-tests-notice))
    (goto-char (point-min))
    (search-forward "more")
    (insert " öf it\n\n")
    (org-agent-sessions-tests-edited "act-turn-1")
    (org-agent-fake-send "third")
    (should (equal (cdr (assoc "act-turn-1" (org-agent-sessions-tests-hashes)))
                   (org-agent-sessions-tests-hash "reply\n\nmore öf it\n\n\n")))
    (should (equal (org-agent-sessions-tests-notice)
                   "1 text above was edited here; the model was shown what was said.  \
M-x org-agent-branch goes on from your text\n"))
    (dolist (turn '("turn-1" "turn-2" "turn-3"))
      (org-agent-fake-state turn 9 "done"))
    (let ((chat (current-buffer))
          (text (buffer-string)))
      (setq default-directory org-agent-fake-directory
            org-agent-fake-transcript
            (org-agent-fake-said "session-2" '(1 "quéstion" "reply\n\nmore öf it")))
      (org-agent-branch)
      (org-agent-sessions-tests-settle)
      (let ((sent (org-agent-sessions-tests-last 'orgAgent/sessions/fork)))
        (should (equal (plist-get sent :sessionId) "session-1"))
        (should (equal (plist-get sent :edits) '(:act-turn-1 "reply\n\nmore öf it")))
        (should-not (plist-member sent :messageId))
        (should (equal (plist-get sent :buffer) (buffer-name (window-buffer)))))
      (should (equal (org-agent-fake-sent 'orgAgent/sessions/export)
                     '((:sessionId "session-2"))))
      (should (equal (with-current-buffer chat (buffer-string)) text))
      (should (eq (org-agent--buffer "session-1") chat))
      (should-not (eq (window-buffer) chat))
      (with-current-buffer (window-buffer)
        (should (equal (buffer-string) (concat org-agent-fake-transcript "* USER\n")))
        (should (equal default-directory org-agent-fake-directory))
        (should (equal (org-agent-sessions-tests-last 'orgAgent/sessions/resume)
                       '(:sessionId "session-2" :applied ["act-turn-1"] :turns [])))
        (goto-char (point-min))
        (search-forward ":OA_ACT:")
        (should (invisible-p (point)))
        (org-agent-fake-send "on")
        (should (equal (plist-get (org-agent-sessions-tests-last 'orgAgent/event)
                                  :sessionId)
                       "session-2"))))))

(ert-deftest org-agent-notice-of-edits-goes-with-the-next-answer ()
  (org-agent-fake-with
    (org-agent-sessions-tests-edited "event-1" "act-turn-1")
    (org-agent-fake-send "question")
    (should (string-prefix-p "2 texts above were edited"
                             (org-agent-sessions-tests-notice)))
    ;; It stays above the input, whatever comes.
    (org-agent-fake-insert "turn-1" 1 "reply")
    (should (org-agent-sessions-tests-notice))
    (org-agent-sessions-tests-edited)
    (org-agent-fake-send "again")
    (should-not (org-agent-sessions-tests-notice))))

(ert-deftest org-agent-branch-at-point ()
  (org-agent-fake-with
    (should-error (org-agent-branch) :type 'user-error)
    (org-agent-fake-send "question")
    (org-agent-fake-insert "turn-1" 1 "reply")
    (org-agent-sessions-tests-edited "event-1")
    (org-agent-fake-send "second")
    (let ((chat (current-buffer))
          (directory (file-name-as-directory org-agent-fake-directory)))
      (setq default-directory directory)
      (dolist (place '("reply" "second" ":OA_EVENT: event-1"))
        (switch-to-buffer chat)
        (goto-char (point-min))
        (search-forward place)
        ;; Edits are left out when it is to be here.
        (org-agent-branch t)
        (org-agent-sessions-tests-settle))
      (switch-to-buffer chat)
      (let ((sent (org-agent-fake-sent 'orgAgent/sessions/fork)))
        (should (equal (mapcar (lambda (params) (plist-get params :messageId)) sent)
                       '("act-turn-1" "event-2" "event-1")))
        (should-not (seq-some (lambda (params) (plist-member params :edits)) sent)))
      (goto-char (point-min))
      (should-error (org-agent-branch t) :type 'user-error)
      ;; The user went elsewhere meanwhile: their window is theirs.
      (goto-char (point-max))
      (org-agent-branch t)
      (switch-to-buffer "*scratch*")
      (should-not (equal default-directory directory))
      (org-agent-sessions-tests-settle)
      (should (equal (buffer-name (window-buffer)) "*scratch*"))
      (dolist (buffer (org-agent--chats))
        (should (equal (buffer-local-value 'default-directory buffer) directory)))
      (should (= 5 (length (org-agent--chats)))))))

(ert-deftest org-agent-branch-takes-the-prompt-under-way-along ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-fake-state "turn-1" 1 "done")
    (org-agent-sessions-tests-edited "event-1")
    (org-agent-fake-send "second")
    (org-agent-fake-state "turn-2" 1 "thinking")
    (org-agent-fake-send "third")
    (org-agent-branch)
    (org-agent-sessions-tests-settle)
    (let ((sent (org-agent-sessions-tests-last 'orgAgent/sessions/fork)))
      (should (equal (plist-get sent :messageId) "event-2"))
      (should (equal (plist-get sent :edits) '(:event-1 "question"))))))

(ert-deftest org-agent-refused-branch-leaves-nothing ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-sessions-tests-answer
     'orgAgent/sessions/fork (lambda (_) (org-agent-fake-refuse "bad_request")))
    (should (equal (org-agent-sessions-tests-said
                    (org-agent-branch)
                    (org-agent-fake-settle))
                   '("org-agent: no branch was made: refused (a hint)")))
    (should (= 1 (length (org-agent--chats))))))

;;;; Copies

(ert-deftest org-agent-copied-file-gets-its-own-session ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-fake-insert "turn-1" 1 "reply")
    (let ((chat (current-buffer))
          (text (buffer-string))
          (file (expand-file-name "copy.org" org-agent-fake-directory)))
      (write-region text nil file nil 'silent)
      (with-current-buffer (find-file-noselect file)
        (org-agent-chat-mode)
        (goto-char (point-max))
        (insert "draft")
        (should-error (org-agent-send) :type 'user-error)
        (org-agent-sessions-tests-settle)
        (should (equal (org-agent-fake-sent 'orgAgent/sessions/fork)
                       '((:sessionId "session-1" :messageId "act-turn-1"
                                     :buffer "copy.org"))))
        (should (equal (buffer-string)
                       (concat (string-replace "session-1" "session-2" text) "draft")))
        (should (eq (org-agent--buffer "session-2") (current-buffer)))
        (org-agent-send)
        (org-agent-fake-settle)
        (should (equal (plist-get (org-agent-sessions-tests-last 'orgAgent/event)
                                  :sessionId)
                       "session-2"))
        (set-buffer-modified-p nil))
      (should (= 1 (length (org-agent-fake-sent 'orgAgent/sessions/fork))))
      (should (eq (org-agent--buffer "session-1") chat))
      (should (equal (with-current-buffer chat (buffer-string)) text)))))

(ert-deftest org-agent-cloned-buffer-gets-its-own-session ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (let ((chat (current-buffer)))
      (org-agent-fake-delta "turn-1" 1 "preview")
      ;; What becomes of a clone is nothing to the chat.
      (kill-buffer (clone-buffer))
      (should (org-agent-fake-shown "turn-1"))
      (org-agent-fake-settle)
      (setq org-agent-fake-log nil)
      (with-current-buffer (let ((org-agent--sending t)) (clone-buffer))
        (goto-char (point-max))
        (insert "more")
        (should-error (org-agent-send) :type 'user-error)
        (org-agent-sessions-tests-settle)
        (org-agent-send)
        (org-agent-fake-settle)
        (should (equal (org-agent--all "OA_SESSION") '("session-2"))))
      (should (equal (mapcar (lambda (params) (plist-get params :messageId))
                             (org-agent-fake-sent 'orgAgent/sessions/fork))
                     '("event-1")))
      (should (eq (org-agent--buffer "session-1") chat))
      ;; The same text in another buffer is no copy.
      (with-current-buffer (make-indirect-buffer chat "indirect" t)
        (should-not (org-agent--copied))
        (kill-buffer))
      (should (eq (org-agent--buffer "session-1") chat)))))

(ert-deftest org-agent-copy-without-a-session-does-not-send ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (let ((text (buffer-string))
          (code "internal"))
      (org-agent-sessions-tests-answer
       'orgAgent/sessions/fork (lambda (_) (org-agent-fake-refuse code)))
      (with-temp-buffer
        (insert text "draft")
        (org-agent-chat-mode)
        (org-agent-sessions-tests-settle)
        (should-error (org-agent-send) :type 'user-error)
        (should (= 1 (length (org-agent-fake-sent 'orgAgent/event))))
        (org-agent-sessions-tests-settle)
        ;; What it is a copy of is not there any more: it begins anew.
        (setq code "not_found")
        (should-error (org-agent-send) :type 'user-error)
        (org-agent-sessions-tests-settle)
        (org-agent-send)
        (org-agent-sessions-tests-settle)
        (should (= 3 (length (org-agent-fake-sent 'orgAgent/sessions/fork))))
        (should (= 1 (length (org-agent-fake-sent 'orgAgent/sessions/create))))
        (should (equal (org-agent--all "OA_SESSION") '("session-2")))))))

;;;; What is missing

(ert-deftest org-agent-missing-replies-are-told-and-written ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-fake-insert "turn-1" 1 "reply")
    (org-agent-fake-send "second")
    (goto-char (point-max))
    (insert "draft")
    (let ((before (buffer-string)))
      (org-agent-fake-die)
      (org-agent-sessions-tests-answer
       'orgAgent/sessions/resume
       (lambda (params)
         (append (list :missing ["act-turn-2"])
                 (org-agent-fake-default 'orgAgent/sessions/resume params))))
      (org-agent-restart)
      (org-agent-fake-until (lambda () org-agent--ready))
      (org-agent-fake-settle)
      (should (equal (org-agent-sessions-tests-notice)
                     "1 reply is not in this buffer; \
M-x org-agent-rebuild writes the chat as it was said\n"))
      (setq org-agent-fake-transcript
            (org-agent-fake-said "session-1" '(1 "question" "reply")
                                 '(2 "second" "missed")))
      (cl-letf (((symbol-function 'y-or-n-p) (lambda (_) (error "Asked"))))
        (org-agent-rebuild)
        (org-agent-fake-settle))
      (should (equal (buffer-string)
                     (concat org-agent-fake-transcript "* USER\ndraft")))
      (should (= (point) (point-max)))
      (should-not (org-agent-sessions-tests-notice))
      (org-agent-sessions-tests-undo)
      (should (equal (buffer-string) before))
      ;; What comes then has its place.
      (org-agent-fake-insert "turn-2" 1 "late")
      (should (equal (buffer-string)
                     (concat (org-agent-fake-layout '(1 "question" "reply")
                                                    '(2 "second" "late"))
                             "draft"))))))

(ert-deftest org-agent-rebuild-asks-before-edits-go ()
  (org-agent-fake-with
    (should-error (org-agent-rebuild) :type 'user-error)
    (org-agent-fake-send "question")
    (org-agent-fake-insert "turn-1" 1 "reply")
    (org-agent-fake-send "second")
    (org-agent-fake-delta "turn-2" 1 "preview")
    (setq org-agent-fake-transcript
          (org-agent-fake-said "session-1" '(1 "question" "reply") '(2 "second")))
    (goto-char (point-min))
    (dolist (text '("reply" "second"))
      (search-forward text)
      (insert " of mine"))
    (let ((text (buffer-string))
          (asked nil))
      (cl-letf (((symbol-function 'y-or-n-p)
                 (lambda (question)
                   (push question asked)
                   (= 2 (length asked)))))
        (org-agent-rebuild)
        (org-agent-fake-settle)
        (should (equal (buffer-string) text))
        (should-not asked)
        (should-error (org-agent-rebuild) :type 'user-error)
        (org-agent-fake-settle)
        (should (equal (buffer-string) text))
        (org-agent-rebuild)
        (org-agent-fake-settle)
        (should (string-prefix-p "2 texts that were edited here would go" (car asked)))
        (should (equal (buffer-string) (concat org-agent-fake-transcript "* USER\n")))
        (should (= (overlay-start (org-agent--turn-overlay (org-agent--turn "turn-2")))
                   (car (org-agent--input))))
        ;; What is as it was said is not asked about.
        (org-agent-rebuild)
        (org-agent-fake-settle)
        (should (= 2 (length asked)))))))

;;;; What becomes of sessions

(ert-deftest org-agent-deleted-session-is-forgotten ()
  (org-agent-fake-with
    (org-agent-sessions-tests-edited "event-1")
    (org-agent-fake-send "question")
    (org-agent-fake-tell 'orgAgent/sessions/changed :sessionId "session-1"
                         :changes ["chat.session.renamed"])
    (org-agent-fake-tell 'orgAgent/sessions/changed :sessionId "other"
                         :changes ["chat.session.deleted"])
    (org-agent-fake-settle)
    (should (equal org-agent--session "session-1"))
    (let ((said (org-agent-sessions-tests-said
                 (org-agent-fake-tell 'orgAgent/sessions/changed
                                      :sessionId "session-1"
                                      :changes ["chat.session.deleted"])
                 (org-agent-fake-settle))))
      (should (= 1 (length said)))
      (should (string-search "was deleted" (car said))))
    (should-not org-agent--session)
    (should-not (org-agent--buffer "session-1"))
    (should-not (org-agent-sessions-tests-notice))
    (org-agent-fake-send "second")
    (org-agent-fake-settle)
    (should (equal (org-agent-fake-sent 'orgAgent/sessions/create)
                   '((:buffer "*org-agent-chat*"))))
    (should (equal (plist-get (org-agent-sessions-tests-last 'orgAgent/event) :sessionId)
                   "session-2"))
    (should (equal (org-agent--all "OA_SESSION") '("session-2")))))

;;;; Why

(ert-deftest org-agent-why-is-a-page-that-does-nothing ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-sessions-tests-answer
     'orgAgent/why
     (lambda (_)
       (list :org "* Why\n: fact\n** Event\n#+begin_example\n[[elisp:(f)][x]]\n\f\n#+end_example\n")))
    (save-window-excursion
      (goto-char (point-min))
      (search-forward "question")
      (org-agent-why)
      (org-agent-fake-settle)
      (with-current-buffer "*org-agent why*"
        (should buffer-read-only)
        (should-not (derived-mode-p 'org-mode))
        (dolist (case '(("* Why") ("fact" . t) ("Event") ("elisp" . t) ("\f" . t)))
          (goto-char (point-min))
          (search-forward (car case))
          (should (eq (and (invisible-p (match-beginning 0)) t) (cdr case))))
        (kill-buffer)))))

(provide 'org-agent-sessions-tests)
;;; org-agent-sessions-tests.el ends here
