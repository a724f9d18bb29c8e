;;; org-agent-here-tests.el --- Chats in subtrees  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Sessions in subtrees of Org files: where what is said goes, whatever
;; becomes of the heading, and that Org stays Org.

;;; Code:

(require 'org-agent-fake)

(defconst org-agent-tests-notes
  "* One\nmine\n* Two\nyours\n** Below\ndeep\n* Three\n"
  "What stands in the file of these tests.")

(declare-function org-indent-add-properties "org-indent" (beg end &optional delay))

(defvar org-agent-tests-sessions 0)

(defun org-agent-tests-notes-file (name text)
  "Visit the file NAME with TEXT, and return its buffer."
  (let ((file (expand-file-name name org-agent-fake-directory)))
    (write-region text nil file nil 'silent)
    (find-file-noselect file)))

(defun org-agent-tests-forget-files ()
  "Kill the buffers of the files of this test."
  (dolist (buffer (buffer-list))
    (when-let ((file (buffer-file-name buffer)))
      (when (file-in-directory-p file org-agent-fake-directory)
        (with-current-buffer buffer
          (set-buffer-modified-p nil))
        (kill-buffer buffer)))))

(defmacro org-agent-tests-in-notes (text &rest body)
  "Run BODY in a window on a file with TEXT and with a fake server."
  (declare (indent 1) (debug t))
  `(org-agent-fake-with
     (let ((org-agent-tests-sessions 0)
           (org-agent-fake-answers
            (list (cons 'orgAgent/sessions/create
                        (lambda (_)
                          (list :id (format "sub-%d"
                                            (cl-incf org-agent-tests-sessions)))))))
           (create-lockfiles nil)
           (make-backup-files nil))
       (unwind-protect
           (progn
             (switch-to-buffer (org-agent-tests-notes-file "notes.org" ,text))
             ,@body)
         (org-agent-tests-forget-files)))))

(defun org-agent-tests-at (regexp)
  "Go to the line after the match of REGEXP."
  (widen)
  (goto-char (point-min))
  (re-search-forward regexp))

(defun org-agent-tests-say (text)
  "Type TEXT at point, press \\`C-c C-c', and wait for the answers."
  (org-agent-fake-type text)
  (org-agent-fake-keys "C-c C-c")
  (org-agent-fake-settle)
  (org-agent-fake-settle))

(defun org-agent-tests-text ()
  "Return all text of the current buffer."
  (save-restriction
    (widen)
    (buffer-substring-no-properties (point-min) (point-max))))

(defconst org-agent-tests-two
  (concat "* Two\n:PROPERTIES:\n:OA_LEVEL: 2\n:OA_SESSION: sub-1\n:END:\nyours\n"
          "** Below\ndeep\n"
          "** USER\n:PROPERTIES:\n:OA_EVENT: event-1\n:END:\nhello\n")
  "The second heading with one prompt.")

(ert-deftest org-agent-here-a-subtree-becomes-a-session ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (org-agent-tests-at "yours")
    (org-agent-chat-here)
    (should org-agent-mode)
    (should-not (buffer-base-buffer))
    (should (equal (org-agent-tests-text)
                   "* One\nmine\n* Two\nyours\n** Below\ndeep\n** USER\n\n* Three\n"))
    (should (looking-back "\\*\\* USER\n" nil))
    (org-agent-tests-say "hello")
    (should (equal (plist-get (car (org-agent-fake-sent 'orgAgent/sessions/create)) :title)
                   "Two"))
    (let ((event (car (org-agent-fake-sent 'orgAgent/event))))
      (should (equal (plist-get event :sessionId) "sub-1"))
      (should (equal (plist-get event :level) 2))
      (should (equal (plist-get event :text) "hello")))
    (should (equal (org-agent-tests-text)
                   (concat "* One\nmine\n" org-agent-tests-two "** USER\n\n* Three\n")))
    ;; The user goes on in the new input, in their own buffer.
    (should (looking-at-p "\n\\* Three"))
    (org-agent-fake-state "turn-1" 1 "streaming")
    (org-agent-fake-delta "turn-1" 2 "Hi")
    (should (equal org-agent--here-lighter " Agent [streaming]"))
    (let ((shown (delq nil (mapcar (lambda (overlay) (overlay-get overlay 'before-string))
                                   (overlays-in (point-min) (point-max))))))
      (should (= (length shown) 1))
      (should (string-search "*** ASSISTANT (not verified)\nHi" (car shown))))
    (org-agent-fake-type "next")
    (should (equal (org-agent-fake-insert "turn-1" 3 "Hi.\n**** A\n" nil "sub-1")
                   '(:accepted t)))
    (should (equal (org-agent-tests-text)
                   (concat "* One\nmine\n" org-agent-tests-two
                           "*** ASSISTANT\n:PROPERTIES:\n:OA_ACT: act-turn-1\n:END:\nHi.\n"
                           "**** A\n** USER\nnext\n* Three\n")))
    (should (looking-back "next" nil))
    (org-agent-fake-state "turn-1" 4 "done")
    (should-not (seq-some (lambda (overlay) (overlay-get overlay 'before-string))
                          (overlays-in (point-min) (point-max))))))

(ert-deftest org-agent-here-several-sessions-in-a-file ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (dolist (name '("One" "Three"))
      (org-agent-tests-at name)
      (org-agent-chat-here)
      (org-agent-tests-say (concat "in " name)))
    (org-agent-fake-insert "turn-2" 1 "Third." nil "sub-2")
    (org-agent-fake-insert "turn-1" 1 "First." nil "sub-1")
    (should (string-match-p
             (rx bos "* One\n" (+ (not "*")) "** USER\n" (+ (not "*")) "in One\n"
                 "*** ASSISTANT\n" (+ (not "*")) "First.\n** USER\n\n* Two\nyours\n"
                 "** Below\ndeep\n* Three\n" (+ (not "*")) "** USER\n" (+ (not "*"))
                 "in Three\n*** ASSISTANT\n" (+ (not "*")) "Third.\n** USER\n" eos)
             (org-agent-tests-text)))
    (should (equal (mapcar (lambda (event) (plist-get event :sessionId))
                           (org-agent-fake-sent 'orgAgent/event))
                   '("sub-1" "sub-2")))
    ;; Each goes on with a plain key.
    (org-agent-tests-at "First\\.\n\\*\\* USER\n")
    (org-agent-tests-say "more")
    (should (equal (plist-get (car (last (org-agent-fake-sent 'orgAgent/event)))
                              :sessionId)
                   "sub-1"))))

(ert-deftest org-agent-here-org-stays-org ()
  (org-agent-tests-in-notes "* One\n- [ ] box\n* Two\n"
    (org-agent-tests-at "box")
    (org-agent-chat-here)
    (let ((sent (lambda () (org-agent-fake-settle) (org-agent-fake-sent 'orgAgent/event))))
      ;; Above the input, in another heading, and at what Org acts on.
      (org-agent-tests-at "box")
      (org-agent-fake-keys "C-c C-c")
      (should (string-search "- [X] box" (org-agent-tests-text)))
      (org-agent-tests-at "USER\n")
      (insert "- [ ] mine\n\n| a | b |\n\n#+begin_src emacs-lisp\n(setq a 1)\n#+end_src\n")
      (org-agent-tests-at "mine")
      (org-agent-fake-keys "C-c C-c")
      (should (string-search "- [X] mine" (org-agent-tests-text)))
      (org-agent-tests-at "| a")
      (org-agent-fake-keys "C-c C-c")
      (org-agent-tests-at "(setq")
      (should-not (org-agent--here-ctrl-c-ctrl-c))
      (org-agent-tests-at "\\*\\* USER")
      (should-not (org-agent--here-ctrl-c-ctrl-c))
      (org-agent-tests-at "\\* Two")
      (should-not (org-agent--here-ctrl-c-ctrl-c))
      (should-not (funcall sent))
      ;; Keys of the chat are Org's while it has nothing to do.
      (org-agent-tests-at "mine")
      (should (eq (key-binding (kbd "C-c C-k")) 'org-kill-note-or-show-branches))
      (should (eq (key-binding (kbd "RET")) 'org-return))
      (org-agent-tests-at "#\\+end_src\n")
      (org-agent-tests-say "go")
      (should (= (length (funcall sent)) 1))
      (org-agent-fake-state "turn-1" 1 "thinking")
      (should (eq (key-binding (kbd "C-c C-k")) 'org-agent-here-press))
      (org-agent-fake-keys "C-c C-k")
      (org-agent-fake-settle)
      (should (org-agent-fake-sent 'orgAgent/cancel))
      (org-agent-tests-at "\\* Two")
      (should (eq (key-binding (kbd "C-c C-k")) 'org-kill-note-or-show-branches))
      ;; The user's own keys, too.
      (let ((map (make-sparse-keymap)))
        (define-key map (kbd "<f5>") 'org-agent-cancel)
        (use-local-map (make-composed-keymap map (current-local-map))))
      (org-agent-tests-at "USER\n")
      (org-agent-fake-keys "<f5>")
      (org-agent-fake-settle)
      (should (= (length (org-agent-fake-sent 'orgAgent/cancel)) 2)))))

(ert-deftest org-agent-here-no-side-effects-on-visiting ()
  (org-agent-tests-in-notes (concat org-agent-tests-two "** USER\n")
    (should-not org-agent-mode)
    (should-not (buffer-modified-p))
    (should (equal (org-agent--chats) (list (get-buffer "*org-agent-chat*"))))))

(ert-deftest org-agent-here-narrowing-folding-and-clones ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (org-agent-tests-at "yours")
    (org-agent-chat-here)
    (org-agent-tests-say "hello")
    (let ((notes (current-buffer)))
      ;; Narrowed to something else, and the whole subtree folded.
      (org-agent-tests-at "\\* Two")
      (outline-hide-subtree)
      (org-agent-tests-at "\\* One")
      (org-narrow-to-subtree)
      (let ((narrow (buffer-string)))
        (org-agent-fake-insert "turn-1" 1 "Work." nil "sub-1")
        (should (equal (buffer-string) narrow)))
      (widen)
      (org-agent-tests-at "Work\\.")
      (should (org-invisible-p))
      (should-not (progn (org-agent-tests-at "\\* Two") (org-invisible-p (line-beginning-position))))
      (should-not (progn (org-agent-tests-at "\\* Three") (org-invisible-p (line-beginning-position))))
      ;; A clone of the user's is as good as the first.
      (org-agent-tests-at "\\* Two")
      (org-tree-to-indirect-buffer)
      (let ((clone (seq-find (lambda (buffer)
                               (and (eq (buffer-base-buffer buffer) notes)
                                    (not (memq buffer (org-agent--chats)))))
                             (buffer-list))))
        (unwind-protect
            (with-current-buffer clone
              (switch-to-buffer clone)
              (goto-char (point-max))
              (org-agent-chat-here)
              (org-agent-tests-say "from the clone")
              (should (looking-back "\\*\\* USER\n" nil)))
          (kill-buffer clone)))
      (with-current-buffer notes
        (should (string-match-p "from the clone\n\\*\\* USER\n\n\\* Three" (org-agent-tests-text)))))))

(ert-deftest org-agent-here-a-folded-last-subtree-stays-folded ()
  (org-agent-tests-in-notes "* One\nmine\n"
    (org-agent-tests-at "mine")
    (org-agent-chat-here)
    (org-agent-tests-say "hello")
    (org-agent-tests-at "\\* One")
    (outline-hide-subtree)
    (org-agent-fake-insert "turn-1" 1 "Work." nil "sub-1")
    (org-agent-fake-state "turn-1" 2 "done")
    (goto-char (point-min))
    (forward-line 1)
    (while (not (eobp))
      (should (org-invisible-p))
      (forward-line 1))))

(ert-deftest org-agent-here-where-nothing-can-be-written ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (setq buffer-read-only t)
    (org-agent-tests-at "yours")
    (should-error (org-agent-chat-here) :type 'user-error)
    (should-not (buffer-modified-p))
    (setq buffer-read-only nil)
    (org-agent-chat-here)
    (org-agent-tests-say "hello")
    (org-agent-fake-type "next")
    (read-only-mode 1)
    (let ((before (org-agent-tests-text)))
      (should-error (org-agent-fake-keys "C-c C-c") :type 'user-error)
      (org-agent-fake-insert "turn-1" 1 "Work." nil "sub-1")
      (should (equal (org-agent-tests-text) before))
      (should-not (org-agent-fake-sent 'orgAgent/actuated)))
    (read-only-mode -1)
    (should (string-search "Work.\n** USER\nnext\n" (org-agent-tests-text)))
    (org-agent-fake-settle)
    (should (equal (plist-get (car (org-agent-fake-sent 'orgAgent/actuated)) :status)
                   "done"))))

(ert-deftest org-agent-here-a-file-that-another-program-changed ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (org-agent-tests-at "yours")
    (org-agent-chat-here)
    (org-agent-tests-say "hello")
    (save-buffer)
    (let ((text (org-agent-tests-text)))
      (write-region (concat text "* Four\n") nil buffer-file-name nil 'silent)
      (set-file-times buffer-file-name (time-add nil 100))
      (org-agent-fake-insert "turn-1" 1 "Work." nil "sub-1")
      (should (equal (org-agent-tests-text) text)))
    (revert-buffer t t)
    (should org-agent-mode)
    (should (string-match-p "hello\n\\*\\*\\* ASSISTANT\n[^*]+Work\\.\n\\*\\* USER\n\n\\* Three\n\\* Four\n"
                            (org-agent-tests-text)))))

(ert-deftest org-agent-here-replies-cannot-leave-their-subtree ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (org-agent-tests-at "yours")
    (org-agent-chat-here)
    (org-agent-tests-say "hello")
    (org-agent-fake-insert "turn-1" 1 "* A\ntext\n** B\n" nil "sub-1")
    (should (string-search "\n**** A\ntext\n***** B\n** USER\n" (org-agent-tests-text)))))

(ert-deftest org-agent-here-undo-takes-a-reply-back-at-once ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (buffer-enable-undo)
    (org-agent-tests-at "yours")
    (org-agent-chat-here)
    (org-agent-tests-say "hello")
    (let ((before (org-agent-tests-text)))
      (org-agent-fake-insert "turn-1" 1 "Work.\n**** A\n" nil "sub-1")
      (should-not (equal (org-agent-tests-text) before))
      (execute-kbd-macro (kbd "C-/"))
      (should (equal (org-agent-tests-text) before)))))

(ert-deftest org-agent-here-alone-and-off ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (let ((notes (current-buffer)))
      (org-agent-tests-at "yours")
      (org-agent-chat-here t)
      (should (derived-mode-p 'org-agent-chat-mode))
      (should (equal (buffer-name) "notes.org: Two"))
      (should (equal (buffer-string) "* Two\nyours\n** Below\ndeep\n** USER\n\n"))
      (org-agent-tests-say "hello")
      (org-agent-fake-insert "turn-1" 1 "Work." nil "sub-1")
      (should (string-match-p "Work\\.\n\\*\\* USER\n\n\\'" (buffer-string)))
      (with-current-buffer notes
        (should (string-match-p "Work\\.\n\\*\\* USER\n\n\\* Three" (org-agent-tests-text)))
        (org-agent-mode -1)
        (should-not (org-agent--subtree-chats))))))

(ert-deftest org-agent-here-what-was-said-can-be-written-anew ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (org-agent-tests-at "yours")
    (org-agent-chat-here t)
    (org-agent-tests-say "hello")
    (setq org-agent-fake-transcript
          (concat "* Two\n:PROPERTIES:\n:OA_SESSION: sub-1\n:END:\n"
                  "** USER\n:PROPERTIES:\n:OA_EVENT: event-1\n:END:\nhello\n"
                  "*** ASSISTANT\n:PROPERTIES:\n:OA_ACT: act-turn-1\n:END:\nWork.\n"))
    (org-agent-rebuild)
    (org-agent-fake-settle)
    (should (equal (buffer-string)
                   (concat org-agent-tests-two
                           "*** ASSISTANT\n:PROPERTIES:\n:OA_ACT: act-turn-1\n:END:\nWork.\n"
                           "** USER\n\n")))))

(ert-deftest org-agent-here-a-branch-has-the-heading-too ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (org-agent-tests-at "yours")
    (org-agent-chat-here t)
    (org-agent-tests-say "hello")
    (setq org-agent-fake-transcript
          (concat "* Two\n:PROPERTIES:\n:OA_SESSION: session-2\n:END:\n"
                  "** USER\n:PROPERTIES:\n:OA_EVENT: event-1\n:END:\nhello\n"))
    (org-agent-branch)
    (dotimes (_ 3) (org-agent-fake-settle))
    (set-buffer (window-buffer))
    (should (equal org-agent--session "session-2"))
    (should-not (buffer-base-buffer))
    (should (equal (buffer-string) (concat org-agent-fake-transcript "** USER\n")))
    (should (eobp))
    (org-agent-tests-say "more")
    (should (equal (plist-get (car (last (org-agent-fake-sent 'orgAgent/event))) :level)
                   2))))

(ert-deftest org-agent-here-what-follows-stays-a-heading ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (org-agent-tests-at "yours")
    (org-agent-chat-here t)
    (org-agent--with-edit
      (delete-region (cdr (org-agent--input)) (point-max))
      (goto-char (point-max))
      (insert "a draft"))
    (should (string-suffix-p "** USER\na draft\n* Three\n"
                             (with-current-buffer (buffer-base-buffer)
                               (org-agent-tests-text))))
    (should (looking-back "a draft" nil))))

(ert-deftest org-agent-here-completion-and-earlier-inputs ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (let ((other (get-buffer-create "a-mentioned-buffer")))
      (unwind-protect
          (progn
            (with-current-buffer other (erase-buffer) (insert "its text"))
            (org-agent-tests-at "yours")
            (org-agent-chat-here)
            (org-agent-fake-type "look at @a-mentioned-b")
            (org-agent-fake-settle)
            (completion-at-point)
            (should (looking-back "look at @a-mentioned-buffer ?" nil))
            (org-agent-tests-say " now")
            (let ((event (car (org-agent-fake-sent 'orgAgent/event))))
              (should (string-prefix-p "look at @a-mentioned-buffer" (plist-get event :text)))
              (should (equal (plist-get (elt (plist-get event :context) 0) :text)
                             "its text")))
            ;; The input before comes back, and what follows stays a heading.
            (org-agent-fake-keys "M-p")
            (should (string-match-p "^\\*\\* USER\nlook at @a-mentioned-buffer ?now\n+\\* Three"
                                    (org-agent-tests-text)))
            (should (looking-back "now" nil)))
        (kill-buffer other)))))

(ert-deftest org-agent-here-it-refuses-what-cannot-be ()
  (org-agent-tests-in-notes "text\n"
    (should-error (org-agent-chat-here) :type 'user-error)
    (insert "\n" (make-string 63 ?*) " deep\n")
    (should-error (org-agent-chat-here) :type 'user-error)
    (should-not (org-agent--subtree-chats))
    (with-temp-buffer
      (should-error (org-agent-chat-here) :type 'user-error))))

;;;; Indented text

(ert-deftest org-agent-here-what-comes-is-indented ()
  (org-agent-tests-in-notes "* One\n** Two\nyours\n** Three\n"
    (org-indent-mode 1)
    (org-indent-add-properties (point-min) (point-max))
    (org-agent-tests-at "yours")
    (org-agent-chat-here)
    (org-agent-tests-say "hello")
    (org-agent-fake-insert "turn-1" 1 "Hi\n\n- one\n  more\n- two" nil "sub-1")
    (let ((prefixes (lambda ()
                      (cl-loop for place from (point-min) below (point-max)
                               collect (list (get-text-property place 'line-prefix)
                                             (get-text-property place 'wrap-prefix))))))
      (should (string-search "two" (buffer-string)))
      (let ((now (funcall prefixes)))
        (org-indent-add-properties (point-min) (point-max))
        (should (equal now (funcall prefixes)))
        (should-not (seq-some #'null (mapcar #'car now)))))))

(ert-deftest org-agent-here-what-is-shown-is-not-indented ()
  (org-agent-tests-in-notes "* One\n** Two\nyours\n** Three\n"
    (require 'org-indent)
    (org-agent-tests-at "yours")
    (org-agent-chat-here)
    (org-agent-tests-say "hello")
    (org-indent-mode 1)
    (org-indent-add-properties (point-min) (point-max))
    (org-agent-fake-state "turn-1" 1 "streaming")
    (org-agent-fake-delta "turn-1" 2 "Hi\nthere")
    (dolist (buffer (list (current-buffer) (org-agent--chat-here)))
      (with-current-buffer buffer
        (save-restriction
          (widen)
          (let* ((shown (seq-filter (lambda (overlay) (overlay-get overlay 'before-string))
                                    (overlays-in (point-min) (point-max))))
                 (turn (seq-find (lambda (overlay)
                                   (string-search "not verified"
                                                  (overlay-get overlay 'before-string)))
                                 shown))
                 (cover (car (remq turn shown)))
                 (place (overlay-start turn))
                 (string (overlay-get turn 'before-string)))
            (should (= (length shown) 2))
            ;; What the string says of all of its lines ...
            (dolist (property '(line-prefix wrap-prefix))
              (should (equal (get-text-property 0 property string) ""))
              (should-not (text-property-not-all 0 (length string) property "" string)))
            ;; ... and what the first line of the screen is shown with there.
            (should (equal (get-char-property place 'line-prefix) ""))
            (should (= (overlay-start cover) place))
            (should (> (overlay-get cover 'priority) (or (overlay-get turn 'priority) 0)))
            ;; The heading below keeps what it had.
            (should (< 0 (length (get-text-property place 'line-prefix))))
            (should (equal-including-properties
                     (overlay-get cover 'before-string)
                     (propertize (get-text-property place 'line-prefix)
                                 'line-prefix "")))))))
    ;; It is gone with the next thing that is shown elsewhere.
    (let ((chat (org-agent--chat-here)))
      (org-agent-fake-state "turn-1" 3 "done")
      (org-indent-mode -1)
      (org-agent-tests-at "hello\n\\*+ USER\n")
      (org-agent-tests-say "more")
      (org-agent-fake-state "turn-2" 1 "streaming")
      (org-agent-fake-delta "turn-2" 2 "Ho")
      (should-not (buffer-local-value 'org-agent--covers chat))
      (should (= 1 (cl-count-if (lambda (overlay) (overlay-get overlay 'before-string))
                                (overlays-in (point-min) (point-max))))))))

;;;; Commands by their names

(ert-deftest org-agent-here-commands-are-those-of-the-subtree-at-point ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (dolist (name '("One" "Three"))
      (org-agent-tests-at name)
      (org-agent-chat-here)
      (org-agent-tests-say (concat "in " name)))
    (org-agent-fake-insert "turn-1" 1 "First." nil "sub-1")
    (org-agent-fake-state "turn-1" 2 "done")
    (org-agent-fake-state "turn-2" 1 "streaming")
    (org-agent-tests-at "in Three")
    (call-interactively #'org-agent-cancel)
    (org-agent-fake-settle)
    (should (equal (org-agent-fake-sent 'orgAgent/cancel) '((:turnId "turn-2"))))
    (should (eq (current-buffer) (window-buffer)))
    (should-not (buffer-base-buffer))
    ;; What is read and what is shown are of the subtree, too, and point moves along.
    (org-agent-tests-at "First\.")
    (should-error (call-interactively #'org-agent-cancel) :type 'user-error)
    (call-interactively #'org-agent-edit-turn)
    (should (looking-at-p "in One\n"))
    (should (string-search "You edit this"
                           (mapconcat (lambda (overlay)
                                        (or (overlay-get overlay 'before-string) ""))
                                      (overlays-at (point)) "")))
    (call-interactively #'org-agent-edit-abandon)
    (org-agent-tests-at "First\.\n\\*\\* USER\n")
    (call-interactively #'org-agent-previous-input)
    (should (looking-back "in One" nil))
    (org-agent-add-region (point-min) (+ 5 (point-min)))
    (should (buffer-local-value 'org-agent--context (org-agent--chat-here)))
    (call-interactively #'org-agent-remove-context)
    (should-not (buffer-local-value 'org-agent--context (org-agent--chat-here)))
    (call-interactively #'org-agent-send)
    (org-agent-fake-settle)
    (let ((event (car (last (org-agent-fake-sent 'orgAgent/event)))))
      (should (equal (plist-get event :sessionId) "sub-1"))
      (should (equal (plist-get event :text) "in One")))))

(ert-deftest org-agent-here-commands-take-the-only-chat-of-a-file ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (org-agent-tests-at "yours")
    (org-agent-chat-here)
    (org-agent-tests-say "hello")
    (org-agent-fake-state "turn-1" 1 "streaming")
    (org-agent-tests-at "mine")
    (let ((place (point)))
      (call-interactively #'org-agent-cancel)
      (org-agent-fake-settle)
      (should (equal (org-agent-fake-sent 'orgAgent/cancel) '((:turnId "turn-1"))))
      (call-interactively #'org-agent-previous-input)
      (should (string-search "** USER\nhello\n* Three" (org-agent-tests-text)))
      (should (= (point) place)))))

(ert-deftest org-agent-here-commands-ask-which-of-several-chats ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (dolist (name '("One" "Three"))
      (org-agent-tests-at name)
      (org-agent-chat-here)
      (org-agent-tests-say (concat "in " name)))
    (org-agent-tests-at "yours")
    (let ((before (org-agent-tests-text))
          (commands nil))
      (mapatoms (lambda (symbol)
                  (when (and (string-prefix-p "org-agent-" (symbol-name symbol))
                             (commandp symbol)
                             (memq 'org-agent-chat-mode (command-modes symbol))
                             ;; What was recorded has a buffer of its own.
                             (not (string-prefix-p "org-agent-replay-"
                                                   (symbol-name symbol))))
                    (push symbol commands))))
      (should (< 25 (length commands)))
      (dolist (command commands)
        (ert-info ((symbol-name command))
          (let ((words (cadr (should-error (call-interactively command)
                                           :type 'user-error))))
            (should (string-match-p "Go to the heading.*One.*Three" words)))))
      (should (equal (org-agent-tests-text) before)))))

(ert-deftest org-agent-here-commands-do-not-take-another-chat-for-a-closed-one ()
  (org-agent-tests-in-notes
      (concat org-agent-tests-notes
              "* Old\n:PROPERTIES:\n:OA_SESSION: old\n:END:\n** USER\n")
    (org-agent-tests-at "yours")
    (org-agent-chat-here)
    (org-agent-tests-at "Old")
    (should (string-search "org-agent-chat-here"
                           (cadr (should-error (call-interactively #'org-agent-send)
                                               :type 'user-error))))
    (with-temp-buffer
      (should (string-search "org-agent-chat"
                             (cadr (should-error (call-interactively #'org-agent-send)
                                                 :type 'user-error)))))))

(provide 'org-agent-here-tests)
;;; org-agent-here-tests.el ends here
