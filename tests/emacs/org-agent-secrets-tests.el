;;; org-agent-secrets-tests.el --- Where keys are, and are not  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Code:

(require 'auth-source)
(require 'org-agent-real)

(defun org-agent-tests-canary ()
  "Return a key that stands nowhere in this file."
  (concat "sk-" "canary" "+/=" "0123456789"))

(defun org-agent-tests-shapes (key)
  "Return a regexp for the shapes in which KEY could have leaked."
  (regexp-opt
   (append (list key (url-hexify-string key))
           ;; In base64, also inside of something longer.
           (mapcar (lambda (beg)
                     (substring (base64-encode-string (substring key beg) t) 0 -4))
                   '(0 1 2)))))

(defmacro org-agent-tests-with-keys (lines &rest body)
  "Run BODY with an auth-source file of LINES, which are strings."
  (declare (indent 1) (debug t))
  `(let* ((authinfo (make-temp-file "authinfo"))
          (auth-sources (list authinfo))
          (auth-source-save-behavior nil))
     (auth-source-forget-all-cached)
     (unwind-protect
         (progn
           (write-region (string-join ,lines "\n") nil authinfo nil 'silent)
           ,@body)
       (auth-source-forget-all-cached)
       (delete-file authinfo))))

(defun org-agent-tests-in-buffers (regexp)
  "Return the names of all buffers, hidden ones included, that have REGEXP."
  (delq nil (mapcar (lambda (buffer)
                      (with-current-buffer buffer
                        (save-excursion
                          (save-restriction
                            (widen)
                            (goto-char (point-min))
                            (and (re-search-forward regexp nil t)
                                 (buffer-name))))))
                    (buffer-list))))

(defun org-agent-tests-in-variables (regexp)
  "Return the variables of this package whose value has REGEXP when printed."
  (let (found)
    (mapatoms
     (lambda (symbol)
       (when (and (boundp symbol)
                  (string-prefix-p "org-agent" (symbol-name symbol))
                  (string-match-p regexp (let ((print-circle t))
                                           (prin1-to-string (symbol-value symbol)))))
         (push symbol found))))
    found))

(defun org-agent-tests-in-files (regexp directory)
  "Return the files below DIRECTORY that have REGEXP."
  (seq-filter (lambda (file)
                (and (file-regular-p file)
                     (with-temp-buffer
                       (set-buffer-multibyte nil)
                       (insert-file-contents-literally file)
                       (re-search-forward regexp nil t))))
              (append (directory-files-recursively directory ".")
                      (mapcar (lambda (name)
                                (format "/proc/%d/%s" (process-id org-agent--process) name))
                              '("cmdline" "environ")))))

(defun org-agent-tests-model-server (heard)
  "Return a model's server that refuses all; HEARD is called with what comes."
  (make-network-process
   :name "model" :server t :host 'local :service t :family 'ipv4 :noquery t
   :log (lambda (_server process _) (set-process-query-on-exit-flag process nil))
   :filter (lambda (process text)
             (funcall heard text)
             (process-send-string process "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"))))

(ert-deftest org-agent-keys-go-to-the-model-and-are-nowhere-else ()
  (let* ((key (org-agent-tests-canary))
         (shapes (org-agent-tests-shapes key))
         arrived said
         ;; Only whether it had the key is kept.
         (server (org-agent-tests-model-server
                  (lambda (text)
                    (when (string-search (concat "Bearer " key) text)
                      (setq arrived t)))))
         (org-agent-secrets '(("CANARY_KEY" :host "box.example" :user "me"))))
    (unwind-protect
        (org-agent-tests-with-keys
            (list "machine other.example login me password wrong"
                  (format "machine box.example login me password %s" key))
          (org-agent-real-with
              `(("config.toml"
                 . ,(format "[[models]]\nname = \"keyed\"\nmodel = \"m\"\n\
base_url = \"http://127.0.0.1:%d/v1\"\napi_key_env = \"CANARY_KEY\"\n"
                            (process-contact server :service))))
              '("ORG_AGENT_LOG=trace")
            (setq said (org-agent-tests-said (org-agent-real-reply "One?")))
            (should arrived)
            (should (string-search "System Error" (buffer-string)))
            (search-backward "System Error")
            (org-agent-why)
            (dotimes (_ 2) (org-agent-fake-settle))
            (list-processes)
            (should (get-buffer "*Process List*"))
            (should-not (org-agent-tests-in-buffers shapes))
            (should-not (string-match-p shapes (prin1-to-string said)))
            (should-not (string-match-p shapes (prin1-to-string process-environment)))
            (should-not (org-agent-tests-in-variables shapes))
            (should-not (org-agent-tests-in-files shapes home))
            ;; The model of this test is to have it.
            (dolist (process (seq-filter (lambda (process)
                                           (string-prefix-p "org-agent"
                                                            (process-name process)))
                                         (process-list)))
              (should-not (string-match-p shapes (prin1-to-string
                                                  (list (process-command process)
                                                        (process-plist process)
                                                        (process-contact process t))))))
            ;; It would have been found.
            (with-temp-buffer
              (insert "x" (base64-encode-string (concat "x" key) t))
              (should (org-agent-tests-in-buffers shapes)))
            (let ((org-agent--stderr (concat "x" key)))
              (should (equal (org-agent-tests-in-variables shapes)
                             '(org-agent--stderr))))
            (write-region key nil (expand-file-name "leak" home) nil 'silent)
            (should (equal (org-agent-tests-in-files shapes home)
                           (list (expand-file-name "leak" home))))))
      (delete-process server))))

(ert-deftest org-agent-keys-are-in-the-first-message-only ()
  (let ((org-agent-secrets '("OPENAI_API_KEY" "MY_KEY" "NO_KEY")))
    (org-agent-tests-with-keys
        '("machine api.openai.com login apikey password first-key"
          "machine MY_KEY password second-key")
      (let ((said (org-agent-tests-said
                    (org-agent-fake-with
                      (let ((options (plist-get (car (org-agent-fake-sent 'initialize))
                                                :initializationOptions)))
                        (should (equal options
                                       '(:secrets ( :OPENAI_API_KEY "first-key"
                                                    :MY_KEY "second-key")))))
                      (org-agent-fake-send "question")
                      (should-not (string-search
                                   "-key" (prin1-to-string
                                           (assq-delete-all
                                            'initialize
                                            (copy-sequence org-agent-fake-log)))))
                      ;; What changed is known to the next server.
                      (write-region "machine MY_KEY password third-key\n" nil authinfo
                                    nil 'silent)
                      (set-file-times authinfo (time-add nil 10))
                      (org-agent-restart)
                      (org-agent-fake-until (lambda () org-agent--ready))
                      (should (equal (plist-get
                                      (car (last (org-agent-fake-sent 'initialize)))
                                      :initializationOptions)
                                     '(:secrets (:MY_KEY "third-key"))))))))
        (should (member "org-agent: auth-source has nothing for NO_KEY; \
M-x org-agent-restart looks again" said))
        (should (seq-find (lambda (words)
                            (string-search "nothing for OPENAI_API_KEY, NO_KEY;" words))
                          said))))))

(ert-deftest org-agent-without-keys-auth-source-is-not-asked ()
  (cl-letf (((symbol-function 'auth-source-search)
             (lambda (&rest _) (error "Asked"))))
    (org-agent-fake-with
      (should-not (plist-member (car (org-agent-fake-sent 'initialize))
                                :initializationOptions))
      ;; A buffer has no say in which key goes where.
      (setq-local org-agent-secrets '(("OPENAI_API_KEY" :host "imap.example")))
      (org-agent-restart)
      (org-agent-fake-until (lambda () org-agent--ready))))
  (should (risky-local-variable-p 'org-agent-secrets)))

;; What goes wrong is told, nothing is sent, and no error shows a key.
(ert-deftest org-agent-keys-are-in-no-error ()
  (let ((key (org-agent-tests-canary)))
    (pcase-dolist
        (`(,secrets ,found ,words)
         `((("A_KEY") ,(lambda (&rest _) (signal 'wrong-type-argument (list 'stringp key)))
            "No key for A_KEY: auth-source failed: Wrong type argument")
           (("A_KEY") ,(lambda (&rest _) (error "%s is bad" key))
            "No key for A_KEY: auth-source failed: error")
           (("A_KEY") ,(lambda (&rest _)
                         (signal 'file-error (list "Opening input file" "Decryption failed" "/x")))
            "No key for A_KEY: auth-source failed: Opening input file: Decryption failed, /x")
           (("A_KEY") ,(lambda (&rest _) (signal 'quit nil)) "No key for A_KEY: you quit")
           (("A_KEY") ,(lambda (&rest _) `((:secret ,(lambda () (concat key "\x3fffbf")))))
            "What auth-source has for A_KEY is no key")
           (("A_KEY") ,(lambda (&rest _) `((:secret ,(concat key " " key))))
            "What auth-source has for A_KEY is no key")
           ;; A key in the place of its name, or of the search.
           ,@(mapcar (lambda (secrets)
                       (list secrets (lambda (&rest _) (error "Asked"))
                             "The option `org-agent-secrets' has an element"))
                     `((("A_KEY" . ,key)) (,key) ((,key :host "x")) (("A_KEY" "x"))
                       ("a_key") ("") (a) ((("A_KEY")))))))
      (org-agent-fake-with
        (org-agent--disconnect "for the test")
        (org-agent-fake-until (lambda () (not org-agent--ending)))
        (setq org-agent-fake-log nil)
        (let* ((org-agent-secrets secrets)
               (text-quoting-style 'grave)
               (said (org-agent-tests-said
                       (cl-letf (((symbol-function 'auth-source-search) found))
                         (goto-char (point-max))
                         (insert "question")
                         (org-agent-send)
                         (org-agent-fake-until (lambda () (not org-agent--sending)))))))
          (should (string-prefix-p
                   (concat "org-agent: not sent, your text is still there: " words)
                   (car said)))
          (should-not (string-match-p (org-agent-tests-shapes key) (prin1-to-string said)))
          (should-not org-agent-fake-log)
          (should-not org-agent--connection)
          (should (equal (buffer-string) "* USER\nquestion")))
        ;; And without it, it is sent.
        (org-agent-fake-send "")
        (should (string-search "OA_EVENT" (buffer-string)))))))

;; A passphrase is asked for in a loop in which timers run.
(ert-deftest org-agent-one-server-is-started-while-a-key-is-asked-for ()
  (let ((org-agent-secrets '("A_KEY"))
        (asked 0))
    (cl-letf (((symbol-function 'auth-source-search)
               (lambda (&rest _)
                 (cl-incf asked)
                 (org-agent--request 'orgAgent/sessions/list nil)
                 (accept-process-output nil 0.01)
                 '((:secret "a-key")))))
      (org-agent-fake-with
        (should (= asked 1))
        (should (= 1 (length (org-agent-fake-sent 'initialize))))
        (should (<= 2 (length (org-agent-fake-sent 'orgAgent/sessions/list))))))))

(provide 'org-agent-secrets-tests)
;;; org-agent-secrets-tests.el ends here
