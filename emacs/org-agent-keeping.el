;;; org-agent-keeping.el --- What is done with sessions in their list  -*- lexical-binding: t; -*-

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

;; Opening, naming, copying and putting away sessions from their list,
;; and what is done with their turns there.
;;
;; A session is opened where it is: in its chat buffer, or at the heading
;; that has it in a buffer of Org.  Otherwise its chat is made again of
;; the server's export, byte for byte.  Files that no buffer visits are
;; not looked into.

;;; Code:

(require 'org-agent-skills)
(require 'org-agent-search)
(require 'org-agent-open)
(require 'org-agent-sessions)

;;;; Rows that are meant

(defun org-agent--browser-here ()
  "Return the session of this line, or fail."
  (or (car (tabulated-list-get-id)) (user-error "There is no session on this line")))

(defun org-agent--browser-marked (mark)
  "Return the sessions of all rows with MARK."
  (let (sessions)
    (save-excursion
      (goto-char (point-min))
      (while (not (eobp))
        (let ((id (tabulated-list-get-id)))
          (when (eql (gethash id org-agent--browser-marks) mark)
            (cl-pushnew (car id) sessions :test #'equal)))
        (forward-line 1)))
    (nreverse sessions)))

(defun org-agent--browser-chosen ()
  "Return the marked sessions, or that of this line."
  (or (org-agent--browser-marked ?*) (list (org-agent--browser-here))))

(defun org-agent--browser-known (session)
  "Return what this list knows of SESSION."
  (or (gethash (list session) org-agent--browser-items)
      (seq-find (lambda (item) (equal (plist-get item :sessionId) session))
                (org-agent--values org-agent--browser-items))))

(defun org-agent--browser-called (session)
  "Return the title of SESSION."
  (org-agent--one-line (or (plist-get (org-agent--browser-known session) :title)
                           session)
                       60))

(defun org-agent--browser-set-mark (mark)
  "Give the row of this line MARK, a character or nil, and go to the next."
  (org-agent--browser-here)
  (if mark
      (puthash (tabulated-list-get-id) mark org-agent--browser-marks)
    (remhash (tabulated-list-get-id) org-agent--browser-marks))
  (tabulated-list-put-tag (string (or mark ?\s)) t))

(defun org-agent-sessions-mark ()
  "Mark the session of this line."
  (interactive nil org-agent-sessions-mode)
  (org-agent--browser-set-mark ?*))

(defun org-agent-sessions-flag ()
  "Flag the session of this line for deletion."
  (interactive nil org-agent-sessions-mode)
  (org-agent--browser-set-mark ?D))

(defun org-agent-sessions-unmark ()
  "Take the mark or flag of this line away."
  (interactive nil org-agent-sessions-mode)
  (org-agent--browser-set-mark nil))

(defun org-agent-sessions-unmark-all ()
  "Leave no row a mark or flag."
  (interactive nil org-agent-sessions-mode)
  (clrhash org-agent--browser-marks)
  (tabulated-list-clear-all-tags))

;;;; Asking the server for several

(defun org-agent--browser-do (sessions method params each done &optional then)
  "Send METHOD with PARAMS, a function of the session, for each of SESSIONS.
EACH is called with a session and the answer, DONE with how many went
well returns what to say, THEN is called with those sessions."
  (let* ((left (length sessions))
         (good nil)
         (problem nil)
         (ended (lambda ()
                  (when (zerop (cl-decf left))
                    (message "org-agent: %s"
                             (string-join
                              (delq nil (list (and good (funcall done (length good)))
                                              problem))
                              "; "))
                    (when (and then good)
                      (funcall then (nreverse good)))))))
    (dolist (session sessions)
      (org-agent--request
       method (funcall params session)
       (lambda (answer)
         (condition-case signal
             (progn (funcall each session answer)
                    (push session good))
           (error (setq problem (error-message-string signal))))
         (funcall ended))
       (lambda (words _code)
         (setq problem words)
         (funcall ended))))))

(defun org-agent--browser-change (method sessions params done)
  "Change SESSIONS by METHOD with PARAMS, and show what they are then.
DONE is what to say of one, with %s for its title, or a word for more."
  (let ((list (current-buffer))
        (round org-agent--browser-round)
        (title (org-agent--browser-called (car sessions))))
    (org-agent--browser-do
     sessions method
     (lambda (session) `(:sessionId ,session ,@params))
     (lambda (_session item) (org-agent--browser-news list round item))
     (lambda (count)
       (if (= count 1) (format-message "`%s' is %s" title done)
         (format "%d sessions are %s" count done))))))

(defun org-agent-sessions-rename (title)
  "Give the session of this line another TITLE."
  (interactive
   (list (read-string "New title: "
                      (plist-get (org-agent--browser-known
                                  (org-agent--browser-here))
                                 :title)))
   org-agent-sessions-mode)
  (org-agent--browser-change 'orgAgent/sessions/rename
                             (list (org-agent--browser-here))
                             (list :title title)
                             (format-message "`%s' now" (org-agent--one-line title 60))))

(defun org-agent--browser-all-p (sessions key value)
  "Return non-nil if each of SESSIONS is known to have VALUE for KEY."
  (seq-every-p (lambda (session)
                 (equal value (plist-get (org-agent--browser-known session) key)))
               sessions))

(defun org-agent-sessions-archive ()
  "Archive the chosen sessions, or take them out if all of them are archived."
  (interactive nil org-agent-sessions-mode)
  (let* ((sessions (org-agent--browser-chosen))
         (out (org-agent--browser-all-p sessions :archived t)))
    (org-agent--browser-change 'orgAgent/sessions/archive sessions
                               (list :archived (if out :json-false t))
                               (if out "archived no more" "archived"))))

(defun org-agent-sessions-pause ()
  "Pause the chosen sessions, or let them go on if all of them are paused.
In a paused session no turn begins; messages are taken and wait."
  (interactive nil org-agent-sessions-mode)
  (let* ((sessions (org-agent--browser-chosen))
         (on (org-agent--browser-all-p sessions :status "paused")))
    (org-agent--browser-change 'orgAgent/sessions/pause sessions
                               (list :paused (if on :json-false t))
                               (if on "paused no more" "paused"))))

(defun org-agent-sessions-complete ()
  "Be done with the chosen sessions; the next message ends that."
  (interactive nil org-agent-sessions-mode)
  (org-agent--browser-change 'orgAgent/sessions/complete
                             (org-agent--browser-chosen) nil "completed"))

(defun org-agent-sessions-label (group tags)
  "Put the chosen sessions into GROUP, and give them TAGS, a list.
Both take the place of what they have; an empty group is none."
  (interactive
   (let ((item (org-agent--browser-known (car (org-agent--browser-chosen)))))
     (list (read-string "Group (empty: none): " (plist-get item :group))
           (split-string (read-string "Tags: " (string-join (plist-get item :tags) " "))
                         "[ \t:,]+" t)))
   org-agent-sessions-mode)
  (org-agent--browser-change
   'orgAgent/sessions/label (org-agent--browser-chosen)
   (list :group (if (string-empty-p group) nil group)
         :tags (vconcat tags))
   "labelled"))

;;;; Opening

(defun org-agent-sessions-open ()
  "Open the session of this line, at what was found there."
  (interactive nil org-agent-sessions-mode)
  (org-agent--browser-open #'pop-to-buffer-same-window))

(defun org-agent-sessions-open-other-window ()
  "Open the session of this line in another window."
  (interactive nil org-agent-sessions-mode)
  (org-agent--browser-open #'switch-to-buffer-other-window))

(defun org-agent-sessions-display ()
  "Show the session of this line in another window, and stay here."
  (interactive nil org-agent-sessions-mode)
  (org-agent--browser-open #'display-buffer))

(defun org-agent-sessions-mouse-open (click)
  "Open the session at the position of CLICK."
  (interactive "e" org-agent-sessions-mode)
  (mouse-set-point click)
  (org-agent-sessions-open))

(defun org-agent--browser-open (show &optional then)
  "Open the session of this line, and SHOW its buffer.
Call THEN in that."
  (let* ((session (org-agent--browser-here))
         (found (gethash (tabulated-list-get-id) org-agent--browser-items))
         (list (current-buffer))
         (directory default-directory)
         (failed (lambda (words code)
                   (message "org-agent: not opened: %s"
                            (if (equal code "conflict")
                                "the chat is open in another Emacs" words))))
         (go (lambda (place)
               (org-agent--browser-go place found list show then))))
    (if-let ((place (org-agent--session-place session)))
        (funcall go place)
      (org-agent--get-record
       session
       (lambda (item text)
         (funcall go (or (org-agent--session-place session)
                         (list (org-agent--make-recorded session item directory
                                                         text)))))
       failed))))

(defun org-agent--browser-go (place found list show then)
  "SHOW the buffer of PLACE at FOUND, an item, and call THEN there.
If the user has left LIST meanwhile, only tell where it is."
  (pcase-let ((`(,buffer . ,position) place))
    (if (not (eq (window-buffer) list))
        (message "The chat is in `%s'" (buffer-name buffer))
      (funcall show buffer)
      (with-current-buffer buffer
        (when-let ((target (or (org-agent--browser-found found)
                               (and position
                                    (org-agent--browser-heading position)))))
          (unless (<= (point-min) target (point-max)) (widen))
          (org-agent--move (cons buffer (get-buffer-window-list buffer)) target)
          (save-excursion
            (goto-char target)
            (org-agent--unfold)))))
    (when then
      (with-current-buffer buffer (funcall then)))))

(defun org-agent--browser-heading (position)
  "Return the beginning of the heading, or buffer, that POSITION belongs to."
  (org-agent--at-start
    (goto-char position)
    (if (or (looking-at-p "\\*+ ") (re-search-backward "^\\*+ " nil t)) (point)
      (point-min))))

(defun org-agent--browser-found (item)
  "Return where this chat has what was found as ITEM, or nil.
A prompt has its identifier in its drawer; a reply is looked for by
the words that were found."
  (when-let ((message (plist-get item :messageId)))
    (or (nth 2 (assoc message (org-agent--marks)))
        (when-let ((words (split-string (plist-get item :snippet) "[ \t\n…]+" t)))
          (org-agent--at-start
            (when (re-search-forward (mapconcat #'regexp-quote words
                                                "[[:space:][:cntrl:]]+")
                                     nil t)
              (match-beginning 0)))))))

(defun org-agent-sessions-fork ()
  "Copy the session of this line, and open the copy."
  (interactive nil org-agent-sessions-mode)
  (let ((session (org-agent--browser-here))
        (list (current-buffer))
        (directory default-directory))
    (org-agent--request
     'orgAgent/sessions/fork
     (list :sessionId session :buffer (org-agent--new-name))
     (lambda (item)
       (org-agent--export
        (plist-get item :id)
        (lambda (text)
          (org-agent--browser-go
           (list (org-agent--make-recorded (plist-get item :id) item directory text))
           nil list #'pop-to-buffer-same-window nil))))
     (lambda (words _code) (message "org-agent: no copy was made: %s" words)))))

;;;; Turns

(defun org-agent-sessions-retry (&optional drop)
  "Open the session of this line, and run again what was interrupted there.
With prefix argument DROP, let it go instead: no answer is wanted."
  (interactive "P" org-agent-sessions-mode)
  (if (and drop (not (org-agent--session-place (org-agent--browser-here))))
      (org-agent--browser-drop (org-agent--browser-here))
    (org-agent--browser-open
     (if drop #'ignore #'pop-to-buffer-same-window)
     (lambda ()
       (if org-agent--session (org-agent-retry drop)
         (message "Here org-agent-chat-mode has to be on first"))))))

(defun org-agent--browser-drop (session)
  "Let go of what was interrupted in SESSION, which has no buffer."
  (let* ((what (list :sessionId session :applied [] :turns []))
         (failed (lambda (words _code) (message "org-agent: %s" words)))
         (ask (lambda (more then)
                (org-agent--request 'orgAgent/sessions/resume (append what more)
                                    then failed))))
    (funcall
     ask nil
     (lambda (result)
       (let ((turns (seq-map (lambda (item) (plist-get item :turnId))
                             (plist-get result :interrupted))))
         (if turns
             (funcall ask (list :drop (vconcat turns))
                      (lambda (_result)
                        (message "org-agent: what was interrupted is let go")))
           (message "org-agent: nothing was interrupted")))))))

(defun org-agent-sessions-cancel ()
  "Cancel what is under way or waits in the session of this line."
  (interactive nil org-agent-sessions-mode)
  (let ((session (org-agent--browser-here)))
    (org-agent--request
     'orgAgent/sessions/resume
     (list :sessionId session :applied [] :turns [])
     (lambda (result)
       (let ((turns (append (plist-get result :live) nil)))
         (if (not turns) (message "Nothing runs in this session")
           (dolist (id turns)
             (unless (run-hook-with-args-until-success
                      'org-agent--cancel-functions id nil)
               (when-let ((turn (org-agent--turn id)))
                 (org-agent--stop turn))
               (org-agent--request
                'orgAgent/cancel (list :turnId id) #'ignore
                (lambda (words _code)
                  (message "org-agent: not cancelled: %s" words))))))))
     (lambda (words _code) (message "org-agent: not cancelled: %s" words)))))

(provide 'org-agent-keeping)
;;; org-agent-keeping.el ends here
