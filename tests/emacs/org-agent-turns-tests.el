;;; org-agent-turns-tests.el --- What a user can do with a turn  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The org-agent authors

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Dry runs, variants, steering, editing what was said, and what is
;; offered after a reply; with the fake server, and where it matters that
;; both sides agree, with the real one.

;;; Code:

(require 'org-agent)
(require 'org-agent-fake)
(require 'org-agent-real)

(defun org-agent-turns-tests-last (method)
  "Return the parameters of the last METHOD that was sent."
  (car (last (org-agent-fake-sent method))))

(defun org-agent-turns-tests-settle ()
  "Wait for answers to what is asked upon answers, too."
  (dotimes (_ 4) (org-agent-fake-settle)))

;;;; Dry runs

(ert-deftest org-agent-dry-run-shows-what-sending-would-send ()
  (org-agent-fake-with
    (should-error (org-agent-dry-run) :type 'user-error)
    (org-agent-fake-send "first")
    (org-agent-fake-insert "turn-1" 1 "reply")
    (org-agent--add-context "note" "a" "attached")
    (insert "second")
    (let ((text (buffer-string))
          (tick (buffer-chars-modified-tick)))
      (push (cons 'orgAgent/dryRun
                  (lambda (_) (list :org "* Dry run\n** What\n#(lambda) [[elisp:(x)]]\n")))
            org-agent-fake-answers)
      (org-agent-dry-run)
      (org-agent-turns-tests-settle)
      (should (= tick (buffer-chars-modified-tick)))
      (should (equal text (buffer-string))))
    (should (= 1 (length (org-agent-fake-sent 'orgAgent/event))))
    (with-current-buffer "*org-agent dry run*"
      (should (equal (buffer-string) "* Dry run\n** What\n#(lambda) [[elisp:(x)]]\n"))
      (should buffer-read-only)
      (should (derived-mode-p 'org-agent-why-mode))
      (kill-buffer))
    (let ((shown (org-agent-turns-tests-last 'orgAgent/dryRun)))
      (org-agent-fake-keys "C-c C-c")
      (org-agent-fake-settle)
      (let ((sent (org-agent-turns-tests-last 'orgAgent/event)))
        (should (equal (plist-get shown :format) "org"))
        (should (equal (plist-get sent :text) "second"))
        (dolist (key '(:sessionId :buffer :text :level :context :directory :turnHashes))
          (should (plist-member shown key))
          (should (equal (plist-get shown key) (plist-get sent key))))))))

(ert-deftest org-agent-dry-run-of-the-real-server ()
  (org-agent-real-with nil '("ORG_AGENT_MODEL=offline")
    (org-agent-real-reply "echo: one")
    (goto-char (point-max))
    (insert "echo: two")
    (org-agent-dry-run)
    (org-agent-fake-until (lambda () (get-buffer "*org-agent dry run*")) "the page")
    (with-current-buffer "*org-agent dry run*"
      (should (string-prefix-p "* Dry run “echo: two”" (buffer-string)))
      (should (string-search "\necho: one\n" (buffer-string)))
      (kill-buffer))
    (should (equal (length (org-agent--all "OA_EVENT")) 1))))

;;;; Variants

(defun org-agent-turns-tests-answer (method function)
  "Answer METHOD of the client by FUNCTION from now on."
  (push (cons method function) org-agent-fake-answers))

(defvar org-agent-turns-tests-variants nil
  "The variants of the fake server: lists (TURN STATE MARK TEXT).")

(defvar org-agent-turns-tests-chosen nil
  "The turn of the one that counts.")

(defun org-agent-turns-tests-serve (&rest variants)
  "Let the fake server have VARIANTS, the last of which counts."
  (setq org-agent-turns-tests-variants variants
        org-agent-turns-tests-chosen (caar (last variants)))
  (org-agent-turns-tests-answer
   'orgAgent/sessions/variants
   (lambda (_)
     (list :last t
           :items
           (vconcat
            (mapcar (pcase-lambda (`(,turn ,state ,mark ,text))
                      (list :turnId turn :state state
                            :chosen (if (equal turn org-agent-turns-tests-chosen) t
                                      :json-false)
                            :texts (if mark (vector (list :mark mark :text text)) [])))
                    org-agent-turns-tests-variants)))))
  (org-agent-turns-tests-answer
   'orgAgent/sessions/choose
   (lambda (params)
     (setq org-agent-turns-tests-chosen (plist-get params :turnId))
     '(:id "session-1")))
  (org-agent-turns-tests-answer
   'orgAgent/sessions/regenerate
   (lambda (params)
     (list :sessionId "session-1" :mark (plist-get params :messageId)
           :turnId "turn-9" :variants 2))))

(defun org-agent-turns-tests-number ()
  "Return what is shown of the number of the variant, and after which text."
  (let ((overlays (seq-filter (lambda (overlay) (overlay-get overlay 'org-agent-variant))
                              (overlays-in (point-min) (point-max)))))
    (should-not (cdr overlays))
    (when overlays
      (concat (buffer-substring-no-properties (overlay-start (car overlays))
                                              (overlay-end (car overlays)))
              (overlay-get (car overlays) 'after-string)))))

(defun org-agent-turns-tests-layout (mark text)
  "Return the chat with one turn whose reply is TEXT of MARK."
  (string-replace "act-turn-1" mark (org-agent-fake-layout `(1 "one" ,text))))

(defun org-agent-turns-tests-undo ()
  "Undo one step."
  (let ((last-command 'ignore))
    (undo-boundary)
    (undo 1)))

(ert-deftest org-agent-regenerate-puts-another-reply-in-the-place ()
  (org-agent-fake-with
    (org-agent-fake-send "one")
    (org-agent-fake-insert "turn-1" 1 "eins")
    (org-agent-fake-state "turn-1" 2 "done")
    (org-agent-fake-type "draft")
    (org-agent-turns-tests-serve '("turn-1" "done" "act-turn-1" "eins\n"))
    (should-not (org-agent-turns-tests-number))
    (org-agent-regenerate)
    (org-agent-turns-tests-settle)
    (should (equal (org-agent-turns-tests-last 'orgAgent/sessions/regenerate)
                   '(:sessionId "session-1" :messageId "event-1")))
    (let ((shown (concat (org-agent-fake-layout '(1 "one")) "draft")))
      (should (equal (buffer-string) shown))
      (should (looking-back "draft" (point-min)))
      ;; What comes is shown under the prompt, and stands there then.
      (org-agent-fake-state "turn-9" 1 "streaming")
      (org-agent-fake-delta "turn-9" 2 "une")
      (should (string-search "une" (org-agent-fake-shown "turn-9")))
      (should (= (overlay-start (org-agent--turn-overlay (org-agent--turn "turn-9")))
                 (car (org-agent--input)))))
    (org-agent-turns-tests-serve '("turn-1" "done" "act-turn-1" "eins\n")
                                 '("turn-9" "done" "act-turn-9" "une"))
    (org-agent-fake-insert "turn-9" 3 "une")
    (org-agent-fake-state "turn-9" 4 "done")
    (org-agent-turns-tests-settle)
    (should (equal (buffer-string)
                   (concat (org-agent-turns-tests-layout "act-turn-9" "une") "draft")))
    (should (equal (org-agent-turns-tests-number) "** ASSISTANT 2/2"))
    ;; To and fro; the last and the first are neighbours.
    (dolist (command '(org-agent-previous-variant org-agent-next-variant
                       org-agent-next-variant))
      (funcall command)
      (org-agent-turns-tests-settle)
      (let ((first (equal org-agent-turns-tests-chosen "turn-1")))
        (should (equal (buffer-string)
                       (concat (if first (org-agent-turns-tests-layout "act-turn-1" "eins")
                                 (org-agent-turns-tests-layout "act-turn-9" "une"))
                               "draft")))
        (should (equal (org-agent-turns-tests-number)
                       (if first "** ASSISTANT 1/2" "** ASSISTANT 2/2")))
        (should (looking-back "draft" (point-min)))))
    (should (equal org-agent-turns-tests-chosen "turn-1"))
    ;; A flip is one step of undo, apart from what was typed.
    (org-agent-turns-tests-undo)
    (should (equal (buffer-string)
                   (concat (org-agent-turns-tests-layout "act-turn-9" "une") "draft")))))

(ert-deftest org-agent-edited-replies-are-not-flipped-away ()
  (org-agent-fake-with
    (org-agent-fake-send "one")
    (org-agent-fake-insert "turn-1" 1 "eins")
    (org-agent-fake-state "turn-1" 2 "done")
    (org-agent-turns-tests-serve '("turn-0" "done" "act-0" "null")
                                 '("turn-1" "done" "act-turn-1" "eins"))
    (goto-char (point-min))
    (search-forward "eins")
    (insert " und mehr")
    (let ((text (buffer-string)))
      (dolist (command '(org-agent-regenerate org-agent-next-variant
                         org-agent-previous-variant))
        (let ((said (org-agent-tests-said
                      (funcall command)
                      (org-agent-turns-tests-settle))))
          (should (string-match-p "edited here" (car (last said))))))
      (should (equal (buffer-string) text))
      (should-not (org-agent-fake-sent 'orgAgent/sessions/choose))
      (should-not (org-agent-fake-sent 'orgAgent/sessions/regenerate)))
    (org-agent-next-variant t)
    (org-agent-turns-tests-settle)
    (should (equal (buffer-string) (org-agent-turns-tests-layout "act-0" "null")))))

(ert-deftest org-agent-a-cancelled-variant-gives-way-to-the-one-before ()
  (org-agent-fake-with
    (org-agent-fake-send "one")
    (org-agent-fake-insert "turn-1" 1 "eins")
    (org-agent-fake-state "turn-1" 2 "done")
    (org-agent-turns-tests-serve '("turn-1" "done" "act-turn-1" "eins"))
    (org-agent-regenerate)
    (org-agent-turns-tests-settle)
    (should-error (org-agent-next-variant) :type 'user-error)
    (should-error (org-agent-regenerate) :type 'user-error)
    (org-agent-turns-tests-serve '("turn-1" "done" "act-turn-1" "eins")
                                 '("turn-9" "cancelled" nil nil))
    (org-agent-fake-state "turn-9" 1 "thinking")
    (org-agent-fake-state "turn-9" 2 "cancelled")
    (org-agent-turns-tests-settle)
    (should (equal (buffer-string) (org-agent-turns-tests-layout "act-turn-1" "eins")))
    ;; One that came to nothing is none to flip to, and is not counted.
    (should-not (org-agent-turns-tests-number))
    (let ((said (org-agent-tests-said
                  (org-agent-next-variant)
                  (org-agent-turns-tests-settle))))
      (should (string-match-p "no other reply" (car (last said)))))))

(ert-deftest org-agent-a-variant-of-which-the-answer-was-lost-is-caught-up-with ()
  (org-agent-fake-with
    (org-agent-fake-send "one")
    (org-agent-fake-insert "turn-1" 1 "eins")
    (org-agent-fake-state "turn-1" 2 "done")
    (org-agent-turns-tests-serve '("turn-1" "done" "act-turn-1" "eins")
                                 '("turn-9" "started" nil nil))
    (org-agent-turns-tests-answer
     'orgAgent/sessions/resume
     (lambda (_) '( :sessionId "session-1" :actuations [] :missing [] :interrupted []
                    :resumed [] :live ["turn-9"])))
    (org-agent--resume)
    (org-agent-turns-tests-settle)
    (should (equal (buffer-string) (org-agent-fake-layout '(1 "one"))))
    (org-agent-fake-insert "turn-9" 1 "une")
    (should (equal (buffer-string) (org-agent-turns-tests-layout "act-turn-9" "une")))
    ;; What is edited stays, and what was taken out by hand stays away.
    (org-agent-turns-tests-serve '("turn-9" "done" "act-turn-9" "une")
                                 '("turn-1" "done" "act-turn-1" "eins"))
    (goto-char (point-min))
    (search-forward "une")
    (insert "!")
    (org-agent--resume)
    (org-agent-turns-tests-settle)
    (should (equal (buffer-string) (org-agent-turns-tests-layout "act-turn-9" "une!")))
    (delete-region (progn (search-backward "** ASSISTANT") (point))
                   (car (org-agent--input)))
    (org-agent--resume)
    (org-agent-turns-tests-settle)
    (should (equal (buffer-string) (org-agent-fake-layout '(1 "one"))))))

(ert-deftest org-agent-retry-asks-again-what-failed ()
  (org-agent-fake-with
    (org-agent-fake-send "one")
    (org-agent-fake-insert "turn-1" 1 "*System Error:* no")
    (org-agent-fake-state "turn-1" 2 "failed" "model: no")
    (org-agent-turns-tests-serve '("turn-1" "failed" "act-turn-1" "*System Error:* no"))
    (org-agent-retry)
    (org-agent-turns-tests-settle)
    (should (= 1 (length (org-agent-fake-sent 'orgAgent/sessions/regenerate))))
    (should (equal (buffer-string) (org-agent-fake-layout '(1 "one"))))
    (org-agent-turns-tests-serve '("turn-1" "done" "act-turn-1" "fine"))
    (org-agent-fake-insert "turn-9" 1 "fine")
    (org-agent-fake-state "turn-9" 2 "done")
    (org-agent-turns-tests-settle)
    (org-agent-retry)
    (org-agent-turns-tests-settle)
    (should (= 1 (length (org-agent-fake-sent 'orgAgent/sessions/regenerate))))))

(ert-deftest org-agent-an-earlier-prompt-is-answered-in-a-branch ()
  (org-agent-fake-with
    (dolist (turn '("1" "2"))
      (org-agent-fake-send (concat "prompt " turn))
      (org-agent-fake-insert (concat "turn-" turn) 1 (concat "reply " turn))
      (org-agent-fake-state (concat "turn-" turn) 2 "done"))
    (setq org-agent-fake-transcript (org-agent-fake-said "session-2" '(1 "prompt 1")))
    (let ((chat (current-buffer)) (text (buffer-string)) resumed)
      (org-agent-turns-tests-answer
       'orgAgent/sessions/resume
       (lambda (params)
         (push (plist-get params :turns) resumed)
         (list :sessionId (plist-get params :sessionId) :actuations [] :missing []
               :interrupted (if (equal (plist-get params :turns) [])
                                [(:turnId "old" :eventId "e0") (:turnId "cut" :eventId "e1")]
                              [])
               :resumed [] :live [])))
      (goto-char (point-min))
      (search-forward "reply 1")
      (org-agent-regenerate)
      (org-agent-turns-tests-settle)
      (org-agent-turns-tests-settle)
      (let ((sent (org-agent-turns-tests-last 'orgAgent/sessions/fork)))
        (should (equal (plist-get sent :messageId) "event-1"))
        (should-not (plist-member sent :edits)))
      ;; Of what is interrupted in the copy only its last prompt is answered.
      (should (equal (car resumed) ["cut"]))
      (should-not (eq (window-buffer) chat))
      (should (equal (with-current-buffer chat (buffer-string)) text)))))

(ert-deftest org-agent-variants-of-the-real-server ()
  (org-agent-real-with nil '("ORG_AGENT_MODEL=offline")
    (let* ((turn (org-agent-real-reply "echo: one"))
           (exported (lambda ()
                       (let (text)
                         (org-agent--export org-agent--session
                                            (lambda (org) (setq text org)))
                         (org-agent-fake-until (lambda () text))
                         (concat text "* USER\n"))))
           (first (buffer-string)))
      (should (equal first (funcall exported)))
      (org-agent-regenerate)
      (org-agent-fake-until (lambda () (equal (org-agent-turns-tests-number)
                                              "** ASSISTANT 2/2")))
      (should-not (equal (buffer-string) first))
      (should (equal (buffer-string) (funcall exported)))
      (org-agent-previous-variant)
      (org-agent-fake-until (lambda () (equal (org-agent-turns-tests-number)
                                              "** ASSISTANT 1/2")))
      (should (equal (buffer-string) first))
      (should (equal (buffer-string) (funcall exported)))
      (should (org-agent--over-p turn))
      ;; Who comes back sees it, too.
      (kill-buffer)
      (org-agent-chat)
      (org-agent-fake-until (lambda () (equal (org-agent-turns-tests-number)
                                              "** ASSISTANT 1/2")))
      (should (equal (buffer-string) first))
      ;; The next prompt is written behind what counts.
      (org-agent-real-reply "echo: two")
      (should (equal (buffer-string) (funcall exported))))))

;;;; Edited prompts

(ert-deftest org-agent-an-edited-prompt-is-asked-in-a-branch ()
  (org-agent-fake-with
    (dolist (turn '("1" "2"))
      (org-agent-fake-send (concat "prompt " turn))
      (org-agent-fake-insert (concat "turn-" turn) 1 (concat "reply " turn))
      (org-agent-fake-state (concat "turn-" turn) 2 "done"))
    (setq org-agent-fake-transcript (org-agent-fake-said "session-2" '(1 "prompt ONE!")))
    (let ((chat (current-buffer)) (text (buffer-string)))
      (goto-char (point-min))
      (search-forward "reply 1")
      (org-agent-edit-turn)
      (should (looking-at-p "prompt 1"))
      (should-error (org-agent-edit-turn) :type 'user-error)
      (search-forward "prompt ")
      (delete-char 1)
      (org-agent-fake-type "ONE!")
      (org-agent-fake-keys "C-c C-k")
      (should (equal (buffer-string) text))
      (should-error (org-agent-edit-abandon) :type 'user-error)
      (org-agent-edit-turn)
      (goto-char (overlay-start (org-agent--edit-overlay)))
      (search-forward "prompt ")
      (delete-char 1)
      (org-agent-fake-type "ONE!")
      (org-agent-fake-keys "C-c C-c")
      (org-agent-turns-tests-settle)
      (org-agent-turns-tests-settle)
      (let ((sent (org-agent-turns-tests-last 'orgAgent/sessions/fork)))
        (should (equal (plist-get sent :messageId) "event-1"))
        (should (equal (plist-get sent :edits) '(:event-1 "prompt ONE!"))))
      (should-not (eq (window-buffer) chat))
      (with-current-buffer chat
        (should (equal (buffer-string) text))
        (should-not (org-agent--edit-overlay t)))
      (with-current-buffer (window-buffer)
        (should (string-search "prompt ONE!" (buffer-string)))))))

(ert-deftest org-agent-an-edited-prompt-stays-if-no-branch-is-made ()
  (org-agent-fake-with
    (org-agent-fake-send "prompt 1")
    (org-agent-fake-insert "turn-1" 1 "reply 1")
    (org-agent-turns-tests-answer 'orgAgent/sessions/fork
                                  (lambda (_) (org-agent-fake-refuse "conflict")))
    (goto-char (point-min))
    (search-forward "prompt 1")
    (org-agent-edit-turn)
    (org-agent-fake-type " and more")
    (org-agent-fake-keys "C-c C-c")
    (org-agent-turns-tests-settle)
    (should (string-search "prompt 1 and more\n** ASSISTANT" (buffer-string)))
    (should (org-agent--edit-overlay))
    (delete-region (overlay-start (org-agent--edit-overlay)) (point))
    (should-error (org-agent--edit-ctrl-c-ctrl-c) :type 'user-error)))

(ert-deftest org-agent-an-edited-prompt-is-answered-by-the-real-server ()
  (org-agent-real-with nil '("ORG_AGENT_MODEL=offline")
    (org-agent-real-reply "echo: one")
    (org-agent-real-reply "echo: two")
    (let ((text (buffer-string)) (chat (current-buffer)))
      (goto-char (point-min))
      (search-forward "echo: one")
      (org-agent-edit-turn)
      (insert " and more")
      (org-agent-fake-keys "C-c C-c")
      (org-agent-fake-until
       (lambda () (with-current-buffer (window-buffer)
                    (string-search "\none and more\n* USER" (buffer-string))))
       "the answer in the branch")
      (should-not (eq (window-buffer) chat))
      (should (equal (with-current-buffer chat (buffer-string)) text)))))

;;;; Steering

(ert-deftest org-agent-steer-names-the-running-turn ()
  (org-agent-fake-with
    (should-error (org-agent-steer) :type 'user-error)
    (org-agent-fake-send "one")
    ;; One that waits needs not make way.
    (org-agent-fake-type "two")
    (org-agent-steer)
    (org-agent-fake-settle)
    (should-not (plist-member (org-agent-turns-tests-last 'orgAgent/event) :steers))
    (org-agent-fake-state "turn-1" 1 "accepted")
    (org-agent-fake-state "turn-1" 2 "thinking")
    (org-agent-fake-type "three")
    (org-agent-steer)
    (org-agent-fake-settle)
    (should (equal (plist-get (org-agent-turns-tests-last 'orgAgent/event) :steers)
                   "turn-1"))
    (org-agent-fake-state "turn-1" 3 "done" "steered")
    (should (string-search "made way" (org-agent-fake-shown "turn-1")))
    (org-agent-fake-insert "turn-3" 1 "drei")
    (should (equal (buffer-string)
                   (org-agent-fake-layout '(1 "one") '(2 "two") '(3 "three" "drei"))))
    ;; What is sent as always names none.
    (org-agent-fake-send "four")
    (should-not (plist-member (org-agent-turns-tests-last 'orgAgent/event) :steers))))

(ert-deftest org-agent-steer-and-the-real-server ()
  (org-agent-real-with nil '("ORG_AGENT_MODEL=offline")
    (let ((first (org-agent-real-ask "run: sleep 0"))
          second text)
      (org-agent-fake-until (lambda () (equal (org-agent--turn-state first)
                                              "awaitingApproval")))
      (goto-char (point-max))
      (insert "echo: instead")
      (org-agent-steer)
      (org-agent-fake-until (lambda () (not org-agent--sending)))
      (setq second (car (last (org-agent--all "OA_EVENT"))))
      (should (org-agent--live-p first))
      ;; The command is still the user's to decide.
      (org-agent-deny)
      (org-agent-fake-until (lambda () (org-agent--over-p first)))
      (org-agent-fake-until (lambda () (string-search "\ninstead\n* USER" (buffer-string))))
      (should (equal (org-agent--turn-state first) "done"))
      (should-not (org-agent--turn-replied first))
      (should (equal (car (last (org-agent--all "OA_EVENT"))) second))
      (org-agent--export org-agent--session (lambda (org) (setq text org)))
      (org-agent-fake-until (lambda () text))
      (should (equal (buffer-string) (concat text "* USER\n"))))))

;;;; What is offered

(defun org-agent-turns-tests-offered ()
  "Return what is offered here, or nil."
  (when (and org-agent--suggestions (overlay-buffer org-agent--suggestions))
    (should (= (overlay-start org-agent--suggestions) (car (org-agent--input))))
    (overlay-get org-agent--suggestions 'before-string)))

(defun org-agent-turns-tests-click (label)
  "Click at what is offered as LABEL."
  (let* ((offered (org-agent-turns-tests-offered))
         (map (get-text-property (string-search label offered) 'keymap offered)))
    (call-interactively (lookup-key map [mouse-1]))))

(ert-deftest org-agent-suggestions-are-gone-when-the-user-types ()
  (org-agent-fake-with
    (let ((org-agent-suggestions '(("shorter" . "Say it shorter.") ("stop" . ignore))))
      (org-agent-fake-send "one")
      (org-agent-fake-insert "turn-1" 1 "eins")
      (should-not (org-agent-turns-tests-offered))
      (let ((text (buffer-string)))
        (org-agent-fake-state "turn-1" 2 "done")
        (should (equal (substring-no-properties (org-agent-turns-tests-offered))
                       "[shorter] [stop]\n"))
        (should (equal (buffer-string) text)))
      (org-agent-fake-type "x")
      (should-not (org-agent-turns-tests-offered))
      (should-not (memq #'org-agent--hide-suggestions after-change-functions))
      ;; Whoever writes already is offered nothing, and so is who failed.
      (org-agent-fake-keys "C-c C-c")
      (org-agent-fake-settle)
      (org-agent-fake-type "draft")
      (org-agent-fake-insert "turn-2" 1 "zwei")
      (org-agent-fake-state "turn-2" 2 "done")
      (should-not (org-agent-turns-tests-offered))
      (org-agent-fake-keys "C-c C-c")
      (org-agent-fake-settle)
      (org-agent-fake-insert "turn-3" 1 "*System Error:* no")
      (org-agent-fake-state "turn-3" 2 "failed")
      (should-not (org-agent-turns-tests-offered)))))

(ert-deftest org-agent-suggestions-send-or-call ()
  (org-agent-fake-with
    (let* ((called nil)
           (org-agent-suggestions
            `(("shorter" . "Say it shorter.")
              ("note" . ,(lambda () (interactive) (push (org-entry-get nil "OA_ACT") called))))))
      (org-agent-fake-send "one")
      (org-agent-fake-insert "turn-1" 1 "eins")
      (org-agent-fake-state "turn-1" 2 "done")
      (org-agent-turns-tests-click "note")
      (should (equal called '("act-turn-1")))
      (should (= (point) (point-max)))
      (goto-char (point-min))
      (org-agent-turns-tests-click "shorter")
      (org-agent-fake-settle)
      (should (= (point) (point-min)))
      (should (equal (plist-get (org-agent-turns-tests-last 'orgAgent/event) :text)
                     "Say it shorter."))
      (should-not (org-agent-turns-tests-offered))
      (org-agent-fake-insert "turn-2" 1 "zwei")
      (org-agent-fake-state "turn-2" 2 "done")
      (cl-letf (((symbol-function 'completing-read)
                 (lambda (_prompt table &rest _)
                   (car (all-completions "sh" table)))))
        (call-interactively #'org-agent-suggest))
      (org-agent-fake-settle)
      (should (= 3 (length (org-agent-fake-sent 'orgAgent/event))))
      (org-agent-fake-insert "turn-3" 1 "drei")
      (let ((org-agent-suggestions nil))
        (org-agent-fake-state "turn-3" 2 "done"))
      (should-not (org-agent-turns-tests-offered)))))

(provide 'org-agent-turns-tests)
;;; org-agent-turns-tests.el ends here
