;;; org-agent-wire.el --- Taking messages apart  -*- lexical-binding: t; -*-

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

;; The messages as they come over the line, and what may go into one.
;; The rest of JSON-RPC is jsonrpc's.
;;
;; Its own filter makes a buffer for each message; this one only parses.
;; Of a message that is not complete all is kept: how long it may be is
;; the server's business.

;;; Code:

(require 'jsonrpc)

;;;; Reading

(defconst org-agent--head
  "Content-Length: *\\([0-9]+\\)\r\n\\(?:[^\r\n]+\r\n\\)*\r\n"
  "A regexp for what stands before a message; group 1 is its bytes.")

(defun org-agent--read-messages (string)
  "Add STRING to this buffer, and take all complete messages out of it."
  (let ((inhibit-read-only t)
        (messages nil)
        (end nil))
    (goto-char (point-max))
    (insert string)
    (goto-char (point-min))
    (while (setq end (org-agent--message-end))
      (save-restriction
        (narrow-to-region (point) end)
        (condition-case problem
            (push (jsonrpc--json-read) messages)
          (error (message "org-agent: what the server wrote is no JSON: %s"
                          (error-message-string problem)))))
      (goto-char end)
      (delete-region (point-min) end))
    ;; An empty object is nil.
    (nreverse (delq nil messages))))

(defun org-agent--message-end ()
  "Go to the next message if all of it is there, and return its end."
  (when (save-excursion
          (re-search-forward org-agent--head
                             (min (point-max) (+ (point) 200)) t))
    (let ((end (+ (position-bytes (match-end 0))
                  (string-to-number (match-string 1)))))
      (when (<= end (position-bytes (point-max)))
        (goto-char (match-end 0))
        (byte-to-position end)))))

;;;; Writing

(defconst org-agent--insane "[^\1-\x10FFFF]\\|[\xD800-\xDFFF]"
  "A regexp for the characters that cannot go through JSON.
The null character could, but Emacs cannot read it in JSON.")

(defun org-agent--sane (text)
  "Return TEXT with U+FFFD for each character that cannot go through JSON."
  (if (not (string-match-p org-agent--insane text)) text
    ;; In a string, the time for this grows with the square of its length.
    (with-temp-buffer
      (insert text)
      (goto-char (point-min))
      (while (re-search-forward org-agent--insane nil t)
        (replace-match "\xFFFD" t t))
      (buffer-string))))

(provide 'org-agent-wire)
;;; org-agent-wire.el ends here
