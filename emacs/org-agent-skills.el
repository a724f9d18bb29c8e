;;; org-agent-skills.el --- The notes that shape org-agent  -*- lexical-binding: t; -*-

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

;; A skill is a literate Org note with a little Lisp, which the server
;; reads and runs; this Emacs never evaluates it.  Or it is a folder with
;; a SKILL.md, which the model reads.  Here stand the commands for who
;; writes one: list, show, new, check, test.  What is wrong with a note
;; that was just saved is told in every chat, above the input area, until
;; it is mended.

;;; Code:

(require 'compile)
(require 'tabulated-list)
(require 'org-agent-chat)

;;;; What is wrong, in the chat

(defvar org-agent--skill-problems nil
  "What is wrong with notes, as the server told it last.")

(defvar org-agent--skills-told nil
  "What the server told last of the skills of each project: (DIRECTORY . PARAMS).
The directory of the user's own is nil.")

(defvar org-agent--skill-notices nil
  "Functions that return what else of skills is to be told in this chat, or nil.")

(defvar-local org-agent--skill-overlay nil
  "Shows in this buffer what is wrong with notes.")

(cl-defmethod org-agent--handle ((_ (eql 'orgAgent/skills/changed)) params)
  "Tell in every chat what PARAMS say about notes."
  (org-agent--skills-told params)
  (dolist (buffer (buffer-list))
    (with-current-buffer buffer
      (when (derived-mode-p 'org-agent-skills-mode)
        (org-agent-skills-refresh)))))

(defun org-agent--skills-told (params)
  "Note the problems in PARAMS, and show them in every chat."
  (let ((before org-agent--skill-problems))
    (setf (alist-get (plist-get params :directory) org-agent--skills-told nil nil #'equal)
          params)
    (setq org-agent--skill-problems
          (seq-uniq (seq-mapcat (lambda (told) (append (plist-get (cdr told) :problems) nil))
                                org-agent--skills-told)))
    (dolist (buffer (org-agent--chats))
      (with-current-buffer buffer
        (org-agent--show-skill-problems)))
    (when (and before (not org-agent--skill-problems))
      (message "org-agent: all skills work again"))))

(defun org-agent--show-skill-problems ()
  "Show in this chat what is wrong with notes, or no more."
  (when (overlayp org-agent--skill-overlay)
    (delete-overlay org-agent--skill-overlay))
  (setq org-agent--skill-overlay nil)
  (let ((text (concat (mapconcat #'org-agent--skill-problem
                                 (seq-take org-agent--skill-problems 3) "")
                      (mapconcat (lambda (notice) (or (funcall notice) ""))
                                 org-agent--skill-notices ""))))
    (unless (string-empty-p text)
      (let ((place (car (org-agent--ensure-input))))
        (setq org-agent--skill-overlay (make-overlay place place nil t t))
        (org-agent--show-before org-agent--skill-overlay text)))))

(add-hook 'org-agent--input-hook #'org-agent--show-skill-problems)

(defun org-agent--skill-problem (problem)
  "Return PROBLEM as it is shown, with a button to its place."
  (let ((map (make-sparse-keymap))
        (hint (plist-get problem :hint)))
    (define-key map [mouse-1]
      (lambda () (interactive) (org-agent--skill-visit problem)))
    (concat
     (propertize (org-agent--skill-words problem) 'face 'org-agent-notice)
     " "
     (propertize "[visit: M-x org-agent-skill-next-problem]"
                 'face 'link 'mouse-face 'highlight 'keymap map)
     "\n"
     (if (and (stringp hint) (not (string-empty-p hint)))
         (propertize (concat "  " hint "\n") 'face 'org-agent-notice)
       ""))))

(defun org-agent--skill-words (problem)
  "Return PROBLEM in one line."
  (format "%s: %s%s: %s"
          (cond ((org-agent--true-p (plist-get problem :kept))
                 "A skill does not work any more (it goes on as it was)")
                ((equal (plist-get problem :state) "warn") "About a skill")
                (t "A skill does not work"))
          (plist-get problem :file)
          (let ((line (plist-get problem :line)))
            (if (and (natnump line) (> line 0)) (format ":%d" line) ""))
          (replace-regexp-in-string "\n" " " (plist-get problem :message))))

(defun org-agent--skill-visit (place)
  "Visit the file and line of PLACE, a skill or a problem."
  (let ((file (expand-file-name (plist-get place :file)
                                (expand-file-name "~/")))
        (line (plist-get place :line)))
    (unless (file-exists-p file)
      (user-error "%s is in the program itself; M-x org-agent-skill-show shows it"
                  (plist-get place :file)))
    (find-file-other-window file)
    (when (and (natnump line) (> line 0))
      (save-restriction
        (widen)
        (goto-char (point-min))
        (forward-line (1- line)))
      (org-agent--unfold))))

(defun org-agent--unfold ()
  "Show point if Org hides it."
  (when (and (derived-mode-p 'org-mode) (org-invisible-p))
    (org-reveal t)))

(defun org-agent-skill-next-problem ()
  "Visit the first thing that is wrong with a skill."
  (interactive)
  (if org-agent--skill-problems
      (org-agent--skill-visit (car org-agent--skill-problems))
    (user-error "Nothing is known to be wrong with a skill")))

;;;; Running the program

(defun org-agent--skill-run (what &rest arguments)
  "Run the server's program in a compilation buffer with ARGUMENTS.
WHAT is a word for the buffer's name."
  (let ((default-directory (expand-file-name "~/"))
        (compilation-buffer-name-function
         (lambda (_mode) (format "*org-agent skill %s*" what))))
    (compile (mapconcat #'shell-quote-argument
                        `(,(org-agent--executable) "skill" ,@arguments) " "))))

(defun org-agent--skill-file ()
  "Return the file of this buffer if it can be a skill, saved if the user agrees."
  (when (and buffer-file-name (not (file-remote-p buffer-file-name))
             (or (derived-mode-p 'org-mode)
                 (equal (file-name-nondirectory buffer-file-name) "SKILL.md")))
    (when (and (buffer-modified-p)
               (y-or-n-p (format "Save %s? " buffer-file-name)))
      (save-buffer))
    (expand-file-name buffer-file-name)))

;;;###autoload (autoload 'org-agent-skill-check "org-agent" "Check the note of this buffer, or with prefix argument ALL every note." t)
(defun org-agent-skill-check (&optional all)
  "Check the note of this buffer, or with prefix argument ALL every note."
  (interactive "P")
  (let ((file (and (not all) (org-agent--skill-file))))
    (apply #'org-agent--skill-run "check" "check" (and file (list file)))))

;;;###autoload (autoload 'org-agent-skill-test "org-agent" "Test the note of this buffer, or every note." t)
(defun org-agent-skill-test (&optional watch)
  "Test the note of this buffer, or every note.
With prefix argument WATCH, test again whenever a file changes,
until the process is killed with \\<compilation-mode-map>\\[kill-compilation]."
  (interactive "P")
  (let ((file (org-agent--skill-file)))
    (apply #'org-agent--skill-run "test" "test"
           (append (and watch '("--watch")) (and file (list file))))))

;;;###autoload (autoload 'org-agent-skill-new "org-agent" "Write a new note for a skill of NAME, which works already, and visit it." t)
(defun org-agent-skill-new (name)
  "Write a new note for a skill of NAME, which works already, and visit it."
  (interactive "sName of the skill (as in my-skill): ")
  (let ((buffer (generate-new-buffer " *org-agent-skill-new*"))
        (default-directory (expand-file-name "~/")))
    (make-process
     :name "org-agent-skill-new" :noquery t :buffer buffer
     :connection-type 'pipe
     :command (list (org-agent--executable) "skill" "new" "--" name)
     :sentinel
     (lambda (process _change)
       (unless (process-live-p process)
         (let ((words (with-current-buffer buffer (string-trim (buffer-string))))
               (done (zerop (process-exit-status process))))
           (kill-buffer buffer)
           (if done
               (org-agent--skill-made name words)
             (message "org-agent: %s" words))))))))

(defun org-agent--skill-made (name words)
  "Visit the note of the new skill NAME; WORDS say what to do next."
  (org-agent--request
   'orgAgent/skills/reload nil
   (lambda (result)
     (org-agent--skills-told result)
     (org-agent--request
      'orgAgent/skills/show (list :name name)
      (lambda (skill)
        (org-agent--skill-visit (list :file (plist-get skill :file)))
        (message "%s" words))
      (lambda (problem _code) (message "org-agent: %s\n%s" problem words))))
   (lambda (problem _code) (message "org-agent: %s\n%s" problem words))))

;;;; Showing

(defun org-agent--skill-read (prompt then)
  "Ask with PROMPT for the name of a skill, and call THEN with it."
  (org-agent--request
   'orgAgent/skills/list (list :limit 500)
   (lambda (result)
     (funcall then
              (completing-read
               prompt
               (mapcar (lambda (item) (plist-get item :name))
                       (append (plist-get result :items) nil))
               nil t)))
   (lambda (words _code) (message "org-agent: %s" words))))

;;;###autoload (autoload 'org-agent-skill-show "org-agent" "Show what the skill NAME is and does." t)
(defun org-agent-skill-show (&optional name)
  "Show what the skill NAME is and does."
  (interactive)
  (if name
      (org-agent--request
       'orgAgent/skills/show (list :name name)
       #'org-agent--skill-shown
       (lambda (words _code) (message "org-agent: %s" words)))
    (org-agent--skill-read "Skill: " #'org-agent-skill-show)))

(defun org-agent--skill-parts (skill)
  "Return in words which functions SKILL has."
  (string-join
   (delq nil (mapcar (pcase-lambda (`(,key ,word))
                       (and (org-agent--true-p (plist-get skill key)) word))
                     '((:trigger "trigger") (:neuro "prompt") (:symbolic "gate"))))
   ", "))

(defun org-agent--skill-folder-p (skill)
  "Return non-nil if SKILL is a folder, which has no code."
  (equal (plist-get skill :format) "folder"))

(defun org-agent--skill-shown (skill)
  "Show SKILL in a buffer of its own, as text that nothing acts upon."
  (with-current-buffer (get-buffer-create "*org-agent skill*")
    (let ((inhibit-read-only t))
      (erase-buffer)
      (insert (format "%s: %s\n\n" (plist-get skill :name)
                      (plist-get skill :description)))
      (pcase-dolist (`(,title ,value)
                     `(("Origin" ,(plist-get skill :origin))
                       ("File" ,(plist-get skill :file))
                       ("Priority" ,(if (org-agent--skill-folder-p skill) ""
                                      (number-to-string (plist-get skill :priority))))
                       ("License" ,(or (plist-get skill :license) ""))
                       ("Needs" ,(or (plist-get skill :compatibility) ""))
                       ("Names" ,(string-join (plist-get skill :allowedTools) ", "))
                       ("Files" ,(string-join (plist-get skill :resources) " "))
                       ("Has" ,(org-agent--skill-parts skill))
                       ("Builds on" ,(string-join (plist-get skill :dependencies) ", "))
                       ("Functions" ,(string-join (plist-get skill :functions) " "))))
        (unless (string-empty-p value)
          (insert (format "%-10s %s\n" title value))))
      (when-let ((problem (plist-get skill :problem)))
        (insert "\n" (org-agent--skill-words problem) "\n"))
      (insert "\n" (plist-get skill :prose)))
    (special-mode)
    (goto-char (point-min))
    (display-buffer (current-buffer))))

;;;; The list

(defvar org-agent-skills-mode-map
  (let ((map (make-sparse-keymap)))
    (pcase-dolist (`(,key ,command) '(("RET" org-agent-skills-show)
                                      ("o" org-agent-skills-visit)
                                      ("n" org-agent-skill-new)
                                      ("c" org-agent-skill-check)
                                      ("t" org-agent-skill-test)))
      (define-key map (kbd key) command))
    map)
  "Keys of `org-agent-skills-mode'.")

(define-derived-mode org-agent-skills-mode tabulated-list-mode "Org-Agent-Skills"
  "Lists the skills of org-agent.

\\{org-agent-skills-mode-map}"
  :interactive nil
  (setq tabulated-list-format [("Skill" 20 t)
                               ("Priority" 8 org-agent--skill-less :right-align t)
                               ("Origin" 8 t)
                               ("State" 8 t)
                               ("What it is for" 0 nil)]
        tabulated-list-padding 1)
  (setq-local revert-buffer-function
              (lambda (&rest _) (org-agent-skills-refresh)))
  (tabulated-list-init-header))

(defun org-agent--skill-less (one other)
  "Return non-nil if the priority of ONE is lower than that of OTHER."
  (< (string-to-number (aref (cadr one) 1))
     (string-to-number (aref (cadr other) 1))))

;;;###autoload (autoload 'org-agent-skills "org-agent" "List the skills." t)
(defun org-agent-skills ()
  "List the skills."
  (interactive)
  (with-current-buffer (get-buffer-create "*org-agent skills*")
    (unless (derived-mode-p 'org-agent-skills-mode)
      (org-agent-skills-mode))
    (org-agent-skills-refresh)
    (pop-to-buffer (current-buffer))))

(defun org-agent-skills-refresh ()
  "Ask the server again what skills there are."
  (interactive nil org-agent-skills-mode)
  (let ((buffer (current-buffer)))
    (org-agent--request
     'orgAgent/skills/list (list :limit 500)
     (lambda (result)
       (when (buffer-live-p buffer)
         (with-current-buffer buffer
           (setq tabulated-list-entries
                 (append (mapcar #'org-agent--skill-entry
                                 (plist-get result :items))
                         (delq nil
                               (mapcar #'org-agent--skill-broken-entry
                                       (plist-get result :problems)))))
           (tabulated-list-print t))))
     (lambda (words _code) (message "org-agent: %s" words)))))

(defun org-agent--skill-entry (skill)
  "Return the row of SKILL."
  (list skill
        (vector (plist-get skill :name)
                (if (org-agent--skill-folder-p skill) "folder"
                  (number-to-string (plist-get skill :priority)))
                (plist-get skill :origin)
                (plist-get skill :state)
                (replace-regexp-in-string
                 "\n" " " (plist-get skill :description)))))

(defun org-agent--skill-broken-entry (problem)
  "Return the row of PROBLEM if it is about a skill of which nothing works."
  (unless (or (org-agent--true-p (plist-get problem :kept))
              (equal (plist-get problem :state) "warn"))
    (list problem
          (vector (or (plist-get problem :name)
                      (file-name-base (plist-get problem :file)))
                  "" (plist-get problem :origin) "broken"
                  (replace-regexp-in-string
                   "\n" " " (plist-get problem :message))))))

(defun org-agent--skill-at-point ()
  "Return the skill or problem of this line, or fail."
  (or (tabulated-list-get-id) (user-error "There is no skill on this line")))

(defun org-agent-skills-show ()
  "Show what the skill on this line is and does."
  (interactive nil org-agent-skills-mode)
  (let ((skill (org-agent--skill-at-point)))
    (if (plist-get skill :priority)
        (org-agent-skill-show (plist-get skill :name))
      (org-agent--skill-visit skill))))

(defun org-agent-skills-visit ()
  "Visit the note of the skill on this line."
  (interactive nil org-agent-skills-mode)
  (org-agent--skill-visit (org-agent--skill-at-point)))

(provide 'org-agent-skills)
;;; org-agent-skills.el ends here
