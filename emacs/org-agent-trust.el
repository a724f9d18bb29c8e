;;; org-agent-trust.el --- Skills that a project brings along  -*- lexical-binding: t; -*-

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

;; A project can have skills of its own, which the server leaves alone
;; until the user trusts them as they are.  A chat in such a project says
;; so above the input area; the command here shows what they are, or what
;; changed since they were trusted, one after the other.  What is trusted
;; is the hash of what was shown: if it is another by now, the server
;; says no.

;;; Code:

(require 'org-agent-literal)
(require 'org-agent-skills)

;;;; In the chat

(defun org-agent--trust-line (text)
  "Return TEXT, which somebody wrote, on one line that hides nothing."
  (org-agent--literal (replace-regexp-in-string "[\n\r]+" " " text) t))

(defun org-agent--trust-notice ()
  "Return what this chat has to say of skills that nobody trusts, or nil."
  (let* ((here (and (not (file-remote-p default-directory))
                    (file-name-as-directory (file-truename default-directory))))
         (told (seq-find (lambda (told)
                           (and (car told) (equal (file-name-as-directory (car told)) here)))
                         org-agent--skills-told))
         (names (mapcar (lambda (skill) (plist-get skill :name))
                        (plist-get (cdr told) :untrusted))))
    (when names
      (concat (propertize (format "This project brings %s that you do not trust: %s"
                                  (if (cdr names) "skills" "a skill")
                                  (org-agent--trust-line (string-join names ", ")))
                          'face 'org-agent-notice)
              " "
              (propertize "[look: M-x org-agent-skill-trust]" 'face 'link)
              "\n"))))

(add-hook 'org-agent--skill-notices #'org-agent--trust-notice)

;;;; One after the other

(defvar-local org-agent--trust-items nil
  "The skills that are left to look at, the one that is shown first.")

(defvar-local org-agent--trust-directory nil
  "The project that they are of.")

(defvar org-agent-trust-mode-map
  (let ((map (make-sparse-keymap)))
    (define-key map (kbd "t") #'org-agent-trust-accept)
    (define-key map (kbd "n") #'org-agent-trust-next)
    map)
  "Keys of `org-agent-trust-mode'.")

(define-derived-mode org-agent-trust-mode special-mode "Org-Agent-Trust"
  "Shows a skill of a project before it is trusted.

\\{org-agent-trust-mode-map}"
  :interactive nil
  (setq truncate-lines nil))

;;;###autoload (autoload 'org-agent-skill-trust "org-agent" "Look at the skills of the project in DIRECTORY that you do not trust." t)
(defun org-agent-skill-trust (&optional directory)
  "Look at the skills of the project in DIRECTORY that you do not trust.
Without DIRECTORY it is the present one."
  (interactive)
  (let ((directory (file-truename (or directory default-directory))))
    (when (file-remote-p directory)
      (user-error "Skills of projects on other machines are not used"))
    (org-agent--request
     'orgAgent/skills/untrusted
     (list :directory (directory-file-name directory))
     (lambda (result)
       (let ((items (append (plist-get result :items) nil)))
         (if (null items)
             (message "org-agent: no skill of this project waits to be trusted")
           (with-current-buffer (get-buffer-create "*org-agent trust*")
             (org-agent-trust-mode)
             (setq org-agent--trust-items items
                   org-agent--trust-directory directory)
             (org-agent--trust-show)
             (pop-to-buffer (current-buffer))))))
     (lambda (words _code) (message "org-agent: %s" words)))))

(defun org-agent--trust-show ()
  "Ask for the first of the skills that are left, and show it."
  (let ((item (car org-agent--trust-items))
        (buffer (current-buffer))
        (inhibit-read-only t))
    (erase-buffer)
    (insert "Looking at " (org-agent--trust-line (plist-get item :name)) " ...\n")
    (org-agent--request
     'orgAgent/skills/untrusted
     (list :directory (directory-file-name org-agent--trust-directory)
           :file (plist-get item :file))
     (lambda (result)
       (when (buffer-live-p buffer)
         (with-current-buffer buffer
           (when (eq item (car org-agent--trust-items))
             (setcar org-agent--trust-items (elt (plist-get result :items) 0))
             (org-agent--trust-draw)))))
     (lambda (words _code) (message "org-agent: %s" words)))))

(defun org-agent--trust-draw ()
  "Show the first of the skills that are left, whose text is here."
  (let* ((item (car org-agent--trust-items))
         (diff (plist-get item :diff))
         (inhibit-read-only t))
    (erase-buffer)
    (insert (propertize
             (format "%s: %s\n"
                     (org-agent--trust-line (plist-get item :name))
                     (org-agent--trust-line (plist-get item :description)))
             'face 'bold)
            (format "%s\nSHA-256 %s\n\n"
                    (org-agent--trust-line (plist-get item :file))
                    (plist-get item :sha256))
            (if diff "It changed since you trusted it:\n\n"
              "Nothing of it is in use before you trust it as it is:\n\n")
            (org-agent--literal (or diff (plist-get item :text)) t)
            "\n\n"
            (propertize
             (format "t: trust it as it is   n: leave it, next (%d left)   q: quit"
                     (1- (length org-agent--trust-items)))
             'face 'org-agent-notice)
            "\n")
    (goto-char (point-min))))

(defun org-agent-trust-next ()
  "Leave the skill that is shown as it is, and go to the next."
  (interactive nil org-agent-trust-mode)
  (setq org-agent--trust-items (cdr org-agent--trust-items))
  (if org-agent--trust-items
      (org-agent--trust-show)
    (quit-window t)
    (message "org-agent: that was the last")))

(defun org-agent-trust-accept ()
  "Trust the skill that is shown, as it is shown."
  (interactive nil org-agent-trust-mode)
  (let* ((item (car org-agent--trust-items))
         (name (org-agent--trust-line (plist-get item :name)))
         (buffer (current-buffer)))
    (unless (stringp (plist-get item :text))
      (user-error "It is not shown yet"))
    (when (y-or-n-p (format "Trust %s as it is here? " name))
      (org-agent--request
       'orgAgent/skills/trust
       (list :directory (directory-file-name org-agent--trust-directory)
             :file (plist-get item :file)
             :sha256 (plist-get item :sha256))
       (lambda (_)
         (message "org-agent: %s is trusted as it is" name)
         (when (buffer-live-p buffer)
           (with-current-buffer buffer
             (when (eq item (car org-agent--trust-items))
               (org-agent-trust-next)))))
       (lambda (words _code) (message "org-agent: %s" words))))))

(provide 'org-agent-trust)
;;; org-agent-trust.el ends here
