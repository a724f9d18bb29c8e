;;; org-agent-conformance-tests.el --- The scripted server of `conformance'  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; This package in front of `org-agent conformance serve', which plays what a
;; server may do and grades the client: all of it has to pass.  What that
;; server cannot see, the buffer, is looked at here.

;;; Code:

(require 'org-agent-real)
(require 'org-agent-traffic)

(defconst org-agent-conformance-program "#!/bin/sh
here=$(dirname \"$0\")
case $1 in
  serve) n=$(ls \"$here\" | grep -c report)
         exec %s conformance \"$@\" --json --report \"$here/report-$n\" ;;
  *) exec %s \"$@\" ;;
esac
" "A program that plays the server, and is the real one otherwise.")

(defun org-agent-conformance-report (home)
  "Return the reports of the servers that ran in HOME, in their order.
Each is read, and is there only once its server has ended."
  (mapcar (lambda (file)
            (with-temp-buffer
              (insert-file-contents file)
              (json-parse-buffer :object-type 'plist :array-type 'list
                                 :null-object nil :false-object nil)))
          (directory-files home t "\\`report-[0-9]+\\'")))

(defun org-agent-conformance-say (text)
  "Send TEXT as a message, and return its turn once that is over.
A question about a command is denied if TEXT is \"deny\", else approved.
The turn of \"cancel\" is cancelled."
  (let ((turn (org-agent-real-ask text))
        (decided nil))
    (org-agent-fake-until
     (lambda ()
       (when (and (not decided)
                  (equal (org-agent--turn-state turn) "awaitingApproval")
                  (org-agent--turn-card turn))
         (setq decided t)
         (if (equal text "deny") (org-agent-deny) (org-agent-approve)))
       (when (and (equal text "cancel") (not decided)
                  (equal (org-agent--turn-state turn) "streaming")
                  (< 0 (org-agent--turn-length turn)))
         (setq decided t)
         (org-agent-cancel))
       (org-agent--over-p turn))
     (format "the end of the turn of %s" text))
    (org-agent-fake-settle)
    (org-agent-fake-settle)
    (accept-process-output nil 0.05)
    turn))

(defun org-agent-conformance-refused (text)
  "Send TEXT, which the server refuses; the words have to stay."
  (goto-char (point-max))
  (insert text)
  (let ((said (org-agent-tests-said
                (org-agent-send)
                (org-agent-fake-until (lambda () (not org-agent--sending)) "the refusal"))))
    (should (seq-some (lambda (words) (string-search "as the scene wants it (" words)) said)))
  (let ((start (cdr (org-agent--input))))
    (should (equal (string-trim (buffer-substring start (point-max))) text))
    (delete-region start (point-max))))

(defun org-agent-conformance-bad (report)
  "Return what failed, and what was not exercised, in REPORT."
  (append
   (seq-mapcat
    (lambda (scene)
      (mapcar (lambda (check) (list (plist-get scene :name) (plist-get check :what)
                                    (plist-get check :outcome) (plist-get check :why)))
              (seq-remove (lambda (check) (equal (plist-get check :outcome) "passed"))
                          (plist-get scene :checks))))
    (plist-get report :scenes))
   (mapcar (lambda (rule) (list (plist-get rule :what) (plist-get rule :why)))
           (seq-filter (lambda (rule) (equal (plist-get rule :outcome) "failed"))
                       (plist-get report :rules)))))

(defmacro org-agent-conformance-with (&rest body)
  "Run BODY in a chat with the scripted server; `home' is its home."
  (declare (indent 0) (debug t))
  `(let* ((real (org-agent--executable))
          (place (file-name-as-directory (make-temp-file "org-agent-part" t)))
          (org-agent--card-pause 0)
          (work (file-name-as-directory (make-temp-file "org-agent-work" t)))
          (org-agent-program (expand-file-name "program" place)))
     (write-region (format org-agent-conformance-program real real) nil
                   org-agent-program nil 'silent)
     (set-file-modes org-agent-program #o700)
     (unwind-protect
         (org-agent-real-with nil nil
           (setq default-directory work)
           ;; Without a terminal, windows are tiny.
           (cl-letf (((symbol-function 'org-agent--room) (lambda () (list 24 80)))
                     ((symbol-function 'yes-or-no-p)
                      (lambda (question) (error "Asked: %s" question))))
             ,@body))
       (delete-directory place t)
       (delete-directory work t))))

(defun org-agent-conformance-end ()
  "Have the server end, as it does when Emacs ends."
  (org-agent--disconnect "the test is over")
  (org-agent-fake-until (lambda () (not org-agent--ending)) "the end of the server"))

(ert-deftest org-agent-conforms-to-the-protocol ()
  (org-agent-conformance-with
    (let ((record (expand-file-name "traffic.jsonl" place)))
      (org-agent--record-begin record nil)
      (dolist (scene '("plain" "retract" "twice" "stale" "late" "unknown" "nothing" "failed"
                       "long" "duplicate" "run" "shell" "deny" "abort" "cancel" "all"))
        (let* ((before (length (org-agent--all "OA_ACT")))
               (turn (org-agent-conformance-say scene))
               (inserted (- (length (org-agent--all "OA_ACT")) before)))
          (ert-info ((format "in the scene %s:\n%s" scene (buffer-string)))
            (should (= inserted (if (member scene '("nothing" "abort" "cancel")) 0 1)))
            ;; Nothing of a preview is left.
            (should (zerop (org-agent--turn-length turn)))
            (should (equal (org-agent--turn-state turn)
                           (pcase scene
                             ("failed" "failed")
                             ((or "abort" "cancel") "cancelled")
                             (_ "done")))))))
      (mapc #'org-agent-conformance-refused '("error" "conflict"))
      (let ((text (buffer-string)))
        (should (string-search "漢字 and e\u0301, a flag 🇪🇺 and a family 👩‍👩‍👧" text))
        (dolist (gone '("first attempt" "come to nothing" "is late"))
          (should-not (string-search gone text)))
        (should (string-search "One, two, three.\n" text))
        (should (string-search "\nLine 4000 of a long reply" text)))
      (org-agent-conformance-end)
      (org-agent--record-stop "the test is over")
      (let ((report (car (org-agent-conformance-report place))))
        (should-not (org-agent-conformance-bad report))
        (should (eq (plist-get report :passed) t)))
      ;; What was recorded has no fault but those that belong to the part.
      (with-temp-buffer
        (let ((status (call-process real nil t nil "conformance" "check" "--json" record))
              (result (progn (goto-char (point-min))
                             (json-parse-buffer :object-type 'plist :array-type 'list
                                                :null-object nil))))
          (should (= status 1))
          (should (< 200 (plist-get result :messages)))
          (should-not (seq-remove (lambda (fault) (equal (plist-get fault :side) "the server"))
                                  (plist-get result :faults))))))))

(ert-deftest org-agent-traffic-with-the-real-server-breaks-no-rule ()
  (dolist (shape '(nil t))
    (let* ((directory (make-temp-file "org-agent" t))
           (record (expand-file-name "traffic.jsonl" directory))
           (program (org-agent--executable)))
      (unwind-protect
          (org-agent-real-with nil '("ORG_AGENT_MODEL=offline")
            (let ((org-agent--card-pause 0))
              (cl-letf (((symbol-function 'org-agent--room) (lambda () (list 24 80))))
                ;; From the first message on, and through the end of a server.
                (org-agent--record-begin record shape)
                (org-agent-restart)
                (org-agent-fake-until (lambda () org-agent--ready) "the server")
                (dolist (text '("echo: zwölf" "run: echo marker" "deny"))
                  (org-agent-conformance-say (if (equal text "deny") "run: echo other" text)))
                (org-agent--disconnect "the test is over")
                (org-agent-fake-until (lambda () (not org-agent--ending)) "the end")
                (org-agent--record-stop "the test is over")))
            (with-temp-buffer
              (let ((status (call-process program nil t nil "conformance" "check" record)))
                (ert-info ((buffer-string))
                  (should (equal status 0))
                  (should (string-match-p " [3-9] turns, [3-9] actions: nothing is wrong" (buffer-string)))))))
        (delete-directory directory t)))))

(ert-deftest org-agent-conforms-when-it-comes-back ()
  (org-agent-conformance-with
    (org-agent-conformance-say "plain")
    (let ((inserted (length (org-agent--all "OA_ACT"))))
      (dotimes (_ 2)
        (org-agent-restart)
        (org-agent-fake-until (lambda () org-agent--ready) "the next server")
        (org-agent-fake-until (lambda () (string-search "This reply was lacking" (buffer-string)))
                              "the reply that was lacking")
        (org-agent-fake-settle)
        (org-agent-fake-settle))
      (should (= (length (org-agent--all "OA_ACT")) (1+ inserted))))
    (org-agent-conformance-end)
    (let ((reports (org-agent-conformance-report place)))
      (should (= (length reports) 3))
      (dolist (report reports)
        (should-not (org-agent-conformance-bad report)))
      (should (equal (mapcar (lambda (report)
                               (plist-get (seq-find (lambda (scene)
                                                      (equal (plist-get scene :name) "resume"))
                                                    (plist-get report :scenes))
                                          :outcome))
                             reports)
                     '("not-exercised" "passed" "passed"))))))

(provide 'org-agent-conformance-tests)
;;; org-agent-conformance-tests.el ends here
