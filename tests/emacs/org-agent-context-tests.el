;;; org-agent-context-tests.el --- What goes along with a message  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Chips: what is shown, what is sent, and what is not.

;;; Code:

(require 'org-agent-real)
(require 'org-agent-models-tests)
(require 'dired)
(require 'tramp)

(defun org-agent-tests-chips ()
  "Return what is shown of what goes along with the next message, or nil."
  (and org-agent--context-overlay
       (overlay-buffer org-agent--context-overlay)
       (substring-no-properties
        (overlay-get org-agent--context-overlay 'before-string))))

(defun org-agent-tests-sent-context ()
  "Return the context of the last message that was sent, as a list."
  (append (plist-get (car (last (org-agent-fake-sent 'orgAgent/event))) :context)
          nil))

(defun org-agent-tests-file (name text)
  "Write TEXT into the file NAME of the fake server's home; return its name."
  (let ((file (expand-file-name name org-agent-fake-directory))
        (coding-system-for-write 'no-conversion))
    (make-directory (file-name-directory file) t)
    (write-region text nil file nil 'silent)
    file))

(defun org-agent-tests-press (label)
  "Press the first button with LABEL above the input."
  (let* ((string (overlay-get org-agent--context-overlay 'before-string))
         (at (string-match (regexp-quote (format "[%s]" label)) string)))
    (funcall (lookup-key (get-text-property at 'keymap string) [mouse-1]))))

(defmacro org-agent-tests-answering (yes &rest body)
  "Run BODY where each question is answered by YES; return the questions."
  (declare (indent 1) (debug t))
  `(let (questions)
     (cl-letf (((symbol-function 'yes-or-no-p)
                (lambda (prompt) (push prompt questions) ,yes)))
       ,@body)
     (setq questions (nreverse questions))))

(ert-deftest org-agent-chips-are-shown-and-are-no-text ()
  (org-agent-fake-with
    (let ((file (org-agent-tests-file "src/main.c" "int main() {}\n"))
          (undo buffer-undo-list)
          (default-directory (file-name-as-directory org-agent-fake-directory)))
      (with-temp-buffer
        (rename-buffer "notes" t)
        (insert "* One\ntext of one\n** Below\n* Two\n")
        (org-mode)
        (goto-char (point-min))
        (forward-line 1)
        (org-agent-add-note)
        (org-agent-add-region (point) (line-end-position))
        (org-agent-add-buffer (current-buffer))
        (org-agent-add-file file)
        ;; The chat is not shown by that.
        (should (equal (buffer-name) "notes"))
        (with-current-buffer "*org-agent-chat*"
          (should (equal (buffer-string) "* USER\n"))
          (should (equal (split-string (org-agent-tests-chips) "\n" t " +")
                         '("Sent along with your message:"
                               "note One  27 B [show] [remove]"
                               "region notes  11 B [show] [remove]"
                               "buffer notes  33 B, as it is when you send [show] [remove]"
                               "file src/main.c  14 B, as it is when you send [show] [remove]")))
          ;; The same file is one chip.
          (org-agent-add-file file)
          (should (= 4 (length org-agent--context)))
          (org-agent-tests-press "show")
          (with-current-buffer "*org-agent context*"
            (should (equal (buffer-string) "* One\ntext of one\n** Below\n"))
            (should (eq major-mode 'special-mode)))
          (kill-buffer "*org-agent context*")
          (org-agent-tests-press "remove")
          (should (equal (mapcar #'org-agent--chip-kind org-agent--context)
                         '("file" "buffer" "region")))
          (should (equal (buffer-string) "* USER\n"))
          (should (equal undo buffer-undo-list)))))))

(ert-deftest org-agent-buffers-and-files-are-sent-as-they-are-then ()
  (org-agent-fake-with
    (let ((file (org-agent-tests-file "a.txt" "before"))
          (buffer (generate-new-buffer "elsewhere")))
      (with-current-buffer buffer
        (insert "first")
        (org-agent-add-buffer buffer)
        (org-agent-add-region (point-min) (point-max))
        (org-agent-add-file file)
        (erase-buffer)
        (insert "second, ä")
        (narrow-to-region 1 2))
      (org-agent-tests-file "a.txt" "after ü\r\n")
      (let ((said (org-agent-tests-said (org-agent-fake-send "what?"))))
        (should (seq-some (lambda (words) (string-match-p "changed since.*a\\.txt" words))
                          said)))
      (should (equal (mapcar (lambda (part) (list (plist-get part :kind)
                                                  (plist-get part :text)))
                             (org-agent-tests-sent-context))
                     '(("buffer" "second, ä") ("region" "first") ("file" "after ü\n"))))
      (should-not (org-agent-tests-chips))
      (kill-buffer buffer))))

(ert-deftest org-agent-what-cannot-be-sent-is-said-before ()
  (org-agent-fake-with
    (let* ((chat (current-buffer))
           (gone (generate-new-buffer "gone"))
           (large (make-string (1+ (ash 1 20)) ?a))
           (cases
            `((,(lambda () (org-agent-add-file (org-agent-tests-file "x.png" "\211PNG\0")))
               "no text")
              (,(lambda ()
                  (let ((file (org-agent-tests-file "short-lived" "x")))
                    (org-agent-add-file file)
                    (delete-file file)))
               "no such file")
              (,(lambda ()
                  (let ((file (org-agent-tests-file "grows" "x")))
                    (org-agent-add-file file)
                    (org-agent-tests-file "grows" large)))
               "1 MiB is the most")
              (,(lambda ()
                  (org-agent-add-buffer gone)
                  (kill-buffer gone))
               "no such buffer")
              (,(lambda () (org-agent--add-context "region" "large" large))
               "1 MiB is the most")
              (,(lambda ()
                  (dotimes (n 5)
                    (org-agent--add-context "region" (format "%d" n)
                                            (make-string (ash 9 16) ?a))))
               nil)
              (,(lambda ()
                  (dotimes (n 5)
                    (org-agent--add-context "region" (format "%d" n)
                                            (make-string (ash 1 20) ?a))))
               "4 MiB is the most"))))
      (insert "my words")
      (pcase-dolist (`(,add ,words) cases)
        (org-agent--clear-context)
        (funcall add)
        (if (not words) (should (org-agent--context-take org-agent--context))
          (should (string-match-p words
                                  (error-message-string
                                   (should-error (org-agent-send) :type 'user-error))))
          (should org-agent--context)))
      (should (equal (org-agent--prompt) "my words"))
      (should-not (org-agent-fake-sent 'orgAgent/event))
      ;; What is wrong at once is not even added.
      (org-agent--clear-context)
      (dolist (file (list org-agent-fake-directory
                          (expand-file-name "nowhere" org-agent-fake-directory)
                          "/dev/zero"
                          (org-agent-tests-file "large" large)))
        (should-error (org-agent-add-file file) :type 'user-error))
      (should-not org-agent--context)
      (dotimes (n 32) (org-agent--add-context "region" (format "%d" n) "x"))
      (should (string-match-p "and 24 more" (org-agent-tests-chips)))
      (should-error (org-agent--add-context "region" "33" "x") :type 'user-error)
      (should (eq chat (current-buffer))))))

(ert-deftest org-agent-remote-files-are-never-waited-for ()
  (org-agent-fake-with
    (let ((file "/ssh:box:/srv/a.txt")
          (tramp (symbol-function 'tramp-file-name-handler)))
      (cl-letf (((symbol-function 'tramp-file-name-handler)
                 (lambda (operation &rest args)
                   (if (eq operation 'file-remote-p) (apply tramp operation args)
                     (push operation org-agent-fake-errors)
                     (error "Went to the other machine to %s" operation)))))
        (should (string-match-p "another machine"
                                (error-message-string
                                 (should-error (org-agent-add-file file)
                                               :type 'user-error))))
        ;; What is in Emacs already can be sent.
        (with-temp-buffer
          (insert "from afar")
          (setq buffer-file-name file)
          (org-agent-add-file file)
          (org-agent-add-buffer (current-buffer))
          (with-current-buffer "*org-agent-chat*"
            (org-agent-fake-send "what?"))
          (setq buffer-file-name nil))
        (should (equal (mapcar (lambda (part) (list (plist-get part :kind)
                                                    (plist-get part :text)))
                               (org-agent-tests-sent-context))
                       '(("file" "from afar") ("buffer" "from afar"))))))))

(ert-deftest org-agent-secrets-are-sent-after-a-yes-only ()
  (org-agent-fake-with
    (let ((env (org-agent-tests-file ".env.local" "TOKEN=x"))
          (plain (org-agent-tests-file "plain.txt" "words")))
      (make-symbolic-link env (expand-file-name "innocent" org-agent-fake-directory))
      (dolist (add (list (lambda () (org-agent-add-file env))
                         (lambda () (org-agent-add-file
                                     (expand-file-name "innocent" org-agent-fake-directory)))
                         (lambda ()
                           (with-current-buffer (find-file-noselect env)
                             (unwind-protect
                                 (org-agent-add-region (point-min) (point-max))
                               (kill-buffer))))
                         (lambda ()
                           (org-agent--add-context
                            "region" "shell"
                            "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n"))))
        (org-agent--clear-context)
        (goto-char (point-max))
        (unless (string-search "what?" (org-agent--prompt)) (insert "what?"))
        (org-agent-add-file plain)
        (funcall add)
        (should (string-match-p "may hold secrets\\|B \\[show\\]" (org-agent-tests-chips)))
        (should (= 1 (length (org-agent-tests-answering nil
                               (should-error (org-agent-send) :type 'user-error)))))
        (should-not (org-agent-fake-sent 'orgAgent/event))
        (should (= 2 (length org-agent--context))))
      (org-agent-tests-answering t (org-agent-send))
      (org-agent-fake-settle)
      (should (= 2 (length (org-agent-tests-sent-context))))
      (should-not org-agent--context)
      ;; Who agreed is not asked again because the server would not have it.
      (org-agent-add-file env)
      (push (cons 'orgAgent/event (lambda (_) (org-agent-fake-refuse "overloaded")))
            org-agent-fake-answers)
      (goto-char (point-max))
      (insert "again")
      (should (= 1 (length (org-agent-tests-answering t (org-agent-send)))))
      (org-agent-fake-settle)
      (should org-agent--context)
      (should-not (org-agent-tests-answering nil (org-agent-send)))
      (org-agent-fake-settle)
      ;; Nothing is asked about what is plain.
      (org-agent--clear-context)
      (org-agent-add-file plain)
      (should-not (org-agent-tests-answering nil (org-agent-send)))
      (org-agent-fake-settle))))

(ert-deftest org-agent-names-of-secrets ()
  (let ((auth-sources '("/tmp/mine" (:source "/tmp/other") "secrets:Login" default)))
    (dolist (name '("/h/.authinfo" "/h/.authinfo.gpg" "/p/.env" "/p/.env.production" "/p/prod.env"
                    "/h/.ssh/config" "/h/.aws/credentials" "/p/id_ed25519" "/p/server.PEM" "/p/a.key"
                    "/p/secrets.yaml" "/p/db-credentials.json" "/etc/shadow" "/h/.netrc"
                    "/tmp/mine" "/tmp/other" "/ssh:box:/h/.netrc"))
      (should (org-agent--sensitive-p name)))
    (dolist (name '("/p/main.c" "/p/environment.md" "/p/id_ed25519.pub" "/p/org-agent-secrets.el"
                    "/p/keys.md" "/p/.environ" "/p/secretary.txt" "/ssh:box:/p/a.c"))
      (should-not (org-agent--sensitive-p name)))))

(ert-deftest org-agent-chips-stay-when-a-message-fails ()
  (org-agent-fake-with
    (let ((file (org-agent-tests-file "a.txt" "one")))
      (org-agent-add-file file)
      (let ((org-agent-fake-answers
             (list (cons 'orgAgent/event (lambda (_) (org-agent-fake-refuse "overloaded"))))))
        (org-agent-fake-send "what?"))
      (should (string-match-p "a\\.txt" (org-agent-tests-chips)))
      ;; A message that may have arrived is sent again as it was, whatever the
      ;; file is by now: so it is there once.
      (let ((org-agent-fake-mute t))
        (org-agent-send)
        (org-agent-fake-until
         (lambda () (= 2 (length (org-agent-fake-sent 'orgAgent/event)))))
        (org-agent-fake-die))
      (org-agent-tests-file "a.txt" "two")
      (org-agent-send)
      (org-agent-fake-settle)
      (org-agent-fake-settle)
      (let ((sent (cdr (org-agent-fake-sent 'orgAgent/event))))
        (should (>= (length sent) 2))
        (should (= 1 (length (seq-uniq (mapcar (lambda (params) (plist-get params :clientId))
                                               sent)))))
        (dolist (params sent)
          (should (equal (plist-get (aref (plist-get params :context) 0) :text) "one"))))
      (should-not (org-agent-tests-chips)))))

(ert-deftest org-agent-marked-files-of-dired-go-along ()
  (org-agent-fake-with
    (org-agent-tests-file "marked/a.txt" "a")
    (org-agent-tests-file "marked/b.txt" "b")
    (org-agent-tests-file "marked/c.txt" "c")
    (let ((dired (dired-noselect (expand-file-name "marked" org-agent-fake-directory))))
      (with-current-buffer dired
        (dired-mark-files-regexp "[ab]\\.txt")
        (call-interactively #'org-agent-add-file))
      (kill-buffer dired))
    (org-agent-fake-send "what?")
    (should (equal (mapcar (lambda (part) (plist-get part :text))
                           (org-agent-tests-sent-context))
                   '("a" "b")))))

(ert-deftest org-agent-nothing-goes-along-after-a-prefix-argument ()
  (org-agent-fake-with
    (let ((chat (current-buffer)))
      (org-agent--add-context "region" "here" "words")
      ;; Also where there is no region.
      (with-temp-buffer
        (save-window-excursion
          (switch-to-buffer (current-buffer))
          (let ((current-prefix-arg '(4)))
            (call-interactively #'org-agent-send-region))))
      (should-not (buffer-local-value 'org-agent--context chat)))))

(ert-deftest org-agent-region-buffer-and-file-reach-the-model ()
  (let* (requests
         (server (org-agent-tests-llama
                  (lambda (request)
                    (when (string-search "chat/completions" request)
                      (push request requests))))))
    (unwind-protect
        (org-agent-real-with
            `(("config.toml"
               . ,(string-replace "127.0.0.1:9/"
                                  (format "127.0.0.1:%d/"
                                          (process-contact server :service))
                                  org-agent-tests-config))
              ("lemon.txt" . "the file says lemon"))
            nil
          (with-temp-buffer
            (rename-buffer "fruits" t)
            (insert "the region says apple\n")
            (org-agent-send-region (point-min) (point-max)))
          (let ((buffer (generate-new-buffer "trees")))
            (with-current-buffer buffer
              (insert "the buffer says walnut")
              (org-agent-add-buffer buffer))
            (org-agent-add-file (expand-file-name "lemon.txt" home))
            (should (= 3 (length org-agent--context)))
            (org-agent-real-reply "Which one is sour?")
            (kill-buffer buffer))
          (should-not org-agent--context)
          (should (string-search "From the llama." (buffer-string)))
          (should requests)
          (dolist (words '("the region says apple" "the buffer says walnut"
                           "the file says lemon" "lemon.txt" "Which one is sour?"))
            (should (string-search words (car requests))))
          ;; And they are behind the turn for good.
          (let (items)
            (org-agent--request 'orgAgent/sessions/messages
                                (list :sessionId org-agent--session)
                                (lambda (result) (setq items (plist-get result :items))))
            (org-agent-fake-until (lambda () items) "the messages")
            (should (equal (mapcar (lambda (part) (plist-get part :kind))
                                   (plist-get (plist-get (aref items 0) :metadata)
                                              :context))
                           '("region" "buffer" "file")))))
      (delete-process server))))

(provide 'org-agent-context-tests)
;;; org-agent-context-tests.el ends here
