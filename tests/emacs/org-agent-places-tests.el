;;; org-agent-places-tests.el --- Ways to a chat and out of it  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Links, bookmarks, the index and the side window, with the fake server
;; and with the real one.

;;; Code:

(require 'bookmark)
(require 'imenu)
(require 'ox)
(require 'ox-ascii)
(require 'ox-html)
(require 'ox-md)
(require 'repeat)
(require 'which-func)
(require 'org-agent-real)
(require 'org-agent-here-tests)

(defmacro org-agent-tests-two-turns (&rest body)
  "Run BODY in a chat with two prompts and replies."
  (declare (indent 0) (debug t))
  `(org-agent-fake-with
     (org-agent-fake-send "What is [[this]] about?\nMore.")
     (org-agent-fake-insert "turn-1" 1 "First.\n*** Part\ndeep\n")
     (org-agent-fake-send "And that?")
     (org-agent-fake-insert "turn-2" 1 "Second.\n")
     ,@body))

(defun org-agent-tests-stored ()
  "Return what `org-store-link' stores at point, as (LINK DESCRIPTION), or nil."
  (let ((org-stored-links nil)
        (org-link-context-for-files nil))
    (call-interactively #'org-store-link)
    (car org-stored-links)))

;;;; Links

(ert-deftest org-agent-link-to-a-session-and-to-turns ()
  (org-agent-tests-two-turns
    (goto-char (point-max))
    (should (equal (org-agent-tests-stored)
                   '("org-agent:session-1" "What is this about?")))
    (org-agent-tests-at "And that")
    (should (equal (org-agent-tests-stored)
                   '("org-agent:session-1/event-2" "And that?")))
    (org-agent-tests-at "deep")
    (should (equal (org-agent-tests-stored)
                   '("org-agent:session-1/act-turn-1" "What is this about?")))
    (let ((link (apply #'org-link-make-string (org-agent-tests-stored))))
      (with-temp-buffer
        (org-mode)
        (insert link)
        (goto-char (point-min))
        (switch-to-buffer (current-buffer))
        (org-open-at-point)
        (should (equal (buffer-name (window-buffer)) "*org-agent-chat*"))
        (with-current-buffer (window-buffer)
          (should (looking-at-p "\\*\\* ASSISTANT\n:PROPERTIES:\n:OA_ACT: act-turn-1$")))))))

(ert-deftest org-agent-link-in-a-file-is-to-what-the-chat-has ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (org-agent-tests-at "yours")
    (org-agent-chat-here)
    (org-agent-tests-say "hello")
    (org-agent-fake-insert "turn-1" 1 "Work." nil "sub-1")
    (org-agent-tests-at "yours")
    (should (equal (org-agent-tests-stored) '("org-agent:sub-1" "Two")))
    (org-agent-tests-at "Work")
    (should (equal (org-agent-tests-stored) '("org-agent:sub-1/act-turn-1" "hello")))
    ;; What is the user's own is linked to as ever.
    (dolist (place '("mine" "deep"))
      (org-agent-tests-at place)
      (should (string-prefix-p "file:" (car (org-agent-tests-stored)))))
    ;; Followed from elsewhere, folded and narrowed.
    (outline-hide-sublevels 1)
    (goto-char (point-min))
    (org-narrow-to-subtree)
    (let ((notes (current-buffer)))
      (with-temp-buffer
        (switch-to-buffer (current-buffer))
        (org-agent-follow-link "sub-1/act-turn-1")
        (should (eq (window-buffer) notes)))
      (with-current-buffer notes
        (should (looking-at-p "\\*\\*\\* ASSISTANT"))
        (should-not (org-invisible-p))))))

(ert-deftest org-agent-link-to-a-session-that-is-not-open ()
  (org-agent-fake-with
    (setq org-agent-fake-transcript
          (org-agent-fake-said "away" '(1 "Long ago" "Reply.")))
    (push (cons 'orgAgent/sessions/get
                (lambda (_) '(:id "away" :title "Old\nchat" :buffer "other")))
          org-agent-fake-answers)
    (org-agent-follow-link "away/event-1")
    (should (string-search "being opened" (buffer-string)))
    ;; Once more while it is on its way: it is the same.
    (let ((buffer (current-buffer)))
      (org-agent-follow-link "away/event-1")
      (should (eq buffer (current-buffer))))
    (dotimes (_ 4) (org-agent-fake-settle))
    (should (equal (buffer-name) "*org-agent-chat Old chat*"))
    (should (derived-mode-p 'org-agent-chat-mode))
    (should (equal org-agent--session "away"))
    (should (equal (org-agent-tests-text)
                   (concat org-agent-fake-transcript "* USER\n")))
    (should (looking-at-p "\\* USER\n:PROPERTIES:\n:OA_EVENT: event-1"))
    (should (= (window-point) (point)))
    (should-not (buffer-modified-p))
    (kill-buffer)))

(ert-deftest org-agent-chats-are-made-of-the-record-in-one-way ()
  (org-agent-fake-with
    (setq org-agent-fake-transcript
          (org-agent-fake-said "away" '(1 "Long ago" "Reply.")))
    (let* ((item '(:id "away" :title "Old chat" :buffer "*mine*"))
           (make (lambda ()
                   (org-agent--make-recorded "away" item org-agent-fake-directory
                                             org-agent-fake-transcript)))
           (first (funcall make)))
      (push (cons 'orgAgent/sessions/get (lambda (_) item)) org-agent-fake-answers)
      (should (equal (buffer-name first) "*mine*"))
      (should-not (buffer-modified-p first))
      (should-not (buffer-local-value 'buffer-undo-list first))
      (let ((text (with-current-buffer first (org-agent-tests-text))))
        (kill-buffer first)
        ;; From a link, in the buffer that waits for the record.
        (org-agent-follow-link "away")
        (dotimes (_ 4) (org-agent-fake-settle))
        (should (equal (buffer-name) "*mine*"))
        (should (equal (org-agent-tests-text) text))
        (should-not (buffer-modified-p)))
      ;; A name that is taken is not taken away.
      (let ((second (funcall make)))
        (should (equal (buffer-name second) "*mine*<2>"))
        (kill-buffer second))
      (kill-buffer "*mine*"))))

(ert-deftest org-agent-link-to-a-subtree-whose-file-was-closed ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (org-agent-tests-at "yours")
    (org-agent-chat-here)
    (org-agent-tests-say "hello")
    (save-buffer)
    (kill-buffer)
    (org-agent-follow-link "sub-1/event-1")
    (should (equal (buffer-name) "notes.org"))
    (should (looking-at-p "\\*\\* USER\n:PROPERTIES:\n:OA_EVENT: event-1"))))

(ert-deftest org-agent-link-to-the-record-of-a-subtree ()
  (org-agent-tests-in-notes org-agent-tests-two
    (kill-buffer)
    (setq org-agent-fake-transcript
          (concat "** Two\n:PROPERTIES:\n:OA_SESSION: sub-1\n:END:\n"
                  "*** USER\n:PROPERTIES:\n:OA_EVENT: event-1\n:END:\nhello\n"))
    (push (cons 'orgAgent/sessions/get (lambda (_) '(:id "sub-1" :title "Two")))
          org-agent-fake-answers)
    (org-agent-follow-link "sub-1")
    (dotimes (_ 4) (org-agent-fake-settle))
    (should (equal (org-agent-tests-text)
                   (concat org-agent-fake-transcript "*** USER\n")))
    (setq org-agent-fake-count 6)
    (org-agent-fake-send "more")
    (should (equal (plist-get (car (org-agent-fake-sent 'orgAgent/event)) :level) 3))
    (org-agent-fake-insert "turn-7" 1 "Yes." nil "sub-1")
    (should (string-search "\n**** ASSISTANT\n" (org-agent-tests-text)))
    ;; Where it is at home it goes on, not as a copy.
    (let ((record (current-buffer)))
      (switch-to-buffer (find-file-noselect
                         (expand-file-name "notes.org" org-agent-fake-directory)))
      (goto-char (point-max))
      (org-agent-chat-here)
      (dotimes (_ 3) (org-agent-fake-settle))
      (should-not (buffer-live-p record))
      (should-not (org-agent-fake-sent 'orgAgent/sessions/fork))
      (should (equal (org-agent--all "OA_SESSION") '("sub-1"))))))

(ert-deftest org-agent-link-that-leads-nowhere ()
  (org-agent-fake-with
    (push (cons 'orgAgent/sessions/get (lambda (_) (org-agent-fake-refuse "not_found")))
          org-agent-fake-answers)
    (org-agent-follow-link "gone")
    (dotimes (_ 3) (org-agent-fake-settle))
    (should (equal (buffer-string) "There is no such chat any more.\n"))
    (kill-buffer)))

(ert-deftest org-agent-link-with-hostile-words-is-inert ()
  (org-agent-fake-with
    (let ((before (buffer-list)))
      (dolist (path (list "" "/" "a/" "(shell-command \"id\")" "../../etc/passwd"
                          "a b" "a\nb" "%(id)" "é" (make-string 5000 ?a)
                          (concat "a/" (make-string 5000 ?b)) "a/b/c" "a::b"))
        (should-error (org-agent-follow-link path) :type 'user-error)
        (should (equal (org-agent-export-link path nil 'html) "org-agent")))
      (should (equal (buffer-list) before))
      (should-not (org-agent-fake-sent 'orgAgent/sessions/get)))
    ;; A mark that a link cannot say is left out.
    (should (equal (org-agent--link "s" "a]]b") "org-agent:s"))
    (should-not (org-agent--link "a]]b" "m"))))

(ert-deftest org-agent-link-completion-and-export ()
  (org-agent-fake-with
    (let ((org-agent--titles nil) (org-stored-links nil) offered)
      (push (cons 'orgAgent/sessions/list
                  (lambda (_)
                    '(:items [(:id "s-1" :title "Same") (:id "s-2" :title "Same")
                              (:id "s-3" :title "Two\nlines") (:id "no way" :title "x")
                              (:id "s-4" :title nil)])))
            org-agent-fake-answers)
      (cl-letf (((symbol-function 'completing-read)
                 (lambda (_prompt table &rest _)
                   (setq offered (all-completions "" table))
                   "Two lines")))
        (should (equal (org-agent-complete-link) "org-agent:s-3")))
      (should (equal offered '("Same" "Same (s-2)" "Two lines" "Chat")))
      (should (equal (org-agent-describe-link "org-agent:s-1") "Same")))
    (dolist (backend '(ascii html md))
      (let ((text (org-export-string-as "[[org-agent:s-1/e-1][A & B]] [[org-agent:s-2]]"
                                        backend t)))
        (should (string-search (if (eq backend 'html) "A &amp; B" "A & B") text))
        (should (string-search "org-agent:s-2" text))
        (should-not (string-search "href" text))))))

;;;; Bookmarks

(ert-deftest org-agent-bookmark-of-a-chat-that-is-open ()
  (org-agent-tests-two-turns
    (let ((bookmark-alist nil) (bookmark-save-flag nil))
      (org-agent-tests-at "And that")
      (bookmark-set "here")
      (should (equal (bookmark-prop-get "here" 'org-agent-turn) "event-2"))
      (should (equal (bookmark-location "here") "org-agent: And that?"))
      (with-temp-buffer
        (switch-to-buffer (current-buffer))
        (bookmark-jump "here")
        (should (equal (buffer-name (window-buffer)) "*org-agent-chat*")))
      (should (looking-at-p "\\* USER\n:PROPERTIES:\n:OA_EVENT: event-2")))))

(ert-deftest org-agent-bookmark-of-a-chat-that-has-not-begun ()
  (org-agent-fake-with
    (let ((bookmark-alist nil) (bookmark-save-flag nil))
      (bookmark-set "first")
      (kill-buffer)
      (bookmark-jump "first")
      (should (equal (buffer-name) "*org-agent-chat*"))
      (should (derived-mode-p 'org-agent-chat-mode)))))

;;;; With the real server

(ert-deftest org-agent-bookmark-survives-the-buffer-and-the-server ()
  (org-agent-real-with nil nil
    (let ((bookmark-alist nil) (bookmark-save-flag nil) text)
      (org-agent-real-reply "What is in the attic?")
      (org-agent-real-reply "And in the cellar?")
      (org-agent-tests-at "attic\\?")
      (setq text (org-agent-tests-text))
      (bookmark-set "attic")
      (kill-buffer)
      (org-agent--disconnect "a test ends it")
      (org-agent-fake-until (lambda () (not (or org-agent--connection org-agent--ending)))
                            "the server to end")
      (with-temp-buffer
        (switch-to-buffer (current-buffer))
        (bookmark-jump "attic")
        (let ((buffer (window-buffer)))
          (org-agent-fake-until (lambda () (with-current-buffer buffer
                                             (and (derived-mode-p 'org-agent-chat-mode)
                                                  org-agent--session)))
                                "the chat")
          (with-current-buffer buffer
            (should (equal (org-agent-tests-text) text))
            (should (looking-at-p "\\* USER\n"))
            (should (save-excursion
                      (search-forward "What is in the attic?" (+ (point) 200))))
            (should (= (window-point) (point)))
            ;; It goes on.
            (org-agent-real-reply "And below that?")
            (should (string-match-p "And below that\\?\n\\*\\* ASSISTANT"
                                    (org-agent-tests-text)))))))))

(ert-deftest org-agent-here-with-the-real-server ()
  (org-agent-real-with nil nil
    (let* ((directory (make-temp-file "org-agent-notes" t))
           (org-agent-fake-directory directory)
           (create-lockfiles nil)
           (file (expand-file-name "out.org" directory)))
      (unwind-protect
          (progn
            (switch-to-buffer (org-agent-tests-notes-file "notes.org"
                                                          org-agent-tests-notes))
            (org-agent-tests-at "yours")
            (org-agent-chat-here)
            (insert "hello there")
            (org-agent-fake-keys "C-c C-c")
            (org-agent-fake-until
             (lambda () (string-match-p "\\*\\*\\* ASSISTANT\n[^*]+\n\\*\\* USER\n\n\\* Three"
                                        (org-agent-tests-text)))
             "the reply")
            (let ((session (car (org-agent--all "OA_SESSION")))
                  (turns (progn (org-agent-tests-at "deep\n")
                                (buffer-substring-no-properties
                                 (point) (progn (re-search-forward "^\\*\\* USER\n\n")
                                                (match-beginning 0))))))
              ;; The record has the heading as its title, and the same text.
              (org-agent-tests-at "yours")
              (org-agent-export file)
              (org-agent-fake-until (lambda () (file-exists-p file)) "the file")
              (with-temp-buffer
                (insert-file-contents file)
                (should (equal (buffer-string)
                               (format "* Two\n:PROPERTIES:\n:OA_SESSION: %s\n:END:\n%s"
                                       session turns))))
              ;; Closed, and opened by a link from the record.
              (set-buffer-modified-p nil)
              (kill-buffer)
              (clrhash org-agent--session-files)
              (org-agent-follow-link session)
              (let ((buffer (window-buffer)))
                (org-agent-fake-until (lambda () (with-current-buffer buffer
                                                   org-agent--session))
                                      "the chat")
                (with-current-buffer buffer
                  (should (equal (org-agent-tests-text)
                                 (format "* Two\n:PROPERTIES:\n:OA_SESSION: %s\n:END:\n%s** USER\n"
                                         session turns)))))))
        (org-agent-tests-forget-files)
        (delete-directory directory t)))))

;;;; The index

(ert-deftest org-agent-index-of-turns ()
  (org-agent-tests-two-turns
    (let ((index (org-agent--index)))
      (should (equal (mapcar #'car index) '("What is [[this]] about?" "And that?")))
      (goto-char (point-min))
      (imenu (car (imenu--make-index-alist t)))
      (imenu (assoc "And that?" (imenu--make-index-alist t)))
      (should (looking-at-p "\\* USER\n")))
    (org-agent-tests-at "Second")
    (should (equal (which-function) "And that?"))
    (org-agent-tests-at "deep")
    (should (equal (which-function) "What is [[this]] about?"))
    ;; Few columns, whatever was written.
    (org-agent-fake-send (concat "\n  " (make-string 3000 ?x)))
    (should (<= (length (car (nth 2 (org-agent--index)))) 60))
    (let ((org-agent--index-limit 2))
      (should (equal (caar (org-agent--index)) "And that?")))))

(ert-deftest org-agent-movement-by-turns ()
  (org-agent-tests-two-turns
    (goto-char (point-min))
    (org-cycle-hide-drawers 'all)
    (let ((map (make-sparse-keymap)))
      (define-key map (kbd "<f5> n") 'org-agent-next-turn)
      (define-key map (kbd "<f5> p") 'org-agent-previous-turn)
      (use-local-map (make-composed-keymap map (current-local-map)))
      (unwind-protect
          (progn
            (repeat-mode 1)
            (org-agent-fake-keys "<f5> n n")
            (should (looking-at-p "\\* USER\n:PROPERTIES:\n:OA_EVENT: event-2"))
            (should (org-invisible-p (save-excursion (forward-line 2) (point))))
            (org-agent-fake-keys "<f5> p")
            (should (looking-at-p "\\* USER\n:PROPERTIES:\n:OA_EVENT: event-1")))
        (repeat-mode -1)))
    (should-error (org-agent-previous-turn) :type 'user-error)
    (should (looking-at-p "\\* USER\n:PROPERTIES:\n:OA_EVENT: event-1"))
    (org-agent-next-turn 2)
    (should (looking-at-p "\\* USER\n\\'"))
    (should-error (org-agent-next-turn) :type 'user-error)))

;;;; The side window

(ert-deftest org-agent-side-window-comes-and-goes ()
  (org-agent-fake-with
    (let ((chat (current-buffer)))
      (with-temp-buffer
        (switch-to-buffer (current-buffer))
        (let ((own (selected-window)) (buffer (current-buffer)))
          (dolist (org-agent-side '(right left bottom))
            (org-agent-chat-side)
            (should (eq (window-buffer) chat))
            (should (eq (window-parameter nil 'window-side) org-agent-side))
            (should (eq (window-buffer own) buffer))
            (should (= (length (window-list)) 2))
            (org-agent-chat-side)
            (should (equal (window-list) (list own)))
            (should (eq (selected-window) own)))
          ;; From another window, and with its size as it was said.
          (let ((org-agent-side 'right) (org-agent-side-size 30))
            (org-agent-chat-side)
            (should (= (window-total-width) 30))
            (select-window own)
            (delete-other-windows)
            (should (= (length (window-list)) 2))
            ;; Another chat is the last one then.
            (select-window (org-agent--side-window))
            (org-agent-chat-side t)
            (let ((new (window-buffer)))
              (should-not (eq new chat))
              (should (= (length (window-list)) 2))
              (org-agent-chat-side)
              (org-agent-chat-side)
              (should (eq (window-buffer) new))
              (org-agent-chat-side)
              (kill-buffer new)
              (org-agent-chat-side)
              (should (eq (window-buffer) chat))
              (org-agent-chat-side))))))))

(ert-deftest org-agent-last-chat-is-the-same-for-all-that-asks ()
  (org-agent-fake-with
    (let* ((first (current-buffer))
           (second (progn (org-agent-chat t) (current-buffer)))
           (code (generate-new-buffer "code"))
           (added (lambda ()
                    (org-agent-add-region (point-min) (point-max))
                    (seq-filter (lambda (chat)
                                  (prog1 (buffer-local-value 'org-agent--context chat)
                                    (with-current-buffer chat
                                      (org-agent--clear-context))))
                                (org-agent--chats))))
           (captured (lambda ()
                       (save-current-buffer (org-agent-capture-input) (current-buffer))))
           (at-side (lambda ()
                      (org-agent-chat-side)
                      (prog1 (window-buffer) (org-agent-chat-side)))))
      (unwind-protect
          (progn
            (with-current-buffer code (insert "code"))
            (dolist (chat (list second first second))
              ;; Looked at, and left again.
              (switch-to-buffer chat)
              (switch-to-buffer code)
              (dotimes (_ 2)
                (should (equal (funcall added) (list chat)))
                (should (eq (funcall captured) chat))
                (should (eq (funcall at-side) chat))))
            ;; The chat of a subtree is used in its subtree.
            (switch-to-buffer (org-agent-tests-notes-file "notes.org" org-agent-tests-notes))
            (org-agent-chat-here t)
            (switch-to-buffer code)
            (should (equal (funcall added) (list second)))
            (should (eq (funcall at-side) second)))
        (kill-buffer code)
        (org-agent-tests-forget-files)))))

(provide 'org-agent-places-tests)
;;; org-agent-places-tests.el ends here
