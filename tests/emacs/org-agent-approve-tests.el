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
