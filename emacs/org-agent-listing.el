;;; org-agent-listing.el --- The list of sessions, page by page  -*- lexical-binding: t; -*-

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

;; How sessions get into their list: page by page, as far as the user
;; scrolls.  The server sorts by the last activity, so that the first
;; page is right with any number of sessions; another column sorts what
;; is loaded, and the last line says so.
;;
;; What changes on the server changes its own row only, after a moment.
;; The server tells of changes and turns, not of what another server
;; does.  An answer to a question that is no longer the last one is
;; dropped.

;;; Code:

(require 'org-agent-rows)

(defconst org-agent--browser-page 100
  "How many sessions are asked for at once.")

(defconst org-agent--browser-titles 10
  "How many sessions a search shows at most for their titles.")

(defconst org-agent--browser-pause 0.3
  "Seconds after which a row shows what happened in its session.
What happens meanwhile is shown with it.")

(defconst org-agent--browser-burst 20
  "In how many sessions at most something happens before all are asked for.")

;;;; The mode

(defvar org-agent-sessions-mode-map (make-sparse-keymap)
  "Keys of `org-agent-sessions-mode'.")

(define-derived-mode org-agent-sessions-mode tabulated-list-mode "Org-Agent-Sessions"
  "Lists the sessions of org-agent, those with the last activity first.
More are loaded when the end comes into sight.  Keys that act on a
session act on all that are marked, if some are.

\\{org-agent-sessions-mode-map}"
  :interactive nil
  (setq tabulated-list-padding 2
        tabulated-list-printer #'org-agent--browser-print-row
        org-agent--browser-items (make-hash-table :test #'equal)
        org-agent--browser-marks (make-hash-table :test #'equal)
        org-agent--browser-filters (list :archived :json-false)
        org-agent--browser-end (make-overlay (point-min) (point-min) nil t t)
        mode-line-process '(:eval (org-agent--browser-narrowed)))
  (setq-local revert-buffer-function
              (lambda (&rest _) (org-agent-sessions-refresh)))
  (add-hook 'post-command-hook #'org-agent--browser-scrolled nil t)
  (org-agent--browser-columns))

;;;; Sorting

(defun org-agent-sessions-sort (&optional column)
  "Sort what is loaded by the column at point, or COLUMN, a number."
  (interactive "P" org-agent-sessions-mode)
  (org-agent--browser-with-rows (tabulated-list-sort column)))

(defun org-agent-sessions-mouse-sort (click)
  "Sort what is loaded by the column whose name got CLICK."
  (interactive "e" org-agent-sessions-mode)
  (with-current-buffer (window-buffer (posn-window (event-start click)))
    (org-agent--browser-with-rows (tabulated-list-col-sort click))))

;;;; Pages

(defun org-agent-sessions-refresh ()
  "Ask the server again for the sessions."
  (interactive nil org-agent-sessions-mode)
  (org-agent--browser-ask
   nil (max org-agent--browser-page
            (min 500 (hash-table-count org-agent--browser-items)))))

(defun org-agent-sessions-more ()
  "Load the next page."
  (interactive nil org-agent-sessions-mode)
  (cond (org-agent--browser-asking)
        (org-agent--browser-cursor
         (org-agent--browser-ask org-agent--browser-cursor org-agent--browser-page))
        (t (message "That is all"))))

(defun org-agent--browser-scrolled ()
  "Load the next page if the end of this one is near or in sight."
  (when (and org-agent--browser-cursor
             (not org-agent--browser-asking)
             (not org-agent--browser-problem)
             (eq (window-buffer) (current-buffer))
             ;; After a command that moved far the window is yet to follow.
             (or (<= (count-lines (point) (point-max)) 3)
                 (pos-visible-in-window-p (point-max))))
    (org-agent-sessions-more)))

(defun org-agent--browser-only (keys)
  "Return those of the filters KEYS that narrow this list, with their values."
  (mapcan (lambda (key)
            (when-let ((value (plist-get org-agent--browser-filters key)))
              (list key value)))
          keys))

(defun org-agent--browser-question (cursor limit)
  "Return method and parameters for LIMIT rows from CURSOR on."
  (let ((cursor (and cursor (list :cursor cursor))))
    (if (org-agent--browser-found-p)
        `( orgAgent/sessions/search
           :query ,(or org-agent--browser-query "") :limit ,(min limit 100)
           ,@(org-agent--browser-only '(:role :skill :since :until)) ,@cursor)
      `( orgAgent/sessions/list :recent t :limit ,limit
         ,@(org-agent--browser-only
              '(:status :archived :group :tag :since :until)) ,@cursor))))

(defun org-agent--browser-ask (cursor limit)
  "Ask for LIMIT rows from CURSOR on; without it, for the first ones."
  (let ((buffer (current-buffer))
        (round (if cursor org-agent--browser-round
                 (cl-incf org-agent--browser-round)))
        (question (org-agent--browser-question cursor limit))
        (words (org-agent--browser-title-words cursor))
        (titled nil))
    (setq org-agent--browser-asking t
          org-agent--browser-problem nil)
    (org-agent--browser-show-end)
    ;; The server answers in the order of the questions.
    (when words
      (org-agent--request
       'orgAgent/sessions/list
       `( :recent t :limit ,org-agent--browser-titles
          :title ,(string-join words " ")
          ,@(org-agent--browser-only '(:since :until)))
       (lambda (result)
         (setq titled (org-agent--browser-titled words (plist-get result :items))))
       #'ignore))
    (org-agent--request
     (car question) (cdr question)
     (lambda (result)
       (org-agent--browser-answered buffer round
         (lambda ()
           (cl-callf2 vconcat titled (plist-get result :items))
           (org-agent--browser-got result cursor))))
     (lambda (words _code)
       (org-agent--browser-answered buffer round
         (lambda ()
           (setq org-agent--browser-problem (org-agent--one-line words 300))
           (org-agent--browser-show-end)))))))

(defun org-agent--browser-title-words (cursor)
  "Return the words to look for in titles, or nil; only without CURSOR."
  (unless (or cursor
              (plist-get org-agent--browser-filters :role)
              (plist-get org-agent--browser-filters :skill))
    (split-string (or org-agent--browser-query "") "[*\" \t\n]+" t)))

(defun org-agent--browser-titled (words items)
  "Return those of ITEMS, sessions, that have WORDS in their titles.
They are as the server tells what it finds; an older one knows no titles."
  (mapcar (lambda (item)
            (let ((title (plist-get item :title)))
              (list :sessionId (plist-get item :id) :title title
                    :messageId nil :role "title" :snippet title
                    :createdAt (plist-get item :updatedAt)
                    :highlights
                    (mapcar (lambda (word)
                              (let ((at (string-search (downcase word) (downcase title))))
                                (list at (+ at (length word)))))
                            words))))
          (seq-filter (lambda (item)
                        (let ((title (downcase (plist-get item :title))))
                          (seq-every-p (lambda (word)
                                         (string-search (downcase word) title))
                                       words)))
                      items)))

(defun org-agent--browser-answered (buffer round then)
  "Call THEN in BUFFER unless another ROUND has begun there."
  (declare (indent 2))
  (when (buffer-live-p buffer)
    (with-current-buffer buffer
      (when (eql round org-agent--browser-round)
        (setq org-agent--browser-asking nil)
        (funcall then)))))

(defun org-agent--browser-got (result more)
  "Show the page that RESULT has, below what stands here if MORE."
  (let ((kept (and more org-agent--browser-items))
        (new nil))
    (unless more
      (setq tabulated-list-entries nil
            org-agent--browser-items (make-hash-table :test #'equal)))
    (seq-doseq (item (plist-get result :items))
      (let ((entry (org-agent--browser-entry item)))
        (unless (and kept (gethash (car entry) kept))
          (puthash (car entry) item org-agent--browser-items)
          (push entry new))))
    (setq new (nreverse new)
          tabulated-list-entries (append tabulated-list-entries new)
          org-agent--browser-cursor (plist-get result :nextCursor)
          org-agent--browser-complete
          (not (eq (plist-get result :complete) :json-false)))
    (unless more
      (dolist (id (org-agent--keys org-agent--browser-marks))
        (unless (gethash id org-agent--browser-items)
          (remhash id org-agent--browser-marks))))
    (org-agent--browser-forget-order)
    (if (and more (member tabulated-list-sort-key '(nil ("Last" . t))))
        (org-agent--browser-with-rows
          (goto-char (point-max))
          (dolist (entry new)
            (apply tabulated-list-printer entry)))
      (org-agent--browser-print))))

(defun org-agent--browser-print ()
  "Show all rows anew."
  (org-agent--browser-with-rows (tabulated-list-print)))

;;;; What happens meanwhile

(cl-defmethod org-agent--handle
  :extra "browser" :after ((_ (eql 'orgAgent/sessions/changed)) params)
  "Show in every list what PARAMS tell of a session."
  (let ((session (plist-get params :sessionId)))
    (org-agent--browser-each
     (if (seq-contains-p (plist-get params :changes) "chat.session.deleted")
         (lambda () (org-agent--browser-remove session))
       (lambda () (org-agent--browser-touch session))))))

(cl-defmethod org-agent--handle
  :extra "browser" :after ((_ (eql 'orgAgent/turn)) params)
  "Show in every list that something happened in the session of PARAMS."
  (let ((session (plist-get params :sessionId)))
    (when (stringp session)
      (org-agent--browser-each (lambda () (org-agent--browser-touch session))))))

(cl-defmethod org-agent--handle :extra "browser" :after ((_ (eql :ready)) _params)
  "Ask again for every list: another server may know more."
  (org-agent--browser-each
   (lambda ()
     (unless org-agent--browser-asking
       (org-agent-sessions-refresh)))))

(defun org-agent--browser-each (function)
  "Call FUNCTION in every list of sessions."
  (dolist (buffer (buffer-list))
    (when (eq (buffer-local-value 'major-mode buffer) 'org-agent-sessions-mode)
      (with-current-buffer buffer
        (funcall function)))))

(defun org-agent--browser-touch (session)
  "Note that something happened in SESSION, and show it in a moment."
  (unless (org-agent--browser-found-p)
    (unless org-agent--browser-stale
      (run-at-time org-agent--browser-pause nil
                   #'org-agent--browser-catch-up (current-buffer)))
    (cl-pushnew session org-agent--browser-stale :test #'equal)))

(defun org-agent--browser-catch-up (buffer)
  "Ask for the sessions of BUFFER in which something happened."
  (when (buffer-live-p buffer)
    (with-current-buffer buffer
      (let ((stale org-agent--browser-stale)
            (round org-agent--browser-round))
        (setq org-agent--browser-stale nil)
        (cond
         ((org-agent--browser-found-p))
         ((length> stale org-agent--browser-burst) (org-agent-sessions-refresh))
         (t
          (dolist (session stale)
            (org-agent--request
             'orgAgent/sessions/get (list :sessionId session)
             (lambda (item) (org-agent--browser-news buffer round item))
             (lambda (_words code)
               (when (and (equal code "not_found") (buffer-live-p buffer))
                 (with-current-buffer buffer
                   (org-agent--browser-remove session))))))))))))

(defun org-agent--browser-news (buffer round item)
  "Show ITEM in the list BUFFER if it is still in ROUND, and ITEM fits."
  (when (buffer-live-p buffer)
    (with-current-buffer buffer
      (when (and (eql round org-agent--browser-round)
                 (not (org-agent--browser-found-p)))
        (if (org-agent--browser-fits-p item)
            (org-agent--browser-put item)
          (org-agent--browser-remove (plist-get item :id)))))))

(defun org-agent--browser-fits-p (item)
  "Return non-nil if the filters of this list let ITEM through."
  (let ((archived (org-agent--true-p (plist-get item :archived))))
    (cl-loop for (key value) on org-agent--browser-filters by #'cddr
             always (or (not value)
                        (pcase key
                          (:archived (eq archived (eq value t)))
                          (:tag (seq-contains-p (plist-get item :tags) value))
                          (:since (<= value (plist-get item :updatedAt)))
                          (:until (< (plist-get item :updatedAt) value))
                          (_ (equal (plist-get item key) value)))))))

(provide 'org-agent-listing)
;;; org-agent-listing.el ends here
