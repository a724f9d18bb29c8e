;;; org-agent-notify.el --- Telling the desktop that a chat is done  -*- lexical-binding: t; -*-

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

;; If the user wants it, the desktop is told when a turn that took long is
;; over, or a command waits for a decision, and no window shows the chat.
;; What is told are words of this file and the name of a buffer, without
;; what the desktop could take for markup: nothing that a model wrote.
;;
;; The message goes over D-Bus without waiting for an answer, as the
;; library `notifications' would; where there is no D-Bus it is a message
;; in the echo area.

;;; Code:

(require 'org-agent-state)

(declare-function dbus-call-method-asynchronously "dbus"
                  (bus service path interface method handler &rest args))

(defcustom org-agent-notify-after nil
  "After how many seconds of a turn its end is told to the desktop.
The desktop is told as well, then, when a command waits for your
decision.  Either only if no window shows the chat.  With nil nothing
is told.

For example 20."
  :type '(choice (const :tag "Never" nil) natnum)
  :group 'org-agent
  :package-version '(org-agent . "0.1.0"))

(defvar org-agent--begun (make-hash-table :test #'eq :weakness 'key)
  "When each turn began that is under way, in seconds.")

(cl-defmethod org-agent--handle :extra "notify" :after
  ((_ (eql 'orgAgent/turn)) params)
  "Tell the desktop of a turn's new state in PARAMS, if the user wants that."
  (let* ((turn (org-agent--turn (plist-get params :turnId)))
         (state (and turn (org-agent--turn-state turn)))
         (buffer (and turn (org-agent--buffer (org-agent--turn-session turn)))))
    (when (and state org-agent-notify-after)
      (let ((begun (gethash turn org-agent--begun)))
        (cond
         ((org-agent--over-p turn)
          (remhash turn org-agent--begun)
          (when (and begun (<= org-agent-notify-after (- (float-time) begun)))
            (org-agent--notify-user buffer
                                    (if (equal state "done") "The reply is there."
                                      "The turn ended without a reply."))))
         ((and (equal state "awaitingApproval")
               (equal state (plist-get params :state)))
          (org-agent--notify-user buffer "A command waits for your decision."))
         ;; The time that it waits for others is not its own.
         ((or begun (equal state "accepted")))
         (t (puthash turn (float-time) org-agent--begun)))))))

(defun org-agent--notify-user (buffer words)
  "Tell the desktop WORDS about the chat BUFFER if no window has that."
  (when (and (buffer-live-p buffer)
             (not (org-agent--seen-p buffer))
             (not (buffer-local-value 'org-agent--detached buffer)))
    (let ((name (replace-regexp-in-string
                 "[<>&]" " " (org-agent--one-line (buffer-name buffer) 60))))
      (or (org-agent--notify-desktop name words)
          (message "org-agent: %s: %s" name words)))))

(defun org-agent--notify-desktop (title words)
  "Let the desktop show TITLE and WORDS; return nil if that cannot be asked."
  (and (featurep 'dbusbind)
       (getenv "DBUS_SESSION_BUS_ADDRESS")
       (ignore-errors
         (require 'dbus)
         (dbus-call-method-asynchronously
          :session "org.freedesktop.Notifications"
          "/org/freedesktop/Notifications" "org.freedesktop.Notifications"
          "Notify" nil
          ;; Who asks, what is replaced, the icon, the words, no actions,
          ;; no hints, and how long: as the desktop likes.
          :string "Emacs" :uint32 0 :string "" :string title :string words
          '(:array) '(:array :signature "{sv}") :int32 -1)
         t)))

(provide 'org-agent-notify)
;;; org-agent-notify.el ends here
