;;; org-agent-config.el --- What is configured, and changing it  -*- lexical-binding: t; -*-

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

;; `org-agent-config' shows every setting with its value and where that
;; comes from; `org-agent-config-edit' opens config.toml, and checks it each
;; time it is saved, by Flymake.  Both only show what the server's program
;; says by `config show' and `config check': this file knows no setting.
;;
;; Where config.toml is, is asked by `config check', as `config show' has
;; nothing to say while the file is wrong.  What is checked is the file, as
;; it was saved: a part of what can be wrong lies in the files beside it.
;; The environment is that of Emacs, as it is when the server is started.

;;; Code:

(require 'json)
(require 'seq)
(require 'subr-x)
(require 'org-agent-preview)
(require 'org-agent-run)

(declare-function flymake-diag-region "flymake" (buffer line &optional col))
(declare-function flymake-make-diagnostic "flymake" t t)
(declare-function flymake-start "flymake" (&optional deferred force))

;;;; What the program says

(defun org-agent--config-ask (args then)
  "Ask the program for `config' ARGS, and call THEN with its answer.
THEN gets the status, what it said, and what it complained of.
Return a function that ends it."
  (org-agent--run `(,(org-agent--executable) "config" ,@args) then))

(defun org-agent--config-read (text)
  "Return the value of the JSON in TEXT, or nil if it is none."
  (ignore-errors
    (let ((json-object-type 'plist) (json-array-type 'list)
          (json-false nil) (json-null nil))
      (if (json-available-p)
          (json-parse-string text :object-type 'plist :array-type 'list
                             :null-object nil :false-object nil)
        (json-read-from-string text)))))

(defun org-agent--config-findings (text)
  "Return the findings of TEXT, the words of `config check': (FILE . FOUND).
FILE is nil if it is not said.  FOUND has lists (LINE COLUMN WARNING WORDS)
in the order of TEXT; LINE and COLUMN are from 1."
  (let* ((lines (split-string text "\n" t))
         (last (seq-find (lambda (line) (not (string-prefix-p " " line)))
                         (reverse lines)))
         (file (and last
                    (string-match "\\`\\(/.*\\)\\(?: is right\\| has [0-9]+ problems?\\(?: or more\\)?\\|: not there, .*\\)\\'"
                                  last)
                    (match-string 1 last)))
         found)
    (when file
      (dolist (line lines)
        (cond
         ((eq line last))
         ((string-match "\\` +hint: \\(.*\\)" line)
          (when found
            (setf (nth 3 (car found))
                  (format "%s (%s)" (nth 3 (car found)) (match-string 1 line)))))
         ;; The line of the file with a mark below it.
         ((string-prefix-p " " line))
         ((and (string-prefix-p file line)
               (string-match "\\`:\\([0-9]+\\):\\([0-9]+\\): \\(warning: \\)?\\(.*\\)"
                             (substring line (length file))))
          (let ((rest (substring line (length file))))
            (push (list (string-to-number (match-string 1 rest))
                        (string-to-number (match-string 2 rest))
                        (and (match-string 3 rest) t)
                        (match-string 4 rest))
                  found)))
         (t
          (let ((rest (string-remove-prefix (concat file ": ") line)))
            (push (list (if (string-match "\\<line \\([0-9]+\\): " rest)
                            (max 1 (string-to-number (match-string 1 rest)))
                          1)
                    1
                    (string-prefix-p "warning: " rest)
                    (string-remove-prefix "warning: " rest))
                  found))))))
    (cons file (nreverse found))))

;;;; Showing

(defvar org-agent-config-mode-map (make-sparse-keymap)
  "Keys of `org-agent-config-mode'.")

(pcase-dolist (`(,key . ,command) '(("TAB" . forward-button)
                                    ("<backtab>" . backward-button)
                                    ("e" . org-agent-config-edit)))
  (define-key org-agent-config-mode-map (kbd key) command))

(define-derived-mode org-agent-config-mode special-mode "Org-Agent-Config"
  "Show what is configured and who said so.

\\{org-agent-config-mode-map}"
  (setq-local revert-buffer-function #'org-agent--config-again)
  (setq truncate-lines t
        default-directory (expand-file-name "~/")))

(defvar-local org-agent--config-run nil
  "What was asked of the program for this buffer last, or nil.")

;;;###autoload (autoload 'org-agent-config "org-agent" "Show every setting of org-agent, its value, and where that comes from." t)
(defun org-agent-config ()
  "Show every setting of org-agent, its value, and where that comes from.
A button leads to the line of config.toml that says it."
  (interactive)
  (let ((buffer (get-buffer-create "*org-agent config*")))
    (with-current-buffer buffer
      (org-agent-config-mode)
      (org-agent--config-again))
    (display-buffer buffer)))

(defun org-agent--config-again (&rest _)
  "Ask again, and write this buffer anew."
  (let* ((run (list nil))
         (here (lambda (buffer function)
                 (lambda (&rest args)
                   (when (and (buffer-live-p buffer)
                              (eq run (buffer-local-value 'org-agent--config-run buffer)))
                     (with-current-buffer buffer
                       (let ((inhibit-read-only t))
                         (apply function args)))))))
         (then (funcall
                here (current-buffer)
                (lambda (status output errors)
                  (org-agent--config-insert status output errors)
                  (org-agent--config-ask
                   '("check")
                   (funcall here (current-buffer) #'org-agent--config-insert-check))))))
    (org-agent--config-ask '("show" "--json") then)
    (setq org-agent--config-run run)))

(defun org-agent--config-insert (status output errors)
  "Write this buffer anew, as STATUS, OUTPUT and ERRORS say."
  (erase-buffer)
  (let ((shown (and (eq status 0) (org-agent--config-read output))))
    (if (not (org-agent--config-right-p shown))
        (insert (propertize "Nothing can be shown:" 'face 'error) "\n"
                (org-agent--harmless (if (string-blank-p errors)
                                         (org-agent--run-words status "")
                                       (string-trim errors)))
                "\n\n")
      (let ((file (plist-get shown :file)))
        (insert "file     ")
        (org-agent--config-button file file nil)
        (insert (if (plist-get shown :exists) "" " (not there, and not needed)")
                "\ndata     " (org-agent--config-word (plist-get shown :data))
                "\nanswers  " (org-agent--config-answers (plist-get shown :answers))
                "\n")
        (org-agent--config-table file (plist-get shown :settings)))))
  (goto-char (point-min)))

(defun org-agent--config-right-p (shown)
  "Return non-nil if SHOWN has the shape of the words of `config show'."
  (let ((list (lambda (value) (and (listp value) (proper-list-p value)))))
    (and (funcall list shown)
         (stringp (plist-get shown :file))
         (funcall list (plist-get shown :answers))
         (funcall list (plist-get shown :settings))
         (seq-every-p list (plist-get shown :settings)))))

(defun org-agent--config-word (value)
  "Return VALUE, which should be a text, as one that can be shown in a line."
  (if (stringp value) (org-agent--one-line value 300) "?"))

(defun org-agent--config-answers (answers)
  "Return in words which model is in ANSWERS."
  (string-join
   (delq nil (mapcar (lambda (pair)
                       (let ((word (plist-get answers (car pair))))
                         (and word (format (cdr pair) (org-agent--config-word word)))))
                     '((:model . "%s") (:baseUrl . "at %s") (:source . "(%s)")
                       (:problem . "%s"))))
   " "))

(defun org-agent--config-table (file settings)
  "Insert SETTINGS, of which FILE can say some, as a table."
  (let ((width (apply #'max 0 (mapcar (lambda (it)
                                        (length (org-agent--config-word (plist-get it :key))))
                                      settings)))
        (restart 'none))
    (dolist (it settings)
      (unless (eq restart (plist-get it :restart))
        (setq restart (plist-get it :restart))
        (insert "\n" (propertize (if restart "The environment, as it is when the server starts"
                                   "config.toml, from the next message on")
                                 'face 'bold)
                "\n"))
      (let ((key (org-agent--config-word (plist-get it :key)))
            (value (plist-get it :value))
            (line (plist-get it :line))
            (meaning (plist-get it :meaning)))
        (insert-text-button key 'follow-link t
                            'face 'default
                            'help-echo (org-agent--config-word meaning)
                            'action (lambda (_button)
                                      (message "%s: %s" key
                                               (org-agent--config-word meaning))))
        (insert (make-string (- width (length key)) ?\s) "  "
                (if value (org-agent--config-word value)
                  (format "(%s)" (org-agent--config-word (plist-get it :default))))
                "  ")
        (if (natnump line)
            (org-agent--config-button (format "config.toml:%d" line) file line)
          (insert (propertize (format "[%s]" (org-agent--config-word
                                              (plist-get it :source)))
                              'face 'shadow)))
        (insert "\n")))))

(defun org-agent--config-button (label file line)
  "Insert a button with LABEL that opens FILE, at LINE unless that is nil."
  (insert-text-button (org-agent--config-word label) 'follow-link t
                      'action (lambda (_button)
                                (org-agent--config-open file line))))

(defun org-agent--config-insert-check (_status output errors)
  "Append what `config check' said: OUTPUT and ERRORS."
  (save-excursion
    (goto-char (point-max))
    (pcase-let ((`(,file . ,found) (org-agent--config-findings output)))
      (when (or found (not file))
        (insert "\n" (propertize "What is wrong or unwise" 'face 'bold) "\n"))
      (unless file
        (insert (org-agent--harmless (string-trim (concat output errors))) "\n"))
      (pcase-dolist (`(,line ,_column ,warning ,words) found)
        (org-agent--config-button (format "config.toml:%d" line) file line)
        (insert (propertize (if warning "  warning: " "  ") 'face 'warning)
                (org-agent--config-word words) "\n")))))

;;;; Changing

;;;###autoload (autoload 'org-agent-config-edit "org-agent" "Open config.toml, which is checked each time it is saved." t)
(defun org-agent-config-edit ()
  "Open config.toml, which is checked each time it is saved.
If there is none, it begins as a sample with every setting, commented
out and explained, and is made when you save it."
  (interactive)
  (org-agent--config-ask
   '("check")
   (lambda (_status output errors)
     (let ((file (car (org-agent--config-findings output))))
       (if file
           (org-agent--config-open file nil)
         (message "org-agent: %s"
                  (org-agent--one-line (string-trim (concat errors output)) 500)))))))

(defun org-agent--config-open (file line)
  "Open FILE, a config.toml, at LINE unless that is nil, and check it when saved."
  (pop-to-buffer (find-file-noselect file))
  ;; Emacs itself fails in many ways in a directory that is not there.
  (unless (file-directory-p default-directory)
    (setq default-directory (expand-file-name "~/")))
  (when line
    (widen)
    (goto-char (point-min))
    (forward-line (1- line)))
  (org-agent-config-check-mode)
  (when (and (not (file-exists-p file)) (zerop (buffer-size)))
    (org-agent--config-sample (current-buffer))))

(defun org-agent--config-sample (buffer)
  "Insert a sample in BUFFER, which is for a file that is not there."
  (org-agent--config-ask
   '("sample")
   (lambda (status output errors)
     (when (and (buffer-live-p buffer) (zerop (buffer-size buffer)))
       (with-current-buffer buffer
         (if (not (eq status 0))
             (message "org-agent: there is no sample: %s"
                      (org-agent--run-words status errors))
           ;; Emacs takes it for read-only if not even a part of its path is there.
           (read-only-mode -1)
           (insert output)
           (goto-char (point-min))
           (message "There was no %s; it is made when you save it"
                    (abbreviate-file-name buffer-file-name))))))))

(define-minor-mode org-agent-config-check-mode
  "Have the server's program check this config.toml each time it is saved.
What is wrong is shown at its line, by Flymake."
  :lighter nil
  (require 'flymake)
  (cond
   (org-agent-config-check-mode
    (add-hook 'flymake-diagnostic-functions #'org-agent--config-flymake nil t)
    ;; What is not saved is not checked.
    (setq-local flymake-no-changes-timeout nil
                flymake-start-on-save-buffer nil)
    (add-hook 'after-save-hook #'org-agent--config-saved nil t)
    (flymake-mode 1)
    (flymake-start))
   (t
    (flymake-mode -1)
    (remove-hook 'after-save-hook #'org-agent--config-saved t)
    (remove-hook 'flymake-diagnostic-functions #'org-agent--config-flymake t))))

(defvar-local org-agent--config-saving nil
  "Non-nil if what is found is to be told in the echo area, too.")

(defun org-agent--config-saved ()
  "Check this file, which was saved."
  (setq default-directory (file-name-directory buffer-file-name))
  (setq org-agent--config-saving t)
  (flymake-start))

(defun org-agent--config-flymake (report &rest _)
  "Check the file of this buffer, and tell REPORT, as Flymake wants it."
  (let ((buffer (current-buffer))
        (run (list nil)))
    (setq org-agent--config-run run)
    (if (not (and buffer-file-name (file-exists-p buffer-file-name)))
        (funcall report nil)
      (org-agent--config-ask
       (list "check" buffer-file-name)
       (lambda (status output errors)
         (when (and (buffer-live-p buffer)
                    (eq run (buffer-local-value 'org-agent--config-run buffer)))
           (with-current-buffer buffer
             (pcase-let ((`(,file . ,found) (org-agent--config-findings output)))
               (if (not file)
                   (funcall report :panic
                            :explanation (org-agent--run-words status errors))
                 (funcall report (org-agent--config-diagnostics found))
                 (when org-agent--config-saving
                   (org-agent--config-tell found))))
             (setq org-agent--config-saving nil))))))))

(defun org-agent--config-diagnostics (found)
  "Return what Flymake is to show of FOUND in this buffer."
  (save-excursion
    (save-restriction
      (widen)
      (let ((lines (line-number-at-pos (point-max))))
        (mapcar (pcase-lambda (`(,line ,column ,warning ,words))
                  (let ((place (or (flymake-diag-region (current-buffer) (min line lines) column)
                                   (cons (point-min) (point-max)))))
                    (flymake-make-diagnostic (current-buffer) (car place) (cdr place)
                                             (if warning :warning :error)
                                             (org-agent--one-line words 500))))
                found)))))

(defun org-agent--config-tell (found)
  "Say in the echo area what was FOUND, the worst first."
  (let ((worst (or (seq-find (lambda (finding) (not (nth 2 finding))) found)
                   (car found))))
    (if (not worst)
        (message "org-agent: config.toml is right")
      (message "org-agent: line %d: %s%s" (car worst)
               (org-agent--one-line (nth 3 worst) 300)
               (if (cdr found) (format "; and %d more" (1- (length found))) "")))))

(provide 'org-agent-config)
;;; org-agent-config.el ends here
