;;; org-agent-models-tests.el --- Choosing models, and what they cost  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; With the real server where one could be wrong about it, and with the
;; one of the tests for what the real one does not do.

;;; Code:

(require 'org-agent-real)

;;;; Choosing

(ert-deftest org-agent-model-is-chosen-in-the-middle-of-a-chat ()
  (org-agent-real-with `(("replay" . ,(concat org-agent-tests-replay
                                              org-agent-tests-replay))
                         ("config.toml" . ,org-agent-tests-config))
      '("ORG_AGENT_MODEL=replay:HOME/replay")
    (should (string-search "replay" org-agent--in-sight))
    (org-agent-real-reply "One?")
    (should (string-search "Hello." (buffer-string)))
    (let ((names (org-agent-real-choose "offline")))
      (should (equal names '("replay" "here" "keyed" "offline"
                             "(the configured one)"))))
    (should (equal org-agent--in-sight " offline · the last reply is of replay \
· 1,234 tokens in, 56 out"))
    (org-agent-real-reply "Two?")
    (should (string-search "no language model" (buffer-string)))
    (should (string-search "offline" org-agent--in-sight))
    (should-not (string-search "replay" org-agent--in-sight))
    ;; Back to the configured one, by a prefix argument and by the list.
    (let ((current-prefix-arg '(4)))
      (call-interactively #'org-agent-model))
    (dotimes (_ 3) (org-agent-fake-settle))
    (should (string-search " replay" org-agent--in-sight))
    (org-agent-real-choose "here")
    (should (string-search " here" org-agent--in-sight))
    (org-agent-real-choose org-agent--model-configured)
    (should (string-search " replay" org-agent--in-sight))
    (org-agent-real-reply "Three?")
    (should (= 2 (how-many "^Hello\\.$" (point-min) (point-max))))))

(ert-deftest org-agent-model-is-chosen-before-the-first-message ()
  (org-agent-real-with `(("replay" . ,org-agent-tests-replay))
      '("ORG_AGENT_MODEL=replay:HOME/replay")
    (should-not org-agent--session)
    (org-agent-real-choose "offline")
    (should org-agent--session)
    (should (equal (buffer-string) "* USER\n"))
    (should (string-search "offline" org-agent--in-sight))
    (org-agent-real-reply "One?")
    (should (string-search "no language model" (buffer-string)))
    ;; Another chat is not this one.
    (let ((first (current-buffer)))
      (org-agent-chat t)
      (dotimes (_ 2) (org-agent-fake-settle))
      (should (string-search "replay" org-agent--in-sight))
      (org-agent-real-reply "Two?")
      (should (string-search "Hello." (buffer-string)))
      (with-current-buffer first
        (should (string-search "offline" org-agent--in-sight))
        (should-not (string-search "Hello." (buffer-string)))))))

(ert-deftest org-agent-model-that-cannot-be-asked-is-not-chosen ()
  (org-agent-real-with `(("config.toml" . ,org-agent-tests-config)) nil
    (let ((said (org-agent-tests-said (org-agent-real-choose "keyed"))))
      (should (= 1 (length said)))
      (should (string-match-p "the model stays as it is: .*CANARY_KEY" (car said))))
    (should (string-search " here" org-agent--in-sight))
    (org-agent-real-choose "offline")
    (should (string-search " offline" org-agent--in-sight))
    ;; It is found from the transcript in another buffer, too.
    (org-agent-real-reply "One?")
    (let ((text (buffer-string))
          (chat (current-buffer)))
      (with-temp-buffer
        (insert text)
        (org-mode)
        (goto-char (point-min))
        (search-forward "One?")
        (org-agent-real-choose "here"))
      (with-current-buffer chat
        (should (string-search " here" org-agent--in-sight)))
      (with-temp-buffer
        (should-error (org-agent-model) :type 'user-error)))))

(ert-deftest org-agent-model-notes-say-what-it-is ()
  (dolist (case '(((:name "a" :model "m" :provider "OpenAI" :local :json-false
                    :price (:input 2.5 :cached nil :output 10))
                   "  OpenAI, m, $2.5 in, $10 out a million tokens")
                  ((:name "a" :model "a" :local t :default t)
                   "  on this machine, configured")
                  ((:name "a" :problem "no\nkey") "  cannot be asked: no key")
                  ((:name "o/l" :found t) "  found, asks you first")
                  (nil "")))
    (should (equal (org-agent--model-note (car case)) (cadr case)))))

(defun org-agent-tests-models (&rest items)
  "Let the fake server have the models ITEMS."
  (push (cons 'orgAgent/models/list
              (lambda (_) (list :items (vconcat items) :nextCursor nil)))
        org-agent-fake-answers))

(ert-deftest org-agent-found-server-is-used-after-a-yes-only ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-tests-models
     '(:name "offline" :default t :selected t :found :json-false)
     '( :name "ollama/llama3.2" :provider "Ollama" :found t :local t
        :baseUrl "http://localhost:11434/v1"))
    (let (question)
      (cl-letf (((symbol-function 'yes-or-no-p)
                 (lambda (prompt) (setq question prompt) nil)))
        (should-error (org-agent-real-choose "ollama/llama3.2") :type 'user-error)
        (should-not (org-agent-fake-sent 'orgAgent/models/select))
        (should (equal question "What you and the agent say will be sent to the server \
at http://localhost:11434/v1 (Ollama), here and wherever no other model is configured.  \
Let it answer? "))
        ;; Others are not asked about.
        (setq question nil)
        (org-agent-real-choose "offline")
        (should-not question))
      (cl-letf (((symbol-function 'yes-or-no-p) (lambda (_) t)))
        (org-agent-real-choose "ollama/llama3.2")))
    (should (equal (org-agent-fake-sent 'orgAgent/models/select)
                   '((:sessionId "session-1" :name "offline")
                     (:sessionId "session-1" :name "ollama/llama3.2" :remember t))))
    (should (seq-find (lambda (params) (equal params '( :look t :limit 500
                                                        :sessionId "session-1")))
                      (org-agent-fake-sent 'orgAgent/models/list)))))

(defconst org-agent-tests-said-yes
  (concat "data: {\"choices\":[{\"delta\":{\"content\":\"(:type :request :target :emacs"
          " :payload (:action :insert-at-end :buffer \\\"*org-agent-chat*\\\""
          " :text \\\"From the llama.\\\"))\"}}]}\n\n"
          "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
          "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":100}}\n\n"
          "data: [DONE]\n\n")
  "A streamed reply, with what it took.")

(defun org-agent-tests-llama (heard)
  "Return a server like Ollama; HEARD is called with each whole request."
  (make-network-process
   :name "llama" :server t :host 'local :service t :family 'ipv4 :noquery t
   :coding 'binary
   :log (lambda (_server process _) (set-process-query-on-exit-flag process nil))
   :filter
   (lambda (process text)
     (let ((all (concat (process-get process 'text) text)))
       (process-put process 'text all)
       (when (and (string-match "\r\n\r\n" all)
                  (<= (let ((body (match-end 0)))
                        (+ body (if (string-match "content-length: *\\([0-9]+\\)" all)
                                    (string-to-number (match-string 1 all))
                                  0)))
                      (length all)))
         (process-put process 'text "")
         (funcall heard all)
         (let ((body (cond
                      ((string-search "POST /v1/chat/completions" all)
                       org-agent-tests-said-yes)
                      ((string-search "/v1/models" all)
                       (concat "{\"object\":\"list\",\"data\":[{\"id\":\"llama3.2\","
                               "\"object\":\"model\",\"owned_by\":\"library\"}]}"))
                      (t "{\"version\":\"0.1\"}"))))
           (process-send-string
            process (format "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n\
Content-Length: %d\r\n\r\n%s"
                            (if (string-prefix-p "data:" body) "text/event-stream"
                              "application/json")
                            (length body) body))))))))

(defun org-agent-tests-offered (key)
  "Return the values of KEY of what the server offers."
  (let (items)
    (org-agent--request 'orgAgent/models/list '(:look t)
                        (lambda (result) (setq items (plist-get result :items))))
    (org-agent-fake-until (lambda () items) "the models")
    (mapcar (lambda (item) (plist-get item key)) items)))

(ert-deftest org-agent-server-on-this-machine-is-found-and-asked-after-a-yes ()
  (let* (chats
         (server (org-agent-tests-llama
                  (lambda (request)
                    (when (string-search "chat/completions" request)
                      (push request chats))))))
    (unwind-protect
        (org-agent-real-with nil
            (list (format "ORG_AGENT_LOCAL_PORTS=ollama=%d"
                          (process-contact server :service)))
          (skip-unless (seq-some #'identity (org-agent-tests-offered :found)))
          (org-agent-real-reply "Secret?")
          (cl-letf (((symbol-function 'yes-or-no-p) (lambda (_) nil)))
            (should-error (org-agent-real-choose "ollama/llama3.2") :type 'user-error))
          (org-agent-real-reply "And now?")
          (should-not chats)
          (cl-letf (((symbol-function 'yes-or-no-p) (lambda (_) t)))
            (should (member "ollama/llama3.2" (org-agent-real-choose "ollama/llama3.2"))))
          (should (string-search "ollama/llama3.2" org-agent--in-sight))
          (org-agent-real-reply "Hello?")
          (should (= 1 (length chats)))
          (should (string-search "From the llama." (buffer-string)))
          ;; That was said once and for all.
          (cl-letf (((symbol-function 'yes-or-no-p) (lambda (_) (error "Asked again"))))
            (org-agent-real-choose "offline")
            (org-agent-real-choose "ollama/llama3.2")))
      (delete-process server))))

;; $2.5 and $10 a million.  An older server does not say what a turn cost.
(ert-deftest org-agent-cost-of-the-real-server-is-in-sight ()
  (let ((server (org-agent-tests-llama #'ignore)))
    (unwind-protect
        (org-agent-real-with
            `(("config.toml"
               . ,(string-replace "127.0.0.1:9/"
                                  (format "127.0.0.1:%d/"
                                          (process-contact server :service))
                                  org-agent-tests-config)))
            nil
          (org-agent-real-reply "Hello?")
          (should (string-search "From the llama." (buffer-string)))
          (should (equal org-agent--in-sight
                         (concat " here · 1,000 tokens in, 100 out"
                                 (and (plist-get org-agent--usage :cost) " · $0.0035"))))
          (skip-unless (plist-get org-agent--usage :cost)))
      (delete-process server))))

(ert-deftest org-agent-older-server-has-no-models-and-says-so ()
  (org-agent-fake-with
    (push (cons 'orgAgent/models/list
                (lambda (_) (jsonrpc-error :code -32601 :message "Method not found")))
          org-agent-fake-answers)
    (org-agent-fake-send "question")
    (should (equal (org-agent-tests-said
                     (should (string-match-p
                              "No model can be chosen: Method not found.*older"
                              (cadr (should-error (org-agent-model) :type 'user-error)))))
                   nil))
    (push (cons 'orgAgent/models/select
                (lambda (_) (jsonrpc-error :code -32601 :message "Method not found")))
          org-agent-fake-answers)
    (should (string-match-p "the model stays as it is: Method not found"
                            (car (org-agent-tests-said
                                   (org-agent-model t)
                                   (org-agent-fake-settle)))))
    ;; The chat goes on.
    (org-agent-fake-insert "turn-1" 1 "reply")
    (org-agent-fake-state "turn-1" 2 "done")
    (should (string-search "reply" (buffer-string)))))

(ert-deftest org-agent-models-of-a-server-that-is-silent-are-not-waited-for ()
  (org-agent-fake-with
    (let ((org-agent--model-time 0.2))
      (setq org-agent-fake-mute t)
      (should (string-search "try again" (cadr (should-error (org-agent-model)
                                                             :type 'user-error))))
      (setq org-agent-fake-mute nil))))

(ert-deftest org-agent-model-of-a-killed-chat-is-nobodys ()
  (org-agent-fake-with
    (org-agent-tests-models '(:name "a" :default t :selected t))
    ;; Before it had a session, and with one.
    (dolist (text '(nil "question"))
      (org-agent-chat t)
      (when text (org-agent-fake-send text))
      (let ((buffer (current-buffer)))
        (org-agent-model t)
        (org-agent-fake-state "turn-1" 1 "done")
        (set-buffer-modified-p nil)
        (kill-buffer buffer)
        (dotimes (_ 3) (org-agent-fake-settle))
        (should-not (buffer-live-p buffer))))))

;;;; In sight

(ert-deftest org-agent-usage-is-in-sight ()
  (org-agent-fake-with
    (org-agent-tests-models '(:name "a%d" :model "m" :default t :selected t))
    (push (cons 'orgAgent/sessions/messages
                (lambda (params)
                  (should (equal params '(:sessionId "session-1" :last t :limit 50)))
                  '(:items [( :role "assistant"
                              :metadata ( :turn "turn-1" :model "m"
                                          :tokens (:prompt 1000 :completion 20)
                                          :cost 0.25))])))
          org-agent-fake-answers)
    (org-agent-fake-send "question")
    (org-agent-fake-settle)
    (should (equal header-line-format
                   '("" org-agent--sign org-agent--status org-agent--in-sight)))
    (should (equal org-agent--in-sight " a%d"))
    (org-agent-fake-insert "turn-1" 1 "reply")
    (org-agent-fake-state "turn-1" 2 "done")
    (org-agent-fake-settle)
    (should (equal org-agent--in-sight " a%d · 1,000 tokens in, 20 out · $0.25"))))

(ert-deftest org-agent-usage-is-that-of-the-whole-turn ()
  (let ((earlier '(:metadata (:turn "t-0" :model "m" :tokens (:prompt 9) :cost 9)))
        (outcome '(:metadata (:turn "t" :kind "outcome"))))
    ;; As servers say it by turn, and as older ones do by call.
    (should (equal (org-agent--usage-of
                    "t" (list earlier
                              '(:metadata ( :turn "t" :model "a" :tokens (:prompt 1)
                                            :turnTokens (:prompt 3 :completion 4)
                                            :turnCost 0.5))
                              outcome
                              '(:metadata ( :turn "t" :model "b" :tokens (:prompt 1)
                                            :turnTokens ( :prompt 5 :completion 6
                                                          :estimated t)
                                            :turnCost 0.75))))
                   '(:model "b" :in 5 :out 6 :estimated t :cost 0.75)))
    (should (equal (org-agent--usage-of
                    "t" (list earlier
                              '(:metadata ( :turn "t" :model "a" :cost 0.5
                                            :tokens (:prompt 3 :completion 4)))
                              outcome
                              '(:metadata ( :turn "t" :model "b" :cost nil
                                            :tokens (:prompt 5 :completion nil)))))
                   '(:model "b" :in 8 :out 4 :estimated nil :cost 0.5)))
    (should-not (org-agent--usage-of "t" (list earlier outcome)))
    (should (equal (org-agent--model-words
                    nil '(:model "b" :in 1234 :out nil :estimated t :cost 0))
                   "the last reply is of b · about 1,234 tokens in, ? out · $0.00"))))

(ert-deftest org-agent-money-is-readable ()
  (dolist (case '((0 "$0.00") (0.000001 "$0.000001") (0.0015 "$0.0015")
                  (0.01 "$0.01") (1.234567 "$1.23")))
    (should (equal (org-agent--dollars (car case)) (cadr case)))))

(ert-deftest org-agent-header-line-of-others-stays ()
  (org-agent-fake-with
    (let ((hook (lambda () (setq-local header-line-format "mine"))))
      (unwind-protect
          (progn (add-hook 'org-mode-hook hook)
                 (org-agent-chat t)
                 (should (equal header-line-format "mine")))
        (remove-hook 'org-mode-hook hook)))
    (let ((org-agent-header-line nil))
      (org-agent-chat t)
      (should-not header-line-format))))

(defun org-agent-tests-refusing ()
  "Return a model's server that always says it has too much to do."
  (make-network-process
   :name "refusing" :server t :host 'local :service t :family 'ipv4 :noquery t
   :log (lambda (_server process _) (set-process-query-on-exit-flag process nil))
   :filter (lambda (process _)
             (process-send-string process "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"))))

;; It is tried again, and then another model is asked.
(ert-deftest org-agent-retries-and-fallbacks-are-told ()
  (let ((server (org-agent-tests-refusing)))
    (unwind-protect
        (org-agent-tests-refused
         (string-replace "127.0.0.1:9/"
                         (format "127.0.0.1:%d/" (process-contact server :service))
                         org-agent-tests-config))
      (delete-process server))))

(defun org-agent-tests-refused (config)
  "Ask a model by CONFIG that refuses, and check what is told meanwhile."
  (org-agent-real-with `(("config.toml" . ,config)) nil
    (should (string-search " here" org-agent--in-sight))
    (let* (told
           (set-state (symbol-function 'org-agent--set-state)))
      (cl-letf (((symbol-function 'org-agent--set-state)
                 (lambda (turn state &optional reason)
                   (funcall set-state turn state reason)
                   (org-agent--show turn)
                   (push (list mode-line-process
                               (org-agent-fake-shown (org-agent--turn-id turn)))
                         told))))
        (org-agent-real-reply "One?"))
      (dolist (reason '("trying again in 1 s, 1 of 2: " "asking offline instead of here: "))
        (should (seq-find
                 (pcase-lambda (`(,state ,shown))
                   (and shown
                        (string-prefix-p (concat " [thinking: " reason) state)
                        (string-prefix-p (concat "thinking: " reason) shown)))
                 told)))
      (should (equal (car told) '(nil nil))))
    (dotimes (_ 2) (org-agent-fake-settle))
    (should-not mode-line-process)
    (should (string-prefix-p " here · the last reply is of offline" org-agent--in-sight))))

(ert-deftest org-agent-reasons-are-one-short-line ()
  (org-agent-fake-with
    (org-agent-fake-send "question")
    (org-agent-fake-state "turn-1" 1 "thinking"
                          (concat "trying\n* again: " (make-string 500 ?x)))
    (let ((shown (org-agent-fake-shown "turn-1")))
      (should (string-prefix-p "thinking: trying * again: xxx" shown))
      (should (= 1 (cl-count ?\n shown)))
      (should (< (length shown) 320))
      (should (< (length mode-line-process) 80)))
    (org-agent-fake-state "turn-1" 2 "streaming")
    (should (equal mode-line-process " [streaming]"))
    (should-not (org-agent-fake-shown "turn-1"))
    ;; It may hold what was rejected.
    (org-agent-fake-state "turn-1" 3 "repairing" "the reply is bad")
    (should (equal mode-line-process " [asking again]"))
    (should-not (org-agent-fake-shown "turn-1"))))

(provide 'org-agent-models-tests)
;;; org-agent-models-tests.el ends here
