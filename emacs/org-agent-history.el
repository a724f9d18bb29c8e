;;; org-agent-history.el --- Inputs, to be said again  -*- lexical-binding: t; -*-

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

;; In the input area M-p and M-n put earlier inputs of this chat in place
;; of what is written there, and M-r one that is chosen by completion.
;; Org has none of these keys; elsewhere in the buffer they do what they
;; do without this.
;;
;; Inputs are those that were sent from this buffer, and those that the
;; server has of its session.  Nothing is saved here: the record is what
;; keeps them.  It is asked once for each session, and only for the last
;; messages, so what was said long ago is not among them.
;;
;; What was being written is kept while one looks through them, and comes
;; back behind the newest.  Each step is one step of undo.

;;; Code:

(require 'org-agent-chat)

(defconst org-agent--inputs-most 200
  "How many inputs are kept, and how many messages the server is asked for.")

(defconst org-agent--inputs-limit (ash 1 20)
  "How many characters all inputs have at most, but for the newest.")

(defvar-local org-agent--inputs nil
  "Earlier inputs of this chat, newest first.")

(defvar-local org-agent--inputs-of nil
  "The session whose messages the server was asked for.")

(defvar-local org-agent--inputs-place nil
  "What is shown of the inputs: a list (INDEX TEXT DRAFT), or nil.
TEXT is what was put into the input area in place of DRAFT.")

(defun org-agent--inputs-add (text &optional behind)
  "Add TEXT to the inputs, as the newest, or BEHIND them."
  (unless (string-blank-p text)
    (pcase-let* ((room org-agent--inputs-limit)
                 (`(,newest . ,others)
                  (cond ((not behind) (cons text (remove text org-agent--inputs)))
                        ((member text org-agent--inputs) org-agent--inputs)
                        (t (append org-agent--inputs (list text))))))
      (setq org-agent--inputs
            (cons newest
                  (seq-take-while
                   (lambda (input) (<= 0 (cl-decf room (length input))))
                   (seq-take others (1- org-agent--inputs-most))))))))

(defun org-agent--inputs-sent (_turn text _chips)
  "Note that TEXT was sent from this buffer."
  (setq org-agent--inputs-place nil)
  (org-agent--inputs-add text))

(add-hook 'org-agent--sent-hook #'org-agent--inputs-sent)

;;;; The record

(defun org-agent--inputs-ask (&optional then)
  "Ask the server for the inputs of this session, unless it was asked.
THEN is called in this buffer afterwards.  Return non-nil if it is."
  (let ((session org-agent--session)
        (buffer (current-buffer)))
    (when (and session org-agent--ready
               (not (equal session org-agent--inputs-of)))
      (setq org-agent--inputs-of session)
      (org-agent--request
       'orgAgent/sessions/messages
       (list :sessionId session :last t :limit org-agent--inputs-most)
       (lambda (result)
         (when (buffer-live-p buffer)
           (with-current-buffer buffer
             (when (equal session org-agent--session)
               (seq-doseq (item (reverse (plist-get result :items)))
                 (let ((text (plist-get item :content)))
                   (when (and (equal (plist-get item :role) "user")
                              (equal (plist-get (plist-get item :metadata) :kind)
                                     "user")
                              (stringp text))
                     (org-agent--inputs-add text t)))))
             (when then (funcall then)))))
       (lambda (_words _code)
         (when (buffer-live-p buffer)
           (with-current-buffer buffer
             (setq org-agent--inputs-of nil)))))
      t)))

(cl-defmethod org-agent--handle :extra "history" :after ((_ (eql :resumed)) result)
  "Ask for the inputs of the session in RESULT, if it is this buffer's."
  (when (equal (plist-get result :sessionId) org-agent--session)
    (org-agent--inputs-ask)))

;;;; Looking through them

(org-agent--defcommand org-agent-previous-input (count)
  "Put the input before the one shown into the input area.
With prefix argument COUNT, the one that many before it."
  (interactive "p" org-agent-chat-mode)
  (org-agent--inputs-move count))

(org-agent--defcommand org-agent-next-input (count)
  "Put the input after the one shown into the input area, or your draft.
With prefix argument COUNT, the one that many after it."
  (interactive "p" org-agent-chat-mode)
  (org-agent--inputs-move (- count)))

(defun org-agent--inputs-now ()
  "Return what is shown of the inputs as `org-agent--inputs-place' has it.
What the user changed is a draft, and a draft that was kept till then
becomes an input."
  (let ((draft (or (org-agent--draft) "")))
    (pcase org-agent--inputs-place
      (`(,_ ,(pred (equal draft)) ,_) org-agent--inputs-place)
      (`(,_ ,_ ,kept) (org-agent--inputs-add kept) (list -1 draft draft))
      (_ (list -1 draft draft)))))

(defun org-agent--inputs-move (count)
  "Show the input COUNT before the one that is shown."
  (pcase-let* ((`(,index ,_ ,draft) (org-agent--inputs-now))
               (index (+ index count)))
    (cond
     ((< index -1) (user-error "There is no later input"))
     ((and (nthcdr index org-agent--inputs) (>= index 0))
      (org-agent--inputs-show index draft))
     ((= index -1) (org-agent--inputs-show index draft))
     ((org-agent--inputs-ask)
      (user-error "The server is asked for earlier inputs; press it again"))
     (t (user-error "There is no earlier input")))))

(defun org-agent--inputs-show (index draft)
  "Show the input at INDEX in place of DRAFT; at -1, DRAFT."
  (let ((text (if (= index -1) draft (nth index org-agent--inputs))))
    (org-agent--write-draft text)
    ;; Compared with what stands there, whatever was done to write it.
    (setq org-agent--inputs-place (list index (org-agent--draft) draft))))

(org-agent--defcommand org-agent-search-input (text)
  "Put TEXT, an earlier input, into the input area.
Interactively, it is chosen by completion among their beginnings."
  (interactive (list (org-agent--read-input)) org-agent-chat-mode)
  (pcase-let ((`(,_ ,_ ,draft) (org-agent--inputs-now)))
    (org-agent--inputs-show (or (seq-position org-agent--inputs text)
                                (user-error "There is no such input"))
                            draft)))

(defun org-agent--read-input ()
  "Read one of the inputs."
  (org-agent--inputs-now)
  (unless org-agent--inputs
    (if (org-agent--inputs-ask)
        (user-error "The server is asked for earlier inputs; press it again")
      (user-error "There is no earlier input")))
  (let ((lines (make-hash-table :test #'equal)))
    (dolist (text (reverse org-agent--inputs))
      (puthash (org-agent--one-line (string-trim text) 200) text lines))
    (let ((names (nreverse (org-agent--keys lines))))
      (gethash (completing-read
                "Earlier input: "
                (lambda (string predicate action)
                  (if (eq action 'metadata)
                      '(metadata (category . org-agent-input)
                                 (display-sort-function . identity)
                                 (cycle-sort-function . identity))
                    (complete-with-action action names string predicate)))
                nil t)
               lines))))

(org-agent--bind "M-p" "Earlier input" 'org-agent-previous-input
                 #'org-agent--in-input-p)
(org-agent--bind "M-n" "Later input" 'org-agent-next-input
                 #'org-agent--in-input-p)
(org-agent--bind "M-r" "Search inputs" 'org-agent-search-input
                 #'org-agent--in-input-p)

(provide 'org-agent-history)
;;; org-agent-history.el ends here
