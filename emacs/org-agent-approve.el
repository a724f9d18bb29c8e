;;; org-agent-approve.el --- Commands that org-agent asks about  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The org-agent authors

;; SPDX-License-Identifier: GPL-3.0-or-later

;; This program is free software; you can redistribute it and/or modify
;; it under the terms of the GNU General Public License as published by
;; the Free Software Foundation, either version 3 of the License, or
;; (at your option) any later version.

;; This program is distributed in the hope that it will be useful,
;; but WITHOUT ANY WARRANTY; without even the implied warranty of
;; MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.  See the
;; GNU General Public License for more details.

;; You should have received a copy of the GNU General Public License
;; along with this program.  If not, see <https://www.gnu.org/licenses/>.

;;; Commentary:

;; A command that a model proposes is shown on a card where the reply
;; will stand.  Nothing is asked in the minibuffer and nothing waits:
;; the user decides when they like, by key or button, the server judges
;; the decision and gives a token, and only with the token it runs.
;;
;; The whole command is shown as it is.  What could not be seen, or
;; would be seen in another order, is made visible; a command that is
;; too long for the card says so and is shown before it can be approved.

;;; Code:

(require 'org-agent-shell)
(require 'org-agent-chat)

;;;; Options and faces

(defcustom org-agent-command-timeout 120
  "How many seconds a command may run if the model names no time.

For example 600, where builds and test suites are run."
  :type 'natnum
  :group 'org-agent
  :package-version '(org-agent . "0.1.0"))

(defface org-agent-command
  '((t :inherit (fixed-pitch bold)))
  "A command that waits for a decision, or runs."
  :group 'org-agent-faces
  :package-version '(org-agent . "0.1.0"))

(defface org-agent-hidden-character
  '((t :inherit (error escape-glyph)))
  "A character in a command that could not be seen."
  :group 'org-agent-faces
  :package-version '(org-agent . "0.1.0"))

;;;; State

(defconst org-agent--card-rows 12
  "How many rows of a command a card shows at most.")

(defconst org-agent--card-rest 13
  "How many rows a card, and the input below it, have besides the command.")

(cl-defstruct (org-agent--card (:copier nil))
  "A proposed command."
  id turn command cwd timeout explanation rule
  literal ; the command as it is shown, once it was
  cut ; non-nil if that was only a part
  state ; asking, deciding, running or over
  token job
  (seq 0) ; of the last piece of live output
  (output "")) ; the end of the live output

(defvar org-agent--cards (make-hash-table :test #'equal)
  "Each card by its actuation.  A command is asked about once.")

;;;; Keys

(pcase-dolist (`(,key ,name ,command)
               '(("C-c C-y" "Run the command" org-agent-approve)
                 ("C-c C-n" "Deny the command" org-agent-deny)
                 ("C-c C-e" "Edit the command" org-agent-edit-command)))
  (org-agent--bind key name command #'org-agent--card-here))

;;;; Messages

(cl-defmethod org-agent--act ((_ (eql 'shell)) turn params)
  "Show the command of PARAMS for TURN, or run it if it is allowed."
  (let* ((id (plist-get params :actuationId))
         (action (plist-get params :action))
         (payload (plist-get action :payload))
         (timeout (plist-get payload :timeout))
         (card (make-org-agent--card
                :id id :turn turn
                :command (plist-get payload :cmd)
                :cwd (plist-get payload :cwd)
                :timeout (if (natnump timeout) timeout
                           org-agent-command-timeout)
                :explanation (plist-get action :explanation)
                :rule (plist-get params :rule)
                :token (plist-get params :token)
                :state 'asking)))
    (cond
     ((not (stringp (org-agent--card-command card)))
      (org-agent--report params "failed" "The message has no command"))
     ((not (gethash id org-agent--cards))
      (puthash id card org-agent--cards)
      (setf (org-agent--turn-stop turn)
            (lambda () (org-agent--card-drop card)))
      (if (and (equal (plist-get params :decision) "allow")
               (org-agent--card-token card))
          (org-agent--card-run card)
        (org-agent--card-show card)
        (message "org-agent: a command waits for your decision"))))))

(cl-defmethod org-agent--handle ((_ (eql 'orgAgent/abort)) params)
  "Stop the command that PARAMS name."
  (when-let ((card (gethash (plist-get params :actuationId) org-agent--cards)))
    (if (org-agent--card-job card)
        (org-agent--shell-stop (org-agent--card-job card)
                               "stopped by the server")
      (org-agent--card-drop card))))

;;;; Deciding

(defun org-agent--card-buffer (card)
  "Return the buffer of CARD, or nil."
  (org-agent--buffer (org-agent--turn-session (org-agent--card-turn card))))

(defun org-agent--card-here ()
  "Return the card of this buffer that waits for a decision, or nil."
  (seq-find (lambda (card)
              (and (eq (org-agent--card-state card) 'asking)
                   (eq (org-agent--card-buffer card) (current-buffer))))
            (hash-table-values org-agent--cards)))

(defun org-agent--the-card ()
  "Return the card of this buffer that waits for a decision, or fail."
  (or (org-agent--card-here)
      (user-error "No command waits for a decision here")))

(defun org-agent-approve (&optional always)
  "Run the command that waits in this chat.
With prefix argument ALWAYS, ask the server to remember the decision."
  (interactive "P" org-agent-chat-mode)
  (org-agent--approve (org-agent--the-card) always))

(defun org-agent-deny (&optional message)
  "Do not run the command that waits in this chat.
With a prefix argument read a MESSAGE that tells the model why."
  (interactive
   (list (and current-prefix-arg (read-string "Tell the model: ")))
   org-agent-chat-mode)
  (org-agent--decide (org-agent--the-card) "deny" nil message))

(defun org-agent-edit-command ()
  "Change the command that waits in this chat, and run it."
  (interactive nil org-agent-chat-mode)
  (org-agent--edit (org-agent--the-card)))

(defun org-agent--approve (card &optional always)
  "Run the command of CARD, shown in full before; for ALWAYS see the caller."
  (when (or (not (or (org-agent--card-cut card)
                     ;; The window may have become smaller since.
                     (org-agent--card-cut-p card)))
            (save-window-excursion
              (org-agent--show-command card)
              (yes-or-no-p "Run all of this (C-M-v scrolls)? ")))
    (org-agent--decide card (if always "always" "run"))))

(defun org-agent--edit (card)
  "Let the user change the command of CARD, and run it."
  (let ((command (read-string "Run: " (org-agent--card-command card))))
    (if (equal command (org-agent--card-command card))
        (org-agent--approve card)
      (org-agent--decide card "run" command))))

(defun org-agent--decide (card choice &optional command message)
  "Tell the server about CHOICE for CARD.
COMMAND is the command as edited, MESSAGE what to tell the model."
  (unless (eq (org-agent--card-state card) 'asking)
    (user-error "This command does not wait any more"))
  (setf (org-agent--card-state card) 'deciding)
  (org-agent--card-show card)
  (org-agent--request
   'orgAgent/decide
   `( :actuationId ,(org-agent--card-id card) :choice ,choice
      ,@(and command (list :command command))
      ,@(and message (list :message message)))
   (lambda (result) (org-agent--decided card command result))
   (lambda (words _code)
     (when (eq (org-agent--card-state card) 'deciding)
       (setf (org-agent--card-state card) 'asking)
       (org-agent--card-show card))
     (message "org-agent: not decided: %s" words))))

(defun org-agent--decided (card command result)
  "Go on with CARD according to RESULT, the answer of the server.
COMMAND is the command as edited, or nil."
  (let ((decision (plist-get result :decision))
        (token (plist-get result :token)))
    (cond
     ((not (eq (org-agent--card-state card) 'deciding)) nil)
     ((and (equal decision "allow") (stringp token))
      (when command
        (setf (org-agent--card-command card) command
              (org-agent--card-literal card) nil))
      (setf (org-agent--card-token card) token)
      (org-agent--card-run card))
     ((equal decision "ask")
      (setf (org-agent--card-state card) 'asking
            (org-agent--card-rule card) (plist-get result :rule))
      (org-agent--card-show card))
     (t
      (message "org-agent: the command does not run: %s"
               (plist-get result :rule))
      (org-agent--card-drop card)))))

;;;; Running

(defun org-agent--card-base (card)
  "Return the directory in which the command of CARD would start."
  (buffer-local-value 'default-directory
                      (or (org-agent--card-buffer card) (current-buffer))))

(defun org-agent--card-run (card)
  "Run the command of CARD, which the server permitted."
  (setf (org-agent--card-state card) 'running)
  (condition-case problem
      (setf (org-agent--card-job card)
            (org-agent--shell-run
             (org-agent--card-command card)
             :directory (org-agent--shell-directory
                         (org-agent--card-cwd card) (org-agent--card-base card))
             :timeout (org-agent--card-timeout card)
             :on-output (lambda (stream text)
                          (org-agent--card-hear card stream text))
             :on-exit (lambda (outcome) (org-agent--card-exit card outcome))))
    (error (org-agent--card-exit
            card (list :status "failed"
                       :message (error-message-string problem)))))
  (org-agent--card-show card))

(defun org-agent--card-hear (card stream text)
  "Pass on TEXT that the command of CARD wrote to STREAM."
  (org-agent--notify 'orgAgent/output
                     (list :actuationId (org-agent--card-id card)
                           :seq (cl-incf (org-agent--card-seq card))
                           :stream stream :text text))
  (setf (org-agent--card-output card)
        (org-agent--tail (concat (org-agent--card-output card) text) 2000))
  (org-agent--card-show card))

(defun org-agent--card-exit (card outcome)
  "Report the OUTCOME of CARD, and take it away."
  ;; Without the server that gave the token there is nobody to tell.
  (when org-agent--ready
    (org-agent--request 'orgAgent/actuated
                        `( :actuationId ,(org-agent--card-id card)
                           :token ,(org-agent--card-token card)
                           ,@outcome)))
  (org-agent--card-drop card))

(defun org-agent--card-drop (card)
  "Take CARD away, and end its command unless that has ended."
  (unless (eq (org-agent--card-state card) 'over)
    (setf (org-agent--card-state card) 'over)
    (when-let ((job (org-agent--card-job card)))
      (org-agent--shell-stop job "stopped with its turn"))
    (org-agent--card-show card)))

;;;; Showing

(defun org-agent--card-show (card)
  "Show CARD as it is now, or take it away if it is over."
  (let ((turn (org-agent--card-turn card)))
    (setf (org-agent--turn-card turn)
          (unless (eq (org-agent--card-state card) 'over)
            (org-agent--card-string card)))
    (org-agent--show turn)))

(defun org-agent--card-room (card)
  "Return the rows and columns that the window has for the command of CARD."
  (pcase-let ((`(,rows ,width)
               (with-current-buffer (or (org-agent--card-buffer card)
                                        (current-buffer))
                 (org-agent--room))))
    (list (max 1 (min org-agent--card-rows (- rows org-agent--card-rest)))
          ;; Indented, and with room for what wraps between words.
          (max 10 (min 70 (- width 10))))))

(defun org-agent--clip (text rows width)
  "Return where TEXT, seen in ROWS rows of WIDTH columns, is cut, or nil."
  (org-agent--row-end
   text rows
   ;; Nothing must be out of sight, so that each may be as wide as the widest.
   (if (seq-some (lambda (char) (< 1 (char-width char)))
                 (substring text 0 (min (length text) (* rows width))))
       (/ width 2)
     width)))

(defun org-agent--card-text (card)
  "Return the command of CARD as it is shown."
  (or (org-agent--card-literal card)
      (setf (org-agent--card-literal card)
            (org-agent--literal (org-agent--card-command card)))))

(defun org-agent--card-directory (card)
  "Return the directory of CARD as it is shown."
  (org-agent--literal (or (org-agent--card-cwd card)
                          (org-agent--card-base card))))

(defun org-agent--card-cut-p (card)
  "Return non-nil if the command of CARD is too long for the card.
That is so too if its directory is."
  (pcase-let ((`(,rows ,width) (org-agent--card-room card)))
    (or (org-agent--clip (org-agent--card-text card) rows width)
        (org-agent--clip (org-agent--card-directory card) 2 width))))

(defun org-agent--card-part (prefix text rows width &optional suffix)
  "Return the first ROWS rows of WIDTH columns of TEXT.
PREFIX and SUFFIX stand around it.  Its other lines are indented, lest
they look like the card's own."
  (let ((end (org-agent--clip text rows width)))
    (org-agent--indent (concat (substring text 0 end) (and end "...") suffix)
                       prefix)))

(defun org-agent--card-string (card)
  "Return what is shown for CARD."
  (pcase-let* ((`(,rows ,width) (org-agent--card-room card))
               (command (org-agent--card-text card))
               (cut (org-agent--clip command rows width))
               (explanation (org-agent--card-explanation card)))
    (setf (org-agent--card-cut card) (org-agent--card-cut-p card))
    (concat
     (propertize (pcase (org-agent--card-state card)
                   ('asking "The model asks to run this command:\n")
                   ('deciding "Asking the server about this command:\n")
                   (_ "This command runs:\n"))
                 'face 'org-agent-notice)
     (org-agent--indent (string-remove-suffix "\n" (substring command 0 cut)) "$ ")
     (and cut (propertize (format "[... %d of %d characters are not shown here ...]\n"
                                  (- (length command) cut) (length command))
                          'face 'org-agent-notice))
     (org-agent--card-part "in " (org-agent--card-directory card) 2 width
                           (format ", at most %d s"
                                   (org-agent--card-timeout card)))
     (and (stringp explanation)
          (org-agent--card-part "The model says: "
                                (org-agent--literal explanation)
                                4 (- width 8)))
     (pcase (org-agent--card-state card)
       ('asking
        (concat
         (format "Why you are asked: %s\n"
                 (or (org-agent--card-rule card) "no rule given"))
         (org-agent--button "run" "C-c C-y" #'org-agent--approve card) " "
         (org-agent--button "deny" "C-c C-n"
                            (lambda (card) (org-agent--decide card "deny"))
                            card)
         " "
         (org-agent--button "edit" "C-c C-e" #'org-agent--edit card)
         "\n"))
       ('running
        (concat (and (not (string-empty-p (org-agent--card-output card)))
                     (org-agent--unverified
                      (org-agent--last-rows (org-agent--card-output card) 5 70)))
                "[stop: C-c C-k]\n"))))))

(defun org-agent--indent (text prefix)
  "Return the lines TEXT with PREFIX before the first, and room before others."
  (concat (propertize prefix 'face 'shadow)
          (replace-regexp-in-string
           "\n" (concat "\n" (make-string (length prefix) ?\s)) text t t)
          "\n"))

(defun org-agent--button (label key function card)
  "Return a button with LABEL to call FUNCTION with CARD, like KEY."
  (let ((map (make-sparse-keymap)))
    (define-key map [mouse-1] (lambda ()
                                (interactive)
                                (funcall function card)))
    (propertize (format "[%s: %s]" label key)
                'face 'link 'mouse-face 'highlight 'keymap map)))

(defun org-agent--show-command (card)
  "Show the command of CARD in full in another window."
  (with-current-buffer (get-buffer-create "*org-agent command*")
    (let ((inhibit-read-only t))
      (erase-buffer)
      (insert (org-agent--card-text card) "\n\nin " (org-agent--card-directory card))
      (goto-char (point-min)))
    (special-mode)
    (pop-to-buffer (current-buffer))))

(defun org-agent--literal (text)
  "Return TEXT so that every character of it is seen, in its order."
  (mapconcat
   (lambda (char)
     (cond
      ((eq char ?\n) "\n")
      ((or (memq (get-char-code-property char 'general-category)
                 '(Cc Cf Cs Co Cn Zl Zp))
           (and (eq (get-char-code-property char 'general-category) 'Zs)
                (not (eq char ?\s)))
           ;; Letters and marks that have no ink.
           (memq char '(#x34f #x115f #x1160 #x17b4 #x17b5 #x3164 #xffa0))
           (<= #xfe00 char #xfe0f) (<= #xe0100 char #xe01ef))
       (propertize (if (< char 32) (format "^%c" (+ char 64))
                     (format "\\u{%X}" char))
                   'face 'org-agent-hidden-character))
      ;; A mark after each letter keeps right-to-left words in their order.
      ((memq (get-char-code-property char 'bidi-class) '(R AL))
       (concat (propertize (string char) 'face 'org-agent-command)
               (string ?\N{LEFT-TO-RIGHT MARK})))
      (t (propertize (string char) 'face 'org-agent-command))))
   text ""))

(provide 'org-agent-approve)
;;; org-agent-approve.el ends here
