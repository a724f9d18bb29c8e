;;; org-agent-installer-tests.el --- Going back, and removing the server  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; The record of what is installed, going back, and removing, also while
;; the server of another Emacs runs.

;;; Code:

(require 'org-agent-install-fixture)

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

(defmacro org-agent-installer-tests-elsewhere (file &rest body)
  "Run BODY while a process that is none of this Emacs runs FILE, a new program.
`number' is its number, and `end' a function that ends it."
  (declare (indent 1) (debug t))
  `(let* ((file ,file)
          (number (progn
                    (copy-file (executable-find "sleep") file)
                    ;; Its parent ends at once.
                    (string-to-number
                     (with-output-to-string
                       (call-process "sh" nil standard-output nil "-c"
                                     "\"$1\" 1000 </dev/null >/dev/null 2>&1 & echo $!"
                                     "sh" file)))))
          (end (lambda ()
                 ;; Once only: the number can be that of another one afterwards.
                 (when number
                   (signal-process number 'KILL)
                   (setq number nil))
                 (org-agent-fake-until
                  (lambda () (not (org-agent--install-runners file)))))))
     (unwind-protect
         (progn
           ;; Until then it is the shell still.
           (org-agent-fake-until (lambda () (org-agent--install-runners file)))
           ,@body)
       (funcall end))))

(ert-deftest org-agent-installer-keeps-what-runs-elsewhere ()
  (org-agent-install-tests-with
    (let* ((name "org-agent-0123456789abcdef")
           (install (lambda (version)
                      (let ((text (org-agent-install-tests-program version)))
                        (should (equal '(done nil)
                                       (org-agent-install-tests-install
                                        (org-agent-install-tests-file root version text)
                                        (org-agent-install-tests-sum text))))))))
      (funcall install "1.0.0")
      (org-agent-installer-tests-elsewhere (expand-file-name name org-agent-server-directory)
        (should (equal (list number) (org-agent--install-runners file)))
        (should-not (org-agent--installer-own-p number))
        (funcall install "2.0.0")
        (should (member name (org-agent-install-tests-there)))
        (funcall end)
        (funcall install "3.0.0")
        (should-not (member name (org-agent-install-tests-there))))
      ;; And when all is removed; it is said, before and after.
      (org-agent-installer-tests-elsewhere (expand-file-name name org-agent-server-directory)
        (let ((asked nil))
          (cl-letf (((symbol-function 'yes-or-no-p) (lambda (prompt) (push prompt asked))))
            (org-agent-remove-server)
            (should (string-search (format "and what others run (process %d)" number)
                                   (car asked)))
            (org-agent-fake-until (lambda () (not org-agent--installer-removing)))
            (should (equal (list name) (org-agent-install-tests-there)))
            (should (string-search (format "stays, as process %d runs it" number)
                                   (org-agent-install-tests-shown)))
            (funcall end)
            (org-agent-remove-server)
            (should-not (string-search "others run" (car asked)))
            (should (string-search "The server is removed" (org-agent-install-tests-shown)))
            (should-not (file-exists-p org-agent-server-directory))))))))

(ert-deftest org-agent-installer-knows-its-own-processes ()
  "Those that it started, and those that these started."
  (org-agent-install-tests-with
    (let* ((file (expand-file-name "sleeper" root))
           (process (progn
                      (copy-file (executable-find "sleep") file)
                      (make-process :name "sleeper" :noquery t :connection-type 'pipe
                                    :command (list "sh" "-c" "\"$1\" 1000; :" "sh" file)))))
      (unwind-protect
          (let (numbers)
            (org-agent-fake-until
             (lambda () (setq numbers (org-agent--install-runners file))))
            (should-not (member (process-id process) numbers))
            (should (seq-every-p #'org-agent--installer-own-p numbers))
            (should-not (org-agent--installer-others file))
            (should-not (org-agent--installer-own-p 1))
            (should-not (org-agent--installer-own-p 0)))
        (delete-process process)
        (dolist (number (org-agent--install-runners file))
          (signal-process number 'KILL))))))

(ert-deftest org-agent-installer-does-nothing-else-while-it-removes ()
  (org-agent-install-tests-with
    (let* ((go (expand-file-name "go" root))
           (text (org-agent-install-tests-program
                  "1.0.0"
                  (format "[ \"$1\" != config ] || while [ ! -e '%s' ]; do sleep 0.05; done" go)))
           (sum (org-agent-install-tests-sum text))
           (file (org-agent-install-tests-file root "one" text))
           (meanwhile #'ignore)
           (other (make-string 64 ?b)))
      (cl-letf (((symbol-function 'yes-or-no-p)
                 (lambda (_prompt) (funcall meanwhile) t)))
        (should (equal '(done nil) (org-agent-install-tests-install file sum)))
        ;; While the question is there, something is installed.
        (let ((new (expand-file-name "org-agent-0123456789abcdef" org-agent-server-directory)))
          (setq meanwhile (lambda () (write-region "" nil new nil 'silent)))
          (should (string-search "has changed meanwhile"
                                 (error-message-string
                                  (should-error (org-agent-remove-server) :type 'user-error))))
          (should (= 3 (length (org-agent-install-tests-there))))
          (setq meanwhile #'ignore)
          (delete-file new))
        ;; While the server is asked.
        (org-agent-remove-server)
        (dolist (command (list (lambda () (org-agent-install-server file sum))
                               (lambda () (call-interactively #'org-agent-install-server))
                               #'org-agent-restore-server
                               #'org-agent-remove-server))
          (should (string-search "The server is being removed"
                                 (error-message-string
                                  (should-error (funcall command) :type 'user-error)))))
        (write-region "" nil go nil 'silent)
        (org-agent-fake-until (lambda () (not org-agent--installer-removing)))
        (should-not (file-exists-p org-agent-server-directory))
        ;; Another Emacs installs one then, which is not what was agreed to.
        (should (equal '(done nil) (org-agent-install-tests-install file sum)))
        (delete-file go)
        (org-agent-remove-server)
        (org-agent-install-tests-file org-agent-server-directory "org-agent-bbbbbbbbbbbbbbbb" "")
        (org-agent-install-tests-file org-agent-server-directory "org-agent-installed.eld"
                                      (format "((:sha256 %S))" other))
        (write-region "" nil go nil 'silent)
        (org-agent-fake-until (lambda () (not org-agent--installer-removing)))
        (should (equal '("org-agent-bbbbbbbbbbbbbbbb" "org-agent-installed.eld")
                       (org-agent-install-tests-there)))
        (should (string-search "Another one was installed meanwhile"
                               (org-agent-install-tests-shown)))))))

(provide 'org-agent-installer-tests)
;;; org-agent-installer-tests.el ends here
