;;; sbcl.lisp --- a reply by the reader of Lisp, then checks of the list.

;; Takes (PATH COUNT) from standard input until its end: reads the reply in the file at PATH so many times, then
;; says that it is done.

(defun known-keys-p (plist keys)
  "Whether PLIST has keywords of KEYS in turn with values, each once."
  (and (listp plist)
       (loop with seen = '()
             for (key . rest) on plist by #'cddr
             always (and (consp rest) (member key keys) (not (member key seen)))
             do (push key seen))))

(defun valid-action-p (action buffer)
  "Whether ACTION has one of the forms of the grammar."
  (and (known-keys-p action '(:type :target :payload :explanation))
       (typep (getf action :explanation "") 'string)
       (let ((payload (getf action :payload))
             (type (getf action :type))
             (target (getf action :target)))
         (cond
           ((and (eq type :request) (eq target :emacs))
            (and (known-keys-p payload '(:action :buffer :text))
                 (eq (getf payload :action) :insert-at-end)
                 (equal (getf payload :buffer) buffer)
                 (stringp (getf payload :text))))
           ((and (eq type :request) (eq target :shell))
            (and (known-keys-p payload '(:cmd :cwd :timeout))
                 (stringp (getf payload :cmd))
                 (plusp (length (the string (getf payload :cmd))))
                 (stringp (getf payload :cwd ""))
                 (typep (getf payload :timeout 1) '(integer 1 86400))))
           ((and (eq type :request) (eq target :skill))
            (and (known-keys-p payload '(:name)) (stringp (getf payload :name))))
           ((and (eq type :response) (null target))
            (and (known-keys-p payload '(:text)) (stringp (getf payload :text))))
           ((and (eq type :log) (null target))
            (and (known-keys-p payload '(:text :level))
                 (stringp (getf payload :text))
                 (member (getf payload :level :info) '(:debug :info :warn :error))))))))

(defun read-action (reply)
  "The action in REPLY, or nil."
  (let* ((*read-eval* nil)
         (action (ignore-errors (read-from-string reply))))
    (and (valid-action-p action "*org-agent-chat*") action)))

(defun contents (path)
  "The text of the file at PATH."
  (with-open-file (in path :external-format :utf-8)
    (let* ((text (make-string (file-length in)))
           (end (read-sequence text in)))
      (coerce (subseq text 0 end) '(simple-array character (*))))))

(defvar *replies* (make-hash-table :test 'equal)
  "The replies by the names of their files.")

(defun reply (path)
  "The reply in the file at PATH, which is read once."
  (or (gethash path *replies*)
      (let ((reply (contents path)))
        (assert (read-action reply))
        (setf (gethash path *replies*) reply))))

(loop for request = (read *standard-input* nil)
      while request
      do (destructuring-bind (path count) request
           (let ((reply (reply path)))
             (dotimes (n count) (read-action reply))
             (format t "done~%")
             (finish-output))))
