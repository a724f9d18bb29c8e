;;; org-agent-secrets.el --- Keys from auth-source for the server  -*- lexical-binding: t; -*-

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

;; Keys of models are kept by auth-source, looked up when a server is
;; started, and handed to it in the first message.  They are in no
;; environment, no argument, no buffer, no message and no variable of
;; this package: what is looked up is let go of once it is sent.
;;
;; A key that JSON could not carry is refused here, because the error of
;; who finds out later would show it.

;;; Code:

(require 'subr-x)

(defvar auth-source-do-cache)

(declare-function auth-source-search "auth-source" (&rest spec))

(defcustom org-agent-secrets nil
  "The keys that the server gets from auth-source.
Each element is the name of a variable, in upper case, such as
\"OPENAI_API_KEY\" or what `api_key_env' in config.toml names; or a pair
of that and of what to look for, as for `auth-source-search'.  A name
alone stands for the user \"apikey\" on the host of the variable's
provider; if that is not known, for the host of the variable's own name.

With (\"OPENAI_API_KEY\") a line of ~/.authinfo.gpg can be

  machine api.openai.com login apikey password sk-...

and with ((\"MY_KEY\" :host \"box.example\" :user \"me\"))

  machine box.example login me password ...

What is found here wins over the environment.  It is looked up when a
server is started: say \\[org-agent-restart] after a change."
  :type '(repeat (choice (string :tag "Variable")
                         (cons :tag "Variable and what to look for"
                               string (plist :tag "Search"))))
  :risky t
  :group 'org-agent
  :package-version '(org-agent . "0.1.0"))

(defconst org-agent--secret-hosts
  '(("OPENAI_API_KEY" . "api.openai.com")
    ("ANTHROPIC_API_KEY" . "api.anthropic.com")
    ("GEMINI_API_KEY" . "generativelanguage.googleapis.com")
    ("OPENROUTER_API_KEY" . "openrouter.ai")
    ("MISTRAL_API_KEY" . "api.mistral.ai")
    ("GROQ_API_KEY" . "api.groq.com")
    ("DEEPSEEK_API_KEY" . "api.deepseek.com"))
  "Where the keys belong whose variables are known.")

(defun org-agent--secrets ()
  "Return the keys for a new server, a table from variables to values, or nil.
What is not found is told, and left out.  Signal an error that shows no
key if auth-source fails, or the user quits."
  ;; A file or a directory has no say in which key goes where.
  (let ((table (make-hash-table :test #'equal))
        missing)
    (dolist (entry (default-value 'org-agent-secrets))
      (pcase-let ((`(,name . ,search) (org-agent--secret-search entry)))
        (if-let ((value (org-agent--secret name search)))
            (puthash name value table)
          (push name missing))))
    (when missing
      (message "org-agent: auth-source has nothing for %s; \
M-x org-agent-restart looks again"
               (string-join (nreverse missing) ", ")))
    (unless (hash-table-empty-p table) table)))

(defun org-agent--secret-search (entry)
  "Return the pair of variable and search that ENTRY of the option stands for."
  (pcase-let ((`(,name . ,search) (if (consp entry) entry (list entry)))
              (case-fold-search nil))
    (cond
     ((not (and (stringp name)
                ;; Upper case only, as the server has it: a key that was put
                ;; here by mistake is no name, and not shown as one.
                (string-match-p "\\`[A-Z_][A-Z0-9_]\\{0,99\\}\\'" name)
                (or (null search)
                    (and (proper-list-p search) (keywordp (car search))))))
      (user-error "The option `org-agent-secrets' has an element that is \
neither a variable's name in upper case nor a pair of that and a search"))
     (search (cons name search))
     ((assoc name org-agent--secret-hosts)
      (list name :host (cdr (assoc name org-agent--secret-hosts)) :user "apikey"))
     (t (list name :host name)))))

(defun org-agent--secret (name search)
  "Return what SEARCH has as the value of the variable NAME, or nil."
  (require 'auth-source)
  (let ((value (condition-case problem
                   ;; A key that was changed, or was not there, is looked up anew.
                   (let* ((auth-source-do-cache nil)
                          (secret (plist-get
                                   (car (apply #'auth-source-search
                                               :max 1 :require '(:secret) search))
                                   :secret)))
                     (if (functionp secret) (funcall secret) secret))
                 (quit (user-error "No key for %s: you quit" name))
                 (error (user-error "No key for %s: auth-source failed: %s" name
                                    (org-agent--secret-problem problem))))))
    (when (stringp value)
      (setq value (string-trim value))
      (cond ((string-empty-p value) nil)
            ((string-match-p "\\`[!-~]+\\'" value) value)
            (t (user-error "What auth-source has for %s is no key: \
it has a character that is not visible ASCII" name))))))

(defun org-agent--secret-problem (problem)
  "Return PROBLEM, an error of auth-source, in words that hold no key.
Its data may hold one, unless they are about a file."
  (if (memq 'file-error (get (car problem) 'error-conditions))
      (error-message-string problem)
    (or (get (car problem) 'error-message) "unknown error")))

(provide 'org-agent-secrets)
;;; org-agent-secrets.el ends here
