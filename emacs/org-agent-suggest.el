;;; org-agent-suggest.el --- What is offered after a reply of org-agent  -*- lexical-binding: t; -*-

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

;; One line of buttons under the last reply: prompts that are often said
;; next, and commands.  They are an option of the user's and nothing that
;; a model was asked for.
;;
;; The line is no text of the buffer.  It is shown when a turn is done
;; and the input area is empty, and is gone with the first change of the
;; buffer: it never moves what is being written, and costs nothing while
;; that is.

;;; Code:

(require 'org-agent-again)
(require 'org-agent-why)

(defcustom org-agent-suggestions
  '(("shorter" . "Say that in fewer words.")
    ("explain" . "Explain that in more detail, with an example.")
    ("as a table" . "Give that as a table.")
    ("why" . org-agent-why)
    ("regenerate" . org-agent-regenerate))
  "What is offered in one line under the last reply.
Each is (LABEL . WHAT).  If WHAT is a string, it is sent as the next
prompt; if it is a command, it is called with point at the reply.
With nil nothing is offered."
  :type '(alist :key-type (string :tag "Label")
                :value-type (choice (string :tag "Prompt")
                                    (function :tag "Command")))
  :group 'org-agent
  :package-version '(org-agent . "0.1.0"))

(defvar-local org-agent--suggestions nil
  "The overlay that shows `org-agent-suggestions' in this buffer, or nil.")

(defun org-agent--hide-suggestions (&rest _)
  "Take away what is offered in this buffer."
  (remove-hook 'after-change-functions #'org-agent--hide-suggestions t)
  (when org-agent--suggestions
    (delete-overlay org-agent--suggestions)
    (setq org-agent--suggestions nil)))

(defun org-agent--suggest-after (turn _reason)
  "Offer what can be done next if TURN is done, and it was the last one."
  (org-agent--hide-suggestions)
  (when (and org-agent-suggestions
             (equal (org-agent--turn-state turn) "done")
             (org-agent--turn-replied turn)
             (not (org-agent--live-turn))
             (not org-agent--context)
             (string-empty-p (org-agent--prompt))
             (equal (org-agent--turn-event turn)
                    (caar (org-agent--turn-at (point-max)))))
    (let* ((place (car (org-agent--ensure-input)))
           (overlay (make-overlay place place nil t t))
           (buffer (current-buffer)))
      (org-agent--show-before
       overlay
       (concat (mapconcat (lambda (offer)
                            (org-agent--suggestion offer buffer))
                          org-agent-suggestions " ")
               "\n"))
      (setq org-agent--suggestions overlay)
      (add-hook 'after-change-functions #'org-agent--hide-suggestions nil t)
      (add-hook 'change-major-mode-hook #'org-agent--hide-suggestions nil t))))

(add-hook 'org-agent--over-hook #'org-agent--suggest-after)

(defun org-agent--suggestion (offer buffer)
  "Return a button that does OFFER in BUFFER."
  (let ((map (make-sparse-keymap)))
    (define-key map [mouse-1] (lambda ()
                                (interactive)
                                (when (buffer-live-p buffer)
                                  (with-current-buffer buffer
                                    (org-agent--take-suggestion offer)))))
    (propertize (format "[%s]" (org-agent--one-line (car offer) 30))
                'face 'link 'mouse-face 'highlight 'keymap map
                'help-echo (if (stringp (cdr offer)) (cdr offer)
                             (format "M-x %s" (cdr offer))))))

(defun org-agent--take-suggestion (offer)
  "Do OFFER, an element of `org-agent-suggestions', in this chat."
  (cond
   ((stringp (cdr offer))
    (unless (string-empty-p (org-agent--prompt))
      (user-error "There is something in the input area already"))
    (save-restriction
      (org-agent--widen)
      (save-excursion
        (goto-char (point-max))
        (insert (cdr offer))))
    (org-agent-send))
   (t
    (save-excursion
      (save-restriction
        (org-agent--widen)
        (goto-char (or (nth 1 (car (last (org-agent--turn-at (point-max)))))
                       (user-error "There is no reply here")))
        (call-interactively (cdr offer)))))))

(org-agent--defcommand org-agent-suggest (offer)
  "Do OFFER, one of `org-agent-suggestions', about the last reply.
Interactively, choose it by its label."
  (interactive
   (list (assoc (completing-read "About the last reply: "
                                 org-agent-suggestions nil t)
                org-agent-suggestions))
   org-agent-chat-mode)
  (when offer (org-agent--take-suggestion offer)))

(provide 'org-agent-suggest)
;;; org-agent-suggest.el ends here
