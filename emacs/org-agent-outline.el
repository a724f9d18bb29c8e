;;; org-agent-outline.el --- The turns of a chat as its outline  -*- lexical-binding: t; -*-

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

;; Imenu, `which-function-mode' and movement by turns.  A turn is called
;; by the first line of its prompt, whose words are the user's.  Nothing
;; is folded or unfolded by this but what hides the place one goes to.

;;; Code:

(require 'org-agent-open)

(defconst org-agent--index-limit 2000
  "How many turns an index has at most, the last ones.")

(defun org-agent--index ()
  "Return an index for Imenu with each prompt of this chat."
  (save-excursion
    (save-restriction
      (org-agent--widen)
      (let ((case-fold-search nil)
            (input (car (org-agent--input)))
            (most org-agent--index-limit)
            (index nil))
        (goto-char (or input (point-max)))
        (while (and (< 0 most)
                    (re-search-backward
                     (concat "^" (regexp-quote org-agent--user) "[ \t]*$") nil t))
          (cl-decf most)
          (push (cons (or (org-agent--first-line (point)) "(no words)")
                      (copy-marker (point)))
                index))
        index))))

(defun org-agent--which-turn ()
  "Return the first line of the prompt of the turn at point, or nil."
  (when (org-agent--turn-at-point)
    (org-agent--prompt-line)))

(defun org-agent--outline-begins ()
  "Let this chat have an index with each turn."
  (setq-local imenu-create-index-function #'org-agent--index)
  (add-hook 'which-func-functions #'org-agent--which-turn nil t))

(add-hook 'org-agent-chat-mode-hook #'org-agent--outline-begins)

;;;; Movement

(defvar org-agent-turn-repeat-map
  (let ((map (make-sparse-keymap)))
    (define-key map "n" 'org-agent-next-turn)
    (define-key map "p" 'org-agent-previous-turn)
    map)
  "Keys that go on from turn to turn with `repeat-mode'.")

(defun org-agent-next-turn (&optional count)
  "Go to the COUNTth next prompt, of which the input area is the last.
With a negative argument, go back."
  (interactive "p" org-mode)
  (let ((case-fold-search nil)
        (start (point))
        (count (or count 1)))
    (if (< count 0) (beginning-of-line) (end-of-line))
    (if (re-search-forward "^\\*+ USER[ \t]*$" nil t count)
        (progn
          (beginning-of-line)
          (when (org-invisible-p)
            (org-reveal t)))
      (goto-char start)
      (user-error "There is no %s turn" (if (< count 0) "earlier" "later")))))

(defun org-agent-previous-turn (&optional count)
  "Go to the COUNTth prompt above point."
  (interactive "p" org-mode)
  (org-agent-next-turn (- (or count 1))))

(put 'org-agent-next-turn 'repeat-map 'org-agent-turn-repeat-map)
(put 'org-agent-previous-turn 'repeat-map 'org-agent-turn-repeat-map)

(provide 'org-agent-outline)
;;; org-agent-outline.el ends here
