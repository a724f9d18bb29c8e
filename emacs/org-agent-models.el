;;; org-agent-models.el --- Choosing the model, and what it costs  -*- lexical-binding: t; -*-

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

;; Which model answers in a chat is the server's to know and the user's
;; to choose: here it is asked, chosen and shown.  The header line has
;; the model, and what the last reply took.
;;
;; A server that was only found on this machine gets nothing before the
;; user said yes to that.

;;; Code:

(require 'org-agent-chat)
(require 'org-agent-part)

(declare-function org-agent-why "org-agent-why")

;;;; Options

(defcustom org-agent-header-line t
  "Whether a chat's header line shows its state, its model and its cost.
A header line that something else put there stays."
  :type 'boolean
  :group 'org-agent
  :package-version '(org-agent . "0.1.0"))

;;;; State

(defvar-local org-agent--model nil
  "The model that answers in this chat, as it is listed, or nil if unknown.")

(defvar-local org-agent--usage nil
  "What the last reply in this chat took, or nil if that is not known.
A property list with :model, :in, :out, :estimated and :cost, some of
which may be nil; the cost is in US dollars.")

(defvar-local org-agent--in-sight ""
  "What the header line of this chat shows of its model.")

;; Otherwise its buttons would be none.
(put 'org-agent--in-sight 'risky-local-variable t)

(defconst org-agent--model-time 5
  "Seconds that the user waits for the list of models at most.")

(defconst org-agent--model-configured "(the configured one)"
  "What stands for the model that answers if none is chosen.")

;;;; In sight

(defun org-agent--model-words (model usage)
  "Return MODEL and USAGE, as of `org-agent--usage', in a line, or nothing."
  (let* ((name (plist-get model :name))
         (problem (plist-get model :problem))
         (by (plist-get usage :model))
         (in (plist-get usage :in))
         (out (plist-get usage :out))
         (cost (plist-get usage :cost))
         (why "What the last reply took.\nmouse-1: everything behind the text at point"))
    (string-join
     (delq nil
           (list (and name
                      (org-agent--part
                       (if problem (format "%s cannot be asked: %s" name problem) name)
                       (if problem 80 40)
                       (concat name (org-agent--model-note model)
                               "\nmouse-1: choose another")
                       'org-agent-model (and problem 'warning)))
                 ;; A fallback may have answered.
                 (and by (not (member by (list name (plist-get model :model))))
                      (org-agent--part (format "the last reply is of %s" by) 60
                                       why 'org-agent-why))
                 (and (or in out)
                      (org-agent--part
                       (format "%s%s tokens in, %s out"
                               (if (plist-get usage :estimated) "about " "")
                               (if in (org-agent--number in) "?")
                               (if out (org-agent--number out) "?"))
                       50 why 'org-agent-why))
                 (and cost (org-agent--part (org-agent--dollars cost) 16
                                            why 'org-agent-why))))
     " · ")))

(defun org-agent--dollars (amount)
  "Return AMOUNT, in US dollars, as it is shown."
  (if (< 0 amount 0.01)
      (string-trim-right (format "$%.6f" amount) "0+")
    (format "$%.2f" amount)))

(defun org-agent--show-in-sight ()
  "Show in this chat which model answers, and what the last reply took."
  (setq org-agent--in-sight
        (concat " " (org-agent--model-words org-agent--model org-agent--usage)))
  (force-mode-line-update))

(defun org-agent--in-sight-begins ()
  "Give this chat its header line, and ask for what is to be in it."
  (when (and org-agent-header-line (not header-line-format))
    ;; The value of a variable is shown as it is: no % in it is read.
    (setq-local header-line-format
                '("" org-agent--sign org-agent--status org-agent--in-sight)))
  ;; The server is not started for this.
  (when org-agent--ready
    (org-agent--ask-model)))

(add-hook 'org-agent-chat-mode-hook #'org-agent--in-sight-begins)

(defun org-agent--ask-model ()
  "Ask the server which model answers in this chat, and show it.
An older server does not know."
  (let ((buffer (current-buffer))
        (session org-agent--session))
    (org-agent--request
     'orgAgent/models/list
     `( :limit 500 ,@(and session (list :sessionId session)))
     (lambda (result)
       (when (buffer-live-p buffer)
         (with-current-buffer buffer
           (when (equal session org-agent--session)
             (setq org-agent--model
                   (seq-find (lambda (item)
                               (org-agent--true-p (plist-get item :selected)))
                             (plist-get result :items)))
             (org-agent--show-in-sight)))))
     #'ignore)))

(defun org-agent--ask-usage (turn)
  "Ask the server what the reply of TURN in this chat took, and show it."
  (let ((buffer (current-buffer))
        (session (org-agent--turn-session turn)))
    (org-agent--request
     'orgAgent/sessions/messages
     (list :sessionId session :last t :limit 50)
     (lambda (result)
       (when (buffer-live-p buffer)
         (with-current-buffer buffer
           (when (equal session org-agent--session)
             (when-let ((usage (org-agent--usage-of (org-agent--turn-id turn)
                                                    (plist-get result :items))))
               (setq org-agent--usage usage)
               (org-agent--show-in-sight))))))
     #'ignore)))

(defun org-agent--usage-of (turn items)
  "Return what TURN took as its messages among ITEMS have it, or nil.
It is as of `org-agent--usage'; the model is the last one's.  An older
server has only what each call took whose reply was good."
  (let (usage)
    (seq-doseq (item items)
      (let* ((metadata (plist-get item :metadata))
             (all (plist-get metadata :turnTokens))
             (tokens (or all (plist-get metadata :tokens)))
             (before (and (not all) usage)))
        (when (and (equal (plist-get metadata :turn) turn)
                   (stringp (plist-get metadata :model)))
          (setq usage
                (list :model (plist-get metadata :model)
                      :in (org-agent--plus (plist-get before :in)
                                           (plist-get tokens :prompt))
                      :out (org-agent--plus (plist-get before :out)
                                            (plist-get tokens :completion))
                      :estimated (org-agent--true-p (plist-get tokens :estimated))
                      :cost (if all (plist-get metadata :turnCost)
                              (org-agent--plus (plist-get before :cost)
                                               (plist-get metadata :cost))))))))
    usage))

(defun org-agent--plus (one other)
  "Return the sum of ONE and OTHER; what is no number is not known."
  (if (numberp other) (+ (or one 0) other) one))

(cl-defmethod org-agent--handle
  :extra "models" :after ((_ (eql :ready)) _params)
  "Ask in every chat which model answers there."
  (dolist (buffer (org-agent--chats))
    (with-current-buffer buffer
      (org-agent--ask-model))))

(cl-defmethod org-agent--handle
  :extra "models" :after ((_ (eql :acknowledged)) _result)
  "Ask which model answers in this chat, if that is not known."
  (unless org-agent--model
    (org-agent--ask-model)))

(cl-defmethod org-agent--handle
  :extra "models" :after ((_ (eql :resumed)) _result)
  "Ask which model answers in this chat, whose session it now has."
  (org-agent--ask-model))

(cl-defmethod org-agent--handle
  :extra "models" :after ((_ (eql 'orgAgent/sessions/changed)) params)
  "Show another model if PARAMS say that one was chosen."
  (when-let ((buffer (and (seq-contains-p (plist-get params :changes)
                                          "chat.session.model")
                          (org-agent--buffer (plist-get params :sessionId)))))
    (with-current-buffer buffer
      (org-agent--ask-model))))

(cl-defmethod org-agent--handle
  :extra "models" :after ((_ (eql 'orgAgent/turn)) params)
  "Ask what a reply took once its turn is over, as PARAMS say."
  (let* ((turn (org-agent--turn (plist-get params :turnId)))
         (buffer (and turn (org-agent--buffer (org-agent--turn-session turn)))))
    (when (and buffer (org-agent--over-p turn) (org-agent--turn-replied turn))
      (with-current-buffer buffer
        (org-agent--ask-usage turn)))))

;;;; Choosing

;;;###autoload (autoload 'org-agent-model "org-agent" "Choose the model that answers in this chat from now on." t)
(defun org-agent-model (&optional configured)
  "Choose the model that answers in this chat from now on.
With prefix argument CONFIGURED, go back to the one that is configured.
Servers that run on this machine are looked for, and offered; what is
said here goes to one of these only after you agreed to that once."
  (interactive "P")
  (let ((session (org-agent--model-session)))
    (if configured
        (org-agent--choose-model session nil)
      (let* ((items (org-agent--models session))
             (name (org-agent--read-model items))
             (item (seq-find (lambda (item) (equal (plist-get item :name) name))
                             items)))
        (when (or (not (org-agent--true-p (plist-get item :found)))
                  (yes-or-no-p (org-agent--found-question item))
                  (user-error "Nothing is sent to it; the model stays as it is"))
          (org-agent--choose-model session item))))))

(defun org-agent--model-session ()
  "Return the session whose model is meant, or nil if the chat has none yet."
  (cond
   ((derived-mode-p 'org-agent-chat-mode)
    (when (org-agent--copied)
      (user-error "This chat is a copy and gets a session of its own; choose again in a moment"))
    org-agent--session)
   ((and (derived-mode-p 'org-mode) (org-entry-get (point) "OA_SESSION" t)))
   (t (user-error "This is no chat of org-agent; see `org-agent-chat'"))))

(defun org-agent--models (session)
  "Return what can be chosen for SESSION, or for a chat that has none.
The user waits for it, for they asked, but not for long."
  (let (items problem)
    (org-agent--request
     'orgAgent/models/list
     `( :look t :limit 500 ,@(and session (list :sessionId session)))
     (lambda (result) (setq items (append (plist-get result :items) '(nil))))
     (lambda (words _code) (setq problem words)))
    (with-timeout (org-agent--model-time)
      (while (not (or items problem))
        (accept-process-output nil 0.05)))
    (cond (problem
           (user-error "No model can be chosen: %s%s" problem
                       (if (string-match-p "method not found" problem)
                           "; the server is older than this" "")))
          ((not items)
           (user-error "The server has not told its models yet; try again"))
          (t (delq nil items)))))

(defun org-agent--read-model (items)
  "Ask which of ITEMS is to answer, and return its name.
It is nil for the one that is configured."
  (let* ((selected (seq-find (lambda (item)
                               (org-agent--true-p (plist-get item :selected)))
                             items))
         (names (append (mapcar (lambda (item) (plist-get item :name)) items)
                        (list org-agent--model-configured)))
         (notes (lambda (name)
                  (org-agent--model-note
                   (seq-find (lambda (item) (equal (plist-get item :name) name))
                             items))))
         (name (completing-read
                (format-prompt "Model for this chat" (plist-get selected :name))
                (lambda (text predicate action)
                  (if (eq action 'metadata)
                      `(metadata (category . org-agent-model)
                                 (annotation-function . ,notes)
                                 (display-sort-function . identity)
                                 (cycle-sort-function . identity))
                    (complete-with-action action names text predicate)))
                nil t nil nil (plist-get selected :name))))
    (cond ((member name '("" nil)) (user-error "No model was chosen"))
          ((not (equal name org-agent--model-configured)) name))))

(defun org-agent--model-note (item)
  "Return what there is to know of ITEM besides its name."
  (let* ((price (plist-get item :price))
         (words (lambda (key) (let ((value (plist-get item key)))
                                (and (stringp value) value))))
         (model (funcall words :model))
         (problem (funcall words :problem))
         (notes
          (delq nil
                (list (funcall words :provider)
                      (and model (not (equal model (plist-get item :name))) model)
                      (and (org-agent--true-p (plist-get item :local))
                           "on this machine")
                      (and price
                           (format "$%s in, $%s out a million tokens"
                                   (or (plist-get price :input) "?")
                                   (or (plist-get price :output) "?")))
                      (and (org-agent--true-p (plist-get item :default))
                           "configured")
                      (and (org-agent--true-p (plist-get item :found))
                           "found, asks you first")
                      (and problem (concat "cannot be asked: " problem))))))
    (if notes
        (concat "  " (org-agent--one-line (string-join notes ", ") 120))
      "")))

(defun org-agent--found-question (item)
  "Return the question whether what is said may go to the server of ITEM."
  (org-agent--one-line
   (format "What you and the agent say will be sent to the server at %s%s, \
here and wherever no other model is configured.  Let it answer? "
           (or (plist-get item :baseUrl) (plist-get item :name))
           (if-let ((provider (plist-get item :provider)))
               (format " (%s)" provider)
             ""))
   300))

(defun org-agent--choose-model (session item)
  "Let ITEM, as it is listed, or the configured model answer in SESSION.
Without a session, this chat gets one."
  (let ((buffer (current-buffer))
        (failed (lambda (words _code)
                  (message "org-agent: the model stays as it is: %s" words))))
    (if session
        (org-agent--select-model session item failed)
      (org-agent--request
       'orgAgent/sessions/create (list :buffer (buffer-name))
       (lambda (result)
         (when (buffer-live-p buffer)
           (with-current-buffer buffer
             ;; A message may have been sent meanwhile.
             (unless (or org-agent--session org-agent--sending)
               (org-agent--join (plist-get result :id)))
             (if org-agent--session
                 (org-agent--select-model org-agent--session item failed)
               (funcall failed "a message is on its way; choose again" nil)))))
       failed))))

(defun org-agent--select-model (session item failed)
  "Let the server choose ITEM for SESSION, or call FAILED with why not."
  (org-agent--request
   'orgAgent/models/select
   `( :sessionId ,session
      ,@(and item (list :name (plist-get item :name)))
      ;; The user has just said so.
      ,@(and (org-agent--true-p (plist-get item :found)) '(:remember t)))
   (lambda (_result)
     (message "org-agent: %s answers here from now on"
              (if item (org-agent--one-line (plist-get item :name) 80)
                "the configured model"))
     (when-let ((buffer (org-agent--buffer session)))
       (with-current-buffer buffer
         (org-agent--ask-model))))
   failed))

(provide 'org-agent-models)
;;; org-agent-models.el ends here
