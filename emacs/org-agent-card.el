;;; org-agent-card.el --- What is shown of a command that org-agent asks about  -*- lexical-binding: t; -*-

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

;; A card is what is known of a proposed command, and how that is shown:
;; where the reply will stand, and in full in a window of its own.  The
;; whole command is shown as it is: if it is plain, each argument on a
;; line of its own.  What could not be seen, would be seen in another
;; order or could be taken for something else is made visible; a command
;; that is too long says so.  What becomes of it is decided elsewhere.

;;; Code:

(require 'org-agent-shell)
(require 'org-agent-chat)
(require 'org-agent-why)
(require 'org-agent-literal)

(defvar tramp-methods)

(declare-function org-agent--approve "org-agent-approve")
(declare-function org-agent--decide "org-agent-approve")
(declare-function org-agent--edit "org-agent-approve")
(declare-function org-agent--card-here "org-agent-approve")

;;;; Options

(defcustom org-agent-command-timeout 120
  "How many seconds a command may run if the model names no time.

For example 600, where builds and test suites are run."
  :type 'natnum
  :group 'org-agent
  :package-version '(org-agent . "0.1.0"))

(defcustom org-agent-shell-sandbox t
  "Whether commands that you approve run in the sandbox.
There they can write only the directory of the chat, read no secrets
and use no network unless you let them; see docs/security.md.  With nil
they run by `shell-file-name', and can do all that you can.

Commands that are allowed without asking never run outside of it: with
nil, you are asked about each of them."
  :type 'boolean
  :group 'org-agent
  :package-version '(org-agent . "0.1.0"))

;;;; State

(defconst org-agent--card-rows 12
  "How many rows of a command a card shows at most.")

(defconst org-agent--card-rest 15
  "How many rows a card, and the input below it, have besides the command.")

(defconst org-agent--card-lines 200
  "How many lines of live output are kept to be shown.")

(defvar org-agent--card-pause 0.5
  "Seconds that a question is on the screen before it can be answered by yes.
A key that was typed before it could be read is none for it.")

(defconst org-agent--unconfined 125
  "The exit status of the sandbox if it did not run the command.")

(cl-defstruct (org-agent--card (:copier nil) (:constructor org-agent--make-card))
  "A proposed command."
  id turn command timeout explanation rule
  steps ; of a plain command, as the server judged them
  always ; the rule that the choice "always" would save, or nil
  sandbox ; what it would permit, in the server's words
  open ; non-nil if the server says that there is none
  directory ; where it would run, as the server said it, or nil
  host ; the other machine that this is on, or nil
  own ; non-nil if this Emacs would run it here without the sandbox
  edited ; non-nil if the command is the user's, and the server has another
  literal ; the command as it is shown, once it was
  cut ; non-nil if that was only a part
  state ; asking, deciding, running or over
  shown ; when it was first shown as it is asked now
  allowed ; non-nil if the server allowed it without asking
  net ; non-nil if the user lets it use the network
  sandboxed ; non-nil if it runs in the sandbox
  token job
  begun ; when its command was started, in seconds
  (seq 0) ; of the last piece of live output
  unfolded ; non-nil if more of that is shown than one line
  (lines 0) ; of all live output
  (output "")) ; the end of it

(defvar org-agent--cards (make-hash-table :test #'equal)
  "Each card by its actuation.  A command is asked about once.")

(defun org-agent--text (params key)
  "Return the text that PARAMS have for KEY, or nil."
  (let ((value (plist-get params key)))
    (and (stringp value) (not (string-empty-p value)) value)))

(defun org-agent--card-buffer (card)
  "Return the buffer of CARD, or nil."
  (org-agent--buffer (org-agent--turn-session (org-agent--card-turn card))))

(defvar-local org-agent--card nil
  "The card that this buffer shows in full.")

;;;; Where it would run

(defun org-agent--card-remote (card)
  "Return the root directory of the machine of CARD as TRAMP names it, or nil.
Which machine it is, the server said: never the buffer that is current.
Nothing connects to it."
  (when-let* ((host (org-agent--card-host card))
              (name (concat "/" host ":/")))
    (and (equal (file-remote-p name) (substring name 0 -1))
         (assoc (file-remote-p name 'method) tramp-methods)
         name)))

(defun org-agent--card-kept-p (card)
  "Return non-nil if what CARD may run is kept by the server.
Otherwise this Emacs runs the command itself, as it was shown."
  (not (or (org-agent--card-own card) (org-agent--card-host card))))

(defun org-agent--card-confined-p (card)
  "Return non-nil if the command of CARD would run in the sandbox."
  (and (org-agent--card-kept-p card) (not (org-agent--card-open card))))

;;;; Showing

(defun org-agent--card-show (card)
  "Show CARD as it is now, or take it away if it is over."
  (let ((turn (org-agent--card-turn card)))
    (setf (org-agent--turn-card turn)
          (unless (eq (org-agent--card-state card) 'over)
            (org-agent--card-string card)))
    (org-agent--show turn)
    (org-agent--show-command-again card)))

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
            (if (org-agent--card-steps card)
                (org-agent--steps-text (org-agent--card-steps card))
              (org-agent--literal (org-agent--card-command card))))))

(defun org-agent--card-place (card)
  "Return the directory of CARD as it is shown."
  (let ((directory (or (org-agent--card-directory card)
                       "a directory that the server did not name"))
        (host (org-agent--card-host card)))
    (org-agent--literal
     (cond ((not host) directory)
           ((equal directory "~") (concat "the login directory of " host))
           (t (concat "/" host ":" directory))))))

(defun org-agent--card-terms (card)
  "Return what is to be known of CARD to decide: lists of title and text."
  `(("Why you are asked: " ,(org-agent--card-rule card))
    ("Sandbox: "
     ,(cond
       ((org-agent--card-host card)
        (concat "none: it runs on " (org-agent--card-host card)
                " and can do all that you can there"))
       ((org-agent--card-own card)
        "none, as `org-agent-shell-sandbox' is nil")
       ((org-agent--card-sandbox card))
       (t "it can write the directory of the chat, and use no network")))
    ("Environment: "
     ,(cond
       ((org-agent--card-host card) "that of the other machine")
       ((org-agent--card-kept-p card)
        "PATH, HOME, LANG and the like, and no keys")
       (t "all that Emacs has, with what keys are in it")))))

(defun org-agent--card-cut-p (card)
  "Return non-nil if the command of CARD is too long for the card.
That is so too if its directory is."
  (pcase-let ((`(,rows ,width) (org-agent--card-room card)))
    (or (org-agent--clip (org-agent--card-text card) rows width)
        (org-agent--clip (org-agent--card-place card) 2 width))))

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
                   ('asking ":COMMAND: The model asks to run this:\n")
                   ('deciding ":COMMAND: Asking the server about this:\n")
                   (_ ":COMMAND: This runs:\n"))
                 'face 'org-agent-notice)
     (org-agent--indent (string-remove-suffix "\n" (substring command 0 cut))
                        (if (org-agent--card-steps card) "  " "$ "))
     (and cut (propertize (format "[... %d of %d characters are not shown here ...]\n"
                                  (- (length command) cut) (length command))
                          'face 'org-agent-notice))
     (org-agent--card-part "in " (org-agent--card-place card) 2 width
                           (format ", at most %d s"
                                   (org-agent--card-timeout card)))
     (and (stringp explanation)
          (org-agent--card-part "The model says: "
                                (org-agent--literal explanation t)
                                2 (- width 8)))
     (pcase (org-agent--card-state card)
       ('asking
        (concat
         (mapconcat (pcase-lambda (`(,title ,text))
                      (org-agent--card-part title (org-agent--literal text t)
                                            2 (- width 8)))
                    (org-agent--card-terms card) "")
         (org-agent--button "run" "C-c C-y" #'org-agent--approve card) " "
         (org-agent--button "deny" "C-c C-n"
                            (lambda (card) (org-agent--decide card "deny"))
                            card)
         " "
         (org-agent--button "edit" "C-c C-e" #'org-agent--edit card)
         " "
         (org-agent--button "more" "C-c C-a" #'org-agent--show-command card)
         " "
         (org-agent--button "why" "C-c C-q" #'org-agent--card-why card)
         "\n"))
       ('running
        (concat (org-agent--card-live card) "[stop: C-c C-k] "
                (org-agent--button "why" "C-c C-q" #'org-agent--card-why card)
                "\n"))))))

(defun org-agent--card-why (card)
  "Show all that is behind the proposal of CARD."
  (with-current-buffer (or (org-agent--card-buffer card) (current-buffer))
    (org-agent--ask-why (list :actuationId (org-agent--card-id card)))))

(defun org-agent--card-live (card)
  "Return the live output of CARD as it is shown: folded, or the end of it."
  (let* ((output (org-agent--card-output card))
         (unfolded (org-agent--card-unfolded card))
         (room (car (with-current-buffer (or (org-agent--card-buffer card)
                                             (current-buffer))
                      (org-agent--room)))))
    (unless (string-empty-p output)
      (concat
       (propertize (format ":OUTPUT: %d lines "
                           (+ (org-agent--card-lines card)
                              (if (string-suffix-p "\n" output) 0 1)))
                   'face 'org-agent-notice)
       (org-agent--button (if unfolded "fold" "unfold") "C-c C-a"
                          (lambda (card)
                            (cl-callf not (org-agent--card-unfolded card))
                            (org-agent--card-show card))
                          card)
       "\n"
       (org-agent--unverified
        (org-agent--indent
         (string-trim-right
          (org-agent--last-rows (string-trim-right output "\n")
                                (if unfolded
                                    (max 5 (min org-agent--card-lines
                                                (- room org-agent--card-rest)))
                                  1)
                                70)
          "\n")
         "  "))))))

(defun org-agent--button (label key function card)
  "Return a button with LABEL to call FUNCTION with CARD, like KEY.
KEY is nil if no key does so."
  (let ((map (make-sparse-keymap)))
    (define-key map [mouse-1] (lambda ()
                                (interactive)
                                (funcall function card)))
    (propertize (if key (format "[%s: %s]" label key) (format "[%s]" label))
                'face 'link 'mouse-face 'highlight 'keymap map)))

;;;; The command in full

(defvar org-agent-command-mode-map
  (let ((map (make-sparse-keymap)))
    (pcase-dolist (`(,key ,command) '(("r" org-agent-approve)
                                      ("n" org-agent-approve-network)
                                      ("e" org-agent-edit-command)
                                      ("a" org-agent-approve-always)
                                      ("d" org-agent-deny-why)
                                      ("w" org-agent-card-why)))
      (define-key map key command))
    map)
  "Keys of `org-agent-command-mode'.")

(define-derived-mode org-agent-command-mode special-mode "Org-Agent-Command"
  "Shows a command in full that waits for a decision.

\\{org-agent-command-mode-map}"
  :interactive nil)

(defconst org-agent--command-buffer "*org-agent command*"
  "The name of the buffer that shows a command in full.")

(defun org-agent--show-command (card)
  "Show the command of CARD in full in another window, with every choice."
  (with-current-buffer (get-buffer-create org-agent--command-buffer)
    (org-agent-command-mode)
    (setq org-agent--card card)
    (org-agent--write-command)
    (goto-char (point-min))
    ;; A key that was typed before is none for it.
    (setf (org-agent--card-shown card) (float-time))
    (pop-to-buffer (current-buffer)
                   '(nil (window-height . fit-window-to-buffer)))))

(defun org-agent--command-cut-p (card)
  "Return non-nil if the window on this buffer is too small for CARD.
What has to fit is the command and its directory."
  (pcase-let ((`(,rows ,width) (org-agent--room)))
    (org-agent--clip (concat (org-agent--card-text card) "\n\nin "
                             (org-agent--card-place card))
                     (max 1 rows) (max 2 width))))

(defun org-agent--show-command-again (card)
  "Bring the full view of CARD up to date; once it is decided, close it.
That is at once, and not when the server has answered: by then the user
may be somewhere else."
  (when-let ((buffer (get-buffer org-agent--command-buffer)))
    (when (eq card (buffer-local-value 'org-agent--card buffer))
      (if (eq (org-agent--card-state card) 'asking)
          (with-current-buffer buffer
            (org-agent--write-command))
        (let ((window (get-buffer-window buffer t)))
          (if window (quit-window t window) (kill-buffer buffer)))))))

(defun org-agent--write-command ()
  "Write the card of this buffer into it."
  (let* ((card org-agent--card)
         (inhibit-read-only t)
         (place (point))
         (explanation (org-agent--card-explanation card)))
    (erase-buffer)
    (insert
     (org-agent--wrapped (concat (org-agent--card-text card) "\n\nin "
                                 (org-agent--card-place card)))
     (format ", at most %d s\n" (org-agent--card-timeout card))
     (if (stringp explanation)
         (org-agent--indent (org-agent--literal explanation t) "The model says: ")
       "")
     (mapconcat (pcase-lambda (`(,title ,text))
                  (org-agent--indent (org-agent--literal text t) title))
                (org-agent--card-terms card) "")
     "\nr  run it\n"
     (if (org-agent--card-confined-p card) "n  run it with the network\n" "")
     "e  edit it, and run it if the server agrees\n"
     (if (org-agent--card-always card)
         (org-agent--indent (org-agent--literal (org-agent--card-always card))
                            "a  from now on, run without asking: ")
       "")
     "d  deny it, and tell the model why\n"
     "w  show all that is behind it\n"
     "q  decide later\n")
    (goto-char place)))
(provide 'org-agent-card)
;;; org-agent-card.el ends here
