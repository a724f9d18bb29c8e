;;; org-agent-typing-tests.el --- Typing while replies stream  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; A user who edits at random places while several turns stream and are
;; committed, against a model of what has to stand in the buffer.
;;
;; The model is a list: the text of the input area, and then each turn in
;; the order of the buffer, as (EVENT TEXT . REPLIES), with a list
;; (ACTUATION . TEXT) for each reply.  What changes it makes a new list.
;; So each step of undo is a model that was, and at the end all of them
;; are undone one by one.
;;
;; ORG_AGENT_EDITS says how many edits are made, by default 1,000, and
;; ORG_AGENT_SEED begins the numbers that a failure has told.

;;; Code:

(require 'org-agent-fake)

(defvar org-agent-typing-seed 0
  "The number from which the next random one is made.")

(defvar org-agent-typing-model nil
  "What has to stand in the buffer.")

(defvar org-agent-typing-steps nil
  "Each step of undo, newest first: (BY . MODEL), what it was before.
BY is `user', `prompt' or `reply'.")

(defvar org-agent-typing-live nil
  "Turns that are not over, as lists (ID EVENT SEQ ATTEMPT PREVIEW REPLIES).")

(defvar org-agent-typing-narrow nil
  "The text to which the buffer is narrowed, as `org-agent-typing-ranges', or nil.")

(defvar org-agent-typing-done nil
  "What was done last, newest first, for a failure to tell.")

;;;; Chance

(defun org-agent-typing-random (limit)
  "Return a number below LIMIT."
  (setq org-agent-typing-seed
        (logand (+ (* org-agent-typing-seed 1103515245) 12345) #x7fffffff))
  (% (ash org-agent-typing-seed -8) limit))

(defun org-agent-typing-pick (list)
  "Return an element of LIST."
  (nth (org-agent-typing-random (length list)) list))

(defun org-agent-typing-text (limit)
  "Return at most LIMIT characters, and at least one, that are no syntax of Org."
  (apply #'string
         (mapcar (lambda (_) (aref "abcdefgh  \né漢𝄞" (org-agent-typing-random 14)))
                 (number-sequence 0 (org-agent-typing-random limit)))))

;;;; The model

(defvar org-agent-typing-turns (make-hash-table :test #'eq :weakness 'key)
  "The text of each turn of a model, and where the prompt begins and ends.")

(defun org-agent-typing-turn (turn)
  "Return (TEXT BEG END): the text of TURN, and where the prompt is in it."
  (or (gethash turn org-agent-typing-turns)
      (pcase-let* ((`(,event ,text . ,replies) turn)
                   (head (concat "* USER\n:PROPERTIES:\n:OA_EVENT: " event "\n:END:\n")))
        (puthash turn
                 (list (concat head text "\n"
                               (mapconcat
                                (pcase-lambda (`(,actuation . ,reply))
                                  (concat "** ASSISTANT\n:PROPERTIES:\n:OA_ACT: "
                                          actuation "\n:END:\n" reply "\n"))
                                replies ""))
                       (length head)
                       (+ (length head) (length text)))
                 org-agent-typing-turns))))

(defconst org-agent-typing-head ":PROPERTIES:\n:OA_SESSION: session-1\n:END:\n"
  "What stands above all turns.")

(defun org-agent-typing-render ()
  "Return the text that has to stand in the buffer."
  (concat org-agent-typing-head
          (mapconcat (lambda (turn) (car (org-agent-typing-turn turn)))
                     (cdr org-agent-typing-model) "")
          "* USER\n" (car org-agent-typing-model)))

(defvar org-agent-typing-ranges nil
  "The last model that `org-agent-typing-ranges' looked at, and what it returned.")

(defun org-agent-typing-ranges ()
  "Return where the user's texts are: lists (KEY BEG END REPLY-PLACE).
KEY is an event, or nil for the input area, which is the first."
  (unless (eq (car org-agent-typing-ranges) org-agent-typing-model)
    (let ((at (1+ (length org-agent-typing-head)))
          (ranges nil))
      (dolist (turn (cdr org-agent-typing-model))
        (pcase-let ((`(,text ,beg ,end) (org-agent-typing-turn turn)))
          (push (list (car turn) (+ at beg) (+ at end) (+ at (length text))) ranges)
          (setq at (+ at (length text)))))
      (setq at (+ at (length "* USER\n")))
      (push (list nil at (+ at (length (car org-agent-typing-model))) nil) ranges)
      (setq org-agent-typing-ranges (cons org-agent-typing-model ranges))))
  (cdr org-agent-typing-ranges))

(defun org-agent-typing-step (by)
  "Note that BY makes a change that is one step of undo."
  (push (cons by org-agent-typing-model) org-agent-typing-steps))

(defun org-agent-typing-replace (key from to new)
  "In the model, let NEW stand between FROM and TO of the text of KEY."
  (cl-flet ((edit (text) (concat (substring text 0 from) new (substring text to))))
    (setq org-agent-typing-model
          (if key
              (mapcar (lambda (turn)
                        (if (equal (car-safe turn) key)
                            (cl-list* key (edit (cadr turn)) (cddr turn))
                          turn))
                      org-agent-typing-model)
            (cons (edit (car org-agent-typing-model))
                  (cdr org-agent-typing-model))))))

;;;; Looking

(defun org-agent-typing-compare ()
  "Compare the text of the buffer with the model."
  (let ((text (save-restriction
                (widen)
                (buffer-substring-no-properties (point-min) (point-max))))
        (expected (org-agent-typing-render)))
    ;; ERT keeps what `should' has seen, and these are long and many.
    (unless (equal text expected)
      (should (equal text expected)))))

(defun org-agent-typing-look ()
  "Compare the buffer with the model."
  (org-agent-typing-compare)
  (let ((ranges (org-agent-typing-ranges)))
    (pcase-let ((`(,_ ,beg ,end ,_) (assoc org-agent-typing-narrow ranges)))
      (should (equal (list (point-min) (point-max))
                     (if (eq org-agent-typing-narrow 'wide)
                         (list 1 (nth 2 (car ranges)))
                       (list beg end)))))
    (should (equal (cdr (org-agent--input)) (nth 1 (car ranges))))
    (should (equal org-agent--session "session-1"))
    (pcase-dolist (`(,id ,event ,_ ,_ ,preview ,_) org-agent-typing-live)
      (let* ((turn (org-agent--turn id))
             (place (nth 3 (assoc event ranges))))
        (should (equal (org-agent--place (org-agent--turn-place turn) event) place))
        (if (equal preview "")
            (should-not (org-agent-fake-shown id))
          (should (equal (org-agent-fake-shown id)
                         (format "** ASSISTANT (not verified)\n%s"
                                 (org-agent--line preview)))))))))

(defun org-agent-typing-spot (position)
  "Return in which text POSITION is and where, or nil."
  (seq-some (pcase-lambda (`(,key ,beg ,end ,_))
              (and (<= beg position end) (list key (- position beg))))
            (org-agent-typing-ranges)))

(defmacro org-agent-typing-elsewhere (&rest body)
  "Run BODY, which is not the user: points have to stay where they are."
  (declare (indent 0) (debug t))
  `(let* ((window (next-window))
          (here (org-agent-typing-spot (point)))
          (there (org-agent-typing-spot (window-point window))))
     ,@body
     (should (equal (org-agent-typing-spot (point)) here))
     (should (equal (org-agent-typing-spot (window-point window)) there))))

;;;; The user

(defun org-agent-typing-place ()
  "Go to a place in a text of the user; return (KEY OFFSET REST BEG).
REST is how many characters follow in that text."
  (pcase-let* ((ranges (seq-filter (lambda (range)
                                     (or (eq org-agent-typing-narrow 'wide)
                                         (equal (car range) org-agent-typing-narrow)))
                                   (org-agent-typing-ranges)))
               (`(,key ,beg ,end ,_) (org-agent-typing-pick ranges))
               (offset (org-agent-typing-random (1+ (- end beg)))))
    (goto-char (+ beg offset))
    (list key offset (- end beg offset) beg)))

(defun org-agent-typing-widen ()
  "Widen."
  (widen)
  (setq org-agent-typing-narrow 'wide))

(defun org-agent-typing-insert ()
  "Insert a text, by keys or at once."
  (pcase-let ((`(,key ,offset ,_ ,_) (org-agent-typing-place))
              (text (org-agent-typing-text 12)))
    (org-agent-typing-step 'user)
    (if (string-match-p "\n" text)
        (insert text)
      (execute-kbd-macro (vconcat text [?\C-b])))
    (org-agent-typing-replace key offset offset text)))

(defun org-agent-typing-delete (&optional kill)
  "Delete some text; with KILL, kill it and yank it elsewhere."
  (pcase-let* ((`(,key ,offset ,rest ,_) (org-agent-typing-place))
               (length (min rest (1+ (org-agent-typing-random 15)))))
    (when (< 0 length)
      (let ((text (buffer-substring-no-properties (point) (+ (point) length))))
        (org-agent-typing-step 'user)
        (funcall (if kill #'kill-region #'delete-region) (point) (+ (point) length))
        (org-agent-typing-replace key offset (+ offset length) "")
        (when kill
          (undo-boundary)
          (pcase-let ((`(,key ,offset ,_ ,_) (org-agent-typing-place)))
            (org-agent-typing-step 'user)
            (yank)
            (org-agent-typing-replace key offset offset text)))))))

(defun org-agent-typing-kill ()
  "Kill some text and yank it elsewhere."
  (org-agent-typing-delete t))

(defun org-agent-typing-undo ()
  "Undo what was done last, unless that was to write down a prompt."
  (unless (memq (caar org-agent-typing-steps) '(nil prompt))
    (org-agent-typing-widen)
    (undo-boundary)
    (let ((last-command 'ignore))
      (undo-only 1))
    (setq org-agent-typing-model (cdr (pop org-agent-typing-steps)))
    (org-agent-typing-place)))

(defun org-agent-typing-move ()
  "Go somewhere else, in this window and in the other."
  (org-agent-typing-place)
  (set-window-point (next-window) (point))
  (org-agent-typing-place))

(defun org-agent-typing-narrow ()
  "Narrow to a text, or widen."
  (if (not (eq org-agent-typing-narrow 'wide))
      (org-agent-typing-widen)
    (pcase-let ((`(,key ,_ ,rest ,beg) (org-agent-typing-place)))
      (narrow-to-region beg (+ (point) rest))
      (setq org-agent-typing-narrow key))))

(defun org-agent-typing-swap ()
  "Move a heading of a prompt, with all that is under it, below the next one."
  (let* ((turns (cdr org-agent-typing-model))
         (at (org-agent-typing-random (max 1 (1- (length turns)))))
         (near (seq-subseq turns (max 0 (1- at)) (min (length turns) (+ at 2)))))
    ;; Org moves blank lines before a heading along.
    (when (and (< (1+ at) (length turns))
               (not (seq-some (pcase-lambda (`(,_ ,text . ,replies))
                                (string-match-p "\\(?:\\`\\|\n\\)[ \t]*\\'"
                                                (if replies (cdar (last replies)) text)))
                              near)))
      (org-agent-typing-widen)
      (org-agent-typing-step 'user)
      (goto-char (org-agent--find "OA_EVENT" (car (nth at turns))))
      (org-back-to-heading t)
      (org-move-subtree-down)
      (setq org-agent-typing-model
            (cons (car org-agent-typing-model)
                  (append (seq-subseq turns 0 at)
                          (list (nth (1+ at) turns) (nth at turns))
                          (seq-subseq turns (+ at 2)))))
      (org-agent-typing-place)
      (set-window-point (next-window) (point)))))

(defun org-agent-typing-send ()
  "Send what stands in the input, unless three turns are under way.
Something more is written before the server has it."
  (when (and (< (length org-agent-typing-live) 3)
             (string-match-p "[^ \n]" (car org-agent-typing-model)))
    (org-agent-typing-widen)
    (let ((text (string-trim (car org-agent-typing-model) "\\(?:[ \t]*\n\\)+" "[ \t\n\r]+"))
          (more (string-trim (org-agent-typing-text 8)))
          (id (format "turn-%d" (1+ org-agent-fake-count)))
          (event (format "event-%d" (1+ org-agent-fake-count))))
      (goto-char (point-max))
      (org-agent-send)
      ;; The user's step, and then the client's.
      (org-agent-typing-step 'user)
      (insert "\n" more)
      (let ((length (length (car org-agent-typing-model))))
        (org-agent-typing-replace nil length length (concat "\n" more)))
      (undo-boundary)
      (org-agent-typing-step 'prompt)
      (org-agent-fake-settle)
      (setq org-agent-typing-model
            (cons more (append (cdr org-agent-typing-model)
                               (list (list event text)))))
      (push (list id event 0 1 "" 0) org-agent-typing-live)
      (org-agent-typing-place))))

;;;; The agent

(defun org-agent-typing-stream ()
  "Let a turn that is under way go on."
  (when-let ((live (and org-agent-typing-live
                        (org-agent-typing-pick org-agent-typing-live))))
    (pcase-let ((`(,id ,event ,seq ,attempt ,preview ,replies) live)
                (text (string-replace "\n" " " (org-agent-typing-text 30))))
      (setf (nth 2 live) (1+ seq))
      (pcase (org-agent-typing-random 8)
        (0 (org-agent-typing-elsewhere
             (org-agent-fake-tell 'orgAgent/retract :turnId id :attempt attempt
                                  :seq (1+ seq) :reason "wrong")
             (org-agent-fake-settle))
           (setf (nth 3 live) (1+ attempt)
                 (nth 4 live) ""))
        (1 (org-agent-typing-reply live text)
           (when (< 0 (+ replies (org-agent-typing-random 2)))
             (org-agent-typing-end live)))
        (_ (org-agent-typing-elsewhere
             (org-agent-fake-delta id (1+ seq) text attempt))
           (setf (nth 4 live) (concat preview text))
           ;; Wherever the user moved its prompt meanwhile.
           (should (equal (overlay-start (org-agent--turn-overlay (org-agent--turn id)))
                          (nth 3 (assoc event (org-agent-typing-ranges))))))))))

(defun org-agent-typing-reply (live text)
  "Let the agent write TEXT as a reply of the turn LIVE."
  (pcase-let* ((`(,id ,event ,seq ,_ ,_ ,replies) live)
               (actuation (format "act-%s-%d" id replies)))
    (setf (nth 2 live) (1+ seq)
          (nth 4 live) ""
          (nth 5 live) (1+ replies))
    (org-agent-typing-step 'reply)
    (org-agent-typing-elsewhere
      (org-agent-fake-insert id (1+ seq) text actuation)
      (setq org-agent-typing-model
            (mapcar (lambda (turn)
                      (if (equal (car-safe turn) event)
                          (append turn (list (cons actuation text)))
                        turn))
                    org-agent-typing-model)))))

(defun org-agent-typing-end (live)
  "End the turn LIVE."
  (org-agent-typing-elsewhere
    (org-agent-fake-state (car live) (1+ (nth 2 live)) "done"))
  (setq org-agent-typing-live (delq live org-agent-typing-live)))

(defmacro org-agent-typing-with-room (&rest body)
  "Run BODY in a chat with a fake server and room for every preview."
  (declare (indent 0) (debug t))
  `(org-agent-fake-with
     (cl-letf (((symbol-function 'org-agent--room) (lambda () '(1000 1000))))
       ,@body)))

;;;; Both

(defconst org-agent-typing-edits
  '(org-agent-typing-insert org-agent-typing-insert org-agent-typing-insert
    org-agent-typing-insert org-agent-typing-delete org-agent-typing-delete
    org-agent-typing-kill org-agent-typing-undo org-agent-typing-move
    org-agent-typing-narrow org-agent-typing-swap org-agent-typing-send)
  "What the user does, as often as it stands here.")

(defun org-agent-typing-edit ()
  "Let the user do something, and perhaps the agent."
  (let ((edit (org-agent-typing-pick org-agent-typing-edits)))
    (push edit org-agent-typing-done)
    (funcall edit)
    (undo-boundary))
  (when (zerop (org-agent-typing-random 2))
    (org-agent-typing-stream))
  (org-agent-typing-look))

(defun org-agent-typing-unwind ()
  "Undo all steps, one by one."
  (org-agent-typing-widen)
  (undo-boundary)
  (let ((last-command 'ignore))
    (while org-agent-typing-steps
      (undo-only 1)
      (undo-boundary)
      (setq last-command 'undo)
      (pcase-let ((`(,by . ,model) (pop org-agent-typing-steps)))
        (push (list 'undo by) org-agent-typing-done)
        (setq org-agent-typing-model model))
      (org-agent-typing-compare))))

(ert-deftest org-agent-typing-while-replies-stream ()
  (let* ((edits (string-to-number (or (getenv "ORG_AGENT_EDITS") "1000")))
         (seed (string-to-number (or (getenv "ORG_AGENT_SEED")
                                     (number-to-string (random 1000000)))))
         (org-agent-typing-seed seed)
         (org-agent-typing-steps nil)
         (org-agent-typing-live nil)
         (org-agent-typing-narrow 'wide)
         (org-agent-typing-done nil)
         (kill-ring nil)
         (interprogram-cut-function nil)
         (interprogram-paste-function nil)
         (undo-limit most-positive-fixnum)
         (undo-strong-limit most-positive-fixnum)
         (undo-outer-limit nil))
    (condition-case problem
        (org-agent-typing-with-room
          (split-window)
          (org-agent-fake-send "the first")
          (org-agent-fake-state "turn-1" 1 "done")
          (setq buffer-undo-list nil
                org-agent-typing-model '("" ("event-1" "the first")))
          (org-agent-typing-look)
          (dotimes (_ edits)
            (org-agent-typing-edit))
          (org-agent-typing-widen)
          (while org-agent-typing-live
            (org-agent-typing-reply (car org-agent-typing-live) "the last")
            (org-agent-typing-end (car org-agent-typing-live))
            (org-agent-typing-look))
          (org-agent-typing-unwind))
      (ert-test-failed
       (message "ORG_AGENT_SEED=%d ORG_AGENT_EDITS=%d; done last: %S" seed edits
                (seq-take org-agent-typing-done 5))
       (signal (car problem) (cdr problem)))
      (error
       (message "ORG_AGENT_SEED=%d ORG_AGENT_EDITS=%d; done last: %S" seed edits
                (seq-take org-agent-typing-done 5))
       (signal (car problem) (cdr problem))))))

(provide 'org-agent-typing-tests)
;;; org-agent-typing-tests.el ends here
