;;; org-agent-fetch-tests.el --- Fetching the server  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Installing from a server of HTTP that this Emacs is itself, once by curl
;; and once by Emacs's own means, and what goes wrong there.

;;; Code:

(require 'org-agent-install-fixture)

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

(ert-deftest org-agent-install-fetches-no-longer-when-nobody-looks ()
  "As when Emacs was killed, and what fetches was not."
  (org-agent-install-tests-both
    (org-agent-install-tests-with
      (org-agent-install-tests-http '(("/hang" . hang))
        (let* ((org-agent--fetch-time 1)
               (file (org-agent-install-tests-file root "one" ""))
               (command (funcall (if (eq way 'curl)
                                     #'org-agent--fetch-curl
                                   #'org-agent--fetch-emacs)
                                 (funcall address "/hang") file 1000))
               ended)
          (dolist (name (if (eq way 'curl)
                            '(nil)
                          '("org-agent--fetch-time" "org-agent--fetch-patience")))
            (setq ended nil)
            (org-agent--run
             (if name
                 (let ((rest (member "-f" command)))
                   (append (butlast command (length rest))
                           (list "--eval" (format "(setq %s 0.5)" name))
                           rest))
               command)
             (lambda (status _output errors) (setq ended (list status errors))))
            (org-agent-fake-until (lambda () ended))
            (pcase name
              ('nil (should (equal 28 (car ended)))
                    (should (equal '("--speed-limit" "1" "--speed-time" "60")
                                   (seq-take (member "--speed-limit" command) 4))))
              (_ (should (equal 2 (car ended)))
                 (should (string-match-p (if (equal name "org-agent--fetch-time")
                                             "It took longer than 0\\.5 s"
                                           "Nothing came for 0\\.5 s")
                                         (cadr ended)))))))))))

(ert-deftest org-agent-install-leaves-nothing-when-emacs-ends ()
  (org-agent-install-tests-with
    (org-agent-install-tests-http '(("/hang" . hang))
      (org-agent-install-server (funcall address "/hang") (make-string 64 ?a))
      (should (= 1 (length (org-agent-install-tests-there))))
      (run-hooks 'kill-emacs-hook)
      (should-not (file-exists-p org-agent-server-directory)))))

(provide 'org-agent-fetch-tests)
;;; org-agent-fetch-tests.el ends here
