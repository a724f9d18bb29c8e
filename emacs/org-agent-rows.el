;;; org-agent-rows.el --- The rows of the list of sessions  -*- lexical-binding: t; -*-

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

;; What stands in the list of sessions.  A row is an identifier and
;; cells.  The identifier is a list: the session and, of something that
;; was found by its words, the message.  One row can change without the
;; others, so that point, windows and marks stay.
;;
;; Titles and snippets are the words of others: they are cut to one line
;; and inserted as text.

;;; Code:

(require 'tabulated-list)
(require 'org-agent-models)

;;;; State

(defvar-local org-agent--browser-items nil
  "What the server told of each row, by the row's identifier.")

(defvar-local org-agent--browser-marks nil
  "The marks of rows, characters by the rows' identifiers.")

(defvar-local org-agent--browser-query nil
  "The words that are looked for, or nil.")

(defvar-local org-agent--browser-filters nil
  "What narrows the list, a property list as the server wants it.")

(defvar-local org-agent--browser-cursor nil
  "Where the next page begins, or nil if there is none.")

(defvar-local org-agent--browser-complete t
  "Nil if more was found than the server put in order.")

(defvar-local org-agent--browser-round 0
  "The number of the last question for a first page.")

(defvar-local org-agent--browser-asking nil
  "Non-nil while a page is asked for.")

(defvar-local org-agent--browser-problem nil
  "Why the last page did not come, in words, or nil.")

(defvar-local org-agent--browser-stale nil
  "The sessions in which something happened that their rows do not show.")

(defvar-local org-agent--browser-end nil
  "The overlay that shows what there is to say below the last row.")

(defvar-local org-agent--browser-default ""
  "The name of the model that is configured.")

;;;; Columns

(defun org-agent--browser-found-p ()
  "Return non-nil if there are messages in this list, not sessions."
  (or org-agent--browser-query
      (plist-get org-agent--browser-filters :role)
      (plist-get org-agent--browser-filters :skill)))

(defun org-agent--browser-columns ()
  "Give this list the columns of its rows."
  (if (org-agent--browser-found-p)
      (setq tabulated-list-sort-key nil
            tabulated-list-format
            `[("Title" 28 ,(org-agent--browser-by :title))
              ("Who" 9 ,(org-agent--browser-by :role))
              ("When" 12 ,(org-agent--browser-by :createdAt))
              ("Found" 0 nil)])
    (setq tabulated-list-sort-key (cons "Last" t)
          tabulated-list-format
          `[("Title" ,(org-agent--browser-title-width)
             ,(org-agent--browser-by :title))
            ("Status" 10 ,(org-agent--browser-by :status))
            ("Last" 10 ,(org-agent--browser-by :updatedAt))
            ("Model" 14 ,(org-agent--browser-by :model))
            ("Tokens" 7 ,(org-agent--browser-by #'org-agent--browser-tokens)
             :right-align t)
            ("Cost" 8 ,(org-agent--browser-by :cost) :right-align t)
            ("New" 4 ,(org-agent--browser-by :unread) :right-align t)
            ("Labels" 0 nil)]))
  (tabulated-list-init-header))

(defun org-agent--browser-title-width ()
  "Return how many columns titles get: what the other columns leave."
  (max 20 (min 50 (- (window-width) 65))))

(defun org-agent--browser-by (key)
  "Return a function to say which of two rows is less by KEY.
KEY is one of what the server told, or a function of all of that."
  (let ((value (lambda (row)
                 (let ((item (gethash (car row) org-agent--browser-items)))
                   (if (functionp key) (funcall key item)
                     (plist-get item key))))))
    (lambda (one other)
      (let ((one (funcall value one))
            (other (funcall value other)))
        (if (or (stringp one) (stringp other))
            (string-lessp (downcase (or one "")) (downcase (or other "")))
          (< (or one -1) (or other -1)))))))

;;;; Cells

(defun org-agent--browser-entry (item)
  "Return the row of ITEM, a list of its identifier and cells."
  (if (plist-member item :messageId)
      (list (list (plist-get item :sessionId) (plist-get item :messageId))
            (vector (org-agent--browser-title item)
                    (org-agent--one-line (plist-get item :role) 20)
                    (org-agent--browser-ago (plist-get item :createdAt))
                    (org-agent--browser-snippet item)))
    (list (list (plist-get item :id))
          (vector (org-agent--browser-title item)
                  (org-agent--browser-status item)
                  (org-agent--browser-ago (plist-get item :updatedAt))
                  (if-let ((model (plist-get item :model)))
                      (org-agent--one-line model 40)
                    (propertize org-agent--browser-default 'face 'shadow))
                  (let ((tokens (org-agent--browser-tokens item)))
                    (if tokens (org-agent--browser-short tokens) ""))
                  (if-let ((cost (plist-get item :cost)))
                      (org-agent--dollars cost)
                    "")
                  (let ((unread (plist-get item :unread)))
                    (if (eql unread 0) ""
                      (propertize (number-to-string unread) 'face 'bold)))
                  (org-agent--browser-labels item)))))

(defun org-agent--browser-title (item)
  "Return the title of ITEM, which can be clicked."
  (let ((title (org-agent--one-line (plist-get item :title) 200)))
    (propertize title 'mouse-face 'highlight
                'help-echo (concat title "\nmouse-2: open"))))

(defun org-agent--browser-status (item)
  "Return the status of ITEM; what is at rest and archived is only that."
  (let ((status (plist-get item :status))
        (archived (org-agent--true-p (plist-get item :archived))))
    (if (and archived (member status '("active" "completed")))
        (propertize "archived" 'face 'shadow)
      (concat (propertize status 'face (pcase status
                                         ("failed" 'error)
                                         ("running" 'success)
                                         ("paused" 'warning)
                                         ("completed" 'shadow)
                                         (_ 'default)))
              (and archived ", archived")))))

(defun org-agent--browser-ago (time)
  "Return TIME, Unix milliseconds, as people say it."
  (let* ((seconds (/ time 1000))
         (past (- (truncate (float-time)) seconds)))
    (propertize
     (cond ((< past 60) "now")
           ((< past 3600) (format "%d min ago" (/ past 60)))
           ((< past 86400) (format "%d h ago" (/ past 3600)))
           ((< past 172800) "yesterday")
           ((< past 604800) (format "%d days ago" (/ past 86400)))
           (t (format-time-string "%F" seconds)))
     'help-echo (format-time-string "%F %T" seconds))))

(defun org-agent--browser-tokens (item)
  "Return how many tokens ITEM took, or nil if nobody said so."
  (let ((tokens (plist-get item :tokens)))
    (org-agent--plus (org-agent--plus nil (plist-get tokens :prompt))
                     (plist-get tokens :completion))))

(defun org-agent--browser-short (number)
  "Return NUMBER, a count of tokens, in a few characters."
  (cond ((< number 10000) (org-agent--number number))
        ((< number 10000000) (format "%dk" (/ number 1000)))
        (t (format "%dM" (/ number 1000000)))))

(defun org-agent--browser-labels (item)
  "Return group and tags of ITEM."
  (let ((tags (append (plist-get item :tags) nil))
        (group (plist-get item :group)))
    (org-agent--one-line
     (concat group (and group tags " ")
             (and tags (format ":%s:" (string-join tags ":"))))
     200)))

(defun org-agent--browser-snippet (item)
  "Return the words of ITEM that were found, with what was looked for in sight."
  (let ((snippet (copy-sequence (plist-get item :snippet))))
    (seq-doseq (place (plist-get item :highlights))
      (let ((from (elt place 0)) (to (elt place 1)))
        (when (<= 0 from to (length snippet))
          (add-face-text-property from to 'match nil snippet))))
    (org-agent--one-line snippet 500)))

;;;; Rows

(defun org-agent--browser-print-row (id cells)
  "Insert the row ID of CELLS, and its mark."
  (tabulated-list-print-entry id cells)
  (when-let ((mark (gethash id org-agent--browser-marks)))
    (save-excursion
      (forward-line -1)
      (tabulated-list-put-tag (string mark)))))

(defun org-agent--browser-row (id)
  "Return the position of the row ID, or nil."
  (save-excursion
    (goto-char (point-min))
    (while (not (or (eobp) (equal id (tabulated-list-get-id))))
      (forward-line 1))
    (unless (eobp) (point))))

(defmacro org-agent--browser-with-rows (&rest body)
  "Change rows by BODY, and leave point and windows with their rows."
  (declare (indent 0) (debug t))
  `(let ((spots (mapcar #'org-agent--browser-spot
                        (org-agent--points (point-min) (point-max))))
         (inhibit-read-only t)
         ;; Rows are made of many short strings.
         (gc-cons-threshold (max gc-cons-threshold (ash 1 26))))
     (save-excursion ,@body)
     (restore-buffer-modified-p nil)
     (mapc #'org-agent--browser-return spots)
     (org-agent--browser-show-end)))

(defun org-agent--browser-spot (mover)
  "Return where MOVER, this buffer or a window of it, is."
  (save-excursion
    (unless (bufferp mover) (goto-char (window-point mover)))
    (list mover (tabulated-list-get-id) (current-column)
          (count-lines (point-min) (line-beginning-position))
          (and (windowp mover) (< (point-min) (window-start mover))
               (tabulated-list-get-id (window-start mover))))))

(defun org-agent--browser-return (spot)
  "Put the window or buffer of SPOT back to its row, or where that was."
  (pcase-let ((`(,mover ,id ,column ,line ,start) spot))
    (org-agent--move
     (list mover)
     (save-excursion
       (goto-char (or (and id (org-agent--browser-row id))
                      (progn (goto-char (point-min))
                             (forward-line line)
                             (point))))
       (move-to-column column)
       (point)))
    (when-let ((position (and start (org-agent--browser-row start))))
      (set-window-start mover position t))))

(defun org-agent--browser-forget-order ()
  "Let a sort not look for the order that rows had before they changed."
  (setq-local tabulated-list--original-order nil))

(defun org-agent--browser-put (item)
  "Show ITEM, a session, in its row; it may be a new one."
  (let* ((entry (org-agent--browser-entry item))
         (id (car entry)))
    (puthash id item org-agent--browser-items)
    (setq tabulated-list-entries
          (cons entry (assoc-delete-all id tabulated-list-entries)))
    (org-agent--browser-forget-order)
    (org-agent--browser-with-rows
      (when-let ((old (org-agent--browser-row id)))
        (goto-char old)
        (tabulated-list-delete-entry))
      (goto-char (point-min))
      (while (not (or (eobp)
                      (org-agent--browser-before-p
                       entry (list (tabulated-list-get-id) nil))))
        (forward-line 1))
      (apply tabulated-list-printer entry))))

(defun org-agent--browser-before-p (one other)
  "Return non-nil if the row ONE stands before OTHER."
  (pcase-let* ((`(,name . ,back) tabulated-list-sort-key)
               (less (and name (nth 2 (assoc name (append tabulated-list-format nil))))))
    (and less (if back (funcall less other one) (funcall less one other)))))

(defun org-agent--browser-remove (session)
  "Take away all rows of SESSION."
  (let ((gone (seq-filter (lambda (id) (equal (car id) session))
                          (org-agent--keys org-agent--browser-items))))
    (when gone
      (dolist (id gone)
        (remhash id org-agent--browser-items)
        (remhash id org-agent--browser-marks)
        (setq tabulated-list-entries (assoc-delete-all id tabulated-list-entries)))
      (org-agent--browser-forget-order)
      (org-agent--browser-with-rows
        (dolist (id gone)
          (goto-char (org-agent--browser-row id))
          (tabulated-list-delete-entry))))))

;;;; Below the rows

(defun org-agent--browser-show-end ()
  "Show below the last row what there is to say."
  (let ((count (hash-table-count org-agent--browser-items))
        (word (if (org-agent--browser-found-p) "message" "session")))
    (move-overlay org-agent--browser-end (point-max) (point-max))
    (overlay-put
     org-agent--browser-end 'after-string
     (propertize
      (cond
       (org-agent--browser-problem (format "  %s\n" org-agent--browser-problem))
       (org-agent--browser-asking "  ...\n")
       ((zerop count)
        (if (equal (org-agent--browser-narrowed) "")
            "  There is no session yet; M-x org-agent-chat begins one\n"
          "  Nothing fits; / / shows all sessions\n"))
       (org-agent--browser-cursor
        (format "  %d %ss are loaded%s; + loads more%s\n" count word
                (if (member tabulated-list-sort-key '(nil ("Last" . t))) ""
                  " and sorted")
                (if org-agent--browser-complete ""
                  ".  The newest thousand that fit were put in order")))
       (t (format "  %d %s%s\n" count word (if (= count 1) "" "s"))))
      'face 'org-agent-notice))))

(defun org-agent--browser-narrowed ()
  "Return in words what narrows this list."
  (let ((words (delq nil
                     (cons
                      (and org-agent--browser-query
                           (format "\"%s\"" org-agent--browser-query))
                      (cl-loop for (key value) on org-agent--browser-filters by #'cddr
                               when (org-agent--browser-narrows key value)
                               collect it)))))
    (if words
        ;; The mode line reads a % in this.
        (replace-regexp-in-string
         "%" "%%" (format " [%s]" (org-agent--one-line (string-join words "; ") 80))
         t t)
      "")))

(defun org-agent--browser-narrows (key value)
  "Return in words how the filter KEY with VALUE narrows a list, or nil."
  (pcase (list key value)
    ('(:archived t) "archived")
    ('(:archived nil) "archived too")
    (`(,(or :archived (guard (not value))) . ,_) nil)
    (`(:since ,_) (format-time-string "since %F" (/ value 1000)))
    (`(:until ,_) (format-time-string "until %F" (1- (/ value 1000))))
    (_ (format "%s %s" (substring (symbol-name key) 1) value))))

(provide 'org-agent-rows)
;;; org-agent-rows.el ends here
