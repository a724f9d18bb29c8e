;;; org-agent-context.el --- What goes along with a message  -*- lexical-binding: t; -*-

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

;; A region, a buffer, a file, a note or another session can go along
;; with the next message of a chat.  Each is a chip above the input
;; area: a line of an overlay's string, so that it is in no file, no undo
;; list and no Org parser.  A chip has what is sent and nothing more:
;; what the user writes in the input names it for the model.
;;
;; The text of a buffer or a file is taken when the message is sent, that
;; of a region, a note or a session when it was added.  A message that is
;; sent again after the server went away is sent as it was.
;;
;; Limits.  No more is sent than the protocol takes: 32 texts of 1 MiB,
;; together 4 MiB.  A file is read only if it is a regular one on this
;; machine, since any other can make Emacs wait: of a file on another
;; machine the text of its buffer is taken, if it has one.  What may hold
;; secrets is recognized by its name, or as a private key: it is sent
;; only after a yes.  A secret in a file of another name is not seen.

;;; Code:

(require 'org-agent-server)
(require 'org-agent-text)
(require 'org-agent-preview)

(defvar auth-sources)

(defface org-agent-chip '((t :inherit secondary-selection))
  "Face for what goes along with the next message."
  :group 'org-agent-faces)

(defcustom org-agent-sensitive-files
  (list (rx (or "/" bos) (or ".authinfo" ".netrc" "_netrc" ".env" ".envrc" ".pgpass"
                             ".npmrc" ".pypirc" ".htpasswd" ".git-credentials"
                             ".vault-token" ".my.cnf")
            (? (in "._-") (* nonl)) eos)
        (rx (or "/" bos) (or ".ssh" ".gnupg" ".aws" ".kube" ".docker" ".azure"
                             ".password-store")
            "/")
        (rx (or "/" bos) "id_" (+ (in "a-z0-9_")) eos)
        (rx "." (or "pem" "key" "p12" "pfx" "jks" "kdbx" "keystore" "keytab"
                    "plstore" "ovpn" "env" "tfstate" "gpg" "age")
            eos)
        (rx (or "/" bos "." "_" "-") (or "secret" "credential" "password")
            (? "s")
            (? "." (or "yaml" "yml" "json" "toml" "ini" "txt" "env" "cfg" "conf"
                       "xml" "csv" "org" "properties"))
            eos)
        (rx bos "/etc/" (? "g") "shadow"))
  "Regular expressions for the names of files that may hold secrets.
Such a file, its buffer, or a part of that is sent only after a
question.  Case is ignored.  The files in `auth-sources' are always
asked about, and so is what has a private key in it."
  :type '(repeat regexp)
  :package-version '(org-agent . "0.1.0")
  :group 'org-agent)

(defconst org-agent--context-most 32
  "How many texts go with one message at most.")

(defconst org-agent--context-limit (ash 1 20)
  "How many bytes one of them has at most.")

(defconst org-agent--context-total (ash 1 22)
  "How many bytes all of them have at most.")

(defconst org-agent--context-lines 8
  "How many chips are shown, each on a line.")

(cl-defstruct (org-agent--chip (:copier nil) (:constructor org-agent--make-chip))
  "Something that goes along with the next message."
  kind ; as the protocol has it: "region", "buffer", "file" or "note"
  name
  mode ; the name of a major mode, or nil
  source ; the buffer, or the name of the file, whose text is sent, or nil
  text ; of what has no source; nil while it is on its way
  file ; where it is from, or nil
  stamp ; of a file that is the source: what it was like when it was added
  problem ; why there is no text, or nil
  agreed) ; non-nil once the user said that it may be sent, secret or not

(defvar-local org-agent--context nil
  "The chips of this buffer, newest first.")

(defvar-local org-agent--context-overlay nil
  "The overlay that shows `org-agent--context', or nil.")

;;;; Secrets

(defun org-agent--auth-files ()
  "Return the names in `auth-sources', not all of which are of files."
  (and (boundp 'auth-sources) (listp auth-sources)
       (mapcar (lambda (source)
                 (if (consp source) (plist-get source :source) source))
               auth-sources)))

(defun org-agent--sensitive-p (file)
  "Return non-nil if FILE, an absolute name, may hold secrets.
A file on another machine is not looked at, only its name."
  (let ((case-fold-search t)
        (names (if (file-remote-p file)
                   (list (file-remote-p file 'localname))
                 (list file (file-truename file)))))
    (seq-some (lambda (name)
                (or (seq-some (lambda (regexp) (string-match-p regexp name))
                              org-agent-sensitive-files)
                    (seq-some (lambda (source)
                                (and (stringp source)
                                     (equal (expand-file-name source) name)))
                              (org-agent--auth-files))))
              names)))

(defun org-agent--chip-secret-p (chip text)
  "Return non-nil if CHIP, whose text is TEXT if that is known, may be secret."
  (let ((file (org-agent--chip-file chip))
        (case-fold-search nil))
    (or (and file (org-agent--sensitive-p file))
        (and text
             (string-match-p
              (rx (or (seq "-----BEGIN " (*? (in "A-Z0-9 ")) "PRIVATE KEY")
                      (seq bol "PuTTY-User-Key-File-")))
              text)))))

;;;; Texts

(defun org-agent--buffer-of (file)
  "Return the buffer that visits FILE by this very name, or nil.
To find other names of it the file would have to be looked at."
  (seq-find (lambda (buffer)
              (equal file (buffer-local-value 'buffer-file-name buffer)))
            (buffer-list)))

(defun org-agent--size-words (bytes)
  "Return BYTES as words."
  (file-size-human-readable bytes 'iec " " "B"))

(defun org-agent--file-stamp (file)
  "Return what FILE, which is on this machine, is like, or nil."
  (when-let ((attributes (file-attributes (file-truename file))))
    (list (file-attribute-type attributes)
          (file-attribute-size attributes)
          (file-attribute-modification-time attributes)
          (aref (file-attribute-modes attributes) 0))))

(defun org-agent--file-problem (file)
  "Return why FILE cannot be sent, as seen without reading it, or nil."
  (if (file-remote-p file)
      "it is on another machine and Emacs would have to wait for it; \
visit it, and add its buffer"
    (pcase (org-agent--file-stamp file)
      ('nil "there is no such file any more")
      (`(,_ ,_ ,_ ?d) "it is a directory; add files of it")
      ((and `(,_ ,_ ,_ ,type) (guard (/= type ?-)))
       "it is no regular file, and reading it may never end")
      ((guard (not (file-readable-p file))) "you may not read it")
      ((and `(,_ ,size . ,_) (guard (> size org-agent--context-limit)))
       (org-agent--too-large size)))))

(defun org-agent--too-large (size)
  "Return that SIZE is too large."
  (format "it has %s, and %s is the most; add a region of it"
          (org-agent--size-words size)
          (org-agent--size-words org-agent--context-limit)))

(defun org-agent--file-text (file)
  "Return (TEXT . PROBLEM) of FILE, one of which is nil."
  (let ((problem (org-agent--file-problem file))
        ;; A regular file on this machine: nobody else is to handle it.
        (file-name-handler-alist nil))
    (if problem (cons nil problem)
      (condition-case failure
          (with-temp-buffer
            (set-buffer-multibyte nil)
            (insert-file-contents-literally (file-truename file) nil 0
                                            (1+ org-agent--context-limit))
            (org-agent--decoded (buffer-string)))
        (file-error
         (cons nil (concat "it cannot be read: "
                           (error-message-string failure))))))))

(defun org-agent--decoded (bytes)
  "Return (TEXT . PROBLEM) of BYTES, what a file has."
  (let ((inhibit-iso-escape-detection t))
    (with-coding-priority '(utf-8)
      (org-agent--checked (decode-coding-string bytes 'undecided)))))

(defun org-agent--checked (text)
  "Return (TEXT . PROBLEM): TEXT if it can be sent, or why it cannot."
  (let ((text (string-to-multibyte text)))
    (cond ((string-match-p org-agent--insane text) (cons nil "it is no text"))
          ((> (string-bytes text) org-agent--context-limit)
           (cons nil (org-agent--too-large (string-bytes text))))
          (t (cons text nil)))))

(defun org-agent--buffer-text (buffer)
  "Return (TEXT . PROBLEM) of BUFFER, one of which is nil."
  (if (not (buffer-live-p buffer)) (cons nil "there is no such buffer any more")
    (with-current-buffer buffer
      (save-restriction
        (widen)
        (if (> (buffer-size) org-agent--context-limit)
            (cons nil (org-agent--too-large (buffer-size)))
          (org-agent--checked
           (buffer-substring-no-properties (point-min) (point-max))))))))

(defun org-agent--chip-taken (chip)
  "Return (TEXT . PROBLEM) of CHIP as it is now, one of which is nil."
  (let ((source (org-agent--chip-source chip)))
    (cond ((org-agent--chip-problem chip)
           (cons nil (org-agent--chip-problem chip)))
          ((bufferp source) (org-agent--buffer-text source))
          (source (org-agent--file-text source))
          ((org-agent--chip-text chip)
           (org-agent--checked (org-agent--chip-text chip)))
          (t (cons nil "it is still on its way; try again in a moment")))))

(defun org-agent--context-take (chips)
  "Return the texts of CHIPS as the protocol wants them, a vector.
Signal an error that the user can do something about if one of them
cannot be sent, or they do not agree to what may be secret."
  (let* ((taken
          (mapcar (lambda (chip)
                    (pcase-let ((`(,text . ,problem) (org-agent--chip-taken chip)))
                      (when problem
                        (user-error "Not sent: of `%s', %s.  \
M-x org-agent-remove-context takes it away"
                                    (org-agent--chip-name chip) problem))
                      (cons chip text)))
                  chips))
         (total (apply #'+ (mapcar (lambda (pair) (string-bytes (cdr pair)))
                                   taken)))
         (secret (seq-filter (lambda (pair)
                               (and (not (org-agent--chip-agreed (car pair)))
                                    (org-agent--chip-secret-p (car pair)
                                                              (cdr pair))))
                             taken))
         (names (mapconcat (lambda (pair) (org-agent--chip-name (car pair)))
                           secret ", ")))
    (when (nthcdr org-agent--context-most chips)
      (user-error "Not sent: no more than %d texts go along"
                  org-agent--context-most))
    (when (> total org-agent--context-total)
      (user-error "Not sent: what goes along has %s together, and %s is the most"
                  (org-agent--size-words total)
                  (org-agent--size-words org-agent--context-total)))
    (when secret
      (unless (yes-or-no-p
               (format "This may hold secrets: %s.  Send it to the model? " names))
        (user-error "Not sent; M-x org-agent-remove-context takes it away"))
      (dolist (pair secret)
        (setf (org-agent--chip-agreed (car pair)) t)))
    (when-let ((changed (seq-filter #'org-agent--chip-changed-p chips)))
      (message "Sent as it is now, changed since you added it: %s"
               (mapconcat #'org-agent--chip-name changed ", ")))
    (vconcat (mapcar (lambda (pair)
                       (org-agent--context-part (car pair) (cdr pair)))
                     taken))))

(defun org-agent--chip-changed-p (chip)
  "Return non-nil if CHIP is a file that changed since it was added."
  (and (org-agent--chip-stamp chip)
       (not (equal (org-agent--chip-stamp chip)
                   (org-agent--file-stamp (org-agent--chip-source chip))))))

(defun org-agent--context-part (chip text)
  "Return CHIP with TEXT as the protocol wants it."
  (append (list :kind (org-agent--chip-kind chip)
                ;; The protocol takes 1 KiB of it.
                :name (truncate-string-to-width
                       (org-agent--sane (org-agent--chip-name chip)) 250)
                :text text)
          (when-let ((mode (org-agent--chip-mode chip)))
            (and (< 0 (string-bytes mode) 101) (list :mode mode)))))

;;;; Adding and removing

(defun org-agent--add-context (kind name text &optional mode file)
  "Let TEXT, of KIND, NAME and MODE, go with the next prompt of this buffer.
FILE is where it is from, if it is from one."
  (org-agent--add-chip
   (org-agent--make-chip :kind kind :name name :mode mode :file file
                         :text (org-agent--sane (string-to-multibyte text)))))

(defun org-agent--buffer-chip (buffer &optional name)
  "Return a chip of BUFFER, called NAME or as the buffer is."
  (with-current-buffer buffer
    (org-agent--make-chip :kind "buffer" :name (or name (buffer-name))
                          :mode (symbol-name major-mode) :source buffer
                          :file (org-agent--file-here))))

(defun org-agent--file-here ()
  "Return the name of the file that is behind this buffer, or nil."
  (buffer-file-name (buffer-base-buffer)))

(defun org-agent--file-chip (file name)
  "Return a chip of FILE, an absolute name, called NAME.
On another machine it is the text of its buffer, if there is one."
  (let ((buffer (and (file-remote-p file) (org-agent--buffer-of file))))
    (org-agent--make-chip
     :kind "file" :name name :source (or buffer file) :file file
     :stamp (and (not (file-remote-p file)) (org-agent--file-stamp file)))))

(defun org-agent--add-chip (chip)
  "Let CHIP go with the next prompt of this buffer, and return it.
It takes the place of one of the same source."
  (let ((source (org-agent--chip-source chip)))
    (when source
      (setq org-agent--context
            (seq-remove (lambda (other)
                          (and (equal source (org-agent--chip-source other))
                               (equal (org-agent--chip-kind chip)
                                      (org-agent--chip-kind other))))
                        org-agent--context)))
    (when (>= (length org-agent--context) org-agent--context-most)
      (user-error "No more than %d texts go with a message"
                  org-agent--context-most))
    (push chip org-agent--context)
    (org-agent--show-context)
    chip))

(defun org-agent--clear-context (&optional chips)
  "Let nothing, or nothing of CHIPS, go with the next prompt of this buffer."
  (setq org-agent--context
        (and chips (seq-remove (lambda (chip) (memq chip chips))
                               org-agent--context)))
  (org-agent--show-context))

;;;; Showing

(defun org-agent--show-above (variable text)
  "Show TEXT above the input area by the overlay in VARIABLE.
With nil for TEXT, show it no more."
  (let ((overlay (symbol-value variable)))
    ;; A clone has the variables of the other buffer.
    (unless (and overlay (eq (overlay-buffer overlay) (current-buffer)))
      (setq overlay nil))
    (if (not text) (when overlay (delete-overlay overlay))
      (let ((place (car (org-agent--ensure-input))))
        (if overlay (move-overlay overlay place place)
          ;; It moves with the heading of the input when a reply comes above it.
          (set variable (setq overlay (make-overlay place place nil t t))))
        (org-agent--show-before overlay text)))))

(defun org-agent--show-context ()
  "Show what this buffer has for its next prompt, or no more."
  (let ((chips (reverse org-agent--context)))
    (org-agent--show-above
     'org-agent--context-overlay
     (and chips
          (concat
           (propertize "Sent along with your message:\n" 'face 'org-agent-notice)
           (mapconcat #'org-agent--chip-line
                      (seq-take chips org-agent--context-lines) "")
           (when (nthcdr org-agent--context-lines chips)
             (propertize (format "  and %d more\n"
                                 (- (length chips) org-agent--context-lines))
                         'face 'org-agent-notice)))))))

(add-hook 'org-agent--input-hook #'org-agent--show-context)

(defun org-agent--chip-line (chip)
  "Return the line of CHIP above the input area."
  (let ((words (org-agent--chip-words chip)))
    (concat "  "
            (propertize (format " %s %s " (org-agent--chip-kind chip)
                                (org-agent--one-line (org-agent--chip-name chip) 60))
                        'face 'org-agent-chip)
            " " (propertize (string-join words ", ") 'face 'org-agent-notice) " "
            (org-agent--chip-button "show" #'org-agent-show-context chip) " "
            (org-agent--chip-button "remove" #'org-agent-remove-context chip)
            "\n")))

(defun org-agent--chip-words (chip)
  "Return what there is to say of CHIP, a list of words."
  (let* ((source (org-agent--chip-source chip))
         (text (org-agent--chip-text chip))
         (problem (or (org-agent--chip-problem chip)
                      (and (stringp source) (org-agent--file-problem source))
                      (and source (not (stringp source))
                           (not (buffer-live-p source))
                           "there is no such buffer any more")))
         (size (cond (problem nil)
                     (text (string-bytes text))
                     ((bufferp source) (buffer-size source))
                     (source (nth 1 (org-agent--file-stamp source))))))
    (delq nil
          (list (and size (org-agent--size-words size))
                (cond (problem (concat "cannot be sent: " problem))
                      (source "as it is when you send")
                      ((not text) "on its way"))
                (and (org-agent--chip-secret-p chip text)
                     (not (org-agent--chip-agreed chip))
                     "may hold secrets: you are asked")
                (and (stringp source)
                     (when-let ((buffer (org-agent--buffer-of source)))
                       (and (buffer-modified-p buffer)
                            "without what is not saved")))))))

(defun org-agent--chip-button (label function chip)
  "Return a button with LABEL for calling FUNCTION with CHIP."
  (let ((map (make-sparse-keymap))
        (buffer (current-buffer)))
    ;; The user's place stays: it would be at the heading below.
    (define-key map [down-mouse-1] #'ignore)
    (define-key map [mouse-1] (lambda ()
                                (interactive)
                                (with-current-buffer buffer
                                  (funcall function chip))))
    (propertize (format "[%s]" label)
                'face 'link 'mouse-face 'highlight 'keymap map
                'help-echo (format "mouse-1, or M-x %s" function))))

(defun org-agent--read-chip (prompt)
  "Ask by PROMPT for a chip of this buffer, if there are several."
  (let* ((chips (reverse org-agent--context))
         (items (seq-map-indexed
                 (lambda (chip index)
                   (cons (format "%d %s %s" (1+ index) (org-agent--chip-kind chip)
                                 (org-agent--one-line (org-agent--chip-name chip)
                                                      100))
                         chip))
                 chips)))
    (cond ((not chips) (user-error "Nothing goes along with your message"))
          ((not (cdr chips)) (car chips))
          (t (cdr (assoc (completing-read prompt items nil t) items))))))

(org-agent--defcommand org-agent-remove-context (chip)
  "Let CHIP, something shown above the input, not go with the message."
  (interactive (list (org-agent--read-chip "Do not send: "))
               org-agent-chat-mode)
  (org-agent--clear-context (list chip)))

(org-agent--defcommand org-agent-show-context (chip)
  "Show the text of CHIP, a part of the next message.
It is shown as it would be sent now."
  (interactive (list (org-agent--read-chip "Show: ")) org-agent-chat-mode)
  (pcase-let ((`(,text . ,problem) (org-agent--chip-taken chip)))
    (when problem
      (user-error "Of `%s', %s" (org-agent--chip-name chip) problem))
    (with-current-buffer (get-buffer-create "*org-agent context*")
      (special-mode)
      (let ((inhibit-read-only t))
        (erase-buffer)
        (insert text))
      (goto-char (point-min))
      (display-buffer (current-buffer)))))

(provide 'org-agent-context)
;;; org-agent-context.el ends here
