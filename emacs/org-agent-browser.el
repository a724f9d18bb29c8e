;;; org-agent-browser.el --- The list of sessions and its keys  -*- lexical-binding: t; -*-

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

;; M-x org-agent-sessions shows the sessions, those with the last
;; activity first.  Here stand the keys and the menu; what they do is in
;; the files before this one.

;;; Code:

(require 'easymenu)
(require 'org-agent-export)

(pcase-dolist (`(,key . ,command)
               '(("RET" . org-agent-sessions-open)
                 ("o" . org-agent-sessions-open-other-window)
                 ("C-o" . org-agent-sessions-display)
                 ("<mouse-2>" . org-agent-sessions-mouse-open)
                 ("<remap> <tabulated-list-sort>" . org-agent-sessions-sort)
                 ("<remap> <tabulated-list-col-sort>" . org-agent-sessions-mouse-sort)
                 ("s" . org-agent-sessions-search)
                 ("q" . org-agent-sessions-quit)
                 ("+" . org-agent-sessions-more)
                 ("m" . org-agent-sessions-mark)
                 ("d" . org-agent-sessions-flag)
                 ("u" . org-agent-sessions-unmark)
                 ("U" . org-agent-sessions-unmark-all)
                 ("x" . org-agent-sessions-delete)
                 ("e" . org-agent-sessions-export)
                 ("r" . org-agent-sessions-rename)
                 ("l" . org-agent-sessions-label)
                 ("f" . org-agent-sessions-fork)
                 ("a" . org-agent-sessions-archive)
                 ("P" . org-agent-sessions-pause)
                 ("c" . org-agent-sessions-complete)
                 ("R" . org-agent-sessions-retry)
                 ("C-c C-k" . org-agent-sessions-cancel)
                 ("/ s" . org-agent-sessions-narrow-status)
                 ("/ a" . org-agent-sessions-narrow-archived)
                 ("/ d" . org-agent-sessions-narrow-since)
                 ("/ u" . org-agent-sessions-narrow-until)
                 ("/ t" . org-agent-sessions-narrow-tag)
                 ("/ g" . org-agent-sessions-narrow-group)
                 ("/ r" . org-agent-sessions-narrow-role)
                 ("/ k" . org-agent-sessions-narrow-skill)
                 ("/ /" . org-agent-sessions-widen)))
  (define-key org-agent-sessions-mode-map (kbd key) command))

(easy-menu-define org-agent--browser-menu org-agent-sessions-mode-map
  "Menu of the list of sessions."
  '("Sessions"
    ["Open" org-agent-sessions-open]
    ["Open in Other Window" org-agent-sessions-open-other-window]
    ["Copy and Open" org-agent-sessions-fork]
    ["Run Interrupted Turns Again" org-agent-sessions-retry]
    ["Cancel What Runs" org-agent-sessions-cancel]
    "--"
    ["Rename..." org-agent-sessions-rename]
    ["Label..." org-agent-sessions-label]
    ["Archive or Take Out" org-agent-sessions-archive]
    ["Pause or Go On" org-agent-sessions-pause]
    ["Be Done With" org-agent-sessions-complete]
    ["Export..." org-agent-sessions-export]
    "--"
    ["Mark" org-agent-sessions-mark]
    ["Flag for Deletion" org-agent-sessions-flag]
    ["Unmark" org-agent-sessions-unmark]
    ["Unmark All" org-agent-sessions-unmark-all]
    ["Delete Flagged..." org-agent-sessions-delete]
    "--"
    ["Search..." org-agent-sessions-search]
    ("Show Only"
     ["A Status..." org-agent-sessions-narrow-status]
     ["Archived, or Not" org-agent-sessions-narrow-archived]
     ["Since..." org-agent-sessions-narrow-since]
     ["Until..." org-agent-sessions-narrow-until]
     ["A Tag..." org-agent-sessions-narrow-tag]
     ["A Group..." org-agent-sessions-narrow-group]
     ["Messages of a Role..." org-agent-sessions-narrow-role]
     ["Turns of a Skill..." org-agent-sessions-narrow-skill])
    ["Show All" org-agent-sessions-widen]
    ["Load More" org-agent-sessions-more]
    ["Refresh" org-agent-sessions-refresh]))

;;;###autoload (autoload 'org-agent-sessions "org-agent" "List the sessions." t)
(defun org-agent-sessions ()
  "List the sessions."
  (interactive)
  (let ((directory default-directory))
    (pop-to-buffer (get-buffer-create "*org-agent sessions*"))
    (unless (derived-mode-p 'org-agent-sessions-mode)
      (org-agent-sessions-mode))
    ;; Chats that are opened from here work there.
    (setq default-directory directory)
    (org-agent-sessions-refresh)
    (org-agent--browser-ask-default)
    (org-agent--browser-ask-skills)))

;;;###autoload (autoload 'org-agent-sessions-search "org-agent" "List the messages that have certain words, while these are typed." t)
(defun org-agent-sessions-search ()
  "List the messages that have certain words, while these are typed.
All words must be there; WORD* stands for any end of it, and \"a b\"
for words beside each other.  With no words, list the sessions."
  (interactive)
  (unless (derived-mode-p 'org-agent-sessions-mode)
    (org-agent-sessions))
  (org-agent--browser-search))

(defun org-agent--browser-ask-default ()
  "Ask which model is configured, for the rows of sessions without one."
  (let ((buffer (current-buffer)))
    (org-agent--request
     'orgAgent/models/list (list :limit 500)
     (lambda (result)
       (when-let ((item (and (buffer-live-p buffer)
                             (seq-find (lambda (item)
                                         (org-agent--true-p (plist-get item :default)))
                                       (plist-get result :items)))))
         (with-current-buffer buffer
           (setq org-agent--browser-default
                 (org-agent--one-line (plist-get item :name) 40))
           (unless (org-agent--browser-found-p)
             (setq tabulated-list-entries
                   (mapcar (lambda (entry)
                             (org-agent--browser-entry
                              (gethash (car entry) org-agent--browser-items)))
                           tabulated-list-entries))
             (org-agent--browser-print)))))
     #'ignore)))

(defun org-agent--browser-ask-skills ()
  "Ask which skills there are, to complete their names."
  (let ((buffer (current-buffer)))
    (org-agent--request
     'orgAgent/skills/list (list :limit 500)
     (lambda (result)
       (when (buffer-live-p buffer)
         (with-current-buffer buffer
           (setq org-agent--browser-skills
                 (seq-map (lambda (item) (plist-get item :name))
                          (plist-get result :items))))))
     #'ignore)))

(provide 'org-agent-browser)
;;; org-agent-browser.el ends here
