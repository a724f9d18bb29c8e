;;; org-agent-traffic.el --- Recording what passes, for bug reports  -*- lexical-binding: t; -*-

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

;; `org-agent-record-traffic' writes each message between this Emacs and
;; the server into a file that only the user can read, as lines of JSON,
;; until it is called again or the file is full.  Every chat says so
;; meanwhile.  The file can be played again, by org-agent-replay.el, and
;; can be sent along with a report.
;;
;; Keys are left out: all that this Emacs hands over to the server and the
;; values of variables that are named like keys, wherever they occur in a
;; message; tokens of well-known forms; the tokens that permit commands;
;; and what commands print.  A key that a stream cuts in two is found, as
;; nothing is written before the word that it may end in is complete.
;; What only the reporter knows to be a secret is not found: for that
;; there is a prefix argument, which leaves no text but its length.

;;; Code:

(require 'org-agent-state)
(require 'json)

(defconst org-agent--record-limit (* 32 1024 1024)
  "How many bytes are recorded at most.")

(defconst org-agent--record-pause 0.5
  "Seconds after which what was recorded is written.")

(defconst org-agent--record-word 4096
  "How many characters of a stream are held back at most.")

(defvar org-agent--record-shape nil
  "Non-nil if texts are recorded by their lengths only.")

(defvar org-agent--record-start nil
  "When recording began, in seconds.")

(defvar org-agent--record-size 0
  "How many bytes were recorded.")

(defvar org-agent--record-lines nil
  "Lines that are not written yet, newest first.")

(defvar org-agent--record-timer nil
  "The timer that writes `org-agent--record-lines', or nil.")

(defvar org-agent--record-secrets nil
  "Values that are left out.")

(defvar org-agent--record-held (make-hash-table :test #'equal)
  "The last piece of each stream, which is not recorded yet.
What it ends with may be the beginning of a key.")

;;;; What is left out

(defconst org-agent--left-out "[left out]"
  "What stands for what was left out.")

(defconst org-agent--key-forms
  (list "\\_<\\(?:[Bb]earer\\|[Bb]asic\\)[ \t\n]+\\([[:alnum:]+/=_.~-]\\{8\\}[[:alnum:]+/=_.~-]*\\)"
        "\\(?:^\\|[^[:alnum:]]\\)\\(sk-[[:alnum:]_-]\\{8\\}[[:alnum:]_-]*\\)"
        "\\(gh[pousr]_[[:alnum:]]\\{16\\}[[:alnum:]]*\\|github_pat_[[:alnum:]_]\\{16\\}[[:alnum:]_]*\\)"
        "\\(\\(?:glpat-\\|gsk_\\|hf_\\|npm_\\|pypi-\\|xox[abeoprs]-\\|AIza\\)[[:alnum:]_-]\\{16\\}[[:alnum:]_-]*\\)"
        "\\(A[KS]IA[0-9A-Z]\\{16\\}\\)"
        ;; From the beginning of a word only, or a long one takes for ever.
        "\\(?:^\\|[^[:alnum:]_-]\\)\\(eyJ[[:alnum:]_-]+\\.[[:alnum:]_-]+\\.?[[:alnum:]_-]*\\)"
        "://[^/:@ \t\n]*:\\([^/@ \t\n]+\\)@")
  "Regexps for tokens of well-known forms; the first group is the secret.
An open end is a star: a number with a comma would keep a place to come
back to for each character.")

(defconst org-agent--key-variables
  "\\(?:KEY\\|TOKEN\\|SECRET\\|PASSWORD\\|PASSWD\\|CREDENTIALS\\)\\'"
  "A regexp for the names of variables whose values are left out.")

(defun org-agent--known-secrets ()
  "Return the values that are left out, longest first.
These are what auth-source has for the server, and those of variables
that are named like keys."
  (let (values)
    (when-let ((table (org-agent--secrets)))
      (maphash (lambda (_name value) (push value values)) table))
    (dolist (entry (append process-environment
                           (default-toplevel-value 'process-environment)))
      (when (string-match "\\`\\([^=]*\\)=\\(\\(?:.\\|\n\\)*\\)\\'" entry)
        (let ((name (match-string 1 entry))
              (value (match-string 2 entry))
              (case-fold-search t))
          (when (string-match-p org-agent--key-variables name)
            (push value values)))))
    (org-agent--worth-hiding values)))

(defun org-agent--worth-hiding (values)
  "Return those of VALUES that can be secrets, longest first.
Short ones are placeholders, as for servers that want no key."
  (sort (seq-uniq (seq-filter (lambda (value) (<= 8 (length value))) values))
        (lambda (one other) (> (length one) (length other)))))

(defun org-agent--mask (text)
  "Return TEXT without secrets."
  (with-temp-buffer
    (insert text)
    (let ((case-fold-search nil))
      (dolist (value org-agent--record-secrets)
        (goto-char (point-min))
        (while (search-forward value nil t)
          (replace-match org-agent--left-out t t)))
      (dolist (form org-agent--key-forms)
        (goto-char (point-min))
        (while (re-search-forward form nil t)
          (unless (equal (match-string 1) org-agent--left-out)
            (replace-match org-agent--left-out t t nil 1))))
      (goto-char (point-min))
      (while (re-search-forward "-----BEGIN [A-Z ]*PRIVATE KEY[A-Z ]*-----" nil t)
        (delete-region (match-beginning 0)
                       (or (re-search-forward "-----END [A-Z ]*-----" nil t)
                           (point-max)))
        (insert org-agent--left-out)))
    (buffer-string)))

(defconst org-agent--shape-kept
  '( :sessionId :turnId :actuationId :eventId :clientId :id :from :state :status
     :decision :choice :type :target :action :sensor :code :kind :name :version
     :event :reply :mode :stream :format :live)
  "What is recorded as it is although texts are not: no one wrote these.")

(defun org-agent--clean (value &optional key)
  "Return VALUE, as read from JSON, without what is left out.
KEY is the name that it has, or nil."
  (cond
   ((memq key '(:initializationOptions :secrets :token))
    (and value org-agent--left-out))
   ((stringp value)
    (if (and org-agent--record-shape
             (not (and (memq key org-agent--shape-kept)
                       (string-match-p "\\`[[:alnum:]._/-]\\{0,80\\}\\'" value))))
        (format "[%d characters]" (length value))
      (org-agent--mask value)))
   ((hash-table-p value)
    (let ((table (make-hash-table :test #'equal)))
      (maphash (lambda (name value)
                 (puthash (org-agent--clean (format "%s" name) :id)
                          (org-agent--clean value) table))
               value)
      table))
   ((vectorp value)
    (vconcat (mapcar (lambda (part) (org-agent--clean part key)) value)))
   ((keywordp (car-safe value))
    (let (clean)
      (while value
        (let ((name (pop value)))
          (push (intern (org-agent--mask (symbol-name name))) clean)
          (push (org-agent--clean (pop value) name) clean)))
      (nreverse clean)))
   (t value)))

;;;; Writing it down

(defun org-agent--record (direction kind number method body)
  "Record a message; see `org-agent--tap' for the arguments.
These are DIRECTION, KIND, NUMBER, METHOD and BODY."
  (when (and (eq method 'initialize) (eq kind 'request))
    (org-agent--record-note-secrets body))
  (let ((entry (list :t (- (float-time) org-agent--record-start)
                     :direction (symbol-name direction)
                     :kind (symbol-name kind)
                     :number number :method (and method (symbol-name method))))
        (turn (and (eq kind 'notification) (plist-get body :turnId))))
    (cond
     ;; What commands print may be anything, and nobody needs it again.
     ((memq method '(orgAgent/output orgAgent/actuated))
      (let ((org-agent--record-shape t))
        (org-agent--record-entry entry body)))
     ((and turn (memq method '(orgAgent/delta orgAgent/thought))
           (stringp (plist-get body :text)))
      (org-agent--record-stream (cons method turn) entry body))
     (t
      (when-let ((turn (plist-get body :turnId)))
        (org-agent--record-release (cons 'orgAgent/delta turn))
        (org-agent--record-release (cons 'orgAgent/thought turn)))
      (org-agent--record-entry entry body)))))

(cl-defmethod org-agent--handle :extra "traffic" :after ((_ (eql :died)) params)
  "Record that the server died, as PARAMS say."
  (when org-agent--recording
    (org-agent--record 'in 'died nil nil params)))

(defun org-agent--record-note-secrets (params)
  "Leave out the keys that are in PARAMS of `initialize' from now on."
  (let ((secrets (plist-get (plist-get params :initializationOptions) :secrets)))
    (when (hash-table-p secrets)
      (setq org-agent--record-secrets
            (org-agent--worth-hiding
             (append (org-agent--values secrets) org-agent--record-secrets))))))

(defun org-agent--record-stream (stream entry body)
  "Hold ENTRY with BODY back, and record what is held of STREAM.
A word that is not complete there goes over to this one."
  (let ((held (gethash stream org-agent--record-held))
        (text (plist-get body :text)))
    (unless (equal (plist-get (cdr held) :attempt) (plist-get body :attempt))
      (org-agent--record-release stream)
      (setq held nil))
    (when held
      (pcase-let* ((`(,_entry . ,last) held)
                   (before (plist-get last :text))
                   (cut (string-match
                         "\\(?:[Bb]earer[ \t\n]*\\|[Bb]asic[ \t\n]*\\)?[^ \t\n]*\\'"
                         before
                         (max 0 (- (length before) org-agent--record-word)))))
        (setq text (concat (substring before cut) text))
        (plist-put last :text (substring before 0 cut))
        (org-agent--record-release stream)))
    (puthash stream
             (cons entry (plist-put (copy-sequence body) :text text))
             org-agent--record-held)))

(defun org-agent--record-release (stream)
  "Record what is held of STREAM."
  (pcase (gethash stream org-agent--record-held)
    (`(,entry . ,body)
     (remhash stream org-agent--record-held)
     (org-agent--record-entry entry body))))

(defun org-agent--record-entry (entry body)
  "Record ENTRY with BODY."
  (org-agent--record-line (append entry (list :body (org-agent--clean body)))))

(defun org-agent--record-line (entry)
  "Record ENTRY, which has no secrets."
  (let ((line (condition-case nil
                  ;; From Emacs 30 on, what this returns is in bytes.
                  (concat (decode-coding-string
                           (encode-coding-string
                            (if (json-available-p)
                                (json-serialize entry :null-object nil
                                                :false-object :json-false)
                              (json-encode entry))
                            'utf-8)
                           'utf-8)
                          "\n")
                (error nil))))
    (when line
      (cl-incf org-agent--record-size (string-bytes line))
      (push line org-agent--record-lines)
      (unless org-agent--record-timer
        (setq org-agent--record-timer
              (run-at-time org-agent--record-pause nil #'org-agent--record-write)))
      (when (and org-agent--tap
                 (< org-agent--record-limit org-agent--record-size))
        (org-agent--record-stop "it is full")))))

(defun org-agent--record-write ()
  "Write what was recorded, if anything was."
  (when org-agent--record-timer
    (cancel-timer org-agent--record-timer))
  (let ((text (apply #'concat (nreverse org-agent--record-lines)))
        (coding-system-for-write 'utf-8-unix))
    (setq org-agent--record-timer nil
          org-agent--record-lines nil)
    (when (and org-agent--recording (not (string-empty-p text)))
      (condition-case problem
          (write-region text nil org-agent--recording t 'silent)
        (file-error (org-agent--record-stop (error-message-string problem)))))))

(defun org-agent--record-stop (why)
  "Record no more, because of WHY."
  (when org-agent--recording
    (let ((file org-agent--recording))
      (setq org-agent--tap nil)
      (mapc #'org-agent--record-release (org-agent--keys org-agent--record-held))
      (org-agent--record-write)
      (setq org-agent--recording nil
            org-agent--record-secrets nil)
      (clrhash org-agent--record-held)
      (remove-hook 'kill-emacs-hook #'org-agent--record-at-end)
      (org-agent--show-statuses)
      (message "org-agent: recorded %s in %s (%s); look through it before you send it"
               (file-size-human-readable org-agent--record-size) file why))))

(defun org-agent--record-at-end ()
  "Write what was recorded before Emacs ends."
  (org-agent--record-stop "Emacs ends"))

;;;###autoload (autoload 'org-agent-record-traffic "org-agent" "Record what passes between Emacs and the server, or stop that." t)
(defun org-agent-record-traffic (&optional shape)
  "Record what passes between Emacs and the server, or stop that.
The file that you name gets each message as a line of JSON, keys left
out, so that it can go along with a report.  With prefix argument
SHAPE, all texts are left out but for their lengths.

\\[org-agent-replay-traffic] shows what was recorded."
  (interactive "P")
  (if org-agent--recording
      (org-agent--record-stop "you stopped it")
    (let ((file (expand-file-name
                 (read-file-name "Record messages in the new file: " "~/"
                                 nil nil (format-time-string
                                          "org-agent-%Y%m%d-%H%M%S.jsonl")))))
      (org-agent--record-begin file shape))))

(defun org-agent--record-begin (file shape)
  "Record in FILE from now on, texts by their lengths only if SHAPE."
  (when (file-remote-p file)
    (user-error "The file must be on this machine: writing to another can make Emacs wait"))
  ;; This may ask for a passphrase.
  (setq org-agent--record-secrets (org-agent--known-secrets))
  (with-file-modes #o600
    ;; Not through a link that somebody else put there.
    (write-region "" nil file nil 'silent nil 'excl))
  (clrhash org-agent--record-held)
  (setq org-agent--recording file
        org-agent--record-shape (and shape t)
        org-agent--record-start (float-time)
        org-agent--record-size 0
        org-agent--record-lines nil
        org-agent--tap #'org-agent--record)
  (add-hook 'kill-emacs-hook #'org-agent--record-at-end)
  (org-agent--record-line
   (list :org-agent-traffic 1 :emacs emacs-version :system (symbol-name system-type)
         :server (org-agent--clean (plist-get org-agent--introduction :serverInfo))
         :shape (if shape t :json-false)))
  (org-agent--show-statuses)
  (message "org-agent: RECORDING every message%s in %s; M-x org-agent-record-traffic stops it"
           (if shape ", texts by their lengths," "") file))

(provide 'org-agent-traffic)
;;; org-agent-traffic.el ends here
