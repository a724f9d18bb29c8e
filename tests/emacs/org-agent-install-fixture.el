;;; org-agent-install-fixture.el --- For tests of installing the server  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Servers of HTTP and HTTPS to install from, the former this Emacs itself,
;; programs to install, and what is to be left after a failure: nothing.

;;; Code:

(require 'org-agent-real)
(require 'org-agent-installer)

;;;; Servers

(defvar org-agent-install-tests-asked nil
  "The paths that were asked for, newest first.")

(defun org-agent-install-tests-serve (process text routes)
  "Answer TEXT, which came over PROCESS, as ROUTES say."
  (let ((text (concat (process-get process 'text) text)))
    (process-put process 'text text)
    (when (and (string-search "\r\n\r\n" text)
               (not (process-get process 'answered))
               (string-match "\\`GET \\([^ ]+\\) " text))
      (let* ((path (match-string 1 text))
             (answer (alist-get path routes nil nil #'equal))
             (port (process-contact process :service)))
        (process-put process 'answered t)
        (push path org-agent-install-tests-asked)
        (pcase answer
          ('hang nil)
          ('nil (org-agent-install-tests-send process "404 Not Found" nil ""))
          (`(redirect ,to)
           (org-agent-install-tests-send
            process "302 Found" (list (format "Location: %s" (format to port))) ""))
          (`(raw . ,lines)
           (org-agent-install-tests-send process "200 OK" (butlast lines)
                                         (car (last lines))))
          (_ (org-agent-install-tests-send
              process "200 OK" (list (format "Content-Length: %d" (string-bytes answer)))
              answer)))))))

(defun org-agent-install-tests-send (process status lines body)
  "Send STATUS, LINES and BODY over PROCESS, and close it."
  (process-send-string
   process (concat "HTTP/1.1 " status "\r\nConnection: close\r\n"
                   (mapconcat (lambda (line) (concat line "\r\n")) lines "")
                   "\r\n" body))
  ;; A reader that had enough may be gone.
  (ignore-errors (process-send-eof process))
  (delete-process process))

(defmacro org-agent-install-tests-http (routes &rest body)
  "Run BODY with a server that answers as ROUTES say; `address' makes addresses.
ROUTES are conses of a path and the text there, or `hang', or a list
 (redirect TO), or a list (raw LINE... TEXT)."
  (declare (indent 1) (debug t))
  `(let* ((routes ,routes)
          (org-agent-install-tests-asked nil)
          (server (make-network-process
                   :name "http" :server t :host 'local :service t :noquery t
                   :family 'ipv4 :coding 'binary
                   :filter (lambda (process text)
                             (org-agent-install-tests-serve process text routes))
                   :sentinel #'ignore))
          (address (lambda (path)
                     (format "http://127.0.0.1:%d%s"
                             (process-contact server :service) path))))
     (unwind-protect (progn ,@body)
       (dolist (process (process-list))
         (when (string-prefix-p "http" (process-name process))
           (delete-process process))))))

(defmacro org-agent-install-tests-https (root &rest body)
  "Run BODY with a server of HTTPS for the files in the directory `d' of ROOT.
`port' is where, and `certificate' a file that vouches for it."
  (declare (indent 1) (debug t))
  `(let* ((certificate (expand-file-name "certificate" ,root))
          (key (expand-file-name "key" ,root))
          (default-directory (expand-file-name "d/" ,root))
          (server
           (progn
             (should (eql 0 (call-process
                             "openssl" nil nil nil "req" "-x509" "-newkey" "ec" "-pkeyopt"
                             "ec_paramgen_curve:prime256v1" "-nodes" "-days" "2" "-subj"
                             "/CN=127.0.0.1" "-addext" "subjectAltName=IP:127.0.0.1"
                             "-keyout" key "-out" certificate)))
             (make-process
              :name "https" :noquery t :connection-type 'pipe :buffer (generate-new-buffer " *https*")
              :command (list "openssl" "s_server" "-accept" "127.0.0.1:0" "-WWW" "-cert" certificate
                             "-key" key))))
          (port nil))
     (unwind-protect
         (progn
           (org-agent-fake-until
            (lambda ()
              (with-current-buffer (process-buffer server)
                (goto-char (point-min))
                (and (re-search-forward "^ACCEPT .*:\\([0-9]+\\)$" nil t)
                     (setq port (string-to-number (match-string 1)))))))
           ,@body)
       (delete-process server)
       (kill-buffer (process-buffer server)))))

;;;; Places and programs

(defun org-agent-install-tests-program (version &rest lines)
  "Return the text of a program that says VERSION and does LINES before."
  (concat "#!/bin/sh\n" (mapconcat (lambda (line) (concat line "\n")) lines "")
          (if version (format "echo 'org-agent %s'\n" version) "")))

(defun org-agent-install-tests-sum (text)
  "Return the checksum of TEXT."
  (secure-hash 'sha256 text))

(defmacro org-agent-install-tests-with (&rest body)
  "Run BODY with nothing installed; `root' is a directory for it."
  (declare (indent 0) (debug t))
  `(let* ((root (file-name-as-directory (file-truename (make-temp-file "org-agent" t))))
          (org-agent-server-directory (expand-file-name "server/" root))
          (org-agent-program "org-agent")
          (org-agent--install nil)
          (org-agent--installer-removing nil)
          (org-agent--connection org-agent--connection)
          (org-agent--spawned org-agent--spawned)
          (kill-emacs-hook kill-emacs-hook)
          (inhibit-message t))
     (unwind-protect (save-window-excursion ,@body)
       (when (org-agent--install-under-way-p org-agent--install)
         (org-agent-install-cancel))
       (when (get-buffer "*org-agent install*")
         (kill-buffer "*org-agent install*"))
       (delete-directory root t))))

(defun org-agent-install-tests-file (root name text)
  "Write TEXT into the file NAME below ROOT, and return that file."
  (let ((file (expand-file-name name root))
        (coding-system-for-write 'no-conversion))
    (make-directory (file-name-directory file) t)
    (write-region text nil file nil 'silent)
    file))

(defun org-agent-install-tests-wait (&optional stage)
  "Wait until the installation is over or in STAGE; return its stage and words."
  (org-agent-fake-until
   (lambda () (or (not (org-agent--install-under-way-p org-agent--install))
                  (and stage (eq stage (org-agent--install-stage org-agent--install)))))
   "the installation")
  (list (org-agent--install-stage org-agent--install)
        (org-agent--install-words org-agent--install)))

(defun org-agent-install-tests-install (source &optional sum)
  "Install from SOURCE with SUM, agree to what is shown, and return how it ended."
  (org-agent-install-server source sum)
  (org-agent-install-tests-wait 'confirm)
  (when (eq 'confirm (org-agent--install-stage org-agent--install))
    (org-agent-install-confirm))
  (org-agent-install-tests-wait))

(defun org-agent-install-tests-shown ()
  "Return what the buffer for installing shows."
  (with-current-buffer "*org-agent install*"
    (buffer-substring-no-properties (point-min) (point-max))))

(defun org-agent-install-tests-mine ()
  "Make the directory for the server, as a user does who wants it there."
  (with-file-modes #o700
    (make-directory org-agent-server-directory)))

(defun org-agent-install-tests-there ()
  "Return the names of all that is in the directory for the server, or nil."
  (and (file-directory-p org-agent-server-directory)
       (directory-files org-agent-server-directory nil
                        directory-files-no-dot-files-regexp)))

(defun org-agent-install-tests-failed (words)
  "Check that the installation failed with WORDS, a regexp, and left nothing."
  (let ((end (org-agent-install-tests-wait)))
    (should (eq 'failed (car end)))
    (should (string-match-p words (cadr end))))
  (should-not (file-exists-p org-agent-server-directory))
  (should (string-search "Not installed" (org-agent-install-tests-shown)))
  (should-not (memq #'org-agent--install-abandon kill-emacs-hook)))

(defmacro org-agent-install-tests-both (&rest body)
  "Run BODY with curl and without it; `way' says which it is."
  (declare (indent 0) (debug t))
  `(dolist (way (if (executable-find "curl") '(curl emacs) '(emacs)))
     (cl-letf* ((find (symbol-function 'executable-find))
                ((symbol-function 'executable-find)
                 (lambda (name &rest args)
                   (and (or (eq way 'curl) (not (equal name "curl")))
                        (apply find name args)))))
       (ert-info ((format "by %s" way))
         ,@body))))

(provide 'org-agent-install-fixture)
;;; org-agent-install-fixture.el ends here
