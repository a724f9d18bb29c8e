;;; org-agent-stream-tests.el --- Reading many messages  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Code:

(require 'org-agent-fake)

(defun org-agent-tests-frame (json &optional head)
  "Return JSON as a message on the wire, with HEAD among its heads."
  (format "%sContent-Length: %d\r\n\r\n%s" (or head "") (string-bytes json) json))

(ert-deftest org-agent-messages-are-read-however-they-are-cut ()
  (let* ((long (make-string 1000 ?漢))
         (stream (concat
                  (org-agent-tests-frame "{\"method\":\"a\",\"params\":{\"text\":\"é漢𝄞\\r\\n\\r\\n\"}}")
                  (org-agent-tests-frame "{\"id\":1,\"result\":{}}"
                                         "Content-Type: application/json\r\n")
                  (org-agent-tests-frame "{}")
                  (org-agent-tests-frame "{\"no\": json}")
                  (org-agent-tests-frame "{\"text\":\"Content-Length: 5\\r\\n\\r\\n\"}")
                  (org-agent-tests-frame (format "{\"long\":\"%s\"}" long))
                  (org-agent-tests-frame "{\"last\":false}")))
         (expected `((:method "a" :params (:text "é漢𝄞\r\n\r\n"))
                     (:id 1 :result nil)
                     (:text "Content-Length: 5\r\n\r\n")
                     (:long ,long)
                     (:last :json-false)))
         (inhibit-message t))
    (dolist (size '(1 2 3 7 64 100 1000 100000))
      (with-temp-buffer
        (let ((pieces (seq-partition stream size)))
          (should (equal (apply #'append (mapcar #'org-agent--read-messages pieces))
                         expected))
          (should (zerop (buffer-size)))
          ;; What is not complete is kept.
          (should-not (org-agent--read-messages "Content-Length: 2\r\n\r\n["))
          (should (equal (org-agent--read-messages "]") '([]))))))))

(defmacro org-agent-tests-paused (pause &rest body)
  "Run BODY as in `org-agent-fake-with' with pauses of PAUSE seconds."
  (declare (indent 1) (debug t))
  `(org-agent-fake-with
     (org-agent-fake-send "question")
     (setq org-agent--stream-pause ,pause)
     ,@body))

(ert-deftest org-agent-stream-is-drawn-at-a-steady-pace ()
  (org-agent-tests-paused 0.05
    (let* ((drawn 0)
           (show (symbol-function 'org-agent--show))
           (begin (float-time)))
      (cl-letf (((symbol-function 'org-agent--show)
                 (lambda (turn) (cl-incf drawn) (funcall show turn))))
        (dotimes (i 300)
          (org-agent-fake-tell 'orgAgent/delta :turnId "turn-1" :attempt 1
                               :seq (1+ i) :text "é ")
          (accept-process-output nil 0.001))
        (org-agent-fake-settle))
      (should (<= 2 drawn (+ 3 (/ (- (float-time) begin) 0.05))))
      (should (= 300 (cl-count ?é (org-agent-fake-shown "turn-1"))))
      ;; What is no stream is not held up: it comes in its place.
      (org-agent-fake-insert "turn-1" 301 "the reply")
      (should-not (org-agent-fake-shown "turn-1"))
      (should (equal (buffer-string)
                     (org-agent-fake-layout '(1 "question" "the reply")))))))

(ert-deftest org-agent-death-in-a-pause-is-noticed ()
  (org-agent-tests-paused 0.2
    (let ((pause (symbol-function 'org-agent--pause))
          (paused nil))
      (cl-letf (((symbol-function 'org-agent--pause)
                 (lambda (process)
                   (funcall pause process)
                   (should (eq t (process-filter process)))
                   (setq paused t))))
        ;; A delta that comes in one piece with an answer is no reason for one.
        (let ((seq 0))
          (org-agent-fake-until
           (lambda ()
             (unless paused
               (org-agent-fake-tell 'orgAgent/delta :turnId "turn-1" :attempt 1
                                    :seq (cl-incf seq) :text "half"))
             (accept-process-output nil 0.02)
             paused)
           "the pause"))))
    (let ((text (buffer-string)))
      (org-agent-fake-die)
      (should (string-prefix-p "This turn ended: the server ended"
                               (org-agent-fake-shown "turn-1")))
      (should (equal (buffer-string) text)))))

(ert-deftest org-agent-preview-follows-its-prompt ()
  (org-agent-fake-with
    (org-agent-fake-send "first")
    (org-agent-fake-send "second")
    (org-agent-fake-delta "turn-1" 1 "some ")
    (goto-char (org-agent--find "OA_EVENT" "event-1"))
    (org-back-to-heading)
    (org-move-subtree-down)
    (org-agent-fake-delta "turn-1" 2 "text")
    (should (equal (overlay-start (org-agent--turn-overlay (org-agent--turn "turn-1")))
                   (car (org-agent--input))))
    (should (equal (org-agent-fake-shown "turn-1")
                   "** ASSISTANT (not verified)\nsome text\n"))))

(ert-deftest org-agent-marks-are-found-only-in-their-drawers ()
  (with-temp-buffer
    (insert "event-1 :OA_EVENT: event-1\n:OA_EVENT: event-12\nx :OA_EVENT: event-1\n"
            ":OA_ACT: event-1\n:OA_EVENT: event-1 \nevent-1")
    (dolist (value '("event-1" "event-12" "event" "" "12" "nt-1"))
      (should (equal (org-agent--find "OA_EVENT" value)
                     (org-agent--find "OA_EVENT" (regexp-quote value) t))))
    (should (equal (org-agent--find "OA_EVENT" "event-1") (- (point-max) 8)))
    (narrow-to-region 1 5)
    (should (org-agent--find "OA_EVENT" "event-1"))))

(provide 'org-agent-stream-tests)
;;; org-agent-stream-tests.el ends here
