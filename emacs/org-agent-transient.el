;;; org-agent-transient.el --- The menu of org-agent  -*- lexical-binding: t; -*-

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

;; `org-agent-menu', made of the table in org-agent-menu.el.  The library
;; `transient' is loaded with this file, and this file when the menu is
;; first asked for.  What version 0.3.7 has, that of Emacs 28.1, is enough.

;;; Code:

(require 'transient)
(require 'org-agent)

(defclass org-agent--menu-column (transient-column) ()
  "A column that leaves out the commands that are not there.")

(defun org-agent--menu-command (child)
  "Return the command of CHILD, an entry in the form of `transient', or nil.
Where in it the properties are has changed from version to version."
  (and (consp child)
       (plist-get (or (seq-find (lambda (part) (keywordp (car-safe part))) child)
                      (cdr child))
                  :command)))

(cl-defmethod transient-setup-children ((_ org-agent--menu-column) children)
  "Return those of CHILDREN that have a command.
The old versions fail for one that has none, whatever its conditions."
  (seq-filter (lambda (child)
                (let ((command (org-agent--menu-command child)))
                  (or (not command) (commandp command))))
              children))

(defmacro org-agent--define-menu ()
  "Define `org-agent-menu'."
  (let ((columns (mapcar
                  (pcase-lambda (`(,name ,where . ,entries))
                    `[:class org-agent--menu-column
                      :description ,name
                      ,@(and (not (eq where 'always)) (list :if where))
                      ,@entries])
                  org-agent--menu-groups)))
    `(transient-define-prefix org-agent-menu ()
       "All that can be done with org-agent."
       ,@(mapcar (lambda (row) (vconcat row)) (seq-partition columns 3)))))

;;;###autoload (autoload 'org-agent-menu "org-agent-transient" "All that can be done with org-agent." t)
(org-agent--define-menu)

(provide 'org-agent-transient)
;;; org-agent-transient.el ends here
