;;; org-agent-install.el --- Installing the server  -*- lexical-binding: t; -*-

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

;; `org-agent-install-server' fetches the server's program from where the
;; user says, checks it, tries it, and puts it where the search for the
;; server finds it.  Nothing of this happens by itself, nothing blocks, and
;; what happens is shown in a buffer, with buttons for what is to be decided.
;;
;; Nothing is installed without a checksum.  One that the user has from
;; elsewhere is the better one: it tells the right program from a wrong one.
;; One from the file SHA256SUMS beside the program comes from the hands that
;; the program comes from, so it only tells whether the program is whole;
;; it is shown, with these words, and nothing is fetched before the user
;; agrees.  What is not as the checksum says is never run.
;;
;; A program is named by its checksum, and what is installed is what the
;; record says, which is replaced as a whole: see org-agent-program.el.  So
;; the old one is in its place until the new one said its version, and is
;; kept after that, as the way back.
;;
;; A program that runs is neither deleted nor replaced, whoever runs it: a
;; server starts its own program again to confine a command.
;;
;; The checksum is computed by sha256sum if there is one that can, as Emacs
;; itself would need a quarter of a second, for which it could do nothing else.

;;; Code:

(require 'cl-lib)
(require 'org-agent-fetch)
(require 'org-agent-revive)

(defconst org-agent--install-limit (* 64 1024 1024)
  "How many bytes a program may have.")

(defconst org-agent--install-sums-limit 65536
  "How many bytes the file with the checksums may have.")

(defconst org-agent--install-download "\\`org-agent-download-[[:alnum:]]\\{6\\}\\'"
  "A regexp for the names of the files that `org-agent--install-new-file' makes.")

(defconst org-agent--install-download-age 86400
  "Seconds after which nothing fetches into such a file any more.")

(defvar org-agent--install-try-time 10
  "Seconds given to a new program to say its version.")

(cl-defstruct (org-agent--install (:copier nil) (:constructor org-agent--install-new))
  "A program on its way: where it comes from, and how far it is.
The STAGE is one of `sums', `confirm', `fetch', `digest', `try', `done'
and `failed'.  MADE is non-nil if the directory was made for it."
  (stage nil) source name (made nil) (sum nil) (sum-from nil) (file nil) (stop nil)
  (size 0) (version nil) (words nil))

(defvar org-agent--install nil
  "The program on its way, or the last one that was, or nil.")

;;;; The buffer

(defvar org-agent-install-mode-map (make-sparse-keymap)
  "Keys of `org-agent-install-mode'.")

(pcase-dolist (`(,key . ,command) '(("TAB" . forward-button)
                                    ("<backtab>" . backward-button)
                                    ("k" . org-agent-install-cancel)))
  (define-key org-agent-install-mode-map (kbd key) command))

(define-derived-mode org-agent-install-mode special-mode "Org-Agent-Install"
  "Show how far the installation of the server is, and ask what is to be asked.

\\{org-agent-install-mode-map}"
  (setq-local revert-buffer-function (lambda (&rest _) (org-agent--install-show)))
  (setq truncate-lines nil
        word-wrap t
        default-directory (expand-file-name "~/")))

(defun org-agent--install-buffer ()
  "Return the buffer for installing."
  (or (get-buffer "*org-agent install*")
      (with-current-buffer (get-buffer-create "*org-agent install*")
        (org-agent-install-mode)
        (current-buffer))))

(defun org-agent--install-button (label command)
  "Insert a button with LABEL for COMMAND."
  (insert-text-button label 'follow-link t
                      'action (lambda (_button) (call-interactively command)))
  (insert "   "))

(defun org-agent--install-show ()
  "Write the buffer for installing anew."
  (let ((it org-agent--install))
    (with-current-buffer (org-agent--install-buffer)
      (let ((inhibit-read-only t))
        (erase-buffer)
        (insert (propertize "The server of org-agent" 'face 'bold) "\n\n")
        (when it
          (org-agent--install-insert it))
        (goto-char (point-min))
        (when (next-button (point))
          (goto-char (next-button (point))))))))

(defun org-agent--install-insert (it)
  "Insert what is to be said of IT."
  (pcase-dolist (`(,what . ,text)
                 `(("from" . ,(org-agent--install-source it))
                   ("into" . ,(abbreviate-file-name
                               (org-agent--server-directory)))
                   ("SHA-256" . ,(or (org-agent--install-sum it) "not known yet"))
                   ("says who" . ,(or (org-agent--install-sum-from it) "you"))))
    (insert (format "%-9s %s\n" what (org-agent--harmless text))))
  (insert "\n")
  (pcase (org-agent--install-stage it)
    ('sums (insert "The checksum is being read.\n\n"))
    ('confirm (insert (org-agent--install-trust it) "\n\n")
              (org-agent--install-button "Install it" 'org-agent-install-confirm))
    ('fetch (insert (format "It is being fetched: %s so far.\n\n"
                            (org-agent--install-size-words it))))
    ('digest (insert "It is here, and its checksum is being computed.\n\n"))
    ('try (insert "Its checksum is right.  It is being asked for its version.\n\n"))
    ('failed (insert (propertize "Not installed: " 'face 'error)
                     (org-agent--harmless (org-agent--install-words it)) "\n\n"
                     "What was installed before, if anything was, is as it was.  \
Nothing of this one is left.\n"))
    ('done (org-agent--install-insert-done it)))
  (when (org-agent--install-under-way-p it)
    (org-agent--install-button "Cancel" 'org-agent-install-cancel))
  (insert "\n"))

(defun org-agent--install-size-words (it)
  "Return in words how much there is of IT."
  (file-size-human-readable (org-agent--install-size it) 'iec " " "B"))

(defun org-agent--install-trust (it)
  "Return what the checksum of IT, from the place of the program, is worth."
  (format "This checksum lies beside the program: whoever could put another program \
there could change it, too.  It shows that the program arrives as it lies there%s.  \
That it is the right one is shown by a checksum that you have from elsewhere, such \
as an announcement or a person: compare the two.

Nothing was fetched yet but the checksum.  Once the program is here and has this \
checksum, it is run to say its version."
          (if (org-agent--fetch-address-p (org-agent--install-source it))
              ", and the certificate of the server vouches for the place"
            "")))

(defun org-agent--install-insert-done (it)
  "Insert what is to be said of IT, which is installed."
  (let ((found (car (org-agent--find-program)))
        (file (org-agent--installed)))
    (insert (propertize (format "org-agent %s is installed" (org-agent--install-version it))
                        'face 'success)
            (format ", as\n%s\n\n" (abbreviate-file-name file)))
    (unless (equal file found)
      (insert (format "But it is not the one that is used: `org-agent-program' is %s, \
which goes before it.\n\n"
                      org-agent-program)))
    (unless (equal (org-agent--install-version it) org-agent--version)
      (insert (format "This package is version %s.  What the server lacks for it is \
told when it runs.\n\n"
                      org-agent--version)))
    (when (cdr (org-agent--installed-entries))
      (insert (format "The one before, %s, is kept.  `org-agent-restore-server' \
goes back to it.\n\n"
                      (or (plist-get (cadr (org-agent--installed-entries)) :version)
                          "of some version"))))
    (when org-agent--connection
      (insert "The server that runs is still the old one.  What a turn is doing is \
interrupted by a new start; nothing that was said is lost.\n\n")
      (org-agent--install-button "Restart the server" #'org-agent-restart))
    (org-agent--install-button "Open the chat" 'org-agent-chat)))

;;;; From step to step

(defun org-agent--install-under-way-p (it)
  "Return non-nil if IT is neither installed nor given up."
  (and it (not (memq (org-agent--install-stage it) '(done failed)))))

(defun org-agent--install-enter (it stage)
  "Let IT be in STAGE, and show it."
  (setf (org-agent--install-stage it) stage
        (org-agent--install-stop it) nil)
  (org-agent--install-show))

(defun org-agent--install-then (it function)
  "Return a function to go on with IT by FUNCTION, unless IT was given up.
An error in it ends the installation, in words."
  (lambda (&rest args)
    (when (and (eq it org-agent--install) (org-agent--install-under-way-p it))
      (condition-case problem
          (apply function it args)
        (error (org-agent--install-fail it (error-message-string problem)))))))

(defun org-agent--install-fail (it words)
  "Give IT up, because of WORDS, and leave nothing of it."
  (org-agent--install-clean it)
  (setf (org-agent--install-words it) words)
  (org-agent--install-enter it 'failed)
  (message "org-agent: not installed: %s" (org-agent--one-line words 500)))

(defun org-agent--install-clean (it)
  "End the processes of IT, and delete what there is of it."
  (when (org-agent--install-stop it)
    (funcall (org-agent--install-stop it)))
  (when (org-agent--install-file it)
    (ignore-errors (delete-file (org-agent--install-file it)))
    (setf (org-agent--install-file it) nil))
  (when (org-agent--install-made it)
    (org-agent--install-tidy))
  (remove-hook 'kill-emacs-hook #'org-agent--install-abandon))

(defun org-agent--install-abandon ()
  "Leave nothing of what is on its way, as Emacs ends."
  (when (org-agent--install-under-way-p org-agent--install)
    (org-agent--install-clean org-agent--install)))

(defun org-agent--install-tidy ()
  "Delete the directory for the server if there is nothing in it."
  (let ((directory (org-agent--server-directory)))
    (when (and (file-directory-p directory) (directory-empty-p directory))
      (ignore-errors (delete-directory directory)))))

(defun org-agent--install-new-file ()
  "Make a file in the directory for the server, and return it."
  (make-temp-file (expand-file-name "org-agent-download-" (org-agent--server-directory))))

(defun org-agent--install-downloads ()
  "Return the files for what is fetched, those that nothing fetches into, too."
  (and (file-directory-p (org-agent--server-directory))
       (directory-files (org-agent--server-directory) t org-agent--install-download)))

(defun org-agent--install-forget-downloads ()
  "Delete what an Emacs that was killed left of what it fetched."
  (dolist (file (org-agent--install-downloads))
    (when (time-less-p (file-attribute-modification-time (file-attributes file))
                       (time-subtract nil org-agent--install-download-age))
      (ignore-errors (delete-file file)))))

(defun org-agent--install-begin (it)
  "Make a place for IT, and begin with its checksum or with itself."
  (setf (org-agent--install-made it)
        (not (file-directory-p (org-agent--server-directory))))
  (with-file-modes #o700
    (make-directory (org-agent--server-directory) t)
    (unless (zerop (logand #o022 (file-modes (org-agent--server-directory))))
      (error "%s can be changed by others; chmod go-w it, or set \
`org-agent-server-directory'"
             org-agent-server-directory))
    (org-agent--install-forget-downloads)
    (setf (org-agent--install-file it)
          (org-agent--install-new-file)))
  (add-hook 'kill-emacs-hook #'org-agent--install-abandon)
  (if (org-agent--install-sum it)
      (org-agent--install-fetch it)
    (org-agent--install-enter it 'sums)
    (setf (org-agent--install-stop it)
          (org-agent--fetch (org-agent--install-sum-from it) (org-agent--install-file it)
                            org-agent--install-sums-limit #'ignore
                            (org-agent--install-then it #'org-agent--install-read-sums)))))

(defun org-agent--install-read-sums (it words)
  "Read the checksum of IT, whose SHA256SUMS is there unless WORDS say why not."
  (when words
    (error "%s could not be read: %s.  Give the checksum yourself"
           (org-agent--install-sum-from it) words))
  (let ((sums (org-agent--install-sums-of
               (org-agent--install-name it)
               (with-temp-buffer
                 (insert-file-contents-literally (org-agent--install-file it))
                 (buffer-string)))))
    (pcase sums
      (`(,sum) (setf (org-agent--install-sum it) sum))
      ('nil (error "%s has no line for %s.  Give the checksum yourself"
                   (org-agent--install-sum-from it) (org-agent--install-name it)))
      (_ (error "%s has several checksums for %s"
                (org-agent--install-sum-from it) (org-agent--install-name it)))))
  (org-agent--install-enter it 'confirm)
  (display-buffer (org-agent--install-buffer))
  (message "org-agent: look at the checksum in %s" (buffer-name (org-agent--install-buffer))))

(defun org-agent--install-sums-of (name text)
  "Return the checksums that TEXT, of a file SHA256SUMS, has for the file NAME."
  (let (found)
    (dolist (line (split-string text "\r?\n" t))
      (when (and (string-match "\\`\\([[:xdigit:]]\\{64\\}\\) [ *]\\(.+\\)\\'" line)
                 (equal (match-string 2 line) name))
        (cl-pushnew (downcase (match-string 1 line)) found :test #'equal)))
    found))

(defun org-agent--install-fetch (it)
  "Fetch IT."
  (org-agent--install-enter it 'fetch)
  (setf (org-agent--install-stop it)
        (org-agent--fetch (org-agent--install-source it) (org-agent--install-file it)
                          org-agent--install-limit
                          (org-agent--install-then it #'org-agent--install-progress)
                          (org-agent--install-then it #'org-agent--install-fetched))))

(defun org-agent--install-progress (it size)
  "Show that SIZE bytes of IT are there."
  (setf (org-agent--install-size it) size)
  (org-agent--install-show)
  (unless (active-minibuffer-window)
    (let ((message-log-max nil))
      (message "org-agent: %s of %s fetched" (org-agent--install-size-words it)
               (org-agent--install-name it)))))

(defun org-agent--install-fetched (it words)
  "Compute the checksum of IT, which is there unless WORDS say why not."
  (when words
    (error "%s" words))
  (org-agent--install-enter it 'digest)
  (let ((file (org-agent--install-file it))
        (then (org-agent--install-then it #'org-agent--install-digested)))
    (if (executable-find "sha256sum")
        (setf (org-agent--install-stop it)
              ;; Each sha256sum has this option, and not each a long one.
              (org-agent--run (list "sha256sum" "-b" "--" file)
                              (lambda (status output _errors)
                                (funcall then (and (eq status 0) output)))
                              :seconds 60))
      (funcall then nil))))

(defun org-agent--install-digested (it output)
  "Go on with IT if it has its checksum, by OUTPUT of sha256sum, or by Emacs."
  (org-agent--install-judge
   it
   ;; The backslash says that there is one in the file's name.
   (if (and output (string-match "\\`\\\\?\\([0-9a-f]\\{64\\}\\) " output))
       (match-string 1 output)
     (with-temp-buffer
       (set-buffer-multibyte nil)
       (insert-file-contents-literally (org-agent--install-file it))
       (secure-hash 'sha256 (current-buffer))))))

(defun org-agent--install-judge (it sum)
  "Try IT if SUM, its checksum, is the one that it has to have."
  (unless (equal sum (org-agent--install-sum it))
    (error "The checksum is wrong: it is %s.  This is not the program that was meant, \
or not all of it, and it was not run" sum))
  (org-agent--install-enter it 'try)
  (set-file-modes (org-agent--install-file it) #o700)
  (setf (org-agent--install-stop it)
        (org-agent--run (list (org-agent--install-file it) "--version")
                        (org-agent--install-then it #'org-agent--install-tried)
                        :seconds org-agent--install-try-time)))

(defun org-agent--install-tried (it status output errors)
  "Put IT in its place if STATUS, OUTPUT and ERRORS are those of a server."
  (unless (eq status 0)
    (error "It does not run here: %s.  It needs Linux on x86-64, and a directory from \
which programs may run; else build it from source, and set `org-agent-program'"
           (org-agent--run-words status errors)))
  (unless (string-match "\\`org-agent \\([0-9]+\\.[0-9]+\\.[0-9]+[-+.[:alnum:]]*\\)$" output)
    (error "It is no server of org-agent: asked for its version, it said `%s'"
           (org-agent--one-line output 60)))
  (setf (org-agent--install-version it) (match-string 1 output))
  (org-agent--install-put it)
  (org-agent--install-clean it)
  (org-agent--install-enter it 'done)
  (message "org-agent: %s is installed%s" (org-agent--install-version it)
           (if org-agent--connection
               "; the server that runs is still the old one: M-x org-agent-restart"
             "")))

;;;; What is there

(defun org-agent--install-put (it)
  "Put IT in its place, and let the one that was there be the way back."
  (let* ((entry (list :sha256 (org-agent--install-sum it)
                      :version (org-agent--install-version it)
                      :source (org-agent--install-source it)
                      :date (format-time-string "%FT%TZ" nil t)))
         (others (seq-remove (lambda (other)
                               (equal (plist-get other :sha256) (plist-get entry :sha256)))
                             (org-agent--installed-entries)))
         (file (org-agent--installed-file entry))
         (keep (file-exists-p file)))
    (unwind-protect
        (progn
          ;; It has the name of the checksum, so it is the same program.
          (if (and keep (org-agent--install-runners file))
              (delete-file (org-agent--install-file it))
            (rename-file (org-agent--install-file it) file t))
          (setf (org-agent--install-file it) nil)
          (org-agent--install-record (cons entry (seq-take others 1)))
          (setq keep t))
      (unless keep
        (ignore-errors (delete-file file))))
    (ignore-errors (org-agent--install-sweep))))

(defun org-agent--install-record (entries)
  "Write that ENTRIES are what is installed, or leave what is written as it is."
  (let ((new (org-agent--install-new-file))
        (print-length nil) (print-level nil))
    (unwind-protect
        (progn
          (write-region (concat (prin1-to-string entries) "\n") nil new nil 'silent)
          (rename-file new (org-agent--installed-record) t)
          (setq new nil))
      (when new
        (ignore-errors (delete-file new))))))

(defun org-agent--install-sweep ()
  "Delete the programs that the record does not have.
One that runs stays until the next time."
  (let ((keep (cons (car org-agent--spawned)
                    (mapcar #'org-agent--installed-file (org-agent--installed-entries)))))
    (dolist (file (org-agent--install-programs))
      (unless (or (member file keep) (org-agent--install-runners file))
        (ignore-errors (delete-file file))))))

(defun org-agent--install-runners (file)
  "Return the numbers of the processes that run FILE, whoever started them.
Those of other users cannot be told."
  (let ((default-directory "/")
        (file (file-truename file)))
    (seq-filter (lambda (number)
                  (equal file (ignore-errors
                                (file-symlink-p (format "/proc/%d/exe" number)))))
                (list-system-processes))))

(defun org-agent--install-programs ()
  "Return the programs that were installed, those of no record, too."
  (and (file-directory-p (org-agent--server-directory))
       (directory-files (org-agent--server-directory) t
                        "\\`org-agent-[0-9a-f]\\{16\\}\\'")))

(provide 'org-agent-install)
;;; org-agent-install.el ends here
