;;; org-agent-installer.el --- Commands to install the server  -*- lexical-binding: t; -*-

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

;; The commands of org-agent-install.el: installing, going back to the
;; version before, and removing.
;;
;; What is removed is what was installed by these commands, and nothing
;; else: the programs, the record of them, and their directory if nothing
;; else is in it.  A program that a server of another Emacs runs stays, and
;; is named.  Sessions, configuration, skills and chats are the user's;
;; where they are is said.

;;; Code:

(require 'cl-lib)
(require 'seq)
(require 'org-agent-config)
(require 'org-agent-install)

(defvar org-agent--installer-history nil
  "What servers were installed from, newest first.")

(defvar org-agent--installer-removing nil
  "Non-nil from the time that a removal was agreed to until it is done.")

;;;; Asking

(defun org-agent--installer-elsewhere ()
  "Return words that say why the program cannot run on this machine, or nil."
  (cond
   ((and (eq system-type 'gnu/linux)
         (string-match-p "\\`\\(?:x86_64\\|amd64\\)" system-configuration))
    (and (file-remote-p org-agent-server-directory)
         "`org-agent-server-directory' is on another machine, and the server runs on this one"))
   ((memq system-type '(windows-nt ms-dos cygwin))
    "The server does not run on Windows; use an Emacs within WSL, where it does")
   (t
    (format "The program that is given away is for Linux on x86-64, and this is %s.  \
Build it from source with `cargo build --release', and set `org-agent-program'"
            system-configuration))))

(defun org-agent--installer-names (string predicate action)
  "Complete STRING, a file name and no address, for PREDICATE and ACTION."
  (if (org-agent--fetch-address-p string)
      (complete-with-action action nil string predicate)
    (completion-file-name-table string predicate action)))

(defun org-agent--installer-idle ()
  "Signal an error if a server is being installed or removed."
  (when (org-agent--install-under-way-p org-agent--install)
    (user-error "One is being installed; M-x org-agent-install-cancel gives it up"))
  (when org-agent--installer-removing
    (user-error "The server is being removed")))

(defun org-agent--installer-check ()
  "Signal an error if no server can be installed now."
  (when-let ((words (org-agent--installer-elsewhere)))
    (user-error "%s" words))
  (when (org-agent--install-under-way-p org-agent--install)
    (org-agent--install-show)
    (display-buffer (org-agent--install-buffer)))
  (org-agent--installer-idle))

(defun org-agent--installer-read ()
  "Ask what to install, and return it with its checksum."
  (org-agent--installer-check)
  (let ((last (plist-get (car (org-agent--installed-entries)) :source)))
    (list (org-agent--installer-source
           (completing-read
            (format-prompt "Server from (file name, or https address)"
                           (and (stringp last) last))
            #'org-agent--installer-names nil nil nil 'org-agent--installer-history
            (and (stringp last) last)))
          (read-string "Its SHA-256, from somewhere you trust \
(empty: show me that of SHA256SUMS beside it): "))))

(defun org-agent--installer-source (text)
  "Return the address or file name that TEXT means, or signal an error."
  (let ((text (string-trim text)))
    (cond
     ((string-empty-p text)
      (user-error "Say where the server is to come from"))
     ((org-agent--fetch-address-p text)
      (when-let ((refusal (org-agent--fetch-refusal text)))
        (user-error "Nothing is fetched from this address: %s" refusal))
      text)
     (t
      (let ((file (expand-file-name text)))
        (cond
         ((file-remote-p file)
          (user-error "%s is on another machine; copy it here first" file))
         ((not (file-regular-p file))
          (user-error "%s is no file; name the program itself" file))
         ((< org-agent--install-limit (org-agent--fetch-size (file-truename file)))
          (user-error "%s is not the program: %s" file
                      (org-agent--fetch-too-large org-agent--install-limit))))
        file)))))

(defun org-agent--installer-beside (source)
  "Return the name of the program at SOURCE, and where its SHA256SUMS is.
The name is nil if it is none of a file."
  (let* ((path (if (org-agent--fetch-address-p source)
                   (car (split-string source "?"))
                 source))
         (name (file-name-nondirectory path)))
    (list (and (string-match-p "\\`[[:alnum:]][-+._~[:alnum:]]*\\'" name) name)
          (concat (file-name-directory path) "SHA256SUMS"))))

;;;; Installing

;;;###autoload (autoload 'org-agent-install-server "org-agent" "Install the server of org-agent from SOURCE, a file name or an https address." t)
(defun org-agent-install-server (source &optional checksum)
  "Install the server of org-agent from SOURCE, a file name or an https address.
It has to have the SHA-256 CHECKSUM.  If that is empty or nil, it is
read from the file SHA256SUMS beside SOURCE, and shown before anything
else is done.

The program is fetched in the background, checked, asked for its
version, and put into `org-agent-server-directory'.  The one that was
there is kept; see `org-agent-restore-server'.  For an upgrade, say it
again.  Your sessions and configuration stay as they are."
  (interactive (org-agent--installer-read))
  (org-agent--installer-check)
  (pcase-let* ((source (org-agent--installer-source source))
               (`(,name ,beside) (org-agent--installer-beside source))
               (sum (downcase (or (car (split-string (or checksum ""))) ""))))
    (cond
     ((string-match-p "\\`[0-9a-f]\\{64\\}\\'" sum))
     ((not (string-empty-p sum))
      (user-error "This is no SHA-256; it has 64 digits and letters from a to f"))
     ((not name)
      (user-error "The name of the program cannot be told from %s; give its checksum" source))
     ((not (or (org-agent--fetch-address-p beside) (file-regular-p beside)))
      (user-error "There is no %s; give the checksum yourself" beside))
     (t (setq sum nil)))
    (let ((it (org-agent--install-new :source source :name (or name "it") :sum sum
                                      :sum-from (and (not sum) beside))))
      (setq org-agent--install it)
      (condition-case problem
          (org-agent--install-begin it)
        (error (org-agent--install-fail it (error-message-string problem))))
      (display-buffer (org-agent--install-buffer)))))

(defun org-agent-install-confirm ()
  "Agree to the checksum that is shown, and go on with the installation."
  (interactive)
  (let ((it org-agent--install))
    (unless (and it (eq (org-agent--install-stage it) 'confirm))
      (user-error "There is nothing to agree to"))
    (org-agent--install-fetch it)))

(defun org-agent-install-cancel ()
  "Give up the server that is being installed.  Nothing of it is left."
  (interactive)
  (unless (org-agent--install-under-way-p org-agent--install)
    (user-error "No server is being installed"))
  (org-agent--install-fail org-agent--install "you cancelled it"))

;;;; Going back

;;;###autoload (autoload 'org-agent-restore-server "org-agent" "Use the server again that was installed before the last one." t)
(defun org-agent-restore-server ()
  "Use the server again that was installed before the last one.
Say it again to go forward."
  (interactive)
  (org-agent--installer-idle)
  (pcase (org-agent--installed-entries)
    ((and `(,now ,before) (guard (file-executable-p (org-agent--installed-file before))))
     (org-agent--install-record (list before now))
     (message "org-agent: %s is used from the next start on%s"
              (or (plist-get before :version) "the one before")
              (if org-agent--connection "; M-x org-agent-restart starts it" "")))
    (_ (user-error "There is no server from before in %s" org-agent-server-directory))))

;;;; Removing

(defun org-agent--installer-files ()
  "Return all files that these commands made and that are there."
  (append (org-agent--install-programs)
          (seq-filter #'file-exists-p (list (org-agent--installed-record)))
          (org-agent--install-downloads)))

(defun org-agent--installer-own-p (number)
  "Return non-nil if this Emacs started the process NUMBER, itself or by others."
  (let ((default-directory "/")
        (left 30))
    (while (and number (/= number (emacs-pid)) (<= 0 (cl-decf left)))
      (setq number (alist-get 'ppid (process-attributes number))))
    (eql number (emacs-pid))))

(defun org-agent--installer-others (file)
  "Return in words which processes run FILE that are none of this Emacs, or nil."
  (when-let ((numbers (seq-remove #'org-agent--installer-own-p
                                  (org-agent--install-runners file))))
    (concat "process " (mapconcat #'number-to-string numbers ", "))))

;;;###autoload (autoload 'org-agent-remove-server "org-agent" "Remove the server that `org-agent-install-server' installed." t)
(defun org-agent-remove-server ()
  "Remove the server that `org-agent-install-server' installed.
Your sessions, configuration, skills and chats stay; where they are is
said afterwards.  A program that runs for another Emacs stays as well,
until you say it again."
  (interactive)
  (org-agent--installer-idle)
  (when (file-remote-p org-agent-server-directory)
    (user-error "`org-agent-server-directory' is on another machine"))
  (let* ((files (org-agent--installer-files))
         (entries (org-agent--installed-entries))
         (others (delq nil (mapcar #'org-agent--installer-others
                                   (org-agent--install-programs)))))
    (unless files
      (user-error "No server was installed in %s" org-agent-server-directory))
    (when (yes-or-no-p
           (format "Sessions, configuration, skills and chats stay%s.  \
Remove the server from %s%s? "
                   (if others
                       (format ", and what others run (%s)" (string-join others ", "))
                     "")
                   (abbreviate-file-name org-agent-server-directory)
                   (if (member (car org-agent--spawned) files) ", and end it" "")))
      ;; The question may have been there for long.
      (org-agent--installer-idle)
      (unless (and (equal files (org-agent--installer-files))
                   (equal entries (org-agent--installed-entries)))
        (user-error "What is installed has changed meanwhile; nothing was removed"))
      (org-agent--installer-ask files entries))))

(defun org-agent--installer-ask (files entries)
  "Ask the server where the user's things are, and remove FILES.
ENTRIES are those of the record."
  (if-let ((program (org-agent--installed)))
      (setq org-agent--installer-removing
            (org-agent--run (list program "config" "show" "--json")
                            (lambda (status output _errors)
                              (unwind-protect
                                  (org-agent--installer-remove
                                   files entries
                                   (and (eq status 0) (org-agent--config-read output)))
                                (setq org-agent--installer-removing nil)))
                            :seconds 10))
    (org-agent--installer-remove files entries nil)))

(defun org-agent--installer-remove (files entries places)
  "Remove FILES, which were installed, and say what stays.
ENTRIES are those of the record that was agreed to.  PLACES is what
`config show' said, or nil."
  (let ((ours (seq-difference files (org-agent--install-downloads)))
        (new (org-agent--installed-entries))
        (left nil))
    ;; This Emacs installs nothing now, but another one may have.
    (when (and new (not (equal new entries)))
      (push "Another one was installed meanwhile, and stays" left)
      (setq files (seq-difference files
                                  (cons (org-agent--installed-record)
                                        (mapcar #'org-agent--installed-file new)))))
    (when (member (car org-agent--spawned) files)
      (org-agent--restart-never)
      (org-agent--disconnect "the server was removed"))
    (dolist (file files)
      (if-let ((others (org-agent--installer-others file)))
          (push (format "%s stays, as %s runs it; when that is over, \
M-x org-agent-remove-server removes it"
                        file others)
                left)
        (condition-case problem
            (delete-file file)
          (error (push (error-message-string problem) left)))))
    (when ours
      (org-agent--install-tidy))
    (setq org-agent--install nil)
    (with-current-buffer (org-agent--install-buffer)
      (let ((inhibit-read-only t))
        (erase-buffer)
        (insert (propertize (if left "Not all is removed" "The server is removed")
                            'face (if left 'error 'bold))
                "\n\n"
                (mapconcat (lambda (words) (concat (org-agent--harmless words) "\n")) left "")
                (org-agent--installer-stays places))
        (goto-char (point-min)))
      (display-buffer (current-buffer)))
    (message "org-agent: the server is removed%s" (if left ", but not all of it" ""))))

(defun org-agent--installer-stays (places)
  "Return what is to be said of what stays, at PLACES, or nil if that is not known."
  (let* ((file (plist-get places :file))
         (data (plist-get places :data))
         (config (and (stringp file) (file-name-directory file))))
    (concat
     "What stays is yours:\n\n"
     (format "sessions        %s\n" (if (stringp data) (org-agent--harmless data)
                                      "~/.local/share/org-agent, or as $ORG_AGENT_HOME \
or $XDG_DATA_HOME says"))
     (format "configuration   %s\n" (if config (org-agent--harmless config)
                                      "~/.config/org-agent, or as $ORG_AGENT_HOME \
or $XDG_CONFIG_HOME says"))
     (format "skills          %s\n" (if config (org-agent--harmless
                                               (concat config "skills/"))
                                      "skills/ in that"))
     "chats           the Org files in which you saved them\n"
     (if (file-directory-p (org-agent--server-directory))
         (format "what else is in %s\n" (org-agent--harmless (org-agent--server-directory)))
       "")
     "\nThe Emacs package stays, too; it uses another server if there is one.\n")))

(provide 'org-agent-installer)
;;; org-agent-installer.el ends here
