;;; org-agent-browser-tests.el --- The list of sessions  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; The list of sessions against a server in the hand of the test, which
;; has thousands of them.

;;; Code:

(require 'org-agent-real)

;;;; A server with sessions

(defvar org-agent-browser-tests-sessions nil
  "The sessions of the fake server, those with the last activity first.")

(defun org-agent-browser-tests-session (n &rest more)
  "Return a session with number N; MORE wins."
  (append more
          (list :id (format "s%d" n) :title (format "Chat %d" n) :status "active"
                :archived :json-false :buffer "*org-agent-chat*" :group nil :tags []
                :messages 2 :unread 0 :forkedFrom nil :imported nil :model nil
                :tokens '(:prompt 1200 :completion 34) :cost nil
                :createdAt (* 1000 (- 2000000 n)) :updatedAt (* 1000 (- 2000000 n)))))

(defun org-agent-browser-tests-page (params all)
  "Return the page of ALL that PARAMS ask for."
  (let* ((from (string-to-number (or (plist-get params :cursor) "0")))
         (end (+ from (plist-get params :limit)))
         (items (seq-subseq all from (min end (length all)))))
    (list :items (vconcat items)
          :nextCursor (and (< end (length all)) (number-to-string end)))))

(defun org-agent-browser-tests-find (params)
  "Return the fake session that PARAMS name, or refuse."
  (or (seq-find (lambda (item) (equal (plist-get item :id) (plist-get params :sessionId)))
                org-agent-browser-tests-sessions)
      (org-agent-fake-refuse "not_found")))

(defun org-agent-browser-tests-change (params &rest more)
  "Give the fake session that PARAMS name MORE; return it."
  (let* ((old (org-agent-browser-tests-find params))
         (new (append more old)))
    (setq org-agent-browser-tests-sessions
          (mapcar (lambda (item) (if (eq item old) new item))
                  org-agent-browser-tests-sessions))
    new))

(defun org-agent-browser-tests-hit (n &rest more)
  "Return something found with number N; MORE wins."
  (append more
          (list :sessionId (format "s%d" n) :title (format "Chat %d" n)
                :messageId (format "event-%d" n) :role "user"
                :createdAt (* 1000 (- 2000000 n))
                :snippet "say foo twice: foo" :highlights [[4 7] [15 18]] :score 1.0)))

(defmacro org-agent-browser-tests-with (sessions &rest body)
  "Run BODY in the list of SESSIONS, whose window is selected."
  (declare (indent 1) (debug t))
  `(org-agent-fake-with
     (let ((org-agent-browser-tests-sessions ,sessions)
           (org-agent--browser-pause 0)
           (org-agent--browser-typing 0))
       (setq org-agent-fake-answers
             (append
              (list
               (cons 'orgAgent/sessions/list
                     (lambda (params)
                       (org-agent-browser-tests-page
                        params
                        (seq-remove
                         (lambda (item)
                           (and (eq (plist-get params :archived) :json-false)
                                (eq (plist-get item :archived) t)))
                         org-agent-browser-tests-sessions))))
               (cons 'orgAgent/sessions/get #'org-agent-browser-tests-find))
              org-agent-fake-answers))
       (unwind-protect
           (progn
             (org-agent-sessions)
             (org-agent-browser-tests-settle)
             ,@body)
         (when (get-buffer "*org-agent sessions*")
           (kill-buffer "*org-agent sessions*"))))))

(defun org-agent-browser-tests-settle ()
  "Wait for answers, for what is asked upon them, and for timers of no time."
  (dotimes (_ 4)
    (accept-process-output nil 0.01)
    (org-agent-fake-settle)))

(defun org-agent-browser-tests-rows ()
  "Return the rows as lists of their cells, without properties."
  (save-excursion
    (goto-char (point-min))
    (let (rows)
      (while (not (eobp))
        (push (mapcar (lambda (cell) (substring-no-properties cell))
                      (tabulated-list-get-entry))
              rows)
        (forward-line 1))
      (nreverse rows))))

(defun org-agent-browser-tests-titles ()
  "Return the titles of the rows."
  (mapcar #'car (org-agent-browser-tests-rows)))

(defun org-agent-browser-tests-end ()
  "Return what stands below the rows."
  (string-trim (substring-no-properties
                (overlay-get org-agent--browser-end 'after-string))))

(defun org-agent-browser-tests-go (title)
  "Go to the row of TITLE."
  (goto-char (point-min))
  (search-forward title)
  (beginning-of-line))

(defun org-agent-browser-tests-last (method)
  "Return the parameters of the last METHOD that was sent."
  (car (last (org-agent-fake-sent method))))

;;;; Rows and pages

(ert-deftest org-agent-browser-asks-for-one-page-of-thousands ()
  (org-agent-browser-tests-with (mapcar #'org-agent-browser-tests-session
                                        (number-sequence 0 4999))
    ;; The chat asked once for its own.
    (let ((asked (lambda ()
                   (seq-filter (lambda (params) (plist-get params :recent))
                               (org-agent-fake-sent 'orgAgent/sessions/list)))))
      (should (equal (funcall asked)
                     '((:recent t :limit 100 :archived :json-false))))
      (should (= (length (org-agent-browser-tests-rows)) 100))
      (should (equal (org-agent-browser-tests-end)
                     "100 sessions are loaded; + loads more"))
      ;; Moving about in it asks for nothing; reaching its end does.
      (org-agent-fake-keys "n n n p")
      (org-agent-browser-tests-settle)
      (should (= (length (funcall asked)) 1))
      (forward-line 1)
      (let ((here (tabulated-list-get-id)))
        (org-agent-fake-keys "+")
        (org-agent-browser-tests-settle)
        (should (equal (tabulated-list-get-id) here)))
      (should (equal (cadr (funcall asked))
                     '(:recent t :limit 100 :archived :json-false :cursor "100")))
      (should (equal (org-agent-browser-tests-titles)
                     (mapcar (lambda (n) (format "Chat %d" n)) (number-sequence 0 199))))
      (org-agent-fake-keys "M->")
      (org-agent-browser-tests-settle)
      (should (= (length (funcall asked)) 3))
      (should (= (length (org-agent-browser-tests-rows)) 300))
      ;; A sort is of what is loaded, and asks for nothing.
      (org-agent-browser-tests-go "Chat 0")
      (forward-char 3)
      (org-agent-fake-keys "S")
      (org-agent-browser-tests-settle)
      (should (= (length (funcall asked)) 3))
      (should (equal (seq-take (org-agent-browser-tests-titles) 3)
                     '("Chat 0" "Chat 1" "Chat 10")))
      (org-agent-fake-keys "g")
      (org-agent-browser-tests-settle)
      (should (equal (plist-get (car (last (funcall asked))) :limit) 300))
      (should (equal (org-agent-browser-tests-end)
                     "300 sessions are loaded and sorted; + loads more")))))

(ert-deftest org-agent-browser-shows-what-is-known-of-a-session ()
  (let ((now (truncate (float-time))))
    (org-agent-browser-tests-with
        (list (org-agent-browser-tests-session
               1 :title "One\nwith\u202elines" :status "running" :model "large"
               :tokens '(:prompt 120000 :completion 3400) :cost 0.0123 :unread 3
               :updatedAt (* 1000 (- now 30)) :group "thesis" :tags ["draft" "@home"])
              (org-agent-browser-tests-session
               2 :status "failed" :archived :json-false
               :tokens '(:prompt nil :completion nil) :cost 12.5
               :updatedAt (* 1000 (- now 300)))
              (org-agent-browser-tests-session 3 :updatedAt (* 1000 (- now 7300)))
              (org-agent-browser-tests-session 4 :updatedAt (* 1000 (- now 90000)))
              (org-agent-browser-tests-session 5 :updatedAt (* 1000 (- now 260000)))
              (org-agent-browser-tests-session 6))
      (should (equal (org-agent-browser-tests-rows)
                     `(("One with lines" "running" "now" "large" "123k" "$0.01" "3"
                        "thesis :draft:@home:")
                       ("Chat 2" "failed" "5 min ago" "" "" "$12.50" "" "")
                       ("Chat 3" "active" "2 h ago" "" "1,234" "" "" "")
                       ("Chat 4" "active" "yesterday" "" "1,234" "" "" "")
                       ("Chat 5" "active" "3 days ago" "" "1,234" "" "" "")
                       ("Chat 6" "active" ,(format-time-string "%F" 1999994)
                        "" "1,234" "" "" ""))))
      (should (equal (org-agent-browser-tests-end) "6 sessions"))
      ;; Each column sorts.
      (pcase-dolist (`(,column . ,first) '((0 . "Chat 2") (1 . "Chat 3") (3 . "Chat 3")
                                           (4 . "Chat 2") (5 . "Chat 3") (6 . "Chat 3")))
        (tabulated-list-sort column)
        (should (equal (car (org-agent-browser-tests-titles)) first)))
      (tabulated-list-sort 2)
      (should (equal (car (org-agent-browser-tests-titles)) "Chat 6"))
      (tabulated-list-sort 2)
      (should (equal (car (org-agent-browser-tests-titles)) "One with lines")))))

(ert-deftest org-agent-browser-says-why-nothing-is-there ()
  (org-agent-browser-tests-with nil
    (should (equal (org-agent-browser-tests-end)
                   "There is no session yet; M-x org-agent-chat begins one"))
    (org-agent-fake-keys "/ t x RET")
    (org-agent-browser-tests-settle)
    (should (equal (org-agent-browser-tests-end) "Nothing fits; / / shows all sessions"))
    (push (cons 'orgAgent/sessions/list
                (lambda (_) (org-agent-fake-refuse "overloaded")))
          org-agent-fake-answers)
    (org-agent-fake-keys "g")
    (org-agent-browser-tests-settle)
    (should (equal (org-agent-browser-tests-end) "refused (a hint)"))))

(ert-deftest org-agent-browser-shows-changes-and-keeps-point-and-marks ()
  (org-agent-browser-tests-with (mapcar #'org-agent-browser-tests-session
                                        (number-sequence 0 9))
    (let ((other (split-window)))
      (org-agent-browser-tests-go "Chat 7")
      (set-window-point other (point))
      (org-agent-browser-tests-go "Chat 5")
      (org-agent-fake-keys "m")
      (org-agent-browser-tests-go "Chat 5")
      (forward-char 4)
      (let ((point (point)) (before (org-agent-browser-tests-titles)))
        ;; In its place, and then to the top.
        (org-agent-browser-tests-change '(:sessionId "s3") :title "Another")
        (org-agent-fake-tell 'orgAgent/sessions/changed :sessionId "s3"
                             :changes ["chat.session.renamed"])
        (org-agent-browser-tests-settle)
        (should (equal (org-agent-browser-tests-titles)
                       (cl-substitute "Another" "Chat 3" before :test #'equal)))
        (should (= (point) (+ point 0)))
        (org-agent-browser-tests-change '(:sessionId "s8") :status "running"
                                        :updatedAt 2000001000)
        (org-agent-fake-tell 'orgAgent/turn :turnId "t" :sessionId "s8" :seq 1
                             :state "accepted")
        (org-agent-browser-tests-settle)
        (should (equal (seq-take (org-agent-browser-tests-titles) 2) '("Chat 8" "Chat 0")))
        (should (equal (cadr (car (org-agent-browser-tests-rows))) "running"))
        ;; One that was made, one that is archived, one that is deleted.
        (push (org-agent-browser-tests-session 10 :updatedAt 2000002000)
              org-agent-browser-tests-sessions)
        (org-agent-browser-tests-change '(:sessionId "s1") :archived t)
        (dolist (session '("s10" "s1"))
          (org-agent-fake-tell 'orgAgent/sessions/changed :sessionId session
                               :changes ["chat.session.created"]))
        (org-agent-fake-tell 'orgAgent/sessions/changed :sessionId "s2"
                             :changes ["chat.session.deleted"])
        (org-agent-browser-tests-settle)
        (should (equal (org-agent-browser-tests-titles)
                       '("Chat 10" "Chat 8" "Chat 0" "Another" "Chat 4" "Chat 5"
                         "Chat 6" "Chat 7" "Chat 9")))
        (should (equal (tabulated-list-get-id) '("s5")))
        (should (= (current-column) 4))
        (should (equal (buffer-substring (line-beginning-position)
                                         (1+ (line-beginning-position)))
                       "*"))
        (should (equal (tabulated-list-get-id (window-point other)) '("s7")))
        ;; Refreshing and sorting keep them, too.
        (org-agent-fake-keys "g")
        (org-agent-browser-tests-settle)
        (should (equal (tabulated-list-get-id) '("s5")))
        (should (equal (tabulated-list-get-id (window-point other)) '("s7")))
        (tabulated-list-sort 0)
        (should (equal (tabulated-list-get-id) '("s5")))
        (should (equal (org-agent--browser-marked ?*) '("s5")))
        ;; What is marked and goes is marked no more.
        (org-agent-fake-tell 'orgAgent/sessions/changed :sessionId "s5"
                             :changes ["chat.session.deleted"])
        (org-agent-browser-tests-settle)
        (should-not (org-agent--browser-marked ?*))))))

(ert-deftest org-agent-browser-asks-once-for-what-happens-in-a-burst ()
  (org-agent-browser-tests-with (mapcar #'org-agent-browser-tests-session
                                        (number-sequence 0 99))
    (let ((org-agent--browser-pause 0.2))
      (dotimes (seq 50)
        (org-agent-fake-tell 'orgAgent/turn :turnId "t" :sessionId "s8"
                             :seq (1+ seq) :state "thinking"))
      (org-agent-fake-settle)
      (org-agent-fake-until (lambda () (org-agent-fake-sent 'orgAgent/sessions/get)))
      (org-agent-browser-tests-settle)
      (should (equal (org-agent-fake-sent 'orgAgent/sessions/get) '((:sessionId "s8"))))
      ;; Many sessions are one page.
      (let ((lists (length (org-agent-fake-sent 'orgAgent/sessions/list))))
        (dotimes (n 50)
          (org-agent-fake-tell 'orgAgent/sessions/changed :sessionId (format "s%d" n)
                               :changes ["chat.session.labelled"]))
        (org-agent-fake-until
         (lambda () (< lists (length (org-agent-fake-sent 'orgAgent/sessions/list)))))
        (org-agent-browser-tests-settle)
        (should (= (length (org-agent-fake-sent 'orgAgent/sessions/get)) 1))
        (should (= (length (org-agent-fake-sent 'orgAgent/sessions/list)) (1+ lists)))))))

;;;; Searching and narrowing

(ert-deftest org-agent-browser-searches-while-one-types ()
  (org-agent-browser-tests-with (mapcar #'org-agent-browser-tests-session
                                        (number-sequence 0 4))
    (let ((list (current-buffer)) (seen nil))
      (push (cons 'orgAgent/sessions/search
                  (lambda (params)
                    (append (list :complete t)
                            (org-agent-browser-tests-page
                             params (if (equal (plist-get params :query) "foo")
                                        (list (org-agent-browser-tests-hit 3)
                                              (org-agent-browser-tests-hit
                                               1 :role "assistant" :highlights [[9 99] [-1 3]]))
                                      (list (org-agent-browser-tests-hit 4)))))))
            org-agent-fake-answers)
      (let ((look (lambda ()
                    (interactive)
                    (org-agent-browser-tests-settle)
                    (push (with-current-buffer list (org-agent-browser-tests-titles))
                          seen))))
        (define-key minibuffer-local-map (kbd "C-c l") look)
        (unwind-protect
            (org-agent-fake-keys "s f C-c l o o C-c l RET")
          (define-key minibuffer-local-map (kbd "C-c l") nil)))
      (org-agent-browser-tests-settle)
      ;; It was looked for meanwhile, and not once more at the end.
      (should (equal (nreverse seen) '(("Chat 4") ("Chat 3" "Chat 1"))))
      (should (equal (mapcar (lambda (params) (plist-get params :query))
                             (org-agent-fake-sent 'orgAgent/sessions/search))
                     '("f" "foo")))
      (should (equal (org-agent-browser-tests-rows)
                     `(("Chat 3" "user" ,(format-time-string "%F" 1999997)
                        "say foo twice: foo")
                       ("Chat 1" "assistant" ,(format-time-string "%F" 1999999)
                        "say foo twice: foo"))))
      (goto-char (point-min))
      (search-forward "say foo")
      (should (eq (get-text-property (1- (point)) 'face) 'match))
      (should-not (get-text-property (- (point) 4) 'face))
      (should (equal (org-agent--browser-narrowed) " [\"foo\"]"))
      ;; q goes back to the sessions.
      (org-agent-fake-keys "q")
      (org-agent-browser-tests-settle)
      (should (eq (current-buffer) list))
      (should (= (length (org-agent-browser-tests-rows)) 5))
      ;; It can be begun elsewhere.
      (switch-to-buffer "*scratch*")
      (execute-kbd-macro (kbd "M-x org-agent-sessions-search RET f o o RET"))
      (org-agent-browser-tests-settle)
      (should (eq (window-buffer) list))
      (should (equal (org-agent-browser-tests-titles) '("Chat 3" "Chat 1")))
      (set-buffer list)
      (org-agent-fake-keys "q")
      (org-agent-browser-tests-settle)
      ;; C-g leaves what was shown before.
      (condition-case nil (org-agent-fake-keys "s b a r C-g") (quit nil))
      (org-agent-browser-tests-settle)
      (should-not (buffer-local-value 'org-agent--browser-query list))
      (should (= (length (org-agent-browser-tests-rows)) 5)))))

(ert-deftest org-agent-browser-shows-what-has-the-words-in-its-title-first ()
  (org-agent-browser-tests-with
      (list (org-agent-browser-tests-session 1 :title "Übung: FOO bar")
            (org-agent-browser-tests-session 2 :title "bar only"))
    (push (cons 'orgAgent/sessions/search
                (lambda (params)
                  (append (list :complete t)
                          (org-agent-browser-tests-page
                           params (mapcar #'org-agent-browser-tests-hit
                                          (number-sequence 3 150))))))
          org-agent-fake-answers)
    (org-agent--browser-look "\"bar\" foo*")
    (org-agent-browser-tests-settle)
    (should (equal (org-agent-browser-tests-last 'orgAgent/sessions/list)
                   '(:recent t :limit 10 :title "bar foo")))
    ;; A server that knows nothing of that tells too much.
    (should (equal (seq-take (org-agent-browser-tests-titles) 2)
                   '("Übung: FOO bar" "Chat 3")))
    (should (= (length (org-agent-browser-tests-titles)) 101))
    (goto-char (point-min))
    (search-forward "Übung")
    (search-forward "Übung: FOO")
    (should (eq (get-text-property (1- (point)) 'face) 'match))
    ;; The next page is of messages only.
    (org-agent-fake-keys "+")
    (org-agent-browser-tests-settle)
    (should (= (length (org-agent-browser-tests-titles)) 149))
    (should (equal (plist-get (org-agent-browser-tests-last 'orgAgent/sessions/list) :title)
                   "bar foo"))
    ;; What is deleted goes from both.
    (org-agent-fake-tell 'orgAgent/sessions/changed :sessionId "s1"
                         :changes ["chat.session.deleted"])
    (org-agent-browser-tests-settle)
    (should (equal (car (org-agent-browser-tests-titles)) "Chat 3"))))

(ert-deftest org-agent-browser-drops-late-answers ()
  (org-agent-browser-tests-with (list (org-agent-browser-tests-session 1))
    (push (cons 'orgAgent/sessions/search
                (lambda (params)
                  (list :complete t :nextCursor nil
                        :items (vector (org-agent-browser-tests-hit
                                        1 :title (plist-get params :query))))))
          org-agent-fake-answers)
    (org-agent--browser-look "one")
    (org-agent--browser-look "two")
    (let ((round org-agent--browser-round))
      (org-agent-browser-tests-settle)
      (should (equal (org-agent-browser-tests-titles) '("two")))
      ;; One that is later than everything.
      (org-agent--browser-answered (current-buffer) (1- round)
        (lambda () (ert-fail "a late answer was taken")))
      ;; A page of a list that is there no more.
      (should-not org-agent--browser-asking))
    (org-agent--browser-look "three")
    (org-agent-sessions-widen)
    (org-agent-browser-tests-settle)
    (should (equal (org-agent-browser-tests-titles) '("Chat 1")))))

(ert-deftest org-agent-browser-says-what-cannot-be-searched ()
  (org-agent-browser-tests-with (list (org-agent-browser-tests-session 1))
    ;; Nothing to look for, and more than the server takes.
    (org-agent--browser-look " \"* ")
    (should-not (org-agent-fake-sent 'orgAgent/sessions/search))
    (org-agent--browser-look (make-string 2000 ?é))
    (org-agent-browser-tests-settle)
    (should (equal (plist-get (org-agent-browser-tests-last 'orgAgent/sessions/search)
                              :query)
                   (make-string 512 ?é)))
    (push (cons 'orgAgent/sessions/search (lambda (_) (org-agent-fake-refuse "bad_request")))
          org-agent-fake-answers)
    (org-agent--browser-look "foo")
    (org-agent-browser-tests-settle)
    (should (equal (org-agent-browser-tests-end) "refused (a hint)"))))

(ert-deftest org-agent-browser-narrows-by-what-the-server-knows ()
  (org-agent-browser-tests-with (list (org-agent-browser-tests-session 1))
    (let ((asked (lambda (method &rest expected)
                   (org-agent-browser-tests-settle)
                   (should (equal (org-agent-browser-tests-last method) expected)))))
      (org-agent-fake-keys "/ s failed RET")
      (funcall asked 'orgAgent/sessions/list
               :recent t :limit 100 :status "failed" :archived :json-false)
      (org-agent-fake-keys "/ a")
      (funcall asked 'orgAgent/sessions/list
               :recent t :limit 100 :status "failed" :archived t)
      (should (equal (org-agent--browser-narrowed) " [archived; status failed]"))
      ;; Of one status there are both only one after the other.
      (org-agent-fake-keys "/ a")
      (funcall asked 'orgAgent/sessions/list
               :recent t :limit 100 :status "failed" :archived :json-false)
      (org-agent-fake-keys "/ s RET / a / a / t draft RET / g 100% SPC sure RET")
      (funcall asked 'orgAgent/sessions/list
               :recent t :limit 100 :group "100% sure" :tag "draft")
      (should (equal (org-agent--browser-narrowed)
                     " [archived too; tag draft; group 100%% sure]"))
      (org-agent-fake-keys "/ /")
      (cl-letf (((symbol-function 'org-read-date)
                 (lambda (&rest _) (encode-time 0 30 13 2 3 2026))))
        (org-agent-fake-keys "/ d / u"))
      (let* ((day (* 1000 (truncate (float-time (encode-time 0 0 0 2 3 2026)))))
             (next (+ day 86400000)))
        (funcall asked 'orgAgent/sessions/list :recent t :limit 100
                 :archived :json-false :since day :until next)
        (should (equal (org-agent--browser-narrowed)
                       " [since 2026-03-02; until 2026-03-02]"))
        (org-agent-fake-keys "C-u / d / r assistant RET")
        (funcall asked 'orgAgent/sessions/search :query "" :limit 100
                 :role "assistant" :until next)
        (org-agent-fake-keys "C-u / u / k chat RET")
        (funcall asked 'orgAgent/sessions/search :query "" :limit 100
                 :role "assistant" :skill "chat"))
      (org-agent-fake-keys "q")
      (funcall asked 'orgAgent/sessions/list
               :recent t :limit 100 :archived :json-false))))

(ert-deftest org-agent-browser-keeps-to-its-filters-when-something-changes ()
  (org-agent-browser-tests-with (mapcar #'org-agent-browser-tests-session '(0 1 2))
    (let ((changed (lambda (session &rest more)
                     (apply #'org-agent-browser-tests-change (list :sessionId session) more)
                     (org-agent-fake-tell 'orgAgent/sessions/changed :sessionId session
                                          :changes ["chat.session.labelled"])
                     (org-agent-browser-tests-settle)
                     (org-agent-browser-tests-titles))))
      (setq org-agent--browser-filters
            (list :archived :json-false :status "active" :tag "draft" :group "thesis"
                  :since 1999998000 :until 2000000001))
      (should (equal (funcall changed "s0" :tags ["x" "draft"] :group "thesis")
                     '("Chat 0" "Chat 1" "Chat 2")))
      (should (equal (funcall changed "s1" :tags ["draft"] :group nil)
                     '("Chat 0" "Chat 2")))
      (should (equal (funcall changed "s1" :group "thesis") '("Chat 0" "Chat 1" "Chat 2")))
      (should (equal (funcall changed "s1" :tags []) '("Chat 0" "Chat 2")))
      (should (equal (funcall changed "s2" :tags ["draft"] :group "thesis" :status "failed")
                     '("Chat 0")))
      (should (equal (funcall changed "s2" :status "active") '("Chat 0" "Chat 2")))
      (should (equal (funcall changed "s2" :updatedAt 1999997999) '("Chat 0")))
      (should (equal (funcall changed "s0" :updatedAt 2000000001) nil))
      (should (equal (funcall changed "s0" :updatedAt 2000000000) '("Chat 0")))
      ;; One that is gone, without word of that.
      (setq org-agent-browser-tests-sessions nil)
      (org-agent-fake-tell 'orgAgent/turn :turnId "t" :sessionId "s0" :seq 1 :state "done")
      (org-agent-browser-tests-settle)
      (should-not (org-agent-browser-tests-titles)))))

(ert-deftest org-agent-browser-has-a-command-behind-each-key-and-menu-item ()
  (let ((commands nil) (items nil))
    (cl-labels ((walk (map)
                  (map-keymap (lambda (_key binding)
                                (pcase binding
                                  ((pred keymapp) (walk binding))
                                  (`(menu-item ,_ ,(and sub (pred keymapp)) . ,_)
                                   (walk sub))
                                  ((or `(menu-item ,_) '("--")))
                                  (`(menu-item ,_ ,command . ,_)
                                   (push command items))
                                  ((guard binding)
                                   (push binding commands))))
                              map)))
      (let ((map (copy-keymap org-agent-sessions-mode-map)))
        (set-keymap-parent map nil)
        (walk map)))
    (should (< 30 (length commands)))
    (should (< 20 (length items)))
    (dolist (command (append commands (delq nil items)))
      (should (commandp command)))
    (should (keymapp (lookup-key org-agent-sessions-mode-map [menu-bar Sessions])))))

(provide 'org-agent-browser-tests)
;;; org-agent-browser-tests.el ends here
