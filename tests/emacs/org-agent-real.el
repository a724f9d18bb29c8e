;;; org-agent-real.el --- The real server, for tests  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; What `org-agent-fake-with' is, with the program that was built: the one
;; that ORG_AGENT_PROGRAM names, or that Cargo made.

;;; Code:

(require 'org-agent-fake)

(defmacro org-agent-real-with (files variables &rest body)
  "Run BODY in a fresh chat with the real server.
FILES are names in its home with what they contain, VARIABLES are added
to its environment, where HOME/ is that home."
  (declare (indent 2) (debug t))
  `(let* ((home (file-name-as-directory (make-temp-file "org-agent" t)))
          (process-environment
           (append (mapcar (lambda (text) (string-replace "HOME/" home text)) ,variables)
                   (list (concat "ORG_AGENT_HOME=" home)
                         ;; What else runs on this machine is no matter.
                         "ORG_AGENT_LOCAL_PORTS=none"
                         "OPENAI_API_KEY" "OPENAI_BASE_URL" "ORG_AGENT_MODEL")
                   process-environment))
          (org-agent--connection nil)
          (org-agent--process nil)
          (org-agent--spawned nil)
          (org-agent--ending nil)
          (org-agent--ready nil)
          (org-agent-restart-delays nil)
          (org-agent--waiting nil)
          (org-agent--turns (make-hash-table :test #'equal))
          (org-agent--buffers (make-hash-table :test #'equal))
          (org-agent--held (make-hash-table :test #'equal))
          (org-agent-fake-errors nil)
          (inhibit-message t))
     (pcase-dolist (`(,name . ,text) ,files)
       (write-region text nil (expand-file-name name home) nil 'silent))
     (cl-letf (((symbol-function 'org-agent--guarded) #'org-agent-fake-guarded))
       (unwind-protect
           (progn
             (org-agent-chat)
             (org-agent-fake-until (lambda () org-agent--ready) "the server")
             (org-agent-fake-settle)
             ,@body
             (should-not org-agent-fake-errors))
         (dolist (buffer (org-agent--chats))
           (with-current-buffer buffer (set-buffer-modified-p nil))
           (kill-buffer buffer))
         (when org-agent--process
           (delete-process org-agent--process)
           (org-agent-fake-until (lambda () (not org-agent--connection))))
         (accept-process-output nil 0.05)
         (delete-directory home t)))))

(defun org-agent-real-ask (text)
  "Type TEXT in this chat and send it; return its turn."
  (goto-char (point-max))
  (insert text)
  (org-agent-send)
  (org-agent-fake-until (lambda () (not org-agent--sending)) "the acknowledgement")
  (let ((event (car (last (org-agent--all "OA_EVENT")))))
    (seq-find (lambda (turn) (equal (org-agent--turn-event turn) event))
              (org-agent--turns-here))))

(defun org-agent-real-reply (text)
  "Send TEXT, wait until its turn is over, and return that."
  (let ((turn (org-agent-real-ask text)))
    (org-agent-fake-until (lambda () (org-agent--over-p turn)) "the end of the turn")
    (org-agent-fake-settle)
    (org-agent-fake-settle)
    turn))

(defun org-agent-real-choose (name)
  "Choose the model NAME with M-x, by completion, and wait until it is shown."
  (let (asked)
    (cl-letf (((symbol-function 'completing-read)
               (lambda (_prompt table &rest _)
                 (setq asked (all-completions "" table))
                 name)))
      (call-interactively #'org-agent-model))
    (org-agent-fake-settle)
    (org-agent-fake-settle)
    (org-agent-fake-settle)
    asked))

(defmacro org-agent-tests-said (&rest body)
  "Return what BODY says in the echo area, oldest first."
  (declare (indent 0) (debug t))
  `(let (said)
     (cl-letf (((symbol-function 'message)
                (lambda (format &rest args)
                  (when format (push (apply #'format-message format args) said)))))
       ,@body)
     (nreverse said)))

(defconst org-agent-tests-replay
  (concat
   "{\"thought\":\"The user wants\"}\n"
   "{\"thought\":\" a greeting.\"}\n"
   "{\"text\":\"(:type :request :target :emacs :payload (:action :insert-at-end"
   " :buffer \\\"*org-agent-chat*\\\" :text \\\"Hello.\\\"))\"}\n"
   "{\"end\":{\"prompt_tokens\":1234,\"completion_tokens\":56}}\n")
  "A recorded reply with thoughts.")

(defconst org-agent-tests-config
  (concat "[[models]]\nname = \"here\"\nmodel = \"tiny\"\n"
          "base_url = \"http://127.0.0.1:9/v1\"\nfallback = [\"offline\"]\n"
          "price = { input = 2.5, output = 10.0 }\n"
          "[[models]]\nname = \"keyed\"\nmodel = \"large\"\n"
          "base_url = \"http://127.0.0.1:9/v1\"\napi_key_env = \"CANARY_KEY\"\n")
  "Two models that no server has.")

(provide 'org-agent-real)
;;; org-agent-real.el ends here
