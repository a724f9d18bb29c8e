;;; org-agent-literal.el --- Commands as they are  -*- lexical-binding: t; -*-

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

;; What a model wrote and a person has to judge, shown so that it is what
;; it looks like: every character is seen, in its order, and none can be
;; taken for another.  And the steps of a plain command: read, shown with
;; each argument on a line of its own, and written for the program that
;; runs them.

;;; Code:

(require 'json)
(require 'org-agent-turn)

(defface org-agent-command
  '((t :inherit (fixed-pitch bold)))
  "A command that waits for a decision, or runs."
  :group 'org-agent-faces
  :package-version '(org-agent . "0.1.0"))

(defface org-agent-hidden-character
  '((t :inherit (error escape-glyph)))
  "A character in a command that could not be seen."
  :group 'org-agent-faces
  :package-version '(org-agent . "0.1.0"))

;;;; Text

(defun org-agent--literal (text &optional prose)
  "Return TEXT so that every character of it is seen, in its order.
Unless it is PROSE, letters that could be taken for others are marked
with their code points: all that are not ASCII."
  (mapconcat
   (lambda (char)
     (cond
      ((eq char ?\n) "\n")
      ((or (memq (get-char-code-property char 'general-category)
                 '(Cc Cf Cs Co Cn Zl Zp))
           (and (eq (get-char-code-property char 'general-category) 'Zs)
                (not (eq char ?\s)))
           ;; Letters and marks that have no ink.
           (memq char '(#x34f #x115f #x1160 #x17b4 #x17b5 #x3164 #xffa0))
           (<= #xfe00 char #xfe0f) (<= #xe0100 char #xe01ef))
       (propertize (if (< char 32) (format "^%c" (+ char 64))
                     (format "\\u{%X}" char))
                   'face 'org-agent-hidden-character))
      (t
       (concat
        (propertize (string char) 'face 'org-agent-command)
        ;; A mark after each letter keeps right-to-left words in their order.
        (and (memq (get-char-code-property char 'bidi-class) '(R AL))
             (string ?\N{LEFT-TO-RIGHT MARK}))
        (and (> char 127) (not prose)
             (propertize (format "\\u{%X}" char)
                         'face 'org-agent-hidden-character))))))
   text ""))

(defun org-agent--indent (text prefix)
  "Return the lines TEXT with PREFIX before the first, and room before others."
  (org-agent--wrapped
   (concat (propertize prefix 'face 'shadow)
           (replace-regexp-in-string
            "\n" (concat "\n" (make-string (length prefix) ?\s)) text t t)
           "\n")))

(defun org-agent--wrapped (text)
  "Return TEXT so that the rest of a long line does not look like a line."
  (propertize text 'wrap-prefix (propertize "... " 'face 'shadow)))

;;;; Steps

(defun org-agent--steps (value)
  "Return VALUE as a list if it is the parts of a plain command, else nil."
  (and (vectorp value)
       (< 0 (length value))
       (cl-loop for step across value
                for first = t then nil
                for op = (and (listp step) (plist-get step :op))
                for argv = (and (listp step) (plist-get step :argv))
                always (and (if first (null op)
                              (member op '("&&" "||" ";" "|")))
                            (vectorp argv)
                            (< 0 (length argv))
                            (seq-every-p #'stringp argv)))
       (seq-map (lambda (step)
                  (list :op (plist-get step :op) :argv (plist-get step :argv)))
                value)))

(defun org-agent--steps-text (plain)
  "Return text for PLAIN, a list, with one argument on a line."
  (mapconcat
   (lambda (step)
     (concat (propertize (format "%2s " (or (plist-get step :op) ""))
                         'face 'org-agent-notice)
             (mapconcat #'org-agent--argument (plist-get step :argv) "\n     ")))
   plain "\n"))

(defun org-agent--argument (argument)
  "Return ARGUMENT on one line, with quotes if its ends could not be seen."
  (let ((text (replace-regexp-in-string
               "\n" (propertize "^J" 'face 'org-agent-hidden-character)
               (org-agent--literal argument) t t))
        (quote (propertize "\"" 'face 'org-agent-notice)))
    (if (string-match-p "\\` \\| \\'\\|\\`\\'" argument)
        (concat quote text quote)
      text)))

(provide 'org-agent-literal)
;;; org-agent-literal.el ends here
