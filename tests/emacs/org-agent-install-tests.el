;;; org-agent-install-tests.el --- Installing the server  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Installing, upgrading and finding the server, by files.  After every
;; failure nothing may be left on the disk, and nothing that was not checked
;; may have run.

;;; Code:

(require 'org-agent-install-fixture)

;;;; What is well

(ert-deftest org-agent-install-takes-a-file-with-a-checksum ()
  (org-agent-install-tests-with
    (let* ((text (org-agent-install-tests-program "9.8.7"))
           (sum (org-agent-install-tests-sum text))
           (file (org-agent-install-tests-file root "some name" text)))
      (should-not (org-agent--installed))
      (should (equal '(done nil)
                     (org-agent-install-tests-install
                      ;; As it is copied from a list, in any case.
                      file (concat " " (upcase sum) "  some name\n"))))
      (let ((program (expand-file-name (concat "org-agent-" (substring sum 0 16))
                                       org-agent-server-directory)))
        (should (equal program (org-agent--installed)))
        (should (equal program (org-agent--executable)))
        (should (equal #o700 (file-modes program)))
        (should (equal #o700 (file-modes org-agent-server-directory)))
        (should (equal (list (file-name-nondirectory program) "org-agent-installed.eld")
                       (org-agent-install-tests-there))))
      (let ((entry (car (org-agent--installed-entries))))
        (should (equal (list sum "9.8.7" file)
                       (mapcar (apply-partially #'plist-get entry)
                               '(:sha256 :version :source)))))
      ;; What it was installed from is as it was.
      (should (file-exists-p file))
      (should (string-search "org-agent 9.8.7 is installed" (org-agent-install-tests-shown)))
      (should (string-search (format "This package is version %s" org-agent--version)
                             (org-agent-install-tests-shown))))))

(ert-deftest org-agent-install-shows-a-checksum-that-it-found ()
  "Nothing but the checksum is fetched before the user agrees."
  (org-agent-install-tests-both
    (org-agent-install-tests-with
      (let* ((text (org-agent-install-tests-program "1.2.3"))
             (sum (org-agent-install-tests-sum text))
             (other (make-string 64 ?a)))
        (org-agent-install-tests-http
            `(("/d/org-agent-1.2.3-x86_64-linux" . ,text)
              ("/d/SHA256SUMS" . ,(concat other "  org-agent-1.2.3.tar\n"
                                          other "  ../org-agent-1.2.3-x86_64-linux\n"
                                          other "  x org-agent-1.2.3-x86_64-linux\n"
                                          other "  org-agent-1.2.3-x86_64-linux.sig\n"
                                          (upcase sum) " *org-agent-1.2.3-x86_64-linux\r\n")))
          (org-agent-install-server (funcall address "/d/org-agent-1.2.3-x86_64-linux?x=/y"))
          (should (equal '(confirm nil) (org-agent-install-tests-wait 'confirm)))
          (should (equal '("/d/SHA256SUMS") org-agent-install-tests-asked))
          (dolist (words (list sum "lies beside the program" "from elsewhere"
                               (funcall address "/d/SHA256SUMS")))
            (should (string-search words (org-agent-install-tests-shown))))
          ;; By the button, as a user does; the point is on it.
          (setf (alist-get "/d/org-agent-1.2.3-x86_64-linux?x=/y" routes nil nil #'equal) text)
          (with-current-buffer "*org-agent install*"
            (should (equal "Install it" (button-label (button-at (point)))))
            (push-button))
          (should (equal '(done nil) (org-agent-install-tests-wait)))
          (should (equal sum (plist-get (car (org-agent--installed-entries)) :sha256)))
          (should-error (org-agent-install-confirm) :type 'user-error)
          (should-error (org-agent-install-cancel) :type 'user-error))))))

(ert-deftest org-agent-install-asks-for-both ()
  "It offers what it was installed from last, and completes files, not addresses."
  (org-agent-install-tests-with
    (let* ((text (org-agent-install-tests-program "1.0.0"))
           (file (org-agent-install-tests-file root "one" text))
           asked)
      (cl-letf (((symbol-function 'completing-read)
                 (lambda (prompt table &rest args)
                   (push (list prompt (all-completions root table)
                               (all-completions "https://example.org/" table)
                               (nth 4 args))
                         asked)
                   file))
                ((symbol-function 'read-string)
                 (lambda (prompt &rest _)
                   (should (string-search "from somewhere you trust" prompt))
                   (org-agent-install-tests-sum text))))
        (dotimes (_ 2)
          (call-interactively #'org-agent-install-server)
          (should (equal '(done nil) (org-agent-install-tests-wait)))))
      (should (equal (list file nil) (mapcar (lambda (one) (nth 3 one)) asked)))
      (should (member "one" (nth 1 (car asked))))
      (should-not (nth 2 (car asked)))
      ;; The same again is no other version to go back to.
      (should (= 1 (length (org-agent--installed-entries)))))))

(ert-deftest org-agent-install-computes-a-checksum-without-sha256sum ()
  (org-agent-install-tests-with
    (let* ((text (org-agent-install-tests-program "1.0.0" "# \u00e4"))
           (bytes (encode-coding-string text 'utf-8))
           (file (org-agent-install-tests-file root "one" bytes)))
      (cl-letf* ((find (symbol-function 'executable-find))
                 ((symbol-function 'executable-find)
                  (lambda (name &rest args)
                    (and (not (equal name "sha256sum")) (apply find name args)))))
        (should (equal '(done nil) (org-agent-install-tests-install
                                    file (org-agent-install-tests-sum bytes))))))))

(ert-deftest org-agent-install-computes-a-checksum-if-sha256sum-cannot ()
  "And asks it for no more than each one has."
  (org-agent-install-tests-with
    (let* ((text (org-agent-install-tests-program "1.0.0"))
           (sum (org-agent-install-tests-sum text))
           (file (org-agent-install-tests-file root "one" text))
           (asked (expand-file-name "asked" root))
           (exec-path (cons (expand-file-name "bin/" root) exec-path)))
      (pcase-dolist (`(,output . ,status) `(("" . 1) ("nonsense" . 0) (,(concat sum "  x") . 1)))
        (set-file-modes (org-agent-install-tests-file
                         root "bin/sha256sum"
                         (format "#!/bin/sh\necho \"$1\" > '%s'\necho '%s'\nexit %d\n"
                                 asked output status))
                        #o700)
        (should (equal '(done nil) (org-agent-install-tests-install file sum)))
        (should (equal "-b\n" (with-temp-buffer
                                (insert-file-contents asked)
                                (buffer-string))))
        (org-agent-install-server file (make-string 64 ?a))
        (should (string-search sum (cadr (org-agent-install-tests-wait))))))))

(ert-deftest org-agent-install-refuses-an-address-before-it-asks-more ()
  (org-agent-install-tests-with
    (cl-letf (((symbol-function 'completing-read)
               (lambda (&rest _) "http://example.org/one"))
              ((symbol-function 'read-string)
               (lambda (&rest _) (error "It asked for more"))))
      (should (string-search
               "has to be https"
               (error-message-string
                (should-error (call-interactively #'org-agent-install-server)
                              :type 'user-error)))))))

(ert-deftest org-agent-install-deletes-what-a-killed-emacs-left ()
  "But not what another one fetches, nor what is the user's."
  (org-agent-install-tests-with
    (org-agent-install-tests-mine)
    (pcase-dolist (`(,name . ,age) '(("org-agent-download-aB3xYz" . 100000)
                                     ("org-agent-download-Zy4wVu" . 4000)
                                     ("org-agent-download-mine.zip" . 100000)))
      (set-file-times (org-agent-install-tests-file org-agent-server-directory name "")
                      (time-subtract nil age)))
    (let ((text (org-agent-install-tests-program "1.0.0")))
      (org-agent-install-tests-install (org-agent-install-tests-file root "one" text)
                                       (make-string 64 ?a)))
    (should (equal '("org-agent-download-Zy4wVu" "org-agent-download-mine.zip")
                   (org-agent-install-tests-there)))))

;;;; What is not

(ert-deftest org-agent-install-leaves-nothing-if-the-record-cannot-be-written ()
  (org-agent-install-tests-with
    (let* ((text (org-agent-install-tests-program "1.0.0"))
           (sum (org-agent-install-tests-sum text))
           (file (org-agent-install-tests-file root "one" text))
           (other (org-agent-install-tests-program "2.0.0"))
           (record (org-agent--installed-record)))
      (org-agent-install-tests-mine)
      ;; No file takes the place of a directory.
      (make-directory record)
      (should (eq 'failed (car (org-agent-install-tests-install file sum))))
      (should (equal (list (file-name-nondirectory record)) (org-agent-install-tests-there)))
      (delete-directory record)
      (should (equal '(done nil) (org-agent-install-tests-install file sum)))
      ;; Neither of another one, nor of the same again, which stays.
      (let ((there (org-agent-install-tests-there))
            (entries (org-agent--installed-entries)))
        (cl-letf* ((rename (symbol-function 'rename-file))
                   ((symbol-function 'rename-file)
                    (lambda (from to &rest args)
                      (if (equal to record)
                          (error "The disk is full")
                        (apply rename from to args)))))
          (dolist (text (list other text))
            (should (equal '(failed "The disk is full")
                           (org-agent-install-tests-install
                            (org-agent-install-tests-file root "two" text)
                            (org-agent-install-tests-sum text))))
            (should (equal there (org-agent-install-tests-there)))
            (should (equal entries (org-agent--installed-entries)))
            (should (equal "org-agent 1.0.0"
                           (car (process-lines (org-agent--executable) "--version"))))))))))

(ert-deftest org-agent-install-leaves-a-directory-that-was-there ()
  (org-agent-install-tests-with
    (let ((file (org-agent-install-tests-file root "one" "x")))
      (org-agent-install-tests-mine)
      (should (eq 'failed (car (org-agent-install-tests-install file (make-string 64 ?a)))))
      (should (file-directory-p org-agent-server-directory))
      (should-not (org-agent-install-tests-there))
      ;; One that was made for it goes with it.
      (delete-directory org-agent-server-directory)
      (org-agent-install-server file (make-string 64 ?a))
      (org-agent-install-tests-failed "checksum is wrong"))))

(ert-deftest org-agent-install-keeps-the-old-one-until-the-new-one-answers ()
  (org-agent-install-tests-with
    (let* ((good (org-agent-install-tests-program "1.0.0"))
           (org-agent--install-try-time 0.5)
           (child (expand-file-name "child" root)))
      (should (equal '(done nil)
                     (org-agent-install-tests-install
                      (org-agent-install-tests-file root "good" good)
                      (org-agent-install-tests-sum good))))
      (let ((program (org-agent--installed))
            (there (org-agent-install-tests-there)))
        (pcase-dolist (`(,text . ,words)
                       `((,(org-agent-install-tests-program nil) . "no server of org-agent")
                         (,(org-agent-install-tests-program nil "echo org-agent") . "no server")
                         (,(org-agent-install-tests-program nil "echo my org-agent 1.0.0")
                          . "no server")
                         (,(org-agent-install-tests-program "1.0.0" "exit 3") . "status 3")
                         (,(org-agent-install-tests-program "1.0.0" "echo no >&2; exit 1")
                          . "does not run here: no")
                         (,(org-agent-install-tests-program "1.0.0" "exec sleep 1000")
                          . "longer than")
                         (,(org-agent-install-tests-program
                            "1.0.0" (format "echo $$ > %s; cat /dev/zero" child))
                          . "wrote too much\\|longer than")
                         ("#!/no/such/shell\n" . "does not run here")
                         ("" . "no server\\|does not run")))
          (org-agent-install-server (org-agent-install-tests-file root "bad" text)
                                    (org-agent-install-tests-sum text))
          (let ((end (org-agent-install-tests-wait)))
            (should (eq 'failed (car end)))
            (should (string-match-p words (cadr end))))
          (should (equal program (org-agent--executable)))
          (should (equal there (org-agent-install-tests-there))))
        ;; What ran is gone.
        (let ((pid (with-temp-buffer
                     (insert-file-contents child)
                     (string-to-number (buffer-string)))))
          (org-agent-fake-until (lambda () (not (process-attributes pid)))))))))

(ert-deftest org-agent-install-refuses-before-it-begins ()
  (org-agent-install-tests-with
    (let ((sum (make-string 64 ?a))
          (file (org-agent-install-tests-file root "one" "x")))
      (pcase-dolist (`(,source ,sum ,words)
                     `(("" ,sum "where the server")
                       ("http://example.org/one" ,sum "has to be https")
                       ("http://localhost.example.org/one" ,sum "has to be https")
                       ("ftp://example.org/one" ,sum "https://HOST")
                       ("https://ada:secret@example.org/one" ,sum "name of a user")
                       ("https://example.org" ,sum "https://HOST")
                       ("https:///one" ,sum "https://HOST")
                       ("https://example.org/one#two" ,sum "#")
                       ("https://example.org/o\nne" ,sum "characters")
                       ("https://example.org/\u00f6" ,sum "characters")
                       ("https://example.org/%2e%2e%2fone" nil "name of the program")
                       ("https://example.org/d/" nil "name of the program")
                       ("/ssh:example.org:/one" ,sum "another machine")
                       (,root ,sum "no file")
                       (,(concat root "nothing") ,sum "no file")
                       (,file nil "There is no .*SHA256SUMS")
                       (,file "abc" "no SHA-256")
                       (,file ,(concat sum "a") "no SHA-256")))
        (let ((problem (should-error (org-agent-install-server source sum)
                                     :type 'user-error)))
          (should (string-match-p words (error-message-string problem))))
        (should-not org-agent--install)
        (should-not (file-exists-p org-agent-server-directory)))
      ;; Where it cannot be written, root or not, and where others can.
      (let ((org-agent-server-directory (concat file "/server/")))
        (org-agent-install-server file sum)
        (should (eq 'failed (car (org-agent-install-tests-wait)))))
      (make-directory org-agent-server-directory)
      (org-agent-install-tests-file org-agent-server-directory "mine" "")
      (set-file-modes org-agent-server-directory #o777)
      (org-agent-install-server file sum)
      (should (string-search "changed by others" (cadr (org-agent-install-tests-wait))))
      (should (equal '("mine") (org-agent-install-tests-there))))))

(ert-deftest org-agent-install-says-what-to-do-on-other-machines ()
  (org-agent-install-tests-with
    (pcase-dolist (`(,system ,configuration ,words)
                   '((windows-nt "x86_64-w64-mingw32" "WSL")
                     (darwin "aarch64-apple-darwin23" "cargo build --release")
                     (gnu/linux "aarch64-unknown-linux-gnu" "cargo build --release")))
      (let ((system-type system) (system-configuration configuration))
        (dolist (ask (list (lambda () (call-interactively #'org-agent-install-server))
                           (lambda () (org-agent-install-server "/one"))))
          (should (string-search words (error-message-string
                                        (should-error (funcall ask) :type 'user-error)))))))
    ;; From a remote buffer, a plain name is one of this machine, too.
    (let ((default-directory "/ssh:example.org:/")
          (org-agent-server-directory "no-such-directory/"))
      (should (equal (expand-file-name "~/no-such-directory/") (org-agent--server-directory)))
      (should-not (org-agent--installed)))
    (let ((org-agent-server-directory "/ssh:example.org:/server/"))
      (should-error (org-agent-install-server "/one") :type 'user-error)
      (should-not (org-agent--installed))
      (should-error (org-agent-remove-server) :type 'user-error))))

;;;; The search

(ert-deftest org-agent-install-has-its-place-in-the-search ()
  (org-agent-install-tests-with
    (let* ((text (org-agent-install-tests-program "1.0.0"))
           (other (org-agent-install-tests-file root "bin/org-agent" text))
           (exec-path (cons (expand-file-name "bin" root) exec-path)))
      (set-file-modes other #o700)
      ;; In the path alone; installed before that; named before both.
      (should (equal other (org-agent--executable)))
      (org-agent-install-tests-install other (org-agent-install-tests-sum text))
      (should (equal (org-agent--installed) (org-agent--executable)))
      (let ((org-agent-program other))
        (should (equal other (org-agent--executable)))
        (org-agent--install-show)
        (should (string-search "not the one that is used" (org-agent-install-tests-shown))))
      ;; One that is not there any more is passed by.
      (delete-file (org-agent--installed))
      (should (equal other (org-agent--executable)))
      (let ((exec-path nil))
        (cl-letf (((symbol-function 'org-agent--built) #'ignore))
          (let ((words (error-message-string
                        (should-error (org-agent--executable) :type 'user-error))))
            (should (string-search "M-x org-agent-install-server" words))
            (should (string-search org-agent-server-directory words))))))))

;;;; The real one

(ert-deftest org-agent-install-upgrades-a-server-that-has-a-history ()
  "Install, chat, upgrade, restart, find what was said, go on, remove."
  (org-agent-install-tests-with
    (let* ((org-agent--install-limit (* 1024 1024 1024))
           (program (let ((org-agent-program (or (getenv "ORG_AGENT_PROGRAM") "org-agent"))
                          (org-agent-server-directory root))
                      (org-agent--executable)))
           (first (expand-file-name "d/org-agent-1-x86_64-linux" root))
           (second (expand-file-name "d/org-agent-2-x86_64-linux" root)))
      (make-directory (expand-file-name "d" root))
      (copy-file program first)
      ;; The same program with other bytes: what is after its end is not read.
      (copy-file program second)
      (write-region "another" nil second t 'silent)
      (let ((default-directory (expand-file-name "d/" root)))
        (org-agent-install-tests-file
         root "d/SHA256SUMS"
         (concat (string-join (process-lines "sha256sum" "org-agent-1-x86_64-linux"
                                             "org-agent-2-x86_64-linux")
                              "\n")
                 "\n")))
      (should (equal '(done nil) (org-agent-install-tests-install first)))
      (org-agent-real-with nil nil
        (should (equal (car org-agent--spawned) (org-agent--installed)))
        (let ((turn (org-agent-real-reply "Before the upgrade.")))
          (should (equal "done" (org-agent--turn-state turn))))
        (let ((old (org-agent--installed))
              (session (org-agent--all "OA_EVENT")))
          (should (equal '(done nil) (org-agent-install-tests-install second)))
          (should-not (equal old (org-agent--installed)))
          ;; The server that runs has its program still, and is offered a restart.
          (should (equal old (car org-agent--spawned)))
          (should (file-exists-p old))
          (should (string-search "Restart the server" (org-agent-install-tests-shown)))
          (org-agent-restart)
          (org-agent-fake-until (lambda () org-agent--ready) "the new server")
          (org-agent-fake-settle)
          (should (equal (car org-agent--spawned) (org-agent--installed)))
          ;; The same again does not take the program from under it.
          (should (equal '(done nil) (org-agent-install-tests-install second)))
          (should (equal (org-agent--installed)
                         (file-symlink-p (format "/proc/%d/exe"
                                                 (process-id org-agent--process)))))
          ;; What was said is there, from the new server, and the chat goes on.
          (set-buffer-modified-p nil)
          (kill-buffer)
          (org-agent-chat)
          (org-agent-fake-until
           (lambda () (string-search "Before the upgrade." (buffer-string))) "the history")
          (org-agent-fake-settle)
          (let ((turn (org-agent-real-reply "After the upgrade.")))
            (should (equal "done" (org-agent--turn-state turn))))
          (should (= 2 (length (org-agent--all "OA_EVENT"))))
          (should (equal session (butlast (org-agent--all "OA_EVENT"))))
          (should (= 3 (length (org-agent-install-tests-there))))
          (let ((before (directory-files-recursively home "")))
            (cl-letf (((symbol-function 'yes-or-no-p)
                       (lambda (prompt) (string-search "and end it" prompt))))
              (org-agent-remove-server))
            (org-agent-fake-until
             (lambda () (not (file-exists-p org-agent-server-directory))))
            (org-agent-fake-until (lambda () (not org-agent--ending)))
            ;; All that is the user's is there, and they are told where.
            (should (member (expand-file-name "agent.db" home)
                            (directory-files-recursively home "")))
            (should-not (seq-remove (lambda (file)
                                      (or (file-exists-p file)
                                          ;; What a database has while it is open.
                                          (string-match-p "-\\(?:wal\\|shm\\)\\'" file)))
                                    before))
            (should (string-search (directory-file-name home)
                                   (org-agent-install-tests-shown)))))))))

(provide 'org-agent-install-tests)
;;; org-agent-install-tests.el ends here
