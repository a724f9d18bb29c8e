;;; org-agent-drawer-tests.el --- What a turn did, folded  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; The lines for commands and skills that stay above a reply: what they say,
;; how they unfold, that they are no text, and that a stream leaves them alone.

;;; Code:

(require 'org-agent-approve-tests)
(require 'org-agent-here-tests)
(require 'org-agent-turns-tests)
(require 'org-agent-real)
(require 'ox-ascii)
(require 'org-indent)

(defun org-agent-tests-deeds (turn)
  "Return what is shown of what TURN did, without how long that took, or nil."
  (let ((overlay (org-agent--turn-deeds-overlay (org-agent--turn turn))))
    (and overlay (overlay-buffer overlay)
         (replace-regexp-in-string
          ", [0-9.]+ s \\[" ", TIME ["
          (substring-no-properties (overlay-get overlay 'before-string))))))

(defun org-agent-tests-click (turn label)
  "Click on the last text LABEL of what is shown of what TURN did."
  (let* ((string (overlay-get (org-agent--turn-deeds-overlay (org-agent--turn turn))
                              'before-string))
         (at (cl-loop for at = (string-search label string) then next
                      for next = (string-search label string (1+ at))
                      unless next return at)))
    (funcall (lookup-key (get-text-property at 'keymap string) [mouse-1]))))

(defun org-agent-tests-step (turn id name &rest more)
  "Tell that for TURN the skill NAME was read by the action ID; MORE says more."
  (apply #'org-agent-fake-tell 'orgAgent/step
         (append more (list :turnId turn :sessionId "session-1" :actuationId id
                            :kind "skill" :name name :by "model" :status "loaded"
                            :origin "user" :sha256 "abc123")))
  (org-agent-fake-settle))

(defun org-agent-tests-why-asked ()
  "Return what was asked about, and forget it."
  (org-agent-fake-settle)
  (prog1 (mapcar (lambda (params) (plist-get params :actuationId))
                 (org-agent-fake-sent 'orgAgent/why))
    (setq org-agent-fake-log
          (assq-delete-all 'orgAgent/why org-agent-fake-log))))

;;;; What they say

(ert-deftest org-agent-drawer-says-how-a-command-ended ()
  (pcase-dolist
      (`(,payload ,how ,line)
       '(((:cmd "echo one") "C-c C-y" ":COMMAND: echo one … exit 0, TIME [show] [why]\n")
         ((:cmd "echo a\nexit 3") "C-c C-y"
          ":COMMAND: echo a exit 3 … exit 3, TIME [show] [why]\n")
         ((:cmd "kill -9 $$") "C-c C-y"
          ":COMMAND: kill -9 $$ … exit 137, killed by signal 9, TIME [show] [why]\n")
         ((:cmd "ls") "C-c C-n" ":COMMAND: ls … denied: the user said no [show] [why]\n")
         ((:cmd "ls") cancel ":COMMAND: ls … not decided [show] [why]\n")
         ((:cmd "ls") die ":COMMAND: ls … not decided [show] [why]\n")
         ((:cmd "sleep 600") abort
          ":COMMAND: sleep 600 … exit 143, stopped by the server, TIME [show] [why]\n")))
    (org-agent-fake-with
      (org-agent-fake-send "question")
      (org-agent-fake-shell "turn-1" 1 payload)
      (should-not (org-agent-tests-deeds "turn-1"))
      (pcase how
        ('cancel (org-agent-fake-state "turn-1" 2 "cancelled"))
        ('die (org-agent-fake-die))
        ('abort
         (org-agent-fake-keys "C-c C-y")
         (org-agent-fake-settle)
         (org-agent-fake-ask 'orgAgent/abort :actuationId "act-turn-1")
         (org-agent-tests-outcome))
        (_ (org-agent-fake-keys how)
           (unless (equal how "C-c C-n") (org-agent-tests-outcome))))
      (org-agent-fake-until (lambda () (org-agent-tests-deeds "turn-1")) "the line")
      (should (equal (org-agent-tests-deeds "turn-1") line)))))

(ert-deftest org-agent-drawer-unfolds-to-all-that-the-card-had ()
  (org-agent-tests-with-program
    (write-region "seq 2000; echo '\\033[31m:COMMAND: fake' >&2" nil
                  (expand-file-name "run" home) nil 'silent)
    (org-agent-fake-shell "turn-1" 1 '(:cmd "grep -e ' x'") :rule "grep is not known"
                          :directory "/srv/chat" :sandbox "It writes WS."
                          :steps [(:op nil :argv ["grep" "-e" " x"])])
    (org-agent-fake-keys "C-c C-a n")
    (org-agent-tests-outcome)
    (org-agent-fake-insert "turn-1" 2 "Found.")
    (org-agent-tests-click "turn-1" "grep")
    (let ((shown (org-agent-tests-deeds "turn-1")))
      (should (string-prefix-p
               (concat ":COMMAND: grep -e ' x' … exit 0, TIME [fold] [why]\n"
                       "     grep\n       -e\n       \" x\"\n"
                       "in /srv/chat\n"
                       "The model said: I want to look.\n"
                       "Why you were asked: grep is not known\n"
                       "Sandbox: It writes WS.; you let it use the network\n"
                       "It wrote 8,9")
               shown))
      (should (string-search " characters:\n  1\n  2\n" shown))
      (should (string-search " characters more ...]\n" shown))
      ;; What it wrote has no line that begins like ours.
      (should (string-search "[31m:COMMAND: fake\n" shown))
      (should (= 1 (length (seq-filter (lambda (line) (string-prefix-p ":COMMAND:" line))
                                       (split-string shown "\n")))))
      (should-not (string-search "\e" shown))
      (should (< (cl-count ?\n shown) 24)))
    (org-agent-tests-click "turn-1" "[fold]")
    (should (equal (org-agent-tests-deeds "turn-1")
                   ":COMMAND: grep -e ' x' … exit 0, TIME [show] [why]\n"))))

(ert-deftest org-agent-drawer-has-skills ()
  (org-agent-fake-with
    (push (cons 'orgAgent/why (lambda (_) '(:org "* Why\n"))) org-agent-fake-answers)
    (org-agent-fake-send "question")
    (let ((before (list (buffer-string) (buffer-modified-p) buffer-undo-list)))
      (org-agent-tests-step "turn-1" "s-1" "pdf")
      ;; Once, whatever is sent.
      (org-agent-tests-step "turn-1" "s-1" "pdf")
      (org-agent-tests-step "turn-1" "s-2" "pdf/forms.md" :by "user"
                            :message "its text stands there")
      (org-agent-tests-step "turn-1" "s-3" "a\nb\u202Ec" :status "refused"
                            :message "there is none" :origin nil :sha256 nil)
      ;; What is not as it should be is not shown, nor what nobody knows.
      (org-agent-tests-step "turn-1" "s-4" 4)
      (org-agent-tests-step "turn-1" "s-5" "x" :kind "other")
      (org-agent-tests-step "turn-1" ["s-6"] "x")
      (should (equal (org-agent-tests-deeds "turn-1")
                     (concat ":SKILL: pdf … read [show] [why]\n"
                             ":SKILL: pdf/forms.md … read before [show] [why]\n"
                             ":SKILL: a b\\u{202E}c … refused: there is none [show] [why]\n")))
      (should (equal before
                     (list (buffer-string) (buffer-modified-p) buffer-undo-list))))
    (org-agent-tests-click "turn-1" "[show]")
    (should (string-suffix-p
             (concat ":SKILL: a b\\u{202E}c … refused: there is none [fold] [why]\n"
                     "  a\n  b\\u{202E}c\nAsked for by: the model\nNote: there is none\n")
             (org-agent-tests-deeds "turn-1")))
    (org-agent-tests-click "turn-1" "pdf/forms.md")
    (should (string-search
             (concat "[fold] [why]\n  pdf/forms.md\nAsked for by: you\nFrom: user\n"
                     "Note: its text stands there\nSHA-256: abc123\n")
             (org-agent-tests-deeds "turn-1")))
    (let ((windows (current-window-configuration)))
      (org-agent-tests-click "turn-1" "[why]")
      (should (equal (org-agent-tests-why-asked) '("s-3")))
      (should (equal "* Why\n" (with-current-buffer "*org-agent why*" (buffer-string))))
      (set-window-configuration windows))))

;;;; Why

(ert-deftest org-agent-card-why-is-about-that-command ()
  (org-agent-tests-with-program
    (push (cons 'orgAgent/why (lambda (_) '(:org "* Why\n"))) org-agent-fake-answers)
    (org-agent-fake-shell "turn-1" 1 '(:cmd "ls"))
    (let ((chat (current-buffer)) (place (point)))
      (org-agent-fake-keys "C-c C-q")
      (should (equal (org-agent-tests-why-asked) '("act-turn-1")))
      (should (eq (window-buffer) chat))
      (should (= (point) place))
      (should (get-buffer-window "*org-agent why*"))
      (delete-other-windows)
      ;; It still waits, also in the view of its own.
      (should (org-agent--card-here))
      (org-agent-fake-keys "C-c C-a w")
      (should (equal (org-agent-tests-why-asked) '("act-turn-1")))
      (org-agent-fake-keys "r")
      (should (org-agent-tests-outcome))
      (set-window-buffer nil chat)
      (set-buffer chat))
    ;; Then it is Org's, but at the place of the line.
    (should-not (eq (key-binding (kbd "C-c C-q")) 'org-agent-card-why))
    (org-agent-fake-insert "turn-1" 2 "Done.")
    (goto-char (overlay-start (org-agent--turn-deeds-overlay (org-agent--turn "turn-1"))))
    (org-agent-fake-keys "C-c C-q")
    (should (equal (org-agent-tests-why-asked) '("act-turn-1")))
    (kill-buffer "*org-agent why*")))

;;;; Keys

(ert-deftest org-agent-drawer-unfolds-by-keys-at-its-place ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (dolist (n '(1 2 3))
      (org-agent-tests-step "turn-1" (format "s-%d" n) (format "skill-%d" n)))
    (org-agent-fake-insert "turn-1" 1 "Done.")
    (let ((text (buffer-string))
          (open (lambda ()
                  (cl-loop for line in (split-string (org-agent-tests-deeds "turn-1") "\n")
                           when (string-search "[fold]" line)
                           collect (substring line 8 15)))))
      (goto-char (point-min))
      (search-forward "** ASSISTANT")
      (should (eq (key-binding (kbd "TAB")) 'org-cycle))
      (beginning-of-line)
      (dolist (step '(("TAB" "skill-3") ("RET" "skill-2") ("TAB" "skill-1") ("RET")
                      ("TAB" "skill-3")))
        (org-agent-fake-keys (car step))
        (should (equal (funcall open) (cdr step))))
      ;; From within the reply, and from elsewhere.
      (search-forward "Done.")
      (org-agent-toggle-card)
      (should (equal (funcall open) '("skill-2")))
      (goto-char (point-max))
      (org-agent-toggle-card)
      (should (equal (funcall open) '("skill-1")))
      (should (equal (buffer-string) text)))
    (let ((org-agent--turns (make-hash-table :test #'equal)))
      (should-error (org-agent-toggle-card) :type 'user-error)
      (should-error (org-agent-card-why) :type 'user-error))))

;; A line of thinking may stand at the same place.
(ert-deftest org-agent-drawer-leaves-ret-to-a-thought ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-tests-step "turn-1" "s-1" "skill-1")
    (org-agent-fake-tell 'orgAgent/thought :turnId "turn-1" :attempt 1 :text "Hm.")
    (org-agent-fake-insert "turn-1" 1 "Done.")
    (goto-char (overlay-start (org-agent--turn-deeds-overlay (org-agent--turn "turn-1"))))
    (should (org-agent--thought-here))
    (dolist (key '("RET" "TAB"))
      (let ((deeds (org-agent-tests-deeds "turn-1"))
            (thought (org-agent-fake-shown "turn-1")))
        (org-agent-fake-keys key)
        (should (equal (not (equal key "TAB"))
                       (equal (org-agent-tests-deeds "turn-1") deeds)))
        (should (equal (equal key "TAB")
                       (equal (org-agent-fake-shown "turn-1") thought)))))))

;;;; No text

(ert-deftest org-agent-drawer-is-no-text ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (insert "my next")
    (org-agent-fake-shell "turn-1" 1 '(:cmd "echo secret-word"))
    (org-agent-fake-keys "C-c C-y")
    (org-agent-tests-outcome)
    (org-agent-fake-insert "turn-1" 2 "Done.")
    (org-agent-fake-state "turn-1" 3 "done")
    (let ((layout (concat (org-agent-fake-layout '(1 "question" "Done.")) "my next"))
          (undo buffer-undo-list)
          (file (expand-file-name "saved.org" org-agent-fake-directory)))
      (org-agent-toggle-card)
      (should (string-search "secret-word" (org-agent-tests-deeds "turn-1")))
      (should (equal (buffer-string) layout))
      (should (eq undo buffer-undo-list))
      (should-not (string-search "secret-word" (org-export-as 'ascii)))
      (write-region nil nil file nil 'silent)
      (with-temp-buffer
        (insert-file-contents file)
        (should (equal (buffer-string) layout))))
    ;; It stays above the reply, which is one step of undo.
    (let ((overlay (org-agent--turn-deeds-overlay (org-agent--turn "turn-1"))))
      (should (= (overlay-start overlay)
                 (save-excursion (goto-char (point-min))
                                 (search-forward "** ASSISTANT")
                                 (match-beginning 0))))
      (let ((last-command 'ignore))
        (undo-boundary)
        (undo 2))
      (should-not (string-search "Done." (buffer-string)))
      (should (= (overlay-start overlay)
                 (save-excursion (goto-char (point-max))
                                 (search-backward "* USER")))))))

(ert-deftest org-agent-drawer-comes-back-with-its-chat ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-tests-step "turn-1" "s-1" "pdf")
    (org-agent-fake-insert "turn-1" 1 "Done.")
    (org-agent-fake-state "turn-1" 2 "done")
    (setq org-agent-fake-transcript (org-agent-fake-said "session-1" '(1 "question" "Done.")))
    (push (cons 'orgAgent/sessions/list
                (lambda (_) '(:items [(:id "session-1")] :nextCursor nil)))
          org-agent-fake-answers)
    (set-buffer-modified-p nil)
    (kill-buffer)
    (org-agent-chat)
    (org-agent-fake-until (lambda () (org-agent-tests-deeds "turn-1")) "the line")
    (let ((overlay (org-agent--turn-deeds-overlay (org-agent--turn "turn-1"))))
      (should (eq (overlay-buffer overlay) (current-buffer)))
      (goto-char (overlay-start overlay))
      (should (looking-at-p "\\*\\* ASSISTANT\n")))))

;; Where the prompt is, they are; where it is not, they are not.
(ert-deftest org-agent-drawer-follows-its-prompt ()
  (org-agent-fake-with
    (dolist (n '(1 2))
      (org-agent-fake-send "question")
      (org-agent-tests-step (format "turn-%d" n) (format "s-%d" n) "pdf")
      (org-agent-fake-insert (format "turn-%d" n) 1 "Done.")
      (org-agent-fake-state (format "turn-%d" n) 2 "done"))
    (let ((turn (org-agent--turn "turn-1")) text)
      (goto-char (point-min))
      (search-forward "* USER")
      (beginning-of-line)
      (let ((beg (point)))
        (search-forward "\n* USER")
        (beginning-of-line)
        (setq text (delete-and-extract-region beg (point))))
      (org-agent--show turn)
      (should-not (org-agent-tests-deeds "turn-1"))
      (org-agent--show (org-agent--turn "turn-2"))
      (should (org-agent-tests-deeds "turn-2"))
      (goto-char (point-max))
      (search-backward "* USER")
      (insert text)
      (org-agent--show turn)
      (should (org-agent-tests-deeds "turn-1"))
      (goto-char (overlay-start (org-agent--turn-deeds-overlay turn)))
      (should (looking-at-p "\\*\\* ASSISTANT\n:PROPERTIES:\n:OA_ACT: act-turn-1\n")))))

(ert-deftest org-agent-drawer-goes-with-its-variant ()
  (org-agent-fake-with
    (org-agent-turns-tests-serve)
    (org-agent-fake-send "one")
    (org-agent-tests-step "turn-1" "s-1" "pdf")
    (org-agent-fake-insert "turn-1" 1 "Done.")
    (org-agent-fake-state "turn-1" 2 "done")
    (should (org-agent-tests-deeds "turn-1"))
    (org-agent-regenerate t)
    (org-agent-fake-settle)
    (org-agent-fake-settle)
    (should-not (string-search "Done." (buffer-string)))
    (should-not (org-agent-tests-deeds "turn-1"))))

(ert-deftest org-agent-drawer-is-seen-in-the-file-of-its-subtree ()
  (org-agent-tests-in-notes org-agent-tests-notes
    (org-agent-tests-at "^\\* Two")
    (org-agent-chat-here)
    (org-agent-fake-settle)
    (goto-char (point-max))
    (org-agent-tests-at "^\\*\\* USER\n")
    (org-agent-tests-say "hello")
    (org-agent-fake-tell 'orgAgent/step :turnId "turn-1" :sessionId "sub-1"
                         :actuationId "s-1" :kind "skill" :name "pdf" :by "model"
                         :status "loaded")
    (org-agent-fake-settle)
    (org-agent-fake-insert "turn-1" 1 "Done." nil "sub-1")
    (let ((seen (lambda ()
                  (cl-loop for overlay in (overlays-in (point-min) (point-max))
                           for string = (overlay-get overlay 'before-string)
                           when (and string (string-search ":SKILL: pdf" string))
                           collect (list (overlay-start overlay)
                                         (string-search "[fold]" string))))))
      (widen)
      (goto-char (point-min))
      (search-forward "*** ASSISTANT")
      (beginning-of-line)
      (should (equal (funcall seen) (list (list (point) nil))))
      (org-agent-fake-keys "TAB")
      (should (cadar (funcall seen)))
      (org-agent-fake-keys "RET")
      (should (equal (funcall seen) (list (list (point) nil)))))))

;;;; Bounds

;; The mode's prefix of a heading is stars: a line that is shown above one
;; would look like a heading of its own.
(ert-deftest org-agent-drawer-is-not-indented ()
  (org-agent-fake-with
    (org-indent-mode 1)
    (org-indent-add-properties (point-min) (point-max))
    (org-agent-fake-send "question")
    (org-agent-tests-step "turn-1" "s-1" "pdf")
    (org-agent-fake-insert "turn-1" 2 "An answer.")
    (org-agent-fake-state "turn-1" 3 "done")
    (let* ((overlay (org-agent--turn-deeds-overlay (org-agent--turn "turn-1")))
           (place (overlay-start overlay))
           (prefix (get-text-property place 'line-prefix)))
      (should (equal (org-agent-tests-deeds "turn-1") ":SKILL: pdf … read [show] [why]\n"))
      (goto-char place)
      (should (looking-at "\\*\\* ASSISTANT"))
      (should (< 0 (length prefix)))
      (should (equal (get-char-property place 'line-prefix) ""))
      (should (equal (get-text-property 0 'line-prefix (overlay-get overlay 'before-string))
                     ""))
      (should (equal (substring-no-properties
                      (overlay-get (org-agent--cover-at place) 'before-string))
                     (substring-no-properties prefix))))
    ;; Where nothing is shown, headings have what they had.
    (goto-char (point-min))
    (re-search-forward "^\\* USER")
    (should-not (org-agent--cover-at (line-beginning-position)))))

(ert-deftest org-agent-drawers-are-left-alone-by-a-stream ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (dotimes (n 20)
      (org-agent-tests-step "turn-1" (format "s-%d" n) (format "skill-%d" n)))
    (let ((string (overlay-get (org-agent--turn-deeds-overlay (org-agent--turn "turn-1"))
                               'before-string))
          (drawn 0))
      (cl-letf* ((line (symbol-function 'org-agent--deed-line))
                 ((symbol-function 'org-agent--deed-line)
                  (lambda (&rest args) (cl-incf drawn) (apply line args))))
        (dotimes (n 30)
          (org-agent-fake-delta "turn-1" (1+ n) "word "))
        (org-agent-fake-insert "turn-1" 31 "word")
        (org-agent-fake-state "turn-1" 32 "done")
        (should (= drawn 0))
        (should (eq string
                    (overlay-get (org-agent--turn-deeds-overlay (org-agent--turn "turn-1"))
                                 'before-string)))))))

(ert-deftest org-agent-drawers-are-bounded ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (dotimes (n (+ 5 org-agent--deeds-most))
      (org-agent-tests-step "turn-1" (format "s-%d" n) (format "skill-%d" n)))
    (should (= org-agent--deeds-most (cl-count ?\n (org-agent-tests-deeds "turn-1"))))
    (should-not (string-search "skill-4 " (org-agent-tests-deeds "turn-1")))
    (let ((org-agent--deeds-turns 3))
      (dolist (n '(2 3 4))
        (org-agent-fake-state (format "turn-%d" (1- n)) 1 "done")
        (org-agent-fake-send "more")
        (org-agent-tests-step (format "turn-%d" n) (format "t-%d" n) "pdf"))
      (should-not (org-agent-tests-deeds "turn-1"))
      (dolist (turn '("turn-2" "turn-3" "turn-4"))
        (should (equal (org-agent-tests-deeds turn) ":SKILL: pdf … read [show] [why]\n")))
      (should (= 3 (length (seq-filter (lambda (overlay)
                                         (overlay-get overlay 'org-agent-deeds))
                                       (overlays-in (point-min) (point-max)))))))
    ;; A long command and much output are kept in part.
    (org-agent-fake-shell "turn-4" 2 (list :cmd (concat "seq 20000; : "
                                                        (make-string 20000 ?x))))
    (cl-letf (((symbol-function 'yes-or-no-p) #'always))
      (org-agent-fake-keys "C-c C-y"))
    (org-agent-tests-outcome)
    (org-agent-toggle-card)
    (should (< (length (org-agent-tests-deeds "turn-4")) 3000))
    (let ((deed (car (last (org-agent--turn-deeds (org-agent--turn "turn-4"))))))
      (should (< (length (prin1-to-string (list (org-agent--deed-head deed)
                                                (org-agent--deed-tail deed))))
                 5000)))))

;;;; The real server

(ert-deftest org-agent-drawer-of-the-real-server ()
  (org-agent-real-with nil '("ORG_AGENT_MODEL=offline")
    (let ((skill (expand-file-name "skills/pdf" home))
          (org-agent--card-pause 0))
      (make-directory skill t)
      (write-region "---\nname: pdf\ndescription: PDF files.\n---\n\nUse qpdf.\n" nil
                    (expand-file-name "SKILL.md" skill) nil 'silent)
      (let* ((turn (org-agent-real-reply "/pdf merge them"))
             (id (org-agent--turn-id turn)))
        (should (equal (org-agent-tests-deeds id) ":SKILL: pdf … read [show] [why]\n"))
        (search-backward "** ASSISTANT")
        (org-agent-fake-keys "TAB C-c C-q")
        (org-agent-fake-until
         (lambda ()
           (when-let ((page (get-buffer "*org-agent why*")))
             (with-current-buffer page
               (string-search "Use qpdf." (buffer-string)))))
         "the page")
        (should (string-search "\nAsked for by: you\nFrom: user\nSHA-256: "
                               (org-agent-tests-deeds id)))
        (kill-buffer "*org-agent why*"))
      ;; A command that waits has its page, too.
      (let ((turn (org-agent-real-ask "run: touch x")))
        (org-agent-fake-until #'org-agent--card-here "the card")
        (org-agent-fake-keys "C-c C-q")
        (org-agent-fake-until
         (lambda ()
           (when-let ((page (get-buffer "*org-agent why*")))
             (with-current-buffer page
               (string-search "touch x" (buffer-string)))))
         "the page")
        (kill-buffer "*org-agent why*")
        (org-agent-fake-keys "C-c C-n")
        (org-agent-fake-until (lambda () (org-agent--over-p turn)) "the end")
        (should (string-match-p "\\`:COMMAND: touch x … denied: .* \\[show\\] \\[why\\]\n\\'"
                                (org-agent-tests-deeds (org-agent--turn-id turn))))))))

;; Another Emacs knows nothing of them until it asks.
(ert-deftest org-agent-drawer-is-asked-for-where-it-is-not-known ()
  (org-agent-real-with nil '("ORG_AGENT_MODEL=offline")
    (let ((skill (expand-file-name "skills/pdf" home))
          (org-agent--card-pause 0)
          (inhibit-message t)
          text)
      (make-directory skill t)
      (write-region "---\nname: pdf\ndescription: PDF files.\n---\n\nUse qpdf.\n" nil
                    (expand-file-name "SKILL.md" skill) nil 'silent)
      (org-agent-real-reply "help")
      (org-agent-real-reply "/pdf merge them")
      (let ((turn (org-agent-real-ask "run: echo forty-$((40+2)); exit 3")))
        (org-agent-fake-until #'org-agent--card-here "the card")
        (org-agent-fake-keys "C-c C-y")
        (org-agent-fake-until (lambda () (org-agent--over-p turn)) "the end")
        (org-agent-fake-settle))
      (setq text (buffer-string))
      (clrhash org-agent--turns)
      (remove-overlays (point-min) (point-max) 'org-agent-deeds)
      (let ((shown (lambda (turns)
                     (dotimes (_ 3) (org-agent-fake-settle))
                     (should (= turns (hash-table-count org-agent--turns)))
                     (mapcar #'org-agent-tests-deeds
                             (hash-table-keys org-agent--turns)))))
        ;; At the prompt, and in a reply.
        (search-backward "run: echo")
        (org-agent-toggle-card)
        (let ((line (car (funcall shown 1))))
          (should (string-search
                   (concat "exit 3 [fold] [why]\n$ echo forty-$((40+2)); exit 3\n"
                           "Decided by: the user said run: built-in: it is more than "
                           "plain commands: an expansion\nIt wrote 9 characters:\n"
                           "  forty-42\n")
                   line)))
        (let ((overlay (org-agent--turn-deeds-overlay
                        (car (hash-table-values org-agent--turns)))))
          (should (= (overlay-start overlay)
                     (save-excursion (search-forward "** ASSISTANT")
                                     (match-beginning 0)))))
        (org-agent-toggle-card)
        (should (string-suffix-p "exit 3 [show] [why]\n" (car (funcall shown 1))))
        (goto-char (point-min))
        (search-forward "/pdf merge them")
        (search-forward "** ASSISTANT")
        (org-agent-toggle-card)
        (should (member (concat ":SKILL: pdf … read [fold] [why]\n  pdf\n"
                                "Asked for by: you\n")
                        (funcall shown 2)))
        ;; One that did nothing.
        (goto-char (point-min))
        (search-forward "** ASSISTANT")
        (org-agent-toggle-card)
        (funcall shown 2)
        (should (equal text (buffer-string)))))))

(provide 'org-agent-drawer-tests)
;;; org-agent-drawer-tests.el ends here
