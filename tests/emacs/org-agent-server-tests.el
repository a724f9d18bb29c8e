;;; org-agent-server-tests.el --- The line, and what dies on it  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Code:

(require 'org-agent-fake)

(ert-deftest org-agent-introduces-itself ()
  (org-agent-fake-with
    (let ((params (car (org-agent-fake-sent 'initialize))))
      (should (equal (plist-get (plist-get (plist-get params :capabilities)
                                           :experimental)
                                :orgAgent)
                     '( :version 1 :streaming t :reasoning t :steps t
                        :actuators ["insertAtEnd" "replaceRegion" "shell"])))
      (should (equal (mapcar #'car (last org-agent-fake-log 2))
                     '(initialized initialize))))))

(ert-deftest org-agent-loading-does-nothing ()
  (with-temp-buffer
    (call-process
     (or (getenv "EMACS") (expand-file-name invocation-name invocation-directory))
     nil '(t nil) nil
     "-Q" "--batch" "-L" (file-name-directory (locate-library "org-agent")) "--eval"
     (prin1-to-string
      '(progn
         (require 'org)
         (require 'jsonrpc)
         (let* ((state (lambda ()
                         (list (process-list) (buffer-list) timer-list
                               post-command-hook org-mode-hook
                               org-ctrl-c-ctrl-c-hook)))
                (before (funcall state)))
           (require 'org-agent)
           (princ (equal before (funcall state)))))))
    (should (equal (buffer-string) "t"))))

(ert-deftest org-agent-bad-messages-do-no-harm ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (let ((text (buffer-string)))
      (pcase-dolist
          (`(,method . ,params)
           '((orgAgent/turn)
             (orgAgent/turn :turnId 7 :sessionId nil :state [] :seq "1")
             (orgAgent/turn :turnId "turn-1" :sessionId "session-1" :seq 1 :state 5)
             (orgAgent/delta :turnId "turn-1" :attempt "1" :seq 1 :text "a")
             (orgAgent/delta :turnId "turn-1" :attempt 1 :seq -1 :text "a")
             (orgAgent/delta :turnId "turn-1" :attempt 1 :seq 1.5 :text "a")
             (orgAgent/delta :turnId "turn-1" :attempt 1 :seq 1 :text 5)
             (orgAgent/delta :turnId "nobody" :attempt 1 :seq 1 :text "a")
             (orgAgent/retract :turnId "turn-1")
             (orgAgent/unheard-of :a 1)
             (:died :reason "not from the wire")
             (window/showMessage :type 1 :message 5)))
        (apply #'org-agent-fake-tell method params))
      (org-agent-fake-settle)
      (should (equal (buffer-string) text))
      (should-not (org-agent-fake-shown "turn-1"))
      (pcase-dolist (`(,method ,params ,answer)
                     '((workspace/configuration (:items []) -32601)
                       (orgAgent/actuate (:action 5) (:accepted :json-false))
                       (orgAgent/abort (:actuationId "nobody") (:accepted t))))
        (let ((cell (apply #'org-agent-fake-ask method params)))
          (org-agent-fake-settle)
          (should (equal (if (numberp answer) (plist-get (car cell) :code)
                           (car cell))
                         answer))))
      ;; Actuations that cannot be carried out are reported as failed.
      (dolist (action '((:type "request" :target "emacs"
                         :payload (:action "eval" :text "(beep)"))
                        (:type "request" :target "emacs"
                         :payload (:action "insert-at-end" :text 5))
                        (:type "request" :target "shell" :payload (:cmd 5))
                        (:type "request" :target "moon" :payload nil)
                        (:type "log")))
        (setq org-agent-fake-log nil)
        (org-agent-fake-ask 'orgAgent/actuate :actuationId "a" :turnId "turn-1"
                            :sessionId "session-1" :seq 1 :action action
                            :decision "allow" :rule "r")
        (org-agent-fake-settle)
        (should (equal (mapcar (lambda (params) (plist-get params :status))
                               (org-agent-fake-sent 'orgAgent/actuated))
                       '("failed"))))
      (should (equal (buffer-string) text))
      ;; And the next good message is served.
      (org-agent-fake-delta "turn-1" 1 "fine")
      (should (equal (org-agent-fake-shown "turn-1")
                     "** ASSISTANT (not verified)\nfine\n")))))

(ert-deftest org-agent-failing-handler-holds-nothing-up ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (cl-letf* ((fail t)
               (show (symbol-function 'org-agent--preview-add))
               ((symbol-function 'org-agent--preview-add)
                (lambda (turn text)
                  (when fail (setq fail nil) (error "Broken"))
                  (funcall show turn text))))
      (org-agent-fake-tell 'orgAgent/delta :turnId "turn-1" :attempt 1 :seq 1 :text "a")
      (org-agent-fake-delta "turn-1" 2 "b"))
    (should (equal (org-agent-fake-shown "turn-1")
                   "** ASSISTANT (not verified)\nb\n"))
    (should (equal org-agent-fake-errors '((error "Broken"))))
    (setq org-agent-fake-errors nil)))

(ert-deftest org-agent-text-of-a-model-is-never-read ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (let ((text "#.(setq org-agent-tests-read t) `,(beep) %s \\[beep] ?\\C-a"))
      (org-agent-fake-delta "turn-1" 1 text)
      (org-agent-fake-insert "turn-1" 2 text)
      (should (equal (buffer-string)
                     (org-agent-fake-layout (list 1 "question" text))))
      (should-not (boundp 'org-agent-tests-read)))))

;;;; Refusals

(ert-deftest org-agent-refused-prompt-stays ()
  (org-agent-fake-with
    (let ((refuse (lambda (_) (org-agent-fake-refuse "overloaded"))))
      (push (cons 'orgAgent/event refuse) org-agent-fake-answers)
      (org-agent-fake-send "question")
      (should (equal (buffer-string) "* USER\nquestion"))
      (should-not mode-line-process)
      ;; What was refused is another message when it is sent again.
      (org-agent-fake-send "")
      (let ((ids (mapcar (lambda (params) (plist-get params :clientId))
                         (org-agent-fake-sent 'orgAgent/event))))
        (should (= 2 (length ids) (length (seq-uniq ids)))))
      (setq org-agent-fake-answers nil)
      (org-agent-fake-send " again")
      (should (equal (buffer-string)
                     (org-agent-fake-layout '(1 "question again")))))))

(ert-deftest org-agent-missing-server-is-told-and-nothing-lost ()
  (dolist (spawn (list (lambda () (error "No such program"))
                       ;; It starts, and ends without a word.
                       (lambda () (make-process :name "dead" :command '("false")
                                                :connection-type 'pipe))
                       ;; It starts, and says nothing, or never ends to.
                       (lambda () (make-process :name "mute" :command '("sleep" "1000")
                                                :noquery t :connection-type 'pipe))
                       (lambda () (make-process :name "yes" :command '("yes")
                                                :noquery t :connection-type 'pipe))
                       ;; It starts, and is not what it should be.
                       (lambda () (make-process :name "cat" :noquery t
                                                :command '("sh" "-c" "echo; exit 3")
                                                :connection-type 'pipe))))
    (org-agent-fake-with
      (org-agent--disconnect "test")
      (org-agent-fake-until (lambda () (not org-agent--connection)))
      (cl-letf* ((said nil)
                 (org-agent--start-time 0.5)
                 ((symbol-function 'org-agent--spawn) spawn)
                 ((symbol-function 'message)
                  (lambda (&rest args)
                    (push (apply #'format-message args) said))))
        (goto-char (point-max))
        (insert "question")
        (org-agent-send)
        (org-agent-fake-until (lambda () (not org-agent--sending)))
        (should (equal (buffer-string) "* USER\nquestion"))
        (should-not org-agent--ready)
        (should-not org-agent--waiting)
        (should (seq-some
                 (apply-partially #'string-prefix-p
                                  "org-agent: not sent, your text is still there")
                 said))))))

(ert-deftest org-agent-program-is-found-or-the-user-helped ()
  (let* ((directory (make-temp-file "org-agent" t))
         (file (expand-file-name "server" directory))
         (said (lambda (program)
                 (let ((org-agent-program program))
                   (condition-case problem
                       (org-agent--executable)
                     (user-error (error-message-string problem)))))))
    (unwind-protect
        (progn
          ;; What to do goes before where it was looked for.
          (should (string-match-p
                   "No program .*\\.  Install org-agent with .*\\.  (Looked at: .*(not there))\\'"
                   (funcall said file)))
          (write-region "" nil file nil 'silent)
          (should (string-match-p "not executable" (funcall said file)))
          (set-file-modes file #o700)
          (should (equal (funcall said file) file))
          (should (equal (funcall said "sh") (executable-find "sh"))))
      (delete-directory directory t))))

(ert-deftest org-agent-why-is-asked-of-replies-and-prompts ()
  (org-agent-fake-with
    (should-error (org-agent-why) :type 'user-error)
    (org-agent-fake-send "question")
    (org-agent-fake-send "cancelled")
    (org-agent-fake-insert "turn-1" 2 "reply")
    (dolist (text '("question" "reply" "cancelled"))
      (goto-char (point-min))
      (search-forward text)
      (save-window-excursion (org-agent-why) (org-agent-fake-settle)))
    (should (equal (org-agent-fake-sent 'orgAgent/why)
                   '((:turnId "turn-1" :format "org")
                     (:actuationId "act-turn-1" :format "org")
                     (:turnId "turn-2" :format "org"))))
    (goto-char (point-max))
    (should-error (org-agent-why) :type 'user-error)))

(ert-deftest org-agent-doctor-writes-once-from-anywhere ()
  (org-agent-fake-with
    (let ((default-directory (expand-file-name "gone" org-agent-fake-directory))
          (org-agent-program (expand-file-name "server" org-agent-fake-directory))
          (text (lambda ()
                  (with-current-buffer "*org-agent doctor*" (buffer-string)))))
      (write-region "#!/bin/sh\necho $1\n" nil org-agent-program nil 'silent)
      (set-file-modes org-agent-program #o700)
      (save-window-excursion (org-agent-doctor) (org-agent-doctor))
      (org-agent-fake-until
       (lambda () (and (string-search "doctor" (funcall text))
                       (not (get-buffer-process "*org-agent doctor*")))))
      (should (= 1 (cl-count "doctor" (split-string (funcall text) "\n")
                             :test #'equal)))
      (kill-buffer "*org-agent doctor*"))))

(ert-deftest org-agent-another-protocol-is-refused ()
  (org-agent-fake-with
    (org-agent--disconnect "test")
    (setq org-agent-fake-connection nil)
    (dolist (result (list (make-hash-table)
                          '(:capabilities (:experimental (:orgAgent (:version 2))))))
      (setq org-agent-fake-answers `((initialize . ,(lambda (_) result))))
      (let (problem)
        (org-agent--request 'orgAgent/models/list nil #'ignore
                            (lambda (words _) (setq problem words)))
        (org-agent-fake-until (lambda () problem))
        (should (string-match-p "protocol" problem))
        (should-not org-agent--connection)
        (setq org-agent-fake-connection nil)))))

(ert-deftest org-agent-lost-session-is-begun-anew ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (push (cons 'orgAgent/event
                (lambda (params)
                  (if (equal (plist-get params :sessionId) "session-1")
                      (org-agent-fake-refuse "not_found")
                    ;; There may be older ones of this buffer.
                    (should (equal (plist-get params :sessionId) "session-2"))
                    '( :eventId "event-2" :sessionId "session-2" :turnId "turn-2"
                       :lamport 1 :duplicate :json-false))))
          org-agent-fake-answers)
    (org-agent-fake-send "second")
    (should (equal (org-agent--prompt) "second"))
    (org-agent-fake-send "")
    (org-agent-fake-settle)
    (should (equal (buffer-string)
                   (replace-regexp-in-string
                    "session-1" "session-2"
                    (org-agent-fake-layout '(1 "question") '(2 "second")))))
    (org-agent-fake-insert "turn-2" 1 "reply" nil "session-2")
    (should (string-search "second\n** ASSISTANT" (buffer-string)))))

;;;; Death

(ert-deftest org-agent-death-during-a-turn ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-fake-state "turn-1" 1 "streaming")
    (org-agent-fake-delta "turn-1" 9 "some preview")
    (let ((text (buffer-string)))
      (org-agent-fake-die)
      (should (equal (buffer-string) text))
      (should (string-match-p "\\`This turn ended: the server ended"
                              (org-agent-fake-shown "turn-1")))
      (should-not mode-line-process)
      (setq org-agent-fake-answers
            `((orgAgent/sessions/resume
               . ,(lambda (params)
                    (list :sessionId (plist-get params :sessionId)
                          :actuations [] :resumed [] :live []
                          :interrupted [(:turnId "turn-1" :eventId "event-1")])))))
      ;; The next message brings the server back.
      (org-agent-fake-send "and now?")
      (org-agent-fake-settle)
      (should (equal (org-agent-fake-sent 'orgAgent/sessions/resume)
                     '((:sessionId "session-1" :applied [] :turns []))))
      (should (string-match-p "interrupted" (org-agent-fake-shown "turn-1")))
      (should (equal (buffer-string)
                     (org-agent-fake-layout '(1 "question") '(2 "and now?"))))
      (org-agent-fake-insert "turn-2" 1 "still here")
      (should (equal (buffer-string)
                     (org-agent-fake-layout '(1 "question")
                                            '(2 "and now?" "still here"))))
      ;; What was interrupted runs again as another turn, under its prompt.
      (setq org-agent-fake-answers
            `((orgAgent/sessions/resume
               . ,(lambda (params)
                    (if (equal (plist-get params :turns) [])
                        (list :sessionId (plist-get params :sessionId)
                              :actuations [] :resumed [] :live []
                              :interrupted [(:turnId "turn-1" :eventId "event-1")])
                      (should (equal (plist-get params :turns) ["turn-1"]))
                      (list :sessionId (plist-get params :sessionId)
                            :actuations [] :interrupted []
                            :resumed [(:from "turn-1" :turnId "turn-9")]
                            :live ["turn-9"]))))))
      ;; With a prefix argument it is let go, and asked about no more.
      (let ((answers org-agent-fake-answers))
        (setq org-agent-fake-answers
              `((orgAgent/sessions/resume
                 . ,(lambda (params)
                      (should (equal (plist-get params :turns) []))
                      (should (member (plist-get params :drop)
                                      '(nil ["turn-1"])))
                      (list :sessionId (plist-get params :sessionId)
                            :actuations [] :resumed [] :live []
                            :interrupted
                            (if (plist-get params :drop) []
                              [(:turnId "turn-1" :eventId "event-1")]))))))
        (org-agent-retry t)
        (org-agent-fake-settle)
        (org-agent-fake-settle)
        (should-not (org-agent-fake-shown "turn-1"))
        (setq org-agent-fake-answers answers))
      (org-agent-retry)
      (org-agent-fake-settle)
      (org-agent-fake-settle)
      (should-not (org-agent-fake-shown "turn-1"))
      (org-agent-fake-insert "turn-9" 1 "late" "act-turn-1")
      (should (equal (buffer-string)
                     (org-agent-fake-layout '(1 "question" "late")
                                            '(2 "and now?" "still here")))))))

;; The server is asked to end, and another one is not started before it has:
;; it could not have the sessions of the first.
(ert-deftest org-agent-a-turn-of-an-earlier-emacs-is-answered-in-its-place ()
  (org-agent-fake-with
    (org-agent-fake-send "one")
    (org-agent-fake-send "two")
    (org-agent-fake-state "turn-9" 1 "streaming")
    (org-agent-fake-delta "turn-9" 2 "ei")
    (push (cons 'orgAgent/sessions/resume
                (lambda (_)
                  '( :sessionId "session-1" :actuations [] :missing []
                     :interrupted [] :resumed [] :live ["turn-9"]
                     :events [(:turnId "turn-9" :mark "event-1")])))
          org-agent-fake-answers)
    (org-agent--resume)
    (org-agent-fake-settle)
    (should (org-agent--below-p
             (overlay-start (org-agent--turn-overlay (org-agent--turn "turn-9")))
             "event-1"))
    (org-agent-fake-insert "turn-9" 3 "eins" "act-turn-1")
    (should (equal (buffer-string)
                   (org-agent-fake-layout '(1 "one" "eins") '(2 "two"))))))

(ert-deftest org-agent-server-is-shut-down-in-order ()
  (dolist (stubborn '(nil t))
    (org-agent-fake-with
      (org-agent-fake-send "question")
      (let ((org-agent--shutdown-time (if stubborn 0.2 1000))
            (first org-agent-fake-connection)
            (process org-agent--process)
            (old org-agent--connection)
            (said nil))
        (setq org-agent-fake-stubborn stubborn)
        (cl-letf (((symbol-function 'message)
                   (lambda (format &rest args)
                     (when (and format (not inhibit-message))
                       (push (apply #'format-message format args) said)))))
          (let ((inhibit-message nil))
            (org-agent-restart)
            (should-not org-agent--connection)
            ;; What it still says is about turns that were given up here.
            (org-agent--receive old 'orgAgent/turn
                                '( :turnId "turn-1" :sessionId "session-1"
                                   :seq 9 :state "streaming"))
            (should (equal '(:accepted :json-false)
                           (org-agent--receive-request
                            old 'orgAgent/actuate '(:actuationId "late"))))
            (should (eq org-agent-fake-connection first))
            (org-agent-fake-until (lambda () org-agent--ready))
            (org-agent-fake-settle)))
        (should-not (eq org-agent-fake-connection first))
        (should-not (process-live-p process))
        (should-not org-agent--ending)
        (should (equal (seq-filter (lambda (method)
                                     (memq method '(shutdown exit initialize)))
                                   (mapcar #'car (reverse org-agent-fake-log)))
                       '(initialize shutdown exit initialize)))
        (should (= 0 (org-agent--turn-seq (org-agent--turn "turn-1"))))
        (should (equal (reverse said)
                       '("org-agent: the server is restarted"
                         "org-agent: the server is there")))))))

(ert-deftest org-agent-waiting-turn-goes-on-after-a-death ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-fake-state "turn-1" 5 "accepted")
    (org-agent-fake-die)
    (setq org-agent-fake-answers
          `((orgAgent/sessions/resume
             . ,(lambda (params)
                  (list :sessionId (plist-get params :sessionId)
                        :actuations [] :interrupted [] :resumed []
                        :live ["turn-1"])))))
    (org-agent-restart)
    (org-agent-fake-until (lambda () org-agent--ready))
    (org-agent-fake-settle)
    (should (equal mode-line-process " [queued]"))
    ;; The new server counts from 1.
    (org-agent-fake-delta "turn-1" 1 "text")
    (should (equal (org-agent-fake-shown "turn-1")
                   "** ASSISTANT (not verified)\ntext\n"))))

(ert-deftest org-agent-missed-inserts-arrive-once ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-fake-insert "turn-1" 2 "reply")
    (org-agent-fake-send "second")
    (org-agent-fake-die)
    (let ((missed (lambda (turn text)
                    `( :actuationId ,(concat "act-" turn) :turnId ,turn
                       :sessionId "session-1" :attempt 1 :seq 0 :sexp ""
                       :decision "allow" :rule "r"
                       :action ( :type "request" :target "emacs"
                                 :payload (:action "insert-at-end"
                                           :buffer "b" :text ,text))))))
      (setq org-agent-fake-answers
            `((orgAgent/sessions/resume
               . ,(lambda (params)
                    (should (equal (plist-get params :applied) ["act-turn-1"]))
                    (list :sessionId "session-1" :interrupted [] :resumed []
                          :live []
                          ;; The first is there already.
                          :actuations (vector (funcall missed "turn-1" "reply")
                                              (funcall missed "turn-2" "missed")
                                              (funcall missed "turn-2" "missed"))))))))
    (org-agent-restart)
    (org-agent-fake-until (lambda () org-agent--ready))
    (org-agent-fake-settle)
    (should (equal (buffer-string)
                   (org-agent-fake-layout '(1 "question" "reply")
                                          '(2 "second" "missed"))))))

(ert-deftest org-agent-unacknowledged-prompt-is-sent-again ()
  (dolist (edit (list #'ignore (lambda () (insert "!"))))
    (org-agent-fake-with
      ;; The server takes the event and dies before it can answer.
      (setq org-agent-fake-mute t)
      (goto-char (point-max))
      (insert "question")
      (org-agent-send)
      (org-agent-fake-until (lambda () (org-agent-fake-sent 'orgAgent/event)))
      (org-agent-fake-die)
      (setq org-agent-fake-mute nil)
      (org-agent-fake-until (lambda () (not org-agent--sending)))
      (should (equal (buffer-string) "* USER\nquestion"))
      (setq org-agent-fake-answers
            `((orgAgent/event
               . ,(lambda (params)
                    (list :eventId "event-1" :sessionId "session-1"
                          :turnId "turn-1" :lamport 1
                          :duplicate (if (equal (plist-get params :text) "question")
                                         t :json-false))))))
      (funcall edit)
      (org-agent-restart)
      (org-agent-fake-until (lambda () org-agent--ready))
      (org-agent-fake-settle)
      (let ((ids (mapcar (lambda (params) (plist-get params :clientId))
                         (org-agent-fake-sent 'orgAgent/event))))
        (should (= 2 (length ids)))
        (should (equal (car ids) (cadr ids))))
      (should (equal (buffer-string)
                     (concat (org-agent-fake-layout '(1 "question"))
                             (if (eq edit #'ignore) "" "!")))))))

(ert-deftest org-agent-reply-waits-for-its-prompt ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-fake-insert "turn-1" 1 "reply")
    (let (answer)
      (cl-letf (((symbol-function 'org-agent--request)
                 (lambda (_method _params then &rest _) (setq answer then))))
        (goto-char (point-max))
        (insert "second")
        (org-agent-send))
      (org-agent-fake-insert "turn-2" 1 "too early")
      (should-not (string-search "too early" (buffer-string)))
      (funcall answer '( :eventId "event-2" :sessionId "session-1"
                         :turnId "turn-2" :lamport 2 :duplicate t))
      (org-agent-fake-settle)
      (should (equal (buffer-string)
                     (org-agent-fake-layout '(1 "question" "reply")
                                            '(2 "second" "too early")))))))

(provide 'org-agent-server-tests)
;;; org-agent-server-tests.el ends here
