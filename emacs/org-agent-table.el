;;; org-agent-table.el --- Hash tables in the order of their entries  -*- lexical-binding: t; -*-

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

;; What `hash-table-keys' and `hash-table-values' return is in the order of
;; the entries in Emacs 28 and in the opposite one in Emacs 30.  Chats,
;; turns and inputs have an order that their users see.

;;; Code:

(defun org-agent--keys (table)
  "Return the keys of the hash TABLE, the oldest first."
  (let ((keys nil))
    (maphash (lambda (key _value) (push key keys)) table)
    (nreverse keys)))

(defun org-agent--values (table)
  "Return the values of the hash TABLE, the oldest first."
  (let ((values nil))
    (maphash (lambda (_key value) (push value values)) table)
    (nreverse values)))

(provide 'org-agent-table)
;;; org-agent-table.el ends here
