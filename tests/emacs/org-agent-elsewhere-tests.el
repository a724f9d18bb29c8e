;;; org-agent-elsewhere-tests.el --- Commands on other machines  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; With a real TRAMP, whose other machine is this one.

;;; Code:

(require 'tramp)
(require 'org-agent-approve-tests)

;;;; Another machine

(defmacro org-agent-tests-elsewhere (&rest body)
  "Run BODY in a chat whose directory TRAMP reaches by a shell of its own."
  (declare (indent 0) (debug t))
  `(let ((tramp-methods
          (cons '("mock" (tramp-login-program "sh") (tramp-login-args (("-i")))
                  (tramp-remote-shell "/bin/sh") (tramp-remote-shell-args ("-c"))
                  (tramp-connection-timeout 10))
                tramp-methods))
         (tramp-verbose 0)
         (tramp-persistency-file-name nil))
     (org-agent-fake-with
       (let ((home (file-name-as-directory (file-truename org-agent-fake-directory)))
             (org-agent-shell-sandbox t))
         (make-directory (expand-file-name "sub" home))
         (setq default-directory (concat "/mock:localhost:" home))
         (org-agent-fake-send "question")
         (unwind-protect (progn ,@body)
           (tramp-cleanup-connection (tramp-dissect-file-name default-directory)))))))

(ert-deftest org-agent-on-another-machine-a-command-runs-through-tramp ()
  (org-agent-tests-elsewhere
    (org-agent-fake-shell "turn-1" 1 '(:cmd "pwd; echo \"$0\"; echo bad >&2; exit 3" :cwd "sub")
                          :confined :json-false :sandbox "None." :rule "elsewhere")
    (let ((shown (org-agent-fake-shown "turn-1")))
      (should (string-search (format "in /mock:localhost:%ssub, at most" home) shown))
      (should (string-search "Sandbox: none: it runs on mock:localhost and can do all" shown))
      (should (string-search "Environment: that of the other machine" shown)))
    (should-error (org-agent-approve-network) :type 'user-error)
    (org-agent-fake-keys "C-c C-y")
    (let ((report (org-agent-tests-outcome)))
      (should (equal (plist-get report :status) "done"))
      (should (equal (plist-get report :exitCode) 3))
      (should (equal (plist-get report :sandboxed) :json-false))
      (should (equal (plist-get report :token) "token-1"))
      (should (string-prefix-p (concat home "sub\n/bin/sh\n") (plist-get report :stdout)))
      (should (string-search "bad" (plist-get report :stdout))))))

(ert-deftest org-agent-on-another-machine-a-directory-is-entered-there ()
  (pcase-dolist (`(,directory ,cmd ,stdout ,code)
                 `(("~" "pwd" ,(concat (directory-file-name (expand-file-name "~")) "\n") 0)
                   ("/usr/lib" "pwd" "/usr/lib\n" 0)
                   ("/no/such" "echo ran" nil 126)
                   ;; Of this buffer's environment, nothing.
                   ("/usr" "echo \"$MINE|$PAGER\"" "|cat\n" 0)))
    (org-agent-tests-elsewhere
      (setq-local process-environment (cons "MINE=secret" process-environment))
      (org-agent-fake-shell "turn-1" 1 (list :cmd cmd) :directory directory)
      (org-agent-fake-keys "C-c C-y")
      (let ((report (org-agent-tests-outcome)))
        (should (equal (plist-get report :exitCode) code))
        (if stdout (should (equal (plist-get report :stdout) stdout))
          (should (string-match-p "/no/such" (plist-get report :stdout)))
          (should-not (string-search "ran" (plist-get report :stdout))))))))

(ert-deftest org-agent-on-another-machine-nothing-runs-unasked ()
  (org-agent-tests-elsewhere
    (org-agent-fake-shell "turn-1" 1 '(:cmd "echo a") :decision "allow" :token "given"
                          :steps [(:op nil :argv ["echo" "a"])])
    (should (string-search "it would run on another machine" (org-agent-fake-shown "turn-1")))
    (should-not (org-agent-fake-sent 'orgAgent/actuated))))

(ert-deftest org-agent-on-another-machine-a-command-can-be-stopped ()
  (org-agent-tests-elsewhere
    (let ((mark (expand-file-name "mark" home)))
      (org-agent-fake-shell "turn-1" 1
                            `(:cmd ,(format "echo $$ > %s; sleep 1000; echo late" mark)))
      (org-agent-fake-keys "C-c C-y")
      (org-agent-fake-until (lambda () (and (file-exists-p mark)
                                            (< 0 (file-attribute-size (file-attributes mark)))))
                            "the command to run")
      (let ((pid (with-temp-buffer (insert-file-contents mark)
                                   (string-to-number (buffer-string)))))
        (should (process-attributes pid))
        (org-agent-fake-ask 'orgAgent/abort :actuationId "act-turn-1")
        (let ((report (org-agent-tests-outcome)))
          (should (equal (plist-get report :status) "failed"))
          (should (equal (plist-get report :message) "stopped by the server"))
          (should-not (string-search "late" (plist-get report :stdout))))
        (org-agent-fake-until (lambda () (not (process-attributes pid))) "it to end")))))

;; Emacs waits for such a line a second, and not until it gives up.
(ert-deftest org-agent-a-command-over-a-line-that-hangs-can-be-stopped ()
  (org-agent-tests-elsewhere
    (let ((mark (expand-file-name "mark" home)) line)
      (org-agent-fake-shell "turn-1" 1 `(:cmd ,(format "echo > %s; sleep 1000" mark)))
      (org-agent-fake-keys "C-c C-y")
      (org-agent-fake-until (lambda () (file-exists-p mark)) "the command to run")
      ;; The command has a line of its own; this one ends it.
      (should (file-exists-p default-directory))
      (setq line (tramp-get-connection-process
                  (tramp-dissect-file-name default-directory)))
      (signal-process line 'SIGSTOP)
      (unwind-protect
          (let ((begun (float-time)))
            (org-agent-fake-ask 'orgAgent/abort :actuationId "act-turn-1")
            (should (equal (plist-get (org-agent-tests-outcome) :message)
                           "stopped by the server"))
            (should (< (- (float-time) begun) 4)))
        (signal-process line 'SIGCONT)))))

(provide 'org-agent-elsewhere-tests)
;;; org-agent-elsewhere-tests.el ends here
