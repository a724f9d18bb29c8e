;;; org-agent-state-tests.el --- State in sight, and errors explained  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Code:

(require 'org-agent-fake)
(require 'org-agent-real)

(defun org-agent-state-tests-command (text)
  "Return what a click on TEXT in the header line of this chat calls."
  (let* ((line (concat org-agent--status org-agent--in-sight))
         (at (string-search text line)))
    (and at (get-text-property at 'org-agent-command line))))

(ert-deftest org-agent-state-is-in-sight ()
  (org-agent-fake-with
    (should (string-prefix-p " ready ·" org-agent--status))
    (org-agent-fake-send "one")
    (org-agent-fake-send "two")
    (org-agent-fake-state "turn-1" 1 "thinking")
    (should (string-prefix-p " thinking · 1 queued ·" org-agent--status))
    (should (eq (org-agent-state-tests-command "thinking") 'org-agent-menu))
    (org-agent-fake-shell "turn-1" 2 '(:cmd "date"))
    (org-agent-fake-state "turn-1" 3 "awaitingApproval")
    (should (string-prefix-p " asks you" org-agent--status))
    (should (eq (org-agent-state-tests-command "asks you") 'org-agent-more))
    (org-agent-fake-state "turn-1" 4 "done")
    (org-agent-fake-state "turn-2" 1 "done")
    (should (string-prefix-p " ready ·" org-agent--status))
    (should-not (string-search "queued" org-agent--status))))

(ert-deftest org-agent-state-says-what-is-not-confined ()
  (org-agent-fake-with
    (should (string-search "not confined" org-agent--status))
    (let ((org-agent-shell-sandbox t))
      (org-agent--show-status)
      ;; An older server did not say.
      (should-not (string-search "confined" org-agent--status))
      (should-not (string-search "sandboxed" org-agent--status))
      (org-agent-fake-send "question")
      (org-agent-fake-shell "turn-1" 1 '(:cmd "date") :confined t :sandbox "terms \\[beep]")
      (should (string-search "sandboxed" org-agent--status))
      (let ((at (string-search "sandboxed" org-agent--status)))
        (should (string-search "terms \\[beep]"
                               (get-text-property at 'help-echo org-agent--status)))
        (should (get-text-property at 'help-echo-inhibit-substitution
                                   org-agent--status)))
      (org-agent-fake-shell "turn-1" 2 '(:cmd "date") :confined :json-false
                            :actuationId "act-2" :sandbox "None")
      (let ((at (string-search "not confined" org-agent--status)))
        (should (eq (get-text-property at 'face org-agent--status)
                    'org-agent-unconfined))
        (should (eq (org-agent-state-tests-command "not confined")
                    'org-agent-doctor)))
      (setq default-directory "/ssh:box:/srv/")
      (org-agent--show-status)
      (should (string-search "not confined on box" org-agent--status)))))

(ert-deftest org-agent-state-asks-the-server-about-the-sandbox ()
  (let ((org-agent-fake-answers nil))
    (org-agent-fake-with
      (let ((org-agent-shell-sandbox t))
        (setq org-agent-fake-answers
              (list (cons 'orgAgent/capabilities
                          (lambda (_) '(:confined :json-false :sandbox "no kernel")))))
        (org-agent--handle :ready nil)
        (org-agent-fake-settle)
        (should (string-search "not confined" org-agent--status))
        (org-agent-fake-die)
        (should (eq org-agent--confined 'unknown))))))

(ert-deftest org-agent-state-has-bounds-and-no-orders ()
  (org-agent-fake-with
    (setq org-agent--model (list :name (concat "evil\n%b\t" (make-string 500 ?x)
                                               (propertize "y" 'face 'bold)))
          org-agent--usage '(:model "z" :in 1 :out 2 :cost 0.5))
    (org-agent--show-in-sight)
    (should (< (string-width org-agent--in-sight) 200))
    (should-not (string-match-p "[\n\t]" org-agent--in-sight))
    (should (eq (org-agent-state-tests-command "evil") 'org-agent-model))
    (should (eq (org-agent-state-tests-command "$0.50") 'org-agent-why))))

(ert-deftest org-agent-state-parts-act-where-they-were-clicked ()
  (org-agent-fake-with
    (let* ((called nil)
           (chat (selected-window))
           (part (org-agent--part "text" 10 "help"
                                  (lambda () (interactive)
                                    (push (selected-window) called)))))
      (select-window (split-window))
      (switch-to-buffer "*scratch*")
      (dolist (map (list (get-text-property 0 'keymap part)
                         (get-text-property 0 'local-map part)))
        (dolist (place '(header-line mode-line nil))
          (let ((keys (vconcat (and place (list place)) [mouse-1])))
            (select-window (get-buffer-window "*scratch*"))
            (funcall (lookup-key map keys)
                     (list 'mouse-1 (list chat (or place 1) '(0 . 0) 0))))))
      (should (equal called (make-list 6 chat))))))

;; Each of its own would be drawn by itself.
(ert-deftest org-agent-state-moves-with-the-text ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-fake-state "turn-1" 1 "streaming")
    (let ((timer org-agent--sign-timer)
          (sign org-agent--sign))
      (should timer)
      ;; It does not run by itself, however long this takes.
      (cancel-timer timer)
      (timer-set-time timer (time-add nil 1000) 0.25)
      (org-agent-fake-delta "turn-1" 2 "one ")
      (should (eq org-agent--sign-timer timer))
      (should (equal org-agent--sign sign))
      (timer-set-time timer (time-add nil 0.01) 0.25)
      (org-agent-fake-delta "turn-1" 3 "two ")
      (should-not (eq org-agent--sign-timer timer))
      (should (memq org-agent--sign-timer timer-list))
      (should (member (string-trim org-agent--sign) (append org-agent--signs nil)))
      (should-not (equal org-agent--sign sign)))))

(ert-deftest org-agent-state-moves-only-where-it-is-seen ()
  (org-agent-fake-with
    ;; A chat of another test was killed while it was busy.
    (when org-agent--sign-timer (org-agent--sign-moves))
    (should-not org-agent--sign-timer)
    (org-agent-fake-send "question")
    (org-agent-fake-state "turn-1" 1 "thinking")
    (should org-agent--sign-timer)
    (should (member org-agent--sign-timer timer-list))
    (org-agent--sign-moves)
    (should (member (string-trim org-agent--sign) (append org-agent--signs nil)))
    (let ((chat (current-buffer)))
      (switch-to-buffer "*scratch*")
      (org-agent--sign-moves)
      (should-not org-agent--sign-timer)
      ;; What happens out of sight starts nothing.
      (with-current-buffer chat
        (org-agent-fake-state "turn-1" 2 "streaming"))
      (should-not org-agent--sign-timer)
      (switch-to-buffer chat)
      ;; Batch mode does not redraw, which is when this hook is run.
      (run-hook-with-args 'window-buffer-change-functions (selected-window))
      (should org-agent--sign-timer)
      (org-agent-fake-state "turn-1" 3 "done")
      (should (equal org-agent--sign ""))
      (org-agent--sign-moves)
      (should-not org-agent--sign-timer)
      (should-not (seq-find (lambda (timer)
                              (eq (timer--function timer) #'org-agent--sign-moves))
                            timer-list)))))

(ert-deftest org-agent-mode-line-goes-where-something-waits ()
  (org-agent-fake-with
    (let ((before global-mode-string)
          (chat (current-buffer)))
      (unwind-protect
          (progn
            (org-agent-fake-send "question")
            (org-agent-fake-state "turn-1" 1 "thinking")
            (should-not (memq 'org-agent--lighter global-mode-string))
            (org-agent-mode-line-mode 1)
            (should (memq 'org-agent--lighter global-mode-string))
            (should-not (symbolp (car global-mode-string)))
            (should (equal org-agent--lighter "[chat busy] "))
            (org-agent-fake-state "turn-1" 2 "awaitingApproval")
            (should (equal org-agent--lighter "[a chat asks you] "))
            (switch-to-buffer "*scratch*")
            (funcall (get-text-property 0 'org-agent-command org-agent--lighter))
            (should (eq (current-buffer) chat))
            (with-current-buffer chat
              (org-agent-fake-state "turn-1" 3 "done"))
            (should (equal org-agent--lighter ""))
            (should-error (org-agent-go-to-busy) :type 'user-error)
            (org-agent-fake-send "more")
            (should (equal org-agent--lighter "[chat busy] "))
            (set-buffer-modified-p nil)
            (kill-buffer chat)
            (should (equal org-agent--lighter "")))
        (org-agent-mode-line-mode -1))
      (should (equal (remove "" global-mode-string) (remove "" before)))
      (should-not (memq #'org-agent--show-lighter org-agent--state-hook)))))

;;;; The desktop

(defmacro org-agent-state-tests-told (&rest body)
  "Return what the desktop is told in BODY, oldest first."
  (declare (indent 0) (debug t))
  `(let (told)
     (cl-letf (((symbol-function 'org-agent--notify-desktop)
                (lambda (&rest words) (push words told))))
       ,@body)
     (nreverse told)))

(ert-deftest org-agent-desktop-is-told-if-wanted-and-out-of-sight ()
  (org-agent-fake-with
    (let ((chat (current-buffer))
          (turn (lambda (number)
                  (org-agent-fake-send "question")
                  (let ((id (format "turn-%d" number)))
                    (switch-to-buffer "*scratch*")
                    (org-agent-fake-state id 1 "thinking")
                    (org-agent-fake-state id 2 "awaitingApproval")
                    (org-agent-fake-state id 3 "done")))))
      ;; It is off.
      (should-not (org-agent-state-tests-told (funcall turn 1)))
      (switch-to-buffer chat)
      (rename-buffer "<b>chat</b>")
      (let ((org-agent-notify-after 0))
        (should (equal (org-agent-state-tests-told (funcall turn 2))
                       '((" b chat /b " "A command waits for your decision.")
                         (" b chat /b " "The reply is there.")))))
      (switch-to-buffer chat)
      (let ((org-agent-notify-after 1000))
        (should (equal (mapcar #'cadr (org-agent-state-tests-told (funcall turn 3)))
                       '("A command waits for your decision."))))
      ;; Who sees it need not be told.
      (switch-to-buffer chat)
      (let ((org-agent-notify-after 0))
        (should-not (org-agent-state-tests-told
                      (org-agent-fake-send "question")
                      (org-agent-fake-state "turn-4" 1 "thinking")
                      (org-agent-fake-state "turn-4" 2 "done")))))))

(ert-deftest org-agent-desktop-that-is-not-there-does-no-harm ()
  (org-agent-fake-with
    (let ((process-environment (cons "DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere"
                                     process-environment))
          (org-agent-notify-after 0)
          (said nil))
      (org-agent-fake-send "question")
      (switch-to-buffer "*scratch*")
      (org-agent-fake-state "turn-1" 1 "thinking")
      (setq said (org-agent-tests-said (org-agent-fake-state "turn-1" 2 "done")))
      (should (seq-some (lambda (words) (string-search "The reply is there." words))
                        said)))))

(ert-deftest org-agent-desktop-gets-the-words ()
  (skip-unless (and (featurep 'dbusbind) (executable-find "dbus-run-session")))
  (with-temp-buffer
    (call-process
     "dbus-run-session" nil '(t nil) nil "--"
     (or (getenv "EMACS") (expand-file-name invocation-name invocation-directory))
     "-Q" "--batch" "-L" (file-name-directory (locate-library "org-agent")) "--eval"
     (prin1-to-string
      '(progn
         (require 'org-agent)
         (require 'dbus)
         (let ((name "org.freedesktop.Notifications") got)
           (dbus-register-service :session name)
           (dbus-register-method :session name "/org/freedesktop/Notifications" name
                                 "Notify" (lambda (&rest args)
                                            (setq got args)
                                            '(:uint32 1)))
           (let ((asked (org-agent--notify-desktop "chat" "The reply is there."))
                 (end (+ (float-time) 30)))
             (while (and (not got) (< (float-time) end))
               (read-event nil nil 0.01))
             (prin1 (list asked (seq-take got 5))))))))
    (should (string-suffix-p "(t (\"Emacs\" 0 \"\" \"chat\" \"The reply is there.\"))"
                             (buffer-string)))))

;;;; Errors

(ert-deftest org-agent-error-has-a-button-and-no-more-text ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-fake-insert "turn-1" 1 "*System Error:* nobody listens")
    (org-agent-fake-state "turn-1" 2 "failed" "model")
    (should (equal (buffer-string)
                   (org-agent-fake-layout
                    '(1 "question" "*System Error:* nobody listens"))))
    (goto-char (point-min))
    (should-error (org-agent-explain) :type 'user-error)
    (search-forward "nobody")
    (let ((overlay (org-agent--error-here)))
      (should (equal (substring-no-properties (overlay-get overlay 'after-string))
                     " [explain]"))
      (setq org-agent-fake-answers
            (list (cons 'orgAgent/why (lambda (params)
                                        (should (equal (plist-get params :actuationId)
                                                       "act-turn-1"))
                                        '(:state "failed" :reason "model")))))
      (org-agent-explain)
      (org-agent-fake-settle)
      (with-current-buffer "*org-agent error*"
        (should (string-search "nobody listens" (buffer-string)))
        (should (string-search "Code: model" (buffer-string)))
        (search-forward "Ask again")
        (push-button (1- (point))))
      (should (equal (org-agent--prompt) "question"))
      (should (= (point) (point-max)))
      (goto-char (overlay-start overlay))
      (should-error (org-agent-ask-again) :type 'user-error)
      (should (equal (org-agent--prompt) "question")))
    ;; It is undone with its text, and found again in a buffer that comes back.
    (org-agent--mark-errors)
    (should (= 1 (seq-count (lambda (overlay) (overlay-get overlay 'org-agent-error))
                            (overlays-in (point-min) (point-max)))))
    (org-agent-chat-mode)
    (should (= 1 (seq-count (lambda (overlay) (overlay-get overlay 'org-agent-error))
                            (overlays-in (point-min) (point-max)))))))

(ert-deftest org-agent-error-that-a-model-wrote-is-none ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-fake-insert "turn-1" 1 "Look:\n*System Error:* not the first line")
    (should-not (seq-find (lambda (overlay) (overlay-get overlay 'org-agent-error))
                          (overlays-in (point-min) (point-max))))
    (org-agent-fake-send "again")
    (org-agent-fake-insert "turn-2" 1 "*System Error:* says a model %s \\[beep]")
    (setq org-agent-fake-answers
          (list (cons 'orgAgent/why (lambda (_) '(:state "done" :reason nil)))))
    (search-backward "says a model")
    (org-agent-explain)
    (org-agent-fake-settle)
    (with-current-buffer "*org-agent error*"
      (should (string-search "says a model %s \\[beep]" (buffer-string)))
      (should (string-search "a model may have written this" (buffer-string))))))

(ert-deftest org-agent-error-of-the-real-server-is-explained ()
  (org-agent-real-with
      `(("config.toml" . ,(concat "[[models]]\nname = \"here\"\nmodel = \"tiny\"\n"
                                  "base_url = \"http://127.0.0.1:9/v1\"\n")))
      nil
    (org-agent-real-reply "hello")
    (goto-char (point-min))
    (search-forward "*System Error:*")
    (org-agent-explain)
    (org-agent-fake-until
     (lambda ()
       (with-current-buffer (get-buffer-create "*org-agent error*")
         (and (string-search "127.0.0.1:9" (buffer-string))
              (string-search "Code: model" (buffer-string)))))
     "the explanation")))

(provide 'org-agent-state-tests)
;;; org-agent-state-tests.el ends here
