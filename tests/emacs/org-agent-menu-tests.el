;;; org-agent-menu-tests.el --- Menus and keys  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Code:

(require 'org-agent-fake)

(declare-function transient--emergency-exit "transient")
(declare-function org-agent--menu-command "org-agent-transient")

(defun org-agent-menu-tests-menu ()
  "Call the menu and return what it shows."
  (call-interactively #'org-agent-menu)
  (unwind-protect
      (with-current-buffer " *transient*"
        (buffer-substring-no-properties (point-min) (point-max)))
    (transient--emergency-exit)))

(ert-deftest org-agent-menu-is-loaded-when-it-is-asked-for ()
  (with-temp-buffer
    (call-process
     (or (getenv "EMACS") (expand-file-name invocation-name invocation-directory))
     nil '(t nil) nil
     "-Q" "--batch" "-L" (file-name-directory (locate-library "org-agent")) "--eval"
     (prin1-to-string
      '(progn
         (require 'org-agent)
         (prin1 (list (featurep 'transient) (commandp 'org-agent-menu)
                      (keymapp 'org-agent-command-map)))
         (autoload-do-load (symbol-function 'org-agent-menu) 'org-agent-menu)
         (prin1 (list (featurep 'transient) (commandp 'org-agent-menu))))))
    (should (equal (buffer-string) "(nil t t)(t t)"))))

(ert-deftest org-agent-menu-has-what-there-is ()
  (org-agent-fake-with
    (cl-letf (((symbol-function 'org-agent-dry-run) nil)
              ((symbol-function 'org-agent-rewrite) (lambda () (interactive))))
      (let ((shown (org-agent-menu-tests-menu)))
        (dolist (words '("Open the chat" "Cancel" "Why this text" "Rewrite the region"
                         "Choose the model" "All skills"))
          (should (string-search words shown)))
        (should-not (string-search "Show what would be sent" shown))
        ;; No command waits.
        (should-not (string-search "Deny it" shown))
        (should (eq (lookup-key org-agent-command-map "x") 'org-agent-rewrite))
        (should-not (lookup-key org-agent-command-map "d"))
        (should (eq (lookup-key org-agent-command-map "w") 'org-agent-why))))
    (org-agent-fake-send "question")
    (org-agent-fake-shell "turn-1" 1 '(:cmd "date"))
    (should (string-search "Deny it" (org-agent-menu-tests-menu)))
    (with-temp-buffer
      (let ((shown (org-agent-menu-tests-menu)))
        (should (string-search "Open the chat" shown))
        (should-not (string-search "Cancel" shown))))))

(ert-deftest org-agent-menu-knows-an-entry-of-any-version ()
  (require 'org-agent-transient)
  (pcase-dolist (`(,child ,command)
                 '((nil nil) ("text" nil) (group nil) ([group] nil)
                   ;; Up to Emacs 30, and later.
                   ((4 transient-suffix (:key "c" :command org-agent-chat))
                    org-agent-chat)
                   ((transient-suffix :key "c" :command org-agent-chat)
                    org-agent-chat)))
    (should (eq (org-agent--menu-command child) command))))

(ert-deftest org-agent-menu-table-is-sound ()
  (let (keys)
    (org-agent--menu-each
     (lambda (_name where key label command)
       (should (and (stringp label) (symbolp command)))
       (should (or (eq where 'always) (fboundp where)))
       (should-not (member key keys))
       (push key keys)))
    ;; No key is the beginning of another.
    (dolist (key keys)
      (dolist (other keys)
        (should-not (string-prefix-p (concat key " ") other))))))

(ert-deftest org-agent-keys-are-not-those-of-others ()
  (require 'org)
  (org-agent-fake-with
    (should (eq (key-binding (kbd "C-c C-w")) (lookup-key org-mode-map (kbd "C-c C-w"))))
    (should (eq (key-binding (kbd "C-c C-k")) (lookup-key org-mode-map (kbd "C-c C-k"))))
    (let ((map (copy-keymap org-agent-chat-mode-map)))
      (set-keymap-parent map nil)
      (dolist (letter (append (number-sequence ?a ?z) (number-sequence ?A ?Z)))
        (should-not (lookup-key map (vector ?\C-c letter)))))
    (org-agent-fake-send "question")
    (should (eq (key-binding (kbd "C-c C-k")) 'org-agent-cancel))
    (should (eq (key-binding (kbd "C-c C-w")) (lookup-key org-mode-map (kbd "C-c C-w"))))
    (org-agent-fake-state "turn-1" 1 "done")
    (should (eq (key-binding (kbd "C-c C-k")) (lookup-key org-mode-map (kbd "C-c C-k"))))))

(ert-deftest org-agent-click-offers-what-can-be-done-there ()
  (org-agent-fake-with
    (let* ((click (lambda ()
                    (list 'mouse-3 (list (selected-window) (point) '(0 . 0) 0))))
           (offered (lambda ()
                      (let ((menu (make-sparse-keymap)) commands)
                        (run-hook-wrapped 'context-menu-functions
                                          (lambda (f)
                                            (when (symbolp f)
                                              (when (eq f 'org-agent--context-menu)
                                                (setq menu (funcall f menu (funcall click)))))
                                            nil))
                        (map-keymap (lambda (key _) (push key commands)) menu)
                        commands))))
      (should (memq 'org-agent-why (funcall offered)))
      (should-not (memq 'org-agent-cancel (funcall offered)))
      (org-agent-fake-send "question")
      (should (memq 'org-agent-cancel (funcall offered)))
      (should-not (memq 'org-agent-more (funcall offered)))
      (org-agent-fake-shell "turn-1" 1 '(:cmd "date"))
      (should (memq 'org-agent-more (funcall offered))))
    ;; Elsewhere there is nothing of it.
    (with-temp-buffer
      (should-not (memq 'org-agent--context-menu
                        (bound-and-true-p context-menu-functions))))))

(provide 'org-agent-menu-tests)
;;; org-agent-menu-tests.el ends here
