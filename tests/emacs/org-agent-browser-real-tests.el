;;; org-agent-browser-real-tests.el --- The list of sessions and the real server  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Code:

(require 'org-agent-keeping-tests)

(defconst org-agent-browser-real-tests-stalls
  (concat
   org-agent-tests-replay
   "{\"text\":\"(:type :request :target :emacs :payload (:action :insert-at-end"
   " :buffer \\\"*org-agent-chat*\\\" :text \\\"Once upon a time\"}\n"
   "{\"at_ms\":600000,\"text\":\"\\\"))\"}\n{\"end\":{}}\n")
  "A recorded reply, and one that does not come to its end.")

(defmacro org-agent-browser-real-tests-with (files variables &rest body)
  "Run BODY with the real server; see `org-agent-real-with'.
There are FILES, VARIABLES, and two chats: one was asked about apples,
and then one about pears."
  (declare (indent 2) (debug t))
  `(org-agent-real-with ,files ,variables
     (let ((org-agent--browser-pause 0)
           (org-agent--browser-typing 0)
           (apples (current-buffer)))
       (unwind-protect
           (progn
             (delete-other-windows)
             (org-agent-real-reply "What are apples?")
             (org-agent-chat t)
             (org-agent-real-reply "What are *pears*?")
             (org-agent-sessions)
             (org-agent-browser-tests-settle)
             ,@body)
         (when (get-buffer "*org-agent sessions*")
           (kill-buffer "*org-agent sessions*"))))))

(defun org-agent-browser-real-tests-until (titles)
  "Wait until the rows have TITLES."
  (org-agent-fake-until
   (lambda ()
     (with-current-buffer "*org-agent sessions*"
       (equal (org-agent-browser-tests-titles) titles)))
   titles))

(defun org-agent-browser-real-tests-above (buffer)
  "Return what stands above the input area of BUFFER."
  (with-current-buffer buffer
    (buffer-substring-no-properties (point-min) (car (org-agent--input)))))

(ert-deftest org-agent-browser-lists-and-searches-what-the-real-server-has ()
  (org-agent-browser-real-tests-with nil nil
    (should (equal (mapcar (lambda (row) (seq-take row 3)) (org-agent-browser-tests-rows))
                   '(("What are *pears*?" "active" "now")
                     ("What are apples?" "active" "now"))))
    ;; The older one becomes the first by what happens in it.
    (with-current-buffer apples
      (org-agent-real-reply "And trees?"))
    (org-agent-browser-real-tests-until '("What are apples?" "What are *pears*?"))
    (org-agent-fake-keys "g")
    (org-agent-browser-real-tests-until '("What are apples?" "What are *pears*?"))
    ;; A search with another word, and to the prompt.
    (org-agent-fake-keys "s trees RET")
    (org-agent-browser-tests-settle)
    (should (member '("What are apples?" "user" "And trees?")
                    (mapcar (lambda (row) (list (nth 0 row) (nth 1 row) (nth 3 row)))
                            (org-agent-browser-tests-rows))))
    (org-agent-browser-tests-go "And trees?")
    (org-agent-fake-keys "RET")
    (should (eq (window-buffer) apples))
    (with-current-buffer apples
      (should (save-excursion (search-forward "And trees?" nil t)))
      (should-not (save-excursion (search-forward "What are" nil t))))
    (pop-to-buffer-same-window "*org-agent sessions*")
    (org-agent-fake-keys "/ r system RET")
    (org-agent-browser-tests-settle)
    (should (equal (org-agent-browser-tests-rows) nil))
    (should (member "chat" org-agent--browser-skills))
    (org-agent-fake-keys "/ r RET / k chat RET")
    (org-agent-browser-tests-settle)
    (should (equal (seq-uniq (org-agent-browser-tests-titles)) '("What are apples?")))
    (org-agent-fake-keys "/ /")
    (org-agent-browser-tests-settle)
    ;; A query that the server refuses is told where the rows would be.
    (setq org-agent--browser-query "*")
    (org-agent-fake-keys "g")
    (org-agent-browser-tests-settle)
    (should-not (string-match-p "session" (org-agent-browser-tests-end)))
    (should org-agent--browser-problem)))

;; Hidden, a reply is new; shown, it is not.
(ert-deftest org-agent-browser-tells-what-was-not-seen ()
  (org-agent-browser-real-tests-with nil nil
    (let ((new (lambda () (mapcar (lambda (row) (nth 6 row))
                                  (org-agent-browser-tests-rows)))))
      (org-agent-fake-until (lambda () (equal (funcall new) '("" ""))) "all is seen")
      (with-current-buffer apples
        (should-not (get-buffer-window))
        (org-agent-real-reply "And trees?"))
      (org-agent-fake-until (lambda () (equal (funcall new) '("1" ""))) "a new one")
      (org-agent-browser-tests-go "What are apples?")
      (org-agent-fake-keys "o")
      (should (eq (window-buffer) apples))
      ;; As redisplay would, which there is none of here.
      (run-hook-with-args 'window-buffer-change-functions (selected-window))
      (pop-to-buffer "*org-agent sessions*")
      (org-agent-fake-until (lambda () (equal (funcall new) '("" ""))) "it was seen"))))

(ert-deftest org-agent-browser-changes-sessions-of-the-real-server ()
  (org-agent-browser-real-tests-with nil nil
    (let ((list (current-buffer))
          (text (org-agent-browser-real-tests-above apples)))
      (org-agent-browser-tests-go "What are apples?")
      (should (equal (org-agent-keeping-tests-said "r C-a C-k Fruit RET")
                     (list (format-message "org-agent: `What are apples?' is `Fruit' now"))))
      (org-agent-browser-real-tests-until '("Fruit" "What are *pears*?"))
      ;; It is found by that.
      (org-agent-fake-keys "s fru* RET")
      (org-agent-browser-tests-settle)
      (should (equal (mapcar (lambda (row) (seq-take row 2))
                             (org-agent-browser-tests-rows))
                     '(("Fruit" "title"))))
      (goto-char (point-min))
      (org-agent-fake-keys "RET")
      (should (eq (window-buffer) apples))
      (pop-to-buffer-same-window list)
      (org-agent-fake-keys "q")
      (org-agent-browser-real-tests-until '("Fruit" "What are *pears*?"))
      (should (string-search
               "title" (car (org-agent-keeping-tests-said "r C-a C-k RET"))))
      (org-agent-fake-keys "l thesis RET draft SPC @home RET")
      (org-agent-browser-tests-settle)
      (should (equal (car (last (car (org-agent-browser-tests-rows))))
                     "thesis :draft:@home:"))
      (org-agent-fake-keys "l C-a C-k RET C-a C-k @home RET")
      (org-agent-browser-tests-settle)
      (should (equal (car (last (car (org-agent-browser-tests-rows)))) ":@home:"))
      (org-agent-fake-keys "P")
      (org-agent-browser-tests-settle)
      (should (equal (nth 1 (car (org-agent-browser-tests-rows))) "paused"))
      (org-agent-fake-keys "P a")
      (org-agent-browser-tests-settle)
      (org-agent-browser-real-tests-until '("What are *pears*?"))
      (org-agent-fake-keys "/ a")
      (org-agent-browser-real-tests-until '("Fruit"))
      (should (equal (nth 1 (car (org-agent-browser-tests-rows))) "archived"))
      (org-agent-fake-keys "a / a / a")
      (org-agent-browser-tests-settle)
      ;; A copy has the same text.
      (org-agent-browser-tests-go "Fruit")
      (org-agent-fake-keys "f")
      (org-agent-fake-until (lambda () (not (eq (window-buffer) list))) "the copy")
      (org-agent-browser-tests-settle)
      (should-not (eq (window-buffer) apples))
      (let ((copy (org-agent-browser-real-tests-above (window-buffer)))
            (session (lambda (text)
                       (replace-regexp-in-string ":OA_SESSION: .*" "" text))))
        (should-not (equal copy text))
        (should (equal (funcall session copy) (funcall session text))))
      (switch-to-buffer list)
      (org-agent-browser-real-tests-until '("Fruit" "Fruit" "What are *pears*?")))))

(ert-deftest org-agent-browser-exports-and-deletes-for-good ()
  (org-agent-browser-real-tests-with nil nil
    (let ((text (org-agent-browser-real-tests-above apples))
          (file (expand-file-name "apples.org" home)))
      (org-agent-browser-tests-go "What are apples?")
      (cl-letf (((symbol-function 'read-multiple-choice)
                 (lambda (_question choices &rest _) (assq ?e choices)))
                ((symbol-function 'read-file-name) (lambda (&rest _) file)))
        (org-agent-fake-keys "d x")
        (org-agent-browser-real-tests-until '("What are *pears*?")))
      (with-temp-buffer
        (let ((coding-system-for-read 'utf-8-unix))
          (insert-file-contents file))
        (should (equal (buffer-string) text)))
      (with-current-buffer apples
        (should-not org-agent--session))
      (org-agent-fake-keys "/ a / a g")
      (org-agent-browser-real-tests-until '("What are *pears*?"))
      (org-agent-fake-keys "s apples RET")
      (org-agent-browser-tests-settle)
      (should-not (org-agent-browser-tests-rows)))))

(ert-deftest org-agent-browser-opens-the-same-text-after-everything-died ()
  (org-agent-browser-real-tests-with
      `(("replay" . ,(concat org-agent-tests-replay org-agent-browser-real-tests-stalls)))
      '("ORG_AGENT_MODEL=replay:HOME/replay")
    (let* ((list (current-buffer))
           (turn (with-current-buffer apples
                   (org-agent-real-ask "Tell me a story.")))
           (text (with-current-buffer apples (buffer-string))))
      (org-agent-fake-until (lambda () (equal (org-agent--turn-state turn) "streaming"))
                            "the beginning of a reply")
      (org-agent-browser-real-tests-until '("What are apples?" "What are *pears*?"))
      (org-agent-fake-until
       (lambda () (equal (nth 1 (car (org-agent-browser-tests-rows))) "running")) "running")
      ;; It cannot be deleted now.
      (org-agent-browser-tests-go "What are apples?")
      (should (string-search "A turn runs" (car (org-agent-keeping-tests-said "d x"))))
      (org-agent-fake-keys "U")
      (should (equal (with-current-buffer apples (buffer-string)) text))
      (with-current-buffer apples (set-buffer-modified-p nil))
      (kill-buffer apples)
      (signal-process (process-id org-agent--process) 'SIGKILL)
      (org-agent-fake-until (lambda () (not org-agent--connection)) "its end")
      ;; Another Emacs would have none of this.
      (clrhash org-agent--turns)
      (clrhash org-agent--buffers)
      (clrhash org-agent--held)
      (org-agent-fake-keys "g")
      (org-agent-fake-until (lambda () org-agent--ready) "the next server")
      (org-agent-browser-tests-settle)
      (should (equal (seq-take (car (org-agent-browser-tests-rows)) 2)
                     '("What are apples?" "failed")))
      (org-agent-browser-tests-go "What are apples?")
      (org-agent-fake-keys "RET")
      (org-agent-fake-until (lambda () (not (eq (window-buffer) list))) "the chat")
      (org-agent-browser-tests-settle)
      (with-current-buffer (window-buffer)
        (should (equal (buffer-string) text))
        (should (string-search "M-x org-agent-retry runs it again"
                               (mapconcat (lambda (turn)
                                            (or (org-agent--turn-notice turn) ""))
                                          (org-agent--turns-here) "")))
        (kill-buffer))
      ;; And from the list the turn runs again.
      (pop-to-buffer-same-window list)
      (org-agent-fake-keys "R")
      (org-agent-fake-until (lambda () (not (eq (window-buffer) list))) "the chat")
      (with-current-buffer (window-buffer)
        (org-agent-fake-until
         (lambda () (= (length (org-agent--all "OA_ACT")) 2)) "the reply")
        (should (string-prefix-p (string-remove-suffix "* USER\n" text) (buffer-string)))))))

(provide 'org-agent-browser-real-tests)
;;; org-agent-browser-real-tests.el ends here
