;;; org-agent-install-tests.el --- Installing the server  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Installing, upgrading, going back and removing, from files and from a
;; server of HTTP that this Emacs is itself, once by curl and once by
;; Emacs's own means.  After every failure nothing may be left on the disk,
;; and nothing that was not checked may have run.

;;; Code:

(require 'org-agent-real)
(require 'org-agent-installer)

;;;; A server of HTTP

(defvar org-agent-install-tests-asked nil
  "The paths that were asked for, newest first.")

(defun org-agent-install-tests-serve (process text routes)
  "Answer TEXT, which came over PROCESS, as ROUTES say."
  (let ((text (concat (process-get process 'text) text)))
    (process-put process 'text text)
    (when (and (string-search "\r\n\r\n" text)
               (not (process-get process 'answered))
               (string-match "\\`GET \\([^ ]+\\) " text))
      (let* ((path (match-string 1 text))
             (answer (alist-get path routes nil nil #'equal))
             (port (process-contact process :service)))
        (process-put process 'answered t)
        (push path org-agent-install-tests-asked)
        (pcase answer
          ('hang nil)
          ('nil (org-agent-install-tests-send process "404 Not Found" nil ""))
          (`(redirect ,to)
           (org-agent-install-tests-send
            process "302 Found" (list (format "Location: %s" (format to port))) ""))
          (`(raw . ,lines)
           (org-agent-install-tests-send process "200 OK" (butlast lines)
                                         (car (last lines))))
          (_ (org-agent-install-tests-send
              process "200 OK" (list (format "Content-Length: %d" (string-bytes answer)))
              answer)))))))

(defun org-agent-install-tests-send (process status lines body)
  "Send STATUS, LINES and BODY over PROCESS, and close it."
  (process-send-string
   process (concat "HTTP/1.1 " status "\r\nConnection: close\r\n"
                   (mapconcat (lambda (line) (concat line "\r\n")) lines "")
                   "\r\n" body))
  ;; A reader that had enough may be gone.
  (ignore-errors (process-send-eof process))
  (delete-process process))

(defmacro org-agent-install-tests-http (routes &rest body)
  "Run BODY with a server that answers as ROUTES say; `address' makes addresses.
ROUTES are conses of a path and the text there, or `hang', or a list
 (redirect TO), or a list (raw LINE... TEXT)."
  (declare (indent 1) (debug t))
  `(let* ((routes ,routes)
          (org-agent-install-tests-asked nil)
          (server (make-network-process
                   :name "http" :server t :host 'local :service t :noquery t
                   :family 'ipv4 :coding 'binary
                   :filter (lambda (process text)
                             (org-agent-install-tests-serve process text routes))
                   :sentinel #'ignore))
          (address (lambda (path)
                     (format "http://127.0.0.1:%d%s"
                             (process-contact server :service) path))))
     (unwind-protect (progn ,@body)
       (dolist (process (process-list))
         (when (string-prefix-p "http" (process-name process))
           (delete-process process))))))

;;;; Places and programs

(defun org-agent-install-tests-program (version &rest lines)
  "Return the text of a program that says VERSION and does LINES before."
  (concat "#!/bin/sh\n" (mapconcat (lambda (line) (concat line "\n")) lines "")
          (if version (format "echo 'org-agent %s'\n" version) "")))

(defun org-agent-install-tests-sum (text)
  "Return the checksum of TEXT."
  (secure-hash 'sha256 text))

(defmacro org-agent-install-tests-with (&rest body)
  "Run BODY with nothing installed; `root' is a directory for it."
  (declare (indent 0) (debug t))
  `(let* ((root (file-name-as-directory (file-truename (make-temp-file "org-agent" t))))
          (org-agent-server-directory (expand-file-name "server/" root))
          (org-agent-program "org-agent")
          (org-agent--install nil)
          (org-agent--connection org-agent--connection)
          (org-agent--spawned org-agent--spawned)
          (kill-emacs-hook kill-emacs-hook)
          (inhibit-message t))
     (unwind-protect (save-window-excursion ,@body)
       (when (org-agent--install-under-way-p org-agent--install)
         (org-agent-install-cancel))
       (when (get-buffer "*org-agent install*")
         (kill-buffer "*org-agent install*"))
       (delete-directory root t))))

(defun org-agent-install-tests-file (root name text)
  "Write TEXT into the file NAME below ROOT, and return that file."
  (let ((file (expand-file-name name root))
        (coding-system-for-write 'no-conversion))
    (make-directory (file-name-directory file) t)
    (write-region text nil file nil 'silent)
    file))

(defun org-agent-install-tests-wait (&optional stage)
  "Wait until the installation is over or in STAGE; return its stage and words."
  (org-agent-fake-until
   (lambda () (or (not (org-agent--install-under-way-p org-agent--install))
                  (and stage (eq stage (org-agent--install-stage org-agent--install)))))
   "the installation")
  (list (org-agent--install-stage org-agent--install)
        (org-agent--install-words org-agent--install)))

(defun org-agent-install-tests-install (source &optional sum)
  "Install from SOURCE with SUM, agree to what is shown, and return how it ended."
  (org-agent-install-server source sum)
  (org-agent-install-tests-wait 'confirm)
  (when (eq 'confirm (org-agent--install-stage org-agent--install))
    (org-agent-install-confirm))
  (org-agent-install-tests-wait))

(defun org-agent-install-tests-shown ()
  "Return what the buffer for installing shows."
  (with-current-buffer "*org-agent install*"
    (buffer-substring-no-properties (point-min) (point-max))))

(defun org-agent-install-tests-there ()
  "Return the names of all that is in the directory for the server, or nil."
  (and (file-directory-p org-agent-server-directory)
       (directory-files org-agent-server-directory nil
                        directory-files-no-dot-files-regexp)))

(defun org-agent-install-tests-failed (words)
  "Check that the installation failed with WORDS, a regexp, and left nothing."
  (let ((end (org-agent-install-tests-wait)))
    (should (eq 'failed (car end)))
    (should (string-match-p words (cadr end))))
  (should-not (file-exists-p org-agent-server-directory))
  (should (string-search "Not installed" (org-agent-install-tests-shown)))
  (should-not (memq #'org-agent--install-abandon kill-emacs-hook)))

(defmacro org-agent-install-tests-both (&rest body)
  "Run BODY with curl and without it; `way' says which it is."
  (declare (indent 0) (debug t))
  `(dolist (way (if (executable-find "curl") '(curl emacs) '(emacs)))
     (cl-letf* ((find (symbol-function 'executable-find))
                ((symbol-function 'executable-find)
                 (lambda (name &rest args)
                   (and (or (eq way 'curl) (not (equal name "curl")))
                        (apply find name args)))))
       (ert-info ((format "by %s" way))
         ,@body))))

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

;;;; What is not

(ert-deftest org-agent-install-runs-nothing-that-is-not-as-its-checksum-says ()
  (org-agent-install-tests-both
    (org-agent-install-tests-with
      (let* ((mark (expand-file-name "ran" root))
             (text (org-agent-install-tests-program "1.0.0" (concat "touch " mark)))
             (sum (org-agent-install-tests-sum text))
             (half (substring text 0 -5))
             (file (org-agent-install-tests-file root "one" half)))
        ;; A file that is cut, by itself and over the line.
        (org-agent-install-server file sum)
        (org-agent-install-tests-failed "checksum is wrong")
        (org-agent-install-tests-http
            `(("/half" . ,half)
              ("/cut" . (raw ,(format "Content-Length: %d" (length text)) ,half)))
          (org-agent-install-server (funcall address "/half") sum)
          (org-agent-install-tests-failed "checksum is wrong")
          (org-agent-install-server (funcall address "/cut") sum)
          ;; curl tells; Emacs takes what came, which the checksum does not.
          (org-agent-install-tests-failed "checksum is wrong\\|remaining\\|left"))
        (should-not (file-exists-p mark))))))

(ert-deftest org-agent-install-takes-only-so-much ()
  (org-agent-install-tests-both
    (org-agent-install-tests-with
      (let* ((org-agent--install-limit 30000)
             ;; What fits into the pipe of the system, so that this Emacs can
             ;; write it all, whoever reads it.
             (large (make-string 90000 ?x))
             (sum (org-agent-install-tests-sum large)))
        (org-agent-install-tests-http
            `(("/announced" . ,large)
              ("/unannounced" . (raw ,large))
              ("/packed" . (raw "Content-Encoding: gzip" ,(substring large 0 1000)))
              ("/d/SHA256SUMS" . ,large)
              ("/d/one" . "x"))
          (dolist (path '("/announced" "/unannounced"))
            (org-agent-install-server (funcall address path) sum)
            (org-agent-install-tests-failed "larger than"))
          (org-agent-install-server (funcall address "/packed") sum)
          ;; curl does not unpack; Emacs would, to any size.
          (org-agent-install-tests-failed
           (if (eq way 'curl) "checksum is wrong" "packed form"))
          (org-agent-install-server (funcall address "/d/one"))
          (org-agent-install-tests-failed "SHA256SUMS could not be read: it is larger")
          (should-not (member "/d/one" org-agent-install-tests-asked)))
        (should-error (org-agent-install-server
                       (org-agent-install-tests-file root "large" large) sum)
                      :type 'user-error)))))

(ert-deftest org-agent-install-follows-only-to-https ()
  "And what is of this machine goes by no proxy."
  (org-agent-install-tests-both
    (org-agent-install-tests-with
      (let ((sum (make-string 64 ?a))
            (process-environment (append '("http_proxy=http://127.0.0.1:9/" "no_proxy"
                                           "HTTP_PROXY=http://127.0.0.1:9/" "NO_PROXY")
                                         process-environment)))
        (org-agent-install-tests-http
            '(("/http" . (redirect "http://127.0.0.1:%d/there"))
              ("/relative" . (redirect "/there"))
              ("/file" . (redirect "file:///etc/passwd"))
              ("/https" . (redirect "https://127.0.0.1:9/there"))
              ("/there" . "x"))
          (dolist (path '("/http" "/relative" "/file"))
            (org-agent-install-server (funcall address path) sum)
            (org-agent-install-tests-failed "leads on to an address that is not https"))
          ;; It goes there, where nobody is.
          (org-agent-install-server (funcall address "/https") sum)
          (org-agent-install-tests-failed "[Cc]onnect\\|signal")
          (should-not (member "/there" org-agent-install-tests-asked)))))))

(defmacro org-agent-install-tests-https (root &rest body)
  "Run BODY with a server of HTTPS for the files in the directory `d' of ROOT.
`port' is where, and `certificate' a file that vouches for it."
  (declare (indent 1) (debug t))
  `(let* ((certificate (expand-file-name "certificate" ,root))
          (key (expand-file-name "key" ,root))
          (default-directory (expand-file-name "d/" ,root))
          (server
           (progn
             (should (eql 0 (call-process
                             "openssl" nil nil nil "req" "-x509" "-newkey" "ec" "-pkeyopt"
                             "ec_paramgen_curve:prime256v1" "-nodes" "-days" "2" "-subj"
                             "/CN=127.0.0.1" "-addext" "subjectAltName=IP:127.0.0.1"
                             "-keyout" key "-out" certificate)))
             (make-process
              :name "https" :noquery t :connection-type 'pipe :buffer (generate-new-buffer " *https*")
              :command (list "openssl" "s_server" "-accept" "127.0.0.1:0" "-WWW" "-cert" certificate
                             "-key" key))))
          (port nil))
     (unwind-protect
         (progn
           (org-agent-fake-until
            (lambda ()
              (with-current-buffer (process-buffer server)
                (goto-char (point-min))
                (and (re-search-forward "^ACCEPT .*:\\([0-9]+\\)$" nil t)
                     (setq port (string-to-number (match-string 1)))))))
           ,@body)
       (delete-process server)
       (kill-buffer (process-buffer server)))))

(ert-deftest org-agent-install-trusts-only-what-is-vouched-for ()
  "A certificate that nobody knows is refused, also when another address leads there."
  (skip-unless (executable-find "openssl"))
  (org-agent-install-tests-both
    (org-agent-install-tests-with
      (let* ((text (org-agent-install-tests-program "1.0.0"))
             (sum (org-agent-install-tests-sum text)))
        (org-agent-install-tests-file root "d/one" text)
        (org-agent-install-tests-https root
          (let ((here (format "https://127.0.0.1:%d/one" port)))
            (org-agent-install-tests-http `(("/there" . (redirect ,here)))
              (dolist (source (list here (funcall address "/there")))
                (org-agent-install-server source sum)
                (org-agent-install-tests-failed "certificate problem\\|create connection"))
              ;; Only curl has a variable for who else vouches.
              (when (eq way 'curl)
                (let ((process-environment (cons (concat "CURL_CA_BUNDLE=" certificate)
                                                 process-environment)))
                  (dolist (source (list here (funcall address "/there")))
                    (should (equal '(done nil) (org-agent-install-tests-install source sum)))
                    (should (equal source (plist-get (car (org-agent--installed-entries))
                                                     :source)))))))))))))

(ert-deftest org-agent-install-says-what-the-server-said ()
  (org-agent-install-tests-both
    (org-agent-install-tests-with
      (let ((sum (make-string 64 ?a)))
        (org-agent-install-tests-http
            `(("/d/one" . "x")
              ("/d/SHA256SUMS" . ,(concat sum "  d/one\n" sum "  ../one\n" sum "  two\n"))
              ("/e/one" . "x")
              ("/e/SHA256SUMS" . ,(concat sum "  one\n" (make-string 64 ?b) "  one\n"))
              ("/f/one" . "x"))
          (org-agent-install-server (funcall address "/nowhere") sum)
          (org-agent-install-tests-failed "404")
          (org-agent-install-server (funcall address "/d/one"))
          (org-agent-install-tests-failed "has no line for one")
          (org-agent-install-server (funcall address "/e/one"))
          (org-agent-install-tests-failed "has several checksums for one")
          (org-agent-install-server (funcall address "/f/one"))
          (org-agent-install-tests-failed "could not be read: .*404")
          (should-not (seq-intersection '("/d/one" "/e/one" "/f/one")
                                        org-agent-install-tests-asked))))
      ;; Nobody is there.
      (org-agent-install-server "http://127.0.0.1:9/one" (make-string 64 ?a))
      (org-agent-install-tests-failed "connect\\|refused"))))

(ert-deftest org-agent-install-waits-no-longer-than-it-says ()
  (org-agent-install-tests-both
    (org-agent-install-tests-with
      (org-agent-install-tests-http '(("/hang" . hang))
        (let ((before (process-list)))
          (let ((org-agent--fetch-patience 0.5))
            (org-agent-install-server (funcall address "/hang") (make-string 64 ?a))
            (org-agent-install-tests-failed "nothing came for"))
          ;; And the user waits no longer than they like.
          (setq org-agent-install-tests-asked nil)
          (org-agent-install-server (funcall address "/hang") (make-string 64 ?a))
          (org-agent-fake-until (lambda () org-agent-install-tests-asked))
          (should (memq #'org-agent--install-abandon kill-emacs-hook))
          ;; One at a time; the one that is there is shown again.
          (kill-buffer "*org-agent install*")
          (should-error (org-agent-install-server (funcall address "/hang")) :type 'user-error)
          (should (string-search "It is being fetched" (org-agent-install-tests-shown)))
          (should-error (org-agent-remove-server) :type 'user-error)
          (org-agent-install-cancel)
          (org-agent-install-tests-failed "you cancelled it")
          (org-agent-fake-until
           (lambda () (not (seq-remove (lambda (process)
                                         (string-prefix-p "http" (process-name process)))
                                       (seq-difference (process-list) before)))))
          (should-not (seq-some (lambda (buffer)
                                  (string-search "org-agent run" (buffer-name buffer)))
                                (buffer-list))))))))

(ert-deftest org-agent-install-leaves-nothing-when-emacs-ends ()
  (org-agent-install-tests-with
    (org-agent-install-tests-http '(("/hang" . hang))
      (org-agent-install-server (funcall address "/hang") (make-string 64 ?a))
      (should (= 1 (length (org-agent-install-tests-there))))
      (run-hooks 'kill-emacs-hook)
      (should-not (file-exists-p org-agent-server-directory)))))

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

;;;; Going back, and removing

(ert-deftest org-agent-install-goes-back-and-removes ()
  (org-agent-install-tests-with
    (let ((install (lambda (version)
                     (let ((text (org-agent-install-tests-program version)))
                       (should (equal '(done nil)
                                      (org-agent-install-tests-install
                                       (org-agent-install-tests-file root version text)
                                       (org-agent-install-tests-sum text)))))))
          (version (lambda ()
                     (car (process-lines (org-agent--executable) "--version"))))
          (answer nil))
      (should-error (org-agent-restore-server) :type 'user-error)
      (should-error (org-agent-remove-server) :type 'user-error)
      (funcall install "1.0.0")
      (should-error (org-agent-restore-server) :type 'user-error)
      (funcall install "2.0.0")
      (should (string-search "The one before, 1.0.0, is kept" (org-agent-install-tests-shown)))
      (should (equal "org-agent 2.0.0" (funcall version)))
      (org-agent-restore-server)
      (should (equal "org-agent 1.0.0" (funcall version)))
      (org-agent-restore-server)
      (should (equal "org-agent 2.0.0" (funcall version)))
      ;; Two are kept; one that runs is not taken from under the server.
      (let ((org-agent--spawned (list (org-agent--installed))))
        (funcall install "3.0.0")
        (funcall install "4.0.0")
        (should (file-exists-p (car org-agent--spawned)))
        (should (= 4 (length (org-agent-install-tests-there)))))
      (funcall install "5.0.0")
      (should (= 3 (length (org-agent-install-tests-there))))
      ;; What is not known to be one's own stays, and its directory with it.
      (org-agent-install-tests-file org-agent-server-directory "org-agent-mine" "")
      (org-agent-install-tests-file org-agent-server-directory "org-agent-download-mine.zip" "")
      (org-agent-install-tests-file org-agent-server-directory "org-agent-download-aB3xYz" "")
      (cl-letf (((symbol-function 'yes-or-no-p)
                 (lambda (prompt)
                   (should (string-search "Sessions, configuration, skills and chats stay"
                                          prompt))
                   answer)))
        (org-agent-remove-server)
        (should (= 6 (length (org-agent-install-tests-there))))
        (setq answer t)
        (org-agent-remove-server)
        (org-agent-fake-until (lambda () (not (org-agent--installed))))
        (should (equal '("org-agent-download-mine.zip" "org-agent-mine")
                       (org-agent-install-tests-there)))
        (should (string-search "The server is removed" (org-agent-install-tests-shown)))
        (dolist (words '("what else is in" "~/.local/share/org-agent, or as $ORG_AGENT_HOME or"))
          (should (string-search words (org-agent-install-tests-shown))))
        (dolist (name (org-agent-install-tests-there))
          (delete-file (expand-file-name name org-agent-server-directory)))
        (funcall install "1.0.0")
        (org-agent-remove-server)
        (org-agent-fake-until (lambda () (not (file-exists-p org-agent-server-directory))))))))

(ert-deftest org-agent-install-record-is-data ()
  "Whatever stands in the record, it is read, and only right entries count."
  (org-agent-install-tests-with
    (pcase-dolist (`(,text ,count)
                   `(("" 0) ("(" 0) ("nonsense" 0) ("((:sha256 1))" 0) ("(a . b)" 0)
                     ("((:sha256 \"../../../../../../bin/sh\"))" 0)
                     ("(t (:sha256))" 0)
                     (,(format "((:sha256 %S) (:sha256 \"x\"))" (make-string 64 ?a)) 1)
                     (,(make-string 30000 ?\() 0)))
      (org-agent-install-tests-file org-agent-server-directory "org-agent-installed.eld" text)
      (should (= count (length (org-agent--installed-entries))))
      (should-not (org-agent--installed)))))

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
