;;; measure.el --- What a stream costs inside Emacs  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Loaded by main.py into an Emacs in a terminal.  It opens the chat that
;; the environment names, binds the keys below, and writes what was
;; measured, as lines of JSON, to a port of main.py.
;;
;;   f5  begin to measure
;;   f6  the same with the probe
;;   f7  end, if no turn is to be waited for
;;   f8  empty the input area
;;
;; Without the probe nothing is measured but when a key's command begins,
;; when garbage was collected, and what the whole took.  The probe is a
;; timer that runs every millisecond: while Emacs does anything else, it
;; is late.  That costs time itself, so blocks and CPU time are measured
;; in different runs.  With the probe no garbage is collected: what Emacs
;; tells of a collection is how long it took by the clock, so what else
;; was in the same block, and what it waited for a CPU, could not be told.

;;; Code:

;; What is compiled meanwhile would be measured, too.
(setq native-comp-deferred-compilation nil
      native-comp-jit-compilation nil)

(require 'cl-lib)
(require 'org-agent)

(defvar measure-line nil
  "The connection to main.py.")

(defvar measure-begun nil
  "What was used when the measurement began, as `measure-used', or nil.")

(defvar measure-keys nil
  "When the commands of the keys began, newest first.")

(defvar measure-probe nil
  "The timer of the probe, or nil.")

(defvar measure-last nil
  "What was used when the probe ran last, as `measure-used'.")

(defvar measure-blocks nil
  "The longer times between two runs of the probe, as `measure-used'.")

(defvar measure-collected nil
  "When collections ended, and `gc-elapsed' before each, newest first.")

(defvar measure-collection 0
  "The CPU time of one garbage collection.")

(defconst measure-threshold gc-cons-threshold
  "After how many bytes garbage is collected without the probe.")

(defconst measure-pause 0.001
  "Seconds between two runs of the probe.")

(defun measure-waited ()
  "Return for how many seconds this Emacs has waited for a CPU that others had.
Only Linux tells."
  (if (not (file-exists-p "/proc/self/schedstat")) 0
    (with-current-buffer (get-buffer-create " *measure*")
      (erase-buffer)
      (insert-file-contents-literally "/proc/self/schedstat")
      (forward-word)
      (/ (read (current-buffer)) 1e9))))

(defun measure-used ()
  "Return the time, CPU time, what was waited, and the number of collections."
  (let ((file-name-handler-alist nil))
    (list (float-time) (float-time (get-internal-run-time)) (measure-waited)
          gcs-done)))

(defun measure-since (before)
  "Return what was used since BEFORE."
  (cl-mapcar #'- (measure-used) before))

(defun measure-say (&rest plist)
  "Tell main.py PLIST."
  (process-send-string measure-line (concat (json-serialize plist) "\n")))

(defun measure-key ()
  "Note when the command of a key begins."
  (when (memq this-command '(self-insert-command org-self-insert-command))
    (push (float-time) measure-keys)))

(defun measure-collect ()
  "Note that garbage was collected.
How long that took is not in `gc-elapsed' before this has returned."
  (when measure-begun
    (push (cons (float-time) gc-elapsed) measure-collected)))

(defun measure-collections ()
  "Return when garbage was collected: vectors of the beginning and the end."
  (let ((after gc-elapsed))
    (vconcat (mapcar (pcase-lambda (`(,end . ,before))
                       (prog1 (vector (- end (- after before)) end)
                         (setq after before)))
                     measure-collected))))

(defun measure-probe ()
  "Note how late this is."
  (let ((gap (measure-since measure-last)))
    (when (> (car gap) 0.003)
      (push gap measure-blocks)))
  (setq measure-last (measure-used)
        measure-probe (run-at-time measure-pause nil #'measure-probe)))

(defun measure-begin (&optional probe)
  "Begin to measure, if PROBE is non-nil with the probe."
  (interactive)
  ;; All runs begin alike, and the second collection has what each costs.
  ;; After each 300 keys Emacs saves the whole buffer by itself.
  (do-auto-save t)
  (garbage-collect)
  (let ((before (measure-used)))
    (garbage-collect)
    (setq measure-collection (nth 1 (measure-since before))))
  (setq measure-keys nil
        measure-blocks nil
        measure-collected nil
        measure-begun (measure-used))
  (when probe
    (setq gc-cons-threshold most-positive-fixnum)
    (setq measure-last (measure-used))
    (measure-probe))
  (measure-say :begun t))

(defun measure-begin-probe ()
  "Begin to measure with the probe."
  (interactive)
  (measure-begin t))

(defun measure-empty ()
  "Empty the input area."
  (interactive)
  (delete-region (cdr (org-agent--input)) (point-max)))

(defun measure-end ()
  "Tell what was measured."
  (interactive)
  (pcase-let* ((`(,wall ,cpu ,_waited ,collections) (measure-since measure-begun))
               (input (org-agent--input))
               (typed (buffer-substring-no-properties (cdr input) (point-max))))
    (when measure-probe (cancel-timer measure-probe))
    (setq measure-probe nil
          measure-begun nil
          gc-cons-threshold measure-threshold)
    (measure-say :wall wall :cpu cpu :collections collections
                 :collection measure-collection
                 :keys (vconcat (nreverse measure-keys))
                 :collected (measure-collections)
                 :blocks (vconcat (mapcar #'vconcat measure-blocks))
                 :typed typed)))

(defun measure-turn (turn &rest _)
  "End the measurement a moment after TURN is over."
  (when (and measure-begun (org-agent--over-p turn))
    ;; What is to be drawn is drawn by then.
    (run-at-time 0.25 nil #'measure-end)))

(defun measure-open ()
  "Open the chat and tell when it is up to date."
  (setq measure-line
        (make-network-process :name "measure" :host "127.0.0.1" :noquery t
                              :service (string-to-number (getenv "BENCH_PORT"))))
  (find-file (getenv "BENCH_FILE"))
  (org-agent-chat-mode)
  (goto-char (point-max))
  (use-local-map (copy-keymap (current-local-map)))
  (local-set-key (kbd "<f5>") #'measure-begin)
  (local-set-key (kbd "<f6>") #'measure-begin-probe)
  (local-set-key (kbd "<f7>") #'measure-end)
  (local-set-key (kbd "<f8>") #'measure-empty)
  (add-hook 'pre-command-hook #'measure-key nil t)
  (add-hook 'post-gc-hook #'measure-collect)
  (advice-add 'org-agent--set-state :after #'measure-turn)
  (org-agent--request 'orgAgent/models/list nil
                      (lambda (_) (measure-say :ready emacs-version))
                      (lambda (words _) (measure-say :problem words))))

(setq inhibit-startup-screen t
      ring-bell-function #'ignore)
(add-hook 'emacs-startup-hook #'measure-open)

(provide 'measure)
;;; measure.el ends here
