;;; window.el --- An Emacs in a window, driven from outside  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; `tests/screens/window.rs' calls these functions by emacsclient.  Keys go
;; through the command loop as a user's do.

;;; Code:

(require 'server)

(defun window-test-start (socket)
  "Listen at SOCKET, and look as in the documentation."
  (setq inhibit-startup-screen t
        server-name (file-name-nondirectory socket)
        server-socket-dir (file-name-directory socket))
  (tool-bar-mode -1)
  (menu-bar-mode -1)
  (scroll-bar-mode -1)
  (blink-cursor-mode -1)
  (server-start))

(defun window-test-press (keys)
  "Press KEYS, as `kbd' reads them."
  (setq unread-command-events
        (append unread-command-events (listify-key-sequence (kbd keys))))
  nil)

(defun window-test-type (text)
  "Type TEXT."
  (setq unread-command-events (append unread-command-events (string-to-list text)))
  nil)

(defun window-test--line (format window)
  "Return what FORMAT shows in a line of WINDOW."
  (if format (concat (format-mode-line format nil window) "\n") ""))

(defun window-test--text (window)
  "Return what WINDOW displays, with the strings of overlays."
  (with-current-buffer (window-buffer window)
    (let ((beg (window-start window))
          (end (window-end window t))
          (strings nil))
      (dolist (overlay (overlays-in beg (1+ end)))
        (dolist (property '(before-string display after-string))
          (let ((string (overlay-get overlay property)))
            (when (stringp string)
              (push (substring-no-properties string) strings)))))
      (concat (window-test--line header-line-format window)
              (buffer-substring-no-properties beg end)
              (string-join strings "\n")
              "\n"
              (window-test--line mode-line-format window)))))

(defun window-test-show (file)
  "Write what is displayed to FILE."
  (let ((coding-system-for-write 'utf-8))
    (write-region (concat (mapconcat #'window-test--text
                                     (window-list nil t) "\n")
                          (or (current-message) ""))
                  nil file nil 'silent))
  nil)

(defun window-test-keep (file)
  "Write a picture of the frame to FILE."
  (redisplay t)
  (let ((coding-system-for-write 'binary))
    (write-region (x-export-frames (selected-frame) 'png) nil file nil 'silent))
  nil)

(provide 'window)
;;; window.el ends here
