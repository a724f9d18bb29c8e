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
;; The fetching is done by curl if there is one: it does everything in a
;; process of its own.  Without, it is done by Emacs's own `url-retrieve',
;; which keeps the file in memory until it is whole, and may ask about a
;; certificate that it does not trust.  The user's configuration of curl
;; is not read, as it could turn off what is checked here; proxies are
;; those of the environment.
;;
;; The bound on the size is kept three times: by what the server announces,
;; by a look at the file several times a second, and, for processes, by the
;; system (`ulimit'), for when Emacs is too busy to look.

;;; Code:

(require 'cl-lib)
(require 'subr-x)
(require 'org-agent-run)

(defvar url-http-end-of-headers)
(defvar url-http-response-status)
(defvar url-max-redirections)
(defvar url-mime-encoding-string)
(defvar url-registered-auth-schemes)
(declare-function url-expand-file-name "url-expand" (url &optional default))

(defconst org-agent--fetch-redirects 5
  "How many times an address may lead on to another one.")

(defvar org-agent--fetch-patience 60
  "Seconds after which a fetch of which nothing more comes is given up.")

(defconst org-agent--fetch-host
  "\\(?:[[:alnum:]][-[:alnum:].]*\\|\\[[[:xdigit:]:.]+\\]\\)\\(?::[0-9]+\\)?"
  "A regexp for a host with its port.")

(defun org-agent--fetch-address-p (text)
  "Return non-nil if TEXT looks like an address, right or wrong."
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
        stop timer there)
    (cl-labels ((end ()
                  (setq over t)
                  (when timer (cancel-timer timer))
                  (when stop (funcall stop)))
                (finish (words)
                  (unless over
                    (end)
                    (run-at-time 0 nil then words)))
                (look ()
                  (let ((now (funcall there)))
                    (cond
                     ((< limit now)
                      (finish (org-agent--fetch-too-large limit)))
                     ((< size now)
                      (setq size now since (float-time))
                      (funcall progress now))
                     ((< org-agent--fetch-patience (- (float-time) since))
                      (finish (format "nothing came for %s s"
                                      org-agent--fetch-patience)))))))
      (setq there (lambda () (org-agent--fetch-size file))
            timer (run-at-time 0.2 0.2 #'look))
      (if (and (org-agent--fetch-address-p source)
               (not (executable-find "curl")))
          (let ((state (org-agent--fetch-by-url source file limit #'finish)))
            (setq there (car state) stop (cdr state)))
        (setq stop
              (org-agent--fetch-by-process source file limit
                                           (lambda (words) (look) (finish words)))))
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
     ,@(if (org-agent--fetch-address-p source)
           (org-agent--fetch-curl source file limit)
         (list "cp" "--" source file)))
   (lambda (status _output errors)
     (funcall finish
              (pcase status
                (0 nil)
                (1 (if (org-agent--fetch-address-p source)
                       "it leads on to an address that is not https"
                     (org-agent--run-words status errors)))
                (47 "it leads on from address to address")
                (63 (org-agent--fetch-too-large limit))
                (_ (replace-regexp-in-string "\\`curl: ([0-9]+) " ""
                                             (org-agent--run-words status errors))))))
   :seconds nil
   :environment '("LC_ALL=C")))

(defun org-agent--fetch-curl (address file limit)
  "Return the command that fetches ADDRESS into FILE, with at most LIMIT bytes."
  (list "curl" "--disable" "--silent" "--show-error" "--fail" "--globoff"
        "--location" "--max-redirs" (number-to-string org-agent--fetch-redirects)
        "--proto" (if (string-prefix-p "https:" address) "=https" "=http,https")
        "--proto-redir" "=https"
        "--max-filesize" (number-to-string limit)
        "--connect-timeout" "30"
        "--output" file "--url" address))

;;;; By Emacs

(defun org-agent--fetch-by-url (address file limit finish)
  "Fetch ADDRESS into FILE by `url-retrieve', with at most LIMIT bytes.
Call FINISH with nil or words.  Return a pair of functions: one that
says how much is there, and one that ends it."
  (require 'url)
  (let ((left org-agent--fetch-redirects)
        buffer)
    (cl-labels
        ((stop ()
           (when (buffer-live-p buffer)
             (let ((process (get-buffer-process buffer)))
               (when process
                 (set-process-filter process #'ignore)
                 (set-process-sentinel process #'ignore)
                 (delete-process process)))
             ;; This may be called while it is written to.
             (run-at-time 0 nil #'kill-buffer buffer)))
         (get (address)
           (let ((url-mime-encoding-string nil))
             (setq buffer (ignore-errors
                            (url-retrieve address #'came (list address) t t))))
           (if (not (buffer-live-p buffer))
               (funcall finish "there is no connection")
             (with-current-buffer buffer
               ;; It is here that it is decided where it leads, and nobody
               ;; is asked for a password.
               (setq-local url-max-redirections 0
                           url-registered-auth-schemes nil)
               (add-hook 'after-change-functions #'changed nil t))))
         (changed (&rest _)
           (cond
            ((< (+ limit 20000) (buffer-size))
             (funcall finish (org-agent--fetch-too-large limit)))
            ;; A little that is packed can be a lot when it is unpacked.
            ((save-excursion
               (save-match-data
                 (let ((case-fold-search t))
                   (goto-char (point-min))
                   (re-search-forward "^content-encoding:"
                                      (min (point-max) 20000) t))))
             (funcall finish "the server sends it in a packed form"))))
         (came (status address)
           (let ((problem (plist-get status :error)))
             (pcase problem
               (`(error http-redirect-limit ,next)
                (stop)
                (lead-on (url-expand-file-name next address)))
               ('nil
                (if (eql url-http-response-status 200)
                    (let ((coding-system-for-write 'no-conversion))
                      (write-region (min (point-max) (1+ url-http-end-of-headers))
                                    (point-max) file nil 'silent)
                      (funcall finish (and (< limit (org-agent--fetch-size file))
                                           (org-agent--fetch-too-large limit))))
                  (funcall finish (format "the server answered %s"
                                          url-http-response-status))))
               (_ (funcall finish (format "%s" (string-join
                                                (mapcar (lambda (part) (format "%s" part))
                                                        (cdr problem))
                                                " ")))))))
         (lead-on (next)
           (cond
            ((or (not (string-prefix-p "https:" next))
                 (org-agent--fetch-refusal next))
             (funcall finish "it leads on to an address that is not https"))
            ((< (cl-decf left) 0)
             (funcall finish "it leads on from address to address"))
            (t (get next)))))
      (get address)
      (cons (lambda () (if (buffer-live-p buffer) (buffer-size buffer) 0))
            #'stop))))

(provide 'org-agent-fetch)
;;; org-agent-fetch.el ends here
