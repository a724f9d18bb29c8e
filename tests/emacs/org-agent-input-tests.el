;;; org-agent-input-tests.el --- Inputs said again, and those that wait  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; The history of inputs, and the messages that wait their turn.

;;; Code:

(require 'org-agent-context-tests)

;;;; Earlier inputs

(defun org-agent-tests-press-key (key)
  "Press KEY in the input area and return what then stands there."
  (org-agent-fake-keys key)
  (org-agent--draft))

(ert-deftest org-agent-earlier-inputs-come-back ()
  (org-agent-fake-with
    (org-agent-fake-send "first")
    (org-agent-fake-send "second\nof two lines")
    (goto-char (point-max))
    (org-agent-fake-type "a dra")
    (backward-char)
    (should (equal (org-agent-tests-press-key "M-p") "second\nof two lines"))
    (should (eobp))
    (should (equal (org-agent-tests-press-key "M-p") "first"))
    (should-error (call-interactively #'org-agent-previous-input) :type 'user-error)
    (should (equal (org-agent--draft) "first"))
    (should (equal (org-agent-tests-press-key "M-n") "second\nof two lines"))
    (should (equal (org-agent-tests-press-key "M-n") "a dra"))
    (should-error (call-interactively #'org-agent-next-input) :type 'user-error)
    ;; What is written into an input is a draft of its own; neither is lost.
    (should (equal (org-agent-tests-press-key "C-u 2 M-p") "first"))
    (org-agent-fake-type " again")
    (should (equal (org-agent-tests-press-key "M-p") "a dra"))
    (should (equal (org-agent-tests-press-key "M-n") "first again"))
    ;; Sent, it is the newest; the same is there once.
    (org-agent-fake-keys "C-c C-c")
    (org-agent-fake-settle)
    (org-agent-fake-send "first")
    (should (equal org-agent--inputs
                   '("first" "first again" "a dra" "second\nof two lines")))
    (should (equal (org-agent--draft) ""))))

(ert-deftest org-agent-earlier-inputs-are-undone-step-by-step ()
  (org-agent-fake-with
    (org-agent-fake-send "first")
    (org-agent-fake-send "second")
    (org-agent-fake-insert "turn-2" 1 "reply")
    (goto-char (point-max))
    (org-agent-fake-type "draft")
    (let ((before (buffer-string)))
      (org-agent-fake-keys "M-p M-p")
      (should (equal (org-agent--draft) "first"))
      (org-agent-fake-keys "C-/")
      (should (equal (org-agent--draft) "second"))
      ;; To undo that, and then both steps.
      (org-agent-fake-keys "C-b C-/ C-/ C-/")
      (should (equal (buffer-string) before)))))

(ert-deftest org-agent-keys-of-inputs-are-of-the-input-area-only ()
  (org-agent-fake-with
    (org-agent-fake-send "first")
    (dolist (key '("M-p" "M-n" "M-r"))
      (goto-char (point-max))
      (should (string-prefix-p "org-agent-" (symbol-name (key-binding (kbd key)))))
      (goto-char (point-min))
      (should (eq (key-binding (kbd key)) (lookup-key global-map (kbd key))))
      ;; Org has no use for them, or these would have to go.
      (should-not (lookup-key org-mode-map (kbd key))))))

(ert-deftest org-agent-inputs-of-the-record-are-asked-for-once ()
  (org-agent-fake-with
    (push (cons 'orgAgent/sessions/messages
                (lambda (_)
                  (list :items
                        (vector '(:role "user" :content "long ago" :metadata (:kind "user"))
                                '(:role "assistant" :content "reply" :metadata (:kind "action"))
                                '(:role "user" :content "not typed" :metadata (:kind "skill"))
                                '(:role "user" :content "lately" :metadata (:kind "user"))
                                '(:role "user" :content "now" :metadata (:kind "user")))
                        :nextCursor nil)))
          org-agent-fake-answers)
    (org-agent-fake-send "now")
    (should-not (org-agent-fake-sent 'orgAgent/sessions/messages))
    (org-agent-fake-keys "M-p")
    (should (string-match-p "press it again"
                            (error-message-string
                             (should-error (org-agent-previous-input 1) :type 'user-error))))
    (org-agent-fake-settle)
    (should (equal (org-agent-tests-press-key "M-p") "lately"))
    (should (equal (org-agent-tests-press-key "M-p") "long ago"))
    (should-error (org-agent-previous-input 1) :type 'user-error)
    (should (equal (org-agent-fake-sent 'orgAgent/sessions/messages)
                   '((:sessionId "session-1" :last t :limit 200))))
    ;; A chat that is opened again has them without being asked.
    (let ((text (buffer-string)))
      (set-buffer-modified-p nil)
      (kill-buffer)
      (with-current-buffer (get-buffer-create "again")
        (insert text)
        (org-agent-chat-mode)
        (org-agent-fake-settle)
        (org-agent-fake-settle)
        (should (equal org-agent--inputs '("now" "lately" "long ago")))
        (cl-letf (((symbol-function 'completing-read)
                   (lambda (_prompt table &rest _)
                     (should (equal (all-completions "" table) '("now" "lately" "long ago")))
                     "lately")))
          (goto-char (point-max))
          (call-interactively #'org-agent-search-input))
        (should (equal (org-agent--draft) "lately"))
        (org-agent-next-input 1)
        (should (equal (org-agent--draft) "now"))
        (org-agent-next-input 1)
        (should (equal (org-agent--draft) "long ago"))))))

(ert-deftest org-agent-inputs-are-bounded ()
  (with-temp-buffer
    (dotimes (n 300) (org-agent--inputs-add (format "input %d" n)))
    (should (= 200 (length org-agent--inputs)))
    (should (equal (car org-agent--inputs) "input 299"))
    (org-agent--inputs-add "older" t)
    (should-not (member "older" org-agent--inputs))
    ;; The newest is kept, however long, and of the others as many as there is room for.
    (org-agent--inputs-add (make-string (ash 1 20) ?x))
    (should (= 200 (length org-agent--inputs)))
    (org-agent--inputs-add (make-string (* 3 (ash 1 20)) ?y))
    (should (= 2 (length org-agent--inputs)))
    (org-agent--inputs-add " \n")
    (should (= 2 (length org-agent--inputs)))))

;;;; Messages that wait

(defun org-agent-tests-queue ()
  "Return the lines that show what waits, or nil."
  (and org-agent--queue-overlay
       (overlay-buffer org-agent--queue-overlay)
       (split-string (substring-no-properties
                      (overlay-get org-agent--queue-overlay 'before-string))
                     "\n" t " +")))

(ert-deftest org-agent-messages-that-wait-are-shown ()
  (org-agent-fake-with
    (org-agent-fake-send "first")
    (should-not (org-agent-tests-queue))
    (org-agent-fake-state "turn-1" 1 "thinking")
    (org-agent-fake-send "second")
    (org-agent-fake-delta "turn-1" 2 "part of a reply")
    (goto-char (point-max))
    (org-agent-fake-type "third\nline")
    (org-agent-fake-delta "turn-1" 3 "part of a reply")
    (org-agent-fake-keys "C-c C-c")
    (org-agent-fake-settle)
    (should (equal (org-agent-tests-queue)
                   '("queued (2):" "second  [edit] [cancel]" "third line  [edit] [cancel]")))
    (should (= (overlay-start org-agent--queue-overlay) (car (org-agent--input))))
    (org-agent-fake-insert "turn-1" 4 "a reply")
    (should (= (overlay-start org-agent--queue-overlay) (car (org-agent--input))))
    (org-agent-fake-state "turn-1" 5 "done")
    (org-agent-fake-state "turn-2" 1 "thinking")
    (should (equal (org-agent-tests-queue) '("queued (1):" "third line  [edit] [cancel]")))
    (org-agent-fake-state "turn-2" 2 "done")
    (should-not (org-agent-tests-queue))
    (should (equal (buffer-string)
                   (org-agent-fake-layout '(1 "first" "a reply") '(2 "second")
                                          '(3 "third\nline"))))))

(ert-deftest org-agent-message-that-waits-is-taken-back ()
  (org-agent-fake-with
    (org-agent-fake-send "first")
    (org-agent-fake-state "turn-1" 1 "thinking")
    (org-agent--add-context "region" "notes" "some text")
    (org-agent-fake-send "second, with a mistkae")
    (org-agent-fake-send "third")
    (should-not (org-agent-tests-chips))
    (goto-char (point-max))
    (org-agent-fake-type "a draft")
    ;; The one at point is meant.
    (search-backward "mistkae")
    (call-interactively #'org-agent-edit-queued)
    (org-agent-fake-tell 'orgAgent/turn :turnId "turn-2" :sessionId "session-1"
                         :seq 1 :state "cancelled")
    (org-agent-fake-settle)
    (should (equal (org-agent-fake-sent 'orgAgent/cancel) '((:turnId "turn-2"))))
    (should (equal (buffer-string)
                   (concat (org-agent-fake-layout '(1 "first") '(3 "third"))
                           "second, with a mistkae\n\na draft")))
    (should (looking-at-p "\n\na draft"))
    (should (string-match-p "region notes" (org-agent-tests-chips)))
    (should (equal (org-agent-tests-queue) '("queued (1):" "third  [edit] [cancel]")))
    ;; That was one step, and the replies find their places.
    (org-agent-fake-insert "turn-1" 2 "one")
    (org-agent-fake-insert "turn-3" 1 "three")
    (should (equal (buffer-string)
                   (concat (org-agent-fake-layout '(1 "first" "one") '(3 "third" "three"))
                           "second, with a mistkae\n\na draft")))
    (goto-char (point-max))
    (org-agent-fake-keys "C-/ C-/ C-/")
    (should (equal (buffer-string)
                   (concat (org-agent-fake-layout '(1 "first") '(2 "second, with a mistkae")
                                                  '(3 "third"))
                           "a draft")))))

(ert-deftest org-agent-message-that-a-model-has-seen-stays ()
  (org-agent-fake-with
    (org-agent-fake-send "first")
    (org-agent-fake-state "turn-1" 1 "thinking")
    (org-agent-fake-send "second")
    (push (cons 'orgAgent/cancel
                (lambda (_)
                  ;; Its turn comes before it is cancelled.
                  (org-agent-fake-tell 'orgAgent/turn :turnId "turn-1"
                                       :sessionId "session-1" :seq 2 :state "done")
                  (org-agent-fake-tell 'orgAgent/turn :turnId "turn-2"
                                       :sessionId "session-1" :seq 1 :state "thinking")
                  (org-agent-fake-tell 'orgAgent/turn :turnId "turn-2"
                                       :sessionId "session-1" :seq 2 :state "cancelled")
                  '(:cancelled t)))
          org-agent-fake-answers)
    (call-interactively #'org-agent-edit-queued)
    (org-agent-fake-settle)
    (should (equal (buffer-string)
                   (concat (org-agent-fake-layout '(1 "first") '(2 "second"))
                           "second")))))

(ert-deftest org-agent-too-late-to-take-a-message-back ()
  (org-agent-fake-with
    (org-agent-fake-send "first")
    (should-error (call-interactively #'org-agent-edit-queued) :type 'user-error)
    (org-agent-fake-state "turn-1" 1 "thinking")
    (org-agent-fake-send "second")
    (let ((text (buffer-string)))
      (dolist (answer (list (lambda (_) '(:cancelled :json-false))
                            (lambda (_) (org-agent-fake-refuse "internal"))))
        (let ((org-agent-fake-answers (list (cons 'orgAgent/cancel answer))))
          (should (seq-some (lambda (words) (string-match-p "cannot be taken back" words))
                            (org-agent-tests-said
                              (call-interactively #'org-agent-edit-queued)
                              (org-agent-fake-settle))))))
      (should (equal text (buffer-string))))
    ;; The last one is meant if point is at none.
    (org-agent-fake-send "third")
    (call-interactively #'org-agent-cancel-queued)
    (org-agent-fake-settle)
    (should (equal (car (last (org-agent-fake-sent 'orgAgent/cancel)))
                   '(:turnId "turn-3")))
    (org-agent-fake-state "turn-3" 1 "cancelled")
    (should (equal (org-agent-tests-queue) '("queued (1):" "second  [edit] [cancel]")))
    (org-agent-fake-die)
    (should-not (org-agent-tests-queue))))

(ert-deftest org-agent-message-is-taken-back-from-the-real-server ()
  (let* (requests
         ;; A model that never answers.
         (server (make-network-process
                  :name "silent" :server t :host 'local :service t :family 'ipv4
                  :noquery t :coding 'binary
                  :log (lambda (_server process _)
                         (set-process-query-on-exit-flag process nil))
                  :filter (lambda (process text)
                            (process-put process 'text
                                         (concat (process-get process 'text) text))
                            (when (string-search "chat/completions"
                                                 (process-get process 'text))
                              (cl-pushnew process requests)))))
         (asked (lambda (words)
                  (string-search words (process-get (car requests) 'text)))))
    (unwind-protect
        (org-agent-real-with
            `(("config.toml"
               . ,(string-replace "127.0.0.1:9/"
                                  (format "127.0.0.1:%d/"
                                          (process-contact server :service))
                                  org-agent-tests-config)))
            nil
          (let ((first (org-agent-real-ask "one")))
            (org-agent-fake-until (lambda () requests) "the model to be asked")
            (org-agent--add-context "region" "notes" "some text")
            (org-agent-real-ask "two")
            (should (equal (org-agent-tests-queue) '("queued (1):" "two  [edit] [cancel]")))
            (call-interactively #'org-agent-edit-queued)
            (org-agent-fake-until (lambda () org-agent--context) "the message to be back")
            (should (equal (org-agent--draft) "two"))
            (should-not (org-agent-tests-queue))
            (should (= 1 (length (org-agent--all "OA_EVENT"))))
            (org-agent-cancel)
            (org-agent-fake-until (lambda () (org-agent--over-p first)) "the end of the turn")
            ;; Said in other words, with the same text along.
            (goto-char (point-max))
            (let* ((turn (org-agent-real-ask " and a half"))
                   (text (buffer-string)))
              (org-agent-fake-until
               (lambda () (and (cdr requests) (funcall asked "two and a half")))
               "the model to be asked again")
              (org-agent-cancel)
              (org-agent-fake-until (lambda () (org-agent--over-p turn)) "the end of the turn")
              (should (= 2 (length requests)))
              (should (funcall asked "some text"))
              (should-not (funcall asked "\"two\""))
              ;; The record has all of it, and so have the inputs.
              (org-agent-rebuild)
              (org-agent-fake-until (lambda () (not (equal text (buffer-string))))
                                    "the transcript")
              (should (= 3 (length (org-agent--all "OA_EVENT"))))
              (setq org-agent--inputs nil org-agent--inputs-of nil)
              (org-agent--inputs-ask)
              (org-agent-fake-settle)
              (should (equal org-agent--inputs '("two and a half" "two" "one"))))))
      (delete-process server))))

(provide 'org-agent-input-tests)
;;; org-agent-input-tests.el ends here
