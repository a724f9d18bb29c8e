;;; org-agent-fetch.el --- Fetching one file  -*- lexical-binding: t; -*-

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

;; Fetching a file from an address or from another place of this machine,
;; in the background, with a bound on its size.  This file knows nothing
;; of what is fetched, and does not judge it: whoever calls it does, by a
;; checksum.
;;
;; Addresses are https, or http of this machine itself, and lead on to
;; https only.  An address with a user's name or a password in it is
;; refused: others could see it in the list of processes.
;;
;; The fetching is done by curl if there is one, else by a second Emacs in
;; the background, which has `url-retrieve'.  Not by this one: it would have
;; to keep the file in memory, and could not do without blocking while it
;; connects, as the other way to connect, with TLS, now and then never ends
;; in Emacs 28.  Nobody is asked about a certificate, then: one that is not
;; vouched for is refused.  The user's configuration of curl is not read, as
;; it could turn off what is checked here; proxies are those of the
;; environment.
;;
;; The time is bounded by the one that fetches, too: if this Emacs is killed,
;; it goes on, but not for long.
;;
;; The bound on the size is kept three times: by what the server announces,
;; by a look at the file several times a second, and by the system (`ulimit'),
;; for when Emacs is too busy to look.

;;; Code:

(require 'cl-lib)
(require 'subr-x)
(require 'org-agent-run)

(defvar url-asynchronous)
(defvar url-http-end-of-headers)
(defvar url-http-response-status)
(defvar url-max-redirections)
(defvar url-mime-encoding-string)
(defvar url-proxy-locator)
(defvar url-registered-auth-schemes)
(declare-function url-expand-file-name "url-expand" (url &optional default))

(defconst org-agent--fetch-redirects 5
  "How many times an address may lead on to another one.")

(defvar org-agent--fetch-patience 60
  "Seconds after which a fetch of which nothing more comes is given up.")

(defvar org-agent--fetch-time 3600
  "Seconds that a fetch from an address may take as a whole.")

(defconst org-agent--fetch-host
  "\\(?:[[:alnum:]][-[:alnum:].]*\\|\\[[[:xdigit:]:.]+\\]\\)\\(?::[0-9]+\\)?"
  "A regexp for a host with its port.")

(defun org-agent--fetch-address-p (text)
  "Return non-nil if TEXT is written like an address, right or wrong."
  (string-match-p "\\`[[:alpha:]][-+.[:alnum:]]+://" text))

(defun org-agent--fetch-refusal (address)
  "Return words that say why nothing is fetched from ADDRESS, or nil."
  (cond
   ((string-match-p "[^!-~]\\|[\"'<>\\\\^`{|}]" address)
    "it has characters that no address has")
   ((string-match-p "#" address)
    "it has a #, which names a part of a page")
   ((string-match-p (concat "\\`https://" org-agent--fetch-host "/") address)
    nil)
   ((string-match-p "\\`http://\\(?:localhost\\|127\\.0\\.0\\.1\\|\\[::1\\]\\)\\(?::[0-9]+\\)?/"
                    address)
    nil)
   ((string-match-p "\\`http://" address)
    "http is not protected on its way; it has to be https")
   ((string-match-p "\\`https?://[^/]*@" address)
    "it has the name of a user in it")
   (t "it has to be https://HOST/...")))

(cl-defun org-agent--fetch (source file limit progress then)
  "Fetch SOURCE, an address or a file name, into FILE, which is there.
It may have at most LIMIT bytes.  PROGRESS is called now and then with
how many are there.  THEN is called once, later, with nil or with words
that say why it is not there.  Return a function that ends the fetching
without calling THEN.  What is in FILE then is for the caller to delete."
  (let ((size 0) (since (float-time)) (over nil)
        stop timer)
    (cl-labels ((end ()
                  (setq over t)
                  (when timer (cancel-timer timer))
                  (when stop (funcall stop)))
                (finish (words)
                  (unless over
                    (end)
                    (run-at-time 0 nil then words)))
                (look ()
                  (let ((now (org-agent--fetch-size file)))
                    (cond
                     ((< limit now)
                      (finish (org-agent--fetch-too-large limit)))
                     ((< size now)
                      (setq size now since (float-time))
                      (funcall progress now))
                     ((< org-agent--fetch-patience (- (float-time) since))
                      (finish (format "nothing came for %s s"
                                      org-agent--fetch-patience)))))))
      (setq timer (run-at-time 0.2 0.2 #'look)
            stop (org-agent--fetch-by-process
                  source file limit (lambda (words) (look) (finish words))))
      #'end)))

(defun org-agent--fetch-size (file)
  "Return how many bytes FILE has."
  (or (file-attribute-size (file-attributes file)) 0))

(defun org-agent--fetch-too-large (limit)
  "Return words that say that there is more than LIMIT bytes."
  (format "it is larger than %s" (file-size-human-readable limit 'iec " " "B")))

;;;; By a process

(defun org-agent--fetch-by-process (source file limit finish)
  "Fetch SOURCE into FILE by a process, with at most LIMIT bytes.
Call FINISH with nil or words.  Return a function that ends it."
  (org-agent--run
   ;; The unit is 512 bytes; what is larger by a bit can be told from what fits.
   ;; It fails where less is permitted, which is a bound as well.
   `("sh" "-c" "ulimit -f \"$1\" 2>/dev/null; shift; exec \"$@\"" "sh"
     ,(number-to-string (+ 2 (/ limit 512)))
     ,@(cond ((not (org-agent--fetch-address-p source))
              (list "cp" "--" source file))
             ((executable-find "curl")
              (org-agent--fetch-curl source file limit))
             (t (org-agent--fetch-emacs source file limit))))
   (lambda (status _output errors)
     (funcall finish
              (pcase status
                (0 nil)
                (1 (if (org-agent--fetch-address-p source)
                       "it leads on to an address that is not https"
                     (org-agent--run-words status errors)))
                (47 "it leads on from address to address")
                (63 (org-agent--fetch-too-large limit))
                ((guard (string-match "^curl: ([0-9]+) \\(.*\\)" errors))
                 (match-string 1 errors))
                (_ (org-agent--run-words status errors)))))
   :seconds nil
   :environment '("LC_ALL=C")))

(defun org-agent--fetch-curl (address file limit)
  "Return the command that fetches ADDRESS into FILE, with at most LIMIT bytes."
  `("curl" "--disable" "--silent" "--show-error" "--fail" "--globoff"
    "--location" "--max-redirs" ,(number-to-string org-agent--fetch-redirects)
    "--proto" ,(if (string-prefix-p "https:" address) "=https" "=http,https")
    "--proto-redir" "=https"
    ;; What is to stay on this machine does.
    ,@(and (string-prefix-p "http:" address)
           (list "--noproxy" "localhost,127.0.0.1,::1"))
    "--max-filesize" ,(number-to-string limit)
    "--connect-timeout" "30"
    ;; For when nobody looks any more, as Emacs was killed.
    "--speed-limit" "1" "--speed-time" "60"
    "--max-time" ,(number-to-string org-agent--fetch-time)
    "--output" ,file "--url" ,address))

;;;; By a second Emacs

(defun org-agent--fetch-emacs (address file limit)
  "Return the command that fetches ADDRESS into FILE, with at most LIMIT bytes."
  (list (expand-file-name invocation-name invocation-directory)
        "-Q" "--batch"
        "-L" (file-name-directory (locate-library "org-agent-fetch"))
        "-l" "org-agent-fetch" "-f" "org-agent--fetch-batch"
        address file (number-to-string limit)))

(defvar org-agent--fetch-came nil
  "In the second Emacs, what came: a list of the status of `url-retrieve'.")

(defun org-agent--fetch-batch ()
  "Fetch as the command line has it: an address into a file, and how much.
The exit status is one of those of curl, or 2 with words why not."
  (let ((address (pop command-line-args-left))
        (file (pop command-line-args-left))
        (limit (string-to-number (pop command-line-args-left)))
        (left org-agent--fetch-redirects)
        next)
    (condition-case problem
        (while (setq next (org-agent--fetch-once address file limit))
          (when (or (not (string-prefix-p "https:" next))
                    (org-agent--fetch-refusal next))
            (kill-emacs 1))
          (when (< (cl-decf left) 0)
            (kill-emacs 47))
          (setq address next))
      (error
       (princ (concat "\n" (error-message-string problem) "\n") #'external-debugging-output)
       (kill-emacs 2)))))

(defun org-agent--fetch-once (address file limit)
  "Fetch ADDRESS into FILE, and return nil, or the address that it leads on to.
This ends Emacs if there are more than LIMIT bytes."
  (require 'url)
  (setq org-agent--fetch-came nil)
  (let* ((url-asynchronous nil)
         ;; What is to stay on this machine does.
         (url-proxy-locator (if (string-prefix-p "http:" address)
                                (lambda (&rest _) "DIRECT")
                              url-proxy-locator))
         (url-mime-encoding-string nil)
         (buffer (url-retrieve address (lambda (status)
                                         (setq org-agent--fetch-came (list status)))
                               nil t t)))
    (unless buffer
      (error "There is no answer"))
    (with-current-buffer buffer
      ;; Where it leads is decided here, and nobody has a password.
      (setq-local url-max-redirections 0
                  url-registered-auth-schemes nil)
      (add-hook 'after-change-functions
                (lambda (&rest _) (org-agent--fetch-watch limit)) nil t)
      (let ((coding-system-for-write 'no-conversion)
            (written (point-min))
            (began (float-time)) (since (float-time)))
        (write-region "" nil file nil 'silent)
        (while (not org-agent--fetch-came)
          (accept-process-output nil 0.2)
          ;; For when nobody looks any more, as the other Emacs was killed.
          (when (< org-agent--fetch-patience (- (float-time) since))
            (error "Nothing came for %s s" org-agent--fetch-patience))
          (when (< org-agent--fetch-time (- (float-time) began))
            (error "It took longer than %s s" org-agent--fetch-time))
          ;; So that it can be seen from outside that something comes.
          (when (< written (point-max))
            (write-region written (point-max) file t 'silent)
            (setq written (point-max) since (float-time))))
        (pcase (plist-get (car org-agent--fetch-came) :error)
          (`(error http-redirect-limit ,next)
           (url-expand-file-name next address))
          ('nil
           (unless (eql url-http-response-status 200)
             (error "The server answered %s" url-http-response-status))
           (write-region (min (point-max) (1+ url-http-end-of-headers))
                         (point-max) file nil 'silent)
           nil)
          (problem
           (error "%s" (mapconcat (lambda (part) (format "%s" part))
                                  (cdr problem) " "))))))))

(defun org-agent--fetch-watch (limit)
  "End Emacs if this buffer gets more than LIMIT bytes, or something packed.
A little that is packed can be a lot when it is unpacked."
  (cond
   ((< (+ limit 20000) (buffer-size))
    (kill-emacs 63))
   ((save-excursion
      (save-match-data
        (let ((case-fold-search t))
          (goto-char (point-min))
          (re-search-forward "^content-encoding:" (min (point-max) 20000) t))))
    (princ "\nThe server sends it in a packed form\n" #'external-debugging-output)
    (kill-emacs 2))))

(provide 'org-agent-fetch)
;;; org-agent-fetch.el ends here
