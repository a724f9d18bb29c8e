;;; org-agent-moved-tests.el --- Subtrees that go elsewhere  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Headings of sessions that are moved, refiled, archived, copied, cut or
;; closed while a reply streams.

;;; Code:

(require 'org-archive)
(require 'org-refile)
(require 'org-agent-here-tests)

(ert-deftest org-agent-here-a-moved-subtree-has-its-session ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (org-agent-tests-at "yours")
    (org-agent-chat-here)
    (org-agent-tests-say "hello")
    (org-agent-fake-state "turn-1" 1 "streaming")
    (org-agent-fake-delta "turn-1" 2 "Wo")
    ;; Within the file, deeper.
    (org-agent-tests-at "\\* Two")
    (org-cut-subtree)
    (goto-char (point-max))
    (org-paste-subtree 3)
    (org-agent-fake-delta "turn-1" 3 "rk")
    (should (string-search "***** ASSISTANT (not verified)\nWork"
                           (seq-some (lambda (overlay) (overlay-get overlay 'before-string))
                                     (overlays-in (point-min) (point-max)))))
    (org-agent-fake-insert "turn-1" 4 "Work.\n**** A\n" nil "sub-1")
    (should (string-search
             "***** ASSISTANT\n:PROPERTIES:\n:OA_ACT: act-turn-1\n:END:\nWork.\n****** A\n**** USER\n"
             (org-agent-tests-text)))
    ;; Its texts are what they were to the server.
    (org-agent-tests-at "\\*\\*\\*\\* USER\n\n?\\'")
    (org-agent-tests-say "again")
    (let ((event (car (last (org-agent-fake-sent 'orgAgent/event)))))
      (should (equal (plist-get event :sessionId) "sub-1"))
      (should (equal (plist-get event :level) 2))
      (should (equal (plist-get (plist-get event :turnHashes) :act-turn-1)
                     (secure-hash 'sha256 "Work.\n**** A\n"))))))

(ert-deftest org-agent-here-refiling-while-a-reply-streams ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (let* ((other (org-agent-tests-notes-file "other.org" "* Inbox\n* End\n"))
           (notes (current-buffer)))
      (org-agent-tests-at "yours")
      (org-agent-chat-here)
      (org-agent-tests-say "hello")
      (org-agent-fake-state "turn-1" 1 "streaming")
      (org-agent-fake-delta "turn-1" 2 "Wo")
      (org-agent-tests-at "\\* Two")
      (org-refile nil nil (list "Inbox" (buffer-file-name other) nil
                                (with-current-buffer other
                                  (goto-char (point-min))
                                  (point-marker))))
      (org-agent-fake-delta "turn-1" 3 "rk")
      (org-agent-fake-insert "turn-1" 4 "Work." nil "sub-1")
      (with-current-buffer notes
        (should (equal (org-agent-tests-text) "* One\nmine\n* Three\n"))
        (should-not (overlays-in (point-min) (point-max))))
      (with-current-buffer other
        (should org-agent-mode)
        (should (string-match-p
                 "hello\n\\*\\*\\*\\* ASSISTANT\n[^*]+Work\\.\n\\*\\*\\* USER\n\n\\* End\n\\'"
                 (org-agent-tests-text)))))))

(ert-deftest org-agent-here-a-prompt-on-its-way-while-it-is-moved ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (let ((other (org-agent-tests-notes-file "other.org" "* Inbox\n")))
      (org-agent-tests-at "yours")
      (org-agent-chat-here)
      (org-agent-tests-say "hello")
      (org-agent-fake-type "second")
      (org-agent-fake-keys "C-c C-c")
      ;; Sent, and not acknowledged.
      (org-agent-tests-at "\\* Two")
      (org-cut-subtree)
      (with-current-buffer other
        (goto-char (point-max))
        (org-paste-subtree 2)
        (org-agent--buffer "sub-1"))
      (org-agent-fake-settle)
      (org-agent-fake-settle)
      (let ((events (cdr (org-agent-fake-sent 'orgAgent/event))))
        (should (= (length events) 2))
        (should (equal (plist-get (nth 0 events) :clientId)
                       (plist-get (nth 1 events) :clientId))))
      (with-current-buffer other
        (should (string-match-p "hello\n\\*\\*\\* USER\n:PROP[^*]+second\n\\*\\*\\* USER\n"
                                (org-agent-tests-text)))))))

(ert-deftest org-agent-here-archived ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (org-agent-tests-at "yours")
    (org-agent-chat-here)
    (org-agent-tests-say "hello")
    (org-agent-tests-at "\\* Two")
    (let ((org-archive-location "%s_archive::"))
      (org-archive-subtree))
    (org-agent-fake-insert "turn-1" 1 "Work." nil "sub-1")
    (with-current-buffer (get-buffer "notes.org_archive")
      (should (string-match-p "hello\n\\*\\*\\* ASSISTANT\n[^*]+Work\\.\n\\*\\* USER\n"
                              (org-agent-tests-text))))
    (should (equal (org-agent-tests-text) "* One\nmine\n* Three\n"))))

(ert-deftest org-agent-here-in-the-kill-ring-nothing-is-lost ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (org-agent-tests-at "yours")
    (org-agent-chat-here)
    (org-agent-tests-say "hello")
    (org-agent-tests-at "\\* Two")
    (org-cut-subtree)
    (org-agent-fake-insert "turn-1" 1 "Work." nil "sub-1")
    (should (equal (org-agent-tests-text) "* One\nmine\n* Three\n"))
    (goto-char (point-max))
    (org-paste-subtree 1)
    (org-agent-chat-here)
    (should (string-match-p "hello\n\\*\\*\\* ASSISTANT\n[^*]+Work\\.\n\\*\\* USER\n+\\'"
                            (org-agent-tests-text)))))

(ert-deftest org-agent-here-a-copied-subtree-becomes-a-fork ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (org-agent-tests-at "yours")
    (org-agent-chat-here)
    (org-agent-tests-say "hello")
    (org-agent-fake-insert "turn-1" 1 "Work." nil "sub-1")
    (org-agent-tests-at "\\* Two")
    (org-copy-subtree)
    (goto-char (point-max))
    (org-paste-subtree 1)
    (push (cons 'orgAgent/sessions/fork (lambda (_) '(:id "fork-1")))
          org-agent-fake-answers)
    (goto-char (point-max))
    (should-error (org-agent-tests-say "mine") :type 'user-error)
    (org-agent-fake-settle)
    (should (equal (car (org-agent-fake-sent 'orgAgent/sessions/fork))
                   (list :sessionId "sub-1" :messageId "act-turn-1"
                         :buffer "notes.org: Two<2>")))
    (should (equal (org-agent--all "OA_SESSION") '("sub-1" "fork-1")))
    (goto-char (point-max))
    (org-agent-fake-keys "C-c C-c")
    (org-agent-fake-settle)
    (should (equal (plist-get (car (last (org-agent-fake-sent 'orgAgent/event)))
                              :sessionId)
                   "fork-1"))
    ;; What comes for the first goes there.
    (org-agent-fake-insert "turn-1" 2 "More." "act-more" "sub-1")
    (should (< (org-agent--find "OA_ACT" "act-more")
               (org-agent--find "OA_SESSION" "fork-1")))))

(ert-deftest org-agent-here-of-two-copies-in-a-visited-file-the-second-is-the-fork ()
  (org-agent-tests-in-notes (concat org-agent-tests-two "** USER\n\n"
                                    org-agent-tests-two "** USER\n")
    (goto-char (point-max))
    (org-agent-chat-here)
    (org-agent-fake-settle)
    (should (equal (org-agent--all "OA_SESSION") '("sub-1" "session-2")))))

(ert-deftest org-agent-here-a-closed-file-gets-its-text-when-it-is-opened ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (org-agent-tests-at "yours")
    (org-agent-chat-here)
    (org-agent-tests-say "hello")
    (save-buffer)
    (let ((file buffer-file-name))
      (kill-buffer)
      (should (equal (org-agent--chats) (list (get-buffer "*org-agent-chat*"))))
      (org-agent-fake-insert "turn-1" 1 "Work." nil "sub-1")
      (should-not (org-agent-fake-sent 'orgAgent/actuated))
      (switch-to-buffer (find-file-noselect file))
      (should-not (string-search "Work" (org-agent-tests-text)))
      (org-agent-tests-at "yours")
      (org-agent-chat-here)
      (should (string-match-p "hello\n\\*\\*\\* ASSISTANT\n[^*]+Work\\.\n\\*\\* USER\n\n\\* Three"
                              (org-agent-tests-text))))))

(defun org-agent-tests-anywhere (what)
  "Do one thing that a user does to a file, WHAT of 9, anywhere in it."
  (widen)
  (pcase what
    ((or 0 1 2)
     ;; Some words at the end of a line of text that is nobody's.
     (org-agent-tests-at (format "^mine-%d.*" (random 4)))
     (insert " w"))
    (3 (goto-char (point-min))
       (dotimes (_ (random 4)) (outline-next-heading))
       (org-back-to-heading-or-point-min)
       (ignore-errors (org-cycle)))
    (4 (org-agent-tests-root)
       (ignore-errors (if (= 0 (random 2)) (org-move-subtree-down) (org-move-subtree-up))))
    (5 (org-agent-tests-root)
       (ignore-errors (if (= 0 (random 2)) (org-demote-subtree) (org-promote-subtree))))
    (6 (org-agent-tests-root)
       (org-cut-subtree)
       (if (= 0 (random 2)) (goto-char (point-max))
         (org-agent-tests-at "^\\* E")
         (beginning-of-line))
       (unless (bolp) (insert "\n"))
       (insert (org-agent--line (current-kill 0))))
    (7 (org-agent-tests-at (format "^mine-%d" (random 4)))
       (org-back-to-heading t)
       (org-narrow-to-element))
    (8 (save-buffer))))

(defun org-agent-tests-root ()
  "Go to the heading of one of the sessions."
  (org-agent-tests-at (format ":OA_SESSION: +sub-%d" (1+ (random 2))))
  (org-back-to-heading t))

(defun org-agent-back-to-text (session text)
  "Return non-nil if TEXT is there once, below the heading of SESSION."
  (save-excursion
    (save-restriction
      (widen)
      (goto-char (point-min))
      (and (search-forward text nil t)
           (save-excursion
             (org-back-to-heading t)
             (while (and (not (org-agent--session-at (point)))
                         (org-up-heading-safe)))
             (equal (org-agent--session-at (point)) session))
           (not (search-forward text nil t))))))

(ert-deftest org-agent-here-whatever-is-done-to-the-file-meanwhile ()
  (dolist (seed '("one" "two" "three" "four"))
    (random seed)
    (org-agent-tests-in-notes
        "* A\nmine-0\n* B\nmine-1\n** C\nmine-2\n* D\nmine-3\n* E\n"
      (dolist (heading '("^\\* A" "^\\*\\* C"))
        (org-agent-tests-at heading)
        (org-agent-chat-here)
        (org-agent-tests-say (concat "begin" heading)))
      (org-agent-fake-state "turn-1" 1 "streaming")
      (org-agent-fake-state "turn-2" 1 "streaming")
      (let ((seq 1) (words 0) said)
        (dotimes (step 60)
          (let ((what (random 9)))
            (when (< what 3) (cl-incf words))
            (org-agent-tests-anywhere what))
          (let* ((which (1+ (random 2)))
                 (turn (format "turn-%d" which))
                 (session (format "sub-%d" which))
                 (text (format "reply-%s-%d." seed step)))
            (org-agent-fake-delta turn (cl-incf seq) "piece ")
            (when (= 0 (random 3))
              (org-agent-fake-insert turn (cl-incf seq)
                                     (format "%s\n***** part\n" text)
                                     (format "act-%d" step) session)
              (push (cons session text) said))))
        (org-agent-tests-anywhere 8)
        (org-agent--release-here)
        (pcase-dolist (`(,session . ,text) said)
          (ert-info ((format "%s: %s" seed text))
            (should (org-agent-back-to-text session text))))
        (should (= words (how-many " w\\b" (point-min) (point-max))))
        (dolist (word '("^\\*+ A$" "^\\*+ B$" "^\\*+ C$" "^\\*+ D$" "^\\*+ E$" "^mine-0" "^mine-1"
                        "^mine-2" "^mine-3" "^begin\\^\\\\\\* A$"))
          (ert-info (word)
            (should (= 1 (how-many word (point-min) (point-max))))))
        (should (< 5 (length said)))))))

(provide 'org-agent-moved-tests)
;;; org-agent-moved-tests.el ends here
