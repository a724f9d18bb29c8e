;;; org-agent-search.el --- Searching and narrowing the list of sessions  -*- lexical-binding: t; -*-

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

;; The server looks for words in titles and in all that was said, also in
;; archived sessions.  The list shows what it finds while the user types, a moment
;; after the last key; nothing waits for it, and what comes late is
;; dropped.
;;
;; A search is narrowed by role, skill and time; a list of sessions by
;; status, archive, group, tag and time of the last activity.  These are
;; the server's filters: what is not loaded is narrowed as well.

;;; Code:

(require 'org-agent-listing)

(defconst org-agent--browser-typing 0.2
  "Seconds without a key after which it is looked for what was typed.")

(defconst org-agent--browser-query-limit 1024
  "How many bytes of a query the server takes.")

(defvar-local org-agent--browser-skills nil
  "The names of the skills that the server told of.")

;;;; Searching

(defun org-agent--browser-show (query filters)
  "Let this list show what fits QUERY and FILTERS, and ask for it."
  (let ((found (org-agent--browser-found-p)))
    (setq org-agent--browser-query query
          org-agent--browser-filters filters)
    ;; Rows of one kind mean nothing under the columns of the other.
    (unless (eq (not found) (not (org-agent--browser-found-p)))
      (setq tabulated-list-entries nil
            org-agent--browser-cursor nil)
      (clrhash org-agent--browser-items)
      (clrhash org-agent--browser-marks)
      (org-agent--browser-columns)
      (org-agent--browser-print)))
  (force-mode-line-update)
  (org-agent--browser-ask nil org-agent--browser-page))

(defun org-agent--browser-look (text)
  "Let this list show what fits TEXT, unless it does."
  (let ((query (org-agent--browser-query-of text)))
    (unless (equal query org-agent--browser-query)
      (org-agent--browser-show query org-agent--browser-filters))))

(defun org-agent--browser-query-of (text)
  "Return TEXT as the server takes it, or nil if there is nothing to look for."
  (let ((text (string-trim (org-agent--sane text))))
    (while (> (string-bytes text) org-agent--browser-query-limit)
      (setq text (substring text 0 (1- (length text)))))
    (and (string-match-p "[[:word:]]" text) text)))

(defun org-agent--browser-search ()
  "Ask for words, and show in this list what has them while they are typed."
  (let* ((list (current-buffer))
         (before org-agent--browser-query)
         (typed (or before ""))
         (timer nil)
         (look (lambda (text)
                 (when (buffer-live-p list)
                   (with-current-buffer list (org-agent--browser-look text)))))
         (changed (lambda ()
                    (let ((text (minibuffer-contents-no-properties)))
                      (unless (equal text typed)
                        (setq typed text)
                        (when timer (cancel-timer timer))
                        (setq timer (run-at-time org-agent--browser-typing nil
                                                 look text))))))
         (done nil))
    (unwind-protect
        (minibuffer-with-setup-hook
            (lambda () (add-hook 'post-command-hook changed nil t))
          (setq done (read-string "Search in sessions: " before)))
      (when timer (cancel-timer timer))
      (funcall look (or done before "")))))

(defun org-agent-sessions-quit ()
  "Show the sessions again after a search, or else leave the list."
  (interactive nil org-agent-sessions-mode)
  (if (org-agent--browser-found-p)
      (org-agent--browser-show
       nil (org-agent--browser-with :skill nil
                                    (org-agent--browser-with :role nil)))
    (quit-window)))

;;;; Narrowing

(defun org-agent--browser-with (key value &optional filters)
  "Return FILTERS, or those of this list, with VALUE for KEY."
  (plist-put (copy-sequence (or filters org-agent--browser-filters)) key value))

(defun org-agent--browser-narrow (key value)
  "Let this list show what has VALUE for KEY; with nil or \"\", anything."
  (org-agent--browser-show
   org-agent--browser-query
   (org-agent--browser-with key (if (equal value "") nil value))))

(defun org-agent-sessions-narrow-status (status)
  "Show sessions of STATUS only; with the empty one, of any."
  (interactive
   (list (completing-read "Status (empty: any): "
                          '("active" "running" "paused" "completed" "failed")
                          nil t))
   org-agent-sessions-mode)
  ;; The server shows those of one status that are archived, or that are not.
  (unless (plist-get org-agent--browser-filters :archived)
    (setq org-agent--browser-filters
          (org-agent--browser-with :archived :json-false)))
  (org-agent--browser-narrow :status status))

(defun org-agent-sessions-narrow-archived ()
  "Show archived sessions only, then these too, then none of them."
  (interactive nil org-agent-sessions-mode)
  (org-agent--browser-narrow
   :archived (pcase (plist-get org-agent--browser-filters :archived)
               (:json-false t)
               ('t (and (plist-get org-agent--browser-filters :status)
                        :json-false))
               (_ :json-false))))

(defun org-agent-sessions-narrow-since (&optional anytime)
  "Show only what happened on a day or later; with ANYTIME, whenever."
  (interactive "P" org-agent-sessions-mode)
  (org-agent--browser-narrow
   :since (unless anytime (org-agent--browser-day "Since"))))

(defun org-agent-sessions-narrow-until (&optional anytime)
  "Show only what happened on a day or earlier; with ANYTIME, whenever."
  (interactive "P" org-agent-sessions-mode)
  (org-agent--browser-narrow
   :until (unless anytime
            (+ (org-agent--browser-day "Until the end of") 86400000))))

(defun org-agent--browser-day (prompt)
  "Ask for a day with PROMPT; return its beginning in Unix milliseconds."
  (pcase-let ((`(,_ ,_ ,_ ,day ,month ,year . ,_)
               (decode-time (org-read-date nil t nil prompt))))
    (* 1000 (truncate (float-time (encode-time 0 0 0 day month year))))))

(defun org-agent-sessions-narrow-tag (tag)
  "Show sessions with TAG only; with the empty one, all."
  (interactive (list (read-string "Tag (empty: any): "
                                  (plist-get org-agent--browser-filters :tag)))
               org-agent-sessions-mode)
  (org-agent--browser-narrow :tag tag))

(defun org-agent-sessions-narrow-group (group)
  "Show sessions of GROUP only; with the empty one, all."
  (interactive (list (read-string "Group (empty: any): "
                                  (plist-get org-agent--browser-filters :group)))
               org-agent-sessions-mode)
  (org-agent--browser-narrow :group group))

(defun org-agent-sessions-narrow-role (role)
  "Show messages of ROLE only; with the empty one, sessions or any messages."
  (interactive
   (list (completing-read "Messages of (empty: anybody): "
                          '("user" "assistant" "system") nil t))
   org-agent-sessions-mode)
  (org-agent--browser-narrow :role role))

(defun org-agent-sessions-narrow-skill (skill)
  "Show only messages whose prompt SKILL made; with the empty one, any."
  (interactive
   (list (completing-read "Turns of the skill (empty: any): "
                          org-agent--browser-skills))
   org-agent-sessions-mode)
  (org-agent--browser-narrow :skill skill))

(defun org-agent-sessions-widen ()
  "Show all sessions that are not archived, and forget the search."
  (interactive nil org-agent-sessions-mode)
  (org-agent--browser-show nil (list :archived :json-false)))

(provide 'org-agent-search)
;;; org-agent-search.el ends here
