;;; org-agent-connection-tests.el --- Finding, losing and starting the server  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Code:

(require 'org-agent-fake)
(require 'org-agent-real)

(defmacro org-agent-connection-tests-far (&rest body)
  "Run BODY in a directory of another machine that nobody may ask for.
What is done to its names without asking it is done."
  (declare (indent 0) (debug t))
  `(let* ((asked nil)
          (handler
           (lambda (operation &rest args)
             (pcase operation
               ('file-remote-p (pcase (nth 1 args)
                                 ('nil "/far:box:") ('host "box") ('method "far")
                                 ('localname "/srv/") (_ nil)))
               ;; These two say nothing of what is there.
               ('file-name-directory "/far:box:/srv/")
               ('file-name-as-directory "/far:box:/srv/")
               ((or 'unhandled-file-name-directory 'substitute-in-file-name
                    'file-name-nondirectory 'expand-file-name
                    'directory-file-name 'abbreviate-file-name)
                (let ((file-name-handler-alist nil)
                      (default-directory "/"))
                  (apply operation args)))
               (_ (push (cons operation args) asked)
                  (error "Asked the other machine: %s" operation)))))
          (file-name-handler-alist (cons (cons "\\`/far:" handler)
                                         file-name-handler-alist))
          (default-directory "/far:box:/srv/"))
     ,@body
     (should-not asked)))

;;;; Finding

(ert-deftest org-agent-program-is-looked-for-in-each-place ()
  (let* ((home (file-name-as-directory (file-truename (make-temp-file "org-agent" t))))
         (bin (expand-file-name "bin/" home))
         (make (lambda (file)
                 (make-directory (file-name-directory file) t)
                 (write-region "#!/bin/sh\n" nil file nil 'silent)
                 (set-file-modes file #o700)
                 file))
         (exec-path (list bin))
         (org-agent-program "org-agent"))
    (unwind-protect
        (cl-letf (((symbol-function 'locate-library)
                   (lambda (&rest _) (expand-file-name "link/org-agent-program.el" home))))
          (make-directory (expand-file-name "checkout/emacs" home) t)
          (make-directory bin)
          (write-region "" nil (expand-file-name "checkout/emacs/org-agent-program.el" home)
                        nil 'silent)
          ;; A package manager links to the checkout.
          (make-directory (expand-file-name "link" home))
          (make-symbolic-link (expand-file-name "checkout/emacs/org-agent-program.el" home)
                              (expand-file-name "link/org-agent-program.el" home))
          (let ((words (condition-case problem (org-agent--executable)
                         (user-error (error-message-string problem)))))
            (dolist (place (list bin (expand-file-name "checkout/target/release/org-agent" home)
                                 (expand-file-name "checkout/target/debug/org-agent" home)
                                 "cargo build" "org-agent-program"))
              (should (string-search place words))))
          (let ((debug (funcall make (expand-file-name "checkout/target/debug/org-agent" home))))
            (should (equal (org-agent--executable) debug)))
          (let ((release (funcall make (expand-file-name "checkout/target/release/org-agent" home))))
            (should (equal (org-agent--executable) release)))
          (let ((installed (funcall make (expand-file-name "org-agent" bin))))
            (should (equal (org-agent--executable) installed)))
          (let* ((own (funcall make (expand-file-name "own/server" home)))
                 (org-agent-program own))
            (should (equal (org-agent--executable) own)))
          ;; What the user named is not replaced by something else.
          (dolist (org-agent-program (list (expand-file-name "own/none" home) bin
                                           "/far:box:/bin/org-agent"))
            (org-agent-connection-tests-far
              (should-error (org-agent--executable) :type 'user-error))))
      (delete-directory home t))))

(ert-deftest org-agent-server-is-started-from-another-machine-s-directory ()
  (org-agent-real-with nil nil
    (delete-process org-agent--process)
    (org-agent-fake-until (lambda () (not org-agent--connection)))
    (org-agent-connection-tests-far
      (with-temp-buffer
        (setq default-directory "/far:box:/srv/")
        (let (answered)
          (org-agent--request 'orgAgent/sessions/list '(:limit 1)
                              (lambda (_) (setq answered t))
                              (lambda (words _) (setq answered words)))
          (org-agent-fake-until (lambda () answered) "the answer")
          (should (eq answered t)))
        (save-window-excursion (org-agent-doctor))))
    (with-current-buffer "*org-agent doctor*"
      (should (equal default-directory (expand-file-name "~/")))
      (org-agent-fake-until (lambda () (string-search "\nNext: " (buffer-string)))
                            "the doctor"))))

(ert-deftest org-agent-nothing-is-started-before-it-is-needed ()
  (with-temp-buffer
    (call-process
     (or (getenv "EMACS") (expand-file-name invocation-name invocation-directory))
     nil '(t nil) nil
     "-Q" "--batch" "-L" (file-name-directory (locate-library "org-agent")) "--eval"
     (prin1-to-string
      '(progn
         (require 'org-agent)
         (org-agent-mode-line-mode 1)
         (with-temp-buffer (org-agent-chat-mode))
         (prin1 (list org-agent--connection (process-list))))))
    (should (equal (buffer-string) "(nil nil)"))))

;;;; Dying

(defun org-agent-connection-tests-kill ()
  "Kill the server as nothing else can."
  (let ((process org-agent--process))
    (signal-process process 9)
    (org-agent-fake-until (lambda () (not (eq process org-agent--process)))
                          "the death")
    (accept-process-output nil 0.05)))

(ert-deftest org-agent-killed-server-is-started-again ()
  (org-agent-real-with nil nil
    (let ((org-agent-restart-delays '(0.05 0.05))
          (org-agent--restarts 0)
          (before org-agent--process)
          said)
      (org-agent-real-reply "one")
      (setq said (org-agent-tests-said
                   (org-agent-connection-tests-kill)
                   (org-agent-fake-until (lambda () org-agent--ready) "another server")))
      (should (seq-some (lambda (words)
                          (string-match-p "server ended, by signal 9.*again in 0.05 s" words))
                        said))
      (should-not (eq org-agent--process before))
      (should-not org-agent--restart-timer)
      (should-not org-agent--server-state)
      (should (= org-agent--restarts 1))
      ;; It goes on where it was.
      (org-agent-real-reply "two")
      (should (equal (length (org-agent--all "OA_ACT")) 2))
      (let ((org-agent-restart-delays nil))
        (org-agent-connection-tests-kill)))))

(ert-deftest org-agent-server-that-dies-again-and-again-is-given-up ()
  (org-agent-fake-with
    (let ((org-agent-restart-delays '(0.01 0.02 0.03))
          (org-agent--restarts 0)
          (org-agent--ready-since nil)
          (org-agent--restart-timer nil)
          (spawned 0)
          said)
      (cl-letf (((symbol-function 'org-agent--spawn)
                 (lambda ()
                   (cl-incf spawned)
                   (setq org-agent--stderr "one\n%s: the data is broken\n")
                   (make-process :name "dead" :command '("false")
                                 :connection-type 'pipe :noquery t))))
        (setq org-agent--ready-since (float-time))
        (setq said (org-agent-tests-said
                     (org-agent-fake-die)
                     (org-agent-fake-until
                      (lambda () (equal (car org-agent--server-state) "no server"))
                      "giving up")))
        (should (= spawned 3))
        (should-not org-agent--restart-timer)
        (should (string-search "no server" org-agent--status))
        (should (seq-some (lambda (words) (string-search "again in 0.03 s" words)) said))
        (should (seq-some (lambda (words) (string-search "started 3 times and is not again" words))
                          said))
        (should (string-search "%s: the data is broken" org-agent--last-words)))
      ;; The user can, at once.
      (setq org-agent-fake-connection nil)
      (org-agent-restart)
      (org-agent-fake-until (lambda () org-agent--ready))
      (should-not org-agent--server-state)
      (should (= org-agent--restarts 0)))))

(ert-deftest org-agent-server-that-never-started-stays-away ()
  (org-agent-fake-with
    (org-agent--disconnect "test")
    (org-agent-fake-until (lambda () (not (or org-agent--connection org-agent--ending))))
    (accept-process-output nil 0.05)
    (let ((org-agent-restart-delays '(0.01))
          (org-agent--restarts 0)
          (spawned 0)
          problem)
      (cl-letf (((symbol-function 'org-agent--spawn)
                 (lambda ()
                   (cl-incf spawned)
                   (make-process :name "dead" :command '("false")
                                 :connection-type 'pipe :noquery t))))
        (org-agent--request 'orgAgent/sessions/list nil #'ignore
                            (lambda (words _) (setq problem words)))
        (org-agent-fake-until (lambda () problem))
        (should-not org-agent--restart-timer)
        (should (= spawned 1))))))

(ert-deftest org-agent-server-that-ran-well-is-not-counted ()
  (org-agent-fake-with
    (let ((org-agent-restart-delays '(1000 2000))
          (org-agent--restarts 1)
          (org-agent--ready-since (- (float-time) org-agent--well-time 1))
          (org-agent--restart-timer nil))
      (org-agent-fake-die)
      (should (= org-agent--restarts 1))
      (should (equal (car org-agent--server-state) "server again in 1000 s"))
      ;; What the user asks for does not wait.
      (org-agent-fake-send "question")
      (should org-agent--ready)
      (should-not org-agent--restart-timer)
      (should-not org-agent--server-state))))

(ert-deftest org-agent-server-that-is-restarted-did-not-die ()
  (org-agent-fake-with
    (let ((org-agent-restart-delays '(1000))
          (org-agent--restarts 0)
          (org-agent--restart-timer nil))
      (setq org-agent-fake-connection nil)
      (org-agent-restart)
      (org-agent-fake-until (lambda () org-agent--ready))
      (should-not org-agent--restart-timer)
      (should (= org-agent--restarts 0)))))

(ert-deftest org-agent-server-without-chats-stays-dead ()
  (org-agent-fake-with
    (let ((org-agent-restart-delays '(0.01))
          (org-agent--restarts 0)
          (org-agent--restart-timer nil))
      (set-buffer-modified-p nil)
      (kill-buffer)
      (org-agent-fake-die)
      (should-not org-agent--restart-timer))))

;;;; Versions

(ert-deftest org-agent-other-version-is-explained ()
  (org-agent-fake-with
    (org-agent--disconnect "test")
    (org-agent-fake-until (lambda () (not (or org-agent--connection org-agent--ending))))
    (setq org-agent-fake-connection nil
          org-agent-fake-answers
          (list (cons 'initialize
                      (lambda (_) '( :capabilities (:experimental (:orgAgent (:version 7)))
                                     :serverInfo (:name "org-agent" :version "9.9"))))))
    (let (problem)
      (org-agent--request 'orgAgent/models/list nil #'ignore
                          (lambda (words _) (setq problem words)))
      (org-agent-fake-until (lambda () problem))
      (dolist (words '("org-agent 9.9" "version 7" "version 1" "updated" "org-agent-program"))
        (should (string-search words problem))))
    (setq org-agent-fake-connection nil)))

(ert-deftest org-agent-older-server-is-told-of ()
  (org-agent-fake-with
    (let ((offer (lambda (methods)
                   (setq org-agent--introduction
                         `(:capabilities (:experimental (:orgAgent (:version 1 :methods ,methods)))
                           :serverInfo (:name "org-agent" :version "0.0.1")))
                   (org-agent-tests-said (org-agent--handle :ready nil)))))
      (should-not (funcall offer (vconcat org-agent--needed-methods)))
      (should-not org-agent--server-state)
      (let ((said (funcall offer (vconcat (remove "orgAgent/models/select"
                                                  org-agent--needed-methods)))))
        (should (seq-some (lambda (words)
                            (and (string-search "org-agent 0.0.1" words)
                                 (string-search "lacks orgAgent/models/select" words)))
                          said))
        (should (string-search "server too old" org-agent--status))))
    (setq org-agent--introduction nil)
    (org-agent--say-server nil nil)))

(ert-deftest org-agent-real-server-has-what-is-needed ()
  (org-agent-real-with nil nil
    (should (vectorp (plist-get (org-agent--offered) :methods)))
    (should-not (org-agent--lacks))
    (should-not org-agent--server-state)
    ;; It says whether commands are confined.
    (org-agent-fake-until
     (lambda () (string-match-p "sandboxed\\|not confined" org-agent--status))
     "what it says of the sandbox")))

(ert-deftest org-agent-doctor-helps-without-a-program ()
  (let ((org-agent-program "org-agent-that-is-nowhere"))
    (cl-letf (((symbol-function 'org-agent--built) (lambda () '("/nowhere/org-agent"))))
      (save-window-excursion (org-agent-doctor))
      (with-current-buffer "*org-agent doctor*"
        (font-lock-ensure)
        (goto-char (point-min))
        (search-forward "BAD")
        (should (eq (get-text-property (1- (point)) 'face) 'error))
        (should (string-search "/nowhere/org-agent" (buffer-string)))
        (should (string-search "-> Install org-agent with M-x org-agent-install-server"
                               (buffer-string)))
        ;; It looks again with g, and knows then.
        (should (eq (key-binding "g") 'revert-buffer))
        (let ((org-agent-program "true"))
          (revert-buffer))
        (should-not (string-search "BAD" (buffer-string)))
        (should (string-search (executable-find "true") (buffer-string)))
        (kill-buffer)))))

(provide 'org-agent-connection-tests)
;;; org-agent-connection-tests.el ends here
