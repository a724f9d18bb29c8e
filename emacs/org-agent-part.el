;;; org-agent-part.el --- Texts that can be clicked  -*- lexical-binding: t; -*-

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

;; Texts in a header line, a mode line or an overlay that a click acts
;; upon.  They are of a bounded width and in one line, whoever wrote them,
;; and what is said when the mouse is over them is shown as it is: a text
;; of a server could otherwise name keys and variables to be looked up.

;;; Code:

(require 'org-agent-preview)

(defun org-agent--part (text most help command &optional face)
  "Return TEXT, in at most MOST columns, as a button for COMMAND.
HELP says what it is; FACE is its face.  COMMAND is called in the
window that was clicked."
  (let ((map (make-sparse-keymap))
        (click (lambda (event)
                 (interactive "e")
                 (let ((window (posn-window (event-start event))))
                   (when (window-live-p window)
                     (select-window window)))
                 (call-interactively command))))
    (dolist (key '([mouse-1] [header-line mouse-1] [mode-line mouse-1]))
      (define-key map key click))
    (propertize (substring-no-properties (org-agent--one-line text most))
                'mouse-face 'highlight 'keymap map 'local-map map
                'org-agent-command command
                'help-echo (org-agent--help help) 'help-echo-inhibit-substitution t
                'face face)))

(defun org-agent--help (text)
  "Return TEXT as it is shown while the mouse is over something.
It may have some lines, of words of others."
  (let ((text (org-agent--harmless text)))
    (if (< 1000 (length text)) (concat (substring text 0 1000) "...") text)))

(provide 'org-agent-part)
;;; org-agent-part.el ends here
