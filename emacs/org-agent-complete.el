;;; org-agent-complete.el --- Completion in the input area  -*- lexical-binding: t; -*-

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

;; Completion at point in the input area of a chat: /NAME of a skill at
;; its beginning, and @NAME of a buffer, a file or a session anywhere.
;; What is chosen behind an @ goes along with the message, as a chip; the
;; words stay in the text.
;;
;; Nothing is waited for.  What the server or the disk has to say is
;; asked for when the character is typed, kept for a while, and offered
;; as soon as it is known.  What others call their things is text: it is
;; shown in one line, and looked up only among what is there.
;;
;; Where @ is something of Org's or of a language, as in citations, code,
;; tables' formulas and addresses, nothing is offered.  What is offered
;; is not exclusive: with nothing that fits, Org's own completion follows.

;;; Code:

(require 'org-agent-skills)
(require 'org-agent-files)

(defconst org-agent--complete-age 30
  "Seconds after which the server is asked again for what completes.")

(defconst org-agent--session-limit (ash 1 18)
  "How many characters of a session go along with a message at most.")

(defun org-agent--complete-old-p (time)
  "Return non-nil if what was asked for at TIME is to be asked for again."
  (or (not time) (> (- (float-time) time) org-agent--complete-age)))

;;;; Skills

(defvar org-agent--skill-calls nil
  "What can be called by /NAME, by directory: (DIRECTORY TIME . ITEMS).
Each item is a name with what it is for.  TIME is when the server was
asked.")

(defun org-agent--skill-directory ()
  "Return the directory whose skills this chat has, or nil."
  (plist-get (and (not (file-remote-p default-directory))
                  (org-agent--location (org-agent--directory)))
             :directory))

(defun org-agent--skill-ask-calls (directory)
  "Ask the server which skills can be called by /NAME in DIRECTORY.
What it does not have in use, as nobody trusts it, is not among them."
  (let ((known (assoc directory org-agent--skill-calls)))
    (if known (setcar (cdr known) (float-time))
      (push (setq known (cl-list* directory (float-time) nil))
            org-agent--skill-calls))
    (org-agent--request
     'orgAgent/skills/list
     `( :limit 500 ,@(and directory (list :directory directory)))
     (lambda (result)
       (setcdr (cdr known)
               (delq nil (mapcar #'org-agent--skill-call
                                 (plist-get result :items)))))
     (lambda (_words _code)
       (setcar (cdr known) 0.0)))))

(defun org-agent--skill-call (skill)
  "Return name and description of SKILL if it can be called.
The rest acts by itself, or is there for other notes."
  (let ((name (plist-get skill :name)))
    (and (stringp name)
         (seq-contains-p (plist-get skill :triggers) (concat "/" name))
         (cons name (org-agent--one-line
                     (or (plist-get skill :description) "") 60)))))

(defun org-agent--skill-prefetch ()
  "Ask for what can be called in this chat if it is time to."
  (let ((directory (org-agent--skill-directory)))
    (when (and org-agent--ready
               (org-agent--complete-old-p
                (nth 1 (assoc directory org-agent--skill-calls))))
      (org-agent--skill-ask-calls directory))))

(cl-defmethod org-agent--handle :extra "complete" :after
  ((_ (eql 'orgAgent/skills/changed)) _params)
  "Ask again for what can be called, wherever that was asked for."
  (dolist (known org-agent--skill-calls)
    (org-agent--skill-ask-calls (car known))))

(defun org-agent--skill-complete ()
  "Complete the name of a skill behind a slash that begins the input."
  (let ((input (org-agent--input))
        (here (point)))
    (when (and input (> here (cdr input)))
      (save-excursion
        (goto-char (cdr input))
        (skip-chars-forward " \t\r\n")
        (when (eq (char-after) ?/)
          (forward-char)
          (let ((beg (point)))
            (skip-chars-forward "^/ \t\r\n")
            (when (<= beg here (point))
              (org-agent--skill-prefetch)
              (let ((items (cddr (assoc (org-agent--skill-directory)
                                        org-agent--skill-calls))))
                (list beg (point)
                      (org-agent--complete-table
                       'org-agent-skill (mapcar #'car items))
                      :exclusive 'no
                      :company-kind (lambda (_) 'function)
                      :annotation-function
                      (lambda (name)
                        (concat "  " (cdr (assoc name items)))))))))))))

(defun org-agent--complete-table (category names &optional group)
  "Return a completion table of NAMES with CATEGORY.
GROUP is a function that returns the group of a name."
  (lambda (string predicate action)
    (if (eq action 'metadata)
        `(metadata
          (category . ,category)
          ,@(and group
                 `((group-function
                    . ,(lambda (name transform)
                         (if transform name (funcall group name)))))))
      (complete-with-action action names string predicate))))

;;;; Where @ is a mention

(defun org-agent--mention-bounds ()
  "Return (BEG . END) of what stands behind an @ at point, or nil."
  (let ((here (point))
        (input (org-agent--input)))
    (when (and input (> here (cdr input)))
      (save-excursion
        (skip-chars-backward "^@ \t\r\n" (cdr input))
        (let ((beg (point)))
          (when (and (eq (char-before) ?@)
                     (> beg (cdr input))
                     (memq (char-before (1- beg))
                           '(nil ?\s ?\t ?\n ?\( ?\" ?\' ?\{ ?\“ ?\‘)))
            (goto-char here)
            (skip-chars-forward "^@ \t\r\n)\"'}”’")
            (let ((end (point)))
              (goto-char here)
              (unless (org-agent--mention-of-org-p)
                (cons beg end)))))))))

(defun org-agent--mention-of-org-p ()
  "Return non-nil if an @ at point is something of Org's, or of a language."
  (or (org-at-TBLFM-p)
      ;; A citation that is being written.
      (looking-back "\\[cite[^]\n]*" (line-beginning-position))
      (org-element-lineage
       (org-element-context)
       '( babel-call citation citation-reference code comment comment-block
          example-block export-block export-snippet fixed-width
          inline-babel-call inline-src-block keyword latex-environment
          latex-fragment link macro node-property planning property-drawer
          src-block timestamp verbatim)
       t)))

;;;; What can be mentioned

(defvar-local org-agent--sessions-known nil
  "The sessions that can be mentioned: (TIME . ITEMS), as the server lists them.")

(defvar-local org-agent--mentioned nil
  "What the last completion chose: (MARKER . CHIP).
Who goes on to complete the same words means what comes of that.")

(defun org-agent--mention-prefetch ()
  "Ask for what can be mentioned in this chat if it is time to."
  (org-agent--files-refresh)
  (when (and org-agent--ready
             (org-agent--complete-old-p (car org-agent--sessions-known)))
    (let ((buffer (current-buffer)))
      (setq org-agent--sessions-known
            (cons (float-time) (cdr org-agent--sessions-known)))
      (org-agent--request
       'orgAgent/sessions/list (list :limit 100)
       (lambda (result)
         (when (buffer-live-p buffer)
           (with-current-buffer buffer
             (setcdr org-agent--sessions-known
                     (append (plist-get result :items) nil)))))
       #'ignore))))

(defun org-agent--mentions ()
  "Return what can be mentioned here besides files.
That is a table of lists (KIND SOURCE) by names.  It also has the files
that are called like something else."
  (let ((table (make-hash-table :test #'equal))
        (add nil))
    (setq add (lambda (name kind source)
                (let ((unique name) (count 1))
                  (while (gethash unique table)
                    (setq unique (format "%s (%d)" name (cl-incf count))))
                  (puthash unique (list kind source) table))))
    (dolist (buffer (buffer-list))
      (unless (or (string-prefix-p " " (buffer-name buffer))
                  (with-current-buffer buffer
                    (derived-mode-p 'org-agent-chat-mode)))
        (funcall add (org-agent--one-line (buffer-name buffer) 100)
                 "buffer" buffer)))
    (dolist (item (cdr org-agent--sessions-known))
      (let ((title (plist-get item :title)))
        (when (and (stringp title) (not (string-blank-p title))
                   (not (equal (plist-get item :id) org-agent--session))
                   (not (org-agent--true-p (plist-get item :archived))))
          (funcall add (string-trim (org-agent--one-line title 60))
                   "session" (plist-get item :id)))))
    (dolist (name (org-agent--keys table))
      (when (org-agent--file-known-p name)
        (funcall add (concat "./" name) "file" name)))
    table))

(defun org-agent--mention-of (name mentions)
  "Return what NAME means: a list (KIND SOURCE), from MENTIONS if it is there."
  (or (gethash name mentions)
      (and (org-agent--file-known-p name) (list "file" name))))

(defun org-agent--mention-names (mentions)
  "Return a completion table of the names in MENTIONS and those of files."
  (completion-table-merge
   (org-agent--keys mentions)
   (apply-partially #'completion-table-with-predicate
                    (org-agent--files-here)
                    (lambda (name) (not (gethash name mentions)))
                    'strict)))

(defun org-agent--mention-complete ()
  "Complete the name of a buffer, a file or a session behind an @."
  (pcase (org-agent--mention-bounds)
    (`(,beg . ,end)
     (org-agent--mention-prefetch)
     (let* ((mentions (org-agent--mentions))
            (kind (lambda (name) (or (car (gethash name mentions)) "file")))
            (start (copy-marker beg)))
       (list beg end
             (org-agent--complete-table
              'org-agent-mention (org-agent--mention-names mentions)
              (lambda (name) (concat (capitalize (funcall kind name)) "s")))
             :exclusive 'no
             :annotation-function
             (lambda (name) (concat "  " (funcall kind name)))
             :company-kind
             (lambda (name) (if (equal (funcall kind name) "file") 'file 'text))
             :exit-function
             (lambda (name status)
               (when (memq status '(finished sole exact))
                 (org-agent--mention start (substring-no-properties name)
                                     (org-agent--mention-of name mentions)))))))))

(defun org-agent--mention (start name mention)
  "Let MENTION, called NAME behind START, go along with the message.
MENTION is a list (KIND SOURCE)."
  (when (and mention (eq (marker-buffer start) (current-buffer)))
    (when (and org-agent--mentioned
               (equal (car org-agent--mentioned) start)
               (not (equal (org-agent--chip-name (cdr org-agent--mentioned))
                           name)))
      (org-agent--clear-context (list (cdr org-agent--mentioned))))
    (condition-case problem
        (setq org-agent--mentioned
              (cons start
                    (pcase mention
                      (`("buffer" ,buffer)
                       (and (buffer-live-p buffer)
                            (org-agent--add-chip
                             (org-agent--buffer-chip buffer name))))
                      (`("file" ,file)
                       (org-agent--add-chip
                        (org-agent--file-chip
                         (expand-file-name file default-directory) name)))
                      (`("session" ,session)
                       (org-agent--add-session session name)))))
      (user-error (message "org-agent: %s" (error-message-string problem))))))

;;;; Sessions

(defun org-agent--add-session (session name)
  "Let what was said last in SESSION, called NAME, go with the message.
Return its chip, which has no text before the server has answered."
  (let ((buffer (current-buffer))
        (chip (org-agent--make-chip :kind "note" :name name :mode "org-mode")))
    (org-agent--add-chip chip)
    (org-agent--request
     'orgAgent/sessions/messages (list :sessionId session :last t :limit 200)
     (lambda (result)
       (setf (org-agent--chip-text chip) (org-agent--session-text result))
       (org-agent--session-shown buffer chip))
     (lambda (words _code)
       (setf (org-agent--chip-problem chip) words)
       (org-agent--session-shown buffer chip)))
    chip))

(defun org-agent--session-shown (buffer chip)
  "Show CHIP anew if it is still in BUFFER."
  (when (buffer-live-p buffer)
    (with-current-buffer buffer
      (when (memq chip org-agent--context)
        (org-agent--show-context)))))

(defun org-agent--session-text (result)
  "Return what was said last, of RESULT, the messages of a session."
  (let ((items (append (reverse (plist-get result :items)) nil))
        (room org-agent--session-limit)
        (parts nil))
    (while (and items (> room 0))
      (let* ((item (pop items))
             (role (plist-get item :role))
             (part (concat (cond ((equal role "user") org-agent--user)
                                 ((equal role "assistant") org-agent--assistant)
                                 (t "** SYSTEM"))
                           "\n"
                           (org-agent--line (or (plist-get item :content) "")))))
        (cl-decf room (length part))
        (push (if (< room 0)
                  (concat (substring part 0 (+ (length part) room)) "...\n")
                part)
              parts)))
    (when (or items (plist-get result :nextCursor))
      (push "(What was said before is left out.)\n" parts))
    (org-agent--sane (apply #'concat parts))))

;;;; In a chat

(defun org-agent--complete-typed ()
  "Ask for what will be completed when its first character was typed."
  (pcase last-command-event
    (?@ (org-agent--mention-prefetch))
    (?/ (org-agent--skill-prefetch))))

(defun org-agent--completes ()
  "Let /NAME and @NAME complete in this chat."
  (add-hook 'completion-at-point-functions #'org-agent--mention-complete nil t)
  (add-hook 'completion-at-point-functions #'org-agent--skill-complete nil t)
  (add-hook 'post-self-insert-hook #'org-agent--complete-typed nil t))

(add-hook 'org-agent-chat-mode-hook #'org-agent--completes)

(provide 'org-agent-complete)
;;; org-agent-complete.el ends here
