;;; org-agent-traffic-tests.el --- Recording and showing what passed  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Code:

(require 'org-agent-fake)
(require 'org-agent-real)

(defconst org-agent-traffic-tests-key "canary-4f1d0c9e7ab2"
  "A key that must not be in any file.")

(defmacro org-agent-traffic-tests-recording (shape &rest body)
  "Run BODY in a chat with a fake server, recording; return what was recorded.
SHAPE is non-nil if only lengths are.  BODY may use `file'."
  (declare (indent 1) (debug t))
  `(let* ((directory (make-temp-file "org-agent" t))
          (file (expand-file-name "traffic.jsonl" directory)))
     (unwind-protect
         (progn
           (org-agent-fake-with
             (org-agent--record-begin file ,shape)
             ,@body
             (when org-agent--recording (org-agent-record-traffic)))
           (with-temp-buffer
             (insert-file-contents file)
             (buffer-string)))
       (when org-agent--recording
         (org-agent--record-stop "the test is over"))
       (delete-directory directory t))))

(defun org-agent-traffic-tests-lines (text)
  "Return the lines of TEXT, read."
  (mapcar (lambda (line)
            (json-parse-string line :object-type 'plist :null-object nil
                               :false-object :json-false))
          (split-string text "\n" t)))

(ert-deftest org-agent-traffic-is-recorded-in-order ()
  (let* ((lines (org-agent-traffic-tests-lines
                 (org-agent-traffic-tests-recording nil
                   (should (= (file-modes file) #o600))
                   (should (string-search "RECORDING" org-agent--status))
                   (org-agent-fake-send "question ü")
                   (org-agent-fake-delta "turn-1" 1 "one ")
                   (org-agent-fake-insert "turn-1" 2 "one two")
                   (org-agent-fake-state "turn-1" 3 "done")
                   (org-agent--disconnect "it is over")
                   (accept-process-output nil 0.05)
                   (setq org-agent-fake-connection nil))))
         (kinds (mapcar (lambda (line) (list (plist-get line :direction)
                                             (plist-get line :kind)
                                             (plist-get line :method)))
                        lines)))
    (should (equal (plist-get (car lines) :org-agent-traffic) 1))
    (dolist (kind '(("out" "request" "orgAgent/event") ("in" "result" "orgAgent/event")
                    ("in" "notification" "orgAgent/delta") ("in" "request" "orgAgent/actuate")
                    ("out" "request" "orgAgent/actuated") ("in" "notification" "orgAgent/turn")
                    ("in" "died" nil)))
      (setq kinds (member kind kinds))
      (should kinds))
    (let ((ask (seq-find (lambda (line) (equal (plist-get line :method) "orgAgent/event")) lines)))
      (should (equal (plist-get (plist-get ask :body) :text) "question ü"))
      (should (numberp (plist-get ask :t))))
    (should-not org-agent--tap)
    (should-not (string-search "RECORDING" org-agent--status))))

(ert-deftest org-agent-traffic-has-no-keys ()
  (let* ((key org-agent-traffic-tests-key)
         (process-environment (cons (concat "MY_API_KEY=" key) process-environment))
         (half (/ (length key) 2))
         (text
          (org-agent-traffic-tests-recording nil
            (org-agent-fake-send (format "my key is %s, Bearer abcdefgh12345678, sk-proj-0123456789abcdef"
                                         key))
            ;; A stream may cut a key anywhere.
            (org-agent-fake-delta "turn-1" 1 (concat "so " (substring key 0 half)))
            (org-agent-fake-delta "turn-1" 2 (concat (substring key half) " is it, sk-12345"))
            (org-agent-fake-delta "turn-1" 3 "6789abcd and Bearer")
            (org-agent-fake-delta "turn-1" 4 " qwertyuiop99")
            (org-agent-fake-insert "turn-1" 5 (concat "Done: " key))
            (org-agent--notify 'orgAgent/output
                               (list :actuationId "a" :seq 1 :stream "stdout"
                                     :text "printed-by-a-command"))
            (org-agent-fake-shell "turn-1" 6 '(:cmd "date") :token "permit-me")
            (org-agent-fake-shell
             "turn-1" 7 (list :cmd "cat <<E\n-----BEGIN RSA PRIVATE KEY-----\nMIIsecret\n-----END RSA PRIVATE KEY-----\nE")
             :actuationId "act-2")
            ;; A new server is handed another key.
            (org-agent--record 'out 'request 900 'initialize
                               (list :initializationOptions
                                     (list :secrets
                                           (let ((table (make-hash-table :test #'equal)))
                                             (puthash "K" "handed-over-key-1" table)
                                             table))))
            (org-agent-fake-send "it was handed-over-key-1 then"))))
    (dolist (secret (list key (substring key half) "abcdefgh12345678" "0123456789abcdef"
                          "6789abcd" "qwertyuiop99" "printed-by-a-command" "permit-me"
                          "MIIsecret" "handed-over-key-1"))
      (should-not (string-search secret text)))
    (dolist (words '("my key is [left out]" "Done: [left out]" " is it, " "it was [left out] then"))
      (should (string-search words text)))
    ;; The pieces are the same stream still.
    (should (equal (apply #'concat
                          (mapcar (lambda (line) (plist-get (plist-get line :body) :text))
                                  (seq-filter (lambda (line)
                                                (equal (plist-get line :method) "orgAgent/delta"))
                                              (org-agent-traffic-tests-lines text))))
                   "so [left out] is it, [left out] and Bearer [left out]"))))

(ert-deftest org-agent-traffic-may-have-no-texts ()
  (let ((text (org-agent-traffic-tests-recording t
                (org-agent-fake-send "a private question")
                (org-agent-fake-delta "turn-1" 1 "a private ")
                (org-agent-fake-insert "turn-1" 2 "a private reply")
                (org-agent-fake-state "turn-1" 3 "failed" "a private reason"))))
    (should-not (string-search "private" text))
    (should (string-search "\"text\":\"[18 characters]\"" text))
    (should (string-search "\"state\":\"failed\"" text))
    (should (string-search "\"turnId\":\"turn-1\"" text))))

(ert-deftest org-agent-traffic-has-a-bound ()
  (let* ((org-agent--record-limit 5000)
         (text (org-agent-traffic-tests-recording nil
                 (dotimes (i 100)
                   (org-agent--record 'in 'notification nil 'orgAgent/delta
                                      (list :turnId (format "t%d" i) :attempt 1 :seq i
                                            :text (make-string 100 ?x)))
                   (org-agent--record 'in 'notification nil 'orgAgent/turn
                                      (list :turnId (format "t%d" i) :seq i)))
                 (should-not org-agent--recording)
                 (should-not org-agent--tap))))
    (should (< 5000 (length text) 6000))))

(ert-deftest org-agent-traffic-goes-to-a-new-file-here ()
  (let* ((directory (make-temp-file "org-agent" t))
         (file (expand-file-name "there" directory)))
    (unwind-protect
        (progn
          (write-region "mine" nil file nil 'silent)
          (should-error (org-agent--record-begin file nil))
          (should-not org-agent--recording)
          (should-not org-agent--tap)
          (should (equal (with-temp-buffer (insert-file-contents file) (buffer-string))
                         "mine"))
          (should-error (org-agent--record-begin "/ssh:box:/tmp/x" nil) :type 'user-error))
      (delete-directory directory t))))

;;;; Showing it

(defun org-agent-traffic-tests-play (text &optional function)
  "Play TEXT step by step, call FUNCTION at the end, and return the chat's text."
  (let ((file (make-temp-file "org-agent" nil ".jsonl")))
    (unwind-protect
        (save-window-excursion
          (write-region text nil file nil 'silent)
          (org-agent-replay-traffic file t)
          (let ((chat (current-buffer)))
            (while (org-agent--replay-step org-agent--replay))
            (prog1 (progn (when function (funcall function))
                          (with-current-buffer chat (buffer-string)))
              (set-buffer-modified-p nil)
              (kill-buffer chat))))
      (delete-file file))))

(ert-deftest org-agent-replay-shows-what-was-seen ()
  (let* (seen
         (text (org-agent-traffic-tests-recording nil
                 (org-agent-fake-send "question")
                 (org-agent-fake-delta "turn-1" 1 "one ")
                 (org-agent-fake-insert "turn-1" 2 "one two")
                 (org-agent-fake-state "turn-1" 3 "done")
                 (org-agent-fake-send "and then")
                 (org-agent-fake-delta "turn-2" 1 "it str")
                 (org-agent-fake-delta "turn-2" 2 "eams")
                 (setq seen (buffer-string)))))
    ;; There is no server, and none is started.
    (cl-letf (((symbol-function 'org-agent--connect)
               (lambda () (error "A server was started"))))
      (let* ((org-agent--ready nil)
             (org-agent--connection nil)
             (shown
              (org-agent-traffic-tests-play
               text
               (lambda ()
                 (let ((overlay (seq-find (lambda (overlay)
                                            (string-search "it streams"
                                                           (or (overlay-get overlay 'before-string) "")))
                                          (overlays-in (point-min) (point-max)))))
                   (should overlay))
                 (should (string-search "REPLAY" org-agent--replay-line))
                 (should-not (memq (current-buffer) (org-agent--chats)))
                 (goto-char (point-max))
                 (insert "hello")
                 (should-error (org-agent-send) :type 'user-error)
                 (delete-region (- (point-max) 5) (point-max))))))
        (should (equal (replace-regexp-in-string "replay-[0-9]+-" "" shown) seen))))))

(ert-deftest org-agent-replay-runs-nothing ()
  (let ((marker (make-temp-name (expand-file-name "ran" temporary-file-directory))))
    (cl-letf (((symbol-function 'org-agent--shell-run)
               (lambda (&rest _) (error "A command was run"))))
      (org-agent-traffic-tests-play
       (concat
        "{\"org-agent-traffic\":1}\n"
        "no json\n[1]\n{\"t\":1}\n{\"t\":0,\"kind\":\"notification\",\"direction\":\"in\",\"method\":5,\"body\":7}\n"
        "{\"t\":0,\"kind\":\"result\",\"direction\":\"in\",\"number\":3,\"method\":\"orgAgent/event\",\"body\":\"x\"}\n"
        (json-serialize
         `( :t 0 :direction "in" :kind "request" :method "orgAgent/actuate"
            :body ( :actuationId "a1" :turnId "t1" :sessionId "s1" :seq 1 :attempt 1
                    :decision "allow" :token "tok" :rule "r" :confined t :directory "/tmp"
                    :steps [(:argv ["touch" ,marker])]
                    :action ( :type "request" :target "shell"
                              :payload (:cmd ,(concat "touch " marker))))))
        "\n")
       (lambda ()
         (let ((card (org-agent--card-here)))
           (should card)
           (should-not (org-agent--card-token card))
           (should (eq (org-agent--card-state card) 'asking))
           (cl-letf ((org-agent--card-pause 0)
                     ((symbol-function 'yes-or-no-p) #'always))
             (should-error (org-agent-approve) :type 'user-error)
             ;; Nor from the window that shows it in full.
             (setf (org-agent--card-state card) 'asking)
             (org-agent--show-command card)
             (with-current-buffer "*org-agent command*"
               (should-error (org-agent-approve) :type 'user-error)))
           (should-not (org-agent--card-job card))))))
    (should-not (file-exists-p marker))))

(ert-deftest org-agent-replay-plays-by-itself ()
  (let ((text (org-agent-traffic-tests-recording nil
                (org-agent-fake-send "question")
                (org-agent-fake-insert "turn-1" 2 "the reply")
                (org-agent-fake-state "turn-1" 3 "done")))
        (file (make-temp-file "org-agent" nil ".jsonl"))
        (org-agent--replay-longest 0.01))
    (unwind-protect
        (save-window-excursion
          (write-region text nil file nil 'silent)
          (org-agent-replay-traffic file)
          (org-agent-fake-until (lambda () (string-search "the reply" (buffer-string))))
          (org-agent-fake-until (lambda () (not (org-agent--replay-timer org-agent--replay))))
          (set-buffer-modified-p nil)
          (kill-buffer))
      (delete-file file))))

(ert-deftest org-agent-replay-takes-no-other-file ()
  (should-error (org-agent-traffic-tests-play "{\"hello\":1}\n") :type 'user-error)
  (should-not (seq-find (lambda (buffer)
                          (string-match-p "org-agent replay" (buffer-name buffer)))
                        (buffer-list))))

(ert-deftest org-agent-traffic-of-the-real-server-can-be-shown ()
  (let* ((directory (make-temp-file "org-agent" t))
         (file (expand-file-name "traffic.jsonl" directory))
         (process-environment (cons (concat "CANARY_KEY=" org-agent-traffic-tests-key)
                                    process-environment))
         seen)
    (unwind-protect
        (progn
          (org-agent-real-with nil nil
            (org-agent--record-begin file nil)
            (org-agent-real-reply (concat "say " org-agent-traffic-tests-key))
            (setq seen (length (org-agent--all "OA_ACT")))
            (org-agent-record-traffic))
          (let ((text (with-temp-buffer (insert-file-contents file) (buffer-string))))
            (should (= seen 1))
            (should-not (string-search org-agent-traffic-tests-key text))
            (let ((shown (org-agent-traffic-tests-play text)))
              (should (string-search ":OA_ACT: replay-" shown))
              (should (string-search "say [left out]" shown)))))
      (when org-agent--recording (org-agent--record-stop "the test is over"))
      (delete-directory directory t))))

(provide 'org-agent-traffic-tests)
;;; org-agent-traffic-tests.el ends here
