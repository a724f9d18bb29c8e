;;; org-agent-rewrite-tests.el --- Rewriting in place  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Code:

(require 'org-agent-real)
(require 'org-agent-rewrite)

(defvar ediff-after-quit-hook-internal)

(defvar org-agent-rewrite-tests-text
  "int first;\n\tint a = 1;\n\tint b = 2;\nint last;\n"
  "Some text.  Its second and third lines are rewritten.")

(defmacro org-agent-rewrite-tests-with (text &rest body)
  "Run BODY in a buffer with TEXT and a fake server; clean up behind it."
  (declare (indent 1) (debug t))
  `(let ((org-agent--rewriting (make-hash-table :test #'equal))
         (org-agent--rewrites-kept nil)
         (org-agent--rewrites-unreported nil)
         (org-agent--rewrites-changed nil)
         (org-agent-rewrite-history nil)
         (buffer (generate-new-buffer "main.c")))
     (org-agent-fake-with
       (unwind-protect
           (progn
             (switch-to-buffer buffer)
             (buffer-enable-undo)
             (fundamental-mode)
             (insert ,text)
             (setq buffer-undo-list nil)
             (set-buffer-modified-p nil)
             ,@body)
         (when (buffer-live-p buffer)
           (with-current-buffer buffer (set-buffer-modified-p nil))
           (kill-buffer buffer))
         (org-agent-fake-settle)))))

(defun org-agent-rewrite-tests-lines (from to)
  "Return where the lines FROM to TO of this buffer begin and end."
  (save-excursion
    (goto-char (point-min))
    (list (progn (forward-line (1- from)) (point))
          (progn (forward-line (- (1+ to) from)) (point)))))

(defun org-agent-rewrite-tests-ask (from to instruction)
  "Have the lines FROM to TO rewritten by INSTRUCTION; return the rewrite."
  (pcase-let ((`(,beg ,end) (org-agent-rewrite-tests-lines from to)))
    (org-agent-rewrite beg end instruction)
    (org-agent-fake-settle)
    (org-agent--rewrite-in beg end)))

(defun org-agent-rewrite-tests-offer (n seq text &rest more)
  "Offer TEXT in turn N by message SEQ; return the answer.
MORE goes into the action."
  (let ((answer (org-agent-fake-ask
                 'orgAgent/actuate :actuationId (format "act-%d" n)
                 :turnId (format "turn-%d" n) :sessionId "session-1"
                 :attempt 1 :seq seq
                 :action `( :type "request" :target "emacs" ,@more
                            :payload (:action "replace-region" :text ,text))
                 :sexp "" :decision "ask" :rule "the user decides")))
    (org-agent-fake-settle)
    (car answer)))

(defun org-agent-rewrite-tests-shown (rewrite)
  "Return what stands in the place of the text of REWRITE."
  (let ((shown (overlay-get (org-agent--rewrite-overlay rewrite) 'display)))
    (and shown (substring-no-properties shown))))

(defun org-agent-rewrite-tests-label (rewrite)
  "Return what stands before the text of REWRITE."
  (substring-no-properties
   (overlay-get (org-agent--rewrite-overlay rewrite) 'before-string)))

(defun org-agent-rewrite-tests-reports ()
  "Return what was reported, each as a list of identifier and status."
  (mapcar (lambda (params) (list (plist-get params :actuationId)
                                 (plist-get params :status)))
          (org-agent-fake-sent 'orgAgent/actuated)))

(defconst org-agent-rewrite-tests-new "\tint b = 2;\n\tint a = 1 + 1;\n"
  "New text for the second and third lines.")

;;;; The whole way

(ert-deftest org-agent-rewrite-is-shown-and-put-there-when-accepted ()
  (org-agent-rewrite-tests-with org-agent-rewrite-tests-text
    (let ((rewrite (org-agent-rewrite-tests-ask 2 3 "swap them"))
          (mark (copy-marker (save-excursion (goto-char (point-max))
                                             (search-backward "last")))))
      ;; The server gets the text, and what is around it as data.
      (let* ((sent (car (org-agent-fake-sent 'orgAgent/event)))
             (parts (append (plist-get sent :context) nil)))
        (should (equal (plist-get sent :sensor) "rewrite"))
        (should (equal (plist-get sent :text) "swap them"))
        (should-not (plist-member sent :sessionId))
        (should (equal (mapcar (lambda (part)
                                 (list (plist-get part :kind) (plist-get part :name)
                                       (plist-get part :text)))
                               parts)
                       '(("buffer" "main.c, before it" "int first;\n")
                         ("region" "main.c" "\tint a = 1;\n\tint b = 2;\n")
                         ("buffer" "main.c, after it" "int last;\n"))))
        (should (equal (plist-get (nth 1 parts) :mode) "fundamental-mode")))
      ;; It comes, and the buffer does not change.
      (org-agent-fake-state "turn-1" 1 "streaming")
      (org-agent-fake-delta "turn-1" 2 "\tint b = 2;\n\ti")
      (should (equal (org-agent-rewrite-tests-shown rewrite) "\tint b = 2;\n\ti"))
      (org-agent-fake-tell 'orgAgent/retract :turnId "turn-1" :attempt 1 :seq 3
                           :reason "no")
      (org-agent-fake-settle)
      (should-not (org-agent-rewrite-tests-shown rewrite))
      (org-agent-fake-delta "turn-1" 4 "\tint b" 2)
      ;; What it has not reached yet stands below.
      (should (equal (org-agent-rewrite-tests-shown rewrite)
                     "\tint b\n\tint b = 2;\n"))
      (should (equal (org-agent-rewrite-tests-offer
                      1 5 org-agent-rewrite-tests-new
                      :explanation "Here you are.")
                     '(:accepted t)))
      (should (equal (org-agent-rewrite-tests-shown rewrite)
                     org-agent-rewrite-tests-new))
      (should (string-search "C-c C-c accept" (org-agent-rewrite-tests-label rewrite)))
      (should (equal (buffer-string) org-agent-rewrite-tests-text))
      (should-not buffer-undo-list)
      (should-not (buffer-modified-p))
      (should-not (org-agent-rewrite-tests-reports))
      ;; A key puts it there.  What did not change keeps its markers.
      (goto-char (car (org-agent-rewrite-tests-lines 2 3)))
      (org-agent-fake-keys "C-c C-c")
      (org-agent-fake-settle)
      (should (equal (buffer-string)
                     (concat "int first;\n" org-agent-rewrite-tests-new "int last;\n")))
      (should (looking-at-p "\tint b"))
      (should (equal (buffer-substring mark (+ 4 mark)) "last"))
      (should (equal (org-agent-rewrite-tests-reports) '(("act-1" "done"))))
      (should-not (org-agent--rewrites))
      (org-agent-fake-state "turn-1" 6 "done")
      (should (hash-table-empty-p org-agent--rewriting))
      ;; No chat knows of it.
      (should (hash-table-empty-p org-agent--turns))
      ;; One step of undo.
      (let ((last-command 'ignore)) (undo))
      (should (equal (buffer-string) org-agent-rewrite-tests-text)))))

(ert-deftest org-agent-rewrite-rejected-leaves-no-trace ()
  (org-agent-rewrite-tests-with org-agent-rewrite-tests-text
    (org-agent-rewrite-tests-ask 2 3 "swap them")
    (org-agent-rewrite-tests-offer 1 1 org-agent-rewrite-tests-new)
    (goto-char (car (org-agent-rewrite-tests-lines 2 3)))
    (org-agent-fake-keys "C-c C-k")
    (org-agent-fake-settle)
    (should (equal (org-agent-rewrite-tests-reports) '(("act-1" "denied"))))
    (should (equal (buffer-string) org-agent-rewrite-tests-text))
    (should-not (overlays-in (point-min) (point-max)))
    (should-not buffer-undo-list)
    (should-error (org-agent-rewrite-accept) :type 'user-error)))

(ert-deftest org-agent-rewrite-can-be-cancelled-at-any-time ()
  (org-agent-rewrite-tests-with org-agent-rewrite-tests-text
    ;; While it runs, by either key.
    (dolist (key '("C-c C-k" "C-g"))
      (org-agent-rewrite-tests-ask 2 3 "swap them")
      (goto-char (car (org-agent-rewrite-tests-lines 2 3)))
      (org-agent-fake-keys key)
      (org-agent-fake-settle)
      (should-not (org-agent--rewrites)))
    (should (equal (org-agent-fake-sent 'orgAgent/cancel)
                   '((:turnId "turn-1") (:turnId "turn-2"))))
    ;; What was on its way is answered, so that the turn ends.
    (org-agent-rewrite-tests-offer 2 1 "late")
    (should (equal (org-agent-rewrite-tests-reports) '(("act-2" "denied"))))
    ;; Before the server has answered.
    (pcase-let ((`(,beg ,end) (org-agent-rewrite-tests-lines 2 3)))
      (org-agent-rewrite beg end "swap them")
      (org-agent-rewrite-reject)
      (org-agent-fake-settle)
      (org-agent-fake-settle))
    (should (equal (car (last (org-agent-fake-sent 'orgAgent/cancel)))
                   '(:turnId "turn-3")))
    (dolist (turn '("turn-1" "turn-2" "turn-3"))
      (org-agent-fake-state turn 9 "cancelled"))
    (should (hash-table-empty-p org-agent--rewriting))
    (should (equal (buffer-string) org-agent-rewrite-tests-text))))

(ert-deftest org-agent-rewrite-asks-again-in-its-session ()
  (org-agent-rewrite-tests-with org-agent-rewrite-tests-text
    (let ((rewrite (org-agent-rewrite-tests-ask 2 3 "swap them")))
      (should-error (org-agent-rewrite-again "shorter") :type 'user-error)
      (org-agent-rewrite-tests-offer 1 1 org-agent-rewrite-tests-new)
      (goto-char (car (org-agent-rewrite-tests-lines 2 3)))
      (cl-letf (((symbol-function 'read-multiple-choice)
                 (lambda (_prompt choices)
                   (should (equal (mapcar #'car choices) '(?a ?r ?d ?e ?i ?w)))
                   (assq ?i choices)))
                ((symbol-function 'read-string) (lambda (&rest _) " shorter ")))
        (org-agent-fake-keys "RET"))
      (org-agent-fake-settle)
      (should (equal (org-agent-rewrite-tests-reports) '(("act-1" "denied"))))
      (let ((sent (nth 1 (org-agent-fake-sent 'orgAgent/event))))
        (should (equal (plist-get sent :sessionId) "session-1"))
        (should (equal (plist-get sent :text) "shorter"))
        (should-not (equal (plist-get sent :clientId)
                           (plist-get (car (org-agent-fake-sent 'orgAgent/event))
                                      :clientId))))
      ;; The end of the first is not that of the second.
      (org-agent-fake-state "turn-1" 2 "cancelled")
      (should (equal (org-agent--rewrites) (list rewrite)))
      (should-not (org-agent-rewrite-tests-shown rewrite))
      (org-agent-rewrite-tests-offer 2 1 "\tint c;\n")
      (org-agent-rewrite-accept)
      (should (equal (buffer-string) "int first;\n\tint c;\nint last;\n")))))

;;;; What the user does meanwhile

(ert-deftest org-agent-rewrite-does-not-replace-what-was-edited ()
  (org-agent-rewrite-tests-with org-agent-rewrite-tests-text
    (let ((rewrite (org-agent-rewrite-tests-ask 2 3 "swap them")))
      ;; Around it, and at its edges, is not in it.
      (goto-char (point-min))
      (insert "// new\n")
      (goto-char (overlay-start (org-agent--rewrite-overlay rewrite)))
      (insert "// above\n")
      (goto-char (overlay-end (org-agent--rewrite-overlay rewrite)))
      (insert "// below\n")
      (should-not (org-agent--rewrite-edited-p rewrite))
      (goto-char (overlay-start (org-agent--rewrite-overlay rewrite)))
      (search-forward "a = 1")
      (insert "0")
      (org-agent-rewrite-tests-offer 1 1 org-agent-rewrite-tests-new)
      (should (string-search "you edited" (org-agent-rewrite-tests-label rewrite)))
      ;; What is being edited can be seen.
      (should-not (org-agent-rewrite-tests-shown rewrite))
      (delete-char -1)
      (should (equal (org-agent-rewrite-tests-shown rewrite)
                     org-agent-rewrite-tests-new))
      (should-not (string-search "edited" (org-agent-rewrite-tests-label rewrite)))
      (insert "0")
      (should-not (org-agent-rewrite-tests-shown rewrite))
      (should (eq (key-binding (kbd "C-c C-c")) 'org-agent-rewrite-accept))
      (should-not (eq (key-binding (kbd "RET")) 'org-agent-rewrite-act))
      (let ((before (buffer-string)))
        (should-error (org-agent-rewrite-accept) :type 'user-error)
        (should (equal (buffer-string) before))
        ;; The difference is to what is there now.
        (with-current-buffer "*org-agent diff: main.c*"
          (should (string-search "\n-\tint a = 10;\n" (buffer-string)))
          (kill-buffer))
        (should (eq (org-agent--rewrite-state rewrite) 'offered)))
      (org-agent-rewrite-accept t)
      (should (equal (buffer-string)
                     (concat "// new\nint first;\n// above\n"
                             org-agent-rewrite-tests-new
                             "// below\nint last;\n"))))))

(ert-deftest org-agent-rewrites-of-one-buffer-are-accepted-together ()
  (org-agent-rewrite-tests-with "one\ntwo\nthree\nfour\nfive\n"
    (dotimes (at 4)
      (org-agent-rewrite-tests-ask (1+ at) (1+ at) "louder"))
    (should (= 4 (length (org-agent--rewrites))))
    ;; They do not overlap, and where it is not said which one, it is asked.
    (should-error (org-agent-rewrite 2 6 "x") :type 'user-error)
    (org-agent-rewrite-tests-offer 1 1 "ONE\nAND MORE\n")
    (org-agent-rewrite-tests-offer 3 1 "THREE\n")
    (org-agent-rewrite-tests-offer 4 1 "")
    (goto-char (point-max))
    (should-error (org-agent-rewrite-accept) :type 'user-error)
    (save-excursion
      (goto-char (point-min))
      (search-forward "thre")
      (insert "E"))
    (setq buffer-undo-list nil)
    (org-agent-rewrite-accept-all)
    (org-agent-fake-settle)
    ;; One is not there yet, one was edited.
    (should (equal (buffer-string) "ONE\nAND MORE\ntwo\nthreEe\nfive\n"))
    (should (equal (sort (mapcar #'car (org-agent-rewrite-tests-reports)) #'string<)
                   '("act-1" "act-4")))
    (should (= 2 (length (org-agent--rewrites))))
    (undo-boundary)
    (let ((last-command 'ignore)) (undo))
    (should (equal (buffer-string) "one\ntwo\nthreEe\nfour\nfive\n"))))

(ert-deftest org-agent-rewrite-keeps-narrowing-and-respects-read-only ()
  (org-agent-rewrite-tests-with org-agent-rewrite-tests-text
    (org-agent-rewrite-tests-ask 2 3 "swap them")
    (org-agent-rewrite-tests-offer 1 1 org-agent-rewrite-tests-new)
    ;; Narrowed to something else, and read-only.
    (narrow-to-region 1 6)
    (setq buffer-read-only t)
    (should-error (org-agent-rewrite-accept) :type 'buffer-read-only)
    (should-error (org-agent-rewrite 1 3 "x") :type 'buffer-read-only)
    (setq buffer-read-only nil)
    (with-silent-modifications
      (save-restriction
        (widen)
        (put-text-property 14 20 'read-only t)))
    (should-error (org-agent-rewrite-accept) :type 'text-read-only)
    (should (= 1 (length (org-agent--rewrites))))
    (should-not (org-agent-rewrite-tests-reports))
    (let ((inhibit-read-only t))
      (org-agent-rewrite-accept))
    (should (equal (list (point-min) (point-max)) '(1 6)))
    (widen)
    (should (equal (substring-no-properties (buffer-string))
                   (concat "int first;\n" org-agent-rewrite-tests-new "int last;\n")))))

(ert-deftest org-agent-rewrite-survives-the-end-of-its-buffer ()
  (org-agent-rewrite-tests-with org-agent-rewrite-tests-text
    (org-agent-rewrite-tests-ask 2 2 "one")
    (org-agent-rewrite-tests-ask 3 3 "two")
    (org-agent-rewrite-tests-offer 1 1 "\tint x;\n")
    ;; A change of the mode keeps it; the copy of a clone means nothing.
    (text-mode)
    (let ((clone (clone-indirect-buffer "clone" nil)))
      (with-current-buffer clone
        (should-not (org-agent--rewrites)))
      (kill-buffer clone))
    (should (= 2 (length (org-agent--rewrites))))
    (should-not (org-agent-rewrite-tests-reports))
    (set-buffer-modified-p nil)
    (kill-buffer)
    (org-agent-fake-settle)
    (should (equal (org-agent-rewrite-tests-reports) '(("act-1" "denied"))))
    (should (equal (org-agent-fake-sent 'orgAgent/cancel) '((:turnId "turn-2"))))
    ;; And what comes all the same is denied.
    (org-agent-rewrite-tests-offer 2 1 "\tint y;\n")
    (should (equal (nth 1 (org-agent-rewrite-tests-reports)) '("act-2" "denied")))))

(ert-deftest org-agent-rewrite-works-in-an-indirect-buffer ()
  (org-agent-rewrite-tests-with org-agent-rewrite-tests-text
    (let ((indirect (make-indirect-buffer buffer "indirect")))
      (with-current-buffer indirect
        (org-agent-rewrite-tests-ask 2 3 "swap them")
        (org-agent-rewrite-tests-offer 1 1 org-agent-rewrite-tests-new)
        (org-agent-rewrite-accept))
      (kill-buffer indirect))
    (should (string-search org-agent-rewrite-tests-new (buffer-string)))))

;;;; What is rewritten

(ert-deftest org-agent-rewrite-takes-the-defun-or-the-paragraph-at-point ()
  (org-agent-rewrite-tests-with "First.\n\nSecond\none.\n\nThird.\n"
    (text-mode)
    (goto-char (point-min))
    (search-forward "Sec")
    (let (flashed)
      (cl-letf (((symbol-function 'read-string)
                 (lambda (_prompt _initial history)
                   (push "shorter" (symbol-value history))
                   "shorter"))
                ((symbol-function 'pulse-momentary-highlight-region)
                 (lambda (beg end &rest _)
                   (push (buffer-substring-no-properties beg end) flashed))))
        (call-interactively #'org-agent-rewrite)
        (org-agent-fake-settle)
        (org-agent-rewrite-reject)
        ;; The last instruction again, in code.
        (emacs-lisp-mode)
        (erase-buffer)
        (insert "(defun a ()\n  1)\n\n(defun b ()\n  2)\n")
        (goto-char (point-max))
        (search-backward "2")
        (let ((current-prefix-arg '(4)))
          (call-interactively #'org-agent-rewrite))
        (org-agent-fake-settle))
      (should (equal (reverse flashed) '("Second\none.\n" "(defun b ()\n  2)\n"))))
    (let ((sent (org-agent-fake-sent 'orgAgent/event)))
      (should (equal (mapcar (lambda (params) (plist-get params :text)) sent)
                     '("shorter" "shorter")))
      (should (equal (plist-get (seq-find (lambda (part)
                                            (equal (plist-get part :kind) "region"))
                                          (plist-get (nth 1 sent) :context))
                                :text)
                     "(defun b ()\n  2)\n")))))

(ert-deftest org-agent-rewrite-sends-no-more-than-it-says ()
  (org-agent-rewrite-tests-with
      (concat (make-string 9000 ?x) "\n" "region\n" (make-string 9000 ?y) "\n")
    (let ((beg 9002) (end 9009))
      (should (equal (buffer-substring beg end) "region\n"))
      (org-agent-rewrite beg end "x")
      (org-agent-fake-settle)
      (org-agent-rewrite-reject)
      (let ((org-agent-rewrite-context 0))
        (org-agent-rewrite beg end "x"))
      (org-agent-fake-settle)
      (org-agent-rewrite-reject)
      ;; What is hidden by narrowing is not told.
      (narrow-to-region (- beg 3) end)
      (org-agent-rewrite beg end "x")
      (org-agent-fake-settle)
      (should (equal (mapcar (lambda (params)
                               (mapcar (lambda (part) (length (plist-get part :text)))
                                       (plist-get params :context)))
                             (org-agent-fake-sent 'orgAgent/event))
                     '((4000 7 4000) (7) (3 7)))))))

(ert-deftest org-agent-rewrite-refuses-what-has-no-characters ()
  (org-agent-rewrite-tests-with "a\n\x3fff80\n\0\n"
    (should-error (org-agent-rewrite 1 5 "x") :type 'user-error)
    (should-error (org-agent-rewrite 5 7 "x") :type 'user-error)
    (set-buffer-multibyte nil)
    (should-error (org-agent-rewrite 1 2 "x") :type 'user-error)
    (should-not (org-agent-fake-sent 'orgAgent/event))
    (should-not (org-agent--rewrites))))

;;;; What goes wrong

(ert-deftest org-agent-rewrite-says-why-there-is-none ()
  (org-agent-rewrite-tests-with org-agent-rewrite-tests-text
    ;; Refused.
    (push (cons 'orgAgent/event (lambda (_) (org-agent-fake-refuse "bad_request")))
          org-agent-fake-answers)
    (let ((rewrite (org-agent-rewrite-tests-ask 2 3 "swap them")))
      (should (eq (org-agent--rewrite-state rewrite) 'failed))
      (should (string-search "not rewritten: refused"
                             (org-agent-rewrite-tests-label rewrite))))
    ;; Asked again, it fails later.
    (setq org-agent-fake-answers nil)
    (org-agent-rewrite-again "swap them")
    (org-agent-fake-settle)
    (org-agent-fake-delta "turn-1" 1 "\tint")
    (let ((rewrite (car (org-agent--rewrites))))
      (org-agent-fake-insert "turn-1" 2 "*System Error:* no such model")
      (should (equal (org-agent-rewrite-tests-reports) '(("act-turn-1" "done"))))
      (org-agent-fake-state "turn-1" 3 "failed" "model: no such model")
      (should (eq (org-agent--rewrite-state rewrite) 'failed))
      (should (string-search "no such model" (org-agent-rewrite-tests-label rewrite)))
      (should-not (org-agent-rewrite-tests-shown rewrite)))
    (should (equal (cdr (should-error (org-agent-rewrite-accept) :type 'user-error))
                   '("There is no new text: it was not rewritten")))
    (org-agent-rewrite-reject)
    (should-not (org-agent--rewrites))
    (should (equal (buffer-string) org-agent-rewrite-tests-text))))

(ert-deftest org-agent-rewrite-outlives-its-server ()
  (org-agent-rewrite-tests-with "one\ntwo\n"
    (let ((first (org-agent-rewrite-tests-ask 1 1 "louder"))
          (second (org-agent-rewrite-tests-ask 2 2 "louder")))
      (org-agent-rewrite-tests-offer 1 1 "ONE\n")
      (org-agent-fake-die)
      (org-agent-fake-until
       (lambda () (eq (org-agent--rewrite-state second) 'failed)) "the news")
      ;; What was verified can be accepted, and the next server learns of it.
      (should (eq (org-agent--rewrite-state first) 'offered))
      (goto-char (point-min))
      (org-agent-rewrite-accept)
      (should (equal (buffer-string) "ONE\ntwo\n"))
      (org-agent-fake-settle)
      (should (member '("act-1" "done") (org-agent-rewrite-tests-reports))))))

(ert-deftest org-agent-rewrite-is-reported-to-the-next-server-if-one-dies ()
  (org-agent-rewrite-tests-with "one\ntwo\n"
    (org-agent-rewrite-tests-ask 1 1 "louder")
    (org-agent-rewrite-tests-offer 1 1 "ONE\n")
    ;; This one dies before it has confirmed what it was told.
    (setq org-agent-fake-mute t)
    (org-agent-rewrite-accept)
    (org-agent-fake-until (lambda () (org-agent-rewrite-tests-reports)) "the report")
    (org-agent-fake-die)
    (setq org-agent-fake-mute nil)
    (should (equal (buffer-string) "ONE\ntwo\n"))
    (dotimes (_ 3) (org-agent-fake-settle))
    (should (equal (org-agent-rewrite-tests-reports)
                   '(("act-1" "done") ("act-1" "done"))))
    ;; And no more than once.
    (org-agent-fake-die)
    (dotimes (_ 3) (org-agent-fake-settle))
    (should (= 2 (length (org-agent-rewrite-tests-reports))))))

;;;; A chat of its session

(defmacro org-agent-rewrite-tests-opened (&rest body)
  "Run BODY in a chat of the session of a rewrite, in which `source' is BUFFER."
  (declare (indent 0) (debug t))
  `(let ((source (current-buffer)))
     (setq org-agent-fake-transcript (org-agent-fake-said "session-1" (list 1 "louder" nil)))
     (push (cons 'orgAgent/sessions/get
                 (lambda (_) '(:id "session-1" :title "louder"
                               :buffer "*org-agent-rewrite*")))
           org-agent-fake-answers)
     (push (cons 'orgAgent/sessions/resume
                 (lambda (_)
                   (list :sessionId "session-1" :actuations [] :missing []
                         :interrupted [] :resumed [] :live ["turn-1"])))
           org-agent-fake-answers)
     (switch-to-buffer (org-agent--open-session "session-1"))
     (dotimes (_ 5) (org-agent-fake-settle))
     (should (equal (buffer-name) "*org-agent-rewrite*"))
     (should (eq (gethash "session-1" org-agent--buffers) (current-buffer)))
     ,@body))

(defun org-agent-rewrite-tests-told ()
  "Return what this chat shows that is no text."
  (mapconcat (lambda (overlay) (or (overlay-get overlay 'before-string) ""))
             (overlays-in (point-min) (point-max)) ""))

(ert-deftest org-agent-rewrite-opened-as-a-chat-says-where-it-waits ()
  (org-agent-rewrite-tests-with "one\ntwo\n"
    (org-agent-rewrite-tests-ask 2 2 "louder")
    (org-agent-rewrite-tests-opened
      (should (string-search (format-message "A rewrite in `main.c' is under way")
                             (org-agent-rewrite-tests-told)))
      (org-agent-rewrite-tests-offer 1 1 "TWO\n")
      (should (string-search (format-message "A rewrite in `main.c': the new text waits there")
                             (org-agent-rewrite-tests-told)))
      (should (string-search "asks you" mode-line-process))
      ;; The button is the command, and goes to the text.
      (let* ((told (org-agent-rewrite-tests-told))
             (button (string-search "[go there]" told)))
        (should (eq (get-text-property button 'org-agent-command told)
                    'org-agent-rewrite-visit))
        (call-interactively #'org-agent-rewrite-visit))
      (should (eq (current-buffer) source))
      (should (= (line-number-at-pos) 2))
      (org-agent-rewrite-accept)
      (org-agent-fake-state "turn-1" 2 "done")
      (with-current-buffer "*org-agent-rewrite*"
        (should (equal (org-agent-rewrite-tests-told) ""))
        (should-not (org-agent--live-turn))))))

(ert-deftest org-agent-rewrite-cancelled-in-a-chat-is-rejected ()
  (org-agent-rewrite-tests-with "one\ntwo\n"
    (let ((rewrite (org-agent-rewrite-tests-ask 2 2 "louder"))
          (asked nil)
          (answer nil))
      (org-agent-rewrite-tests-offer 1 1 "TWO\n")
      (cl-letf (((symbol-function 'y-or-n-p)
                 (lambda (prompt) (push prompt asked) answer)))
        (org-agent-rewrite-tests-opened
          (should (string-search "waits there" (org-agent-rewrite-tests-told)))
          (org-agent-fake-keys "C-c C-k")
          (should (equal asked (list (format-message
                                      "Reject the new text that waits in `main.c'? "))))
          (should (eq (org-agent--rewrite-state rewrite) 'offered))
          (setq answer t)
          (should (equal (org-agent-tests-said (call-interactively #'org-agent-cancel))
                         '("org-agent: it stays as it is")))
          (org-agent-fake-settle)
          (should (eq (org-agent--rewrite-state rewrite) 'over))
          (should (equal (org-agent-rewrite-tests-reports) '(("act-1" "denied"))))
          (should-not (org-agent-fake-sent 'orgAgent/cancel))
          (should (equal (org-agent-rewrite-tests-told) ""))
          (org-agent-fake-state "turn-1" 2 "cancelled")
          (should-not (org-agent--live-turn))
          (should (equal (with-current-buffer source (buffer-string)) "one\ntwo\n")))))))

(ert-deftest org-agent-rewrite-that-waits-since-an-earlier-server-is-told ()
  (org-agent-rewrite-tests-with "one\ntwo\n"
    (org-agent-rewrite-tests-ask 2 2 "louder")
    (org-agent-rewrite-tests-offer 1 1 "TWO\n")
    (org-agent-rewrite-tests-opened
      (setf (alist-get 'orgAgent/sessions/resume org-agent-fake-answers)
            (lambda (_)
              (list :sessionId "session-1" :actuations [] :missing []
                    :interrupted [(:turnId "turn-1" :eventId "event-1")]
                    :resumed [] :live [])))
      (org-agent-fake-die)
      (dotimes (_ 5) (org-agent-fake-settle))
      (let ((told (org-agent-rewrite-tests-told)))
        (should (string-search "the new text waits there" told))
        (should-not (string-search "interrupted" told)))
      (with-current-buffer source
        (goto-char (point-max))
        (org-agent-rewrite-accept))
      (org-agent-fake-settle)
      (should (equal (with-current-buffer source (buffer-string)) "one\nTWO\n"))
      (should (equal (org-agent-rewrite-tests-reports) '(("act-1" "done"))))
      (should (equal (org-agent-rewrite-tests-told) ""))
      (should-not (org-agent--live-turn)))))

(ert-deftest org-agent-rewrite-shows-a-long-text-in-part-and-a-strange-one-harmlessly ()
  (org-agent-rewrite-tests-with "one\n"
    (let ((rewrite (org-agent-rewrite-tests-ask 1 1 "longer"))
          (text (concat (mapconcat #'number-to-string (number-sequence 1 5000) "\n")
                        "\n")))
      (org-agent-rewrite-tests-offer 1 1 text)
      (let ((shown (org-agent-rewrite-tests-shown rewrite)))
        (should (< (length shown) 2000))
        (should (string-prefix-p "1\n2\n" shown))
        (should (string-match-p "characters more" shown))
        (should (string-suffix-p "\n5000\n" shown)))
      (org-agent-rewrite-accept)
      (should (equal (buffer-string) text)))
    (erase-buffer)
    (insert "word")
    (let ((rewrite (progn (org-agent-rewrite 1 5 "x")
                          (org-agent-fake-settle)
                          (org-agent--rewrite-in 1 5))))
      (org-agent-rewrite-tests-offer 2 1 "#(\"a\" 0 1 (face x))\u202e")
      (should (equal (org-agent-rewrite-tests-shown rewrite)
                     "#(\"a\" 0 1 (face x))\ufffd"))
      (org-agent-rewrite-accept)
      (should (equal (buffer-string) "#(\"a\" 0 1 (face x))\u202e"))
      (should-not (text-properties-at 1)))))

;;;; Looking closer

(ert-deftest org-agent-rewrite-shows-the-difference ()
  (org-agent-rewrite-tests-with org-agent-rewrite-tests-text
    (org-agent-rewrite-tests-ask 2 3 "swap them")
    (should-error (org-agent-rewrite-diff) :type 'user-error)
    (org-agent-rewrite-tests-offer 1 1 "\tint a = 2;\n\tint b = 2;\n")
    (org-agent-rewrite-diff)
    (should (derived-mode-p 'diff-mode))
    (should (eq diff-refine 'font-lock))
    (should (equal (buffer-string)
                   (concat "--- as it is\n+++ rewritten\n@@ -1,2 +1,2 @@\n"
                           "-\tint a = 1;\n+\tint a = 2;\n \tint b = 2;\n")))
    (font-lock-ensure)
    ;; The word that changed, and not its line.
    (goto-char (point-min))
    (search-forward "+\tint a = ")
    (should (seq-some (lambda (overlay)
                        (eq (overlay-get overlay 'face) 'diff-refine-added))
                      (overlays-at (point))))
    ;; It can be decided here.
    (should (string-prefix-p "C-c C-c accept, C-c C-k reject" header-line-format))
    (org-agent-fake-keys "C-c C-c")
    (org-agent-fake-settle)
    (should (equal (org-agent-rewrite-tests-reports) '(("act-1" "done"))))
    (should-not (get-buffer "*org-agent diff: main.c*"))
    (should (eq (current-buffer) buffer))
    (should (equal (buffer-string)
                   "int first;\n\tint a = 2;\n\tint b = 2;\nint last;\n"))))

(ert-deftest org-agent-rewrite-puts-there-what-was-made-of-it-in-ediff ()
  (org-agent-rewrite-tests-with org-agent-rewrite-tests-text
    (let ((rewrite (org-agent-rewrite-tests-ask 2 3 "swap them"))
          sides then)
      (org-agent-rewrite-tests-offer 1 1 org-agent-rewrite-tests-new)
      (cl-letf (((symbol-function 'ediff-buffers)
                 (lambda (a b hooks)
                   (setq sides (list a b))
                   (with-temp-buffer
                     (mapc #'funcall hooks)
                     (setq then (remq t ediff-after-quit-hook-internal)))))
                ((symbol-function 'y-or-n-p) (lambda (_) t)))
        (org-agent-rewrite-ediff)
        (should (equal (mapcar (lambda (side)
                                 (with-current-buffer side (buffer-string)))
                               sides)
                       (list "\tint a = 1;\n\tint b = 2;\n"
                             org-agent-rewrite-tests-new)))
        (with-current-buffer (nth 1 sides)
          (goto-char (point-max))
          (insert "\tint mine;\n"))
        (mapc #'funcall then))
      (org-agent-fake-settle)
      (should-not (seq-some #'buffer-live-p sides))
      (should (eq (org-agent--rewrite-state rewrite) 'over))
      (should (equal (buffer-string)
                     (concat "int first;\n" org-agent-rewrite-tests-new
                             "\tint mine;\nint last;\n")))
      (should (equal (plist-get (car (org-agent-fake-sent 'orgAgent/actuated)) :message)
                     "The user edited it first")))))

;;;; The real server

(ert-deftest org-agent-rewrite-with-the-real-server ()
  (let ((org-agent--rewriting (make-hash-table :test #'equal))
        (org-agent--rewrites-changed nil)
        (reply (lambda (text)
                 (concat
                  (json-serialize
                   (list :text (format "(:type :response :explanation \"Shorter.\" :payload (:text \"%s\"))"
                                       (string-replace "\n" "\\n" text))))
                  "\n{\"end\":{}}\n"))))
    (org-agent-real-with
        `(("replay" . ,(concat (funcall reply "* not **Org**")
                               "{\"text\":\"(:type :request :target :shell :payload (:cmd \\\"ls\\\"))\"}\n{\"end\":{}}\n"
                               (funcall reply "```c\nshort;\n```"))))
        '("ORG_AGENT_MODEL=replay:HOME/replay")
      (with-temp-buffer
        (insert "first\nlong text;\nlast\n")
        (org-agent-rewrite 7 18 "shorten it")
        (let ((rewrite (car (org-agent--rewrites)))
              (offered (lambda ()
                         (eq (org-agent--rewrite-state (car (org-agent--rewrites)))
                             'offered))))
          (org-agent-fake-until offered "the text")
          (should (equal (org-agent--rewrite-text rewrite) "* not **Org**\n"))
          (should (equal (org-agent--rewrite-explanation rewrite) "Shorter."))
          ;; A command is refused, and a fence is taken off.
          (org-agent-rewrite-again "shorter")
          (org-agent-fake-until offered "the other text")
          (should (equal (org-agent--rewrite-text rewrite) "short;\n"))
          (should (string-suffix-p "the code fence around it was taken off"
                                   (org-agent--rewrite-rule rewrite)))
          (org-agent-rewrite-why)
          (org-agent-fake-settle)
          (should (string-search "shorter"
                                 (with-current-buffer "*org-agent why*"
                                   (buffer-string))))
          (org-agent-rewrite-accept)
          (should (equal (buffer-string) "first\nshort;\nlast\n"))
          (org-agent-fake-until (lambda () (hash-table-empty-p org-agent--rewriting))
                                "the end of the turns"))))))

(ert-deftest org-agent-rewrite-accepted-after-the-server-was-killed-is-done ()
  (let ((org-agent--rewriting (make-hash-table :test #'equal))
        (org-agent--rewrites-kept nil)
        (org-agent--rewrites-unreported nil)
        (org-agent--rewrites-changed nil))
    (org-agent-real-with
        `(("replay" . ,(concat
                        (json-serialize
                         '(:text "(:type :response :payload (:text \"ONE\"))"))
                        "\n{\"end\":{}}\n")))
        '("ORG_AGENT_MODEL=replay:HOME/replay")
      (with-temp-buffer
        (insert "one\ntwo\n")
        (org-agent-rewrite 1 5 "louder")
        (let ((rewrite (car (org-agent--rewrites)))
              (status (lambda (session)
                        (let (found)
                          (org-agent--request 'orgAgent/sessions/get
                                              (list :sessionId session)
                                              (lambda (item)
                                                (setq found (plist-get item :status))))
                          (org-agent-fake-until (lambda () found) "the session")))))
          (org-agent-fake-until
           (lambda () (eq (org-agent--rewrite-state rewrite) 'offered)) "the text")
          (signal-process org-agent--process 'SIGKILL)
          (org-agent-fake-until (lambda () (not org-agent--connection)) "the end")
          (should (eq (org-agent--rewrite-state rewrite) 'offered))
          (org-agent-rewrite-accept)
          (should (equal (buffer-string) "ONE\ntwo\n"))
          (org-agent-fake-settle)
          (should (equal (funcall status (org-agent--rewrite-session rewrite))
                         "active")))))))

(provide 'org-agent-rewrite-tests)
;;; org-agent-rewrite-tests.el ends here
