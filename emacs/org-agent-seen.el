;;; org-agent-seen.el --- What the user has seen  -*- lexical-binding: t; -*-

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

;; The server counts the messages that nobody has seen.  A chat has been
;; seen up to its last prompt or reply when it comes into a window, and
;; when a turn ends while it is in one.  The server is told once of each;
;; what it knows already changes nothing there.

;;; Code:

(require 'org-agent-sessions)

(defvar-local org-agent--seen nil
  "The last mark of this chat that the server was told to be seen.")

(defun org-agent--tell-seen ()
  "Tell the server that this chat was seen, if it is in sight."
  (when (and org-agent--session org-agent--ready
             (get-buffer-window nil 'visible))
    (when-let* ((buffer (current-buffer))
                (session org-agent--session)
                (mark (caar (last (org-agent--marks 1)))))
      (unless (equal mark org-agent--seen)
        (setq org-agent--seen mark)
        (org-agent--request
         'orgAgent/sessions/read (list :sessionId session :messageId mark)
         #'ignore
         ;; It is no matter for the user, and tried again with the next.
         #'ignore)))))

(defun org-agent--seen-in (window)
  "Tell the server that the chat in WINDOW was seen."
  (with-current-buffer (window-buffer window)
    (org-agent--tell-seen)))

(defun org-agent--seen-begins ()
  "Notice when this chat comes into a window."
  (add-hook 'window-buffer-change-functions #'org-agent--seen-in nil t))

(add-hook 'org-agent-chat-mode-hook #'org-agent--seen-begins)

(cl-defmethod org-agent--handle :extra "seen" :after ((_ (eql :resumed)) _result)
  "Tell what was seen of a chat that was filled or brought up to date."
  (org-agent--tell-seen))

(cl-defmethod org-agent--handle :extra "seen" :after ((_ (eql 'orgAgent/turn)) params)
  "Tell that a reply was seen once its turn is over, as PARAMS say."
  (let ((turn (org-agent--turn (plist-get params :turnId))))
    (when (and turn (org-agent--over-p turn))
      (when-let ((buffer (org-agent--buffer (org-agent--turn-session turn))))
        (with-current-buffer buffer
          (org-agent--tell-seen))))))

(provide 'org-agent-seen)
;;; org-agent-seen.el ends here
