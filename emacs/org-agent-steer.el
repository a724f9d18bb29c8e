;;; org-agent-steer.el --- Words to a running turn of org-agent  -*- lexical-binding: t; -*-

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

;; What is written in the input area is sent so that the running turn
;; makes way for it, see "Steering" in the protocol: the turn ends where
;; it would ask a model again, and what was sent is next, with all that
;; was said and done so far.  It is a prompt like any other, in the buffer
;; and in the record; only its turn comes first.
;;
;; Nothing is cut off by it and no command is decided: for that there are
;; cancelling and the command's own buttons.

;;; Code:

(require 'org-agent-chat)

(org-agent--defcommand org-agent-steer ()
  "Send what is written under the last heading to the turn under way.
That ends before it asks a model again, and what you sent is heard
next, with all that was said and done so far: before other messages
that wait.  A reply that is being written is finished first, and so is
a command.  If nothing is under way, send it as always."
  (interactive nil org-agent-chat-mode)
  (let* ((turn (org-agent--live-turn))
         (org-agent--steers (and turn
                                 (not (equal (org-agent--turn-state turn) "accepted"))
                                 (org-agent--turn-id turn))))
    (org-agent-send)))

(defun org-agent--steered (turn reason)
  "Show that TURN made way, if that is the REASON why it is over."
  (when (and (equal reason "steered")
             (not (org-agent--turn-replied turn)))
    (setf (org-agent--turn-notice turn)
          "it made way for what you sent while it ran")))

(add-hook 'org-agent--over-hook #'org-agent--steered)

(provide 'org-agent-steer)
;;; org-agent-steer.el ends here
