;;; org-agent-approve-tests.el --- Allowed, confined, asked with care  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Most of these run a program in place of the server's that notes how it
;; was called; the last ones run the real sandbox, where there is one.

;;; Code:

(require 'org-agent-fake)
(require 'tramp)
(require 'org-agent-shell-tests)

;;;; A program in place of the server's

(defconst org-agent-tests-program "#!/bin/sh
here=$(dirname \"$0\")
printf '%s\\n' \"$@\" end >> \"$here/calls\"
if [ -e \"$here/refuse\" ]; then
  echo 'org-agent: the command was not run' >&2; exit 125
fi
[ ! -e \"$here/run\" ] || . \"$here/run\"
echo \"ran $3\"
" "A program that runs the file \"run\", whatever its token is good for.")

(defmacro org-agent-tests-with-program (&rest body)
  "Run BODY in a chat whose commands run in a sandbox that confines nothing."
  (declare (indent 0) (debug t))
  `(org-agent-fake-with
     (let* ((home (file-truename org-agent-fake-directory))
            (org-agent-program (expand-file-name "program" home))
            (org-agent-shell-sandbox t))
       (make-directory (expand-file-name "ws/sub dir" home) t)
       (write-region org-agent-tests-program nil org-agent-program nil 'silent)
       (set-file-modes org-agent-program #o700)
       (setq default-directory (file-name-as-directory (expand-file-name "ws" home)))
       (org-agent-fake-send "question")
       ;; Without a terminal, windows are tiny, and a question waits for ever.
       (cl-letf (((symbol-function 'org-agent--room) (lambda () (list 24 80)))
                 ((symbol-function 'yes-or-no-p)
                  (lambda (question) (error "Asked: %s" question))))
         ,@body))))

(defun org-agent-tests-calls ()
  "Return how the program was called: lists of arguments."
  (let ((file (expand-file-name "calls" org-agent-fake-directory))
        (ws (expand-file-name "ws" (file-truename org-agent-fake-directory)))
        calls call)
    (when (file-exists-p file)
      (dolist (line (with-temp-buffer (insert-file-contents file)
                                      (split-string (buffer-string) "\n")))
        (cond ((equal line "end") (push (nreverse call) calls) (setq call nil))
              (t (push (string-replace org-agent-program "PROGRAM"
                                       (string-replace ws "WS" line))
                       call)))))
    (nreverse calls)))

(defconst org-agent-tests-steps [(:op nil :argv ["echo" "a b"]) (:op "&&" :argv ["ls"])])

;;;; What is allowed

(ert-deftest org-agent-allowed-command-runs-by-its-token-alone ()
  (org-agent-tests-with-program
    (org-agent-fake-shell "turn-1" 1 '(:cmd "echo 'a b' && ls")
                          :decision "allow" :token "given"
                          :steps org-agent-tests-steps)
    (let ((report (org-agent-tests-outcome)))
      (should (equal (plist-get report :token) "given"))
      (should (equal (plist-get report :status) "done"))
      (should (equal (plist-get report :stdout)
                     "ran given\n"))
      (should-not (org-agent-fake-sent 'orgAgent/decide))
      (should (equal (org-agent-tests-calls)
                     '(("sandbox" "--token" "given"))))
      (should-not (org-agent-fake-shown "turn-1")))
    ;; Said twice, run once.
    (org-agent-fake-shell "turn-1" 1 '(:cmd "echo 'a b' && ls")
                          :decision "allow" :token "given"
                          :steps org-agent-tests-steps)
    (should (= (length (org-agent-tests-calls)) 1))))

(ert-deftest org-agent-allowed-command-is-asked-if-anything-lacks ()
  (pcase-dolist
      (`(,params ,sandbox ,why)
       `((( :decision "allow" :steps ,org-agent-tests-steps) t "without a token")
         (( :decision "allow" :token nil :steps ,org-agent-tests-steps) t "without a token")
         (( :decision "allow" :token "t") t "without its steps")
         (( :decision "allow" :token "t" :steps []) t "without its steps")
         (( :decision "allow" :token "t" :steps [(:op nil :argv [])]) t "without its steps")
         (( :decision "allow" :token "t" :steps [(:op "&&" :argv ["ls"])]) t "without its steps")
         (( :decision "allow" :token "t" :steps [(:op nil :argv ["ls"]) (:op "&" :argv ["x"])])
          t "without its steps")
         (( :decision "allow" :token "t" :steps [(:op nil :argv ["ls"]) (:op nil :argv ["x"])])
          t "without its steps")
         (( :decision "allow" :token "t" :steps [(:op nil :argv [1])]) t "without its steps")
         (( :decision "allow" :token "t" :steps ,org-agent-tests-steps) nil
          "without a sandbox")))
    (org-agent-tests-with-program
      (let ((org-agent-shell-sandbox sandbox))
        (apply #'org-agent-fake-shell "turn-1" 1 '(:cmd "echo free") params)
        (should (string-search why (org-agent-fake-shown "turn-1")))
        (should-not (org-agent-fake-sent 'orgAgent/actuated))
        (should-not (org-agent-tests-calls))
        ;; Approved, it runs with the token of the decision.
        (org-agent-fake-keys "C-c C-y")
        (let ((report (org-agent-tests-outcome)))
          (should (equal (plist-get report :stdout)
                         (if sandbox "ran token-1\n" "free\n")))
          (should (equal (plist-get report :token) "token-1")))))))

;;;; The sandbox

(ert-deftest org-agent-approved-command-runs-by-its-token-alone ()
  (pcase-dolist (`(,key ,told) '(("C-c C-y" nil) ("C-c C-a n" (:network t))))
    (org-agent-tests-with-program
      (org-agent-fake-shell "turn-1" 1 '(:cmd "echo \"$0\" free" :cwd "sub dir"))
      (org-agent-fake-keys key)
      (let ((report (org-agent-tests-outcome)))
        (should (equal (plist-get report :status) "done"))
        (should (equal (plist-get report :sandboxed) t))
        (should (equal (org-agent-tests-calls) '(("sandbox" "--token" "token-1"))))
        (should (equal (org-agent-fake-sent 'orgAgent/decide)
                       `((:actuationId "act-turn-1" :choice "run" ,@told))))))))

(ert-deftest org-agent-where-there-is-no-sandbox-the-server-says-so ()
  (org-agent-tests-with-program
    (org-agent-fake-shell "turn-1" 1 '(:cmd "ls") :confined :json-false
                          :directory "/srv/x" :sandbox "None: this is no Linux.")
    (should (string-search "in /srv/x, at most" (org-agent-fake-shown "turn-1")))
    (should (string-search "Sandbox: None: this is no Linux.\n"
                           (org-agent-fake-shown "turn-1")))
    (should-error (org-agent-approve-network) :type 'user-error)
    (org-agent-fake-keys "C-c C-y")
    (let ((report (org-agent-tests-outcome)))
      (should (equal (plist-get report :stdout) "ran token-1\n"))
      (should (equal (plist-get report :sandboxed) :json-false)))))

(ert-deftest org-agent-without-the-sandbox-there-is-no-network-to-permit ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-fake-shell "turn-1" 1 '(:cmd "ls"))
    (should-error (org-agent-approve-network) :type 'user-error)
    (org-agent-more)
    (should-not (string-search "n  run it" (buffer-string)))
    (should-not (org-agent-fake-sent 'orgAgent/decide))))

;; Whether it was run, the server knows: a command can end like that, too.
(ert-deftest org-agent-what-ended-as-if-it-was-not-run-is-reported-as-it-ended ()
  (dolist (words '("org-agent: the command was not run" "ran"))
    (org-agent-tests-with-program
      (write-region (format "echo '%s' >&2; exit 125" words) nil
                    (expand-file-name "run" home) nil 'silent)
      (org-agent-fake-shell "turn-1" 1 '(:cmd "ls"))
      (org-agent-fake-keys "C-c C-y")
      (should (equal (org-agent-tests-outcome)
                     `( :actuationId "act-turn-1" :token "token-1" :sandboxed t
                        :status "done" :exitCode 125 :stdout ""
                        :stderr ,(concat words "\n") :truncated :json-false))))))

(ert-deftest org-agent-tokens-are-run-as-the-server-was-started ()
  (org-agent-tests-with-program
    (write-region "echo \"$ORG_AGENT_HOME\"" nil (expand-file-name "run" home) nil 'silent)
    (let ((org-agent--spawned
           (list org-agent-program
                 (cons "ORG_AGENT_HOME=/of/the/server" process-environment) exec-path))
          (process-environment (cons "ORG_AGENT_HOME=/of/now" process-environment))
          (org-agent-program "/none"))
      (org-agent-fake-shell "turn-1" 1 '(:cmd "ls"))
      (org-agent-fake-keys "C-c C-y")
      (should (equal (plist-get (org-agent-tests-outcome) :stdout)
                     "/of/the/server\nran token-1\n")))))

(ert-deftest org-agent-what-emacs-runs-by-itself-is-told-and-run-as-shown ()
  (org-agent-tests-with-program
    (let ((org-agent-shell-sandbox nil))
      (org-agent-fake-shell "turn-1" 1 '(:cmd "echo free")))
    (should (string-search "Sandbox: none" (org-agent-fake-shown "turn-1")))
    (org-agent-fake-keys "C-c C-y")
    (should (equal (plist-get (org-agent-tests-outcome) :stdout) "free\n"))
    (should (equal (org-agent-fake-sent 'orgAgent/decide)
                   '((:actuationId "act-turn-1" :choice "run" :unconfined t))))))

(ert-deftest org-agent-what-was-not-remembered-is-told ()
  (org-agent-tests-with-program
    (push (cons 'orgAgent/decide
                (lambda (_) '( :decision "allow" :token "t" :rule "always"
                               :saved :json-false :hint "no room\nfor it")))
          org-agent-fake-answers)
    (org-agent-fake-shell "turn-1" 1 '(:cmd "ls") :always "ls")
    (cl-letf (((symbol-function 'yes-or-no-p) #'always))
      (org-agent-fake-keys "C-u C-c C-y"))
    (org-agent-tests-outcome)
    (should (string-search "is asked again: no room" (org-agent-fake-shown "turn-1")))))

(ert-deftest org-agent-program-that-is-not-there-runs-nothing ()
  (org-agent-tests-with-program
    (delete-file org-agent-program)
    (org-agent-fake-shell "turn-1" 1 '(:cmd "echo ran"))
    (org-agent-fake-keys "C-c C-y")
    (let ((report (org-agent-tests-outcome)))
      (should (equal (plist-get report :status) "failed"))
      (should (string-search "org-agent-program" (plist-get report :message))))))

(ert-deftest org-agent-directory-is-told-with-its-machine ()
  (pcase-dolist (`(,directory . ,told)
                 `(("/usr/" :directory "/usr")
                   ("/" :directory "/")
                   ("~/" :directory ,(directory-file-name (expand-file-name "~")))
                   ("/ssh:me@host.invalid:/tmp/" :directory "/tmp" :host "ssh:me@host.invalid")
                   ("/ssh:host.invalid:~/" :directory "~" :host "ssh:host.invalid")
                   ("/ssh:host.invalid:~/src/" :directory "~/src" :host "ssh:host.invalid")
                   ("/ssh:host.invalid:" :host "ssh:host.invalid")
                   ("/sudo::/etc/" :directory "/etc" :host ,(format "sudo:root@%s" (system-name)))
                   ;; Whose home that is, only the other machine knows.
                   ("/ssh:host.invalid:~you/src/" :host "ssh:host.invalid")))
    (org-agent-fake-with
      (setq default-directory directory)
      (org-agent-fake-send "question")
      (let ((params (car (org-agent-fake-sent 'orgAgent/event))))
        (dolist (key '(:directory :host))
          (should (equal (plist-get params key) (plist-get told key))))))))

(ert-deftest org-agent-a-directory-of-this-machine-is-looked-for-on-no-other ()
  (should (equal (org-agent--shell-directory "/usr") "/usr/"))
  (should-error (org-agent--shell-directory "/no/such/directory"))
  (should-error (org-agent--shell-directory "/ssh:h.invalid:/x")))

;; The server says on which machine, whatever buffer the chat is in.
(ert-deftest org-agent-where-a-command-runs-the-server-says ()
  (pcase-dolist (`(,buffer ,params ,place)
                 '(("/tmp/" (:directory "/srv/a" :host "ssh:box") "in /ssh:box:/srv/a, at most")
                   ("/tmp/" (:directory "~" :host "ssh:box") "in the login directory of ssh:box, at most")
                   ("/ssh:other:/x/" (:directory "~/a" :host "ssh:box") "in /ssh:box:~/a, at most")
                   ("/ssh:other:/x/" (:directory "/tmp" :host nil) "in /tmp, at most")))
    (org-agent-fake-with
      (org-agent-fake-send "question")
      (setq default-directory buffer)
      (let (told)
        (cl-letf (((symbol-function 'org-agent--shell-run)
                   (lambda (command &rest args)
                     (setq told (list command (plist-get args :directory)))
                     nil)))
          (apply #'org-agent-fake-shell "turn-1" 1 '(:cmd "ls" :cwd "sub") params)
          (should (string-search place (org-agent-fake-shown "turn-1")))
          (org-agent-fake-keys "C-c C-y")
          (org-agent-fake-settle))
        (should (equal told
                       (if (plist-get params :host)
                           `(("/bin/sh" "-c" ,org-agent--elsewhere "sh"
                              ,(plist-get params :directory) "ls")
                             "/ssh:box:/")
                         `((,shell-file-name ,shell-command-switch "ls") "/tmp/")))))))
  ;; A name that says nothing to TRAMP is no reason to run it here.
  (dolist (host '("box" "nosuchmethod:box" "ssh:box:/x" "a/b" ""))
    (org-agent-fake-with
      (org-agent-fake-send "question")
      (org-agent-fake-shell "turn-1" 1 '(:cmd "ls") :directory "/tmp" :host host)
      (unless (equal host "")
        (should-not (org-agent-fake-shown "turn-1"))
        (let ((report (org-agent-tests-outcome)))
          (should (equal (plist-get report :status) "failed"))
          (should (string-search "no way to the machine" (plist-get report :message))))))))

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

;;;; The question

(ert-deftest org-agent-steps-are-shown-by-argument ()
  (org-agent-tests-with-program
    (org-agent-fake-shell
     "turn-1" 1 '(:cmd "grep -e ' x' 'a\nb' | wc")
     :rule "wc is not known" :directory "/srv/chat" :sandbox "It writes WS." :always "wc in WS"
     :steps [(:op nil :argv ["grep" "-e" " x" "a\nb" "" "\u202Eé"]) (:op "|" :argv ["wc"])])
    (should (equal (org-agent-fake-shown "turn-1")
                   (concat "The model asks to run this command:\n"
                           "     grep\n       -e\n       \" x\"\n       a^Jb\n"
                           "       \"\"\n       \\u{202E}é\\u{E9}\n"
                           "   | wc\n"
                           "in /srv/chat, at most 120 s\n"
                           "The model says: I want to look.\n"
                           "Why you are asked: wc is not known\n"
                           "Sandbox: It writes WS.\n"
                           "Environment: PATH, HOME, LANG and the like, and no keys\n"
                           "[run: C-c C-y] [deny: C-c C-n] [edit: C-c C-e] [more: C-c C-a]\n")))
    ;; Where a long line goes on, it does not look like a line of the card.
    (let ((string (overlay-get (org-agent--turn-overlay (org-agent--turn "turn-1"))
                               'before-string)))
      (should (equal-including-properties
               (get-text-property (string-search "grep" string) 'wrap-prefix string)
               (propertize "... " 'face 'shadow))))
    (org-agent-fake-keys "C-c C-a")
    (should (equal (buffer-name) "*org-agent command*"))
    (should (get-text-property (point-min) 'wrap-prefix))
    (should (string-prefix-p "   grep\n     -e\n     \" x\"\n     a^Jb\n" (buffer-string)))
    (dolist (part '("Why you are asked: wc is not known\n" "Sandbox: It writes WS.\n"
                    "\nr  run it\nn  run it with the network\ne  edit"
                    "\na  from now on, run without asking: wc in WS\nd  deny"))
      (should (string-search part (buffer-string))))
    (should buffer-read-only)))

(ert-deftest org-agent-keys-of-the-full-view ()
  (pcase-dolist
      (`(,key ,sent)
       '(("r" (:choice "run"))
         ("n" (:choice "run" :network t))
         ("e" (:choice "run" :command "ls -l"))
         ("a" (:choice "always"))
         ("d" (:choice "deny" :message "no need"))
         ("q" nil)
         ("RET" nil)
         ("SPC" nil)
         ("y" nil)))
    (org-agent-tests-with-program
      (org-agent-fake-shell "turn-1" 1 '(:cmd "ls") :always "ls, always")
      (let ((chat (current-buffer)) asked)
        (org-agent-fake-keys "C-c C-a")
        (cl-letf (((symbol-function 'read-string)
                   (lambda (_prompt &optional initial)
                     (if initial (concat initial " -l") "no need")))
                  ((symbol-function 'yes-or-no-p)
                   (lambda (question) (setq asked question) t)))
          (ignore-errors (org-agent-fake-keys key)))
        (org-agent-fake-settle)
        (should (equal (org-agent-fake-sent 'orgAgent/decide)
                       (and sent `((:actuationId "act-turn-1" ,@sent)))))
        (should (equal asked (and (equal key "a")
                                  "From now on, run without asking: ls, always? ")))
        (when (or sent (equal key "q"))
          (should (eq (window-buffer) chat)))
        (when (and sent (not (equal key "d")))
          (org-agent-tests-outcome))
        (when (get-buffer "*org-agent command*")
          (kill-buffer "*org-agent command*"))))))

(ert-deftest org-agent-always-is-asked-once-more ()
  (pcase-dolist (`(,always ,answer) '(("ls, always" nil) (nil t)))
    (org-agent-tests-with-program
      (apply #'org-agent-fake-shell "turn-1" 1 '(:cmd "ls")
             (and always (list :always always)))
      (cl-letf (((symbol-function 'yes-or-no-p) (lambda (_) answer)))
        (if always (org-agent-fake-keys "C-u C-c C-y")
          (should-error (org-agent-approve-always) :type 'user-error)))
      (org-agent-fake-settle)
      (should-not (org-agent-fake-sent 'orgAgent/decide))
      (should (org-agent--card-here)))))

(ert-deftest org-agent-question-is-not-answered-before-it-is-read ()
  (org-agent-tests-with-program
    (let ((org-agent--card-pause 0.3))
      (org-agent-fake-shell "turn-1" 1 '(:cmd "ls") :always "ls")
      (cl-letf (((symbol-function 'yes-or-no-p) #'always))
        (dolist (command '(org-agent-approve org-agent-approve-network
                           org-agent-approve-always))
          (should-error (call-interactively command) :type 'user-error))
        ;; Opened, it is new as well.
        (sleep-for 0.4)
        (org-agent-fake-keys "C-c C-a")
        (should-error (org-agent-fake-keys "r") :type 'user-error))
      (org-agent-fake-settle)
      (should-not (org-agent-fake-sent 'orgAgent/decide))
      (sleep-for 0.4)
      (org-agent-fake-keys "r")
      (should (equal (plist-get (org-agent-tests-outcome) :status) "done")))))

;; The second key was for the first question, not for the one that came of it.
(ert-deftest org-agent-question-that-changed-is-a-new-one ()
  (org-agent-tests-with-program
    (push (cons 'orgAgent/decide
                (lambda (_) '( :decision "ask" :token nil :rule "look again"
                               :steps [(:op nil :argv ["rm" "x"])])))
          org-agent-fake-answers)
    (org-agent-fake-shell "turn-1" 1 '(:cmd "ls"))
    (org-agent-fake-keys "C-c C-y")
    (let ((org-agent--card-pause 10))
      (org-agent-fake-settle)
      (should (string-search "look again" (org-agent-fake-shown "turn-1")))
      (should (string-search "     rm\n       x\n" (org-agent-fake-shown "turn-1")))
      (should-error (org-agent-approve) :type 'user-error))
    (should (= 1 (length (org-agent-fake-sent 'orgAgent/decide))))))

(ert-deftest org-agent-edited-command-is-judged-again ()
  (org-agent-tests-with-program
    (let ((answers '(( :decision "ask" :token nil :rule "edited, asked" :always "two"
                       :steps [(:op nil :argv ["echo" "two"])])
                     ( :decision "allow" :token "second" :rule "the user said run"
                       :steps [(:op nil :argv ["echo" "two"])]))))
      (push (cons 'orgAgent/decide (lambda (_) (pop answers))) org-agent-fake-answers)
      (org-agent-fake-shell "turn-1" 1 '(:cmd "echo one") :always "one")
      (cl-letf (((symbol-function 'read-string) (lambda (&rest _) "echo two")))
        (org-agent-fake-keys "C-c C-e"))
      (org-agent-fake-settle)
      (should (string-search "     echo\n       two\n" (org-agent-fake-shown "turn-1")))
      (should (string-search "edited, asked" (org-agent-fake-shown "turn-1")))
      (org-agent-fake-keys "C-c C-y")
      (let ((report (org-agent-tests-outcome)))
        (should (equal (plist-get report :token) "second"))
        (should (equal (plist-get report :stdout) "ran second\n")))
      (should (equal (org-agent-fake-sent 'orgAgent/decide)
                     '((:actuationId "act-turn-1" :choice "run" :command "echo two")
                       (:actuationId "act-turn-1" :choice "run" :command "echo two"))))))
  (org-agent-tests-with-program
    (push (cons 'orgAgent/decide (lambda (_) '(:decision "deny" :token nil :rule "never")))
          org-agent-fake-answers)
    (org-agent-fake-shell "turn-1" 1 '(:cmd "echo one"))
    (org-agent-fake-keys "C-c C-a")
    (cl-letf (((symbol-function 'read-string) (lambda (&rest _) "rm -rf /")))
      (org-agent-fake-keys "e"))
    (org-agent-fake-settle)
    (should-not (org-agent-tests-calls))
    (should-not (get-buffer-window "*org-agent command*"))))

(ert-deftest org-agent-long-command-is-asked-about-in-the-full-view-too ()
  (org-agent-tests-with-program
    (org-agent-fake-shell "turn-1" 1 (list :cmd (mapconcat #'number-to-string
                                                           (number-sequence 1 100) "\n")))
    (org-agent-fake-keys "C-c C-a")
    (cl-letf (((symbol-function 'yes-or-no-p) (lambda (_) (throw 'asked t))))
      (should (catch 'asked (org-agent-fake-keys "r") nil)))
    (should-not (org-agent-fake-sent 'orgAgent/decide))))

;;;; Output

(ert-deftest org-agent-live-output-is-folded-and-disturbs-nothing ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (insert "my next")
    (goto-char (- (point) 2))
    (undo-boundary)
    (let ((gate (expand-file-name "gate" org-agent-fake-directory))
          (before (list (buffer-string) (point) buffer-undo-list
                        (buffer-modified-p) (window-start) (buffer-chars-modified-tick))))
      (org-agent-fake-shell
       "turn-1" 1 `(:cmd ,(format "seq 1000; while [ ! -e %s ]; do sleep 0.01; done; printf end"
                                  (shell-quote-argument gate))))
      (org-agent-approve)
      (org-agent-fake-until (lambda () (org-agent-fake-sent 'orgAgent/output)))
      (org-agent-fake-settle)
      (should (string-search ":OUTPUT: 1000 lines [unfold: C-c C-a]\n  1000\n[stop"
                             (org-agent-fake-shown "turn-1")))
      (cl-letf (((symbol-function 'org-agent--room) (lambda () (list 999 80))))
        (org-agent-fake-keys "C-c C-a")
        ;; Of all that was written, the last lines are kept.
        (should (string-search "[fold: C-c C-a]\n  801\n  802\n"
                               (org-agent-fake-shown "turn-1"))))
      (org-agent-fake-keys "C-c C-a")
      (should (string-search "[unfold" (org-agent-fake-shown "turn-1")))
      (write-region "" nil gate nil 'silent)
      (should (string-suffix-p "1000\nend" (plist-get (org-agent-tests-outcome) :stdout)))
      (should-not (org-agent-fake-shown "turn-1"))
      (should (equal before
                     (list (buffer-string) (point) buffer-undo-list
                           (buffer-modified-p) (window-start)
                           (buffer-chars-modified-tick)))))))

(ert-deftest org-agent-live-output-is-shown-at-a-pace ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (let ((shown 0))
      (advice-add 'org-agent--card-hear :before (lambda (&rest _) (cl-incf shown))
                  '((name . org-agent-tests)))
      (unwind-protect
          (org-agent-fake-shell
           "turn-1" 1 '(:cmd "i=0; while [ $i -lt 100 ]; do echo $i; sleep 0.01; i=$((i+1)); done"))
        (let ((begun (float-time)))
          (org-agent-approve)
          (org-agent-tests-outcome)
          (advice-remove 'org-agent--card-hear 'org-agent-tests)
          (should (<= 2 shown (+ 2 (* 5 (- (float-time) begun))))))))))

(ert-deftest org-agent-long-output-is-in-a-file-of-the-user ()
  (org-agent-fake-with
    (let* ((report (org-agent-tests-run '(:cmd "seq 30000; printf '\\377' >&2")))
           (file (car org-agent--shell-files))
           (lines (mapconcat #'number-to-string (number-sequence 1 30000) "\n")))
      (should (eq (plist-get report :truncated) t))
      (should (= (file-modes file) #o600))
      (should (= (file-attribute-size (file-attributes file)) (+ (length lines) 2)))
      (should (string-search (format "The command wrote %s; it is in %s until"
                                     (file-size-human-readable (+ (length lines) 2))
                                     (abbreviate-file-name file))
                             (org-agent-fake-shown "turn-1")))
      (org-agent-show-output)
      (with-current-buffer "*org-agent output*"
        (should (string-search "\n29999\n30000\n" (buffer-string)))
        (should buffer-read-only)
        (kill-buffer))
      ;; The reply does not take the place away, and it goes with Emacs.
      (org-agent-fake-insert "turn-1" 2 "Done.")
      (org-agent-fake-state "turn-1" 3 "done")
      (should (string-search "The command wrote" (org-agent-fake-shown "turn-1")))
      (should-not (string-search "The command wrote" (buffer-string)))
      (should (memq #'org-agent--shell-remove-files kill-emacs-hook))
      (org-agent--shell-remove-files)
      (should-not (file-exists-p file))
      (should-error (org-agent-show-output) :type 'user-error)))
  ;; What fits is in no file.
  (org-agent-fake-with
    (org-agent-tests-run '(:cmd "head -c 65536 /dev/zero | tr '\\0' a"))
    (should-not org-agent--shell-files)))

;;;; The real sandbox

(defvar org-agent-tests-sandbox 'unknown
  "Whether commands can be confined here by the real program.")

(defun org-agent-tests-sandbox-p ()
  "Return non-nil if commands can be confined here."
  (when (eq org-agent-tests-sandbox 'unknown)
    (let ((directory (make-temp-file "org-agent-workspace" t)))
      (setq org-agent-tests-sandbox
            (and (ignore-errors
                   (zerop (call-process (org-agent--executable) nil nil nil
                                        "sandbox" "--dir" directory "--" "true")))
                 t))
      (delete-directory directory t)))
  org-agent-tests-sandbox)

(defun org-agent-tests-warrant (token text &optional steps)
  "Let TOKEN run TEXT, or the JSON value STEPS, in the fake's directory.
This writes what the server writes down for a token."
  (let* ((home (file-truename org-agent-fake-directory))
         (data (expand-file-name "home" org-agent-fake-directory))
         (directory (expand-file-name "warrants" data))
         (bytes (lambda (text) `((Unix . ,(vconcat (encode-coding-string text 'utf-8))))))
         (attributes (file-attributes home))
         (place `((path . ,(funcall bytes home))
                  (device . ,(file-attribute-device-number attributes))
                  (inode . ,(file-attribute-inode-number attributes)))))
    (setenv "ORG_AGENT_HOME" data)
    (make-directory directory t)
    (write-region
     (json-encode
      `((text . ,text) (steps . ,steps) (unasked . ,(if steps t json-false))
        (directory . ,place) (cwd . ,place) (network . ,json-false) (confined . t)
        (environment . [[,(funcall bytes "PATH") ,(funcall bytes (getenv "PATH"))]])))
     nil (expand-file-name (secure-hash 'sha256 token) directory) nil 'silent)))

(ert-deftest org-agent-real-sandbox-confines ()
  (skip-unless (org-agent-tests-sandbox-p))
  (org-agent-fake-with
    (let ((process-environment (copy-sequence process-environment))
          (org-agent-shell-sandbox t)
          (outside (make-temp-file "org-agent-outside" t)))
      (unwind-protect
          (progn
            (setq default-directory
                  (file-name-as-directory (file-truename org-agent-fake-directory)))
            (org-agent-fake-send "question")
            (let ((text (format "echo in > inside; echo out > %s/file; echo ended"
                                (shell-quote-argument outside))))
              (org-agent-tests-warrant "token-1" text)
              (org-agent-fake-shell "turn-1" 1 (list :cmd text)))
            (org-agent-fake-keys "C-c C-y")
            (let ((report (org-agent-tests-outcome)))
              (should (equal (plist-get report :status) "done"))
              (should (equal (plist-get report :stdout) "ended\n")))
            (should (file-exists-p "inside"))
            (should-not (directory-files outside nil "\\`[^.]"))
            (setq org-agent-fake-log nil)
            (org-agent-fake-send "another")
            (org-agent-tests-warrant
             "given" "cat inside | tr i o"
             '[((op) (argv . ["cat" "inside"])) ((op . "|") (argv . ["tr" "i" "o"]))])
            (org-agent-fake-shell
             "turn-2" 1 '(:cmd "cat inside | tr i o") :decision "allow" :token "given"
             :steps [(:op nil :argv ["cat" "inside"]) (:op "|" :argv ["tr" "i" "o"])])
            (let ((report (org-agent-tests-outcome)))
              (should (equal (plist-get report :stdout) "on\n"))
              (should (equal (plist-get report :exitCode) 0))
              (should (equal (plist-get report :token) "given"))))
        (delete-directory outside t)))))

(ert-deftest org-agent-real-sandbox-ends-with-its-turn ()
  (skip-unless (org-agent-tests-sandbox-p))
  (dolist (allowed '(nil t))
    (org-agent-fake-with
      (let* ((process-environment (copy-sequence process-environment))
             (org-agent-shell-sandbox t)
             (seconds (format "%d.%06d" 1000 (random 1000000)))
             (running (lambda ()
                        (seq-some (lambda (pid)
                                    (let ((process (process-attributes pid)))
                                      (and (equal (cdr (assq 'comm process)) "sleep")
                                           (string-search seconds (cdr (assq 'args process))))))
                                  (list-system-processes)))))
        (setq default-directory (file-name-as-directory org-agent-fake-directory))
        (org-agent-fake-send "question")
        (if allowed
            (progn
              ;; Approved by a rule of the user's: sleeping is not on the table of what only reads.
              (make-directory (expand-file-name "home" org-agent-fake-directory))
              (write-region "[[shell.rules]]\npattern = [\"sleep\", \"<any>...\"]\ndecision = \"allow\"\n"
                            nil (expand-file-name "home/config.toml" org-agent-fake-directory)
                            nil 'silent)
              (org-agent-tests-warrant
               "t" (format "sleep %s | cat" seconds)
               `[((op) (argv . ["sleep" ,seconds])) ((op . "|") (argv . ["cat"]))])
              (org-agent-fake-shell "turn-1" 1 '(:cmd "sleep") :decision "allow" :token "t"
                                    :steps `[(:op nil :argv ["sleep" ,seconds])
                                             (:op "|" :argv ["cat"])]))
          (let ((text (format "trap '' TERM; sleep %s & sleep %s | cat" seconds seconds)))
            (org-agent-tests-warrant "token-1" text)
            (org-agent-fake-shell "turn-1" 1 (list :cmd text)))
          (org-agent-fake-keys "C-c C-y"))
        (org-agent-fake-until running "the command to run")
        (org-agent-fake-ask 'orgAgent/abort :actuationId "act-turn-1")
        (should (equal (plist-get (org-agent-tests-outcome) :message)
                       "stopped by the server"))
        (org-agent-fake-until (lambda () (not (funcall running))) "all of it to end")))))

(provide 'org-agent-approve-tests)
;;; org-agent-approve-tests.el ends here
