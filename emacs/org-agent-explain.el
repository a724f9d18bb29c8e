;;; org-agent-explain.el --- What an error means, and what to do  -*- lexical-binding: t; -*-

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

;; The server's own words about a turn that failed are a reply that begins
;; with *System Error:*.  Beside them stands a button that explains: what
;; kind of error that is, as the server's record has it, what to do, and
;; buttons for that.  The button is an overlay; the buffer has no text
;; more.  A model can write those words, too: then the record says so.

;;; Code:

(require 'org-agent-part)
(require 'org-agent-chat)

(declare-function org-agent-doctor "org-agent-doctor")
(declare-function org-agent-why "org-agent-why")
(declare-function org-agent-model "org-agent-models")

;;;; Finding them

(defconst org-agent--error-regexp
  "^:OA_ACT: +\\([[:graph:]]+\\)[ \t]*\n:END:\n\\(\\*System Error:\\*\\)"
  "A regexp for the beginning of a reply that is an error.
The first group is its action, the second the words that it begins with.")

(defun org-agent--mark-errors ()
  "Put a button beside each error in this buffer."
  (org-with-wide-buffer
   (remove-overlays (point-min) (point-max) 'category 'org-agent-error)
   (goto-char (point-min))
   (let ((case-fold-search nil))
     (while (re-search-forward org-agent--error-regexp nil t)
       (org-agent--mark-error (match-string-no-properties 1)
                              (match-beginning 2) (match-end 2))))))

(put 'org-agent-error 'evaporate t)

(defun org-agent--mark-error (id beg end)
  "Put a button beside the error from BEG to END of the action ID."
  (let ((overlay (make-overlay beg end)))
    (overlay-put overlay 'category 'org-agent-error)
    (overlay-put overlay 'org-agent-error id)
    (overlay-put overlay 'after-string
                 (concat " "
                         (org-agent--part
                          "[explain]" 20
                          "mouse-1, or M-x org-agent-explain: what this is, and what to do"
                          (lambda ()
                            (interactive)
                            (org-agent--explain overlay))
                          'link)))))

(defun org-agent--error-here ()
  "Return the overlay of the error that point is in, or nil."
  (let ((id (org-entry-get (point) "OA_ACT")))
    (and id
         (seq-find (lambda (overlay)
                     (equal (overlay-get overlay 'org-agent-error) id))
                   (org-with-wide-buffer
                    (org-back-to-heading t)
                    (overlays-in (point) (org-entry-end-position)))))))

(cl-defmethod org-agent--act :extra "explain" :after ((_ (eql 'emacs)) _turn params)
  "Put a button beside the text of PARAMS if it is an error."
  (let* ((id (plist-get params :actuationId))
         (text (plist-get (plist-get (plist-get params :action) :payload) :text))
         (place (and (stringp text) (stringp id)
                     (string-prefix-p "*System Error:*" text)
                     (org-agent--find "OA_ACT" id))))
    (when place
      (org-with-wide-buffer
       (goto-char place)
       (forward-line 0)
       (when (looking-at org-agent--error-regexp)
         (org-agent--mark-error id (match-beginning 2) (match-end 2)))))))

(cl-defmethod org-agent--handle :extra "explain" :after ((_ (eql :resumed)) _result)
  "Put a button beside each error of a chat that was filled again."
  (org-agent--mark-errors))

(add-hook 'org-agent-chat-mode-hook #'org-agent--mark-errors)

;;;; Explaining

(defconst org-agent--error-kinds
  '(("model" "No model gave a usable answer."
     "The words above are the model's server's, or say what is wrong on the way to it.  \
The doctor looks at every model that is configured; another may answer.")
    ("rejected" "The model answered three times with what is no valid action."
     "Nothing of it was carried out.  Ask in other words, or choose another model: \
small ones find the form hard.")
    ("gate" "A skill refused what the model wanted to do."
     "Everything behind it says which.  Ask in other words, or change the skill.")
    ("skill" "A skill failed."
     "M-x org-agent-skills shows which have problems.")
    ("steps" "The model took as many steps as one message may have, and was stopped."
     "What it did until then stands above.  Say \"go on\", or ask for less at once.")
    ("internal" "Something broke in the server."
     "Its log says what.  Ask again; if it happens again, record the traffic \
\(M-x org-agent-record-traffic) and report it.")
    ("interrupted" "The server ended while it worked on this."
     "M-x org-agent-retry runs it again."))
  "What kinds of errors there are: lists (CODE WHAT TO-DO).")

(org-agent--defcommand org-agent-explain ()
  "Explain the error at point: what it is, and what to do."
  (interactive nil org-agent-chat-mode)
  (org-agent--explain (or (org-agent--error-here)
                          (user-error "There is no error of the server here"))))

(defun org-agent--explain (overlay)
  "Show what is known of the error at OVERLAY, and what to do."
  (let* ((id (overlay-get overlay 'org-agent-error))
         (buffer (or (overlay-buffer overlay)
                     (user-error "That error is not there any more")))
         (place (copy-marker (overlay-start overlay)))
         (words (with-current-buffer buffer
                  (org-with-wide-buffer
                   (goto-char place)
                   (buffer-substring-no-properties place (line-end-position)))))
         (show (lambda (code)
                 (org-agent--show-error words code buffer place))))
    (org-agent--request
     'orgAgent/why (list :actuationId id)
     (lambda (result)
       (funcall show (let ((reason (plist-get result :reason)))
                       (and (equal (plist-get result :state) "failed")
                            (stringp reason)
                            reason))))
     (lambda (problem _code)
       (message "org-agent: the record is not to be had: %s" problem)
       (funcall show nil)))))

(defun org-agent--show-error (words code buffer place)
  "Show WORDS, an error with CODE, and buttons for it.
It stands in BUFFER at the marker PLACE."
  (let ((kind (assoc code org-agent--error-kinds))
        (at (lambda (command)
              (lambda (_button)
                (unless (buffer-live-p buffer)
                  (user-error "That chat is closed"))
                (pop-to-buffer buffer)
                (goto-char place)
                (call-interactively command)))))
    (with-current-buffer (get-buffer-create "*org-agent error*")
      (special-mode)
      (setq truncate-lines nil
            word-wrap t)
      (let ((inhibit-read-only t))
        (erase-buffer)
        (insert (org-agent--harmless words) "\n\n"
                "Code: " (if code (org-agent--one-line code 80) "none") "\n"
                (cond (kind (concat (nth 1 kind) "\n\nWhat to do: " (nth 2 kind)))
                      (code "This version of the package does not know that code.")
                      (t "The server's record has no failed turn here: \
a model may have written this."))
                "\n\n")
        (pcase-dolist (`(,label ,action)
                       `(("Ask again" ,(funcall at #'org-agent-ask-again))
                         ("Another model" ,(funcall at 'org-agent-model))
                         ("Doctor" ,(lambda (_button) (org-agent-doctor)))
                         ("Everything behind it" ,(funcall at 'org-agent-why))))
          (insert-text-button label 'action action 'follow-link t)
          (insert "   "))
        (insert "\n"))
      (goto-char (point-min))
      (display-buffer (current-buffer)))))

(org-agent--defcommand org-agent-ask-again ()
  "Put the prompt at point into the input area, to be sent once more.
Nothing is sent before you do.  What is written there already stays."
  (interactive nil org-agent-chat-mode)
  (let* ((event (or (org-entry-get (point) "OA_EVENT" t)
                    (user-error "There is no prompt here")))
         (mark (seq-find (lambda (mark) (equal (car mark) event))
                         (org-agent--marks)))
         (text (and mark (string-trim (buffer-substring-no-properties
                                       (nth 2 mark) (nth 3 mark))))))
    (unless text
      (user-error "This chat does not have the prompt any more"))
    (unless (string-empty-p (org-agent--prompt))
      (user-error "Something is written there already"))
    (org-agent--ensure-input)
    (goto-char (point-max))
    (insert text)
    (message "C-c C-c sends it again")))

(provide 'org-agent-explain)
;;; org-agent-explain.el ends here
